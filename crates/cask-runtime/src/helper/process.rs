//! From the fork to the command: number 1 of its processes.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Gid, Rlimit, Signal, Uid};
use rustix::thread::{CapabilitySet as KernelSet, CapabilitySets, UnshareFlags};

use super::mounts::{self, Source};
use super::target::Stub;
use super::terminal::Terminal;
use super::{Given, spaces};
use crate::capability::CapabilitySet;
use crate::channel::Channel;
use crate::error::ErrorKind;
use crate::hooks::HookStage;
use crate::in_root::open_place;
use crate::limit::{Limit, Resource};
use crate::plan::{Failure, Isolation, Plan, Space, message};
use crate::report::Note;
use crate::sys::{self, Instruction};
use crate::wire::Wire;

/// Becomes the process of the plan. What cannot be done is told over `helper`; the socket closes by itself when
/// the command begins.
pub(super) fn begin(
    plan: &Plan,
    root: Source,
    sources: Vec<Source>,
    given: Given,
    helper: &Channel,
) -> ! {
    let (given, moved) = match make_room(plan, given, helper) {
        Ok(both) => both,
        Err(failure) => fail(&failure, helper),
    };
    let helper = moved.as_ref().unwrap_or(helper);
    let ready = prepare(plan, root, sources, given, helper)
        .and_then(|()| wait(plan, helper, None))
        .and_then(|()| run_hooks(plan, HookStage::StartContainer, "created"));
    let failure = match ready {
        Ok(()) if plan.pause => stand_still(),
        Ok(()) if plan.init => match become_init(plan, helper) {
            Ok(()) => execute(plan),
            Err(failure) => failure,
        },
        Ok(()) => execute(plan),
        Err(failure) => failure,
    };
    fail(&failure, helper)
}

fn fail(failure: &Failure, helper: &Channel) -> ! {
    // Where nobody listens any more there is nobody to tell.
    let _ = helper.send(message::FAILURE, &failure.to_bytes(), &[]);
    sys::exit_now(125)
}

/// Leaves the numbers of what is passed on to it: the descriptors themselves, and the way to the helper, which is
/// needed until the end, get numbers above all of them. No limit of the process's holds yet.
fn make_room(
    plan: &Plan,
    mut given: Given,
    helper: &Channel,
) -> Result<(Given, Option<Channel>), Failure> {
    let Some(highest) = plan.passed.iter().max() else { return Ok((given, None)) };
    let failed = |error: std::io::Error| Failure::io(error, "pass on", "descriptors");
    let above = i32::try_from(*highest).map_err(|error| failed(std::io::Error::other(error)))? + 1;
    let move_up = |passed: OwnedFd| rustix::io::fcntl_dupfd_cloexec(&passed, above);
    let moved = given.passed.into_iter().map(move_up).collect::<Result<_, _>>();
    given.passed = moved.map_err(|error| failed(error.into()))?;
    Ok((given, Some(helper.above(above).map_err(failed)?)))
}

fn prepare(
    plan: &Plan,
    root: Source,
    sources: Vec<Source>,
    given: Given,
    helper: &Channel,
) -> Result<(), Failure> {
    let Given { io, joins, passed, members } = given;
    die_with_helper()?;
    rustix::process::setsid().map_err(|error| Failure::io(error, "begin", "a session"))?;
    keyring()?;
    // Through the file that was opened outside: what the process is in counts for all that it starts.
    for file in members {
        rustix::io::write(&file, b"0")
            .map_err(|error| Failure::io(error, "enter", "the control group"))?;
    }
    let terminal = match plan.isolation {
        Isolation::Namespaces => {
            joins.control_groups(plan)?;
            drop(joins);
            isolate(plan, root, sources, helper)?
        }
        // Where nothing is mounted, this is only reachable before.
        Isolation::Chroot => out_of_memory(plan).and_then(|()| change_root(root)).map(|()| None)?,
        Isolation::External => return external(plan, root, sources, io),
        Isolation::Join => {
            // While `/proc` is surely one: what the container has at this place may be anything.
            out_of_memory(plan)?;
            spaces::join_all(&root)?;
            drop(root);
            let make = |size| Terminal::make_inside(size, plan.uid);
            plan.terminal.map(make).transpose()?
        }
    };
    match terminal {
        Some(terminal) => {
            let inner = terminal.take(helper)?;
            connect([&inner, &inner, &inner])?;
        }
        None => connect(io.each_ref())?,
    }
    drop(io);
    limits(&plan.limits, helper)?;
    personality(plan)?;
    if plan.isolation == Isolation::Namespaces && plan.users == Space::Keep {
        out_of_memory(plan)?;
    }
    if plan.make_directory {
        make_directory(&plan.directory)?;
    }
    directory(&plan.directory)?;
    privileges(plan, helper)?;
    rustix::process::umask(Mode::from_raw_mode(plan.umask));
    // After the change of user, which clears it.
    die_with_helper()?;
    sys::reset_signals();
    sys::close_from(3, true).map_err(|error| Failure::io(error, "close", "descriptors"))?;
    for (descriptor, number) in passed.iter().zip(&plan.passed) {
        sys::pass(descriptor.as_fd(), *number)
            .map_err(|error| Failure::io(error, "pass on", format_args!("descriptor {number}")))?;
    }
    Ok(())
}

