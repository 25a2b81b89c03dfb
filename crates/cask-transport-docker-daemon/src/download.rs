//! Reading: an image comes as one stream, and is kept to be read at any place.

use std::io::{self, Read};

use bytes::Bytes;
use cask_archive::ReadOptions;
use cask_docker_tar::DockerArchive;
use cask_docker_tar_seam::of_docker_tar;
use cask_transport::{Cancellation, Error, ErrorKind, Result, blocking};
use tokio::runtime::Handle;

use crate::client::{Answer, Client};

const OPERATION: &str = "loading image from docker engine";

/// Has the daemon save an image, into a file without a name.
pub(crate) async fn download(
    client: &Client,
    image: &str,
    options: &ReadOptions,
) -> Result<DockerArchive> {
    let answer = client.get(OPERATION, &format!("/images/{image}/get")).await?;
    if !answer.is_success() {
        return Err(answer.refusal(client).await);
    }
    let cancellation = Cancellation::new();
    let _given_up = GiveUp(cancellation.clone());
    let name = format!("docker-daemon:{image}");
    let options = options.clone();
    let (client, runtime) = (client.clone(), Handle::current());
    let pending = Bytes::new();
    blocking(move || {
        let mut reader = Download { answer, client, runtime, cancellation, pending, failure: None };
        let archive = DockerArchive::from_reader(&mut reader, &name, &options);
        match reader.failure {
            Some(failure) => Err(failure),
            None => archive.map_err(of_docker_tar),
        }
    })
    .await
}

/// Ends the work on another thread when nobody waits for it any more.
struct GiveUp(Cancellation);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The body of an answer, for a thread that may block.
struct Download {
    answer: Answer,
    client: Client,
    runtime: Handle,
    cancellation: Cancellation,
    pending: Bytes,
    /// What went wrong, which says more than what comes out of the archive's reader.
    failure: Option<Error>,
}

impl Download {
    fn next(&mut self) -> Result<Option<Bytes>> {
        let Self { answer, client, runtime, cancellation, .. } = self;
        runtime.block_on(async {
            tokio::select! {
                next = client.in_time(OPERATION, answer.next()) => next?,
                () = cancellation.cancelled() => Err(Error::new(ErrorKind::Cancelled, OPERATION, "")),
            }
        })
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.pending.is_empty() {
            match self.next() {
                Ok(Some(bytes)) => self.pending = bytes,
                Ok(None) => return Ok(0),
                Err(error) => {
                    self.failure = Some(error);
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            }
        }
        let bytes = self.pending.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&self.pending.split_to(bytes));
        Ok(bytes)
    }
}
