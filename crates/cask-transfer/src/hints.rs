//! Where blobs were seen, and which are the same layer.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::fs::File;
use std::hash::Hash;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use cask_files::fault;
use cask_reference::{Digest, Repository};

use crate::locked::{Absent, Locked};
use crate::transfers::logged;

/// The most bytes that the file may have. It is read whole.
const MAX_BYTES: u64 = 2 << 20;

/// The most places of one blob that are known, and the most forms of one layer.
const MOST: usize = 8;

/// How long others may write the file.
const PATIENCE: Duration = Duration::from_millis(5);
const TRIES: usize = 20;

/// Something that was seen, and may not be so any more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// A repository has a blob.
    Place {
        /// The blob.
        digest: Digest,
        /// Where.
        repository: Repository,
    },
    /// A repository had a blob, and does not give it any more.
    Gone {
        /// The blob.
        digest: Digest,
        /// Where not.
        repository: Repository,
    },
    /// A plain layer was compressed, and what came out was hashed, by this program.
    Form {
        /// The digest of the plain layer.
        diff_id: Digest,
        /// What came out.
        compressed: Compressed,
    },
}

/// A compressed form of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compressed {
    /// The digest of the compressed bytes.
    pub digest: Digest,
    /// How many there are.
    pub size: u64,
    /// What they are compressed by, in the words of whoever remembers it: letters and digits.
    pub by: String,
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place { digest, repository } => write!(f, "place {digest} {repository}"),
            Self::Gone { digest, repository } => write!(f, "gone {digest} {repository}"),
            Self::Form { diff_id, compressed: Compressed { digest, size, by } } => {
                write!(f, "form {diff_id} {digest} {size} {by}")
            }
        }
    }
}

impl Hint {
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        Some(match words[..] {
            ["place", digest, place] => {
                Self::Place { digest: digest.parse().ok()?, repository: place.parse().ok()? }
            }
            ["gone", digest, place] => {
                Self::Gone { digest: digest.parse().ok()?, repository: place.parse().ok()? }
            }
            ["form", diff_id, digest, size, by] if !by.is_empty() => Self::Form {
                diff_id: diff_id.parse().ok()?,
                compressed: Compressed {
                    digest: digest.parse().ok()?,
                    size: size.parse().ok()?,
                    by: by.to_owned(),
                },
            },
            _ => return None,
        })
    }

    /// Whether it can be written as a line that is read as the same.
    fn is_sound(&self) -> bool {
        let Self::Form { compressed, .. } = self else { return true };
        !compressed.by.is_empty() && compressed.by.bytes().all(|b| b.is_ascii_alphanumeric())
    }
}

/// What the file says, as far as it was read.
#[derive(Debug)]
pub(crate) struct Hints {
    path: PathBuf,
    known: Option<Known>,
}

#[derive(Debug, Default)]
struct Known {
    places: HashMap<Digest, Vec<Repository>>,
    forms: HashMap<Digest, Vec<Compressed>>,
}

impl Known {
    /// Takes a hint in; whether it was new.
    fn learn(&mut self, hint: &Hint) -> bool {
        match hint {
            Hint::Place { digest, repository } => add(&mut self.places, digest, repository),
            Hint::Form { diff_id, compressed } => add(&mut self.forms, diff_id, compressed),
            Hint::Gone { digest, repository } => {
                let Some(places) = self.places.get_mut(digest) else { return false };
                let before = places.len();
                places.retain(|known| known != repository);
                places.len() < before
            }
        }
    }
}

/// Adds a value as the last one of its key; whether it was not there.
fn add<K: Eq + Hash + Clone, V: PartialEq + Clone>(
    to: &mut HashMap<K, Vec<V>>,
    key: &K,
    value: &V,
) -> bool {
    let values = to.entry(key.clone()).or_default();
    let before = values.len();
    values.retain(|known| known != value);
    let is_new = values.len() == before;
    values.push(value.clone());
    if values.len() > MOST {
        values.remove(0);
    }
    is_new
}

impl Hints {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, known: None }
    }

    pub(crate) fn repositories_with(&mut self, digest: &Digest) -> Vec<Repository> {
        let found = self.known().places.get(digest);
        found.into_iter().flatten().rev().cloned().collect()
    }

    pub(crate) fn compressed(&mut self, diff_id: &Digest) -> Vec<Compressed> {
        let found = self.known().forms.get(diff_id);
        found.into_iter().flatten().rev().cloned().collect()
    }

    /// Takes in what is new of these, and writes it down.
    pub(crate) fn remember(&mut self, hints: &[Hint]) {
        let known = self.known();
        let new: Vec<&Hint> =
            hints.iter().filter(|hint| hint.is_sound() && known.learn(hint)).collect();
        if !new.is_empty() {
            logged(self.write(&new));
        }
    }

    fn known(&mut self) -> &mut Known {
        let path = &self.path;
        self.known.get_or_insert_with(|| {
            let mut known = Known::default();
            let read = File::open(path).and_then(read_text);
            let read = read.or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(String::new()),
                _ => Err(error),
            });
            for hint in logged(read).unwrap_or_default().lines().filter_map(parse_line) {
                known.learn(&hint);
            }
            known
        })
    }

    fn write(&self, new: &[&Hint]) -> io::Result<()> {
        let Some(locked) = self.lock()? else { return Ok(()) };
        let mut file = locked.file();
        // A line of somebody who was killed may have no end.
        let mut text = String::from("\n");
        new.iter().for_each(|hint| push_line(&mut text, &hint.to_string()));
        let length = file.metadata()?.len();
        fault::step()?;
        if length + text.len() as u64 <= MAX_BYTES {
            io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
            return file.write_all(text.as_bytes());
        }
        let before = read_text(file.try_clone()?).unwrap_or_default();
        let lines: Vec<&str> = before.lines().filter(|line| parse_line(line).is_some()).collect();
        let mut newer = lines[lines.len() / 2..].join("\n");
        newer.push_str(&text);
        // The lock protects this name, too.
        let temporary = self.path.with_extension("new");
        std::fs::write(&temporary, newer)?;
        fault::step()?;
        std::fs::rename(&temporary, &self.path)
    }

    /// Waits a little for whoever writes.
    fn lock(&self) -> io::Result<Option<Locked>> {
        for _ in 0..TRIES {
            if let Some(locked) = Locked::open(&self.path, Absent::IsMade)? {
                return Ok(Some(locked));
            }
            std::thread::sleep(PATIENCE);
        }
        Ok(None)
    }
}

