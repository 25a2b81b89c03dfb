//! What was found out about a blob, and what was said of it.

use cask_image::{Digest, LayerCompression};
use cask_layer::Compression;

/// What is known of a blob whose digest is right.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    size: u64,
    layer: Option<LayerFacts>,
}

/// What is known of a blob that was read as a layer.
#[derive(Clone, Debug)]
pub(super) struct LayerFacts {
    pub(super) found: Compression,
    /// The digest of the plain bytes, or why there is none.
    pub(super) plain: Result<Digest, String>,
}

/// What is said of a layer.
#[derive(Clone, Debug)]
pub(super) struct LayerClaim {
    pub(super) named: LayerCompression,
    pub(super) diff_id: Digest,
}

impl Facts {
    pub(super) fn of(size: u64) -> Self {
        Self { size, layer: None }
    }

    pub(super) fn with_layer(mut self, layer: Option<LayerFacts>) -> Self {
        self.layer = layer.or(self.layer);
        self
    }

    /// Whether comparing needs no other look at the bytes.
    pub(super) fn are_enough_for(&self, claim: Option<&LayerClaim>) -> bool {
        let Some(claim) = claim else { return true };
        self.layer.as_ref().is_some_and(|layer| match &layer.plain {
            Ok(plain) => plain.algorithm() == claim.diff_id.algorithm(),
            Err(_) => true,
        })
    }

    /// What is wrong with what was said.
    pub(super) fn contradict(&self, size: u64, claim: Option<&LayerClaim>) -> Vec<String> {
        let mut wrong = Vec::new();
        if size != self.size {
            wrong.push(format!("it is said to have {size} bytes, and has {}", self.size));
        }
        if let (Some(claim), Some(layer)) = (claim, &self.layer) {
            wrong.extend(layer.contradict(claim));
        }
        wrong
    }
}

impl LayerFacts {
    fn contradict(&self, claim: &LayerClaim) -> Option<String> {
        let LayerClaim { named, diff_id } = claim;
        match &self.plain {
            Err(why) => Some(format!("it cannot be decompressed: {why}")),
            Ok(plain) if plain != diff_id => {
                Some(format!("does not match config's DiffID: expected {diff_id}, got {plain}"))
            }
            Ok(_) => {
                let said = match named {
                    LayerCompression::None => Compression::None,
                    LayerCompression::Gzip => Compression::Gzip,
                    LayerCompression::Zstd => Compression::Zstd,
                };
                (said != self.found).then(|| {
                    let (said, found) = (name(said), name(self.found));
                    format!("its media type says {said}, but its content is {found}")
                })
            }
        }
    }
}

fn name(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "plain",
        other => other.as_str(),
    }
}
