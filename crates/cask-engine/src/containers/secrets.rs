//! Secrets: small texts that containers are given by name, and images never hold.
//!
//! ```text
//! GRAPH ROOT/cask/secrets/           for its owner alone
//!   <id>.json    its name, its labels, when it was made
//!   <id>.data    what it is
//!   lock         held while one is made or removed
//! ```

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use cask_storage::Id;
use serde::{Deserialize, Serialize};

use super::record::{now, open_lock};
use crate::{Error, ErrorKind, Result};

/// The most bytes of a secret, and one more. Source: containers/common, `pkg/secrets`, `maxSecretSize`.
const TOO_LARGE: usize = 512_000;
/// Digits of an ID. Source: containers/common, `pkg/secrets`, `secretIDLength`.
const DIGITS: usize = 25;
/// The most that is read of a file about one, in bytes.
const LONGEST: u64 = 1 << 20;

/// The secrets of a store.
#[derive(Clone, Debug)]
pub struct Secrets {
    directory: PathBuf,
}

/// One secret, without what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Secret {
    /// 25 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made, in RFC 3339.
    pub created: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// A secret that a container is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SecretConfig {
    /// Its name, or its ID or the beginning of that; once the container is made, its name.
    pub name: String,
    /// Its ID.
    pub id: String,
    /// The variable that it is; `None` is a file.
    pub variable: Option<String>,
    /// The file that it is: a path.
    pub target: PathBuf,
    /// Who owns the file.
    pub uid: u32,
    /// The file's group.
    pub gid: u32,
    /// The file's permissions.
    pub mode: u32,
}

fn failed(error: std::io::Error, doing: &str, path: &Path) -> Error {
    Error::new(ErrorKind::Io, path.display(), doing).with_source(error)
}

fn unknown(text: &str) -> Error {
    let words = format!("no secret with name or id \"{text}\"");
    Error::new(ErrorKind::SecretNotKnown, words, "no such secret")
}

impl Secrets {
    pub(super) fn new(graph_root: &Path) -> Self {
        Self { directory: graph_root.join("cask/secrets") }
    }

    fn data_path(&self, id: &str) -> PathBuf {
        self.directory.join(format!("{id}.data"))
    }

    fn about_path(&self, id: &str) -> PathBuf {
        self.directory.join(format!("{id}.json"))
    }

    fn locked(&self) -> Result<fs::File> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.directory);
        made.map_err(|error| failed(error, "making the directory", &self.directory))?;
        let path = self.directory.join("lock");
        let file = open_lock(&path)?;
        file.lock().map_err(|error| failed(error, "locking", &path))?;
        Ok(file)
    }

    /// Keeps a secret.
    ///
    /// # Errors
    /// [`ErrorKind::NameInUse`]; [`ErrorKind::Invalid`] for what is no name, and for secrets that are empty or have
    /// 512 000 bytes or more; [`ErrorKind::Io`].
    pub fn create(
        &self,
        name: &str,
        data: &[u8],
        labels: BTreeMap<String, String>,
    ) -> Result<Secret> {
        self.keep(name, data, labels, false)
    }

    /// As [`create`](Self::create), but one that has the name is forgotten when the new one is kept.
    ///
    /// # Errors
    /// Those of [`create`](Self::create) but [`ErrorKind::NameInUse`].
    pub fn replace(
        &self,
        name: &str,
        data: &[u8],
        labels: BTreeMap<String, String>,
    ) -> Result<Secret> {
        self.keep(name, data, labels, true)
    }

    fn keep(
        &self,
        name: &str,
        data: &[u8],
        labels: BTreeMap<String, String>,
        replace: bool,
    ) -> Result<Secret> {
        check_name(name)?;
        if data.is_empty() || data.len() >= TOO_LARGE {
            let why = format!("secret data must be larger than 0 and less than {TOO_LARGE} bytes");
            return Err(Error::new(ErrorKind::Invalid, why, ""));
        }
        let _held = self.locked()?;
        let old = self.all()?.into_iter().find(|known| known.name == name);
        if old.is_some() && !replace {
            return Err(Error::new(ErrorKind::NameInUse, name, "secret name in use"));
        }
        let id = Id::random().as_str()[..DIGITS].to_owned();
        let secret = Secret { id, name: name.to_owned(), created: now(), labels };
        let about = serde_json::to_vec(&secret).expect("texts can be written");
        // Known only when it is there.
        write(&self.data_path(&secret.id), data)?;
        write(&self.about_path(&secret.id), &about)?;
        if let Some(old) = old {
            self.forget(&old)?;
        }
        Ok(secret)
    }

    /// All secrets, by name.
    ///
    /// # Errors
    /// [`ErrorKind::Io`]; [`ErrorKind::Storage`] for one that cannot be read.
    pub fn all(&self) -> Result<Vec<Secret>> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|error| failed(error, "listing", &self.directory))?,
        };
        let mut found: Vec<Secret> = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| failed(error, "listing", &self.directory))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                found.extend(read(&path)?);
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// One by its name, its ID, or the beginning of that.
    ///
    /// # Errors
    /// [`ErrorKind::SecretNotKnown`]; [`ErrorKind::Ambiguous`] for a beginning of several; those of
    /// [`all`](Self::all).
    pub fn find(&self, text: &str) -> Result<Secret> {
        let all = self.all()?;
        if let Some(named) = all.iter().find(|secret| secret.name == text || secret.id == text) {
            return Ok(named.clone());
        }
        let mut begin = all.iter().filter(|secret| !text.is_empty() && secret.id.starts_with(text));
        match (begin.next(), begin.next()) {
            (Some(one), None) => Ok(one.clone()),
            (Some(_), Some(_)) => {
                let words = format!("more than one result secret with prefix {text}");
                Err(Error::new(ErrorKind::Ambiguous, words, ""))
            }
            (None, _) => Err(unknown(text)),
        }
    }

    /// What a secret is.
    ///
    /// # Errors
    /// [`ErrorKind::SecretNotKnown`] where it was removed; [`ErrorKind::Io`].
    pub fn data(&self, secret: &Secret) -> Result<Vec<u8>> {
        self.data_of(&secret.id, &secret.name)
    }

    pub(super) fn data_of(&self, id: &str, name: &str) -> Result<Vec<u8>> {
        let path = self.data_path(id);
        let mut data = Vec::new();
        let read = fs::File::open(&path)
            .and_then(|file| file.take(TOO_LARGE as u64).read_to_end(&mut data));
        match read {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(unknown(name)),
            Err(error) => Err(failed(error, "reading", &path)),
            Ok(_) => Ok(data),
        }
    }

    /// Forgets a secret. Containers that have it can no longer be started.
    ///
    /// # Errors
    /// [`ErrorKind::SecretNotKnown`]; [`ErrorKind::Io`].
    pub fn remove(&self, secret: &Secret) -> Result<()> {
        let _held = self.locked()?;
        self.forget(secret)
    }

    fn forget(&self, secret: &Secret) -> Result<()> {
        let about = self.about_path(&secret.id);
        match fs::remove_file(&about) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(unknown(&secret.name));
            }
            other => other.map_err(|error| failed(error, "removing", &about))?,
        }
        let data = self.data_path(&secret.id);
        fs::remove_file(&data).map_err(|error| failed(error, "removing", &data))
    }
}

