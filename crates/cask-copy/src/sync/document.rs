//! The list of images that `sync` takes, as YAML.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use cask_auth::Secret;
use serde::Deserialize;

use super::select::{NameFilter, NamePattern, PatternError};
use super::set::Wanted;
use super::version::VersionConstraint;

/// The longest document that is read, in bytes: 4 MiB.
pub const MAX_SYNC_DOCUMENT_BYTES: usize = 4 << 20;

/// Images of several registries.
///
/// Source: skopeo-sync(1), "YAML file content". What skopeo passes over is an error here: keys
/// that mean nothing, and patterns that are none.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SyncDocument {
    /// The registries, in the order of their names.
    pub registries: Vec<SyncRegistry>,
}

/// What is wanted of one registry, and how it is reached.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SyncRegistry {
    /// Host and port, and perhaps the beginning of the repositories' paths.
    pub name: String,
    /// The repositories below it. One may be there several times, with other images.
    pub repositories: Vec<SyncRepository>,
    /// Who one is there, if the document says so.
    pub credentials: Option<SyncCredentials>,
    /// Whether HTTPS and certificates are required, if the document says so.
    pub tls_verify: Option<bool>,
    /// The directory with certificates, if the document names one.
    pub certificate_directory: Option<PathBuf>,
}

/// Images of one repository.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SyncRepository {
    /// The path of the repository, below the registry's name.
    pub path: String,
    /// Which of its images.
    pub wanted: Wanted,
}

/// A name and a password.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SyncCredentials {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Registry {
    images: Option<BTreeMap<String, Option<Vec<String>>>>,
    images_by_tag_regex: Option<BTreeMap<String, String>>,
    images_by_semver: Option<BTreeMap<String, String>>,
    credentials: Option<Credentials>,
    tls_verify: Option<bool>,
    cert_dir: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

impl SyncDocument {
    /// Parses a document. An empty one has no registries.
    ///
    /// # Errors
    /// If it is longer than [`MAX_SYNC_DOCUMENT_BYTES`], is not YAML, has a key twice or one that
    /// means nothing, or a pattern that is none; with line and column where it is about the text.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        if text.len() > MAX_SYNC_DOCUMENT_BYTES {
            return Err(DocumentError::TooLong);
        }
        // What it shows of the text may be a password.
        let parsed: BTreeMap<String, Registry> = serde_saphyr::from_str(text).map_err(|error| {
            let message = error.without_snippet().to_string();
            // That is for whoever calls the parser.
            let message = message.replace(", set DuplicateKeyPolicy in Options if acceptable", "");
            DocumentError::Yaml(message)
        })?;
        let registries = parsed.into_iter().map(|(name, registry)| registry.resolve(name));
        Ok(Self { registries: registries.collect::<Result<_, _>>()? })
    }
}

impl Registry {
    fn resolve(self, name: String) -> Result<SyncRegistry, DocumentError> {
        let mut repositories = Vec::new();
        for (path, references) in self.images.unwrap_or_default() {
            let wanted = match references.unwrap_or_default() {
                none if none.is_empty() => Wanted::Listed(NameFilter::All),
                references => Wanted::These(references),
            };
            repositories.push(SyncRepository { path, wanted });
        }
        let fail = |path: &str, key, error| {
            let place = format!("{name}: {key}: {path}");
            DocumentError::Pattern { place, error }
        };
        for (path, text) in self.images_by_tag_regex.unwrap_or_default() {
            let pattern = NamePattern::parse(&text)
                .map_err(|error| fail(&path, "images-by-tag-regex", error))?;
            let wanted = Wanted::Listed(NameFilter::Matching(pattern));
            repositories.push(SyncRepository { path, wanted });
        }
        for (path, text) in self.images_by_semver.unwrap_or_default() {
            let constraint = VersionConstraint::parse(&text)
                .map_err(|error| fail(&path, "images-by-semver", error))?;
            let wanted = Wanted::Listed(NameFilter::Versions(constraint));
            repositories.push(SyncRepository { path, wanted });
        }
        let credentials = self.credentials.map(|Credentials { username, password }| {
            SyncCredentials { username, password: Secret::from(password.as_str()) }
        });
        Ok(SyncRegistry {
            repositories,
            credentials: credentials.filter(|given| !given.username.is_empty()),
            tls_verify: self.tls_verify,
            certificate_directory: self.cert_dir.filter(|p| !p.is_empty()).map(PathBuf::from),
            name,
        })
    }
}

