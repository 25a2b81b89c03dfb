//! Images that go to registries and other places.

use cask_copy::{CopyOptions, Instances, Report, copy};
use cask_image::{Digest, Manifest};
use cask_reference::Reference;
use cask_storage::{Id, Image};
use cask_transport::{Location, Transports};

use super::find::{Found, parse};
use super::moving::on_thread;
use crate::{Images, Result};

impl Images {
    /// Pushes an image: to the registry that its name names, or to a destination. That is a name
    /// of a registry's image, or anything behind the scheme of a transport.
    ///
    /// Where layers are plain, as they lie in the store, and the place wants them compressed, they
    /// are compressed; the options say how.
    ///
    /// Where a list is pushed with its images, those that are elsewhere come to the store until it is
    /// done. An archive of Docker's names the image as the store does, too.
    ///
    /// Source: containers/common, `libimage/push.go`.
    ///
    /// # Errors
    /// As [`find`](Self::find); [`ErrorKind::Transfer`](crate::ErrorKind::Transfer).
    pub async fn push(
        &self,
        image: &str,
        destination: &str,
        transports: &Transports,
        options: &CopyOptions,
    ) -> Result<Report> {
        let found = self.find_on_thread(image).await?;
        let from = self.location(&found, transports)?;
        let to = push_destination(destination, transports)?;
        let fetched = match options.instances {
            Instances::IndexOnly => Vec::new(),
            _ => self.fetch_elsewhere(&found, transports, options).await?,
        };
        let mut options = options.clone();
        options.write.copied_from = to.reference().and_then(|to| sibling(&found.image, to));
        if let Some(name) = archived_name(&*to, &found.name) {
            options.write.additional_names.push(name);
        }
        let copied = copy(&*from, &*to, &options).await;
        let images = self.clone();
        on_thread(move || {
            for id in fetched {
                // Somebody may have given it a name meanwhile.
                if images.store().image(&id)?.is_some_and(|image| image.names.is_empty()) {
                    images.store().delete_image(&id)?;
                }
            }
            Ok(())
        })
        .await?;
        let copied = copied?;
        self.tell("push", found.image.id.as_str(), destination);
        Ok(copied)
    }

    /// Has those images of a list in the store that it says to be elsewhere; gives what came.
    async fn fetch_elsewhere(
        &self,
        found: &Found,
        transports: &Transports,
        options: &CopyOptions,
    ) -> Result<Vec<Id>> {
        let (images, found) = (self.clone(), found.clone());
        let missing: Vec<(Digest, String)> = on_thread(move || {
            if !matches!(images.manifest(&found.image)?, (_, Manifest::Index(_))) {
                return Ok(Vec::new());
            }
            let list = images.find_list(found.image.id.as_str())?;
            let mut missing = Vec::new();
            for (digest, place) in list.places() {
                let is_elsewhere = !place.starts_with("containers-storage:");
                if is_elsewhere && images.store().images_by_digest(digest)?.is_empty() {
                    missing.push((digest.clone(), place.to_owned()));
                }
            }
            Ok(missing)
        })
        .await?;
        let mut pull =
            CopyOptions::new(options.policy.clone(), cask_image::PlatformWanted::of_this_build());
        pull.events = options.events.clone();
        let mut fetched = Vec::new();
        for (digest, place) in missing {
            let location = transports.parse(&place)?;
            let exact = location.reference().filter(|_| place.starts_with("docker://"));
            let location = match exact {
                // The place may be that of a list.
                Some(name) => transports.parse(&format!("docker://{}@{digest}", name.name()))?,
                None => location,
            };
            fetched.push(self.take_in(&*location, &[], transports, &pull).await?.id);
        }
        Ok(fetched)
    }
}

/// The name of the store that an archive has too, so that whoever loads it has the image under that name.
///
/// Source: containers/common, `libimage/push.go`, `Push`.
fn archived_name(to: &dyn Location, name: &str) -> Option<Reference> {
    let name: Reference = name.parse().ok().filter(|_| to.scheme() == "docker-archive")?;
    let is_tag = name.tag().is_some() && name.digest().is_none();
    (is_tag && to.reference() != Some(&name)).then_some(name)
}

/// A name that an image has or had in another repository of the same registry, which may have its layers.
fn sibling(image: &Image, to: &Reference) -> Option<Reference> {
    let names = image.names.iter().chain(&image.names_history);
    let is_sibling = |name: &Reference| name.domain() == to.domain() && name.path() != to.path();
    names.filter_map(|name| parse(name)).find(is_sibling)
}

/// What the destination of a push means.
fn push_destination(text: &str, transports: &Transports) -> Result<Box<dyn Location>> {
    transports.parse(text).or_else(|error| {
        let scheme = text.split_once(':').map(|(scheme, _)| scheme);
        match scheme.is_some_and(|scheme| transports.find(scheme).is_some()) {
            true => Err(error.into()),
            // The words about what it would be as a name say more.
            false => Ok(transports.parse(&format!("docker://{text}"))?),
        }
    })
}
