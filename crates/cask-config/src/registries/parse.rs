//! From text to one file's configuration.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::str::FromStr;

use cask_json::quoted_as_go;
use cask_reference::Repository;

use crate::document::{Found, Source, Table};
use crate::registries::registry::fold_host;
use crate::registries::{
    CredentialHelper, Mirror, PullFromMirror, RegistriesConf, Registry, RegistrySources,
    ShortNameMode, Warning, WarningKind, aliases,
};
use crate::{Error, ErrorKind};

const KEYS: &[&str] = &[
    "unqualified-search-registries",
    "credential-helpers",
    "short-name-mode",
    "additional-layer-store-auth-helper",
    "aliases",
    "registry",
];
const REGISTRY_KEYS: &[&str] = &[
    "prefix",
    "location",
    "insecure",
    "blocked",
    "mirror-by-digest-only",
    "pull-from-mirror",
    "push-to",
    "mirror",
];
const MIRROR_KEYS: &[&str] = &["location", "insecure", "pull-from-mirror"];

/// Reads one file.
pub(crate) fn parse(source: &Source<'_>) -> Result<RegistriesConf, Error> {
    let document = source.parse()?;
    let root = Table::root(source, &document);
    refuse_version_1(source, &root)?;
    let mut reader = Reader { source, warnings: Vec::new() };
    reader.warn_of_others(&root, KEYS);
    let registries = reader.registries(&root)?;
    let search_registries = root.strings("unqualified-search-registries")?;
    let search_registries = search_registries
        .map(|hosts| hosts.into_iter().map(|host| search_registry(&root, host)).collect())
        .transpose()?;
    let credential_helpers = root.strings("credential-helpers")?;
    let credential_helpers = credential_helpers
        .map(|helpers| {
            helpers.into_iter().map(|helper| credential_helper(&root, &helper)).collect()
        })
        .transpose()?;
    let layer_store_auth_helper = root.string("additional-layer-store-auth-helper")?;
    let layer_store_auth_helper = layer_store_auth_helper.map(|found| found.value);
    let mut warnings = reader.warnings;
    warnings.sort_by_key(|warning| (warning.line(), warning.column()));
    Ok(RegistriesConf {
        registries,
        search_registries,
        search_origin: Some(source.file().into()),
        credential_helpers,
        short_name_mode: short_name_mode(&root)?,
        layer_store_auth_helper: layer_store_auth_helper.filter(|helper| !helper.is_empty()),
        aliases: aliases::parse(source, &root)?,
        warnings,
        files: vec![source.file().into()],
        sources: RegistrySources::default(),
    })
}

/// The old form is nothing but a table `registries`; what has one is not the new form.
fn refuse_version_1(source: &Source<'_>, root: &Table<'_>) -> Result<(), Error> {
    let Ok(Some(table)) = root.table("registries") else { return Ok(()) };
    let message = "registry must be in v2 format but is in v1, which is no longer supported; \
                   replace [registries.search] by unqualified-search-registries = […], and each \
                   entry of [registries.insecure] and [registries.block] by a [[registry]] with \
                   location and insecure = true or blocked = true";
    Err(source.error(ErrorKind::Version1, table.offset, &table.key, message))
}

struct Reader<'s> {
    source: &'s Source<'s>,
    warnings: Vec<Warning>,
}

