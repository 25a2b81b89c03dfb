//! `dir:` and its path.

use std::fmt;
use std::path::Path;

use async_trait::async_trait;
use cask_image::MediaType;
use cask_transport::{
    Capabilities, Error, ErrorKind, Location, PolicyIdentity, Result, Transaction, Transport,
    VerifiedSource, WriteOptions, blocking,
};

use crate::destination::DirTransaction;
use crate::source::DirSource;

pub(crate) const SCHEME: &str = "dir";

/// The `dir:` transport.
///
/// What follows the scheme is a path as the system takes it, colons and spaces included: absolute,
/// or relative to the working directory of whoever opens it. It is printed as it was parsed. An
/// empty path is refused, because it is rather a mistake than the working directory: that is `.`.
///
/// Source: containers/image, `docs/containers-transports.5.md`.
#[derive(Clone, Copy, Debug, Default)]
pub struct DirTransport;

impl Transport for DirTransport {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn parse(&self, rest: &str) -> Result<Box<dyn Location>> {
        let invalid = |detail| {
            Err(Error::new(
                ErrorKind::InvalidLocation,
                "parsing",
                format!("\"{SCHEME}:{}\"", rest.escape_debug()),
            )
            .with_detail(detail))
        };
        if rest.is_empty() {
            return invalid("the path is missing")
                .map_err(|error: Error| error.with_hint("the directory one is in is \".\""));
        }
        if rest.contains('\0') {
            return invalid("a path cannot contain a zero byte");
        }
        Ok(Box::new(DirLocation { path: rest.to_owned() }))
    }

    fn validate_policy_scope(&self, scope: &str) -> Result<()> {
        cask_transport::validate_path_scope(scope)
    }
}

/// A directory that holds one image, or will.
#[derive(Clone, Debug)]
struct DirLocation {
    /// As the user gave it.
    path: String,
}

impl fmt::Display for DirLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}:{}", self.path)
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
impl Location for DirLocation {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::none();
        capabilities.read = true;
        capabilities.reads_files = true;
        capabilities.write = true;
        capabilities.manifest_types = MANIFEST_TYPES;
        capabilities.index_types = INDEX_TYPES;
        capabilities.nested_indexes = true;
        capabilities.artifacts = true;
        capabilities.signatures = true;
        capabilities.concurrent_blobs = std::num::NonZeroUsize::MAX;
        capabilities
    }

    fn policy_identity(&self) -> Result<PolicyIdentity> {
        cask_transport::path_policy_identity(Path::new(&self.path))
    }

    async fn source(&self) -> Result<VerifiedSource> {
        let path = self.path.clone();
        let source = blocking(move || DirSource::open(Path::new(&path))).await?;
        Ok(VerifiedSource::new(source))
    }

    async fn begin(&self, options: &WriteOptions) -> Result<Box<dyn Transaction>> {
        if !options.additional_names.is_empty() {
            return Err(Error::new(ErrorKind::Unsupported, "writing to", self)
                .with_detail("a directory has no names to add"));
        }
        let path = self.path.clone();
        Ok(Box::new(blocking(move || DirTransaction::begin(&path)).await?))
    }
}
