//! Where things are in this repository.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::command;

/// The folder that holds the virtual manifest.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this crate is two folders below the root").to_owned()
}

/// Where cargo builds, and where chores keep what can be made again.
pub(crate) fn target() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| OsString::from("target")))
}

/// A command of the cargo that started this chore, in the root of the workspace.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut cargo = command(program, arguments);
    // What that cargo said of our package is in the environment: build scripts that look at it (ring's) would run again,
    // and all that needs them be built again, whenever cargo is called in another way.
    for (name, _) in env::vars_os() {
        let package = ["CARGO_PKG_", "CARGO_MANIFEST_"];
        if package.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes())) {
            cargo.env_remove(name);
        }
    }
    cargo.current_dir(root());
    cargo
}
