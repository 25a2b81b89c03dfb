//! Files that are put into lists, each time with a manifest of their own.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use cask_engine::{Artifact, ArtifactConfig, ArtifactFile, ArtifactOptions, Images};
use cask_image::{Descriptor, Digest, Manifest, MediaType};
use clap::Args;

use super::{AddArguments, Manner, elsewhere_raw, media_type, pairs, said};
use crate::moving::RegistryArguments;
use crate::settings::Settings;

/// What is said of files that are put into a list.
#[derive(Args, Debug)]
pub(super) struct ArtifactArguments {
    /// Put files into the list, not images
    #[arg(long)]
    artifact: bool,
    /// What kind of artifact the files are
    #[arg(long, value_name = "MEDIATYPE")]
    artifact_type: Option<String>,
    /// A file that is the config of the artifact
    #[arg(long, value_name = "FILE")]
    artifact_config: Option<PathBuf>,
    /// What kind of file the config is
    #[arg(long, value_name = "MEDIATYPE")]
    artifact_config_type: Option<String>,
    /// What kind of files the files are [default: by their names and contents]
    #[arg(long, value_name = "MEDIATYPE")]
    artifact_layer_type: Option<String>,
    /// Do not say how the files are called
    #[arg(
        long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false"
    )]
    artifact_exclude_titles: Option<bool>,
    /// The image that the files are about
    #[arg(long, value_name = "IMAGE")]
    artifact_subject: Option<String>,
    /// Say something of the artifact, NAME=VALUE
    #[arg(long, value_name = "ANNOTATION")]
    artifact_annotation: Vec<String>,
}

impl ArtifactArguments {
    /// Whether files are meant.
    ///
    /// # Errors
    /// Where something is said of files, and images are meant. The words are those of both programs.
    pub(super) fn are_given(&self) -> Result<bool> {
        if self.artifact {
            return Ok(true);
        }
        let flags = [
            ("--artifact-type", self.artifact_type.is_some()),
            ("--artifact-config", self.artifact_config.is_some()),
            ("--artifact-config-type", self.artifact_config_type.is_some()),
            ("--artifact-layer-type", self.artifact_layer_type.is_some()),
            ("--artifact-subject", self.artifact_subject.is_some()),
            ("--artifact-exclude-titles", self.artifact_exclude_titles.is_some()),
            ("--artifact-annotation", !self.artifact_annotation.is_empty()),
        ];
        let given: Vec<&str> =
            flags.iter().filter_map(|(flag, given)| given.then_some(*flag)).collect();
        match given.as_slice() {
            [] => Ok(false),
            [flag] => bail!("{flag} requires --artifact"),
            flags => bail!("{} require --artifact", flags.join("/")),
        }
    }

    /// The config. The two programs differ in what they make of a file.
    ///
    /// Source: buildah, `cmd/buildah/manifest.go`; containers/common, `libimage/manifest_list.go`.
    fn config(&self, manner: Manner) -> Result<ArtifactConfig> {
        let named = self.artifact_config_type.as_deref().filter(|text| !text.is_empty());
        let named = named.map(MediaType::from);
        let Some(path) = &self.artifact_config else {
            return Ok(ArtifactConfig::Empty(named.unwrap_or(MediaType::OciEmpty)));
        };
        let none_is_said = match (manner, &self.artifact_config_type) {
            (Manner::Buildah, None) => MediaType::OciEmpty,
            _ => MediaType::OciConfig,
        };
        let media_type = named.unwrap_or(none_is_said);
        if manner == Manner::Buildah {
            return Ok(ArtifactConfig::File(path.clone(), media_type));
        }
        let bytes = std::fs::read(path)
            .with_context(|| format!("reading artifact config file {:?}", path.display()))?;
        Ok(ArtifactConfig::Inline(bytes, media_type))
    }

    fn file(&self, path: &str) -> Result<ArtifactFile> {
        let path = PathBuf::from(path);
        let media_type = match &self.artifact_layer_type {
            Some(named) => MediaType::from(named.as_str()),
            None => media_type::of_file(&path)?,
        };
        let is_titled = !self.artifact_exclude_titles.unwrap_or(false);
        Ok(ArtifactFile { path, media_type, is_titled })
    }
}

/// Puts files into a list, as one artifact.
pub(super) async fn add(
    arguments: &AddArguments,
    images: &Images,
    settings: &Settings,
    manner: Manner,
) -> Result<()> {
    let about = &arguments.artifact;
    let mut options = ArtifactOptions::default();
    if let Some(named) = &about.artifact_type {
        options.artifact_type =
            Some(named.as_str()).filter(|text| !text.is_empty()).map(MediaType::from);
    }
    options.config = about.config(manner)?;
    if let Some(name) = &about.artifact_subject {
        options.subject = Some(subject(name, &arguments.registry, images, settings).await?);
    }
    options.annotations = pairs(&about.artifact_annotation, Manner::Buildah)?.into_iter().collect();
    let files = arguments.images.iter().map(|path| about.file(path));
    let artifact = Artifact::read(&files.collect::<Result<Vec<_>>>()?, &options)?;
    let change = arguments.entry.change(manner)?;
    let (list, digest) = images.change_list(&arguments.list, |list| {
        let digest = list.add_artifact(&artifact);
        list.change(&digest, &change)?;
        Ok(digest)
    })?;
    said(&list, Some(&digest), manner)
}

/// What an artifact or a list is about: an image of the store, or else of a registry.
pub(super) async fn subject(
    name: &str,
    registry: &RegistryArguments,
    images: &Images,
    settings: &Settings,
) -> Result<Descriptor> {
    let raw = match images.find(name) {
        Ok(found) => images.manifest(&found.image)?.0,
        Err(error) if error.kind() == cask_engine::ErrorKind::ImageNotKnown => {
            let read = elsewhere_raw(name, registry, images, settings).await;
            read.with_context(|| format!("{name} is not in the store"))?
        }
        Err(error) => return Err(error.into()),
    };
    let mut descriptor = raw.descriptor();
    if let Ok(Manifest::Image(image)) = raw.parse() {
        descriptor.artifact_type = image.artifact_type;
    }
    Ok(descriptor)
}

/// The digest of something in a list: that digest itself, a file of an artifact, or an image's name.
pub(super) async fn instance(
    list: &str,
    text: &str,
    images: &Images,
    settings: &Settings,
) -> Result<Digest> {
    if let Ok(digest) = text.parse::<Digest>() {
        return Ok(digest);
    }
    if let Some(digest) = images.find_list(list)?.artifact_of_file(text.as_ref()) {
        return Ok(digest);
    }
    let found = subject(text, &RegistryArguments::default(), images, settings).await;
    Ok(found.with_context(|| format!("invalid instance {text:?}"))?.digest)
}
