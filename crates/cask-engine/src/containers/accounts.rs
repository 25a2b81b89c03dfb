//! Lines of `/etc/passwd` and `/etc/group` for whoever runs in a container whose image does not name them.
//!
//! Source: podman, `libpod/container_internal_common.go`, `generatePasswdAndGroup`.

use std::io::Write as _;
use std::path::Path;

use cask_rootfs::Root;
use cask_runtime::{Identity, Mount, MountSource, read_user_file};

use super::config::ContainerConfig;
use crate::{Error, ErrorKind, Result};

/// A file of accounts, and what it lacks.
struct Lacking {
    name: &'static str,
    lines: Vec<String>,
}

/// Adds what is missing: to the files themselves, or where the root cannot be written, in mounts over them.
pub(super) fn complete(
    config: &ContainerConfig,
    root: &Root,
    identity: &Identity,
) -> Result<Vec<Mount>> {
    if config.accounts.unchanged {
        return Ok(Vec::new());
    }
    let mut mounts = Vec::new();
    for Lacking { name, lines } in [users(config, identity)?, groups(config, root, identity)?] {
        let mut text = read_user_file(root, &format!("etc/{name}"))?;
        let is_missing = |line: &&String| {
            !text.split(|byte| *byte == b'\n').any(|known| known == line.as_bytes())
        };
        let missing: Vec<&String> = lines.iter().filter(is_missing).collect();
        if missing.is_empty() {
            continue;
        }
        if !text.is_empty() && !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        for line in missing {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        if config.files.read_only {
            let bytes = text.into();
            let source = MountSource::Content { bytes, mode: 0o644, uid: 0, gid: 0 };
            mounts.push(Mount::new(source, Path::new("/etc").join(name)).read_only());
        } else {
            write(root, name, &text, config.namespaces.user.outside(0, 0)?)?;
        }
    }
    Ok(mounts)
}

/// The number that the user of a container is, where it is one.
fn numbers(config: &ContainerConfig) -> Option<(u32, Option<&str>)> {
    let user = config.process.user.as_deref()?;
    let (user, group) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (user, None),
    };
    Some((user.parse().ok()?, group))
}

fn users(config: &ContainerConfig, identity: &Identity) -> Result<Lacking> {
    let home = config.process.directory.as_deref().unwrap_or("/");
    let more = config.accounts.more.iter();
    let mut lines: Vec<String> = more.map(|line| line.replace("$HOME", home)).collect();
    let more = config.accounts.more.iter();
    let mut named = more.filter_map(|line| line.split(':').nth(2)?.parse::<u32>().ok());
    if let Some((uid, _)) = numbers(config)
        && identity.name.is_none()
        && !named.any(|id| id == uid)
    {
        lines.push(match &config.accounts.user_entry {
            Some(template) => filled(
                template,
                &[
                    ("$USERNAME", &uid.to_string()),
                    ("$UID", &uid.to_string()),
                    ("$GID", &identity.gid.to_string()),
                    ("$NAME", "container user"),
                    ("$HOME", home),
                ],
            ),
            None => format!("{uid}:*:{uid}:{}:container user:{home}:/bin/sh", identity.gid),
        });
    }
    checked("passwd", lines)
}

fn groups(config: &ContainerConfig, root: &Root, identity: &Identity) -> Result<Lacking> {
    let mut lines = config.accounts.more_groups.clone();
    if let Some((uid, group)) = numbers(config) {
        // Without a group, podman names one after the user, whether it is that of the user or not.
        let gid = match group {
            Some(group) => group.parse().ok(),
            None => Some(uid),
        };
        let file = read_user_file(root, "etc/group")?;
        let file = String::from_utf8_lossy(&file);
        let more = config.accounts.more_groups.iter().map(String::as_str);
        let known: Vec<&str> = file.lines().chain(more).collect();
        let is_named = |gid: u32| {
            known.iter().any(|line| line.split(':').nth(2) == Some(gid.to_string().as_str()))
        };
        if let Some(gid) = gid.filter(|gid| !is_named(*gid))
            && identity.name.is_none()
        {
            lines.push(match &config.accounts.group_entry {
                Some(template) => filled(
                    template,
                    &[
                        ("$GROUPNAME", &gid.to_string()),
                        ("$GID", &gid.to_string()),
                        ("$USERLIST", &uid.to_string()),
                    ],
                ),
                None => format!("{gid}:x:{gid}:{uid}"),
            });
        }
    }
    checked("group", lines)
}

/// A template with its variables replaced, the longer names first.
fn filled(template: &str, values: &[(&str, &str)]) -> String {
    let filled =
        values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value));
    filled.trim_end_matches('\n').to_owned()
}

