//! A layer in one pass, and back: what is promised, and what fails first.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use std::io::{self, BufRead, Read};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use cask_image::{Algorithm, Digest, Hasher};
use cask_layer::{
    Compression, ErrorKind, ExportError, ExportOptions, Level, MeasuredRead, Mismatch, UnpackError,
    UnpackOptions, compress, export, unpack, unpack_measured,
};

fn plain() -> Vec<u8> {
    (0..3_000_000_u32).map(|i| (i.wrapping_mul(i) >> 13) as u8).collect()
}

fn packed(plain: &[u8], compression: Compression) -> Vec<u8> {
    let mut writer = compress(Vec::new(), compression, Level::Exact(1), NonZeroUsize::MIN).unwrap();
    io::Write::write_all(&mut writer, plain).unwrap();
    writer.finish().unwrap()
}

fn read_all(stream: &mut dyn BufRead) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map(|_| bytes)
}

fn stopped_early(stream: &mut dyn BufRead) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 10];
    stream.read_exact(&mut bytes).map(|()| bytes)
}

#[test]
fn digests_and_sizes_are_those_of_the_bytes() {
    let plain = plain();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let blob = match compression {
            Compression::None => plain.clone(),
            _ => packed(&plain, compression),
        };
        let mut options = UnpackOptions::default();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let layer = unpack(&blob[..], &options, read_all).unwrap();
            assert!(layer.value == plain);
            assert_eq!(layer.compression, compression);
            assert_eq!(layer.blob_digest, Hasher::digest(Algorithm::Sha256, &blob));
            assert_eq!(layer.blob_size_bytes, blob.len() as u64);
            assert_eq!(layer.diff_size_bytes, plain.len() as u64);
            let layer = unpack(&blob[..], &options, stopped_early).unwrap();
            assert_eq!(layer.diff_size_bytes, plain.len() as u64, "the rest is read");
            options.blob_digest = Some(Hasher::digest(Algorithm::Sha256, &blob));
            options.blob_size_bytes = Some(blob.len() as u64);
            options.diff_digest = Some(Hasher::digest(algorithm, &plain));
            let layer = unpack(&blob[..], &options, read_all).unwrap();
            assert_eq!(Some(layer.diff_digest), options.diff_digest);
        }
    }
}

/// A blob that is hashed where it is read, if it says so.
struct Measured<'a> {
    bytes: &'a [u8],
    says: Option<(Digest, u64)>,
}

impl Read for Measured<'_> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(output)
    }
}

impl MeasuredRead for Measured<'_> {
    fn algorithm(&self) -> Algorithm {
        self.says.as_ref().map_or(Algorithm::Sha256, |(digest, _)| digest.algorithm())
    }

    fn measured(&self) -> Option<(Digest, u64)> {
        self.says.clone()
    }
}

#[test]
fn a_blob_that_is_measured_where_it_is_read_is_believed_and_compared() {
    let plain = plain();
    for compression in [Compression::None, Compression::Gzip] {
        let blob = match compression {
            Compression::None => plain.clone(),
            _ => packed(&plain, compression),
        };
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let size = blob.len() as u64;
            let own = Hasher::digest(algorithm, &blob);
            let measured = |says| Measured { bytes: &blob, says };
            let mut options = UnpackOptions::default();
            let layer =
                unpack_measured(measured(Some((own.clone(), size))), &options, read_all).unwrap();
            assert!(layer.value == plain);
            assert_eq!((&layer.blob_digest, layer.blob_size_bytes), (&own, size));
            assert_eq!(layer.diff_digest, Hasher::digest(Algorithm::Sha256, &plain));
            // It is not hashed once more: what it says is what is told.
            let said = Hasher::digest(algorithm, b"said");
            let layer =
                unpack_measured(measured(Some((said.clone(), size))), &options, read_all).unwrap();
            assert_eq!(layer.blob_digest, said);
            let error = unpack_measured(measured(None), &options, read_all).unwrap_err();
            assert!(matches!(error, UnpackError::Stream(_)), "{error:?}");
            options.blob_digest = Some(own.clone());
            options.blob_size_bytes = Some(size);
            for (digest, size, wrong) in [
                (said, size, "digest did not match"),
                (own.clone(), size - 1, "size did not match"),
                (own, size + 1, "size did not match"),
            ] {
                let blob = measured(Some((digest, size)));
                let error = unpack_measured(blob, &options, read_all).unwrap_err();
                let UnpackError::Blob(mismatch) = error else { panic!("{error:?}") };
                assert!(mismatch.to_string().starts_with(wrong), "{mismatch}");
            }
        }
    }
}

#[test]
fn empty_blobs_are_empty_streams() {
    let layer = unpack(io::empty(), &UnpackOptions::default(), read_all).unwrap();
    assert_eq!((layer.blob_size_bytes, layer.diff_size_bytes), (0, 0));
}

