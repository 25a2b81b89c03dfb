//! Volumes: directories that outlive containers, where podman has them.
//!
//! ```text
//! GRAPH ROOT/volumes/<name>/_data      what is in it
//! GRAPH ROOT/cask/volumes/<name>.json  who made it, and why
//! ```
//!
//! Those with options are mounted while somebody uses them; what is in those of an image is a layer of the store.

mod archive;
mod image;
mod local;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use cask_rootfs::{Directory, Kind, Node, Order, Root};
use cask_storage::Id;
use serde::{Deserialize, Serialize};

use super::events::{Event, EventLog};
use super::mounts::{MountConfig, MountType, check_name};
use super::record::{io, now};
use super::{Container, ContainerConfig, Containers};
use crate::{Error, ErrorKind, Images, Result};

pub use archive::VolumeImportOptions;
pub(super) use local::is_mounted;

/// How deep a directory of an image may lie that fills a volume.
const DEEPEST: usize = 512;

/// The volumes of a store.
#[derive(Clone, Debug)]
pub struct Volumes {
    graph_root: PathBuf,
    /// Where their files are.
    directory: PathBuf,
    run_root: PathBuf,
    rootless: bool,
    events: EventLog,
    /// Those that volumes may be made of.
    images: Option<Images>,
}

/// One volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// When it was made, in RFC 3339.
    pub created: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Who keeps it: `local`, or `image`, where it has the files of an image.
    pub driver: String,
    /// The container of the store that has its layer, where that has its files.
    pub storage: Option<String>,
    /// Options of its driver.
    pub options: BTreeMap<String, String>,
    /// It was made for one container, and goes with it.
    pub anonymous: bool,
    /// Whose it was made, with its group; `None` where containers decide.
    pub owner: Option<(u32, u32)>,
    /// Where its files are.
    pub mount_point: PathBuf,
    /// A container had it.
    pub used: bool,
}

/// What a volume is made with.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VolumeOptions {
    /// Who keeps it: `local`, which an empty text means too, or `image`.
    pub driver: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver; `image` has one, `image`, which names it.
    pub options: BTreeMap<String, String>,
    /// One that is there already is no error.
    pub ignore: bool,
    /// It is made for one container.
    pub anonymous: bool,
    /// Whose it is, with its group; `None` has it be whose the directory of the first image is that fills it.
    pub owner: Option<(u32, u32)>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    created: String,
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    driver: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage: Option<String>,
    options: BTreeMap<String, String>,
    anonymous: bool,
    owner: Option<(u32, u32)>,
    used: bool,
}

impl Kept {
    fn save(&self, file: &Path) -> Result<()> {
        let bytes = serde_json::to_vec(self).expect("texts can be written");
        let new = file.with_extension("new");
        let write = fs::File::create(&new)
            .and_then(|mut file| file.write_all(&bytes))
            .and_then(|()| fs::rename(&new, file));
        write.map_err(|error| io(error, "writing", file))
    }
}

impl Volumes {
    pub(super) fn new(
        graph_root: &Path,
        run_root: &Path,
        directory: Option<&Path>,
        rootless: bool,
    ) -> Self {
        let (graph_root, run_root) = (graph_root.to_owned(), run_root.to_owned());
        let directory = directory.map_or_else(|| graph_root.join("volumes"), Path::to_owned);
        Self {
            graph_root,
            run_root,
            directory,
            rootless,
            events: EventLog::default(),
            images: None,
        }
    }

    /// Has volumes be made of these images too.
    pub(super) fn with_images(mut self, images: Images) -> Self {
        self.images = Some(images);
        self
    }

    pub(super) fn with_events_in(mut self, events: &EventLog) -> Self {
        self.events.clone_from(events);
        self
    }

    fn tell(&self, status: &str, name: &str) {
        self.events.tell(&self.graph_root, &[Event::of_volume(status, name)]);
    }

    fn directory(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.graph_root.join("cask/volumes").join(format!("{name}.json"))
    }

