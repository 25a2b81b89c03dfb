//! The manifests as they are written, once the blobs are: pure functions.

use std::collections::{BTreeMap, HashMap};

use cask_image::{
    Descriptor, Digest, ImageManifest, Index, LayerChange, LayerCompression, Manifest, MediaType,
    RawManifest,
};
use cask_transport::{Error, ErrorKind, Measured, Result};

use crate::graph::{ATTESTED, Taken};
use crate::plan::{ImageWork, IndexWork};

/// A blob as the destination has it.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) measured: Measured,
    /// The compression, where it was looked at.
    pub(crate) compression: Option<LayerCompression>,
    /// What its descriptor says of its bytes.
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Written {
    pub(crate) fn new(measured: Measured, compression: Option<LayerCompression>) -> Self {
        Self { measured, compression, annotations: BTreeMap::new() }
    }
}

/// An image with what its layers have become.
pub(crate) fn image(work: &ImageWork, written: &[Option<Written>]) -> Result<ImageManifest> {
    let layers = work.manifest.layers.iter().zip(&work.layers);
    let change = |(layer, at): (&Descriptor, &crate::plan::LayerWork)| {
        let written = written[at.blob].as_ref().filter(|_| at.is_changed);
        match written {
            // The media type was planned; the content has the last word.
            Some(Written { measured, compression: Some(now), annotations }) => {
                let Measured { digest, size } = measured;
                let mut change = LayerChange::recompressed(layer, digest.clone(), *size, *now);
                change.annotations.extend(annotations.clone());
                change
            }
            _ => LayerChange::keep(layer),
        }
    };
    let changes: Vec<_> = layers.map(change).collect();
    work.manifest.with_layers(&changes).map_err(|error| {
        Error::new(ErrorKind::Unsupported, "writing manifest", "").with_source(error)
    })
}

/// What the manifests of a graph have become, so far.
#[derive(Default)]
pub(crate) struct Made {
    /// In the order of the graph.
    pub(crate) manifests: Vec<RawManifest>,
    /// The new digests of those that have one.
    renamed: HashMap<Digest, Digest>,
}

impl Made {
    pub(crate) fn push(&mut self, was: &Digest, manifest: RawManifest) {
        if was != manifest.digest() {
            self.renamed.insert(was.clone(), manifest.digest().clone());
        }
        self.manifests.push(manifest);
    }

    /// What another manifest has become that is there too: that one keeps its name.
    pub(crate) fn push_added(&mut self, manifest: RawManifest) {
        self.manifests.push(manifest);
    }

    pub(crate) fn is_renamed(&self, was: &Digest) -> bool {
        self.renamed.contains_key(was)
    }

    /// An index with what its entries have become; `None` if nothing of it changes.
    pub(crate) fn index(&self, work: &IndexWork, entries: &[Taken]) -> Option<RawManifest> {
        let is_other = |(entry, taken): (&Descriptor, &Taken)| match taken {
            Taken::Node(place) => entry.digest != *self.manifests[*place].digest(),
            Taken::Blob | Taken::Left => self.is_renamed(&entry.digest),
        };
        if !work.is_rewritten && !work.index.manifests.iter().zip(entries).any(is_other) {
            return None;
        }
        let mut index = work.index.clone();
        let mut is_remarked = false;
        index.manifests.clear();
        for (at, (entry, taken)) in work.index.manifests.iter().zip(entries).enumerate() {
            let is_added = at >= work.index.manifests.len() - work.added;
            let mut entry = match taken {
                Taken::Left if work.strips => continue,
                // It was so already, and nobody had said so.
                Taken::Node(place)
                    if is_added && is_listed(&index, self.manifests[*place].digest()) =>
                {
                    continue;
                }
                Taken::Node(place) if is_other((entry, taken)) => {
                    let made = &self.manifests[*place];
                    let mut entry = entry.for_manifest(made);
                    is_remarked |= mark_zstd(&mut entry, made);
                    entry
                }
                Taken::Left | Taken::Blob | Taken::Node(_) => entry.clone(),
            };
            self.follow_attested(&mut entry);
            index.manifests.push(entry);
        }
        if is_remarked {
            index.sort_zstd_last();
        }
        Some(index.encode())
    }

    /// An attestation goes on naming the image that it stands beside.
    fn follow_attested(&self, entry: &mut Descriptor) {
        let Some(attested) = entry.annotations.get_mut(ATTESTED) else { return };
        let Ok(was) = attested.parse::<Digest>() else { return };
        if let Some(now) = self.renamed.get(&was) {
            *attested = now.to_string();
        }
    }
}

fn is_listed(index: &Index, manifest: &Digest) -> bool {
    index.manifests.iter().any(|entry| entry.digest == *manifest)
}

