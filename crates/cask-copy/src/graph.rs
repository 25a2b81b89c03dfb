//! What is copied: the manifests from the top down, read and parsed.

use std::collections::{HashMap, HashSet};

use cask_image::{
    Descriptor, Digest, ImageManifest, Index, Manifest, NoInstance, PlatformWanted, RawManifest,
};
use cask_transport::{Error, ErrorKind, Result, Selector, VerifiedSource};

use crate::Instances;

/// How deep indexes may lie in indexes.
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

impl Graph {
    /// Reads the manifests that `instances` ask for.
    ///
    /// # Errors
    /// `NotFound` if there is no image for a platform; `Corrupt` for a malformed manifest;
    /// `LimitExceeded` beyond [`MAX_INDEX_DEPTH`], [`MAX_MANIFESTS`] or
    /// [`MAX_TOTAL_MANIFEST_BYTES`]; what the source says.
    pub async fn read(
        source: &VerifiedSource,
        selector: &Selector,
        instances: &Instances,
        with_referrers: bool,
    ) -> Result<Self> {
        let mut walk = Walk {
            source,
            nodes: Vec::new(),
            found: HashMap::new(),
            bytes: 0,
            served: HashSet::new(),
            missing: None,
        };
        let mut top = source.resolve(selector).await?;
        if let Instances::One(wanted) = instances {
            top = walk.choose(top, wanted).await?;
        }
        let top = walk.visit(&top, instances, 0).await?;
        walk.check_served(instances)?;
        if with_referrers {
            walk.visit_referrers().await?;
        }
        Ok(Self { nodes: walk.nodes, top })
    }

    /// The manifests, children before their parents.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The place of the top in [`nodes`](Self::nodes).
    pub fn top_position(&self) -> usize {
        self.top
    }

    /// The manifest that the location names.
    pub fn top(&self) -> &Node {
        &self.nodes[self.top]
    }
}

/// The annotation by which BuildKit's attestations name their image.
///
/// Source: BuildKit, `docs/attestations/attestation-storage.md`.
pub(crate) const ATTESTED: &str = "vnd.docker.reference.digest";

struct Walk<'s> {
    source: &'s VerifiedSource,
    nodes: Vec<Node>,
    found: HashMap<Digest, usize>,
    bytes: u64,
    /// Platforms for which an image was found.
    served: HashSet<PlatformWanted>,
    /// Why none was found for others.
    missing: Option<NoInstance>,
}

