//! A transport of your own: images by name from a directory that holds one file for each blob.
//!
//! `shelf:DIRECTORY:NAME` reads `DIRECTORY/names/NAME`, a file with the digest of a manifest, and
//! `DIRECTORY/blobs/DIGEST`. It only reads. Digests are not checked here: whoever reads through
//! `VerifiedSource` has them checked for every transport.
//!
//! `cargo run -p examples --example own_transport -- shelf:DIRECTORY:NAME oci:layout:app`

use std::error::Error as StdError;
use std::fmt;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use cask::copy::{CopyOptions, copy};
use cask::image::{Descriptor, Digest, MAX_MANIFEST_BYTES, PlatformWanted, RawManifest};
use cask::transport::{
    Capabilities, Error, ErrorKind, Location, PolicyIdentity, Result, Selector, Source, Transport,
    UnverifiedBlob, UnverifiedManifest, VerifiedSource, blocking,
};
use cask::trust::Policy;

/// Parses what follows `shelf:`.
struct ShelfTransport;

impl Transport for ShelfTransport {
    fn scheme(&self) -> &'static str {
        "shelf"
    }

    fn parse(&self, rest: &str) -> Result<Box<dyn Location>> {
        let invalid = || {
            Error::new(ErrorKind::InvalidLocation, "parsing", format!("shelf:{rest}"))
                .with_detail("expected shelf:DIRECTORY:NAME")
        };
        let (directory, name) = rest.rsplit_once(':').ok_or_else(invalid)?;
        // A name from a user becomes a path here, so it must not lead anywhere else.
        if !name.chars().all(|it| it.is_ascii_alphanumeric()) || name.is_empty() {
            return Err(invalid());
        }
        Ok(Box::new(Shelf { directory: directory.into(), name: name.to_owned() }))
    }

    fn validate_policy_scope(&self, _scope: &str) -> Result<()> {
        Ok(())
    }
}

/// A name on a shelf.
#[derive(Clone, Debug)]
struct Shelf {
    directory: PathBuf,
    name: String,
}

impl fmt::Display for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shelf:{}:{}", self.directory.display(), self.name)
    }
}

#[async_trait]
impl Location for Shelf {
    fn scheme(&self) -> &'static str {
        "shelf"
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::none();
        capabilities.read = true;
        capabilities
    }

    fn policy_identity(&self) -> Result<PolicyIdentity> {
        Ok(PolicyIdentity { identity: self.name.clone(), namespaces: Vec::new() })
    }

    async fn source(&self) -> Result<VerifiedSource> {
        Ok(VerifiedSource::new(self.clone()))
    }
}

impl Shelf {
    /// Runs where it may block, as every transport to files does.
    async fn read(&self, path: PathBuf, limit: u64) -> Result<Vec<u8>> {
        blocking(move || {
            let fail = |error| Error::from_io(error, "reading", path.display());
            let mut bytes = Vec::new();
            let file = std::fs::File::open(&path).map_err(fail)?;
            file.take(limit).read_to_end(&mut bytes).map_err(fail)?;
            Ok(bytes)
        })
        .await
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.directory.join("blobs").join(digest.hex())
    }
}

#[async_trait]
impl Source for Shelf {
    async fn resolve(&self, _selector: &Selector) -> Result<Descriptor> {
        let text = self.read(self.directory.join("names").join(&self.name), 200).await?;
        let digest: Digest = String::from_utf8_lossy(&text).trim().parse().map_err(|error| {
            Error::new(ErrorKind::Corrupt, "reading the name", &self.name).with_source(error)
        })?;
        let bytes = self.read(self.blob_path(&digest), MAX_MANIFEST_BYTES + 1).await?;
        let manifest = RawManifest::guess(bytes).map_err(|error| {
            Error::new(ErrorKind::Corrupt, "reading manifest", &digest).with_source(error)
        })?;
        // The digest of the name counts, not the one of what lies there.
        Ok(Descriptor { digest, ..manifest.descriptor() })
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<UnverifiedManifest> {
        let path = self.blob_path(&descriptor.digest);
        Ok(UnverifiedManifest::new(self.read(path, MAX_MANIFEST_BYTES + 1).await?))
    }

    async fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<UnverifiedBlob> {
        let path = self.blob_path(&descriptor.digest);
        blocking(move || {
            let fail = |error| Error::from_io(error, "reading", path.display());
            let mut file = std::fs::File::open(&path).map_err(fail)?;
            file.seek(SeekFrom::Start(offset)).map_err(fail)?;
            Ok(UnverifiedBlob::from_read(file))
        })
        .await
    }
}

/// Copies from a shelf to any place.
pub async fn own_transport(from: &str, to: &str) -> Result<String, Box<dyn StdError>> {
    let transports = cask::transports(&cask::TransportOptions::default()).with(ShelfTransport);
    let (from, to) = (transports.parse(from)?, transports.parse(to)?);
    let policy = Arc::new(Policy::danger_accept_anything());
    let options = CopyOptions::new(policy, PlatformWanted::of_this_build());
    let report = copy(&*from, &*to, &options).await?;
    Ok(report.manifest.digest().to_string())
}

#[tokio::main]
#[allow(dead_code, reason = "the tests call the function above")]
#[allow(clippy::print_stdout, reason = "an example may print")]
async fn main() -> Result<(), Box<dyn StdError>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("usage: own_transport shelf:DIRECTORY:NAME TRANSPORT:DETAILS".into());
    };
    println!("{}", own_transport(&from, &to).await?);
    Ok(())
}
