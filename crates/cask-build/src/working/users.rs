//! Users that a working container has for itself, and who they are on this machine.

use std::fs;

use cask_runtime::{IdMaps, IdRange, UserNamespace};
use cask_storage::IdMap;
use serde_json::{Value, json};

use super::WorkingContainer;
use crate::{Error, ErrorKind, Result};

/// Users that commands have for themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkingUsers {
    /// Whether commands are in a user namespace of their own.
    pub are_own: bool,
    /// Who the users inside are outside. Without any, everybody is who it is outside.
    pub uids: Vec<IdRange>,
    /// The same of groups.
    pub gids: Vec<IdRange>,
}

impl WorkingUsers {
    /// Users that are mapped so. Where only users or only groups are, the others are mapped the same way.
    pub fn mapped(uids: Vec<IdRange>, gids: Vec<IdRange>) -> Self {
        let (uids, gids) = match (uids.is_empty(), gids.is_empty()) {
            (true, false) => (gids.clone(), gids),
            (false, true) => (uids.clone(), uids),
            _ => (uids, gids),
        };
        Self { are_own: !uids.is_empty(), uids, gids }
    }

    /// Whether users are others outside.
    pub fn are_mapped(&self) -> bool {
        !self.uids.is_empty() || !self.gids.is_empty()
    }

    /// As layers are read and written with them.
    pub(crate) fn of_layers(&self) -> cask_layer::IdMaps {
        let (uids, gids) = self.stored();
        IdMap::of_layers(&uids, &gids)
    }

    /// The numbers outside of a user and a group.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for those that there are not.
    pub(crate) fn outside(&self, uid: u32, gid: u32) -> Result<(u32, u32)> {
        self.of_layers().to_host(uid, gid).ok_or_else(|| {
            let subject = format!("the user {uid}:{gid}");
            Error::new(ErrorKind::Invalid, subject, "is in no range of the user namespace")
        })
    }

    /// As the store has them.
    pub(crate) fn stored(&self) -> (Vec<IdMap>, Vec<IdMap>) {
        let map = |ranges: &[IdRange]| {
            let one = |range: &IdRange| IdMap {
                container_id: range.inside,
                host_id: range.outside,
                size: range.count,
            };
            ranges.iter().map(one).collect()
        };
        (map(&self.uids), map(&self.gids))
    }

    fn of_stored(uids: &[IdMap], gids: &[IdMap]) -> Self {
        let ranges = |maps: &[IdMap]| {
            let one = |map: &IdMap| IdRange {
                inside: map.container_id,
                outside: map.host_id,
                count: map.size,
            };
            maps.iter().map(one).collect()
        };
        Self::mapped(ranges(uids), ranges(gids))
    }

    /// The maps as the kernel gets them.
    pub(crate) fn maps(&self) -> IdMaps {
        IdMaps { uids: self.uids.clone(), gids: self.gids.clone() }
    }

    /// As the executor has it.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where this process's own users cannot be read.
    pub(crate) fn of_process(&self) -> Result<UserNamespace> {
        Ok(match (self.are_own, self.are_mapped()) {
            (false, false) => UserNamespace::Inherit,
            (_, true) => UserNamespace::Map(self.maps()),
            (true, false) => {
                UserNamespace::Map(IdMaps { uids: own("uid_map")?, gids: own("gid_map")? })
            }
        })
    }

    /// As buildah writes it down.
    ///
    /// Source: buildah, `define/types.go`, `IDMappingOptions`.
    pub(super) fn remembered(&self) -> Value {
        let ranges = |ranges: &[IdRange]| {
            let one = |range: &IdRange| json!({"containerID": range.inside, "hostID": range.outside, "size": range.count});
            ranges.iter().map(one).collect::<Vec<_>>()
        };
        json!({
            "HostUIDMapping": self.uids.is_empty(), "HostGIDMapping": self.gids.is_empty(),
            "UIDMap": ranges(&self.uids), "GIDMap": ranges(&self.gids),
            "AutoUserNs": false,
            "AutoUserNsOpts": {
                "Size": 0, "InitialSize": 0, "PasswdFile": "", "GroupFile": "",
                "AdditionalUIDMappings": null, "AdditionalGIDMappings": null,
            },
        })
    }
}

/// Everybody of the user namespace that this process is in, as who that is.
fn own(file: &str) -> Result<Vec<IdRange>> {
    let path = std::path::Path::new("/proc/self").join(file);
    let text =
        fs::read_to_string(&path).map_err(|error| Error::io(error, "cannot be read", &path))?;
    let here = |range: IdRange| IdRange { outside: range.inside, ..range };
    Ok(IdRange::of_map(&text).into_iter().map(here).collect())
}

impl WorkingContainer {
    /// The users that its commands have.
    pub(super) fn users(&self) -> WorkingUsers {
        let mut users = WorkingUsers::of_stored(&self.container.uid_map, &self.container.gid_map);
        let listed = self.state.value("NamespaceOptions").and_then(Value::as_array);
        let is_own = |entry: &Value| {
            entry["Name"] == "user" && entry["Host"] == false && entry["Path"] == ""
        };
        users.are_own |= listed.into_iter().flatten().any(is_own);
        users
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_mapped_the_same_way_unless_both_are_said() {
        let range = |outside| vec![IdRange { inside: 0, outside, count: 10 }];
        let check = |uids: u32, gids: u32, expected: Option<(u32, u32)>| {
            let ranges = |outside: u32| if outside == 0 { Vec::new() } else { range(outside) };
            let users = WorkingUsers::mapped(ranges(uids), ranges(gids));
            let found = users.are_mapped().then(|| users.outside(3, 4).unwrap());
            assert_eq!((found, users.are_own), (expected, expected.is_some()));
        };
        check(0, 0, None);
        check(100, 0, Some((103, 104)));
        check(0, 200, Some((203, 204)));
        check(100, 200, Some((103, 204)));
        let users = WorkingUsers::mapped(range(100), Vec::new());
        assert_eq!(users.outside(10, 0).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(WorkingUsers::default().outside(10, 0).unwrap(), (10, 0));
        let (uids, gids) = users.stored();
        assert_eq!(WorkingUsers::of_stored(&uids, &gids), users);
    }

    #[test]
    fn a_namespace_without_maps_has_everybody_of_this_one() {
        let mut users = WorkingUsers::default();
        assert!(matches!(users.of_process().unwrap(), UserNamespace::Inherit));
        users.are_own = true;
        let UserNamespace::Map(maps) = users.of_process().unwrap() else { panic!() };
        assert!(maps.uids.iter().all(|range| range.inside == range.outside));
        assert!(!maps.uids.is_empty() && !maps.gids.is_empty());
    }
}
