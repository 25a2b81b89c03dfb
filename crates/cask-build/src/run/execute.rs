//! Running a command upon the layers of a stage.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use cask_containerfile::Behavior;
use cask_layer::{DiffOptions, FileTimes};
use cask_rootfs::Root;
use cask_runtime::{
    CdiEdits, Cgroup, CgroupLimits, ControlGroupFiles, Device, Executor, ExitReport, ExitStatus,
    Identity, Input, Mount, MountSource, Namespace, Namespaces, Output, Privileges, RunSpec,
};
use cask_storage::{Id, WorkingLayer};
use rustix::fs::{Mode, OFlags};

use super::command::Command;
use super::mounts::{Opened, Plans, empty_file, open_path, place_of};
use super::names;
use super::output::pipe;
use super::stubs::{self, Place};
use crate::build::{
    BuildEvent, BuildNetwork, Hold, Made, OutputStream, Resources, RunPrivileges, StageRun,
};
use crate::error::chain;
use crate::restage::stage_upper;
use crate::view::View;
use crate::working::WorkingUsers;
use crate::{Error, ErrorKind, Result};

/// Devices that commands need, and their numbers, where nothing can be mounted.
const DEVICES: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// What runs, and with what.
pub(super) struct Execution<'a> {
    pub(super) command: &'a Command,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) network: BuildNetwork,
    pub(super) privileges: Privileges,
    /// Whether parts of `/proc` and `/sys` are hidden.
    pub(super) masks_kernel: bool,
    pub(super) plans: &'a Plans,
}

/// Runs a command, and makes a layer of what it changed.
pub(super) fn execute(stage: &mut StageRun<'_>, execution: &Execution<'_>) -> Result<Made> {
    let engine = stage.engine;
    let Some(executor) = engine.tools.executor.clone() else {
        return Err(Error::new(ErrorKind::Runtime, "RUN", "there is nothing to run commands with"));
    };
    stage.connect(execution.network)?;
    let store = &engine.tools.store;
    let storage = |error| Error::storage(error, "the layer that the command writes to");
    let mut layer = store.begin_working_layer(stage.state.top()).map_err(storage)?;
    let (users, _held) = users_of(stage)?;
    let users = &users;
    if users.are_mapped() {
        let owners = cask_runtime::new_user_namespace(&users.maps())
            .map_err(|error| Error::runtime(error, "--userns"))?;
        let (uids, gids) = users.stored();
        layer.map_owners(Arc::new(owners), &uids, &gids).map_err(storage)?;
    }
    let opened = Opened::new(engine, &execution.plans.mounts, &engine.request.run.volumes)?;
    let described = CdiEdits::default();
    let mut running = Running { stage, execution, users, opened, executor: &*executor, described };
    running.add_files()?;
    let view = View::of_store(&running.stage.engine.tools.store, running.stage.state.top())?;
    running.make_places(&view, &mut layer)?;
    running.make_pending(&view, &mut layer)?;
    let mut spec = running.spec(&mut layer)?;
    let group = engine.request.run.resources.as_ref().map(Group::new).transpose()?;
    spec.cgroup = group.as_ref().map(|group| Arc::clone(&group.0));
    let report = running.run(spec)?;
    drop(group);
    let Running { opened, .. } = running;
    // Mounts that this command alone had end before its changes are read.
    drop(opened);
    if engine.request.run.keeps_volumes {
        let volumes = stage.state.config.config.volumes.iter();
        super::kept_volumes::take_back(store, &mut layer, volumes)?;
    }
    let mut options = DiffOptions::default();
    let dates = &engine.request.image.dates;
    options.times = match dates.timestamp {
        Some(time) => FileTimes::Set(time),
        None => FileTimes::Clamp(stage.state.date),
    };
    let staged = match users.are_mapped() {
        false => layer.stage(&options).map_err(storage)?,
        true => {
            options.id_maps = users.of_layers();
            layer.unmount().map_err(storage)?;
            let files = layer.upper().map_err(storage)?;
            let subject = "the files that the command wrote";
            stage_upper(store, layer.parent(), &files, &options, subject)?
        }
    };
    let cpu = report.usage.user + report.usage.system;
    Ok(Made { staged: Some(staged), date: stage.state.date, cpu })
}

