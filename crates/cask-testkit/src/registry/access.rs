//! What a request needs, and what is said to who may not.

use cask_registry_server::{Refusal, RefusalCode, RequestBody, ResponseBody, full_body};
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::BodyExt as _;

use super::builder::RegistryAuth;
use super::running::Shared;
use super::token::{Grant, TokenRequest, Verdict, basic};

impl Shared {
    /// Answers a request that may not go on, or that was for a token; else gives it back.
    pub(super) async fn admit(
        &self,
        request: Request<RequestBody>,
    ) -> Result<Request<RequestBody>, Response<ResponseBody>> {
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        match self.kind.auth {
            RegistryAuth::None => Ok(request),
            RegistryAuth::Basic => {
                let expected = self.user().map(basic);
                if expected.as_deref() == header {
                    return Ok(request);
                }
                Err(refuse("Basic realm=\"testkit\"", RefusalCode::Unauthorized))
            }
            RegistryAuth::Token if request.uri().path() == self.kind.token_path => {
                Err(self.token(request).await)
            }
            RegistryAuth::Token => {
                let needed = needed(&request);
                match self.tokens().judge(header, &needed) {
                    Verdict::Allowed => Ok(request),
                    Verdict::Invalid => {
                        let error = header.map(|_| "invalid_token");
                        Err(self.challenge(&needed, error))
                    }
                    Verdict::Insufficient => {
                        Err(self.challenge(&needed, Some("insufficient_scope")))
                    }
                }
            }
        }
    }

    fn challenge(&self, needed: &[Grant], error: Option<&str>) -> Response<ResponseBody> {
        let realm = self.realm();
        let mut challenge = format!("Bearer realm=\"{realm}\",service=\"{}\"", self.host());
        let scope = scope(needed);
        if !scope.is_empty() {
            challenge.push_str(&format!(",scope=\"{scope}\""));
        }
        if let Some(error) = error {
            challenge.push_str(&format!(",error=\"{error}\""));
        }
        refuse(&challenge, RefusalCode::Unauthorized)
    }

    async fn token(&self, request: Request<RequestBody>) -> Response<ResponseBody> {
        let (parts, body) = request.into_parts();
        let form = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let asked = TokenRequest::parse(parts.uri.query().unwrap_or_default(), &form);
        let given = self.tokens().give(&self.kind.tokens, self.user(), &parts.headers, &asked);
        let mut response = Response::new(full_body(given.1.to_string()));
        *response.status_mut() = given.0;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }
}

fn refuse(challenge: &str, code: RefusalCode) -> Response<ResponseBody> {
    Refusal::new(code, "authentication required")
        .with_header(WWW_AUTHENTICATE, challenge)
        .into_response()
}

/// What a request needs to be allowed.
fn needed(request: &Request<RequestBody>) -> Vec<Grant> {
    let path = request.uri().path();
    if path == "/v2/_catalog" {
        return vec![Grant::new("registry:catalog", "*")];
    }
    let ends = ["/manifests/", "/blobs/", "/tags/", "/referrers/"];
    let end = ends.iter().filter_map(|end| path.find(end)).min();
    let Some(name) = path.strip_prefix("/v2/").zip(end).map(|(_, end)| &path["/v2/".len()..end])
    else {
        return Vec::new();
    };
    let resource = format!("repository:{name}");
    let mut needed = match *request.method() {
        Method::GET | Method::HEAD => vec![Grant::new(&resource, "pull")],
        Method::DELETE if !path.contains("/uploads/") => vec![Grant::new(&resource, "delete")],
        _ => vec![Grant::new(&resource, "pull"), Grant::new(&resource, "push")],
    };
    let query = request.uri().query().unwrap_or_default();
    let from = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "from");
    if let Some((_, from)) = from {
        needed.push(Grant::new(format!("repository:{from}"), "pull"));
    }
    needed
}

/// Grants as a scope: `repository:a/b:pull,push`.
fn scope(grants: &[Grant]) -> String {
    let mut scopes: Vec<String> = Vec::new();
    let mut last = None;
    for grant in grants {
        match scopes.last_mut() {
            Some(scope) if last == Some(&grant.resource) => {
                scope.push(',');
                scope.push_str(&grant.action);
            }
            _ => scopes.push(format!("{}:{}", grant.resource, grant.action)),
        }
        last = Some(&grant.resource);
    }
    scopes.join(" ")
}
