//! A registry of our own, for as long as the demo runs.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result};

use crate::process;

/// `dray serve`, over an empty directory, on loopback. Ends when it is dropped.
pub(super) struct Registry {
    child: Child,
    host: String,
    configuration: PathBuf,
}

impl Registry {
    /// Starts it in a directory, with a configuration that has others talk to it in the clear.
    pub(super) fn start(dray: &Path, directory: &Path) -> Result<Self> {
        let root = directory.join("registry");
        fs::create_dir_all(&root).with_context(|| format!("creating {}", root.display()))?;
        let arguments = ["serve", "--quiet", "--listen", "127.0.0.1:0", "registry"];
        let mut serve = process::command(dray, arguments);
        let mut child = serve
            .current_dir(directory)
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run `dray serve`")?;
        let mut url = String::new();
        let stdout = child.stdout.take().context("`dray serve` has no standard output")?;
        BufReader::new(stdout).read_line(&mut url).context("reading from `dray serve`")?;
        let host = url.trim().trim_start_matches("http://").trim_end_matches('/').to_owned();
        let configuration = directory.join("registries.conf");
        let registry = Self { child, host, configuration };
        let text = format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", registry.host);
        fs::write(&registry.configuration, text)
            .with_context(|| format!("writing {}", registry.configuration.display()))?;
        Ok(registry)
    }

    /// Host and port.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The `registries.conf` for who talks to it.
    pub(super) fn configuration(&self) -> &Path {
        &self.configuration
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