/// The users of a command. Those that were chosen are its own until what comes with them is dropped.
fn users_of(stage: &StageRun<'_>) -> Result<(WorkingUsers, Option<Hold>)> {
    let engine = stage.engine;
    let mut users = engine.request.run.users.clone();
    let Some(chosen) = users.choose(&engine.tools.store, stage.state.top())? else {
        return Ok((users, None));
    };
    let held =
        Hold::of_users(&engine.tools.store, engine.scratch()?, &chosen).ok_or_else(|| {
            let why = "the users that were chosen cannot be kept from others";
            Error::new(ErrorKind::Storage, "--userns=auto", why)
        })?;
    Ok((users, Some(held)))
}

/// The control group of a command, which is gone when this is dropped.
struct Group(Arc<Cgroup>);

impl Group {
    fn new(resources: &Resources) -> Result<Self> {
        // Without a group around them, so that nothing stays when they are gone.
        let name = match resources.parent.as_deref().map(|parent| parent.trim_matches('/')) {
            None | Some("") => format!("cask-build-{}", Id::random()),
            Some(parent) => format!("{parent}/{}", Id::random()),
        };
        let made = |limits: &CgroupLimits| Cgroup::create(&name, limits);
        let group = match made(&resources.limits) {
            // Few kernels count swap; the limit of memory holds without it.
            Err(_) if resources.limits.memory_and_swap_bytes.is_some() => {
                let mut without = resources.limits.clone();
                without.memory_and_swap_bytes = None;
                made(&without)
            }
            made => made,
        };
        let group = group.map_err(|error| Error::runtime(error, "limiting what commands use"))?;
        Ok(Self(Arc::new(group)))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Whatever is in it ended with the command; what cannot be removed limits nobody.
        let _ = self.0.remove();
    }
}

/// Whether a device is not in `/dev`, where only this machine's own node can be mounted.
fn is_elsewhere(device: &Device) -> bool {
    !device.path.starts_with("/dev")
}

