//! The lives of a container: it begins, ends, and perhaps begins again.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cask_runtime::{
    Cgroup, Created, HookFiles, Input, NativeExecutor, Output, PassedDescriptor, ProcessHandle,
    RunSpec, Running, TerminalSize,
};
use cask_storage::{Id, Leftovers, MountOptions};

use super::super::health::{self, Watch};
use super::super::network::Live;
use super::super::record::{Held, boot, io, now};
use super::super::spec::{Borrowed, Ingredients};
use super::super::start::Terminal;
use super::super::{
    Container, ContainerConfig, ContainerState, Containers, Status, resources, wire,
};
use super::log::Log;
use super::notify::Notify;
use super::relay::{Client, End, Loop, Streams};
use crate::{Error, ErrorKind, Result};

/// How long a monitor waits before a container begins again: twice as long each time, up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));
/// A container that ran so long did not fail at once.
const LONG: Duration = Duration::from_secs(10);
/// How often a container that is about to begin again is looked at.
const GLANCE: Duration = Duration::from_millis(50);
/// The exit code of what was killed.
const KILLED: i32 = 137;
/// The exit code of what ran as long as it may. Source: conmon, `src/ctr_exit.c`.
const TIMED_OUT: i32 = -1;
/// The size of a terminal that nobody looks at yet.
const SIZE: TerminalSize = TerminalSize { rows: 24, columns: 80 };

/// What a container has while it runs.
struct Body {
    running: Running,
    streams: Streams,
    log: Log,
    began: Instant,
}

/// What a container has before its command begins.
pub(super) struct Made {
    pub(super) created: Created,
    pub(super) streams: Streams,
    log: Log,
    notes: Vec<String>,
}

pub(super) struct Life<'a> {
    containers: &'a Containers,
    pub(super) container: &'a Container,
    size: Option<Terminal>,
    executor: NativeExecutor,
    pub(super) clients: Vec<Client>,
    /// Where the manager of services listens.
    pub(super) notify_socket: Option<OsString>,
    notify: Option<Notify>,
    /// The container is told that what it is given are sockets to listen at.
    pub(super) listens: bool,
    /// What the container is given besides input and output.
    passed: Vec<PassedDescriptor>,
    /// Input, output and errors of whoever started it, where they are the container's too, in each of its lives.
    pub(super) handed_over: Option<[Arc<OwnedFd>; 3]>,
    pub(super) listener: Option<OwnedFd>,
    pub(super) made: Option<Made>,
    body: Option<Body>,
    cgroup: Option<Arc<Cgroup>>,
    mounted: bool,
    borrowed: Borrowed,
    network: Option<Live>,
    restarts: u32,
    /// A check found it unhealthy, and it shall begin again.
    again: bool,
    /// An external runtime, which removes the group that says so, ended what the kernel killed for lack of memory.
    short_of_memory: bool,
}

impl<'a> Life<'a> {
    pub(super) fn new(
        containers: &'a Containers,
        container: &'a Container,
        size: Option<Terminal>,
        passed: Vec<PassedDescriptor>,
    ) -> Self {
        Self {
            containers,
            container,
            size,
            executor: NativeExecutor::default(),
            clients: Vec::new(),
            notify_socket: None,
            notify: None,
            listens: false,
            passed,
            handed_over: None,
            listener: None,
            made: None,
            body: None,
            cgroup: None,
            mounted: false,
            borrowed: Borrowed::default(),
            network: None,
            restarts: 0,
            again: false,
            short_of_memory: false,
        }
    }

    /// Whether something else than its mounts says which devices the container can use: that it may use all, that it
    /// can do no more than the user who has it, or its control group.
    fn guards_devices(&self) -> bool {
        self.container.config.security.privileged
            || self.containers.store().options().rootless
            || self.cgroup.is_some() && Cgroup::limits_devices()
    }

