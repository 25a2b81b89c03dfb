//! Whose users a container has: a user namespace of its own, and who everybody in it is outside.
//!
//! Source: podman 4.3, `pkg/specgen/generate/namespaces.go`, `pkg/util` and `pkg/namespaces`; containers/storage,
//! `userns.go`; its words.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use cask_runtime::{IdMaps, IdRange, UserNamespace};
use cask_storage::{ChosenIds, IdMap, OwnIds, SpareIds};
use serde::{Deserialize, Serialize};

use super::config::ContainerConfig;
use super::{Containers, SpaceMode};
use crate::{Error, ErrorKind, Found, Result};

/// Whose users a container has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UsersConfig {
    /// What it was made with, where it has a namespace: `private`, `container:ID` or `ns:PATH`.
    pub mode: String,
    /// Who the users inside are outside; none is no namespace of its own.
    pub uids: Vec<UserRange>,
    /// The same of groups.
    pub gids: Vec<UserRange>,
    /// The files of its image are copied with other owners, since the kernel does not shift them for users, nor
    /// without an overlay.
    pub copied: bool,
}

/// A range of users or groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRange {
    /// The first one inside.
    pub inside: u32,
    /// Who that is outside: on this machine, or in the user namespace that the store is in.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// What is asked for of users.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct UsersRequest {
    /// `host`, `auto`, `keep-id`, `nomap`, `private`, `container:NAME`, `ns:PATH`, with options behind a colon.
    pub mode: String,
    /// Ranges of users: `INSIDE:OUTSIDE:COUNT`.
    pub uid_maps: Vec<String>,
    /// Ranges of groups.
    pub gid_maps: Vec<String>,
    /// Whose ranges of `/etc/subuid` are users.
    pub subuid_name: Option<String>,
    /// Whose ranges of `/etc/subgid` are groups.
    pub subgid_name: Option<String>,
    /// Who calls, if that is not root.
    pub caller: Option<Caller>,
}

/// A user without privileges who calls: outside of the user namespace that the store is in.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The user's number.
    pub uid: u32,
    /// That of its group.
    pub gid: u32,
    /// What the user is called.
    pub name: String,
    /// What its group is called.
    pub group: String,
    /// Who the user is.
    pub full_name: String,
    /// The user's home directory.
    pub home: String,
}

impl UsersConfig {
    /// Whether the container has users of its own.
    pub fn is_mapped(&self) -> bool {
        !self.uids.is_empty()
    }

    pub(super) fn maps(&self) -> IdMaps {
        let ranges = |ranges: &[UserRange]| {
            let range = |range: &UserRange| IdRange {
                inside: range.inside,
                outside: range.outside,
                count: range.count,
            };
            ranges.iter().map(range).collect()
        };
        IdMaps { uids: ranges(&self.uids), gids: ranges(&self.gids) }
    }

    /// The maps as the store has them.
    pub(super) fn stored(&self) -> (Vec<IdMap>, Vec<IdMap>) {
        let map = |ranges: &[UserRange]| {
            let one = |range: &UserRange| IdMap {
                container_id: range.inside,
                host_id: range.outside,
                size: range.count,
            };
            ranges.iter().map(one).collect()
        };
        (map(&self.uids), map(&self.gids))
    }

    /// The maps as layers are written and read with them.
    pub(super) fn of_layers(&self) -> cask_layer::IdMaps {
        let (uids, gids) = self.stored();
        IdMap::of_layers(&uids, &gids)
    }

    /// Who a user and a group of the container are outside.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for those that it does not have.
    pub(super) fn outside(&self, uid: u32, gid: u32) -> Result<(u32, u32)> {
        self.of_layers().to_host(uid, gid).ok_or_else(|| {
            let words =
                format!("the user {uid}:{gid} is in no range of the container's user namespace");
            Error::new(ErrorKind::Invalid, words, "")
        })
    }

    /// Gives the root of the container back to its own root, where it is mounted: podman makes it this machine's
    /// whenever it mounts it.
    pub(super) fn keep_root(&self, root: &Path) -> Result<()> {
        let owner = self.outside(0, 0)?;
        if !self.is_mapped() {
            return Ok(());
        }
        cask_storage::keep_root(root, owner)
            .map_err(|error| super::record::io(error, "changing the owner of", root))
    }

