//! Which image is meant.

use std::collections::HashMap;

use cask_image::{Descriptor, Digest, MediaType};

use crate::graph::{Visit, walk};
use crate::{Entry, Error, ErrorKind, ImageChoice, Layout, Result};

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

impl Layout {
    /// Finds an image.
    ///
    /// By name it is, of what has a type that holds images (OCI's and Docker's manifests and
    /// indexes): the first entry of `index.json` with that name; else the first with that name in
    /// containerd's annotation; else the same in the indexes below, the nearest first. By digest:
    /// the first entry of `index.json`, else what an index below lists.
    ///
    /// Source: containers/image, `oci/layout/oci_transport.go`, `getManifestDescriptor`, which
    /// stops after the first step.
    ///
    /// # Errors
    /// As [`index`](Self::index); `NotFound` if there is no such image; `Ambiguous` if only one
    /// was expected; `Unsupported` if the name is that of something else than an image.
    pub fn resolve(&self, selector: Selector<'_>) -> Result<Entry> {
        let entries = self.list()?;
        match selector {
            Selector::Only => self.only(entries),
            Selector::Position(position) => self.at(entries, position),
            Selector::Name(name) => self.named(entries, name),
            Selector::Digest(digest) => {
                let wanted = |descriptor: &Descriptor| descriptor.digest == *digest;
                match self.find(entries, &[&wanted])? {
                    Some(entry) => Ok(entry),
                    None => Err(self
                        .no_image(ErrorKind::NotFound)
                        .with_detail(format!("no manifest has the digest {digest}"))),
                }
            }
        }
    }

    fn no_image(&self, kind: ErrorKind) -> Error {
        Error::new(kind, "choosing an image of", self.path().display())
    }

    fn only(&self, mut entries: Vec<Entry>) -> Result<Entry> {
        match entries.len() {
            0 => Err(self.no_image(ErrorKind::NotFound).with_detail("there is no image in it")),
            1 => Ok(entries.remove(0)),
            _ => match self.without_referrers(&entries).as_slice() {
                [only] => Ok(Entry::clone(only)),
                _ => Err(self.ambiguous(&entries)),
            },
        }
    }

    fn ambiguous(&self, entries: &[Entry]) -> Error {
        let names: Vec<String> = entries.iter().take(8).map(describe).collect();
        let more = if entries.len() > 8 { ", …" } else { "" };
        self.no_image(ErrorKind::Ambiguous)
            .with_detail("more than one image in oci, choose an image")
            .with_hint(format!("there are {}{more}", names.join(", ")))
    }

    /// The entries that do not refer to others, or to what those need.
    fn without_referrers<'a>(&self, entries: &'a [Entry]) -> Vec<&'a Entry> {
        let mut subjects: HashMap<Digest, Digest> = HashMap::new();
        let reached = walk(
            self,
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

    fn at(&self, mut entries: Vec<Entry>, position: usize) -> Result<Entry> {
        if position >= entries.len() {
            return Err(self.no_image(ErrorKind::NotFound).with_detail(format!(
                "index {position} is too large, only {} entries available",
                entries.len()
            )));
        }
        Ok(entries.swap_remove(position))
    }

    fn named(&self, entries: Vec<Entry>, name: &str) -> Result<Entry> {
        let others: Vec<String> = entries
            .iter()
            .filter(|entry| entry.name() == Some(name) && !holds_image(&entry.descriptor))
            .map(|entry| entry.descriptor.media_type.to_string())
            .collect();
        let is_named = |found: Option<&str>| found == Some(name);
        let by_name = |descriptor: &Descriptor| {
            holds_image(descriptor) && is_named(Entry::listed(0, descriptor.clone()).name())
        };
        let by_containerd_name = |descriptor: &Descriptor| {
            holds_image(descriptor)
                && is_named(Entry::listed(0, descriptor.clone()).containerd_name())
        };
        match self.find(entries, &[&by_name, &by_containerd_name])? {
            Some(entry) => Ok(entry),
            None if !others.is_empty() => Err(self.no_image(ErrorKind::Unsupported).with_detail(
                format!("reference {name:?} matches unsupported manifest MIME types {others:?}"),
            )),
            None => Err(self
                .no_image(ErrorKind::NotFound)
                .with_detail(format!("no descriptor found for reference {name:?}"))),
        }
    }

    /// The first entry that fits: by the first rule before the second, and `index.json` before
    /// what it leads to.
    fn find(
        &self,
        entries: Vec<Entry>,
        rules: &[&dyn Fn(&Descriptor) -> bool],
    ) -> Result<Option<Entry>> {
        for rule in rules {
            if let Some(entry) = entries.iter().find(|entry| rule(&entry.descriptor)) {
                return Ok(Some(entry.clone()));
            }
        }
        let mut found: Vec<Option<Entry>> = vec![None; rules.len()];
        walk(self, entries, MediaType::is_index, |Visit { entry, links }| {
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
