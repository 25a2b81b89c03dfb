//! What a path means.

use http::Uri;

use crate::RepositoryName;
use crate::refusal::{Refusal, RefusalCode};

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/tags/list`
    Tags(RepositoryName),
    /// `/v2/<name>/manifests/<reference>`
    Manifest(RepositoryName, String),
    /// `/v2/<name>/blobs/<digest>`
    Blob(RepositoryName, String),
    /// `/v2/<name>/blobs/uploads/`
    Uploads(RepositoryName),
    /// `/v2/<name>/blobs/uploads/<id>`
    Upload(RepositoryName, String),
    /// `/v2/<name>/referrers/<digest>`
    Referrers(RepositoryName, String),
}

impl Route {
    /// Reads a path. Parts are decoded one by one, so that an encoded slash does not make more of
    /// them.
    pub(crate) fn parse(path: &str) -> Result<Self, Refusal> {
        let unknown = || {
            Refusal::new(RefusalCode::Unsupported, "this registry has no such endpoint")
                .with_status(http::StatusCode::NOT_FOUND)
        };
        let parts = path.strip_prefix("/v2").ok_or_else(unknown)?;
        if matches!(parts, "" | "/") {
            return Ok(Self::Base);
        }
        let parts = parts.strip_prefix('/').ok_or_else(unknown)?;
        let parts: Vec<String> =
            parts.split('/').map(decode).collect::<Option<_>>().ok_or_else(unknown)?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let name = |parts: &[&str]| RepositoryName::parse(&parts.join("/")).map_err(Refusal::from);
        match parts.as_slice() {
            ["_catalog"] => Ok(Self::Catalog),
            [of @ .., "tags", "list"] => Ok(Self::Tags(name(of)?)),
            [of @ .., "blobs", "uploads", ""] | [of @ .., "blobs", "uploads"] => {
                Ok(Self::Uploads(name(of)?))
            }
            [of @ .., "blobs", "uploads", id] => Ok(Self::Upload(name(of)?, (*id).to_owned())),
            [of @ .., "blobs", digest] => Ok(Self::Blob(name(of)?, (*digest).to_owned())),
            [of @ .., "manifests", reference] => {
                Ok(Self::Manifest(name(of)?, (*reference).to_owned()))
            }
            [of @ .., "referrers", digest] => Ok(Self::Referrers(name(of)?, (*digest).to_owned())),
            _ => Err(unknown()),
        }
    }
}

/// Decodes one part of a path; `None` if the encoding is broken or hides a slash.
fn decode(part: &str) -> Option<String> {
    if !part.contains('%') {
        return Some(part.to_owned());
    }
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, after @ ..] = rest else { return None };
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('/'))
}

/// The parameters of a query.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(uri: &Uri) -> Self {
        let text = uri.query().unwrap_or_default();
        Self(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// The first value of a parameter.
    pub(crate) fn first<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// How many results are asked for.
    pub(crate) fn count(&self) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.first("n") else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            Refusal::new(RefusalCode::Unsupported, "the parameter n is not a number of results")
                .with_status(http::StatusCode::BAD_REQUEST)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_understood() {
        fn check(path: &str, expected: Option<Route>) {
            assert_eq!(Route::parse(path).ok(), expected, "{path}");
        }
        let name = |text| RepositoryName::parse(text).unwrap();
        check("/v2", Some(Route::Base));
        check("/v2/", Some(Route::Base));
        check("/v2/_catalog", Some(Route::Catalog));
        check("/v2/a/tags/list", Some(Route::Tags(name("a"))));
        check("/v2/a/b/manifests/v1", Some(Route::Manifest(name("a/b"), "v1".into())));
        check("/v2/manifests/manifests/v1", Some(Route::Manifest(name("manifests"), "v1".into())));
        check("/v2/a/blobs/sha256%3Aab", Some(Route::Blob(name("a"), "sha256:ab".into())));
        check("/v2/a/blobs/uploads/", Some(Route::Uploads(name("a"))));
        check("/v2/a/blobs/uploads", Some(Route::Uploads(name("a"))));
        check("/v2/a/blobs/uploads/x", Some(Route::Upload(name("a"), "x".into())));
        check("/v2/a/referrers/x", Some(Route::Referrers(name("a"), "x".into())));
        for refused in [
            "/",
            "/v1/",
            "/v20/",
            "/v2/a",
            "/v2//manifests/x",
            "/v2/../manifests/x",
            "/v2/%2e%2e/manifests/x",
            "/v2/a%2fb/manifests/x",
            "/v2/a/blobs/%",
            "/v2/a/blobs/%zz",
            "/v2/A/manifests/x",
            "/v2/a/blobs/b/manifests/x",
            "/v2/tags/list",
        ] {
            check(refused, None);
        }
    }
}
