//! Where the files of a build come from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::context::{Context, Fetch, Git};
use crate::{Error, ErrorKind, Result};

/// What a name stands for that the caller gave: `--build-context`.
#[derive(Clone)]
#[non_exhaustive]
pub enum NamedContext {
    /// Files.
    Files(Arc<Context>),
    /// An image, by the reference that [`Bases`](super::Bases) is asked for.
    Image(String),
}

/// Where the files of a build come from.
#[derive(Clone)]
#[non_exhaustive]
pub struct BuildSources {
    /// The build context; an empty one where there is none.
    pub context: Arc<Context>,
    /// What names in FROM and `--from` stand for, before stages and images. Names are compared in
    /// lower case, and are in lower case here.
    pub named: BTreeMap<String, NamedContext>,
    /// What fetches the URLs of ADD.
    pub fetch: Option<Arc<dyn Fetch + Send + Sync>>,
    /// What clones the repositories of ADD.
    pub git: Option<Arc<Git>>,
    /// Where what is fetched lies as long as it is needed; `None` is beside the records of earlier
    /// builds.
    pub scratch: Option<PathBuf>,
}

impl Default for BuildSources {
    fn default() -> Self {
        Self {
            context: Arc::new(Context::empty()),
            named: BTreeMap::new(),
            fetch: None,
            git: None,
            scratch: None,
        }
    }
}

impl BuildSources {
    /// The names that the caller gave.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.named.keys().cloned().collect()
    }

    pub(crate) fn named(&self, name: &str) -> Option<&NamedContext> {
        self.named.get(&name.to_lowercase())
    }

    /// The files of a name, if it stands for files.
    pub(crate) fn files_of(&self, name: &str) -> Option<&Arc<Context>> {
        match self.named(name) {
            Some(NamedContext::Files(context)) => Some(context),
            _ => None,
        }
    }

    /// The image that FROM begins with, where it begins with one.
    pub(crate) fn image_of(&self, name: &str) -> Result<String> {
        match self.named(name) {
            None => Ok(name.to_owned()),
            Some(NamedContext::Image(reference)) => Ok(reference.clone()),
            Some(NamedContext::Files(_)) => Err(Error::new(
                ErrorKind::Invalid,
                name,
                "it is a context with files, and no image",
            )),
        }
    }
}

impl fmt::Debug for NamedContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(context) => f.debug_tuple("Files").field(&context.name()).finish(),
            Self::Image(reference) => f.debug_tuple("Image").field(reference).finish(),
        }
    }
}

impl fmt::Debug for BuildSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildSources")
            .field("context", &self.context.name())
            .field("named", &self.named)
            .finish_non_exhaustive()
    }
}
