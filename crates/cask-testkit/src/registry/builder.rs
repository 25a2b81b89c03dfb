//! What kind of registry it is to be.

use std::path::PathBuf;
use std::time::Duration;

use super::token::TokenRules;
use super::{Registry, Vendor};

/// Whom a registry lets in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryAuth {
    /// Everyone.
    #[default]
    None,
    /// Who gives a name and a password with each request.
    Basic,
    /// Who has a token of the registry's own token server, at `/token`.
    Token,
}

/// What kind of registry it is to be. The default lets everyone in, by plain HTTP.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(super) auth: RegistryAuth,
    pub(super) user: Option<(String, String)>,
    pub(super) tokens: TokenRules,
    pub(super) token_path: String,
    pub(super) realm: Option<String>,
    pub(super) vendor: Option<Vendor>,
    pub(super) pull_limit: usize,
    pub(super) tls: bool,
    pub(super) root: Option<PathBuf>,
}

impl Default for Builder {
    fn default() -> Self {
        let tokens = TokenRules {
            lifetime: Duration::from_secs(300),
            identity_token: None,
            anonymous_pull: false,
            access_token_only: false,
            one_scope: false,
        };
        let (auth, token_path) = (RegistryAuth::None, "/token".to_owned());
        Self {
            auth,
            user: None,
            tokens,
            token_path,
            realm: None,
            vendor: None,
            pull_limit: 100,
            tls: false,
            root: None,
        }
    }
}

impl Builder {
    /// Wants a name and a password with each request.
    #[must_use]
    pub fn basic_auth(mut self, name: &str, password: &str) -> Self {
        self.auth = RegistryAuth::Basic;
        self.user = Some((name.to_owned(), password.to_owned()));
        self
    }

    /// Wants a token with each request, which its token server gives for a name and a password.
    #[must_use]
    pub fn token_auth(mut self, name: &str, password: &str) -> Self {
        self.auth = RegistryAuth::Token;
        self.user = Some((name.to_owned(), password.to_owned()));
        self
    }

    /// Wants a token with each request, which its token server gives to everyone.
    #[must_use]
    pub fn token_auth_for_everyone(mut self) -> Self {
        self.auth = RegistryAuth::Token;
        self.user = None;
        self
    }

    /// Gives tokens to pull to everyone.
    #[must_use]
    pub fn anonymous_pull(mut self) -> Self {
        self.tokens.anonymous_pull = true;
        self
    }

    /// How long a token lives. The answer tells it in whole seconds.
    #[must_use]
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.tokens.lifetime = lifetime;
        self
    }

    /// An identity token, which is given to who asks for one, and taken instead of a password.
    #[must_use]
    pub fn identity_token(mut self, token: &str) -> Self {
        self.tokens.identity_token = Some(token.to_owned());
        self
    }

    /// Calls the token `access_token` in the answer, as OAuth 2 does, and not `token`.
    #[must_use]
    pub fn access_token_only(mut self) -> Self {
        self.tokens.access_token_only = true;
        self
    }

    /// Gives tokens for the first scope only that is asked for.
    #[must_use]
    pub fn one_scope_per_token(mut self) -> Self {
        self.tokens.one_scope = true;
        self
    }

    /// Sends those who need a token to this URL, instead of its own token server.
    #[must_use]
    pub fn realm(mut self, url: &str) -> Self {
        self.realm = Some(url.to_owned());
        self
    }

    /// Has what is peculiar about a registry that people use. Who may use it is another thing.
    #[must_use]
    pub fn vendor(mut self, vendor: Vendor) -> Self {
        self.vendor = Some(vendor);
        if let Some(path) = vendor.token_path() {
            path.clone_into(&mut self.token_path);
        }
        self.tokens.one_scope |= vendor == Vendor::GitLab;
        self.tokens.access_token_only |= vendor == Vendor::Acr;
        self
    }

    /// How many manifests may be pulled of [`Vendor::DockerHub`].
    #[must_use]
    pub fn pull_limit(mut self, manifests: usize) -> Self {
        self.pull_limit = manifests;
        self
    }

    /// Speaks TLS, with a certificate that nobody knows;
    /// [`authority_pem`](Registry::authority_pem) is who signed it.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Keeps what it has in a directory of the caller's, instead of a temporary one.
    #[must_use]
    pub fn root(mut self, directory: impl Into<PathBuf>) -> Self {
        self.root = Some(directory.into());
        self
    }

    /// Starts it, on a port of its own on loopback.
    ///
    /// # Panics
    /// If it cannot.
    pub async fn start(self) -> Registry {
        Registry::start_with(self).await
    }
}
