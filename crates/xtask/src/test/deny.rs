//! Licences, bans, sources and advisories through cargo-deny, where it is installed.
//!
//! It takes over six minutes of CPU to build, so nothing here installs it. The structure test reads the same
//! `.deny.toml` and checks licences, bans and sources in a second. What remains is the advisory database, which only
//! cargo-deny reads, and which needs a network.

use anyhow::Result;

use crate::process::{output, succeed};
use crate::workspace::cargo;

/// Runs what can be run, and says what was checked.
///
/// # Errors
///
/// Where cargo-deny found something.
pub(crate) fn check() -> Result<String> {
    let deny = |arguments: &[&str]| {
        let mut command = cargo(["deny"]);
        command.args(arguments);
        command
    };
    if output(&mut deny(&["--version"])).is_err() {
        return Ok("cargo-deny is not installed (`cargo install cargo-deny --locked`): licences, bans and sources \
                   are checked by the structure test, advisories by nobody"
            .to_owned());
    }
    succeed(&mut deny(&["check", "licenses", "bans", "sources"]))?;
    if let Err(error) = output(&mut deny(&["fetch", "db"])) {
        let reason = format!("{error:#}");
        let reason = reason.lines().next_back().unwrap_or_default().trim();
        return Ok(format!("advisories are not checked, their database cannot be had: {reason}"));
    }
    succeed(&mut deny(&["check", "advisories"]))?;
    Ok("licences, bans, sources and advisories".to_owned())
}
