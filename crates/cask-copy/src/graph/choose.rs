//! Choosing images of an index by their platform, through nested indexes.

use std::collections::HashSet;

use cask_image::{
    Descriptor, Digest, Index, Manifest, NoInstance, PlatformWanted, RawManifest, choose_instance,
};
use cask_transport::{Error, ErrorKind, Result, VerifiedSource};

use super::walk::Walk;
use super::{ATTESTED, MAX_INDEX_DEPTH, parse, too_deep};

/// Chooses the image for a platform, given the top of what was read already.
///
/// # Errors
/// As [`Graph::read`](super::Graph::read).
pub(crate) async fn choose_image(
    source: &VerifiedSource,
    top: &RawManifest,
    wanted: &PlatformWanted,
) -> Result<Descriptor> {
    Walk::new(source).choose(top, wanted).await
}

impl Walk<'_> {
    /// Goes down through indexes to the one image for a platform.
    pub(super) async fn choose(
        &mut self,
        top: &RawManifest,
        wanted: &PlatformWanted,
    ) -> Result<Descriptor> {
        let Manifest::Index(index) = parse(top)? else { return Ok(top.descriptor()) };
        match self.choose_in(&index, wanted, 0).await? {
            Some(chosen) => Ok(chosen),
            None => Err(nothing_fits(top.digest(), no_instance(&index, wanted))),
        }
    }

    async fn choose_in(
        &mut self,
        index: &Index,
        wanted: &PlatformWanted,
        depth: usize,
    ) -> Result<Option<Descriptor>> {
        let with_platform = only(index, |entry| entry.platform.is_some());
        if let Ok(best) = choose_instance(&with_platform, wanted) {
            if !best.media_type.is_index() {
                return Ok(Some(best.clone()));
            }
            if let Some(found) = self.choose_below(best, wanted, depth).await? {
                return Ok(Some(found));
            }
        }
        for entry in index.manifests.iter().filter(|entry| may_hold(entry, wanted)) {
            if let Some(found) = self.choose_below(entry, wanted, depth).await? {
                return Ok(Some(found));
            }
        }
        Ok(choose_instance(&only(index, is_unlabelled_image), wanted).ok().cloned())
    }

    async fn choose_below(
        &mut self,
        entry: &Descriptor,
        wanted: &PlatformWanted,
        depth: usize,
    ) -> Result<Option<Descriptor>> {
        // What was looked through has nothing: indexes can name one another many times.
        if !self.barren.insert(entry.digest.clone()) {
            return Ok(None);
        }
        if depth + 1 > MAX_INDEX_DEPTH {
            return Err(too_deep(entry));
        }
        let raw = self.read_manifest(entry).await?;
        let Manifest::Index(index) = parse(&raw)? else { return Ok(Some(entry.clone())) };
        Box::pin(self.choose_in(&index, wanted, depth + 1)).await
    }

    /// Which entries of one index are copied for a list of platforms. An attestation follows the
    /// image that it is about; nested indexes are looked into.
    pub(super) fn choose_entries(
        &mut self,
        index: &Index,
        platforms: &[PlatformWanted],
    ) -> Vec<bool> {
        let images = only(index, |entry| entry.platform.is_some() && !entry.media_type.is_index());
        let has_nested = index.manifests.iter().any(|entry| entry.media_type.is_index());
        let mut chosen: HashSet<Digest> = HashSet::new();
        for wanted in platforms {
            if let Ok(best) = choose_instance(&images, wanted) {
                // One platform may have several entries, in different compressions.
                let same = images
                    .manifests
                    .iter()
                    .filter(|entry| entry.platform == best.platform && !entry.is_attestation());
                chosen.extend(same.map(|entry| entry.digest.clone()));
            } else if !has_nested
                && let Ok(best) = choose_instance(&only(index, is_unlabelled_image), wanted)
            {
                chosen.insert(best.digest.clone());
            } else {
                continue;
            }
            self.served.insert(wanted.clone());
        }
        let is_chosen = |entry: &Descriptor| match attested_digest(entry) {
            Some(attested) => chosen.contains(&attested),
            None => {
                chosen.contains(&entry.digest)
                    || platforms.iter().any(|wanted| may_hold(entry, wanted))
            }
        };
        index.manifests.iter().map(is_chosen).collect()
    }

    /// Fails unless every platform that was asked for has been found somewhere.
    pub(super) fn check_served(
        &self,
        top: &RawManifest,
        platforms: &[PlatformWanted],
    ) -> Result<()> {
        let Manifest::Index(index) = parse(top)? else { return Ok(()) };
        match platforms.iter().find(|wanted| !self.served.contains(wanted)) {
            Some(missing) => Err(nothing_fits(top.digest(), no_instance(&index, missing))),
            None if platforms.is_empty() => {
                Err(Error::new(ErrorKind::NotFound, "choosing images from", top.digest())
                    .with_detail("no platform was asked for"))
            }
            None => Ok(()),
        }
    }
}

fn nothing_fits(index: &Digest, error: Option<NoInstance>) -> Error {
    let nothing = Error::new(ErrorKind::NotFound, "choosing an image from", index).with_hint(
        "--all copies every image of the index, --override-os, --override-arch and \
         --override-variant choose another",
    );
    match error {
        Some(error) => nothing.with_source(error),
        None => nothing,
    }
}

/// The words for an index that has nothing, with the platforms that it has.
fn no_instance(index: &Index, wanted: &PlatformWanted) -> Option<NoInstance> {
    let unfit = |entry: &Descriptor| match &entry.platform {
        Some(platform) => !wanted.accepts(platform),
        None => false,
    };
    choose_instance(&only(index, unfit), wanted).err()
}

fn only(index: &Index, is_wanted: impl Fn(&Descriptor) -> bool) -> Index {
    let entries = index.manifests.iter().filter(|entry| is_wanted(entry));
    Index::new(index.format, entries.cloned().collect())
}

fn is_unlabelled_image(entry: &Descriptor) -> bool {
    entry.platform.is_none() && !entry.media_type.is_index()
}

/// Whether an entry is an index that may have an image for a platform.
fn may_hold(entry: &Descriptor, wanted: &PlatformWanted) -> bool {
    entry.media_type.is_index()
        && !entry.is_attestation()
        && entry.platform.as_ref().is_none_or(|platform| wanted.accepts(platform))
}

/// The digest of the image that an attestation is about.
fn attested_digest(entry: &Descriptor) -> Option<Digest> {
    entry.annotations.get(ATTESTED).and_then(|digest| digest.parse().ok())
}
