use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind as IoErrorKind, Read as _};
use std::path::Path;

use crate::document::{Answer, AuthDocument, MAX_FILE_BYTES, RULES};
use crate::explain::{LookedAt, Seen, Tell, chain, seen_at};
use crate::helper::Helper;
use crate::key::{normalized_file_key, normalized_registry};
use crate::options::AUTH_FILES_HELPER;
use crate::{AuthFile, AuthFilesOptions, Error, ErrorKind, Format, Found, Key, Keychain, Origin};

/// The credentials in auth files and credential helpers, to find, keep and remove.
///
/// Nothing is read before it is asked for, and nothing is remembered: each call sees the files as
/// they are.
#[derive(Clone, Debug, Default)]
pub struct AuthFiles {
    pub(crate) options: AuthFilesOptions,
}

impl AuthFiles {
    /// The credentials in these files.
    pub fn new(options: AuthFilesOptions) -> Self {
        Self { options }
    }

    /// Finds the credential for a registry, a namespace or a repository.
    ///
    /// The helpers are asked in their order. One that fails does not keep the next from answering.
    ///
    /// Source: containers/image, `GetCredentials`.
    ///
    /// # Errors
    /// Nothing was found, and something could not be asked: the kind is that of the first error,
    /// and the message holds them all.
    pub fn find(&self, key: &Key) -> Result<Option<Found>, Error> {
        self.find_telling(key, &mut |_, _| {})
    }

    /// [`find`](Self::find), and tells what it looks at.
    pub(crate) fn find_telling(
        &self,
        key: &Key,
        tell: &mut Tell<'_>,
    ) -> Result<Option<Found>, Error> {
        let (mut found, mut errors) = (None, Vec::new());
        for name in &self.options.helpers {
            let is_files = name == AUTH_FILES_HELPER;
            if found.is_some() {
                self.tell_rest(name, 0, tell);
                continue;
            }
            let answer = match is_files {
                true => self.find_in_files(key, tell),
                // Helpers know registries only.
                false => self.ask(name, key.registry(), None, tell),
            };
            match answer {
                Ok(answer) => found = answer,
                Err(error) => errors.push(error),
            }
        }
        if found.is_some() || errors.is_empty() {
            return Ok(found);
        }
        Err(Error::several("errors looking up credentials", &errors))
    }

    /// Tells of what is not looked at: a helper, or the files after the first so many.
    fn tell_rest(&self, helper: &str, files: usize, tell: &mut Tell<'_>) {
        if helper == AUTH_FILES_HELPER {
            for file in self.options.files.iter().skip(files) {
                tell(LookedAt::File(file.path.clone()), Seen::NotAsked);
            }
        } else {
            let (name, server) = (helper.to_owned(), String::new());
            tell(LookedAt::Helper { name, server }, Seen::NotAsked);
        }
    }

    /// All credentials that there are, sorted by key. One for Docker's own registry has the key
    /// `docker.io`, however the file spells it.
    ///
    /// Source: containers/image, `GetAllCredentials`.
    ///
    /// # Errors
    /// Something could not be asked.
    pub fn list(&self) -> Result<Vec<(Key, Found)>, Error> {
        let mut keys = BTreeSet::new();
        for name in &self.options.helpers {
            if name == AUTH_FILES_HELPER {
                for file in &self.options.files {
                    keys.extend(self.keys_of(file)?);
                }
            } else {
                let servers = Helper::new(name, &self.options)?.servers()?;
                keys.extend(servers.iter().map(|server| listed_key(server, false)));
            }
        }
        // What is no key cannot be asked for either.
        let keys = keys.iter().filter_map(|key| Key::parse(key).ok());
        let found = keys.map(|key| Ok(self.find(&key)?.map(|found| (key, found))));
        found.filter_map(Result::transpose).collect()
    }

    fn keys_of(&self, file: &AuthFile) -> Result<Vec<String>, Error> {
        let Some(bytes) = read(&file.path)? else {
            return Ok(Vec::new());
        };
        let legacy = file.format == Format::Legacy;
        let (mut keys, store) = with_document(&bytes, file, |document| {
            let keys = document.keys()?;
            let keys: Vec<_> = keys.into_iter().map(|key| listed_key(key, legacy)).collect();
            Ok((keys, document.default_helper()?.map(str::to_owned)))
        })?;
        if let Some(name) = store {
            let servers = Helper::new(&name, &self.options)?.servers()?;
            keys.extend(servers.iter().map(|server| listed_key(server, false)));
        }
        Ok(keys)
    }