    /// A namespace with which the layers below are mounted; `None` where owners stay.
    pub(super) fn owners(&self) -> Result<Option<Arc<OwnedFd>>> {
        if !self.is_mapped() || self.copied {
            return Ok(None);
        }
        Ok(Some(Arc::new(cask_runtime::new_user_namespace(&self.maps())?)))
    }
}

/// Who somebody outside is inside; `None` is nobody of the container. Without ranges it is the same one.
pub(super) fn inside(ranges: &[UserRange], outside: u32) -> Option<u32> {
    if ranges.is_empty() {
        return Some(outside);
    }
    ranges.iter().find_map(|range| {
        let offset = outside.checked_sub(range.outside).filter(|offset| *offset < range.count)?;
        range.inside.checked_add(offset)
    })
}

fn invalid(words: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, words.into(), "")
}

impl Containers {
    /// Works out whose users a container has. What comes back is held until the container is in the store.
    pub(super) fn settle_users(
        &self,
        config: &mut ContainerConfig,
        request: &UsersRequest,
        image: Option<&Found>,
    ) -> Result<Option<ChosenIds>> {
        let (mode, options) = request.mode.split_once(':').unwrap_or((&request.mode, ""));
        let rootless = |what: &str| {
            let words = || invalid(format!("{what} is only supported in rootless mode"));
            request.caller.as_ref().ok_or_else(words)
        };
        let mut held = None;
        let users = match mode {
            "" if asks_for_maps(request) => given(request)?,
            "" => UsersConfig::default(),
            "host" | "private" | "nomap" if request.mode.contains(':') => {
                return Err(unrecognized(&request.mode));
            }
            "host" => UsersConfig::default(),
            "private" => {
                let words =
                    "must provide at least one UID or GID mapping to configure a user namespace";
                return Err(invalid(words));
            }
            "auto" => {
                let chosen = self.automatic(config, options, image, request.caller.is_some())?;
                let users = private(user_ranges(&chosen.uids), user_ranges(&chosen.gids));
                held = Some(chosen);
                users
            }
            "keep-id" => keep_id(config, options, rootless("keep-id")?)?,
            "nomap" => {
                rootless("nomap")?;
                let count = size_of_namespace("uid_map")?.min(size_of_namespace("gid_map")?);
                private(vec![range(0, 1, count)], vec![range(0, 1, count)])
            }
            "container" if !options.is_empty() => self.of_container(config, options)?,
            "ns" => of_path(Path::new(options))?,
            _ => return Err(unrecognized(&request.mode)),
        };
        check(&users, request.caller.is_some())?;
        config.namespaces.user = users;
        let is_vfs = self.store().driver() == cask_storage::DriverKind::Vfs;
        config.namespaces.user.copied =
            request.caller.is_some() || self.store().options().rootless || is_vfs;
        Ok(held)
    }

    /// Chooses users that no container of the store has.
    fn automatic(
        &self,
        config: &ContainerConfig,
        options: &str,
        image: Option<&Found>,
        rootless: bool,
    ) -> Result<ChosenIds> {
        let mut wanted: OwnIds = options.parse()?;
        let user = config.process.user.as_deref().unwrap_or_default();
        let user = user.split(':').next().and_then(|user| user.parse::<u32>().ok());
        wanted.least = user.map_or(1, |user| user.saturating_add(1));
        let IdMaps { uids, gids } = IdMaps::spare(rootless)?;
        let spare = |ranges: &[IdRange]| ranges.iter().map(IdRange::outside_ids).collect();
        let spare = SpareIds { uids: spare(&uids), gids: spare(&gids) };
        let top = image.and_then(|found| found.image.top_layer.as_ref());
        self.store().choose_ids(&wanted, &spare, top).map_err(|error| match error.kind() {
            cask_storage::ErrorKind::LimitExceeded => {
                invalid(format!("creating container storage: {error}"))
            }
            _ => error.into(),
        })
    }

    /// The users that another container has; it has to run first.
    fn of_container(&self, config: &mut ContainerConfig, name: &str) -> Result<UsersConfig> {
        let other = self.find(name).map_err(|error| {
            let words = "looking up container to share user namespace with";
            Error::new(error.kind(), words, "").with_cause(error)
        })?;
        if !other.config.namespaces.user.is_mapped() {
            return Ok(UsersConfig::default());
        }
        let mode = format!("container:{}", other.id());
        config.lifecycle.requires.push(other.id().to_owned());
        Ok(UsersConfig { mode, ..other.config.namespaces.user })
    }