/// Those of the settings of the kernel that are of something that commands have for themselves.
///
/// Source: buildah, `run_linux.go`, `setupNamespaces`.
pub(crate) fn sysctls(
    given: &[String],
    spaces: &Namespaces,
    has_network: bool,
) -> Result<Vec<(String, String)>> {
    let is_own = |space: &Namespace| matches!(space, Namespace::New);
    let mut found = Vec::new();
    for text in given {
        let Some((name, value)) = text.split_once('=') else {
            let detail = "a setting of the kernel is NAME=VALUE";
            return Err(Error::new(ErrorKind::Invalid, text, detail));
        };
        let fits = match name.replace('/', ".").as_str() {
            "kernel.hostname" | "kernel.domainname" => is_own(&spaces.names),
            name if name.starts_with("fs.mqueue.") => is_own(&spaces.communication),
            name => name.starts_with("net.") && has_network,
        };
        if fits {
            found.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(found)
}

struct Running<'a, 'e> {
    stage: &'a StageRun<'e>,
    execution: &'a Execution<'a>,
    users: &'a WorkingUsers,
    opened: Opened,
    executor: &'a dyn Executor,
    /// What it gets with devices of vendors.
    described: CdiEdits,
}

impl Running<'_, '_> {
    /// The files that every command sees: names of machines, and the script that it may be.
    fn add_files(&mut self) -> Result<()> {
        let options = &self.stage.engine.request.run;
        let own = self.stage.network.as_ref();
        let own = own.filter(|_| self.execution.network == BuildNetwork::Private);
        let mut files = Vec::new();
        if !options.names.keep_hosts_file {
            files.push((
                "/etc/hosts".to_owned(),
                names::hosts(&options.names, self.execution.network, own),
                0o644,
            ));
        }
        if !options.names.keep_host_name_file {
            let text = format!("{}\n", options.names.host_name);
            files.push(("/etc/hostname".to_owned(), text, 0o644));
        }
        let resolv_conf = names::resolv_conf(&options.names, own);
        if !resolv_conf.is_empty() {
            files.push(("/etc/resolv.conf".to_owned(), resolv_conf, 0o644));
        }
        if let Some((path, script)) = &self.execution.command.script {
            files.push((path.clone(), script.clone(), 0o755));
        }
        for device in options.devices.iter().filter(|device| is_elsewhere(device)) {
            let source = open_path(&device.source)?;
            self.opened.push(Mount::bind(source, &device.path), empty_file());
        }
        let described = options.described_devices.find()?;
        for warning in described.warnings() {
            self.stage.engine.warn(Some(&self.stage.step), warning.clone());
        }
        for mount in described.mounts().map_err(|error| Error::runtime(error, "a device"))? {
            self.push(mount);
        }
        self.described = described;
        self.add_given_files()?;
        for (path, text, mode) in files {
            if self.executor.capabilities().mounts {
                let bytes = text.into_bytes().into();
                let source = MountSource::Content { bytes, mode, uid: 0, gid: 0 };
                let empty = Place::File { bytes: Vec::new(), mode };
                self.opened.push(Mount::new(source, path), empty);
            } else {
                self.opened.places.push((path, Place::File { bytes: text.into_bytes(), mode }));
            }
        }
        Ok(())
    }

    /// Copies of files of the machine, where nothing else is mounted.
    fn add_given_files(&mut self) -> Result<()> {
        let given = &self.stage.engine.request.run.given_files;
        if given.is_empty() {
            return Ok(());
        }
        if !self.executor.capabilities().mounts {
            let words =
                "mounts.conf holds for commands that have mounts: not with --isolation=chroot";
            self.stage.engine.warn(Some(&self.stage.step), words.to_owned());
            return Ok(());
        }
        let directory = self.stage.engine.scratch()?.join(format!("given-{}", Id::random()));
        let owner = self.users.outside(0, 0)?;
        for file in given {
            if self.opened.mounts.iter().any(|known| known.target == file.target) {
                continue;
            }
            let mount = file.mount(&directory, owner);
            let mount = mount.map_err(|error| Error::runtime(error, "mounts.conf"))?;
            mount.into_iter().for_each(|mount| self.push(mount));
        }
        Ok(())
    }

    /// Adds a mount, with what has to be where it is mounted.
    fn push(&mut self, mount: Mount) {
        let place = match &mount.source {
            MountSource::Bind(source) => place_of(source),
            _ => empty_file(),
        };
        self.opened.push(mount, place);
    }

    /// Makes places for what is mounted, beneath the layer that is written to.
    fn make_places(&mut self, view: &View, layer: &mut WorkingLayer) -> Result<()> {
        let storage = |error| Error::storage(error, "the layer that the command writes to");
        let mut places = Vec::new();
        let working_directory = &self.stage.state.config.config.working_dir;
        if !working_directory.is_empty() {
            places.push((working_directory.clone(), Place::Directory));
        }
        let mounts = self.executor.capabilities().mounts;
        if mounts {
            places
                .extend(["/proc", "/sys", "/dev"].map(|path| (path.to_owned(), Place::Directory)));
        } else {
            places.extend(
                DEVICES
                    .map(|(path, major, minor)| (path.to_owned(), Place::Device { major, minor })),
            );
        }
        // What is below a file system of the kernel is made in there.
        let is_ours = |path: &str| {
            !mounts || !["/proc/", "/sys/", "/dev/"].iter().any(|above| path.starts_with(above))
        };
        places.extend(self.opened.places.iter().filter(|(path, _)| is_ours(path)).cloned());
        match layer.beneath().map_err(storage)? {
            Some(beneath) => stubs::make(view, &beneath, &places),
            None => Ok(()),
        }
    }

    /// Makes the directories that this layer has besides.
    fn make_pending(&self, view: &View, layer: &mut WorkingLayer) -> Result<()> {
        let stage = self.stage;
        let storage = |error| Error::storage(error, "the layer that the command writes to");
        let users = self.users;
        let directory = &stage.state.config.config.working_dir;
        let of_kernel = ["/proc", "/sys", "/dev"];
        let mut mounted = self.opened.places.iter().map(|(path, _)| path.as_str()).chain(of_kernel);
        let is_missing = !directory.is_empty()
            && !mounted.any(|path| Path::new(directory).starts_with(path))
            && view.resolve(directory)?.status.is_none();
        if stage.state.pending == Default::default() && !is_missing {
            return Ok(());
        }
        let root = Root::open(layer.mount().map_err(storage)?).map_err(crate::view::failed)?;
        for path in &stage.state.pending.volumes {
            stubs::make_directories(view, &root, path, users.outside(0, 0)?)?;
        }
        let user = stage.state.config.config.user.as_str();
        let (path, user) = match &stage.state.pending.working {
            Some(path) => (path, user),
            // An earlier command has removed it, or the base never had it.
            None if is_missing && stage.dialect().does(Behavior::WorkdirMakesLayer) => {
                (directory, "")
            }
            None if is_missing => (directory, user),
            None => return Ok(()),
        };
        let (uid, gid) = if user.is_empty() { (0, 0) } else { view.owner(user)? };
        stubs::make_directories(view, &root, path, users.outside(uid, gid)?)
    }

    fn spec(&self, layer: &mut WorkingLayer) -> Result<RunSpec> {
        let (execution, options) = (self.execution, &self.stage.engine.request.run);
        let storage = |error| Error::storage(error, "the layer that the command writes to");
        let path = layer.mount().map_err(storage)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| Error::io(error, "cannot be opened", path))?;
        let files = Root::open(path).map_err(crate::view::failed)?;
        let config = &self.stage.state.config.config;
        let identity = Identity::resolve(&files, &config.user)
            .map_err(|error| Error::runtime(error, format!("USER {}", config.user)))?;
        let mut spec = RunSpec::new(root, &execution.command.arguments);
        spec.process.environment.clone_from(&execution.environment);
        if !execution.environment.iter().any(|(name, _)| name == "HOME") {
            let home = match (&identity.home, identity.uid) {
                (Some(home), _) => home.clone(),
                (None, 0) => PathBuf::from("/root"),
                (None, _) => PathBuf::from("/"),
            };
            spec.process.environment.push(("HOME".into(), home.into()));
        }
        if !config.working_dir.is_empty() {
            spec.process.directory = PathBuf::from(&config.working_dir);
        }
        self.opened.give(self.users.outside(identity.uid, identity.gid)?)?;
        spec.users = self.users.of_process()?;
        spec.process.identity = self.with_groups(identity, &files)?;
        spec.process.keep_groups = options.keep_groups;
        if options.input {
            spec.io.input = Input::Inherit;
        }
        spec.process.limits.clone_from(&options.limits);
        spec.privileges = execution.privileges.clone();
        spec.files.shared_memory_bytes = options.shared_memory_bytes;
        if !execution.masks_kernel {
            spec.files.masked.clear();
            spec.files.read_only.clear();
        }
        let RunPrivileges { mask, unmask, .. } = &options.privileges;
        spec.files.masked.retain(|path| !unmask.has(path));
        spec.files.read_only.retain(|path| !unmask.has(path));
        spec.files.masked.extend(mask.iter().cloned());
        // Programs look there for how much they may use.
        spec.files.control_groups = ControlGroupFiles::ReadOnly;
        let can = self.executor.capabilities();
        spec.files.mounts.clone_from(&self.opened.mounts);
        let devices = options.devices.iter().filter(|device| !is_elsewhere(device));
        spec.files.devices = devices.cloned().collect();
        spec.namespaces = options.namespaces.open()?;
        let has_network = execution.network == BuildNetwork::Private;
        spec.sysctls = sysctls(&options.sysctls, &spec.namespaces, has_network)?;
        if can.mounts && matches!(spec.namespaces.names, Namespace::New) {
            spec.hostname = Some(options.names.host_name.clone().into());
        }
        // What has no networks of its own refuses what needs one, and is not asked otherwise.
        spec.network = execution.network.of_process(self.stage.network.as_ref());
        let failed = |error| Error::runtime(error, "the devices of vendors");
        self.described.apply(&mut spec).map_err(failed)?;
        Ok(spec)
    }

    /// The user of the command with the groups that were asked for.
    fn with_groups(&self, mut identity: Identity, files: &Root) -> Result<Identity> {
        for group in &self.stage.engine.request.run.groups {
            let found = Identity::resolve(files, &format!("0:{group}"));
            let found = found.map_err(|error| Error::runtime(error, format!("group {group}")))?;
            identity.groups.push(found.gid);
        }
        Ok(identity)
    }

    fn run(&self, mut spec: RunSpec) -> Result<ExitReport> {
        let engine = self.stage.engine;
        let mut threads = Vec::new();
        // The output of several stages comes at the same time: every line knows where it is from.
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            let (writer, thread) = self.output(stream)?;
            threads.push(thread);
            let writer = Output::Descriptor(Arc::new(writer));
            match stream {
                OutputStream::Stdout => spec.io.output = writer,
                OutputStream::Stderr => spec.io.error = writer,
            }
        }
        let again = engine.request.run.debug_shell.as_ref().map(|_| spec.clone());
        let ran = self.executor.run(&spec, &engine.cancel);
        drop(spec);
        let report = self.judge(ran);
        let shell = &engine.request.run.debug_shell;
        if let (Err(error), Some(spec), Some(shell)) = (&report, again, shell)
            && let ErrorKind::Command(status) = error.kind()
        {
            self.debug(spec, shell, status);
        }
        // Everything of the command has ended, and so does what it wrote.
        threads.into_iter().for_each(|thread| drop(thread.join()));
        report
    }

    fn output(&self, stream: OutputStream) -> Result<(OwnedFd, JoinHandle<()>)> {
        let step = Arc::clone(&self.stage.step);
        let tell = self.stage.engine.teller();
        pipe(stream, move |stream, bytes| {
            tell(BuildEvent::Output { step: Arc::clone(&step), stream, bytes });
        })
    }

    fn judge(&self, ran: cask_runtime::Result<ExitReport>) -> Result<ExitReport> {
        let shown = format!("process \"{}\"", self.execution.command.shown());
        let report = ran.map_err(|error| Error::runtime(error, &shown))?;
        for note in &report.notes {
            self.stage.engine.warn(Some(&self.stage.step), note.to_string());
        }
        let failed = |how: String| {
            // The words that BuildKit has for it.
            let detail = format!("{shown} did not complete successfully: {how}");
            Error::new(ErrorKind::Command(report.status.shell_status()), "", detail)
        };
        match report.status {
            status if status.success() => Ok(report),
            ExitStatus::Code(code) => Err(failed(format!("exit code: {code}"))),
            ExitStatus::Signal(signal) => Err(failed(format!("it was ended by signal {signal}"))),
        }
    }

    /// Runs a shell where a command failed, as that left it. How the shell ends says nothing.
    fn debug(&self, mut spec: RunSpec, shell: &[String], status: u8) {
        let engine = self.stage.engine;
        let _turn = crate::build::lock(&engine.shell_turn);
        if engine.cancel.is_cancelled() {
            return;
        }
        engine.tell(BuildEvent::ShellBegan { step: Arc::clone(&self.stage.step), status });
        // An image without the usual shell says which one it has.
        let own = self.stage.state.config.config.shell.as_deref().unwrap_or_default();
        let own = own.strip_suffix(&["-c".to_owned()]).filter(|words| !words.is_empty());
        let words = own.unwrap_or(shell);
        spec.process.arguments = words.iter().map(OsString::from).collect();
        spec.io.input = Input::Inherit;
        spec.io.output = Output::Inherit;
        spec.io.error = Output::Inherit;
        let ran = match &engine.tools.terminal {
            Some(terminal) if self.executor.capabilities().terminals => {
                if !spec.process.environment.iter().any(|(name, _)| name == "TERM") {
                    spec.process.environment.push(("TERM".into(), "xterm".into()));
                }
                let mut relay = |end: &OwnedFd| terminal.relay(end);
                self.executor.run_on_terminal(&spec, terminal.size(), &mut relay)
            }
            _ => self.executor.run(&spec, &engine.cancel),
        };
        if let Err(error) = ran {
            let message = format!("there is no shell in the failed step: {}", chain(&error));
            engine.warn(Some(&self.stage.step), message);
        }
    }
}
