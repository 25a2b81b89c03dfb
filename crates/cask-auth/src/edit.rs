//! Keeping and removing credentials.

use std::path::Path;

use cask_json::{Node, Object};

use crate::document::server_address;
use crate::files::{helper_origin, read, with_document};
use crate::helper::Helper;
use crate::key::DOCKER_HUB;
use crate::options::AUTH_FILES_HELPER;
use crate::write::update;
use crate::{AuthFile, AuthFiles, Credential, Error, ErrorKind, Format, Key, Origin};

/// The fields of an entry that make a credential.
const SECRET_FIELDS: [&str; 5] = ["auth", "username", "password", "identitytoken", "registrytoken"];

/// The helper that keeps a credential on behalf of a file.
struct Keeper {
    name: String,
    server: String,
    /// Whether it is the one for all registries; then the file has an empty entry for each.
    is_default: bool,
}

impl AuthFiles {
    /// Keeps a credential under a key, in place of the one that is there: in the first helper that
    /// takes it, which usually is the writable file. Returns where.
    ///
    /// The file is made with mode 0600, its directories with 0700, and another program that writes
    /// it in the same way loses nothing. All that is not the credential of this key stays as it
    /// is. If the file says that a helper keeps the credentials of the registry, that helper gets
    /// it, and the entry in the file becomes empty.
    ///
    /// Source: containers/image, `SetCredentials`; docker/cli for `credsStore`.
    ///
    /// # Errors
    /// - `Invalid`: a key that the place cannot hold, such as a namespace in Docker's file or in a
    ///   helper; a credential that would not be read back as it is.
    /// - `NowhereToWrite`, `Read`, `Malformed`, `Write`, `Helper`.
    pub fn set(&self, key: &Key, credential: &Credential) -> Result<Origin, Error> {
        check(credential)?;
        let mut errors = Vec::new();
        for name in self.helpers_to_edit() {
            let result = if name == AUTH_FILES_HELPER {
                self.set_in_file(key, credential)
            } else {
                self.set_in_helper(name, key.registry(), key, None, credential)
            };
            match result {
                Ok(origin) => return Ok(origin),
                Err(error) => errors.push(error),
            }
        }
        Err(one_or_several("errors storing credentials", errors))
    }