    /// Makes everything that the container needs, and has it begin. Its lock is held.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.make()?;
        self.start()
    }

    /// Makes everything that the container needs. Its lock is held.
    pub(super) fn make(&mut self) -> Result<()> {
        let place = &self.container.place;
        let (config, mut state) = place.load_as_written()?;
        state.beginning = true;
        place.save(&config, &state)?;
        // Of an earlier life.
        let _ = std::fs::remove_file(place.exit_path());
        if self.listener.is_none() {
            let path = place.socket();
            self.listener =
                Some(wire::listen(&path).map_err(|error| io(error, "listening at", &path))?);
        }
        place.clear_overlays()?;
        let mut notes = Vec::new();
        let root = self.mount()?;
        let interface = self.containers.interface_devices(&self.container.config)?;
        notes.extend(interface.warnings().iter().cloned());
        let (own, containers) = (&self.container.config, self.containers);
        let group = resources::make(own, containers, &interface, &mut notes)?;
        let (group, _keeper) = group.map_or((None, None), |(group, keeper)| (Some(group), keeper));
        self.cgroup = group.map(Arc::new);
        let resources = &self.container.config.resources;
        if resources.cgroups == "split" || resources.has_systemd() {
            // Whoever takes it back, should this be killed, cannot tell its name.
            state.cgroup = self.group_name();
            place.save(&config, &state)?;
        }
        let process = &self.container.config.process;
        let size =
            self.size.map_or(SIZE, |size| TerminalSize { rows: size.rows, columns: size.columns });
        let ingredients = Ingredients {
            containers: self.containers,
            config: &self.container.config,
            place,
            root: &root,
            terminal: process.terminal.then_some(size),
            guards_devices: self.guards_devices(),
            interface: &interface,
        };
        let mut spec = ingredients.spec(&mut self.borrowed)?;
        spec.cgroup.clone_from(&self.cgroup);
        spec.io.passed.clone_from(&self.passed);
        self.hooks(&mut spec)?;
        if self.listens {
            // Source: sd_listen_fds(3).
            let count = self.passed.len().to_string();
            let told = [("LISTEN_FDS", count), ("LISTEN_PID", "1".to_owned())];
            let told = told.map(|(name, value)| (OsString::from(name), OsString::from(value)));
            spec.process.environment.extend(told);
        }
        self.give_notify(&mut spec)?;
        self.network = Live::prepare(self.containers, self.container)?;
        let log =
            Log::open(&self.container.config, self.container.log_path(), &self.containers.journal)?;
        let users = &self.container.config.namespaces.user;
        let mut streams = match &self.handed_over {
            Some(ends) => hand_over(&mut spec, ends),
            None => streams(&mut spec, process.interactive, users)?,
        };
        let mut created = match self.container.external_runtime()? {
            None => self.executor.create(&spec)?,
            Some(runtime) => runtime.create(&spec)?,
        };
        drop(spec);
        streams.terminal = created.take_terminal();
        notes.extend(created.notes().iter().map(ToString::to_string));
        if let Some(network) = &mut self.network {
            network.connect(self.containers, self.container, created.pid())?;
        }
        self.made = Some(Made { created, streams, log, notes });
        Ok(())
    }

    /// Has it begin, for which everything was made. Its lock is held.
    pub(super) fn start(&mut self) -> Result<()> {
        let Some(Made { created, streams, log, notes }) = self.made.take() else {
            return Err(Error::new(ErrorKind::NotStarted, self.container.id(), "it was not made"));
        };
        health::reset(&self.container.place, &self.config_now().health)?;
        let (pid, began) = (created.pid(), Instant::now());
        let running = created.start()?;
        self.body = Some(Body { running, streams, log, began });
        self.say_running(pid, notes)
    }

    /// Has it have the hooks that are for it.
    fn hooks(&self, spec: &mut RunSpec) -> Result<()> {
        let files = HookFiles::read(&self.containers.hook_directories)?;
        let config = &self.container.config;
        let has_mounts = !config.files.mounts.is_empty();
        let named = files.select(&spec.process.arguments, &config.annotations, has_mounts);
        let hooks = &mut spec.hooks;
        // Those of its devices are there already.
        hooks.list.extend(named);
        if !hooks.list.is_empty() {
            hooks.id = config.id.to_string();
            hooks.annotations.clone_from(&config.annotations);
            hooks.directory = self.container.place.run.join("hooks");
        }
        Ok(())
    }

    /// Gives it a socket to tell that it is ready, where it is to do so itself and somebody wants to know.
    fn give_notify(&mut self, spec: &mut RunSpec) -> Result<()> {
        let Some(manager) = &self.notify_socket else { return Ok(()) };
        if !matches!(self.container.config.lifecycle.notify.as_str(), "" | "container") {
            return Ok(());
        }
        let notify = match self.notify.take() {
            Some(notify) => notify,
            None => Notify::listen(&self.container.place, manager)?,
        };
        self.notify.insert(notify).give(spec)
    }

    /// The root that it writes to.
    fn mount(&mut self) -> Result<PathBuf> {
        let config = &self.container.config;
        if let Some(root) = &config.rootfs {
            let rootless = self.containers.store().options().rootless;
            return match config.rootfs_overlay {
                true => self.container.place.mount_root(root, rootless),
                false => Ok(root.clone()),
            };
        }
        let mut options = MountOptions::default();
        options.writable = true;
        options.volatile = config.lifecycle.auto_remove;
        options.owners = config.namespaces.user.owners()?;
        let root = self.containers.store().mount_layer(&Id::parse(&config.layer)?, &options)?;
        self.mounted = true;
        config.namespaces.user.keep_root(&root)?;
        Ok(root)
    }

    fn say_running(&self, pid: u32, notes: Vec<String>) -> Result<()> {
        let place = &self.container.place;
        let (config, _) = place.load_as_written()?;
        let life = &config.lifecycle;
        let (own, monitor) = (pid, std::process::id());
        for (path, pid) in [(&life.pid_file, own), (&life.monitor_pid_file, monitor)] {
            let Some(path) = path else { continue };
            std::fs::write(path, pid.to_string())
                .map_err(|error| io(error, "writing the pidfile", path))?;
        }
        let state = ContainerState {
            status: Status::Running,
            pid,
            pid_started: ProcessHandle::started(pid).unwrap_or_default(),
            monitor_pid: std::process::id(),
            boot: boot(),
            started_at: now(),
            restarts: self.restarts,
            cgroup: self.group_name(),
            notes,
            ..ContainerState::default()
        };
        place.save(&config, &state)
    }

    /// Tells what became of it. Somebody may have renamed it since it was looked at.
    pub(super) fn tell(&self, statuses: &[&str]) {
        self.containers.tell_each(statuses, &self.config_now());
    }

    /// The name of its control group, if it has one.
    pub(super) fn group_name(&self) -> Option<String> {
        self.cgroup.as_ref().map(|group| group.name().to_owned())
    }

    fn config_now(&self) -> ContainerConfig {
        let now = self.container.place.load_as_written().map(|(config, _)| config);
        now.unwrap_or_else(|_| self.container.config.clone())
    }

    /// Takes everything back that was made for a container that did not begin. Its lock is held.
    pub(super) fn discard(&mut self, error: &Error) {
        (self.made, self.body) = (None, None);
        self.tidy_up();
        self.containers.tell("cleanup", &self.config_now());
        let place = &self.container.place;
        if let Ok((config, mut state)) = place.load_as_written() {
            state.error = super::Failure::of(error).text;
            state.beginning = false;
            if state.status == Status::Initialized {
                (state.status, state.pid) = (state.before_its_life(), 0);
            }
            state.exit_code = match error.kind() {
                ErrorKind::CommandNotFound => 127,
                ErrorKind::CommandNotExecutable => 126,
                _ => 125,
            };
            let _ = place.save(&config, &state);
        }
        if self.container.config.lifecycle.auto_remove {
            drop(self.remove());
        }
    }

    /// Watches this life, and those that follow, and says how the last of them ended. `alive` is the lock that says so.
    pub(super) fn go_on(mut self, alive: Held) -> Result<i32> {
        let mut pause = PAUSES.0;
        let code = loop {
            let never_began = self.body.is_none();
            let (code, lasted) = self.live();
            // What never began does not begin again by itself.
            let stopped = self.say_ended(code) || never_began;
            self.tidy_up();
            let again = self.again && !stopped;
            if !again && !self.config_now().begins_again(code, self.restarts, stopped) {
                break code;
            }
            // Those who are attached have seen the life that they came for.
            for client in self.clients.drain(..) {
                drop(std::thread::spawn(move || client.tell_end(code)));
            }
            pause = if lasted > LONG { PAUSES.0 } else { pause };
            if self.is_stopped_within(pause) {
                break code;
            }
            pause = (pause * 2).min(PAUSES.1);
            self.restarts += 1;
            match self.begin_again() {
                Ok(true) => self.tell(&["init", "start"]),
                Ok(false) | Err(_) => break code,
            }
        };
        // What goes with its end says so instead.
        if !self.container.config.lifecycle.auto_remove {
            self.containers.tell("cleanup", &self.config_now());
        }
        let _ = std::fs::remove_file(self.container.place.socket());
        let mut leftovers = None;
        if self.container.config.lifecycle.auto_remove {
            self.leave_code(code);
            let held = self.container.place.lock();
            // Somebody else may have removed it first.
            if held.is_ok() {
                leftovers = self.remove();
            }
        }
        // Who is attached and reads slowly keeps nobody else waiting from here on.
        drop((alive, self.listener.take()));
        for client in self.clients {
            client.tell_end(code);
        }
        self.containers.end_pod_with(self.container);
        // However much it wrote, nobody waits until that is deleted.
        drop(leftovers);
        Ok(code)
    }

    /// Waits for so long, unless somebody stops it, or removes it, meanwhile.
    fn is_stopped_within(&self, pause: Duration) -> bool {
        let end = Instant::now() + pause;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            std::thread::sleep(left.min(GLANCE));
            if self.container.place.load_as_written().is_ok_and(|(_, state)| state.stopped) {
                return true;
            }
        }
    }

    /// Begins again, unless somebody stopped it meanwhile, which is `false`.
    fn begin_again(&mut self) -> Result<bool> {
        let _held = self.container.place.lock()?;
        let (config, state) = self.container.place.load_as_written()?;
        if state.stopped {
            return Ok(false);
        }
        self.containers.tell("restart", &config);
        match self.begin() {
            Ok(()) => Ok(true),
            Err(error) => {
                self.discard(&error);
                Err(error)
            }
        }
    }

    /// Relays until it has ended; its exit code, and how long it ran.
    fn live(&mut self) -> (i32, Duration) {
        let (Some(Body { running, streams, mut log, began }), Some(listener)) =
            (self.body.take(), &self.listener)
        else {
            return (KILLED, Duration::ZERO);
        };
        let config = &self.container.config;
        let deadline = match config.lifecycle.timeout {
            0 => None,
            seconds => Some(began + Duration::from_secs(seconds)),
        };
        let mut health = Watch::start(self.containers, self.container);
        let (clients, log) = (&mut self.clients, &mut log);
        let relay = Loop::new(running, streams, listener, clients, log, &mut health, deadline);
        let ended = relay.run();
        log.finish();
        let code = match ended {
            Ok(End { report, timed_out }) => {
                self.short_of_memory = report.out_of_memory_kills > 0;
                if timed_out { TIMED_OUT } else { i32::from(report.status.shell_status()) }
            }
            // Its helper was killed, and with it the container.
            Err(_) => KILLED,
        };
        self.again = health.end();
        (code, began.elapsed())
    }

    /// Writes down that it has ended; says whether somebody stopped it, or whether that cannot be known.
    fn say_ended(&self, code: i32) -> bool {
        // Without the lock too: what a command that stands left undone is worth less than the truth.
        let _held = self.container.place.lock();
        self.write_ended(code).unwrap_or_else(|_| {
            // Where the disk takes no more, perhaps another one does.
            self.leave_code(code);
            true
        })
    }

    fn write_ended(&self, code: i32) -> Result<bool> {
        let place = &self.container.place;
        let (config, mut state) = place.load_as_written()?;
        state.status = Status::Exited;
        state.pid = 0;
        state.pid_started = 0;
        state.beginning = false;
        state.exit_code = code;
        state.finished_at = now();
        let group = self.cgroup.as_ref();
        state.oom_killed =
            self.short_of_memory || group.is_some_and(|group| group.out_of_memory_kills() > 0);
        let stopped = state.stopped;
        place.save(&config, &state)?;
        self.containers.tell_end(code, state.oom_killed, &config);
        Ok(stopped)
    }

    /// Takes back the group and the mounts. What cannot be is what `rm` tries again.
    fn tidy_up(&mut self) {
        if let Some(mut network) = self.network.take() {
            network.take_back(self.containers, self.container);
        }
        self.containers.leave_hosts(&self.container.config);
        if let Some(group) = self.cgroup.take() {
            let _ = group.kill();
            let _ = group.remove();
        }
        let store = self.containers.store();
        for image in self.borrowed.images.drain(..) {
            let _ = store.unmount_image(&image, false);
        }
        self.borrowed.overlays = 0;
        self.containers.let_volumes_go(self.container);
        // Where that cannot be, the next life does, or rm.
        let _ = self.container.place.clear_overlays();
        let _ = self.container.place.unmount_root();
        // What is removed is unmounted with that.
        if std::mem::take(&mut self.mounted)
            && !self.container.config.lifecycle.auto_remove
            && let Ok(layer) = Id::parse(&self.container.config.layer)
        {
            let _ = store.unmount_layer(&layer, false);
        }
    }

    /// Leaves the exit code behind for those who wait for it.
    fn leave_code(&self, code: i32) {
        let path = self.container.place.exit_path();
        // Who waits later is told that there is no such container.
        let _ = path.parent().map(std::fs::create_dir_all);
        let _ = std::fs::write(path, code.to_string());
    }

    /// Removes the container, whose lock is held.
    fn remove(&self) -> Option<Leftovers> {
        let _ = self.containers.remove_anonymous(&self.container.config);
        self.containers.unlist(self.container).ok()?
    }
}

