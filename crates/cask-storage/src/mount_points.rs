//! Which layers are mounted, and how often: shared with all processes through
//! `mountpoints.json` in the run root.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::file::{self, MAX_JSON_BYTES};
use crate::lock::Lock;
use crate::record::write_text;
use crate::store::Inner;
use crate::warning::Warning;
use crate::{Durability, Id, Result};

/// A layer that somebody mounted.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct MountPoint {
    pub(crate) id: String,
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) count: i64,
}

/// The counts of mounts.
#[derive(Clone, Debug, Default)]
pub(crate) struct MountPoints(Vec<MountPoint>);

impl MountPoints {
    /// Reads them. A file that makes no sense is taken for an empty one: it is about what does not
    /// survive a reboot.
    pub(crate) fn load(store: &Inner) -> Result<Self> {
        let path = store.mount_points_path();
        let Some((bytes, _)) = file::read(&path, MAX_JSON_BYTES)? else {
            return Ok(Self::default());
        };
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice::<Option<Vec<MountPoint>>>(&bytes) {
            Ok(found) => Ok(Self(found.unwrap_or_default())),
            Err(error) => {
                store.warn(Warning::new(&path, format!("{error}; nothing is taken for mounted")));
                Ok(Self::default())
            }
        }
    }

    /// Writes them, under their lock.
    pub(crate) fn save(&self, store: &Inner, lock: &Lock) -> Result<()> {
        let path = store.mount_points_path();
        // The run root may be on the same disk.
        store.with_reserve(|| {
            lock.write_token()?;
            file::replace(&path, self.print().as_bytes(), 0o600, Durability::None)
        })
    }

    fn print(&self) -> String {
        let mut out = String::from("[");
        for (index, mount) in self.0.iter().filter(|mount| mount.count > 0).enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str("{\"id\":");
            write_text(&mount.id, &mut out);
            out.push_str(",\"path\":");
            write_text(&mount.path, &mut out);
            out.push_str(&format!(",\"count\":{}}}", mount.count));
        }
        out.push(']');
        out
    }

    /// Where a layer is mounted and how often, as far as anybody wrote down.
    pub(crate) fn of(&self, id: &Id) -> Option<&MountPoint> {
        self.0.iter().find(|mount| mount.id == id.as_str() && mount.count > 0)
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &MountPoint> {
        self.0.iter().filter(|mount| mount.count > 0)
    }

    /// Notes how often a layer is mounted at a path.
    pub(crate) fn set(&mut self, id: &Id, path: &Path, count: i64) {
        self.0.retain(|mount| mount.id != id.as_str());
        let path = path.display().to_string();
        self.0.push(MountPoint { id: id.to_string(), path, count });
    }

    /// Forgets a layer.
    pub(crate) fn forget(&mut self, id: &Id) {
        self.0.retain(|mount| mount.id != id.as_str());
    }
}

/// Whether something is mounted right at a path.
pub(crate) fn is_mounted(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    statx(CWD, path, flags, StatxFlags::empty())
        .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// A mounted layer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mounted {
    /// The layer.
    pub layer: Id,
    /// Where its files, with those below, are.
    pub path: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_printed_as_podman_does() {
        let text = r#"[{"id":"a","path":"/x/merged","count":2},{"id":"b","path":"/y","count":1}]"#;
        let mut points = MountPoints(serde_json::from_str(text).unwrap());
        assert_eq!(points.print(), text);
        points.forget(&Id::recorded("a").unwrap());
        points.set(&Id::recorded("b").unwrap(), Path::new("/y"), 0);
        assert_eq!(points.print(), "[]");
    }

    #[test]
    fn only_mount_points_are_mounted() {
        assert!(is_mounted(Path::new("/proc")));
        assert!(!is_mounted(Path::new("/proc/self")));
        assert!(!is_mounted(Path::new("/nowhere")));
    }
}
