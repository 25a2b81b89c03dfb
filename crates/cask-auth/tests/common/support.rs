//! What several tests need.

#![allow(dead_code, reason = "each test program uses a part")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cask_auth::{AuthFile, AuthFiles, AuthFilesOptions, Credential, Format, Found};

/// Makes a program of a shell script. A child writes it: a file that this process had open for
/// writing might still be so in another child when it is executed.
pub(crate) fn script(path: &Path, text: &str) {
    let mut child = Command::new("/bin/sh")
        .args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Options of one file that is read and written.
pub(crate) fn only(path: impl Into<PathBuf>, format: Format) -> AuthFilesOptions {
    AuthFilesOptions::only(AuthFile::new(path, format))
}

/// The credentials of one file.
pub(crate) fn files(path: impl Into<PathBuf>, format: Format) -> AuthFiles {
    AuthFiles::new(only(path, format))
}

/// User, password and identity token.
pub(crate) fn triple(found: Option<Found>) -> (String, String, String) {
    match found.map(|found| found.credential) {
        None => Default::default(),
        Some(Credential::Basic { username, password }) => {
            (username, password.expose().to_owned(), String::new())
        }
        Some(Credential::IdentityToken { username, token }) => {
            (username, String::new(), token.expose().to_owned())
        }
        Some(other) => panic!("{other:?}"),
    }
}

/// An error and its causes, as a program shows them.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
