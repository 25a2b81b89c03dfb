//! Removing images.

use std::collections::HashSet;

use cask_storage::{Container, Id, Image};

use super::filter::{Filter, Matcher};
use super::find::Found;
use crate::{Error, ErrorKind, Images, Relations, Result};

/// How images are removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removal {
    /// Whether all names go, where only an ID was said.
    pub all_names: bool,
    /// Whether containers that use the image go too: out of the store, whether something of them runs or not. See
    /// [`Containers::remove_image`](crate::Containers::remove_image) for one that ends them.
    pub containers: bool,
    /// Whether images without a name stay that the removed one was built on.
    pub keep_parents: bool,
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removed {
    /// Names that are gone.
    pub untagged: Vec<String>,
    /// Images that are gone; not those on which others were built, of which all layers are still needed.
    pub deleted: Vec<Id>,
}

/// Which images nobody needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prune {
    /// Whether images with names go too, if no container uses them.
    pub all: bool,
    /// Whether working containers of builds keep no image: they go with it.
    pub external: bool,
    /// Conditions that an image has to fulfil besides.
    pub filters: Vec<Filter>,
}

impl Images {
    /// Removes a name of an image; with its last name, or if its ID was said, the image, and then
    /// the images without a name that it was built on and nothing else was.
    ///
    /// Source: containers/common, `libimage/image.go`, `removeRecursive`.
    ///
    /// # Errors
    /// [`ErrorKind::Ambiguous`] if an ID was said and the image has several names;
    /// [`ErrorKind::InUse`] if a container uses it; [`ErrorKind::ImageNotKnown`] if it was removed meanwhile;
    /// [`ErrorKind::Storage`].
    pub fn remove(&self, found: &Found, removal: Removal) -> Result<Removed> {
        self.remove_after(found, removal, &|_| Ok(()))
    }

    /// Does that, and `users` with each image just before it goes.
    pub(crate) fn remove_after(
        &self,
        found: &Found,
        removal: Removal,
        users: &dyn Fn(&Id) -> Result<()>,
    ) -> Result<Removed> {
        let mut removed = Removed::default();
        let Found { image, name } = found;
        if image.names.len() > 1 && !self.untag_only(found, removal, &mut removed)? {
            return Ok(removed);
        }
        let mut relations = self.relations()?;
        // A name that went just now is no name any more.
        let names: Vec<String> =
            image.names.iter().filter(|own| !removed.untagged.contains(own)).cloned().collect();
        let mut next = Some((image.clone(), names));
        let mut is_asked_for = true;
        while let Some((image, names)) = next.take() {
            // One whose config is lost has no family any more, and can go all the same.
            let parent = relations.parent(&image).ok().flatten().cloned();
            let is_needed = relations.children(&image).is_ok_and(|children| !children.is_empty());
            users(&image.id)?;
            match self.delete(&image, &names, name, removal) {
                // Somebody else removed what this one was built on.
                Err(error) if error.kind() == ErrorKind::ImageNotKnown && !is_asked_for => break,
                other => other?,
            }
            is_asked_for = false;
            removed.untagged.extend(names);
            if !is_needed {
                removed.deleted.push(image.id.clone());
            }
            relations.forget(&HashSet::from([image.id.clone()]));
            let dangling = |parent: &Image| relations.is_dangling(parent);
            if let Some(parent) = parent.filter(|_| !removal.keep_parents)
                && dangling(&parent)?
            {
                next = Some((parent, Vec::new()));
            }
        }
        Ok(removed)
    }

    /// Takes the name away that was said. Says whether the image is to go too.
    fn untag_only(
        &self,
        Found { image, name }: &Found,
        removal: Removal,
        removed: &mut Removed,
    ) -> Result<bool> {
        let by_digest = name.starts_with("sha256:");
        if by_digest || image.id.as_str().starts_with(name.as_str()) {
            if removal.all_names {
                return Ok(true);
            }
            let by = if by_digest { "digest" } else { "ID" };
            let names = image.names.join(" ");
            let detail = format!(
                "unable to delete image {:?} by {by} with more than one tag ([{names}]): please \
                 force removal",
                image.id.as_str()
            );
            return Err(Error::new(ErrorKind::Ambiguous, "", detail));
        }
        self.store().remove_names(&image.id, std::slice::from_ref(name))?;
        self.tell("untag", image.id.as_str(), name);
        removed.untagged.push(name.clone());
        Ok(image.names.iter().all(|own| own == name))
    }

