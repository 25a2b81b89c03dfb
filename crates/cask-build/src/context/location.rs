//! What a user writes to say where a context is.

use std::fmt;
use std::path::PathBuf;

use crate::{Error, ErrorKind, Result};

/// Where a context is. Standard input (`-`) is the program's matter: see
/// [`Context::from_stream`](super::Context::from_stream).
///
/// `Display` and `Debug` leave out user and password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContextLocation {
    /// A directory of the host.
    Directory(PathBuf),
    /// A repository.
    Git(GitLocation),
    /// An archive or a Containerfile that HTTP gives.
    Http(String),
}

impl ContextLocation {
    /// Reads an argument of the command line: the URL of a repository, another URL of `http` or
    /// `https`, or else a path.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for an URL of a repository that makes no sense.
    pub fn parse(text: &str) -> Result<Self> {
        if let Some(location) = GitLocation::parse(text) {
            return location.map(Self::Git);
        }
        Ok(match is_http(text) {
            true => Self::Http(text.to_owned()),
            false => Self::Directory(text.into()),
        })
    }
}

impl fmt::Display for ContextLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::Git(location) => location.fmt(f),
            Self::Http(url) => f.write_str(&redacted(url)),
        }
    }
}

impl fmt::Debug for ContextLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => f.debug_tuple("Directory").field(path).finish(),
            Self::Git(location) => f.debug_tuple("Git").field(location).finish(),
            Self::Http(url) => f.debug_tuple("Http").field(&redacted(url)).finish(),
        }
    }
}

/// A repository, which commit of it, and which directory of that.
///
/// `Display` and `Debug` leave out user and password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GitLocation {
    pub(crate) url: String,
    /// A branch, a tag or a commit; `None` for the default branch.
    pub reference: Option<String>,
    /// The directory that counts; `None` for all.
    pub subdirectory: Option<String>,
    /// What the commit must be, or begin with: at least 7 digits.
    pub checksum: Option<String>,
    /// Whether submodules are fetched too.
    pub submodules: bool,
    /// Whether `.git` stays; `None` where the URL does not say.
    pub keep_git_dir: Option<bool>,
}

impl GitLocation {
    /// Reads the URL of a repository; `None` for what is none.
    ///
    /// That is what begins with `git://`, `ssh://`, `git@` or another `user@host:`, `github.com/`, or
    /// is an URL of `http`, `https` or `file` whose path ends with `.git`. Behind it, `#ref:directory`,
    /// or a query of `ref`, `branch`, `tag`, `subdir`, `checksum`, `commit`, `submodules`,
    /// `keep-git-dir`, `fetch-by-commit`.
    ///
    /// Source: BuildKit, `frontend/dockerfile/dfgitutil`.
    pub fn parse(text: &str) -> Option<Result<Self>> {
        let (front, fragment) = match text.split_once('#') {
            Some((front, fragment)) => (front, Some(fragment)),
            None => (text, None),
        };
        let (url, query) = match front.split_once('?') {
            Some((url, query)) => (url, Some(query)),
            None => (front, None),
        };
        is_repository(url).then(|| Self::of_parts(url, query, fragment))
    }

