//! The images of an archive.

use std::collections::HashSet;

use async_trait::async_trait;
use cask_image::{Descriptor, Digest, MediaType};
use cask_layout::{ImageChoice, ReferenceName};
use cask_transport::{Collection, Entry, Error, ErrorKind, Result, Selector, blocking};
use futures_util::stream::{self, BoxStream, StreamExt as _};

use crate::archive::OciArchive;
use crate::edit::{Place, unneeded};
use crate::error::of_name;
use crate::index;
use crate::walk::{Reached, walk};

/// An opened archive as a set of images.
pub(crate) struct OciArchiveCollection {
    archive: OciArchive,
    chosen: ImageChoice,
    /// Where it can be changed; a stream cannot.
    place: Option<Place>,
}

impl OciArchiveCollection {
    pub(crate) fn new(archive: OciArchive, chosen: ImageChoice, place: Option<Place>) -> Self {
        Self { archive, chosen, place }
    }

    /// Changes the archive on the blocking pool.
    async fn change(&self, work: impl FnOnce(&Place) -> Result<()> + Send + 'static) -> Result<()> {
        let Some(place) = self.place.clone() else {
            return Err(self
                .archive
                .error(ErrorKind::Unsupported, "changing")
                .with_detail("what came from a stream cannot be changed"));
        };
        blocking(move || work(&place)).await
    }
}

fn entry(listed: crate::index::Entry) -> Entry {
    // An image that only containerd has named can be asked for by that name.
    let name = listed.name().or(listed.containerd_name()).map(str::to_owned);
    Entry {
        names: name.into_iter().collect(),
        position: Some(listed.position),
        descriptor: Some(listed.descriptor),
    }
}

#[async_trait]
impl Collection for OciArchiveCollection {
    fn entries(&self) -> BoxStream<'_, Result<Entry>> {
        // What others changed since the archive was opened is not seen.
        stream::iter(self.archive.entries().into_iter().map(|listed| Ok(entry(listed)))).boxed()
    }

    async fn tag(&self, manifest: &Descriptor, name: &str) -> Result<()> {
        let name = ReferenceName::parse(name).map_err(|error| of_name(&error))?;
        let manifest = manifest.clone();
        self.change(move |place| {
            let mut locked = place.lock()?;
            if !locked.archive.holds(&manifest.digest, manifest.size)? {
                return Err(locked
                    .archive
                    .error(ErrorKind::NotFound, "tagging an image of")
                    .with_detail(format!("there is no manifest {}", manifest.digest)));
            }
            let listed = locked.index.manifests.iter();
            let known = listed.clone().find(|listed| listed.digest == manifest.digest);
            let entry = known.cloned().unwrap_or(manifest);
            if !listed.clone().any(|listed| {
                listed.digest == entry.digest && index::name(listed) == Some(name.as_str())
            }) {
                index::add(&mut locked.index, entry, Some(&name));
            }
            place.rewrite(locked, |_| true)
        })
        .await
    }

    async fn untag(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.change(move |place| {
            let mut locked = place.lock()?;
            if !index::remove_name(&mut locked.index, &name) {
                return Err(locked
                    .archive
                    .error(ErrorKind::NotFound, "untagging an image of")
                    .with_detail(format!("no descriptor found for reference {name:?}")));
            }
            place.rewrite(locked, |_| true)
        })
        .await
    }

    async fn delete(&self, selector: &Selector) -> Result<()> {
        let (selector, chosen) = (selector.clone(), self.chosen.clone());
        self.change(move |place| delete(place, &selector, &chosen)).await
    }
}

/// Deletes an image: its entry, and the blobs that no entry needs any more.
fn delete(place: &Place, selector: &Selector, chosen: &ImageChoice) -> Result<()> {
    let mut locked = place.lock()?;
    let archive = &locked.archive;
    let entry = archive.resolve(selector, chosen)?;
    if entry.depth > 0 {
        return Err(Error::new(ErrorKind::Unsupported, "deleting", &entry.descriptor.digest)
            .with_detail("it is a part of another index")
            .with_hint(format!("delete the whole, which is @{}", entry.position)));
    }
    let is_gone = |other: &index::Entry| match selector {
        Selector::Digest(digest) => other.descriptor.digest == *digest,
        _ => other.position == entry.position,
    };
    let (gone, stay): (Vec<_>, Vec<_>) = archive.entries().into_iter().partition(is_gone);
    let removed: HashSet<usize> = gone.iter().map(|entry| entry.position).collect();
    let everything = |entries| walk(archive, entries, MediaType::is_manifest, |_, _| ());
    let needed = everything(stay)?;
    let unneeded: HashSet<Digest> = match needed {
        // What stays needs nobody knows what, so nothing may go.
        Reached { unreadable: Some(_), .. } => HashSet::new(),
        Reached { digests, .. } => unneeded(everything(gone)?.digests, &digests),
    };
    let mut position = 0;
    locked.index.manifests.retain(|_| {
        position += 1;
        !removed.contains(&(position - 1))
    });
    place.rewrite(locked, |digest| !unneeded.contains(digest))
}