impl Walk<'_> {
    /// Goes down through indexes to the one image for a platform.
    async fn choose(&mut self, top: Descriptor, wanted: &PlatformWanted) -> Result<Descriptor> {
        let mut descriptor = top;
        for _ in 0..=MAX_INDEX_DEPTH {
            if !descriptor.media_type.is_index() {
                return Ok(descriptor);
            }
            let raw = self.read_manifest(&descriptor).await?;
            let Manifest::Index(index) = parse(&raw)? else { return Ok(descriptor) };
            let chosen = cask_image::choose_instance(&index, wanted).map_err(|error| {
                Error::new(ErrorKind::NotFound, "choosing an image from", &descriptor.digest)
                    .with_source(error)
                    .with_hint("--all copies every image of the index, --override-os, --override-arch and --override-variant choose another")
            })?;
            descriptor = chosen.clone();
        }
        Err(too_deep(&descriptor))
    }

    async fn visit(
        &mut self,
        descriptor: &Descriptor,
        instances: &Instances,
        depth: usize,
    ) -> Result<usize> {
        if let Some(place) = self.found.get(&descriptor.digest) {
            return Ok(*place);
        }
        if depth > MAX_INDEX_DEPTH {
            return Err(too_deep(descriptor));
        }
        let raw = self.read_manifest(descriptor).await?;
        let content = match parse(&raw)? {
            Manifest::Image(image) => Content::Image(Box::new(image)),
            Manifest::Schema1(schema1) => Content::Schema1(Box::new(schema1)),
            Manifest::Index(index) => {
                let entries = self.visit_entries(&index, instances, depth).await?;
                Content::Index { index: Box::new(index), entries }
            }
            _ => {
                return Err(Error::new(ErrorKind::Unsupported, "copying", &descriptor.digest)
                    .with_detail(format!("{} manifests are unknown", raw.media_type())));
            }
        };
        let node = Node { descriptor: descriptor.clone(), raw, content, is_referrer: false };
        self.nodes.push(node);
        let place = self.nodes.len() - 1;
        self.found.insert(descriptor.digest.clone(), place);
        Ok(place)
    }

    async fn visit_entries(
        &mut self,
        index: &Index,
        instances: &Instances,
        depth: usize,
    ) -> Result<Vec<Taken>> {
        let chosen = self.choose_entries(index, instances);
        let mut entries = Vec::with_capacity(index.manifests.len());
        for (entry, is_chosen) in index.manifests.iter().zip(chosen) {
            entries.push(if !is_chosen {
                Taken::Left
            } else if entry.media_type.is_manifest() {
                Taken::Node(Box::pin(self.visit(entry, instances, depth + 1)).await?)
            } else {
                Taken::Blob
            });
        }
        Ok(entries)
    }

    /// Which entries are copied. An attestation follows the image that it is about.
    fn choose_entries(&mut self, index: &Index, instances: &Instances) -> Vec<bool> {
        let platforms = match instances {
            Instances::Platforms(platforms) => platforms,
            Instances::IndexOnly => return vec![false; index.manifests.len()],
            Instances::One(_) | Instances::All => return vec![true; index.manifests.len()],
        };
        let mut chosen: HashSet<&Digest> = HashSet::new();
        for wanted in platforms {
            match cask_image::choose_instance(index, wanted) {
                Ok(best) => {
                    self.served.insert(wanted.clone());
                    // One platform may have several entries, in different compressions.
                    let same = index
                        .manifests
                        .iter()
                        .filter(|entry| entry.platform == best.platform && !entry.is_attestation());
                    chosen.extend(same.map(|entry| &entry.digest));
                }
                Err(error) => self.missing = Some(error),
            }
        }
        let is_nested = |entry: &Descriptor| entry.media_type.is_index();
        index
            .manifests
            .iter()
            .map(|entry| match attested_digest(entry) {
                Some(attested) => chosen.contains(&attested),
                None => chosen.contains(&entry.digest) || is_nested(entry),
            })
            .collect()
    }

    /// Every platform that was asked for has been found somewhere.
    fn check_served(&mut self, instances: &Instances) -> Result<()> {
        let Instances::Platforms(platforms) = instances else { return Ok(()) };
        if !self.nodes.last().is_some_and(|top| matches!(top.content, Content::Index { .. })) {
            return Ok(());
        }
        if platforms.iter().all(|wanted| self.served.contains(wanted)) {
            return Ok(());
        }
        let error = Error::new(ErrorKind::NotFound, "choosing images from", "the index");
        Err(match self.missing.take() {
            Some(missing) => error.with_source(missing),
            None => error,
        })
    }

    /// Adds whatever refers to the manifests that are there, and what refers to that.
    async fn visit_referrers(&mut self) -> Result<()> {
        let mut at = 0;
        while at < self.nodes.len() {
            let subject = self.nodes[at].descriptor.digest.clone();
            for referrer in self.source.referrers(&subject).await? {
                let before = self.nodes.len();
                let place = self.visit(&referrer, &Instances::All, 0).await?;
                if place >= before {
                    self.nodes[place].is_referrer = true;
                }
            }
            at += 1;
        }
        Ok(())
    }

    async fn read_manifest(&mut self, descriptor: &Descriptor) -> Result<RawManifest> {
        let limit = |what: String| {
            Error::new(ErrorKind::LimitExceeded, "reading manifest", &descriptor.digest)
                .with_detail(what)
        };
        if self.nodes.len() >= MAX_MANIFESTS {
            return Err(limit(format!("more than {MAX_MANIFESTS} manifests")));
        }
        let raw = self.source.manifest(descriptor).await?;
        self.bytes += raw.bytes().len() as u64;
        if self.bytes > MAX_TOTAL_MANIFEST_BYTES {
            return Err(limit(format!("more than {MAX_TOTAL_MANIFEST_BYTES} bytes of manifests")));
        }
        Ok(raw)
    }
}

fn parse(raw: &RawManifest) -> Result<Manifest> {
    raw.parse().map_err(|error| {
        Error::new(ErrorKind::Corrupt, "parsing manifest", raw.digest()).with_source(error)
    })
}

fn too_deep(descriptor: &Descriptor) -> Error {
    Error::new(ErrorKind::LimitExceeded, "reading index", &descriptor.digest)
        .with_detail(format!("indexes lie more than {MAX_INDEX_DEPTH} deep in indexes"))
}

/// The digest of the image that an attestation is about.
fn attested_digest(entry: &Descriptor) -> Option<Digest> {
    entry.annotations.get(ATTESTED).and_then(|digest| digest.parse().ok())
}
