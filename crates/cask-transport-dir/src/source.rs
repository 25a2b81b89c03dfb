//! Reading the directory.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use cask_files::{Held, LockKind, try_lock};
use cask_image::{Algorithm, Descriptor, Digest, Hasher, MAX_MANIFEST_BYTES, RawManifest};
use cask_transport::{
    Error, ErrorKind, Result, Selector, Signature, Source, UnverifiedBlob, UnverifiedManifest,
    blocking,
};

use crate::destination::too_many_signatures;
use crate::directory::Directory;
use crate::limits::{MAX_SIGNATURE_BYTES, MAX_SIGNATURES, MAX_SIGNATURES_BYTES};
use crate::names::{self, MANIFEST};
use crate::replace;

/// How often an image may be replaced while it is being opened.
const ATTEMPTS: usize = 100;

/// An opened directory.
#[derive(Clone)]
pub(crate) struct DirSource(Arc<Opened>);

struct Opened {
    directory: Directory,
    /// The top as it was when the directory was opened. Nothing else names it.
    top: RawManifest,
    /// The top's other digests, once somebody asks by one.
    top_digests: OnceLock<[Digest; 2]>,
    /// Where the top was read from. Its lock tells writers that the image is being read.
    manifest: Held<File>,
}

impl DirSource {
    /// Opens the directory and looks at its manifest.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let directory = Directory::open(path)
            .map_err(|error| Error::from_io(error.into(), "opening", path.display()))?;
        for _ in 0..ATTEMPTS {
            replace::read_version(&directory)?;
            let Some(manifest) = directory.file(MANIFEST)? else {
                let subject = path.join(MANIFEST);
                return Err(Error::new(ErrorKind::NotFound, "opening", subject.display())
                    .with_detail("no such file: the directory holds no image"));
            };
            // The lock is a courtesy; it counts only if taken before a writer looked for it.
            let manifest = Held::new(manifest);
            try_lock(&manifest, LockKind::Shared);
            if !directory.is_still(MANIFEST, &manifest) {
                continue;
            }
            let bytes = directory.read_opened(manifest.get(), MANIFEST, MAX_MANIFEST_BYTES)?;
            let top = RawManifest::guess(bytes).map_err(|error| {
                let subject = path.join(MANIFEST);
                Error::new(ErrorKind::Corrupt, "reading", subject.display()).with_source(error)
            })?;
            let top_digests = OnceLock::new();
            return Ok(Self(Arc::new(Opened { directory, top, top_digests, manifest })));
        }
        Err(Error::new(ErrorKind::Io, "opening", path.display())
            .with_detail("the image is being replaced all the time"))
    }
}

impl Opened {
    /// Whether a digest, by whatever algorithm, is that of the top.
    fn is_top(&self, digest: &Digest) -> bool {
        if digest.algorithm() == self.top.digest().algorithm() {
            return digest == self.top.digest();
        }
        self.top_digests
            .get_or_init(|| {
                [Algorithm::Sha384, Algorithm::Sha512]
                    .map(|algorithm| Hasher::digest(algorithm, self.top.bytes()))
            })
            .contains(digest)
    }

    fn resolve(&self, selector: &Selector) -> Result<Descriptor> {
        match selector {
            Selector::Chosen | Selector::Position(0) => Ok(self.top.descriptor()),
            Selector::Digest(digest) if self.is_top(digest) => {
                Ok(Descriptor { digest: digest.clone(), ..self.top.descriptor() })
            }
            Selector::Digest(digest) => {
                let name = names::child(digest);
                let bytes = self.read(&name, MAX_MANIFEST_BYTES)?;
                let child = RawManifest::guess(bytes).map_err(|error| {
                    let subject = self.directory.path().join(&name);
                    Error::new(ErrorKind::Corrupt, "reading", subject.display()).with_source(error)
                })?;
                Ok(Descriptor { digest: digest.clone(), ..child.descriptor() })
            }
            _ => Err(Error::new(ErrorKind::NotFound, "reading", self.directory.path().display())
                .with_detail("a directory holds one image, without a name")),
        }
    }

