//! What an image is for, wherever it is.

use cask_image::{Manifest, Platform, PlatformWanted, choose_instance};
use cask_storage::{Id, Image};
use cask_transport::Transports;

use super::Images;
use super::find::Found;
use super::pull::{PullOptions, PullPolicy};
use crate::{Error, ErrorKind, Result};

impl Images {
    /// The platforms of an image that is named as for [`pull`](Self::pull): those of a list of the store, or else of
    /// the image that is in the store, or else of what registries have by this name; with a policy that pulls whatever
    /// is in the store, registries come first. Layers are not read. What is for no machine, as attestations are, is
    /// left out.
    ///
    /// # Errors
    /// As [`pull`](Self::pull).
    pub async fn platforms(
        &self,
        name: &str,
        transports: &Transports,
        options: &PullOptions,
    ) -> Result<Vec<Platform>> {
        if let Ok(list) = self.find_list(name) {
            return Ok(real(list.index.manifests.into_iter().filter_map(|entry| entry.platform)));
        }
        let found = self.find(name).ok();
        let asks = match options.policy {
            PullPolicy::Never => false,
            PullPolicy::Missing => found.is_none(),
            _ => true,
        };
        let mut failure = None;
        if asks {
            let places = match self.places(name, transports, options).await {
                Ok(places) => places,
                Err(error) => {
                    failure = Some(error);
                    Vec::new()
                }
            };
            for place in places {
                match self.find_for_list(&*transports.parse(&place)?, &options.copy).await {
                    Ok(found) => return Ok(real(found.platforms())),
                    Err(error) => failure = Some(error),
                }
            }
        }
        let unknown =
            || Error::new(ErrorKind::ImageNotKnown, name, "it is not in the store".to_owned());
        let Some(found) = found else { return Err(failure.unwrap_or_else(unknown)) };
        Ok(real(self.config(&found.image)?.map(|config| config.platform())))
    }

    /// The image of a list of the store that is for a platform; `None` where the name is that of an image.
    ///
    /// Source: containers/common, `libimage`, `lookupManifest` and `LookupInstance`.
    ///
    /// # Errors
    /// [`ErrorKind::ImageNotKnown`] where the list has none for it, or the store does not have that one; as
    /// [`find`](Self::find).
    pub fn instance(&self, name: &str, platform: &PlatformWanted) -> Result<Option<Id>> {
        let found = self.find(name)?;
        let (_, Manifest::Index(index)) = self.manifest(&found.image)? else { return Ok(None) };
        let missing = |detail: String| Error::new(ErrorKind::ImageNotKnown, name, detail);
        let chosen = choose_instance(&index, platform).map_err(|e| missing(e.to_string()))?;
        let images = self.store().images()?;
        let is_it = |image: &&Image| image.manifest_digest() == Some(&chosen.digest);
        let image = images.iter().find(is_it);
        let image = image
            .ok_or_else(|| missing(format!("its image {} is not in the store", chosen.digest)))?;
        Ok(Some(image.id.clone()))
    }

    /// Finds an image as [`find`](Self::find) does; of a list, the image that is for this machine.
    ///
    /// # Errors
    /// As [`instance`](Self::instance).
    pub fn find_instance(&self, name: &str) -> Result<Found> {
        let found = self.find(name)?;
        // A list has no layers.
        if found.image.top_layer.is_some() {
            return Ok(found);
        }
        let Some(id) = self.instance(name, &PlatformWanted::of_this_build())? else {
            return Ok(found);
        };
        let image = self.store().image(&id)?.ok_or_else(|| Error::not_known(name))?;
        Ok(Found { name: id.to_string(), image })
    }

    /// Where an image may be, as transports name it.
    async fn places(
        &self,
        name: &str,
        transports: &Transports,
        options: &PullOptions,
    ) -> Result<Vec<String>> {
        let scheme = name.split_once(':').map(|(scheme, _)| scheme);
        if scheme.is_some_and(|scheme| transports.find(scheme).is_some()) {
            return Ok(vec![name.to_owned()]);
        }
        let images = self.images_to_pull(name, options).await?;
        // That is what images are called that nobody but the store has.
        let elsewhere = images.iter().filter(|image| image.domain() != "localhost");
        Ok(elsewhere.map(|image| format!("docker://{image}")).collect())
    }
}

fn real(platforms: impl IntoIterator<Item = Platform>) -> Vec<Platform> {
    platforms.into_iter().filter(|platform| platform.os != "unknown").collect()
}
