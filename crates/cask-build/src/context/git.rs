//! Getting repositories by running git.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cask_rootfs::{Directory, Kind, Order, Root};

use super::GitLocation;
use crate::{Error, ErrorKind, Result};

/// How much of what git says is kept.
const MAX_SAID_BYTES: u64 = 4 << 20;

/// The git program and how it is run.
///
/// It gets no environment but what is given here, no configuration of the system or the user, no
/// hooks, no templates, no terminal to ask on, and only the protocols that are named. Fetched is one
/// commit and nothing before it.
#[derive(Clone)]
#[non_exhaustive]
pub struct Git {
    /// The program: a path.
    pub program: PathBuf,
    /// Its environment, as `PATH`, `HOME` (for ssh), `SSH_AUTH_SOCK` and proxies. What makes git safe
    /// is added, and cannot be changed here.
    pub environment: Vec<(OsString, OsString)>,
    /// The protocols that may be spoken, submodules included.
    pub protocols: Vec<String>,
}

/// A commit in a directory.
pub(crate) struct CheckedOut {
    pub(crate) commit: String,
    /// When it was committed.
    pub(crate) seconds: i64,
    directory: PathBuf,
}

impl Git {
    /// This program, an empty environment, and the protocols `https`, `http`, `ssh` and `git`.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let protocols = ["https", "http", "ssh", "git"].map(str::to_owned).to_vec();
        Self { program: program.into(), environment: Vec::new(), protocols }
    }

    /// Finds out which commit a location means, without fetching it.
    pub(crate) fn resolve(&self, location: &GitLocation) -> Result<String> {
        let wanted = location.reference.as_deref().unwrap_or("HEAD");
        let commit = if is_commit(wanted) {
            wanted.to_ascii_lowercase()
        } else {
            let run = Run { git: self, location, directory: None };
            let peeled = format!("{wanted}^{{}}");
            let url = location.clean_url();
            let said = run.output(["ls-remote", "--", &url, wanted, &peeled])?;
            choose(&said, wanted).ok_or_else(|| {
                let detail = format!("has no reference {wanted:?}");
                Error::new(ErrorKind::Missing, location, detail)
            })?
        };
        check_commit(location, &commit)?;
        Ok(commit)
    }

    /// Fetches a commit and writes its files below `scratch`. Which commit is found out if it is not
    /// given.
    pub(crate) fn check_out(
        &self,
        location: &GitLocation,
        commit: Option<&str>,
        scratch: &Path,
    ) -> Result<CheckedOut> {
        let directory = scratch.join("tree");
        std::fs::create_dir(&directory).map_err(|error| {
            Error::new(ErrorKind::Io, directory.display(), "cannot be made").with_source(error)
        })?;
        let commit = match commit {
            Some(commit) => commit.to_owned(),
            None => self.resolve(location)?,
        };
        let run = Run { git: self, location, directory: Some(&directory) };
        run.output(["init", "--quiet", "--template="])?;
        let url = location.clean_url();
        let fetch = ["fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--"];
        let fetched = run.output(fetch.into_iter().chain([url.as_str(), commit.as_str()]));
        if let Err(error) = fetched {
            // Not every server gives commits by their number.
            let reference = location.reference.as_deref().unwrap_or("HEAD");
            if is_commit(reference) {
                return Err(error);
            }
            run.output(fetch.into_iter().chain([url.as_str(), reference]))?;
        }
        let found = run.output(["rev-parse", "--verify", "FETCH_HEAD^{commit}"])?;
        let found = found.trim();
        if found != commit {
            let detail = format!("is at the commit {found} and not {commit}: it changed meanwhile");
            return Err(Error::new(ErrorKind::Mismatch, location, detail));
        }
        run.output(["checkout", "--quiet", "--detach", found])?;
        if location.submodules && directory.join(".gitmodules").symlink_metadata().is_ok() {
            run.output(["config", "remote.origin.url", &url])?;
            let update = ["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"];
            run.output(update)?;
        }
        let seconds = run.output(["show", "-s", "--format=%ct", "HEAD"])?;
        let seconds = seconds.trim().parse().unwrap_or(0);
        let out = CheckedOut { commit, seconds, directory: directory.clone() };
        match location.keep_git_dir {
            Some(true) => {
                // Times and numbers of files are in the index, which is another one every time.
                run.output(["read-tree", "HEAD"])?;
                out.remove("FETCH_HEAD")?;
            }
            _ => out.remove_git_directories()?,
        }
        Ok(out)
    }
}

