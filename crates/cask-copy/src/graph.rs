//! What is copied: the manifests from the top down, read and parsed.

mod added;
mod choose;
mod walk;

use cask_image::{Descriptor, ImageManifest, Index, Manifest, RawManifest};
use cask_transport::{Error, ErrorKind, Result, Selector, VerifiedSource};

use crate::{CompressionFormat, Instances};

pub(crate) use choose::choose_image;
use walk::Walk;

/// How deep an index may lie in others: so many may be above it.
pub const MAX_INDEX_DEPTH: usize = 16;
/// How many manifests one operation may read.
pub const MAX_MANIFESTS: usize = 10_000;
/// How many bytes of manifests one operation may hold: 32 MiB.
pub const MAX_TOTAL_MANIFEST_BYTES: u64 = 32 << 20;

/// The manifests of an image or an index, children before their parents, the top last of its own,
/// and then whatever refers to them.
#[derive(Clone, Debug)]
pub struct Graph {
    nodes: Vec<Node>,
    top: usize,
    chosen_from: Option<RawManifest>,
}

/// One manifest of a [`Graph`].
#[derive(Clone, Debug)]
pub struct Node {
    /// How the source names it.
    pub descriptor: Descriptor,
    /// Its exact bytes.
    pub raw: RawManifest,
    /// What the bytes mean.
    pub content: Content,
    /// It is here because it names another as its subject.
    pub is_referrer: bool,
    /// It is here a second time, to be compressed to this.
    pub added: Option<CompressionFormat>,
}

/// What a manifest is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Content {
    /// An image or an artifact.
    Image(Box<ImageManifest>),
    /// A schema 1 image.
    Schema1(Box<cask_image::Schema1>),
    /// An index.
    Index {
        /// What it lists.
        index: Box<Index>,
        /// What is taken of each entry.
        entries: Vec<Taken>,
    },
}

/// What is taken of an entry of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The manifest at this place in the graph.
    Node(usize),
    /// A blob that is no manifest of a known kind; it is copied as it is.
    Blob,
    /// Nothing.
    Left,
}

impl Node {
    /// The manifest that this one is about, for a referrer.
    pub fn subject(&self) -> Option<&Descriptor> {
        match &self.content {
            Content::Image(image) => image.subject.as_ref(),
            Content::Index { index, .. } => index.subject.as_ref(),
            Content::Schema1(_) => None,
        }
    }
}

impl Graph {
    /// Reads the manifests that `instances` ask for, each once.
    ///
    /// The image for a platform is looked for in nested indexes too: first among the entries that
    /// say their platform, then in the nested indexes in their order, then among the entries that
    /// do not. Of platforms, every index gives what it has, and one that has nothing is left out;
    /// an attestation follows the image that it is about.
    ///
    /// # Errors
    /// `NotFound` if there is no image for a platform; `Corrupt` for a malformed manifest, for one
    /// that two entries describe differently, and for a referrer that refers to something else;
    /// `LimitExceeded` beyond [`MAX_INDEX_DEPTH`], [`MAX_MANIFESTS`] or
    /// [`MAX_TOTAL_MANIFEST_BYTES`]; what the source says.
    pub async fn read(
        source: &VerifiedSource,
        selector: &Selector,
        instances: &Instances,
        with_referrers: bool,
    ) -> Result<Self> {
        let mut walk = Walk::new(source);
        let mut top = source.resolve(selector).await?;
        let mut chosen_from = None;
        if let (Instances::One(wanted), true) = (instances, top.media_type.is_index()) {
            let raw = walk.read_manifest(&top).await?;
            top = walk.choose(&raw, wanted).await?;
            chosen_from = Some(raw);
        }
        let top = walk.visit_top(&top, instances).await?;
        if with_referrers {
            walk.visit_referrers().await?;
        }
        Ok(Self { nodes: walk.into_nodes(), top, chosen_from })
    }

    /// The manifests, children before their parents.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The place of the top in [`nodes`](Self::nodes).
    pub fn top_position(&self) -> usize {
        self.top
    }

    /// The index that the location names, where one image of it was asked for.
    pub fn chosen_from(&self) -> Option<&RawManifest> {
        self.chosen_from.as_ref()
    }

    /// The manifest that is copied: what the location names, or what was chosen of it.
    pub fn top(&self) -> &Node {
        &self.nodes[self.top]
    }
}

/// The annotation by which BuildKit's attestations name their image.
///
/// Source: BuildKit, `docs/attestations/attestation-storage.md`.
pub(crate) const ATTESTED: &str = "vnd.docker.reference.digest";

/// Parses a manifest that was read.
pub(crate) fn parse(raw: &RawManifest) -> Result<Manifest> {
    raw.parse().map_err(|error| {
        Error::new(ErrorKind::Corrupt, "parsing manifest", raw.digest()).with_source(error)
    })
}

fn too_deep(descriptor: &Descriptor) -> Error {
    Error::new(ErrorKind::LimitExceeded, "reading index", &descriptor.digest)
        .with_detail(format!("indexes lie more than {MAX_INDEX_DEPTH} deep in indexes"))
}
