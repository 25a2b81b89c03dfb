//! Artifacts from registries and to them.

use cask_copy::{CopyOptions, LayersWanted, Report, copy};
use cask_storage::FileLock;
use cask_transport::{Location, Transports};

use super::{StoredArtifacts, check_name, unknown};
use crate::images::on_thread;
use crate::{Error, ErrorKind, Result};

impl StoredArtifacts {
    /// Has an artifact of a registry in the store, under the name that it has there. One that had the name is gone
    /// then.
    ///
    /// Source: containers/common, `libartifact/store`, `Pull`, which leaves the one before there without a name.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]; [`ErrorKind::Transfer`]; [`ErrorKind::Storage`].
    pub async fn pull(
        &self,
        name: &str,
        transports: &Transports,
        options: &CopyOptions,
    ) -> Result<Report> {
        check_name(name)?;
        let from = transports.parse(&format!("docker://{name}"))?;
        let to = self.location(name, transports)?;
        let own = self.clone();
        let _held: FileLock = on_thread(move || {
            own.make()?;
            own.hold(true)
        })
        .await?;
        let (own, wanted) = (self.clone(), name.to_owned());
        let before = on_thread(move || {
            let is_it = |one: &super::StoredArtifact| one.name.as_deref() == Some(&wanted);
            Ok(own.read()?.into_iter().find(is_it).map(|one| one.digest))
        })
        .await?;
        let report = copy(&*from, &*to, &as_it_is(options)).await?;
        if let Some(before) = before.filter(|before| before != report.manifest.digest()) {
            let own = self.clone();
            on_thread(move || own.forget(&before)).await?;
        }
        Ok(report)
    }

    /// Pushes an artifact to the registry that its name names.
    ///
    /// # Errors
    /// [`ErrorKind::ArtifactNotKnown`]; [`ErrorKind::Invalid`]; [`ErrorKind::Transfer`].
    pub async fn push(
        &self,
        name: &str,
        transports: &Transports,
        options: &CopyOptions,
    ) -> Result<Report> {
        check_name(name)?;
        let to = transports.parse(&format!("docker://{name}"))?;
        let from = self.location(name, transports)?;
        let (own, wanted) = (self.clone(), name.to_owned());
        // Nobody removes it meanwhile.
        let _held: FileLock = on_thread(move || {
            if !own.directory.is_dir() {
                return Err(unknown(&wanted));
            }
            let held = own.hold(false)?;
            match own.read()?.iter().any(|one| one.name.as_deref() == Some(&wanted)) {
                true => Ok(held),
                false => Err(unknown(&wanted)),
            }
        })
        .await?;
        Ok(copy(&*from, &*to, &as_it_is(options)).await?)
    }

    fn location(&self, name: &str, transports: &Transports) -> Result<Box<dyn Location>> {
        let directory = self.directory.to_str().filter(|path| !path.contains(':'));
        let Some(directory) = directory else {
            let words = "an artifact cannot be copied where the path of the store has a colon";
            return Err(Error::new(ErrorKind::Unsupported, self.directory.display(), words));
        };
        Ok(transports.parse(&format!("oci:{directory}:{name}"))?)
    }
}

/// Files are no layers, and stay what they are.
fn as_it_is(options: &CopyOptions) -> CopyOptions {
    let mut options = options.clone();
    options.layers.wanted = LayersWanted::Keep;
    options
}
