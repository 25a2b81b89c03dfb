//! Lists of images for several platforms, kept in the store as podman and buildah keep them.

use std::collections::BTreeMap;

use cask_copy::{CopyOptions, Description, inspect};
use cask_image::{
    Algorithm, Descriptor, Digest, Hasher, ImageFormat, Index, Manifest, Platform, PlatformWanted,
    RawManifest,
};
use cask_storage::{DigestLock, Id, Image, ListArtifacts, NewImage};
use cask_transport::Location;

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
    pub(super) artifacts: ListArtifacts,
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

impl EntryChange {
    /// Whether anything of the platform changes.
    pub fn is_of_platform(&self) -> bool {
        let texts = [&self.architecture, &self.os, &self.variant, &self.os_version];
        let lists = [&self.os_features, &self.features];
        texts.iter().any(|text| text.is_some()) || lists.iter().any(|list| !list.is_empty())
    }
}

/// An image of the store that comes to a list.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// Its ID.
    pub id: Id,
    /// Its manifest.
    pub manifest: RawManifest,
    /// What it is for.
    pub platform: Platform,
}

/// What becomes of an entry of a list when another image for the same platform comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamePlatform {
    /// It stays.
    Stays,
    /// It is replaced.
    Replaced,
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
    /// Makes a list of this name with what `fill` puts into it. The name comes last: without success, there is no list
    /// and the name is of the image that had it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a name that is none, or that an image has, unless it is to be `replaced`; those of
    /// `fill`; [`ErrorKind::Storage`].
    pub fn create_list(
        &self,
        name: &str,
        replaced: bool,
        fill: impl FnOnce(&mut ImageList) -> Result<()>,
    ) -> Result<Id> {
        let _creating = self.lock_name(name)?;
        let name = whole_name(name)?.to_string();
        if let Some(other) = self.store().image_by_name(&name)?.filter(|_| !replaced) {
            let detail = format!(
                "creating image to hold manifest list: image name {name:?} is already associated with image {:?}: \
                 that name is already in use",
                other.id.as_str()
            );
            return Err(Error::new(ErrorKind::Invalid, "", detail));
        }
        let index = Index::new(ImageFormat::Oci, Vec::new());
        let id = self.store_list(Id::random(), &index, BTreeMap::new(), Vec::new())?;
        let filled = self.change_list(id.as_str(), fill).map(drop);
        let named = filled.and_then(|()| Ok(self.store().add_names(&id, &[name])?));
        match named {
            Ok(()) => Ok(id),
            Err(error) => {
                // What came first is what is told.
                let _ = self.store().delete_image(&id);
                Err(error)
            }
        }
    }

    /// Changes a list, which nobody else does meanwhile, and writes it down; gives it as it is then.
    /// Without success nothing is written.
    ///
    /// # Errors
    /// As [`find_list`](Self::find_list); those of the change; [`ErrorKind::Storage`].
    pub fn change_list<T>(
        &self,
        name: &str,
        change: impl FnOnce(&mut ImageList) -> Result<T>,
    ) -> Result<(ImageList, T)> {
        let id = self.find_list(name)?.image.id.clone();
        let _lock = self.lock_list(&id)?;
        // Somebody may have changed it while this one waited.
        let before = self.find_list(id.as_str())?;
        let mut list = before.clone();
        let value = change(&mut list)?;
        self.save_list(&before, &list)?;
        Ok((list, value))
    }

    /// Puts images of the store into the list of this name, which is made where there is none, and
    /// gives the list. It gets the other names too.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where a name is none; [`ErrorKind::Storage`].
    pub fn put_in_list(
        &self,
        names: &[String],
        images: &[NewEntry],
        same: SamePlatform,
        format: ImageFormat,
    ) -> Result<(Id, RawManifest)> {
        let whole = names.iter().map(|name| Ok(whole_name(name)?.to_string()));
        let whole = whole.collect::<Result<Vec<_>>>()?;
        let _creating = whole.first().map(|name| self.lock_name(name)).transpose()?;
        let known = match whole.first() {
            Some(name) => self.store().image_by_name(name)?,
            None => None,
        };
        let is_list = |image: &Image| {
            matches!(self.manifest(image), Ok((_, Manifest::Index(_)))).then(|| image.id.clone())
        };
        // A name moves from an image that is no list.
        let Some(id) = known.as_ref().and_then(is_list) else {
            let mut index = Index::new(format, Vec::new());
            let places = self.put(&mut index, images, same);
            // What follows from what is in it is the same for the same images.
            let id = Id::of_config(index.encode().digest());
            let id = match self.store().image(&id)? {
                None => id,
                Some(_) => Id::random(),
            };
            let id = self.store_list(id, &index, places, whole)?;
            return Ok((id, index.encode()));
        };
        let (list, ()) = self.change_list(id.as_str(), |list| {
            let places = self.put(&mut list.index, images, same);
            list.instances.extend(places);
            Ok(())
        })?;
        self.store().append_names(&id, &whole)?;
        Ok((id, list.index.encode()))
    }

    fn put(
        &self,
        index: &mut Index,
        images: &[NewEntry],
        same: SamePlatform,
    ) -> BTreeMap<String, String> {
        let mut places = BTreeMap::new();
        for image in images {
            let mut entry = image.manifest.descriptor();
            entry.platform = Some(image.platform.clone());
            index.manifests.retain(|other| {
                other.digest != entry.digest
                    && (same == SamePlatform::Stays || other.platform != entry.platform)
            });
            places.insert(entry.digest.to_string(), self.place_of(&image.id));
            index.manifests.push(entry);
        }
        places
    }

    fn store_list(
        &self,
        id: Id,
        index: &Index,
        mut instances: BTreeMap<String, String>,
        names: Vec<String>,
    ) -> Result<Id> {
        let raw = index.encode();
        instances.insert(String::new(), id.to_string());
        let mut image = NewImage::new(id);
        image.names = names;
        image.digest = Some(raw.digest().clone());
        image.data = vec![
            ("manifest".to_owned(), raw.bytes().to_vec()),
            (INSTANCES.to_owned(), encode(&instances)),
        ];
        Ok(self.store().commit_image(image)?.id.clone())
    }

    /// Keeps everybody else from changing a list: the peers too.
    ///
    /// Source: containers/common, `libimage/manifests/manifests.go`, `LockerForImage`.
    fn lock_list(&self, id: &Id) -> Result<DigestLock> {
        let digest = format!("sha256:{id}");
        let digest = digest.parse().map_err(|error| {
            Error::new(ErrorKind::Invalid, id, "is no ID of a list").with_source(error)
        })?;
        Ok(self.store().lock_digest(&digest)?)
    }

    /// Keeps others from making a list of a name at the same time.
    fn lock_name(&self, name: &str) -> Result<DigestLock> {
        let whole = whole_name(name)?.to_string();
        let digest = Hasher::digest(Algorithm::Sha256, format!("list {whole}").as_bytes());
        Ok(self.store().lock_digest(&digest)?)
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
        let artifacts = self.store().image_data(&found.image, ListArtifacts::KEY);
        let artifacts = ListArtifacts::parse(&artifacts.unwrap_or_default());
        Ok(ImageList { image: found.image, index, instances, artifacts })
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
                let ImageList { instances: own, artifacts, .. } = self.find_list(name)?;
                let wanted = index.manifests.iter().filter(|entry| fits(entry, entries));
                let place = |entry: &Descriptor| {
                    own.get(entry.digest.as_str()).cloned().unwrap_or_else(|| place.clone())
                };
                let new: Vec<_> = wanted.map(|entry| (entry.clone(), place(entry))).collect();
                new.iter()
                    .for_each(|(entry, _)| list.artifacts.take(&artifacts, entry.digest.as_str()));
                new
            }
            _ => {
                let mut entry = raw.descriptor();
                entry.platform = self.config(&found.image)?.map(|config| config.platform());
                vec![(entry, place)]
            }
        };
        list.take(new, name)
    }

    /// Reads of an image that is not in the store what [`add_found`](ImageList::add_found) puts into
    /// a list. Its layers are not read.
    ///
    /// # Errors
    /// [`ErrorKind::Transfer`].
    pub async fn find_for_list(
        &self,
        from: &dyn Location,
        options: &CopyOptions,
    ) -> Result<FoundEntries> {
        let inspected = inspect(from, &options.policy, options.require_signed).await?;
        let place = from.to_string();
        let entries = match inspected.describe().await? {
            Description::Index(index) => index.manifests,
            Description::Image { config, .. } => {
                let mut entry = inspected.top().descriptor();
                entry.platform = Some(config.platform());
                return Ok(FoundEntries { entries: vec![entry], place, is_list: false });
            }
            Description::Artifact(manifest) => {
                let mut entry = inspected.top().descriptor();
                entry.artifact_type = manifest.artifact_type;
                vec![entry]
            }
            _ => vec![inspected.top().descriptor()],
        };
        let is_list = inspected.top().media_type().is_index();
        Ok(FoundEntries { entries, place, is_list })
    }

    /// Writes a list down that was another before. Gives the digest of its manifest.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    fn save_list(&self, before: &ImageList, list: &ImageList) -> Result<Digest> {
        let is_listed =
            |digest: &str| list.index.manifests.iter().any(|e| e.digest.as_str() == digest);
        let mut instances = list.instances.clone();
        instances.retain(|digest, _| digest.is_empty() || is_listed(digest));
        instances.insert(String::new(), list.image.id.to_string());
        let mut artifacts = list.artifacts.clone();
        artifacts.keep(is_listed);
        let raw: RawManifest = list.index.encode();
        let old = Places { instances: &before.instances, artifacts: &before.artifacts };
        let new = Places { instances: &instances, artifacts: &artifacts };
        for (key, bytes) in writes(&before.index, old, &raw, &list.index, new) {
            self.store().set_image_data(&list.image.id, key, &bytes)?;
        }
        Ok(raw.digest().clone())
    }

    /// Where an image of the store is, as `containers-storage:` names it.
    fn place_of(&self, id: &Id) -> String {
        let store = self.store();
        let (driver, root, run) = (store.driver(), store.graph_root(), store.run_root());
        format!("containers-storage:[{driver}@{}+{}]@{id}", root.display(), run.display())
    }
}

