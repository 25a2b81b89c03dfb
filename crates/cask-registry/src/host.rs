//! One registry: where it is, and how requests get there and back.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use cask_http::{
    ErrorKind as HttpKind, HttpClient, Origin, Request, RequestBody, Response, Sending, may_send,
};
use http::header::{AUTHORIZATION, HeaderMap, WARNING};
use http::{Method, StatusCode};
use tokio::sync::OnceCell;
use url::Url;

use crate::auth::{Auth, Authorization};
use crate::challenge::Challenge;
use crate::error::{Doing, hint_of};
use crate::options::HostSettings;
use crate::token::Scopes;
use crate::warning::parse_warning;
use crate::{ClientOptions, Error, ErrorKind, Event};

/// The most different warnings of one registry that are told.
const MAX_WARNINGS: usize = 64;

/// How often a request is sent because of `401`: without credentials, with them, with better ones.
const ROUNDS: u32 = 3;

pub(crate) struct Host {
    name: String,
    options: Arc<ClientOptions>,
    connected: OnceCell<Connected>,
    /// For what is on the same host and no registry.
    web: OnceCell<HttpClient>,
    auth: Auth,
    warned: Mutex<HashSet<String>>,
}

/// A registry of which it is known how to talk to it.
pub(crate) struct Connected {
    pub(crate) http: HttpClient,
    /// `https://host/v2/`.
    pub(crate) base: Url,
    pub(crate) origin: Origin,
    pub(crate) settings: HostSettings,
}

/// A request to a registry.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) headers: HeaderMap,
    pub(crate) body: RequestBody,
    pub(crate) scopes: Scopes,
    /// The repository's path, to choose a credential by.
    pub(crate) repository: Option<String>,
    /// Whether the caller looks after retries.
    pub(crate) once: bool,
    pub(crate) response_deadline: Option<std::time::Duration>,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// What follows `/v2/`.
    Path(String),
    /// Where the registry said.
    Url(Url),
}

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self::at(method, Target::Path(path.into()))
    }

    pub(crate) fn at(method: Method, target: Target) -> Self {
        Self {
            method,
            target,
            headers: HeaderMap::new(),
            body: RequestBody::Empty,
            scopes: Scopes::none(),
            repository: None,
            once: false,
            response_deadline: None,
        }
    }
}

impl Host {
    pub(crate) fn new(name: &str, options: Arc<ClientOptions>) -> Self {
        Self {
            name: name.to_owned(),
            options,
            connected: OnceCell::new(),
            web: OnceCell::new(),
            auth: Auth::default(),
            warned: Mutex::default(),
        }
    }

    /// The name as in a reference.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// Where the registry is. Only one that may be talked to in the clear is asked, by a ping;
    /// any other finds out with its first real request.
    pub(crate) async fn connected(&self) -> Result<&Connected, Error> {
        self.connected.get_or_try_init(|| self.connect()).await
    }

    /// For what lies on the same host and is no registry: a URL of it is all that is known.
    pub(crate) async fn web(&self, url: &Url) -> Result<&HttpClient, Error> {
        self.web.get_or_try_init(async || self.http(&self.settings().await?, url)).await
    }

    async fn connect(&self) -> Result<Connected, Error> {
        let settings = self.settings().await?;
        let endpoint = endpoint(&self.name);
        let base = |scheme: &str| {
            Url::parse(&format!("{scheme}://{endpoint}/v2/"))
                .ok()
                .filter(|url| url.path() == "/v2/" && url.username().is_empty())
                .ok_or_else(|| {
                    let detail = "not a host, or a host and a port";
                    Error::new(ErrorKind::Setup, "connecting to", &self.name, detail)
                })
        };
        let secure = base("https")?;
        let http = self.http(&settings, &secure)?;
        let mut connected = self.at(http, secure, settings)?;
        if !connected.settings.danger_http {
            return Ok(connected);
        }
        if let Err(error) = self.first_ping(&connected, true).await {
            let speaks_no_tls = matches!(error.kind(), HttpKind::Certificate | HttpKind::NotTls);
            if !error.kind().is_transient() && !speaks_no_tls {
                return Err(self.unreachable(&connected, &error));
            }
            connected = self.at(connected.http, base("http")?, connected.settings)?;
            if let Err(error) = self.first_ping(&connected, false).await {
                return Err(self.unreachable(&connected, &error));
            }
        }
        Ok(connected)
    }

