//! What a shelf holds: blobs by digest, and entries that name some of them.

use std::collections::{BTreeMap, BTreeSet};

use cask_image::{Descriptor, Digest, Manifest, RawManifest};
use cask_transport::{Error, ErrorKind, Result, Selector, Signature};

use crate::generate::{Blob, Content};

/// Images that share their blobs.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf {
    pub(super) entries: Vec<Held>,
    pub(super) manifests: BTreeMap<Digest, Blob>,
    pub(super) blobs: BTreeMap<Digest, Blob>,
    pub(super) signatures: BTreeMap<Digest, Vec<Signature>>,
    /// What is listed as referring to a manifest besides what does.
    pub(super) listed: BTreeMap<Digest, Vec<Descriptor>>,
    /// The blobs that unpack to a DiffID, as it was told when they were written.
    pub(super) by_diff_id: BTreeMap<Digest, Vec<Descriptor>>,
}

/// An image of a shelf.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) names: Vec<String>,
    pub(super) top: Descriptor,
}

impl Shelf {
    pub(super) fn insert(&mut self, names: Vec<String>, content: &Content) {
        let blobs = |blobs: &[Blob]| {
            blobs.iter().map(|blob| (blob.digest().clone(), blob.clone())).collect::<Vec<_>>()
        };
        self.manifests.extend(blobs(&content.manifests));
        self.blobs.extend(blobs(&content.blobs));
        self.name(names, content.top.clone());
    }

    /// Adds an entry; names move to it, and one without a name replaces the one without.
    pub(super) fn name(&mut self, names: Vec<String>, top: Descriptor) {
        self.entries.retain_mut(|held| {
            let was_named = !held.names.is_empty();
            held.names.retain(|name| !names.contains(name));
            // Whoever lost the last name is gone, as an image of a repository is.
            if was_named { !held.names.is_empty() } else { !names.is_empty() }
        });
        self.entries.push(Held { names, top });
    }

    /// The entry that a selector means.
    pub(super) fn find(&self, selector: &Selector, name: Option<&str>) -> Result<usize> {
        let not_found = |what: String| Error::new(ErrorKind::NotFound, "finding", what);
        let by_name = |name: &str| {
            self.entries
                .iter()
                .position(|held| held.names.iter().any(|held| held == name))
                .ok_or_else(|| not_found(format!("image {name:?}")))
        };
        match (selector, name) {
            (Selector::Chosen, Some(name)) => by_name(name),
            (Selector::Name(name), _) => by_name(name),
            (Selector::Chosen, None) => match self.entries.len() {
                0 => Err(not_found("an image".into())),
                1 => Ok(0),
                _ => Err(Error::new(ErrorKind::InvalidLocation, "finding", "the only image")
                    .with_detail("there are several")
                    .with_hint("name one of them")),
            },
            (Selector::Position(position), _) if *position < self.entries.len() => Ok(*position),
            (Selector::Digest(digest), _) => self
                .entries
                .iter()
                .position(|held| held.top.digest == *digest)
                .ok_or_else(|| not_found(digest.to_string())),
            (other, _) => Err(not_found(format!("{other:?}"))),
        }
    }

    /// The descriptor of a manifest that the shelf holds.
    pub(super) fn descriptor(&self, digest: &Digest) -> Result<Descriptor> {
        match self.manifests.get(digest) {
            Some(held) => Ok(held.descriptor.clone()),
            None => Err(Error::new(ErrorKind::NotFound, "reading manifest", digest)),
        }
    }

    /// Everything that a manifest needs, and what refers to it: manifests, children before their
    /// parents and referrers last; and blobs.
    pub(super) fn closure(&self, top: &Digest) -> (Vec<Blob>, Vec<Blob>) {
        let mut walk =
            Walk { shelf: self, seen: BTreeSet::new(), manifests: vec![], blobs: vec![] };
        walk.visit(top);
        (walk.manifests, walk.blobs)
    }

    /// The manifests whose subject is the given one, or said to be.
    pub(super) fn referrers(&self, subject: &Digest) -> Vec<Descriptor> {
        let refers = |manifest: &&Blob| {
            parsed(manifest).is_some_and(|parsed| {
                parsed.subject().is_some_and(|found| found.digest == *subject)
            })
        };
        let found = self.manifests.values().filter(refers).map(|found| found.descriptor.clone());
        found.chain(self.listed.get(subject).cloned().unwrap_or_default()).collect()
    }

    /// Takes an entry away, and everything that no other one needs.
    pub(super) fn delete(&mut self, position: usize) {
        self.entries.remove(position);
        let mut needed = BTreeSet::new();
        for held in &self.entries {
            let (manifests, blobs) = self.closure(&held.top.digest);
            needed.extend(manifests.iter().chain(&blobs).map(|blob| blob.digest().clone()));
        }
        self.manifests.retain(|digest, _| needed.contains(digest));
        self.blobs.retain(|digest, _| needed.contains(digest));
        self.signatures.retain(|digest, _| needed.contains(digest));
        for descriptors in self.by_diff_id.values_mut() {
            descriptors.retain(|descriptor| needed.contains(&descriptor.digest));
        }
    }
}

fn parsed(manifest: &Blob) -> Option<Manifest> {
    let Blob { descriptor, bytes } = manifest;
    RawManifest::new(bytes.clone(), descriptor.media_type.clone()).parse().ok()
}

/// The digests that a manifest names.
fn named(manifest: &Blob) -> Vec<Digest> {
    let all: Vec<Descriptor> = match parsed(manifest) {
        Some(Manifest::Image(image)) => std::iter::once(image.config).chain(image.layers).collect(),
        Some(Manifest::Index(index)) => index.manifests,
        Some(Manifest::Schema1(schema1)) => {
            return schema1.layers.into_iter().map(|layer| layer.digest).collect();
        }
        _ => Vec::new(),
    };
    all.into_iter().map(|descriptor| descriptor.digest).collect()
}

struct Walk<'s> {
    shelf: &'s Shelf,
    seen: BTreeSet<Digest>,
    manifests: Vec<Blob>,
    blobs: Vec<Blob>,
}

impl Walk<'_> {
    fn visit(&mut self, digest: &Digest) {
        if !self.seen.insert(digest.clone()) {
            return;
        }
        if let Some(manifest) = self.shelf.manifests.get(digest) {
            named(manifest).iter().for_each(|named| self.visit(named));
            self.manifests.push(manifest.clone());
            let referrers = self.shelf.referrers(digest);
            referrers.iter().for_each(|referrer| self.visit(&referrer.digest));
        }
        self.blobs.extend(self.shelf.blobs.get(digest).cloned());
    }
}
