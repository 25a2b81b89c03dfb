//! The registry: from a request to its response.

mod blobs;
mod manifests;
mod mount;
mod tags;
mod uploads;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cask_image::Digest;
use cask_layout::Layout;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use crate::body::empty_body;
use crate::event::User;
use crate::refusal::{Refusal, chain};
use crate::route::{Query, Route};
use crate::store::Store;
use crate::upload::Uploads;
use crate::{RefusalCode, RegistryOptions, RepositoryName, RequestBody, ResponseBody, Result};

/// The header with the digest of what is answered.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// How much of a refused body is read, so that the client can read the answer: 1 MiB.
const MAX_DRAINED_BYTES: usize = 1 << 20;

/// For how long.
const MAX_DRAINING: Duration = Duration::from_secs(2);

/// What answers requests: a directory, and how it is kept. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    uploads: Uploads,
    options: RegistryOptions,
}

type Answer = Result<Response<ResponseBody>, Refusal>;

/// A request without its body.
struct Call<'a> {
    parts: &'a Parts,
    query: Query,
}

impl Registry {
    /// Opens the directory. One that holds a file `oci-layout` is one repository; else every
    /// layout below is one, and what is pushed makes more.
    ///
    /// # Errors
    /// `NotFound` if there is no such directory, or it is no layout and a name was given;
    /// `InvalidName` if the name of the directory is not one for a repository and none was given;
    /// `Unsafe`, `Denied`, `Io`.
    pub fn open(path: impl AsRef<Path>, options: RegistryOptions) -> Result<Self> {
        let path = path.as_ref();
        let mut layout = options.layout.clone();
        // Referrers are asked for often, and what manifests say does not change.
        layout.manifest_cache.get_or_insert_default();
        let store = Store::open(path, options.name.clone(), layout)?;
        let root = store.root().try_clone();
        let root = root.map_err(|error| crate::Error::io(error, "opening", path.display()))?;
        let uploads = Uploads::new(root, options.max_uploads, options.upload_lifetime);
        if !options.read_only {
            uploads.sweep()?;
        }
        Ok(Self(Arc::new(Inner { store, uploads, options })))
    }

    /// The directory, as it was given.
    pub fn path(&self) -> &Path {
        self.0.store.path()
    }

    /// The names of the repositories, in order.
    ///
    /// # Errors
    /// `Denied`, `Io`.
    pub fn repositories(&self) -> Result<Vec<RepositoryName>> {
        self.0.store.repositories()
    }

    /// Answers a request. Whoever serves with something else than [`Server`](crate::Server) calls
    /// this, on a runtime of Tokio with its timer.
    pub async fn answer(&self, request: Request<RequestBody>) -> Response<ResponseBody> {
        let (parts, mut body) = request.into_parts();
        let mut user = None;
        let answer = self.checked(&parts, &mut body, &mut user).await;
        let mut response = answer.unwrap_or_else(Refusal::into_response);
        drain(&parts, body).await;
        let version = HeaderValue::from_static("registry/2.0");
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("docker-distribution-api-version"), version);
        // What was pushed is no page of this site.
        let nosniff = HeaderValue::from_static("nosniff");
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        if let Some(user) = user {
            response.extensions_mut().insert(User(user));
        }
        if parts.method == Method::HEAD {
            // The headers say what a GET would give.
            *response.body_mut() = empty_body();
        }
        response
    }

    /// Takes away what only a running server needs.
    pub(crate) fn close(&self) {
        self.0.uploads.close();
    }

    async fn checked(
        &self,
        parts: &Parts,
        body: &mut RequestBody,
        user: &mut Option<String>,
    ) -> Answer {
        if let Some(htpasswd) = &self.0.options.htpasswd {
            let given = parts.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
            *user = htpasswd.check(given).await?;
            if user.is_none() {
                return Err(Refusal::new(RefusalCode::Unauthorized, "authentication required")
                    .with_header(header::WWW_AUTHENTICATE, "Basic realm=\"registry\""));
            }
        }
        let route = Route::parse(parts.uri.path())?;
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        if !reads && self.0.options.read_only {
            return Err(Refusal::new(RefusalCode::Unsupported, "the registry is read-only"));
        }
        let call = Call { parts, query: Query::of(&parts.uri) };
        self.route(route, &call, body).await
    }

    async fn route(&self, route: Route, call: &Call<'_>, body: &mut RequestBody) -> Answer {
        let method = call.parts.method.as_str();
        match (route, method) {
            (Route::Base, "GET" | "HEAD") => Ok(json(StatusCode::OK, &serde_json::json!({}))),
            (Route::Catalog, "GET" | "HEAD") => self.catalog(call).await,
            (Route::Tags(name), "GET" | "HEAD") => self.tags(name, call).await,
            (Route::Referrers(name, digest), "GET" | "HEAD") => {
                self.referrers(name, &digest, call).await
            }
            (Route::Manifest(name, reference), "GET" | "HEAD") => {
                self.manifest(name, reference, call).await
            }
            (Route::Manifest(name, reference), "PUT") => {
                self.put_manifest(name, reference, call, body).await
            }
            (Route::Manifest(name, reference), "DELETE") => {
                self.delete_manifest(name, reference).await
            }
            (Route::Blob(name, digest), "GET" | "HEAD") => self.blob(name, &digest, call).await,
            (Route::Blob(name, digest), "DELETE") => self.delete_blob(name, &digest).await,
            (Route::Uploads(name), "POST") => self.begin_upload(name, call, body).await,
            (Route::Upload(name, id), "GET" | "HEAD") => self.upload_status(name, &id).await,
            (Route::Upload(name, id), "PATCH") => self.append(name, &id, call, body).await,
            (Route::Upload(name, id), "PUT") => self.finish_upload(name, &id, call, body).await,
            (Route::Upload(name, id), "DELETE") => self.cancel_upload(name, &id).await,
            (route, _) => {
                Err(Refusal::new(RefusalCode::Unsupported, "the method is not supported here")
                    .with_header(header::ALLOW, methods(&route)))
            }
        }
    }

    /// Does what waits for the disk where waiting is allowed.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&inner)).await.map_err(Refusal::internal)?
    }
}

