//! What is asked of COPY and ADD.

use std::path::Path;
use std::sync::Arc;

use cask_containerfile::Dialect;
use cask_layer::FileTimes;

use crate::context::{Context, Fetch, Git, redacted};
use crate::stat_cache::StatCache;

/// What a COPY or an ADD says, variables replaced.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CopyRequest {
    /// Where sources that are paths are taken from: the build context, or what `--from` names.
    pub context: Arc<Context>,
    /// What is copied, in order.
    pub sources: Vec<CopyItem>,
    /// Where to, as it is written: a trailing `/` counts.
    pub destination: String,
    /// What a relative destination is relative to: the stage's WORKDIR. Empty for `/`.
    pub working_directory: String,
    /// `--chown`: `user`, `user:group` or `:group`, names or numbers.
    pub owner: Option<String>,
    /// `--chmod`: octal, or symbolic as `u=rwX,go=rX`.
    pub mode: Option<String>,
    /// `--exclude`, in the syntax of ignore files.
    pub excludes: Vec<String>,
    /// `--parents`.
    pub parents: bool,
    /// `--link`: nothing of the stage is looked at.
    pub link: bool,
    /// Whether a source that is a link is copied as a link, rather than what it leads to.
    pub keep_links: bool,
    /// Whether patterns may match nothing: then nothing is copied. It is no error as long as one source is there.
    pub allow_empty_wildcard: bool,
    /// That it is an ADD, and its own options.
    pub add: Option<AddOptions>,
    /// Whose rules hold where BuildKit and Buildah differ.
    pub dialect: Dialect,
}

impl CopyRequest {
    /// A COPY without sources and options.
    pub fn new(context: Arc<Context>, destination: impl Into<String>) -> Self {
        Self {
            context,
            sources: Vec::new(),
            destination: destination.into(),
            working_directory: String::new(),
            owner: None,
            mode: None,
            excludes: Vec::new(),
            parents: false,
            link: false,
            keep_links: false,
            allow_empty_wildcard: false,
            add: None,
            dialect: Dialect::default(),
        }
    }

    pub(super) fn verb(&self) -> &'static str {
        if self.add.is_some() { "ADD" } else { "COPY" }
    }
}

/// What ADD says beyond COPY.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddOptions {
    /// `--checksum`: `algorithm:hex` of a file, or a commit.
    pub checksum: Option<String>,
    /// `--unpack`; `None` unpacks archives of the context and no others.
    pub unpack: Option<bool>,
    /// `--keep-git-dir`; `None` for what the URL says, else no.
    pub keep_git_dir: Option<bool>,
}

/// One source. `Debug` leaves out user and password of an URL, and contents.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopyItem {
    /// A path or a pattern; for ADD also an URL.
    Path(String),
    /// A heredoc: a file of its own.
    File {
        /// Its name.
        name: String,
        /// Its content, variables replaced.
        contents: Vec<u8>,
    },
}

impl std::fmt::Debug for CopyItem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => f.debug_tuple("Path").field(&redacted(path)).finish(),
            Self::File { name, contents } => f
                .debug_struct("File")
                .field("name", name)
                .field("size_bytes", &contents.len())
                .finish(),
        }
    }
}

/// What copying is done with.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct CopyTools<'t> {
    /// An existing directory for temporary files: what is downloaded, cloned and decompressed.
    pub scratch: &'t Path,
    /// Remembers digests of files.
    pub stat_cache: Option<&'t StatCache>,
    /// Gets files by HTTP for ADD; without, such are refused.
    pub fetch: Option<&'t dyn Fetch>,
    /// Gets repositories for ADD; without, such are refused.
    pub git: Option<&'t Git>,
    /// How many files are hashed at once; 0 for as many as there are processors.
    pub threads: usize,
}

impl<'t> CopyTools<'t> {
    /// Nothing but a directory for temporary files.
    pub fn new(scratch: &'t Path) -> Self {
        Self { scratch, stat_cache: None, fetch: None, git: None, threads: 0 }
    }
}

impl std::fmt::Debug for CopyTools<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyTools")
            .field("scratch", &self.scratch)
            .field("stat_cache", &self.stat_cache)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// How the layer is written.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WriteOptions {
    /// The time of what the build makes itself: missing directories on the way, and heredocs.
    /// Seconds since the beginning of 1970.
    pub created_seconds: i64,
    /// What becomes of all times, those included.
    pub times: FileTimes,
    /// Directories that the layer has besides, where the stage does not have them: 0755 and 0:0.
    pub directories: Vec<String>,
    /// The same for the working directory of a stage, and the user whom it belongs to.
    pub working_directory: Option<(String, String)>,
}

/// What came of writing a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// How many members the layer has.
    pub members: u64,
    /// The sizes of all files together, in bytes.
    pub size_bytes: u64,
    /// The destination, resolved: an absolute path in the image.
    pub destination: String,
}

/// A part of what a copy's digest is made of, to say what has changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Component {
    /// A path of the source, or a directory for all that is in it; ends with `/` then.
    pub path: String,
    /// The digest in hexadecimal.
    pub digest: String,
}
