//! What a place holds of what was written: layers may be in another form.

use std::io::Read as _;

use bytes::Bytes;
use cask_image::{
    Algorithm, Descriptor, Hasher, LayerCompression, Manifest, MediaType, RawManifest,
};
use cask_transport::VerifiedSource;

use crate::generate::{Blob, Content};

/// The blobs that can be read: those that were written, but for layers that the place says to hold in another form.
///
/// # Panics
/// Where the place names other layers than the plain ones of what was written.
pub(super) async fn held(source: &VerifiedSource, content: &Content, case: &str) -> Vec<Blob> {
    let mut blobs = content.blobs.clone();
    for manifest in &content.manifests {
        let raw = RawManifest::with_algorithm(
            manifest.bytes.clone(),
            manifest.descriptor.media_type.clone(),
            manifest.digest().algorithm(),
        );
        let Ok(Manifest::Image(image)) = raw.parse() else { continue };
        let held = source.held_layers(&manifest.descriptor).await;
        let Some(held) = held.unwrap_or_else(|error| panic!("{case}: {error:?}")) else { continue };
        assert_eq!(held.len(), image.layers.len(), "{case}: every layer is held in some form");
        for (layer, held) in image.layers.iter().zip(held) {
            let place = blobs.iter().position(|blob| *blob.digest() == layer.digest);
            // Two images may have it.
            let Some(place) = place.filter(|_| held.digest != layer.digest) else { continue };
            let bytes = plain(&blobs[place].bytes);
            let digest = Hasher::digest(Algorithm::Sha256, &bytes);
            assert_eq!((&held.digest, held.size), (&digest, bytes.len() as u64), "{case}: a layer");
            let media_type = MediaType::OciLayer(LayerCompression::None);
            let descriptor = Descriptor::new(media_type, digest, held.size);
            blobs[place] = Blob { descriptor, bytes };
        }
    }
    blobs
}

fn plain(bytes: &Bytes) -> Bytes {
    let mut plain = Vec::new();
    match bytes.first_chunk() {
        Some([0x1f, 0x8b]) => {
            flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).map(drop)
        }
        Some([0x28, 0xb5]) => zstd::stream::copy_decode(&bytes[..], &mut plain),
        _ => return bytes.clone(),
    }
    .expect("what the suite generates can be decompressed");
    plain.into()
}
