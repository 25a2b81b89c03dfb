//! Conversions from and to the types of the `oci-spec` crate.
//!
//! Those types are a vocabulary that many crates share. They are not a codec to rely on: they have
//! no place for Docker's fields and write maps in random order. So convert at the edge, and let
//! [`RawManifest`](crate::RawManifest) and [`ImageConfig`] read and write.

use std::collections::HashMap;
use std::fmt;

use cask_json::base64;
use oci_spec::image as oci;

use crate::{
    Descriptor, Digest, ExecutionConfig, HistoryEntry, ImageConfig, ImageFormat, ImageManifest,
    Index, MediaType, Platform, Timestamp,
};

/// A value of the `oci-spec` crate that this crate's types cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OciSpecError {
    path: String,
    detail: String,
}

impl OciSpecError {
    fn new(path: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self { path: path.into(), detail: detail.to_string() }
    }

    /// The way to the value, such as `layers[3].digest`.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn inside(mut self, outer: impl fmt::Display) -> Self {
        self.path = format!("{outer}.{}", self.path);
        self
    }
}

impl fmt::Display for OciSpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.detail)
    }
}

impl std::error::Error for OciSpecError {}

impl From<&MediaType> for oci::MediaType {
    fn from(media_type: &MediaType) -> Self {
        Self::from(media_type.as_str())
    }
}

impl From<&oci::MediaType> for MediaType {
    fn from(media_type: &oci::MediaType) -> Self {
        Self::from(media_type.as_ref())
    }
}

impl From<&Platform> for oci::Platform {
    fn from(platform: &Platform) -> Self {
        let mut to = Self::default();
        to.set_architecture(platform.architecture.as_str().into())
            .set_os(platform.os.as_str().into())
            .set_os_version(platform.os_version.clone())
            .set_os_features(some(&platform.os_features))
            .set_variant(platform.variant.clone())
            .set_features(some(&platform.features));
        to
    }
}

impl From<&oci::Platform> for Platform {
    fn from(platform: &oci::Platform) -> Self {
        Self {
            architecture: platform.architecture().to_string(),
            os: platform.os().to_string(),
            os_version: platform.os_version().clone(),
            os_features: platform.os_features().clone().unwrap_or_default(),
            variant: platform.variant().clone(),
            features: platform.features().clone().unwrap_or_default(),
        }
    }
}

impl From<&Descriptor> for oci::Descriptor {
    fn from(descriptor: &Descriptor) -> Self {
        let Descriptor { media_type, digest, size, .. } = descriptor;
        let mut to = Self::new(media_type.into(), *size, same_digest(digest));
        to.set_urls(some(&descriptor.urls))
            .set_annotations(some_map(&descriptor.annotations))
            .set_platform(descriptor.platform.as_ref().map(Into::into))
            .set_artifact_type(descriptor.artifact_type.as_ref().map(Into::into))
            .set_data(descriptor.data.as_deref().map(base64::encode));
        to
    }
}

impl TryFrom<&oci::Descriptor> for Descriptor {
    type Error = OciSpecError;

    /// Converts a descriptor. Embedded data is checked for being base64, not against the digest.
    fn try_from(descriptor: &oci::Descriptor) -> Result<Self, OciSpecError> {
        let digest = descriptor.digest().as_ref().parse::<Digest>();
        let digest = digest.map_err(|error| OciSpecError::new("digest", error))?;
        let decode = |data: &String| {
            base64::decode_canonical(data)
                .ok_or_else(|| OciSpecError::new("data", "this is not base64"))
        };
        Ok(Self {
            urls: descriptor.urls().clone().unwrap_or_default(),
            annotations: descriptor.annotations().clone().unwrap_or_default().into_iter().collect(),
            data: descriptor.data().as_ref().map(decode).transpose()?,
            platform: descriptor.platform().as_ref().map(Into::into),
            artifact_type: descriptor.artifact_type().as_ref().map(Into::into),
            ..Self::new(descriptor.media_type().into(), digest, descriptor.size())
        })
    }
}

