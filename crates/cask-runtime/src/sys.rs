//! The system calls that rustix has no safe function for. Nothing else in the crate is `unsafe`.
#![expect(unsafe_code, reason = "the one place of the crate for calls that have no safe wrapper")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// One instruction of a seccomp program, as the kernel reads it.
pub(crate) type Instruction = libc::sock_filter;

/// One instruction of a program for the virtual machine of the kernel.
///
/// Source: linux/bpf.h, `bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FilterInstruction {
    pub(crate) code: u8,
    /// Four bits for where the result goes, and above them four for where the other operand is.
    pub(crate) registers: u8,
    pub(crate) offset: i16,
    pub(crate) immediate: i32,
}

/// How a child ended and what it used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waited {
    pub(crate) status: i32,
    pub(crate) usage: libc::rusage,
}

/// Duplicates the process. The caller must be single-threaded: the helper is, and who enters a user namespace asks.
///
/// `None` in the child.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the process has one thread, so the child finds no lock held by a thread that it does not have.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// Makes a child that does nothing until it is killed, at the latest when the thread that asks for it ends.
pub(crate) fn idle_process() -> io::Result<Pid> {
    // SAFETY: the child calls prctl and pause alone, which are safe whatever its threads did.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => loop {
            // SAFETY: as above.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                libc::pause();
            }
        },
        pid => Pid::from_raw(pid).ok_or_else(|| io::Error::from_raw_os_error(libc::ECHILD)),
    }
}

/// Waits for the end of one child.
pub(crate) fn wait4(pid: Pid) -> io::Result<Waited> {
    loop {
        let mut status = 0;
        // SAFETY: rusage is plain numbers, for which zero is a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to live values of the types that the call fills.
        let found = unsafe { libc::wait4(pid.as_raw_nonzero().get(), &mut status, 0, &mut usage) };
        if found >= 0 {
            return Ok(Waited { status, usage });
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Reaps any child that has ended; waits for one. `None` where there is no child.
pub(crate) fn wait_any() -> Option<(i32, i32)> {
    wait_with(0)
}

/// Reaps a child that has ended, if one has.
pub(crate) fn reap() -> Option<(i32, i32)> {
    wait_with(libc::WNOHANG)
}

fn wait_with(options: i32) -> Option<(i32, i32)> {
    loop {
        let mut status = 0;
        // SAFETY: the pointer is to a live value of the type that the call fills.
        match unsafe { libc::waitpid(-1, &mut status, options) } {
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            pid => return (pid > 0).then_some((pid, status)),
        }
    }
}

/// Has signals wait for [`wait_for_signal`], or come as they do for a process that begins. One that waits comes even
/// where it would mean nothing, as most do to number 1.
pub(crate) fn hold_signals(hold: bool) {
    // SAFETY: the set is initialised by the first call, before it is used.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        match hold {
            true => libc::sigfillset(&mut set),
            false => libc::sigemptyset(&mut set),
        };
        libc::sigprocmask(libc::SIG_SETMASK, &set, ptr::null_mut());
    }
}

/// Waits for any signal that is held.
pub(crate) fn wait_for_signal() -> i32 {
    loop {
        // SAFETY: the set is initialised before it is used, and nobody asks what else is known of the signal.
        let signal = unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::sigwaitinfo(&all, ptr::null_mut())
        };
        if signal > 0 {
            return signal;
        }
    }
}

/// Sends a signal; whoever has ended needs none.
pub(crate) fn kill(pid: Pid, signal: i32) {
    // SAFETY: the call has no pointers.
    unsafe { libc::kill(pid.as_raw_nonzero().get(), signal) };
}

/// Replaces the process; returns only where that failed.
pub(crate) fn execve(path: &CString, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: path and every element are NUL-terminated and live; both lists end with a null pointer.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Leaves at once, without destructors.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: _exit has no precondition.
    unsafe { libc::_exit(status) }
}

/// Gives the process namespaces of its own. The caller must be single-threaded.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: the process has one thread and the flags are of namespaces, not of the table of files.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(io::Error::from)
}

