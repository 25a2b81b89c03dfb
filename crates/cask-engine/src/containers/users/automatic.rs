//! Ranges of users that no other container has.
//!
//! Source: containers/storage, `userns.go`.

use std::fs::File;

use cask_runtime::read_user_file;
use cask_storage::{Id, IdMap};

use super::{
    UserRange, UsersConfig, invalid, own_ranges, parse_ranges, private, range, subordinate,
};
use crate::containers::config::ContainerConfig;
use crate::containers::{Containers, record};
use crate::{Found, Result};

/// Whose ranges of `/etc/subuid` and `/etc/subgid` are given to containers of root.
const OWNER: &str = "containers";
/// How many IDs there are at least, and at most, where no size is asked for.
const SIZES: (u32, u32) = (1024, 65_536);
/// Nobody: an ID that most images name, and that needs none of its own.
const NOBODY: u32 = 65_534;

/// What is asked for behind `auto:`.
#[derive(Debug, Default)]
struct Options {
    size: Option<u32>,
    uids: Vec<UserRange>,
    gids: Vec<UserRange>,
}

impl Containers {
    /// Keeps others, podman included, from choosing ranges meanwhile.
    pub(super) fn lock_users(&self) -> Result<File> {
        let path = self.store().graph_root().join("userns.lock");
        let opened =
            File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let file = opened.map_err(|error| record::io(error, "opening", &path))?;
        rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::LockExclusive)
            .map_err(|error| record::io(error.into(), "locking", &path))?;
        Ok(file)
    }

    /// Chooses ranges that no container of the store has.
    pub(super) fn automatic(
        &self,
        config: &ContainerConfig,
        options: &str,
        image: Option<&Found>,
        rootless: bool,
    ) -> Result<UsersConfig> {
        let options = read(options)?;
        let (uids, gids) = match rootless {
            // All but its root, who is the user.
            true => (own_ranges("uid_map")?, own_ranges("gid_map")?),
            false => (subordinate_or_none("subuid"), subordinate_or_none("subgid")),
        };
        let available = |ranges: Vec<UserRange>| -> Vec<(u64, u64)> {
            let of = |one: &UserRange| if rootless { one.inside } else { one.outside };
            let all = ranges.iter().map(|one| (u64::from(of(one)), u64::from(one.count)));
            let all = all.map(|(first, count)| (first, first + count)).collect();
            if rootless { without(all, (0, 1)) } else { all }
        };
        let size = match options.size {
            Some(size) => size,
            None => self.count(config, image)?,
        };
        let containers = self.store().containers()?;
        let used = |of: fn(&cask_storage::Container) -> &Vec<IdMap>, more: &[UserRange]| {
            let taken = containers.iter().flat_map(|one| of(one).iter());
            let taken = taken.map(|map| (map.host_id, map.size));
            let more = more.iter().map(|one| (one.outside, one.count));
            let interval = |(first, count)| (u64::from(first), u64::from(first) + u64::from(count));
            taken.chain(more).map(interval).collect::<Vec<_>>()
        };
        let uids =
            choose(available(uids), &used(|one| &one.uid_map, &options.uids), size, &options.uids)?;
        let gids =
            choose(available(gids), &used(|one| &one.gid_map, &options.gids), size, &options.gids)?;
        Ok(private(uids, gids))
    }

    /// How many IDs an image has files of, or names; and that of the container's user.
    fn count(&self, config: &ContainerConfig, image: Option<&Found>) -> Result<u32> {
        let user = config.process.user.as_deref().unwrap_or_default();
        let user = user.split(':').next().and_then(|user| user.parse::<u32>().ok());
        let mut size = user.map_or(1, |user| user.saturating_add(1));
        if let Some(top) = image.and_then(|found| found.image.top_layer.clone()) {
            size = size.max(self.ids_of_image(&top)?);
        }
        let size = size.max(SIZES.0);
        match size <= SIZES.1 {
            true => Ok(size),
            false => Err(invalid(format!(
                "the container needs a user namespace with size {size} that is bigger than the maximum value allowed with userns=auto {}",
                SIZES.1
            ))),
        }
    }

    fn ids_of_image(&self, top: &Id) -> Result<u32> {
        let chain = self.store().layer_chain(top)?;
        let of_files = chain.iter().flat_map(|layer| layer.uids.iter().chain(&layer.gids));
        let mut size = of_files.max().map_or(0, |id| id.saturating_add(1));
        for (name, fields) in [("etc/passwd", &[2, 3][..]), ("etc/group", &[2])] {
            // The uppermost that is there is the one that is seen.
            let mut texts = chain.iter().filter_map(|layer| {
                let root = self.store().layer_files(&layer.id).ok()?;
                let is_there = root.metadata_following(name).is_ok();
                is_there.then(|| read_user_file(&root, name))
            });
            let text = texts.next().transpose()?.unwrap_or_default();
            let named = named(&String::from_utf8_lossy(&text), fields);
            size = size.max(named);
        }
        Ok(size)
    }
}