fn checked(name: &'static str, lines: Vec<String>) -> Result<Lacking> {
    match lines.iter().find(|line| line.contains(['\n', '\0'])) {
        Some(line) => {
            let why = format!("it is more than one line of /etc/{name}");
            Err(Error::new(ErrorKind::Invalid, format_args!("{line:?}"), why))
        }
        None => Ok(Lacking { name, lines }),
    }
}

fn write(root: &Root, name: &str, text: &[u8], owner: (u32, u32)) -> Result<()> {
    root.create_dir_all("etc", 0o755, Some(owner))?;
    let mut file = root.directory("etc")?.replace_file(name, 0o644)?;
    let (uid, gid) = owner;
    let written = file
        .write_all(text)
        .and_then(|()| std::os::unix::fs::fchown(&file, Some(uid), Some(gid)))
        .and_then(|()| file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644)));
    written.map_err(|error| super::record::io(error, "writing", &Path::new("/etc").join(name)))
}

#[cfg(test)]
mod tests {
    use cask_runtime::LONGEST_USER_FILE_BYTES;

    use super::*;

    fn check(change: impl Fn(&mut ContainerConfig), user: &str, passwd: &str, group: &str) {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("etc")).unwrap();
        std::fs::write(place.path().join("etc/passwd"), "root:x:0:0::/:/bin/sh").unwrap();
        std::fs::write(place.path().join("etc/group"), "root:x:0:\nw:x:7:\n").unwrap();
        let root = Root::open(place.path()).unwrap();
        let mut config = ContainerConfig::default();
        config.process.user = Some(user.to_owned());
        change(&mut config);
        let identity = Identity::resolve(&root, user).unwrap();
        for _ in 0..2 {
            // A second start changes nothing.
            assert!(complete(&config, &root, &identity).unwrap().is_empty());
        }
        let file = |name: &str| std::fs::read_to_string(place.path().join(name)).unwrap();
        let first = "root:x:0:0::/:/bin/sh";
        assert_eq!(file("etc/passwd").trim_end(), format!("{first}\n{passwd}").trim_end());
        let first = "root:x:0:\nw:x:7:\n";
        assert_eq!(file("etc/group").trim_end(), format!("{first}{group}").trim_end());
    }

    #[test]
    fn a_number_that_the_image_does_not_name_gets_lines() {
        check(|_| {}, "", "", "");
        check(|_| {}, "root", "", "");
        check(|_| {}, "0", "", "");
        check(|_| {}, "1234", "1234:*:1234:0:container user:/:/bin/sh", "1234:x:1234:1234");
        check(|_| {}, "1234:77", "1234:*:1234:77:container user:/:/bin/sh", "77:x:77:1234");
        check(|_| {}, "1234:w", "1234:*:1234:7:container user:/:/bin/sh", "");
        check(|config| config.accounts.unchanged = true, "1234", "", "");
        let template = |config: &mut ContainerConfig| {
            config.accounts.user_entry = Some("x:*:$UID:$GID:$NAME-$USERNAME:$HOME:/s".to_owned());
            config.accounts.group_entry = Some("g:x:$GID:$USERLIST\n".to_owned());
            config.process.directory = Some("/tmp".to_owned());
        };
        check(template, "5", "x:*:5:0:container user-5:/tmp:/s", "g:x:5:5");
        let more = |config: &mut ContainerConfig| {
            config.accounts.more = vec!["me:*:1:2:me:/:/bin/sh".to_owned()];
        };
        check(more, "", "me:*:1:2:me:/:/bin/sh", "");
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let (root, etc) = (Root::open(place.path()).unwrap(), place.path().join("etc"));
        std::fs::create_dir(&etc).unwrap();
        let mut config = ContainerConfig::default();
        config.process.user = Some("1234".to_owned());
        let identity = Identity::resolve(&root, "1234").unwrap();
        std::fs::write(etc.join("passwd"), b"\xff:x:7:7::/:\n").unwrap();
        complete(&config, &root, &identity).unwrap();
        let passwd = std::fs::read(etc.join("passwd")).unwrap();
        assert!(passwd.starts_with(b"\xff:x:7:7::/:\n1234:"), "{passwd:?}");
        // One that is not read to its end is not written either.
        let group = std::fs::File::create(etc.join("group")).unwrap();
        group.set_len(LONGEST_USER_FILE_BYTES + 1).unwrap();
        complete(&config, &root, &identity).unwrap_err();
        assert_eq!(group.metadata().unwrap().len(), LONGEST_USER_FILE_BYTES + 1);
    }

    #[test]
    fn a_line_is_one_line() {
        let root = tempfile::tempdir().unwrap();
        let root = Root::open(root.path()).unwrap();
        let mut config = ContainerConfig::default();
        config.accounts.more = vec!["a:x:0:0::/:\nb".to_owned()];
        let error = complete(&config, &root, &Identity::ROOT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}
