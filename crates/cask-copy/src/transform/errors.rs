//! Errors of decoders and encoders, in the words of the seam.

use std::io::{self, Read};

use cask_image::Digest;
use cask_layer::ErrorKind as LayerErrorKind;
use cask_transport::{Error, ErrorKind};

/// A reader whose errors say which layer they are about, and of which kind they are.
pub(super) struct LayerErrors<R> {
    pub(super) read: R,
    pub(super) layer: Digest,
}

impl<R: Read> Read for LayerErrors<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => layer_error(error, &self.layer).into(),
        })
    }
}

/// Says what kind of error it is that came while a layer was decompressed or compressed.
pub(super) fn layer_error(error: io::Error, layer: &Digest) -> Error {
    let operation = "reading layer";
    if error.get_ref().is_some_and(|inner| inner.is::<Error>()) {
        return Error::from_io(error, operation, layer);
    }
    let kind = match cask_layer::Error::of(&error).map(cask_layer::Error::kind) {
        Some(LayerErrorKind::LimitExceeded { .. } | LayerErrorKind::OutOfMemory) => {
            ErrorKind::LimitExceeded
        }
        Some(LayerErrorKind::Corrupt | LayerErrorKind::Truncated) => ErrorKind::Corrupt,
        Some(LayerErrorKind::Unsupported | LayerErrorKind::InvalidLevel) => ErrorKind::Unsupported,
        _ => return Error::from_io(error, operation, layer),
    };
    Error::new(kind, operation, layer).with_source(cask_layer::Error::from(error))
}
