//! Volumes with options: file systems, or directories of this machine, that are mounted while somebody uses them.
//!
//! ```text
//! GRAPH ROOT/volumes/<name>/_data      where it is mounted
//! RUN ROOT/cask/volumes/lock           held while something is mounted or unmounted
//! RUN ROOT/cask/volumes/users          held by who makes a container with volumes, and alone by who removes one
//! RUN ROOT/cask/volumes/<name>.json    who uses it, and in which start of the machine
//! ```
//!
//! Source: podman, `libpod/volume_internal_linux.go`, `pkg/domain/infra/abi/parse/parse.go`; its words.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{AtFlags, CWD, FlockOperation, StatxAttributes, StatxFlags, flock, statx};
use rustix::mount::{UnmountFlags, unmount};
use serde::{Deserialize, Serialize};

use super::super::record::{boot, io, open_lock};
use super::super::{Container, Containers};
use super::{Volume, Volumes};
use crate::{Error, ErrorKind, Result};

/// Options that are no file system's: they say whose the directory is.
const OWNERS: [&str; 2] = ["UID", "GID"];
/// The name of whoever mounts a volume by hand.
const BY_HAND: &str = "by hand";

/// Options as they are kept, and whose the volume is.
type Settled = (BTreeMap<String, String>, Option<(u32, u32)>);

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Users {
    boot: String,
    users: BTreeSet<String>,
}

/// Settles the options of a volume that is being made.
pub(super) fn settle(given: &BTreeMap<String, String>) -> Result<Settled> {
    let mut options = BTreeMap::new();
    let (mut user, mut group) = (None, None);
    let is_mounted = given.contains_key("type") || given.contains_key("device");
    for (key, value) in given {
        match key.as_str() {
            "type" => {}
            "device" if given.get("type").is_some_and(|kind| kind == "bind") => {
                fs::metadata(value).map_err(|error| {
                    let looked = Error::new(ErrorKind::Invalid, format!("stat {value}"), "");
                    invalid(key).with_source(looked.with_source(error))
                })?;
            }
            "device" => {}
            "o" => {
                for option in value.split(',') {
                    let (name, number) = option.split_once('=').unwrap_or((option, ""));
                    match name.to_ascii_lowercase().as_str() {
                        "uid" => user = Some(owner("UID", number, &mut options)?),
                        "gid" => group = Some(owner("GID", number, &mut options)?),
                        "size" | "inodes" if !is_mounted => {
                            let why = "a directory of this machine has no limit of its own";
                            return Err(Error::new(ErrorKind::Invalid, option, why).with_hint(
                                "give it one in memory: -o type=tmpfs -o device=tmpfs",
                            ));
                        }
                        _ => {}
                    }
                }
            }
            other => {
                let words = format!("invalid mount option {other} for driver 'local'");
                return Err(Error::new(ErrorKind::Invalid, words, "invalid argument"));
            }
        }
        options.insert(key.clone(), value.clone());
    }
    let owner = user.or(group).map(|_| (user.unwrap_or(0), group.unwrap_or(0)));
    Ok((options, owner))
}

fn invalid(key: &str) -> Error {
    let words = format!("invalid volume option {key} for driver 'local'");
    Error::new(ErrorKind::Invalid, words, "")
}

fn owner(name: &str, number: &str, options: &mut BTreeMap<String, String>) -> Result<u32> {
    let read = number.parse().map_err(|_| {
        let words = format!("cannot convert {name} {number} to integer");
        Error::new(ErrorKind::Invalid, words, "")
    })?;
    options.insert(name.to_owned(), number.to_owned());
    Ok(read)
}

impl Volume {
    /// Whether something is mounted on its directory while it is used.
    pub fn is_mounted_when_used(&self) -> bool {
        let options = &self.options;
        if self.storage.is_some() {
            return true;
        }
        let of_owners = |option: &str| {
            let name = option.split('=').next().unwrap_or_default().to_ascii_uppercase();
            OWNERS.contains(&name.as_str())
        };
        options.keys().any(|key| key != "o" && !OWNERS.contains(&key.as_str()))
            || options.get("o").is_some_and(|o| !o.split(',').all(of_owners))
    }

