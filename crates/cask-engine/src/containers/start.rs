//! Starting a container: its monitor is started, which does the rest.

use std::ffi::OsString;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use cask_runtime::{NativeExecutor, PassedDescriptor};
use cask_storage::{DriverKind, StoreOptions};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use super::attach::Attached;
use super::holders::{LOOK, stands_at_its_beginning, stopped_one};
use super::monitor::MONITOR_ARGUMENT;
use super::record::{Held, Place};
use super::{Container, Containers, ExecOptions, Status, wire};
use crate::{Error, ErrorKind, Result};

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Lines.
    pub rows: u16,
    /// Characters of a line.
    pub columns: u16,
}

/// How a container is started.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StartOptions {
    /// Its output is heard from the beginning.
    pub attach: bool,
    /// The size of its terminal.
    pub size: Option<Terminal>,
    /// Where the manager of services listens: the value of `$NOTIFY_SOCKET`. A container that is to tell it itself that
    /// it is ready is given a socket for that.
    pub notify_socket: Option<OsString>,
    /// Numbers of descriptors that this program was started with, and that the container has too as long as its monitor
    /// lives: from 3 on.
    pub descriptors: Vec<u32>,
    /// These are sockets that somebody listens at for it, as managers of services do: it is told so.
    pub listens: bool,
    /// Its input and output are those of this program.
    pub(super) hands_over: bool,
    /// Everything that it needs is made, and no more.
    pub(super) prepares: bool,
    /// It is no container that is started, but what keeps the bridges of a user.
    pub(super) keeps_bridges: bool,
}

/// What a new monitor is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) store: StoreOrder,
    pub(super) networks: cask_network::Places,
    pub(super) journal: super::Journal,
    pub(super) events: super::EventLog,
    pub(super) volumes: Option<PathBuf>,
    pub(super) hooks: Vec<PathBuf>,
    pub(super) cdi_devices: Vec<PathBuf>,
    /// Sources and targets.
    pub(super) default_mounts: Vec<(PathBuf, PathBuf)>,
    /// The socket of systemd, and whether that started the process as one of a service.
    pub(super) services: Option<(PathBuf, bool)>,
    pub(super) id: String,
    /// Whoever started it hears the output from its beginning.
    pub(super) attach: bool,
    pub(super) size: Option<Terminal>,
    pub(super) notify_socket: Option<OsString>,
    pub(super) descriptors: Vec<u32>,
    pub(super) listens: bool,
    /// The container waits before its command until somebody starts it.
    pub(super) prepares: bool,
    /// It is no monitor, but keeps the bridges of a user.
    pub(super) keeps_bridges: bool,
    /// It is no monitor, but watches a command in a container that runs.
    pub(super) exec: Option<ExecOptions>,
}

/// What the monitor of a container that waits is told by whoever starts it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Beginning {
    /// Whoever started it hears the output from its beginning.
    pub(super) attach: bool,
    pub(super) size: Option<Terminal>,
}

/// Which store.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoreOrder {
    graph_root: PathBuf,
    run_root: PathBuf,
    image_store: Option<PathBuf>,
    driver: String,
    additional: Vec<PathBuf>,
    mount_options: String,
    transient: bool,
    rootless: bool,
}

impl StoreOrder {
    fn of(options: &StoreOptions, driver: DriverKind) -> Self {
        Self {
            graph_root: options.graph_root.clone(),
            run_root: options.run_root.clone(),
            image_store: options.image_store.clone(),
            driver: driver.to_string(),
            additional: options.additional_image_stores.clone(),
            mount_options: options.mount_options.clone(),
            transient: options.transient,
            rootless: options.rootless,
        }
    }

    pub(super) fn options(self) -> StoreOptions {
        let mut options = StoreOptions::new(self.graph_root, self.run_root);
        options.image_store = self.image_store;
        options.driver = self.driver.parse().ok();
        options.additional_image_stores = self.additional;
        options.mount_options = self.mount_options;
        options.transient = self.transient;
        options.rootless = self.rootless;
        options
    }
}

/// Why a container did not start, in a form that travels.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) kind: String,
    pub(super) text: String,
    pub(super) hint: Option<String>,
}

