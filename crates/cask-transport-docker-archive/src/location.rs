//! `docker-archive:`, a path, and an image in the archive there.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use cask_archive::{
    Durability, ExistingArchive, ReadOptions, STANDARD_STREAM, StandardInput, standard_output,
};
use cask_docker_tar::{DockerArchive, DockerArchiveWriter, Layout, Selector};
use cask_docker_tar_seam::{DockerTarSource, DockerTarTransaction, of_archive, of_docker_tar};
use cask_image::MediaType;
use cask_reference::Reference;
use cask_transport::{
    Capabilities, Collection, CollectionCapabilities, Error, ErrorKind, LayerForm, Location,
    PolicyIdentity, Result, Transaction, Transport, VerifiedSource, WriteOptions, blocking,
};

use crate::collection::DockerArchiveCollection;

pub(crate) const SCHEME: &str = "docker-archive";

/// How archives are read and written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DockerArchiveOptions {
    /// How archives are opened: temporary files and limits.
    pub read: ReadOptions,
    /// The layout of new archives. The hybrid one keeps OCI manifests and compressed layers.
    pub layout: Layout,
    /// What happens where an archive is already. Default: it is refused, as skopeo does.
    pub existing: ExistingArchive,
    /// What is certain when a commit returns.
    pub durability: Durability,
    /// The directory for data that has to wait for its place. Default: that of the archive, and
    /// `/var/tmp` for the standard output and pipes.
    pub spool_directory: Option<PathBuf>,
}

impl Default for DockerArchiveOptions {
    fn default() -> Self {
        Self {
            read: ReadOptions::default(),
            layout: Layout::default(),
            existing: ExistingArchive::Refused,
            durability: Durability::default(),
            spool_directory: None,
        }
    }
}

/// The `docker-archive:` transport.
///
/// Source: containers/image, `docs/containers-transports.5.md`.
#[derive(Clone, Debug, Default)]
pub struct DockerArchiveTransport(DockerArchiveOptions);

impl DockerArchiveTransport {
    /// Makes a transport whose locations have the options.
    pub fn new(options: DockerArchiveOptions) -> Self {
        Self(options)
    }
}

impl Transport for DockerArchiveTransport {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn parse(&self, rest: &str) -> Result<Box<dyn Location>> {
        let (path, image) = match rest.split_once(':') {
            Some((path, image)) => (path, parse_image(image)?),
            None => (rest, Selector::Only),
        };
        if path.is_empty() || path.contains('\0') {
            return Err(invalid(format!(
                "docker-archive reference {rest:?} isn't of the form <path>[:<reference>]"
            )));
        }
        Ok(Box::new(DockerArchiveLocation {
            path: path.into(),
            image,
            options: self.0.clone(),
            input: StandardInput::default(),
        }))
    }

    fn validate_policy_scope(&self, _scope: &str) -> Result<()> {
        let detail = "docker-archive: does not support any scopes except the default \"\" one";
        Err(invalid(detail.to_owned()))
    }
}

fn invalid(detail: String) -> Error {
    Error::new(ErrorKind::InvalidLocation, "", "").with_detail(detail)
}

/// What follows the path and its colon.
fn parse_image(text: &str) -> Result<Selector> {
    if let Some(position) = text.strip_prefix('@') {
        return parse_position(position).map(Selector::Position);
    }
    let parsed = Reference::parse_normalized(text).map_err(|error| {
        Error::new(ErrorKind::InvalidLocation, "docker-archive parsing reference", "")
            .with_source(error)
    })?;
    match (parsed.digest(), parsed.tag()) {
        (Some(_), Some(_)) => {
            Err(invalid(format!("docker-archive doesn't support digest references: {parsed}")))
        }
        (Some(_), None) => Err(invalid(format!("reference does not include a tag: {parsed}"))),
        (None, _) => Ok(Selector::Name(parsed.with_default_tag())),
    }
}

/// Reads a position as Go's `strconv.Atoi` does: a sign is allowed, and so are leading zeros.
fn parse_position(text: &str) -> Result<usize> {
    match text.parse::<i64>() {
        Ok(position) => usize::try_from(position).map_err(|_| {
            invalid(format!("Invalid source index @{position}: must not be negative"))
        }),
        Err(_) => Err(invalid(format!("Invalid source index @{text}: not an integer"))),
    }
}

/// An archive and an image in it.
#[derive(Clone, Debug)]
struct DockerArchiveLocation {
    path: Box<str>,
    image: Selector,
    options: DockerArchiveOptions,
    input: StandardInput<DockerArchive>,
}

impl DockerArchiveLocation {
    fn is_standard(&self) -> bool {
        &*self.path == STANDARD_STREAM
    }

    async fn open(&self) -> Result<DockerArchive> {
        let this = self.clone();
        blocking(move || {
            if this.is_standard() {
                return this.input.open(&this.options.read, |archive| {
                    DockerArchive::from_archive(archive.map_err(of_archive)?).map_err(of_docker_tar)
                });
            }
            DockerArchive::open(&*this.path, &this.options.read).map_err(of_docker_tar)
        })
        .await
    }

