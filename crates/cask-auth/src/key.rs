use std::fmt;

use cask_reference::{Reference, ReferenceErrorKind};

use crate::{Error, ErrorKind};

/// What Docker calls its own registry in its files.
pub(crate) const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// What a credential is kept under: a registry (`quay.io`), a namespace in it (`quay.io/team`) or
/// a repository (`quay.io/team/app`). Has no scheme, no tag, no digest and no control character.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

impl Key {
    /// Parses a key as auth files hold it. The empty text is a key, under which nothing is found.
    ///
    /// Source: containers/image, `validateKey`; control characters are refused besides, which
    /// would end the line of a helper's protocol.
    ///
    /// # Errors
    /// `Invalid` for a text with a scheme, with `@`, with a colon behind the first slash or with
    /// a control character.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid =
            |why: &str| Err(Error::new(ErrorKind::Invalid, format!("key {text:?} {why}")));
        if text.starts_with("http://") || text.starts_with("https://") {
            return invalid("contains http[s]:// prefix");
        }
        if text.contains(char::is_control) {
            return invalid("contains a control character");
        }
        if text.contains('@') {
            return invalid("contains a '@' character");
        }
        if text.split_once('/').is_some_and(|(_, path)| path.contains(':')) {
            return invalid("contains a ':' character after host[:port]");
        }
        Ok(Self(text.to_owned()))
    }

    /// Parses what a user types behind `login` or `logout`: a key, or a URL, of which only the
    /// host and port count. The result is what was typed: no name is completed.
    ///
    /// Source: containers/common, `parseCredentialsKey`.
    ///
    /// # Errors
    /// `Invalid` for what is empty, has a space, or is no name of a repository without tag.
    pub fn parse_argument(text: &str) -> Result<Self, Error> {
        let url = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let text = url.map_or(text, host_of);
        let invalid = |message: String| Error::new(ErrorKind::Invalid, message);
        if text.is_empty() || text.starts_with('/') || text.contains(char::is_whitespace) {
            return Err(invalid(format!(
                "{text:?} is not a registry: give HOST[:PORT][/NAMESPACE]"
            )));
        }
        if text.contains('/') {
            let reference = Reference::parse_normalized(text).map_err(|error| {
                let message = format!("parse reference from {text:?}");
                match error.kind() {
                    ReferenceErrorKind::NotLowercase => Error::caused(
                        ErrorKind::Invalid,
                        message,
                        "invalid reference format: repository name must be lowercase",
                    ),
                    _ => Error::caused(ErrorKind::Invalid, message, error),
                }
            })?;
            if !reference.is_name_only() {
                return Err(invalid(format!("reference {text:?} contains tag or digest")));
            }
            if text.split('/').next() != Some(reference.domain()) {
                let what = "does not begin with a registry: give HOST[:PORT]/NAMESPACE";
                return Err(invalid(format!("{text:?} {what}")));
            }
        }
        Self::parse(text)
    }

    /// The key of a repository, or of a registry.
    ///
    /// # Errors
    /// Those of [`parse`](Self::parse).
    pub fn of(registry: &str, repository: Option<&str>) -> Result<Self, Error> {
        match repository {
            Some(path) => Self::parse(&format!("{registry}/{path}")),
            None => Self::parse(registry),
        }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The registry: `host` or `host:port`.
    pub fn registry(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(registry, _)| registry)
    }

    /// Whether the key is for less than a whole registry.
    pub fn is_namespaced(&self) -> bool {
        self.0.contains('/')
    }

    /// The keys under which a credential for this one may be kept, the best first: itself, then
    /// the namespaces around it, at last the registry.
    ///
    /// Source: containers/image, `authKeyLookupOrder`.
    pub fn lookup_order(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(self.as_str()), |key| key.rsplit_once('/').map(|(up, _)| up))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The host and port of a URL without its scheme.
fn host_of(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// One name for each registry: Docker's has three.
///
/// Source: containers/image, `normalizeRegistry`.
pub(crate) fn normalized_registry(registry: &str) -> &str {
    match registry {
        "registry-1.docker.io" | "docker.io" => "index.docker.io",
        other => other,
    }
}

/// The registry that a key of a file stands for, if it may be a URL; namespaces stay as they are.
///
/// Source: containers/image, `normalizeAuthFileKey`.
pub(crate) fn normalized_file_key(key: &str, legacy: bool) -> &str {
    let stripped = key.strip_prefix("http://").unwrap_or(key);
    let stripped = stripped.strip_prefix("https://").unwrap_or(stripped);
    let is_url = legacy || stripped.len() != key.len();
    let host = if is_url { stripped.split('/').next().unwrap_or_default() } else { stripped };
    normalized_registry(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_taken_as_it_is_typed_or_refused_in_the_field_s_words() {
        let chain = |error: &dyn std::error::Error| match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        let check = |text: &str, expected: Result<&str, &str>| {
            let key = Key::parse_argument(text);
            let actual = key.as_ref().map(Key::as_str).map_err(|error| chain(error));
            assert_eq!(actual, expected.map_err(str::to_owned), "{text}");
        };
        check("quay.io", Ok("quay.io"));
        check("localhost:5000/team", Ok("localhost:5000/team"));
        check("docker.io/vendor", Ok("docker.io/vendor"));
        check("https://n.example/x/y?z", Ok("n.example"));
        check("http://user@n.example:5000", Ok("n.example:5000"));
        check("n.example/x:tag", Err("reference \"n.example/x:tag\" contains tag or digest"));
        check(
            "n.example/X",
            Err("parse reference from \"n.example/X\": invalid reference format: \
                 repository name must be lowercase"),
        );
        check("", Err("\"\" is not a registry: give HOST[:PORT][/NAMESPACE]"));
        check("https://", Err("\"\" is not a registry: give HOST[:PORT][/NAMESPACE]"));
        check("a b", Err("\"a b\" is not a registry: give HOST[:PORT][/NAMESPACE]"));
        check(
            "team/app",
            Err("\"team/app\" does not begin with a registry: give HOST[:PORT]/NAMESPACE"),
        );
        check("a\u{7f}b", Err("key \"a\\u{7f}b\" contains a control character"));
        check("user@host", Err("key \"user@host\" contains a '@' character"));
    }
}
