//! What ADD gets from elsewhere.

use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cask_image::{Algorithm, Digest};

use super::{AddOptions, CopyTools};
use crate::context::{GitLocation, download, file_name, redacted};
use crate::{Error, ErrorKind, Result};

/// A file at an URL.
pub(super) struct Remote {
    url: String,
    /// What it is called at a destination that is a directory.
    pub(super) name: Option<String>,
    pub(super) unpack: bool,
    state: State,
}

enum State {
    /// Its digest is demanded, so that it is only fetched on a miss.
    Promised(Digest),
    /// It lies in a file.
    Here { file: File, digest: Digest, size_bytes: u64, last_modified: Option<i64> },
}

impl Remote {
    /// Fetches a file, unless its digest is demanded.
    pub(super) fn prepare(url: &str, options: &AddOptions, tools: &CopyTools<'_>) -> Result<Self> {
        let mut remote = Self {
            url: url.to_owned(),
            name: file_name(url),
            unpack: options.unpack == Some(true),
            state: State::Promised(Digest::from_hash(Algorithm::Sha256, &[0; 32])),
        };
        match &options.checksum {
            Some(checksum) => {
                let digest = checksum.parse().map_err(|error: cask_image::DigestError| {
                    let detail = "is no digest of a file";
                    Error::new(ErrorKind::Invalid, format!("--checksum={checksum}"), detail)
                        .with_source(error)
                })?;
                remote.state = State::Promised(digest);
            }
            None => remote.fetch(Algorithm::Sha256, tools)?,
        }
        Ok(remote)
    }

    /// Its content: a file, its length, and its time.
    pub(super) fn open(&mut self, tools: &CopyTools<'_>) -> Result<(File, u64, i64)> {
        if let State::Promised(wanted) = &self.state {
            let wanted = wanted.clone();
            self.fetch(wanted.algorithm(), tools)?;
            if *self.digest() != wanted {
                let found = self.digest().clone();
                self.state = State::Promised(wanted.clone());
                let detail = format!("digest mismatch {found}: {wanted}");
                return Err(Error::new(ErrorKind::Mismatch, self.shown_url(), detail).with_hint(
                    "it is not the file that --checksum demands: who changed it, and why?",
                ));
            }
        }
        let State::Here { file, size_bytes, last_modified, .. } = &self.state else {
            let detail = "was not fetched";
            return Err(Error::new(ErrorKind::Fetch, self.shown_url(), detail));
        };
        let file = file.try_clone().map_err(|error| {
            Error::new(ErrorKind::Io, self.shown_url(), "cannot be opened again").with_source(error)
        })?;
        Ok((file, *size_bytes, last_modified.unwrap_or(0)))
    }

    fn fetch(&mut self, algorithm: Algorithm, tools: &CopyTools<'_>) -> Result<()> {
        let got = download(&self.url, algorithm, tools.fetch, tools.scratch)?;
        self.state = State::Here {
            file: got.file,
            digest: got.digest,
            size_bytes: got.size_bytes,
            last_modified: got.last_modified,
        };
        Ok(())
    }

    pub(super) fn digest(&self) -> &Digest {
        match &self.state {
            State::Promised(digest) | State::Here { digest, .. } => digest,
        }
    }

    pub(super) fn last_modified(&self) -> Option<i64> {
        match &self.state {
            State::Promised(_) => None,
            State::Here { last_modified, .. } => *last_modified,
        }
    }

    /// The URL, without credentials.
    pub(super) fn shown_url(&self) -> String {
        redacted(&self.url)
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote")
            .field("url", &self.shown_url())
            .field("digest", self.digest())
            .finish_non_exhaustive()
    }
}

pub(super) fn locked(remote: &Mutex<Remote>) -> MutexGuard<'_, Remote> {
    remote.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a source of ADD is.
pub(super) enum Place {
    Path,
    Url,
    Repository(Box<GitLocation>),
}

/// Tells URLs from paths.
pub(super) fn place(text: &str) -> Result<Place> {
    if let Some(location) = GitLocation::parse(text) {
        return location.map(|location| Place::Repository(Box::new(location)));
    }
    let is_url = text.starts_with("http://") || text.starts_with("https://");
    Ok(if is_url { Place::Url } else { Place::Path })
}