    fn find_in_files(&self, key: &Key, tell: &mut Tell<'_>) -> Result<Option<Found>, Error> {
        for (place, file) in self.options.files.iter().enumerate() {
            if let Some(found) = self.find_in_file(key, file, tell)? {
                self.tell_rest(AUTH_FILES_HELPER, place + 1, tell);
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn find_in_file(
        &self,
        key: &Key,
        file: &AuthFile,
        tell: &mut Tell<'_>,
    ) -> Result<Option<Found>, Error> {
        let place = || LookedAt::File(file.path.clone());
        let bytes = read(&file.path);
        let Some(bytes) = bytes.inspect_err(|error| tell(place(), Seen::Failed(chain(error))))?
        else {
            tell(place(), Seen::NoFile);
            return Ok(None);
        };
        let mut helper = None;
        let found = with_document(&bytes, file, |document| {
            Ok(match document.find(key)? {
                Some(Answer::Credential { key, credential }) => {
                    let origin = Origin::File { path: file.path.clone(), key: key.to_owned() };
                    Some(Found { credential, origin })
                }
                Some(Answer::Helper { name, server }) => {
                    helper = Some((name.to_owned(), server));
                    None
                }
                None => None,
            })
        })
        .inspect_err(|error| tell(place(), Seen::Failed(chain(error))))?;
        if let Some((name, server)) = helper {
            tell(place(), Seen::NamesHelper(name.clone()));
            return self.ask(&name, &server, Some(&file.path), tell);
        }
        match &found {
            Some(found) => tell(place(), seen_at(&found.origin)),
            None => {
                tell(place(), Seen::NoEntry(key.lookup_order().map(str::to_owned).collect()));
            }
        }
        Ok(found)
    }

    fn ask(
        &self,
        name: &str,
        server: &str,
        file: Option<&Path>,
        tell: &mut Tell<'_>,
    ) -> Result<Option<Found>, Error> {
        let place = LookedAt::Helper { name: name.to_owned(), server: server.to_owned() };
        let asked = Helper::new(name, &self.options).and_then(|helper| helper.find(server));
        match &asked {
            Ok(Some(_)) => tell(place, Seen::Answer),
            Ok(None) => tell(place, Seen::NoAnswer),
            Err(error) => tell(place, Seen::Failed(chain(error))),
        }
        let origin = helper_origin(name, server, file);
        Ok(asked?.map(|credential| Found { credential, origin }))
    }
}

impl Keychain for AuthFiles {
    fn credential(&self, registry: &str, repository: Option<&str>) -> Result<Option<Found>, Error> {
        self.find(&Key::of(registry, repository)?)
    }
}

pub(crate) fn helper_origin(name: &str, server: &str, file: Option<&Path>) -> Origin {
    let file = file.map(Path::to_owned);
    Origin::Helper { name: name.to_owned(), server: server.to_owned(), file }
}

/// A key as it is listed.
fn listed_key(key: &str, legacy: bool) -> String {
    let key = normalized_file_key(key, legacy);
    if key == normalized_registry("docker.io") { "docker.io" } else { key }.to_owned()
}

/// The bytes of a file, `None` if there is no file.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let failed = |error: std::io::Error| {
        Error::caused(ErrorKind::Read, format!("reading JSON file {path:?}"), error)
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    // One byte more, by which the parser sees that it is too large.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

/// Parses a file, and asks it.
pub(crate) fn with_document<T>(
    bytes: &[u8],
    file: &AuthFile,
    ask: impl FnOnce(AuthDocument<'_>) -> Result<T, cask_json::Error>,
) -> Result<T, Error> {
    let parse = || {
        let document = cask_json::parse(bytes, RULES)?;
        ask(AuthDocument::new(&document, file.format)?)
    };
    parse().map_err(|error| Error::malformed(&file.path, error))
}
