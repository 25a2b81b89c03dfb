//! Flags about the users of a container.

use anyhow::{Result, bail};
use cask_engine::{Caller, CreateOptions};
use cask_program::containers_conf::ContainersConf;
use cask_program::rootless;
use clap::Args;

/// Whose users it has.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What it may do")]
pub(super) struct UserArguments {
    /// Users that it has: host, auto[:OPTIONS], keep-id[:uid=N,gid=N], nomap, container:NAME or ns:PATH
    #[arg(long, value_name = "MODE")]
    userns: Option<String>,
    /// Map users, as INSIDE:OUTSIDE:COUNT
    #[arg(long, value_name = "RANGE", value_delimiter = ',')]
    uidmap: Vec<String>,
    /// Map groups, as INSIDE:OUTSIDE:COUNT
    #[arg(long, value_name = "RANGE", value_delimiter = ',')]
    gidmap: Vec<String>,
    /// Map users to those that /etc/subuid gives to this name
    #[arg(long, value_name = "NAME")]
    subuidname: Option<String>,
    /// Map groups to those that /etc/subgid gives to this name
    #[arg(long, value_name = "NAME")]
    subgidname: Option<String>,
}

impl UserArguments {
    /// Whether somebody chose its users.
    pub(super) fn is_given(&self) -> bool {
        self.userns.as_ref().is_some_and(|mode| !mode.is_empty())
    }

    pub(super) fn resolve(&self, options: &mut CreateOptions, conf: &ContainersConf) -> Result<()> {
        let given = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
        let request = &mut options.users;
        request.uid_maps.clone_from(&self.uidmap);
        request.gid_maps.clone_from(&self.gidmap);
        request.subuid_name = given(&self.subuidname);
        request.subgid_name = given(&self.subgidname);
        let maps = !self.uidmap.is_empty()
            || !self.gidmap.is_empty()
            || request.subuid_name.is_some()
            || request.subgid_name.is_some();
        if maps && given(&self.userns).is_some() {
            bail!(
                "--userns and --uidmap/--gidmap/--subuidname/--subgidname are mutually exclusive"
            );
        }
        let of_machine =
            || std::env::var("PODMAN_USERNS").ok().or_else(|| conf.modes.users.clone());
        let usual = || of_machine().filter(|_| !maps);
        request.mode = given(&self.userns).or_else(usual).unwrap_or_default();
        request.caller = rootless::caller().map(|caller| Caller {
            uid: caller.uid,
            gid: caller.gid,
            name: caller.name,
            group: caller.group,
            full_name: caller.full_name,
            home: caller.home,
        });
        Ok(())
    }
}
