//! `containers-storage:`, a store, and an image in it.

use std::error::Error as StdError;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use cask_image::MediaType;
use cask_reference::Reference;
use cask_storage::{ImageName, StorageReference, Store, StoreOptions, StoreSpecifier};
use cask_transport::{
    Capabilities, Collection, CollectionCapabilities, Error, ErrorKind, LayerForm, Location,
    PolicyIdentity, Result, Transaction, Transport, VerifiedSource, WriteOptions, blocking,
};

use crate::collection::StorageCollection;
use crate::destination::StorageTransaction;
use crate::error::of_storage;
use crate::source::StorageSource;

pub(crate) const SCHEME: &str = "containers-storage";

/// Opens the store that a location names; without a name, the one that the program means.
pub type OpenStore = Arc<
    dyn Fn(Option<&StoreSpecifier>, StoreUse) -> Result<Store, Box<dyn StdError + Send + Sync>>
        + Send
        + Sync,
>;

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreUse {
    /// Reading: nothing is made where there is no store.
    Read,
    /// Changing it.
    Change,
}

/// How stores are found.
#[derive(Clone)]
#[non_exhaustive]
pub struct ContainersStorageOptions {
    /// Opens stores. Default: the directories that a location names, with usual options; without
    /// any, the store of the system.
    pub store: OpenStore,
}

impl Default for ContainersStorageOptions {
    fn default() -> Self {
        Self {
            store: Arc::new(|specifier, used| {
                let mut options = options(specifier)?;
                options.read_only = used == StoreUse::Read;
                Ok(Store::open(options)?)
            }),
        }
    }
}

impl fmt::Debug for ContainersStorageOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContainersStorageOptions")
    }
}

/// What a location says of a store, with usual options besides.
fn options(specifier: Option<&StoreSpecifier>) -> cask_storage::Result<StoreOptions> {
    let mut options = StoreOptions::default();
    let Some(specifier) = specifier else { return Ok(options) };
    if !specifier.graph_root.as_os_str().is_empty() {
        options.graph_root.clone_from(&specifier.graph_root);
    }
    if let Some(run_root) = &specifier.run_root {
        options.run_root.clone_from(run_root);
    }
    if let Some(driver) = &specifier.driver {
        options.driver = Some(driver.parse()?);
    }
    Ok(options)
}

/// The `containers-storage:` transport.
///
/// Source: containers/image, `docs/containers-transports.5.md`, `storage/storage_transport.go`.
#[derive(Clone, Debug, Default)]
pub struct ContainersStorageTransport(ContainersStorageOptions);

impl ContainersStorageTransport {
    /// Makes a transport whose locations have the options.
    pub fn new(options: ContainersStorageOptions) -> Self {
        Self(options)
    }
}

impl Transport for ContainersStorageTransport {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn parse(&self, rest: &str) -> Result<Box<dyn Location>> {
        let reference: StorageReference = rest.parse().map_err(of_storage)?;
        // Which image it is may depend on what is there; what cannot be any is refused now.
        let text = reference.image();
        let is_name = |text: &str| Reference::parse_normalized(text).is_ok();
        let before_id = text.rsplit_once('@').map_or(text, |(before, _)| before);
        if !(is_name(text) || is_name(before_id) || text.starts_with('@')) {
            return Err(Error::new(ErrorKind::InvalidLocation, "", "")
                .with_detail(format!("{text:?} is no name of an image, and no ID")));
        }
        let name = Reference::parse_normalized(text).ok().map(Reference::with_default_tag);
        Ok(Box::new(StorageLocation { reference, name, options: self.0.clone() }))
    }

    fn validate_policy_scope(&self, scope: &str) -> Result<()> {
        let invalid = |detail: &str| {
            Err(Error::new(ErrorKind::InvalidLocation, "", "")
                .with_detail(format!("invalid scope {scope:?}: {detail}")))
        };
        let Some((store, name)) = scope.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        else {
            return invalid("it must begin with a store in brackets");
        };
        let root = store.split_once('@').map_or(store, |(_, root)| root);
        if !root.starts_with('/') {
            return invalid("the graph root must be an absolute path");
        }
        let (name, id) = match name.rsplit_once('@') {
            Some((name, id)) if !id.contains(':') => (name, Some(id)),
            _ => (name, None),
        };
        let is_id = |id: &str| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if id.is_some_and(|id| !is_id(id)) {
            return invalid("behind the @ must be a whole ID");
        }
        match name.is_empty()
            || Reference::parse_normalized(name).is_ok()
            || !name.contains(char::is_whitespace)
        {
            true => Ok(()),
            false => invalid("what follows the store is no name"),
        }
    }
}

