//! Places of images, and what identifies the image that is there.

use std::path::Path;

use serde_json::Value;

use crate::program::{dray, skopeo};

/// The transports of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `dir:`
    Dir,
    /// `docker-archive:`
    DockerArchive,
    /// `oci:`
    Oci,
    /// `oci-archive:`
    OciArchive,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Dir, Self::DockerArchive, Self::Oci, Self::OciArchive];

    /// The word before the colon.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Dir => "dir",
            Self::DockerArchive => "docker-archive",
            Self::Oci => "oci",
            Self::OciArchive => "oci-archive",
        }
    }

    /// The file or directory of a place called `name`.
    pub fn path(self, directory: &Path, name: &str) -> std::path::PathBuf {
        let extension = if self.is_archive() { ".tar" } else { "" };
        directory.join(format!("{name}{extension}"))
    }

    /// A place called `name` in a directory. The image there has a name, if places have names.
    pub fn place(self, directory: &Path, name: &str) -> String {
        let path = self.path(directory, name);
        let (scheme, path) = (self.scheme(), path.display());
        match self {
            Self::Dir => format!("{scheme}:{path}"),
            Self::Oci | Self::OciArchive => format!("{scheme}:{path}:it"),
            Self::DockerArchive => format!("{scheme}:{path}:example.com/it:1"),
        }
    }

    /// Whether a place is one file.
    pub fn is_archive(self) -> bool {
        matches!(self, Self::DockerArchive | Self::OciArchive)
    }

    /// Whether a place holds manifests as they are.
    pub fn keeps_manifests(self) -> bool {
        self != Self::DockerArchive
    }
}

/// What a copy never changes: the config's digest and the digests of the plain layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The config.
    pub config: String,
    /// The plain layers, the lowest first.
    pub diff_ids: Value,
}

/// The identity of the image at a place, as skopeo sees it.
#[track_caller]
pub fn identity(place: &str) -> Identity {
    let manifest = skopeo(&format!("inspect --raw {place}")).ok().json();
    let config = skopeo(&format!("inspect --raw --config {place}")).ok().json();
    let digest = manifest["config"]["digest"].as_str().expect("an image has a config");
    Identity { config: digest.into(), diff_ids: config["rootfs"]["diff_ids"].clone() }
}

/// The digest of what is at a place, as `dray` prints it.
#[track_caller]
pub fn digest(place: &str) -> String {
    dray(&format!("digest {place}")).ok().text().into()
}

/// The layers of the image at a place, as its manifest lists them.
#[track_caller]
pub fn layers(place: &str) -> Vec<Value> {
    let manifest = dray(&format!("inspect --raw {place}")).ok().json();
    manifest["layers"].as_array().expect("an image has layers").clone()
}
