//! Which number on the host an owner in a container has, and back.

/// A run of owners: `count` numbers from `container` on are those from `host` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdRange {
    /// The first number in the container.
    pub container: u32,
    /// The first number on the host.
    pub host: u32,
    /// How many.
    pub count: u32,
}

/// How users and groups of a container are numbered on the host.
///
/// Empty ranges map every number to itself. Otherwise a number outside all ranges has no equal, and
/// of several ranges the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct IdMaps {
    /// The users.
    pub uids: Vec<IdRange>,
    /// The groups.
    pub gids: Vec<IdRange>,
}

impl IdMaps {
    /// Makes maps from ranges.
    pub fn new(uids: Vec<IdRange>, gids: Vec<IdRange>) -> Self {
        Self { uids, gids }
    }

    /// The host's numbers for a user and a group of the container; `None` where either has none.
    pub fn to_host(&self, uid: u32, gid: u32) -> Option<(u32, u32)> {
        let map = |ranges: &[IdRange], id| find(ranges, id, |range| (range.container, range.host));
        Some((map(&self.uids, uid)?, map(&self.gids, gid)?))
    }

    /// The container's numbers for a user and a group of the host; `None` where either has none.
    pub fn to_container(&self, uid: u32, gid: u32) -> Option<(u32, u32)> {
        let map = |ranges: &[IdRange], id| find(ranges, id, |range| (range.host, range.container));
        Some((map(&self.uids, uid)?, map(&self.gids, gid)?))
    }
}

fn find(ranges: &[IdRange], id: u32, sides: impl Fn(&IdRange) -> (u32, u32)) -> Option<u32> {
    if ranges.is_empty() {
        return Some(id);
    }
    ranges.iter().find_map(|range| {
        let (from, to) = sides(range);
        let distance = id.checked_sub(from).filter(|distance| *distance < range.count)?;
        to.checked_add(distance)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_map_by_range_and_only_there() {
        let range = |container, host, count| IdRange { container, host, count };
        let maps = IdMaps::new(
            vec![range(0, 1000, 1), range(1, 100_000, 65_536)],
            vec![range(0, u32::MAX - 1, 10)],
        );
        assert_eq!(maps.to_host(0, 0), Some((1000, u32::MAX - 1)));
        assert_eq!(maps.to_host(5, 1), Some((100_004, u32::MAX)));
        assert_eq!(maps.to_host(0, 2), None, "beyond the last number");
        assert_eq!(maps.to_host(65_537, 0), None);
        assert_eq!(maps.to_container(100_004, u32::MAX), Some((5, 1)));
        assert_eq!(maps.to_container(999, u32::MAX), None);
        assert_eq!(IdMaps::default().to_host(7, u32::MAX), Some((7, u32::MAX)));
    }
}
