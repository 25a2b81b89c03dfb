//! Who is asking, and how the registry is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cask_auth::{Credential, Secret};
use cask_http::{Origin, Request, RequestBody, Sending, may_send};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use url::Url;
use url::form_urlencoded::Serializer;

use crate::api_error::Explained;
use crate::challenge::Challenge;
use crate::error::Doing;
use crate::host::{Connected, Host};
use crate::token::{Scopes, Token};
use crate::{Error, ErrorKind};

/// The most bytes of a token service's answer.
const MAX_TOKEN_BYTES: u64 = 1 << 20;
/// How long before its end a token is not used any more, for the way to the registry.
const MARGIN: Duration = Duration::from_secs(5);

/// What is known of a registry's wishes.
#[derive(Default)]
pub(crate) struct Auth {
    challenges: Mutex<Vec<Challenge>>,
    credentials: Mutex<HashMap<Option<String>, Asked>>,
    tokens: Mutex<HashMap<Key, Slot>>,
}

/// A token is of a service, of a credential and for scopes. Credentials are chosen by repository.
type Key = (String, Option<String>, Scopes);
/// What the keychain knows, once it was asked.
type Asked = Arc<tokio::sync::OnceCell<Option<Credential>>>;
/// Whoever holds the lock fetches, the others wait for it.
type Slot = Arc<tokio::sync::Mutex<Option<Held>>>;

#[derive(Clone)]
struct Held {
    token: Token,
    until: Instant,
}

/// What a request shows.
#[derive(Clone)]
pub(crate) struct Authorization {
    value: Secret,
    /// Where the token is held, to be dropped if the registry does not take it.
    slot: Option<Slot>,
}

