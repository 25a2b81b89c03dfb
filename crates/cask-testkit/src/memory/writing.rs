//! Reading the body of a blob in the ways in which places do.

use cask_image::{Algorithm, Hasher, Manifest, RawManifest};
use cask_transport::{BlobBody, BlobReader, Error, ErrorKind, Measured, Result, blocking};

use super::behaviour::{Behaviour, Writing};
use crate::generate::Blob;

/// Reads a body whole; fails in its middle if `fails` says so. `algorithm` is that of the blob's
/// digest.
pub(super) async fn read(
    body: &BlobBody,
    algorithm: Algorithm,
    behaviour: &Behaviour,
    fails: Result<()>,
) -> Result<(Measured, Vec<u8>)> {
    let mut bytes = Vec::new();
    let promised = match behaviour.writing {
        Writing::Measured => Some(body.measure().await?),
        Writing::Once | Writing::Resumed => None,
    };
    let mut reader = body.open().await?;
    if fails.is_err() || behaviour.writing == Writing::Resumed {
        let first = reader.next().await?;
        fails?;
        let first = first.unwrap_or_default();
        bytes.extend_from_slice(&first[..first.len() / 2]);
        let mut prefix = Hasher::new(algorithm);
        prefix.update(&bytes);
        drop(reader);
        reader = body.open_after(&prefix).await?;
    }
    let measured = rest(reader, behaviour.is_async, &mut bytes).await?;
    if promised.is_some_and(|promised| promised != measured) {
        return Err(Error::new(ErrorKind::Corrupt, "reading a body again", &measured.digest)
            .with_detail("it was another one before"));
    }
    Ok((measured, bytes))
}

/// Reads what is left.
async fn rest(mut reader: BlobReader, is_async: bool, bytes: &mut Vec<u8>) -> Result<Measured> {
    if !is_async {
        let (measured, rest) = blocking(move || {
            let mut rest = Vec::new();
            let failed = |error| Error::from_io(error, "writing blob", "");
            let measured = reader.into_read().copy_to(&mut rest, failed)?;
            Ok((measured, rest))
        })
        .await?;
        bytes.extend(rest);
        return Ok(measured);
    }
    while let Some(chunk) = reader.next().await? {
        bytes.extend_from_slice(&chunk);
        tokio::task::yield_now().await;
    }
    reader.drain().await
}

/// Whether bytes begin as a compressed stream does. Written here once more, so that the store does
/// not agree with the code under test.
pub(super) fn is_compressed(bytes: &[u8]) -> bool {
    let magic: [&[u8]; 4] =
        [&[0x1f, 0x8b, 0x08], &[0x28, 0xb5, 0x2f, 0xfd], b"BZh", &[0xfd, b'7', b'z', b'X', b'Z']];
    magic.iter().any(|magic| bytes.starts_with(magic))
}

/// Parses a manifest that is written.
pub(super) fn parse_raw(manifest: &RawManifest) -> Result<Manifest> {
    manifest.parse().map_err(|error| {
        Error::new(ErrorKind::Corrupt, "writing manifest", manifest.digest()).with_source(error)
    })
}

/// Parses a manifest that was written.
pub(super) fn parse(manifest: &Blob) -> Result<Manifest> {
    let Blob { descriptor, bytes } = manifest;
    parse_raw(&RawManifest::new(bytes.clone(), descriptor.media_type.clone()))
}
