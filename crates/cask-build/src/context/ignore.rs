//! The ignore file of a context.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use cask_containerfile::IgnoreFile;

use crate::view::View;
use crate::{Error, ErrorKind, Result};

/// The most bytes of an ignore file.
const MAX_BYTES: u64 = 16 << 20;

/// Which ignore file is taken. The first of:
///
/// 1. [`file`](Self::file), which must exist;
/// 2. the Containerfile's name with `.containerignore` behind it, beside it;
/// 3. the same with `.dockerignore`;
/// 4. `.containerignore` in the context;
/// 5. `.dockerignore` in the context.
///
/// Paths of the host are trusted; those in a context are resolved in it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct IgnoreChoice {
    /// What `--ignorefile` names, on the host.
    pub file: Option<PathBuf>,
    /// The Containerfile, on the host.
    pub containerfile: Option<PathBuf>,
    /// The Containerfile, in the context, where that is an archive or a repository.
    pub containerfile_inside: Option<String>,
}

/// Why a path is hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ignored {
    /// The ignore file.
    pub file: String,
    /// The line of it, from 1.
    pub line: usize,
    /// The rule.
    pub pattern: String,
    /// The directory above the path that the rule is about, if it is not about the path itself.
    pub parent: Option<String>,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "excluded by {}:{} ({:?}", self.file, self.line, self.pattern)?;
        match &self.parent {
            Some(parent) => write!(f, ", which matches {parent:?})"),
            None => f.write_str(")"),
        }
    }
}

/// An exception of an ignore file that is not looked for in a directory: see
/// [`Behavior::ExceptionsMayBeginWithPatterns`](cask_containerfile::Behavior).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostException {
    /// The ignore file.
    pub file: String,
    /// The line of it, from 1.
    pub line: usize,
    /// The exception, without `!`.
    pub pattern: String,
    /// The directory, which is ignored.
    pub directory: String,
}

impl LostException {
    /// What to write instead.
    fn instead(&self) -> String {
        let depth = self.directory.split('/').count();
        let parts: Vec<&str> = self.pattern.split('/').collect();
        match parts.get(depth..) {
            Some(rest) if !rest.is_empty() && parts.iter().all(|part| !part.contains("**")) => {
                format!("!{}/{}", self.directory, rest.join("/"))
            }
            _ => format!("!{}/…", self.directory),
        }
    }
}

impl fmt::Display for LostException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, pattern, directory } = self;
        write!(
            f,
            "{file}:{line}: the exception \"!{pattern}\" does not hold in the directory {directory:?}, which is \
             ignored: write \"{}\", or build with --compat=docker",
            self.instead()
        )
    }
}

/// An ignore file and what it is called.
#[derive(Clone, Debug)]
pub(crate) struct Ignore {
    name: String,
    rules: IgnoreFile,
}

impl Ignore {
    pub(crate) fn choose(view: &View, choice: &IgnoreChoice) -> Result<Option<Self>> {
        if let Some(path) = &choice.file {
            let text = host_file(path)?.ok_or_else(|| {
                Error::new(ErrorKind::Missing, path.display(), "no such ignore file")
            })?;
            return Self::parse(path.display().to_string(), &text).map(Some);
        }
        for suffix in [".containerignore", ".dockerignore"] {
            if let Some(path) = &choice.containerfile {
                let mut path = path.clone().into_os_string();
                path.push(suffix);
                let path = PathBuf::from(path);
                if let Some(text) = host_file(&path)? {
                    return Self::parse(path.display().to_string(), &text).map(Some);
                }
            }
            if let Some(path) = &choice.containerfile_inside
                && let Some(found) = Self::inside(view, &format!("{path}{suffix}"))?
            {
                return Ok(Some(found));
            }
        }
        for name in [".containerignore", ".dockerignore"] {
            if let Some(found) = Self::inside(view, name)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn inside(view: &View, path: &str) -> Result<Option<Self>> {
        match view.read_file(path, MAX_BYTES)? {
            Some(text) => Self::parse(path.to_owned(), &text).map(Some),
            None => Ok(None),
        }
    }

    fn parse(name: String, text: &[u8]) -> Result<Self> {
        let text = String::from_utf8_lossy(text);
        match IgnoreFile::parse(&text) {
            Ok(rules) => Ok(Self { name, rules }),
            Err(error) => {
                let subject = format!("{name}:{}", error.line);
                Err(Error::new(ErrorKind::Invalid, subject, "a rule is no pattern")
                    .with_source(error))
            }
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn rules(&self) -> &IgnoreFile {
        &self.rules
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.rules().is_empty()
    }

    /// Why a path is hidden; `None` where it is not.
    pub(crate) fn decide(&self, path: &str) -> Option<Ignored> {
        let decision = self.rules.decide(path);
        let rule = &self.rules.rules()[decision.rule.filter(|_| decision.is_ignored)?];
        Some(Ignored {
            file: self.name.clone(),
            line: rule.line,
            pattern: rule.pattern.clone(),
            parent: decision.parent,
        })
    }

    pub(crate) fn is_ignored(&self, path: &str) -> bool {
        self.rules.is_ignored(path)
    }

    /// The exceptions that are not looked for in a hidden directory where they have to begin with it.
    pub(crate) fn lost_exceptions(&self, directory: &str) -> Vec<LostException> {
        let lost = self.rules.lost_exceptions(directory).map(|index| {
            let rule = &self.rules.rules()[index];
            LostException {
                file: self.name.clone(),
                line: rule.line,
                pattern: rule.pattern.clone(),
                directory: directory.to_owned(),
            }
        });
        lost.collect()
    }

    /// Whether something below a hidden directory may be seen.
    pub(crate) fn may_keep_below(&self, path: &str) -> bool {
        self.rules.may_keep_below(path)
    }
}

fn host_file(path: &Path) -> Result<Option<Vec<u8>>> {
    let fail =
        |error| Error::new(ErrorKind::Io, path.display(), "cannot be read").with_source(error);
    let file = match File::open(path) {
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        other => other.map_err(fail)?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > MAX_BYTES {
        let detail = format!("has more than {MAX_BYTES} bytes: too many for an ignore file");
        return Err(Error::new(ErrorKind::Limit, path.display(), detail));
    }
    Ok(Some(bytes))
}