    /// Removes what is kept under exactly this key, from the writable file and from all helpers.
    ///
    /// Source: containers/image, `RemoveAuthentication`.
    ///
    /// # Errors
    /// `NotLoggedIn` if there was nothing; else as [`set`](Self::set).
    pub fn remove(&self, key: &Key) -> Result<(), Error> {
        let mut removed = false;
        let mut errors = Vec::new();
        for name in self.helpers_to_edit() {
            let result = if name == AUTH_FILES_HELPER {
                self.remove_from_file(key)
            } else if key.is_namespaced() {
                Ok(false)
            } else {
                Helper::new(name, &self.options).and_then(|helper| helper.erase(key.registry()))
            };
            match result {
                Ok(was_there) => removed |= was_there,
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(one_or_several("errors removing credentials", errors));
        }
        if !removed {
            return Err(Error::new(ErrorKind::NotLoggedIn, format!("not logged into {key}")));
        }
        Ok(())
    }

    /// Removes all credentials from the writable file and from all helpers. Which helpers a file
    /// names is no credential, and stays.
    ///
    /// A helper for all registries that the file names forgets those that the file lists: it may
    /// keep the secrets of other programs too.
    ///
    /// Source: containers/image, `RemoveAllAuthentication`, but that it removes `credHelpers`.
    ///
    /// # Errors
    /// As [`set`](Self::set); what could be removed was.
    pub fn remove_all(&self) -> Result<(), Error> {
        let mut errors = Vec::new();
        for name in self.helpers_to_edit() {
            if name == AUTH_FILES_HELPER {
                errors.extend(self.clear_file().err());
            } else {
                errors.extend(self.clear_helper(name).err());
            }
        }
        if errors.is_empty() {
            return Ok(());
        }
        Err(one_or_several("errors removing all credentials", errors))
    }

    /// The helpers that are written to: of those that Docker does not know, none for its file.
    fn helpers_to_edit(&self) -> impl Iterator<Item = &str> {
        let docker = self.options.writable.as_ref().is_some_and(|f| f.format == Format::Docker);
        let helpers = self.options.helpers.iter().map(String::as_str).filter(move |_| !docker);
        docker.then_some(AUTH_FILES_HELPER).into_iter().chain(helpers)
    }

    fn writable(&self) -> Result<&AuthFile, Error> {
        let nowhere = |why: String| Err(Error::new(ErrorKind::NowhereToWrite, why));
        let Some(file) = &self.options.writable else {
            return nowhere("no auth file is known: name one".to_owned());
        };
        if file.format == Format::Legacy {
            let path = &file.path;
            return nowhere(format!("writes to {path:?} using legacy format are not supported"));
        }
        match &self.options.runtime_directory {
            Some(directory) if !directory.exists() => nowhere(format!(
                "{directory:?} directory set by $XDG_RUNTIME_DIR does not exist: \
                 either create the directory or unset $XDG_RUNTIME_DIR"
            )),
            _ => Ok(file),
        }
    }

    /// The helper that a file says keeps the credentials of a registry.
    fn keeper(&self, file: &AuthFile, registry: &str) -> Result<Option<Keeper>, Error> {
        let Some(bytes) = read(&file.path)? else {
            return Ok(None);
        };
        with_document(&bytes, file, |document| {
            let keeper = match document.helper(registry)? {
                Some(("", _)) => None,
                Some((name, server)) => Some((name, server.to_owned(), false)),
                None => {
                    document.default_helper()?.map(|name| (name, server_address(registry), true))
                }
            };
            Ok(keeper.map(|(name, server, is_default)| Keeper {
                name: name.to_owned(),
                server,
                is_default,
            }))
        })
    }

    fn set_in_file(&self, key: &Key, credential: &Credential) -> Result<Origin, Error> {
        let file = self.writable()?;
        let file_key = file_key(file, key)?;
        let Some(keeper) = self.keeper(file, key.registry())? else {
            update(file, |root| {
                let entry = auths(root)?.object_mut(&file_key)?;
                clear_entry(entry);
                fill_entry(entry, credential);
                Some(true)
            })?;
            return Ok(Origin::File { path: file.path.clone(), key: file_key });
        };
        let Keeper { name, server, is_default } = keeper;
        let origin = self.set_in_helper(&name, &server, key, Some(&file.path), credential)?;
        update(file, |root| {
            let auths = auths(root)?;
            if !is_default && auths.field(&file_key).is_none() {
                return Some(false);
            }
            clear_entry(auths.object_mut(&file_key)?);
            Some(true)
        })?;
        Ok(origin)
    }

    fn set_in_helper(
        &self,
        name: &str,
        server: &str,
        key: &Key,
        file: Option<&Path>,
        credential: &Credential,
    ) -> Result<Origin, Error> {
        let helper = Helper::new(name, &self.options)?;
        if key.is_namespaced() {
            let what = format!("namespaced key is not supported for credential helper {name}");
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        helper.store(server, credential)?;
        Ok(helper_origin(helper.name(), server, file))
    }

    fn remove_from_file(&self, key: &Key) -> Result<bool, Error> {
        let file = self.writable()?;
        let file_key = file_key(file, key)?;
        if read(&file.path)?.is_none() {
            return Ok(false);
        }
        let keeper = self.keeper(file, key.registry())?.filter(|_| !key.is_namespaced());
        let erased = keeper.map(|Keeper { name, server, .. }| {
            Helper::new(&name, &self.options).and_then(|helper| helper.erase(&server))
        });
        let removed = update(file, |root| Some(auths(root)?.remove(&file_key)))?;
        // The entry goes even if the helper fails.
        Ok(erased.transpose()?.unwrap_or(false) | removed)
    }

    fn clear_file(&self) -> Result<(), Error> {
        let file = self.writable()?;
        let Some(bytes) = read(&file.path)? else {
            return Ok(());
        };
        let kept = with_document(&bytes, file, |document| document.kept_by_helpers())?;
        let mut errors = Vec::new();
        for (name, server) in kept {
            let erased = Helper::new(&name, &self.options).and_then(|helper| helper.erase(&server));
            errors.extend(erased.err());
        }
        update(file, |root| {
            let auths = auths(root)?;
            let changed = !auths.is_empty();
            *auths = Object::new();
            Some(changed)
        })?;
        if errors.is_empty() {
            return Ok(());
        }
        Err(one_or_several("errors erasing credentials", errors))
    }

    fn clear_helper(&self, name: &str) -> Result<(), Error> {
        let helper = Helper::new(name, &self.options)?;
        let erased = helper.servers()?.into_iter().map(|server| helper.erase(&server));
        let errors: Vec<_> = erased.filter_map(Result::err).collect();
        if errors.is_empty() {
            return Ok(());
        }
        Err(one_or_several("errors erasing credentials", errors))
    }
}

/// The key under which a file has a credential.
fn file_key(file: &AuthFile, key: &Key) -> Result<String, Error> {
    if key.as_str().is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "the key is empty: name a registry"));
    }
    if file.format != Format::Docker {
        return Ok(key.as_str().to_owned());
    }
    if key.is_namespaced() {
        let what = "credentials cannot be recorded in Docker-compatible format with namespaced key";
        return Err(Error::new(ErrorKind::Invalid, format!("{what} {:?}", key.as_str())));
    }
    let hub = key.as_str() == "docker.io";
    Ok(if hub { DOCKER_HUB } else { key.as_str() }.to_owned())
}

