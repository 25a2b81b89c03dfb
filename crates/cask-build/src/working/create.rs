//! New working containers.

use cask_image::{Digest, ImageFormat, PlatformWanted, RawManifest, Timestamp};
use cask_storage::{Container, DriverKind, Image, NewContainer};
use serde_json::{Value, json};

use super::run::WorkingRunOptions;
use super::state::{BOTH_KINDS, State};
use super::users::WorkingUsers;
use super::{WorkingContainer, WorkingContainers, lock, state_path, write_state};
use crate::{BaseImage, Error, ErrorKind, Result};

/// What containers are called behind the name of their image.
const SUFFIX: &str = "working-container";

/// How often another name is tried where somebody else was faster.
const TRIES: u32 = 100;

/// A working container that is about to be made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewWorkingContainer {
    /// The image that it begins with; `None` for nothing.
    pub base: Option<BaseImage>,
    /// How the user named the image.
    pub reference: String,
    /// Its name; `None` for one after the image's, with a number where that is taken.
    pub name: Option<String>,
    /// What a name after the image's ends with; `None` for `working-container`.
    pub suffix: Option<String>,
    /// What it is for, where it begins with nothing.
    pub platform: PlatformWanted,
    /// The format of its images, if nobody says another.
    pub format: ImageFormat,
    /// When it is made.
    pub created: Timestamp,
    /// What is remembered for the commands that run in it.
    pub run: WorkingRunOptions,
}

impl NewWorkingContainer {
    /// A container that begins with nothing.
    pub fn scratch(platform: PlatformWanted, created: Timestamp) -> Self {
        Self {
            base: None,
            reference: String::new(),
            name: None,
            suffix: None,
            platform,
            format: ImageFormat::Oci,
            created,
            run: WorkingRunOptions::default(),
        }
    }

    /// A container that begins with an image of the store.
    pub fn of_image(base: BaseImage, platform: PlatformWanted, created: Timestamp) -> Self {
        let reference = base.name.clone();
        Self { base: Some(base), reference, ..Self::scratch(platform, created) }
    }
}

impl WorkingContainers {
    /// Makes a working container.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] where the image is gone; [`ErrorKind::Invalid`] where the name is
    /// taken, or the image cannot be run; [`ErrorKind::Storage`] and [`ErrorKind::Io`].
    pub fn create(&self, new: &NewWorkingContainer) -> Result<WorkingContainer> {
        let image = self.image_of(new)?;
        let mut state = State::new();
        state.set("Args", json!({}));
        match &image {
            None => state.take_nothing(),
            Some(image) => take_image(self, &mut state, image, &new.reference)?,
        }
        finish_image(&mut state, &new.platform, new.created);
        state.set_format(new.format);
        annotate(&mut state);
        let mut run = new.run.clone();
        let top = image.as_ref().and_then(|image| image.top_layer.as_ref());
        let chosen = run.users.choose(&self.store, top)?;
        run.remember(&mut state)?;
        let name = state.text("image");
        let container = self.create_named(new, image.as_ref(), name, &run.users)?;
        drop(chosen);
        self.begin(container, state)
    }

    fn image_of(&self, new: &NewWorkingContainer) -> Result<Option<Image>> {
        let Some(base) = &new.base else { return Ok(None) };
        let found = self.store.image(&base.id).map_err(|e| Error::storage(e, &base.name))?;
        let gone = || Error::new(ErrorKind::Missing, &base.name, "image not known");
        found.map(Some).ok_or_else(gone)
    }

    /// Makes the store's container, under a name that nobody has.
    fn create_named(
        &self,
        new: &NewWorkingContainer,
        image: Option<&Image>,
        image_name: &str,
        users: &WorkingUsers,
    ) -> Result<Container> {
        let suffix = new.suffix.as_deref().unwrap_or(SUFFIX);
        let stem = match image {
            None => suffix.to_owned(),
            Some(_) => format!("{}-{suffix}", prefix(image_name)),
        };
        let mut tries = 0;
        loop {
            let name = match &new.name {
                Some(name) => name.clone(),
                None => self.free_name(&stem)?,
            };
            let mut container = NewContainer::new(image.map(|image| image.id.clone()));
            container.names = vec![name.clone()];
            container.volatile = true;
            self.map_users(&mut container, users)?;
            tries += 1;
            match self.store.create_container(&container) {
                Ok(container) => return Ok(container),
                Err(error) if error.kind() == cask_storage::ErrorKind::Exists => {
                    if new.name.is_some() || tries == TRIES {
                        // The words are buildah's.
                        let owner =
                            self.store.container_named(&name).map(|found| found.id.to_string());
                        let detail = format!(
                            "the container name {name:?} is already in use by {}. You have to remove that container to be able to reuse that name",
                            owner.unwrap_or_default()
                        );
                        return Err(Error::new(ErrorKind::Invalid, "creating container", detail)
                            .with_source(error));
                    }
                }
                Err(error) => return Err(Error::storage(error, "creating container")),
            }
        }
    }