    fn at(&self, http: HttpClient, base: Url, settings: HostSettings) -> Result<Connected, Error> {
        let origin = Origin::of(&base).map_err(|error| {
            Error::new(ErrorKind::Setup, "connecting to", &self.name, error.to_string())
        })?;
        if let Some(limits) = settings.limits {
            http.options().gates.limit(&origin, limits);
        }
        Ok(Connected { http, base, origin, settings })
    }

    async fn settings(&self) -> Result<HostSettings, Error> {
        let lookup = Arc::clone(&self.options.hosts);
        let name = self.name.clone();
        let fail = |detail: &str| {
            Error::new(ErrorKind::Setup, "looking up the settings of", &self.name, detail)
        };
        tokio::task::spawn_blocking(move || lookup(&name))
            .await
            .map_err(|error| fail("").with_source(error.into()))?
            .map_err(|source| fail("").with_source(source))
    }

    fn http(&self, settings: &HostSettings, secure: &Url) -> Result<HttpClient, Error> {
        let mut options = self.options.http.clone();
        options.tls.authorities_pem.extend(settings.authorities_pem.iter().cloned());
        if !settings.identities.is_empty() {
            let origin = Origin::of(secure).map_err(|error| {
                Error::new(ErrorKind::Setup, "connecting to", &self.name, error.to_string())
            })?;
            options.tls.identities.clone_from(&settings.identities);
            options.tls.identities_for = Some(origin);
        }
        options.tls.danger_accept_invalid_certificates |=
            settings.danger_accept_invalid_certificates;
        options.danger_insecure |= settings.danger_http;
        if let Some(user_agent) = &settings.user_agent {
            options.user_agent.clone_from(user_agent);
        }
        if let Some(events) = self.options.events.clone() {
            options.retry_sink = Some(Arc::new(move |event| events(&Event::Retry(event.clone()))));
        }
        Ok(HttpClient::new(options))
    }

    /// Asks whether there is a registry; what it wants to see is remembered.
    async fn first_ping(&self, connected: &Connected, once: bool) -> Result<(), cask_http::Error> {
        let mut request = Request::new(Method::GET, connected.base.clone());
        if once {
            request = request.once();
        }
        let response = connected.http.execute(&request).await?;
        if response.status() == StatusCode::UNAUTHORIZED && *response.origin() == connected.origin {
            self.auth.remember(Challenge::all(response.headers()));
        }
        response.discard().await;
        Ok(())
    }

    fn unreachable(&self, connected: &Connected, error: &cask_http::Error) -> Error {
        let base = &connected.base;
        let detail = match error.kind() {
            HttpKind::Connect => {
                format!("Get \"{base}\": dial tcp: {}", error.detail())
            }
            _ => format!("Get \"{base}\": {}", error.detail()),
        };
        let kind = match error.kind() {
            HttpKind::Setup => ErrorKind::Setup,
            HttpKind::Redirect => ErrorKind::Denied,
            _ => ErrorKind::Network,
        };
        let made = Error::new(kind, "pinging container registry", &self.name, detail);
        match hint_of(error.kind()) {
            Some(hint) => made.with_hint(hint),
            None => made,
        }
    }

    /// Sends a request, with whatever the registry wants to see, and again after `401`.
    ///
    /// The answer may have any status but a `401` that could have been avoided.
    pub(crate) async fn send(&self, call: &Call, doing: &Doing) -> Result<Response, Error> {
        let connected = self.connected().await?;
        let url = self.url(connected, &call.target, doing)?;
        let repository = call.repository.as_deref();
        let mut scopes = call.scopes.clone();
        let mut round = 0;
        loop {
            round += 1;
            let shown = self.auth.authorization(self, connected, &scopes, repository).await?;
            let request = request(connected, call, &url, shown.as_ref());
            let response = match connected.http.execute(&request).await {
                Ok(response) => response,
                Err(error) if is_unreachable(&error, &url, connected) => {
                    return Err(self.unreachable(connected, &error));
                }
                Err(error) => return Err(doing.http(error)),
            };
            self.tell_warnings(&response);
            let refused = response.status() == StatusCode::UNAUTHORIZED
                && *response.origin() == connected.origin;
            if !refused || round == ROUNDS {
                return Ok(response);
            }
            let challenges = Challenge::all(response.headers());
            let shown = shown.as_ref();
            if !self.auth.refused(self, repository, challenges, shown, &mut scopes).await? {
                return Ok(response);
            }
            // Some of the body may be there already: the upload finds out how much.
            if matches!(call.body, RequestBody::Upload { .. }) {
                return Ok(response);
            }
            response.discard().await;
        }
    }