    /// What the runtime is told.
    pub(super) fn user_namespace(&self, users: &UsersConfig) -> Result<UserNamespace> {
        if !users.is_mapped() {
            return Ok(UserNamespace::Inherit);
        }
        Ok(match users.mode.parse::<SpaceMode>() {
            Ok(SpaceMode::Container(id)) => {
                UserNamespace::Join(self.find(&id)?.process()?.namespace("user")?.into())
            }
            Ok(SpaceMode::Path(path)) => {
                // Others may be behind the path by now, and files belong to those of before.
                let now = of_path(&path)?;
                if (&now.uids, &now.gids) != (&users.uids, &users.gids) {
                    let why = "it maps other users than when the container was made";
                    return Err(Error::new(ErrorKind::Invalid, path.display(), why));
                }
                let opened = File::open(&path)
                    .map_err(|error| super::record::io(error, "opening", &path))?;
                UserNamespace::Join(Arc::new(opened.into()))
            }
            _ => {
                let IdMaps { mut uids, mut gids } = users.maps();
                uids = split(&uids, &own_ranges("uid_map")?);
                gids = split(&gids, &own_ranges("gid_map")?);
                UserNamespace::Map(IdMaps { uids, gids })
            }
        })
    }
}

fn unrecognized(mode: &str) -> Error {
    invalid(format!("unrecognized namespace mode {mode} passed"))
}

/// The same ranges, each within one range of the namespace that they are in: the kernel wants that.
///
/// Source: user_namespaces(7); podman, `rootless.MaybeSplitMappings`.
fn split(ranges: &[IdRange], own: &[UserRange]) -> Vec<IdRange> {
    let mut parts = Vec::new();
    for range in ranges {
        let (mut inside, mut outside, mut left) = (range.inside, range.outside, range.count);
        while left > 0 {
            let holds =
                |own: &&UserRange| own.inside <= outside && outside - own.inside < own.count;
            let most = own.iter().find(holds).map(|own| own.count - (outside - own.inside));
            // What the namespace does not have, the kernel refuses.
            let count = most.unwrap_or(left).min(left);
            parts.push(IdRange { inside, outside, count });
            left -= count;
            inside = inside.saturating_add(count);
            outside = outside.saturating_add(count);
        }
    }
    parts
}

fn asks_for_maps(request: &UsersRequest) -> bool {
    let UsersRequest { uid_maps, gid_maps, subuid_name, subgid_name, .. } = request;
    !uid_maps.is_empty() || !gid_maps.is_empty() || subuid_name.is_some() || subgid_name.is_some()
}

impl From<IdRange> for UserRange {
    fn from(IdRange { inside, outside, count }: IdRange) -> Self {
        range(inside, outside, count)
    }
}

fn user_ranges(maps: &[IdMap]) -> Vec<UserRange> {
    maps.iter().map(|map| range(map.container_id, map.host_id, map.size)).collect()
}

fn range(inside: u32, outside: u32, count: u32) -> UserRange {
    UserRange { inside, outside, count }
}

fn private(uids: Vec<UserRange>, gids: Vec<UserRange>) -> UsersConfig {
    UsersConfig { mode: "private".to_owned(), uids, gids, copied: false }
}

/// The ranges that were written. Those of users hold for groups too where there are none, and the other way round.
fn given(request: &UsersRequest) -> Result<UsersConfig> {
    let mut uids = parse_ranges(&request.uid_maps, "UID")?;
    let mut gids = parse_ranges(&request.gid_maps, "GID")?;
    let names = (request.subuid_name.as_deref(), request.subgid_name.as_deref());
    if let (Some(users), _) | (None, Some(users)) = names {
        let groups = names.1.unwrap_or(users);
        uids.extend(subordinate(users, "subuid")?);
        gids.extend(subordinate(groups, "subgid")?);
    }
    if uids.is_empty() {
        uids.clone_from(&gids);
    }
    if gids.is_empty() {
        gids.clone_from(&uids);
    }
    Ok(private(uids, gids))
}