impl From<&ImageManifest> for oci::ImageManifest {
    /// Converts a manifest, whosever format it is in.
    fn from(manifest: &ImageManifest) -> Self {
        let mut to = oci::ImageManifestBuilder::default()
            .schema_version(oci::SCHEMA_VERSION)
            .config(&manifest.config)
            .layers(manifest.layers.iter().map(Into::into).collect::<Vec<_>>())
            .build()
            .expect("all required fields are set");
        let media_type = manifest.format.manifest_type();
        to.set_media_type(manifest.declares_media_type.then(|| (&media_type).into()))
            .set_artifact_type(manifest.artifact_type.as_ref().map(Into::into))
            .set_subject(manifest.subject.as_ref().map(Into::into))
            .set_annotations(some_map(&manifest.annotations));
        to
    }
}

impl TryFrom<&oci::ImageManifest> for ImageManifest {
    type Error = OciSpecError;

    /// Converts a manifest: to Docker's format if its media type is Docker's, else to OCI's.
    fn try_from(manifest: &oci::ImageManifest) -> Result<Self, OciSpecError> {
        let media_type = manifest.media_type().as_ref().map(MediaType::from);
        let format = match media_type {
            Some(MediaType::DockerManifest) => ImageFormat::Docker,
            _ => ImageFormat::Oci,
        };
        let config = manifest.config().try_into();
        let config = config.map_err(|error: OciSpecError| error.inside("config"))?;
        Ok(Self {
            declares_media_type: media_type.is_some(),
            subject: subject(manifest.subject().as_ref())?,
            artifact_type: manifest.artifact_type().as_ref().map(Into::into),
            annotations: manifest.annotations().clone().unwrap_or_default().into_iter().collect(),
            ..Self::new(format, config, descriptors("layers", manifest.layers())?)
        })
    }
}

impl From<&Index> for oci::ImageIndex {
    /// Converts an index, whosever format it is in.
    fn from(index: &Index) -> Self {
        let mut to = Self::default();
        to.set_media_type(Some((&index.format.index_type()).into()))
            .set_manifests(index.manifests.iter().map(Into::into).collect())
            .set_artifact_type(index.artifact_type.as_ref().map(Into::into))
            .set_subject(index.subject.as_ref().map(Into::into))
            .set_annotations(some_map(&index.annotations));
        to
    }
}

impl TryFrom<&oci::ImageIndex> for Index {
    type Error = OciSpecError;

    /// Converts an index: to Docker's format if its media type is Docker's, else to OCI's.
    fn try_from(index: &oci::ImageIndex) -> Result<Self, OciSpecError> {
        let format = match index.media_type().as_ref().map(MediaType::from) {
            Some(MediaType::DockerManifestList) => ImageFormat::Docker,
            _ => ImageFormat::Oci,
        };
        Ok(Self {
            subject: subject(index.subject().as_ref())?,
            artifact_type: index.artifact_type().as_ref().map(Into::into),
            annotations: index.annotations().clone().unwrap_or_default().into_iter().collect(),
            ..Self::new(format, descriptors("manifests", index.manifests())?)
        })
    }
}

impl From<&ImageConfig> for oci::ImageConfiguration {
    /// Converts a config. Docker's fields and unknown ones have no place in it.
    fn from(config: &ImageConfig) -> Self {
        let mut rootfs = oci::RootFs::default();
        rootfs.set_diff_ids(config.diff_ids.iter().map(ToString::to_string).collect());
        let mut to = Self::default();
        to.set_created(config.created.map(|time| time.to_string()))
            .set_author(nonempty(&config.author))
            .set_architecture(config.architecture.as_str().into())
            .set_os(config.os.as_str().into())
            .set_os_version(config.os_version.clone())
            .set_os_features(some(&config.os_features))
            .set_variant(config.variant.clone())
            .set_config(Some((&config.config).into()))
            .set_rootfs(rootfs)
            .set_history(some(&config.history.iter().map(Into::into).collect::<Vec<_>>()));
        to
    }
}

