//! Entries of `containers.json`.

use std::collections::BTreeMap;

use cask_image::{Digest, Timestamp};

use super::fields::records_of;
use super::value::{Flags, IdMap};
use crate::Id;

records_of! {
    /// What the store knows of a container: podman's and buildah's, and ours.
    ///
    /// Source: containers/storage, `containers.go`, `Container`.
    pub struct ContainerRecord {
        /// Names, unique over all containers.
        names: Vec<String> = "names";
        /// The image that it was made from; `None` where it was made from nothing.
        image: Option<Id> = "image", always;
        /// The layer that it writes to.
        layer: Option<Id> = "layer", always;
        /// Free text: the engine's.
        metadata: String = "metadata";
        /// The names of the container's files.
        big_data_names: Vec<String> = "big-data-names";
        /// The sizes of these files in bytes.
        big_data_sizes: BTreeMap<String, i64> = "big-data-sizes";
        /// The digests of these files.
        big_data_digests: BTreeMap<String, Digest> = "big-data-digests";
        /// When it was made.
        created: Option<Timestamp> = "created";
        /// How owners are shifted.
        uid_map: Vec<IdMap> = "uidmap";
        /// How groups are shifted.
        gid_map: Vec<IdMap> = "gidmap";
        /// `MountLabel`, `ProcessLabel`, `Volatile`, `MountOpts`.
        flags: Flags = "flags";
    }
}

impl ContainerRecord {
    /// Whether the container need not survive a loss of power.
    pub fn is_volatile(&self) -> bool {
        self.flags.is_set("Volatile")
    }
}
