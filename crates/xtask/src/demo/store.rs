//! The image in a store of its own, and out of it again.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::registry::Registry;
use super::run::{megabytes, size_of};
use crate::{console, process};

/// A store below the folder of the demo, and who works on it.
pub(super) struct Store<'a> {
    pub(super) cellar: &'a Path,
    pub(super) directory: &'a Path,
    pub(super) registry: &'a Registry,
}

impl Store<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let places =
            ["--root", "store/root", "--runroot", "store/run", "--storage-driver", "overlay"];
        let mut command = process::command(self.cellar, places);
        command.args(["--signature-policy", "policy.json"]).args(arguments);
        command.current_dir(self.directory);
        command.env("CONTAINERS_REGISTRIES_CONF", self.registry.configuration());
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        Ok(process::output(&mut self.command(arguments))?.trim().to_owned())
    }

    /// Pulls the image, lists it, looks into it, saves it; gives a row for what moved it, and the
    /// digest of its config.
    pub(super) fn tour(&self, image: &str) -> Result<(Vec<[String; 4]>, String)> {
        let policy = self.directory.join("policy.json");
        fs::write(&policy, r#"{"default": [{"type": "insecureAcceptAnything"}]}"#)
            .with_context(|| format!("writing {}", policy.display()))?;
        let mut rows = Vec::new();
        let id = self.row(&mut rows, "registry to store", "store", &["pull", "--quiet", image])?;
        for (title, format, to) in [
            ("store to archive", "docker-archive", "saved.tar"),
            ("store to archive of a layout", "oci-archive", "saved-oci.tar"),
        ] {
            let line = ["save", "--quiet", "--format", format, "--output", to, image];
            self.row(&mut rows, title, to, &line)?;
        }
        console::line("");
        console::line(&self.run(&["images"])?);
        let check = self.run(&["system", "check"])?;
        ensure!(check.is_empty(), "the store is not whole: {check}");
        self.look_into(image)?;
        Ok((rows, format!("sha256:{id}")))
    }

    /// Runs a command that moves the image, and tells what came of it.
    fn row(
        &self,
        rows: &mut Vec<[String; 4]>,
        title: &str,
        holds: &str,
        arguments: &[&str],
    ) -> Result<String> {
        let start = Instant::now();
        let said = self.run(arguments)?;
        let took = start.elapsed();
        let size = megabytes(size_of(&self.directory.join(holds))?);
        rows.push([title.to_owned(), String::new(), size, format!("{:.2} s", took.as_secs_f64())]);
        Ok(said)
    }

    /// Takes away the mount of the driver's directory onto itself, which stays as podman's does.
    fn release(&self) -> Result<()> {
        let overlay = self.directory.join("store/root/overlay");
        process::succeed(process::command("umount", ["-l"]).arg(overlay))
    }

    /// Mounts the image, which only root can, and counts its programs.
    fn look_into(&self, image: &str) -> Result<()> {
        if !rustix::process::geteuid().is_root() {
            console::line("not mounted: only root can do that outside of a user namespace");
            return Ok(());
        }
        let place = self.run(&["image", "mount", image])?;
        let count = fs::read_dir(self.directory.join(&place).join("bin")).map(Iterator::count);
        self.run(&["image", "unmount", image])?;
        self.release()?;
        let count = count.with_context(|| format!("reading {place}/bin"))?;
        console::line(&format!("mounted, the image has {count} programs in /bin"));
        Ok(())
    }
}