/// Source: containers/storage, `pkg/idtools`, `ParseIDMap`.
fn parse_ranges(given: &[String], what: &str) -> Result<Vec<UserRange>> {
    let malformed = || {
        let shown: Vec<String> = given.iter().map(|text| format!("{text:?}")).collect();
        invalid(format!(
            "initializing ID mappings: {what} setting is malformed expected [\"uint32:uint32:uint32\"]: [{}]",
            shown.join(" ")
        ))
    };
    let one = |text: &String| {
        let numbers: Result<Vec<u32>, _> = text.split(':').map(str::parse).collect();
        match numbers.as_deref() {
            Ok([inside, outside, count]) if *count > 0 => Ok(range(*inside, *outside, *count)),
            _ => Err(malformed()),
        }
    };
    given.iter().map(one).collect()
}

/// The ranges that a file of subordinate IDs gives a name, one behind the other from 0 on.
fn subordinate(name: &str, file: &str) -> Result<Vec<UserRange>> {
    let path = Path::new("/etc").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let ranges: Vec<UserRange> =
        IdRange::subordinate(name, &text).into_iter().map(UserRange::from).collect();
    if ranges.is_empty() {
        let kind = if file == "subuid" { "subuid" } else { "subgid" };
        return Err(invalid(format!(
            "no {kind} ranges found for user {name:?} in {}",
            path.display()
        )));
    }
    Ok(ranges)
}

/// How many IDs besides root's the namespace has that this process is in.
fn size_of_namespace(file: &str) -> Result<u32> {
    let all: u64 = own_ranges(file)?.iter().map(|range| u64::from(range.count)).sum();
    Ok(u32::try_from(all.saturating_sub(1)).unwrap_or(u32::MAX))
}

/// The ranges of the namespace that this process is in.
fn own_ranges(file: &str) -> Result<Vec<UserRange>> {
    let IdMaps { uids, gids } = IdMaps::of_process()?;
    let ranges = if file == "uid_map" { uids } else { gids };
    Ok(ranges.into_iter().map(UserRange::from).collect())
}

/// The user is in the container who the user is outside; everybody else is moved aside.
///
/// Source: podman, `pkg/specgen/generate/namespaces.go` and `pkg/util`, `GetKeepIDMapping`.
fn keep_id(config: &mut ContainerConfig, options: &str, caller: &Caller) -> Result<UsersConfig> {
    let (mut uid, mut gid) = (None, None);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let number = || {
            let words =
                || invalid(format!("parsing {value:?} as a number of {name}: invalid syntax"));
            value.parse::<u32>().ok().filter(|id| *id < u32::MAX).ok_or_else(words)
        };
        match name {
            "uid" => uid = Some(number()?),
            "gid" => gid = Some(number()?),
            other => return Err(invalid(format!("unknown option specified: {other:?}"))),
        }
    }
    let own = uid.is_none() && gid.is_none();
    let (uid, gid) = (uid.unwrap_or(caller.uid), gid.unwrap_or(caller.gid));
    let maps = |id: u32, most: u32| {
        let mut ranges = vec![range(0, 1, id.min(most)), range(id, 0, 1)];
        ranges.retain(|range| range.count > 0);
        ranges.extend((most > id).then(|| range(id + 1, id + 1, most - id)));
        ranges
    };
    let users = maps(uid, size_of_namespace("uid_map")?);
    let groups = maps(gid, size_of_namespace("gid_map")?);
    if config.process.user.as_deref().unwrap_or_default().is_empty() {
        config.process.user = Some(format!("{uid}:{gid}"));
    }
    if own {
        config.process.groups.push(gid.to_string());
        let Caller { name, group, full_name, home, .. } = caller;
        let has_home = |target: &Path| Path::new(home).starts_with(target);
        let mounted = config.files.mounts.iter().any(|mount| has_home(&mount.target));
        let directory = config.process.directory.as_deref().unwrap_or("/");
        let home = if mounted { home.as_str() } else { directory };
        if !config.process.environment.iter().any(|entry| entry.starts_with("HOME=")) {
            config.process.environment.push(format!("HOME={home}"));
        }
        let line = format!("{name}:*:{uid}:{gid}:{full_name}:{home}:/bin/sh");
        config.accounts.more.push(line);
        config.accounts.more_groups.push(format!("{group}:x:{gid}:{name}"));
    }
    Ok(private(users, groups))
}

