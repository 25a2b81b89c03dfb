//! Where the bridges of a user are: users cannot make any on the machine.
//!
//! They are in a network namespace of their own, out of which pasta leads. A process keeps both, as long as any
//! container has networks of names; should it be killed, the next container that begins has another one do so.
//!
//! ```text
//! RUN ROOT/networks/bridges/
//!   turn          locked by who looks for that process or starts it
//!   users         locked, shared, by everybody who uses the namespace
//!   keeper        number and beginning of the process, and the path at which the namespace is opened
//!   resolv.conf   whom aardvark-dns asks for names that are not of its networks
//! ```

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cask_network::{Connection, Networks, PASTA_RESOLVER, Pasta, PastaOptions, Status};
use cask_runtime::{ProcessHandle, Signal};

use super::super::Containers;
use super::super::record::io;
use super::super::start::StartOptions;
use super::live::path_of;
use crate::{Error, ErrorKind, Result};

/// How long a process that has nothing left to keep may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The networks of a machine or a user, and where their bridges are. While it lives, they stay.
pub(super) struct Bridges {
    networks: Networks,
    /// Of a user alone.
    inner: Option<Inner>,
}

struct Inner {
    namespace: OwnedFd,
    resolver: PathBuf,
    /// Below this, layers are mounted.
    graph_root: PathBuf,
    _users: File,
}

impl Containers {
    /// Where bridges are; for a user, they are made where there are none.
    pub(super) fn bridges(&self) -> Result<Bridges> {
        let networks = self.networks();
        let inner = match self.places.rootless {
            true => {
                Some(Inner { graph_root: self.store().graph_root().to_owned(), ..self.inner()? })
            }
            false => None,
        };
        Ok(Bridges { networks, inner })
    }

    /// Does something in the network namespace that the bridges of a user are in, which is made where there is none and
    /// stays meanwhile. Root's are on the machine.
    ///
    /// # Errors
    /// [`ErrorKind::NotStarted`] where pasta is missing or cannot begin; [`ErrorKind::Io`].
    pub fn where_bridges_are<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        self.bridges()?.inside(|_| Ok(work()))
    }

    /// As [`bridges`](Self::bridges); `None` where no container of the user has any.
    pub(super) fn bridges_there_are(&self) -> Result<Option<Bridges>> {
        let directory = self.bridge_directory();
        match self.places.rootless && keeper(&directory).is_none() {
            true => Ok(None),
            false => self.bridges().map(Some),
        }
    }

    fn bridge_directory(&self) -> PathBuf {
        self.places.run.join("bridges")
    }

    fn inner(&self) -> Result<Inner> {
        let directory = self.bridge_directory();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(|error| io(error, "making the directory", &directory))?;
        let path = directory.join("turn");
        let turn = open(&path)?;
        turn.lock().map_err(|error| io(error, "locking", &path))?;
        let path = directory.join("users");
        let users = open(&path)?;
        loop {
            let Some((process, namespace)) = keeper(&directory) else {
                let alone = users.try_lock().is_ok();
                users.lock_shared().map_err(|error| io(error, "locking", &path))?;
                self.start_keeper(alone)?;
                continue;
            };
            match users.try_lock_shared() {
                // With the lock held it stays; it may have gone just before.
                Ok(()) if !directory.join("keeper").exists() => {}
                Ok(()) => {
                    let opened = File::open(&namespace);
                    let opened = opened.map_err(|error| io(error, "opening", &namespace))?;
                    return Ok(Inner {
                        namespace: opened.into(),
                        resolver: directory.join("resolv.conf"),
                        graph_root: PathBuf::new(),
                        _users: users,
                    });
                }
                // Nobody was left: it is about to end.
                Err(TryLockError::WouldBlock) if process.wait(Some(PATIENCE)) => {}
                Err(TryLockError::WouldBlock) => {
                    let words =
                        format!("process {} keeps no networks and does not end", process.pid());
                    return Err(Error::new(ErrorKind::Unresponsive, words, ""));
                }
                Err(TryLockError::Error(error)) => return Err(io(error, "locking", &path)),
            }
        }
    }

    fn start_keeper(&self, alone: bool) -> Result<()> {
        if alone {
            self.end_answers();
        }
        let options = StartOptions { keeps_bridges: true, ..StartOptions::default() };
        self.start_watched("", &options, None, None).map(drop)
    }

    /// Keeps the bridges of a user until nobody uses them any more. `begun` is told when they are there.
    pub(in crate::containers) fn keep_bridges(&self, begun: impl FnOnce()) -> Result<()> {
        let directory = self.bridge_directory();
        let namespace = match self.left_over() {
            Some(namespace) => namespace,
            None => cask_runtime::new_network_namespace()?,
        };
        let shared =
            namespace.try_clone().map_err(|error| io(error, "keeping", Path::new("a network")))?;
        let mut pasta =
            Pasta::start(self.networks().places(), shared, &directory, &PastaOptions::default())?;
        let write = |name: &str, text: String| {
            let path = directory.join(name);
            fs::write(&path, text).map_err(|error| io(error, "writing", &path))
        };
        write("resolv.conf", format!("nameserver {PASTA_RESOLVER}\n"))?;
        let own = std::process::id();
        let began = ProcessHandle::started(own).unwrap_or_default();
        write("keeper", format!("{own} {began} {}\n", path_of(&namespace).display()))?;
        begun();
        let path = directory.join("users");
        let users = open(&path)?;
        users.lock().map_err(|error| io(error, "locking", &path))?;
        let _ = fs::remove_file(directory.join("keeper"));
        // Of containers that were killed with their monitors, nobody took back the names.
        self.end_answers();
        pasta.stop();
        Ok(())
    }

    /// The namespace that others still use, and that nobody keeps any more: whoever answers for names is in it.
    fn left_over(&self) -> Option<OwnedFd> {
        self.answering()?.namespace("net").ok()
    }

    /// Who answers for names on the user's bridges.
    fn answering(&self) -> Option<ProcessHandle> {
        let pid = fs::read_to_string(self.places.run.join("aardvark-dns/aardvark.pid")).ok()?;
        let pid: u32 = pid.trim().parse().ok()?;
        let process = ProcessHandle::open(pid, ProcessHandle::started(pid)).ok()??;
        let place = Path::new("/proc").join(pid.to_string());
        let name = fs::read_to_string(place.join("comm")).ok()?;
        let own = fs::read_link("/proc/self/ns/net").ok()?;
        let other = fs::read_link(place.join("ns/net")).ok()? != own;
        (name.trim() == "aardvark-dns" && other).then_some(process)
    }

    /// Nobody is left whose name is known.
    fn end_answers(&self) {
        if let Some(process) = self.answering()
            && process.signal(Signal::KILL).is_ok()
        {
            process.wait(Some(PATIENCE));
        }
        let _ = fs::remove_dir_all(self.places.run.join("aardvark-dns"));
    }
}

