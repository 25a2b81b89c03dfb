//! Images.

use cask_image::{Algorithm, Descriptor, Digest, MediaType, Platform};

use super::content::{Blob, Content};
use super::document::{
    CREATED, Config, Execution, Link, Manifest, Map, RootFilesystem, Runs, Step, to_bytes,
};
use super::layer::{Layer, LayerSpec};
use super::random::derived;

/// Whose media types the documents have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The OCI image specification's.
    #[default]
    Oci,
    /// Docker's: schema 2 manifests, and manifest lists.
    Docker,
}

/// What to make an image of. Equal specs make equal images.
///
/// ```
/// use cask_testkit::generate::{Compression, ImageSpec, LayerSpec};
///
/// let image = ImageSpec::new(1)
///     .layer(LayerSpec::new(10).size_bytes(100_000))
///     .layer(LayerSpec::new(11).compression(Compression::Zstd))
///     .build();
/// assert_eq!(image.layers.len(), 2);
/// assert!(image.content().is_honest());
/// ```
#[derive(Clone, Debug)]
pub struct ImageSpec {
    seed: u64,
    format: Format,
    algorithm: Algorithm,
    layers: Option<Vec<LayerSpec>>,
    platform: Platform,
    labels: Map,
    annotations: Map,
    subject: Option<Descriptor>,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The manifest.
    pub manifest: Blob,
    /// The config.
    pub config: Blob,
    /// The layers, the lowest first. The same one may be there twice.
    pub layers: Vec<Layer>,
    /// What the image runs on.
    pub platform: Platform,
    /// Whose media types the documents have.
    pub format: Format,
}

impl ImageSpec {
    /// An OCI image for linux/amd64 with two gzip layers of their own.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            format: Format::default(),
            algorithm: Algorithm::Sha256,
            layers: None,
            platform: Platform::new("linux", "amd64"),
            labels: Map::new(),
            annotations: Map::new(),
            subject: None,
        }
    }

    /// Sets whose media types the documents have.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Sets the algorithm of all digests.
    #[must_use]
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Adds a layer on top. The first call replaces the two that are there by default.
    #[must_use]
    pub fn layer(mut self, layer: LayerSpec) -> Self {
        self.layers.get_or_insert_default().push(layer);
        self
    }

    /// Leaves all layers out.
    #[must_use]
    pub fn without_layers(mut self) -> Self {
        self.layers = Some(Vec::new());
        self
    }

    /// Sets what the image runs on.
    #[must_use]
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = platform;
        self
    }

    /// Adds a label to the config.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Adds an annotation to the manifest. Docker's manifests have none, but nothing refuses them.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Says that the image is about another one.
    #[must_use]
    pub fn subject(mut self, subject: Descriptor) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Makes the image.
    pub fn build(&self) -> Image {
        let usual = || [1, 2].map(|purpose| LayerSpec::new(derived(self.seed, purpose))).to_vec();
        let layers = self.layers.clone().unwrap_or_else(usual);
        let layers: Vec<_> =
            layers.iter().map(|layer| layer.build(self.format, self.algorithm)).collect();
        let (manifest_type, config_type) = match self.format {
            Format::Oci => (MediaType::OciManifest, MediaType::OciConfig),
            Format::Docker => (MediaType::DockerManifest, MediaType::DockerConfig),
        };
        let config = Blob::with_algorithm(config_type, self.config(&layers), self.algorithm);
        let document = to_bytes(&Manifest {
            schema_version: 2,
            media_type: manifest_type.as_str(),
            artifact_type: None,
            config: Link::from(&config.descriptor),
            layers: layers.iter().map(|layer| Link::from(&layer.blob.descriptor)).collect(),
            subject: self.subject.as_ref().map(Link::from),
            annotations: &self.annotations,
        });
        let manifest = Blob::with_algorithm(manifest_type, document, self.algorithm);
        Image { manifest, config, layers, platform: self.platform.clone(), format: self.format }
    }

    /// The bytes of the config: what was done to make the layers, and one step without a layer.
    fn config(&self, layers: &[Layer]) -> bytes::Bytes {
        let step =
            |created_by: String, empty_layer| Step { created: CREATED, created_by, empty_layer };
        let mut history: Vec<_> = (0..layers.len())
            .map(|index| step(format!("COPY layer-{index} / # <image \"{}\">", self.seed), false))
            .collect();
        history.push(step("ENV PATH=/usr/bin:/bin".into(), true));
        to_bytes(&Config {
            created: CREATED,
            platform: Runs::from(&self.platform),
            config: Execution {
                env: &["PATH=/usr/bin:/bin", "GREETING=hello, world & <others>"],
                cmd: &["/bin/true"],
                working_dir: "/",
                labels: &self.labels,
            },
            rootfs: RootFilesystem {
                kind: "layers",
                diff_ids: layers.iter().map(|layer| layer.diff_id.as_str()).collect(),
            },
            history,
        })
    }
}

impl Image {
    /// The digest of the manifest.
    pub fn digest(&self) -> &Digest {
        self.manifest.digest()
    }

    /// The manifest with all that it refers to.
    pub fn content(&self) -> Content {
        let layers = self.layers.iter().map(|layer| layer.blob.clone());
        let blobs = std::iter::once(self.config.clone()).chain(layers).collect();
        Content::new(self.manifest.clone(), Vec::new(), blobs)
    }
}
