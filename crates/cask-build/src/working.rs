//! Working containers: images built step by step, kept as buildah keeps them, so that each sees the
//! other's.

mod change;
mod commit;
mod confine;
mod copy;
mod create;
mod extra;
mod inspect;
mod json;
mod linked;
mod merge;
mod mount;
mod mounts;
mod network;
mod run;
mod shell_words;
mod state;
mod users;

use std::fs::File;
use std::io::{ErrorKind as IoErrorKind, Read as _, Write as _};
use std::path::PathBuf;

use cask_image::Timestamp;
use cask_storage::{Container, Id, Store};
use rustix::fs::{FlockOperation, flock};

use self::change::Changing;
use self::state::State;
use crate::{Error, ErrorKind, Result};

pub use change::{ConfigChange, HealthcheckChange};
pub use commit::{CommitOptions, CommittedImage, WorkingDates};
pub use confine::{WorkingConfinement, WorkingNamespace, WorkingNamespaces, WorkingResources};
pub use copy::{Copied, machine_context};
pub use create::NewWorkingContainer;
pub use extra::AddedFile;
pub use inspect::{WorkingDetails, image_details};
pub use mounts::{MountFrom, OpenedMount};
pub use network::WorkingNetwork;
pub use run::{WorkingIsolation, WorkingRun, WorkingRunOptions};
pub use users::WorkingUsers;

/// The longest state that is read.
const MAX_STATE_BYTES: u64 = 64 << 20;

/// The working containers of a store. Cheap to clone.
///
/// A working container is a container of the store, with a file beside it that says what image it
/// came from and what its own image will say. Names, files and fields are buildah's.
#[derive(Clone, Debug)]
pub struct WorkingContainers {
    store: Store,
}

impl WorkingContainers {
    /// Looks at the working containers of a store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// All working containers, in the order in which they were made; containers of others are left
    /// out.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`]; [`ErrorKind::Io`] where a state cannot be read.
    pub fn list(&self) -> Result<Vec<WorkingContainer>> {
        let containers = self.store.containers().map_err(|e| Error::storage(e, "containers"))?;
        let mut found = Vec::new();
        for container in containers {
            match self.read(container) {
                Ok(Some(container)) => found.push(container),
                // Somebody else's, or going away.
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Invalid => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Finds a working container by its name, its ID or the beginning of that.
    ///
    /// A container that somebody else made becomes a working container, with what its image says.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] where there is none; [`ErrorKind::Invalid`] where several IDs begin
    /// so, or it is a container of another kind; [`ErrorKind::Storage`] and [`ErrorKind::Io`].
    pub fn find(&self, text: &str) -> Result<WorkingContainer> {
        let container = self.container(text)?;
        match self.read(container.clone())? {
            Some(container) => Ok(container),
            None => create::import(self, container),
        }
    }

    /// Looks at a container that another program made as at a working container, with what its image says, to
    /// make an image of it. It does not become one: nothing is written down.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn borrow(&self, text: &str) -> Result<WorkingContainer> {
        create::imported(self, self.container(text)?)
    }

    fn container(&self, text: &str) -> Result<Container> {
        let containers = self.store.containers().map_err(|e| Error::storage(e, text))?;
        let named = |container: &&Container| {
            container.id.as_str() == text || container.names.iter().any(|name| name == text)
        };
        if let Some(found) = containers.iter().find(named) {
            return Ok(found.clone());
        }
        let is_prefix = |container: &&Container| container.id.as_str().starts_with(text);
        let mut begin_so = containers.iter().filter(is_prefix);
        match (text.is_empty(), begin_so.next(), begin_so.next()) {
            (false, Some(_), Some(_)) => {
                Err(Error::new(ErrorKind::Invalid, text, "the IDs of several containers begin so"))
            }
            (false, Some(found), None) => Ok(found.clone()),
            _ => Err(Error::new(ErrorKind::Missing, "", "container not known")),
        }
    }

    /// Removes a working container and its files, also one that is mounted.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] where it is gone; [`ErrorKind::Storage`].
    pub fn remove(&self, container: &WorkingContainer) -> Result<()> {
        let removed = self.store.delete_container(container.id());
        removed.map(drop).map_err(|error| match error.kind() {
            cask_storage::ErrorKind::NotFound => {
                Error::new(ErrorKind::Missing, "", "container not known")
            }
            _ => Error::storage(error, container.name()),
        })
    }

    /// Gives a working container another name.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for the name that it has, or one that another has;
    /// [`ErrorKind::Storage`].
    pub fn rename(&self, container: &mut WorkingContainer, name: &str) -> Result<()> {
        let invalid = |detail: String| Err(Error::new(ErrorKind::Invalid, "", detail));
        if container.name() == name {
            return invalid("renaming a container with the same name as its current name".into());
        }
        if let Ok(other) = self.container(name) {
            return invalid(format!(
                "The container name {name:?} is already in use by container {:?}",
                other.id.as_str()
            ));
        }
        let names = [name.to_owned()];
        let subject = format!("renaming container {:?} to the name {name:?}", container.name());
        self.store
            .set_container_names(container.id(), &names)
            .map_err(|error| Error::storage(error, subject))?;
        container.update(|state| {
            state.set_text("container-name", name);
            Ok(())
        })
    }

    /// Reads the state of a container; nothing where it has none.
    fn read(&self, container: Container) -> Result<Option<WorkingContainer>> {
        let path = state_path(&self.store, &container.id);
        let Some(state) = read_state(&path, &container)? else { return Ok(None) };
        Ok(Some(WorkingContainer { store: self.store.clone(), container, state }))
    }
}

/// A working container, as it was when it was asked for or last changed.
#[derive(Clone, Debug)]
pub struct WorkingContainer {
    store: Store,
    container: Container,
    state: State,
}

impl WorkingContainer {
    /// Its ID.
    pub fn id(&self) -> &Id {
        &self.container.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self.state.text("container-name") {
            "" => self.container.names.first().map_or(self.id().as_str(), String::as_str),
            name => name,
        }
    }

    /// The name of the image that it was made from; empty for one made from nothing.
    pub fn image_name(&self) -> &str {
        self.state.text("image")
    }

    /// The ID of that image; empty for a container made from nothing.
    pub fn image_id(&self) -> &str {
        self.state.text("image-id")
    }

    /// The instructions that its image has for builds from it.
    pub fn on_build(&self) -> Vec<String> {
        self.state.execution_list(state::Kind::Docker, "OnBuild")
    }

    /// Changes what its image will say. With a date, the history tells of the changes that have a
    /// text there. Gives what the user is to be told.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a value that makes no sense, and nothing is changed then;
    /// [`ErrorKind::Io`].
    pub fn configure(
        &mut self,
        changes: &[ConfigChange],
        history: Option<Timestamp>,
    ) -> Result<Vec<String>> {
        self.update(|state| {
            let mut changing = Changing { state, history, warnings: Vec::new() };
            changes.iter().try_for_each(|change| changing.apply(change))?;
            Ok(changing.warnings)
        })
    }

    /// Forgets the instructions for builds: they were carried out.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn clear_on_build(&mut self) -> Result<()> {
        self.update(|state| {
            let fields = state.execution_mut(state::Kind::Docker);
            fields.insert("OnBuild".to_owned(), serde_json::json!([]));
            Ok(())
        })
    }

    /// Adds a step without a layer to the history, before the new layer's.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn add_history(&mut self, created: Timestamp, created_by: &str) -> Result<()> {
        self.update(|state| {
            state.add_history(created, created_by);
            Ok(())
        })
    }

