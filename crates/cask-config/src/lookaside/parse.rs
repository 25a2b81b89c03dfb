//! One file.

use std::collections::BTreeMap;

use cask_json::quoted_as_go;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::conf::Section;
use super::{Lookaside, LookasideConf};
use crate::{Error, ErrorKind};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    default_docker: Option<Entry>,
    docker: Option<BTreeMap<String, Option<Entry>>>,
    #[serde(flatten)]
    unknown: BTreeMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Entry {
    lookaside: Option<String>,
    lookaside_staging: Option<String>,
    /// What `lookaside` was called.
    sigstore: Option<String>,
    sigstore_staging: Option<String>,
    use_sigstore_attachments: Option<bool>,
    #[serde(flatten)]
    unknown: BTreeMap<String, IgnoredAny>,
}

impl LookasideConf {
    /// Parses one file; messages call it by `name`. One without content says nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Syntax`] for what is no YAML, or has a key twice; [`ErrorKind::Invalid`] for a
    /// place that is neither a directory nor on the web.
    pub fn parse(text: &str, name: &str) -> Result<Self, Error> {
        let fail = |kind, message: &str| {
            let message = format!("parsing signature storage configuration {name:?}: {message}");
            Error::new(kind, message)
        };
        let document: Option<Document> = serde_saphyr::from_str(text).map_err(|error| {
            // A URL may have a password in it.
            let message = error.without_snippet().to_string();
            // That is for whoever calls the parser.
            let message = message.replace(", set DuplicateKeyPolicy in Options if acceptable", "");
            fail(ErrorKind::Syntax, &message)
        })?;
        let mut conf = Self::default();
        let Some(document) = document else { return Ok(conf) };
        for key in document.unknown.keys() {
            conf.warn(name, key);
        }
        if let Some(entry) = document.default_docker {
            let section = conf.section(entry, name, "default-docker");
            conf.default = Some(section.map_err(|why| fail(ErrorKind::Invalid, &why))?);
        }
        for (scope, entry) in document.docker.unwrap_or_default() {
            let Some(entry) = entry else { continue };
            let place = format!("docker.{}", quoted_as_go(&scope));
            let section = conf.section(entry, name, &place);
            conf.scopes.insert(scope, section.map_err(|why| fail(ErrorKind::Invalid, &why))?);
        }
        Ok(conf)
    }

    fn warn(&mut self, name: &str, key: &str) {
        self.warnings.push(format!("{name} has the key {key}, which means nothing there"));
    }

    /// The section at a place; the error says what is wrong with it.
    fn section(&mut self, entry: Entry, name: &str, place: &str) -> Result<Section, String> {
        for key in entry.unknown.keys() {
            self.warn(name, &format!("{place}.{}", quoted_as_go(key)));
        }
        let given = |new: Option<String>, old: Option<String>| {
            new.filter(|text| !text.is_empty()).or(old.filter(|text| !text.is_empty()))
        };
        let parse = |key: &str, text: Option<String>| {
            let parsed = text.map(|text| Lookaside::parse(&text)).transpose();
            parsed.map_err(|why| format!("{place}.{key}: {why}"))
        };
        Ok(Section {
            reading: parse("lookaside", given(entry.lookaside, entry.sigstore))?,
            writing: parse(
                "lookaside-staging",
                given(entry.lookaside_staging, entry.sigstore_staging),
            )?,
            uses_attachments: entry.use_sigstore_attachments,
            file: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_empty() {
        for text in ["", "# a comment\n", "docker:\n", "docker:\n  r.example:\n", "---\n"] {
            let conf = LookasideConf::parse(text, "a.yaml").unwrap();
            assert!(conf.default.is_none() && conf.scopes.is_empty(), "{text:?}");
        }
    }

    #[test]
    fn keys_that_mean_nothing_are_told() {
        let text = "dokcer: {}\ndefault-docker:\n  lookasid: file:///x\n";
        let conf = LookasideConf::parse(text, "a.yaml").unwrap();
        let expected = [
            "a.yaml has the key dokcer, which means nothing there",
            "a.yaml has the key default-docker.\"lookasid\", which means nothing there",
        ];
        assert_eq!(conf.warnings(), expected);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        #[track_caller]
        fn check(text: &str, kind: ErrorKind, expected: &str) {
            let error = LookasideConf::parse(text, "a.yaml").unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(expected), "{error}");
        }
        check("a: [", ErrorKind::Syntax, "parsing signature storage configuration \"a.yaml\": ");
        check("docker: 1", ErrorKind::Syntax, "line 1");
        check("docker:\n  a:\n    lookaside: [x]\n", ErrorKind::Syntax, "");
        check("docker:\n  a:\n  a:\n", ErrorKind::Syntax, "duplicate");
        let text = "docker:\n  r.example:\n    lookaside: ftp://x\n";
        let why = "docker.\"r.example\".lookaside: ftp is neither file, http nor https";
        check(text, ErrorKind::Invalid, why);
        let text = "default-docker:\n  sigstore-staging: x\n";
        check(text, ErrorKind::Invalid, "default-docker.lookaside-staging: no URL");
    }
}
