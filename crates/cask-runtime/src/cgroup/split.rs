//! The group of whoever starts a container, divided: one part for those who are in it, one for the container.

use std::fs;
use std::path::{Path, PathBuf};

use super::files::{Layout, TOP, give_controllers, make_directory};
use super::{Cgroup, CgroupLimits};
use crate::error::{Error, ErrorKind, Result};

/// The part of those who were in the group. Source: podman, `libpod/oci_conmon_common.go`.
const OTHERS: &str = "runtime";

impl Cgroup {
    /// Makes a group within the one that this process is in, and moves all processes of that one into another,
    /// `runtime`, beside it: a group of version 2 has processes or groups with limits, never both.
    ///
    /// # Errors
    ///
    /// `Unsupported` where this process is in the group of the whole machine, which cannot be divided; otherwise as
    /// [`create`](Self::create).
    pub fn split(name: &str, limits: &CgroupLimits) -> Result<Self> {
        Self::split_of(std::process::id(), name, limits)
    }

    /// The same for the group of another process.
    pub(crate) fn split_of(process: u32, name: &str, limits: &CgroupLimits) -> Result<Self> {
        let layout = Layout::find()?.at_top();
        let file = format!("/proc/{process}/cgroup");
        let lines = fs::read_to_string(&file).map_err(|error| Error::io(error, "read", &file))?;
        let own = own(&lines).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "divide", "the control group of this process")
                .with_detail("it is that of the whole machine")
                .with_hint(
                    "start the container in a group of its own, such as a service of systemd",
                )
        })?;
        for directory in hierarchies(&lines, own, layout.is_unified()) {
            move_others(&directory)?;
        }
        let group = Self::at(layout, &format!("/{own}/{name}"))?;
        match &group.layout {
            Layout::Unified(top) => {
                let above = top.join(own);
                give_controllers(&above, limits);
                make_directory(&above.join(name))?;
            }
            Layout::Legacy => group.layout.make(&group.place, limits)?,
        }
        group.limited(limits)
    }
}

/// The group that a process is in, as its file has it, without the part that an earlier division made. `None` is that of
/// the whole machine.
///
/// Source: podman, `utils/utils_supported.go`, `getCgroupProcess`.
fn own(lines: &str) -> Option<&str> {
    let paths = || lines.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let unified = lines.lines().find_map(|line| line.strip_prefix("0::"));
    let path = unified.or_else(|| paths().max_by_key(|path| path.len()))?;
    let path = path.trim_start_matches('/');
    let path = path.strip_suffix(OTHERS).and_then(|path| path.strip_suffix('/')).unwrap_or(path);
    (!path.is_empty()).then_some(path)
}

/// The directories of the group in every hierarchy in which the process is in it.
fn hierarchies(lines: &str, own: &str, is_unified: bool) -> Vec<PathBuf> {
    let here = |path: &str| {
        let path = path.trim_start_matches('/');
        path == own || path.strip_prefix(own) == Some("/runtime")
    };
    let directory = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        if !here(path) {
            return None;
        }
        let top = Path::new(TOP);
        let top = match controllers.strip_prefix("name=").unwrap_or(controllers) {
            "" if is_unified => top.to_owned(),
            "" => top.join("unified"),
            controllers => top.join(controllers),
        };
        Some(top.join(own)).filter(|path| path.is_dir())
    };
    lines.lines().filter_map(directory).collect()
}

/// Moves the processes of a group into a part of it.
fn move_others(directory: &Path) -> Result<()> {
    let part = directory.join(OTHERS);
    make_directory(&part)?;
    inherit_set(directory, &part)?;
    let (from, to) = (directory.join("cgroup.procs"), part.join("cgroup.procs"));
    let text =
        fs::read_to_string(&from).map_err(|error| Error::io(error, "read", from.display()))?;
    for process in text.lines() {
        match fs::write(&to, process) {
            // It ended meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            moved => {
                moved.map_err(|error| Error::io(error, "move processes to", part.display()))?
            }
        }
    }
    Ok(())
}

/// A group of version 1 takes no process before it is told its processors and memory.
fn inherit_set(directory: &Path, part: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let path = part.join(file);
        let failed = |error| Error::io(error, "set up", path.display());
        if fs::read_to_string(&path).is_ok_and(|own| own.trim().is_empty()) {
            let inherited = fs::read_to_string(directory.join(file)).map_err(failed)?;
            fs::write(&path, inherited.trim()).map_err(failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_a_process_is_read_and_that_of_the_machine_is_none() {
        let check =
            |lines: &str, expected: Option<&str>| assert_eq!(own(lines), expected, "{lines}");
        check("0::/a/b\n", Some("a/b"));
        check("0::/a/runtime\n", Some("a"));
        // Not a part: that of the whole machine cannot be divided.
        check("0::/runtime\n", Some("runtime"));
        check("0::/\n", None);
        check("5:cpu:/\n4:memory:/a/b\n3:pids:/a\n", Some("a/b"));
        check("4:memory:/a/b\n0::/\n", None);
        check("4:memory:/a:b\n", Some("a:b"));
        check("", None);
    }

    #[test]
    fn processes_are_moved_where_the_group_is_that_one() {
        let lines = "4:memory:/nosuch\n3:pids:/other\n0::/nosuch/runtime\n";
        // Neither is a directory.
        assert!(hierarchies(lines, "nosuch", false).is_empty());
        assert_eq!(
            hierarchies("3:pids:/\n", "", false).len(),
            usize::from(Path::new(TOP).join("pids").is_dir())
        );
    }
}
