//! Clients that are in a hurry.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cask_auth::{Credential, Fixed};
use cask_image::Hasher;
use cask_reference::{Algorithm, Digest, Repository as Name, Tag};
use cask_registry::{Client, ClientOptions, Event, HostSettings, Repository, Selector};

/// Quick retries and deadlines; `http`, because the servers are on loopback.
pub(crate) fn options() -> ClientOptions {
    let mut options = ClientOptions::default();
    options.http.retry.first_delay = Duration::from_millis(2);
    options.http.retry.budget = Duration::from_secs(5);
    options.http.deadlines.stall_window = Duration::from_millis(200);
    options.http.deadlines.stall_bytes = 1000;
    options.http.deadlines.response = Duration::from_millis(600);
    options.hosts = Arc::new(|_| {
        let mut settings = HostSettings::default();
        settings.danger_http = true;
        Ok(settings)
    });
    options
}

/// The secrets that no one else may see.
pub(crate) const USER: &str = "alice";
pub(crate) const PASSWORD: &str = "hunter2hunter2";

pub(crate) fn with_password(mut options: ClientOptions) -> ClientOptions {
    options.keychain = Arc::new(Fixed::new(Credential::basic(USER, PASSWORD)));
    options
}

pub(crate) fn repository(options: ClientOptions, address: &str) -> Repository {
    Client::new(options).repository(&Name::new(address, "a/b").unwrap())
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

pub(crate) fn tag(text: &str) -> Selector {
    Selector::from(text.parse::<Tag>().unwrap())
}

pub(crate) fn noise(len: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(step).collect()
}

pub(crate) const MANIFEST: &str = concat!(
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
    r#""config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"#,
    r#""sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"#,
    r#""layers":[]}"#
);
pub(crate) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// Collects what is told.
pub(crate) fn events(options: &mut ClientOptions) -> Arc<Mutex<Vec<Event>>> {
    let all: Arc<Mutex<Vec<Event>>> = Arc::default();
    let sink = Arc::clone(&all);
    options.events = Some(Arc::new(move |event| sink.lock().unwrap().push(event.clone())));
    all
}
