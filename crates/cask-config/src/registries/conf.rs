//! The configuration as a whole.

use std::collections::BTreeMap;
use std::path::Path;

use crate::document::Source;
use crate::registries::parse::parse;
use crate::registries::{Alias, Registry, RegistrySources, ShortNameMode, Warning};
use crate::{Error, ErrorKind};

/// What one file says, or several that were merged.
///
/// The default value is that of a machine without such files: nothing is rewritten, mirrored or
/// blocked, and short names stand for nothing.
#[derive(Clone, Debug, Default)]
pub struct RegistriesConf {
    /// By prefix.
    pub(crate) registries: BTreeMap<String, Registry>,
    pub(crate) search_registries: Option<Vec<String>>,
    /// The file that has them, or that would have to; none without a main file.
    pub(crate) search_origin: Option<String>,
    pub(crate) credential_helpers: Option<Vec<CredentialHelper>>,
    pub(crate) short_name_mode: Option<ShortNameMode>,
    pub(crate) layer_store_auth_helper: Option<String>,
    pub(crate) aliases: BTreeMap<String, Alias>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) files: Vec<String>,
    pub(crate) sources: RegistrySources,
}

/// Where credentials are looked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CredentialHelper {
    /// The files of containers-auth.json(5): written `containers-auth.json`.
    AuthFiles,
    /// The program `docker-credential-` and this name, which has no `/` in it.
    Program(String),
}

impl RegistriesConf {
    /// Reads one text; the name of its file is for errors and warnings.
    ///
    /// Keys may be written in any case, as they may in Go. A key that no reader knows is reported
    /// by [`Self::warnings`].
    ///
    /// Source: containers-registries.conf(5); containers/image, `loadConfigFile`.
    ///
    /// # Errors
    /// [`ErrorKind::Syntax`] for what is not TOML; [`ErrorKind::TooLarge`] beyond
    /// [`MAX_FILE_BYTES`](crate::MAX_FILE_BYTES); [`ErrorKind::Version1`] for the abandoned format
    /// with a table `registries`; [`ErrorKind::Invalid`] for all that no configuration can say. All
    /// of them tell the place.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, Error> {
        parse(&Source::new(text, "loading registries configuration", file_name))
    }

    /// Adds what a later file says.
    ///
    /// A registry replaces the one of the same prefix, an alias the one of the same name, and any
    /// other value that the later file gives replaces what was there, an empty list included.
    ///
    /// Source: containers/image, `updateWithConfigurationFrom`.
    pub fn merge(&mut self, later: Self) {
        self.registries.extend(later.registries);
        self.aliases.extend(later.aliases);
        if later.search_registries.is_some() {
            self.search_registries = later.search_registries;
            self.search_origin = later.search_origin;
        }
        replace(&mut self.credential_helpers, later.credential_helpers);
        replace(&mut self.short_name_mode, later.short_name_mode);
        replace(&mut self.layer_store_auth_helper, later.layer_store_auth_helper);
        self.warnings.extend(later.warnings);
        self.files.extend(later.files);
    }

    /// Takes over what the caller allows.
    pub fn with_sources(mut self, sources: RegistrySources) -> Self {
        self.sources = sources;
        self
    }

    /// The registries, ordered by prefix.
    pub fn registries(&self) -> impl ExactSizeIterator<Item = &Registry> {
        self.registries.values()
    }

    /// The registry with the longest prefix that [covers](Registry::covers) a name; of two with
    /// prefixes of one length the one without a wildcard.
    pub fn find(&self, name: &str) -> Option<&Registry> {
        let covering = self.registries.values().filter(|registry| registry.covers(name).is_some());
        covering.max_by_key(|registry| registry.precedence())
    }

    /// The hosts that are put before short names, in the order in which they are tried.
    pub fn search_registries(&self) -> &[String] {
        self.search_registries.as_deref().unwrap_or_default()
    }

    /// The file that says so, or the main file if none does; `None` without any.
    pub fn search_origin(&self) -> Option<&str> {
        self.search_origin.as_deref()
    }

    /// Where credentials are looked for, in this order: by default, and where the list is empty,
    /// in the authentication files alone.
    pub fn credential_helpers(&self) -> &[CredentialHelper] {
        match self.credential_helpers.as_deref() {
            None | Some([]) => &[CredentialHelper::AuthFiles],
            Some(helpers) => helpers,
        }
    }

    /// What is done with a short name that may stand for several images: by default
    /// [`ShortNameMode::Permissive`].
    pub fn short_name_mode(&self) -> ShortNameMode {
        self.short_name_mode.unwrap_or_default()
    }

    /// The program that is given the credentials of pulled images: the one that serves an
    /// additional layer store.
    pub fn additional_layer_store_auth_helper(&self) -> Option<&str> {
        self.layer_store_auth_helper.as_deref()
    }

    /// The aliases, by short name.
    pub fn aliases(&self) -> &BTreeMap<String, Alias> {
        &self.aliases
    }

    /// What has no effect, in the order of the files.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The files that were read, in the order in which they were merged.
    pub fn files(&self) -> &[String] {
        &self.files
    }
}

impl CredentialHelper {
    /// What [`Self::AuthFiles`] is called in the configuration.
    pub const AUTH_FILES: &str = "containers-auth.json";

    /// Reads an element of `credential-helpers`; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text == Self::AUTH_FILES {
            return Ok(Self::AuthFiles);
        }
        if text.is_empty() || text.contains(['/', '\0']) {
            return Err("must be what follows docker-credential- in the name of a program");
        }
        Ok(Self::Program(text.into()))
    }
}

fn replace<T>(old: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *old = new;
    }
}

/// The error of a name that is not what it has to be.
pub(crate) fn invalid_name(message: String) -> Error {
    Error::new(ErrorKind::InvalidName, message)
}

/// The name of a file, as it is kept and printed.
pub(crate) fn file_name(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
