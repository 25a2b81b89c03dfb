//! `docker-daemon:` and an image of the daemon.

use std::fmt;

use async_trait::async_trait;
use cask_archive::Durability;
use cask_docker_tar::{DockerArchiveWriter, Layout, Selector};
use cask_docker_tar_seam::{DockerTarSource, DockerTarTransaction, of_docker_tar};
use cask_image::{Algorithm, Digest, MediaType};
use cask_reference::Reference;
use cask_transport::{
    Capabilities, Error, ErrorKind, LayerForm, Location, PolicyIdentity, Result, Transaction,
    Transport, VerifiedSource, WriteOptions,
};

use crate::DockerDaemonOptions;
use crate::client::Client;
use crate::destination::DockerDaemonTransaction;
use crate::download::download;
use crate::upload::Upload;

const SCHEME: &str = "docker-daemon";

/// The `docker-daemon:` transport.
///
/// Source: containers/image, `docs/containers-transports.5.md`.
#[derive(Clone, Debug, Default)]
pub struct DockerDaemonTransport(DockerDaemonOptions);

impl DockerDaemonTransport {
    /// Makes a transport whose locations have the options.
    pub fn new(options: DockerDaemonOptions) -> Self {
        Self(options)
    }
}

impl Transport for DockerDaemonTransport {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn parse(&self, rest: &str) -> Result<Box<dyn Location>> {
        let image = parse_image(rest)?;
        Ok(Box::new(DockerDaemonLocation { image, options: self.0.clone() }))
    }

    fn validate_policy_scope(&self, scope: &str) -> Result<()> {
        // An ID is in no namespace, and no host is called so.
        if scope.parse::<Digest>().is_ok() {
            let detail =
                format!("docker-daemon: can not use algo:digest value {scope} as a namespace");
            return Err(invalid(detail));
        }
        Ok(())
    }
}

fn invalid(detail: String) -> Error {
    Error::new(ErrorKind::InvalidLocation, "", "").with_detail(detail)
}

/// An image as the daemon knows it.
#[derive(Clone, Debug)]
enum Image {
    /// By the digest of its config.
    Id(Digest),
    /// By its name, and either a tag or a digest.
    Named(Reference),
}

/// Parses what follows the scheme.
///
/// Source: containers/image, `daemon.ParseReference` and `NewReference`.
fn parse_image(text: &str) -> Result<Image> {
    if let Ok(id) = text.parse::<Digest>() {
        if id.algorithm() != Algorithm::Sha256 {
            return Err(invalid(format!(
                "Invalid docker-daemon: reference {text}: only digest algorithm sha256 accepted"
            )));
        }
        return Ok(Image::Id(id));
    }
    let name = Reference::parse_normalized(text).map_err(|error| {
        Error::new(ErrorKind::InvalidLocation, "docker-daemon parsing reference", "")
            .with_source(error)
    })?;
    if name.repository().familiar() == "sha256" {
        return Err(invalid(format!(
            "Invalid docker-daemon: reference {text}: The sha256 repository name is reserved for \
             (non-shortened) digest references"
        )));
    }
    if name.is_name_only() {
        let name = name.familiar();
        return Err(invalid(format!(
            "docker-daemon: reference {name} has neither a tag nor a digest"
        ))
        .with_hint(format!("{SCHEME}:{name}:latest is the image without a tag")));
    }
    if name.tag().is_some() && name.digest().is_some() {
        return Err(invalid(format!(
            "docker-daemon: reference {} has both a tag and a digest",
            name.familiar()
        )));
    }
    Ok(Image::Named(name))
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Named(name) => f.write_str(&name.familiar()),
        }
    }
}

/// An image of a daemon.
#[derive(Clone, Debug)]
struct DockerDaemonLocation {
    image: Image,
    options: DockerDaemonOptions,
}

impl DockerDaemonLocation {
    /// The name that an image can be written under.
    fn tagged(&self) -> Option<&Reference> {
        self.reference().filter(|name| name.tag().is_some())
    }

    fn names(&self, options: &WriteOptions) -> Result<Vec<Reference>> {
        let Some(own) = self.tagged() else {
            let detail = format!(
                "Invalid destination docker-daemon:{}: a destination must be a name:tag",
                self.image
            );
            return Err(Error::new(ErrorKind::Unsupported, "", "").with_detail(detail).with_hint(
                "the daemon computes IDs itself: name the image, docker-daemon:NAME:TAG",
            ));
        };
        let additional = options.additional_names.iter().cloned().map(Reference::with_default_tag);
        Ok(std::iter::once(own.clone()).chain(additional).collect())
    }

    fn write_options(&self, options: &WriteOptions) -> Result<cask_docker_tar::WriteOptions> {
        let mut write = cask_docker_tar::WriteOptions::default();
        write.layout = Layout::Classic;
        write.spool_directory.clone_from(&self.options.spool_directory);
        let seconds = options.timestamp_seconds.unwrap_or_default();
        write.modified_seconds = u64::try_from(seconds).map_err(|_| {
            Error::new(ErrorKind::Unsupported, "writing to", self)
                .with_detail("an archive has no times before 1970")
        })?;
        Ok(write)
    }
}

impl fmt::Display for DockerDaemonLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}:{}", self.image)
    }
}

#[async_trait]
impl Location for DockerDaemonLocation {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::none();
        capabilities.read = true;
        // By ID it is not: who begins is told why.
        capabilities.write = true;
        capabilities.manifest_types = &[MediaType::DockerManifest];
        capabilities.layer_form = LayerForm::AsGiven;
        // The daemon gives an archive, which has none.
        capabilities.keeps_manifests = false;
        capabilities.additional_names = true;
        capabilities
    }

    fn reference(&self) -> Option<&Reference> {
        match &self.image {
            Image::Named(name) => Some(name),
            Image::Id(_) => None,
        }
    }

    fn name(&self) -> Option<String> {
        self.reference().map(Reference::to_string)
    }

    /// Named images have the scopes of their names; those by ID are in none but the default.
    ///
    /// Source: containers/image, `daemonReference.PolicyConfigurationIdentity`.
    fn policy_identity(&self) -> Result<PolicyIdentity> {
        let Some(name) = self.reference() else {
            return Ok(PolicyIdentity { identity: String::new(), namespaces: Vec::new() });
        };
        let identity = name.policy_identity().expect("it has either a tag or a digest");
        Ok(PolicyIdentity { identity, namespaces: name.repository().policy_namespaces() })
    }

    async fn source(&self) -> Result<VerifiedSource> {
        let client = Client::new(&self.options);
        let archive = download(&client, &self.image.to_string(), &self.options.read).await?;
        Ok(VerifiedSource::new(DockerTarSource::new(archive, Selector::Only)))
    }

    async fn begin(&self, options: &WriteOptions) -> Result<Box<dyn Transaction>> {
        let names = self.names(options)?;
        let write = self.write_options(options)?;
        let client = Client::new(&self.options);
        // Who has to wait for layers from afar should know before that nobody takes them.
        client.ping().await?;
        let upload = Upload::new(client);
        let writer = DockerArchiveWriter::to_stream(upload.writer(), self.to_string(), &write);
        let writer = writer.map_err(of_docker_tar)?;
        let durability = Durability::Kernel;
        let archive = DockerTarTransaction::new_keeping_compression(writer, names, durability);
        Ok(Box::new(DockerDaemonTransaction::new(archive, upload)))
    }
}