    fn of_parts(url: &str, query: Option<&str>, fragment: Option<&str>) -> Result<Self> {
        let url = match url.starts_with("github.com/") {
            true => format!("https://{url}"),
            false => url.to_owned(),
        };
        let mut location = Self {
            url,
            reference: None,
            subdirectory: None,
            checksum: None,
            submodules: true,
            keep_git_dir: None,
        };
        if let Some(fragment) = fragment {
            let (reference, directory) = fragment.split_once(':').unwrap_or((fragment, ""));
            location.reference = text(reference);
            location.subdirectory = text(directory);
        }
        for pair in query.into_iter().flat_map(|query| query.split('&')) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            location.option(key, value)?;
        }
        location.check()?;
        Ok(location)
    }

    fn option(&mut self, key: &str, value: &str) -> Result<()> {
        let place = match key {
            "ref" => return self.set_reference(key, value.to_owned()),
            "branch" => return self.set_reference(key, format!("refs/heads/{value}")),
            "tag" => return self.set_reference(key, format!("refs/tags/{value}")),
            "subdir" => &mut self.subdirectory,
            "checksum" | "commit" => &mut self.checksum,
            "submodules" | "keep-git-dir" | "fetch-by-commit" => {
                let value = match value {
                    "" | "1" | "true" => true,
                    "0" | "false" => false,
                    _ => {
                        let detail = format!("{key}={value:?} is neither true nor false");
                        return Err(self.invalid(detail));
                    }
                };
                match key {
                    "submodules" => self.submodules = value,
                    "keep-git-dir" => self.keep_git_dir = Some(value),
                    // A commit is always fetched by its number first.
                    _ => {}
                }
                return Ok(());
            }
            _ => return Err(self.invalid(format!("unexpected query {key:?}"))),
        };
        match place {
            Some(before) if before != value => {
                let detail = format!("{key} conflicts: {before:?} or {value:?}");
                Err(self.invalid(detail))
            }
            _ => {
                *place = text(value);
                Ok(())
            }
        }
    }

    fn set_reference(&mut self, key: &str, value: String) -> Result<()> {
        if let Some(before) = self.reference.as_ref().filter(|before| **before != value) {
            return Err(self.invalid(format!("{key} conflicts: {before:?} or {value:?}")));
        }
        self.reference = Some(value).filter(|value| !value.is_empty());
        Ok(())
    }

    /// Refuses what git might take for an option, or what leads out of the repository.
    fn check(&self) -> Result<()> {
        let parts = [Some(&self.url), self.reference.as_ref(), self.subdirectory.as_ref()];
        if parts.into_iter().flatten().any(|part| part.chars().any(char::is_control)) {
            return Err(self.invalid("has control characters".to_owned()));
        }
        let host = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        if self.url.starts_with('-') || host.starts_with('-') {
            return Err(self.invalid("begins with \"-\"".to_owned()));
        }
        if let Some(reference) = &self.reference {
            let is_option = reference.split('/').any(|part| part.starts_with('-'));
            let bad = ["..", "@{", "//", ":", "?", "*", "[", "\\", "^", "~", " "];
            if is_option || bad.iter().any(|bad| reference.contains(bad)) {
                let detail = format!("invalid reference {reference:?}");
                return Err(self.invalid(detail));
            }
        }
        if let Some(directory) = &self.subdirectory
            && directory.split('/').any(|part| part == "..")
        {
            let detail = format!("the subdirectory {directory:?} leads out of the repository");
            return Err(self.invalid(detail));
        }
        if let Some(checksum) = &self.checksum {
            let is_hex = checksum.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !is_hex || !(7..=64).contains(&checksum.len()) {
                let detail = format!("invalid checksum {checksum:?}: 7 to 64 hexadecimal digits");
                return Err(self.invalid(detail));
            }
        }
        Ok(())
    }

    fn invalid(&self, detail: String) -> Error {
        Error::new(ErrorKind::Invalid, self, detail)
    }

    /// The URL without user and password.
    pub fn url(&self) -> String {
        redacted(&self.url)
    }
}

