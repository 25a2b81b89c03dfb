//! Bodies of requests and responses.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};

/// The body of a request.
pub type RequestBody = UnsyncBoxBody<Bytes, io::Error>;

/// The body of a response. Where it gives an error, the connection is cut.
pub type ResponseBody = UnsyncBoxBody<Bytes, io::Error>;

/// How many bytes of a file are read at a time: 256 KiB.
const READ_BYTES: usize = 256 << 10;

/// A body without content.
pub fn empty_body() -> ResponseBody {
    full_body(Bytes::new())
}

/// A body whose content is in memory.
pub fn full_body(bytes: impl Into<Bytes>) -> ResponseBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body that is a part of a file, read as fast as the client takes it. If the file ends early,
/// it gives an error.
pub(crate) fn file_body(file: File, first: u64, length: u64) -> ResponseBody {
    let state = (Arc::new(file), first, length);
    let stream = futures_util::stream::try_unfold(state, |(file, at, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let wanted = usize::try_from(left).unwrap_or(READ_BYTES).min(READ_BYTES);
        let source = Arc::clone(&file);
        let bytes = tokio::task::spawn_blocking(move || read_piece(&source, at, wanted))
            .await
            .map_err(io::Error::other)??;
        let read = bytes.len() as u64;
        Ok(Some((Frame::data(bytes), (file, at + read, left - read))))
    });
    StreamBody::new(stream).boxed_unsync()
}

fn read_piece(file: &File, at: u64, wanted: usize) -> io::Result<Bytes> {
    let mut buffer = vec![0; wanted];
    let read = loop {
        match file.read_at(&mut buffer, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result?,
        }
    };
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    buffer.truncate(read);
    Ok(buffer.into())
}