impl Bridges {
    /// Whether they are a user's, whom no rule of the machine leads to.
    pub(super) fn are_a_users(&self) -> bool {
        self.inner.is_some()
    }

    /// As [`Networks::connect`].
    pub(super) fn connect(
        &self,
        namespace: &Path,
        connection: &Connection,
    ) -> Result<BTreeMap<String, Status>> {
        self.inside(|networks| networks.connect(namespace, connection))
    }

    /// As [`Networks::disconnect`].
    pub(super) fn disconnect(&self, namespace: &Path, connection: &Connection) -> Result<()> {
        self.inside(|networks| networks.disconnect(namespace, connection))
    }

    /// As [`Networks::forget`].
    pub(super) fn forget(&self, empty: &Path, connection: &Connection) -> Result<()> {
        self.inside(|networks| networks.forget(empty, connection))
    }

    /// Does something where the bridges are.
    pub(super) fn inside<T: Send>(
        &self,
        work: impl FnOnce(&Networks) -> cask_network::Result<T> + Send,
    ) -> Result<T> {
        let networks = &self.networks;
        let Some(inner) = &self.inner else { return Ok(work(networks)?) };
        let there = || {
            cask_runtime::enter_network_namespace(inner.namespace.as_fd())?;
            let resolver = Path::new("/etc/resolv.conf");
            cask_runtime::enter_mounts_with_file(&inner.resolver, resolver, &inner.graph_root)?;
            Ok(work(networks)?)
        };
        let done = std::thread::scope(|scope| scope.spawn(there).join());
        done.unwrap_or_else(|_| Err(Error::new(ErrorKind::NotStarted, "its network", "")))
    }
}

/// The process that keeps the namespace, where it still does, and the path at which that is opened.
fn keeper(directory: &Path) -> Option<(ProcessHandle, PathBuf)> {
    let text = fs::read_to_string(directory.join("keeper")).ok()?;
    let mut words = text.trim_end().splitn(3, ' ');
    let (pid, began) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let namespace = PathBuf::from(words.next()?);
    ProcessHandle::open(pid, Some(began)).ok().flatten().map(|process| (process, namespace))
}

fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(|error| io(error, "opening", path))
}