    /// Has a container get users of its own. The kernel shows files with their owners, but not to users, nor without
    /// an overlay: there the container is made upon a copy.
    fn map_users(&self, container: &mut NewContainer, users: &WorkingUsers) -> Result<()> {
        if !users.are_mapped() {
            return Ok(());
        }
        (container.uid_map, container.gid_map) = users.stored();
        let is_shown = self.store.driver() != DriverKind::Vfs && !self.store.options().rootless;
        if let (Some(image), false, None) = (&container.image, is_shown, &container.base) {
            let copied = self.store.map_image(image, &container.uid_map, &container.gid_map);
            let subject = "giving the image's files to the container's users";
            container.base = Some(copied.map_err(|error| Error::storage(error, subject))?);
        }
        Ok(())
    }

    /// Source: buildah, `new.go`, `findUnusedContainer`.
    fn free_name(&self, stem: &str) -> Result<String> {
        let containers = self.store.containers().map_err(|e| Error::storage(e, "containers"))?;
        let taken = |name: &String| containers.iter().any(|other| other.names.contains(name));
        let mut name = stem.to_owned();
        let mut number = 0_u32;
        while taken(&name) {
            number += 1;
            name = format!("{stem}-{number}");
        }
        Ok(name)
    }

    /// Writes the state of a container that was just made; without it there is none.
    fn begin(&self, container: Container, mut state: State) -> Result<WorkingContainer> {
        state.set("container-id", json!(container.id.as_str()));
        let name = container.names.first().map(String::as_str).unwrap_or_default();
        state.set_text("container-name", name);
        let path = state_path(&self.store, &container.id);
        let written = lock(&path).and_then(|_lock| write_state(&path, &state));
        if let Err(error) = written {
            // The first error is the one to tell.
            let _ = self.store.delete_container(&container.id);
            return Err(error);
        }
        Ok(WorkingContainer { store: self.store.clone(), container, state })
    }
}

/// Makes a working container of one that somebody else made.
pub(super) fn import(all: &WorkingContainers, container: Container) -> Result<WorkingContainer> {
    let mut made = imported(all, container)?;
    annotate(&mut made.state);
    let path = state_path(&all.store, made.id());
    let _lock = lock(&path)?;
    write_state(&path, &made.state)?;
    Ok(made)
}

/// Looks at a container that somebody else made as at a working one; nothing is written.
///
/// Source: buildah, `import.go`, `ImportBuilder`.
pub(super) fn imported(all: &WorkingContainers, container: Container) -> Result<WorkingContainer> {
    let name = container.names.first().cloned().unwrap_or_else(|| container.id.to_string());
    let mut state = State::new();
    state.set("Args", json!({}));
    let image = match &container.image {
        None => None,
        Some(id) => all.store.image(id).map_err(|e| Error::storage(e, &name))?,
    };
    match &image {
        None => state.take_nothing(),
        Some(image) => take_image(all, &mut state, image, image.id.as_str())?,
    }
    let created = container.created.or(Timestamp::from_unix(0, 0)).unwrap_or(Timestamp::GO_ZERO);
    finish_image(&mut state, &PlatformWanted::of_this_build(), created);
    state.set_format(ImageFormat::Oci);
    WorkingRunOptions::default().remember(&mut state)?;
    state.set("container-id", json!(container.id.as_str()));
    state.set_text("container-name", &name);
    Ok(WorkingContainer { store: all.store.clone(), container, state })
}