/// A store and an image in it.
#[derive(Clone, Debug)]
struct StorageLocation {
    reference: StorageReference,
    /// The whole name, where the text is one and not the beginning of an ID.
    name: Option<Reference>,
    options: ContainersStorageOptions,
}

impl StorageLocation {
    fn open_store(&self, used: StoreUse) -> Result<Store> {
        (self.options.store)(self.reference.specifier(), used).map_err(|error| {
            match error.downcast::<cask_storage::Error>() {
                Ok(error) => of_storage(*error),
                Err(error) => {
                    Error::new(ErrorKind::Io, "opening the store of", self).with_source(error)
                }
            }
        })
    }

    async fn open(&self, used: StoreUse) -> Result<(Store, ImageName)> {
        let this = self.clone();
        blocking(move || {
            let store = this.open_store(used)?;
            let image = store.resolve(this.reference.image()).map_err(of_storage)?;
            Ok((store, image))
        })
        .await
    }
}

impl fmt::Display for StorageLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}:{}", self.reference)
    }
}

#[async_trait]
impl Location for StorageLocation {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::none();
        capabilities.read = true;
        capabilities.reads_files = true;
        capabilities.write = true;
        capabilities.collection = CollectionCapabilities { list: true, tag: true, delete: true };
        capabilities.manifest_types = &[MediaType::OciManifest, MediaType::DockerManifest];
        capabilities.signatures = true;
        capabilities.layer_form = LayerForm::AsGiven;
        capabilities.compares_layers = true;
        capabilities.concurrent_blobs = NonZeroUsize::MAX;
        capabilities.additional_names = true;
        capabilities.keeps_chosen_from = true;
        capabilities.deletes_by_name = true;
        capabilities
    }

    fn reference(&self) -> Option<&Reference> {
        self.name.as_ref()
    }

    fn name(&self) -> Option<String> {
        self.name.as_ref().map(ToString::to_string)
    }

    fn policy_identity(&self) -> Result<PolicyIdentity> {
        let store = self.open_store(StoreUse::Read)?;
        let root = store.graph_root().display();
        let place = format!("[{}@{root}]", store.driver());
        let image = store.resolve(self.reference.image()).map_err(of_storage)?;
        let mut namespaces = Vec::new();
        if let Some(name) = &image.name {
            if image.id.is_some() {
                namespaces.push(format!("{place}{name}"));
            }
            let below = name.repository().policy_namespaces();
            let real = below.into_iter().filter(|namespace| !namespace.starts_with("*."));
            namespaces.extend(real.map(|namespace| format!("{place}{namespace}")));
        }
        namespaces.extend([place.clone(), format!("[{root}]")]);
        Ok(PolicyIdentity { identity: format!("{place}{image}"), namespaces })
    }

    async fn source(&self) -> Result<VerifiedSource> {
        let (store, wanted) = self.open(StoreUse::Read).await?;
        blocking(move || {
            let image = store.find(&wanted).map_err(of_storage)?;
            Ok(VerifiedSource::new(StorageSource::new(store, image, wanted)))
        })
        .await
    }

    async fn begin(&self, options: &WriteOptions) -> Result<Box<dyn Transaction>> {
        let (store, image) = self.open(StoreUse::Change).await?;
        let mut names: Vec<String> = image.name.iter().map(ToString::to_string).collect();
        names.extend(options.additional_names.iter().map(ToString::to_string));
        let chosen_from = options.chosen_from.clone();
        Ok(Box::new(StorageTransaction::new(store, names, image.id, chosen_from)))
    }

    async fn collection(&self) -> Result<Box<dyn Collection>> {
        let (store, image) = self.open(StoreUse::Read).await?;
        let (store, image) = match store.graph_root().exists() {
            true => self.open(StoreUse::Change).await?,
            false => (store, image),
        };
        Ok(Box::new(StorageCollection::new(store, image)))
    }
}