impl Failure {
    pub(super) fn of(error: &Error) -> Self {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        let kind = match error.kind() {
            ErrorKind::CommandNotFound => "not-found",
            ErrorKind::CommandNotExecutable => "not-executable",
            ErrorKind::ContainerNotKnown => "no-container",
            _ => "other",
        };
        Self { kind: kind.to_owned(), text, hint: error.hint().map(ToOwned::to_owned) }
    }

    fn error(self) -> Error {
        let kind = match self.kind.as_str() {
            "not-found" => ErrorKind::CommandNotFound,
            "not-executable" => ErrorKind::CommandNotExecutable,
            "no-container" => ErrorKind::ContainerNotKnown,
            _ => ErrorKind::NotStarted,
        };
        let error = Error::new(kind, self.text, "");
        match self.hint {
            Some(hint) => error.with_own_hint(hint),
            None => error,
        }
    }
}

impl Containers {
    /// Starts a container. With `attach`, its output is heard from the beginning.
    ///
    /// One that runs already is no error, but then nothing is attached.
    ///
    /// # Errors
    /// [`ErrorKind::CommandNotFound`] and [`ErrorKind::CommandNotExecutable`]; [`ErrorKind::NotStarted`] with
    /// what its monitor says; [`ErrorKind::StateImproper`] for one that is paused or being removed;
    /// [`ErrorKind::Unresponsive`] where the monitor of its last life does nothing;
    /// [`ErrorKind::ContainerNotKnown`] where it was removed.
    pub fn start(
        &self,
        container: &Container,
        attach: bool,
        size: Option<Terminal>,
    ) -> Result<Option<Attached>> {
        self.start_with(container, &StartOptions { attach, size, ..StartOptions::default() })
    }

    /// As [`start`](Self::start), with everything that can be said about it.
    ///
    /// # Errors
    /// As [`start`](Self::start); [`ErrorKind::Invalid`] for descriptors that are not there, or that only the native
    /// executor passes on.
    pub fn start_with(
        &self,
        container: &Container,
        options: &StartOptions,
    ) -> Result<Option<Attached>> {
        // Another program removed it from the store: nothing but our record is left.
        if !self.store().has_container_directory(&cask_storage::Id::parse(container.id())?) {
            return Err(Error::no_container(container.name()));
        }
        check_descriptors(&options.descriptors)?;
        container.check_handed_over()?;
        let mut options = options.clone();
        options.hands_over = container.passes_through();
        self.start_required(container, &options)?;
        self.prepare_pod(container)?;
        let place = &container.place;
        let (held, config, mut state) = loop {
            let held = place.lock()?;
            let (config, mut state) = place.load()?;
            check_startable(&config.id, state.status)?;
            if state.status == Status::Running {
                return Ok(None);
            }
            if options.prepares {
                check_preparable(&config.id, state.status)?;
            }
            let Some(monitor) = place.monitor() else { break (held, config, state) };
            if state.status == Status::Initialized {
                let terminal = config.process.terminal;
                if let Some(socket) = begin_prepared(place, &options, &held)? {
                    return Ok(options.attach.then(|| Attached::new(socket, terminal)));
                }
                // It ended before it was told: its monitor tidies up.
            } else {
                // The monitor of its last life tidies up, for which it needs the lock, or is about to have it begin
                // again, which is done here.
                state.stopped = true;
                place.save(&config, &state)?;
            }
            drop(held);
            place.wait_for(monitor)?;
        };
        // One that was killed did not tidy up.
        let written = place.load_as_written()?.1;
        if written.status.has_process() || written.beginning {
            let left = Container { config: config.clone(), state: written, place: place.clone() };
            self.tear_down(&left)?;
            state.beginning = false;
            place.save(&config, &state)?;
        }
        container.sweep_runtime()?;
        place.make()?;
        if state.stopped || state.stopping {
            (state.stopped, state.stopping) = (false, false);
            place.save(&config, &state)?;
        }
        let started = self.start_watched(&config.id, &options, None, Some(&held));
        drop(held);
        let socket = started?;
        Ok(options.attach.then(|| Attached::new(socket, config.process.terminal)))
    }