#[test]
fn what_was_promised_is_compared() {
    let plain = plain();
    let wrong = Hasher::digest(Algorithm::Sha256, b"");
    for compression in [Compression::None, Compression::Gzip] {
        let blob = match compression {
            Compression::None => plain.clone(),
            _ => packed(&plain, compression),
        };
        for consumer in [read_all, stopped_early] {
            let check = |change: &dyn Fn(&mut UnpackOptions)| {
                let mut options = UnpackOptions::default();
                change(&mut options);
                unpack(&blob[..], &options, consumer).unwrap_err()
            };
            let error = check(&|options| options.blob_digest = Some(wrong.clone()));
            assert!(matches!(error, UnpackError::Blob(Mismatch::Digest { .. })));
            let error = check(&|options| options.diff_digest = Some(wrong.clone()));
            assert!(matches!(error, UnpackError::Diff(Mismatch::Digest { .. })));
            let len = blob.len() as u64;
            let error = check(&|options| options.blob_size_bytes = Some(len + 1));
            assert!(matches!(error, UnpackError::Blob(Mismatch::TooShort { .. })));
            let error = check(&|options| options.blob_size_bytes = Some(len - 1));
            assert!(matches!(error, UnpackError::Blob(Mismatch::TooLong { .. })), "{error:?}");
            let error = check(&|options| options.limits.max_output_bytes = 1_000_000);
            let UnpackError::Stream(error) = error else { panic!("{error:?}") };
            let kind = cask_layer::Error::of(&error).unwrap().kind();
            assert!(matches!(kind, ErrorKind::LimitExceeded { limit: 1_000_000, .. }));
        }
    }
}

/// Fails after some bytes, and says when it is gone.
struct Faulty<'a> {
    bytes: &'a [u8],
    error: fn() -> io::Error,
    gone: &'a AtomicUsize,
}

impl Read for Faulty<'_> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        match self.bytes.read(output)? {
            0 => Err((self.error)()),
            count => Ok(count),
        }
    }
}

impl Drop for Faulty<'_> {
    fn drop(&mut self) {
        self.gone.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn the_first_cause_is_told() {
    let plain = plain();
    let blob = packed(&plain, Compression::Gzip);
    let gone = AtomicUsize::new(0);
    let faulty =
        |bytes| Faulty { bytes, error: || io::Error::other("the line is dead"), gone: &gone };
    let options = UnpackOptions::default();
    for blob in [&plain[..], &blob[..blob.len() / 2]] {
        let error = unpack(faulty(blob), &options, |stream| {
            read_all(stream).map_err(|error| format!("my own words: {error}"))
        })
        .unwrap_err();
        let UnpackError::Stream(error) = error else { panic!("{error:?}") };
        assert_eq!(error.to_string(), "the line is dead");
    }
    assert_eq!(gone.load(Ordering::SeqCst), 2, "the blob is gone when it returns");

    let error = unpack(&blob[..blob.len() / 2], &options, read_all).unwrap_err();
    let UnpackError::Stream(error) = error else { panic!("{error:?}") };
    assert_eq!(cask_layer::Error::of(&error).unwrap().kind(), ErrorKind::Truncated);

    let error = unpack(io::repeat(0), &options, |_| Err::<(), _>("disk full")).unwrap_err();
    assert!(matches!(error, UnpackError::Consumer("disk full")), "an endless blob is let go");
}

#[test]
#[should_panic(expected = "a scoped thread panicked")]
fn a_blob_that_panics_is_not_an_end() {
    struct Panics(u8);
    impl Read for Panics {
        fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            assert!(self.0 < 3, "as promised");
            output.fill(0);
            Ok(output.len())
        }
    }
    let _ = unpack(Panics(0), &UnpackOptions::default(), read_all);
}

#[test]
fn a_layer_goes_out_as_it_is_and_is_checked() {
    let plain = plain();
    let digest = Hasher::digest(Algorithm::Sha256, &plain);
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut options = ExportOptions::default();
        options.compression = compression;
        options.diff_digest = Some(digest.clone());
        let mut blob = Vec::new();
        let exported = export(&plain[..], &mut blob, &options).unwrap();
        assert_eq!(exported.blob_digest, Hasher::digest(Algorithm::Sha256, &blob));
        assert_eq!(exported.blob_size_bytes, blob.len() as u64);
        let layer = unpack(&blob[..], &UnpackOptions::default(), read_all).unwrap();
        assert_eq!(layer.diff_digest, digest);
        let error = export(&plain[1..], &mut blob, &options).unwrap_err();
        assert!(matches!(error, ExportError::Diff(Mismatch::Digest { .. })));
    }
}
