//! A registry that rows pull from and push to: Debian's, on loopback.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::command;

/// A registry that ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Registry {
    child: Child,
    address: String,
    files: PathBuf,
}

impl Registry {
    /// Starts one that holds nothing, with its files below `folder`.
    ///
    /// # Errors
    ///
    /// Where `docker-registry` is not installed or does not answer within ten seconds.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let files = folder.join("registry");
        super::run::empty(&files)?;
        // Free now; another process could take it before the registry does, which then ends.
        let address = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .context("cannot find a free port")?
            .to_string();
        let config = folder.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {files:?}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: {address}}}\n"
        );
        fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
        let log = folder.join("registry.log");
        let log = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let child = command("docker-registry", ["serve".as_ref(), config.as_os_str()])
            .stdout(log.try_clone().context("cannot share the log of the registry")?)
            .stderr(log)
            .spawn()
            .context("cannot run docker-registry")?;
        let mut registry = Self { child, address, files };
        registry.wait_until_it_answers()?;
        Ok(registry)
    }

    fn wait_until_it_answers(&mut self) -> Result<()> {
        let start = Instant::now();
        while TcpStream::connect(&self.address).is_err() {
            let ended = self.child.try_wait().context("cannot wait for docker-registry")?;
            if ended.is_some() || start.elapsed() > Duration::from_secs(10) {
                bail!("docker-registry does not answer at {}: see its log", self.address);
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Where it keeps what it holds. It caches nothing: without these files it is empty.
    pub(crate) fn files(&self) -> &Path {
        &self.files
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // One that has ended is as good as one that was killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.files);
    }
}