/// Mounts everything in a namespace of its own, and hands over what must be removed afterwards.
fn isolate(
    plan: &Plan,
    root: Source,
    sources: Vec<Source>,
    helper: &Channel,
) -> Result<Option<Terminal>, Failure> {
    let mut stubs = Vec::new();
    let mounted = sys::unshare(UnshareFlags::NEWNS)
        .map_err(|error| Failure::io(error, "make", "a mount namespace"))
        .and_then(|()| mounts::set_up(plan, root, sources, &mut stubs, &|| hooks(plan, helper)));
    for Stub { parent, made } in stubs {
        helper
            .send(message::STUB, &made.to_bytes(), &[parent.as_fd()])
            .map_err(|error| Failure::io(error, "hand over", "a mount point"))?;
    }
    mounted
}

/// Has the hooks run whose place is before the root is the root: those of the executor, then those of here.
fn hooks(plan: &Plan, helper: &Channel) -> Result<(), Failure> {
    if plan.hooks.is_none() {
        return Ok(());
    }
    let failed = |error: std::io::Error| Failure::io(error, "wait for", "the hooks");
    helper.send(message::HOOKS, &[], &[]).map_err(failed)?;
    match helper.receive().map_err(failed)? {
        Some(frame) if frame.kind == message::HOOKS => {}
        // One of them failed, which the executor says.
        _ => sys::exit_now(125),
    }
    run_hooks(plan, HookStage::CreateContainer, "creating")
}

fn run_hooks(plan: &Plan, stage: HookStage, status: &str) -> Result<(), Failure> {
    let Some(hooks) = &plan.hooks else { return Ok(()) };
    hooks.run(stage, status).map_err(|(path, why)| {
        let operation = format!("run the {stage} hook");
        Failure::new(ErrorKind::RuntimeFailed, &operation, path).with_detail(why)
    })
}

/// Waits for the word to begin, where the plan says so. Where `process` has ended before, there is nothing to begin.
pub(super) fn wait(
    plan: &Plan,
    helper: &Channel,
    process: Option<&OwnedFd>,
) -> Result<(), Failure> {
    if !plan.wait {
        return Ok(());
    }
    let failed = |error: std::io::Error| Failure::io(error, "wait for", "the word to begin");
    helper.send(message::BEGIN, &[], &[]).map_err(failed)?;
    if let Some(process) = process {
        let mut places = [
            PollFd::new(process, PollFlags::IN),
            PollFd::from_borrowed_fd(helper.as_fd(), PollFlags::IN),
        ];
        while let Err(error) = poll(&mut places, None) {
            if error != rustix::io::Errno::INTR {
                return Err(failed(error.into()));
            }
        }
        if !places[0].revents().is_empty() {
            sys::exit_now(125);
        }
    }
    match helper.receive().map_err(failed)? {
        Some(frame) if frame.kind == message::BEGIN => Ok(()),
        // Whoever asked for it is gone.
        _ => sys::exit_now(125),
    }
}