impl CheckedOut {
    /// The directory that counts.
    pub(crate) fn root(&self, location: &GitLocation) -> Result<Root> {
        let root = Root::open(&self.directory).map_err(crate::view::failed)?;
        let Some(subdirectory) = &location.subdirectory else { return Ok(root) };
        // Links in the repository lead nowhere but into it.
        let missing = |error: cask_rootfs::Error| {
            let detail = format!("has no directory {subdirectory:?}");
            Error::new(ErrorKind::Missing, location, detail).with_source(error)
        };
        let directory = root.directory(subdirectory).map_err(missing)?;
        let fd = directory.as_fd().try_clone_to_owned().map_err(|error| {
            Error::new(ErrorKind::Io, location, "cannot be opened").with_source(error)
        })?;
        Root::from_fd(fd, self.directory.join(subdirectory)).map_err(missing)
    }

    /// Removes a file of `.git`.
    fn remove(&self, name: &str) -> Result<()> {
        let root = Root::open(&self.directory).map_err(crate::view::failed)?;
        root.remove_all(format!(".git/{name}").as_str()).map_err(crate::view::failed)
    }

    /// Removes `.git`, here and in submodules.
    fn remove_git_directories(&self) -> Result<()> {
        let root = Root::open(&self.directory).map_err(crate::view::failed)?;
        let mut left = vec![root.directory("").map_err(crate::view::failed)?];
        while let Some(directory) = left.pop() {
            remove_git(&directory, &mut left).map_err(crate::view::failed)?;
        }
        Ok(())
    }
}

fn remove_git(directory: &Directory, below: &mut Vec<Directory>) -> cask_rootfs::Result<()> {
    for entry in directory.entries(Order::Any)? {
        if entry.name == ".git" {
            directory.remove_all(&entry.name)?;
        } else if directory.metadata(&entry.name)?.kind == Kind::Directory {
            below.push(directory.open_dir(&entry.name)?);
        }
    }
    Ok(())
}

/// The git that was given.
pub(crate) fn required<'g>(git: Option<&'g Git>, location: &GitLocation) -> Result<&'g Git> {
    git.ok_or_else(|| {
        Error::new(ErrorKind::Invalid, location, "no git program was given that could fetch it")
    })
}

impl GitLocation {
    /// The URL for the command line, which everybody on the machine can read: without credentials.
    fn clean_url(&self) -> String {
        match self.credentials() {
            Some(_) => self.url(),
            None => self.url.clone(),
        }
    }

    /// User and password of `http` and `https`.
    fn credentials(&self) -> Option<&str> {
        let (scheme, rest) = self.url.split_once("://")?;
        let end = rest.find('/').unwrap_or(rest.len());
        let at = rest[..end].rfind('@')?;
        matches!(scheme, "http" | "https").then_some(&rest[..at])
    }
}

struct Run<'r> {
    git: &'r Git,
    location: &'r GitLocation,
    directory: Option<&'r Path>,
}

