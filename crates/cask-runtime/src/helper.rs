//! The other end of the native executor: our own program, started again, with one thread.
//!
//! It takes a plan over its standard input, makes the namespaces, forks the process into them, watches both, and
//! removes what it made. It outlives whoever started it for as long as that takes.

mod copy_up;
mod created;
mod devices;
mod groups;
mod mounts;
mod process;
mod spaces;
mod supervise;
mod target;
mod terminal;

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::Pid;

use crate::channel::{Channel, Frame};
use crate::error::ErrorKind;
use crate::plan::{FIXED_DESCRIPTORS, Failure, Isolation, MountKind, Plan, Space, message};
use crate::sys;
use crate::wire::Wire;
use mounts::Source;
pub(crate) use mounts::{clone_tree, make_filesystem};
pub(crate) use process::pack;
use spaces::Joins;

/// What [`run_helper`] returns where it was not started by an executor.
pub const NOT_STARTED_BY_EXECUTOR: u8 = 125;

/// Does the helper's work; the program that embeds the native executor calls this first of all in `main`, where
/// its first argument is the word that it gave as
/// [`NativeOptions::argument`](crate::NativeOptions::argument).
///
/// Returns the status to leave with. Nothing may have been started before: the process must have one thread.
/// Where no executor started the process, it does nothing and returns [`NOT_STARTED_BY_EXECUTOR`].
pub fn run_helper() -> u8 {
    let Some(channel) = take_channel() else { return NOT_STARTED_BY_EXECUTOR };
    let Err(failure) = work(&channel) else { return 0 };
    // Where nobody listens any more there is nobody to tell.
    let _ = channel.send(message::FAILURE, &failure.to_bytes(), &[]);
    1
}

/// The socket that an executor left as standard input.
fn take_channel() -> Option<Channel> {
    let kind = rustix::net::sockopt::socket_type(rustix::stdio::stdin()).ok()?;
    if kind != rustix::net::SocketType::SEQPACKET {
        return None;
    }
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).ok()?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).ok()?;
    rustix::stdio::dup2_stdin(&null).ok()?;
    Some(Channel::new(socket))
}

/// What came with a plan.
struct Received {
    plan: Plan,
    root: OwnedFd,
    io: [OwnedFd; 3],
    sources: Vec<OwnedFd>,
    joins: Joins,
    passed: Vec<OwnedFd>,
    members: Vec<OwnedFd>,
}

/// What the process is given hold of besides its mounts.
struct Given {
    io: [OwnedFd; 3],
    joins: Joins,
    /// More descriptors, each for a number of the plan.
    passed: Vec<OwnedFd>,
    /// Files of the control group that take processes.
    members: Vec<OwnedFd>,
}

fn work(channel: &Channel) -> Result<(), Failure> {
    let received = receive(channel)?;
    let Received { plan, root, io, sources, joins, passed, members } = received;
    // Only the descriptors that the plan came with may reach the process.
    rustix::process::umask(Mode::empty());
    let root = match plan.isolation {
        Isolation::Chroot | Isolation::Join => Source::ByName(root),
        Isolation::Namespaces | Isolation::External => Source::take(root, true),
    };
    let sources = take_sources(&plan, sources);
    match plan.isolation {
        Isolation::Namespaces => {
            if plan.users != Space::Keep {
                // Root of another namespace cannot write it any more; the process inherits it.
                process::out_of_memory(&plan)?;
            }
            spaces::make(channel, &plan, &joins)?;
        }
        Isolation::Join => spaces::join_processes(&root)?,
        Isolation::Chroot | Isolation::External => {}
    }
    if plan.leaves_orphans() {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|error| Failure::io(error, "adopt", "orphaned processes"))?;
    }
    let (near, far) = Channel::pair().map_err(|error| Failure::io(error, "make", "a socket"))?;
    let started = std::time::Instant::now();
    let child = sys::fork().map_err(|error| Failure::io(error, "start", "a process"))?;
    let given = Given { io, joins, passed, members };
    let Some(child) = child else {
        drop(near);
        if plan.isolation == Isolation::External && plan.wait {
            created::keep(&plan, root, sources, given.io, &far);
        }
        process::begin(&plan, root, sources, given, &far);
    };
    // What is held here would keep mounts and pipes alive that the process closes.
    drop((far, root, sources, given));
    supervise::until_end(channel, near, child, started, &plan)
}

fn receive(channel: &Channel) -> Result<Received, Failure> {
    let malformed = || Failure::new(ErrorKind::InvalidSpec, "read", "the plan");
    let next = || -> Result<Frame, Failure> {
        let frame = channel.receive().map_err(|error| Failure::io(error, "read", "the plan"))?;
        frame.ok_or_else(malformed)
    };
    let first = next()?;
    if first.kind != message::PLAN {
        return Err(malformed());
    }
    let count = u32::from_bytes(&first.body).map_err(|_| malformed())? as usize;
    let mut descriptors = first.descriptors;
    while descriptors.len() < count {
        let frame = next()?;
        if frame.kind != message::MORE || frame.descriptors.is_empty() {
            return Err(malformed());
        }
        descriptors.extend(frame.descriptors);
    }
    let mut descriptors = descriptors.into_iter();
    let mut take = || descriptors.next().ok_or_else(malformed);
    let mut bytes = Vec::new();
    let mut file = File::from(take()?);
    std::io::Seek::rewind(&mut file)
        .and_then(|()| file.read_to_end(&mut bytes))
        .map_err(|error| Failure::io(error, "read", "the plan"))?;
    let plan = Plan::from_bytes(&bytes).map_err(|wrong| {
        malformed().with_detail(format!(
            "byte {} is not what this build writes: is the helper another build of the program?",
            wrong.offset
        ))
    })?;
    let root = take()?;
    let io = [take()?, take()?, take()?];
    let mut sources: Vec<OwnedFd> = descriptors.collect();
    debug_assert_eq!(sources.len() + FIXED_DESCRIPTORS + 1, count);
    let with_source = plan.mounts.iter().filter(|mount| mount.kind.has_source()).count();
    if sources.len() < with_source {
        return Err(malformed());
    }
    let mut rest = sources.split_off(with_source).into_iter();
    let joins = Joins::take(&plan, &mut rest).ok_or_else(malformed)?;
    let passed: Vec<OwnedFd> = rest.by_ref().take(plan.passed.len()).collect();
    if passed.len() < plan.passed.len() {
        return Err(malformed());
    }
    Ok(Received { plan, root, io, sources, joins, passed, members: rest.collect() })
}

/// Takes hold of every source while this is still the machine's mount namespace.
fn take_sources(plan: &Plan, descriptors: Vec<OwnedFd>) -> Vec<Source> {
    let with_source = plan.mounts.iter().filter(|mount| mount.kind.has_source());
    with_source
        .zip(descriptors)
        .map(|(mount, descriptor)| match mount.kind {
            MountKind::Bind => Source::take(descriptor, mount.recursive),
            MountKind::Tree => Source::Detached(descriptor),
            _ => Source::Bytes(descriptor),
        })
        .collect()
}

/// Children of a process, as the kernel lists them.
fn children(of: Pid) -> Vec<Pid> {
    let path = format!("/proc/{0}/task/{0}/children", of.as_raw_nonzero());
    let mut text = String::new();
    let opened = rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let read = opened.map(File::from).map(|mut file| file.read_to_string(&mut text));
    match read {
        Ok(Ok(_)) => {
            text.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
        }
        _ => Vec::new(),
    }
}
