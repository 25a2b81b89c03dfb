//! Namespaces: made, kept, or joined.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::process::{Gid, Uid};
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType, UnshareFlags};

use super::mounts::Source;
use crate::channel::Channel;
use crate::error::ErrorKind;
use crate::plan::{Failure, Plan, SPACES, Space, message};
use crate::sys;

/// The namespaces that are joined, each with its kind.
pub(super) struct Joins {
    users: Option<OwnedFd>,
    others: Vec<(UnshareFlags, OwnedFd)>,
}

impl Joins {
    /// Takes one descriptor for each that is joined; `None` where one is missing.
    pub(super) fn take(plan: &Plan, from: &mut impl Iterator<Item = OwnedFd>) -> Option<Self> {
        let users = match plan.users {
            Space::Join => Some(from.next()?),
            Space::New | Space::Keep => None,
        };
        let kinds = SPACES.iter().zip(&plan.spaces).filter(|(_, space)| **space == Space::Join);
        let taken = kinds.map(|(kind, _)| Some((*kind, from.next()?)));
        Some(Self { users, others: taken.collect::<Option<Vec<_>>>()? })
    }

    /// Joins those that `wanted` has.
    fn join(&self, wanted: UnshareFlags) -> Result<(), Failure> {
        for (kind, space) in self.others.iter().filter(|(kind, _)| wanted.contains(*kind)) {
            let link = match *kind {
                UnshareFlags::NEWPID => LinkNameSpaceType::ProcessID,
                UnshareFlags::NEWIPC => LinkNameSpaceType::InterProcessCommunication,
                UnshareFlags::NEWUTS => LinkNameSpaceType::HostNameAndNISDomainName,
                UnshareFlags::NEWNET => LinkNameSpaceType::Network,
                _ => LinkNameSpaceType::ControlGroup,
            };
            rustix::thread::move_into_link_name_space(space.as_fd(), Some(link)).map_err(
                |error| {
                    Failure::io(error, "join", name(*kind)).with_hint(match error {
                        rustix::io::Errno::INVAL => "it is a namespace of another kind, or none",
                        _ => "only root may, and whoever made the namespace",
                    })
                },
            )?;
        }
        Ok(())
    }

    /// Joins the users, and becomes their root.
    fn join_users(&self) -> Result<(), Failure> {
        let Some(users) = &self.users else { return Ok(()) };
        // What joins has more rights than those that it joins, until it gave them up: nobody there may look into it.
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
            .map_err(|error| Failure::io(error, "hide", "the helper"))?;
        let link = Some(LinkNameSpaceType::User);
        rustix::thread::move_into_link_name_space(users.as_fd(), link).map_err(|error| {
            Failure::io(error, "join", "the namespace of users").with_hint(match error {
                rustix::io::Errno::INVAL => {
                    "it is the namespace of this process already, or none of users"
                }
                _ => "only root of the namespace may, and whoever made it",
            })
        })?;
        become_root()
    }

    /// Joins or makes the namespace of control groups, which shows the one that the process is in by now as the
    /// topmost.
    pub(super) fn control_groups(&self, plan: &Plan) -> Result<(), Failure> {
        match plan.spaces.last() {
            Some(Space::New) => sys::unshare(UnshareFlags::NEWCGROUP).map_err(refused),
            Some(Space::Join) => self.join(UnshareFlags::NEWCGROUP),
            _ => Ok(()),
        }
    }
}

fn name(kind: UnshareFlags) -> &'static str {
    match kind {
        UnshareFlags::NEWPID => "the namespace of processes",
        UnshareFlags::NEWIPC => "the namespace of communication",
        UnshareFlags::NEWUTS => "the namespace of host names",
        UnshareFlags::NEWNET => "the namespace of networks",
        _ => "the namespace of control groups",
    }
}

/// Makes the namespaces; the next process is number 1 in them.
pub(super) fn make(channel: &Channel, plan: &Plan, joins: &Joins) -> Result<(), Failure> {
    let not_yet = UnshareFlags::NEWCGROUP;
    // A namespace of users has no right to those that exist.
    joins.join(UnshareFlags::all().difference(not_yet))?;
    match plan.users {
        Space::New => user_namespace(channel)?,
        Space::Join => joins.join_users()?,
        Space::Keep => {}
    }
    let mut flags = UnshareFlags::empty();
    for (kind, space) in SPACES.iter().zip(&plan.spaces) {
        flags.set(*kind, *space == Space::New);
    }
    flags.remove(not_yet);
    sys::unshare(flags).map_err(refused)?;
    if flags.contains(UnshareFlags::NEWNET) {
        loopback()?;
    }
    if let Some(name) = &plan.hostname {
        rustix::system::sethostname(name).map_err(|error| {
            Failure::io(error, "set the host name", String::from_utf8_lossy(name))
        })?;
    }
    if let Some(name) = &plan.domainname {
        rustix::system::setdomainname(name).map_err(|error| {
            Failure::io(error, "set the domain name", String::from_utf8_lossy(name))
        })?;
    }
    Ok(())
}

