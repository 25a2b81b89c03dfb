//! Flags that say whom `/etc/passwd` and `/etc/group` name.

use anyhow::{Context as _, Result};
use cask_engine::ContainerConfig;
use clap::Args;

/// The accounts of this machine.
const PASSWD: &str = "/etc/passwd";

/// Whom its files of accounts name.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Whom it knows")]
pub(super) struct AccountArguments {
    /// Name its user in /etc/passwd and /etc/group where the image does not [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    passwd: Option<bool>,
    /// That line of /etc/passwd, with $USERNAME, $UID, $GID, $NAME and $HOME
    #[arg(long, value_name = "LINE")]
    passwd_entry: Option<String>,
    /// That line of /etc/group, with $GROUPNAME, $GID and $USERLIST
    #[arg(long, value_name = "LINE")]
    group_entry: Option<String>,
    /// Name a user of this machine too
    #[arg(long, value_name = "USER")]
    hostuser: Vec<String>,
}

impl AccountArguments {
    pub(super) fn resolve(&self, config: &mut ContainerConfig) -> Result<()> {
        let accounts = &mut config.accounts;
        accounts.unchanged = self.passwd == Some(false);
        accounts.user_entry.clone_from(&self.passwd_entry);
        accounts.group_entry.clone_from(&self.group_entry);
        if self.hostuser.is_empty() {
            return Ok(());
        }
        let known = std::fs::read_to_string(PASSWD).context("reading /etc/passwd")?;
        for user in &self.hostuser {
            let line = known.lines().find_map(|line| line_of(line, user));
            accounts.more.push(line.with_context(|| format!("user: unknown user {user}"))?);
        }
        Ok(())
    }
}

/// The line of a container for a user of this machine by name or number.
///
/// Source: podman, `libpod/container_internal_common.go`, `userPasswdEntry`.
fn line_of(line: &str, user: &str) -> Option<String> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, about, ..] = fields.as_slice() else { return None };
    let about = about.split(',').next().unwrap_or_default();
    (*name == user || *uid == user).then(|| format!("{name}:*:{uid}:{gid}:{about}:$HOME:/bin/sh"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_number() {
        let line = "www:x:33:34:W W,1,2:/var/www:/usr/sbin/nologin";
        for user in ["www", "33"] {
            assert_eq!(line_of(line, user).as_deref(), Some("www:*:33:34:W W:$HOME:/bin/sh"));
        }
        assert_eq!(line_of(line, "34"), None);
        assert_eq!(line_of("www", "www"), None);
    }
}