    fn names(&self, options: &WriteOptions) -> Result<Vec<Reference>> {
        let own = match &self.image {
            Selector::Name(reference) => Some(reference.clone()),
            Selector::Position(position) => {
                return Err(Error::new(ErrorKind::Unsupported, "writing to", self).with_detail(
                    format!("destination reference must not contain a manifest index @{position}"),
                ));
            }
            _ => None,
        };
        let additional = options.additional_names.iter().cloned().map(Reference::with_default_tag);
        Ok(own.into_iter().chain(additional).collect())
    }

    fn write_options(&self, options: &WriteOptions) -> Result<cask_docker_tar::WriteOptions> {
        let mut write = cask_docker_tar::WriteOptions::default();
        write.layout = self.options.layout;
        write.existing = self.options.existing.of_file();
        write.spool_directory.clone_from(&self.options.spool_directory);
        let seconds = options.timestamp_seconds.unwrap_or_default();
        write.modified_seconds = u64::try_from(seconds).map_err(|_| {
            Error::new(ErrorKind::Unsupported, "writing to", self)
                .with_detail("an archive has no times before 1970")
        })?;
        Ok(write)
    }

    /// Begins a new archive, or adds to the one that is there.
    fn writer(&self, options: &cask_docker_tar::WriteOptions) -> Result<DockerArchiveWriter> {
        let path = Path::new(&*self.path);
        if self.is_standard() {
            let stream = standard_output().map_err(of_archive)?;
            let writer = DockerArchiveWriter::to_stream(stream, "(standard output)", options);
            return writer.map_err(of_docker_tar);
        }
        let writer = if self.options.existing.extends(path) {
            DockerArchiveWriter::append_to(path, options, &self.options.read)
        } else {
            DockerArchiveWriter::create(path, options)
        };
        let writer = writer.map_err(|error| match error.kind() {
            // The words of containers/image, which scripts search for.
            cask_docker_tar::ErrorKind::Archive(cask_archive::ErrorKind::Exists) => {
                Error::new(ErrorKind::AlreadyExists, "writing to", self)
                    .with_detail("docker-archive doesn't support modifying existing images")
            }
            _ => of_docker_tar(error),
        })?;
        if writer.layout() != self.options.layout && self.options.layout == Layout::Hybrid {
            return Err(Error::new(ErrorKind::Unsupported, "adding to", self)
                .with_detail("the archive has no OCI layout that could be added to"));
        }
        Ok(writer)
    }
}

impl fmt::Display for DockerArchiveLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}:{}", self.path)?;
        match &self.image {
            Selector::Name(reference) => write!(f, ":{reference}"),
            Selector::Position(position) => write!(f, ":@{position}"),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Location for DockerArchiveLocation {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::none();
        capabilities.read = true;
        capabilities.reads_files = true;
        capabilities.write = !matches!(self.image, Selector::Position(_));
        capabilities.collection =
            CollectionCapabilities { list: true, ..CollectionCapabilities::default() };
        match self.options.layout {
            Layout::Hybrid => {
                capabilities.manifest_types = &[MediaType::OciManifest];
                capabilities.layer_form = LayerForm::AsGiven;
            }
            _ => {
                capabilities.manifest_types = &[MediaType::DockerManifest];
                capabilities.layer_form = LayerForm::Uncompressed;
            }
        }
        // Reading makes a manifest, whatever the archive was written from.
        capabilities.keeps_manifests = false;
        capabilities.additional_names = true;
        // A stream takes one after the other; the rest would have to wait in temporary files.
        let all = NonZeroUsize::MAX;
        capabilities.concurrent_blobs = if self.is_standard() { NonZeroUsize::MIN } else { all };
        capabilities
    }

    fn reference(&self) -> Option<&Reference> {
        match &self.image {
            Selector::Name(reference) => Some(reference),
            _ => None,
        }
    }

    fn name(&self) -> Option<String> {
        self.reference().map(Reference::to_string)
    }

    /// The policy knows only one scope for all archives.
    fn policy_identity(&self) -> Result<PolicyIdentity> {
        Ok(PolicyIdentity { identity: String::new(), namespaces: Vec::new() })
    }

    async fn source(&self) -> Result<VerifiedSource> {
        let archive = self.open().await?;
        Ok(VerifiedSource::new(DockerTarSource::new(archive, self.image.clone())))
    }

    async fn begin(&self, options: &WriteOptions) -> Result<Box<dyn Transaction>> {
        let names = self.names(options)?;
        let write = self.write_options(options)?;
        let this = self.clone();
        let writer = blocking(move || this.writer(&write)).await?;
        let durability = self.options.durability;
        let layout = self.options.layout;
        Ok(Box::new(DockerTarTransaction::new(writer, layout, names, durability)))
    }

    async fn collection(&self) -> Result<Box<dyn Collection>> {
        Ok(Box::new(DockerArchiveCollection::new(self.open().await?)))
    }
}
