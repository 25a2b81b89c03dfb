//! What a monitor and whoever is attached to it say to one another: packets of one byte for the kind, and a body.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

/// The longest body.
pub(crate) const LONGEST: usize = 32 << 10;

/// The most descriptors of a packet: input, output and errors.
pub(crate) const MOST_DESCRIPTORS: usize = 3;

/// Client: input for the container.
pub(crate) const INPUT: u8 = 0;
/// Client: there is no more input.
pub(crate) const INPUT_END: u8 = 1;
/// Monitor: output.
pub(crate) const OUTPUT: u8 = 2;
/// Monitor: output for errors.
pub(crate) const ERROR: u8 = 3;
/// Client: rows and columns, 16 bits each, little endian.
pub(crate) const RESIZE: u8 = 4;
/// Client: a signal, one byte.
pub(crate) const SIGNAL: u8 = 5;
/// Client: how the container is checked was changed. Monitor: it knows.
pub(crate) const HEALTH: u8 = 6;
/// Client, first of all: what a new monitor shall do.
pub(crate) const ORDER: u8 = 16;
/// Client, first of all: a container that waits before its command shall begin; with its lock.
pub(crate) const BEGIN: u8 = 20;
/// Monitor: the container runs.
pub(crate) const STARTED: u8 = 17;
/// Monitor: it does not; the body says why.
pub(crate) const FAILED: u8 = 18;
/// Monitor: it has ended; the exit code, 32 bits, little endian.
pub(crate) const ENDED: u8 = 19;

/// A packet.
pub(crate) struct Packet {
    pub(crate) kind: u8,
    pub(crate) body: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// Two sockets that are connected.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Sends a packet; `false` where the other end would have to be waited for, and `wait` is not set.
pub(crate) fn send(socket: impl AsFd, kind: u8, body: &[u8], wait: bool) -> io::Result<bool> {
    send_with(socket, kind, body, &[], wait)
}

/// Sends a packet with descriptors: [`MOST_DESCRIPTORS`] at most.
pub(crate) fn send_with(
    socket: impl AsFd,
    kind: u8,
    body: &[u8],
    descriptors: &[BorrowedFd<'_>],
    wait: bool,
) -> io::Result<bool> {
    let kind = [kind];
    let parts = [IoSlice::new(&kind), IoSlice::new(body)];
    let mut flags = SendFlags::NOSIGNAL;
    flags.set(SendFlags::DONTWAIT, !wait);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut more = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !more.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::from(Errno::TOOBIG));
    }
    loop {
        match rustix::net::sendmsg(&socket, &parts, &mut more, flags) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(false),
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(true),
        }
    }
}

/// Waits for a packet. `None` where the other end is gone.
pub(crate) fn receive(socket: impl AsFd) -> io::Result<Option<Packet>> {
    let mut bytes = vec![0; LONGEST + 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut more = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        match rustix::net::recvmsg(&socket, &mut parts, &mut more, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            Err(Errno::CONNRESET) => return Ok(None),
            other => break other?,
        }
    };
    let descriptors = more
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    bytes.truncate(received.bytes);
    if bytes.is_empty() {
        return Ok(None);
    }
    let body = bytes.split_off(1);
    Ok(Some(Packet { kind: bytes[0], body, descriptors }))
}

/// The name of a socket through its directory: its path may be longer than an address can be.
pub(crate) fn address(path: &Path) -> io::Result<(OwnedFd, SocketAddrUnix)> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let held = rustix::fs::openat(CWD, directory, flags, Mode::empty())?;
    let name = path.file_name().unwrap_or_default();
    let short = Path::new("/proc/self/fd").join(held.as_raw_fd().to_string()).join(name);
    Ok((held, SocketAddrUnix::new(short)?))
}

fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// Listens at a path, where whatever was there is replaced.
pub(crate) fn listen(path: &Path) -> io::Result<OwnedFd> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let (_held, address) = address(path)?;
    let listener = socket()?;
    rustix::net::bind(&listener, &address)?;
    rustix::net::listen(&listener, 16)?;
    Ok(listener)
}

/// Connects to whoever listens at a path.
pub(crate) fn connect(path: &Path) -> io::Result<OwnedFd> {
    let (_held, address) = address(path)?;
    let socket = socket()?;
    rustix::net::connect(&socket, &address)?;
    Ok(socket)
}