impl Reader<'_> {
    fn warn(&mut self, kind: WarningKind, key: String, offset: usize) {
        let position = self.source.position(offset);
        self.warnings.push(Warning::new(kind, self.source.file(), key, position));
    }

    fn warn_of_others(&mut self, table: &Table<'_>, known: &[&str]) {
        for Found { key, offset, .. } in table.others(known) {
            self.warn(WarningKind::UnknownKey, key, offset);
        }
    }

    /// All registries; of those with one prefix the first, as long as they agree.
    fn registries(&mut self, root: &Table<'_>) -> Result<BTreeMap<String, Registry>, Error> {
        let mut registries = BTreeMap::new();
        // What the first table of a location says of it.
        let mut locations: BTreeMap<String, (bool, bool)> = BTreeMap::new();
        for table in root.tables("registry")? {
            let registry = self.registry(&table)?;
            let name = [&registry.location, &registry.prefix];
            let name = name.into_iter().find(|name| !name.is_empty());
            let name = name.cloned().unwrap_or_default();
            let said = (registry.insecure, registry.blocked);
            let first = *locations.entry(name.clone()).or_insert(said);
            let conflict = match (first.0 == said.0, first.1 == said.1) {
                (true, true) => None,
                (false, _) => Some("insecure"),
                (true, false) => Some("blocked"),
            };
            if let Some(key) = conflict {
                return Err(table.refuse(format!(
                    "registry '{}' is defined multiple times with conflicting '{key}' setting",
                    escaped(&name)
                )));
            }
            match registries.entry(registry.prefix.clone()) {
                Entry::Vacant(entry) => drop(entry.insert(registry)),
                Entry::Occupied(_) => {
                    self.warn(WarningKind::RepeatedPrefix, table.key.clone(), table.offset);
                }
            }
        }
        Ok(registries)
    }

    fn registry(&mut self, table: &Table<'_>) -> Result<Registry, Error> {
        self.warn_of_others(table, REGISTRY_KEYS);
        let location = location(table, "location")?;
        let written = location_or_empty(table, "prefix")?;
        let prefix = match &written {
            Some(prefix) => prefix.value.clone(),
            None => location.clone(),
        };
        if location.is_empty() {
            check_missing_location(table, written.is_some(), &prefix)?;
        }
        if let Some(found) = nonempty(table, "pull-from-mirror")? {
            let message = format!(
                "pull-from-mirror must not be set for a non-mirror registry {}",
                quoted_as_go(&prefix)
            );
            return Err(table.error(found.offset, &found.key, message));
        }
        if prefix.starts_with("*.") && prefix.contains(['/', '@', ':']) {
            return Err(table.refuse(format!(
                "Wildcarded prefix should be in the format: *.example.com. Current prefix {} is \
                 incorrectly formatted",
                quoted_as_go(&prefix)
            )));
        }
        if !is_matchable(&prefix) {
            let (key, offset) = match written {
                Some(found) => (found.key, found.offset),
                None => (table.key.clone(), table.offset),
            };
            self.warn(WarningKind::UnmatchablePrefix, key, offset);
        }
        let prefix = fold_host(&prefix).into_owned();
        let mirror_by_digest_only = flag(table, "mirror-by-digest-only")?;
        let mirrors = table.tables("mirror")?;
        let mirrors = mirrors.iter().map(|mirror| {
            self.warn_of_others(mirror, MIRROR_KEYS);
            read_mirror(mirror, &prefix, mirror_by_digest_only)
        });
        Ok(Registry {
            mirrors: mirrors.collect::<Result<_, _>>()?,
            prefix,
            location,
            push_to: self::location(table, "push-to")?,
            insecure: flag(table, "insecure")?,
            blocked: flag(table, "blocked")?,
            mirror_by_digest_only,
            file: self.source.file().into(),
            line: table.position(table.offset).line,
        })
    }
}

fn read_mirror(table: &Table<'_>, prefix: &str, by_digest_only: bool) -> Result<Mirror, Error> {
    let location = location(table, "location")?;
    if location.is_empty() {
        let message = "invalid condition: mirror location is unset; add location = \"host/path\"";
        return Err(table.refuse(message));
    }
    let mut pull_from_mirror = PullFromMirror::All;
    if let Some(found) = nonempty(table, "pull-from-mirror")? {
        if by_digest_only {
            let message = format!(
                "cannot set mirror usage mirror-by-digest-only for the registry ({}) and \
                 pull-from-mirror for per-mirror ({}) at the same time",
                quoted_as_go(prefix),
                quoted_as_go(&location)
            );
            return Err(table.error(found.offset, &found.key, message));
        }
        pull_from_mirror = match found.value.as_str() {
            "all" => PullFromMirror::All,
            "digest-only" => PullFromMirror::DigestOnly,
            "tag-only" => PullFromMirror::TagOnly,
            other => {
                let message = format!(
                    "unsupported pull-from-mirror value {} for mirror {}; known are all, \
                     digest-only and tag-only",
                    quoted_as_go(other),
                    quoted_as_go(&location)
                );
                return Err(table.error(found.offset, &found.key, message));
            }
        };
    }
    Ok(Mirror { location, insecure: flag(table, "insecure")?, pull_from_mirror })
}

