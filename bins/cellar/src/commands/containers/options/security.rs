//! Flags that say what a container may do.

use std::io::Read as _;

use anyhow::{Context as _, Result, bail};
use cask_engine::{ContainerConfig, SecurityConfig};
use clap::Args;

/// The most bytes of a seccomp profile.
const LONGEST_PROFILE: u64 = 1 << 20;

/// What it may do.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "What it may do")]
pub(super) struct SecurityArguments {
    /// Give it all capabilities and devices, and hide nothing of the kernel
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) privileged: Option<bool>,
    /// Add a capability, or ALL
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    pub(super) cap_add: Vec<String>,
    /// Take a capability away, or ALL
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    pub(super) cap_drop: Vec<String>,
    /// seccomp=FILE, seccomp=unconfined, no-new-privileges, mask=PATH:PATH, unmask=ALL or unmask=PATH:PATH
    #[arg(long, value_name = "OPTION")]
    pub(super) security_opt: Vec<String>,
}

impl SecurityArguments {
    pub(super) fn resolve(&self, config: &mut ContainerConfig) -> Result<()> {
        let security = &mut config.security;
        security.privileged = self.privileged.unwrap_or_default();
        security.add.clone_from(&self.cap_add);
        security.drop.clone_from(&self.cap_drop);
        security.options.clone_from(&self.security_opt);
        self.security_opt.iter().try_for_each(|option| take(security, option))
    }
}

/// Source: podman, `pkg/specgenutil/specgen.go`; its words.
fn take(security: &mut SecurityConfig, option: &str) -> Result<()> {
    let has_value = option.contains(['=', ':']);
    let (name, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
    let paths = || value.split(':').map(ToOwned::to_owned);
    match (name, value) {
        ("no-new-privileges", "" | "true") => security.no_new_privileges = true,
        ("no-new-privileges", "false") => security.no_new_privileges = false,
        _ if !has_value => bail!("invalid --security-opt 1: {option:?}"),
        ("seccomp", "unconfined") => security.seccomp_unconfined = true,
        ("seccomp", path) => security.seccomp_profile = profile(path)?,
        ("mask", _) => security.mask.extend(paths()),
        ("unmask", _) => security.unmask.extend(paths()),
        // There is nothing to turn off.
        ("label", _) | ("apparmor", "unconfined") => {}
        ("apparmor", profile) => bail!(
            "apparmor profile {profile:?} specified, but Apparmor profiles are not set here: leave the option out"
        ),
        ("proc-opts", _) => bail!(
            "--security-opt {option} is not supported: /proc has its usual options; hide parts of it with mask=PATH"
        ),
        _ => bail!("invalid --security-opt 2: {option:?}"),
    }
    Ok(())
}

/// The text of a profile.
pub(super) fn profile(path: &str) -> Result<String> {
    let mut text = String::new();
    let opened = std::fs::File::open(path);
    let read = opened.and_then(|file| file.take(LONGEST_PROFILE + 1).read_to_string(&mut text));
    read.with_context(|| format!("opening seccomp profile failed: open {path}"))?;
    if text.len() as u64 > LONGEST_PROFILE {
        bail!("seccomp profile {path} has more than {LONGEST_PROFILE} bytes");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_podman_reads_them() {
        let check = |option: &str, expected: &str| {
            let mut security = SecurityConfig::default();
            let said = take(&mut security, option)
                .map_or_else(|error| error.to_string(), |()| String::new());
            assert!(
                said.starts_with(expected) && said.is_empty() == expected.is_empty(),
                "{option}: {said}"
            );
        };
        for option in [
            "no-new-privileges",
            "no-new-privileges:true",
            "seccomp=unconfined",
            "label=disable",
            "unmask=ALL",
        ] {
            check(option, "");
        }
        check("nope", "invalid --security-opt 1: \"nope\"");
        check("nope=1", "invalid --security-opt 2: \"nope=1\"");
        check("seccomp=/nope/nope", "opening seccomp profile failed: open /nope/nope");
        check("apparmor=foo", "apparmor profile \"foo\" specified");
        check("proc-opts=hidepid=2", "--security-opt proc-opts=hidepid=2 is not supported");
    }
}
