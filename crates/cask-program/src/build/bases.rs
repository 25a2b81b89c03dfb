//! Base images, from the store or pulled into it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use cask::image::PlatformWanted;
use cask::transport::Transports;
use cask_build::{BaseImage, Bases, BuildRequest, BuildSources, Error, ErrorKind, PullPolicy};
use cask_engine::Images;
use tokio::runtime::Handle;

use super::source_policy::SourcePolicy;
use crate::moving;
use crate::progress::Progress;
use crate::settings::Settings;

/// The images of a store, and of wherever they can be pulled from.
pub(super) struct PulledBases {
    images: Images,
    transports: Transports,
    /// What says which images may be used; read when the first one is wanted.
    settings: Settings,
    progress: Arc<Progress>,
    /// Whether the caller named platforms: an image of the store that is for another one will not do then.
    pub(super) platforms_named: bool,
    /// The directory of the context, in which FROM may name an archive or a directory with an image.
    pub(super) directory: Option<PathBuf>,
    /// Which images may be used, and what is taken instead.
    pub(super) policy: SourcePolicy,
}

#[async_trait]
impl Bases for PulledBases {
    async fn base(
        &self,
        reference: &str,
        platform: &PlatformWanted,
        pull: PullPolicy,
    ) -> cask_build::Result<BaseImage> {
        let reference = &*self.policy.decide(reference)?;
        let copy = moving::copy_options(&self.settings, platform.clone(), &self.progress, false);
        let copy = copy.map_err(|error| {
            Error::new(ErrorKind::Fetch, reference, "cannot be had").with_source(error)
        })?;
        let policy = match pull {
            PullPolicy::Always => cask_engine::PullPolicy::Always,
            PullPolicy::Never => cask_engine::PullPolicy::Never,
            PullPolicy::Newer => cask_engine::PullPolicy::Newer,
            _ => cask_engine::PullPolicy::Missing,
        };
        let mut options = moving::pull_options(copy, policy, &self.progress);
        moving::keep_answers(&self.settings, &mut options);
        let is_usual = !self.platforms_named && *platform == PlatformWanted::of_this_build();
        // What is here and is for the platform needs no registry.
        options.platform_asked = !is_usual && !self.has_for(reference, platform);
        let (images, transports) = (self.images.clone(), self.transports.clone());
        let (handle, name) = (Handle::current(), placed(reference, self.directory.as_deref()));
        // A pull stays on its thread: what it borrows cannot go from one to another.
        let pulling = tokio::task::spawn_blocking(move || {
            handle.block_on(images.pull(&name, &transports, &options))
        });
        let pulled =
            pulling.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        let pulled = pulled.map_err(|error| wrapped(reference, error))?;
        let Some(arrived) = pulled.into_iter().next() else {
            return Err(Error::new(ErrorKind::Missing, reference, "nothing was pulled"));
        };
        let chosen = self.images.instance(arrived.id.as_str(), platform);
        let id = chosen.map_err(|error| wrapped(reference, error))?.unwrap_or(arrived.id);
        let image = self.images.store().image(&id);
        let image = image.map_err(|error| {
            Error::new(ErrorKind::Storage, reference, "the store failed").with_source(error)
        })?;
        let digest = image.and_then(|image| image.manifest_digest().cloned());
        let name = arrived.names.into_iter().next().unwrap_or_else(|| reference.to_owned());
        Ok(BaseImage::new(id, name, digest))
    }
}

impl PulledBases {
    /// Those of a store, and of wherever its transports reach.
    pub(super) fn new(
        (images, transports): (&Images, &Transports),
        settings: &Settings,
        progress: &Arc<Progress>,
    ) -> Self {
        Self {
            images: images.clone(),
            transports: transports.clone(),
            settings: settings.clone(),
            progress: Arc::clone(progress),
            platforms_named: false,
            directory: None,
            policy: SourcePolicy::default(),
        }
    }

    /// Whether the store has an image of this name that is for the platform.
    fn has_for(&self, reference: &str, wanted: &PlatformWanted) -> bool {
        if matches!(self.images.instance(reference, wanted), Ok(Some(_))) {
            return true;
        }
        let Ok(found) = self.images.find(reference) else { return false };
        let Ok(Some(config)) = self.images.config(&found.image) else { return false };
        let platform = config.platform();
        // A registry may have the very variant, where the one that is here would only do.
        let is_variant = wanted.architecture != "arm" || platform.variant == wanted.variant;
        wanted.accepts(&platform) && is_variant
    }

