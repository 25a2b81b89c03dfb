//! `dir:` and its path.

use std::fmt;
use std::path::{Path, PathBuf};

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
/// Source: containers/image, `docs/containers-transports.5.md`.
#[derive(Clone, Copy, Debug, Default)]
pub struct DirTransport;

impl Transport for DirTransport {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn parse(&self, rest: &str) -> Result<Box<dyn Location>> {
        if rest.contains('\0') {
            return Err(Error::new(ErrorKind::InvalidLocation, "parsing", format!("{rest:?}"))
                .with_detail("a path cannot contain a zero byte"));
        }
        Ok(Box::new(DirLocation { path: rest.into() }))
    }

    fn validate_policy_scope(&self, scope: &str) -> Result<()> {
        cask_trust::validate_path_scope(scope).map_err(|error| {
            Error::new(ErrorKind::InvalidLocation, "", "").with_detail(error.to_string())
        })
    }
}

/// A directory that holds one image, or will.
#[derive(Clone, Debug)]
struct DirLocation {
    path: PathBuf,
}

impl fmt::Display for DirLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}:{}", self.path.display())
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
        let resolved = resolve_existing_parts(&self.path)?;
        // The root itself is covered by the transport's default scope.
        let namespaces = resolved
            .ancestors()
            .skip(1)
            .filter(|parent| parent.parent().is_some())
            .map(|parent| parent.display().to_string())
            .collect();
        Ok(PolicyIdentity { identity: resolved.display().to_string(), namespaces })
    }

    async fn source(&self) -> Result<VerifiedSource> {
        let path = self.path.clone();
        let source = blocking(move || DirSource::open(&path)).await?;
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

/// The absolute path without symbolic links; the last part need not exist yet.
fn resolve_existing_parts(path: &Path) -> Result<PathBuf> {
    let fail = |error| Error::from_io(error, "resolving", path.display());
    match path.canonicalize() {
        Ok(resolved) => Ok(resolved),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let absolute = std::path::absolute(path).map_err(fail)?;
            let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
                return Err(fail(error));
            };
            Ok(parent.canonicalize().map_err(fail)?.join(name))
        }
        Err(error) => Err(fail(error)),
    }
}
