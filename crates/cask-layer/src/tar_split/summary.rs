//! What a tar-split file tells of its layer, without the layer's files.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Read};

use super::tree::clean;
use super::{TarSplitEntry, TarSplitError, TarSplitReader};
use crate::apply::low_bits;
use crate::{MemberLimits, Members};

/// What stands for a payload that is not there.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// What a tar-split file tells of its layer, without the layer's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TarSplitSummary {
    /// The size of the tar stream in bytes.
    pub size_bytes: u64,
    /// Users and groups that own something, as [`Applied`](crate::Applied) has them. `None` where a header depends on
    /// a payload, which is not there.
    pub owners: Option<(BTreeSet<u32>, BTreeSet<u32>)>,
}

/// Reads a tar-split file to its end and tells what is in it of the layer.
///
/// ```
/// use cask_layer::{TarSplitWriter, summarize};
///
/// let mut writer = TarSplitWriter::new(Vec::new())?;
/// writer.segment(&[0; 1024])?;
/// let summary = summarize(&writer.finish()?[..])?;
/// assert_eq!(summary.size_bytes, 1024);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`TarSplitReader`].
pub fn summarize(tar_split: impl Read) -> Result<TarSplitSummary, TarSplitError> {
    let mut stream = Hollow::new(tar_split)?;
    let owners = owners(&mut stream);
    while stream.left().map_err(of_io)? > 0 {
        let left = stream.left().map_err(of_io)?;
        stream.consume(left);
    }
    Ok(TarSplitSummary { size_bytes: stream.given, owners })
}

/// Who owns something; nothing where the stream makes no sense without its payloads.
fn owners<R: Read>(stream: &mut Hollow<R>) -> Option<(BTreeSet<u32>, BTreeSet<u32>)> {
    let mut owners = (BTreeSet::new(), BTreeSet::new());
    let mut members = Members::new(stream, MemberLimits::default());
    while let Some(entry) = members.next_member().ok()? {
        let (parts, _) = clean(&entry.member.name);
        // A whiteout owns nothing.
        if parts.last().is_none_or(|last| !last.starts_with(b".wh.")) {
            owners.0.insert(low_bits(entry.member.uid));
            owners.1.insert(low_bits(entry.member.gid));
        }
    }
    Some(owners)
}

/// A tar stream with zeros for the payloads that are in files.
struct Hollow<R> {
    entries: TarSplitReader<R>,
    segment: Vec<u8>,
    position: usize,
    /// How many zeros come before the next segment.
    zeros: u64,
    /// How many bytes were given.
    given: u64,
    /// What is given again: reading on after it would leave something out.
    failure: Option<TarSplitError>,
}

impl<R: Read> Hollow<R> {
    fn new(tar_split: R) -> Result<Self, TarSplitError> {
        let entries = TarSplitReader::new(tar_split).map_err(of_io)?;
        Ok(Self { entries, segment: Vec::new(), position: 0, zeros: 0, given: 0, failure: None })
    }

    /// How many bytes can be given at once.
    fn left(&mut self) -> io::Result<usize> {
        self.fill_buf().map(<[u8]>::len)
    }
}

impl<R: Read> BufRead for Hollow<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.position == self.segment.len() && self.zeros == 0 {
            if let Some(failure) = &self.failure {
                return Err(failure.clone().into());
            }
            let entry = self.entries.next_entry().inspect_err(|error| {
                self.failure = Some(error.clone());
            });
            match entry? {
                None => return Ok(&[]),
                Some(TarSplitEntry::Segment(bytes)) => {
                    self.segment = bytes;
                    self.position = 0;
                }
                // A link with a size and no payload, of which peers write the checksum of nothing.
                Some(TarSplitEntry::File { crc: Some(0), .. }) => {}
                Some(TarSplitEntry::File { size_bytes, .. }) => self.zeros = size_bytes,
            }
        }
        if self.zeros > 0 {
            let count = usize::try_from(self.zeros).map_or(ZEROS.len(), |all| all.min(ZEROS.len()));
            return Ok(&ZEROS[..count]);
        }
        Ok(&self.segment[self.position..])
    }

    fn consume(&mut self, count: usize) {
        self.given += count as u64;
        if self.zeros > 0 {
            self.zeros = self.zeros.saturating_sub(count as u64);
        } else {
            self.position = (self.position + count).min(self.segment.len());
        }
    }
}

impl<R: Read> Read for Hollow<R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(output.len());
        output[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// The error that was wrapped, or that of reading.
fn of_io(error: io::Error) -> TarSplitError {
    match TarSplitError::of(&error) {
        Some(own) => own.clone(),
        None => TarSplitError::new(super::TarSplitErrorKind::Io, 0, "").because(error),
    }
}