    /// The platforms of the base images of a request that all of them have.
    pub(super) async fn common_platforms(
        &self,
        request: &BuildRequest,
        sources: &BuildSources,
    ) -> Result<Vec<PlatformWanted>> {
        let copy = moving::copy_options(
            &self.settings,
            PlatformWanted::of_this_build(),
            &self.progress,
            false,
        )?;
        let policy = match request.pull {
            PullPolicy::Never => cask_engine::PullPolicy::Never,
            PullPolicy::Always => cask_engine::PullPolicy::Always,
            PullPolicy::Newer => cask_engine::PullPolicy::Newer,
            _ => cask_engine::PullPolicy::Missing,
        };
        let mut options = moving::pull_options(copy, policy, &self.progress);
        moving::keep_answers(&self.settings, &mut options);
        let mut found = Vec::new();
        for name in cask_build::base_references(request, sources)? {
            let place = placed(&self.policy.decide(&name)?, self.directory.as_deref());
            let platforms = self.images.platforms(&place, &self.transports, &options).await;
            found.push(platforms.with_context(|| format!("the platforms of {name}"))?);
        }
        if found.is_empty() {
            // The words are buildah's, as far as they go.
            bail!(
                "unable to find any base images with which to determine platforms: name them with --platform"
            );
        }
        let common = super::request::common(found.into_iter());
        if common.is_empty() {
            bail!("the base images have no platform in common: name one with --platform");
        }
        Ok(common)
    }
}

/// Where an image is that FROM names by a scheme and a path: in the context, if there is something of that path, else
/// where the program was started. What leads out of the context is not in it.
///
/// Source: buildah, up to 1.43 where it was started, from 1.44 on in the context.
fn placed(reference: &str, context: Option<&Path>) -> String {
    let as_it_is = || reference.to_owned();
    let (Some(context), Some((scheme, rest))) = (context, reference.split_once(':')) else {
        return as_it_is();
    };
    let (path, image) = match (scheme, rest.find(':')) {
        ("dir", _) | ("oci" | "oci-archive" | "docker-archive", None) => (rest, ""),
        ("oci" | "oci-archive" | "docker-archive", Some(colon)) => rest.split_at(colon),
        _ => return as_it_is(),
    };
    if Path::new(path).is_absolute() && Path::new(path).exists() {
        return as_it_is();
    }
    let found = context.join(path.trim_start_matches('/')).canonicalize();
    let (Ok(found), Ok(context)) = (found, context.canonicalize()) else { return as_it_is() };
    match found.to_str() {
        // A colon would end the path.
        Some(found_text) if found.starts_with(&context) && !found_text.contains(':') => {
            format!("{scheme}:{found_text}{image}")
        }
        _ => as_it_is(),
    }
}

fn wrapped(reference: &str, error: cask_engine::Error) -> Error {
    use cask_engine::ErrorKind as Engine;
    let kind = match error.kind() {
        Engine::ImageNotKnown | Engine::TagNotKnown => ErrorKind::Missing,
        Engine::Invalid | Engine::Ambiguous => ErrorKind::Invalid,
        Engine::Storage => ErrorKind::Storage,
        _ => ErrorKind::Fetch,
    };
    let hint = error.hint().map(str::to_owned);
    let wrapped = Error::new(kind, reference, "cannot be had").with_source(error);
    match hint {
        Some(hint) => wrapped.with_hint(hint),
        None => wrapped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_files_are_in_the_context_where_they_are_there() {
        let outer = tempfile::tempdir().unwrap();
        let context = outer.path().canonicalize().unwrap().join("context");
        std::fs::create_dir_all(context.join("oci")).unwrap();
        std::fs::write(context.join("a.tar"), "").unwrap();
        std::fs::write(outer.path().join("outside.tar"), "").unwrap();
        std::os::unix::fs::symlink("../outside.tar", context.join("link.tar")).unwrap();
        let at = context.display();
        let check = |reference: &str, expected: String| {
            assert_eq!(placed(reference, Some(&context)), expected, "{reference}");
        };
        check("oci-archive:a.tar", format!("oci-archive:{at}/a.tar"));
        check("docker-archive:./a.tar:x:1", format!("docker-archive:{at}/a.tar:x:1"));
        check("oci:/oci:name", format!("oci:{at}/oci:name"));
        check("dir:oci/", format!("dir:{at}/oci"));
        for elsewhere in
            ["dir:../x", "oci-archive:link.tar", "oci:none", "dir:/", "debian:12", "docker://a.tar"]
        {
            check(elsewhere, elsewhere.to_owned());
        }
        assert_eq!(placed("oci:oci", None), "oci:oci");
    }
}
