//! Names given and taken away.

use cask_reference::{AnyReference, LiteralReference, Reference};

use super::find::Found;
use crate::containers::Event;
use crate::{Error, ErrorKind, Images, Result};

impl Images {
    /// Has others hear of something that was done to an image.
    pub(super) fn tell(&self, status: &str, id: &str, name: &str) {
        let event = Event::of_image(status, id, name);
        self.event_log().tell(self.store().graph_root(), &[event]);
    }

    /// Has others hear of something that was done to an image by other means than this crate's: `build`, by the ID of
    /// what was built; `pull`, by what was asked for; `mount` and `unmount`.
    ///
    /// Source: containers/common, `libimage/events.go`.
    pub fn note(&self, status: &str, id: &str, name: &str) {
        self.tell(status, id, name);
    }

    /// Gives an image a name. Another image that has it loses it.
    ///
    /// A name without a registry is one of `localhost`; without a tag it is `latest`.
    ///
    /// # Errors
    /// As [`find`](Self::find); [`ErrorKind::Invalid`] if it is no name, or one with a digest.
    pub fn tag(&self, found: &Found, name: &str) -> Result<String> {
        let typed = name;
        let name = whole_name(name)?;
        if name.digest().is_some() {
            return Err(Error::new(ErrorKind::Invalid, &name, "tag by digest not supported"));
        }
        let name = name.to_string();
        self.store().append_names(&found.image.id, std::slice::from_ref(&name))?;
        // As podman tells it: what was typed.
        self.tell("tag", found.image.id.as_str(), typed);
        Ok(name)
    }

    /// Takes names away from an image; all of them if none is said.
    ///
    /// # Errors
    /// [`ErrorKind::TagNotKnown`] if the image does not have a name; [`ErrorKind::Invalid`] if it is no name.
    pub fn untag(&self, found: &Found, names: &[String]) -> Result<Vec<String>> {
        let own = &found.image.names;
        if names.is_empty() {
            self.store().set_names(&found.image.id, &[])?;
            return Ok(own.clone());
        }
        let mut gone = Vec::new();
        for name in names {
            // What was pulled by its digest is called by that alone.
            let whole = whole_name(name)?.tag_or_digest_only().to_string();
            if !own.contains(&whole) {
                return Err(Error::new(ErrorKind::TagNotKnown, whole, "tag not known"));
            }
            gone.push(whole);
        }
        self.store().remove_names(&found.image.id, &gone)?;
        for name in &gone {
            self.tell("untag", found.image.id.as_str(), name);
        }
        Ok(gone)
    }
}

/// The name that a user means for something new.
///
/// Source: containers/common, `libimage/normalize.go`, `NormalizeName`.
///
/// # Errors
/// [`ErrorKind::Invalid`] for an ID, and for what is no name.
pub fn whole_name(text: &str) -> Result<Reference> {
    let invalid = |error| {
        Error::new(ErrorKind::Invalid, "", format!("normalizing name {text:?}")).with_source(error)
    };
    // What looks like an ID is one, and no name.
    if let Ok(AnyReference::Digest(_)) = AnyReference::parse(text) {
        return Err(Error::new(ErrorKind::Invalid, text, "it is an ID, not a name"));
    }
    let written = LiteralReference::parse(text).map_err(invalid)?;
    let name = match written.domain() {
        Some(domain) if domain == "localhost" || domain.contains(['.', ':']) => {
            Reference::parse_normalized(text)
        }
        _ => Reference::parse_normalized(&format!("localhost/{text}")),
    };
    name.map(Reference::with_default_tag).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_a_registry_are_of_localhost() {
        let check = |text: &str, expected: &str| {
            assert_eq!(whole_name(text).unwrap().to_string(), expected, "{text}");
        };
        check("a", "localhost/a:latest");
        check("a:1", "localhost/a:1");
        check("a/b", "localhost/a/b:latest");
        check("localhost/a", "localhost/a:latest");
        check("docker.io/a", "docker.io/library/a:latest");
        check("quay.io/x/y:v2", "quay.io/x/y:v2");
        check("host:5000/x", "host:5000/x:latest");
        assert_eq!(whole_name("A").unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(whole_name("").unwrap_err().kind(), ErrorKind::Invalid);
    }
}
