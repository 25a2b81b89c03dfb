//! Users and groups by name, from the files of an image.

use super::View;
use crate::{Error, ErrorKind, Result};

/// The most bytes of `/etc/passwd` and of `/etc/group` that are read; larger ones are refused.
const MAX_BYTES: u64 = 16 << 20;

/// Whom an image means by a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The numbers of further groups that list the user, sorted; none where a group was named.
    pub groups: Vec<u32>,
    /// The name; empty for a number that has none.
    pub name: String,
    /// The home directory; `/` where nobody says another.
    pub home: String,
}

impl View {
    /// Resolves what `--chown` says: `user`, `user:group` or `:group`, each a name of the image's
    /// `/etc/passwd` and `/etc/group` or a number.
    ///
    /// A user by name without a group has the group of `/etc/passwd`; a number is taken for both. A
    /// name of digits is a number. Each file is read up to 16 MiB, in the tree, and only if it is a
    /// regular file.
    ///
    /// Source: BuildKit, `solver/llbsolver/ops/file.go`.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] for an unknown name; [`ErrorKind::Invalid`] for nothing at all and for
    /// files that are not regular; [`ErrorKind::Limit`]; [`ErrorKind::Io`].
    pub fn owner(&self, text: &str) -> Result<(u32, u32)> {
        let (user, group) = split(text)?;
        let (uid, own_gid) = match (number(user), user) {
            (_, "") => (0, 0),
            (Some(uid), _) => (uid, uid),
            (None, name) => {
                let found = self.passwd()?.into_iter().find(|entry| entry.name == name);
                let found = found.ok_or_else(|| unknown("user", name, text))?;
                (found.uid, found.gid)
            }
        };
        let gid = match group {
            None => own_gid,
            Some(group) => self.group_number(group, text)?,
        };
        Ok((uid, gid))
    }

    /// Resolves what USER says, as a process is run: with further groups and a home directory.
    ///
    /// A number that `/etc/passwd` does not have has the group 0.
    ///
    /// Source: moby, `pkg/system` and runc's `user.GetExecUser`.
    ///
    /// # Errors
    /// As [`owner`](Self::owner).
    pub fn account(&self, text: &str) -> Result<Account> {
        let (user, group) = if text.is_empty() { ("0", None) } else { split(text)? };
        let user = if user.is_empty() { "0" } else { user };
        let entries = self.passwd()?;
        let found = match number(user) {
            Some(uid) => entries.into_iter().find(|entry| entry.uid == uid),
            None => {
                let found = entries.into_iter().find(|entry| entry.name == user);
                Some(found.ok_or_else(|| unknown("user", user, text))?)
            }
        };
        let mut account = match found {
            Some(entry) => Account {
                uid: entry.uid,
                gid: entry.gid,
                groups: Vec::new(),
                name: entry.name,
                home: if entry.home.is_empty() { "/".to_owned() } else { entry.home },
            },
            None => Account {
                uid: number(user).unwrap_or(0),
                home: "/".to_owned(),
                ..Account::default()
            },
        };
        match group {
            Some(group) => account.gid = self.group_number(group, text)?,
            None if account.name.is_empty() => {}
            None => {
                let groups = self.groups()?.into_iter();
                let of = groups.filter(|group| group.members.contains(&account.name));
                account.groups = of.map(|group| group.gid).collect();
                account.groups.sort_unstable();
                account.groups.dedup();
            }
        }
        Ok(account)
    }

    fn group_number(&self, group: &str, text: &str) -> Result<u32> {
        if let Some(gid) = number(group) {
            return Ok(gid);
        }
        let found = self.groups()?.into_iter().find(|entry| entry.name == group);
        found.map(|entry| entry.gid).ok_or_else(|| unknown("group", group, text))
    }

    fn passwd(&self) -> Result<Vec<Passwd>> {
        let lines = self.lines("etc/passwd")?;
        let entry = |line: &String| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            let home = fields.nth(1).unwrap_or_default().to_owned();
            (!name.is_empty()).then_some(Passwd { name, uid, gid, home })
        };
        Ok(lines.iter().filter_map(entry).collect())
    }

    fn groups(&self) -> Result<Vec<Group>> {
        let lines = self.lines("etc/group")?;
        let entry = |line: &String| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            let gid = fields.nth(1)?.parse().ok()?;
            let members = fields.next().unwrap_or_default().split(',').map(str::to_owned);
            (!name.is_empty()).then(|| Group { name, gid, members: members.collect() })
        };
        Ok(lines.iter().filter_map(entry).collect())
    }

    /// The lines of a file of the image; none where there is no such file.
    fn lines(&self, path: &str) -> Result<Vec<String>> {
        let bytes = self.read_file(path, MAX_BYTES)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        Ok(lines.map(str::to_owned).collect())
    }
}

struct Passwd {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

/// Whether what `--chown` says is numbers alone, so that no file of the image is asked.
pub(crate) fn is_numeric(text: &str) -> bool {
    let mut parts = text.splitn(2, ':').filter(|part| !part.is_empty());
    parts.all(|part| number(part).is_some())
}

fn split(text: &str) -> Result<(&str, Option<&str>)> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    if user.is_empty() && group.is_none() {
        return Err(Error::new(ErrorKind::Invalid, format!("{text:?}"), "names no user"));
    }
    Ok((user, group))
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // The largest means "leave it" to the kernel, and is nobody's.
    digits.then(|| text.parse().ok().filter(|number| *number != u32::MAX)).flatten()
}

fn unknown(what: &str, name: &str, text: &str) -> Error {
    let file = if what == "user" { "passwd" } else { "group" };
    let detail = format!("unable to find {what} {name}: no matching entries in {file} file");
    Error::new(ErrorKind::Missing, format!("looking up UID/GID for {text:?}"), detail)
        .with_hint(format!("create it before, or give its number: the image's /etc/{file} decides"))
}
