//! The transports that the features switch on, as one set.

use std::path::PathBuf;
#[cfg(any(feature = "containers-storage", feature = "docker"))]
use std::sync::Arc;

use cask_transport::Transports;

/// What the transports have to know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransportOptions {
    /// Where large temporary files go: archives that come through a pipe or compressed.
    pub temporary_directory: PathBuf,
    /// Where layouts keep their blobs together; `None` has each keep its own.
    pub shared_blob_directory: Option<PathBuf>,
    /// An image that is written to an archive that exists is added to it. Otherwise an OCI archive
    /// is replaced, and a Docker archive is an error.
    pub extend_archives: bool,
    /// A new Docker archive is an OCI layout too, which keeps manifests and compressed layers.
    pub hybrid_docker_archives: bool,
    /// How stores are found.
    #[cfg(feature = "containers-storage")]
    pub containers_storage: cask_transport_containers_storage::ContainersStorageOptions,
    /// How registries are found and spoken to.
    #[cfg(feature = "docker")]
    pub docker: cask_transport_docker::DockerOptions,
    /// Which Docker daemon, and how it is reached. Its temporary files go to
    /// [`temporary_directory`](Self::temporary_directory) whatever is said here.
    #[cfg(feature = "docker-daemon")]
    pub docker_daemon: cask_transport_docker_daemon::DockerDaemonOptions,
}

impl Default for TransportOptions {
    /// Temporary files go to `/var/tmp`: `/tmp` is memory on many machines.
    fn default() -> Self {
        Self {
            temporary_directory: "/var/tmp".into(),
            shared_blob_directory: None,
            extend_archives: false,
            hybrid_docker_archives: false,
            #[cfg(feature = "containers-storage")]
            containers_storage: Default::default(),
            #[cfg(feature = "docker")]
            docker: cask_transport_docker::DockerOptions::default(),
            #[cfg(feature = "docker-daemon")]
            docker_daemon: cask_transport_docker_daemon::DockerDaemonOptions::default(),
        }
    }
}

impl TransportOptions {
    /// Has `containers-storage:` mean a store that is open, wherever a location names no other.
    #[cfg(feature = "containers-storage")]
    #[must_use]
    pub fn with_store(mut self, store: cask_storage::Store) -> Self {
        let usual = Arc::clone(&self.containers_storage.store);
        self.containers_storage.store = Arc::new(move |specifier, used| match specifier {
            None => Ok(store.clone()),
            Some(_) => usual(specifier, used),
        });
        self
    }

    /// Has a registry, by its host and port, be spoken to without TLS. Who stands between can read
    /// and change everything that is not checked by a digest, passwords among it.
    #[cfg(feature = "docker")]
    #[must_use]
    pub fn danger_with_plain_http(mut self, registry: impl Into<String>) -> Self {
        let registry = registry.into();
        let mut options = cask_registry::ClientOptions::default();
        options.hosts = Arc::new(move |host| {
            let mut settings = cask_registry::HostSettings::default();
            settings.danger_http = host == registry;
            Ok(settings)
        });
        let client = cask_registry::Client::new(options);
        self.docker.client_elsewhere = client.clone();
        self.docker.client = client;
        self
    }
}

/// Makes the set of all transports that this crate's features switch on.
pub fn transports(options: &TransportOptions) -> Transports {
    let transports = Transports::new();
    #[cfg(feature = "containers-storage")]
    let transports =
        transports.with(cask_transport_containers_storage::ContainersStorageTransport::new(
            options.containers_storage.clone(),
        ));
    #[cfg(feature = "dir")]
    let transports = transports.with(cask_transport_dir::DirTransport);
    #[cfg(feature = "docker")]
    let transports =
        transports.with(cask_transport_docker::DockerTransport::new(options.docker.clone()));
    #[cfg(feature = "docker-archive")]
    let transports = transports.with(docker_archive(options));
    #[cfg(feature = "docker-daemon")]
    let transports = transports.with(docker_daemon(options));
    #[cfg(feature = "oci")]
    let transports = transports.with(oci(options));
    #[cfg(feature = "oci-archive")]
    let transports = transports.with(oci_archive(options));
    transports
}

#[cfg(feature = "oci")]
fn oci(options: &TransportOptions) -> cask_transport_oci::OciTransport {
    let mut oci = cask_transport_oci::OciOptions::default();
    oci.layout.shared_blob_dir.clone_from(&options.shared_blob_directory);
    cask_transport_oci::OciTransport::new(oci)
}

#[cfg(feature = "docker-archive")]
fn docker_archive(
    options: &TransportOptions,
) -> cask_transport_docker_archive::DockerArchiveTransport {
    use cask_transport_docker_archive::{
        DockerArchiveOptions, DockerArchiveTransport, ExistingArchive, Layout,
    };
    let mut archive = DockerArchiveOptions::default();
    archive.read.spool_directory.clone_from(&options.temporary_directory);
    if options.extend_archives {
        archive.existing = ExistingArchive::Extended;
    }
    if options.hybrid_docker_archives {
        archive.layout = Layout::Hybrid;
    }
    DockerArchiveTransport::new(archive)
}

#[cfg(feature = "docker-daemon")]
fn docker_daemon(
    options: &TransportOptions,
) -> cask_transport_docker_daemon::DockerDaemonTransport {
    let mut daemon = options.docker_daemon.clone();
    daemon.read.spool_directory.clone_from(&options.temporary_directory);
    daemon.spool_directory = Some(options.temporary_directory.clone());
    cask_transport_docker_daemon::DockerDaemonTransport::new(daemon)
}

#[cfg(feature = "oci-archive")]
fn oci_archive(options: &TransportOptions) -> cask_transport_oci_archive::OciArchiveTransport {
    use cask_transport_oci_archive::{ExistingArchive, OciArchiveOptions, OciArchiveTransport};
    let mut archive = OciArchiveOptions::default();
    archive.read.spool_directory.clone_from(&options.temporary_directory);
    if options.extend_archives {
        archive.existing = ExistingArchive::Extended;
    }
    OciArchiveTransport::new(archive)
}
