//! Reading the directory.

use std::io::{Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use cask_image::{Descriptor, Digest, MAX_MANIFEST_BYTES, RawManifest};
use cask_transport::{
    Error, ErrorKind, Result, Selector, Signature, Source, UnverifiedBlob, UnverifiedManifest,
    blocking,
};

use crate::files;

/// The most bytes of one signature.
const MAX_SIGNATURE_BYTES: u64 = 4 << 20;

/// An opened directory.
#[derive(Clone)]
pub(crate) struct DirSource(Arc<Opened>);

struct Opened {
    directory: OwnedFd,
    path: PathBuf,
    /// The top's digest as it was when the directory was opened.
    top: Descriptor,
}

impl DirSource {
    /// Opens the directory and looks at its manifest, which nothing else names.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let directory = files::open_directory(path)?;
        files::check_version(&directory, path)?;
        let bytes = files::read_file(&directory, path, files::MANIFEST, MAX_MANIFEST_BYTES)?;
        let manifest = RawManifest::guess(bytes).map_err(|error| {
            Error::new(ErrorKind::Corrupt, "reading", path.join(files::MANIFEST).display())
                .with_source(error)
        })?;
        let top = manifest.descriptor();
        Ok(Self(Arc::new(Opened { directory, path: path.to_owned(), top })))
    }

    fn manifest_name(&self, digest: &Digest) -> String {
        if *digest == self.0.top.digest {
            files::MANIFEST.to_owned()
        } else {
            files::child_name(digest)
        }
    }

    fn signature_files(&self, instance: Option<&Digest>) -> Result<Vec<Signature>> {
        let Opened { directory, path, .. } = &*self.0;
        let mut signatures = Vec::new();
        loop {
            let name = files::signature_name(instance, signatures.len() + 1);
            match files::read_file(directory, path, &name, MAX_SIGNATURE_BYTES) {
                Ok(bytes) => signatures.push(Signature { bytes: bytes.into() }),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(signatures),
                Err(error) => return Err(error),
            }
        }
    }
}

#[async_trait]
impl Source for DirSource {
    async fn resolve(&self, selector: &Selector) -> Result<Descriptor> {
        match selector {
            Selector::Chosen | Selector::Position(0) => Ok(self.0.top.clone()),
            Selector::Digest(digest) if *digest == self.0.top.digest => Ok(self.0.top.clone()),
            _ => Err(Error::new(ErrorKind::NotFound, "reading", self.0.path.display())
                .with_detail("a dir: directory holds one image, without a name")),
        }
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<UnverifiedManifest> {
        let this = self.clone();
        let name = self.manifest_name(&descriptor.digest);
        blocking(move || {
            let Opened { directory, path, .. } = &*this.0;
            files::read_file(directory, path, &name, MAX_MANIFEST_BYTES)
                .map(UnverifiedManifest::new)
        })
        .await
    }

    async fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<UnverifiedBlob> {
        let this = self.clone();
        let name = files::blob_name(&descriptor.digest);
        blocking(move || {
            let Opened { directory, path, .. } = &*this.0;
            let mut file = files::open_file(directory, path, &name)?;
            if offset > 0 {
                file.seek(SeekFrom::Start(offset)).map_err(|error| {
                    Error::from_io(error, "reading", path.join(&name).display())
                })?;
            }
            Ok(UnverifiedBlob::from_read(file))
        })
        .await
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        let this = self.clone();
        let name = files::blob_name(digest);
        blocking(move || {
            let Opened { directory, path, .. } = &*this.0;
            let file = files::open_file(directory, path, &name)?;
            file.metadata()
                .map(|metadata| metadata.len())
                .map_err(|error| Error::from_io(error, "reading", path.join(&name).display()))
        })
        .await
    }

    async fn signatures(&self, manifest: &Descriptor) -> Result<Vec<Signature>> {
        let this = self.clone();
        let instance = (manifest.digest != self.0.top.digest).then(|| manifest.digest.clone());
        blocking(move || this.signature_files(instance.as_ref())).await
    }
}