fn refused(error: std::io::Error) -> Failure {
    let hint = match error.raw_os_error() {
        Some(libc::EPERM) => {
            "only root may: give the run ID maps of its own, or start inside of a user namespace"
        }
        Some(libc::ENOSPC) => "raise the limits in /proc/sys/user",
        _ => "the kernel must be built with pid, ipc, uts, cgroup and net namespaces",
    };
    Failure::io(error, "make", "namespaces").with_hint(hint)
}

/// Has the next process be one of those that `target` sees.
pub(super) fn join_processes(target: &Source) -> Result<(), Failure> {
    let Source::ByName(target) = target else {
        return Err(Failure::new(ErrorKind::InvalidSpec, "join", "the process"));
    };
    // What joins has more rights than those that it joins, until it gave them up: nobody there may look into it.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(|error| Failure::io(error, "hide", "the helper"))?;
    match foreign(target.as_fd(), ThreadNameSpaceType::PROCESS_ID) {
        none if none.is_empty() => Ok(()),
        processes => rustix::thread::move_into_thread_name_spaces(target.as_fd(), processes),
    }
    .map_err(gone)
}

/// Joins everything else that `target` has.
pub(super) fn join_all(target: &Source) -> Result<(), Failure> {
    let Source::ByName(target) = target else {
        return Err(Failure::new(ErrorKind::InvalidSpec, "join", "the process"));
    };
    let spaces = ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::CONTROL_GROUP;
    let spaces = foreign(target.as_fd(), spaces);
    let with_users = spaces | ThreadNameSpaceType::USER;
    match rustix::thread::move_into_thread_name_spaces(target.as_fd(), with_users) {
        Ok(()) => become_root(),
        // The namespace of users that one has cannot be joined again.
        Err(rustix::io::Errno::INVAL) => {
            rustix::thread::move_into_thread_name_spaces(target.as_fd(), spaces).map_err(gone)
        }
        Err(error) => Err(gone(error)),
    }
}

/// Those of the namespaces that a process does not share with this one: of those that belong to the host, only its
/// root may join even the one that he is in. One that cannot be seen may be another.
fn foreign(process: BorrowedFd<'_>, spaces: ThreadNameSpaceType) -> ThreadNameSpaceType {
    let named = [
        (ThreadNameSpaceType::MOUNT, "mnt"),
        (ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION, "ipc"),
        (ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME, "uts"),
        (ThreadNameSpaceType::NETWORK, "net"),
        (ThreadNameSpaceType::CONTROL_GROUP, "cgroup"),
        (ThreadNameSpaceType::PROCESS_ID, "pid"),
    ];
    let Some(pid) = pid_of(process) else { return spaces };
    let is_shared = |name: &str| {
        let space = |of: &str| rustix::fs::stat(format!("/proc/{of}/ns/{name}"));
        match (space("self"), space(&pid)) {
            (Ok(own), Ok(other)) => (own.st_dev, own.st_ino) == (other.st_dev, other.st_ino),
            _ => false,
        }
    };
    let shared = named.into_iter().filter(|(kind, name)| spaces.contains(*kind) && is_shared(name));
    shared.fold(spaces, |left, (kind, _)| left.difference(kind))
}

/// What `/proc` calls the process of a descriptor; `None` where it has ended.
///
/// Source: `pidfd_open(2)`, proc(5), `fdinfo`.
fn pid_of(process: BorrowedFd<'_>) -> Option<String> {
    let info =
        std::fs::read_to_string(format!("/proc/self/fdinfo/{}", process.as_raw_fd())).ok()?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim();
    pid.parse::<u32>().ok().map(|pid| pid.to_string())
}

fn gone(error: rustix::io::Errno) -> Failure {
    match error {
        rustix::io::Errno::SRCH => {
            Failure::new(ErrorKind::NotFound, "join", "the process").with_detail("it has ended")
        }
        _ => Failure::io(error, "join", "the namespaces of the process"),
    }
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
    become_root()
}

fn become_root() -> Result<(), Failure> {
    let (user, group) = (Uid::ROOT, Gid::ROOT);
    rustix::thread::set_thread_res_gid(group, group, group)
        .and_then(|()| rustix::thread::set_thread_res_uid(user, user, user))
        .map_err(|error| {
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