fn check_missing_location(table: &Table<'_>, has_prefix: bool, prefix: &str) -> Result<(), Error> {
    if !has_prefix {
        let message = "invalid condition: both location and prefix are unset; add \
                       location = \"host/path\"";
        return Err(table.refuse(message));
    }
    if prefix.starts_with("*.") {
        return Ok(());
    }
    Err(table.refuse(
        "invalid condition: location is unset and prefix is not in the format: *.example.com; add \
         location",
    ))
}

/// A location without the slashes at its end; empty if it is not given.
fn location(table: &Table<'_>, key: &str) -> Result<String, Error> {
    Ok(location_or_empty(table, key)?.map_or_else(String::new, |found| found.value))
}

fn location_or_empty(table: &Table<'_>, key: &str) -> Result<Option<Found<String>>, Error> {
    let Some(mut found) = nonempty(table, key)? else { return Ok(None) };
    check_scheme(table, &found)?;
    found.value.truncate(found.value.trim_end_matches('/').len());
    Ok(Some(found))
}

fn check_scheme(table: &Table<'_>, found: &Found<String>) -> Result<(), Error> {
    if !found.value.starts_with("http://") && !found.value.starts_with("https://") {
        return Ok(());
    }
    let message = format!(
        "invalid location '{}': URI schemes are not supported; write host/path, and insecure = \
         true for a registry without TLS",
        escaped(&found.value)
    );
    Err(table.error(found.offset, &found.key, message))
}

fn search_registry(root: &Table<'_>, found: Found<String>) -> Result<String, Error> {
    check_scheme(root, &found)?;
    let host = found.value.trim_end_matches('/');
    // A dot is put behind what could be read as a path, so that only the grammar decides.
    let domain = if host.contains(['.', ':']) { host.to_owned() } else { format!("{host}.x") };
    match Repository::new(&domain, "x") {
        Ok(_) => Ok(host.into()),
        Err(_) => {
            let message = format!(
                "Invalid unqualified-search-registries entry {}; write host or host:port",
                quoted_as_go(host)
            );
            Err(root.error(found.offset, &found.key, message))
        }
    }
}

fn credential_helper(root: &Table<'_>, found: &Found<String>) -> Result<CredentialHelper, Error> {
    CredentialHelper::parse(&found.value).map_err(|why| {
        let message = format!("credential helper {} {why}", quoted_as_go(&found.value));
        root.error(found.offset, &found.key, message)
    })
}

fn short_name_mode(root: &Table<'_>) -> Result<Option<ShortNameMode>, Error> {
    let Some(found) = nonempty(root, "short-name-mode")? else { return Ok(None) };
    let mode = ShortNameMode::from_str(&found.value);
    mode.map(Some).map_err(|error| root.error(found.offset, &found.key, error.message()))
}

fn nonempty(table: &Table<'_>, key: &str) -> Result<Option<Found<String>>, Error> {
    Ok(table.string(key)?.filter(|found| !found.value.is_empty()))
}

fn flag(table: &Table<'_>, key: &str) -> Result<bool, Error> {
    Ok(table.boolean(key)?.is_some_and(|found| found.value))
}

/// Whether any reference could begin so.
fn is_matchable(prefix: &str) -> bool {
    let host = prefix.strip_prefix("*.").map_or_else(
        || prefix.split('/').next().unwrap_or_default(),
        |domain| if domain.is_empty() { "" } else { prefix },
    );
    let meant_as_host = host == "localhost"
        || host.contains(['.', ':'])
        || host.bytes().any(|b| b.is_ascii_uppercase());
    let name = prefix.strip_prefix("*.").unwrap_or(prefix);
    meant_as_host && !name.contains('*') && !name.contains("//") && !name.contains(' ')
}

/// The text without anything that a terminal could obey.
fn escaped(text: &str) -> String {
    let quoted = quoted_as_go(text);
    quoted[1..].strip_suffix('"').unwrap_or(&quoted[1..]).to_owned()
}
