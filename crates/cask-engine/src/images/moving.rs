//! What moving images into the store and out of it has in common.

use cask_copy::{CopyOptions, Description, Instances, Report, copy, inspect};
use cask_image::{Digest, Manifest, PlatformWanted, RawManifest};
use cask_reference::Reference;
use cask_storage::Id;
use cask_transport::{Location, Transports};

use super::find::Found;
use crate::{Error, ErrorKind, Images, Result};

/// The scheme of the store that [`Images`] looks at.
const STORE: &str = "containers-storage";

/// An image that came into the store, or was there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arrived {
    /// Its ID.
    pub id: Id,
    /// The names that it was given; what it was found by, if it was there. None, if it came
    /// without.
    pub names: Vec<String>,
}

impl Arrived {
    /// What was found is what was wanted.
    pub(super) fn found(found: Found) -> Self {
        Self { id: found.image.id.clone(), names: vec![found.name] }
    }
}

impl Images {
    /// Copies what a location holds into the store, and gives it these names. Without any it is
    /// known by its ID.
    pub(super) async fn take_in(
        &self,
        from: &dyn Location,
        names: &[Reference],
        transports: &Transports,
        options: &CopyOptions,
    ) -> Result<Arrived> {
        let (to, options) = destination(from, names, transports, options).await?;
        let report = copy(from, &*to, &options).await?;
        arrived(&report, names)
    }

    /// An image of the store as something to be copied.
    pub(super) fn location(
        &self,
        found: &Found,
        transports: &Transports,
    ) -> Result<Box<dyn Location>> {
        Ok(transports.parse(&format!("{STORE}:@{}", found.image.id))?)
    }

    /// Finds an image, away from the threads that wait for others.
    pub(super) async fn find_on_thread(&self, text: &str) -> Result<Found> {
        let (images, text) = (self.clone(), text.to_owned());
        on_thread(move || images.find(&text)).await
    }

    /// The same, where it may as well not be there.
    pub(super) async fn find_if_there(&self, text: &str) -> Result<Option<Found>> {
        match self.find_on_thread(text).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::ImageNotKnown => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Where in the store an image goes, and how.
pub(super) async fn destination(
    from: &dyn Location,
    names: &[Reference],
    transports: &Transports,
    options: &CopyOptions,
) -> Result<(Box<dyn Location>, CopyOptions)> {
    let mut options = options.clone();
    // The list stays with the image, and names what came with it.
    if options.instances == Instances::All {
        options.instances = Instances::One(PlatformWanted::of_this_build());
    }
    let to = match names {
        [] => {
            let config = config_digest(from, &options).await?;
            transports.parse(&format!("{STORE}:@{}", Id::of_config(&config)))?
        }
        [first, rest @ ..] => {
            options.write.additional_names = rest.to_vec();
            transports.parse(&format!("{STORE}:{first}"))?
        }
    };
    Ok((to, options))
}

/// What came with a copy.
pub(super) fn arrived(report: &Report, names: &[Reference]) -> Result<Arrived> {
    let id = image_id(&report.manifest)?;
    Ok(Arrived { id, names: names.iter().map(ToString::to_string).collect() })
}

fn image_id(manifest: &RawManifest) -> Result<Id> {
    match manifest.parse() {
        Ok(Manifest::Image(image)) => Ok(Id::of_config(&image.config.digest)),
        _ => Err(Error::new(ErrorKind::Transfer, manifest.digest(), "it is no image of its own")),
    }
}

/// The config of the image that a location holds.
async fn config_digest(from: &dyn Location, options: &CopyOptions) -> Result<Digest> {
    let platform = match &options.instances {
        Instances::One(platform) => platform.clone(),
        _ => PlatformWanted::of_this_build(),
    };
    let inspected = inspect(from, &options.policy, options.require_signed).await?;
    match inspected.describe_for(&platform).await? {
        Description::Image { manifest, .. } | Description::Artifact(manifest) => {
            Ok(manifest.config.digest)
        }
        _ => Err(Error::new(
            ErrorKind::Transfer,
            from,
            "its manifest is of the oldest kind, and it has no name to be stored under",
        )),
    }
}

/// Does what may have to wait for a disk or a lock on a thread of its own.
pub(crate) async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(Error::new(ErrorKind::Storage, "", "the runtime is shutting down")
                .with_source(error)),
        },
    }
}
