//! Becoming root of a user namespace: what a user's program does before it works with layers of many owners.

mod shared;

use rustix::thread::UnshareFlags;

use crate::channel::Channel;
use crate::error::{Error, ErrorKind, Result};
use crate::native::{NativeOptions, write_maps};
use crate::plan::{Failure, message};
use crate::spec::IdMaps;
use crate::sys;
use crate::wire::Wire;

pub use shared::enter_shared_user_namespace;
pub(crate) use shared::is_list_of_members;

/// Moves this process into a user namespace of its own where it is root, and into a mount namespace in which it may
/// mount.
///
/// Processes that it starts are in both. Mounts that it makes end with the last of them and are seen by nobody
/// else; those of the machine still arrive. Open files stay open.
///
/// Where the maps have more than the user itself, they are written by `newuidmap` and `newgidmap`, which give what
/// `/etc/subuid` and `/etc/subgid` allow. A child does that, since only somebody outside can, and has ended when
/// this returns.
///
/// To be called first of all in `main`: namespaces are of a thread, and there may be one only.
///
/// # Errors
///
/// After an error of any kind but the first two the process may be nobody, and should end.
///
/// `Unsupported` where the process has several threads, or the programs are missing; `InvalidSpec` for maps that
/// cannot be; `Denied` where the machine permits no user namespaces or not these ranges; `Io`.
pub fn enter_user_namespace(maps: &IdMaps) -> Result<()> {
    maps.check()?;
    let failed = |error| Error::io(error, "enter", "a user namespace");
    one_thread()?;
    let own = std::process::id();
    let (near, far) = Channel::pair().map_err(failed)?;
    let Some(child) = sys::fork().map_err(failed)? else {
        drop(near);
        write_for(own, maps, &far);
        sys::exit_now(0);
    };
    drop(far);
    let entered = unshare().and_then(|()| ask(&near));
    // Without a word from us it ends.
    drop(near);
    sys::wait4(child).map_err(failed)?;
    entered
}

/// Refuses a process that has more: a namespace is of a thread.
fn one_thread() -> Result<()> {
    match threads().map_err(|error| Error::io(error, "enter", "a user namespace"))? {
        1 => Ok(()),
        threads => Err(has_threads(&threads.to_string())),
    }
}

/// How many threads this process has. A listing of them ends early where one of them does meanwhile.
fn threads() -> std::io::Result<u32> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let count = status.lines().find_map(|line| line.strip_prefix("Threads:")?.trim().parse().ok());
    count.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidData))
}

fn has_threads(how_many: &str) -> Error {
    Error::new(ErrorKind::Unsupported, "enter", "a user namespace")
        .with_detail(format!("the process has {how_many} threads already"))
}

fn unshare() -> Result<()> {
    sys::unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS).map_err(|error| {
        if error.raw_os_error() == Some(libc::EINVAL) {
            // One began since they were counted. Source: unshare(2), of CLONE_NEWUSER.
            return has_threads("several");
        }
        let error = Error::io(error, "make", "a user namespace");
        match error.kind() {
            ErrorKind::Denied => error.with_hint(
                "the machine permits users none: see the sysctls kernel.unprivileged_userns_clone and \
                 user.max_user_namespaces, and AppArmor's profiles",
            ),
            _ => error,
        }
    })
}

/// Has the child write the maps.
fn ask(child: &Channel) -> Result<()> {
    let failed = |error| Error::io(error, "hear of", "the ID maps");
    child.send(message::MAPS, &[], &[]).map_err(failed)?;
    let answer = child.receive().map_err(failed)?;
    match answer {
        Some(frame) if frame.kind == message::MAPS => Ok(()),
        Some(frame) => match Failure::from_bytes(&frame.body) {
            Ok(failure) => Err(failure.into_error()),
            Err(_) => Err(Error::new(ErrorKind::Io, "hear of", "the ID maps")),
        },
        None => Err(Error::new(ErrorKind::Io, "hear of", "the ID maps")
            .with_detail("who should write them ended without a word")),
    }
}

/// What the child does: waits until the namespace is there, and writes its maps.
fn write_for(process: u32, maps: &IdMaps, parent: &Channel) {
    let Ok(Some(_)) = parent.receive() else { return };
    // Where nobody listens any more there is nobody to tell.
    let _ = match write_maps(&NativeOptions::default().map_programs, maps, process) {
        Ok(()) => parent.send(message::MAPS, &[], &[]),
        Err(error) => parent.send(message::FAILURE, &failure(&error).to_bytes(), &[]),
    };
}

/// The form of an error that travels.
fn failure(error: &Error) -> Failure {
    let mut failure = Failure::new(error.kind(), error.operation(), error.subject());
    let source = std::error::Error::source(error).map(|source| source.downcast_ref());
    let errno = source.flatten().and_then(std::io::Error::raw_os_error);
    failure.errno = errno.unwrap_or(0);
    let text = error.to_string();
    let said = text.strip_prefix(&format!("{} {}: ", error.operation(), error.subject()));
    failure.detail = said.map(str::to_owned);
    failure.hint = error.hint().map(str::to_owned);
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_refused() {
        // The harness may have one only.
        let (done, waits) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || waits.recv());
        let error = enter_user_namespace(&IdMaps::single(0, 0)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("threads already"), "{error}");
        assert!(threads().unwrap() > 1);
        drop(done);
        thread.join().unwrap().unwrap_err();
    }

    #[test]
    fn errors_travel() {
        let error = Error::new(ErrorKind::Denied, "map the IDs with", "/usr/bin/newuidmap")
            .with_detail("range not allowed")
            .with_hint("ask");
        let travelled = failure(&error).into_error();
        assert_eq!(format!("{travelled:?}"), format!("{error:?}"));
        let error = Error::io(std::io::Error::from_raw_os_error(13), "write", "/proc/1/uid_map");
        let travelled = failure(&error).into_error();
        assert_eq!(format!("{travelled:?}"), format!("{error:?}"));
    }
}