/// Where what is in a list lies.
#[derive(Clone, Copy)]
struct Places<'a> {
    instances: &'a BTreeMap<String, String>,
    artifacts: &'a ListArtifacts,
}

impl Places<'_> {
    fn writes(self) -> [(&'static str, Vec<u8>); 2] {
        [(INSTANCES, encode(self.instances)), (ListArtifacts::KEY, self.artifacts.encode())]
    }
}

/// What is written one after the other, so that whatever is in the list has a place at any time: of what comes, the
/// place comes first, and of what goes, it goes last.
fn writes(
    before: &Index,
    old: Places<'_>,
    raw: &RawManifest,
    after: &Index,
    new: Places<'_>,
) -> Vec<(&'static str, Vec<u8>)> {
    let (mut instances, mut artifacts) = (new.instances.clone(), new.artifacts.clone());
    let stays = |digest: &Digest| after.manifests.iter().any(|entry| entry.digest == *digest);
    let gone = before.manifests.iter().map(|entry| &entry.digest).filter(|digest| !stays(digest));
    for digest in gone {
        if let Some(place) = old.instances.get(digest.as_str()) {
            instances.insert(digest.to_string(), place.clone());
        }
        artifacts.take(old.artifacts, digest.as_str());
    }
    let whole = Places { instances: &instances, artifacts: &artifacts };
    let mut has = old.writes();
    let mut all = Vec::new();
    // What is there already need not be written.
    let mut write = |places: Places<'_>, all: &mut Vec<_>| {
        for (has, write) in has.iter_mut().zip(places.writes()) {
            if *has != write {
                has.clone_from(&write);
                all.push(write);
            }
        }
    };
    write(whole, &mut all);
    all.push(("manifest", raw.bytes().to_vec()));
    write(new, &mut all);
    all
}

