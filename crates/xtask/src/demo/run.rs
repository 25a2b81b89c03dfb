//! Taking the image through every place and back.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::build::Build;
use super::image;
use super::registry::Registry;
use super::store::Store;
use crate::{console, process, workspace};

/// A copy: what it shows, from where, to where, and with which flags.
struct Step<'a> {
    title: &'static str,
    from: &'a str,
    to: &'a str,
    flags: &'a [&'a str],
    /// The file or directory that holds what was written.
    holds: &'static str,
}

const fn step<'a>(
    title: &'static str,
    from: &'a str,
    to: &'a str,
    flags: &'a [&'a str],
    holds: &'static str,
) -> Step<'a> {
    Step { title, from, to, flags, holds }
}

/// From an archive through every local place and back to an archive.
const STEPS: [Step<'static>; 6] = [
    step("archive to layout, gzip", "docker-archive:app.tar", "oci:layout:app", &[], "layout"),
    step("layout to archive", "oci:layout:app", "oci-archive:app-oci.tar:app", &[], "app-oci.tar"),
    step("archive to files", "oci-archive:app-oci.tar:app", "dir:files", &[], "files"),
    step("files to layout", "dir:files", "oci:again:app", &["--preserve-digests"], "again"),
    step(
        "layout to layout, zstd",
        "oci:again:app",
        "oci:zstd:app",
        &["--dest-compress-format", "zstd"],
        "zstd",
    ),
    step(
        "layout back to archive",
        "oci:zstd:app",
        "docker-archive:back.tar:localhost/demo:1",
        &[],
        "back.tar",
    ),
];

/// Makes an image of this machine's shell, takes it through every local place, a registry and back,
/// and a store, validates each, builds upon it, and prints what came out.
///
/// # Errors
///
/// Where a step fails, or what comes back is not what went in.
pub(crate) fn run() -> Result<()> {
    // As the tests build them: what is slow without optimisation is optimised there too.
    // The whole workspace's, since parts of it would be other builds to cargo.
    process::succeed(&mut workspace::cargo(["build", "--workspace", "--bins"]))?;
    let [dray, cooper, cellar] =
        ["dray", "cooper", "cellar"].map(|name| workspace::target().join("debug").join(name));
    let directory = workspace::target().join("demo");
    if directory.exists() {
        fs::remove_dir_all(&directory)
            .with_context(|| format!("removing {}", directory.display()))?;
    }
    fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
    image::write(&directory.join("app.tar"))?;
    let registry = Registry::start(&dray, &directory)?;
    let demo = Demo { dray: &dray, directory: &directory, registry: &registry };
    let first = demo.config("docker-archive:app.tar")?;
    let mut rows = vec![["step", "digest", "size", "time"].map(String::from)];
    rows.push([
        "an image of this machine's shell".into(),
        demo.digest("docker-archive:app.tar")?,
        megabytes(size_of(&directory.join("app.tar"))?),
        String::new(),
    ]);
    for step in &STEPS {
        rows.push(demo.step(step)?);
    }
    let there = format!("docker://{}/demo/app:1", registry.host());
    rows.push(demo.step(&step("layout to registry", "oci:layout:app", &there, &[], "registry"))?);
    rows.push(demo.step(&step("registry to layout", &there, "oci:pulled:app", &[], "pulled"))?);
    let (pushed, pulled) = (demo.digest("oci:layout:app")?, demo.digest("oci:pulled:app")?);
    ensure!(pushed == pulled, "what was pulled is not what was pushed: {pushed}, {pulled}");
    let back = demo.config("docker-archive:back.tar")?;
    ensure!(first == back, "the config came back changed");
    let store = Store { cellar: &cellar, directory: &directory, registry: &registry };
    let (stored, id) = store.tour(&format!("{}/demo/app:1", registry.host()))?;
    ensure!(first == demo.config("docker-archive:saved.tar")?, "the store changed the config");
    let pulled_config = demo.config("oci:pulled:app")?;
    ensure!(id == pulled_config, "the store has another image: {id}, {pulled_config}");
    for image in ["docker-archive:saved.tar", "oci-archive:saved-oci.tar"] {
        process::output(&mut demo.command(&["validate", "--quiet", image]))?;
    }
    rows.extend(stored);
    let build = Build {
        cooper: &cooper,
        cellar: &cellar,
        dray: &dray,
        directory: &directory,
        registry: &registry,
    };
    rows.extend(build.tour(&format!("{}/demo/app:1", registry.host()))?);
    console::line("");
    console::table(&rows);
    console::line("every place was validated: all digests, sizes and plain layers are right");
    console::line(&format!("pushed and pulled, the digest is the same: {pulled}"));
    console::line(&format!("the image that came back is the one that went in: config {first}"));
    Ok(())
}

struct Demo<'a> {
    dray: &'a Path,
    directory: &'a Path,
    registry: &'a Registry,
}

impl Demo<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = process::command(self.dray, ["--insecure-policy"]);
        command.args(arguments).current_dir(self.directory);
        command.env("CONTAINERS_REGISTRIES_CONF", self.registry.configuration());
        command
    }

    /// Copies, validates, and tells what came out.
    fn step(&self, step: &Step<'_>) -> Result<[String; 4]> {
        let mut arguments = vec!["copy", "--quiet", step.from, step.to];
        arguments.extend(step.flags);
        let start = Instant::now();
        process::output(&mut self.command(&arguments))?;
        let took = start.elapsed();
        process::output(&mut self.command(&["validate", "--quiet", step.to]))?;
        Ok([
            step.title.into(),
            self.digest(step.to)?,
            megabytes(size_of(&self.directory.join(step.holds))?),
            format!("{:.2} s", took.as_secs_f64()),
        ])
    }

    fn digest(&self, image: &str) -> Result<String> {
        let digest = process::output(&mut self.command(&["digest", image]))?;
        Ok(digest.trim().chars().take("sha256:".len() + 12).collect())
    }

    /// The digest of the config, which no place and no compression changes.
    fn config(&self, image: &str) -> Result<String> {
        let manifest = process::output(&mut self.command(&["inspect", "--raw", image]))?;
        let manifest: serde_json::Value = serde_json::from_str(&manifest)?;
        let digest = manifest["config"]["digest"].as_str();
        digest.map(Into::into).with_context(|| format!("{image} has no config"))
    }
}

/// The length of a file, or of all files in a folder; links count as themselves. What is deleted meanwhile counts for
/// nothing.
pub(super) fn size_of(path: &Path) -> Result<u64> {
    let length = |path: &Path| -> std::io::Result<u64> {
        let metadata = fs::symlink_metadata(path)?;
        if !metadata.is_dir() {
            return Ok(metadata.len());
        }
        let mut bytes = 0;
        for entry in fs::read_dir(path)? {
            bytes += size_of(&entry?.path()).map_err(std::io::Error::other)?;
        }
        Ok(bytes)
    };
    match length(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        length => length.with_context(|| format!("reading {}", path.display())),
    }
}

pub(super) fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}
