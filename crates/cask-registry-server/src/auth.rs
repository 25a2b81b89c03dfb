//! Passwords.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use cask_image::{Algorithm, Digest, Hasher};
use tokio::sync::Semaphore;

use crate::clock::fill_random;
use crate::refusal::Refusal;
use crate::{Error, ErrorKind, RefusalCode, Result};

/// The most bytes that a password file may have: 4 MiB.
const MAX_FILE_BYTES: usize = 4 << 20;

/// The most bytes of a name and a password that are looked at.
const MAX_CREDENTIALS_BYTES: usize = 4096;

/// How many passwords are checked at a time. Each takes a processor for a while, on purpose.
const MAX_CHECKS: usize = 4;

/// How many may wait for that.
const MAX_WAITING: usize = 256;

/// The costs that a hash may have, as for `htpasswd -C`. To check the highest takes seconds.
const COSTS: RangeInclusive<u32> = 4..=17;

/// How many checked passwords are remembered.
const MAX_REMEMBERED: usize = 1024;

/// The users of a registry and the hashes of their passwords, as `htpasswd -B` writes them.
#[derive(Clone)]
pub struct Htpasswd(Arc<Inner>);

struct Inner {
    users: HashMap<String, String>,
    /// Checked for names that do not exist, so that they take as long.
    decoy: String,
    /// Salts what is remembered: nobody can prepare a table.
    salt: [u8; 32],
    remembered: Mutex<HashMap<Digest, ()>>,
    checks: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Htpasswd {
    /// Reads the lines of a password file: `name:hash`, empty lines and comments. Of a name that
    /// is there twice the first counts, as for Apache.
    ///
    /// # Errors
    /// `InvalidPasswords` with the number of the line, if it has no hash by bcrypt: other forms
    /// are not safe to keep.
    pub fn parse(text: &str) -> Result<Self> {
        let fail = |line: usize, detail: &'static str| {
            Err(Error::new(
                ErrorKind::InvalidPasswords,
                "reading",
                format!("line {line} of the password file"),
            )
            .with_detail(detail)
            .with_hint("write it with htpasswd -B"))
        };
        if text.len() > MAX_FILE_BYTES {
            return Err(Error::new(ErrorKind::InvalidPasswords, "reading", "the password file")
                .with_detail(format!("exceeded maximum allowed size of {MAX_FILE_BYTES} bytes")));
        }
        let mut users = HashMap::new();
        let mut highest = *COSTS.start();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, hash)) = line.split_once(':') else {
                return fail(number, "there is no colon between a name and a hash");
            };
            if name.is_empty() {
                return fail(number, "the name is empty");
            }
            let Ok(parts) = hash.parse::<bcrypt::HashParts>() else {
                return fail(number, "the password is not hashed by bcrypt");
            };
            if !COSTS.contains(&parts.get_cost()) {
                return fail(number, "the cost of the hash is not from 4 to 17");
            }
            highest = highest.max(parts.get_cost());
            users.entry(name.to_owned()).or_insert_with(|| hash.to_owned());
        }
        let mut salt = [0; 32];
        fill_random(&mut salt);
        Ok(Self(Arc::new(Inner {
            users,
            decoy: decoy(highest),
            salt,
            remembered: Mutex::default(),
            checks: Arc::new(Semaphore::new(MAX_CHECKS)),
            waiting: Semaphore::new(MAX_WAITING),
        })))
    }

    /// Checks the value of a header `Authorization` and gives the name of the user; `None` if it
    /// is missing or wrong.
    ///
    /// # Errors
    /// If too many passwords are being checked.
    pub(crate) async fn check(&self, header: Option<&str>) -> Result<Option<String>, Refusal> {
        let Some((name, password)) = header.and_then(decode_basic) else { return Ok(None) };
        let key = self.key(&name, &password);
        if self.remembered().contains_key(&key) {
            return Ok(Some(name));
        }
        let busy = || {
            Refusal::new(RefusalCode::TooManyRequests, "too many passwords are being checked")
                .with_header(http::header::RETRY_AFTER, "1")
        };
        let _waiting = self.0.waiting.try_acquire().map_err(|_| busy())?;
        let check = Arc::clone(&self.0.checks).acquire_owned().await.map_err(|_| busy())?;
        let known = self.0.users.get(&name);
        let (exists, hash) = (known.is_some(), known.unwrap_or(&self.0.decoy).clone());
        // A blocking thread: the hash is slow on purpose. A client that goes away does not make
        // room for another before the thread has ended.
        let matches = tokio::task::spawn_blocking(move || {
            let matches = bcrypt::verify(password, &hash).unwrap_or(false);
            drop(check);
            matches
        });
        if !(matches.await.map_err(Refusal::internal)? && exists) {
            return Ok(None);
        }
        let mut remembered = self.remembered();
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(key, ());
        Ok(Some(name))
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, ()>> {
        self.0.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered of a checked password. A name has no colon.
    fn key(&self, name: &str, password: &str) -> Digest {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        for part in [self.0.salt.as_slice(), name.as_bytes(), b":", password.as_bytes()] {
            hasher.update(part);
        }
        hasher.finish()
    }
}

impl fmt::Debug for Htpasswd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Htpasswd({} users)", self.0.users.len())
    }
}

/// A hash of a cost that no password has: nobody finds one whose hash is zero.
fn decoy(cost: u32) -> String {
    format!("$2b${cost:02}${}", ".".repeat(53))
}

/// Name and password of `Basic …`.
///
/// Source: RFC 7617.
fn decode_basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > MAX_CREDENTIALS_BYTES {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoys_are_hashes_that_take_their_time() {
        assert_eq!(bcrypt::verify("x", &decoy(4)).ok(), Some(false));
        assert_eq!(decoy(17).parse::<bcrypt::HashParts>().unwrap().get_cost(), 17);
    }
}
