//! Reading what is kept of containers.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use cask_storage::Id;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::config::ContainerConfig;
use super::{ContainerState, Place, Status, VERSION, text_of};
use crate::{Error, ErrorKind, Result};

/// The most that is read of a container's file.
const LONGEST: usize = 16 << 20;
/// More than most files of containers have, in bytes.
const USUAL: usize = 8 << 10;

/// What stands for the state where that cannot be known.
const RECOVERED: &str = "its record was damaged: this is what it was made with";

/// The file of a container. A part of its configuration is as good as the whole.
#[derive(Deserialize)]
struct Written<C> {
    version: u32,
    config: C,
    state: ContainerState,
}

/// What was read of a container: as much of its configuration as the caller can use, and its state.
pub(crate) type Loaded<C = ContainerConfig> = Result<(C, ContainerState)>;

impl Place {
    /// Reads the container, and settles what its state says that is no more.
    pub(crate) fn load(&self) -> Loaded {
        self.load_part(&mut Vec::new())
    }

    /// Reads the container as its file has it.
    ///
    /// Where that is damaged, it is what the container was made with: see [`Place::save_lasting`].
    pub(crate) fn load_as_written(&self) -> Loaded {
        self.read_part(&mut Vec::new())
    }

    /// As [`load`](Self::load), but only so much of the configuration; the buffer is used again and again.
    fn load_part<C: DeserializeOwned>(&self, buffer: &mut Vec<u8>) -> Loaded<C> {
        let (config, mut state) = self.read_part(buffer)?;
        if state.status.has_process() {
            self.settle(&mut state);
        }
        Ok((config, state))
    }

    fn read_part<C: DeserializeOwned>(&self, buffer: &mut Vec<u8>) -> Loaded<C> {
        let damaged = match read(&self.file(), buffer) {
            Ok(found) => return Ok(found),
            Err(Unread::Newer(error)) => return Err(error),
            Err(Unread::Damaged(error)) => error,
        };
        let Ok((config, mut state)) = read(&self.first(), buffer) else { return Err(damaged) };
        if damaged.kind() == ErrorKind::ContainerNotKnown
            && let Ok(found) = read(&self.file(), buffer)
        {
            // It was made between the two looks.
            return Ok(found);
        }
        self.recover(&mut state);
        Ok((config, state))
    }

    /// Has the state of a container that was just made be that of one of which it is not known what became of it.
    fn recover(&self, state: &mut ContainerState) {
        state.recovered = true;
        RECOVERED.clone_into(&mut state.error);
        let Ok(began) = fs::metadata(self.kept.join("monitor")) else { return };
        state.beginning = true;
        if self.has_monitor() {
            // It runs, or is about to end: what its process is, only the monitor knows.
            (state.status, state.boot) = (Status::Running, super::boot());
            return;
        }
        // It ran once. What it had then is taken back before it begins again.
        state.status = Status::Exited;
        state.exit_code = 137;
        let last = fs::metadata(self.file()).unwrap_or(began).modified();
        state.finished_at = last.map(text_of).unwrap_or_default();
    }
}

/// Why a file was not read.
enum Unread {
    /// A newer release wrote it, and knows better.
    Newer(Error),
    Damaged(Error),
}

/// Reads one file.
fn read<C: DeserializeOwned>(
    path: &Path,
    buffer: &mut Vec<u8>,
) -> Result<(C, ContainerState), Unread> {
    let failed = |error| Unread::Damaged(super::io_of_container(error, "reading", path));
    let damaged =
        |error: Error| Unread::Damaged(error.with_hint("remove the container with rm --force"));
    let storage = |why: &str| Error::new(ErrorKind::Storage, path.display(), why);
    let mut file = File::open(path).map_err(failed)?;
    let length = one_piece(&mut file, buffer).map_err(failed)?;
    let parsed = match serde_json::from_slice(&buffer[..length]) {
        Err(_) => {
            buffer.truncate(length);
            let most = LONGEST + 1 - length;
            file.take(most as u64).read_to_end(buffer).map_err(failed)?;
            if buffer.len() > LONGEST {
                return Err(damaged(storage("it is longer than 16 MiB")));
            }
            serde_json::from_slice(buffer)
        }
        parsed => parsed,
    };
    let Written { version, config, state } =
        parsed.map_err(|error| damaged(storage("it cannot be read").with_source(error)))?;
    if version > VERSION {
        return Err(Unread::Newer(storage("a newer release of the program wrote it")));
    }
    Ok((config, state))
}

/// Reads the beginning of a file, which is the whole of most: those are asked for once. Says how much there is now at
/// the beginning of the buffer.
fn one_piece(file: &mut File, buffer: &mut Vec<u8>) -> io::Result<usize> {
    // Behind what was read before nobody looks, so that it need not be cleared.
    if buffer.len() != USUAL {
        buffer.resize(USUAL, 0);
    }
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// How many threads read the files of many containers: more find nothing to do, since most of the time goes into what
/// the files say.
const READERS: usize = 4;
/// So few files are read sooner than threads are started.
pub(super) const FEW: usize = 32;

/// Reads many containers, as [`Place::load`] does, in their order; of each as much as the caller can use.
pub(crate) fn load_all<C: DeserializeOwned + Send>(places: &[Place]) -> Vec<Loaded<C>> {
    let load_part = |places: &[Place], loaded: &mut [Option<Loaded<C>>]| {
        let mut buffer = Vec::new();
        for (place, loaded) in places.iter().zip(loaded) {
            *loaded = Some(place.load_part(&mut buffer));
        }
    };
    // All threads write to one list: there is much in each, which is not moved twice.
    let mut loaded = Vec::new();
    loaded.resize_with(places.len(), || None);
    if places.len() <= FEW {
        load_part(places, &mut loaded);
    } else {
        let length = places.len().div_ceil(READERS);
        std::thread::scope(|scope| {
            let mut parts = places.chunks(length).zip(loaded.chunks_mut(length));
            // This thread is one of them.
            let own = parts.next();
            for (places, loaded) in parts {
                scope.spawn(move || load_part(places, loaded));
            }
            if let Some((places, loaded)) = own {
                load_part(places, loaded);
            }
        });
    }
    loaded.into_iter().map(|loaded| loaded.expect("every place is in a part")).collect()
}

/// The IDs of all containers that have a directory.
pub(crate) fn ids(containers: &Path) -> Result<Vec<Id>> {
    let entries = match fs::read_dir(containers) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| super::io(error, "listing", containers))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| super::io(error, "listing", containers))?;
        found.extend(entry.file_name().to_str().and_then(|name| Id::parse(name).ok()));
    }
    Ok(found)
}
