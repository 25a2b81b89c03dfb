//! The reader of tar-split files.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{TarSplitEntry, TarSplitError, TarSplitErrorKind};
use crate::{DecompressLimits, DecompressReader, DetectedReader, decompress, detect_reader};

/// The most bytes of one line: headers of 24 MiB. Peers write at most 1 MiB a segment except for
/// headers, which [`MemberLimits`](crate::MemberLimits) keeps below that.
const LINE_BYTES: u64 = 32 << 20;

/// Reads a tar-split file, whoever wrote it.
///
/// Compressed or plain is found out. Memory: one line, at most 32 MiB.
pub struct TarSplitReader<R> {
    input: BufReader<DecompressReader<DetectedReader<R>>>,
    line: Vec<u8>,
    /// Further entries of a line that held several.
    ready: VecDeque<TarSplitEntry>,
    position: u64,
}

#[derive(Deserialize)]
struct Line<'a> {
    r#type: i64,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name_raw: Option<Cow<'a, str>>,
    #[serde(default)]
    size: Option<u64>,
    #[serde(borrow, default)]
    payload: Option<Cow<'a, str>>,
}

impl<R: Read> TarSplitReader<R> {
    /// Starts to read.
    ///
    /// # Errors
    /// Those of the reader below.
    pub fn new(reader: R) -> io::Result<Self> {
        let (compression, reader) = detect_reader(reader)?;
        let reader = decompress(reader, compression, DecompressLimits::default());
        Ok(Self {
            input: BufReader::with_capacity(64 * 1024, reader),
            line: Vec::new(),
            ready: VecDeque::new(),
            position: 0,
        })
    }

    /// Gives the next entry; nothing at the end.
    ///
    /// # Errors
    /// [`Corrupt`](TarSplitErrorKind::Corrupt), [`TooLarge`](TarSplitErrorKind::TooLarge), or
    /// [`Io`](TarSplitErrorKind::Io), which faulty compression is too.
    pub fn next_entry(&mut self) -> Result<Option<TarSplitEntry>, TarSplitError> {
        while self.ready.is_empty() {
            self.line.clear();
            let mut limited = (&mut self.input).take(LINE_BYTES + 1);
            let count = limited.read_until(b'\n', &mut self.line).map_err(|error| {
                TarSplitError::new(TarSplitErrorKind::Io, self.position, "").because(error)
            })?;
            if count == 0 {
                return Ok(None);
            }
            if count as u64 > LINE_BYTES {
                let detail = format!("a line may have {LINE_BYTES} bytes");
                let kind = TarSplitErrorKind::TooLarge;
                return Err(TarSplitError::new(kind, self.position, detail));
            }
            self.parse()?;
        }
        self.position += 1;
        Ok(self.ready.pop_front())
    }

    /// How many entries were given.
    pub fn entries(&self) -> u64 {
        self.position
    }

    fn parse(&mut self) -> Result<(), TarSplitError> {
        let lines = serde_json::Deserializer::from_slice(&self.line).into_iter::<Line>();
        for (entry, line) in (self.position..).zip(lines) {
            let corrupt =
                |detail: String| TarSplitError::new(TarSplitErrorKind::Corrupt, entry, detail);
            let line = line.map_err(|error| corrupt(error.to_string()))?;
            let decode = |field, text: &str| {
                STANDARD.decode(text).map_err(|error| corrupt(format!("{field}: {error}")))
            };
            let payload = decode("payload", line.payload.as_deref().unwrap_or_default())?;
            self.ready.push_back(match line.r#type {
                2 => TarSplitEntry::Segment(payload),
                1 => {
                    let raw = line.name_raw.as_deref().unwrap_or_default();
                    let name = match decode("name_raw", raw)? {
                        raw if !raw.is_empty() => raw,
                        _ => line.name.unwrap_or_default().into_owned().into_bytes(),
                    };
                    let crc = match payload[..] {
                        [] => None,
                        _ => Some(payload.try_into().map_err(|_| {
                            corrupt("payload: a checksum has 8 bytes".to_owned()).about(&name)
                        })?),
                    };
                    let crc = crc.map(u64::from_be_bytes);
                    TarSplitEntry::File { name, size_bytes: line.size.unwrap_or(0), crc }
                }
                other => return Err(corrupt(format!("unknown type {other}"))),
            });
        }
        Ok(())
    }
}

impl<R> fmt::Debug for TarSplitReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TarSplitReader").field("entries", &self.position).finish_non_exhaustive()
    }
}
