//! The one error of the crate.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// The result of everything that may fail in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in podman's words where it has some.
pub struct Error {
    kind: ErrorKind,
    subject: String,
    detail: String,
    hint: Option<Cow<'static, str>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kinds of [`Error`]: one for each thing that a caller would do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No image is known by that name.
    ImageNotKnown,
    /// The image does not have that name.
    TagNotKnown,
    /// A container uses the image.
    InUse,
    /// More than one image, or more than one name of an image, is meant.
    Ambiguous,
    /// A name, a filter or another argument makes no sense.
    Invalid,
    /// No container is known by that name.
    ContainerNotKnown,
    /// No volume is known by that name.
    VolumeNotKnown,
    /// No network is known by that name.
    NetworkNotKnown,
    /// No secret is known by that name.
    SecretNotKnown,
    /// No pod is known by that name.
    PodNotKnown,
    /// No artifact is known by that name.
    ArtifactNotKnown,
    /// A container, a volume, a network, a secret or an artifact has the name already.
    NameInUse,
    /// It cannot be done to a container that is where this one is in its life.
    StateImproper,
    /// The command of a container is not in it: shells exit with 127.
    CommandNotFound,
    /// The command of a container cannot be executed: shells exit with 126.
    CommandNotExecutable,
    /// A container could not be started.
    NotStarted,
    /// The monitor of a container, or another command that works on it, does nothing.
    Unresponsive,
    /// This machine, or what a container was made with, does not allow it.
    Unsupported,
    /// The operating system refused.
    Io,
    /// The store failed, or is damaged.
    Storage,
    /// The configuration of registries cannot be read, or says nothing of a short name.
    Configuration,
    /// An image cannot be read where it is, or not be written where it should go.
    Transfer,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        subject: impl fmt::Display,
        detail: impl Into<String>,
    ) -> Self {
        Self { kind, subject: subject.to_string(), detail: detail.into(), hint: None, source: None }
    }

    /// No image is known by a name.
    pub(crate) fn not_known(name: &str) -> Self {
        Self::new(ErrorKind::ImageNotKnown, name, "image not known")
    }

    /// No container is known by a name. The words are podman's.
    pub(crate) fn no_container(name: &str) -> Self {
        let words = format!("no container with name or ID \"{name}\" found");
        Self::new(ErrorKind::ContainerNotKnown, words, "no such container")
    }

    /// Whether there was no room to write something.
    pub(crate) fn is_of_full_disk(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let mut of_system =
            self.causes().filter_map(|error| error.downcast_ref::<std::io::Error>());
        of_system.any(|error| matches!(error.kind(), StorageFull | QuotaExceeded))
    }

    /// What lies beneath, the nearest first.
    fn causes(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        std::iter::successors(StdError::source(self), |&error| error.source())
    }

    #[must_use]
    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds what lies beneath, where another error of this crate says it in the words of a place.
    #[must_use]
    pub(crate) fn with_cause(mut self, cause: Self) -> Self {
        match cause.is_transparent() {
            true => self.source = cause.source,
            false => self.source = Some(Box::new(cause)),
        }
        self
    }

    #[must_use]
    pub(crate) fn with_hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(Cow::Borrowed(hint));
        self
    }

    #[must_use]
    pub(crate) fn with_own_hint(mut self, hint: String) -> Self {
        self.hint = Some(Cow::Owned(hint));
        self
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What it is about: a name, an ID, a filter.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What a user can do about it.
    pub fn hint(&self) -> Option<&str> {
        let of_source = || {
            let source = self.source.as_deref()?;
            let of_transfer = || source.downcast_ref::<cask_transport::Error>()?.hint();
            let of_store = source.downcast_ref::<cask_storage::Error>().and_then(|it| it.hint());
            let of_layout = || source.downcast_ref::<cask_layout::Error>()?.hint();
            let of_runtime = || source.downcast_ref::<cask_runtime::Error>()?.hint();
            let of_network = || source.downcast_ref::<cask_network::Error>()?.hint();
            of_store.or_else(of_transfer).or_else(of_layout).or_else(of_runtime).or_else(of_network)
        };
        self.hint.as_deref().or_else(of_source)
    }

    /// What the place of an image said, if it was that.
    pub fn transfer(&self) -> Option<&cask_transport::Error> {
        self.source.as_deref()?.downcast_ref()
    }

    /// Whether there is nothing to say but what the source says.
    fn is_transparent(&self) -> bool {
        let of_store = || self.source.as_ref().is_some_and(|it| it.is::<cask_storage::Error>());
        self.subject.is_empty() && self.detail.is_empty() && !of_store()
    }

    /// The whole of it in one line: the causes behind what they caused.
    pub(crate) fn whole(&self) -> String {
        self.causes().fold(self.to_string(), |text, error| format!("{text}: {error}"))
    }
}

impl From<cask_storage::Error> for Error {
    fn from(error: cask_storage::Error) -> Self {
        let kind = match error.kind() {
            cask_storage::ErrorKind::InUse => ErrorKind::InUse,
            cask_storage::ErrorKind::Ambiguous => ErrorKind::Ambiguous,
            cask_storage::ErrorKind::InvalidName => ErrorKind::Invalid,
            _ => ErrorKind::Storage,
        };
        Self { kind, subject: String::new(), detail: String::new(), hint: None, source: None }
            .with_source(error)
    }
}

impl From<cask_runtime::Error> for Error {
    fn from(error: cask_runtime::Error) -> Self {
        use cask_runtime::ErrorKind as Runtime;
        let kind = match error.kind() {
            Runtime::CommandNotFound => ErrorKind::CommandNotFound,
            Runtime::CommandNotExecutable => ErrorKind::CommandNotExecutable,
            Runtime::InvalidSpec | Runtime::NotFound => ErrorKind::Invalid,
            Runtime::Unsupported => ErrorKind::Unsupported,
            _ => ErrorKind::NotStarted,
        };
        Self::new(kind, "", "").with_source(error)
    }
}

impl From<cask_network::Error> for Error {
    fn from(error: cask_network::Error) -> Self {
        use cask_network::ErrorKind as Of;
        let kind = match error.kind() {
            Of::NotFound => ErrorKind::NetworkNotKnown,
            Of::Exists => ErrorKind::NameInUse,
            Of::Ambiguous => ErrorKind::Ambiguous,
            Of::Invalid | Of::Taken => ErrorKind::Invalid,
            Of::Missing | Of::Helper => ErrorKind::NotStarted,
            _ => ErrorKind::Io,
        };
        Self::new(kind, "", "").with_source(error)
    }
}

impl From<cask_rootfs::Error> for Error {
    fn from(error: cask_rootfs::Error) -> Self {
        Self::new(ErrorKind::Io, "", "").with_source(error)
    }
}

impl From<cask_transport::Error> for Error {
    /// The place's own words.
    fn from(error: cask_transport::Error) -> Self {
        Self::new(ErrorKind::Transfer, "", "").with_source(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (true, Some(source)) = (self.is_transparent(), &self.source) {
            return source.fmt(f);
        }
        match (self.subject.as_str(), self.detail.as_str()) {
            ("", "") => f.write_str("using the store"),
            ("", detail) => f.write_str(detail),
            (subject, "") => f.write_str(subject),
            (subject, detail) => write!(f, "{subject}: {detail}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)?;
        match &self.source {
            Some(source) => write!(f, ": {source:?}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source: &(dyn StdError + 'static) = self.source.as_deref()?;
        if self.is_transparent() { source.source() } else { Some(source) }
    }
}
