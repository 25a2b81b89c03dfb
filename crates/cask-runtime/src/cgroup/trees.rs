//! What a container sees of control groups.

use std::fs;
use std::path::{Path, PathBuf};

use super::Cgroup;
use super::files::{Layout, TOP};
use crate::plan::{GroupLink, GroupTree, Space};
use crate::spec::ControlGroupFiles;

/// The directories that are mounted below `/sys/fs/cgroup`, and the links between them.
///
/// Of version 1 a process sees its own group only, for each controller; where it has none of its own, nothing. Of
/// version 2 it sees the group that it is in, or all of them where it shares the machine's namespace.
pub(crate) fn seen(
    wanted: ControlGroupFiles,
    group: Option<&Cgroup>,
    namespace: Space,
) -> (Vec<GroupTree>, Vec<GroupLink>) {
    let writable = wanted == ControlGroupFiles::Writable;
    let layout = match (wanted, group) {
        (ControlGroupFiles::None, _) => return Default::default(),
        (_, Some(group)) => group.layout.clone(),
        (_, None) => match Layout::find() {
            Ok(layout) => layout,
            Err(_) => return Default::default(),
        },
    };
    match (&layout, group) {
        (Layout::Unified(_), _) => {
            let source = match (namespace, group) {
                (Space::Keep, _) => PathBuf::from(TOP),
                (_, Some(group)) => layout.of("", &group.place),
                (_, None) => own_directory(),
            };
            (vec![tree(&source, "", writable)], Vec::new())
        }
        (Layout::Legacy, Some(group)) => legacy(&group.place, writable),
        (Layout::Legacy, None) => Default::default(),
    }
}

/// The directory of the group of version 2 that this process is in.
pub(super) fn own_directory() -> PathBuf {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    Path::new(TOP).join(own)
}

fn tree(source: &Path, name: &str, writable: bool) -> GroupTree {
    use std::os::unix::ffi::OsStrExt as _;
    let source = source.as_os_str().as_bytes().to_vec();
    GroupTree { source, name: name.to_owned(), writable }
}

fn legacy(group: &str, writable: bool) -> (Vec<GroupTree>, Vec<GroupLink>) {
    let (mut trees, mut links) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(TOP).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = entry.path();
        // Controllers of one hierarchy have links: cpu -> cpu,cpuacct.
        if let Ok(target) = fs::read_link(&path) {
            links.extend(
                target.into_os_string().into_string().ok().map(|target| GroupLink { name, target }),
            );
        } else if path.join(group).is_dir() {
            // Limits are those of the machine; what an init writes is names, in a hierarchy without controllers.
            let writable = writable && name == "systemd";
            trees.push(tree(&path.join(group), &name, writable));
        }
    }
    trees.sort_by(|one, other| one.name.cmp(&other.name));
    links.retain(|link| trees.iter().any(|tree| tree.name == link.target));
    (trees, links)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Wire as _;

    #[test]
    fn without_a_group_of_its_own_a_process_sees_none_of_version_1() {
        let (trees, links) = seen(ControlGroupFiles::None, None, Space::New);
        assert!(trees.is_empty() && links.is_empty());
        let (trees, _) = seen(ControlGroupFiles::ReadOnly, None, Space::New);
        let is_unified = matches!(Layout::find(), Ok(Layout::Unified(_)));
        assert_eq!(trees.len(), usize::from(is_unified));
        let bytes = tree(Path::new("/a"), "b", true).to_bytes();
        assert_eq!(GroupTree::from_bytes(&bytes).unwrap().name, "b");
    }
}
