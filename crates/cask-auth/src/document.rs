//! What an auth file says.

use cask_json::{Document, Entry, Error as JsonError, ErrorKind as JsonErrorKind, Fields, Rules};

use crate::key::{normalized_file_key, normalized_registry};
use crate::{Credential, Format, Key, Secret};

/// The most bytes of an auth file.
pub(crate) const MAX_FILE_BYTES: u64 = 4 << 20;

/// How an auth file is parsed: as strictly as any document, with Go's words for what is no JSON.
pub(crate) const RULES: Rules = Rules::new(MAX_FILE_BYTES).in_go_words();

/// What a file answers.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer<'d> {
    /// A credential, and the key of its entry.
    Credential { key: &'d str, credential: Credential },
    /// This helper knows, if asked for this server.
    Helper { name: &'d str, server: String },
}

/// An auth file that was parsed.
#[derive(Debug)]
pub(crate) struct AuthDocument<'d> {
    document: &'d Document<'d>,
    format: Format,
}

impl<'d> AuthDocument<'d> {
    pub(crate) fn new(document: &'d Document<'d>, format: Format) -> Result<Self, JsonError> {
        document.root().entries()?;
        Ok(Self { document, format })
    }

    /// The entries of an object that maps names to something.
    fn map(&self, field: &str) -> Result<impl Iterator<Item = Entry<'d>> + use<'d>, JsonError> {
        let object = if self.format == Format::Legacy {
            Some(self.document.root()).filter(|_| field == "auths")
        } else {
            Fields::of_any_case(self.document.root())?.get(field)?
        };
        let entries = object.map(|object| object.entries()).transpose()?;
        Ok(entries.into_iter().flatten())
    }

    /// The helper that keeps what has no helper of its own.
    pub(crate) fn default_helper(&self) -> Result<Option<&'d str>, JsonError> {
        if self.format == Format::Legacy {
            return Ok(None);
        }
        let name = Fields::of_any_case(self.document.root())?.string("credsStore")?;
        Ok(name.filter(|name| !name.is_empty()))
    }

    /// The helper of a registry, and what it is asked for. An empty name is one: it says that the
    /// registry's credential is in the file.
    pub(crate) fn helper(&self, registry: &str) -> Result<Option<(&'d str, &'d str)>, JsonError> {
        let named = |found: Entry<'d>| Ok((found.value().as_str()?, found.key()));
        let exact = self.map("credHelpers")?.find(|entry| entry.key() == registry);
        let wanted = normalized_registry(registry);
        let found = match exact {
            Some(found) => Some(found),
            None => self
                .map("credHelpers")?
                .find(|entry| normalized_file_key(entry.key(), false) == wanted),
        };
        found.map(named).transpose()
    }

    /// The keys of credentials and the registries of helpers, as they are written.
    pub(crate) fn keys(&self) -> Result<Vec<&'d str>, JsonError> {
        let helpers = self.map("credHelpers")?.map(Entry::key);
        Ok(helpers.chain(self.map("auths")?.map(Entry::key)).collect())
    }

    /// What helpers keep on behalf of the file: their names, and what they are asked for.
    pub(crate) fn kept_by_helpers(&self) -> Result<Vec<(String, String)>, JsonError> {
        let mut kept = Vec::new();
        for entry in self.map("credHelpers")? {
            kept.push((entry.value().as_str()?.to_owned(), entry.key().to_owned()));
        }
        kept.retain(|(name, _)| !name.is_empty());
        if let Some(name) = self.default_helper()? {
            let servers = self.map("auths")?.map(|entry| server_address(entry.key()));
            kept.extend(servers.map(|server| (name.to_owned(), server)));
        }
        Ok(kept)
    }

    /// What the file answers for a key: by the helper of its registry, else by the entry that fits
    /// best, else by an entry whose key is a URL of the registry, else by the default helper.
    pub(crate) fn find(&self, key: &Key) -> Result<Option<Answer<'d>>, JsonError> {
        let registry = key.registry();
        let helper = self.helper(registry)?;
        if let Some((name, server)) = helper
            && !name.is_empty()
        {
            return Ok(Some(Answer::Helper { name, server: server.to_owned() }));
        }
        if let Some((key, credential)) = self.entry(key)? {
            return Ok(Some(Answer::Credential { key, credential }));
        }
        let store = self.default_helper()?.filter(|_| helper.is_none());
        Ok(store.map(|name| Answer::Helper { name, server: server_address(registry) }))
    }

    fn entry(&self, key: &Key) -> Result<Option<(&'d str, Credential)>, JsonError> {
        let legacy = self.format == Format::Legacy;
        for wanted in key.lookup_order().filter(|wanted| !legacy || !wanted.contains('/')) {
            let found = self.map("auths")?.find(|entry| entry.key() == wanted);
            if let Some(credential) = found.map(credential).transpose()?.flatten() {
                return Ok(found.map(|entry| (entry.key(), credential)));
            }
        }
        let wanted = normalized_registry(key.registry());
        for entry in self.map("auths")? {
            if normalized_file_key(entry.key(), legacy) == wanted
                && let Some(credential) = credential(entry)?
            {
                return Ok(Some((entry.key(), credential)));
            }
        }
        Ok(None)
    }
}

/// What Docker's default helper is asked for.
pub(crate) fn server_address(registry: &str) -> String {
    match normalized_registry(registry) {
        "index.docker.io" => crate::key::DOCKER_HUB.to_owned(),
        other => other.to_owned(),
    }
}

/// The credential of an entry; an entry without one only marks that a helper has it.
fn credential(entry: Entry<'_>) -> Result<Option<Credential>, JsonError> {
    if entry.value().is_null() {
        return Ok(None);
    }
    let fields = Fields::of_any_case(entry.value())?;
    let (username, password) = match fields.get("auth")? {
        Some(auth) if !auth.as_str()?.is_empty() => {
            let bad = |detail: String| auth.error(JsonErrorKind::InvalidValue, detail);
            let bytes = cask_json::base64::decode(auth.as_str()?)
                .map_err(|error| bad(error.to_string()))?;
            decode(bytes).map_err(|why| bad(format!("{why}: log in again")))?
        }
        _ => (fields.text("username")?, Secret::from(fields.text("password")?)),
    };
    let registry_token = fields.nonempty("registrytoken")?;
    let identity_token = fields.nonempty("identitytoken")?;
    Ok(match (registry_token, identity_token) {
        (Some(token), _) => Some(Credential::registry_token(token)),
        (None, Some(token)) => Some(Credential::IdentityToken { username, token: token.into() }),
        (None, None) if username.is_empty() && password.is_empty() => None,
        (None, None) => Some(Credential::Basic { username, password }),
    })
}

/// Splits what `auth` encodes at the first colon, and trims NULs, with which Docker once padded.
fn decode(bytes: Vec<u8>) -> Result<(String, Secret), &'static str> {
    let text = String::from_utf8(bytes).map_err(|_| "it does not encode UTF-8")?;
    let (username, password) = text
        .split_once(':')
        .ok_or("it does not encode a user and a password with a colon between")?;
    Ok((username.to_owned(), Secret::new(password.trim_matches('\0'))))
}
