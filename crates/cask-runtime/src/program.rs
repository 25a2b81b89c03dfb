//! The program of helpers, as nobody can write to it (CVE-2019-5736).
//!
//! A container that runs `/proc/self/exe`, or looks into what joins it, has hold of the file that this program was
//! started from. So helpers are started from another: one on a mount of its own, which is no directory's, of an
//! overlay that has nowhere to write to. That costs nothing, whatever the size of the program. Where such a mount
//! cannot be made, it is a copy in memory that is sealed.
//!
//! Whoever opens the program through `/proc` opens the overlay's file, and the kernel refuses to write to any file of
//! an overlay without an upper directory: mounting it again to be written to is refused too, whoever asks. Nothing
//! leads from an open file to the directory beside it.
//!
//! Source: runc 1.2, `libcontainer/exeseal`, which does the same two things in the same order.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, MemfdFlags, Mode, OFlags, SealFlags, StatVfsMountFlags, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen,
};

use crate::error::{Error, Result};

/// Source: Linux, `include/uapi/linux/magic.h`, `OVERLAYFS_SUPER_MAGIC`.
const OVERLAY: u64 = 0x794c_7630;

/// What makes a file in memory unchangeable.
const SEALS: SealFlags =
    SealFlags::WRITE.union(SealFlags::GROW).union(SealFlags::SHRINK).union(SealFlags::SEAL);

/// The helper's program, made once.
#[derive(Debug, Default)]
pub(crate) struct Program(Mutex<Option<Arc<OwnedFd>>>);

impl Program {
    /// The program at `path`, as nobody can write to it.
    pub(crate) fn sealed(&self, path: &Path) -> Result<Arc<OwnedFd>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(program) = &*kept {
            return Ok(program.clone());
        }
        let program = Arc::new(seal(path)?);
        *kept = Some(program.clone());
        Ok(program)
    }
}

fn seal(path: &Path) -> Result<OwnedFd> {
    let failed = |error| Error::io(error, "open the helper", path.display());
    let file = File::open(path).map_err(failed)?;
    // Whoever runs from such a file needs no other.
    if is_sealed(&file) || is_behind_a_mount(file.as_fd()) == Some(true) {
        return Ok(file.into());
    }
    match behind_a_mount(&file, path) {
        Some(program) => Ok(program),
        None => copy(file, path),
    }
}

fn is_sealed(file: &File) -> bool {
    rustix::fs::fcntl_get_seals(file).is_ok_and(|found| found.contains(SEALS))
}

/// Whether a file is on an overlay that is only read, by a mount that nobody can change since no directory has it.
/// `None` where the kernel does not say.
fn is_behind_a_mount(file: BorrowedFd<'_>) -> Option<bool> {
    let system = rustix::fs::fstatfs(file).ok()?;
    let flags = rustix::fs::fstatvfs(file).ok()?.f_flag;
    if u64::try_from(system.f_type).ok()? != OVERLAY || !flags.contains(StatVfsMountFlags::RDONLY) {
        return Some(false);
    }
    let wanted = StatxFlags::MNT_ID;
    let found = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, wanted).ok()?;
    if !StatxFlags::from_bits_retain(found.stx_mask).contains(wanted) {
        return None;
    }
    let number = found.stx_mnt_id.to_string();
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    Some(!mounts.lines().any(|line| line.split(' ').next() == Some(&number)))
}

/// Opens a program again, on an overlay of its directory that is mounted nowhere. `None` where that cannot be.
fn behind_a_mount(file: &File, path: &Path) -> Option<OwnedFd> {
    let path = fs::canonicalize(path).ok()?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path.parent()?, flags, Mode::empty()).ok()?;
    let mount = overlay(directory.as_fd()).ok()?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let name: &OsStr = path.file_name()?;
    let found = File::from(rustix::fs::openat(&mount, name, flags, Mode::empty()).ok()?);
    // The file of this name may be a newer one than the one that runs.
    let stamp = |file: &File| {
        let found = file.metadata().ok()?;
        Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
    };
    (stamp(&found)? == stamp(file)?).then(|| found.into())
}

/// Mounts an overlay of a directory, for reading.
fn overlay(directory: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOSUID;
    let mount = |context: &OwnedFd| {
        fsconfig_create(context.as_fd())?;
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    // An overlay that is not written to has two directories at least.
    let empty = mount(&fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?)?;
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let by_descriptor = |number: i32| format!("/proc/self/fd/{number}");
    let lowers = [directory.as_raw_fd(), empty.as_raw_fd()].map(by_descriptor);
    fsconfig_set_string(context.as_fd(), "lowerdir", lowers.join(":"))?;
    // Files keep their numbers, by which the program is known again.
    fsconfig_set_string(context.as_fd(), "xino", "off")?;
    mount(&context)
}

fn copy(mut from: File, path: &Path) -> Result<OwnedFd> {
    let failed =
        |error: std::io::Error| Error::io(error, "copy into memory the helper", path.display());
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag; their files in memory can be executed without it.
    let memory = match rustix::fs::memfd_create("cask-run", flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => rustix::fs::memfd_create("cask-run", flags),
        other => other,
    };
    let memory = memory.map_err(|error| {
        let hint = "files in memory must be executable: see the sysctl vm.memfd_noexec";
        failed(error.into()).with_hint(hint)
    })?;
    let mut to = File::from(memory);
    std::io::copy(&mut from, &mut to).map_err(failed)?;
    rustix::fs::fcntl_add_seals(&to, SEALS).map_err(|error| failed(error.into()))?;
    // A program that is open for writing cannot be executed.
    let reopened = File::open(format!("/proc/self/fd/{}", to.as_raw_fd())).map_err(failed)?;
    Ok(reopened.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn is_written_to(program: &OwnedFd) -> bool {
        let path = format!("/proc/self/fd/{}", program.as_raw_fd());
        File::options().append(true).open(path).is_ok_and(|mut file| file.write_all(b"x").is_ok())
    }

    #[test]
    fn a_program_is_protected_by_a_mount_or_by_seals() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a:program,x");
        fs::write(&path, "x").unwrap();
        let copied = copy(File::open(&path).unwrap(), &path).unwrap();
        assert!(!is_written_to(&copied) && is_sealed(&File::from(copied)));
        let file = File::open(&path).unwrap();
        assert_eq!(is_behind_a_mount(file.as_fd()), Some(false));
        let Some(program) = behind_a_mount(&file, &path) else {
            // Only who may mount has one.
            return assert!(!rustix::process::geteuid().is_root());
        };
        assert!(!is_written_to(&program));
        // Seen from such a program the next one is the same.
        let again = seal(Path::new(&format!("/proc/self/fd/{}", program.as_raw_fd()))).unwrap();
        assert_eq!(is_behind_a_mount(again.as_fd()), Some(true));
        // What has the name meanwhile is another program.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another").unwrap();
        assert!(behind_a_mount(&file, &path).is_none());
    }
}
