//! What hangs together: from the entries of an index to everything that they need.

use std::collections::{BTreeMap, HashSet, VecDeque};

use cask_image::{Descriptor, Digest, Manifest, MediaType};
use cask_transport::{Error, ErrorKind, Result};

use crate::archive::OciArchive;
use crate::index::Entry;

/// The most manifests and indexes that are read to answer one question.
const MAX_MANIFESTS: usize = 100_000;

/// What a manifest says about other content.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// Manifests and indexes that it lists.
    pub(crate) manifests: Vec<Descriptor>,
    /// Configs, layers and what else is no manifest.
    pub(crate) blobs: Vec<Digest>,
    /// The manifest that it is about. It does not need that one.
    pub(crate) subject: Option<Digest>,
    /// What kind of artifact it is: its own word, or else the type of its config.
    pub(crate) artifact_type: Option<MediaType>,
    pub(crate) annotations: BTreeMap<String, String>,
}

/// Everything that a walk came by.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    /// The digests of everything, whether the archive holds it or not.
    pub(crate) digests: HashSet<Digest>,
    /// Why the first manifest could not be read for which that is so: what it needs is not known.
    pub(crate) unreadable: Option<Error>,
}

/// Walks from some entries to everything that they need, indexes before what they list. Each
/// manifest is read once, if its type is one to read; nothing recurses.
pub(crate) fn walk(
    archive: &OciArchive,
    roots: Vec<Entry>,
    to_read: fn(&MediaType) -> bool,
    mut visit: impl FnMut(&Entry, &Links),
) -> Result<Reached> {
    let mut reached = Reached::default();
    // The same digest under another type can say other things.
    let mut seen: HashSet<(Digest, MediaType)> = HashSet::new();
    let mut queue = VecDeque::from(roots);
    while let Some(entry) = queue.pop_front() {
        let Descriptor { digest, media_type, .. } = &entry.descriptor;
        reached.digests.insert(digest.clone());
        if !seen.insert((digest.clone(), media_type.clone())) || !to_read(media_type) {
            continue;
        }
        if seen.len() > MAX_MANIFESTS {
            return Err(archive
                .error(ErrorKind::LimitExceeded, "walking")
                .with_detail(format!("it has more than {MAX_MANIFESTS} manifests")));
        }
        let links = match read(archive, &entry.descriptor) {
            Ok(links) => links,
            // Archives may hold an index without everything that it lists.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) if matches!(error.kind(), ErrorKind::Io | ErrorKind::Denied) => {
                return Err(error);
            }
            Err(error) => {
                reached.unreadable.get_or_insert(error);
                continue;
            }
        };
        visit(&entry, &links);
        reached.digests.extend(links.blobs);
        let (position, depth) = (entry.position, entry.depth + 1);
        let below = links.manifests.into_iter();
        queue.extend(below.map(|descriptor| Entry { descriptor, position, depth }));
    }
    Ok(reached)
}

fn read(archive: &OciArchive, descriptor: &Descriptor) -> Result<Links> {
    let raw = archive.manifest(descriptor)?;
    let manifest = raw.parse().map_err(|error| {
        Error::new(ErrorKind::Corrupt, "parsing manifest", &descriptor.digest).with_source(error)
    })?;
    Ok(links_of(manifest))
}

fn links_of(manifest: Manifest) -> Links {
    let subject = manifest.subject().map(|subject| subject.digest.clone());
    match manifest {
        Manifest::Image(image) => {
            let layers = image.layers.into_iter().map(|layer| layer.digest);
            Links {
                blobs: std::iter::once(image.config.digest).chain(layers).collect(),
                subject,
                artifact_type: image.artifact_type.or(Some(image.config.media_type)),
                annotations: image.annotations,
                ..Links::default()
            }
        }
        Manifest::Index(index) => Links {
            manifests: index.manifests,
            subject,
            artifact_type: index.artifact_type,
            annotations: index.annotations,
            ..Links::default()
        },
        Manifest::Schema1(image) => Links {
            blobs: image.layers.into_iter().map(|layer| layer.digest).collect(),
            ..Links::default()
        },
        // A kind that this code does not know yet: a manifest without links.
        _ => Links::default(),
    }
}

impl OciArchive {
    /// Lists the manifests and indexes whose `subject` is the given one, found anywhere below
    /// `index.json`, as the referrers API of a registry describes them.
    pub(crate) fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let mut found: Vec<Descriptor> = Vec::new();
        walk(self, self.entries(), MediaType::is_manifest, |entry, links| {
            let Descriptor { digest, media_type, size, .. } = &entry.descriptor;
            let known = found.iter().any(|known| known.digest == *digest);
            if links.subject.as_ref() == Some(subject) && !known {
                let mut descriptor = Descriptor::new(media_type.clone(), digest.clone(), *size);
                descriptor.artifact_type.clone_from(&links.artifact_type);
                descriptor.annotations.clone_from(&links.annotations);
                found.push(descriptor);
            }
        })?;
        Ok(found)
    }
}