impl From<&ExecutionConfig> for oci::Config {
    fn from(config: &ExecutionConfig) -> Self {
        let mut to = Self::default();
        to.set_user(nonempty(&config.user))
            .set_exposed_ports(some(&config.exposed_ports.iter().cloned().collect::<Vec<_>>()))
            .set_env(some(&config.env))
            .set_entrypoint(config.entrypoint.clone())
            .set_cmd(config.cmd.clone())
            .set_volumes(some(&config.volumes.iter().cloned().collect::<Vec<_>>()))
            .set_working_dir(nonempty(&config.working_dir))
            .set_labels(some_map(&config.labels))
            .set_stop_signal(nonempty(&config.stop_signal));
        to
    }
}

impl From<&HistoryEntry> for oci::History {
    fn from(entry: &HistoryEntry) -> Self {
        let mut to = Self::default();
        to.set_created(entry.created.map(|time| time.to_string()))
            .set_created_by(nonempty(&entry.created_by))
            .set_author(nonempty(&entry.author))
            .set_comment(nonempty(&entry.comment))
            .set_empty_layer(entry.empty_layer.then_some(true));
        to
    }
}

impl TryFrom<&oci::ImageConfiguration> for ImageConfig {
    type Error = OciSpecError;

    fn try_from(from: &oci::ImageConfiguration) -> Result<Self, OciSpecError> {
        let mut config = Self::new(from.os().to_string(), from.architecture().to_string());
        config.created = time(from.created().as_deref())?;
        config.author = from.author().clone().unwrap_or_default();
        config.os_version.clone_from(from.os_version());
        config.os_features = from.os_features().clone().unwrap_or_default();
        config.variant.clone_from(from.variant());
        config.config = from.config().as_ref().map(Into::into).unwrap_or_default();
        let diff_ids = from.rootfs().diff_ids().iter().enumerate().map(|(index, text)| {
            let path = format!("rootfs.diff_ids[{index}]");
            text.parse().map_err(|error| OciSpecError::new(path, error))
        });
        config.diff_ids = diff_ids.collect::<Result<_, _>>()?;
        let history = from.history().iter().flatten().enumerate().map(|(index, entry)| {
            let created = time(entry.created().as_deref());
            Ok(HistoryEntry {
                created: created.map_err(|error| error.inside(format_args!("history[{index}]")))?,
                created_by: entry.created_by().clone().unwrap_or_default(),
                author: entry.author().clone().unwrap_or_default(),
                comment: entry.comment().clone().unwrap_or_default(),
                empty_layer: entry.empty_layer().unwrap_or_default(),
            })
        });
        config.history = history.collect::<Result<_, _>>()?;
        Ok(config)
    }
}

impl From<&oci::Config> for ExecutionConfig {
    fn from(config: &oci::Config) -> Self {
        Self {
            user: config.user().clone().unwrap_or_default(),
            exposed_ports: config.exposed_ports().iter().flatten().cloned().collect(),
            env: config.env().clone().unwrap_or_default(),
            entrypoint: config.entrypoint().clone(),
            cmd: config.cmd().clone(),
            volumes: config.volumes().iter().flatten().cloned().collect(),
            working_dir: config.working_dir().clone().unwrap_or_default(),
            labels: config.labels().clone().unwrap_or_default().into_iter().collect(),
            stop_signal: config.stop_signal().clone().unwrap_or_default(),
            ..Self::default()
        }
    }
}

fn same_digest(digest: &Digest) -> oci::Digest {
    digest.as_str().parse().expect("every digest is one to the other crate")
}

fn time(text: Option<&str>) -> Result<Option<Timestamp>, OciSpecError> {
    text.map(str::parse).transpose().map_err(|error| OciSpecError::new("created", error))
}

fn subject(subject: Option<&oci::Descriptor>) -> Result<Option<Descriptor>, OciSpecError> {
    subject.map(Descriptor::try_from).transpose().map_err(|error| error.inside("subject"))
}