/// Why a text is no [`SyncDocument`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DocumentError {
    /// It is longer than [`MAX_SYNC_DOCUMENT_BYTES`].
    TooLong,
    /// It is not YAML, or not of this form: where, and why.
    Yaml(String),
    /// A pattern is none.
    Pattern {
        /// The keys that lead to it.
        place: String,
        /// What is wrong with it.
        error: PatternError,
    },
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "it is longer than {MAX_SYNC_DOCUMENT_BYTES} bytes"),
            Self::Yaml(message) => f.write_str(message),
            Self::Pattern { place, .. } => f.write_str(place),
        }
    }
}

impl std::error::Error for DocumentError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Pattern { error, .. } => Some(error),
            Self::TooLong | Self::Yaml(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAGE: &str = r#"
registry.example.com:
    images:
        busybox: []
        redis:
            - "1.0"
            - 2.10
            - "sha256:0000000000000000000000000000000011111111111111111111111111111111"
    images-by-tag-regex:
        nginx: ^1\.13\.[12]-alpine-perl$
    images-by-semver:
        alpine: ">= 3.12.0"
    credentials:
        username: john
        password: this is a secret
    tls-verify: true
    cert-dir: /home/john/certs
quay.io:
    tls-verify: false
    images:
        coreos/etcd:
            - latest
"#;

    #[test]
    fn the_manual_s_example_is_read() {
        let document = SyncDocument::parse(PAGE).expect("it is one");
        let [quay, example] = document.registries.as_slice() else { panic!("{document:?}") };
        assert_eq!((quay.name.as_str(), quay.tls_verify), ("quay.io", Some(false)));
        assert!(quay.credentials.is_none() && quay.certificate_directory.is_none());
        assert_eq!(example.tls_verify, Some(true));
        assert_eq!(example.certificate_directory, Some("/home/john/certs".into()));
        let credentials = example.credentials.as_ref().expect("they are there");
        assert_eq!(credentials.username, "john");
        assert_eq!(credentials.password.expose(), "this is a secret");
        assert!(!format!("{document:?}").contains("this is a secret"));
        let paths = example.repositories.iter().map(|repository| repository.path.as_str());
        assert_eq!(paths.collect::<Vec<_>>(), ["busybox", "redis", "nginx", "alpine"]);
        assert!(matches!(example.repositories[0].wanted, Wanted::Listed(NameFilter::All)));
        let Wanted::These(redis) = &example.repositories[1].wanted else { panic!() };
        // A number is the text that was written.
        assert_eq!((redis[0].as_str(), redis[1].as_str(), redis.len()), ("1.0", "2.10", 3));
        let accepts = |at: usize, tag: &str| match &example.repositories[at].wanted {
            Wanted::Listed(filter) => filter.accepts(tag),
            other => panic!("{other:?}"),
        };
        assert!(accepts(2, "1.13.1-alpine-perl") && !accepts(2, "1.13.1"));
        assert!(accepts(3, "3.12.1") && !accepts(3, "edge"));
    }

    #[test]
    fn what_is_none_is_refused_with_its_place() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let error = SyncDocument::parse(text).expect_err("it is none");
            assert!(error.to_string().contains(expected), "{error}");
        }
        check("[]", "line 1, column 1");
        check("a: {images: {x: '1'}}", "line 1, column 17");
        check("a: {imags: {}}", "unknown field `imags`");
        check("a: {images: {x: ['1'], x: ['2']}}", "duplicate mapping key: x");
        check("a: {tls-verify: maybe}", "invalid boolean at line 1, column 17");
        check("a: {images-by-tag-regex: {x: '('}}", "a: images-by-tag-regex: x");
        check("a: {images-by-semver: {x: '>>1'}}", "a: images-by-semver: x");
        check("a: b: c", "line 1, column 4");
        check(&"#".repeat(MAX_SYNC_DOCUMENT_BYTES + 1), "it is longer than");
        let secret = "a: {credentials: {username: x, password: {hunter2: y}}}";
        let error = SyncDocument::parse(secret).expect_err("a password is a text");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn what_says_nothing_is_nothing() {
        assert!(SyncDocument::parse("").expect("it is one").registries.is_empty());
        let document = SyncDocument::parse("a: {images: {x: }}\nb: {}").expect("it is one");
        assert_eq!(document.registries[0].repositories.len(), 1);
        assert!(document.registries[1].repositories.is_empty());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[ -~\n]{0,80}") {
            let _ = SyncDocument::parse(&text);
        }
    }
}
