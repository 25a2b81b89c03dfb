//! The programs that read and write these archives: skopeo, podman, umoci and Docker's daemon.
//!
//! They are not installed everywhere, and some of this needs root. Where `CI` is set, what is
//! missing fails; elsewhere it is passed over with a word.

#![cfg(test)]

mod docker;
#[expect(dead_code, reason = "shared with the other tests")]
#[path = "../it/fixtures.rs"]
mod fixtures;
mod oci;
mod podman;
mod skopeo;

use std::path::Path;
use std::process::Command;

/// Whether a program is there.
fn has(program: &str) -> bool {
    let output = Command::new(program).arg("--version").output();
    if output.is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "{program} has to be installed where CI is set");
    eprintln!("skipped: {program} is not installed");
    false
}

/// Whether this is root.
fn is_root() -> bool {
    if std::fs::metadata("/proc/self")
        .is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
    {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "these tests run as root where CI is set");
    eprintln!("skipped: not root");
    false
}

/// Runs a program that has to succeed, and gives what it printed.
#[track_caller]
fn run(program: &str, arguments: &[&str], directory: &Path) -> String {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(directory).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}
