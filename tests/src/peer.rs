//! What has to be installed.

use std::path::Path;

/// Tells whether this process is root's.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Tells whether the tests can use all of these programs, as root. `docker` stands for Debian's
/// client and daemon.
///
/// # Panics
/// If one is missing where `CI` is set: nothing is skipped there.
pub fn has(programs: &[&str]) -> bool {
    let mut missing: Vec<_> = programs.iter().filter(|program| !is_installed(program)).collect();
    if !is_root() {
        missing.push(&"root");
    }
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "missing on this machine: {missing:?}");
    note(&format!("note: not tested, as this is missing: {missing:?}"));
    false
}

fn is_installed(program: &str) -> bool {
    if program == "docker" {
        return Path::new(DOCKER).exists() && is_installed("dockerd");
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Debian's client: another in `PATH` may be of another age than the daemon.
pub(crate) const DOCKER: &str = "/usr/bin/docker";

#[expect(clippy::print_stderr, reason = "whoever runs the tests should know what was not tested")]
fn note(text: &str) {
    eprintln!("{text}");
}