/// Leaves the keys of whoever started the run behind.
pub(super) fn keyring() -> Result<(), Failure> {
    let Err(error) = sys::new_session_keyring() else { return Ok(()) };
    match error.raw_os_error() {
        // Without keyrings in the kernel, or with a filter around all of us, there is nothing to leave. A user whose
        // quota is used up shares the keys with processes of the same user.
        Some(libc::ENOSYS | libc::EPERM | libc::EDQUOT) => Ok(()),
        _ => Err(Failure::io(error, "make", "a keyring")),
    }
}

/// Puts what is open where the runtime is told that it is; it does everything else by itself.
pub(super) fn external(
    plan: &Plan,
    root: Source,
    sources: Vec<Source>,
    io: [OwnedFd; 3],
) -> Result<(), Failure> {
    sys::unshare(UnshareFlags::NEWNS).map_err(|error| {
        Failure::io(error, "make", "a mount namespace")
            .with_hint("external runtimes need root here, of the machine or of a user namespace")
    })?;
    mounts::lay_out(plan, root, sources)?;
    if let Some(cleanup) = plan.cleanup.as_ref().filter(|_| plan.clear_way) {
        mounts::clear_way(Path::new(OsStr::from_bytes(&cleanup.directory)))?;
    }
    connect(io.each_ref())?;
    drop(io);
    sys::reset_signals();
    sys::close_from(3, true).map_err(|error| Failure::io(error, "close", "descriptors"))
}

/// Has the kernel kill this process, and with it its namespace, when the helper ends.
pub(super) fn die_with_helper() -> Result<(), Failure> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Failure::io(error, "tie to the helper", "the process"))
}

fn change_root(root: Source) -> Result<(), Failure> {
    let failed = |error| Failure::io(error, "change the root to", "the root filesystem");
    let (Source::ByName(root) | Source::Detached(root) | Source::Bytes(root)) = root;
    rustix::process::fchdir(&root).map_err(failed)?;
    rustix::process::chroot(".")
        .map_err(|error| failed(error).with_hint("only root may: it needs CAP_SYS_CHROOT"))?;
    rustix::process::chdir("/").map_err(failed)
}

pub(super) fn connect([input, output, error]: [&OwnedFd; 3]) -> Result<(), Failure> {
    let connected = rustix::stdio::dup2_stdin(input)
        .and_then(|()| rustix::stdio::dup2_stdout(output))
        .and_then(|()| rustix::stdio::dup2_stderr(error));
    connected.map_err(|error| Failure::io(error, "connect", "input and output"))
}

fn note(helper: &Channel, note: &Note) -> Result<(), Failure> {
    helper
        .send(message::NOTE, &note.to_bytes(), &[])
        .map_err(|error| Failure::io(error, "report", "a note"))
}

fn limits(limits: &[Limit], helper: &Channel) -> Result<(), Failure> {
    for limit in limits {
        let resource = limit.resource.kernel();
        let finite = |value: u64| Some(value).filter(|value| *value != Limit::INFINITY);
        let set = |soft, hard| {
            let wanted = Rlimit { current: finite(soft), maximum: finite(hard) };
            rustix::process::setrlimit(resource, wanted)
        };
        match set(limit.soft, limit.hard) {
            Ok(()) => continue,
            Err(rustix::io::Errno::PERM) => {}
            Err(error) => return Err(limit_failure(error, limit.resource)),
        }
        // Only root of the machine may go above the hard limit: as far as this process may, then.
        let most = rustix::process::getrlimit(resource).maximum.unwrap_or(Limit::INFINITY);
        let hard = most.min(limit.hard);
        set(limit.soft.min(hard), hard).map_err(|error| limit_failure(error, limit.resource))?;
        let lowered =
            Note::LimitLowered { resource: limit.resource, asked: limit.hard, given: hard };
        note(helper, &lowered)?;
    }
    Ok(())
}

fn personality(plan: &Plan) -> Result<(), Failure> {
    let Some(number) = plan.personality else { return Ok(()) };
    sys::set_personality(number).map_err(|error| Failure::io(error, "set", "the personality"))
}

fn limit_failure(error: rustix::io::Errno, resource: Resource) -> Failure {
    Failure::io(error, "set the limit", resource)
}

