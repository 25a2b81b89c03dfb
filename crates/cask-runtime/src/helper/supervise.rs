//! Watching the process and whoever asked for it, until nothing is left.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::target::{Made, Stub};
use crate::cgroup::out_of_memory_kills;
use crate::channel::Channel;
use crate::plan::{Cleanup, Ended, Failure, Plan, message};
use crate::sys::{self, Waited};
use crate::wire::Wire;

/// Waits until the process has ended, or kills it as soon as the executor is gone; then removes the mount points
/// that were made, and tells how it ended.
pub(super) fn until_end(
    executor: &Channel,
    init: Channel,
    child: Pid,
    started: Instant,
    plan: &Plan,
) -> Result<(), Failure> {
    let mut watch = Watch {
        executor,
        init: Some(init),
        stubs: Vec::new(),
        failed: false,
        killed: false,
        begun: false,
    };
    let watched =
        pidfd_open(child, PidfdFlags::empty()).and_then(|process| watch.wait(child, &process));
    let ended = match watched {
        Ok(()) => sys::wait4(child),
        Err(error) => {
            // Without a way to watch it the process must not go on.
            let _ = kill_process(child, Signal::KILL);
            sys::wait4(child).and(Err(error.into()))
        }
    };
    // With the runtime the control group goes, and what it counted.
    let events = plan.cleanup.as_ref().map(|cleanup| OsStr::from_bytes(&cleanup.memory_events));
    let out_of_memory_kills = events.map_or(0, |path| out_of_memory_kills(path.as_ref()));
    if let Some(cleanup) = plan.cleanup.as_ref().filter(|_| watch.killed || plan.wait) {
        end_with_runtime(cleanup);
        // Why it did not begin is in there, for the executor to read.
        if watch.begun || !watch.failed {
            let _ = std::fs::remove_dir_all(OsStr::from_bytes(&cleanup.directory));
        }
    }
    if plan.leaves_orphans() {
        end_orphans();
    }
    let wall = started.elapsed();
    // What the process said just before it ended.
    while watch.init.is_some() && watch.hear().is_ok() {}
    watch.stubs.iter().rev().for_each(Stub::remove);
    let ended = ended.map_err(|error| Failure::io(error, "wait for", "the process"))?;
    if !watch.failed {
        let mut told = report(ended, u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX));
        told.out_of_memory_kills = out_of_memory_kills;
        // Where the executor is gone nobody needs to know.
        let _ = executor.send(message::ENDED, &told.to_bytes(), &[]);
    }
    Ok(())
}

struct Watch<'a> {
    executor: &'a Channel,
    /// The socket to the process, until it executes the command or ends.
    init: Option<Channel>,
    stubs: Vec<Stub>,
    failed: bool,
    /// The executor gave up, or is gone.
    killed: bool,
    /// The executor said the word to begin.
    begun: bool,
}

impl Watch<'_> {
    /// Waits until `child` has ended, but not for it.
    fn wait(&mut self, child: Pid, process: &OwnedFd) -> rustix::io::Result<()> {
        // Should something kill the helper alone, the executor can still kill the process.
        let number = child.as_raw_nonzero().get().unsigned_abs();
        let _ = self.executor.send(message::PROCESS, &number.to_bytes(), &[process.as_fd()]);
        loop {
            let nothing = PollFlags::empty();
            let watched = if self.killed { nothing } else { PollFlags::IN };
            let mut places = vec![
                PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(self.executor.as_fd(), watched),
            ];
            places.extend(
                self.init.iter().map(|init| PollFd::from_borrowed_fd(init.as_fd(), PollFlags::IN)),
            );
            if self.killed {
                // A closed socket is always ready: it has nothing more to say.
                places.remove(1);
            }
            match poll(&mut places, None) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            let ready: Vec<bool> = places.iter().map(|place| !place.revents().is_empty()).collect();
            drop(places);
            if ready[0] {
                return Ok(());
            }
            if self.init.is_some() && ready.last() == Some(&true) {
                self.hear()?;
            }
            if !self.killed && ready[1] && !self.pass_on() {
                // It gave up, or was killed.
                self.killed = true;
                kill_process(child, Signal::KILL)?;
            }
        }
    }

    /// Takes the words to go on, the only ones that the executor says after its plan. `false` where it is gone.
    fn pass_on(&mut self) -> bool {
        match self.executor.receive() {
            Ok(Some(frame)) if matches!(frame.kind, message::BEGIN | message::HOOKS) => {
                self.begun |= frame.kind == message::BEGIN;
                // A process that has failed meanwhile says so itself.
                if let Some(init) = &self.init {
                    let _ = init.send(frame.kind, &[], &[]);
                }
                true
            }
            _ => false,
        }
    }

    /// Takes one message of the process.
    fn hear(&mut self) -> rustix::io::Result<()> {
        let Some(init) = &self.init else { return Ok(()) };
        let frame = init.receive().map_err(|error| {
            rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO)
        })?;
        let Some(mut frame) = frame else {
            self.init = None;
            if !self.failed {
                // Where the executor is gone nobody needs to know.
                let _ = self.executor.send(message::STARTED, &[], &[]);
            }
            return Ok(());
        };
        if frame.kind == message::STUB {
            if let (Ok(made), Some(parent)) =
                (Made::from_bytes(&frame.body), frame.descriptors.pop())
            {
                self.stubs.push(Stub { parent, made });
            }
        } else {
            self.failed |= frame.kind == message::FAILURE;
            let descriptors: Vec<_> = frame.descriptors.iter().map(AsFd::as_fd).collect();
            let _ = self.executor.send(frame.kind, &frame.body, &descriptors);
        }
        Ok(())
    }
}

/// Has an external runtime end what it started.
fn end_with_runtime(cleanup: &Cleanup) {
    let words = cleanup.command.iter().map(|word| OsStr::from_bytes(word));
    let mut words = words.collect::<Vec<_>>().into_iter();
    let Some(program) = words.next() else { return };
    // There is nobody left to tell what failed; the orphans are killed in any case.
    let _ = Command::new(program)
        .args(words)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// Kills every process that was left behind; orphans are children of the helper.
fn end_orphans() {
    loop {
        let orphans = super::children(rustix::process::getpid());
        if orphans.is_empty() {
            return;
        }
        for orphan in orphans {
            end_tree(orphan);
            // One that has ended is still a child until it is waited for.
            let _ = sys::wait4(orphan);
        }
    }
}

fn end_tree(top: Pid) {
    // Stopped first, so that it does not fork while its children are listed.
    let _ = kill_process(top, Signal::STOP);
    super::children(top).into_iter().for_each(end_tree);
    let _ = kill_process(top, Signal::KILL);
}

fn report(waited: Waited, wall_nanos: u64) -> Ended {
    let usage = waited.usage;
    let number = |value: libc::c_long| u64::try_from(value).unwrap_or(0);
    let micros = |time: libc::timeval| number(time.tv_sec) * 1_000_000 + number(time.tv_usec);
    Ended {
        status: waited.status,
        user_micros: micros(usage.ru_utime),
        system_micros: micros(usage.ru_stime),
        max_resident_kib: number(usage.ru_maxrss),
        blocks_read: number(usage.ru_inblock),
        blocks_written: number(usage.ru_oublock),
        wall_nanos,
        out_of_memory_kills: 0,
    }
}