    /// Reads from where a descriptor says that its content is, too: a host that need not be a
    /// registry, and is shown nothing.
    pub(crate) async fn send_foreign(
        &self,
        url: &Url,
        headers: &HeaderMap,
        doing: &Doing,
    ) -> Result<Response, Error> {
        let connected = self.connected().await?;
        let url = self.url(connected, &Target::Url(url.clone()), doing)?;
        let mut request = Request::new(Method::GET, url);
        for (name, value) in headers {
            request = request.header(name.clone(), value.clone());
        }
        connected.http.execute(&request).await.map_err(|error| doing.http(error))
    }

    fn url(&self, connected: &Connected, target: &Target, doing: &Doing) -> Result<Url, Error> {
        let path = match target {
            Target::Url(url) => {
                self.may_go(connected, url, doing)?;
                return Ok(url.clone());
            }
            Target::Path(path) => path,
        };
        let url = connected.base.join(path).ok();
        url.filter(|url| {
            url.path().starts_with("/v2/")
                && Origin::of(url).is_ok_and(|origin| origin == connected.origin)
        })
        .ok_or_else(|| doing.fail(ErrorKind::Setup, format!("{path:?} cannot be asked for")))
    }

    /// Where an answer says that things go on, by its `Location`.
    ///
    /// Registries behind proxies call themselves `http`, or by no name: such a location of the same
    /// host is taken for the origin that was asked.
    pub(crate) async fn location(&self, response: &Response, doing: &Doing) -> Result<Url, Error> {
        let connected = self.connected().await?;
        let text = response.header(http::header::LOCATION).ok_or_else(|| {
            doing.fail(ErrorKind::Corrupt, "the registry's answer has no Location")
        })?;
        let mut url = response.url().join(text).map_err(|error| {
            doing.fail(ErrorKind::Corrupt, format!("the registry's Location is no URL: {error}"))
        })?;
        url.set_fragment(None);
        let origin = Origin::of(&url)
            .map_err(|error| doing.fail(ErrorKind::Corrupt, format!("Location: {error}")))?;
        if connected.origin.is_secure()
            && !origin.is_secure()
            && origin.host() == connected.origin.host()
        {
            let mut same = connected.base.clone();
            same.set_path(url.path());
            same.set_query(url.query());
            return Ok(same);
        }
        self.may_go(connected, &url, doing)?;
        Ok(url)
    }

    /// Whether a request may go where the registry, or a document from there, says.
    fn may_go(&self, connected: &Connected, url: &Url, doing: &Doing) -> Result<(), Error> {
        let origin =
            Origin::of(url).map_err(|error| doing.fail(ErrorKind::Corrupt, error.to_string()))?;
        let insecure = connected.settings.danger_http;
        may_send(Sending::Request, &connected.origin, &origin, insecure).map_err(|refusal| {
            let shown = cask_http::redact_url(url);
            doing.fail(ErrorKind::Denied, format!("{shown} is not asked: {refusal}"))
        })
    }

    fn tell_warnings(&self, response: &Response) {
        let Some(events) = &self.options.events else { return };
        for header in response.headers().get_all(WARNING).iter().take(16) {
            let Some(text) = parse_warning(header.as_bytes()) else { continue };
            let text = crate::api_error::clean(&text);
            let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
            if warned.len() >= MAX_WARNINGS || !warned.insert(text.clone()) {
                continue;
            }
            drop(warned);
            events(&Event::Warning { registry: self.name.clone(), text });
        }
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Host({})", self.name)
    }
}

fn request(
    connected: &Connected,
    call: &Call,
    url: &Url,
    shown: Option<&Authorization>,
) -> Request {
    let mut request = Request::new(call.method.clone(), url.clone()).body(call.body.clone());
    for (name, value) in &call.headers {
        request = request.header(name.clone(), value.clone());
    }
    for (name, value) in &connected.settings.headers {
        request = request.bound_header(&connected.origin, name.clone(), value.clone());
    }
    if let Some(shown) = shown {
        request = request.bound_header(&connected.origin, AUTHORIZATION, shown.header());
    }
    if call.once {
        request = request.once();
    }
    match call.response_deadline {
        Some(deadline) => request.response_deadline(deadline),
        None => request,
    }
}

/// Whether it is the registry itself that is not there.
fn is_unreachable(error: &cask_http::Error, url: &Url, connected: &Connected) -> bool {
    matches!(error.kind(), HttpKind::Connect | HttpKind::Certificate | HttpKind::NotTls)
        && Origin::of(url).is_ok_and(|origin| origin == connected.origin)
}

/// Where a registry is served from.
fn endpoint(name: &str) -> &str {
    match name {
        "docker.io" | "index.docker.io" => "registry-1.docker.io",
        name => name,
    }
}
