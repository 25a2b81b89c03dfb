//! `docker:`, a repository, and an image in it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use cask_config::lookaside::LookasideConf;
use cask_config::registries::{Access, RegistriesConf};
use cask_image::MediaType;
use cask_reference::{Reference, Repository as RepositoryName};
use cask_registry::{Client, ClientOptions, Repository};
use cask_transfer::Transfers;
use cask_transport::{
    Capabilities, Collection, CollectionCapabilities, Error, ErrorKind, LayerForm, Location,
    PolicyIdentity, Result, Transaction, Transport, VerifiedSource, WriteOptions,
};

use crate::collection::DockerCollection;
use crate::destination::DockerTransaction;
use crate::error::of_config;
use crate::mirrors::SilentMirrors;
use crate::name::Name;
use crate::signatures::Signatures;
use crate::source::DockerSource;

pub(crate) const SCHEME: &str = "docker";

/// How registries are found and spoken to.
#[derive(Clone)]
pub struct DockerOptions {
    /// Speaks to registries; it knows the credentials and certificates for each.
    pub client: Client,
    /// Speaks to registries that the name does not mention: mirrors, and whatever it is rewritten
    /// to. Credentials that were given for the name alone do not belong here.
    pub client_elsewhere: Client,
    /// Says which registry a name means.
    pub registries: Registries,
    /// Says where the signatures of an image are.
    pub lookasides: Lookasides,
    /// Where transfers leave what the next process can go on with, and hints at where blobs are;
    /// with `None` they leave nothing.
    pub transfers: Option<Transfers>,
}

/// Gives the configuration of registries. Asked whenever a place is opened, never before, so that
/// whoever needs no registry reads no configuration.
pub type Registries =
    Arc<dyn Fn() -> Result<Arc<RegistriesConf>, cask_config::Error> + Send + Sync>;

/// Gives the configuration of signatures. Asked whenever a place is opened, never before.
pub type Lookasides = Arc<dyn Fn() -> Result<Arc<LookasideConf>, cask_config::Error> + Send + Sync>;

impl Default for DockerOptions {
    /// Everybody is anonymous, every name means what it says, and there are no signatures.
    fn default() -> Self {
        let registries = Arc::new(RegistriesConf::default());
        let lookasides = Arc::new(LookasideConf::default());
        let client = Client::new(ClientOptions::default());
        Self {
            client_elsewhere: client.clone(),
            client,
            registries: Arc::new(move || Ok(Arc::clone(&registries))),
            lookasides: Arc::new(move || Ok(Arc::clone(&lookasides))),
            transfers: None,
        }
    }
}

impl fmt::Debug for DockerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerOptions").field("client", &self.client).finish_non_exhaustive()
    }
}

/// The `docker:` transport.
///
/// Source: containers/image, `docs/containers-transports.5.md`.
#[derive(Clone, Debug)]
pub struct DockerTransport {
    options: DockerOptions,
    silent: Arc<SilentMirrors>,
}

impl DockerTransport {
    /// Makes a transport whose locations have the options.
    pub fn new(options: DockerOptions) -> Self {
        let silent = Arc::new(SilentMirrors::new(options.transfers.clone()));
        Self { options, silent }
    }
}

impl Transport for DockerTransport {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn parse(&self, rest: &str) -> Result<Box<dyn Location>> {
        let Self { options, silent } = self.clone();
        Ok(Box::new(DockerLocation { name: Name::parse(rest)?, options, silent }))
    }

    /// Every text may be a scope: a whole name, a part of one, or a wildcard.
    ///
    /// Source: containers/image, which does not check them either.
    fn validate_policy_scope(&self, _scope: &str) -> Result<()> {
        Ok(())
    }
}

/// An image in a registry.
#[derive(Clone, Debug)]
struct DockerLocation {
    name: Name,
    options: DockerOptions,
    silent: Arc<SilentMirrors>,
}

/// An image at one of the places where it may be.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) reference: Reference,
    pub(crate) repository: Repository,
}

/// The places where an image may be, in the order in which they are asked: mirrors, and then the
/// registry itself. There is at least one.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) all: Vec<Place>,
    pub(crate) silent: Arc<SilentMirrors>,
}

impl DockerLocation {
    fn reference(&self) -> &Reference {
        self.name.reference()
    }

