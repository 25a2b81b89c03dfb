//! What follows `containers-storage:`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use cask_image::Digest;
use cask_json::quoted;
use cask_reference::Reference;

use crate::cache::not_found;
use crate::images::LEAST_ID_PREFIX;
use crate::{Error, ErrorKind, Id, Image, Result, Store, id};

/// Which store is meant, in front of an image's name: `[driver@graphroot+runroot:options]`.
///
/// Source: containers/image, `storage_transport.go`, `ParseReference`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct StoreSpecifier {
    /// The driver, where it is named.
    pub driver: Option<String>,
    /// The graph root, absolute; empty where only options are given.
    pub graph_root: PathBuf,
    /// The run root, absolute, where it is named.
    pub run_root: Option<PathBuf>,
    /// Options of the driver.
    pub options: Vec<String>,
}

impl fmt::Display for StoreSpecifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        if let Some(driver) = &self.driver {
            write!(f, "{driver}@")?;
        }
        write!(f, "{}", self.graph_root.display())?;
        if let Some(run_root) = &self.run_root {
            write!(f, "+{}", run_root.display())?;
        }
        if !self.options.is_empty() {
            write!(f, ":{}", self.options.join(","))?;
        }
        f.write_str("]")
    }
}

/// A text behind `containers-storage:`: perhaps a store, and an image as a user writes it.
///
/// Whether a short word is a name or the beginning of an ID only the store can say:
/// [`Store::resolve`]. `Display` is the inverse of parsing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StorageReference {
    specifier: Option<StoreSpecifier>,
    image: String,
}

impl StorageReference {
    /// The store, where one is named.
    pub fn specifier(&self) -> Option<&StoreSpecifier> {
        self.specifier.as_ref()
    }

    /// What names the image: `name[:tag][@digest][@id]`, `@id`, or the beginning of an ID. Empty
    /// where only a store is named.
    pub fn image(&self) -> &str {
        &self.image
    }
}

impl fmt::Display for StorageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(specifier) = &self.specifier {
            write!(f, "{specifier}")?;
        }
        f.write_str(&self.image)
    }
}

impl FromStr for StorageReference {
    type Err = Error;

    /// Reads a reference.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`] for an empty text, a store without its closing bracket, an empty
    /// driver, and paths that are not absolute.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &'static str| {
            Err(Error::new(ErrorKind::InvalidName, "reading the reference", quoted(text))
                .with_detail(why))
        };
        if text.is_empty() {
            return wrong("it is empty");
        }
        let Some(rest) = text.strip_prefix('[') else {
            return Ok(Self { specifier: None, image: text.to_owned() });
        };
        let Some((specifier, image)) = rest.split_once(']') else {
            return wrong("the bracket of the store is not closed");
        };
        let (driver, rest) = match specifier.split_once('@') {
            Some(("", _)) => return wrong("the driver before the @ is missing"),
            Some((_, "")) => return wrong("the graph root behind the @ is missing"),
            Some((driver, rest)) => (Some(driver.to_owned()), rest),
            None if specifier.is_empty() => return wrong("the brackets hold no store"),
            None => (None, specifier),
        };
        let (rest, options) = match rest.split_once(':') {
            Some((rest, options)) => (rest, options.split(',').map(str::to_owned).collect()),
            None => (rest, Vec::new()),
        };
        let (graph_root, run_root) = match rest.split_once('+') {
            Some((graph_root, run_root)) => (graph_root, Some(run_root).filter(|p| !p.is_empty())),
            None => (rest, None),
        };
        let relative = |path: &str| !path.is_empty() && !Path::new(path).is_absolute();
        if relative(graph_root) || run_root.is_some_and(relative) {
            return wrong("the paths of a store are absolute");
        }
        let specifier = StoreSpecifier {
            driver,
            graph_root: graph_root.into(),
            run_root: run_root.map(PathBuf::from),
            options,
        };
        Ok(Self { specifier: Some(specifier), image: image.to_owned() })
    }
}

/// An image as a reference names it: by a name, by an ID, or by both.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ImageName {
    /// The normalized name with a tag or a digest, where there is one.
    pub name: Option<Reference>,
    /// The whole ID, where there is one.
    pub id: Option<Id>,
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}")?;
        }
        if let Some(id) = &self.id {
            write!(f, "@{id}")?;
        }
        Ok(())
    }
}

