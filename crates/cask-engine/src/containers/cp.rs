//! Copying files into containers, out of them, and from one to another.

mod pack;
mod unpack;
mod view;

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;
use std::thread;

use cask_layer::{DecompressLimits, decompress, detect_reader};

use super::{Container, Containers};
use crate::{Error, ErrorKind, Result};
use unpack::Unpack;
use view::{Taken, View};

/// Where files are copied from or to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CopyEnd<'a> {
    /// A path of this machine, as it was written: how it ends matters.
    Host(PathBuf),
    /// A path in a container, absolute or from its working directory on.
    Container(&'a Container, String),
}

/// How files are copied into a container.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct FileCopyOptions {
    /// What gets into a container keeps its owners. Else it belongs to the container's user.
    pub keep_owners: bool,
    /// A directory takes the place of something else, and something else that of a directory.
    pub overwrite: bool,
}

/// Bytes that are on their way between the two threads of a copy.
const PIPE: usize = 1 << 18;

impl Containers {
    /// Copies a file or a directory.
    ///
    /// As `cp -r`: into the target where that is a directory, else under its name. A source that ends with `/.` is
    /// the contents of the directory. A link that a path leads to is followed, and others are copied as links. Paths
    /// are resolved inside their container, whatever its links say: in one that runs with everything that is mounted
    /// there, in one that does not with its volumes and bound directories.
    ///
    /// Source: podman 4.3, `cmd/podman/containers/cp.go`; what it says is in its words.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where either path leads nowhere, or a directory meets a file; [`ErrorKind::Io`].
    pub fn copy(
        &self,
        from: &CopyEnd<'_>,
        to: &CopyEnd<'_>,
        options: FileCopyOptions,
    ) -> Result<()> {
        let source = View::open(self, from)?;
        let target = View::open(self, to)?;
        let taken = source.take()?;
        let placed = target.place(taken.is_directory())?;
        let name = match (&placed.name, taken.contents_only) {
            (Some(name), _) => Some(name.clone()),
            (None, true) => None,
            (None, false) => Some(taken.name.clone()),
        };
        let (reader, writer) = io::pipe().map_err(no_pipe)?;
        let writing = Unpack {
            place: &placed,
            owner: target.owner(options.keep_owners),
            overwrite: options.overwrite,
            without_devices: target.is_host(),
        };
        let (packed, unpacked) = thread::scope(|scope| {
            let taken = &taken;
            let packing = scope.spawn(move || {
                let output = BufWriter::with_capacity(PIPE, writer);
                pack::pack(taken, name.as_deref(), None, output).map(drop)
            });
            let unpacked = writing.read(BufReader::with_capacity(PIPE, reader));
            let packed = packing.join();
            (packed.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), unpacked)
        });
        match (packed, unpacked) {
            // Then it is the other side that failed, and this one could not go on.
            (Err(pack::Failed::Output(_)), Err(error)) => Err(at(error, "copying to", &target)),
            (Err(error), _) => Err(at(error.into(), "copying from", &source)),
            (Ok(()), unpacked) => unpacked.map_err(|error| at(error, "copying to", &target)),
        }
    }

    /// Writes a file or a directory of a container as a tar stream, and gives `output` back. All of it belongs to
    /// the user 0.
    ///
    /// # Errors
    /// As [`copy`](Self::copy).
    pub fn copy_out<W: Write>(&self, container: &Container, path: &str, output: W) -> Result<W> {
        let source = View::open(self, &CopyEnd::Container(container, path.to_owned()))?;
        let taken = source.take()?;
        let name = (!taken.contents_only).then_some(taken.name.as_slice());
        pack::pack(&taken, name, Some((0, 0)), output)
            .map_err(|error| at(error.into(), "copying from", &source))
    }

    /// Unpacks a tar stream, compressed or not, in a directory of a container.
    ///
    /// # Errors
    /// As [`copy`](Self::copy); [`ErrorKind::Invalid`] for what is no tarball.
    pub fn copy_in(
        &self,
        container: &Container,
        path: &str,
        input: impl Read,
        options: FileCopyOptions,
    ) -> Result<()> {
        let target = View::open(self, &CopyEnd::Container(container, path.to_owned()))?;
        let Some(placed) = target.place_in_directory()? else {
            let why = "destination must be a directory when copying from stdin";
            return Err(Error::new(ErrorKind::Invalid, "", why));
        };
        let unreadable = |error: io::Error| {
            Error::new(ErrorKind::Io, "standard input", "it cannot be read").with_source(error)
        };
        let (compression, reader) = detect_reader(input).map_err(unreadable)?;
        let reader = decompress(reader, compression, DecompressLimits::default());
        let unpack = Unpack {
            place: &placed,
            owner: target.owner(options.keep_owners),
            overwrite: options.overwrite,
            without_devices: false,
        };
        unpack
            .read(BufReader::with_capacity(PIPE, reader))
            .map_err(|error| at(error, "copying to", &target))
    }
}

impl Taken<'_> {
    fn is_directory(&self) -> bool {
        self.found.is_directory()
    }
}

fn no_pipe(error: io::Error) -> Error {
    Error::new(ErrorKind::Io, "making a pipe", "").with_source(error)
}

fn at(error: Error, doing: &str, view: &View<'_>) -> Error {
    // What is no tarball is said of the stream alone.
    if error.kind() == ErrorKind::Invalid {
        return error;
    }
    let place = if view.is_host() { "host" } else { "container" };
    Error::new(error.kind(), format_args!("{doing} {place}"), "").with_cause(error)
}