/// Source: proc(5), `oom_score_adj`. Written through a `/proc` that proved to be one (CVE-2025-52881).
pub(super) fn out_of_memory(plan: &Plan) -> Result<(), Failure> {
    let Some(score) = plan.out_of_memory_score else { return Ok(()) };
    let failed = |error| Failure::io(error, "write", "/proc/self/oom_score_adj");
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open("/proc/self/oom_score_adj", flags, Mode::empty());
    let file = file.map_err(failed)?;
    if rustix::fs::fstatfs(&file).map_err(failed)?.f_type != rustix::fs::PROC_SUPER_MAGIC {
        return Err(failed(rustix::io::Errno::XDEV));
    }
    rustix::io::write(&file, score.to_string().as_bytes()).map(drop).map_err(failed)
}

/// Makes what is missing of the working directory. Its root is the only one that there is here.
fn make_directory(path: &[u8]) -> Result<(), Failure> {
    let failed = |error| {
        let shown = String::from_utf8_lossy(path);
        Failure::io(error, "make the working directory", shown)
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open("/", flags, Mode::empty()).map_err(failed)?;
    let open = |path: &[u8]| open_place(root.as_fd(), OsStr::from_bytes(path), OFlags::DIRECTORY);
    let mut done = Vec::new();
    for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
        let above = if done.is_empty() { b"/".to_vec() } else { done.clone() };
        done.push(b'/');
        done.extend_from_slice(name);
        if let Err(rustix::io::Errno::NOENT) = open(&done) {
            let above = open(&above).map_err(failed)?;
            let made =
                rustix::fs::mkdirat(above, OsStr::from_bytes(name), Mode::from_raw_mode(0o755));
            match made {
                // A link that leads nowhere: going there says so.
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
    Ok(())
}

/// Goes to the working directory, which must be one of the root (CVE-2024-21626).
fn directory(path: &[u8]) -> Result<(), Failure> {
    let shown = String::from_utf8_lossy(path);
    let failed = |error| Failure::io(error, "go to the working directory", &shown);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open("/", flags, Mode::empty()).map_err(failed)?;
    let found =
        open_place(root.as_fd(), OsStr::from_bytes(path), OFlags::DIRECTORY).map_err(|error| {
            match error {
                rustix::io::Errno::LOOP => failed(error)
                    .with_hint("a working directory cannot lead through the links of /proc"),
                // Runtimes say so of a command that is not there, and engines tell both by one exit code.
                rustix::io::Errno::NOENT => Failure {
                    errno: failed(error).errno,
                    ..Failure::new(
                        ErrorKind::CommandNotFound,
                        "go to the working directory",
                        &shown,
                    )
                },
                _ => failed(error),
            }
        })?;
    rustix::process::fchdir(&found).map_err(failed)?;
    let now = rustix::process::getcwd(Vec::new()).map_err(failed)?;
    if now.as_bytes().first() == Some(&b'/') {
        Ok(())
    } else {
        Err(Failure::new(ErrorKind::InvalidSpec, "go to the working directory", shown)
            .with_detail("it is not within the root filesystem"))
    }
}

/// Gives away everything but what the plan names.
fn privileges(plan: &Plan, helper: &Channel) -> Result<(), Failure> {
    let failed = |error| Failure::io(error, "set", "the user and the capabilities");
    let mine = rustix::thread::capabilities(None).map_err(failed)?.permitted;
    let wanted = KernelSet::from_bits_retain(plan.capabilities);
    let missing = wanted.difference(mine);
    if !missing.is_empty() && plan.uid == 0 {
        note(helper, &Note::CapabilitiesMissing(CapabilitySet::from_bits(missing.bits())))?;
    }
    if plan.no_new_privileges {
        rustix::thread::set_no_new_privs(true).map_err(failed)?;
    }
    // Before the capability that it needs is gone; the profile allows what follows.
    if !plan.seccomp.is_empty() {
        seccomp(&plan.seccomp)?;
    }
    bound(wanted).map_err(failed)?;
    groups(plan)?;
    let (uid, gid) = (Uid::from_raw(plan.uid), Gid::from_raw(plan.gid));
    let effective = match plan.uid {
        0 => wanted.intersection(mine),
        _ => wanted.intersection(mine) & KernelSet::from_bits_retain(plan.ambient),
    };
    let inherited = if plan.uid == 0 { KernelSet::empty() } else { effective };
    if !inherited.is_empty() {
        // Else they go with root.
        rustix::thread::set_keep_capabilities(true).map_err(failed)?;
    }
    rustix::thread::set_thread_res_gid(gid, gid, gid)
        .and_then(|()| rustix::thread::set_thread_res_uid(uid, uid, uid))
        .map_err(|error| {
            let failure = Failure::io(error, "become the user", format_args!("{uid}:{gid}"));
            if error != rustix::io::Errno::INVAL {
                return failure;
            }
            failure.with_hint(
                "the user namespace does not have this ID: give the user a range in /etc/subuid and /etc/subgid",
            )
        })?;
    let sets = CapabilitySets { effective, permitted: effective, inheritable: inherited };
    rustix::thread::clear_ambient_capability_set().map_err(failed)?;
    rustix::thread::set_capabilities(None, sets).map_err(failed)?;
    for capability in inherited.iter() {
        rustix::thread::configure_capability_in_ambient_set(capability, true).map_err(failed)?;
    }
    Ok(())
}

fn bound(wanted: KernelSet) -> rustix::io::Result<()> {
    for number in 0..64 {
        let capability = KernelSet::from_bits_retain(1 << number);
        match rustix::thread::capability_is_in_bounding_set(capability) {
            // Above the kernel's last one.
            Err(rustix::io::Errno::INVAL) => break,
            Ok(true) if !wanted.contains(capability) => {
                rustix::thread::remove_capability_from_bounding_set(capability)?;
            }
            other => drop(other?),
        }
    }
    Ok(())
}

fn groups(plan: &Plan) -> Result<(), Failure> {
    let Some(groups) = &plan.groups else { return Ok(()) };
    let list: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    rustix::thread::set_thread_groups(&list).map_err(|error| {
        let failure = Failure::io(error, "set the groups", format_args!("{groups:?}"));
        if error != rustix::io::Errno::INVAL {
            return failure;
        }
        failure.with_hint("the user namespace does not have all of them: see /etc/subgid")
    })
}

fn seccomp(packed: &[u64]) -> Result<(), Failure> {
    let mut program: Vec<Instruction> = packed.iter().copied().map(unpack).collect();
    sys::install_seccomp(&mut program)
        .map_err(|error| Failure::io(error, "install", "the seccomp profile"))
}

/// An instruction as a number.
pub(crate) fn pack(instruction: Instruction) -> u64 {
    let Instruction { code, jt, jf, k } = instruction;
    u64::from(code) << 48 | u64::from(jt) << 40 | u64::from(jf) << 32 | u64::from(k)
}

fn unpack(packed: u64) -> Instruction {
    let [k0, k1, k2, k3, jf, jt, c0, c1] = packed.to_le_bytes();
    Instruction {
        code: u16::from_le_bytes([c0, c1]),
        jt,
        jf,
        k: u32::from_le_bytes([k0, k1, k2, k3]),
    }
}

/// Forks: the parent passes signals on to the child, reaps whatever ends and leaves as the child does; the child goes on
/// to the command, in the foreground of its terminal.
///
/// Source: catatonit, `catatonit.c`.
fn become_init(plan: &Plan, helper: &Channel) -> Result<(), Failure> {
    sys::hold_signals(true);
    let child = sys::fork().map_err(|error| Failure::io(error, "start", "the process"))?;
    let Some(child) = child else {
        // What is typed is for the command alone: it hears of an interrupt once.
        let _ = rustix::process::setpgid(None, None);
        if plan.terminal.is_some() {
            let _ = rustix::termios::tcsetpgrp(rustix::stdio::stdin(), rustix::process::getpid());
        }
        sys::hold_signals(false);
        return Ok(());
    };
    // The socket closes when the command begins, which only the child does.
    let _ = helper;
    let _ = sys::close_from(0, false);
    let _ = rustix::thread::set_name(c"init");
    loop {
        match sys::wait_for_signal() {
            libc::SIGCHLD => {
                while let Some((pid, status)) = sys::reap() {
                    if pid == child.as_raw_nonzero().get() {
                        leave_as(status);
                    }
                }
            }
            // They are about the terminal of this process alone.
            libc::SIGTTIN | libc::SIGTTOU => {}
            signal => sys::kill(child, signal),
        }
    }
}

/// Waits until somebody asks it to end, and reaps orphans meanwhile.
fn stand_still() -> ! {
    sys::hold_signals(true);
    // The socket closes too: it has begun.
    let _ = sys::close_from(0, false);
    let _ = rustix::thread::set_name(c"pause");
    loop {
        match sys::wait_for_signal() {
            libc::SIGCHLD => while sys::reap().is_some() {},
            libc::SIGTERM | libc::SIGINT | libc::SIGQUIT | libc::SIGHUP => sys::exit_now(0),
            _ => {}
        }
    }
}

/// Leaves with the status of another process. Number 1 cannot end by a signal of its own, so that becomes 128 and
/// the signal.
pub(super) fn leave_as(status: i32) -> ! {
    if libc::WIFSIGNALED(status) {
        sys::exit_now(128 + libc::WTERMSIG(status));
    }
    sys::exit_now(libc::WEXITSTATUS(status))
}

/// Finds the command and becomes it. Returns only why it did not.
fn execute(plan: &Plan) -> Failure {
    let shown = String::from_utf8_lossy(&plan.arguments[0]).into_owned();
    let strings = |list: &[Vec<u8>]| -> Result<Vec<CString>, Failure> {
        let text = |bytes: &Vec<u8>| CString::new(bytes.clone());
        list.iter().map(text).collect::<Result<_, _>>().map_err(|_| {
            Failure::new(ErrorKind::InvalidSpec, "exec", &shown).with_detail("a text has a NUL")
        })
    };
    let both =
        strings(&plan.arguments).and_then(|arguments| Ok((arguments, strings(&plan.environment)?)));
    let (arguments, environment) = match both {
        Ok(both) => both,
        Err(failure) => return failure,
    };
    let candidates = if plan.arguments[0].contains(&b'/') {
        vec![plan.arguments[0].clone()]
    } else {
        plan.search.iter().map(|directory| join(directory, &plan.arguments[0])).collect()
    };
    let mut refused = None;
    for candidate in &candidates {
        let Ok(path) = CString::new(candidate.clone()) else { continue };
        let error = sys::execve(&path, &arguments, &environment);
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) if !exists(&path) => {}
            Some(libc::EACCES) if is_directory(&path) && candidates.len() > 1 => {}
            // Shells run what has no header by themselves, and say so in their own way.
            _ if refused.is_none() => refused = Some((candidate.clone(), error)),
            _ => {}
        }
    }
    match refused {
        Some((path, error)) => not_executable(&String::from_utf8_lossy(&path), error),
        None => not_found(plan, &shown),
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let directory = if directory.is_empty() { b".".as_slice() } else { directory };
    [directory, b"/", name].concat()
}

fn exists(path: &CString) -> bool {
    rustix::fs::stat(path.as_c_str()).is_ok()
}

fn is_directory(path: &CString) -> bool {
    rustix::fs::stat(path.as_c_str()).is_ok_and(|found| {
        rustix::fs::FileType::from_raw_mode(found.st_mode) == rustix::fs::FileType::Directory
    })
}

fn not_executable(path: &str, error: std::io::Error) -> Failure {
    let hint = match error.raw_os_error() {
        Some(libc::ENOENT) => Some(
            "the file is there, but its interpreter is not: the first line of a script, or the loader of a program",
        ),
        Some(libc::ENOEXEC) => Some(
            "it is neither a program for this machine nor a script with an interpreter in its first line",
        ),
        Some(libc::EACCES) => Some("it is not executable for this user: see its mode"),
        _ => None,
    };
    let mut failure = Failure::io(error, "exec", path);
    let errno = failure.errno;
    failure = Failure { errno, ..Failure::new(ErrorKind::CommandNotExecutable, "exec", path) };
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

fn not_found(plan: &Plan, shown: &str) -> Failure {
    let failure = Failure::new(ErrorKind::CommandNotFound, "exec", format_args!("{shown:?}"));
    if plan.arguments[0].contains(&b'/') {
        return failure.with_detail("no such file or directory in the root filesystem");
    }
    let tried: Vec<_> =
        plan.search.iter().map(|directory| String::from_utf8_lossy(directory)).collect();
    failure.with_detail(format!("executable file not found in $PATH ({})", tried.join(":")))
}
