//! The manager of services: it makes control groups for those who may not make them themselves.

mod message;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cgroup::{Cgroup, CgroupLimits};
use crate::error::{Error, ErrorKind, Result};
use crate::sys;
use message::{Message, Value};

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(25);
/// How long a group of an earlier life may take to be gone.
const GONE: Duration = Duration::from_secs(5);

/// systemd, that of the machine or that of a user, which is asked over its own socket.
///
/// What it makes is called a scope: a control group around processes that run already, in which they may make groups of
/// their own. It is gone when the last of them is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceManager {
    socket: PathBuf,
    of_service: bool,
}

/// The process that keeps a scope until there is another in it.
#[derive(Debug)]
pub struct ScopeKeeper(Option<Pid>);

impl ServiceManager {
    /// That of the machine, for root.
    pub const SYSTEM: &str = "/run/systemd/private";
    /// That of a user, below the directory that `$XDG_RUNTIME_DIR` names.
    pub const OF_USER: &str = "systemd/private";

    /// The one that listens at `socket`. Nothing is asked yet.
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), of_service: false }
    }

    /// Says that it started this process, as that of a service: who watches the service expects it to stay in its group.
    #[must_use]
    pub fn with_service(mut self, of_service: bool) -> Self {
        self.of_service = of_service;
        self
    }

    /// Whether this process is one of a service.
    pub fn has_service(&self) -> bool {
        self.of_service
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Puts this process into the scope `name` of `slice`, and makes the group `part` in it. A process that is in a
    /// scope of that name stays there.
    ///
    /// # Errors
    ///
    /// `Unsupported` where nobody listens, or where control groups are not those of version 2; `Denied`, `Io`; otherwise
    /// as [`Cgroup::create`].
    pub fn enter(
        &self,
        name: &str,
        slice: &str,
        part: &str,
        limits: &CgroupLimits,
    ) -> Result<Cgroup> {
        self.move_to(name, slice)?;
        Cgroup::split(part, limits)
    }

    /// As [`enter`](Self::enter), without the group in it.
    ///
    /// # Errors
    ///
    /// As [`enter`](Self::enter).
    pub fn move_to(&self, name: &str, slice: &str) -> Result<()> {
        check()?;
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        if own.lines().any(|line| line.split('/').any(|part| part == name)) {
            return Ok(());
        }
        self.start_scope(name, slice, std::process::id())
    }

    /// Makes the scope `name` of `slice`, and the group `part` in it, and leaves this process where it is. The group is
    /// to be given a process before what keeps it is dropped.
    ///
    /// # Errors
    ///
    /// As [`enter`](Self::enter).
    pub fn make(
        &self,
        name: &str,
        slice: &str,
        part: &str,
        limits: &CgroupLimits,
    ) -> Result<(Cgroup, ScopeKeeper)> {
        check()?;
        let keeper = sys::idle_process().map_err(|error| Error::io(error, "keep", name))?;
        let pid = keeper.as_raw_nonzero().get().unsigned_abs();
        let keeper = ScopeKeeper(Some(keeper));
        self.start_scope(name, slice, pid)?;
        Ok((Cgroup::split_of(pid, part, limits)?, keeper))
    }

    fn start_scope(&self, name: &str, slice: &str, process: u32) -> Result<()> {
        let text = |text: &str| Value::Text(text.to_owned());
        let properties = vec![
            ("Description", text("a container, or what works on one")),
            ("Slice", text(slice)),
            ("PIDs", Value::Numbers(vec![process])),
            ("Delegate", Value::Switch(true)),
            ("DefaultDependencies", Value::Switch(false)),
            // What is limited is the group in it.
            ("TasksMax", Value::Long(u64::MAX)),
            ("CollectMode", text("inactive-or-failed")),
        ];
        let call = message::start_transient_unit(name, &properties);
        let deadline = Instant::now() + GONE;
        loop {
            match self.call(name, &call) {
                // That of an earlier life is about to be gone.
                Err(Failed::Exists(_)) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(Failed::Exists(error) | Failed::Otherwise(error)) => return Err(error),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Asks for one thing, and waits until it is done.
    fn call(&self, name: &str, call: &[u8]) -> std::result::Result<(), Failed> {
        let failed = |error| Error::io(error, "ask systemd for", name);
        let mut stream = self.connect().map_err(failed)?;
        stream.write_all(call).map_err(failed)?;
        let (mut job, mut ended) = (None, Vec::new());
        loop {
            let message = receive(&mut stream).map_err(failed)?;
            match message {
                Message::Returned(path) => job = Some(path),
                Message::Failed { name: kind, why } => {
                    let error = Error::new(ErrorKind::Denied, "ask systemd for", name)
                        .with_detail(format!("{kind}: {why}"));
                    return Err(match kind.ends_with(".UnitExists") {
                        true => Failed::Exists(error),
                        false => Failed::Otherwise(error),
                    });
                }
                Message::JobRemoved { job, result } => ended.push((job, result)),
                Message::Other => {}
            }
            let result = ended.iter().find(|(path, _)| Some(path) == job.as_ref());
            match result.map(|(_, result)| result.as_str()) {
                None => {}
                Some("done") => return Ok(()),
                Some(other) => {
                    let why = format!("its start ended so: {other}");
                    let error = Error::new(ErrorKind::Io, "ask systemd for", name);
                    return Err(error.with_detail(why).into());
                }
            }
        }
    }

    fn connect(&self) -> std::io::Result<UnixStream> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        // Without a name: who asks is who the kernel says, in its own namespace of users.
        stream.write_all(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")?;
        for expected in ["DATA", "OK"] {
            let line = read_line(&mut stream)?;
            if line.split(' ').next() != Some(expected) {
                let why = format!("systemd answers {line:?}");
                return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, why));
            }
        }
        Ok(stream)
    }
}

impl Drop for ScopeKeeper {
    fn drop(&mut self) {
        if let Some(pid) = self.0.take() {
            let _ = kill_process(pid, Signal::KILL);
            let _ = sys::wait4(pid);
        }
    }
}

enum Failed {
    /// There is one of that name.
    Exists(Error),
    Otherwise(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Otherwise(error)
    }
}

fn check() -> Result<()> {
    if Cgroup::is_unified() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, "ask", "systemd for a control group")
        .with_detail("control groups are not those of version 2"))
}

