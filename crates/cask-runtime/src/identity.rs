//! Users and groups by the names that an image gives them.

use std::io::Read;
use std::path::PathBuf;

use cask_rootfs::{ErrorKind as Missing, Root};

use crate::error::{Error, ErrorKind, Result};

/// The most that is read of an image's `/etc/passwd` or `/etc/group`.
pub const LONGEST_USER_FILE_BYTES: u64 = 8 << 20;

/// The highest ID: the next one means "none" to the kernel.
const HIGHEST_ID: u32 = u32::MAX - 1;

/// The user and the groups of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its other groups.
    pub groups: Vec<u32>,
    /// The user's directory, where the image names the user.
    pub home: Option<PathBuf>,
    /// The user's name, where the image names the user.
    pub name: Option<String>,
}

impl Identity {
    /// Root, without an image's knowledge of it.
    pub const ROOT: Self = Self { uid: 0, gid: 0, groups: Vec::new(), home: None, name: None };

    /// A user and a group by number, in no other group.
    pub fn new(uid: u32, gid: u32) -> Self {
        Self { uid, gid, ..Self::ROOT }
    }

    /// Finds who `user` is by the `/etc/passwd` and `/etc/group` below `root`.
    ///
    /// `user` is `USER`, `USER:GROUP`, each a name or a number, or nothing, which is root. A number is
    /// always an ID, never a name of digits. A number that the image does not name is taken as it is, with
    /// group 0. Without a group, the user is in the groups that the image gives it; with one, in no other.
    /// Files that are missing are empty. Symbolic links are followed within `root` only.
    ///
    /// Source: `GetExecUser` of moby/sys/user; buildah's `userForRun`.
    ///
    /// # Errors
    ///
    /// `NotFound` for a name that the image does not have; `InvalidSpec` for one that nobody can have, and for
    /// user files that are no regular files or longer than [`LONGEST_USER_FILE_BYTES`].
    pub fn resolve(root: &Root, user: &str) -> Result<Self> {
        let (user, group) = match user.split_once(':') {
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (user, None),
        };
        let mut found = find_user(&read_user_text(root, "etc/passwd")?, user)?;
        match group.map(|group| (group, number(group))) {
            Some((group, Some(gid))) => found.gid = valid(gid, "group", group)?,
            Some((group, None)) => {
                let file = read_user_text(root, "etc/group")?;
                let gid = groups(&file).find(|known| known.name == group).map(|known| known.gid);
                found.gid = gid.ok_or_else(|| unknown("group", group, "/etc/group"))?;
            }
            None => {
                if let Some(name) = &found.name {
                    let file = read_user_text(root, "etc/group")?;
                    let member = |group: &Group<'_>| group.members.split(',').any(|m| m == name);
                    found.groups = groups(&file).filter(member).map(|group| group.gid).collect();
                    found.groups.sort_unstable();
                    found.groups.dedup();
                }
            }
        }
        Ok(found)
    }

    /// The groups as they are set: the group itself is one of them, so that no program can leave it
    /// (CVE-2022-36109).
    pub(crate) fn all_groups(&self) -> Vec<u32> {
        let others = self.groups.iter().copied().filter(|group| *group != self.gid);
        std::iter::once(self.gid).chain(others).collect()
    }
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

/// A number, where the text is one: `None` for a name. Numbers too large for any ID are numbers still.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

fn valid(id: u64, what: &'static str, text: &str) -> Result<u32> {
    let id = u32::try_from(id).ok().filter(|id| *id <= HIGHEST_ID);
    id.ok_or_else(|| {
        Error::new(ErrorKind::InvalidSpec, format!("find the {what}"), format_args!("{text:?}"))
            .with_detail(format!("IDs end at {HIGHEST_ID}"))
    })
}

fn unknown(what: &'static str, name: &str, file: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("find the {what}"), format_args!("{name:?}"))
        .with_detail(format!("{file} of the image does not have it"))
        .with_hint(format!("add the {what} in an earlier step, or give its number"))
}

fn find_user(passwd: &str, user: &str) -> Result<Identity> {
    let id = match number(user) {
        Some(id) => Some(valid(id, "user", user)?),
        None if user.is_empty() => Some(0),
        None => None,
    };
    for line in passwd.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, ..] = fields.as_slice() else { continue };
        let (Ok(uid), Ok(gid)) = (uid.parse::<u32>(), gid.parse::<u32>()) else { continue };
        let is_user = id.map_or(*name == user, |id| id == uid);
        if is_user && !name.is_empty() && uid <= HIGHEST_ID && gid <= HIGHEST_ID {
            let home = Some(PathBuf::from(home)).filter(|home| home.is_absolute());
            let name = Some((*name).to_owned());
            return Ok(Identity { uid, gid, groups: Vec::new(), home, name });
        }
    }
    match id {
        Some(uid) => Ok(Identity::new(uid, 0)),
        None => Err(unknown("user", user, "/etc/passwd")),
    }
}

fn groups(file: &str) -> impl Iterator<Item = Group<'_>> {
    file.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?);
        let gid = gid.parse().ok().filter(|gid| *gid <= HIGHEST_ID)?;
        Some(Group { name, gid, members: fields.next().unwrap_or_default() })
    })
}

