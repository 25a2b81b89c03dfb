//! The socket of an SSH agent, for one command.
//!
//! The command gets a socket of ours, with the owner and the mode that the mount asks for, and what
//! it says goes on to the agent. So the agent's own socket needs no other rights, and ends to be
//! reachable with the command.

use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};
use tempfile::TempDir;

use crate::{Error, ErrorKind, Result};

/// The most connections at the same time: what a command opens beyond waits.
const MAX_CONNECTIONS: usize = 32;

/// A socket that leads to an agent; it is gone when this is dropped.
#[derive(Debug)]
pub(super) struct Agent {
    path: PathBuf,
    _directory: TempDir,
    stop: OwnedFd,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Agent {
    /// Listens for a command, on a socket in a directory of its own with this owner and mode.
    pub(super) fn new(
        agent: &Path,
        directory: TempDir,
        owner: (u32, u32),
        mode: u32,
    ) -> Result<Self> {
        let failed = |error: io::Error| {
            Error::new(ErrorKind::Runtime, agent.display(), "the agent cannot be passed on")
                .with_source(error)
        };
        // That it is there is told before the command begins, not while it runs.
        UnixStream::connect(agent).map_err(|error| {
            Error::new(ErrorKind::Missing, agent.display(), "no SSH agent answers here")
                .with_source(error)
                .with_hint("is SSH_AUTH_SOCK that of an agent that runs?")
        })?;
        let path = directory.path().join("agent");
        // The kernel takes 107 bytes of a name, and a store may lie deep.
        let open = fs::File::open(directory.path()).map_err(failed)?;
        let short = format!("/proc/self/fd/{}/agent", open.as_raw_fd());
        let listener = UnixListener::bind(short).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(failed)?;
        if owner != (0, 0) {
            chown(&path, Some(owner.0), Some(owner.1)).map_err(failed)?;
        }
        listener.set_nonblocking(true).map_err(failed)?;
        let (woken, stop) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|error| failed(error.into()))?;
        let stopped = Arc::new(AtomicBool::new(false));
        let (flag, agent) = (Arc::clone(&stopped), agent.to_owned());
        let thread = thread::Builder::new()
            .name("cask-build-agent".into())
            .spawn(move || serve(&listener, &woken, &agent, &flag))
            .map_err(failed)?;
        Ok(Self { path, _directory: directory, stop, stopped, thread: Some(thread) })
    }

    /// The socket.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        let _ = rustix::io::write(&self.stop, b"x");
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(listener: &UnixListener, woken: &OwnedFd, agent: &Path, stopped: &AtomicBool) {
    let mut connections: Vec<(UnixStream, UnixStream, [JoinHandle<()>; 2])> = Vec::new();
    while !stopped.load(Ordering::Acquire) {
        connections.retain(|(.., threads)| threads.iter().any(|thread| !thread.is_finished()));
        let mut waiting = vec![PollFd::new(woken, PollFlags::IN)];
        let has_room = connections.len() < MAX_CONNECTIONS;
        if has_room {
            waiting.push(PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN));
        }
        let timeout = rustix::time::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let _ = poll(&mut waiting, (!has_room).then_some(&timeout));
        let Ok((own, _)) = listener.accept() else { continue };
        connections.extend(connect(own, agent));
    }
    for (own, other, threads) in connections {
        let _ = own.shutdown(Shutdown::Both);
        let _ = other.shutdown(Shutdown::Both);
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// Passes on what both sides say.
fn connect(own: UnixStream, agent: &Path) -> Option<(UnixStream, UnixStream, [JoinHandle<()>; 2])> {
    own.set_nonblocking(false).ok()?;
    let other = UnixStream::connect(agent).ok()?;
    let pass = |mut from: UnixStream, mut to: UnixStream| {
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        })
    };
    let there = pass(own.try_clone().ok()?, other.try_clone().ok()?);
    let back = pass(other.try_clone().ok()?, own.try_clone().ok()?);
    Some((own, other, [there, back]))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn what_is_said_goes_on_to_the_agent_until_the_command_ends() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().join("real");
        let listener = UnixListener::bind(&real).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let mut byte = [0];
                    while stream.read_exact(&mut byte).is_ok() {
                        stream.write_all(&[byte[0] + 1]).unwrap();
                    }
                });
            }
        });
        let deep = directory.path().join("x".repeat(200));
        fs::create_dir(&deep).unwrap();
        let place = || tempfile::tempdir_in(&deep).unwrap();
        let agent = Agent::new(&real, place(), (0, 0), 0o600).unwrap();
        let path = agent.path().to_owned();
        let open = fs::File::open(path.parent().unwrap()).unwrap();
        let short = format!("/proc/self/fd/{}/agent", open.as_raw_fd());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut streams: Vec<UnixStream> =
            (0..3).map(|_| UnixStream::connect(&short).unwrap()).collect();
        for (number, stream) in streams.iter_mut().enumerate() {
            let number = u8::try_from(number).unwrap();
            stream.write_all(&[number]).unwrap();
            let mut answer = [0];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer, [number + 1]);
        }
        // Connections that are open do not keep it.
        drop(agent);
        assert!(!path.exists());
        let nobody = directory.path().join("nobody");
        let error = Agent::new(&nobody, place(), (0, 0), 0o600).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Missing);
    }
}