    /// Makes everything that a container needs, up to its first process, which waits until it is
    /// [started](Self::start).
    ///
    /// # Errors
    /// As [`start`](Self::start); [`ErrorKind::StateImproper`] for one that runs or is prepared already, and where one
    /// that it [requires](super::LifecycleConfig::requires) does not run.
    pub fn prepare(&self, container: &Container, options: &StartOptions) -> Result<()> {
        let options = StartOptions { attach: false, prepares: true, ..options.clone() };
        check_preparable(container.id(), self.reload(container)?.state.status)?;
        self.start_with(container, &options).map(drop)
    }

    /// Starts those that a container requires; where that is only prepared, they must run. The words are podman's.
    fn start_required(&self, container: &Container, options: &StartOptions) -> Result<()> {
        let mut missing = Vec::new();
        for id in &container.config.lifecycle.requires {
            let other = self.find(id)?;
            if other.state.status.is_up() {
                continue;
            }
            if options.prepares {
                missing.push(other.id().to_owned());
            } else {
                self.start(&other, false, None)?;
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let words = format!(
            "some dependencies of container {} are not started: {}",
            container.id(),
            missing.join(",")
        );
        Err(Error::new(ErrorKind::StateImproper, words, "container state improper"))
    }

    /// Starts this program again to watch something, and waits until that has begun.
    ///
    /// The lock of the container is handed over: whoever starts it may be killed, and what begins is still nobody
    /// else's.
    pub(super) fn start_watched(
        &self,
        id: &str,
        options: &StartOptions,
        exec: Option<&ExecOptions>,
        held: Option<&Held>,
    ) -> Result<OwnedFd> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::NotStarted, "starting the monitor", "").with_source(error)
        };
        let program = NativeExecutor::default().program()?;
        let (near, far) = wire::pair().map_err(failed)?;
        let lock = held.map(Held::share).transpose().map_err(failed)?;
        let lock = lock.map_or_else(Stdio::null, Stdio::from);
        let store = StoreOrder::of(self.store().options(), self.store().driver());
        let networks = self.networks().places().clone();
        let StartOptions {
            attach,
            size,
            notify_socket,
            descriptors,
            listens,
            hands_over,
            prepares,
            keeps_bridges,
        } = options.clone();
        let given = self.default_mounts.iter().cloned();
        let default_mounts = given.map(|file| (file.source, file.target)).collect();
        let (id, exec, journal) = (id.to_owned(), exec.cloned(), self.journal.clone());
        let events = self.images().event_log().clone();
        let services = self.services.as_ref();
        let services = services.map(|one| (one.socket().to_owned(), one.has_service()));
        let order = Order {
            store,
            networks,
            journal,
            events,
            volumes: self.volume_directory.clone(),
            hooks: self.hook_directories.clone(),
            cdi_devices: self.cdi_directories.clone(),
            default_mounts,
            services,
            id,
            attach,
            size,
            notify_socket,
            descriptors,
            listens,
            prepares,
            keeps_bridges,
            exec,
        };
        let text = serde_json::to_vec(&order).expect("texts and numbers can be written");
        let mut child = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
            .arg0("cask-monitor")
            .arg(MONITOR_ARGUMENT)
            .current_dir("/")
            .stdin(Stdio::from(far))
            .stdout(lock)
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let ends = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
        let handed_over = if hands_over { &ends[..] } else { &[] };
        wire::send_with(&near, wire::ORDER, &text, handed_over, true).map_err(failed)?;
        match wait_until_started(&near, &order.id, child.id()) {
            Ok(()) => {
                // Programs that go on for long leave no trace of it either.
                drop(std::thread::spawn(move || child.wait()));
                Ok(near)
            }
            Err(error) if error.kind() == ErrorKind::Unresponsive => {
                drop(std::thread::spawn(move || child.wait()));
                Err(error)
            }
            Err(error) => {
                // It ends by itself, and only then its locks are free.
                drop(near);
                let _ = child.wait();
                Err(error)
            }
        }
    }
}