/// Reads a file of users or groups; bytes that are no text become replacement characters.
fn read_user_text(root: &Root, path: &str) -> Result<String> {
    let bytes = read_user_file(root, path)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The bytes of a file of users or groups of a root, such as `etc/passwd`. One that is not there is empty.
///
/// # Errors
///
/// `InvalidSpec` for what is no regular file, and for one that is longer than [`LONGEST_USER_FILE_BYTES`]; `Denied`
/// and `Io` where it cannot be read.
pub fn read_user_file(root: &Root, path: &str) -> Result<Vec<u8>> {
    let mut file = match root.open_file_following(path) {
        Ok(file) => file,
        Err(error) => {
            let kind = match error.kind() {
                Missing::NotFound | Missing::NotADirectory => return Ok(Vec::new()),
                Missing::NotAFile => ErrorKind::InvalidSpec,
                Missing::Denied => ErrorKind::Denied,
                _ => ErrorKind::Io,
            };
            return Err(Error::new(kind, "read the image's", path).with_source(error));
        }
    };
    let mut bytes = Vec::new();
    file.by_ref()
        .take(LONGEST_USER_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io(error, "read the image's", path))?;
    if bytes.len() as u64 > LONGEST_USER_FILE_BYTES {
        return Err(Error::new(ErrorKind::InvalidSpec, "read the image's", path)
            .with_detail(format!("it has more than {LONGEST_USER_FILE_BYTES} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use rustix::fs::{FileType, Mode};

    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# comment\nbroken:x:what\n\
        daemon:x:1:1::/usr/sbin:/bin/false\nalice:x:1000:1000:A:/home/alice:/bin/sh\n\
        7:x:2000:2000::/seven:/bin/sh\nlast:x:4294967295:5::/:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nadm:x:4:alice,daemon\nwheel:x:10:root,alice\n\
        alice:x:1000:\nmany:x:4294967295:alice\n";

    fn image() -> tempfile::TempDir {
        let image = tempfile::tempdir().unwrap();
        fs::create_dir(image.path().join("etc")).unwrap();
        fs::write(image.path().join("etc/passwd"), PASSWD).unwrap();
        fs::write(image.path().join("etc/group"), GROUP).unwrap();
        image
    }

    fn resolve(image: &tempfile::TempDir, user: &str) -> Result<Identity> {
        Identity::resolve(&Root::open(image.path()).unwrap(), user)
    }

    #[test]
    fn users_have_the_groups_of_the_image() {
        let image = image();
        let check = |user: &str, uid: u32, gid: u32, groups: &[u32]| {
            let found = resolve(&image, user).unwrap();
            assert_eq!((found.uid, found.gid, &*found.groups), (uid, gid, groups), "{user}");
        };
        check("", 0, 0, &[10]);
        check("root", 0, 0, &[10]);
        check("alice", 1000, 1000, &[4, 10]);
        check("1000", 1000, 1000, &[4, 10]);
        check("alice:adm", 1000, 4, &[]);
        check("alice:4", 1000, 4, &[]);
        check("alice:", 1000, 1000, &[4, 10]);
        check(":adm", 0, 4, &[]);
        check("1:777", 1, 777, &[]);
        check("7", 7, 0, &[]);
        check("65534", 65534, 0, &[]);
        check("4294967294:4294967294", 4294967294, 4294967294, &[]);
    }

    #[test]
    fn users_that_cannot_be_are_refused() {
        let image = image();
        let check = |user: &str, kind: ErrorKind| {
            assert_eq!(resolve(&image, user).unwrap_err().kind(), kind, "{user}");
        };
        check("bob", ErrorKind::NotFound);
        check("alice:nobody", ErrorKind::NotFound);
        check("last", ErrorKind::NotFound);
        check("-1", ErrorKind::NotFound);
        check("4294967295", ErrorKind::InvalidSpec);
        check("99999999999999999999999", ErrorKind::InvalidSpec);
        check("0:4294967295", ErrorKind::InvalidSpec);
    }

    #[test]
    fn the_group_itself_is_among_the_groups() {
        let mut identity = Identity::new(5, 6);
        identity.groups = vec![4, 6, 9];
        assert_eq!(identity.all_groups(), [6, 4, 9]);
    }

    #[test]
    fn images_without_user_files_know_numbers_only() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(resolve(&empty, "").unwrap(), Identity::ROOT);
        assert_eq!(resolve(&empty, "5:6").unwrap(), Identity::new(5, 6));
        assert_eq!(resolve(&empty, "alice").unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn cve_2024_9676_passwd_of_any_kind_is_read_within_the_root_and_bounded() {
        let image = image();
        let passwd = image.path().join("etc/passwd");
        let replace = |make: &dyn Fn(&Path)| {
            fs::remove_file(&passwd).unwrap();
            make(&passwd);
        };
        // An absolute link is one within the root: the machine's users are not the image's.
        replace(&|path| symlink("/etc/machine-passwd", path).unwrap());
        fs::write(image.path().join("etc/machine-passwd"), "inside:x:77:77::/:/bin/sh\n").unwrap();
        assert_eq!(resolve(&image, "inside").unwrap().uid, 77);
        replace(&|path| symlink("../../../../../../etc/hostname", path).unwrap());
        assert_eq!(resolve(&image, "root").unwrap_err().kind(), ErrorKind::NotFound);
        replace(&|path| {
            let kind = FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, path, kind, Mode::RUSR, 0).unwrap();
        });
        assert_eq!(resolve(&image, "root").unwrap_err().kind(), ErrorKind::InvalidSpec);
        replace(&|path| fs::File::create(path).unwrap().set_len(10 << 30).unwrap());
        assert_eq!(resolve(&image, "root").unwrap_err().kind(), ErrorKind::InvalidSpec);
        replace(&|path| fs::create_dir(path).unwrap());
        assert_eq!(resolve(&image, "root").unwrap_err().kind(), ErrorKind::InvalidSpec);
    }
}
