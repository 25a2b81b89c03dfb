//! Where the files of COPY and ADD come from.

mod date;
mod fetch;
mod git;
mod ignore;
mod location;
mod stream;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use cask_containerfile::IgnoreFile;
use cask_image::Algorithm;
use cask_rootfs::Root;
use tempfile::TempDir;

use crate::view::{Status, View};
use crate::{Error, ErrorKind, Result};
pub(crate) use date::newest_member;
pub use fetch::{ContextTools, Fetch, Fetched};
pub(crate) use fetch::{download, file_name};
pub use git::Git;
pub(crate) use git::required;
pub(crate) use ignore::Ignore;
pub use ignore::{IgnoreChoice, Ignored, LostException};
pub use location::{ContextLocation, GitLocation, redacted};
pub use stream::StreamContext;
pub(crate) use stream::begins_tar;
use stream::scratch_directory;

/// A tree that COPY and ADD take files from, and the rules for that.
///
/// One made from a directory, an archive or a repository is a *build context*: its files belong to 0:0
/// in the image whoever has them, lose setuid and setgid, and an ignore file hides some of them. One
/// made from a [`View`] is a stage or an image (`--from`): its files are taken as they are.
///
/// A context made from an archive or a repository lies in a private temporary directory, which is
/// gone when the context is dropped.
pub struct Context {
    name: String,
    view: View,
    origin: Origin,
    ignore: Option<Ignore>,
    /// The commit, of a repository.
    commit: Option<String>,
    /// When it changed last by who gave it, in seconds since 1970.
    last_modified: Option<i64>,
    temporary: Option<TempDir>,
}

/// What the files were, which decides what of them is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A user's files: owners mean nothing, and nobody gets privileges by them.
    Local,
    /// A user's files, for a container that the user works on: owners mean nothing.
    OwnWork,
    /// A repository: nothing but a bit of the permissions means anything; all files are of this time.
    Repository { seconds: i64 },
    /// A stage or an image.
    Image,
}

impl Context {
    /// A directory of the host, with its ignore file. Symbolic links in `path` are followed: it is
    /// trusted; those in the directory lead nowhere but into it.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] where there is no directory; [`ErrorKind::Invalid`] for an ignore file
    /// that is none, with its line; [`ErrorKind::Limit`] for one of more than 16 MiB;
    /// [`ErrorKind::Io`].
    pub fn directory(path: impl AsRef<Path>, choice: &IgnoreChoice) -> Result<Self> {
        let path = path.as_ref();
        let root = Root::open(path).map_err(|error| {
            let (kind, detail) = match error.kind() {
                cask_rootfs::ErrorKind::NotFound => (ErrorKind::Missing, "does not exist"),
                cask_rootfs::ErrorKind::NotADirectory => (ErrorKind::Missing, "is not a directory"),
                _ => (ErrorKind::Io, "cannot be opened"),
            };
            Error::new(kind, format!("context {}", path.display()), detail).with_source(error)
        })?;
        let name = path.display().to_string();
        Self::local(name, root, None).with_ignore(choice)
    }

    /// A context without any files: that of a Containerfile that came alone.
    pub fn empty() -> Self {
        Self {
            name: "the empty context".to_owned(),
            view: View::scratch(),
            origin: Origin::Local,
            ignore: None,
            commit: None,
            last_modified: None,
            temporary: None,
        }
    }

    /// A build context whose files keep setuid and setgid, as those that are copied into a working container do.
    #[must_use]
    pub fn keeping_privileges(mut self) -> Self {
        self.origin = self.origin.keeping_privileges();
        self
    }

    /// The files of a stage, an image or a container, taken as they are; `name` is for messages.
    pub fn of_view(name: impl Into<String>, view: View) -> Self {
        Self {
            name: name.into(),
            view,
            origin: Origin::Image,
            ignore: None,
            commit: None,
            last_modified: None,
            temporary: None,
        }
    }

    /// Fetches a context from elsewhere, and chooses its ignore file.
    ///
    /// What comes by HTTP may be an archive or a lone Containerfile, as what comes from standard input.
    ///
    /// # Errors
    /// [`ErrorKind::Fetch`] where it cannot be had; [`ErrorKind::Mismatch`] where it is another commit
    /// than demanded; [`ErrorKind::Missing`] for a subdirectory that is none, or leads out of the
    /// repository; [`ErrorKind::Invalid`] where the tools cannot fetch such; as
    /// [`from_stream`](Self::from_stream).
    pub fn fetch(
        location: &ContextLocation,
        choice: &IgnoreChoice,
        tools: &ContextTools<'_>,
    ) -> Result<StreamContext> {
        match location {
            ContextLocation::Directory(path) => {
                Self::directory(path, choice).map(StreamContext::Context)
            }
            ContextLocation::Git(location) => {
                let context = Self::of_repository(location, tools)?;
                context.with_ignore(choice).map(StreamContext::Context)
            }
            ContextLocation::Http(url) => {
                let downloaded = download(url, Algorithm::Sha256, tools.fetch, tools.scratch)?;
                let found =
                    Self::from_stream(redacted(url), downloaded.file, tools.scratch, choice)?;
                Ok(match found {
                    StreamContext::Context(mut context) => {
                        context.last_modified = downloaded.last_modified;
                        StreamContext::Context(context)
                    }
                    other => other,
                })
            }
        }
    }

