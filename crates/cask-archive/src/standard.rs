//! The standard input and output, behind the path `-`.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{ArchiveReader, Error, ReadOptions, Result};

/// The path that stands for the standard input and output.
pub const STANDARD_STREAM: &str = "-";

/// What the standard input held, as whoever reads it sees it: it can be read only once. Clones
/// share it.
#[derive(Clone, Debug)]
pub struct StandardInput<T>(Arc<Mutex<Option<T>>>);

impl<T> Default for StandardInput<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone> StandardInput<T> {
    /// Reads the archive, or gives what was made of it before.
    ///
    /// # Errors
    /// Those of opening an archive, which `read` is given to put them into words of its own; what
    /// it says.
    pub fn open<E>(
        &self,
        options: &ReadOptions,
        read: impl FnOnce(Result<ArchiveReader>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*held {
            return Ok(known.clone());
        }
        let name = Path::new("(standard input)");
        let file = duplicate(&io::stdin(), "reading", name);
        let new = read(file.and_then(|file| ArchiveReader::from_file(file, name, options)))?;
        Ok(held.insert(new).clone())
    }
}

/// The standard output, without the buffer that ends at every line.
///
/// # Errors
/// `Io` if it is closed.
pub fn standard_output() -> Result<File> {
    duplicate(&io::stdout(), "writing to", Path::new("(standard output)"))
}

fn duplicate(stream: &impl AsFd, operation: &'static str, name: &Path) -> Result<File> {
    let own = stream.as_fd().try_clone_to_owned();
    own.map(File::from).map_err(|error| Error::io(operation, name, error))
}