impl Authorization {
    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(self.value.expose()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

impl Auth {
    /// Remembers what the registry wants to see.
    pub(crate) fn remember(&self, challenges: Vec<Challenge>) {
        if !challenges.is_empty() {
            *lock(&self.challenges) = challenges;
        }
    }

    /// A request was refused: whether sending it again with other credentials makes sense.
    ///
    /// # Errors
    /// Those of the keychain.
    pub(crate) async fn refused(
        &self,
        host: &Host,
        repository: Option<&str>,
        challenges: Vec<Challenge>,
        shown: Option<&Authorization>,
        scopes: &mut Scopes,
    ) -> Result<bool, Error> {
        let bearer = challenges.iter().find(|challenge| challenge.scheme == "bearer").cloned();
        let understood = challenges.iter().any(|c| matches!(c.scheme.as_str(), "basic" | "bearer"));
        self.remember(challenges);
        let Some(shown) = shown else {
            return Ok(understood);
        };
        let Some(slot) = &shown.slot else {
            return self.has_changed(host, repository).await;
        };
        let asked = bearer.filter(|c| c.get("error") == Some("insufficient_scope"));
        if let Some(scope) = asked.as_ref().and_then(|challenge| challenge.get("scope")) {
            let before = scopes.clone();
            scopes.add_asked(scope);
            return Ok(*scopes != before);
        }
        // Others may have been refused before, and have fetched a new one, or be about to.
        if let Ok(mut held) = slot.try_lock()
            && held.as_ref().is_some_and(|held| held.token.shown() == shown.value)
        {
            *held = None;
        }
        Ok(true)
    }

    /// Asks the keychain again: passwords of some clouds live for hours only, and a long operation
    /// outlives them.
    async fn has_changed(&self, host: &Host, repository: Option<&str>) -> Result<bool, Error> {
        let before = self.credential(host, repository).await?;
        lock(&self.credentials).remove(&repository.map(str::to_owned));
        Ok(self.credential(host, repository).await? != before)
    }

    /// What to show for some scopes; nothing before it is known what the registry wants, or if
    /// there is no credential.
    pub(crate) async fn authorization(
        &self,
        host: &Host,
        connected: &Connected,
        scopes: &Scopes,
        repository: Option<&str>,
    ) -> Result<Option<Authorization>, Error> {
        let challenges = lock(&self.challenges).clone();
        for challenge in &challenges {
            match challenge.scheme.as_str() {
                "basic" => {
                    let credential = self.credential(host, repository).await?;
                    if let Some(value) = basic(credential.as_ref()) {
                        return Ok(Some(Authorization { value, slot: None }));
                    }
                }
                "bearer" => {
                    let context = Exchange { host, connected, challenge, scopes, repository };
                    return self.bearer(&context).await.map(Some);
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Asks the keychain, once per repository.
    async fn credential(
        &self,
        host: &Host,
        repository: Option<&str>,
    ) -> Result<Option<Credential>, Error> {
        let key = repository.map(str::to_owned);
        let cell = Arc::clone(lock(&self.credentials).entry(key.clone()).or_default());
        let found = cell
            .get_or_try_init(async || {
                let keychain = Arc::clone(&host.options().keychain);
                let name = host.name().to_owned();
                let found =
                    tokio::task::spawn_blocking(move || keychain.credential(&name, key.as_deref()))
                        .await;
                let fail = || {
                    let operation = "looking up credentials for";
                    Error::new(ErrorKind::Setup, operation, host.name(), "")
                };
                let found = found
                    .map_err(|error| fail().with_source(error.into()))?
                    .map_err(|error| fail().with_source(error.into()))?;
                if let Some(found) = &found {
                    tracing::debug!(registry = host.name(), origin = %found.origin, "credential");
                }
                Ok::<_, Error>(found.map(|found| found.credential))
            })
            .await?;
        Ok(found.clone())
    }

    async fn bearer(&self, context: &Exchange<'_>) -> Result<Authorization, Error> {
        let Exchange { host, challenge, scopes, repository, .. } = context;
        let credential = self.credential(host, *repository).await?;
        if let Some(Credential::RegistryToken(token)) = &credential {
            let value = Secret::from(format!("Bearer {}", token.expose()));
            return Ok(Authorization { value, slot: None });
        }
        let service = format!(
            "{}\n{}",
            challenge.get("realm").unwrap_or_default(),
            challenge.get("service").unwrap_or_default()
        );
        let (slot, wider) = self.slot(service, *repository, scopes);
        let mut held = slot.lock().await;
        let token = match &*held {
            Some(held) if Instant::now() + MARGIN < held.until => held.token.clone(),
            _ => {
                let asked_at = Instant::now();
                let context = Exchange { scopes: &wider, ..*context };
                let token = self.fetch(&context, credential.as_ref()).await?;
                *held = Some(Held { until: asked_at + token.life, token: token.clone() });
                token
            }
        };
        drop(held);
        Ok(Authorization { value: token.shown(), slot: Some(slot) })
    }

    async fn fetch(
        &self,
        context: &Exchange<'_>,
        credential: Option<&Credential>,
    ) -> Result<Token, Error> {
        let error = match context.fetch(credential).await {
            Err(error) if error.status() == Some(401) && credential.is_some() => error,
            other => return other,
        };
        if !self.has_changed(context.host, context.repository).await? {
            return Err(error);
        }
        let credential = self.credential(context.host, context.repository).await?;
        context.fetch(credential.as_ref()).await
    }

    /// Where the token for some scopes is held, and what that token is for. One for more will do.
    fn slot(&self, service: String, repository: Option<&str>, scopes: &Scopes) -> (Slot, Scopes) {
        let mut tokens = lock(&self.tokens);
        let repository = repository.map(str::to_owned);
        let wider = tokens.iter().find(|((other, whose, held), _)| {
            *other == service && *whose == repository && held.covers(scopes) && held != scopes
        });
        if let Some(((_, _, held), slot)) = wider {
            return (Arc::clone(slot), held.clone());
        }
        let slot = tokens.entry((service, repository, scopes.clone())).or_default();
        (Arc::clone(slot), scopes.clone())
    }
}

/// The exchange of a credential, or of nothing, for a token.
#[derive(Clone, Copy)]
struct Exchange<'a> {
    host: &'a Host,
    connected: &'a Connected,
    challenge: &'a Challenge,
    scopes: &'a Scopes,
    repository: Option<&'a str>,
}

impl Exchange<'_> {
    async fn fetch(&self, credential: Option<&Credential>) -> Result<Token, Error> {
        let doing = Doing::new("unable to retrieve auth token", "");
        let realm = self.realm(credential.is_some(), &doing)?;
        let request = match credential {
            Some(Credential::IdentityToken { token, .. }) => self.refresh(realm, token),
            other => self.get(realm, other, &doing)?,
        };
        let response =
            self.connected.http.execute(&request).await.map_err(|error| doing.http(error))?;
        if response.status() != StatusCode::OK {
            return Err(self.refused(response, credential.is_some(), &doing).await);
        }
        let body =
            response.read_limited(MAX_TOKEN_BYTES).await.map_err(|error| doing.http(error))?;
        let token = Token::parse(&body).map_err(|detail| doing.fail(ErrorKind::Corrupt, detail))?;
        if HeaderValue::from_str(token.secret.expose()).is_err() {
            let detail = "the token has characters that a header cannot have";
            return Err(doing.fail(ErrorKind::Corrupt, detail));
        }
        Ok(token)
    }

    /// The token service, if it may be asked, and shown the credential if there is one.
    fn realm(&self, with_credential: bool, doing: &Doing) -> Result<Url, Error> {
        let text = self.challenge.get("realm").ok_or_else(|| {
            doing.fail(ErrorKind::Corrupt, "missing realm in bearer auth challenge")
        })?;
        let url = Url::parse(text).map_err(|error| {
            doing.fail(ErrorKind::Corrupt, format!("the realm {text:?} is no URL: {error}"))
        })?;
        let origin = Origin::of(&url)
            .map_err(|error| doing.fail(ErrorKind::Corrupt, format!("realm: {error}")))?;
        let settings = &self.connected.settings;
        let mut trusted = settings.trusted_token_hosts.clone();
        trusted.extend(known_services(self.host.name()).map(str::to_owned));
        let sending = if with_credential {
            Sending::TokenCredential { trusted_hosts: &trusted }
        } else {
            Sending::Request
        };
        may_send(sending, &self.connected.origin, &origin, settings.danger_http).map_err(
            |refusal| {
                let shown = cask_http::redact_url(&url);
                doing
                    .fail(ErrorKind::Denied, format!("token service {shown} refused: {refusal}"))
                    .with_hint(format!(
                        "if {} is meant to get the password for {}, add it to the trusted token \
                         hosts of that registry",
                        origin.host(),
                        self.host.name()
                    ))
            },
        )?;
        Ok(url)
    }

    fn get(
        &self,
        mut realm: Url,
        credential: Option<&Credential>,
        doing: &Doing,
    ) -> Result<Request, Error> {
        {
            let mut query = realm.query_pairs_mut();
            if let Some(name) = credential.and_then(Credential::username) {
                query.append_pair("account", name);
            }
            for scope in self.scopes.texts() {
                query.append_pair("scope", &scope);
            }
            if let Some(service) = self.challenge.get("service") {
                query.append_pair("service", service);
            }
        }
        let origin = Origin::of(&realm)
            .map_err(|error| doing.fail(ErrorKind::Corrupt, error.to_string()))?;
        let mut request = Request::new(Method::GET, realm)
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(value) = basic(credential) {
            let value = Authorization { value, slot: None }.header();
            request = request.bound_header(&origin, AUTHORIZATION, value);
        }
        Ok(request)
    }

    /// Source: RFC 6749, section 6; distribution, `docs/spec/auth/oauth.md`.
    fn refresh(&self, realm: Url, token: &Secret) -> Request {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token");
        if let Some(service) = self.challenge.get("service") {
            form.append_pair("service", service);
        }
        form.append_pair("client_id", &self.host.options().client_id);
        let scopes: Vec<String> = self.scopes.texts().collect();
        if !scopes.is_empty() {
            form.append_pair("scope", &scopes.join(" "));
        }
        form.append_pair("refresh_token", token.expose());
        // The body is a secret: it goes nowhere else.
        Request::new(Method::POST, realm)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
            .body(RequestBody::Bytes(form.finish().into()))
            .without_redirects()
    }

    async fn refused(
        &self,
        response: cask_http::Response,
        with_credential: bool,
        doing: &Doing,
    ) -> Error {
        let explained = Explained::read(response).await;
        let name = self.host.name();
        match explained.status {
            401 | 403 if with_credential => doing
                .fail(
                    ErrorKind::Unauthorized,
                    format!("invalid username/password: {}", explained.text()),
                )
                .with_status(explained.status, None)
                .with_hint(format!("check the credentials for {name}")),
            401 | 403 => doing
                .fail(ErrorKind::Unauthorized, explained.text())
                .with_status(explained.status, None)
                .with_hint(format!("no credentials for {name} are known: log in first")),
            _ => doing.explained(&explained),
        }
    }
}

/// Token services of another site than their registry, known for years.
fn known_services(registry: &str) -> impl Iterator<Item = &'static str> {
    let hosts: &[&str] = match registry {
        "dhi.io" => &["auth.docker.io"],
        "lscr.io" => &["ghcr.io"],
        _ => &[],
    };
    hosts.iter().copied()
}

fn basic(credential: Option<&Credential>) -> Option<Secret> {
    match credential {
        Some(Credential::Basic { username, password }) => {
            let both = format!("{username}:{}", password.expose());
            Some(Secret::from(format!("Basic {}", STANDARD.encode(both))))
        }
        _ => None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