    /// The shell that commands are for, as history has it.
    pub fn shell(&self) -> Vec<String> {
        self.state.execution_list(state::Kind::Docker, "Shell")
    }

    /// Changes the state under its lock, beginning with what is there now. Without success nothing
    /// is written.
    fn update<T>(&mut self, change: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let path = state_path(&self.store, self.id());
        let _lock = lock(&path)?;
        let read = read_state(&path, &self.container)?;
        let mut state = read.unwrap_or_else(|| self.state.clone());
        let value = change(&mut state)?;
        write_state(&path, &state)?;
        self.state = state;
        Ok(value)
    }
}

fn state_path(store: &Store, id: &Id) -> PathBuf {
    store.container_directory(id).join(state::FILE)
}

/// Keeps others from changing a state. The directory is what is locked: no file is left by that.
fn lock(state: &std::path::Path) -> Result<File> {
    let directory = state.parent().unwrap_or(state);
    let opened = File::open(directory).map_err(|e| Error::io(e, "cannot be opened", directory))?;
    flock(&opened, FlockOperation::LockExclusive)
        .map_err(|error| Error::io(error, "cannot be locked", directory))?;
    Ok(opened)
}

fn read_state(path: &std::path::Path, container: &Container) -> Result<Option<State>> {
    let failed = |error| Error::io(error, "cannot be read", path);
    let file = match File::open(path) {
        Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_STATE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_STATE_BYTES {
        let detail = format!("has more than {MAX_STATE_BYTES} bytes, and no more are read");
        return Err(Error::new(ErrorKind::Limit, path.display(), detail));
    }
    let name = container.names.first().map_or(container.id.as_str(), String::as_str);
    State::parse(&bytes, name).map(Some)
}

/// Writes a state in one step: whoever reads sees the old one or the new one.
fn write_state(path: &std::path::Path, state: &State) -> Result<()> {
    let directory = path.parent().unwrap_or(path);
    let mut temporary = tempfile::Builder::new()
        .prefix(".tmp-")
        .tempfile_in(directory)
        .map_err(|error| Error::io(error, "a file cannot be made in it", directory))?;
    let written = temporary.write_all(&state.encode());
    written
        .and_then(|()| temporary.as_file().sync_data())
        .map_err(|error| Error::io(error, "cannot be written", path))?;
    temporary
        .persist(path)
        .map(drop)
        .map_err(|error| Error::io(error.error, "cannot be replaced", path))
}
