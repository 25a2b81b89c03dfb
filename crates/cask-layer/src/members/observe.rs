//! Seeing every byte that goes by.

use std::io;

use super::Member;

/// Sees everything that [`Members`](crate::Members) reads: the headers, payloads and trailer of a
/// stream, each byte once and in order, whoever consumes or skips them.
///
/// The tar-split recorder is one; `()` looks at nothing.
pub trait Observe {
    /// Sees the next member, before its payload and before the caller does.
    ///
    /// # Errors
    /// Any; reading fails with it.
    fn header(&mut self, member: &Member) -> io::Result<()> {
        let _ = member;
        Ok(())
    }

    /// Sees the next bytes of the payload. A failure is kept for the next call that can fail.
    fn payload(&mut self, bytes: &[u8]) {
        let _ = bytes;
    }

    /// Sees the next bytes of what follows the last member, up to the end of the stream.
    ///
    /// # Errors
    /// Any; reading fails with it.
    fn trailer(&mut self, bytes: &[u8]) -> io::Result<()> {
        let _ = bytes;
        Ok(())
    }
}

impl Observe for () {}

impl<O: Observe + ?Sized> Observe for &mut O {
    fn header(&mut self, member: &Member) -> io::Result<()> {
        (**self).header(member)
    }

    fn payload(&mut self, bytes: &[u8]) {
        (**self).payload(bytes);
    }

    fn trailer(&mut self, bytes: &[u8]) -> io::Result<()> {
        (**self).trailer(bytes)
    }
}
