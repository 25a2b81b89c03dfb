//! Indexes: lists of manifests.

use std::collections::BTreeMap;

use cask_json::{Document, Fields, Writer};

use crate::descriptor::{Unknown, read_optional_media_type};
use crate::error::ManifestError;
use crate::image_manifest::{ImageFormat, read_list, read_subject};
use crate::manifest::{check_declarations, refuse_other_kinds};
use crate::{Descriptor, MAX_INDEX_ENTRIES, MediaType, RawManifest};

/// A list of manifests: the same image for several platforms, or whatever somebody put together.
///
/// Source: OCI image specification, `image-index.md`; Docker's manifest list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Whose format the index is in.
    pub format: ImageFormat,
    /// The entries, in the document's order.
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one is about. OCI only.
    pub subject: Option<Descriptor>,
    /// What is said about the index. OCI only.
    pub annotations: BTreeMap<String, String>,
    /// What kind of artifact it is. OCI only.
    pub artifact_type: Option<MediaType>,
    /// The paths of fields in the parsed document that this type has no place for. They are in
    /// the raw bytes only: encoding this value loses them.
    pub unknown_fields: Vec<String>,
}

const FIELDS: [&str; 6] =
    ["schemaVersion", "mediaType", "artifactType", "manifests", "subject", "annotations"];

impl Index {
    /// Makes an index that says its type and has nothing but entries.
    pub fn new(format: ImageFormat, manifests: Vec<Descriptor>) -> Self {
        Self {
            format,
            manifests,
            subject: None,
            annotations: BTreeMap::new(),
            artifact_type: None,
            unknown_fields: Vec::new(),
        }
    }

    /// Puts the entries that are marked as compressed with Zstandard behind all others, so that
    /// readers that do not know the mark find an image that they can read; otherwise the order
    /// stays.
    ///
    /// Source: `containers/image`, which does so whenever it adds an entry.
    pub fn sort_zstd_last(&mut self) {
        self.manifests.sort_by_key(Descriptor::is_marked_zstd);
    }

    pub(crate) fn read(
        document: &Document<'_>,
        media_type: &MediaType,
    ) -> Result<Self, ManifestError> {
        let fields = Fields::of(document.root())?;
        check_declarations(&fields, 2, media_type)?;
        refuse_other_kinds(&fields, &["manifests"], media_type)?;
        let mut unknown = Unknown::default();
        unknown.collect(&fields, &FIELDS);
        let manifests = read_list(&fields, "manifests", MAX_INDEX_ENTRIES, &mut unknown)?;
        let subject = read_subject(&fields, &mut unknown)?;
        Ok(Self {
            format: if *media_type == MediaType::OciIndex {
                ImageFormat::Oci
            } else {
                ImageFormat::Docker
            },
            manifests,
            subject,
            annotations: fields.string_map("annotations")?,
            artifact_type: read_optional_media_type(&fields, "artifactType")?,
            unknown_fields: unknown.into_paths(),
        })
    }

    /// Writes the index: without white space, the fields in the order in which the Go tools write
    /// them.
    ///
    /// The bytes are those that `containers/image` writes for an equal index. They are not the
    /// bytes that the index was parsed from, and they always say their media type.
    pub fn encode(&self) -> RawManifest {
        let mut writer = Writer::default();
        writer.object(|w| match self.format {
            ImageFormat::Oci => self.write_oci(w),
            ImageFormat::Docker => self.write_docker(w),
        });
        RawManifest::new(writer.finish(), self.format.index_type())
    }

    fn write_oci(&self, w: &mut Writer) {
        w.key("schemaVersion").integer(2u8);
        w.key("mediaType").string(MediaType::OciIndex.as_str());
        if let Some(artifact_type) = &self.artifact_type {
            w.text_unless_empty("artifactType", artifact_type.as_str());
        }
        w.key("manifests").array(|w| self.manifests.iter().for_each(|entry| entry.write_oci(w)));
        if let Some(subject) = &self.subject {
            w.key("subject");
            subject.write_oci(w);
        }
        w.map_unless_empty("annotations", &self.annotations);
    }

    fn write_docker(&self, w: &mut Writer) {
        w.key("schemaVersion").integer(2u8);
        w.key("mediaType").string(MediaType::DockerManifestList.as_str());
        let entries = &self.manifests;
        w.key("manifests").array(|w| entries.iter().for_each(|entry| entry.write_docker(w, true)));
    }
}