/// Refuses what an auth file does not give back as it is.
fn check(credential: &Credential) -> Result<(), Error> {
    let invalid = |why: &str| Err(Error::new(ErrorKind::Invalid, why));
    match credential {
        Credential::RegistryToken(_) => Err(Error::no_bearer_tokens()),
        Credential::IdentityToken { token, .. } if token.is_empty() => {
            invalid("the identity token is empty")
        }
        Credential::Basic { username, .. } if username.is_empty() => {
            invalid("the username is empty")
        }
        Credential::Basic { username, .. } | Credential::IdentityToken { username, .. }
            if username.contains([':', '\0']) =>
        {
            invalid("a username has neither colons nor NULs")
        }
        Credential::Basic { password, .. } if password.expose().contains('\0') => {
            invalid("a password has no NULs")
        }
        _ => Ok(()),
    }
}

/// The entries of a file; `None` if they are no object.
fn auths(root: &mut Object) -> Option<&mut Object> {
    let name = root.spelling("auths").unwrap_or("auths").to_owned();
    root.object_mut(&name)
}

fn clear_entry(entry: &mut Object) {
    for name in SECRET_FIELDS {
        while let Some(spelling) = entry.spelling(name).map(str::to_owned) {
            entry.remove(&spelling);
        }
    }
}

fn fill_entry(entry: &mut Object, credential: &Credential) {
    let (username, password, identity_token) = match credential {
        Credential::Basic { username, password } => (username, password.expose(), None),
        Credential::IdentityToken { username, token } => (username, "", Some(token)),
        Credential::RegistryToken(_) => return,
    };
    if identity_token.is_none() || !username.is_empty() {
        let auth = cask_json::base64::encode(format!("{username}:{password}").as_bytes());
        entry.set("auth", Node::from(auth));
    }
    if let Some(token) = identity_token {
        entry.set("identitytoken", token.expose());
    }
}

fn one_or_several(what: &str, mut errors: Vec<Error>) -> Error {
    match (errors.len(), errors.pop()) {
        (1, Some(error)) => error,
        (0, _) | (_, None) => {
            Error::new(ErrorKind::NowhereToWrite, "no credential helper is known")
        }
        (_, Some(last)) => {
            errors.push(last);
            Error::several(what, &errors)
        }
    }
}
