//! Platforms: what an image runs on.

use std::fmt;

use cask_json::{Fields, Value, Writer};
use serde::{Deserialize, Serialize};

use crate::error::ManifestError;

/// An operating system and a processor, as in the descriptor of an index.
///
/// Source: OCI image specification, `image-index.md`, "platform".
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// Go's name of the processor architecture: `amd64`, `arm64`, `arm`, …
    #[serde(default)]
    pub architecture: String,
    /// Go's name of the operating system: `linux`, `windows`, …
    #[serde(default)]
    pub os: String,
    /// The operating system's version, mostly of Windows.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features of the operating system that the image needs.
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// The processor's variant: `v7`, `v8`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Features of the processor; Docker's lists only, reserved in OCI.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
}

impl Platform {
    /// Makes a platform of the two things that every platform has.
    pub fn new(os: impl Into<String>, architecture: impl Into<String>) -> Self {
        Self { os: os.into(), architecture: architecture.into(), ..Self::default() }
    }

    pub(crate) fn read(value: Value<'_>) -> Result<Self, ManifestError> {
        let fields = Fields::of(value)?;
        Ok(Self {
            architecture: fields.text("architecture")?,
            os: fields.text("os")?,
            os_version: fields.nonempty("os.version")?,
            os_features: fields.strings("os.features")?,
            variant: fields.nonempty("variant")?,
            features: fields.strings("features")?,
        })
    }

    pub(crate) fn write_oci(&self, writer: &mut Writer) {
        writer.object(|w| self.write_oci_fields(w));
    }

    /// Writes the fields without the braces: a config holds them among its own.
    pub(crate) fn write_oci_fields(&self, writer: &mut Writer) {
        writer.key("architecture").string(&self.architecture);
        writer.key("os").string(&self.os);
        writer.text_unless_empty("os.version", self.os_version.as_deref().unwrap_or_default());
        writer.strings_unless_empty("os.features", &self.os_features);
        writer.text_unless_empty("variant", self.variant.as_deref().unwrap_or_default());
    }

    pub(crate) fn write_docker(&self, writer: &mut Writer) {
        writer.object(|w| {
            self.write_oci_fields(w);
            w.strings_unless_empty("features", &self.features);
        });
    }
}

impl fmt::Display for Platform {
    /// Writes `os/architecture` or `os/architecture/variant`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}
