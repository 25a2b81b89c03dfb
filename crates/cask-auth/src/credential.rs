use std::fmt;
use std::path::PathBuf;

use crate::Secret;

/// What shows a registry, or the service that it takes tokens from, who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credential {
    /// A user's name and password, for HTTP's `Basic` scheme and for the token service.
    Basic {
        /// The name: not empty, and without a colon if it came from a file.
        username: String,
        /// The password; may be empty.
        password: Secret,
    },
    /// An OAuth2 refresh token: exchanged for access tokens by `POST` at the token service.
    IdentityToken {
        /// The account that stands beside it in an auth file; often empty or all zeros.
        username: String,
        /// The refresh token.
        token: Secret,
    },
    /// A bearer token that the user gave: sent to the registry as it is, never exchanged.
    RegistryToken(Secret),
}

impl Credential {
    /// A user's name and password.
    pub fn basic(username: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self::Basic { username: username.into(), password: password.into() }
    }

    /// An OAuth2 refresh token without an account.
    pub fn identity_token(token: impl Into<Secret>) -> Self {
        Self::IdentityToken { username: String::new(), token: token.into() }
    }

    /// A bearer token.
    pub fn registry_token(token: impl Into<Secret>) -> Self {
        Self::RegistryToken(token.into())
    }

    /// The user's name, where there is one and it is not empty.
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::Basic { username, .. } | Self::IdentityToken { username, .. } => {
                Some(username.as_str()).filter(|name| !name.is_empty())
            }
            Self::RegistryToken(_) => None,
        }
    }
}

/// A credential, and who answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The credential.
    pub credential: Credential,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a credential comes from; never the secret. `Display` is a fragment for people:
/// `key "quay.io/team" of /run/user/1000/containers/auth.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The caller gave it.
    Given,
    /// An entry of an auth file.
    File {
        /// The file.
        path: PathBuf,
        /// The entry's key as it is written there.
        key: String,
    },
    /// A credential helper.
    Helper {
        /// The helper's name: what follows `docker-credential-`.
        name: String,
        /// What the helper was asked for.
        server: String,
        /// The auth file that names the helper, unless it is a global one.
        file: Option<PathBuf>,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => f.write_str("given by the caller"),
            Self::File { path, key } => write!(f, "key {key:?} of {}", path.display()),
            Self::Helper { name, server, file } => {
                write!(f, "{server:?} by the credential helper {name}")?;
                match file {
                    Some(path) => write!(f, ", which {} names", path.display()),
                    None => Ok(()),
                }
            }
        }
    }
}
