//! What a URL leads to, as a stream of bytes.

use std::io::{self, Read};

use anyhow::{Result, bail};
use bytes::{Buf as _, Bytes};
use cask_http::{HttpClient, HttpOptions, Request};
use http::{HeaderName, HeaderValue, Method};
use tokio::sync::mpsc;
use url::Url;

use crate::registry;
use crate::settings::Settings;

/// How many pieces may wait to be read.
const WAITING: usize = 4;

/// Bytes as they come. Must be read on a thread that may wait.
#[derive(Debug)]
pub struct Download {
    pieces: mpsc::Receiver<Result<Bytes, cask_http::Error>>,
    piece: Bytes,
    headers: Vec<(String, String)>,
}

impl Download {
    /// What the server said beside the bytes; of headers that are no text, nothing.
    #[must_use]
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }
}

/// Opens a URL, without any secret of ours.
///
/// # Errors
/// What the server says if it does not give it; that it cannot be reached.
pub async fn open(url: &Url, settings: &Settings) -> Result<Download> {
    let mut options = HttpOptions::default();
    options.user_agent = format!("{}/{}", settings.program, env!("CARGO_PKG_VERSION"));
    options.proxies = registry::proxies();
    options.tls.system_roots = registry::system_roots();
    let response =
        HttpClient::new(options).execute(&Request::new(Method::GET, url.clone())).await?;
    if !response.status().is_success() {
        let (place, status) = (cask_http::redact_url(url), response.status());
        bail!("downloading {place}: the server answers {status}");
    }
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.to_string(), value.to_str().ok()?.to_owned()))
    };
    let headers = response.headers().iter().filter_map(text).collect();
    let (sender, pieces) = mpsc::channel(WAITING);
    let mut body = response.into_stream();
    tokio::spawn(async move {
        loop {
            let piece = match body.chunk().await {
                Ok(Some(piece)) => Ok(piece),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            let is_last = piece.is_err();
            if sender.send(piece).await.is_err() || is_last {
                return;
            }
        }
    });
    Ok(Download { pieces, piece: Bytes::new(), headers })
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