/// Sets attributes and the propagation of a mount, or of a tree of them.
pub(crate) fn mount_setattr(
    mount: BorrowedFd<'_>,
    recursive: bool,
    set: u64,
    propagation: u64,
) -> io::Result<()> {
    let attributes = libc::mount_attr { attr_set: set, attr_clr: 0, propagation, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty NUL-terminated string, the pointer and the size are those of a live mount_attr.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gives the kernel a program that says which devices the processes of a control group may use.
///
/// Source: bpf(2); linux/bpf.h, `BPF_PROG_LOAD` and `BPF_PROG_TYPE_CGROUP_DEVICE`.
pub(crate) fn load_device_filter(program: &[FilterInstruction]) -> io::Result<OwnedFd> {
    /// The beginning of `union bpf_attr`; what is behind it is zero.
    #[repr(C)]
    struct Load {
        kind: u32,
        count: u32,
        instructions: u64,
        license: u64,
        log: [u64; 2],
        version_and_flags: [u32; 2],
    }
    let load = Load {
        kind: 15,
        count: u32::try_from(program.len()).map_err(io::Error::other)?,
        instructions: program.as_ptr().addr() as u64,
        license: c"Apache-2.0".as_ptr().addr() as u64,
        log: [0; 2],
        version_and_flags: [0; 2],
    };
    // SAFETY: the pointer and the size are those of a live value, and so are what it points to and how many there are.
    let result = unsafe { libc::syscall(libc::SYS_bpf, 5, &raw const load, size_of::<Load>()) };
    match i32::try_from(result) {
        // SAFETY: the call just made this descriptor, which nobody else has.
        Ok(descriptor @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has such a program count for a control group, beside those that count for it already.
///
/// Source: bpf(2); linux/bpf.h, `BPF_PROG_ATTACH`, `BPF_CGROUP_DEVICE` and `BPF_F_ALLOW_MULTI`.
pub(crate) fn attach_device_filter(
    group: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
) -> io::Result<()> {
    let attach: [i32; 4] = [group.as_raw_fd(), program.as_raw_fd(), 6, 2];
    // SAFETY: the pointer and the size are those of a live value.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, 8, &raw const attach, size_of_val(&attach)) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has a mount that is attached nowhere, or a tree of them, show owners as a user namespace maps them.
pub(crate) fn shift_owners(
    mount: BorrowedFd<'_>,
    recursive: bool,
    namespace: BorrowedFd<'_>,
) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: u64::try_from(namespace.as_raw_fd()).map_err(io::Error::other)?,
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty NUL-terminated string, the pointer and the size are those of a live mount_attr.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Starts a child that is in a user namespace of its own, says so through `ready` with the number of an error, or 0,
/// and ends when the other end of `leave` is closed. This process may have threads.
pub(crate) fn fork_into_user_namespace(
    ready: BorrowedFd<'_>,
    [leave, other]: [BorrowedFd<'_>; 2],
) -> io::Result<Pid> {
    let (ready, leave, other) = (ready.as_raw_fd(), leave.as_raw_fd(), other.as_raw_fd());
    // SAFETY: the child of a process with threads may only do what a handler of signals may: it makes calls of the
    // kernel, with numbers and with one byte of its own stack, and leaves without destructors.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => unsafe {
            libc::close(other);
            let mut byte = match libc::unshare(libc::CLONE_NEWUSER) {
                0 => 0,
                _ => u8::try_from(*libc::__errno_location()).unwrap_or(u8::MAX),
            };
            libc::write(ready, (&raw const byte).cast(), 1);
            while libc::read(leave, (&raw mut byte).cast(), 1) == -1
                && *libc::__errno_location() == libc::EINTR
            {}
            libc::_exit(0)
        },
        pid => Pid::from_raw(pid).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH)),
    }
}

/// Puts the process under a seccomp program.
pub(crate) fn install_seccomp(program: &mut [Instruction]) -> io::Result<()> {
    let length =
        u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: the program is a live list of as many instructions as it says.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has `number` be another name of what `from` refers to, which the next execve leaves open.
///
/// The caller has nothing open at that number that it will use or close again.
pub(crate) fn pass(from: BorrowedFd<'_>, number: u32) -> io::Result<()> {
    let number = i32::try_from(number).map_err(io::Error::other)?;
    // SAFETY: what was open at this number is owned by nobody who goes on: this process becomes another one, or leaves
    // without destructors.
    match unsafe { libc::dup2(from.as_raw_fd(), number) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Whether a number is that of a descriptor that this program was started with.
pub(crate) fn is_inherited(number: i32) -> bool {
    // SAFETY: asking for the flags of any number changes nothing.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    flags >= 0 && flags & libc::FD_CLOEXEC == 0
}

/// Takes over a descriptor that this program was started with. `None` where there is none of that number, and where it
/// is one that the program opened itself.
pub(crate) fn take_inherited(number: i32) -> Option<OwnedFd> {
    if !is_inherited(number) {
        return None;
    }
    // SAFETY: a flag of a descriptor is set; what is open stays so.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return None;
    }
    // SAFETY: it is open. All that this program opens has the flag from the beginning, so it was open before, and
    // nobody owns it; nor will a second call of this function find it without the flag.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// What the kernel pretends to be for this process, and for all that it starts.
pub(crate) fn set_personality(number: u32) -> io::Result<()> {
    // SAFETY: the call takes a number and reads no memory.
    match unsafe { libc::personality(number.into()) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Closes every descriptor from `first` on, or lets the next execve do it.
pub(crate) fn close_from(first: u32, on_exec: bool) -> io::Result<()> {
    let flags = if on_exec { libc::CLOSE_RANGE_CLOEXEC } else { 0 };
    // SAFETY: the helper owns nothing above its three standard descriptors when it closes them, and with the
    // flag nothing is closed yet.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gives every signal its default meaning and blocks none, as a process expects to begin.
pub(crate) fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: the default action is no handler; a signal that cannot be changed is an error that changes nothing.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    hold_signals(false);
}

/// Gives the process a keyring of its own in place of its session's.
pub(crate) fn new_session_keyring() -> io::Result<()> {
    let none: *const libc::c_char = ptr::null();
    // SAFETY: without a name the call reads no memory of ours.
    let result =
        unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, none) };
    if result >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Brings up the loopback interface of the network namespace.
pub(crate) fn loopback_up(socket: impl AsFd) -> io::Result<()> {
    // SAFETY: ifreq is plain data, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    let up = libc::IFF_UP | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(up).expect("both flags are below 2^15");
    // SAFETY: the request reads a live ifreq and writes nothing outside of it.
    let result = unsafe {
        libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends a signal of any number to the process that a descriptor refers to.
pub(crate) fn pidfd_send_signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let none: *const libc::siginfo_t = ptr::null();
    // SAFETY: without information about the signal the call reads no memory of ours.
    let result =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, none, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