    /// Where the image may be, in the order in which it is looked for.
    fn places(&self, access: Access) -> Result<Places> {
        let registries = (self.options.registries)().map_err(of_config)?;
        let resolved = registries.resolve(self.reference(), access).map_err(of_config)?;
        let place = |endpoint: &cask_config::registries::Endpoint| {
            let reference = endpoint.reference().clone();
            let DockerOptions { client, client_elsewhere, .. } = &self.options;
            let client = if endpoint.is_original_host() { client } else { client_elsewhere };
            let repository = client.repository(reference.repository());
            Place { repository, reference }
        };
        let all = resolved.endpoints().iter().map(place).collect();
        Ok(Places { all, silent: Arc::clone(&self.silent) })
    }

    /// The registry itself, to be written to.
    fn place(&self) -> Result<Place> {
        let place = self.places(Access::Write)?.all.pop();
        let Place { reference, repository } = place.expect("there is at least one place");
        Ok(Place { reference, repository: repository.for_writing() })
    }

    /// Where signatures are.
    fn signatures(&self) -> Result<Signatures> {
        let conf = (self.options.lookasides)().map_err(of_config)?;
        Ok(Signatures { conf, client: self.options.client_elsewhere.clone() })
    }

    /// Whether signatures can be written. What keeps that from being known shows when the place is
    /// opened.
    fn takes_signatures(&self) -> bool {
        match (self.signatures(), self.place()) {
            (Ok(signatures), Ok(place)) => signatures.can_write(&place),
            _ => true,
        }
    }

    fn is_nameless(&self) -> bool {
        self.reference().is_name_only()
    }
}

impl fmt::Display for DockerLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}:{}", self.name)
    }
}

const MANIFEST_TYPES: &[MediaType] = &[
    MediaType::OciManifest,
    MediaType::DockerManifest,
    MediaType::DockerSchema1Signed,
    MediaType::DockerSchema1,
];
const INDEX_TYPES: &[MediaType] = &[MediaType::OciIndex, MediaType::DockerManifestList];

#[async_trait]
impl Location for DockerLocation {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::none();
        capabilities.read = !self.is_nameless();
        capabilities.write = true;
        capabilities.collection = CollectionCapabilities { list: true, tag: true, delete: true };
        capabilities.manifest_types = MANIFEST_TYPES;
        capabilities.index_types = INDEX_TYPES;
        capabilities.nested_indexes = true;
        capabilities.artifacts = true;
        capabilities.referrers = true;
        capabilities.visible_with_top = true;
        capabilities.signatures = self.takes_signatures();
        capabilities.foreign_layers = true;
        capabilities.layer_form = LayerForm::Compressed;
        capabilities.tells_freely = true;
        capabilities.concurrent_blobs = std::num::NonZeroUsize::MAX;
        capabilities
    }

    fn reference(&self) -> Option<&Reference> {
        Some(self.name.reference())
    }

    fn name(&self) -> Option<String> {
        self.name.reference().tag().map(ToString::to_string)
    }

    fn policy_identity(&self) -> Result<PolicyIdentity> {
        Ok(self.name.policy_identity())
    }

    async fn source(&self) -> Result<VerifiedSource> {
        if self.is_nameless() {
            return Err(Error::new(ErrorKind::Unsupported, "reading", self)
                .with_detail("an unknown digest can only be written"));
        }
        let transfers = self.options.transfers.clone();
        let source = DockerSource::new(self.places(Access::Read)?, self.signatures()?, transfers);
        Ok(VerifiedSource::new(source))
    }

    async fn begin(&self, options: &WriteOptions) -> Result<Box<dyn Transaction>> {
        if !options.additional_names.is_empty() {
            return Err(Error::new(ErrorKind::Unsupported, "writing to", self)
                .with_detail("an image is written under one name"));
        }
        let from = options.copied_from.as_ref();
        let from = self.mountable_from(from);
        let transfers = self.options.transfers.clone();
        let signatures = self.signatures()?;
        Ok(Box::new(DockerTransaction::new(self.place()?, from, signatures, transfers)))
    }

    async fn collection(&self) -> Result<Box<dyn Collection>> {
        Ok(Box::new(DockerCollection::new(self.places(Access::Read)?, self.place()?)))
    }
}

impl DockerLocation {
    /// The other repository of the same registry that blobs can be mounted from.
    fn mountable_from(&self, copied_from: Option<&Reference>) -> Option<RepositoryName> {
        let resolved =
            (self.options.registries)().ok()?.resolve(copied_from?, Access::Write).ok()?;
        let from = resolved.primary()?.reference();
        let to = self.place().ok()?.reference;
        let is_sibling = from.domain() == to.domain() && from.path() != to.path();
        is_sibling.then(|| from.repository().clone())
    }
}