/// What was found of an image elsewhere.
#[derive(Clone, Debug)]
pub struct FoundEntries {
    entries: Vec<Descriptor>,
    place: String,
    is_list: bool,
}

impl FoundEntries {
    /// What the images are for, as far as it is known.
    pub(super) fn platforms(self) -> impl Iterator<Item = Platform> {
        self.entries.into_iter().filter_map(|entry| entry.platform)
    }
}

impl ImageList {
    /// Puts an image into the list that is not in the store, or those of a list that are wanted;
    /// gives their digests.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where there is no image for a platform that is wanted.
    pub fn add_found(&mut self, found: &FoundEntries, entries: &Entries) -> Result<Vec<Digest>> {
        let wanted = found.entries.iter().filter(|entry| !found.is_list || fits(entry, entries));
        let new = wanted.map(|entry| (entry.clone(), found.place.clone())).collect();
        self.take(new, &found.place)
    }

    fn take(&mut self, new: Vec<(Descriptor, String)>, name: &str) -> Result<Vec<Digest>> {
        if new.is_empty() {
            let detail = "it has no image for the platform".to_owned();
            return Err(Error::new(ErrorKind::Invalid, name, detail));
        }
        let digests = new.iter().map(|(entry, _)| entry.digest.clone()).collect();
        for (entry, place) in new {
            self.instances.insert(entry.digest.to_string(), place);
            match self.index.manifests.iter_mut().find(|old| old.digest == entry.digest) {
                Some(old) => *old = entry,
                None => self.index.manifests.push(entry),
            }
        }
        Ok(digests)
    }