impl fmt::Display for GitLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url())?;
        match (&self.reference, &self.subdirectory) {
            (None, None) => Ok(()),
            (reference, None) => write!(f, "#{}", reference.as_deref().unwrap_or_default()),
            (reference, Some(directory)) => {
                write!(f, "#{}:{directory}", reference.as_deref().unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for GitLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitLocation")
            .field("url", &self.url())
            .field("reference", &self.reference)
            .field("subdirectory", &self.subdirectory)
            .field("checksum", &self.checksum)
            .field("submodules", &self.submodules)
            .field("keep_git_dir", &self.keep_git_dir)
            .finish()
    }
}

/// An URL without user and password, to be shown and kept.
pub fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

/// Whether it is an URL that HTTP gets.
pub(crate) fn is_http(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

fn is_repository(url: &str) -> bool {
    if let Some((scheme, rest)) = url.split_once("://") {
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        return match scheme {
            "git" | "ssh" => true,
            "http" | "https" | "file" => path.trim_end_matches('/').ends_with(".git"),
            _ => false,
        };
    }
    if url.starts_with("github.com/") {
        return true;
    }
    // `user@host:path`, as scp has it.
    let Some((user, rest)) = url.split_once('@') else { return false };
    let Some((host, path)) = rest.split_once(':') else { return false };
    let is_word = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    is_word(user, "-_") && is_word(host, "-.") && !path.is_empty()
}

fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_told_from_files_and_paths() {
        fn check(text: &str, expected: &str) {
            let found = match ContextLocation::parse(text) {
                Ok(ContextLocation::Git(location)) => {
                    let directory = location.subdirectory.clone().unwrap_or_default();
                    let reference = location.reference.clone().unwrap_or_default();
                    format!("git {} {reference} {directory}", location.url())
                }
                Ok(ContextLocation::Http(url)) => format!("http {url}"),
                Ok(ContextLocation::Directory(path)) => format!("path {}", path.display()),
                Err(error) => error.to_string(),
            };
            assert_eq!(found.trim_end(), expected, "{text}");
        }
        check("https://h/r.git", "git https://h/r.git");
        check("https://u:p@h/r.git#v1:a/b", "git https://h/r.git v1 a/b");
        check("https://h/r.git#:a", "git https://h/r.git  a");
        check("https://h/r.git?ref=v1&subdir=a", "git https://h/r.git v1 a");
        check("https://h/r.git?tag=v1", "git https://h/r.git refs/tags/v1");
        check("git@h:r.git", "git git@h:r.git");
        check("ssh://git@h/r", "git ssh://h/r");
        check("github.com/a/b#main", "git https://github.com/a/b main");
        check("https://h/r.tar.gz", "http https://h/r.tar.gz");
        check("./a.git", "path ./a.git");
        check("a@b", "path a@b");
        check("https://h/r.git?x=1", "https://h/r.git: unexpected query \"x\"");
        check("https://h/r.git?ref=b#a", "https://h/r.git#a: ref conflicts: \"a\" or \"b\"");
    }

    #[test]
    fn cve_2019_13139_references_are_no_options() {
        fn check(text: &str, expected: &str) {
            let error = GitLocation::parse(text).unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(expected), "{error}");
        }
        check("https://h/r.git#--upload-pack=x", "invalid reference");
        check("https://h/r.git#-x", "invalid reference");
        check("https://h/r.git?branch=-x", "invalid reference");
        check("ssh://-oProxyCommand=x/r.git", "begins with \"-\"");
        check("ssh://u@-oProxyCommand=x/r.git", "begins with \"-\"");
        check("https://h/r.git#a:../../etc", "leads out");
        check("https://h/r.git?subdir=..", "leads out");
        check("https://h/r.git#a\nb", "control");
        check("https://h/r.git?checksum=xyz", "invalid checksum");
        assert!(GitLocation::parse("ext::sh -c x").is_none());
    }

    #[test]
    fn cve_2023_26054_credentials_are_never_shown() {
        let location = GitLocation::parse("https://user:pa@ss@h/r.git#v1").unwrap().unwrap();
        let http = ContextLocation::parse("https://user:pa@ss@h/f").unwrap();
        let texts = [format!("{location}"), format!("{location:?}"), location.url()];
        for text in texts.into_iter().chain([format!("{http}"), format!("{http:?}")]) {
            assert!(!text.contains("pa@ss") && !text.contains("user"), "{text}");
        }
    }
}
