//! The parent of a process that an external runtime creates: it waits for the word and for the end.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::LinkNameSpaceType;

use super::mounts::Source;
use super::process;
use crate::channel::Channel;
use crate::error::ErrorKind;
use crate::plan::{CONSOLE, Failure, PID_FILE, Plan, message};
use crate::sys;
use crate::wire::Wire;

/// Has the runtime create the process, and is its parent until it has ended.
///
/// What a runtime creates is left behind by it: the kernel makes it a child of this process, which asked for orphans.
pub(super) fn keep(
    plan: &Plan,
    root: Source,
    sources: Vec<Source>,
    io: [OwnedFd; 3],
    helper: &Channel,
) -> ! {
    let Err(failure) = create(plan, root, sources, io, helper);
    // Where nobody listens any more there is nobody to tell.
    let _ = helper.send(message::FAILURE, &failure.to_bytes(), &[]);
    sys::exit_now(125)
}

fn create(
    plan: &Plan,
    root: Source,
    sources: Vec<Source>,
    io: [OwnedFd; 3],
    helper: &Channel,
) -> Result<Infallible, Failure> {
    let cleanup = plan.cleanup.as_ref();
    let missing = || Failure::new(ErrorKind::InvalidSpec, "read", "the plan");
    let bundle = Path::new(OsStr::from_bytes(&cleanup.ok_or_else(missing)?.directory));
    process::die_with_helper()?;
    rustix::process::setsid().map_err(|error| Failure::io(error, "begin", "a session"))?;
    process::keyring()?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| Failure::io(error, "adopt", "the process"))?;
    let outside = open("/proc/self/ns/mnt", OFlags::RDONLY)?;
    // Names of sockets are short, so they are found from here.
    rustix::process::chdir(bundle)
        .map_err(|error| Failure::io(error, "go to", bundle.display()))?;
    let console = plan.terminal.map(|_| listen()).transpose()?;
    process::external(plan, root, sources, io)?;
    call(&plan.arguments, false)?;
    // What was mounted for it is in its own namespace by now, and would be kept here.
    rustix::thread::move_into_link_name_space(outside.as_fd(), Some(LinkNameSpaceType::Mount))
        .map_err(|error| Failure::io(error, "leave", "the mount namespace"))?;
    drop(outside);
    let null = open("/dev/null", OFlags::RDWR)?;
    process::connect([&null, &null, &null])?;
    drop(null);
    let (child, watched) = created(&bundle.join(PID_FILE), helper)?;
    if let Some(console) = console {
        hand_over_terminal(&console, plan, helper)?;
    }
    process::wait(plan, helper, Some(&watched))?;
    call(&plan.start, true)?;
    // The helper takes the closed socket as the word that it began.
    let _ = sys::close_from(0, false);
    loop {
        match sys::wait_any() {
            Some((pid, status)) if pid == child.as_raw_nonzero().get() => process::leave_as(status),
            Some(_) => {}
            None => sys::exit_now(125),
        }
    }
}

fn open(path: &str, flags: OFlags) -> Result<OwnedFd, Failure> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Failure::io(error, "open", path))
}

/// Calls the runtime. With `quiet` it has no output, and what it says against it is the detail of the failure.
fn call(words: &[Vec<u8>], quiet: bool) -> Result<(), Failure> {
    let mut words = words.iter().map(|word| OsStr::from_bytes(word));
    let Some(program) = words.next() else {
        return Err(Failure::new(ErrorKind::InvalidSpec, "call", "no runtime"));
    };
    let failed = |error| Failure::io(error, "call the runtime", program.display());
    let mut command = Command::new(program);
    command.args(words).env_clear().env("PATH", crate::spec::DEFAULT_PATH);
    let (status, said) = if quiet {
        let output = command.stdin(Stdio::null()).output().map_err(failed)?;
        (output.status, String::from_utf8_lossy(&output.stderr).trim().to_owned())
    } else {
        (command.status().map_err(failed)?, String::new())
    };
    if status.success() {
        return Ok(());
    }
    let failure = Failure::new(ErrorKind::RuntimeFailed, "run with", program.display());
    Err(failure.with_detail(if said.is_empty() { status.to_string() } else { said }))
}

/// Says which process was created.
fn created(pid_file: &Path, helper: &Channel) -> Result<(Pid, OwnedFd), Failure> {
    let shown = pid_file.display();
    let text = std::fs::read_to_string(pid_file)
        .map_err(|error| Failure::io(error, "read the number that the runtime wrote", &shown))?;
    let number: u32 = text.trim().parse().unwrap_or(0);
    let pid = i32::try_from(number).ok().and_then(Pid::from_raw).ok_or_else(|| {
        Failure::new(ErrorKind::RuntimeFailed, "read the number that the runtime wrote", &shown)
            .with_detail(format!("{text:?} is none"))
    })?;
    let process = pidfd_open(pid, PidfdFlags::empty())
        .map_err(|error| Failure::io(error, "watch", format_args!("process {pid}")))?;
    helper
        .send(message::PROCESS, &number.to_bytes(), &[process.as_fd()])
        .map_err(|error| Failure::io(error, "hand over", "the process"))?;
    Ok((pid, process))
}

/// Where the runtime sends the terminal.
///
/// Source: runc, docs/terminals.md.
fn listen() -> Result<OwnedFd, Failure> {
    let failed = |error| Failure::io(error, "listen for", "the terminal");
    let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
    let socket =
        rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None).map_err(failed)?;
    let address = SocketAddrUnix::new(CONSOLE).map_err(failed)?;
    rustix::net::bind(&socket, &address).map_err(failed)?;
    rustix::net::listen(&socket, 1).map_err(failed)?;
    Ok(socket)
}

fn hand_over_terminal(console: &OwnedFd, plan: &Plan, helper: &Channel) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::io(error, "take", "the terminal");
    let connection = rustix::net::accept_with(console, SocketFlags::CLOEXEC)
        .map_err(|error| failed(error.into()))?;
    let frame = Channel::new(connection).receive().map_err(failed)?;
    let sent = frame.and_then(|mut frame| frame.descriptors.pop());
    let outer = sent.ok_or_else(|| {
        Failure::new(ErrorKind::RuntimeFailed, "take", "the terminal")
            .with_detail("the runtime sent none")
    })?;
    if let Some(size) = plan.terminal {
        // Not every runtime heeds the size in the configuration.
        super::terminal::resize(&outer, size)?;
    }
    helper.send(message::TERMINAL, &[], &[outer.as_fd()]).map_err(failed)
}