fn subordinate_or_none(file: &str) -> Vec<UserRange> {
    subordinate(OWNER, file).unwrap_or_default()
}

/// One more than the highest ID that a file names, whatever that is for nobody.
fn named(text: &str, fields: &[usize]) -> u32 {
    let ids = text.lines().flat_map(|line| {
        let parts: Vec<&str> = line.split(':').collect();
        let nobody = matches!(parts.first(), Some(&("nobody" | "nogroup")));
        let ids = fields.iter().filter_map(move |field| parts.get(*field)?.parse::<u32>().ok());
        ids.filter(move |id| !nobody && *id != NOBODY)
    });
    ids.max().map_or(0, |id| id.saturating_add(1))
}

fn read(options: &str) -> Result<Options> {
    let mut found = Options::default();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name {
            "size" => {
                let words = || invalid(format!("parsing {value:?} as a size: invalid syntax"));
                let size: u32 = value.parse().map_err(|_| words())?;
                found.size = Some(size).filter(|size| *size > 0);
            }
            "uidmapping" => found.uids.extend(parse_ranges(&[value.to_owned()], "UID")?),
            "gidmapping" => found.gids.extend(parse_ranges(&[value.to_owned()], "GID")?),
            other => return Err(invalid(format!("unknown option specified: {other:?}"))),
        }
    }
    Ok(found)
}

/// Intervals without one, in order.
fn without(intervals: Vec<(u64, u64)>, (first, end): (u64, u64)) -> Vec<(u64, u64)> {
    let mut left = Vec::new();
    for (start, stop) in intervals {
        left.push((start, stop.min(first)));
        left.push((start.max(end), stop));
    }
    left.retain(|(start, stop)| start < stop);
    left.sort_unstable();
    left
}

/// Gives the IDs from 0 to `size` those that are free, in order, and to those of `more` what they say.
fn choose(
    available: Vec<(u64, u64)>,
    used: &[(u64, u64)],
    size: u32,
    more: &[UserRange],
) -> Result<Vec<UserRange>> {
    let mut free = used.iter().fold(available, |free, used| without(free, *used));
    free.sort_unstable();
    let inside = more.iter().fold(vec![(0, u64::from(size))], |left, one| {
        let first = u64::from(one.inside);
        without(left, (first, first + u64::from(one.count)))
    });
    let mut ranges = Vec::new();
    let mut free = free.into_iter();
    let mut current = (0, 0);
    for (mut at, end) in inside {
        while at < end {
            if current.0 == current.1 {
                current = free.next().ok_or_else(|| {
                    invalid("creating container storage: could not find enough available IDs")
                })?;
            }
            let count = (end - at).min(current.1 - current.0);
            let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
            ranges.push(range(number(at), number(current.0), number(count)));
            at += count;
            current.0 += count;
        }
    }
    ranges.extend_from_slice(more);
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_is_given_in_order() {
        let check = |used: &[(u64, u64)], size: u32, more: &[UserRange], expected: &str| {
            let free = vec![(1000, 1100), (2000, 2050)];
            let found = choose(free, used, size, more);
            let found = found.map(|ranges| {
                let one = |one: &UserRange| format!("{}:{}:{}", one.inside, one.outside, one.count);
                ranges.iter().map(one).collect::<Vec<_>>().join(" ")
            });
            assert_eq!(found.unwrap_or_default(), expected);
        };
        check(&[], 100, &[], "0:1000:100");
        check(&[], 120, &[], "0:1000:100 100:2000:20");
        check(&[(1000, 1050), (1060, 1070)], 20, &[], "0:1050:10 10:1070:10");
        check(&[], 20, &[range(5, 7000, 2)], "0:1000:5 7:1005:13 5:7000:2");
        check(&[], 150, &[], "0:1000:100 100:2000:50");
        check(&[], 151, &[], "");
    }

    #[test]
    fn the_size_is_that_of_whom_the_files_name() {
        let text =
            "root:x:0:0::/:\nnobody:x:70000:65534::/:\napp:x:1000:1005::/:\nodd:x:y:z\n:::\n";
        assert_eq!(named(text, &[2, 3]), 1006);
        assert_eq!(named("", &[2]), 0);
        assert_eq!(read("size=5,uidmapping=1:2:3").unwrap().uids, [range(1, 2, 3)]);
        assert_eq!(read("a=5").unwrap_err().to_string(), "unknown option specified: \"a\"");
        read("size=x").unwrap_err();
    }
}
