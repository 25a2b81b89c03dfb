//! The images of an archive.

use std::collections::HashSet;

use async_trait::async_trait;
use cask_image::Descriptor;
use cask_layout::{Content as _, ImageChoice, ReferenceName};
use cask_layout_seam::{entry, of_layout, of_name, with_selector};
use cask_transport::{Collection, Entry, Error, ErrorKind, Result, Selector, blocking};
use futures_util::stream::{self, BoxStream, StreamExt as _};

use crate::archive::OciArchive;
use crate::edit::Place;

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

#[async_trait]
impl Collection for OciArchiveCollection {
    fn entries(&self) -> BoxStream<'_, Result<Entry>> {
        // What others changed since the archive was opened is not seen.
        stream::iter(self.archive.index().to_entries().into_iter().map(|listed| Ok(entry(listed))))
            .boxed()
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
            let known = locked.index.entries().position(|listed| listed.digest == manifest.digest);
            match known {
                Some(position) => locked.index.add_name(position, &name),
                None => locked.index.add(&manifest, Some(&name)),
            }
            .map_err(of_layout)?;
            place.rewrite(locked, |_| true)
        })
        .await
    }

    async fn untag(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.change(move |place| {
            let mut locked = place.lock()?;
            if !locked.index.remove_name(&name) {
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
    let entry = archive.resolve(with_selector(selector, chosen)?)?;
    if entry.depth > 0 {
        return Err(Error::new(ErrorKind::Unsupported, "deleting", &entry.descriptor.digest)
            .with_detail("it is a part of another index")
            .with_hint(format!("delete the whole, which is @{}", entry.position)));
    }
    let is_gone = |other: &cask_layout::Entry| match selector {
        Selector::Digest(digest) => other.descriptor.digest == *digest,
        _ => other.position == entry.position,
    };
    let (gone, stay): (Vec<_>, Vec<_>) = archive.list()?.into_iter().partition(is_gone);
    let removed: Vec<usize> = gone.iter().map(|entry| entry.position).collect();
    let needed = archive.needed(stay)?;
    let mut unneeded = HashSet::new();
    // Where what stays needs nobody knows what, nothing may go.
    if needed.unreadable.is_empty() {
        unneeded = archive.needed(gone)?.digests;
        unneeded.retain(|digest| !needed.digests.contains(digest));
    }
    locked.index.remove(&removed);
    place.rewrite(locked, |digest| !unneeded.contains(digest))
}
