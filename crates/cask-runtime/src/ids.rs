//! Which IDs a user may have in user namespaces.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::spec::{IdMaps, IdRange};

impl IdMaps {
    /// One user and one group: root inside is `uid` and `gid` outside, and nobody else exists.
    ///
    /// Every user may have this. Package managers that give files to other users fail in it.
    pub fn single(uid: u32, gid: u32) -> Self {
        let one = |outside| vec![IdRange { inside: 0, outside, count: 1 }];
        Self { uids: one(uid), gids: one(gid) }
    }

    /// Root inside is the user, the other IDs are those that `/etc/subuid` and `/etc/subgid` give to the user.
    ///
    /// `subuid` and `subgid` are the texts of these files. Lines name the user by `name` or by number; several
    /// lines follow one another inside. Lines that are malformed are passed over, as by shadow.
    ///
    /// Source: subuid(5), newuidmap(1); containers-storage's `idtools.NewIDMappings`.
    ///
    /// # Errors
    ///
    /// `NotFound` where one of the files gives the user nothing.
    pub fn subordinate(name: &str, uid: u32, gid: u32, subuid: &str, subgid: &str) -> Result<Self> {
        let map = |own, text, file| {
            ranges(name, uid, own, text).ok_or_else(|| {
                let subject = format!("{name:?} in {file}");
                Error::new(ErrorKind::NotFound, "find the range of", subject).with_hint(format!(
                    "as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}"
                ))
            })
        };
        Ok(Self { uids: map(uid, subuid, "/etc/subuid")?, gids: map(gid, subgid, "/etc/subgid")? })
    }

    /// Those of the user namespace that this process is in.
    ///
    /// # Errors
    ///
    /// Those of the files in `/proc`.
    pub fn of_process() -> Result<Self> {
        Self::read(Path::new("/proc/self"))
    }

    /// Those of a user namespace that is there, as a file `/proc/PID/ns/user` names it; `None` for the one that this
    /// process is in.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such file; `InvalidSpec` for a file beside which nothing says who its users are;
    /// `Io` and `Denied`.
    pub fn of_namespace(path: &Path) -> Result<Option<Self>> {
        let status = |path: &Path| {
            fs::metadata(path).map_err(|error| Error::io(error, "stat", path.display()))
        };
        let (found, own) = (status(path)?, status(Path::new("/proc/self/ns/user"))?);
        if (found.dev(), found.ino()) == (own.dev(), own.ino()) {
            return Ok(None);
        }
        let process = path.parent().filter(|parent| parent.ends_with("ns")).and_then(Path::parent);
        let process = process.filter(|process| process.starts_with("/proc")).ok_or_else(|| {
            let why = "who its users are is known of /proc/PID/ns/user only";
            Error::new(ErrorKind::InvalidSpec, "join the users of", path.display())
                .with_detail(why.to_owned())
        })?;
        Self::read(process).map(Some)
    }

    /// Those from which containers may have some that are nobody else's: the ones that `/etc/subuid` and `/etc/subgid`
    /// give to the name `containers`, or, for a user, all of the user's namespace but its root, as they are in there.
    /// Inside they follow one another from 0 on. Files that are not there give none.
    ///
    /// Source: containers/storage, `userns.go`, `getAvailableMappings`.
    ///
    /// # Errors
    ///
    /// Those of the files in `/proc`.
    pub fn spare(rootless: bool) -> Result<Self> {
        if !rootless {
            let of = |file| {
                let text = fs::read_to_string(file).unwrap_or_default();
                IdRange::subordinate("containers", &text)
            };
            return Ok(Self { uids: of("/etc/subuid"), gids: of("/etc/subgid") });
        }
        let Self { uids, gids } = Self::of_process()?;
        let others = |ranges: Vec<IdRange>| {
            let mut at = 0;
            let one = |IdRange { inside, count, .. }: IdRange| {
                let (outside, count) = if inside == 0 { (1, count - 1) } else { (inside, count) };
                let range = IdRange { inside: at, outside, count };
                at = at.saturating_add(count);
                range
            };
            let found = ranges.into_iter().filter(|range| range.count > 0).map(one);
            found.filter(|range| range.count > 0).collect()
        };
        Ok(Self { uids: others(uids), gids: others(gids) })
    }

    fn read(process: &Path) -> Result<Self> {
        let ranges = |name| {
            let path = process.join(name);
            let text = fs::read_to_string(&path)
                .map_err(|error| Error::io(error, "read", path.display()))?;
            Ok::<_, Error>(IdRange::of_map(&text))
        };
        Ok(Self { uids: ranges("uid_map")?, gids: ranges("gid_map")? })
    }

    /// Whether only one user and one group exist inside.
    pub fn is_single(&self) -> bool {
        let one = |ranges: &[IdRange]| matches!(ranges, [IdRange { count: 1, .. }]);
        one(&self.uids) && one(&self.gids)
    }

    /// # Errors
    ///
    /// `InvalidSpec` where root has no ID, or ranges are empty, overlap or are too many.
    pub(crate) fn check(&self) -> Result<()> {
        let refused = |what: &str, why: &str| {
            Err(Error::new(ErrorKind::InvalidSpec, "map", what).with_detail(why.to_owned()))
        };
        for (what, ranges) in [("users", &self.uids), ("groups", &self.gids)] {
            if ranges.len() > MOST_RANGES {
                return refused(what, "there are more than 340 ranges, the kernel's limit");
            }
            let end = |start: u32, range: &IdRange| start.checked_add(range.count);
            let wrong = |range: &&IdRange| {
                range.count == 0
                    || end(range.inside, range).is_none()
                    || end(range.outside, range).is_none()
            };
            if ranges.iter().any(|range| wrong(&range)) {
                return refused(what, "a range is empty or ends above the highest ID");
            }
            if !ranges.iter().any(|range| range.inside == 0) {
                return refused(what, "root inside has no ID outside");
            }
            if overlap(ranges, |range| range.inside) || overlap(ranges, |range| range.outside) {
                return refused(what, "ranges overlap");
            }
        }
        Ok(())
    }
}