    /// Makes a volume. An empty name is replaced by one of chance.
    ///
    /// # Errors
    /// [`ErrorKind::NameInUse`]; [`ErrorKind::Invalid`]; [`ErrorKind::Io`].
    pub fn create(&self, name: &str, options: &VolumeOptions) -> Result<Volume> {
        let chance = Id::random();
        let name = if name.is_empty() { chance.as_str() } else { name };
        check_name(name)?;
        let (kept_options, owner, image) = match options.driver.as_str() {
            "" | "local" => {
                let (kept, owner) = local::settle(&options.options)?;
                (kept, owner, None)
            }
            image::IMAGE => (options.options.clone(), None, Some(self.image_of(&options.options)?)),
            other => {
                // The words are podman's.
                let words = format!(
                    "volume {name} uses volume plugin {other} but it could not be retrieved: no volume plugin with name {other} available"
                );
                return Err(Error::new(ErrorKind::Invalid, words, "required plugin missing"));
            }
        };
        let owner = options.owner.or(owner);
        let directory = self.directory(name);
        let make = |path: &Path, mode| DirBuilder::new().recursive(true).mode(mode).create(path);
        let parents = [self.directory.clone(), self.graph_root.join("cask/volumes")];
        for parent in &parents {
            make(parent, 0o700).map_err(|error| io(error, "making the directory", parent))?;
        }
        match DirBuilder::new().mode(0o755).create(&directory) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                if !options.ignore {
                    let words = format!("volume with name {name} already exists");
                    return Err(Error::new(ErrorKind::NameInUse, words, "volume already exists"));
                }
            }
            made => made.map_err(|error| io(error, "making the directory", &directory))?,
        }
        let data = directory.join("_data");
        match DirBuilder::new().mode(0o755).create(&data) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => {
                made.map_err(|error| io(error, "making the directory", &data))?;
                if let Some((user, group)) = owner {
                    std::os::unix::fs::chown(&data, Some(user), Some(group))
                        .map_err(|error| io(error, "changing the owner of", &data))?;
                }
            }
        }
        let file = self.file(name);
        if !file.exists() {
            let kept = Kept {
                created: now(),
                labels: options.labels.clone(),
                driver: if image.is_some() { image::IMAGE.to_owned() } else { String::new() },
                storage: image
                    .map(|image| self.make_layer(name, &image).map(|id| id.to_string()))
                    .transpose()?,
                options: kept_options,
                anonymous: options.anonymous,
                owner,
                used: false,
            };
            kept.save(&file)?;
            self.tell("create", name);
        }
        self.find(name)
    }

    /// Finds a volume by its name, or by the beginning of it.
    ///
    /// # Errors
    /// [`ErrorKind::VolumeNotKnown`]; [`ErrorKind::Ambiguous`].
    pub fn find(&self, name: &str) -> Result<Volume> {
        if check_name(name).is_err() {
            return Err(missing(name));
        }
        if let Some(found) = self.at(name) {
            return Ok(found);
        }
        let mut names = self.names()?;
        names.retain(|known| known.starts_with(name));
        match names.as_slice() {
            [] => Err(missing(name)),
            [one] => self.at(one).ok_or_else(|| missing(name)),
            _ => Err(Error::new(
                ErrorKind::Ambiguous,
                format_args!("volume name {name}"),
                "more than one volume begins so",
            )),
        }
    }

    /// All volumes, by name.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn list(&self) -> Result<Vec<Volume>> {
        Ok(self.names()?.iter().filter_map(|name| self.at(name)).collect())
    }

    fn names(&self) -> Result<Vec<String>> {
        let directory = &self.directory;
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|error| io(error, "listing", directory))?,
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| check_name(name).is_ok())
            .collect();
        names.sort();
        Ok(names)
    }

    fn at(&self, name: &str) -> Option<Volume> {
        let mount_point = self.directory(name).join("_data");
        let found = fs::symlink_metadata(&mount_point).ok().filter(fs::Metadata::is_dir)?;
        // Podman's own have no file of ours.
        let kept: Kept = fs::read(self.file(name))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let Kept { mut created, labels, mut driver, storage, options, anonymous, owner, used } =
            kept;
        if driver.is_empty() {
            "local".clone_into(&mut driver);
        }
        if created.is_empty() {
            let time = cask_image::Timestamp::from_unix(found.ctime(), 0);
            created = time.unwrap_or(cask_image::Timestamp::GO_ZERO).to_string();
        }
        let name = name.to_owned();
        Some(Volume {
            name,
            created,
            labels,
            driver,
            storage,
            options,
            anonymous,
            owner,
            mount_point,
            used,
        })
    }

    pub(super) fn mount_point(&self, name: &str) -> Result<PathBuf> {
        Ok(self.find(name)?.mount_point)
    }

    /// Removes a volume. Who uses it is the caller's to know.
    ///
    /// # Errors
    /// [`ErrorKind::VolumeNotKnown`]; [`ErrorKind::Io`].
    pub fn remove(&self, volume: &Volume) -> Result<()> {
        // Somebody else may have removed it.
        self.at(&volume.name).ok_or_else(|| missing(&volume.name))?;
        self.end_uses(volume)?;
        self.remove_layer(volume)?;
        self.remove_named(&volume.name)
    }

    /// Whether a volume was made in this store: another store may have the same directory.
    pub(super) fn is_ours(&self, volume: &Volume) -> bool {
        self.file(&volume.name).exists()
    }

    /// Removes what there is of a volume that was perhaps never whole.
    fn remove_named(&self, name: &str) -> Result<()> {
        let (directory, file) = (self.directory(name), self.file(name));
        for (path, removed) in
            [(&directory, fs::remove_dir_all(&directory)), (&file, fs::remove_file(&file))]
        {
            match removed {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io(error, "removing", path));
                }
                _ => {}
            }
        }
        self.tell("remove", name);
        Ok(())
    }

    /// Tells that a volume was removed because nothing has it.
    pub fn note_pruned(&self, volume: &Volume) {
        self.tell("prune", &volume.name);
    }

    /// Whether there is anything of a volume, whole or not.
    fn has_anything(&self, name: &str) -> bool {
        check_name(name).is_ok() && (self.directory(name).exists() || self.file(name).exists())
    }

    /// Writes down that a container had a volume; podman's own have no file for that.
    fn note_used(&self, name: &str) -> Result<()> {
        let file = self.file(name);
        let read = fs::read(&file).ok();
        match read.and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok()) {
            None => Ok(()),
            Some(kept) => Kept { used: true, ..kept }.save(&file),
        }
    }

    /// Fills an empty volume with what a root has at the place that it is mounted on, which it also takes its owner
    /// and mode from where it was made for nobody in particular.
    pub(super) fn fill(&self, name: &str, root: &Root, target: &Path) -> Result<()> {
        let Volume { mount_point: to, owner, used, .. } = self.find(name)?;
        if !used {
            self.note_used(name)?;
        }
        let mut entries = fs::read_dir(&to).map_err(|error| io(error, "listing", &to))?;
        if entries.next().is_some() {
            return Ok(());
        }
        let Ok(from) = root.directory(target) else { return Ok(()) };
        let place = Root::open(&to)?;
        copy(&from, &place.directory("/")?, 0)?;
        if owner.is_some() {
            return Ok(());
        }
        let like = from.own_metadata()?;
        place.set_own_owner_and_mode(like.uid, like.gid, like.mode)?;
        Ok(())
    }
}

