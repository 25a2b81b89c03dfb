//! All files of a container as a tarball.

use std::io::Write;

use cask_layer::{DiffErrorKind, DiffOptions, diff_tree};
use cask_rootfs::Root;

use super::{Container, Containers};
use crate::{Error, ErrorKind, Result};

impl Containers {
    /// Writes all files of a container as a tar stream, and gives `output` back. What is mounted in it is left out;
    /// its volumes are empty directories.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`]; [`ErrorKind::Io`] where a file cannot be read or `output` takes no more, with that
    /// error as the source.
    pub fn export<W: Write>(&self, container: &Container, output: W) -> Result<W> {
        let path = self.mount(container)?;
        let mut options = DiffOptions::default();
        options.id_maps = container.config.namespaces.user.of_layers();
        let written = Root::open(path).map_err(Error::from).and_then(|root| {
            diff_tree(&root, output, &options).map_err(|error| {
                let doing = match error.kind() {
                    DiffErrorKind::Write => "writing the tarball",
                    _ => "reading the files",
                };
                let subject = format!("exporting container {}", container.id());
                Error::new(ErrorKind::Io, subject, doing).with_source(error)
            })
        });
        // Its own mount stays where it runs.
        let unmounted = self.unmount(container, false);
        let (_, output) = written?;
        unmounted?;
        self.tell("export", &container.config);
        Ok(output)
    }
}