fn descriptors(name: &str, from: &[oci::Descriptor]) -> Result<Vec<Descriptor>, OciSpecError> {
    let convert = |(index, descriptor)| {
        Descriptor::try_from(descriptor)
            .map_err(|error: OciSpecError| error.inside(format_args!("{name}[{index}]")))
    };
    from.iter().enumerate().map(convert).collect()
}

fn some<T: Clone>(items: &[T]) -> Option<Vec<T>> {
    (!items.is_empty()).then(|| items.to_vec())
}

fn some_map(map: &std::collections::BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    (!map.is_empty()).then(|| map.clone().into_iter().collect())
}

fn nonempty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, Hasher, LayerCompression};

    fn descriptor(media_type: MediaType) -> Descriptor {
        Descriptor {
            urls: vec!["https://example.com".into()],
            annotations: [("a".into(), "b".into())].into(),
            data: Some(b"{}".to_vec()),
            platform: Some(Platform {
                os_version: Some("10".into()),
                os_features: vec!["win32k".into()],
                variant: Some("v8".into()),
                ..Platform::new("windows", "arm64")
            }),
            artifact_type: Some(MediaType::from("a/b")),
            ..Descriptor::new(media_type, Hasher::digest(Algorithm::Sha512, b"{}"), 2)
        }
    }

    #[test]
    fn manifests_and_indexes_round_trip() {
        for format in [ImageFormat::Oci, ImageFormat::Docker] {
            let layers = vec![descriptor(MediaType::OciLayer(LayerCompression::Zstd))];
            let mut image = ImageManifest::new(format, descriptor(format.config_type()), layers);
            image.subject = Some(descriptor(MediaType::OciManifest));
            image.annotations = [("x".into(), "y".into())].into();
            image.artifact_type = Some(MediaType::from("c/d"));
            let other = oci::ImageManifest::from(&image);
            assert_eq!(ImageManifest::try_from(&other), Ok(image));

            let mut index = Index::new(format, vec![descriptor(format.manifest_type())]);
            index.subject = Some(descriptor(MediaType::OciManifest));
            let other = oci::ImageIndex::from(&index);
            assert_eq!(Index::try_from(&other), Ok(index));
        }
    }

    #[test]
    fn configs_round_trip() {
        let mut config = ImageConfig::new("linux", "riscv64");
        config.created = Timestamp::from_unix(1, 2);
        config.author = "a".into();
        config.variant = Some("v".into());
        config.diff_ids = vec![Hasher::digest(Algorithm::Sha256, b"")];
        config.history = vec![HistoryEntry { empty_layer: true, ..HistoryEntry::default() }];
        config.config.cmd = Some(vec![]);
        config.config.exposed_ports = ["80/tcp".to_owned()].into();
        config.config.labels = [("a".into(), "b".into())].into();
        let other = oci::ImageConfiguration::from(&config);
        let back = ImageConfig::try_from(&other).unwrap();
        assert!(back.says_the_same(&config), "{back:?}");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let mut image = oci::ImageManifest::from(&ImageManifest::new(
            ImageFormat::Oci,
            descriptor(MediaType::OciConfig),
            vec![descriptor(MediaType::OciLayer(LayerCompression::Gzip)); 2],
        ));
        let digest = oci::Digest::try_from("multihash+base58:Qm").unwrap();
        image.layers_mut()[1].set_digest(digest);
        let error = ImageManifest::try_from(&image).unwrap_err();
        assert_eq!(error.path(), "layers[1].digest");
        let mut config = oci::ImageConfiguration::default();
        config.rootfs_mut().set_diff_ids(vec!["../x".into()]);
        let error = ImageConfig::try_from(&config).unwrap_err();
        assert_eq!(error.path(), "rootfs.diff_ids[0]");
        config.rootfs_mut().set_diff_ids(Vec::new());
        config.set_created(Some("yesterday".into()));
        assert_eq!(ImageConfig::try_from(&config).unwrap_err().path(), "created");
    }
}
