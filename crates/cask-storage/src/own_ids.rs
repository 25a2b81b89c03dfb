//! IDs for the users of a container that no other container has.
//!
//! Source: containers/storage, `userns.go` and `pkg/idtools`; its words.

use std::io::Read as _;
use std::ops::Range;
use std::str::FromStr;

use cask_rootfs::Root;

use crate::lock::{Lock, Mode};
use crate::{Error, ErrorKind, Id, IdMap, Result, Store};

/// How many IDs there are at least, and at most, where no size is asked for.
const SIZES: (u32, u32) = (1024, 65_536);
/// Nobody: an ID that most images name, and that needs none of its own.
const NOBODY: u32 = 65_534;
/// The longest file of users or groups that is read.
const LONGEST_FILE_BYTES: u64 = 8 << 20;

/// What is asked for of IDs that no other container has. As a text, it is what stands behind `auto:` in `--userns`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnIds {
    /// How many; `None` for as many as the files of the image name.
    pub size: Option<u32>,
    /// How many there are at least where no size is asked for.
    pub least: u32,
    /// Users that are mapped so besides.
    pub uids: Vec<IdMap>,
    /// Groups that are mapped so besides.
    pub gids: Vec<IdMap>,
}

/// IDs of this machine, or of the user namespace that the store is in, from which containers may have some.
#[derive(Clone, Debug, Default)]
pub struct SpareIds {
    /// Users.
    pub uids: Vec<Range<u64>>,
    /// Groups.
    pub gids: Vec<Range<u64>>,
}

/// IDs that no other container has. Until this is dropped, nobody else chooses any, podman and buildah included: it is
/// held until a container that has them is in the store.
#[derive(Debug)]
pub struct ChosenIds {
    /// Who the users inside are outside.
    pub uids: Vec<IdMap>,
    /// The same of groups.
    pub gids: Vec<IdMap>,
    _lock: Lock,
}

impl Store {
    /// Chooses IDs that no container of the store has, for one whose uppermost layer is `top`.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] where there are not enough, or the image names too many;
    /// [`ErrorKind::Corrupt`] where its files of users cannot be read; [`ErrorKind::Locked`], [`ErrorKind::Denied`] and
    /// [`ErrorKind::Io`].
    pub fn choose_ids(
        &self,
        wanted: &OwnIds,
        spare: &SpareIds,
        top: Option<&Id>,
    ) -> Result<ChosenIds> {
        let path = self.graph_root().join("userns.lock");
        let lock = Lock::acquire(&path, Mode::Write, self.options().lock_timeout)?;
        let size = match wanted.size {
            Some(size) => size,
            None => self.count_ids(wanted.least, top)?,
        };
        let containers = self.containers()?;
        let used = |of: fn(&crate::ContainerRecord) -> &Vec<IdMap>, more: &[IdMap]| {
            let taken = containers.iter().flat_map(|one| of(one).iter()).chain(more);
            taken.map(outside).collect::<Vec<_>>()
        };
        let uids =
            choose(&spare.uids, &used(|one| &one.uid_map, &wanted.uids), size, &wanted.uids)?;
        let gids =
            choose(&spare.gids, &used(|one| &one.gid_map, &wanted.gids), size, &wanted.gids)?;
        Ok(ChosenIds { uids, gids, _lock: lock })
    }

    /// How many IDs an image has files of, or names.
    fn count_ids(&self, least: u32, top: Option<&Id>) -> Result<u32> {
        let size = top.map(|top| self.ids_of_image(top)).transpose()?.unwrap_or_default();
        let size = size.max(least).max(SIZES.0);
        match size <= SIZES.1 {
            true => Ok(size),
            false => Err(Error::new(
                ErrorKind::LimitExceeded,
                "the container needs a user namespace with size",
                format_args!(
                    "{size} that is bigger than the maximum value allowed with userns=auto {}",
                    SIZES.1
                ),
            )),
        }
    }

    fn ids_of_image(&self, top: &Id) -> Result<u32> {
        let chain = self.layer_chain(top)?;
        let of_files = chain.iter().flat_map(|layer| layer.uids.iter().chain(&layer.gids));
        let mut size = of_files.max().map_or(0, |id| id.saturating_add(1));
        for (name, fields) in [("etc/passwd", &[2, 3][..]), ("etc/group", &[2])] {
            // The uppermost that is there is the one that is seen.
            let mut texts = chain.iter().filter_map(|layer| {
                let root = self.layer_files(&layer.id).ok()?;
                let is_there = root.metadata_following(name).is_ok();
                is_there.then(|| read(&root, name))
            });
            let text = texts.next().transpose()?.unwrap_or_default();
            size = size.max(named(&text, fields));
        }
        Ok(size)
    }
}