    fn manifest(&self, digest: &Digest) -> Result<UnverifiedManifest> {
        if self.is_top(digest) {
            return Ok(UnverifiedManifest::new(self.top.bytes().clone()));
        }
        self.read(&names::child(digest), MAX_MANIFEST_BYTES).map(UnverifiedManifest::new)
    }

    fn blob(&self, digest: &Digest) -> Result<File> {
        let name = names::blob(digest);
        match self.directory.file(&name)? {
            Some(file) => Ok(file),
            None => {
                self.directory.file(&names::old_blob(digest))?.ok_or_else(|| self.not_found(&name))
            }
        }
    }

    fn blob_from(&self, digest: &Digest, offset: u64) -> Result<UnverifiedBlob> {
        let mut file = self.blob(digest)?;
        if offset > 0 {
            file.seek(SeekFrom::Start(offset))
                .map_err(|error| self.directory.fail("reading", &names::blob(digest), error))?;
        }
        Ok(UnverifiedBlob::from_read(file))
    }

    fn blob_size(&self, digest: &Digest) -> Result<u64> {
        match self.blob(digest)?.metadata() {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) => Err(self.directory.fail("reading", &names::blob(digest), error)),
        }
    }

    fn signatures(&self, manifest: &Digest) -> Result<Vec<Signature>> {
        let instance = (!self.is_top(manifest)).then_some(manifest);
        let mut signatures = Vec::new();
        let mut total_bytes = 0;
        for number in 1.. {
            let name = names::signature(instance, number);
            let Some(bytes) = self.directory.read(&name, MAX_SIGNATURE_BYTES)? else { break };
            total_bytes += bytes.len() as u64;
            if number > MAX_SIGNATURES || total_bytes > MAX_SIGNATURES_BYTES {
                return Err(too_many_signatures("reading signatures of", manifest));
            }
            signatures.push(Signature { bytes: bytes.into() });
        }
        // Their names do not tell whose they are.
        if self.is_replaced() {
            return Err(self.not_found(&names::signature(instance, 1)));
        }
        Ok(signatures)
    }

    fn read(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>> {
        self.directory.read(name, limit_bytes)?.ok_or_else(|| self.not_found(name))
    }

    /// Whether the directory holds another image by now, or none.
    fn is_replaced(&self) -> bool {
        !self.directory.is_still(MANIFEST, &self.manifest)
    }

    fn not_found(&self, name: &str) -> Error {
        let subject = self.directory.path().join(name);
        let error = Error::new(ErrorKind::NotFound, "opening", subject.display());
        if self.is_replaced() {
            error
                .with_detail("the image was replaced or removed while it was being read")
                .with_hint("read it again from the start")
        } else {
            error.with_detail("no such file")
        }
    }
}

impl DirSource {
    /// Runs work on the blocking pool.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Opened) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let opened = Arc::clone(&self.0);
        blocking(move || work(&opened)).await
    }
}

#[async_trait]
impl Source for DirSource {
    async fn resolve(&self, selector: &Selector) -> Result<Descriptor> {
        let selector = selector.clone();
        self.run(move |opened| opened.resolve(&selector)).await
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<UnverifiedManifest> {
        let digest = descriptor.digest.clone();
        self.run(move |opened| opened.manifest(&digest)).await
    }

    async fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<UnverifiedBlob> {
        let digest = descriptor.digest.clone();
        self.run(move |opened| opened.blob_from(&digest, offset)).await
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        let digest = digest.clone();
        self.run(move |opened| opened.blob_size(&digest)).await
    }

    async fn signatures(&self, manifest: &Descriptor) -> Result<Vec<Signature>> {
        let digest = manifest.digest.clone();
        self.run(move |opened| opened.signatures(&digest)).await
    }
}