impl IdRange {
    /// The IDs outside.
    pub fn outside_ids(&self) -> Range<u64> {
        let first = u64::from(self.outside);
        first..first + u64::from(self.count)
    }

    /// The ranges that the text of `/etc/subuid` or `/etc/subgid` gives to `name`, one behind the other from 0 on.
    /// Lines that are malformed are passed over.
    ///
    /// Source: containers/storage, `pkg/idtools`, `NewIDMappings`.
    pub fn subordinate(name: &str, text: &str) -> Vec<Self> {
        let mut found = Vec::new();
        let mut inside = 0_u32;
        for line in text.lines() {
            let fields: Vec<&str> = line.trim().split(':').collect();
            let [user, first, count] = fields.as_slice() else { continue };
            let (Ok(outside), Ok(count)) = (first.parse(), count.parse::<u32>()) else { continue };
            if *user == name && count > 0 {
                found.push(Self { inside, outside, count });
                inside = inside.saturating_add(count);
            }
        }
        found
    }

    /// The ranges in the text of a process's `uid_map` or `gid_map`.
    ///
    /// Source: user_namespaces(7).
    pub fn of_map(text: &str) -> Vec<Self> {
        let one = |line: &str| {
            let numbers: Vec<u32> =
                line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
            match numbers.as_slice() {
                [inside, outside, count] => {
                    Some(Self { inside: *inside, outside: *outside, count: *count })
                }
                _ => None,
            }
        };
        text.lines().filter_map(one).collect()
    }
}

/// Source: user_namespaces(7), since Linux 4.15.
const MOST_RANGES: usize = 340;

fn overlap(ranges: &[IdRange], start: impl Fn(&IdRange) -> u32) -> bool {
    let mut sorted: Vec<(u32, u32)> =
        ranges.iter().map(|range| (start(range), range.count)).collect();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| u64::from(pair[0].0) + u64::from(pair[0].1) > u64::from(pair[1].0))
}

fn ranges(name: &str, uid: u32, own: u32, text: &str) -> Option<Vec<IdRange>> {
    let number = uid.to_string();
    let mut inside = 1_u32;
    let mut ranges = vec![IdRange { inside: 0, outside: own, count: 1 }];
    for line in text.lines() {
        let fields: Vec<&str> = line.trim().split(':').collect();
        let [user, start, count] = fields.as_slice() else { continue };
        if *user != name && *user != number {
            continue;
        }
        let (Ok(outside), Ok(count)) = (start.parse::<u32>(), count.parse::<u32>()) else {
            continue;
        };
        let Some(next) = inside.checked_add(count) else { continue };
        if count == 0 || outside.checked_add(count).is_none() || ranges.len() == MOST_RANGES {
            continue;
        }
        ranges.push(IdRange { inside, outside, count });
        inside = next;
    }
    (ranges.len() > 1).then_some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(inside: u32, outside: u32, count: u32) -> IdRange {
        IdRange { inside, outside, count }
    }

    #[test]
    fn ranges_of_name_and_number_follow_one_another() {
        let subuid = "bob:1:1\nann:100000:65536\nbroken\nann:x:1\n1000:300000:10\nann:5:0\n";
        let maps = IdMaps::subordinate("ann", 1000, 100, subuid, "ann:200000:65536").unwrap();
        let expected = [range(0, 1000, 1), range(1, 100_000, 65_536), range(65_537, 300_000, 10)];
        assert_eq!(maps.uids, expected);
        assert_eq!(maps.gids, [range(0, 100, 1), range(1, 200_000, 65_536)]);
        assert!(!maps.is_single() && IdMaps::single(5, 6).is_single());
        maps.check().unwrap();
    }

    #[test]
    fn users_without_ranges_are_told_how_to_get_them() {
        let error = IdMaps::subordinate("ann", 1000, 100, "ann:1:1", "bob:1:1").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.to_string(), "find the range of \"ann\" in /etc/subgid");
        assert!(error.hint().unwrap().contains("usermod"));
    }

    #[test]
    fn maps_that_cannot_be_are_refused() {
        let check = |uids: &[IdRange]| {
            let maps = IdMaps { uids: uids.to_vec(), gids: vec![range(0, 1, 1)] };
            assert_eq!(maps.check().unwrap_err().kind(), ErrorKind::InvalidSpec, "{uids:?}");
        };
        check(&[]);
        check(&[range(1, 1, 1)]);
        check(&[range(0, 1, 0)]);
        check(&[range(0, u32::MAX, 1)]);
        check(&[range(0, 1, 10), range(9, 100, 1)]);
        check(&[range(0, 1, 10), range(10, 5, 1)]);
    }

    #[test]
    fn ranges_of_a_name_alone_begin_at_0() {
        let text = "a:100000:10\nb:1:1\nbroken\na:x:1\na:300000:5\n";
        assert_eq!(IdRange::subordinate("a", text), [range(0, 100_000, 10), range(10, 300_000, 5)]);
        assert_eq!(IdRange::subordinate("c", text), []);
    }
}