/// Marks an entry of an OCI index whose image has zstd layers, and takes the mark from one that
/// has none. Tells whether that changed something.
///
/// Source: containers/image, `OCI1InstanceAnnotationCompressionZSTD`; it never takes a mark away.
fn mark_zstd(entry: &mut Descriptor, made: &RawManifest) -> bool {
    if *made.media_type() != MediaType::OciManifest {
        return false;
    }
    let Ok(Manifest::Image(image)) = made.parse() else { return false };
    let is_zstd =
        |layer: &Descriptor| layer.media_type.layer_compression() == Some(LayerCompression::Zstd);
    let has_zstd = image.layers.iter().any(is_zstd);
    if has_zstd == entry.is_marked_zstd() {
        return false;
    }
    if has_zstd {
        entry.mark_zstd();
    } else {
        entry.annotations.remove(ZSTD);
    }
    true
}

/// The annotation of [`Descriptor::mark_zstd`].
const ZSTD: &str = "io.github.containers.compression.zstd";

#[cfg(test)]
mod tests {
    use cask_image::{Algorithm, Hasher, ImageFormat};

    use super::*;

    fn layer(seed: u8, compression: LayerCompression) -> Descriptor {
        let digest = Hasher::digest(Algorithm::Sha256, &[seed]);
        Descriptor::new(MediaType::OciLayer(compression), digest, 1)
    }

    fn manifest(layers: Vec<Descriptor>) -> RawManifest {
        let config =
            Descriptor::new(MediaType::OciConfig, Hasher::digest(Algorithm::Sha256, b"config"), 6);
        ImageManifest::new(ImageFormat::Oci, config, layers).encode()
    }

    fn work(index: Index) -> IndexWork {
        IndexWork { index, strips: false, added: 0, is_rewritten: false }
    }

    fn listed(raw: &RawManifest) -> Vec<Descriptor> {
        match raw.parse() {
            Ok(Manifest::Index(index)) => index.manifests,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_index_whose_entries_stay_stays() {
        let old = manifest(vec![layer(1, LayerCompression::Gzip)]);
        let mut made = Made::default();
        made.push(old.digest(), old.clone());
        let index = Index::new(ImageFormat::Oci, vec![old.descriptor()]);
        assert!(made.index(&work(index), &[Taken::Node(0)]).is_none());
    }

    #[test]
    fn entries_are_marked_by_what_they_have_become() {
        let gzip = manifest(vec![layer(1, LayerCompression::Gzip)]);
        let zstd = manifest(vec![layer(2, LayerCompression::Zstd)]);
        let other = manifest(vec![layer(3, LayerCompression::Gzip)]);
        for (before, after, is_marked) in [(&gzip, &zstd, true), (&zstd, &gzip, false)] {
            let mut entry = before.descriptor();
            entry.data = Some(before.bytes().to_vec());
            entry.urls = vec!["https://example.com".into()];
            entry.annotations.insert("kept".into(), "1".into());
            if !is_marked {
                entry.mark_zstd();
            }
            let index = Index::new(ImageFormat::Oci, vec![entry, other.descriptor()]);
            let mut made = Made::default();
            made.push(before.digest(), after.clone());
            made.push(other.digest(), other.clone());
            let raw = made.index(&work(index), &[Taken::Node(0), Taken::Node(1)]).unwrap();
            let mut entries = listed(&raw);
            if is_marked {
                // What has a mark goes behind what has none.
                entries.reverse();
            }
            assert_eq!(entries[0].digest, *after.digest());
            assert_eq!(entries[0].is_marked_zstd(), is_marked);
            assert_eq!(entries[0].annotations.get("kept").map(String::as_str), Some("1"));
            assert_eq!((&entries[0].data, entries[0].urls.len()), (&None, 0));
            assert_eq!(entries[1], other.descriptor());
        }
    }

    #[test]
    fn attestations_follow_their_image() {
        let old = manifest(vec![layer(1, LayerCompression::Gzip)]);
        let new = manifest(vec![layer(1, LayerCompression::None)]);
        let attestation = manifest(Vec::new());
        let mut about = attestation.descriptor();
        about.annotations.insert(ATTESTED.into(), old.digest().to_string());
        let mut nonsense = attestation.descriptor();
        nonsense.annotations.insert(ATTESTED.into(), "nonsense".into());
        let entries = vec![about, old.descriptor(), nonsense.clone()];
        let index = Index::new(ImageFormat::Oci, entries);
        let mut made = Made::default();
        made.push(attestation.digest(), attestation.clone());
        made.push(old.digest(), new.clone());
        let taken = [Taken::Node(0), Taken::Node(1), Taken::Node(0)];
        let entries = listed(&made.index(&work(index), &taken).unwrap());
        assert_eq!(entries[0].annotations[ATTESTED], new.digest().to_string());
        assert_eq!(entries[2], nonsense);
    }

    #[test]
    fn what_is_left_goes_only_when_it_is_stripped() {
        let one = manifest(vec![layer(1, LayerCompression::Gzip)]);
        let two = manifest(vec![layer(2, LayerCompression::Gzip)]);
        let index = Index::new(ImageFormat::Oci, vec![one.descriptor(), two.descriptor()]);
        let taken = [Taken::Left, Taken::Node(0)];
        let mut made = Made::default();
        made.push(two.digest(), two.clone());
        for (strips, expected) in [(true, 1), (false, 2)] {
            let work = IndexWork { index: index.clone(), strips, added: 0, is_rewritten: true };
            assert_eq!(listed(&made.index(&work, &taken).unwrap()).len(), expected);
        }
    }
}