fn missing(name: &str) -> Error {
    let words = format!("no volume with name \"{name}\" found");
    Error::new(ErrorKind::VolumeNotKnown, words, "no such volume")
}

/// Copies what is in a directory, with owners, modes and times.
fn copy(from: &Directory, to: &Directory, depth: usize) -> Result<()> {
    if depth > DEEPEST {
        return Err(Error::new(
            ErrorKind::Invalid,
            from.path().display(),
            "directories are nested too deeply",
        ));
    }
    for entry in from.entries(Order::Name)? {
        let name = &entry.name;
        let found = from.metadata(name)?;
        let mode = found.mode & 0o7777;
        match found.kind {
            Kind::Directory => {
                to.create_dir(name, 0o700)?;
                copy(&from.open_dir(name)?, &to.open_dir(name)?, depth + 1)?;
            }
            Kind::File => {
                let (mut old, mut new) = (from.open_file(name)?, to.create_file(name, 0o600)?);
                std::io::copy(&mut old, &mut new)
                    .map_err(|error| io(error, "copying", &from.path().join(name)))?;
            }
            Kind::Symlink => to.symlink(name, from.read_link(name)?)?,
            Kind::Fifo => to.create_node(name, Node::Fifo, mode)?,
            // Sockets have nobody who listens, and devices do not work in volumes.
            _ => continue,
        }
        to.set_owner(name, found.uid, found.gid)?;
        if found.kind != Kind::Symlink {
            to.set_mode(name, mode)?;
        }
    }
    Ok(())
}

/// What is said of a volume that may be there already.
fn there(mount: &MountConfig) -> VolumeOptions {
    VolumeOptions { ignore: true, anonymous: mount.anonymous, ..VolumeOptions::default() }
}

impl Containers {
    /// Makes the volumes of a container that is being made, and chooses names for those that have none.
    ///
    /// The latter are made when the container is known, which names them: whoever is killed before leaves none. Nobody
    /// removes the others as long as what this gives is held.
    pub(super) fn name_volumes(&self, config: &mut ContainerConfig) -> Result<Option<File>> {
        let volumes = self.volumes();
        let mut all = config.files.mounts.iter();
        let is_named = all.any(|mount| mount.kind == MountType::Volume && !mount.source.is_empty());
        let held = is_named.then(|| volumes.hold_users(false)).transpose()?;
        let mounts = config.files.mounts.iter_mut().filter(|mount| mount.kind == MountType::Volume);
        for mount in mounts {
            mount.source = match mount.source.is_empty() {
                true => Id::random().to_string(),
                false => volumes.create(&mount.source, &there(mount))?.name,
            };
        }
        Ok(held)
    }

