//! The members of a layer by the recipe of its stream: their headers, without reading a file.

use std::io::{self, BufRead, BufReader, Read};

use cask_layer::{MemberLimits, Members, TarSplitEntry, TarSplitReader};
use cask_storage::{Id, Store};

use crate::{Error, ErrorKind, Result};

/// The members of a layer whose payloads are zeros.
pub(crate) type Headers = Members<BufReader<Box<dyn Read + Send>>>;

/// Reads the headers of a layer's members.
pub(crate) fn headers(store: &Store, id: &Id) -> Result<Headers> {
    let recipe = store.layer_recipe(id).map_err(|error| Error::storage(error, id))?;
    let stream: Box<dyn Read + Send> = match recipe {
        Some(recipe) => Box::new(Zeroed { recipe, segment: Vec::new(), position: 0, zeros: 0 }),
        // A layer of a container, or one that lost it: then it has to be read.
        None => Box::new(store.read_layer(id).map_err(|error| Error::storage(error, id))?),
    };
    Ok(Members::new(BufReader::new(stream), MemberLimits::default()))
}

/// Says that the members of a layer cannot be read.
pub(crate) fn unreadable(id: &Id, error: cask_layer::TarError) -> Error {
    Error::new(ErrorKind::Storage, format!("layer {}", id.short()), "it cannot be read")
        .with_source(error)
}

/// A tar stream with zeros instead of what is in files.
struct Zeroed<R> {
    recipe: TarSplitReader<R>,
    segment: Vec<u8>,
    position: usize,
    zeros: u64,
}

impl<R: BufRead> Read for Zeroed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.position < self.segment.len() {
                let count = buffer.len().min(self.segment.len() - self.position);
                buffer[..count].copy_from_slice(&self.segment[self.position..][..count]);
                self.position += count;
                return Ok(count);
            }
            if self.zeros > 0 {
                let count = buffer.len().min(usize::try_from(self.zeros).unwrap_or(usize::MAX));
                buffer[..count].fill(0);
                self.zeros -= count as u64;
                return Ok(count);
            }
            match self.recipe.next_entry()? {
                None => return Ok(0),
                Some(TarSplitEntry::Segment(bytes)) => {
                    (self.segment, self.position) = (bytes, 0);
                }
                Some(TarSplitEntry::File { size_bytes, .. }) => self.zeros = size_bytes,
                Some(_) => {
                    return Err(io::Error::other("the recipe has an entry of no known kind"));
                }
            }
        }
    }
}
