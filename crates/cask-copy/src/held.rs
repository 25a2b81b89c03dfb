//! Images whose place has their layers in another form than their manifest names.

use cask_image::{ConversionError, Descriptor, ImageManifest, LayerChange, LayerCompression};
use cask_transport::Measured;

/// The image with the plain layers that its place has, in the order of the manifest.
pub(crate) fn as_held(
    image: &ImageManifest,
    held: &[Measured],
) -> Result<ImageManifest, ConversionError> {
    let change = |(layer, held): (&Descriptor, &Measured)| match layer.digest == held.digest {
        true => LayerChange::keep(layer),
        false => {
            let plain = LayerCompression::None;
            LayerChange::recompressed(layer, held.digest.clone(), held.size, plain)
        }
    };
    let changes: Vec<_> = image.layers.iter().zip(held).map(change).collect();
    image.with_layers(&changes)
}
