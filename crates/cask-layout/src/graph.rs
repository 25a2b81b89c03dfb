//! What hangs together: from the entries of an index to everything that they need.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use cask_image::{Descriptor, Digest, Manifest, MediaType};

use crate::content::{Content, Finding};
use crate::{Entry, Error, ErrorKind, Result};

/// The most manifests and indexes that are read to answer one question.
pub(crate) const MAX_MANIFESTS: usize = 100_000;

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

/// What was found behind a descriptor.
enum Node<E> {
    /// The layout does not hold it, as layouts may.
    Missing,
    /// It could be read; content of which nothing is known links to nothing.
    Read(Arc<Links>),
    /// It should be a manifest, and could not be read.
    Unreadable(E),
}

/// A manifest that was reached, given to whoever walks.
pub(crate) struct Visit<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) links: &'a Links,
}

/// Everything that some entries need.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reached<E> {
    /// The digests of everything, whether the layout holds it or not.
    pub digests: HashSet<Digest>,
    /// Why some manifests could not be read: what they need is not known.
    pub unreadable: Vec<E>,
}

impl<E> Default for Reached<E> {
    fn default() -> Self {
        Self { digests: HashSet::new(), unreadable: Vec::new() }
    }
}

/// Walks from some entries to everything that they need, indexes before what they list. Each
/// manifest is read once, if its type is one to read; nothing recurses.
pub(crate) fn walk<C: Content + ?Sized>(
    content: &C,
    roots: Vec<Entry>,
    to_read: fn(&MediaType) -> bool,
    mut visit: impl FnMut(Visit<'_>),
) -> Result<Reached<C::Error>, C::Error> {
    let mut reached = Reached::default();
    // The same digest under another type can say other things.
    let mut seen: HashSet<(Digest, MediaType)> = HashSet::new();
    let mut queue = VecDeque::from(roots);
    while let Some(entry) = queue.pop_front() {
        let descriptor = &entry.descriptor;
        reached.digests.insert(descriptor.digest.clone());
        let first = seen.insert((descriptor.digest.clone(), descriptor.media_type.clone()));
        if !first || !to_read(&descriptor.media_type) {
            continue;
        }
        if seen.len() > MAX_MANIFESTS {
            let error = Error::new(ErrorKind::LimitExceeded, "walking", content.place())
                .with_detail(format!("it has more than {MAX_MANIFESTS} manifests"));
            return Err(content.explain(error));
        }
        let links = match read(content, descriptor)? {
            Node::Missing => continue,
            Node::Read(links) => links,
            Node::Unreadable(error) => {
                reached.unreadable.push(error);
                continue;
            }
        };
        visit(Visit { entry: &entry, links: &links });
        reached.digests.extend(links.blobs.iter().cloned());
        let (position, depth) = (entry.position, entry.depth + 1);
        queue.extend(links.manifests.iter().map(|descriptor| Entry {
            descriptor: descriptor.clone(),
            position,
            depth,
        }));
    }
    Ok(reached)
}

fn read<C: Content + ?Sized>(
    content: &C,
    descriptor: &Descriptor,
) -> Result<Node<C::Error>, C::Error> {
    let Descriptor { digest, media_type, .. } = descriptor;
    let Some(cache) = content.cache() else {
        return Ok(read_anew(content, descriptor)?.0);
    };
    if let Some(links) = cache.find(digest, media_type) {
        return match content.blob_size(digest) {
            Ok(Some(_)) => Ok(Node::Read(links)),
            Ok(None) => Ok(Node::Missing),
            Err(error) => unless_fatal::<C>(error),
        };
    }
    let (node, size) = read_anew(content, descriptor)?;
    if let Node::Read(links) = &node {
        cache.keep(digest, media_type, size, links);
    }
    Ok(node)
}

/// Reads what a descriptor names, and how many bytes it has.
fn read_anew<C: Content + ?Sized>(
    content: &C,
    descriptor: &Descriptor,
) -> Result<(Node<C::Error>, usize), C::Error> {
    let known = descriptor.media_type.is_manifest();
    // The digest says what the content is. What an entry says of its size is not needed here.
    let raw = match content.manifest(descriptor) {
        Ok(raw) => raw,
        Err(error) => {
            let node = match C::finding(&error) {
                Finding::Missing => Node::Missing,
                // Large content of an unknown type is no manifest.
                Finding::TooLarge if !known => Node::Read(Arc::default()),
                _ => unless_fatal::<C>(error)?,
            };
            return Ok((node, 0));
        }
    };
    let size = raw.bytes().len();
    if !known {
        return Ok((Node::Read(Arc::new(links_of_unknown(raw.bytes()))), size));
    }
    let node = match raw.parse() {
        Ok(manifest) => Node::Read(Arc::new(links_of(manifest))),
        Err(error) => Node::Unreadable(
            content.explain(
                Error::new(ErrorKind::Corrupt, "parsing manifest", &descriptor.digest)
                    .with_source(error),
            ),
        ),
    };
    Ok((node, size))
}

/// An error about one manifest is a finding; one of the system ends the walk.
fn unless_fatal<C: Content + ?Sized>(error: C::Error) -> Result<Node<C::Error>, C::Error> {
    match C::finding(&error) {
        Finding::System => Err(error),
        _ => Ok(Node::Unreadable(error)),
    }
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
        // A kind that this code does not know yet: the caller sees a manifest without links.
        _ => Links::default(),
    }
}

/// Whatever looks like a digest in content that may be a manifest of a type yet to come: better
/// to keep too much than too little.
fn links_of_unknown(bytes: &[u8]) -> Links {
    let mut links = Links::default();
    let mut values: Vec<serde_json::Value> = serde_json::from_slice(bytes).into_iter().collect();
    while let Some(value) = values.pop() {
        match value {
            serde_json::Value::String(text) => links.blobs.extend(text.parse().ok()),
            serde_json::Value::Array(items) => values.extend(items),
            serde_json::Value::Object(fields) => {
                values.extend(fields.into_iter().map(|(_, value)| value));
            }
            _ => {}
        }
    }
    links
}

/// Lists what refers to a manifest.
pub(crate) fn referrers<C: Content + ?Sized>(
    content: &C,
    subject: &Digest,
) -> Result<Vec<Descriptor>, C::Error> {
    let mut found: Vec<Descriptor> = Vec::new();
    let mut known: HashSet<Digest> = HashSet::new();
    walk(
        content,
        content.list()?,
        |_| true,
        |Visit { entry, links }| {
            let Descriptor { digest, media_type, size, .. } = &entry.descriptor;
            if links.subject.as_ref() == Some(subject) && known.insert(digest.clone()) {
                let mut descriptor = Descriptor::new(media_type.clone(), digest.clone(), *size);
                descriptor.artifact_type = links.artifact_type.clone();
                descriptor.annotations = links.annotations.clone();
                found.push(descriptor);
            }
        },
    )?;
    Ok(found)
}
