use std::fmt;
use std::path::PathBuf;

use crate::{AuthFiles, Error, Found, Key, Origin};

/// How a credential was looked for, and what came of it. No secret is in it but in
/// [`found`](Self::found).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// What it was looked for.
    pub key: Key,
    /// What was looked at, in this order; at the end what was not, because it was found before.
    pub steps: Vec<Step>,
    /// The credential, and where it comes from; `None` is anonymous access.
    pub found: Option<Found>,
    /// Why it is not known whether there is one; with [`found`](Self::found), nothing is wrong.
    pub error: Option<String>,
}

/// One place, and what was seen there. `Display` is a line for people, without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// The place.
    pub place: LookedAt,
    /// What was seen.
    pub seen: Seen,
}

/// A place where credentials may be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookedAt {
    /// An auth file.
    File(PathBuf),
    /// A credential helper.
    Helper {
        /// What follows `docker-credential-` in its name.
        name: String,
        /// What it was asked for.
        server: String,
    },
}

/// What was seen in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seen {
    /// There is no such file.
    NoFile,
    /// It has no entry under any of these keys.
    NoEntry(Vec<String>),
    /// It says that this helper knows.
    NamesHelper(String),
    /// It has the credential, under this key.
    Entry(String),
    /// The helper has the credential.
    Answer,
    /// The helper knows of none.
    NoAnswer,
    /// It could not be asked.
    Failed(String),
    /// It was not looked at: the credential was found before.
    NotAsked,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            LookedAt::File(path) => write!(f, "{}: ", path.display())?,
            LookedAt::Helper { name, server } if server.is_empty() => {
                write!(f, "the credential helper {name}: ")?;
            }
            LookedAt::Helper { name, server } => {
                write!(f, "the credential helper {name}, asked for {server:?}: ")?;
            }
        }
        match &self.seen {
            Seen::NoFile => f.write_str("there is no such file"),
            Seen::NoEntry(keys) => write!(f, "no entry for {}", keys.join(", ")),
            Seen::NamesHelper(name) => write!(f, "it says that the helper {name} knows"),
            Seen::Entry(key) => write!(f, "the key {key:?} fits"),
            Seen::Answer => f.write_str("it has one"),
            Seen::NoAnswer => f.write_str("it has none"),
            Seen::Failed(why) => f.write_str(why),
            Seen::NotAsked => f.write_str("not looked at"),
        }
    }
}

impl AuthFiles {
    /// Finds the credential for a registry, a namespace or a repository as
    /// [`find`](Self::find) does, and tells how.
    pub fn explain(&self, key: &Key) -> Explanation {
        let mut steps = Vec::new();
        let result = self.find_telling(key, &mut |place, seen| steps.push(Step { place, seen }));
        let (found, error) = match result {
            Ok(found) => (found, None),
            Err(error) => (None, Some(chain(&error))),
        };
        Explanation { key: key.clone(), steps, found, error }
    }
}

/// An error with all that is behind it.
pub(crate) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

/// Whom [`AuthFiles::find`] tells what it sees.
pub(crate) type Tell<'t> = dyn FnMut(LookedAt, Seen) + 't;

/// What was seen where a credential is.
pub(crate) fn seen_at(origin: &Origin) -> Seen {
    match origin {
        Origin::File { key, .. } => Seen::Entry(key.clone()),
        _ => Seen::Answer,
    }
}