/// Gives it the input and output of whoever started it: there is nothing to relay.
fn hand_over(spec: &mut RunSpec, [input, output, error]: &[Arc<OwnedFd>; 3]) -> Streams {
    spec.io.input = Input::Descriptor(input.clone());
    spec.io.output = Output::Descriptor(output.clone());
    spec.io.error = Output::Descriptor(error.clone());
    Streams { terminal: None, input: None, output: None, error: None }
}

/// Makes pipes for what has no terminal.
fn streams(
    spec: &mut RunSpec,
    interactive: bool,
    users: &super::super::UsersConfig,
) -> Result<Streams> {
    let mut streams = Streams { terminal: None, input: None, output: None, error: None };
    if spec.io.terminal.is_some() {
        return Ok(streams);
    }
    let owner = &spec.process.identity;
    let (uid, gid) = users.outside(owner.uid, owner.gid)?;
    let pipe = || -> Result<(OwnedFd, OwnedFd)> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Io, "making a pipe", "").with_source(error)
        };
        let (reader, writer) = std::io::pipe().map_err(failed)?;
        let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
        // A user other than root opens /dev/stdout anew.
        let _ = std::os::unix::fs::fchown(&writer, Some(uid), Some(gid));
        Ok((reader, writer))
    };
    let (output, writer) = pipe()?;
    spec.io.output = Output::Descriptor(Arc::new(writer));
    streams.output = Some(output);
    let (error, writer) = pipe()?;
    spec.io.error = Output::Descriptor(Arc::new(writer));
    streams.error = Some(error);
    if interactive {
        let (reader, input) = pipe()?;
        spec.io.input = Input::Descriptor(Arc::new(reader));
        streams.input = Some(input);
    }
    Ok(streams)
}
