//! An image that is about to come into the store.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use cask_image::{Algorithm, Digest, Hasher, ImageConfig, Manifest, RawManifest, Timestamp};

use crate::{Error, ErrorKind, Id, Result, StagedLayer};

/// A layer of a new image.
#[derive(Debug)]
#[non_exhaustive]
pub enum NewLayer {
    /// One that was read.
    Staged(StagedLayer),
    /// One that is in the store already: its ID must be the one that the image's config gives it.
    Present(Id),
}

/// An image that is about to come into the store.
#[derive(Debug)]
#[non_exhaustive]
pub struct NewImage {
    /// Its ID.
    pub id: Id,
    /// Names, taken from images that have them.
    pub names: Vec<String>,
    /// Its layers, the base first.
    pub layers: Vec<NewLayer>,
    /// Its files by key, in the order in which the record lists them.
    pub data: Vec<(String, Vec<u8>)>,
    /// The digest of its manifest.
    pub digest: Option<Digest>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Free text: JSON about signatures.
    pub metadata: String,
    /// Nobody wants the image any more once this is set: locks of others are not waited for then, and
    /// storing it fails. Who has the locks stores it all the same.
    pub given_up: Option<Arc<AtomicBool>>,
    /// What the config says of the layers, where there is a config.
    pub(crate) diff_ids: Option<Vec<Digest>>,
}

impl NewImage {
    /// An image of which nothing is known but the ID: lists, which have no layers, and whatever
    /// else is put together by hand.
    pub fn new(id: Id) -> Self {
        Self {
            id,
            names: Vec::new(),
            layers: Vec::new(),
            data: Vec::new(),
            digest: None,
            created: None,
            metadata: "{}".to_owned(),
            given_up: None,
            diff_ids: None,
        }
    }

    /// An image of a manifest and the config that it names. The manifest is stored as it is.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] for a manifest that is malformed or not of one image, and for a config
    /// that is malformed; [`ErrorKind::DigestMismatch`] for a config that the manifest does not
    /// name.
    pub fn of_manifest(manifest: &RawManifest, config: &[u8]) -> Result<Self> {
        let wrong = |operation| Error::new(ErrorKind::Input, operation, manifest.digest());
        let parsed = manifest.parse().map_err(|e| wrong("reading the manifest").with_source(e))?;
        let Manifest::Image(image) = parsed else {
            return Err(wrong("storing the manifest").with_detail("it is not that of one image"));
        };
        let digest = Hasher::digest(image.config.digest.algorithm(), config);
        if digest != image.config.digest {
            let subject = &image.config.digest;
            return Err(Error::new(ErrorKind::DigestMismatch, "checking the config", subject)
                .with_detail(format!("what came has the digest {digest}")));
        }
        let parsed = ImageConfig::parse(config.to_vec());
        let parsed = parsed.map_err(|e| wrong("reading the config of").with_source(e))?;
        let mut new = Self::new(Id::of_config(&digest));
        new.digest = Some(manifest.digest().clone());
        new.created = parsed.created;
        new.diff_ids = Some(parsed.diff_ids);
        new.data = vec![
            (digest.to_string(), config.to_vec()),
            (format!("manifest-{}", manifest.digest()), manifest.bytes().to_vec()),
            ("manifest".to_owned(), manifest.bytes().to_vec()),
        ];
        Ok(new)
    }

    /// Remembers the list that the image was chosen from.
    pub fn add_index(&mut self, index: &RawManifest) {
        let key = format!("manifest-{}", index.digest());
        if self.data.iter().all(|(known, _)| *known != key) {
            let position = self.data.len().min(1);
            self.data.insert(position, (key, index.bytes().to_vec()));
        }
    }

    /// Adds signatures of the manifest, as blobs in the order in which they are read.
    ///
    /// Source: containers/image, `storage_dest.go`, `signature-` keys and `signatures-sizes`.
    pub fn add_signatures(&mut self, manifest: &Digest, signatures: &[Vec<u8>]) {
        if signatures.is_empty() {
            return;
        }
        let key = format!("signature-{}", manifest.hex());
        self.data.retain(|(known, _)| *known != key);
        self.data.push((key, signatures.concat()));
        let sizes: Vec<String> = signatures.iter().map(|one| one.len().to_string()).collect();
        let sizes = sizes.join(",");
        self.metadata = format!(
            "{{\"signature-sizes\":[{sizes}],\"signatures-sizes\":{{\"{manifest}\":[{sizes}]}}}}"
        );
    }

    /// The IDs of the layers; the error says which does not fit the config.
    pub(crate) fn layer_ids(&self) -> Result<Vec<Id>> {
        let wrong = |detail: String| {
            Err(Error::new(ErrorKind::DigestMismatch, "storing the image", &self.id)
                .with_detail(detail))
        };
        if let Some(diff_ids) = &self.diff_ids
            && diff_ids.len() != self.layers.len()
        {
            let (named, given) = (diff_ids.len(), self.layers.len());
            return wrong(format!("its config names {named} layers, {given} came"));
        }
        let mut chain: Vec<Id> = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let named = self.diff_ids.as_ref().map(|diff_ids| &diff_ids[index]);
            let own = match layer {
                NewLayer::Staged(staged) => Some(staged.diff_digest()),
                NewLayer::Present(_) => None,
            };
            let id = match (named, own, layer) {
                (Some(named), Some(own), _) if named != own => {
                    return wrong(format!("layer {index} has the digest {own}, not {named}"));
                }
                (Some(diff_id), ..) | (None, Some(diff_id), _) => {
                    Id::of_layer(chain.last(), diff_id)
                }
                (None, None, NewLayer::Present(id)) => id.clone(),
                (None, None, NewLayer::Staged(_)) => unreachable!("a staged layer has a digest"),
            };
            if let NewLayer::Present(present) = layer
                && *present != id
            {
                return wrong(format!("layer {index} has the ID {id}, not {present}"));
            }
            chain.push(id);
        }
        Ok(chain)
    }

    /// Whether a key's bytes are what the key says.
    pub(crate) fn check(&self) -> Result<()> {
        for (key, bytes) in &self.data {
            crate::names::check_data(key, bytes)?;
            let Ok(named) = key.parse::<Digest>() else { continue };
            let found = Hasher::digest(named.algorithm(), bytes);
            if found != named && named.algorithm() == Algorithm::Sha256 {
                return Err(Error::new(ErrorKind::DigestMismatch, "storing", key)
                    .with_detail(format!("what came has the digest {found}")));
            }
        }
        Ok(())
    }
}
