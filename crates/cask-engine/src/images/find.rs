//! Which image a user means.

use std::sync::Arc;

use cask_config::registries::{RecordedAliases, RegistriesConf, ShortNameOptions};
use cask_image::Digest;
use cask_reference::{AnyReference, LiteralReference, Reference};
use cask_storage::{ErrorKind as Storage, Id, Image};

use crate::{Error, ErrorKind, Images, Result};

/// From how many characters on the beginning of an ID is meant as one.
const LEAST_ID: usize = 3;

/// An image, and by what it was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The image.
    pub image: Image,
    /// The whole name under which it was found; what was asked for, where that was no name.
    pub name: String,
}

impl Images {
    /// Finds an image by what a user of podman writes: a name, whole or short, with a tag or a
    /// digest or neither; an ID, with or without `sha256:`; the beginning of one; the end of a name.
    ///
    /// A name comes before an ID that begins so. A short name means, in this order: its alias, the
    /// image of `localhost`, those of the search registries, any repository that ends so.
    ///
    /// Source: containers/common, `libimage/runtime.go`, `LookupImage`.
    ///
    /// # Errors
    /// [`ErrorKind::ImageNotKnown`]; [`ErrorKind::Ambiguous`] if the IDs of several begin so, with
    /// three characters at least; [`ErrorKind::Invalid`] if it cannot be a name;
    /// [`ErrorKind::Configuration`].
    pub fn find(&self, text: &str) -> Result<Found> {
        if let Some(found) = self.find_by_id(text)? {
            return Ok(found);
        }
        for candidate in self.candidates(text)? {
            if let Some(image) = self.named(&candidate)? {
                return Ok(Found { image, name: candidate.to_string() });
            }
        }
        match self.store().image_by_id_prefix(text) {
            Ok(Some(image)) => return Ok(Found { image, name: text.to_owned() }),
            // Many IDs begin as a short name does that is not there.
            Err(error) if error.kind() == Storage::Ambiguous && text.len() < LEAST_ID => {}
            other => _ = other?,
        }
        self.find_by_end(text)?.ok_or_else(|| Error::not_known(text))
    }

    /// Looks a whole ID up; nothing where the text is none.
    fn find_by_id(&self, text: &str) -> Result<Option<Found>> {
        let (id, is_digest) = match text.strip_prefix("sha256:") {
            Some(id) => (id, true),
            None => (text, false),
        };
        let is_full = id.len() == 64 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_full && !is_digest {
            return Ok(None);
        }
        if !is_full {
            return Err(Error::new(ErrorKind::Invalid, text, "must be a full image ID"));
        }
        match self.store().image(&Id::parse(id)?)? {
            Some(image) => Ok(Some(Found { image, name: text.to_owned() })),
            None => Err(Error::not_known(text)),
        }
    }

    /// The whole names that a name may stand for. What is no name stands for none.
    fn candidates(&self, text: &str) -> Result<Vec<Reference>> {
        let written = match AnyReference::parse(text) {
            Ok(AnyReference::Named(written)) => written,
            Ok(_) => return Ok(Vec::new()),
            // A place, as transports name them, is looked for by whoever has these.
            Err(_) if text.contains(':') => return Ok(Vec::new()),
            Err(error) => {
                // What is wrong with it as it is written says more.
                let invalid = Error::new(ErrorKind::Invalid, "", "");
                return Err(match LiteralReference::parse(text) {
                    Err(written) => invalid.with_source(written),
                    Ok(_) => invalid.with_source(error),
                });
            }
        };
        let text = match (written.tag(), written.digest()) {
            // The digest says more.
            (Some(_), Some(_)) => text.replacen(&format!(":{}", tag(&written)), "", 1),
            _ => text.to_owned(),
        };
        let conf = self.registries()?;
        let options = ShortNameOptions::default();
        conf.resolve_locally(&text, &RecordedAliases::default(), options)
            .map(|names| names.into_iter().map(Reference::with_default_tag).collect())
            .map_err(|error| Error::new(ErrorKind::Invalid, &text, "").with_source(error))
    }

    /// What the configuration says of short names.
    pub(super) fn registries(&self) -> Result<Arc<RegistriesConf>> {
        (self.registries)().map_err(|error| {
            Error::new(ErrorKind::Configuration, "", "reading the configuration of registries")
                .with_source(error)
        })
    }

    /// The image of a whole name: of exactly that one; or of its digest, in its repository.
    fn named(&self, name: &Reference) -> Result<Option<Image>> {
        if let Some(image) = self.store().image_by_name(&name.to_string())? {
            return Ok(Some(image));
        }
        let Some(digest) = name.digest() else { return Ok(None) };
        self.with_digest(digest, |repository| repository == name.name())
    }

    /// An image that has a manifest of the digest, and a name in a repository that fits.
    fn with_digest(&self, digest: &Digest, fits: impl Fn(&str) -> bool) -> Result<Option<Image>> {
        let images = self.store().images_by_digest(digest)?;
        Ok(images.into_iter().find(|image| {
            let mut names = image.names.iter().filter_map(|name| parse(name));
            names.any(|name| fits(name.name()))
        }))
    }

    /// The image whose repository ends as the one that was written.
    fn find_by_end(&self, text: &str) -> Result<Option<Found>> {
        let Ok(AnyReference::Named(written)) = AnyReference::parse(text) else { return Ok(None) };
        let short = written.familiar();
        let short = short.split(['@', ':']).next().unwrap_or_default();
        let ends_so = |repository: &str| {
            repository
                .strip_suffix(short)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        };
        if let Some(digest) = written.digest() {
            let found = self.with_digest(digest, ends_so)?;
            return Ok(found.map(|image| Found { image, name: text.to_owned() }));
        }
        let wanted = written.with_default_tag();
        for image in self.store().images()? {
            let names = image.names.iter().filter_map(|name| parse(name));
            let found = names
                .filter(|name| name.tag() == wanted.tag() && ends_so(name.name()))
                .map(|name| name.to_string())
                .next();
            if let Some(name) = found {
                return Ok(Some(Found { image, name }));
            }
        }
        Ok(None)
    }
}

fn tag(name: &Reference) -> &str {
    name.tag().map(cask_reference::Tag::as_str).unwrap_or_default()
}

/// A name of the store. Peers may have written what is none.
pub(super) fn parse(name: &str) -> Option<Reference> {
    Reference::parse_normalized(name).ok()
}
