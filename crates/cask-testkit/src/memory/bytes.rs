//! Bytes in chunks, honest or not, as a reader or as a stream.

use std::io::{self, Read};

use bytes::Bytes;
use cask_transport::{Error, ErrorKind, UnverifiedBlob};
use futures_util::StreamExt as _;

use super::behaviour::{Behaviour, Lie};

/// One step of reading a blob.
enum Step {
    Chunk(Bytes),
    Break,
    Stall,
}

/// The bytes of a blob from an offset on, as `behaviour` wants them told.
pub(super) fn blob(
    bytes: &Bytes,
    offset: u64,
    lie: Option<Lie>,
    behaviour: &Behaviour,
) -> UnverifiedBlob {
    let is_async = behaviour.is_async || lie == Some(Lie::Stalls);
    let steps = steps(bytes, offset, lie, behaviour.chunk_bytes.max(1));
    if !is_async {
        return UnverifiedBlob::from_read(Steps { steps, chunk: Bytes::new() });
    }
    let stream = futures_util::stream::iter(steps).then(|step| async move {
        tokio::task::yield_now().await;
        match step {
            Step::Chunk(chunk) => Ok(chunk),
            Step::Break => Err(broken()),
            Step::Stall => std::future::pending().await,
        }
    });
    UnverifiedBlob::from_stream(stream.boxed())
}

fn broken() -> Error {
    Error::new(ErrorKind::Network, "reading blob", "").with_detail("the connection broke")
}

type BoxSteps = Box<dyn Iterator<Item = Step> + Send>;

fn steps(bytes: &Bytes, offset: u64, lie: Option<Lie>, chunk_bytes: usize) -> BoxSteps {
    let mut told = bytes.to_vec();
    match lie {
        Some(Lie::OtherBytes) => {
            if let Some(last) = told.last_mut() {
                *last ^= 1;
            }
        }
        Some(Lie::Truncated(size)) => told.truncate(size),
        Some(Lie::Longer) => told.push(0),
        Some(Lie::Breaks | Lie::Stalls) => told.truncate(bytes.len() / 2),
        Some(Lie::Endless | Lie::Missing) | None => {}
    }
    let from = usize::try_from(offset).map_or(told.len(), |offset| offset.min(told.len()));
    let told = Bytes::from(told).slice(from..);
    let starts = (0..told.len()).step_by(chunk_bytes);
    let chunks =
        starts.map(move |at| Step::Chunk(told.slice(at..told.len().min(at + chunk_bytes))));
    match lie {
        Some(Lie::Breaks) => Box::new(chunks.chain([Step::Break])),
        Some(Lie::Stalls) => Box::new(chunks.chain([Step::Stall])),
        Some(Lie::Endless) => {
            let more = Bytes::from(vec![0; chunk_bytes]);
            Box::new(chunks.chain(std::iter::repeat_with(move || Step::Chunk(more.clone()))))
        }
        _ => Box::new(chunks),
    }
}

struct Steps {
    steps: BoxSteps,
    chunk: Bytes,
}

impl Read for Steps {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.chunk.is_empty() {
            match self.steps.next() {
                None => return Ok(0),
                Some(Step::Chunk(chunk)) => self.chunk = chunk,
                // A thread that stalls could never be got rid of: those blobs come as streams.
                Some(Step::Break | Step::Stall) => return Err(broken().into()),
            }
        }
        let bytes = buffer.len().min(self.chunk.len());
        buffer[..bytes].copy_from_slice(&self.chunk.split_to(bytes));
        Ok(bytes)
    }
}