/// A line of a few characters, as the two talk before the first message.
fn read_line(stream: &mut UnixStream) -> std::io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < 256 {
        stream.read_exact(&mut byte)?;
        match byte[0] {
            b'\n' => return Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
            other => line.push(other),
        }
    }
    Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a line without end"))
}

fn receive(stream: &mut UnixStream) -> std::io::Result<Message> {
    let malformed =
        || std::io::Error::new(std::io::ErrorKind::InvalidData, "a message is malformed");
    let mut start = [0; message::START];
    stream.read_exact(&mut start)?;
    let length = message::length(&start).ok_or_else(malformed)?;
    let mut whole = start.to_vec();
    whole.resize(length, 0);
    stream.read_exact(&mut whole[message::START..])?;
    message::read(&whole).ok_or_else(malformed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::message::tests::texts;
    use super::*;

    const JOB: &str = "/org/freedesktop/systemd1/job/7";

    fn exists() -> Vec<u8> {
        texts(3, &[(4, "org.freedesktop.systemd1.UnitExists")], None, &["a.scope is there"])
    }

    fn denied() -> Vec<u8> {
        texts(3, &[(4, "org.freedesktop.DBus.Error.AccessDenied")], None, &["not for you"])
    }

    fn started(result: &str) -> Vec<u8> {
        let removed = |job: &str, result: &str| {
            texts(4, &[(3, "JobRemoved")], Some(7), &[job, "a.scope", result])
        };
        let other = removed("/org/freedesktop/systemd1/job/6", "failed");
        [other, texts(2, &[], None, &[JOB]), removed(JOB, result)].concat()
    }

    /// Asks a systemd that answers one connection after the other so, and says what came of it.
    fn ask(greeting: &'static str, answers: Vec<Vec<u8>>) -> (Result<()>, Vec<Vec<u8>>) {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("private");
        let listener = UnixListener::bind(&socket).unwrap();
        let systemd = std::thread::spawn(move || {
            let mut calls = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                for expected in ["\0AUTH EXTERNAL", "DATA", "BEGIN"] {
                    assert_eq!(read_line(&mut stream).unwrap(), expected);
                }
                stream.write_all(greeting.as_bytes()).unwrap();
                let mut start = [0; message::START];
                if stream.read_exact(&mut start).is_err() {
                    continue;
                }
                let mut call = start.to_vec();
                call.resize(message::length(&start).unwrap(), 0);
                stream.read_exact(&mut call[message::START..]).unwrap();
                calls.push(call);
                stream.write_all(&answer).unwrap();
            }
            calls
        });
        let done = ServiceManager::at(socket).start_scope("a.scope", "user.slice", 12);
        (done, systemd.join().unwrap())
    }

    #[test]
    fn a_scope_is_there_when_its_job_has_ended_and_one_of_before_is_waited_for() {
        let welcome = "DATA\r\nOK 0123456789abcdef\r\n";
        let (done, calls) = ask(welcome, vec![exists(), exists(), started("done")]);
        done.unwrap();
        assert_eq!(calls.len(), 3);
        let has = |text: &str| calls[0].windows(text.len()).any(|found| found == text.as_bytes());
        assert!(has("a.scope") && has("user.slice") && has("Delegate"));
        let failed = |greeting, answer| {
            let error = ask(greeting, vec![answer]).0.unwrap_err();
            format!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string))
        };
        assert!(failed(welcome, started("failed")).contains("its start ended so: failed"));
        assert!(failed(welcome, denied()).contains("AccessDenied: not for you"));
        assert!(failed("REJECTED EXTERNAL\r\n", denied()).contains("REJECTED"));
        // It is gone in the middle of an answer.
        assert!(
            failed(welcome, started("done")[..20].to_vec()).contains("ask systemd for a.scope")
        );
        let nobody = ServiceManager::at("/nonexistent/private").start_scope("a", "b", 1);
        assert_eq!(nobody.unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn what_keeps_a_scope_ends_with_it() {
        let keeper = sys::idle_process().unwrap();
        let path = format!("/proc/{}", keeper.as_raw_nonzero());
        assert!(Path::new(&path).exists());
        drop(ScopeKeeper(Some(keeper)));
        assert!(!Path::new(&path).exists());
    }
}