impl Inner {
    /// The layout of a repository that exists.
    fn existing(&self, name: &RepositoryName) -> Result<Layout, Refusal> {
        self.store.find(name)?.ok_or_else(|| name_unknown(name))
    }

    /// The layout of a repository to write to.
    fn writable(&self, name: &RepositoryName) -> Result<Layout, Refusal> {
        self.store.create(name)?.ok_or_else(|| not_held(name))
    }
}

impl Call<'_> {
    fn header(&self, name: HeaderName) -> Option<&str> {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn content_length(&self) -> Option<u64> {
        self.header(header::CONTENT_LENGTH).and_then(|text| text.parse().ok())
    }
}

fn name_unknown(name: &RepositoryName) -> Refusal {
    Refusal::new(RefusalCode::NameUnknown, "repository name not known to registry")
        .with_detail(serde_json::json!({ "name": name.as_str() }))
}

/// The registry serves one layout only.
fn not_held(name: &RepositoryName) -> Refusal {
    Refusal::new(RefusalCode::Denied, "the registry serves one repository, and this is another")
        .with_detail(serde_json::json!({ "name": name.as_str() }))
}

fn parse_digest(text: &str) -> Result<Digest, Refusal> {
    text.parse().map_err(|error: cask_image::DigestError| {
        Refusal::new(RefusalCode::DigestInvalid, chain(&error))
    })
}

/// What a path can be asked.
fn methods(route: &Route) -> &'static str {
    match route {
        Route::Base | Route::Catalog | Route::Tags(_) | Route::Referrers(..) => "GET, HEAD",
        Route::Manifest(..) => "GET, HEAD, PUT, DELETE",
        Route::Blob(..) => "GET, HEAD, DELETE",
        Route::Uploads(_) => "POST",
        Route::Upload(..) => "GET, PATCH, PUT, DELETE",
    }
}

/// A response without content.
fn status(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(empty_body());
    *response.status_mut() = status;
    response
}

/// A response that is a small document.
fn json(status: StatusCode, value: &serde_json::Value) -> Response<ResponseBody> {
    let text = value.to_string();
    let length = text.len();
    let mut response = Response::new(crate::body::full_body(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    set(&mut response, header::CONTENT_TYPE, "application/json");
    response
}

/// Sets a header. Values are made of names, digests and numbers, which all are fit for one.
fn set(response: &mut Response<ResponseBody>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// Reads what is left of a small body: a client that still writes would not read the answer.
async fn drain(parts: &Parts, mut body: RequestBody) {
    // Who waits for permission to send the body does not send it.
    if body.is_end_stream() || parts.headers.contains_key(header::EXPECT) {
        return;
    }
    let reading = async {
        let mut left = MAX_DRAINED_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let read = frame.data_ref().map_or(0, bytes::Bytes::len);
            if read > left {
                return;
            }
            left -= read;
        }
    };
    let _ = tokio::time::timeout(MAX_DRAINING, reading).await;
}
