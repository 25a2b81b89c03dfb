//! The client.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::OnceCell;

use crate::attempt::attempt;
use crate::retry::is_transient;
use crate::{
    Backoff, Error, ErrorKind, HttpOptions, Origin, Request, Response, RetryEvent, RetryReason,
    Scheme, Sending, may_send, redact_url, retry_after,
};

/// A client of servers that are to be treated alike. Clones share their connections.
///
/// Making one costs nothing: certificates are read and connections made when they are needed.
#[derive(Clone)]
pub struct HttpClient(Arc<Inner>);

struct Inner {
    options: HttpOptions,
    plain: OnceCell<reqwest::Client>,
    secure: OnceCell<reqwest::Client>,
    identified: OnceCell<reqwest::Client>,
}

impl HttpClient {
    /// A client with these options.
    pub fn new(options: HttpOptions) -> Self {
        Self(Arc::new(Inner {
            options,
            plain: OnceCell::new(),
            secure: OnceCell::new(),
            identified: OnceCell::new(),
        }))
    }

    /// The options that the client was made with.
    pub fn options(&self) -> &HttpOptions {
        &self.0.options
    }

    /// Sends a request, and sends it again where that may help: after the statuses 408, 429, 502,
    /// 503 and 504, and after failures of the connection.
    ///
    /// A host that has never answered is not tried again if no connection is made: it is not there.
    /// After the last attempt the answer is given as it is, whatever its status.
    ///
    /// # Errors
    /// If there is no answer; see [`ErrorKind`].
    pub async fn execute(&self, request: &Request) -> Result<Response, Error> {
        let options = &self.0.options;
        let mut backoff = Backoff::new(&options.retry);
        let origin = Origin::of(&request.url).map_err(|error| {
            Error::new(ErrorKind::Setup, &request.method, &request.url, error.to_string())
        })?;
        let gate = options.gates.gate(&origin);
        loop {
            let result = attempt(self, request).await;
            let (reason, asked) = match &result {
                Ok(response) if is_transient(response.status().as_u16()) => {
                    let status = response.status().as_u16();
                    let asked = retry_after(response.headers(), SystemTime::now());
                    (RetryReason::Status(status), asked)
                }
                Err(error) if is_worth_a_retry(error.kind(), gate.was_reached()) => {
                    (RetryReason::Transport(error.kind(), error.detail().to_owned()), None)
                }
                _ => return result,
            };
            if !request.retried {
                return result;
            }
            let Some(wait) = backoff.next_wait(asked) else {
                return result;
            };
            if reason == RetryReason::Status(429) || asked.is_some() {
                gate.silence(wait);
            }
            drop(result);
            self.tell(request, &backoff, wait, reason);
            tokio::time::sleep(wait).await;
        }
    }

    fn tell(
        &self,
        request: &Request,
        backoff: &Backoff,
        wait: std::time::Duration,
        reason: RetryReason,
    ) {
        let url = redact_url(&request.url);
        let event = RetryEvent::new(request.method.as_str(), url, backoff, wait, reason);
        tracing::debug!(?event, "retry");
        if let Some(sink) = &self.0.options.retry_sink {
            sink(&event);
        }
    }

    /// The pool for an origin. Only one of them knows the client certificate.
    pub(crate) async fn http(
        &self,
        origin: &Origin,
        bound: bool,
    ) -> Result<&reqwest::Client, String> {
        let Inner { options, plain, secure, identified } = &*self.0;
        let with_identity = bound
            && options.tls.identities_for.as_ref().is_some_and(|owner| {
                may_send(Sending::Carried, owner, origin, options.danger_insecure).is_ok()
            });
        let is_secure = origin.scheme() == Scheme::Https;
        let cell = match (is_secure, with_identity) {
            (false, _) => plain,
            (true, false) => secure,
            (true, true) => identified,
        };
        cell.get_or_try_init(async || {
            let options = options.clone();
            // Reading the authorities of the system takes milliseconds.
            tokio::task::spawn_blocking(move || build(&options, is_secure, with_identity))
                .await
                .map_err(|error| error.to_string())?
        })
        .await
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpClient").field(&self.0.options).finish()
    }
}

fn is_worth_a_retry(kind: ErrorKind, was_reached: bool) -> bool {
    kind.is_transient() && (kind != ErrorKind::Connect || was_reached)
}

fn build(
    options: &HttpOptions,
    secure: bool,
    with_identity: bool,
) -> Result<reqwest::Client, String> {
    let mut tls = options.tls.config(secure, with_identity)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
        .no_proxy()
        .http2_initial_stream_window_size(4 << 20)
        .http2_initial_connection_window_size(16 << 20)
        .connect_timeout(options.deadlines.connect);
    let proxies = &options.proxies;
    let except = format!("localhost,127.0.0.0/8,::1,{}", proxies.except.as_deref().unwrap_or(""));
    let except = reqwest::NoProxy::from_string(&except);
    let unusable = |which| format!("the proxy for {which} is no usable URL");
    if let Some(url) = &proxies.http {
        let proxy = reqwest::Proxy::http(url).map_err(|_| unusable("http"))?;
        builder = builder.proxy(proxy.no_proxy(except.clone()));
    }
    if let Some(url) = &proxies.https {
        let proxy = reqwest::Proxy::https(url).map_err(|_| unusable("https"))?;
        builder = builder.proxy(proxy.no_proxy(except));
    }
    builder.build().map_err(|error| format!("HTTP cannot be set up: {error}"))
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    #[tokio::test]
    async fn certificates_of_a_client_are_shown_to_their_origin_alone() {
        let origin = |url: &str| Origin::of(&Url::parse(url).unwrap()).unwrap();
        let mut options = HttpOptions::default();
        options.tls.identities_for = Some(origin("https://a.test"));
        let client = HttpClient::new(options);
        let shows = async |url: &str, bound: bool| {
            let used = client.http(&origin(url), bound).await.unwrap();
            client.0.identified.get().is_some_and(|identified| std::ptr::eq(identified, used))
        };
        assert!(shows("https://a.test/v2/", true).await);
        // Where secrets were left behind, at another host or port, and in the clear.
        assert!(!shows("https://a.test/v2/", false).await);
        for url in ["https://b.test", "https://a.test:444", "https://x.a.test", "http://a.test:443"]
        {
            assert!(!shows(url, true).await, "{url}");
        }
    }
}
