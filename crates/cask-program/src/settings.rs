//! What the whole program was told, whatever its command.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use cask_http::Limits;

use crate::storage::StoreArguments;

/// What a program is, and what it was told for all that it does.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Settings {
    /// The program's name: what registries are told, and what messages say.
    pub program: &'static str,
    /// The file with the signature policy, instead of the usual ones.
    pub policy: Option<PathBuf>,
    /// Whether every image is accepted, without a signature policy.
    pub insecure_policy: bool,
    /// The platform that images are chosen for, as far as it is not the running one.
    pub platform: PlatformOverride,
    /// The file with the configuration of registries, instead of the usual ones.
    pub registries_conf: Option<PathBuf>,
    /// Docker's directory, which has credentials, instead of `$DOCKER_CONFIG`.
    pub docker_config: Option<PathBuf>,
    /// The directory that says where signatures are, instead of the usual one.
    pub registries_d: Option<PathBuf>,
    /// The file in which answers about short names are kept, instead of the user's.
    pub short_name_aliases: Option<PathBuf>,
    /// What the caller allows of registries, in JSON: `$BUILD_REGISTRY_SOURCES`.
    pub registry_sources: Option<String>,
    /// Whether HTTPS and valid certificates are required of registries where no flag of a command says so.
    pub tls_verify: Option<bool>,
    /// How requests to registries are tried again.
    pub retry: Retry,
    /// What each registry is spared.
    pub limits: RequestLimits,
    /// Which store is used where a location does not say.
    pub store: StoreArguments,
    /// Where large temporary files are put, instead of `$TMPDIR` or `/var/tmp`.
    pub temporary_directory: Option<PathBuf>,
    /// Where it is told what is done, `file`, `journald` or `none`, instead of where containers.conf says.
    pub events_backend: Option<String>,
    /// Where the networks of containers are, instead of the usual directory.
    pub network_config_dir: Option<PathBuf>,
}

/// What was asked for instead of the running platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlatformOverride {
    /// The operating system, in Go's words.
    pub os: Option<String>,
    /// The architecture, in Go's words.
    pub architecture: Option<String>,
    /// The variant of the architecture.
    pub variant: Option<String>,
}

/// How requests to registries are tried again. What is `None` is as the client does it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// How often, after the first try.
    pub times: Option<u32>,
    /// How long to wait between two tries; a delay that is given does not grow, as in skopeo.
    pub delay: Option<Duration>,
}

/// What each registry is spared. What is `None` is as the client does it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestLimits {
    /// How many requests wait for its answer at once.
    pub at_once: Option<NonZeroUsize>,
    /// How many requests begin within a second.
    pub per_second: Option<NonZeroU32>,
}

impl RequestLimits {
    /// What the client of registries is told; `None` if it needs not be told anything.
    pub(crate) fn of_host(self) -> Option<Limits> {
        if self == Self::default() {
            return None;
        }
        let mut limits = Limits::default();
        limits.at_once = self.at_once.unwrap_or(limits.at_once);
        limits.per_second = self.per_second;
        Some(limits)
    }
}

impl Settings {
    /// Nothing but the program's name.
    pub fn new(program: &'static str) -> Self {
        Self { program, ..Self::default() }
    }
}
