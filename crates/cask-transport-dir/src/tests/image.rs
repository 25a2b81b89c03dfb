//! An image that tests write step by step, and what they find then.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use bytes::Bytes;
use cask_testkit::generate::{Content, ImageSpec, LayerSpec, dir_files};
use cask_transport::{Error, Measured, Result, Selector, Transport as _};

use crate::DirTransport;
use crate::names;
use crate::staging::Staging;

/// An image with a layer of its own and one that all have, and its signatures.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    pub(super) content: Content,
    signatures: Vec<Bytes>,
}

impl Signed {
    pub(super) fn new(seed: u64, signatures: usize) -> Self {
        let content = ImageSpec::new(seed)
            .layer(LayerSpec::new(1_000_000).size_bytes(5_000))
            .layer(LayerSpec::new(seed).size_bytes(5_000))
            .build()
            .content();
        let signatures = (0..signatures).map(|number| format!("signature {number} of {seed}"));
        Self { content, signatures: signatures.map(Bytes::from).collect() }
    }

    pub(super) fn files(&self) -> BTreeMap<String, Bytes> {
        let mut files = dir_files(&self.content);
        for (number, signature) in (1..).zip(&self.signatures) {
            files.insert(format!("signature-{number}"), signature.clone());
        }
        files
    }

    /// Writes the image with the means of a transaction, on this thread.
    pub(super) fn write(&self, target: &Path) -> Result<Vec<String>> {
        let staging = Staging::begin(target.to_str().unwrap())?;
        self.fill(&staging)?;
        staging.publish()
    }

    pub(super) fn fill(&self, staging: &Staging) -> Result<()> {
        let mut files = self.files();
        for blob in &self.content.blobs {
            if staging.reuse(&Measured::from(&blob.descriptor))? {
                files.remove(&names::blob(blob.digest()));
            }
        }
        for (name, bytes) in files {
            let fail = |error| Error::from_io(error, "writing", &name);
            staging.write(|part| part.write_all(&bytes).map_err(fail), |()| name.clone())?;
        }
        Ok(())
    }

    /// Reads the image through the seam, and tells whether it is this one and nothing is missing.
    pub(super) async fn is_at(&self, target: &Path) -> bool {
        let location = DirTransport.parse(target.to_str().unwrap()).unwrap();
        let Ok(source) = location.source().await else { return false };
        let top = source.resolve(&Selector::Chosen).await.unwrap();
        if top.digest != self.content.top.digest {
            return false;
        }
        for manifest in &self.content.manifests {
            source.manifest(&manifest.descriptor).await.unwrap();
        }
        for blob in &self.content.blobs {
            source.blob(&blob.descriptor).await.unwrap().drain().await.unwrap();
        }
        let signatures = source.signatures(&top).await.unwrap();
        self.signatures.iter().all(|wanted| signatures.iter().any(|found| found.bytes == wanted))
    }
}

/// The files of a directory, and what is in them.
pub(super) fn files(directory: &Path) -> BTreeMap<String, Bytes> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        files.insert(name, bytes.into());
    }
    files
}
