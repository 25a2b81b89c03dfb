//! Taking everything away: containers, images, volumes, networks, and what is kept beside them.

use std::path::Path;

use cask_storage::Reset;

use super::{Containers, RemoveOptions};
use crate::{Error, ErrorKind, Result};

impl Containers {
    /// Ends and removes every container, those too that other programs made, then networks but the default one, and
    /// the whole store with what lies beside it. Of what is not a store's, nothing goes.
    ///
    /// What cannot be removed by itself is told to `failed`, and goes with the store.
    ///
    /// # Errors
    /// [`ErrorKind::InUse`] where a container of another program runs; those of
    /// [`StoreOptions::reset`](cask_storage::StoreOptions::reset).
    pub fn reset(self, mut failed: impl FnMut(Error)) -> Result<Reset> {
        self.reset_containers(&mut failed)?;
        let networks = self.networks();
        for network in networks.list(|error| failed(error.into()))? {
            if !networks.is_usual(&network)
                && let Err(error) = networks.remove(&network)
            {
                failed(error.into());
            }
        }
        Ok(self.store().options().reset()?)
    }

    /// As [`reset`](Self::reset), but networks stay: they are not this store's alone.
    ///
    /// # Errors
    /// As [`reset`](Self::reset).
    pub fn reset_beside_networks(self, mut failed: impl FnMut(Error)) -> Result<Reset> {
        self.reset_containers(&mut failed)?;
        Ok(self.store().options().reset()?)
    }

    fn reset_containers(&self, failed: &mut impl FnMut(Error)) -> Result<()> {
        let others = self.external().unwrap_or_default();
        for other in &others {
            if let Some(pid) = self.watched_elsewhere(&other.id) {
                let why = format!("another program runs it: process {pid} watches it");
                let words = format!("container {}", other.id);
                return Err(Error::new(ErrorKind::InUse, words, why)
                    .with_hint("stop it with that program first, as with podman stop --all"));
            }
        }
        let options = RemoveOptions { force: true, volumes: true, ..RemoveOptions::default() };
        let mut damaged = Vec::new();
        let all = self.all(|error| damaged.push(error)).unwrap_or_else(|error| {
            failed(error);
            Vec::new()
        });
        // Each needs others to be there while it is removed, never the other way round.
        for container in &all {
            if let Err(error) = self.remove_any(container, &options) {
                failed(error);
            }
        }
        for id in super::record::ids(&self.directory()).unwrap_or_default() {
            if let Err(error) = self.remove_damaged(id.as_str()) {
                failed(error);
            }
        }
        // Those elsewhere on the disk do not go with the store.
        let volumes = self.volumes();
        if self.volume_directory.is_some() {
            for volume in volumes.list()? {
                if volumes.is_ours(&volume)
                    && let Err(error) = volumes.remove(&volume)
                {
                    failed(error);
                }
            }
        }
        Ok(())
    }

    /// The process that watches a container of another program, if one does.
    ///
    /// Source: podman, `libpod/oci_conmon_linux.go`: `--conmon-pidfile` in the directory of the container.
    fn watched_elsewhere(&self, id: &str) -> Option<u32> {
        let store = self.store();
        let kept = store.run_root().join(format!("{}-containers", store.driver())).join(id);
        let text = std::fs::read_to_string(kept.join("userdata/conmon.pid")).ok()?;
        let pid: u32 = text.trim().parse().ok()?;
        let words = std::fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).ok()?;
        words.split(|byte| *byte == 0).any(|word| word == id.as_bytes()).then_some(pid)
    }
}