    /// Mounts what its options say.
    fn mount(&self) -> Result<()> {
        let option = |key: &str| self.options.get(key).map_or("", String::as_str);
        let (kind, device) = (option("type"), option("device"));
        let mut command = Command::new("mount");
        if !option("o").is_empty() {
            command.args(["-o", option("o")]);
        }
        match kind {
            "" => {}
            "bind" => drop(command.args(["-o", "bind"])),
            kind => drop(command.args(["-t", kind])),
        }
        // One that has no device needs a word in its place.
        let device = if device.is_empty() { kind } else { device };
        command.arg("--").arg(device).arg(&self.mount_point).stdin(Stdio::null());
        let failed =
            |why: String| Error::new(ErrorKind::Io, format!("mounting volume {}", self.name), why);
        let output = command.output().map_err(|error| failed(error.to_string()))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(failed(String::from_utf8_lossy(&output.stderr).trim().replace('\n', " "))),
        }
    }

    fn unmount(&self) -> Result<()> {
        let path = &self.mount_point;
        unmount(path, UnmountFlags::DETACH).map_err(|error| io(error.into(), "unmounting", path))
    }
}

/// Whether something is mounted on a directory.
pub(in crate::containers) fn is_mounted(path: &Path) -> bool {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    statx(CWD, path, flags, StatxFlags::BASIC_STATS)
        .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

impl Volumes {
    fn run_directory(&self) -> PathBuf {
        self.run_root.join("cask/volumes")
    }

    fn users_file(&self, name: &str) -> PathBuf {
        self.run_directory().join(format!("{name}.json"))
    }

    /// Nobody removes a volume while it lives; or, where this is to remove one, nobody makes a container either.
    pub(super) fn hold_users(&self, removes: bool) -> Result<File> {
        let how = if removes { FlockOperation::LockExclusive } else { FlockOperation::LockShared };
        self.lock("users", how)
    }

    /// Nobody else mounts or unmounts volumes while it lives.
    fn hold(&self) -> Result<File> {
        self.lock("lock", FlockOperation::LockExclusive)
    }

    fn lock(&self, name: &str, how: FlockOperation) -> Result<File> {
        let directory = self.run_directory();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(|error| io(error, "making the directory", &directory))?;
        let path = directory.join(name);
        let file = open_lock(&path)?;
        flock(&file, how).map_err(|error| io(error.into(), "locking", &path))?;
        Ok(file)
    }

    /// Who uses a volume that is mounted.
    fn users(&self, volume: &Volume) -> BTreeSet<String> {
        let read = fs::read(self.users_file(&volume.name)).ok();
        let kept = read.and_then(|bytes| serde_json::from_slice::<Users>(&bytes).ok());
        kept.filter(|kept| kept.boot == boot()).map(|kept| kept.users).unwrap_or_default()
    }

    fn save_users(&self, volume: &Volume, users: BTreeSet<String>) -> Result<()> {
        let path = self.users_file(&volume.name);
        let new = path.with_extension("new");
        let bytes = serde_json::to_vec(&Users { boot: boot(), users });
        let bytes = bytes.expect("texts can be written");
        let written = fs::write(&new, bytes).and_then(|()| fs::rename(&new, &path));
        written.map_err(|error| io(error, "writing", &path))
    }

    /// How many use a volume that is mounted.
    pub fn uses(&self, volume: &Volume) -> usize {
        if volume.is_mounted_when_used() { self.users(volume).len() } else { 0 }
    }

    fn take(&self, volume: &Volume, user: &str, is_there: impl Fn(&str) -> bool) -> Result<()> {
        if !volume.is_mounted_when_used() {
            return Ok(());
        }
        if self.rootless {
            return self.take_alone(volume, user, is_there);
        }
        let _held = self.hold()?;
        let mut users = self.users(volume);
        users.retain(|one| one == BY_HAND || is_there(one));
        users.insert(user.to_owned());
        self.save_users(volume, users)?;
        if is_mounted(&volume.mount_point) { Ok(()) } else { self.mount(volume) }
    }

    /// Mounts a volume for a user's container, in the mount namespace of its monitor: nobody else sees that.
    fn take_alone(
        &self,
        volume: &Volume,
        user: &str,
        is_there: impl Fn(&str) -> bool,
    ) -> Result<()> {
        if user == BY_HAND {
            let words = format!("mounting volume {}", volume.name);
            let why = "cannot mount volumes without root privileges";
            return Err(Error::new(ErrorKind::Invalid, words, why));
        }
        if volume.storage.is_some() {
            // Its layer would be mounted once more, in another namespace: two would write to it without knowing.
            let _held = self.hold()?;
            let mut users = self.users(volume);
            users.retain(|one| one != user && is_there(one));
            if let Some(other) = users.first() {
                let words = format!("mounting volume {}", volume.name);
                let why = format!("container {other} has it, and a user's is mounted for one");
                return Err(Error::new(ErrorKind::Invalid, words, why));
            }
            self.save_users(volume, BTreeSet::from([user.to_owned()]))?;
        }
        if is_mounted(&volume.mount_point) { Ok(()) } else { self.mount(volume) }
    }

    fn mount(&self, volume: &Volume) -> Result<()> {
        match volume.storage {
            None => volume.mount(),
            Some(_) => self.mount_layer(volume),
        }
    }

    fn unmount(&self, volume: &Volume) -> Result<()> {
        volume.unmount()?;
        if volume.storage.is_some() {
            self.unmount_layer(volume);
        }
        Ok(())
    }

    fn let_go(&self, volume: &Volume, user: &str) -> Result<()> {
        if !volume.is_mounted_when_used() {
            return Ok(());
        }
        if self.rootless {
            if volume.storage.is_some() {
                let _held = self.hold()?;
                let mut users = self.users(volume);
                users.remove(user);
                self.save_users(volume, users)?;
            }
            return if is_mounted(&volume.mount_point) { self.unmount(volume) } else { Ok(()) };
        }
        let _held = self.hold()?;
        let mut users = self.users(volume);
        users.remove(user);
        if users.is_empty() && is_mounted(&volume.mount_point) {
            self.unmount(volume)?;
        }
        self.save_users(volume, users)
    }

    /// Has a volume not be mounted any more, whoever uses it: it is removed, and not what is mounted.
    pub(super) fn end_uses(&self, volume: &Volume) -> Result<()> {
        if is_mounted(&volume.mount_point) {
            let _held = self.hold()?;
            while is_mounted(&volume.mount_point) {
                self.unmount(volume)?;
            }
        }
        // There may be none.
        let _ = fs::remove_file(self.users_file(&volume.name));
        Ok(())
    }
}

impl Containers {
    /// Mounts a volume by hand, where it has something to mount.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] with what mount(8) said; [`ErrorKind::Invalid`] for a user without privileges.
    pub fn mount_volume(&self, volume: &Volume) -> Result<()> {
        self.volumes().take(volume, BY_HAND, |id| self.is_up(id))
    }

    /// Takes that back.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn unmount_volume(&self, volume: &Volume) -> Result<()> {
        self.volumes().let_go(volume, BY_HAND)
    }

    /// Mounts a volume for a container, where it has something to mount.
    pub(in crate::containers) fn take_volume(&self, volume: &str, container: &str) -> Result<()> {
        let volumes = self.volumes();
        volumes.take(&volumes.find(volume)?, container, |id| self.is_up(id))
    }

    /// Takes back what was mounted for a container.
    pub(in crate::containers) fn let_volumes_go(&self, container: &Container) {
        let volumes = self.volumes();
        for mount in &container.config.files.mounts {
            if mount.kind == super::MountType::Volume
                && let Ok(volume) = volumes.find(&mount.source)
            {
                // What stays mounted goes with the next one who uses it, or with the volume.
                let _ = volumes.let_go(&volume, container.id());
            }
        }
    }

    fn is_up(&self, id: &str) -> bool {
        self.find(id).is_ok_and(|found| found.state.status.is_up() || found.state.beginning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(given: &[(&str, &str)]) -> BTreeMap<String, String> {
        given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn options_are_podmans() {
        let check = |given: &[(&str, &str)], owner: Option<(u32, u32)>, mounted: bool| {
            let (options, found) = settle(&options(given)).unwrap();
            assert_eq!(found, owner, "{given:?}");
            let volume = Volume { options, ..Volume::default() };
            assert_eq!(volume.is_mounted_when_used(), mounted, "{given:?}");
        };
        check(&[], None, false);
        check(&[("o", "uid=3000,gid=4000")], Some((3000, 4000)), false);
        check(&[("o", "gid=4000")], Some((0, 4000)), false);
        check(&[("type", "tmpfs")], None, true);
        check(&[("type", "tmpfs"), ("o", "size=1m,uid=5")], Some((5, 0)), true);
        check(&[("type", "bind"), ("device", "/tmp")], None, true);
        let (kept, _) = settle(&options(&[("o", "uid=7")])).unwrap();
        assert_eq!(kept, options(&[("UID", "7"), ("o", "uid=7")]));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let check = |given: &[(&str, &str)], words: &str| {
            let error = settle(&options(given)).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        check(&[("badOpt", "bad")], "invalid mount option badOpt for driver 'local'");
        check(&[("type", "bind"), ("device", "/no/such")], "invalid volume option device");
        check(&[("o", "uid=x")], "cannot convert UID x to integer");
        check(&[("o", "size=1m")], "no limit of its own");
    }
}