    /// Removes a volume if no container has it; gives those that do.
    ///
    /// # Errors
    /// As [`Volumes::remove`].
    pub fn remove_volume(&self, volume: &Volume) -> Result<Vec<Container>> {
        let volumes = self.volumes();
        let _held = volumes.hold_users(true)?;
        let users = self.users_of(&volume.name)?;
        if users.is_empty() {
            volumes.remove(volume)?;
        }
        Ok(users)
    }

    /// Makes the volumes of a container that nobody gave a name.
    pub(super) fn make_anonymous(&self, config: &ContainerConfig) -> Result<()> {
        let mounts = config.files.mounts.iter().filter(|mount| mount.kind == MountType::Volume);
        mounts.filter(|mount| mount.anonymous).try_for_each(|mount| self.volume_of(mount).map(drop))
    }

    /// Where the volume of a mount is. One that nobody gave a name is made where it is missing: whoever made the
    /// container may have been killed before.
    pub(super) fn volume_of(&self, mount: &MountConfig) -> Result<PathBuf> {
        let volumes = self.volumes();
        match mount.anonymous && volumes.at(&mount.source).is_none() {
            true => Ok(volumes.create(&mount.source, &there(mount))?.mount_point),
            false => volumes.mount_point(&mount.source),
        }
    }

    /// Removes the volumes that were made for a container that is no more.
    pub(super) fn remove_anonymous(&self, config: &ContainerConfig) -> Result<()> {
        let volumes = self.volumes();
        for mount in config.files.mounts.iter().filter(|mount| mount.anonymous) {
            if mount.kind == MountType::Volume
                && volumes.has_anything(&mount.source)
                && self.users_of(&mount.source)?.iter().all(|user| user.id() == config.id)
            {
                volumes.remove_named(&mount.source)?;
            }
        }
        Ok(())
    }

    /// The containers that mount a volume.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn users_of(&self, volume: &str) -> Result<Vec<Container>> {
        let mut all = self.all(|_| ())?;
        all.retain(|container| {
            let mut mounts = container.config.files.mounts.iter();
            mounts.any(|mount| mount.kind == MountType::Volume && mount.source == volume)
        });
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_made_found_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let volumes = Volumes::new(directory.path(), directory.path(), None, false);
        assert!(volumes.list().unwrap().is_empty());
        let made = volumes.create("data", &VolumeOptions::default()).unwrap();
        assert!(made.mount_point.ends_with("volumes/data/_data"));
        let again = volumes.create("data", &VolumeOptions::default()).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::NameInUse);
        let options = VolumeOptions { ignore: true, ..VolumeOptions::default() };
        assert_eq!(volumes.create("data", &options).unwrap(), made);
        assert_eq!(volumes.find("da").unwrap(), made);
        assert_eq!(volumes.create("", &options).unwrap().name.len(), 64);
        for wrong in ["..", "a/b", "", "nope"] {
            assert_eq!(
                volumes.find(wrong).unwrap_err().kind(),
                ErrorKind::VolumeNotKnown,
                "{wrong}"
            );
        }
        volumes.remove(&made).unwrap();
        assert_eq!(volumes.list().unwrap().len(), 1);
    }

    #[test]
    fn an_empty_volume_is_filled_within_the_root() {
        let directory = tempfile::tempdir().unwrap();
        let volumes = Volumes::new(directory.path(), directory.path(), None, false);
        volumes.create("v", &VolumeOptions::default()).unwrap();
        let image = directory.path().join("image");
        fs::create_dir_all(image.join("data/deep")).unwrap();
        fs::write(image.join("data/deep/file"), "text").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", image.join("data/link")).unwrap();
        std::os::unix::fs::symlink("/data", image.join("other")).unwrap();
        let root = Root::open(&image).unwrap();
        volumes.fill("v", &root, Path::new("/other")).unwrap();
        let at = |name: &str| volumes.find("v").unwrap().mount_point.join(name);
        assert_eq!(fs::read_to_string(at("deep/file")).unwrap(), "text");
        assert_eq!(fs::read_link(at("link")).unwrap(), Path::new("/etc/passwd"));
        fs::write(image.join("data/new"), "").unwrap();
        volumes.fill("v", &root, Path::new("/data")).unwrap();
        assert!(!at("new").exists(), "what has something in it stays as it is");
    }
}