/// The users of a namespace that is there, as a file of `/proc` names it.
fn of_path(path: &Path) -> Result<UsersConfig> {
    let found = IdMaps::of_namespace(path).map_err(|error| match error.kind() {
        cask_runtime::ErrorKind::NotFound => {
            let words = "cannot find specified user namespace path";
            Error::new(ErrorKind::Invalid, words, "").with_source(error)
        }
        _ => error.into(),
    })?;
    let Some(IdMaps { uids, gids }) = found else { return Ok(UsersConfig::default()) };
    let ranges = |ranges: Vec<IdRange>| ranges.into_iter().map(UserRange::from).collect();
    let mode = format!("ns:{}", path.display());
    Ok(UsersConfig { mode, uids: ranges(uids), gids: ranges(gids), copied: false })
}

/// Refuses maps that the kernel or the store would refuse later.
fn check(users: &UsersConfig, rootless: bool) -> Result<()> {
    if !users.is_mapped() {
        return Ok(());
    }
    let parts = [("UID", "uid_map", &users.uids), ("GID", "gid_map", &users.gids)];
    for (what, file, ranges) in parts {
        if !ranges.iter().any(|range| range.inside == 0) {
            return Err(invalid("container ID 0 cannot be mapped to a host ID"));
        }
        for (number, one) in ranges.iter().enumerate() {
            let overlap = |first: u32, second: u32, count: u32| {
                let end = |start: u32, count: u32| u64::from(start) + u64::from(count);
                u64::from(first) < end(second, count) && u64::from(second) < end(first, one.count)
            };
            let wraps = |start: u32| start.checked_add(one.count).is_none();
            let conflicts = |other: &UserRange| {
                overlap(one.inside, other.inside, other.count)
                    || overlap(one.outside, other.outside, other.count)
            };
            if wraps(one.inside) || wraps(one.outside) || ranges[..number].iter().any(conflicts) {
                return Err(invalid(format!(
                    "the specified {what} mapping {}:{}:{} conflicts with other mappings: invalid mappings specified",
                    one.inside, one.outside, one.count
                )));
            }
        }
        if rootless {
            insufficient(ranges, &own_ranges(file)?)?;
        }
    }
    Ok(())
}

