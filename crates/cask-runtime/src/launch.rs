//! Starting the helper, telling it the plan, and hearing what became of it.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};

use crate::cancel::Cancel;
use crate::channel::{Channel, Frame, MOST_DESCRIPTORS};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Ended, Failure, message};
use crate::prepare::{Prepared, memory_file};
use crate::report::{ExitReport, ExitStatus, Note, Usage};
use crate::wire::Wire;

/// The helper's program: a sealed copy in memory, made once, so that no process can write to the file that
/// this program was started from (CVE-2019-5736).
#[derive(Debug, Default)]
pub(crate) struct Program(Mutex<Option<std::sync::Arc<OwnedFd>>>);

impl Program {
    /// The copy of the program at `path`.
    fn sealed(&self, path: &Path) -> Result<std::sync::Arc<OwnedFd>> {
        let mut kept = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(program) = &*kept {
            return Ok(program.clone());
        }
        let program = std::sync::Arc::new(copy(path)?);
        *kept = Some(program.clone());
        Ok(program)
    }
}

fn copy(path: &Path) -> Result<OwnedFd> {
    let failed =
        |error: std::io::Error| Error::io(error, "copy into memory the helper", path.display());
    let mut from = File::open(path).map_err(failed)?;
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
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&to, seals).map_err(|error| failed(error.into()))?;
    // A program that is open for writing cannot be executed.
    let reopened = File::open(format!("/proc/self/fd/{}", to.as_raw_fd())).map_err(failed)?;
    Ok(reopened.into())
}

/// Who writes the ID maps of the helper's user namespace, which is `pid`'s.
pub(crate) type WriteMaps<'a> = &'a dyn Fn(u32) -> Result<()>;

/// Runs a prepared plan to its end.
pub(crate) fn launch(
    program: &Program,
    path: &Path,
    argument: &OsStr,
    prepared: Prepared,
    cancel: &Cancel,
    write_maps: WriteMaps<'_>,
) -> Result<ExitReport> {
    let Prepared { plan, descriptors, notes } = prepared;
    if cancel.is_cancelled() {
        return Err(cancelled());
    }
    let bytes = memory_file(&plan.to_bytes())?;
    let mut helper = Helper::start(&*program.sealed(path)?, path, argument)?;
    let descriptors: Vec<OwnedFd> = std::iter::once(bytes).chain(descriptors).collect();
    let sent = helper.send(&descriptors);
    drop(descriptors);
    match sent {
        Ok(()) => helper.follow(notes, cancel, write_maps),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            Err(helper.ended_unasked(false))
        }
        Err(error) => Err(Error::io(error, "tell", "the helper")),
    }
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "run", "the process").with_detail("cancelled")
}

/// A helper that runs. Dropped, it ends the process and waits until everything is removed.
struct Helper {
    child: Child,
    channel: Option<Channel>,
    /// The process itself, should the helper be killed alone.
    process: Option<OwnedFd>,
    argument: String,
}

impl Drop for Helper {
    fn drop(&mut self) {
        // The helper takes the closed socket as the order to end.
        self.channel = None;
        // A parent that ignores its children has nothing to wait for.
        let _ = self.child.wait();
    }
}

