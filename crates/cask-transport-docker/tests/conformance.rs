//! The suite that every transport passes, against a registry in this process.

use std::path::Path;
use std::sync::Arc;

use cask_config::lookaside::LookasideConf;
use cask_registry::{Client, ClientOptions, HostSettings};
use cask_testkit::conformance::{self, Place};
use cask_testkit::registry::Registry;
use cask_transport::Transports;
use cask_transport_docker::{DockerOptions, DockerTransport};

fn transports(signatures: Option<&Path>) -> Transports {
    let mut client = ClientOptions::default();
    client.hosts = Arc::new(|_| {
        let mut settings = HostSettings::default();
        settings.danger_http = true;
        Ok(settings)
    });
    let mut options = DockerOptions { client: Client::new(client), ..DockerOptions::default() };
    let conf = LookasideConf::default();
    let conf = Arc::new(match signatures {
        Some(directory) => conf.with_default_directory(directory),
        None => conf,
    });
    options.lookasides = Arc::new(move || Ok(Arc::clone(&conf)));
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
    let signatures = tempfile::tempdir().expect("a temporary directory can be made");
    for signatures in [None, Some(signatures.path())] {
        let (host, which) = (host.clone(), signatures.is_some());
        let place = Place::new(transports(signatures), directory.path(), move |path, name| {
            format!("docker://{host}/{which}/{}:{}", repository(path), name.unwrap_or("latest"))
        });
        // Blobs that no manifest names are the registry's to remove.
        let place = place.with_litter(Vec::new);
        assert_eq!(conformance::run(&place).await, 22);
    }
}