/// Has a container begin that waits for that. `None` where it ended meanwhile.
fn begin_prepared(place: &Place, options: &StartOptions, held: &Held) -> Result<Option<OwnedFd>> {
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::NotStarted, "telling the monitor", "").with_source(error)
    };
    let Ok(socket) = wire::connect(&place.socket()) else { return Ok(None) };
    let (_, state) = place.load()?;
    let beginning = Beginning { attach: options.attach, size: options.size };
    let text = serde_json::to_vec(&beginning).expect("numbers can be written");
    let lock = held.share().map_err(failed)?;
    if wire::send_with(&socket, wire::BEGIN, &text, &[lock.as_fd()], true).is_err() {
        return Ok(None);
    }
    drop(lock);
    let id = place.kept.file_name().unwrap_or_default().to_string_lossy();
    match first_word(&socket, &id, state.monitor_pid)? {
        Some(packet) => heard(&packet).map(|()| Some(socket)),
        None => Ok(None),
    }
}

/// Refuses numbers that nothing was given by. The words are podman's.
fn check_descriptors(numbers: &[u32]) -> Result<()> {
    match numbers.iter().find(|number| !cask_runtime::has_inherited_descriptor(**number)) {
        None => Ok(()),
        Some(number) => Err(not_given(*number)),
    }
}

fn not_given(number: u32) -> Error {
    let why = "the preserve-fds option requires that file descriptors must be passed";
    Error::new(ErrorKind::Invalid, format!("file descriptor {number} is not available - {why}"), "")
}

/// Takes over the descriptors of these numbers.
pub(super) fn take_descriptors(numbers: &[u32]) -> Result<Vec<PassedDescriptor>> {
    check_descriptors(numbers)?;
    let take = |number: &u32| {
        let descriptor = cask_runtime::take_inherited_descriptor(*number);
        let descriptor = Arc::new(descriptor.ok_or_else(|| not_given(*number))?);
        Ok(PassedDescriptor { number: *number, descriptor })
    };
    numbers.iter().map(take).collect()
}

fn check_startable(id: &str, status: Status) -> Result<()> {
    if !matches!(status, Status::Paused | Status::Removing) {
        return Ok(());
    }
    let words = format!("unable to start container {id}: it is {}", status.as_str());
    Err(Error::new(ErrorKind::StateImproper, words, "container state improper"))
}

/// Refuses to prepare what runs or is prepared. The words are podman's.
fn check_preparable(id: &str, status: Status) -> Result<()> {
    if matches!(status, Status::Created | Status::Exited) {
        return Ok(());
    }
    let words = format!("container {id} has already been created in runtime");
    Err(Error::new(ErrorKind::StateImproper, words, "container state improper"))
}

fn lost(why: &str) -> Error {
    Error::new(ErrorKind::NotStarted, "the monitor of the container", why)
}

/// Waits until a new monitor says that the container began.
fn wait_until_started(socket: &OwnedFd, id: &str, monitor: u32) -> Result<()> {
    let packet = first_word(socket, id, monitor)?.ok_or_else(|| {
        lost("it ended without a word").with_own_hint(format!(
            "the program must call cask_engine::run_monitor() where its first argument is {MONITOR_ARGUMENT}"
        ))
    })?;
    heard(&packet)
}

/// Waits for the first word of a monitor, unless somebody stopped that. `None` where it ended without one.
fn first_word(socket: &OwnedFd, id: &str, monitor: u32) -> Result<Option<wire::Packet>> {
    let look = Timespec::try_from(LOOK).expect("it is short");
    let mut stood = None;
    while let Ok(0) = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&look)) {
        let stands = stopped_one(monitor);
        // Twice: a debugger may only have looked at it.
        if stands.is_some() && stands == stood {
            return Err(stands_at_its_beginning(id, stands.unwrap_or(monitor)));
        }
        stood = stands;
    }
    wire::receive(socket).map_err(|error| lost("it cannot be heard").with_source(error))
}

/// What a monitor said.
fn heard(packet: &wire::Packet) -> Result<()> {
    match packet.kind {
        wire::STARTED => Ok(()),
        wire::FAILED => match serde_json::from_slice::<Failure>(&packet.body) {
            Ok(failure) => Err(failure.error()),
            Err(_) => Err(lost("what it said is not understood")),
        },
        _ => Err(lost("what it said is not understood")),
    }
}
