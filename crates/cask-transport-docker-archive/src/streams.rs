//! The standard input and output, behind the path `-`.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use cask_archive::{ArchiveReader, ReadOptions};
use cask_docker_tar::DockerArchive;
use cask_docker_tar_seam::{of_archive, of_docker_tar};
use cask_transport::{Error, Result};

/// The path that stands for the standard input and output.
pub(crate) const STANDARD: &str = "-";

/// What the standard input held: it can be read only once.
#[derive(Clone, Debug, Default)]
pub(crate) struct StandardInput(Arc<Mutex<Option<DockerArchive>>>);

impl StandardInput {
    /// Reads the archive, or gives what was read before.
    pub(crate) fn open(&self, options: &ReadOptions) -> Result<DockerArchive> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(archive) = &*held {
            return Ok(archive.clone());
        }
        let path = Path::new("(standard input)");
        let file = duplicate(&io::stdin(), "reading the standard input")?;
        let archive = ArchiveReader::from_file(file, path, options).map_err(of_archive)?;
        let archive = DockerArchive::from_archive(archive).map_err(of_docker_tar)?;
        *held = Some(archive.clone());
        Ok(archive)
    }
}

/// The standard output, without the buffer that ends at every line.
pub(crate) fn standard_output() -> Result<File> {
    duplicate(&io::stdout(), "writing to the standard output")
}

fn duplicate(stream: &impl AsFd, operation: &'static str) -> Result<File> {
    let own = stream.as_fd().try_clone_to_owned();
    own.map(File::from).map_err(|error| Error::from_io(error, operation, ""))
}
