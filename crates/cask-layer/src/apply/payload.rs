//! From a payload to a file.

use std::fs::File;
use std::io::{BufRead, Write};
use std::os::unix::fs::FileExt;

use super::ApplyError;
use crate::{Fragment, Member, Observe, Payload, TarError};

/// Writes a payload into a new file, each part where it belongs.
pub(super) fn write<R: BufRead, O: Observe>(
    file: &mut File,
    member: &Member,
    payload: &mut Payload<'_, R, O>,
) -> Result<(), ApplyError> {
    let Some(fragments) = &member.sparse else {
        return each(member, payload, member.stream_size_bytes, |_, bytes| file.write_all(bytes));
    };
    for Fragment { offset, length } in fragments {
        each(member, payload, *length, |done, bytes| file.write_all_at(bytes, offset + done))?;
    }
    let resized = file.set_len(member.real_size_bytes);
    resized.map_err(|error| ApplyError::system(&member.name, "its size cannot be set", error))
}

/// Hands out the next `length` bytes in the pieces in which they come, with what came before.
fn each<R: BufRead, O: Observe>(
    member: &Member,
    payload: &mut Payload<'_, R, O>,
    length: u64,
    mut write: impl FnMut(u64, &[u8]) -> std::io::Result<()>,
) -> Result<(), ApplyError> {
    let mut done = 0;
    while done < length {
        let bytes = payload.fill_buf().map_err(|error| match TarError::of(&error) {
            Some(error) => ApplyError::from(error.clone()),
            None => ApplyError::system(&member.name, "its contents cannot be read", error),
        })?;
        let room = usize::try_from(length - done).unwrap_or(usize::MAX);
        let count = bytes.len().min(room);
        write(done, &bytes[..count]).map_err(|error| {
            ApplyError::system(&member.name, "its contents cannot be written", error)
        })?;
        payload.consume(count);
        done += count as u64;
    }
    Ok(())
}