/// All of the file that counts; it may be somebody else's doing that it is larger.
fn read_text(mut file: File) -> io::Result<String> {
    io::Seek::seek(&mut file, io::SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A line begins with the checksum of the rest: what a power failure left is told from it.
fn push_line(text: &mut String, line: &str) {
    writeln!(text, "{:08x} {line}", crc32fast::hash(line.as_bytes()))
        .expect("a string takes everything");
}

fn parse_line(line: &str) -> Option<Hint> {
    let (checksum, line) = line.split_once(' ')?;
    let matches = u32::from_str_radix(checksum, 16) == Ok(crc32fast::hash(line.as_bytes()));
    matches.then(|| Hint::parse(line)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(last: usize) -> Digest {
        format!("sha256:{last:064x}").parse().unwrap()
    }

    fn place(last: usize, repository: &str) -> Hint {
        Hint::Place { digest: digest(last), repository: repository.parse().unwrap() }
    }

    fn form(last: usize) -> Hint {
        let compressed = Compressed { digest: digest(9), size: last as u64, by: "gzip".to_owned() };
        Hint::Form { diff_id: digest(last), compressed }
    }

    fn names(hints: &mut Hints, last: usize) -> Vec<String> {
        hints.repositories_with(&digest(last)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_one_process_remembers_another_knows_and_the_last_place_comes_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("known-blobs");
        let mut one = Hints::new(path.clone());
        one.remember(&[place(1, "a.example/x/y"), place(1, "[::1]:5000/z"), form(2)]);
        one.remember(&[place(1, "a.example/x/y"), place(3, "docker.io/library/b")]);
        let mut other = Hints::new(path.clone());
        assert_eq!(names(&mut other, 1), ["[::1]:5000/z", "a.example/x/y"]);
        assert_eq!(names(&mut other, 3), ["docker.io/library/b"]);
        let Hint::Form { compressed, .. } = form(2) else { panic!() };
        assert_eq!(other.compressed(&digest(2)), [compressed]);
        let Hint::Place { digest, repository } = place(1, "a.example/x/y") else { panic!() };
        other.remember(&[Hint::Gone { digest, repository }]);
        assert_eq!(names(&mut Hints::new(path), 1), ["[::1]:5000/z"]);
    }

    #[test]
    fn nothing_is_written_twice() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("known-blobs");
        Hints::new(path.clone()).remember(&[place(1, "a.example/x")]);
        let before = std::fs::read(&path).unwrap();
        Hints::new(path.clone()).remember(&[place(1, "a.example/x")]);
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn lines_that_were_cut_off_or_changed_are_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("known-blobs");
        Hints::new(path.clone()).remember(&[place(1, "a.example/x"), place(2, "a.example/y")]);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut hints = Hints::new(path.clone());
            hints.remember(&[place(3, "a.example/z")]);
            let mut hints = Hints::new(path.clone());
            assert_eq!(names(&mut hints, 3), ["a.example/z"], "after byte {cut}");
            assert!(names(&mut hints, 2).is_empty() || cut >= whole.len() - 1);
        }
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            let mut hints = Hints::new(path.clone());
            let found = [names(&mut hints, 1), names(&mut hints, 2)].concat();
            assert!(found.iter().all(|name| name == "a.example/x" || name == "a.example/y"));
        }
    }

    #[test]
    fn the_file_stays_small_and_keeps_what_is_new() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("known-blobs");
        for round in 0..30 {
            let many = |n: usize| place(round * 1000 + n, "registry.example:5000/some/repository");
            Hints::new(path.clone()).remember(&(0..1000).map(many).collect::<Vec<_>>());
            assert!(std::fs::metadata(&path).unwrap().len() <= MAX_BYTES);
        }
        let mut hints = Hints::new(path);
        assert!(names(&mut hints, 5).is_empty());
        assert_eq!(names(&mut hints, 29_999).len(), 1);
    }

    #[test]
    fn processes_that_write_at_once_lose_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("known-blobs");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let path = path.clone();
                scope.spawn(move || {
                    for n in 0..20 {
                        Hints::new(path.clone()).remember(&[place(thread * 20 + n, "a.example/x")]);
                    }
                });
            }
        });
        let mut hints = Hints::new(path);
        let missing = (0..80).filter(|n| names(&mut hints, *n).is_empty());
        assert_eq!(missing.count(), 0);
    }
}