/// What is no regular file, or a very long one, is nothing that somebody means well with.
fn read(root: &Root, name: &str) -> Result<String> {
    let failed = || Error::new(ErrorKind::Corrupt, "reading the image's", name);
    let file = root.open_file_following(name).map_err(|error| failed().with_source(error))?;
    let mut bytes = Vec::new();
    file.take(LONGEST_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed().with_source(error))?;
    match bytes.len() as u64 <= LONGEST_FILE_BYTES {
        true => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        false => Err(failed().with_detail(format!("it has more than {LONGEST_FILE_BYTES} bytes"))),
    }
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

impl FromStr for OwnIds {
    type Err = Error;

    /// # Errors
    /// [`ErrorKind::InvalidName`] for what is no option, and for a value that is none.
    fn from_str(text: &str) -> Result<Self> {
        let mut found = Self::default();
        for option in text.split(',').filter(|option| !option.is_empty()) {
            let malformed = |operation, subject: String| {
                Err(Error::new(ErrorKind::InvalidName, operation, subject))
            };
            let Some((name, value)) = option.split_once('=') else {
                return malformed("invalid option specified:", format!("{option:?}"));
            };
            match name {
                "size" => match value.parse::<u32>() {
                    Ok(size) => found.size = Some(size).filter(|size| *size > 0),
                    Err(_) => return malformed("parsing", format!("{value:?}: invalid syntax")),
                },
                "uidmapping" => found.uids.push(parse(value, "UID")?),
                "gidmapping" => found.gids.push(parse(value, "GID")?),
                other => return malformed("unknown option specified:", format!("{other:?}")),
            }
        }
        Ok(found)
    }
}

fn parse(text: &str, what: &str) -> Result<IdMap> {
    let numbers: Result<Vec<u32>, _> = text.split(':').map(str::parse).collect();
    match numbers.as_deref() {
        Ok(&[container_id, host_id, size]) if size > 0 => Ok(IdMap { container_id, host_id, size }),
        _ => Err(Error::new(
            ErrorKind::InvalidName,
            "initializing ID mappings:",
            format_args!(
                "{what} setting is malformed expected [\"uint32:uint32:uint32\"]: [{text:?}]"
            ),
        )),
    }
}

fn outside(map: &IdMap) -> Range<u64> {
    u64::from(map.host_id)..u64::from(map.host_id) + u64::from(map.size)
}

/// Ranges without one, in order.
fn without(ranges: Vec<Range<u64>>, gone: &Range<u64>) -> Vec<Range<u64>> {
    let mut left = Vec::new();
    for Range { start, end } in ranges {
        left.push(start..end.min(gone.start));
        left.push(start.max(gone.end)..end);
    }
    left.retain(|range| !range.is_empty());
    left.sort_unstable_by_key(|range| range.start);
    left
}

/// Gives the IDs from 0 to `size` those that are free, in order, and to those of `more` what they say.
fn choose(
    spare: &[Range<u64>],
    used: &[Range<u64>],
    size: u32,
    more: &[IdMap],
) -> Result<Vec<IdMap>> {
    let mut free = used.iter().fold(spare.to_vec(), without);
    free.sort_unstable_by_key(|range| range.start);
    let whole = Range { start: 0, end: u64::from(size) };
    let inside = more.iter().fold(Vec::from([whole]), |left, one| {
        let first = u64::from(one.container_id);
        without(left, &(first..first + u64::from(one.size)))
    });
    let mut maps = Vec::new();
    let mut free = free.into_iter();
    let mut current = 0..0;
    for Range { start: mut at, end } in inside {
        while at < end {
            if current.is_empty() {
                let none = || {
                    Error::new(ErrorKind::LimitExceeded, "could not find enough", "available IDs")
                };
                current = free.next().ok_or_else(none)?;
            }
            let count = (end - at).min(current.end - current.start);
            let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
            maps.push(IdMap {
                container_id: number(at),
                host_id: number(current.start),
                size: number(count),
            });
            at += count;
            current.start += count;
        }
    }
    maps.extend_from_slice(more);
    Ok(maps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(container_id: u32, host_id: u32, size: u32) -> IdMap {
        IdMap { container_id, host_id, size }
    }

    #[test]
    fn what_is_free_is_given_in_order() {
        let check = |used: &[Range<u64>], size: u32, more: &[IdMap], expected: &str| {
            let found = choose(&[1000..1100, 2000..2050], used, size, more);
            let found = found.map(|maps| {
                let one =
                    |one: &IdMap| format!("{}:{}:{}", one.container_id, one.host_id, one.size);
                maps.iter().map(one).collect::<Vec<_>>().join(" ")
            });
            assert_eq!(found.unwrap_or_else(|error| error.to_string()), expected);
        };
        let used = [1000..1050, 1060..1070];
        check(&[], 100, &[], "0:1000:100");
        check(&[], 120, &[], "0:1000:100 100:2000:20");
        check(&used, 20, &[], "0:1050:10 10:1070:10");
        check(&[], 20, &[map(5, 7000, 2)], "0:1000:5 7:1005:13 5:7000:2");
        check(&[], 150, &[], "0:1000:100 100:2000:50");
        check(&[], 151, &[], "could not find enough available IDs");
    }

    #[test]
    fn the_size_is_that_of_whom_the_files_name() {
        let text =
            "root:x:0:0::/:\nnobody:x:70000:65534::/:\napp:x:1000:1005::/:\nodd:x:y:z\n:::\n";
        assert_eq!(named(text, &[2, 3]), 1006);
        assert_eq!(named("", &[2]), 0);
    }

    #[test]
    fn what_is_asked_for_is_a_text() {
        let wanted: OwnIds = "size=5,uidmapping=1:2:3,gidmapping=4:5:6".parse().unwrap();
        assert_eq!(wanted.size, Some(5));
        assert_eq!(
            (&wanted.uids[..], &wanted.gids[..]),
            (&[map(1, 2, 3)][..], &[map(4, 5, 6)][..])
        );
        assert_eq!("".parse::<OwnIds>().unwrap(), OwnIds::default());
        for (text, words) in [
            ("a", "invalid option specified: \"a\""),
            ("a=5", "unknown option specified: \"a\""),
            ("size=x", "parsing \"x\": invalid syntax"),
            ("uidmapping=1:2", "UID setting is malformed"),
            ("gidmapping=1:2:0", "GID setting is malformed"),
        ] {
            let error = text.parse::<OwnIds>().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
