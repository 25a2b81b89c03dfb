//! Lists of images for several platforms, kept in the store as podman and buildah keep them.

use std::collections::BTreeMap;

use cask_image::{
    Descriptor, Digest, ImageFormat, Index, Manifest, Platform, PlatformWanted, RawManifest,
};
use cask_storage::{Id, Image, NewImage};

use super::names::whole_name;
use crate::{Error, ErrorKind, Images, Result};

/// The key under which a list remembers where its images are.
///
/// Source: containers/common, `libimage/manifests/manifests.go`, `instancesData`.
const INSTANCES: &str = "instances.json";

/// A list of the store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImageList {
    /// Its record.
    pub image: Image,
    /// What is in it.
    pub index: Index,
    instances: BTreeMap<String, String>,
}

/// What changes of an entry of a list. What is `None` or empty stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryChange {
    /// The architecture, in Go's words.
    pub architecture: Option<String>,
    /// The operating system, in Go's words.
    pub os: Option<String>,
    /// The variant of the architecture.
    pub variant: Option<String>,
    /// The version of the operating system.
    pub os_version: Option<String>,
    /// Features of the operating system.
    pub os_features: Vec<String>,
    /// Features of the processor.
    pub features: Vec<String>,
    /// Annotations that are added.
    pub annotations: Vec<(String, String)>,
}

/// Which of an image that is a list itself come to a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entries {
    /// All of them.
    All,
    /// The one for a platform.
    One(PlatformWanted),
}

impl Images {
    /// Makes an empty list with these names. Only images of the store can be put in.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a name that is none, or that an image has;
    /// [`ErrorKind::Storage`].
    pub fn create_list(&self, names: &[String]) -> Result<Id> {
        let mut whole = Vec::with_capacity(names.len());
        for name in names {
            let name = whole_name(name)?.to_string();
            if let Some(other) = self.store().image_by_name(&name)? {
                let detail = format!(
                    "image name {name:?} is already associated with image {:?}: that name is already in use",
                    other.id.as_str()
                );
                return Err(Error::new(ErrorKind::Invalid, "", detail));
            }
            whole.push(name);
        }
        let id = Id::random();
        let index = Index::new(ImageFormat::Oci, Vec::new()).encode();
        let mut image = NewImage::new(id.clone());
        image.names = whole;
        image.digest = Some(index.digest().clone());
        let instances = BTreeMap::from([(String::new(), id.to_string())]);
        image.data = vec![
            ("manifest".to_owned(), index.bytes().to_vec()),
            (INSTANCES.to_owned(), encode(&instances)),
        ];
        Ok(self.store().commit_image(image)?.id.clone())
    }

    /// Finds a list.
    ///
    /// # Errors
    /// As [`find`](Self::find); [`ErrorKind::Invalid`] for an image that is no list.
    pub fn find_list(&self, name: &str) -> Result<ImageList> {
        let found = self.find(name)?;
        let (_, manifest) = self.manifest(&found.image)?;
        let Manifest::Index(index) = manifest else {
            let detail = "it is an image, not a list".to_owned();
            return Err(Error::new(ErrorKind::Invalid, name, detail));
        };
        let instances = self.store().image_data(&found.image, INSTANCES).unwrap_or_default();
        let instances = serde_json::from_slice(&instances).unwrap_or_default();
        Ok(ImageList { image: found.image, index, instances })
    }

    /// Puts an image of the store into a list; one that is in it is replaced. Gives the digests of
    /// what came.
    ///
    /// # Errors
    /// As [`find`](Self::find); [`ErrorKind::Invalid`] for an image that has no platform of those
    /// wanted; [`ErrorKind::Storage`].
    pub fn add_to_list(
        &self,
        list: &mut ImageList,
        name: &str,
        entries: &Entries,
    ) -> Result<Vec<Digest>> {
        let found = self.find(name)?;
        let place = self.place_of(&found.image.id);
        let (raw, manifest) = self.manifest(&found.image)?;
        let new: Vec<(Descriptor, String)> = match manifest {
            Manifest::Index(index) => {
                let own = self.find_list(name)?.instances;
                let wanted = index.manifests.iter().filter(|entry| fits(entry, entries));
                let place = |entry: &Descriptor| {
                    own.get(entry.digest.as_str()).cloned().unwrap_or_else(|| place.clone())
                };
                wanted.map(|entry| (entry.clone(), place(entry))).collect()
            }
            _ => {
                let mut entry = raw.descriptor();
                entry.platform = self.config(&found.image)?.map(|config| config.platform());
                vec![(entry, place)]
            }
        };
        if new.is_empty() {
            let detail = "it has no image for the platform".to_owned();
            return Err(Error::new(ErrorKind::Invalid, name, detail));
        }
        let digests = new.iter().map(|(entry, _)| entry.digest.clone()).collect();
        for (entry, place) in new {
            list.instances.insert(entry.digest.to_string(), place);
            match list.index.manifests.iter_mut().find(|old| old.digest == entry.digest) {
                Some(old) => *old = entry,
                None => list.index.manifests.push(entry),
            }
        }
        Ok(digests)
    }