    fn of_repository(location: &GitLocation, tools: &ContextTools<'_>) -> Result<Self> {
        let git = git::required(tools.git, location)?;
        let temporary = scratch_directory(tools.scratch)?;
        let out = git.check_out(location, None, temporary.path())?;
        let root = out.root(location)?;
        let mut context = Self::local(location.to_string(), root, Some(temporary));
        context.origin = Origin::Repository { seconds: out.seconds };
        context.commit = Some(out.commit);
        Ok(context)
    }

    pub(crate) fn local(name: String, root: Root, temporary: Option<TempDir>) -> Self {
        let view = View::of_root(root).named(name.clone());
        let (origin, ignore, commit, last_modified) = (Origin::Local, None, None, None);
        Self { name, view, origin, ignore, commit, last_modified, temporary }
    }

    /// Chooses the ignore file: see [`IgnoreChoice`].
    ///
    /// # Errors
    /// As [`directory`](Self::directory).
    pub fn with_ignore(mut self, choice: &IgnoreChoice) -> Result<Self> {
        self.ignore = Ignore::choose(&self.view, choice)?;
        Ok(self)
    }

    /// What it is called in messages; credentials in an URL are left out.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The commit that it is, of a repository.
    pub fn commit(&self) -> Option<&str> {
        self.commit.as_deref()
    }

    /// Its files, those that are ignored included.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The ignore file that was chosen.
    pub fn ignore_file(&self) -> Option<&str> {
        self.ignore.as_ref().map(Ignore::name)
    }

    /// The rules of that ignore file.
    pub fn ignore_rules(&self) -> Option<&IgnoreFile> {
        self.ignore.as_ref().map(Ignore::rules)
    }

    /// Whether an ignore file hides a path, and which line of it.
    pub fn ignored(&self, path: &str) -> Option<Ignored> {
        self.ignore.as_ref()?.decide(path)
    }

    /// The directory that must stay for as long as the view is read.
    pub(crate) fn into_temporary(self) -> Option<TempDir> {
        self.temporary
    }

    pub(crate) fn ignore(&self) -> Option<&Ignore> {
        self.ignore.as_ref()
    }

    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    /// Reads a text file, as a Containerfile, of the context, also one that is ignored. Links lead
    /// nowhere but into the context.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] where there is none; [`ErrorKind::Invalid`] where it is no regular file
    /// or no UTF-8; [`ErrorKind::Limit`] where it has more than `limit` bytes; [`ErrorKind::Io`].
    pub fn read_text(&self, path: &str, limit: u64) -> Result<String> {
        let Some(bytes) = self.view.read_file(path, limit)? else {
            let subject = crate::view::shown(path.as_bytes());
            let detail = format!("no such file in {}", self.name);
            return Err(Error::new(ErrorKind::Missing, subject, detail));
        };
        String::from_utf8(bytes).map_err(|error| {
            let subject = crate::view::shown(path.as_bytes());
            Error::new(ErrorKind::Invalid, subject, "is no text").with_source(error)
        })
    }
}

impl Origin {
    /// As it is where files of a build context keep setuid and setgid.
    pub(crate) fn keeping_privileges(self) -> Self {
        if self == Self::Local { Self::OwnWork } else { self }
    }

    /// What of an entry reaches an image, before flags are applied.
    pub(crate) fn adapt(self, status: &mut Status) {
        match self {
            Self::Image => {}
            Self::Local => {
                (status.uid, status.gid) = (0, 0);
                status.mode &= !0o6000;
            }
            Self::OwnWork => (status.uid, status.gid) = (0, 0),
            Self::Repository { seconds } => {
                (status.uid, status.gid) = (0, 0);
                let is_executable = status.is_directory() || status.mode & 0o111 != 0;
                status.mode = if is_executable { 0o755 } else { 0o644 };
                status.modified = cask_rootfs::Timestamp { seconds, nanoseconds: 0 };
            }
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("name", &self.name)
            .field("origin", &self.origin)
            .field("ignore", &self.ignore_file())
            .finish_non_exhaustive()
    }
}
