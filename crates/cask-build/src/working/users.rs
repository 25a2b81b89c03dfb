//! Users that a working container has for itself, and who they are on this machine.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cask_runtime::{IdMaps, IdRange, UserNamespace};
use cask_storage::{ChosenIds, Id, IdMap, OwnIds, SpareIds, Store};
use serde_json::{Value, json};

use super::{WorkingContainer, WorkingNamespace};
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
    /// Who they are is chosen, so that no other container has them: for a working container when it is made, in a build
    /// for each command.
    pub chosen: Option<OwnIds>,
    /// The namespace that they are in, which is there already, as `/proc/PID/ns/user`.
    pub path: Option<PathBuf>,
}

impl WorkingUsers {
    /// Users that are mapped so. Where only users or only groups are, the others are mapped the same way.
    pub fn mapped(uids: Vec<IdRange>, gids: Vec<IdRange>) -> Self {
        let (uids, gids) = match (uids.is_empty(), gids.is_empty()) {
            (true, false) => (gids.clone(), gids),
            (false, true) => (uids.clone(), uids),
            _ => (uids, gids),
        };
        Self { are_own: !uids.is_empty(), uids, gids, chosen: None, path: None }
    }

    /// Users that are chosen when they are needed.
    pub fn chosen(wanted: OwnIds) -> Self {
        Self { are_own: true, chosen: Some(wanted), ..Self::default() }
    }

    /// The users of a namespace that is there, as `/proc/PID/ns/user` names it.
    ///
    /// # Errors
    /// [`ErrorKind::Runtime`] where there is no such file, or where nothing says who they are.
    pub fn of_namespace(path: &Path) -> Result<Self> {
        let found = IdMaps::of_namespace(path)
            .map_err(|error| Error::runtime(error, "checking user namespace"))?;
        Ok(match found {
            None => Self::default(),
            Some(IdMaps { uids, gids }) => {
                Self { are_own: true, uids, gids, chosen: None, path: Some(path.to_owned()) }
            }
        })
    }

    /// Whether users are others outside.
    pub fn are_mapped(&self) -> bool {
        !self.uids.is_empty() || !self.gids.is_empty() || self.chosen.is_some()
    }

    /// Chooses them, where that is asked for, for a container whose uppermost layer is `top`. Until what comes back is
    /// dropped, nobody else chooses any.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where there are not enough; [`ErrorKind::Storage`].
    pub(crate) fn choose(&mut self, store: &Store, top: Option<&Id>) -> Result<Option<ChosenIds>> {
        let Some(wanted) = self.chosen.take() else { return Ok(None) };
        let IdMaps { uids, gids } = IdMaps::spare(store.options().rootless)
            .map_err(|error| Error::runtime(error, "--userns=auto"))?;
        let spare = |ranges: &[IdRange]| ranges.iter().map(IdRange::outside_ids).collect();
        let spare = SpareIds { uids: spare(&uids), gids: spare(&gids) };
        let chosen = store.choose_ids(&wanted, &spare, top).map_err(|error| match error.kind() {
            cask_storage::ErrorKind::LimitExceeded => {
                let hint = "IDs are those that /etc/subuid and /etc/subgid give to the name containers, or to the user; --userns=auto:size=NUMBER says how many";
                Error::new(ErrorKind::Invalid, "creating container", error.to_string())
                    .with_hint(hint)
            }
            _ => Error::storage(error, "creating container"),
        })?;
        *self = Self::of_stored(&chosen.uids, &chosen.gids);
        Ok(Some(chosen))
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
        if let Some(path) = &self.path {
            return self.join(path);
        }
        Ok(match (self.are_own, self.are_mapped()) {
            (false, false) => UserNamespace::Inherit,
            (_, true) => UserNamespace::Map(self.maps()),
            (true, false) => {
                let IdMaps { uids, gids } = IdMaps::of_process()
                    .map_err(|error| Error::runtime(error, "the users of this process"))?;
                let here = |range: IdRange| IdRange { outside: range.inside, ..range };
                let uids = uids.into_iter().map(here).collect();
                let gids = gids.into_iter().map(here).collect();
                UserNamespace::Map(IdMaps { uids, gids })
            }
        })
    }

    fn join(&self, path: &Path) -> Result<UserNamespace> {
        // Others may be behind the path by now, and files belong to those of before.
        let now = Self::of_namespace(path)?;
        if (&now.uids, &now.gids) != (&self.uids, &self.gids) {
            let why = "it maps other users than when the container was made";
            return Err(Error::new(ErrorKind::Invalid, path.display(), why));
        }
        let opened =
            File::open(path).map_err(|error| Error::io(error, "cannot be opened", path))?;
        Ok(UserNamespace::Join(Arc::new(opened.into())))
    }

    /// What is written down of their namespace.
    pub(super) fn namespace(&self) -> Option<WorkingNamespace> {
        match (&self.path, self.are_own) {
            (Some(path), _) => Some(WorkingNamespace::Path(path.display().to_string())),
            (None, true) => Some(WorkingNamespace::Private),
            (None, false) => None,
        }
    }

    /// What keys of the cache say of them; nothing where they are the machine's.
    pub(crate) fn key(&self) -> Option<String> {
        match &self.chosen {
            // Whoever they are, they leave the same.
            Some(wanted) => Some(format!("chosen {wanted:?}")),
            None => self.are_own.then(|| format!("{:?}", self.maps())),
        }
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

impl WorkingContainer {
    /// The users that its commands have.
    pub(super) fn users(&self) -> WorkingUsers {
        let mut users = WorkingUsers::of_stored(&self.container.uid_map, &self.container.gid_map);
        let listed = self.state.value("NamespaceOptions").and_then(Value::as_array);
        let is_own = |entry: &&Value| entry["Name"] == "user" && entry["Host"] == false;
        if let Some(entry) = listed.into_iter().flatten().find(is_own) {
            users.are_own = true;
            let path = entry["Path"].as_str().filter(|path| !path.is_empty());
            users.path = path.map(PathBuf::from);
        }
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
