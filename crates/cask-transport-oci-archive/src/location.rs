//! `oci-archive:`, a path, and an image in the archive there.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use cask_archive::{
    ArchiveWriter, Durability, ExistingArchive, ReadOptions, STANDARD_STREAM, StandardInput,
    standard_output,
};
use cask_image::MediaType;
use cask_layout::{ImageChoice, LayoutReference, ReferenceName};
use cask_layout_seam::of_name;
use cask_transport::{
    Capabilities, Collection, CollectionCapabilities, Error, ErrorKind, LayerForm, Location,
    PolicyIdentity, Result, Transaction, Transport, VerifiedSource, WriteOptions, blocking,
    path_policy_identity, validate_path_scope,
};

use crate::archive::OciArchive;
use crate::collection::OciArchiveCollection;
use crate::destination::OciArchiveTransaction;
use crate::edit::Place;
use crate::error::of_tar;
use crate::source::OciArchiveSource;

pub(crate) const SCHEME: &str = "oci-archive";

/// How archives are read and written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OciArchiveOptions {
    /// How archives are opened: temporary files and limits.
    pub read: ReadOptions,
    /// What happens where an archive is already. Default: it is replaced, as skopeo does, but at
    /// once.
    pub existing: ExistingArchive,
    /// Whether plain layers are written as they are. Otherwise they are to be compressed.
    pub accept_uncompressed_layers: bool,
    /// What is certain when a commit returns.
    pub durability: Durability,
    /// The directory for data that has to wait for its place. Default: that of the archive, and
    /// `/var/tmp` for the standard output and pipes.
    pub spool_directory: Option<PathBuf>,
}

impl Default for OciArchiveOptions {
    fn default() -> Self {
        Self {
            read: ReadOptions::default(),
            existing: ExistingArchive::Replaced,
            accept_uncompressed_layers: false,
            durability: Durability::default(),
            spool_directory: None,
        }
    }
}

/// The `oci-archive:` transport.
///
/// Source: containers/image, `docs/containers-transports.5.md`.
#[derive(Clone, Debug, Default)]
pub struct OciArchiveTransport(OciArchiveOptions);

impl OciArchiveTransport {
    /// Makes a transport whose locations have the options.
    pub fn new(options: OciArchiveOptions) -> Self {
        Self(options)
    }
}

impl Transport for OciArchiveTransport {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn parse(&self, rest: &str) -> Result<Box<dyn Location>> {
        let reference = LayoutReference::parse(rest).map_err(|error| of_name(&error))?;
        let options = self.0.clone();
        Ok(Box::new(OciArchiveLocation { reference, options, input: StandardInput::default() }))
    }

    fn validate_policy_scope(&self, scope: &str) -> Result<()> {
        validate_path_scope(scope)
    }
}

/// An archive and an image in it.
#[derive(Clone, Debug)]
struct OciArchiveLocation {
    reference: LayoutReference,
    options: OciArchiveOptions,
    input: StandardInput<OciArchive>,
}

impl OciArchiveLocation {
    fn is_standard(&self) -> bool {
        self.reference.path() == STANDARD_STREAM
    }

    async fn open(&self) -> Result<OciArchive> {
        let this = self.clone();
        blocking(move || {
            if this.is_standard() {
                return this
                    .input
                    .open(&this.options.read, |archive| OciArchive::new(archive.map_err(of_tar)?));
            }
            OciArchive::open(Path::new(this.reference.path()), &this.options.read)
        })
        .await
    }

    /// Where and how an archive is written whose members have this time.
    fn place(&self, modified_seconds: u64) -> Place {
        let mut write = cask_archive::WriteOptions::default();
        write.modified_seconds = modified_seconds;
        write.existing = self.options.existing.of_file();
        write.spool_directory.clone_from(&self.options.spool_directory);
        Place {
            path: self.reference.path().into(),
            read: self.options.read.clone(),
            write,
            durability: self.options.durability,
        }
    }

    fn refused(&self, detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::new(ErrorKind::Unsupported, "writing to", self).with_detail(detail)
    }

    fn new_name(&self) -> Result<Option<ReferenceName>> {
        match self.reference.image() {
            ImageChoice::Only => Ok(None),
            ImageChoice::Name(name) => Ok(Some(name.clone())),
            ImageChoice::Position(position) => Err(self.refused(format!(
                "Destination reference must not contain a manifest index @{position}"
            ))),
            _ => Err(self.refused("this way to choose an image is for reading only")),
        }
    }

    /// Begins a new archive, or adds to the one that is there.
    fn transaction(
        &self,
        name: Option<ReferenceName>,
        modified_seconds: u64,
    ) -> Result<OciArchiveTransaction> {
        let place = self.place(modified_seconds);
        let durability = place.durability;
        if self.is_standard() {
            let stream = standard_output().map_err(of_tar)?;
            let writer = ArchiveWriter::to_stream(stream, "(standard output)", place.write);
            return Ok(OciArchiveTransaction::new(writer, name, durability));
        }
        if self.options.existing.extends(&place.path) {
            return OciArchiveTransaction::extend(&place, name);
        }
        let writer = ArchiveWriter::create(&place.path, place.write).map_err(of_tar)?;
        Ok(OciArchiveTransaction::new(writer, name, durability))
    }
}

impl fmt::Display for OciArchiveLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}:{}", self.reference)
    }
}

#[async_trait]
impl Location for OciArchiveLocation {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn capabilities(&self) -> Capabilities {
        let in_file = !self.is_standard();
        let mut capabilities = Capabilities::none();
        capabilities.read = true;
        capabilities.reads_files = true;
        capabilities.write = !matches!(self.reference.image(), ImageChoice::Position(_));
        capabilities.collection =
            CollectionCapabilities { list: true, tag: in_file, delete: in_file };
        capabilities.deletes_by_name = in_file;
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
        // A stream takes one after the other; the rest would have to wait in temporary files.
        capabilities.concurrent_blobs = if in_file { NonZeroUsize::MAX } else { NonZeroUsize::MIN };
        capabilities
    }

    fn name(&self) -> Option<String> {
        match self.reference.image() {
            ImageChoice::Name(name) => Some(name.to_string()),
            _ => None,
        }
    }

    fn policy_identity(&self) -> Result<PolicyIdentity> {
        if self.is_standard() {
            return Ok(PolicyIdentity { identity: String::new(), namespaces: Vec::new() });
        }
        path_policy_identity(Path::new(self.reference.path()))
    }

    async fn source(&self) -> Result<VerifiedSource> {
        let archive = self.open().await?;
        let chosen = self.reference.image().clone();
        Ok(VerifiedSource::new(OciArchiveSource::new(archive, chosen)))
    }

    async fn begin(&self, options: &WriteOptions) -> Result<Box<dyn Transaction>> {
        let name = self.new_name()?;
        if !options.additional_names.is_empty() {
            return Err(self.refused("an image in an OCI archive is written under one name"));
        }
        let seconds = options.timestamp_seconds.unwrap_or_default();
        let seconds = u64::try_from(seconds)
            .map_err(|_| self.refused("an archive has no times before 1970"))?;
        let this = self.clone();
        Ok(Box::new(blocking(move || this.transaction(name, seconds)).await?))
    }

    async fn collection(&self) -> Result<Box<dyn Collection>> {
        let archive = self.open().await?;
        let place = (!self.is_standard()).then(|| self.place(0));
        let chosen = self.reference.image().clone();
        Ok(Box::new(OciArchiveCollection::new(archive, chosen, place)))
    }
}
