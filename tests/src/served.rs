//! `dray serve`, on loopback.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Outcome, command, dray_built};
use crate::registry::{Access, PASSWORD_HASH, USER, certify};
use crate::scratch::Scratch;

/// A directory that `dray` serves until this is dropped.
pub struct Served {
    directory: PathBuf,
    log: PathBuf,
    url: String,
    child: Child,
}

impl Served {
    /// Serves a new directory.
    ///
    /// # Panics
    /// If it ends without a word.
    #[track_caller]
    pub fn start(scratch: &Scratch, access: Access) -> Self {
        let directory = scratch.join(format!("served-{access:?}"));
        std::fs::create_dir_all(&directory).expect("a new directory is writable");
        let settings = scratch.join(format!("settings-{access:?}"));
        std::fs::create_dir_all(&settings).expect("a new directory is writable");
        let at = |name: &str| settings.join(name).display().to_string();
        let arguments = match access {
            Access::Plain => Vec::new(),
            Access::Password => {
                std::fs::write(at("htpasswd"), format!("{USER}:{PASSWORD_HASH}\n"))
                    .expect("a new directory is writable");
                vec!["--htpasswd".to_owned(), at("htpasswd")]
            }
            Access::Tls => {
                certify(&settings);
                let (certificate, key) = (at("certs/ca.crt"), at("key.pem"));
                vec!["--tls-cert".to_owned(), certificate, "--tls-key".to_owned(), key]
            }
        };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Self::directory(&directory, &settings.join("log"), &arguments)
    }

    /// Serves a directory that exists, with more arguments. The requests are logged to a file.
    ///
    /// # Panics
    /// If it ends without a word.
    #[track_caller]
    pub fn directory(directory: &Path, log: &Path, arguments: &[&str]) -> Self {
        let errors = std::fs::File::create(log).expect("the log can be made");
        let mut child = command(dray_built())
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .arg(directory)
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("dray runs");
        let stdout = child.stdout.take().expect("it is piped");
        let mut url = String::new();
        BufReader::new(stdout).read_line(&mut url).expect("it can be read");
        let (directory, log) = (directory.to_owned(), log.to_owned());
        let served = Self { directory, log, url: url.trim().to_owned(), child };
        assert!(!served.url.is_empty(), "dray serve is silent: {}", served.log());
        served
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        self.url.split("://").nth(1).unwrap_or_default()
    }

    /// What it printed: its address as a URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where a repository is, as a place of the transport `oci`.
    pub fn layout(&self, repository: &str) -> String {
        format!("oci:{}", self.directory.join(repository).display())
    }

    /// What it has logged: a line for each request.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Stops it by a signal, and tells how it ended.
    pub fn stop(mut self, signal: Signal) -> Outcome {
        self.signal(signal);
        let status = self.child.wait().expect("it is a child");
        let output = std::process::Output { status, stdout: Vec::new(), stderr: Vec::new() };
        Outcome::new("dray serve".to_owned(), output)
    }

    /// Sends a signal, and does not wait for what comes of it.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
