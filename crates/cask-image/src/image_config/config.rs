//! The typed view of a config.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use cask_json::{Rules, parse};
use cask_reference::Digest;

use crate::error::ManifestError;
use crate::rules::rules;
use crate::{MAX_CONFIG_BYTES, Platform, Timestamp};

/// The config of an image, OCI's or Docker's: a typed view of some bytes, or a new config.
///
/// A parsed config remembers its bytes. [`encode`](Self::encode) gives back exactly those while no
/// field is changed, and after a change it keeps all other fields, known and unknown, and their
/// order. So a config survives the work of a program that knows less than the one that made it.
///
/// Parsing is as lenient as the Go tools are: keys match in any case, null counts as missing, and
/// text that is not UTF-8 becomes U+FFFD. It is stricter in two things: a key may occur only once,
/// in whatever case, and DiffIDs have to be digests.
///
/// Source: OCI image specification, `config.md`; Docker's `image/spec`; Go, `encoding/json`.
#[derive(Clone, Debug, Default)]
pub struct ImageConfig {
    /// When the image was made.
    pub created: Option<Timestamp>,
    /// Who made the image; empty if nobody says so.
    pub author: String,
    /// Go's name of the processor architecture.
    pub architecture: String,
    /// Go's name of the operating system.
    pub os: String,
    /// The operating system's version, mostly of Windows.
    pub os_version: Option<String>,
    /// Features of the operating system that the image needs.
    pub os_features: Vec<String>,
    /// The processor's variant.
    pub variant: Option<String>,
    /// How to run the image; `config` in the document.
    pub config: ExecutionConfig,
    /// The digests of the layers' uncompressed bytes, the base first; `rootfs.diff_ids` in the
    /// document.
    pub diff_ids: Vec<Digest>,
    /// How the image was made, the oldest step first.
    pub history: Vec<HistoryEntry>,
    /// What `rootfs.type` says: `layers`, in every known image.
    pub(super) rootfs_type: String,
    /// The bytes that the config was parsed from.
    pub(super) original: Option<Bytes>,
}

/// How to run an image.
///
/// Empty is the same as missing in all fields but those that are an `Option`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecutionConfig {
    /// The user, by name or number, with a group behind a colon.
    pub user: String,
    /// The ports that the program listens on: `80/tcp`.
    pub exposed_ports: BTreeSet<String>,
    /// The environment: `NAME=value`.
    pub env: Vec<String>,
    /// The program and its first arguments.
    pub entrypoint: Option<Vec<String>>,
    /// The program, or what follows the entry point.
    pub cmd: Option<Vec<String>>,
    /// The directories that hold data of the container rather than of the image.
    pub volumes: BTreeSet<String>,
    /// The directory in which the program starts.
    pub working_dir: String,
    /// What is said about the image.
    pub labels: BTreeMap<String, String>,
    /// The signal that asks the program to stop, by name or number.
    pub stop_signal: String,
    /// Whether the command is one command line that is escaped already; Windows only.
    pub args_escaped: bool,
    /// How to find out whether the program works. Docker only.
    pub healthcheck: Option<Healthcheck>,
    /// Instructions for builds that start from the image. Docker only.
    pub on_build: Vec<String>,
    /// The program that runs commands which are given as text. Docker only.
    pub shell: Option<Vec<String>>,
}

/// How to find out whether the program in a container works.
///
/// Negative numbers in a document count as zero.
///
/// Source: Docker's `container.HealthConfig`; durations are whole nanoseconds in the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healthcheck {
    /// `NONE`; or `CMD` and arguments; or `CMD-SHELL` and a command. Empty: inherit.
    pub test: Vec<String>,
    /// The time between two checks; zero: inherit.
    pub interval: Duration,
    /// How long one check may take; zero: inherit.
    pub timeout: Duration,
    /// How long the program may take to start; zero: inherit.
    pub start_period: Duration,
    /// The time between two checks while the program starts; zero: inherit.
    pub start_interval: Duration,
    /// How many checks have to fail in a row; zero: inherit.
    pub retries: u32,
}

/// One step in the making of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryEntry {
    /// When it was taken.
    pub created: Option<Timestamp>,
    /// The command.
    pub created_by: String,
    /// Who took it.
    pub author: String,
    /// What was said about it.
    pub comment: String,
    /// Whether it changed no file, so that no layer belongs to it.
    pub empty_layer: bool,
}

/// The rules for configs.
pub(crate) const RULES: Rules = rules(MAX_CONFIG_BYTES).replacing_bad_text();

impl ImageConfig {
    /// Makes a config of the two things that every config has to say.
    pub fn new(os: impl Into<String>, architecture: impl Into<String>) -> Self {
        Self {
            os: os.into(),
            architecture: architecture.into(),
            rootfs_type: "layers".into(),
            ..Self::default()
        }
    }

    /// Parses a config.
    ///
    /// # Errors
    /// If the bytes are more than [`MAX_CONFIG_BYTES`], not JSON, or not a config: a field of
    /// another type than it has to be, a time that is not RFC 3339, a DiffID that is not a digest,
    /// a key that occurs twice.
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, ManifestError> {
        let original = bytes.into();
        let mut config = Self::read(&parse(&original, RULES)?)?;
        config.original = Some(original);
        Ok(config)
    }

    /// What the image runs on.
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
            variant: self.variant.clone(),
            features: Vec::new(),
        }
    }

    /// Whether the typed fields of two configs are equal, whatever else their documents say.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.platform() == other.platform()
            && self.created == other.created
            && self.author == other.author
            && self.config == other.config
            && self.diff_ids == other.diff_ids
            && self.history == other.history
            && self.rootfs_type == other.rootfs_type
    }
}
