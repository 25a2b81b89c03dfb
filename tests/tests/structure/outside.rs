//! What comes in from outside: the lists of `.deny.toml`, applied to `Cargo.lock` without cargo-deny.

use cargo_metadata::Package;
use spdx::{Expression, Licensee, ParseMode};

use crate::assert_kept;
use crate::workspace::{everything, read_toml, root};

/// What `.deny.toml` must never stop banning.
const NEVER: [&str; 5] = ["aws-lc-sys", "libz-ng-sys", "openssl-sys", "serde_yaml", "tokio-tar"];

/// The array at `section.key` of `.deny.toml`.
fn rules(section: &str, key: &str) -> Vec<toml::Value> {
    let rules = read_toml(&root().join(".deny.toml"));
    let found = rules.get(section).and_then(|s| s.get(key)).and_then(toml::Value::as_array);
    found.unwrap_or_else(|| panic!(".deny.toml: {section}.{key} is not an array")).clone()
}

fn banned() -> Vec<String> {
    let entries = rules("bans", "deny");
    let name = |entry: &toml::Value| entry["name"].as_str().expect("a ban has a name").to_owned();
    entries.iter().map(name).collect()
}

#[test]
fn banned_packages_are_not_locked() {
    let banned = banned();
    let missing = NEVER.iter().filter(|name| !banned.iter().any(|known| known == *name));
    let mut broken: Vec<String> =
        missing.map(|name| format!("{name} is no longer in .deny.toml's bans")).collect();
    let lock = read_toml(&root().join("Cargo.lock"));
    let locked = lock["package"].as_array().unwrap().iter().filter_map(|p| p["name"].as_str());
    let found = locked.filter(|name| banned.iter().any(|known| known == name));
    broken.extend(
        found.map(|name| {
            format!("{name} is in Cargo.lock: `cargo tree -i {name}` says through whom")
        }),
    );
    assert_kept(".deny.toml bans packages", &broken);
}

#[test]
fn licences_are_on_the_list() {
    let allowed: Vec<Licensee> = rules("licenses", "allow")
        .iter()
        .map(|name| Licensee::parse(name.as_str().unwrap()).unwrap())
        .collect();
    let packages = everything().packages;
    let broken: Vec<String> =
        packages.iter().filter_map(|p| licence_refusal(p, &allowed)).collect();
    assert_kept(".deny.toml lists the licences we take", &broken);
}

fn licence_refusal(package: &Package, allowed: &[Licensee]) -> Option<String> {
    let Some(text) = &package.license else {
        return Some(format!("{} {} names no licence", package.name, package.version));
    };
    // `MIT/Apache-2.0` is how manifests said OR before SPDX expressions.
    let refusal = match Expression::parse_mode(text, ParseMode::LAX) {
        Err(error) => error.reason.to_string(),
        Ok(expression) if satisfied(&expression, allowed) => return None,
        Ok(_) => "not allowed".to_owned(),
    };
    Some(format!("{} {}: {text}: {refusal}", package.name, package.version))
}

fn satisfied(expression: &Expression, allowed: &[Licensee]) -> bool {
    expression.evaluate(|wanted| allowed.iter().any(|licence| licence.satisfies(wanted)))
}

#[test]
fn licence_expressions_are_read_as_spdx() {
    fn check(expression: &str, expected: bool) {
        let allowed = ["MIT", "Unicode-3.0", "Apache-2.0"].map(|l| Licensee::parse(l).unwrap());
        let parsed = Expression::parse_mode(expression, ParseMode::LAX).unwrap();
        assert_eq!(satisfied(&parsed, &allowed), expected, "{expression}");
    }
    check("MIT", true);
    check("GPL-3.0-only", false);
    check("GPL-3.0-only OR MIT", true);
    check("MIT/Apache-2.0", true);
    check("MIT AND MPL-2.0", false);
    check("(MIT OR GPL-2.0-only) AND Unicode-3.0", true);
}

#[test]
fn packages_come_from_the_public_registry_or_from_here() {
    let broken: Vec<String> = everything()
        .packages
        .iter()
        .filter(|package| package.source.as_ref().is_some_and(|source| !source.is_crates_io()))
        .map(|package| format!("{} {}: {:?}", package.name, package.version, package.source))
        .collect();
    assert_kept("packages come from crates.io or from this repository", &broken);
}
