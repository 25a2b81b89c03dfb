//! What images are called where they go.

use std::collections::HashMap;
use std::path::PathBuf;

use cask_transport::{Error, ErrorKind, Location, Result, Transports};

use super::set::SyncImage;
use super::{SyncPair, SyncSet};

/// Where images go, and how they are called there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SyncTarget {
    /// The transports by which the place is reached.
    pub transports: Transports,
    /// What comes before an image's name: `docker://mirror.example.com/`, `dir:/media/`,
    /// `oci-archive:all.tar:`.
    pub prefix: String,
    /// Whether all images go into one place, such as an archive. They are then written one after
    /// the other.
    pub is_one_place: bool,
    /// The directory that the prefix names, where it names one: those between it and an image's
    /// place are made.
    pub directory: Option<PathBuf>,
    /// Whether images keep the whole of their names; without, the part after the last slash.
    ///
    /// Source: skopeo-sync(1), `--scoped`.
    pub scoped: bool,
    /// What is put behind every name.
    ///
    /// Source: skopeo-sync(1), `--append-suffix`.
    pub suffix: String,
}

impl SyncTarget {
    /// Makes a target of many places whose images keep the last part of their names.
    pub fn new(transports: Transports, prefix: impl Into<String>) -> Self {
        Self {
            transports,
            prefix: prefix.into(),
            is_one_place: false,
            directory: None,
            scoped: false,
            suffix: String::new(),
        }
    }

    /// A name as it is at the destination, but for the suffix.
    pub(super) fn shown<'n>(&self, name: &'n str) -> &'n str {
        let name = name.trim_start_matches('/');
        match self.scoped {
            true => name,
            false => name.rsplit('/').next().unwrap_or(name),
        }
    }

    /// Where the images of a set are, and what comes before their names in the texts of all of
    /// them.
    pub(super) fn place_of(&self, set: &SyncSet) -> (String, String) {
        let before = format!("{}{}:", self.prefix, self.shown(&set.name));
        let place = if self.is_one_place { &self.prefix } else { &before };
        (place.trim_end_matches(':').to_owned(), before)
    }

    /// Gives every image its place.
    ///
    /// # Errors
    /// `InvalidLocation` if a name cannot be one there, or two images had the same.
    pub(super) fn pairs(&self, images: Vec<SyncImage>) -> Result<Vec<SyncPair>> {
        let mut pairs: Vec<SyncPair> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for image in images {
            let (to, parent) = (self.location(&image.name)?, self.parent(&image.name));
            let pair = SyncPair { from: image.from, to, parent };
            let to = pair.to.to_string();
            let Some(before) = known.get(&to) else {
                known.insert(to, pairs.len());
                pairs.push(pair);
                continue;
            };
            let before = &pairs[*before].from;
            if before.to_string() != pair.from.to_string() {
                let detail = format!("{before} and {} would both be {to}", pair.from);
                let error = Error::new(ErrorKind::InvalidLocation, "", "").with_detail(detail);
                return Err(match self.scoped {
                    true => error,
                    false => error.with_hint("--scoped keeps the whole name of each"),
                });
            }
        }
        Ok(pairs)
    }

    /// The directory that the place of an image is in.
    fn parent(&self, name: &str) -> Option<PathBuf> {
        let above = self.shown(name).rsplit_once('/').map_or("", |(above, _)| above);
        self.directory.as_ref().map(|directory| directory.join(above))
    }

    fn location(&self, name: &str) -> Result<Box<dyn Location>> {
        let shown = self.shown(name);
        let text = format!("{}{shown}{}", self.prefix, self.suffix);
        let (scheme, rest) = text.split_once(':').unwrap_or(("", &text));
        let location = self.transports.parse(&text).map_err(|error| {
            // The words of skopeo, which scripts search for.
            let detail = format!(
                "Cannot obtain a valid image reference for transport {scheme:?} and reference \
                 {rest:?}"
            );
            Error::new(error.kind(), "", "").with_detail(detail).with_source(error)
        })?;
        // Who names images by references has no paths that a colon could be part of.
        if self.is_one_place || location.reference().is_some() {
            return Ok(location);
        }
        let path = shown.split('@').next().unwrap_or(shown);
        let tag = path.rsplit_once(':').map(|(_, tag)| format!("{tag}{}", self.suffix));
        match location.name() {
            // The name after a digest's sign is of a place that has no digests: see below.
            Some(found) if tag.is_some() && tag.as_ref() != Some(&found) => {
                Err(Error::new(ErrorKind::InvalidLocation, "", &text)
                    .with_detail(format!("a path of {scheme}: cannot have a colon"))
                    .with_hint("without --scoped the registry is no part of the path"))
            }
            Some(_) if tag.is_none() && shown.contains('@') => {
                self.transports.parse(&text.replacen('@', ":", 1))
            }
            _ => Ok(location),
        }
    }
}