    /// Where the images are that the store may not have: the digest of each, and its place.
    pub(super) fn places(&self) -> impl Iterator<Item = (&Digest, &str)> {
        self.index.manifests.iter().filter_map(|entry| {
            Some((&entry.digest, self.instances.get(entry.digest.as_str())?.as_str()))
        })
    }

    /// Changes an entry.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where there is none with this digest.
    pub fn change(&mut self, digest: &Digest, change: &EntryChange) -> Result<()> {
        let entry = self.index.manifests.iter_mut().find(|entry| entry.digest == *digest);
        let entry = entry.ok_or_else(|| no_instance(digest))?;
        entry.annotations.extend(change.annotations.iter().cloned());
        if !change.is_of_platform() {
            return Ok(());
        }
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

#[cfg(test)]
mod tests {
    use cask_image::MediaType;
    use cask_storage::ArtifactPart;

    use super::*;

    fn listed(raw: &[u8]) -> Vec<Digest> {
        let raw = RawManifest::new(raw.to_vec(), MediaType::OciIndex);
        let Manifest::Index(index) = raw.parse().unwrap() else { panic!("it is a list") };
        index.manifests.into_iter().map(|entry| entry.digest).collect()
    }

    #[test]
    fn what_is_in_a_list_has_a_place_after_each_write() {
        let of = |names: &[&str]| {
            let (mut index, mut instances) =
                (Index::new(ImageFormat::Oci, Vec::new()), BTreeMap::new());
            let mut artifacts = ListArtifacts::default();
            for name in names {
                let digest = Hasher::digest(Algorithm::Sha256, name.as_bytes());
                index.manifests.push(Descriptor::new(MediaType::OciManifest, digest.clone(), 1));
                if name.starts_with("file") {
                    let config = ("sha256:c", ArtifactPart::Bytes(b"{}".to_vec()));
                    artifacts.insert((digest.as_str(), name), config, Vec::new());
                } else {
                    instances.insert(digest.to_string(), format!("docker://{name}"));
                }
            }
            (index, instances, artifacts)
        };
        for (before, after) in [
            (vec![], vec!["a", "file"]),
            (vec!["a", "b", "file"], vec!["a"]),
            (vec!["a", "file"], vec!["b", "file of others"]),
            (vec!["a", "file"], vec!["a", "file"]),
        ] {
            let (old, new) = (of(&before), of(&after));
            let old_places = Places { instances: &old.1, artifacts: &old.2 };
            let new_places = Places { instances: &new.1, artifacts: &new.2 };
            let raw = new.0.encode();
            let mut on_disk: BTreeMap<&str, Vec<u8>> = old_places.writes().into();
            on_disk.insert("manifest", old.0.encode().bytes().to_vec());
            for (key, bytes) in writes(&old.0, old_places, &raw, &new.0, new_places) {
                on_disk.insert(key, bytes);
                let places: BTreeMap<String, String> =
                    serde_json::from_slice(&on_disk[INSTANCES]).unwrap();
                let artifacts = ListArtifacts::parse(&on_disk[ListArtifacts::KEY]);
                for digest in listed(&on_disk["manifest"]) {
                    let is_known = places.contains_key(digest.as_str())
                        || artifacts.manifest(digest.as_str()).is_some();
                    assert!(is_known, "{before:?} {after:?} {key} {digest}");
                }
            }
            assert_eq!(on_disk["manifest"], raw.bytes().to_vec());
            for (key, bytes) in new_places.writes() {
                assert_eq!(on_disk[key], bytes, "{before:?} {after:?}");
            }
        }
    }
}
