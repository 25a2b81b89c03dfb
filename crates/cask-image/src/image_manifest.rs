//! Manifests of one image or artifact: a config and layers.

use std::collections::BTreeMap;

use cask_json::{Document, Fields, Value, Writer};

use crate::descriptor::{Unknown, read_optional_media_type};
use crate::error::ManifestError;
use crate::manifest::{check_count, check_declarations, refuse_other_kinds};
use crate::{Descriptor, MAX_LAYERS, MediaType, RawManifest};

/// Whose manifests, indexes and media types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageFormat {
    /// Those of the OCI image specification.
    Oci,
    /// Docker's version 2, schema 2.
    Docker,
}

impl ImageFormat {
    /// The media type of image manifests.
    pub fn manifest_type(self) -> MediaType {
        match self {
            Self::Oci => MediaType::OciManifest,
            Self::Docker => MediaType::DockerManifest,
        }
    }

    /// The media type of indexes.
    pub fn index_type(self) -> MediaType {
        match self {
            Self::Oci => MediaType::OciIndex,
            Self::Docker => MediaType::DockerManifestList,
        }
    }

    /// The media type of image configs.
    pub fn config_type(self) -> MediaType {
        match self {
            Self::Oci => MediaType::OciConfig,
            Self::Docker => MediaType::DockerConfig,
        }
    }
}

/// The manifest of one image, or of an artifact.
///
/// Source: OCI image specification, `manifest.md`; Docker's image manifest version 2, schema 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageManifest {
    /// Whose format the manifest is in.
    pub format: ImageFormat,
    /// Whether the document says its own media type. Docker's always do when encoded.
    pub declares_media_type: bool,
    /// The config.
    pub config: Descriptor,
    /// The layers, the base first; of an artifact: its parts.
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about. OCI only.
    pub subject: Option<Descriptor>,
    /// What kind of artifact it is. OCI only.
    pub artifact_type: Option<MediaType>,
    /// What is said about the image. OCI only.
    pub annotations: BTreeMap<String, String>,
    /// The paths of fields in the parsed document that this type has no place for. They are in
    /// the raw bytes only: encoding this value loses them.
    pub unknown_fields: Vec<String>,
}

const FIELDS: [&str; 7] =
    ["schemaVersion", "mediaType", "artifactType", "config", "layers", "subject", "annotations"];

impl ImageManifest {
    /// Makes a manifest that says its type and has nothing but a config and layers.
    pub fn new(format: ImageFormat, config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            format,
            declares_media_type: true,
            config,
            layers,
            subject: None,
            artifact_type: None,
            annotations: BTreeMap::new(),
            unknown_fields: Vec::new(),
        }
    }

    /// Whether this is something else than an image: an OCI manifest whose config is not an
    /// image's.
    ///
    /// Some artifacts borrow the config type of images (signatures of cosign do); they are images
    /// to everyone who does not know better.
    pub fn is_artifact(&self) -> bool {
        self.format == ImageFormat::Oci
            && !matches!(self.config.media_type, MediaType::OciConfig | MediaType::DockerConfig)
    }

    /// The digest of the config: what engines call the image's ID.
    pub fn image_id(&self) -> &cask_reference::Digest {
        &self.config.digest
    }

    pub(crate) fn read(
        document: &Document<'_>,
        media_type: &MediaType,
    ) -> Result<Self, ManifestError> {
        let fields = Fields::of(document.root())?;
        let declares_media_type = check_declarations(&fields, 2, media_type)?;
        refuse_other_kinds(&fields, &["config", "layers"], media_type)?;
        let mut unknown = Unknown::default();
        unknown.collect(&fields, &FIELDS);
        unknown.enter("config");
        let config = Descriptor::read(fields.require("config")?, &mut unknown)?;
        let layers = read_list(&fields, "layers", MAX_LAYERS, &mut unknown)?;
        let subject = read_subject(&fields, &mut unknown)?;
        Ok(Self {
            format: if *media_type == MediaType::OciManifest {
                ImageFormat::Oci
            } else {
                ImageFormat::Docker
            },
            declares_media_type,
            config,
            layers,
            subject,
            artifact_type: read_optional_media_type(&fields, "artifactType")?,
            annotations: fields.string_map("annotations")?,
            unknown_fields: unknown.into_paths(),
        })
    }

    /// Writes the manifest: without white space, the fields in the order in which the Go tools
    /// write them.
    ///
    /// The bytes are those that `containers/image` writes for an equal manifest. They are not the
    /// bytes that the manifest was parsed from.
    pub fn encode(&self) -> RawManifest {
        let mut writer = Writer::default();
        writer.object(|w| match self.format {
            ImageFormat::Oci => self.write_oci(w),
            ImageFormat::Docker => self.write_docker(w),
        });
        RawManifest::new(writer.finish(), self.format.manifest_type())
    }

    fn write_oci(&self, w: &mut Writer) {
        w.key("schemaVersion").integer(2u8);
        if self.declares_media_type {
            w.key("mediaType").string(MediaType::OciManifest.as_str());
        }
        if let Some(artifact_type) = &self.artifact_type {
            w.text_unless_empty("artifactType", artifact_type.as_str());
        }
        w.key("config");
        self.config.write_oci(w);
        w.key("layers").array(|w| self.layers.iter().for_each(|layer| layer.write_oci(w)));
        if let Some(subject) = &self.subject {
            w.key("subject");
            subject.write_oci(w);
        }
        w.map_unless_empty("annotations", &self.annotations);
    }

    fn write_docker(&self, w: &mut Writer) {
        w.key("schemaVersion").integer(2u8);
        w.key("mediaType").string(MediaType::DockerManifest.as_str());
        w.key("config");
        self.config.write_docker(w, false);
        w.key("layers")
            .array(|w| self.layers.iter().for_each(|layer| layer.write_docker(w, false)));
    }
}

/// Reads a list of descriptors, which has to be there but may be null.
pub(crate) fn read_list(
    fields: &Fields<'_>,
    name: &'static str,
    max: usize,
    unknown: &mut Unknown,
) -> Result<Vec<Descriptor>, ManifestError> {
    if !fields.has(name) {
        fields.require(name)?;
    }
    let Some(value) = fields.get(name)? else { return Ok(Vec::new()) };
    let items = value.items()?;
    check_count(value, items.len(), max)?;
    let read = |(index, item): (usize, Value<'_>)| {
        unknown.enter(format!("{name}[{index}]"));
        Descriptor::read(item, unknown)
    };
    items.enumerate().map(read).collect()
}

pub(crate) fn read_subject(
    fields: &Fields<'_>,
    unknown: &mut Unknown,
) -> Result<Option<Descriptor>, ManifestError> {
    unknown.enter("subject");
    let subject = fields.get("subject")?;
    subject.map(|value| Descriptor::read(value, unknown)).transpose()
}
