//! The packages of this workspace as cargo sees them, and where their files are.

use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand, Package};

use crate::assert_kept;

/// The only names without a leading dot at the top of the repository. `target` is cargo's, and ignored by git.
const TOP_LEVEL: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "bins",
    "crates",
    "examples",
    "target",
    "tests",
];

/// The folder that holds the virtual manifest.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the root").to_owned()
}

/// The workspace's own packages, without what they depend on: needs no network.
pub(crate) fn members() -> Vec<Package> {
    metadata(MetadataCommand::new().no_deps()).packages
}

/// Everything that `Cargo.lock` resolves to, on any platform.
pub(crate) fn everything() -> Metadata {
    metadata(&mut MetadataCommand::new())
}

fn metadata(command: &mut MetadataCommand) -> Metadata {
    command
        .manifest_path(root().join("Cargo.toml"))
        .exec()
        .unwrap_or_else(|error| panic!("cargo metadata: {error}"))
}

/// The folder of a package.
pub(crate) fn folder(package: &Package) -> &Path {
    package.manifest_path.parent().expect("a manifest is in a folder").as_std_path()
}

/// Reads a file as TOML; the test fails, naming the file, where that cannot be done.
pub(crate) fn read_toml(path: &Path) -> toml::Table {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn top_level_holds_only_what_everybody_looks_for() {
    let broken: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()))
        .collect();
    assert_kept(
        "at the top are the manifest, README, LICENSE, crates, bins, tests, examples",
        &broken,
    );
}

#[test]
fn folders_are_named_as_their_packages() {
    let broken: Vec<String> = members()
        .iter()
        .filter(|package| folder(package).file_name().unwrap() != package.name.as_str())
        .map(|package| format!("{} is in {}", package.name, folder(package).display()))
        .collect();
    assert_kept("a folder is named as its package", &broken);
}

#[test]
fn every_package_takes_the_workspace_lints() {
    let broken: Vec<String> = members()
        .iter()
        .filter(|package| {
            let manifest = read_toml(package.manifest_path.as_std_path());
            let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
            lints.and_then(toml::Value::as_bool) != Some(true)
        })
        .map(|package| format!("{}: add `[lints]` with `workspace = true`", package.manifest_path))
        .collect();
    assert_kept("lints are set once, in the root manifest", &broken);
}

#[test]
fn versions_are_chosen_once_in_the_root_manifest() {
    let mut broken = Vec::new();
    for package in members() {
        let manifest = read_toml(package.manifest_path.as_std_path());
        for name in own_versions(&manifest) {
            broken.push(format!("{}: write `{name}.workspace = true`", package.manifest_path));
        }
    }
    assert_kept("a dependency's version stands in the root manifest", &broken);
}

/// The dependencies of a manifest that do not say `workspace = true`, those for one platform included.
fn own_versions(manifest: &toml::Table) -> Vec<String> {
    let platforms = manifest.get("target").and_then(toml::Value::as_table);
    let tables = platforms.into_iter().flat_map(toml::Table::values).filter_map(|t| t.as_table());
    let mut names = Vec::new();
    for table in tables.chain([manifest]) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = table.get(kind).and_then(toml::Value::as_table) else {
                continue;
            };
            let own = dependencies.iter().filter(|(_, value)| {
                value.get("workspace").and_then(toml::Value::as_bool) != Some(true)
            });
            names.extend(own.map(|(name, _)| name.clone()));
        }
    }
    names
}

#[test]
fn own_versions_are_found_in_every_table() {
    fn check(manifest: &str, expected: &[&str]) {
        assert_eq!(own_versions(&manifest.parse().unwrap()), expected, "{manifest}");
    }
    check("[dependencies]\na.workspace = true", &[]);
    check("[dependencies]\na = \"1\"", &["a"]);
    check("[dev-dependencies]\na = { version = \"1\" }\nb = { workspace = true }", &["a"]);
    check("[target.'cfg(unix)'.dependencies]\na = { path = \"../a\" }", &["a"]);
}