    /// Deletes an image, which still has these names and was asked for by `name`.
    fn delete(&self, image: &Image, names: &[String], name: &str, removal: Removal) -> Result<()> {
        if removal.containers {
            for container in self.store().containers()? {
                if container.image.as_ref() == Some(&image.id) {
                    self.store().delete_container(&container.id)?;
                }
            }
        }
        match self.store().delete_image(&image.id) {
            Ok(_) => {
                let id = image.id.as_str();
                names.iter().for_each(|own| self.tell("untag", id, own));
                self.tell("remove", id, name);
                Ok(())
            }
            Err(error) if error.kind() == cask_storage::ErrorKind::InUse => {
                let users = self.store().containers()?.into_iter();
                let user = users.into_iter().find(|user| user.image.as_ref() == Some(&image.id));
                let user = user.map(|user| user.id.to_string()).unwrap_or_default();
                let detail = format!(
                    "image used by {user}: image is in use by a container: consider listing \
                     external containers and force-removing image"
                );
                Err(Error::new(ErrorKind::InUse, "", detail)
                    .with_hint("--force removes the container too"))
            }
            // Somebody else removed it.
            Err(error) if error.kind() == cask_storage::ErrorKind::NotFound => {
                Err(Error::not_known(name))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes images that nobody needs: without a name, and nothing was built on them; or all that
    /// no container uses. What that leaves without need goes too.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub fn prune(&self, prune: &Prune) -> Result<Removed> {
        let mut removed = Removed::default();
        loop {
            let gone = self.prune_once(prune)?;
            if gone.deleted.is_empty() {
                return Ok(removed);
            }
            removed.untagged.extend(gone.untagged);
            removed.deleted.extend(gone.deleted);
        }
    }

    /// Deletes an image; says whether it is gone by this.
    fn delete_unused(&self, image: &Image) -> Result<bool> {
        match self.store().delete_image(&image.id) {
            Ok(_) => Ok(true),
            // A container came meanwhile, or the image went.
            Err(error)
                if matches!(
                    error.kind(),
                    cask_storage::ErrorKind::InUse | cask_storage::ErrorKind::NotFound
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn prune_once(&self, prune: &Prune) -> Result<Removed> {
        let mut removed = Removed::default();
        let mut relations = self.relations()?;
        let matcher = Matcher::new(self, &prune.filters)?;
        let (builds, others): (Vec<Container>, Vec<Container>) = self
            .store()
            .containers()?
            .into_iter()
            .partition(|container| prune.external && self.is_of_build(container));
        let used: HashSet<Id> = others.iter().filter_map(|user| user.image.clone()).collect();
        for image in self.store().images()? {
            if image.is_read_only() || used.contains(&image.id) {
                continue;
            }
            let fits = is_prunable(&relations, &image, prune)
                .and_then(|fits| Ok(fits && matcher.matches(&image, 0)?));
            match fits {
                Ok(true) => {}
                Ok(false) => continue,
                Err(_) if self.is_gone(&image) => continue,
                Err(error) => return Err(error),
            }
            for build in builds.iter().filter(|build| build.image.as_ref() == Some(&image.id)) {
                self.store().delete_container(&build.id)?;
            }
            // Steps without a name go with what was built on them, whether they fit or not, as in `remove`.
            let mut next = Some(image);
            while let Some(image) = next.take() {
                let parent = relations.parent(&image).ok().flatten().cloned();
                if !self.delete_unused(&image)? {
                    break;
                }
                relations.forget(&HashSet::from([image.id.clone()]));
                removed.untagged.extend(image.names.iter().cloned());
                removed.deleted.push(image.id.clone());
                let goes = |parent: &Image| !parent.is_read_only() && !used.contains(&parent.id);
                if let Some(parent) = parent.filter(goes)
                    && relations.is_dangling(&parent)?
                {
                    next = Some(parent);
                }
            }
        }
        Ok(removed)
    }
}

impl Images {
    /// Removes the working containers of builds, of whichever program. Returns their IDs.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub fn prune_builds(&self) -> Result<Vec<Id>> {
        let all = self.store().containers()?.into_iter();
        let builds = all.filter(|container| self.is_of_build(container));
        let mut removed = Vec::new();
        for build in builds {
            self.store().delete_container(&build.id)?;
            removed.push(build.id.clone());
        }
        Ok(removed)
    }

    /// Whether a container is the working container of a build, of whichever program.
    pub(crate) fn is_of_build(&self, container: &Container) -> bool {
        self.store().container_directory(&container.id).join("buildah.json").exists()
    }
}

fn is_prunable(relations: &Relations<'_>, image: &Image, prune: &Prune) -> Result<bool> {
    Ok(prune.all || relations.is_dangling(image)?)
}