    /// Writes a list down as it is now. Gives the digest of its manifest.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub fn save_list(&self, list: &ImageList) -> Result<Digest> {
        let mut instances = list.instances.clone();
        instances.retain(|digest, _| {
            digest.is_empty() || list.index.manifests.iter().any(|e| e.digest.as_str() == digest)
        });
        instances.insert(String::new(), list.image.id.to_string());
        let raw: RawManifest = list.index.encode();
        let store = self.store();
        // The places first: what is in the list has one at any time.
        store.set_image_data(&list.image.id, INSTANCES, &encode(&instances))?;
        store.set_image_data(&list.image.id, "manifest", raw.bytes())?;
        Ok(raw.digest().clone())
    }

    /// Where an image of the store is, as `containers-storage:` names it.
    fn place_of(&self, id: &Id) -> String {
        let store = self.store();
        let (driver, root, run) = (store.driver(), store.graph_root(), store.run_root());
        format!("containers-storage:[{driver}@{}+{}]@{id}", root.display(), run.display())
    }
}

impl ImageList {
    /// Changes an entry.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where there is none with this digest.
    pub fn change(&mut self, digest: &Digest, change: &EntryChange) -> Result<()> {
        let entry = self.index.manifests.iter_mut().find(|entry| entry.digest == *digest);
        let entry = entry.ok_or_else(|| no_instance(digest))?;
        let platform = entry.platform.get_or_insert_with(|| Platform::new("", ""));
        let texts =
            [(&mut platform.architecture, &change.architecture), (&mut platform.os, &change.os)];
        for (old, new) in texts {
            if let Some(new) = new {
                old.clone_from(new);
            }
        }
        let optional = [
            (&mut platform.variant, &change.variant),
            (&mut platform.os_version, &change.os_version),
        ];
        for (old, new) in optional {
            if let Some(new) = new {
                *old = Some(new.clone()).filter(|text| !text.is_empty());
            }
        }
        let lists = [
            (&mut platform.os_features, &change.os_features),
            (&mut platform.features, &change.features),
        ];
        for (old, new) in lists {
            if !new.is_empty() {
                old.clone_from(new);
            }
        }
        entry.annotations.extend(change.annotations.iter().cloned());
        Ok(())
    }

    /// Takes an entry away.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where there is none with this digest.
    pub fn remove(&mut self, digest: &Digest) -> Result<()> {
        let before = self.index.manifests.len();
        self.index.manifests.retain(|entry| entry.digest != *digest);
        self.instances.remove(digest.as_str());
        match self.index.manifests.len() < before {
            true => Ok(()),
            false => Err(no_instance(digest)),
        }
    }
}

fn no_instance(digest: &Digest) -> Error {
    let detail =
        format!("no instance matching digest {:?} found in manifest list", digest.as_str());
    Error::new(ErrorKind::Invalid, "", detail)
}

/// Whether an entry of a list is among those wanted.
fn fits(entry: &Descriptor, entries: &Entries) -> bool {
    match (entries, &entry.platform) {
        (Entries::All, _) => true,
        (Entries::One(wanted), Some(platform)) => {
            let variant = wanted.variant.as_deref().unwrap_or_default();
            platform.os == wanted.os
                && platform.architecture == wanted.architecture
                && (variant.is_empty() || platform.variant.as_deref() == Some(variant))
        }
        (Entries::One(_), None) => false,
    }
}

fn encode(instances: &BTreeMap<String, String>) -> Vec<u8> {
    serde_json::to_vec(instances).expect("a map of texts is JSON")
}
