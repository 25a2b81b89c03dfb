//! Platforms: what an image runs on.

use serde::{Deserialize, Serialize};

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