/// Refuses IDs that the namespace does not have which the store is in.
fn insufficient(ranges: &[UserRange], own: &[UserRange]) -> Result<()> {
    let has = |range: &UserRange| {
        // Ranges of the namespace may follow one another.
        let (mut at, end) =
            (u64::from(range.outside), u64::from(range.outside) + u64::from(range.count));
        while at < end {
            let holds = |own: &&UserRange| {
                let first = u64::from(own.inside);
                first <= at && at < first + u64::from(own.count)
            };
            match own.iter().find(holds) {
                Some(own) => at = u64::from(own.inside) + u64::from(own.count),
                None => return false,
            }
        }
        true
    };
    match ranges.iter().find(|range| !has(range)) {
        None => Ok(()),
        Some(range) => Err(Error::new(
            ErrorKind::Invalid,
            format_args!(
                "potentially insufficient UIDs or GIDs available in user namespace (requested {}:{} from {} on)",
                range.outside, range.count, range.inside
            ),
            "",
        )
        .with_hint("the second numbers are those of the user's own namespace: see `cellar unshare cat /proc/self/uid_map`, /etc/subuid and /etc/subgid")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(ranges: &[UserRange]) -> String {
        let one = |range: &UserRange| format!("{}:{}:{}", range.inside, range.outside, range.count);
        ranges.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ranges_are_read_as_podman_reads_them() {
        let check = |given: &[&str], expected: &str| {
            let given: Vec<String> = given.iter().map(ToString::to_string).collect();
            let found = parse_ranges(&given, "UID").map(|ranges| shown(&ranges));
            assert_eq!(found.unwrap_or_else(|error| error.to_string()), expected, "{given:?}");
        };
        check(&["0:100000:500", "500:7:1"], "0:100000:500 500:7:1");
        let words = "initializing ID mappings: UID setting is malformed expected [\"uint32:uint32:uint32\"]: ";
        check(&["0:100000"], &format!("{words}[\"0:100000\"]"));
        check(&["a:b:c"], &format!("{words}[\"a:b:c\"]"));
        check(&["0:1:0"], &format!("{words}[\"0:1:0\"]"));
        check(&["0:1:4294967296"], &format!("{words}[\"0:1:4294967296\"]"));
    }

    #[test]
    fn who_is_outside_is_found_inside() {
        let ranges = [range(0, 1, 1000), range(1000, 0, 1)];
        let found = [0, 1, 1000, 1001].map(|id| inside(&ranges, id));
        assert_eq!(found, [Some(1000), Some(0), Some(999), None]);
        assert_eq!(inside(&[], 7), Some(7));
    }

    #[test]
    fn groups_are_mapped_as_users_where_nothing_else_is_said() {
        let request =
            UsersRequest { gid_maps: vec!["0:5:9".to_owned()], ..UsersRequest::default() };
        let users = given(&request).unwrap();
        assert_eq!((shown(&users.uids), shown(&users.gids)), ("0:5:9".into(), "0:5:9".into()));
    }

    #[test]
    fn ranges_end_where_those_of_the_namespace_do() {
        let one = |inside, outside, count| IdRange { inside, outside, count };
        let own = [range(0, 2001, 1), range(1, 300_000, 65_536), range(65_537, 500_000, 10)];
        let check = |ranges: &[IdRange], expected: &[IdRange]| {
            assert_eq!(split(ranges, &own), expected, "{ranges:?}");
        };
        check(&[one(0, 0, 1000)], &[one(0, 0, 1), one(1, 1, 999)]);
        check(&[one(0, 1, 1000), one(1000, 0, 1)], &[one(0, 1, 1000), one(1000, 0, 1)]);
        check(&[one(5, 65_536, 3)], &[one(5, 65_536, 1), one(6, 65_537, 2)]);
        check(&[one(0, 65_540, 100)], &[one(0, 65_540, 7), one(7, 65_547, 93)]);
    }

    #[test]
    fn maps_that_cannot_be_are_refused() {
        let check = |ranges: &[UserRange], expected: &str| {
            let users = private(ranges.to_vec(), vec![range(0, 1, 1)]);
            let said = super::check(&users, false).map_err(|error| error.to_string());
            assert!(said.as_ref().is_err_and(|said| said.contains(expected)), "{said:?}");
        };
        check(&[range(5, 100_000, 10)], "container ID 0 cannot be mapped");
        check(&[range(0, 1, 500), range(0, 5000, 10)], "0:5000:10 conflicts with other mappings");
        check(&[range(0, 1, 500), range(500, 500, 10)], "500:500:10 conflicts");
        check(&[range(0, 4_294_967_295, 2)], "conflicts");
        super::check(
            &private(vec![range(0, 1, 500), range(500, 501, 1)], vec![range(0, 0, 1)]),
            false,
        )
        .unwrap();
    }

    #[test]
    fn only_what_the_namespace_has_is_given_on() {
        let own = [range(0, 1000, 1), range(1, 100_000, 65_536)];
        insufficient(&[range(0, 1, 65_536)], &own).unwrap();
        insufficient(&[range(0, 0, 65_537)], &own).unwrap();
        insufficient(&[range(0, 1, 65_537)], &own).unwrap_err();
        insufficient(&[range(0, 100_000, 1)], &own).unwrap_err();
    }

    #[test]
    fn the_user_stays_who_the_user_is_and_others_move_aside() {
        let caller = Caller {
            uid: 1000,
            gid: 100,
            name: "ann".to_owned(),
            group: "users".to_owned(),
            full_name: "Ann".to_owned(),
            home: "/home/ann".to_owned(),
        };
        let most = size_of_namespace("uid_map").unwrap();
        let check = |options: &str, user: &str, uids: [(u32, u32); 2]| {
            let mut config = ContainerConfig::default();
            let users = keep_id(&mut config, options, &caller).unwrap();
            let found: Vec<_> = users.uids.iter().map(|one| (one.inside, one.outside)).collect();
            assert_eq!(found[..2], uids);
            assert_eq!(
                users.uids.iter().map(|one| u64::from(one.count)).sum::<u64>(),
                u64::from(most) + 1
            );
            assert_eq!(config.process.user.unwrap(), user);
            config.accounts.more
        };
        let lines = check("", "1000:100", [(0, 1), (1000, 0)]);
        assert_eq!(lines, ["ann:*:1000:100:Ann:/:/bin/sh"]);
        assert!(check("uid=7,gid=8", "7:8", [(0, 1), (7, 0)]).is_empty());
        let mut config = ContainerConfig::default();
        let error = keep_id(&mut config, "x=1", &caller).unwrap_err();
        assert_eq!(error.to_string(), "unknown option specified: \"x\"");
        keep_id(&mut config, "uid=4294967295", &caller).unwrap_err();
    }
}
