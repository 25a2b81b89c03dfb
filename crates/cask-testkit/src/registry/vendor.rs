//! What is peculiar about the registries that people use.

use bytes::Bytes;
use cask_registry_server::{Next, Refusal, RefusalCode, RequestBody, ResponseBody, full_body};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LINK, LOCATION};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;

use super::failing::{page, set};
use super::running::Shared;

/// A registry that people use, with what is peculiar about it.
///
/// Only that is reproduced which clients stumble over, and each as it was seen at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Vendor {
    /// Amazon's: a mount is taken for an upload; OCI manifests that do not say their type are
    /// "Invalid JSON syntax" (405); tags may not be listed (403 `DENIED`).
    Ecr,
    /// Docker's: manifests may be pulled so often, by
    /// [`pull_limit`](super::Builder::pull_limit), then 429; asking by HEAD is free, and tells
    /// what is left. No catalog (401).
    DockerHub,
    /// GitHub's: nothing can be deleted (405); no referrers, by a 404 that is no JSON; no catalog.
    Ghcr,
    /// Red Hat's: manifests with Zstandard are refused, as they were long ago; pages of tags are
    /// linked by an opaque token; blobs cannot be deleted.
    Quay,
    /// Tokens come from `/jwt/auth` and are for the first scope only, so a mount from another
    /// project fails; a repository without tags has `null`; no catalog (401).
    GitLab,
    /// Tokens come from `/service/token`; repositories are in projects; it sets cookies; a
    /// repository without tags has `null`; no catalog (401).
    Harbor,
    /// What does not exist is a page that is no JSON; `Location` is absolute, and calls the host
    /// by another name.
    Artifactory,
    /// The registry does not know that it is behind TLS: realm and `Location` say `http`; answers
    /// to HEAD have no digest.
    Nexus,
    /// Microsoft's: tokens come from `/oauth2/token`, for an identity token, and are called
    /// `access_token`.
    Acr,
}

impl Vendor {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Ecr,
        Self::DockerHub,
        Self::Ghcr,
        Self::Quay,
        Self::GitLab,
        Self::Harbor,
        Self::Artifactory,
        Self::Nexus,
        Self::Acr,
    ];

    pub(super) fn token_path(self) -> Option<&'static str> {
        match self {
            Self::GitLab => Some("/jwt/auth"),
            Self::Harbor => Some("/service/token"),
            Self::Acr => Some("/oauth2/token"),
            _ => None,
        }
    }

    fn has_catalog(self) -> bool {
        !matches!(self, Self::DockerHub | Self::Ghcr | Self::GitLab | Self::Harbor)
    }
}

impl Shared {
    /// Answers as the vendor's registry would.
    pub(super) async fn answer_as_vendor(
        &self,
        request: Request<RequestBody>,
        next: Next,
    ) -> Response<ResponseBody> {
        let Some(vendor) = self.kind.vendor else { return next.answer(request).await };
        if let Some(refusal) = self.refuse(vendor, &request) {
            return refusal;
        }
        let request = match self.change(vendor, request).await {
            Ok(request) => request,
            Err(refusal) => return refusal,
        };
        let asked = (request.method().clone(), request.uri().clone());
        let response = next.answer(request).await;
        self.dress(vendor, &asked, response).await
    }

    /// What the vendor's registry does not do.
    fn refuse(
        &self,
        vendor: Vendor,
        request: &Request<RequestBody>,
    ) -> Option<Response<ResponseBody>> {
        let (method, path) = (request.method(), request.uri().path());
        let refuse = |code, words: &'static str| Some(Refusal::new(code, words).into_response());
        if path == "/v2/_catalog" && !vendor.has_catalog() {
            return refuse(RefusalCode::Unauthorized, "authentication required");
        }
        let is_delete = method == Method::DELETE && !path.contains("/uploads/");
        let is_pull = method == Method::GET && path.contains("/manifests/");
        match vendor {
            Vendor::Ecr if path.ends_with("/tags/list") => {
                refuse(RefusalCode::Denied, "User is not authorized to perform: ecr:ListImages")
            }
            Vendor::DockerHub if is_pull && self.pulls_left(1) == 0 => refuse(
                RefusalCode::TooManyRequests,
                "You have reached your pull rate limit. You may increase the limit by \
                 authenticating and upgrading",
            ),
            Vendor::Ghcr if is_delete => {
                refuse(RefusalCode::Unsupported, "The operation is unsupported.")
            }
            Vendor::Ghcr if path.contains("/referrers/") => {
                let mut response = page(404);
                *response.body_mut() = full_body("404 page not found\n");
                set(&mut response, CONTENT_TYPE, "text/plain; charset=utf-8");
                Some(response)
            }
            Vendor::Quay if is_delete && path.contains("/blobs/") => {
                refuse(RefusalCode::Unsupported, "The operation is unsupported.")
            }
            Vendor::Harbor if is_outside_projects(path) => {
                refuse(RefusalCode::NameUnknown, "project not found")
            }
            _ => None,
        }
    }

