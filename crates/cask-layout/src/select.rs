//! Which image is meant.

use std::collections::HashMap;

use cask_image::{Descriptor, Digest, MediaType};

use crate::ErrorKind::NotFound;
use crate::content::Content;
use crate::entry::{containerd_name, name};
use crate::graph::{Visit, walk};
use crate::{Entry, Error, ErrorKind, ImageChoice, Result};

/// Which image of a layout is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Selector<'a> {
    /// The only one that `index.json` lists, or the only one besides those that refer to others of
    /// them: an image with its signatures is one image.
    Only,
    /// The one of this name.
    Name(&'a str),
    /// The one at this position in `index.json`, counted from zero.
    Position(usize),
    /// The manifest or index of this digest.
    Digest(&'a Digest),
}

impl<'a> From<&'a ImageChoice> for Selector<'a> {
    fn from(choice: &'a ImageChoice) -> Self {
        match choice {
            ImageChoice::Only => Self::Only,
            ImageChoice::Name(name) => Self::Name(name.as_str()),
            ImageChoice::Position(position) => Self::Position(*position),
        }
    }
}

/// Finds an image.
pub(crate) fn resolve<C: Content + ?Sized>(
    content: &C,
    selector: Selector<'_>,
) -> Result<Entry, C::Error> {
    let entries = content.list()?;
    let found = match selector {
        Selector::Only => only(content, entries),
        Selector::Position(position) => at(entries, position),
        Selector::Name(name) => return named(content, entries, name),
        Selector::Digest(digest) => {
            let wanted = |descriptor: &Descriptor| descriptor.digest == *digest;
            find(content, entries, &[&wanted])?
                .ok_or_else(|| no_image(NotFound, format!("no manifest has the digest {digest}")))
        }
    };
    found.map_err(|missing| missing.about(content))
}

/// Why there is no image.
struct NoImage {
    kind: ErrorKind,
    detail: String,
    hint: Option<String>,
}

fn no_image(kind: ErrorKind, detail: impl Into<String>) -> NoImage {
    NoImage { kind, detail: detail.into(), hint: None }
}

impl NoImage {
    fn about<C: Content + ?Sized>(self, content: &C) -> C::Error {
        let error = Error::new(self.kind, "choosing an image of", content.place());
        let error = error.with_detail(self.detail);
        content.explain(match self.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        })
    }
}

fn only<C: Content + ?Sized>(content: &C, mut entries: Vec<Entry>) -> Result<Entry, NoImage> {
    match entries.len() {
        0 => Err(no_image(NotFound, "there is no image in it")),
        1 => Ok(entries.remove(0)),
        _ => match without_referrers(content, &entries).as_slice() {
            [only] => Ok(Entry::clone(only)),
            _ => Err(ambiguous(&entries)),
        },
    }
}

fn ambiguous(entries: &[Entry]) -> NoImage {
    let names: Vec<String> = entries.iter().take(8).map(describe).collect();
    let more = if entries.len() > 8 { ", …" } else { "" };
    NoImage {
        kind: ErrorKind::Ambiguous,
        // The words of containers/image, which scripts search for.
        detail: "more than one image in oci, choose an image".to_owned(),
        hint: Some(format!("there are {}{more}", names.join(", "))),
    }
}

/// The entries that do not refer to others, or to what those need.
fn without_referrers<'a, C: Content + ?Sized>(content: &C, entries: &'a [Entry]) -> Vec<&'a Entry> {
    let mut subjects: HashMap<Digest, Digest> = HashMap::new();
    let reached = walk(
        content,
        entries.to_vec(),
        |_| true,
        |Visit { entry, links }| {
            if let Some(subject) = &links.subject {
                subjects.insert(entry.descriptor.digest.clone(), subject.clone());
            }
        },
    );
    // What cannot be read is no reason to choose; the caller says that there are several.
    let listed = reached.unwrap_or_default().digests;
    let refers = |entry: &&Entry| {
        subjects.get(&entry.descriptor.digest).is_some_and(|subject| listed.contains(subject))
    };
    entries.iter().filter(|entry| !refers(entry)).collect()
}

fn at(mut entries: Vec<Entry>, position: usize) -> Result<Entry, NoImage> {
    if position < entries.len() {
        return Ok(entries.swap_remove(position));
    }
    let count = entries.len();
    Err(no_image(
        NotFound,
        format!("index {position} is too large, only {count} entries available"),
    ))
}

fn named<C: Content + ?Sized>(
    content: &C,
    entries: Vec<Entry>,
    wanted: &str,
) -> Result<Entry, C::Error> {
    let others: Vec<String> = entries
        .iter()
        .filter(|entry| entry.name() == Some(wanted) && !holds_image(&entry.descriptor))
        .map(|entry| entry.descriptor.media_type.to_string())
        .collect();
    let by_name =
        |descriptor: &Descriptor| holds_image(descriptor) && name(descriptor) == Some(wanted);
    let by_containerd_name = |descriptor: &Descriptor| {
        holds_image(descriptor) && containerd_name(descriptor) == Some(wanted)
    };
    if let Some(entry) = find(content, entries, &[&by_name, &by_containerd_name])? {
        return Ok(entry);
    }
    let missing = if others.is_empty() {
        no_image(NotFound, format!("no descriptor found for reference {wanted:?}"))
    } else {
        no_image(
            ErrorKind::Unsupported,
            format!("reference {wanted:?} matches unsupported manifest MIME types {others:?}"),
        )
    };
    Err(missing.about(content))
}

/// The first entry that fits: by the first rule before the second, and `index.json` before what
/// it leads to.
fn find<C: Content + ?Sized>(
    content: &C,
    entries: Vec<Entry>,
    rules: &[&dyn Fn(&Descriptor) -> bool],
) -> Result<Option<Entry>, C::Error> {
    for rule in rules {
        if let Some(entry) = entries.iter().find(|entry| rule(&entry.descriptor)) {
            return Ok(Some(entry.clone()));
        }
    }
    let mut found: Vec<Option<Entry>> = vec![None; rules.len()];
    walk(content, entries, MediaType::is_index, |Visit { entry, links }| {
        for (rule, found) in rules.iter().zip(&mut found) {
            if found.is_none()
                && let Some(descriptor) = links.manifests.iter().find(|listed| rule(listed))
            {
                let (position, depth) = (entry.position, entry.depth + 1);
                *found = Some(Entry { descriptor: descriptor.clone(), position, depth });
            }
        }
    })?;
    Ok(found.into_iter().flatten().min_by_key(|entry| entry.depth))
}

/// What an image is called in a message: its name, or else its position.
fn describe(entry: &Entry) -> String {
    match entry.name() {
        Some(name) => name.chars().take(80).flat_map(char::escape_debug).collect(),
        None => format!("@{}", entry.position),
    }
}

/// Whether content of a type can be what a name means.
fn holds_image(descriptor: &Descriptor) -> bool {
    matches!(
        descriptor.media_type,
        MediaType::OciManifest
            | MediaType::OciIndex
            | MediaType::DockerManifest
            | MediaType::DockerManifestList
    )
}