/// Takes over what an image of the store says.
pub(super) fn take_image(
    all: &WorkingContainers,
    state: &mut State,
    image: &Image,
    reference: &str,
) -> Result<()> {
    let store = &all.store;
    let read = |key: &str| {
        store.image_data(image, key).map_err(|error| Error::storage(error, image.id.short()))
    };
    let manifest = read("manifest")?;
    let id = format!("sha256:{}", image.id);
    let unusable = || {
        Error::new(ErrorKind::Invalid, reference, "is no image that a container can be made from")
    };
    let key = match image.big_data_names.contains(&id) {
        true => id,
        // Images of the oldest kind, and those whose layers are known by their tables of contents.
        false => {
            let raw =
                RawManifest::guess(manifest.clone()).map_err(|e| unusable().with_source(e))?;
            match raw.parse().map_err(|e| unusable().with_source(e))? {
                cask_image::Manifest::Image(manifest) => manifest.config.digest.to_string(),
                _ => return Err(unusable()),
            }
        }
    };
    let config = read(&key)?;
    state.set_text("image", &name_of(image, reference));
    state.take_image(&config, &manifest)?;
    state.set("image-id", json!(image.id.as_str()));
    let digest = cask_image::Hasher::digest(cask_image::Algorithm::Sha256, &manifest);
    state.set("image-digest", json!(digest.as_str()));
    let top = image.top_layer.as_ref().map_or("", cask_storage::Id::as_str);
    state.set("TopLayer", json!(top));
    take_annotations(state, &manifest);
    Ok(())
}

fn take_annotations(state: &mut State, manifest: &[u8]) {
    let parsed: Option<Value> = serde_json::from_slice(manifest).ok();
    let found = parsed.as_ref().and_then(|value| value.get("annotations")?.as_object());
    let annotations = state.annotations_mut();
    for (key, value) in found.into_iter().flatten() {
        annotations.insert(key.clone(), value.clone());
    }
}

/// Says what the base was.
fn annotate(state: &mut State) {
    let (digest, name) = (state.text("image-digest").to_owned(), state.text("image").to_owned());
    let annotations = state.annotations_mut();
    annotations.insert("org.opencontainers.image.base.digest".to_owned(), json!(digest));
    // As with buildah: an image without a name has none to tell.
    if !name.starts_with("sha256:") {
        annotations.insert("org.opencontainers.image.base.name".to_owned(), json!(name));
    }
    for key in ["image-id", "image-digest", "TopLayer"] {
        if state.value(key).is_none() {
            state.set(key, json!(""));
        }
    }
}

/// Fills in what every config says.
///
/// Source: buildah, `config.go`, `fixupConfig`.
pub(super) fn finish_image(state: &mut State, platform: &PlatformWanted, created: Timestamp) {
    for kind in BOTH_KINDS {
        let image = state.image_mut(kind);
        let is_set = image
            .get("created")
            .and_then(Value::as_str)
            .is_some_and(|text| text.parse::<Timestamp>().is_ok_and(|time| !time.is_go_zero()));
        if !is_set {
            image.insert("created".to_owned(), json!(created.to_string()));
        }
    }
    if state.image_text("os").is_empty() {
        state.set_image_text("os", &platform.os);
    }
    if state.image_text("architecture").is_empty() {
        state.set_image_text("architecture", &platform.architecture);
        state.set_image_text("variant", platform.variant.as_deref().unwrap_or_default());
    }
}

/// The name that is remembered of an image: the first that has what the user wrote in it.
///
/// Source: buildah, `new.go`, `getImageName`.
fn name_of(image: &Image, reference: &str) -> String {
    let written = prefix(reference);
    let fitting = image.names.iter().find(|name| name.contains(&written));
    fitting.or(image.names.first()).cloned().unwrap_or_else(|| reference.to_owned())
}

/// What of an image's name begins the names of its containers.
///
/// Source: buildah, `new.go`, `imageNamePrefix`.
fn prefix(name: &str) -> String {
    let mut prefix = match name.parse::<Digest>() {
        Ok(digest) => digest.hex().to_owned(),
        Err(_) => name.to_owned(),
    };
    if prefix.len() == 64 && prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        prefix.truncate(12);
    }
    let cut = |text: &str, at: char, last: bool| {
        let mut parts = text.split(at);
        let part = if last { parts.next_back() } else { parts.next() };
        part.unwrap_or_default().to_owned()
    };
    // A name is cut at the first colon, be it that of a port.
    let prefix = cut(&prefix, ':', false);
    let prefix = cut(&prefix, '/', true);
    cut(&prefix, '@', false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_named_after_their_image() {
        fn check(name: &str, expected: &str) {
            assert_eq!(prefix(name), expected, "{name}");
        }
        check("docker.io/library/debian:12", "debian");
        check("localhost/x", "x");
        check("x@sha256:0000", "x");
        check(&"ab".repeat(32), "abababababab");
        check(&format!("sha256:{}", "ab".repeat(32)), "abababababab");
        // As buildah has it.
        check("localhost:5000/x:1", "localhost");
    }
}
