//! Which image is meant.

use std::collections::HashMap;

use cask_image::{Descriptor, Digest, MediaType};
use cask_layout::ImageChoice;
use cask_transport::{Error, ErrorKind, Result, Selector};

use crate::archive::OciArchive;
use crate::index::{Entry, containerd_name, name};
use crate::walk::walk;

impl OciArchive {
    /// Finds an image.
    ///
    /// By name it is, of what has a type that holds images: the first entry of `index.json` with
    /// that name; else the first with that name in containerd's annotation; else the same in the
    /// indexes below, the nearest first. By digest: the first entry of `index.json`, else what an
    /// index below lists.
    ///
    /// Source: containers/image, `oci/layout/oci_transport.go`, `getManifestDescriptor`, which
    /// stops after the first step.
    pub(crate) fn resolve(&self, selector: &Selector, chosen: &ImageChoice) -> Result<Entry> {
        match selector {
            Selector::Chosen => match chosen {
                ImageChoice::Only => self.only(),
                ImageChoice::Name(name) => self.named(name.as_str()),
                ImageChoice::Position(position) => self.at(*position),
                other => Err(self.no_choice(other)),
            },
            Selector::Name(name) => self.named(name),
            Selector::Position(position) => self.at(*position),
            Selector::Digest(digest) => {
                let wanted = |descriptor: &Descriptor| descriptor.digest == *digest;
                self.find(&[&wanted])?.ok_or_else(|| {
                    self.no_image(ErrorKind::NotFound)
                        .with_detail(format!("no manifest has the digest {digest}"))
                })
            }
            other => Err(self.no_choice(other)),
        }
    }

    fn no_choice(&self, choice: &dyn std::fmt::Debug) -> Error {
        self.no_image(ErrorKind::Unsupported)
            .with_detail(format!("an archive has no images by {choice:?}"))
    }

    fn no_image(&self, kind: ErrorKind) -> Error {
        self.error(kind, "choosing an image of")
    }

    fn only(&self) -> Result<Entry> {
        let mut entries = self.entries();
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
        // The words of containers/image, which scripts search for.
        self.no_image(ErrorKind::InvalidLocation)
            .with_detail("more than one image in oci, choose an image")
            .with_hint(format!("there are {}{more}", names.join(", ")))
    }

    /// The entries that do not refer to others: an image with its signatures is one image.
    fn without_referrers<'a>(&self, entries: &'a [Entry]) -> Vec<&'a Entry> {
        let mut subjects: HashMap<Digest, Digest> = HashMap::new();
        let reached = walk(self, entries.to_vec(), MediaType::is_manifest, |entry, links| {
            if let Some(subject) = &links.subject {
                subjects.insert(entry.descriptor.digest.clone(), subject.clone());
            }
        });
        // What cannot be read is no reason to choose; the caller says that there are several.
        let listed = reached.unwrap_or_default().digests;
        let refers = |entry: &&Entry| {
            subjects.get(&entry.descriptor.digest).is_some_and(|subject| listed.contains(subject))
        };
        entries.iter().filter(|entry| !refers(entry)).collect()
    }

    fn at(&self, position: usize) -> Result<Entry> {
        let mut entries = self.entries();
        if position < entries.len() {
            return Ok(entries.swap_remove(position));
        }
        let count = entries.len();
        Err(self
            .no_image(ErrorKind::NotFound)
            .with_detail(format!("index {position} is too large, only {count} entries available")))
    }

    fn named(&self, wanted: &str) -> Result<Entry> {
        let by_name =
            |descriptor: &Descriptor| holds_image(descriptor) && name(descriptor) == Some(wanted);
        let by_containerd_name = |descriptor: &Descriptor| {
            holds_image(descriptor) && containerd_name(descriptor) == Some(wanted)
        };
        if let Some(entry) = self.find(&[&by_name, &by_containerd_name])? {
            return Ok(entry);
        }
        let entries = self.entries();
        let others = entries.iter().filter(|entry| entry.name() == Some(wanted));
        let others: Vec<&str> = others.map(|entry| entry.descriptor.media_type.as_str()).collect();
        if others.is_empty() {
            return Err(self
                .no_image(ErrorKind::NotFound)
                .with_detail(format!("no descriptor found for reference {wanted:?}")));
        }
        Err(self.no_image(ErrorKind::Unsupported).with_detail(format!(
            "reference {wanted:?} matches unsupported manifest MIME types {others:?}"
        )))
    }

    /// The first entry that fits: by the first rule before the second, and `index.json` before
    /// what it leads to.
    fn find(&self, rules: &[&dyn Fn(&Descriptor) -> bool]) -> Result<Option<Entry>> {
        let entries = self.entries();
        for rule in rules {
            if let Some(entry) = entries.iter().find(|entry| rule(&entry.descriptor)) {
                return Ok(Some(entry.clone()));
            }
        }
        let mut found: Vec<Option<Entry>> = vec![None; rules.len()];
        walk(self, entries, MediaType::is_index, |entry, links| {
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
