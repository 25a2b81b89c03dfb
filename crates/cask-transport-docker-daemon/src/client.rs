//! Requests to a daemon and its answers.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use cask_transport::{Error, ErrorKind, Result};
use http::{Method, Request, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::DockerDaemonOptions;
use crate::connection::connect;
use crate::message::{MAX_MESSAGE_BYTES, refusal};

/// What is sent along.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Asks a daemon. Every request has a connection of its own: there are few, and long ones.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    options: Arc<DockerDaemonOptions>,
}

/// A connection, which ends with this value.
struct Connection {
    sender: SendRequest<Body>,
    task: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The answer to a request.
pub(crate) struct Answer {
    operation: &'static str,
    status: StatusCode,
    body: Incoming,
    _connection: Connection,
}

impl Client {
    pub(crate) fn new(options: &DockerDaemonOptions) -> Self {
        Self { options: Arc::new(options.clone()) }
    }

    pub(crate) fn options(&self) -> &DockerDaemonOptions {
        &self.options
    }

    /// Sees whether there is a daemon.
    pub(crate) async fn ping(&self) -> Result<()> {
        let operation = "loading image to docker engine";
        let answer = self.get(operation, "/_ping").await?;
        match answer.status {
            status if status.is_server_error() => Err(answer.refusal(self).await),
            // Others than Docker may not know the question, and take images all the same.
            _ => Ok(()),
        }
    }

    /// Asks for something, and waits for the head of the answer.
    pub(crate) async fn get(&self, operation: &'static str, path: &str) -> Result<Answer> {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = self.send(operation, Method::GET, path, body);
        self.in_time(operation, request).await?
    }

    /// Sends a request, and waits for the head of the answer as long as it takes.
    pub(crate) async fn send(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<Answer> {
        let address = &self.options.address;
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", address.base()))
            .header(header::HOST, address.host_header())
            .header(header::USER_AGENT, concat!("cask/", env!("CARGO_PKG_VERSION")))
            .header(header::CONTENT_TYPE, "application/x-tar")
            .body(body)
            .expect("addresses and image names are fit for a URL");
        let stream = connect(operation, &self.options).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(operation, error))?;
        // How it ended is told to whoever waits for the answer.
        let task = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        let mut connection = Connection { sender, task };
        let answer = connection.sender.send_request(request).await;
        let (head, body) = answer.map_err(|error| broken(operation, error))?.into_parts();
        Ok(Answer { operation, status: head.status, body, _connection: connection })
    }

    /// Waits for the daemon, but not longer than it may be silent.
    pub(crate) async fn in_time<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = T>,
    ) -> Result<T> {
        let limit = self.options.silence_timeout;
        timeout(limit, work).await.map_err(|_| self.silent(operation))
    }

    /// The error of a daemon that has been silent for too long.
    pub(crate) fn silent(&self, operation: &'static str) -> Error {
        let seconds = self.options.silence_timeout.as_secs_f64();
        Error::new(ErrorKind::Network, operation, "")
            .with_detail(format!("the Docker daemon was silent for {seconds} seconds"))
    }
}

impl Answer {
    /// Whether the daemon did what it was asked for.
    pub(crate) fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The next bytes of the body; none at its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|error| broken(self.operation, error))?;
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                return Ok(Some(data));
            }
        }
    }

    /// Reads why the daemon refused.
    pub(crate) async fn refusal(mut self, client: &Client) -> Error {
        let mut said = Vec::new();
        while said.len() < MAX_MESSAGE_BYTES {
            match client.in_time(self.operation, self.next()).await {
                Ok(Ok(Some(bytes))) => said.extend_from_slice(&bytes),
                // The status says enough.
                _ => break,
            }
        }
        said.truncate(MAX_MESSAGE_BYTES);
        refusal(self.operation, self.status, &said)
    }
}

fn broken(operation: &'static str, error: hyper::Error) -> Error {
    Error::new(ErrorKind::Network, operation, "")
        .with_detail("the connection to the Docker daemon broke")
        .with_source(error)
}
