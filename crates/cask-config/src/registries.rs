//! registries.conf: which registry an image comes from, and by which way.
//!
//! [`Paths`] say where the files are; [`RegistriesConf::load`] reads and merges them, and
//! [`RegistriesConf::parse`] reads one text. [`RegistriesConf::resolve`] turns a reference into the
//! [`Endpoint`]s to try; [`RegistriesConf::resolve_short_name`] turns a name without a registry
//! into candidates. [`RecordedAliases`] is the file in which a user's choices are kept.
//!
//! Source: containers-registries.conf(5) and containers/image, `sysregistriesv2` and `shortnames`.

mod aliases;
mod conf;
mod load;
mod lock;
mod parse;
mod paths;
mod registry;
mod resolve;
mod short_name;
mod sources;
mod warning;

pub use aliases::{Alias, RecordedAliases, record_alias, remove_alias};
pub use conf::{CredentialHelper, RegistriesConf};
pub use paths::{Main, Paths, recorded_aliases_path};
pub use registry::{Mirror, PullFromMirror, Registry};
pub use resolve::{Access, Endpoint, Resolution};
pub use short_name::{
    Choice, Question, ResolvedName, ShortNameMode, ShortNameOptions, ShortNameResolution,
};
pub use sources::RegistrySources;
pub use warning::{Warning, WarningKind};
