//! Where the suite writes.

use std::path::{Path, PathBuf};

use cask_transport::{Location, Transports};

/// A transport under test: where its locations are, and how they are named.
pub struct Place {
    transports: Transports,
    directory: PathBuf,
    text: Box<NameLocation>,
    litter: Option<Box<ListLitter>>,
}

/// Names the location of a path and an image's name.
type NameLocation = dyn Fn(&Path, Option<&str>) -> String + Send + Sync;
/// Lists whatever is there.
type ListLitter = dyn Fn() -> Vec<PathBuf> + Send + Sync;

impl Place {
    /// Makes a place below a directory that exists and that nothing else uses.
    ///
    /// `text` names a location: of a path that does not exist yet, and of the image's name there;
    /// without a name, or where the transport knows none, of the only image.
    pub fn new(
        transports: Transports,
        directory: &Path,
        text: impl Fn(&Path, Option<&str>) -> String + Send + Sync + 'static,
    ) -> Self {
        Self { transports, directory: directory.to_owned(), text: Box::new(text), litter: None }
    }

    /// Says how to list what is there, for a transport that writes nothing below the directory.
    #[must_use]
    pub fn with_litter(mut self, list: impl Fn() -> Vec<PathBuf> + Send + Sync + 'static) -> Self {
        self.litter = Some(Box::new(list));
        self
    }

    /// The location of an image below a path of its own for each `case`.
    ///
    /// # Panics
    /// If the transport does not parse the text that the place makes.
    pub fn location(&self, case: &str, name: Option<&str>) -> Box<dyn Location> {
        self.parse(&(self.text)(&self.path(case), name))
    }

    /// Parses a location.
    ///
    /// # Panics
    /// If the transport refuses it.
    pub fn parse(&self, text: &str) -> Box<dyn Location> {
        match self.transports.parse(text) {
            Ok(location) => location,
            Err(error) => panic!("{text} was refused: {error}"),
        }
    }

    /// The path that the locations of a case are below.
    pub fn path(&self, case: &str) -> PathBuf {
        self.directory.join(case)
    }

    /// Everything that lies in the place's directory, as paths, or what stands for it; what a case
    /// must not litter.
    ///
    /// # Panics
    /// If a directory cannot be read.
    pub fn litter(&self) -> Vec<PathBuf> {
        if let Some(list) = &self.litter {
            return list();
        }
        let mut found = Vec::new();
        let mut pending = vec![self.directory.clone()];
        while let Some(directory) = pending.pop() {
            let entries = std::fs::read_dir(&directory)
                .unwrap_or_else(|error| panic!("reading {}: {error}", directory.display()));
            for entry in entries {
                let path = entry.expect("a directory that is being read can be read on").path();
                if path.is_dir() && !path.is_symlink() {
                    pending.push(path.clone());
                }
                found.push(path);
            }
        }
        found.sort();
        found
    }
}
