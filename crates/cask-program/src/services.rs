//! Who makes the control groups of containers: systemd, where it runs, or this program itself.

use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;

use anyhow::{Result, bail};
use cask_runtime::{Cgroup, ServiceManager};

use crate::containers_conf::EngineConf;
use crate::rootless;

/// systemd, that of the machine for root and that of the session for a user, where control groups are of version 2 and it
/// can be reached.
pub fn find() -> Option<ServiceManager> {
    if !Cgroup::is_unified() {
        return None;
    }
    let user = rootless::user_id();
    let socket = match user == 0 && !rootless::is_in_user_namespace() {
        true => PathBuf::from(ServiceManager::SYSTEM),
        false => {
            let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
            // Who became this user without a login has no such variable.
            let directory = named.unwrap_or_else(|| PathBuf::from(format!("/run/user/{user}")));
            directory.join(ServiceManager::OF_USER)
        }
    };
    let is_there = std::fs::metadata(&socket).is_ok_and(|found| found.file_type().is_socket());
    // Source: systemd.exec(5).
    let of_service = std::env::var_os("INVOCATION_ID").is_some();
    is_there.then(|| ServiceManager::at(socket).with_service(of_service))
}

/// Takes a user's process out of the group of the login, below which the user may make no groups, where systemd can do
/// that. Where it cannot, whatever needs a group says so.
pub fn leave_login() {
    if rootless::is_rootless()
        && !Cgroup::may_be_made()
        && let Some(services) = find()
    {
        let name = format!("cask-{}.scope", std::process::id());
        let _ = services.move_to(&name, "user.slice");
    }
}

/// Who was asked for: `given` with a flag, else in a file, else whoever is there. `None` is this program.
///
/// # Errors
/// For a name that is neither `systemd` nor `cgroupfs`, and for systemd where a flag asks for it and it is not there.
pub fn chosen(given: Option<&str>, conf: &EngineConf) -> Result<Option<ServiceManager>> {
    match given.or(conf.cgroup_manager.as_deref()) {
        Some("cgroupfs") => Ok(None),
        Some("systemd") | None => match find() {
            None if given.is_some() => bail!(
                "--cgroup-manager systemd: systemd is not there, or control groups are not of version 2 alone; leave it out"
            ),
            found => Ok(found),
        },
        Some(other) => bail!("cgroup manager {other:?}: systemd and cgroupfs are known"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_counts_before_a_file_and_other_names_are_refused() {
        let mut conf = EngineConf::default();
        conf.cgroup_manager = Some("nobody".to_owned());
        assert_eq!(chosen(Some("cgroupfs"), &conf).unwrap(), None);
        assert!(chosen(None, &conf).is_err() && chosen(Some("other"), &conf).is_err());
        conf.cgroup_manager = Some("cgroupfs".to_owned());
        assert_eq!(chosen(None, &conf).unwrap(), None);
        assert_eq!(chosen(Some("systemd"), &conf).is_ok(), find().is_some());
    }
}
