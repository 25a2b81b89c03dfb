//! The suite that every transport passes, against a registry in this process.

use std::path::Path;
use std::sync::Arc;

use cask_registry::{Client, ClientOptions, HostSettings};
use cask_testkit::conformance::{self, Place};
use cask_testkit::registry::Registry;
use cask_transport::Transports;
use cask_transport_docker::{DockerOptions, DockerTransport};

fn transports() -> Transports {
    let mut client = ClientOptions::default();
    client.hosts = Arc::new(|_| {
        let mut settings = HostSettings::default();
        settings.danger_http = true;
        Ok(settings)
    });
    let options = DockerOptions { client: Client::new(client), ..DockerOptions::default() };
    Transports::new().with(DockerTransport::new(options))
}

/// A path as the path of a repository.
fn repository(path: &Path) -> String {
    let last = path.file_name().and_then(|name| name.to_str()).expect("cases have names");
    last.to_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_keeps_the_promises_of_the_seam() {
    let registry = Registry::start().await;
    let host = registry.host();
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let place = Place::new(transports(), directory.path(), move |path, name| {
        format!("docker://{host}/{}:{}", repository(path), name.unwrap_or("latest"))
    });
    // Blobs that no manifest names are the registry's to remove.
    let place = place.with_litter(Vec::new);
    assert_eq!(conformance::run(&place).await, 21);
}