impl Helper {
    fn start(program: &OwnedFd, path: &Path, argument: &OsStr) -> Result<Self> {
        let failed = |error| Error::io(error, "start the helper", path.display());
        let (near, far) = Channel::pair().map_err(failed)?;
        let child = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
            .arg0("cask-run")
            .arg(argument)
            .env_clear()
            .stdin(Stdio::from(far.into_inner()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let argument = argument.to_string_lossy().into_owned();
        Ok(Self { child, channel: Some(near), process: None, argument })
    }

    fn send(&self, descriptors: &[OwnedFd]) -> std::io::Result<()> {
        let Some(channel) = &self.channel else { return Ok(()) };
        let count = u32::try_from(descriptors.len()).unwrap_or(u32::MAX).to_bytes();
        for (number, part) in descriptors.chunks(MOST_DESCRIPTORS).enumerate() {
            let part: Vec<_> = part.iter().map(AsFd::as_fd).collect();
            let kind = if number == 0 { message::PLAN } else { message::MORE };
            channel.send(kind, &count, &part)?;
        }
        Ok(())
    }

    /// Hears the helper until it ends, or until the caller gives up.
    fn follow(
        &mut self,
        mut notes: Vec<Note>,
        cancel: &Cancel,
        write_maps: WriteMaps<'_>,
    ) -> Result<ExitReport> {
        let mut heard = false;
        let outcome = loop {
            if self.wait(cancel)? {
                break Err(cancelled());
            }
            let Some(frame) = self.receive()? else {
                break Err(self.ended_unasked(heard));
            };
            heard = true;
            match self.answer(frame, &mut notes, write_maps)? {
                None => {}
                Some(Ok(ended)) => break Ok(report(&ended, notes)),
                Some(Err(failure)) => break Err(failure.into_error()),
            }
        };
        self.channel = None;
        let _ = self.child.wait();
        outcome
    }

    /// Waits for a message or for the end of patience, which is `true`.
    fn wait(&self, cancel: &Cancel) -> Result<bool> {
        let Some(channel) = &self.channel else { return Ok(true) };
        loop {
            let mut places =
                [PollFd::new(channel, PollFlags::IN), PollFd::new(cancel, PollFlags::IN)];
            match poll(&mut places, None) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(Error::io(error, "wait for", "the helper")),
                Ok(_) => return Ok(!places[1].revents().is_empty()),
            }
        }
    }

    fn receive(&self) -> Result<Option<Frame>> {
        match &self.channel {
            Some(channel) => {
                channel.receive().map_err(|error| Error::io(error, "hear", "the helper"))
            }
            None => Ok(None),
        }
    }

    fn answer(
        &mut self,
        mut frame: Frame,
        notes: &mut Vec<Note>,
        write_maps: WriteMaps<'_>,
    ) -> Result<Option<Result<Ended, Failure>>> {
        let malformed = |_| Error::new(ErrorKind::Io, "read", "what the helper said");
        match frame.kind {
            message::MAPS => {
                write_maps(self.child.id())?;
                let channel = self.channel.as_ref();
                let sent = channel.map(|channel| channel.send(message::MAPS, &[], &[]));
                sent.transpose().map_err(|error| Error::io(error, "tell", "the helper"))?;
            }
            message::PROCESS => self.process = frame.descriptors.pop(),
            message::NOTE => notes.push(Note::from_bytes(&frame.body).map_err(malformed)?),
            message::FAILURE => {
                return Ok(Some(Err(Failure::from_bytes(&frame.body).map_err(malformed)?)));
            }
            message::ENDED => {
                return Ok(Some(Ok(Ended::from_bytes(&frame.body).map_err(malformed)?)));
            }
            _ => {}
        }
        Ok(None)
    }

    /// The helper is gone without a word about the process.
    fn ended_unasked(&mut self, heard: bool) -> Error {
        if let Some(process) = &self.process {
            // Usually the kernel has killed it with the helper.
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        self.channel = None;
        let status = self.child.wait().map_or_else(|error| error.to_string(), |s| s.to_string());
        let error = Error::new(ErrorKind::Io, "run", "the helper")
            .with_detail(format!("it ended without a word ({status})"));
        if heard {
            return error.with_hint("something killed it: see the kernel's log for lack of memory");
        }
        error.with_hint(format!(
            "the program must call cask_runtime::run_helper() first of all where its first argument is {:?}",
            self.argument
        ))
    }
}

fn report(ended: &Ended, notes: Vec<Note>) -> ExitReport {
    ExitReport {
        status: ExitStatus::from_wait(ended.status),
        usage: Usage {
            user: Duration::from_micros(ended.user_micros),
            system: Duration::from_micros(ended.system_micros),
            max_resident_bytes: ended.max_resident_kib.saturating_mul(1024),
            blocks_read: ended.blocks_read,
            blocks_written: ended.blocks_written,
        },
        wall: Duration::from_nanos(ended.wall_nanos),
        notes,
    }
}
