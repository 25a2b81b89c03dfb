//! Reading manifests from the top down, each once.

use std::collections::{HashMap, HashSet};

use cask_image::{Descriptor, Digest, Index, Manifest, PlatformWanted, RawManifest};
use cask_transport::{Error, ErrorKind, Result, VerifiedSource};

use super::{
    Content, MAX_INDEX_DEPTH, MAX_MANIFESTS, MAX_TOTAL_MANIFEST_BYTES, Node, Taken, parse, too_deep,
};
use crate::Instances;

/// What was read so far.
pub(super) struct Walk<'s> {
    source: &'s VerifiedSource,
    nodes: Vec<Node>,
    /// The place of each manifest; `None` for an index that has nothing that was asked for.
    found: HashMap<Digest, Option<usize>>,
    manifests: usize,
    bytes: u64,
    /// Platforms for which an image was found.
    pub(super) served: HashSet<PlatformWanted>,
    /// Indexes that were looked through for the one image.
    pub(super) barren: HashSet<Digest>,
}

impl<'s> Walk<'s> {
    pub(super) fn new(source: &'s VerifiedSource) -> Self {
        Self {
            source,
            nodes: Vec::new(),
            found: HashMap::new(),
            manifests: 0,
            bytes: 0,
            served: HashSet::new(),
            barren: HashSet::new(),
        }
    }

    pub(super) fn into_nodes(self) -> Vec<Node> {
        self.nodes
    }

    /// Reads the top and everything below it that is asked for, and tells its place.
    pub(super) async fn visit_top(
        &mut self,
        top: &Descriptor,
        instances: &Instances,
    ) -> Result<usize> {
        let raw = self.read_manifest(top).await?;
        let place = self.visit_raw(top, raw.clone(), instances, 0).await?;
        if let Instances::Platforms(platforms) = instances {
            self.check_served(&raw, platforms)?;
        }
        place.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "copying", &top.digest)
                .with_detail("nothing of the index was chosen")
        })
    }

    async fn visit(
        &mut self,
        descriptor: &Descriptor,
        instances: &Instances,
        depth: usize,
    ) -> Result<Option<usize>> {
        if let Some(place) = self.found.get(&descriptor.digest) {
            if let Some(place) = place {
                check_same(&self.nodes[*place].descriptor, descriptor)?;
            }
            return Ok(*place);
        }
        if depth > MAX_INDEX_DEPTH && descriptor.media_type.is_index() {
            return Err(too_deep(descriptor));
        }
        let raw = self.read_manifest(descriptor).await?;
        self.visit_raw(descriptor, raw, instances, depth).await
    }

    async fn visit_raw(
        &mut self,
        descriptor: &Descriptor,
        raw: RawManifest,
        instances: &Instances,
        depth: usize,
    ) -> Result<Option<usize>> {
        let content = match parse(&raw)? {
            Manifest::Image(image) => Content::Image(Box::new(image)),
            Manifest::Schema1(schema1) => Content::Schema1(Box::new(schema1)),
            Manifest::Index(index) => {
                let entries = self.visit_entries(&index, instances, depth).await?;
                let is_empty = entries.iter().all(|taken| *taken == Taken::Left);
                if is_empty && matches!(instances, Instances::Platforms(_)) {
                    self.found.insert(descriptor.digest.clone(), None);
                    return Ok(None);
                }
                Content::Index { index: Box::new(index), entries }
            }
            _ => {
                return Err(Error::new(ErrorKind::Unsupported, "copying", &descriptor.digest)
                    .with_detail(format!("{} manifests are unknown", raw.media_type())));
            }
        };
        let descriptor = descriptor.clone();
        let node = Node { descriptor, raw, content, is_referrer: false, added: None };
        self.found.insert(node.descriptor.digest.clone(), Some(self.nodes.len()));
        self.nodes.push(node);
        let place = self.nodes.len() - 1;
        Ok(Some(place))
    }

    async fn visit_entries(
        &mut self,
        index: &Index,
        instances: &Instances,
        depth: usize,
    ) -> Result<Vec<Taken>> {
        let chosen = match instances {
            Instances::Platforms(platforms) => self.choose_entries(index, platforms),
            Instances::IndexOnly => vec![false; index.manifests.len()],
            Instances::One(_) | Instances::All => vec![true; index.manifests.len()],
        };
        let mut entries = Vec::with_capacity(index.manifests.len());
        for (entry, is_chosen) in index.manifests.iter().zip(chosen) {
            entries.push(if !is_chosen {
                Taken::Left
            } else if entry.media_type.is_manifest() {
                let place = Box::pin(self.visit(entry, instances, depth + 1)).await?;
                place.map_or(Taken::Left, Taken::Node)
            } else {
                Taken::Blob
            });
        }
        Ok(entries)
    }

    /// Adds whatever refers to the manifests that are there, and what refers to that.
    pub(super) async fn visit_referrers(&mut self) -> Result<()> {
        let mut at = 0;
        while at < self.nodes.len() {
            let subject = self.nodes[at].descriptor.digest.clone();
            for referrer in self.source.referrers(&subject).await? {
                let before = self.nodes.len();
                let place = self.visit(&referrer, &Instances::All, 0).await?;
                if let Some(node) = place.filter(|place| *place >= before) {
                    let node = &mut self.nodes[node];
                    check_refers(node, &subject)?;
                    node.is_referrer = true;
                }
            }
            at += 1;
        }
        Ok(())
    }

    pub(super) async fn read_manifest(&mut self, descriptor: &Descriptor) -> Result<RawManifest> {
        let limit = |what: String| {
            Error::new(ErrorKind::LimitExceeded, "reading manifest", &descriptor.digest)
                .with_detail(what)
        };
        self.manifests += 1;
        if self.manifests > MAX_MANIFESTS {
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

/// What names one manifest twice says the same of it: only the first was compared with the bytes.
fn check_same(known: &Descriptor, other: &Descriptor) -> Result<()> {
    if known.size == other.size && known.media_type == other.media_type {
        return Ok(());
    }
    let describe =
        |descriptor: &Descriptor| format!("{} of {} bytes", descriptor.media_type, descriptor.size);
    Err(Error::new(ErrorKind::Corrupt, "reading manifest", &known.digest).with_detail(format!(
        "one entry says that it is {}, and another that it is {}",
        describe(known),
        describe(other)
    )))
}

/// A place that lists something that does not refer to the subject would have it copied along.
fn check_refers(node: &Node, subject: &Digest) -> Result<()> {
    if node.subject().is_some_and(|named| named.digest == *subject) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Corrupt, "reading referrer", &node.descriptor.digest)
        .with_detail(format!("it does not refer to {subject}, although the source says so"))
        .with_hint("without --referrers the image is copied alone"))
}
