//! What does the work of a build: handles, not data.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use cask_image::{Digest, PlatformWanted};
use cask_runtime::{Cancel, Executor, TerminalSize};
use cask_storage::{Id, Store};

use super::event::BuildEvent;
use super::networks::StageNetworks;
use super::remote::{CachedStep, RemoteCache};
use super::request::PullPolicy;
use super::sources::BuildSources;
use crate::stat_cache::StatCache;
use crate::{Error, ErrorKind, Result};

/// What does the work of a build.
#[derive(Clone)]
#[non_exhaustive]
pub struct BuildTools {
    /// Where layers and images are, and come to.
    pub store: Store,
    /// Where base images come from.
    pub bases: Arc<dyn Bases>,
    /// Where the files of the build come from.
    pub sources: BuildSources,
    /// Remembers the digests of files of contexts; without it every file is read every time.
    pub stat_cache: Option<Arc<StatCache>>,
    /// Where results of earlier builds are that this store does not have.
    pub remote_cache: Option<Arc<dyn RemoteCache>>,
    /// What runs commands. Without it a file with RUN is refused, and every other is built.
    pub executor: Option<Arc<dyn Executor>>,
    /// What makes networks for commands. Without it they have the machine's, or none.
    pub networks: Option<Arc<dyn StageNetworks>>,
    /// The terminal for a shell in a step that failed; without it the shell has this process's
    /// input, output and errors.
    pub terminal: Option<Arc<dyn ShellTerminal>>,
    /// What is told of what happens; called from any thread, one call after the other.
    pub events: Arc<dyn Fn(BuildEvent) + Send + Sync>,
    /// Is given the steps that shall go elsewhere where the build fails, so that the next one goes on from there; those of
    /// a build that succeeds are in its report.
    pub on_failure: Option<Arc<dyn Fn(Vec<CachedStep>) + Send + Sync>>,
    /// What ends the build early.
    pub cancel: Cancel,
    /// Where the records of earlier builds and cache mounts are kept.
    pub state_directory: PathBuf,
}

impl BuildTools {
    /// Tools that tell nobody, pull nothing and run nothing; records are kept in the store's
    /// directory, in `cask/build`.
    ///
    /// # Errors
    /// [`ErrorKind::Runtime`] where the process has no descriptor left.
    pub fn new(store: Store) -> Result<Self> {
        let cancel = Cancel::new().map_err(|error| Error::runtime(error, "the build"))?;
        Ok(Self {
            bases: Arc::new(StoreBases::new(store.clone())),
            sources: BuildSources::default(),
            stat_cache: None,
            remote_cache: None,
            executor: None,
            networks: None,
            terminal: None,
            events: Arc::new(|_| {}),
            on_failure: None,
            cancel,
            state_directory: store.graph_root().join("cask/build"),
            store,
        })
    }
}

impl fmt::Debug for BuildTools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildTools").field("state_directory", &self.state_directory).finish()
    }
}

/// Where the terminal of a shell is shown.
pub trait ShellTerminal: Send + Sync {
    /// How large it is.
    fn size(&self) -> TerminalSize;

    /// Shows what comes from a terminal, and passes on what is typed, until nobody has its other end.
    ///
    /// # Errors
    /// Those of what it is shown on.
    fn relay(&self, terminal: &OwnedFd) -> io::Result<()>;
}

/// A base image that is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BaseImage {
    /// Its ID.
    pub id: Id,
    /// Its full name, with registry and tag.
    pub name: String,
    /// The digest of its manifest, for the platform.
    pub digest: Option<Digest>,
}

impl BaseImage {
    /// An image of the store, and the name that it was found by.
    pub fn new(id: Id, name: impl Into<String>, digest: Option<Digest>) -> Self {
        Self { id, name: name.into(), digest }
    }
}

/// Where base images come from.
#[async_trait]
pub trait Bases: Send + Sync {
    /// Finds an image by what is written in FROM or `--from`, or pulls it into the store.
    ///
    /// Called once for every reference and platform, at the beginning of the build, and for several
    /// of them at the same time.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] for an image that is nowhere, [`ErrorKind::Invalid`] for a name that
    /// is none, [`ErrorKind::Fetch`] for one that cannot be had.
    async fn base(
        &self,
        reference: &str,
        platform: &PlatformWanted,
        pull: PullPolicy,
    ) -> Result<BaseImage>;
}

/// The images of a store alone: nothing is pulled.
#[derive(Clone, Debug)]
pub struct StoreBases {
    store: Store,
}

impl StoreBases {
    /// The images of a store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Bases for StoreBases {
    async fn base(&self, reference: &str, _: &PlatformWanted, _: PullPolicy) -> Result<BaseImage> {
        let storage = |error: cask_storage::Error| match error.kind() {
            cask_storage::ErrorKind::InvalidName => {
                let detail = "it is no name of an image";
                Error::new(ErrorKind::Invalid, reference, detail).with_source(error)
            }
            _ => Error::storage(error, reference),
        };
        // What was built here without a registry comes first, as with peers.
        let local = format!("localhost/{reference}");
        let names = [Some(local).filter(|_| is_short(reference)), Some(reference.to_owned())];
        let mut missing = None;
        for name in names.into_iter().flatten() {
            let wanted = self.store.resolve(&name).map_err(storage)?;
            match self.store.find(&wanted) {
                Ok(image) => {
                    let name = image.names.iter().find(|own| **own == wanted.to_string());
                    let name = name.or(image.names.first()).cloned();
                    let name = name.unwrap_or_else(|| reference.to_owned());
                    let digest = image.manifest_digest().cloned();
                    return Ok(BaseImage::new(image.id.clone(), name, digest));
                }
                Err(error) if error.kind() == cask_storage::ErrorKind::NotFound => {
                    missing = Some(error);
                }
                Err(error) => return Err(storage(error)),
            }
        }
        let error = Error::new(ErrorKind::Missing, reference, "image not known");
        Err(match missing {
            Some(missing) => error.with_source(missing),
            None => error,
        })
    }
}

/// Whether a name has no registry.
fn is_short(name: &str) -> bool {
    match name.split_once('/') {
        Some((first, _)) => first != "localhost" && !first.contains(['.', ':']),
        None => !name.starts_with('@'),
    }
}
