//! `oci:`, a path, and an image in the layout there.

use std::fmt;
use std::path::Path;

use async_trait::async_trait;
use cask_image::MediaType;
use cask_layout::{ImageChoice, Layout, LayoutOptions, LayoutReference};
use cask_layout_seam::{of_layout, of_name};
use cask_transport::{
    Capabilities, Collection, CollectionCapabilities, Error, ErrorKind, LayerForm, Location,
    PolicyIdentity, Result, Transaction, Transport, VerifiedSource, WriteOptions, blocking,
};

use crate::collection::OciCollection;
use crate::destination::OciTransaction;
use crate::source::OciSource;

pub(crate) const SCHEME: &str = "oci";

/// How layouts are read and written.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OciOptions {
    /// How layouts are opened: shared blobs, durability, locks.
    pub layout: LayoutOptions,
    /// Whether plain layers are written as they are. Otherwise they are to be compressed.
    pub accept_uncompressed_layers: bool,
}

/// The `oci:` transport.
///
/// Source: containers/image, `docs/containers-transports.5.md`.
#[derive(Clone, Debug, Default)]
pub struct OciTransport(OciOptions);

impl OciTransport {
    /// Makes a transport whose locations have the options.
    pub fn new(options: OciOptions) -> Self {
        Self(options)
    }
}

impl Transport for OciTransport {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn parse(&self, rest: &str) -> Result<Box<dyn Location>> {
        let reference = LayoutReference::parse(rest).map_err(|error| of_name(&error))?;
        Ok(Box::new(OciLocation { reference, options: self.0.clone() }))
    }

    fn validate_policy_scope(&self, scope: &str) -> Result<()> {
        cask_transport::validate_path_scope(scope)
    }
}

/// A layout and an image in it.
#[derive(Clone, Debug)]
struct OciLocation {
    reference: LayoutReference,
    options: OciOptions,
}

impl OciLocation {
    async fn open(&self) -> Result<Layout> {
        let (path, options) = (self.reference.path().to_owned(), self.options.layout.clone());
        blocking(move || Layout::open(path, options).map_err(of_layout)).await
    }

    fn writable(&self) -> bool {
        !matches!(self.reference.image(), ImageChoice::Position(_))
    }
}

impl fmt::Display for OciLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}:{}", self.reference)
    }
}

#[async_trait]
impl Location for OciLocation {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::none();
        capabilities.read = true;
        capabilities.reads_files = true;
        capabilities.write = self.writable();
        capabilities.collection = CollectionCapabilities { list: true, tag: true, delete: true };
        capabilities.deletes_by_name = true;
        capabilities.manifest_types = &[MediaType::OciManifest];
        capabilities.index_types = &[MediaType::OciIndex];
        capabilities.nested_indexes = true;
        capabilities.artifacts = true;
        capabilities.referrers = true;
        capabilities.foreign_layers = true;
        capabilities.layer_form = if self.options.accept_uncompressed_layers {
            LayerForm::AsGiven
        } else {
            LayerForm::Compressed
        };
        capabilities.tells_freely = true;
        capabilities.concurrent_blobs = std::num::NonZeroUsize::MAX;
        capabilities
    }

    fn name(&self) -> Option<String> {
        match self.reference.image() {
            ImageChoice::Name(name) => Some(name.to_string()),
            _ => None,
        }
    }

    fn policy_identity(&self) -> Result<PolicyIdentity> {
        cask_transport::path_policy_identity(Path::new(self.reference.path()))
    }

    async fn source(&self) -> Result<VerifiedSource> {
        let layout = self.open().await?;
        Ok(VerifiedSource::new(OciSource::new(layout, self.reference.image().clone())))
    }

    async fn begin(&self, options: &WriteOptions) -> Result<Box<dyn Transaction>> {
        let refused = |detail: String| {
            Err(Error::new(ErrorKind::Unsupported, "writing to", self).with_detail(detail))
        };
        let name = match self.reference.image() {
            ImageChoice::Only => None,
            ImageChoice::Name(name) => Some(name.clone()),
            ImageChoice::Position(position) => {
                return refused(format!(
                    "Destination reference must not contain a manifest index @{position}"
                ));
            }
            _ => return refused("this way to choose an image is for reading only".to_owned()),
        };
        if !options.additional_names.is_empty() {
            return refused("an image in a layout is written under one name".to_owned());
        }
        let (path, options) = (self.reference.path().to_owned(), self.options.layout.clone());
        let transaction = blocking(move || {
            let layout = Layout::create_or_open(path, options).map_err(of_layout)?;
            layout.begin().map_err(of_layout)
        });
        let path = self.reference.path().to_owned();
        Ok(Box::new(OciTransaction::new(transaction.await?, path, name)))
    }

    async fn collection(&self) -> Result<Box<dyn Collection>> {
        let layout = self.open().await?;
        Ok(Box::new(OciCollection::new(layout, self.reference.image().clone())))
    }
}