impl Run<'_> {
    /// Runs git, and gives what it writes.
    fn output<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        let mut command = self.command();
        command.args(arguments);
        let fail = |error: std::io::Error| {
            let program = self.git.program.display();
            let detail = format!("{program} cannot be run");
            Error::new(ErrorKind::Fetch, self.location, detail).with_source(error)
        };
        let mut child = command.spawn().map_err(fail)?;
        let (said, complaint) = both(&mut child);
        let status = child.wait().map_err(fail)?;
        if status.success() {
            return Ok(said);
        }
        let mut complaint = complaint.trim().to_owned();
        if let Some(secret) = self.location.credentials() {
            for secret in [secret].into_iter().chain(secret.split_once(':').map(|(_, p)| p)) {
                if !secret.is_empty() {
                    complaint = complaint.replace(secret, "***");
                }
            }
        }
        let shown: String = complaint.escape_debug().take(2000).collect();
        let detail = format!("cannot be fetched: {}", shown.replace("\\n", "; "));
        Err(Error::new(ErrorKind::Fetch, self.location, detail))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.git.program);
        command.env_clear().envs(self.git.environment.iter().map(|(k, v)| (k, v)));
        if !self.git.environment.iter().any(|(name, _)| name == "GIT_SSH_COMMAND") {
            command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes");
        }
        command
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "/bin/false")
            .env("SSH_ASKPASS", "/bin/false")
            .env("GIT_ALLOW_PROTOCOL", self.git.protocols.join(":"))
            .env("LC_ALL", "C");
        if self.location.credentials().is_some() {
            // By the environment, which only this user can read.
            command
                .env("GIT_CONFIG_COUNT", "1")
                .env("GIT_CONFIG_KEY_0", format!("url.{}.insteadOf", self.location.url))
                .env("GIT_CONFIG_VALUE_0", self.location.url());
        } else {
            command.env_remove("GIT_CONFIG_COUNT");
        }
        for setting in [
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "core.symlinks=true",
            "core.autocrlf=false",
            // They say when they were written.
            "core.logAllRefUpdates=false",
            "core.attributesFile=/dev/null",
            "init.defaultBranch=main",
            "advice.detachedHead=false",
            "gc.auto=0",
        ] {
            command.arg("-c").arg(setting);
        }
        // Not in whatever repository this process happens to be.
        let directory = self.directory.unwrap_or(Path::new("/"));
        command.current_dir(directory);
        command.env("GIT_CEILING_DIRECTORIES", directory.parent().unwrap_or(directory));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// What a program writes to both its outputs, up to a limit each.
fn both(child: &mut Child) -> (String, String) {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let err = scope.spawn(move || bounded(err));
        let out = bounded(out);
        (out, err.join().unwrap_or_default())
    })
}

fn bounded(stream: Option<impl Read>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut bytes = Vec::new();
    // What cannot be read is missing in a message, or makes the answer useless, which is noticed.
    let _ = (&mut stream).take(MAX_SAID_BYTES).read_to_end(&mut bytes);
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether a reference is the full number of a commit.
fn is_commit(reference: &str) -> bool {
    matches!(reference.len(), 40 | 64) && reference.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Chooses among what `git ls-remote` lists: a branch before a tag, as `git clone --branch`.
fn choose(said: &str, wanted: &str) -> Option<String> {
    let listed: Vec<(&str, &str)> = said.lines().filter_map(|line| line.split_once('\t')).collect();
    let names = [
        format!("{wanted}^{{}}"),
        wanted.to_owned(),
        format!("refs/heads/{wanted}"),
        format!("refs/tags/{wanted}^{{}}"),
        format!("refs/tags/{wanted}"),
        format!("refs/{wanted}"),
    ];
    let of = |name: &String| listed.iter().find(|(_, known)| known == name);
    let (commit, _) = names.iter().find_map(of)?;
    is_commit(commit).then(|| commit.to_ascii_lowercase())
}

fn check_commit(location: &GitLocation, commit: &str) -> Result<()> {
    match &location.checksum {
        Some(checksum) if !commit.starts_with(&checksum.to_ascii_lowercase()) => {
            let detail = format!("expected checksum to match {checksum}, got {commit}");
            Err(Error::new(ErrorKind::Mismatch, location, detail))
        }
        _ => Ok(()),
    }
}

impl fmt::Debug for Git {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The environment may hold secrets.
        f.debug_struct("Git")
            .field("program", &self.program)
            .field("protocols", &self.protocols)
            .finish_non_exhaustive()
    }
}
