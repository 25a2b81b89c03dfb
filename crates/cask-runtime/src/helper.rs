//! The other end of the native executor: our own program, started again, with one thread.
//!
//! It takes a plan over its standard input, makes the namespaces, forks the process into them, watches both, and
//! removes what it made. It outlives whoever started it for as long as that takes.

mod devices;
mod mounts;
mod process;
mod supervise;
mod target;

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::{Gid, Pid, Uid};
use rustix::thread::UnshareFlags;

use crate::channel::{Channel, Frame};
use crate::error::ErrorKind;
use crate::plan::{FIXED_DESCRIPTORS, Failure, Isolation, MountKind, Plan, message};
use crate::sys;
use crate::wire::Wire;
use mounts::Source;
pub(crate) use process::pack;

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
}

fn work(channel: &Channel) -> Result<(), Failure> {
    let received = receive(channel)?;
    let Received { plan, root, io, sources } = received;
    // Only the descriptors that the plan came with may reach the process.
    rustix::process::umask(Mode::empty());
    let isolated = plan.isolation == Isolation::Namespaces;
    let chroot = plan.isolation == Isolation::Chroot;
    let root = if chroot { Source::ByName(root) } else { Source::take(root, true) };
    let sources = take_sources(&plan, sources);
    if isolated {
        namespaces(channel, &plan)?;
    } else {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|error| Failure::io(error, "adopt", "orphaned processes"))?;
    }
    let (near, far) = Channel::pair().map_err(|error| Failure::io(error, "make", "a socket"))?;
    let started = std::time::Instant::now();
    let child = sys::fork().map_err(|error| Failure::io(error, "start", "a process"))?;
    let Some(child) = child else {
        drop(near);
        process::begin(&plan, root, sources, io, &far);
    };
    // What is held here would keep mounts and pipes alive that the process closes.
    drop((far, root, sources, io));
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
    let sources: Vec<OwnedFd> = descriptors.collect();
    debug_assert_eq!(sources.len() + FIXED_DESCRIPTORS + 1, count);
    Ok(Received { plan, root, io, sources })
}

/// Takes hold of every source while this is still the machine's mount namespace.
fn take_sources(plan: &Plan, descriptors: Vec<OwnedFd>) -> Vec<Source> {
    let with_source = plan.mounts.iter().filter(|mount| mount.kind != MountKind::Memory);
    with_source
        .zip(descriptors)
        .map(|(mount, descriptor)| match mount.kind {
            MountKind::Bind => Source::take(descriptor, mount.recursive),
            MountKind::Content | MountKind::Memory => Source::Bytes(descriptor),
        })
        .collect()
}

/// Makes the namespaces; the next process is number 1 in them.
fn namespaces(channel: &Channel, plan: &Plan) -> Result<(), Failure> {
    if plan.new_users {
        user_namespace(channel)?;
    }
    let mut flags = UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    if plan.new_network {
        flags |= UnshareFlags::NEWNET;
    }
    sys::unshare(flags).map_err(|error| {
        let hint = match error.raw_os_error() {
            Some(libc::EPERM) => {
                "only root may: give the run ID maps of its own, or start inside of a user namespace"
            }
            Some(libc::ENOSPC) => "raise the limits in /proc/sys/user",
            _ => "the kernel must be built with pid, ipc, uts, cgroup and net namespaces",
        };
        Failure::io(error, "make", "namespaces").with_hint(hint)
    })?;
    if plan.new_network {
        loopback()?;
    }
    if let Some(name) = &plan.hostname {
        rustix::system::sethostname(name).map_err(|error| {
            Failure::io(error, "set the host name", String::from_utf8_lossy(name))
        })?;
    }
    Ok(())
}

fn user_namespace(channel: &Channel) -> Result<(), Failure> {
    sys::unshare(UnshareFlags::NEWUSER).map_err(|error| {
        Failure::io(error, "make", "a user namespace").with_hint(
            "user namespaces may be turned off for users: see kernel.unprivileged_userns_clone, \
             user.max_user_namespaces and kernel.apparmor_restrict_unprivileged_userns",
        )
    })?;
    let failed = |error: std::io::Error| Failure::io(error, "wait for", "the ID maps");
    channel.send(message::MAPS, &[], &[]).map_err(failed)?;
    // The executor says itself why it could not write them, and leaves.
    match channel.receive().map_err(failed)? {
        Some(frame) if frame.kind == message::MAPS => {}
        _ => sys::exit_now(1),
    }
    let become_root = || -> rustix::io::Result<()> {
        let (user, group) = (Uid::ROOT, Gid::ROOT);
        rustix::thread::set_thread_res_gid(group, group, group)?;
        rustix::thread::set_thread_res_uid(user, user, user)
    };
    become_root().map_err(|error| {
        Failure::io(error, "become", "root of the user namespace")
            .with_hint("the ID maps must have user 0 and group 0 inside")
    })
}

fn loopback() -> Result<(), Failure> {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    );
    socket
        .map_err(std::io::Error::from)
        .and_then(|socket| sys::loopback_up(socket.as_fd()))
        .map_err(|error| Failure::io(error, "bring up", "the loopback interface"))
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