/// Reads what is known of one; `None` where it was removed meanwhile.
fn read(path: &Path) -> Result<Option<Secret>> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| failed(error, "reading", path))?,
    };
    let secret: Secret = serde_json::from_slice(&bytes).map_err(|error| {
        Error::new(ErrorKind::Storage, path.display(), "it cannot be read").with_source(error)
    })?;
    // The ID becomes a path.
    let fits = path.file_stem().is_some_and(|stem| stem == secret.id.as_str());
    if !fits {
        let why = "it is about another one";
        return Err(Error::new(ErrorKind::Storage, path.display(), why));
    }
    Ok(Some(secret))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut options = OpenOptions::new();
    let written = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&new, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&new);
        failed(error, "writing", path)
    })
}

/// Source: containers/common, `pkg/secrets/secrets.go`, `validateSecretName`.
fn check_name(name: &str) -> Result<()> {
    let end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    let known = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    if end(bytes.first()) && end(bytes.last()) && bytes.iter().all(known) && bytes.len() <= 64 {
        return Ok(());
    }
    let words = format!(
        "only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]: {name}"
    );
    Err(Error::new(ErrorKind::Invalid, words, "invalid secret name"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_kept_is_found_and_removed_and_nobody_else_reads_it() {
        let place = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(place.path());
        assert!(secrets.all().unwrap().is_empty());
        let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let made = secrets.create("one", b"text", labels).unwrap();
        assert_eq!((made.id.len(), secrets.data(&made).unwrap()), (DIGITS, b"text".to_vec()));
        for text in ["one", made.id.as_str(), &made.id[..8]] {
            assert_eq!(secrets.find(text).unwrap(), made);
        }
        let again = secrets.create("one", b"x", BTreeMap::new()).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::NameInUse);
        let other = secrets.replace("one", b"other", BTreeMap::new()).unwrap();
        assert_eq!(secrets.all().unwrap(), std::slice::from_ref(&other));
        assert_eq!(secrets.data(&other).unwrap(), b"other");
        assert_eq!(secrets.data(&made).unwrap_err().kind(), ErrorKind::SecretNotKnown);
        let made = secrets.replace("two", b"text", BTreeMap::new()).unwrap();
        for entry in fs::read_dir(place.path().join("cask/secrets")).unwrap().flatten() {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o77, 0, "{entry:?}");
        }
        secrets.remove(&made).unwrap();
        assert_eq!(secrets.remove(&made).unwrap_err().kind(), ErrorKind::SecretNotKnown);
        assert_eq!(secrets.find("two").unwrap_err().kind(), ErrorKind::SecretNotKnown);
        assert_eq!(secrets.data(&made).unwrap_err().kind(), ErrorKind::SecretNotKnown);
    }

    #[test]
    fn names_and_sizes_are_checked() {
        let place = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(place.path());
        for name in ["", "a b", "-a", "a.", "../a", "a/b", &"a".repeat(65)] {
            let error = secrets.create(name, b"x", BTreeMap::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{name:?}");
        }
        for data in [&[][..], &[0; TOO_LARGE]] {
            let error = secrets.create("a", data, BTreeMap::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    }
}