    /// What the vendor's registry sees of a request.
    async fn change(
        &self,
        vendor: Vendor,
        mut request: Request<RequestBody>,
    ) -> Result<Request<RequestBody>, Response<ResponseBody>> {
        let uri = request.uri().clone();
        let query = uri.query().unwrap_or_default();
        let is_manifest = request.method() == Method::PUT && uri.path().contains("/manifests/");
        match vendor {
            Vendor::Ecr if query.contains("mount=") => {
                *request.uri_mut() = uri.path().parse().expect("a path of a URI is one");
            }
            Vendor::Quay if query.contains("next_page=") => {
                let plain = query.replace("next_page=", "last=");
                *request.uri_mut() =
                    format!("{}?{plain}", uri.path()).parse().expect("the same letters, nearly");
            }
            Vendor::Ecr | Vendor::Quay if is_manifest => {
                let (parts, body) = request.into_parts();
                let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                if let Some(refusal) = refuse_manifest(vendor, &parts.headers, &bytes) {
                    return Err(refusal);
                }
                request = Request::from_parts(parts, full_body(bytes));
            }
            _ => {}
        }
        Ok(request)
    }

    /// What the vendor's registry answers.
    async fn dress(
        &self,
        vendor: Vendor,
        (method, uri): &(Method, Uri),
        mut response: Response<ResponseBody>,
    ) -> Response<ResponseBody> {
        match vendor {
            Vendor::DockerHub if uri.path().contains("/manifests/") => {
                let left = format!("{};w=21600", self.pulls_left(0));
                set(&mut response, HeaderName::from_static("ratelimit-remaining"), &left);
            }
            Vendor::Quay => change_text(&mut response, LINK, "last=", "next_page="),
            Vendor::GitLab | Vendor::Harbor if uri.path().ends_with("/tags/list") => {
                response = null_for_none(response).await;
            }
            Vendor::Artifactory if response.status() == StatusCode::NOT_FOUND => {
                response = page(404);
            }
            Vendor::Artifactory => {
                let port = self.host().rsplit(':').next().unwrap_or_default().to_owned();
                let host = format!("{}://localhost:{port}", self.scheme());
                change_text(&mut response, LOCATION, "", &host);
            }
            Vendor::Nexus => {
                change_text(&mut response, LOCATION, "", &format!("http://{}", self.host()));
                if *method == Method::HEAD {
                    response.headers_mut().remove("docker-content-digest");
                }
            }
            _ => {}
        }
        if vendor == Vendor::Harbor {
            let cookie = HeaderValue::from_static("sid=0123; Path=/; HttpOnly");
            response.headers_mut().append(http::header::SET_COOKIE, cookie);
        }
        response
    }
}

/// Repositories of Harbor have a project before the first slash.
fn is_outside_projects(path: &str) -> bool {
    let name = path.strip_prefix("/v2/").unwrap_or_default();
    let ends = ["/manifests/", "/blobs/", "/tags/", "/referrers/"];
    let end = ends.iter().filter_map(|end| name.find(end)).min();
    end.is_some_and(|end| !name[..end].contains('/'))
}

fn refuse_manifest(
    vendor: Vendor,
    headers: &http::HeaderMap,
    bytes: &Bytes,
) -> Option<Response<ResponseBody>> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_oci = content_type.is_some_and(|text| text.contains("vnd.oci.image"));
    let text = String::from_utf8_lossy(bytes);
    let says_type = serde_json::from_str::<serde_json::Value>(&text)
        .is_ok_and(|value| value.get("mediaType").is_some());
    match vendor {
        Vendor::Ecr if is_oci && !says_type => {
            let words = "Invalid parameter at 'ImageManifest' failed to satisfy constraint: \
                         'Invalid JSON syntax'";
            Some(Refusal::new(RefusalCode::Unsupported, words).into_response())
        }
        Vendor::Quay if text.contains("+zstd") => {
            let words = "manifest invalid: unsupported media type";
            Some(Refusal::new(RefusalCode::ManifestInvalid, words).into_response())
        }
        _ => None,
    }
}

/// Replaces a part of a header, or begins it with something.
fn change_text(response: &mut Response<ResponseBody>, name: HeaderName, from: &str, to: &str) {
    let Some(value) = response.headers().get(&name).and_then(|value| value.to_str().ok()) else {
        return;
    };
    let changed = value.replacen(from, to, 1);
    set(response, name, &changed);
}

/// An empty list of tags as the distribution project writes it.
async fn null_for_none(response: Response<ResponseBody>) -> Response<ResponseBody> {
    let (mut parts, body) = response.into_parts();
    let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).replace("\"tags\":[]", "\"tags\":null");
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    Response::from_parts(parts, full_body(text))
}
