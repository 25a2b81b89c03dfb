//! The socket between the executor and its helper: messages with file descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

/// Descriptors in one message: the kernel takes 253.
pub(crate) const MOST_DESCRIPTORS: usize = 200;
/// Bytes of one message.
const LONGEST: usize = 32 << 10;

/// One end of the socket.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

/// A message.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) body: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Channel {
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (near, far) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self(near), Self(far)))
    }

    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// The same end by another descriptor, whose number is at least `lowest`.
    pub(crate) fn above(&self, lowest: i32) -> io::Result<Self> {
        Ok(Self(rustix::io::fcntl_dupfd_cloexec(&self.0, lowest)?))
    }

    pub(crate) fn into_inner(self) -> OwnedFd {
        self.0
    }

    /// Sends one message; its body is cut at 32 KiB.
    pub(crate) fn send(
        &self,
        kind: u8,
        body: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::from(rustix::io::Errno::TOOBIG));
        }
        let body = &body[..body.len().min(LONGEST - 1)];
        let kind = [kind];
        let parts = [IoSlice::new(&kind), IoSlice::new(body)];
        loop {
            match rustix::net::sendmsg(&self.0, &parts, &mut control, SendFlags::NOSIGNAL) {
                Err(rustix::io::Errno::INTR) => {}
                other => return other.map(drop).map_err(io::Error::from),
            }
        }
    }

    /// Waits for the next message. `None` where the other end is gone.
    pub(crate) fn receive(&self) -> io::Result<Option<Frame>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = vec![0; LONGEST];
        let received = loop {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            match rustix::net::recvmsg(&self.0, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                other => break other?,
            }
        };
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                descriptors.extend(received);
            }
        }
        bytes.truncate(received.bytes);
        let Some((&kind, body)) = bytes.split_first() else { return Ok(None) };
        Ok(Some(Frame { kind, body: body.to_vec(), descriptors }))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