impl Store {
    /// Says what the part of a reference behind the store means: `name[:tag][@digest][@id]`,
    /// `@id`, or the beginning of the ID of an image that is there, three characters at least.
    ///
    /// Nothing needs to have the name: it may be that of an image to come.
    ///
    /// Source: containers/image, `storage_transport.go`, `ParseStoreReference`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`]; [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn resolve(&self, image: &str) -> Result<ImageName> {
        let wrong = || Error::new(ErrorKind::InvalidName, "reading the image name", quoted(image));
        let (mut rest, mut id) = (image, None);
        if let Some((before, last)) = image.rsplit_once('@')
            && last.parse::<Digest>().is_err()
        {
            if last.is_empty() {
                return Err(wrong().with_detail("a digest or an ID is missing behind the @"));
            }
            id = match id::is_full_hex(last) {
                true => Some(Id::parse(last)?),
                false if last.len() < LEAST_ID_PREFIX => None,
                false => self.image_by_id_prefix(last)?.map(|image| image.id.clone()),
            };
            if id.is_none() {
                return Err(
                    wrong().with_detail("what is behind the @ is no digest and no image's ID")
                );
            }
            rest = before;
        }
        if id.is_none()
            && !rest.contains(['@', ':'])
            && rest.len() >= LEAST_ID_PREFIX
            && let Ok(Some(image)) = self.image_by_id_prefix(rest)
        {
            return Ok(ImageName { name: None, id: Some(image.id.clone()) });
        }
        if rest.is_empty() {
            return match id {
                Some(_) => Ok(ImageName { name: None, id }),
                None => Err(wrong().with_detail("it is empty")),
            };
        }
        let name = Reference::parse_normalized(rest).map_err(|error| wrong().with_source(error))?;
        Ok(ImageName { name: Some(name.with_default_tag()), id })
    }

    /// The image that a name means: by its ID; by exactly its name; by its digest, if it has a name
    /// in the same repository.
    ///
    /// Source: containers/image, `storage_reference.go`, `resolveImage`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], also where the image with the ID has no name in the repository;
    /// [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn find(&self, wanted: &ImageName) -> Result<Image> {
        let missing = || not_found("finding the image", quoted(&wanted.to_string()));
        if let Some(id) = &wanted.id {
            let image = self.image(id)?.ok_or_else(missing)?;
            return match &wanted.name {
                Some(name) if !has_repository(&image, name) => Err(missing()
                    .with_detail(format!("the image has no name in {}", name.repository()))),
                _ => Ok(image),
            };
        }
        let name = wanted.name.as_ref().ok_or_else(missing)?;
        if let Some(image) = self.image_by_name(&name.to_string())? {
            return Ok(image);
        }
        let Some(digest) = name.digest() else { return Err(missing()) };
        let images = self.images_by_digest(digest)?;
        images.into_iter().find(|image| has_repository(image, name)).ok_or_else(missing)
    }
}

/// Whether an image has a name in the repository of another.
fn has_repository(image: &Image, name: &Reference) -> bool {
    image.names.iter().any(|own| {
        Reference::parse_normalized(own).is_ok_and(|own| own.repository() == name.repository())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        text: &str,
        driver: Option<&str>,
        graph_root: &str,
        run_root: Option<&str>,
        image: &str,
    ) {
        let found: StorageReference = text.parse().unwrap();
        let specifier = found.specifier().unwrap();
        assert_eq!(specifier.driver.as_deref(), driver, "{text}");
        assert_eq!(specifier.graph_root, Path::new(graph_root), "{text}");
        assert_eq!(specifier.run_root.as_deref(), run_root.map(Path::new), "{text}");
        assert_eq!(found.image(), image, "{text}");
        assert_eq!(found.to_string(), text);
    }

    #[test]
    fn stores_are_read_and_printed() {
        check("[overlay@/a+/b:x=1,y]busybox", Some("overlay"), "/a", Some("/b"), "busybox");
        check("[overlay@/a]busybox:1@sha256:x", Some("overlay"), "/a", None, "busybox:1@sha256:x");
        check("[/a]@abc", None, "/a", None, "@abc");
        check("[vfs@/a+/b]", Some("vfs"), "/a", Some("/b"), "");
    }

    #[test]
    fn without_brackets_everything_is_the_image() {
        let found: StorageReference = "busybox".parse().unwrap();
        assert_eq!((found.specifier(), found.image()), (None, "busybox"));
    }

    #[test]
    fn malformed_stores_are_refused() {
        for bad in ["", "[", "[]x", "[overlay@/a", "[@/a]x", "[overlay@]x", "[a]x", "[o@/a+b]x"] {
            let error = bad.parse::<StorageReference>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidName, "{bad}");
        }
    }
}
