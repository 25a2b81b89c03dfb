//! Small documents that lie beside registries.

use bytes::Bytes;
use cask_http::Request;
use http::{Method, StatusCode};
use url::Url;

use crate::error::Doing;
use crate::host::Host;
use crate::{Client, Error, ErrorKind};

impl Client {
    /// Reads a small document from a web server, such as a signature; `None` if there is none.
    ///
    /// The server need not be a registry, and is shown no credential. What is known of a registry
    /// on the same host and port holds for it: authorities and certificates, headers excepted.
    ///
    /// # Errors
    /// `LimitExceeded` if it is longer; `Denied`, `Network`, … for other answers; `Setup` if it is
    /// neither `http` nor `https`; all errors of connections.
    pub async fn document(&self, url: &Url, limit_bytes: u64) -> Result<Option<Bytes>, Error> {
        let doing = Doing::new("reading", cask_http::redact_url(url));
        let Some(host) = url.host_str() else {
            return Err(doing.fail(ErrorKind::Setup, "it has no host"));
        };
        let name = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        self.host(&name).document(url, limit_bytes, &doing).await
    }
}

impl Host {
    async fn document(
        &self,
        url: &Url,
        limit_bytes: u64,
        doing: &Doing,
    ) -> Result<Option<Bytes>, Error> {
        let request = Request::new(Method::GET, url.clone());
        let sent = self.web(url).await?.execute(&request).await;
        let response = sent.map_err(|error| doing.http(error))?;
        match response.status() {
            StatusCode::OK => {
                let read = response.read_limited(limit_bytes).await;
                read.map(Some).map_err(|error| doing.http(error))
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                response.discard().await;
                Ok(None)
            }
            _ => Err(doing.status(response).await),
        }
    }
}
