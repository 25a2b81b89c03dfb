//! External OCI runtimes: crun, runc, youki and their like.

mod config;
mod failure;

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::FileType;

use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Result};
use crate::executor::{Executor, ExecutorCapabilities};
use crate::launch::{Helper, Program, launch};
use crate::mount::{Mount, MountSource, Propagation};
use crate::native::NativeOptions;
use crate::plan::{CONSOLE, Cleanup, Isolation, PID_FILE};
use crate::prepare::{Prepared, check, prepare};
use crate::report::{ExitReport, Note};
use crate::running::Created;
use crate::spec::{DEFAULT_PATH, Network, Privileges, RunSpec, UserNamespace};

/// The longest `features` or log of a runtime that is read, in bytes.
const LONGEST_TEXT: u64 = 1 << 20;

/// Where the root is in a bundle.
const ROOT: &str = "rootfs";

/// Which external runtime, and where its state is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OciOptions {
    /// The runtime: a path.
    pub runtime: PathBuf,
    /// A directory of the caller for bundles and for the runtime's state; it is made where it is missing, and
    /// empty while nothing runs.
    pub directory: PathBuf,
    /// How the helper is started, which watches the runtime.
    pub helper: NativeOptions,
    /// Options of the runtime itself, without the two hyphens: `systemd-cgroup`, `log-level=debug`.
    pub flags: Vec<String>,
}

impl OciOptions {
    /// A runtime and a directory, with the default helper.
    pub fn new(runtime: impl Into<PathBuf>, directory: impl Into<PathBuf>) -> Self {
        let helper = NativeOptions::default();
        Self { runtime: runtime.into(), directory: directory.into(), helper, flags: Vec::new() }
    }
}

/// Runs processes with an external OCI runtime, found fit once when this is made.
///
/// For what the native executor does not do, such as SELinux or virtual machines. Needs root, of the machine or of a
/// user namespace: runtimes are told paths, and what the specification has open is mounted where these paths lead, in
/// a mount namespace of the run. Mount points that the runtime makes in the root stay there. Signals that end the
/// process are reported as the runtime reports them, usually as code 128 and the signal.
#[derive(Debug)]
pub struct OciExecutor {
    options: OciOptions,
    program: Program,
    /// `ociVersion` of the configurations.
    version: String,
}

/// How long a helper may take to have the runtime delete what has ended.
const GRACE: Duration = Duration::from_secs(5);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(5);

/// What every runtime understands. Source: OCI runtime specification 1.0.2.
const OLDEST_VERSION: &str = "1.0.2";

impl OciExecutor {
    /// Asks the runtime what it understands.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such program, `RuntimeFailed` where it does not even tell its version, `Io` and
    /// `Denied` where the directory cannot be made.
    pub fn new(options: OciOptions) -> Result<Self> {
        let shown = options.runtime.display().to_string();
        let version = ask(&options.runtime, "--version")
            .map_err(|error| Error::io(error, "start the runtime", &shown))?;
        if version.is_none() {
            return Err(Error::new(ErrorKind::RuntimeFailed, "ask for its version", shown)
                .with_hint("is it an OCI runtime, such as crun, runc or youki?"));
        }
        make_directory(&options.directory)?;
        // Runtimes older than the command do not say, and understand the oldest version.
        let features = ask(&options.runtime, "features").ok().flatten().unwrap_or_default();
        let version = config::version(&features, OLDEST_VERSION);
        Ok(Self { options, program: Program::default(), version })
    }

    fn runtime_words(&self, bundle: &Bundle) -> Vec<Vec<u8>> {
        let mut words = self.state_words();
        words.extend([
            b"--log".to_vec(),
            bundle.path.join("log").as_os_str().as_bytes().to_vec(),
            b"--log-format".to_vec(),
            b"json".to_vec(),
        ]);
        words.extend(self.options.flags.iter().map(|flag| format!("--{flag}").into_bytes()));
        words
    }

    fn state_words(&self) -> Vec<Vec<u8>> {
        let state = self.state();
        let runtime = self.options.runtime.as_os_str();
        [runtime, OsStr::new("--root"), state.as_os_str()]
            .map(|word| word.as_bytes().to_vec())
            .to_vec()
    }

    /// The runtime's own directory.
    fn state(&self) -> PathBuf {
        self.options.directory.join("state")
    }

    /// The plan of the runtime as a process of its own, with the input and output of `spec`, and in a mount
    /// namespace where what `spec` has open stands in the bundle.
    fn plan(
        &self,
        spec: &RunSpec,
        bundle: &Bundle,
        files: &[PathBuf],
        how: How,
    ) -> Result<Prepared> {
        let mut outer = RunSpec::new(spec.root.clone(), [&self.options.runtime]);
        outer.io = spec.io.clone();
        outer.network = Network::Host;
        outer.privileges = Privileges::default();
        outer.process.directory = bundle.path.join(ROOT);
        for (mount, file) in spec.files.mounts.iter().zip(files) {
            if matches!(&mount.source, MountSource::Bind(_) | MountSource::Overlay(_)) {
                let mut outer_mount = Mount::new(mount.source.clone(), file);
                outer_mount.options.recursive = mount.options.recursive;
                outer_mount.options.propagation = mount.options.propagation;
                outer.files.mounts.push(outer_mount);
            }
        }
        outer.process.environment.push(("PATH".into(), DEFAULT_PATH.into()));
        let mut prepared = prepare(&outer, Isolation::External)?;
        let words = self.runtime_words(bundle);
        let with = |more: &[&[u8]]| -> Vec<Vec<u8>> {
            words.iter().cloned().chain(more.iter().map(|word| word.to_vec())).collect()
        };
        let (path, name) = (bundle.path.as_os_str().as_bytes(), bundle.name.as_bytes());
        let pid_file = bundle.path.join(PID_FILE);
        let pid_file = pid_file.as_os_str().as_bytes();
        prepared.plan.arguments = match how {
            How::Run => with(&[b"run", b"--bundle", path, name]),
            How::Create => {
                let mut words = vec![&b"create"[..], b"--bundle", path, b"--pid-file", pid_file];
                if spec.io.terminal.is_some() {
                    words.extend([&b"--console-socket"[..], CONSOLE.as_bytes()]);
                }
                words.push(name);
                with(&words)
            }
        };
        if how == How::Create {
            prepared.plan.start = with(&[b"start", name]);
            prepared.plan.wait = true;
        }
        let command = with(&[b"delete", b"--force", name]);
        let events = spec.cgroup.as_ref().map(|group| group.memory_events()).unwrap_or_default();
        let memory_events = events.into_os_string().into_vec();
        prepared.plan.cleanup = Some(Cleanup { command, directory: path.to_vec(), memory_events });
        prepared.plan.seccomp = Vec::new();
        prepared.plan.clear_way = !matches!(spec.users, UserNamespace::Inherit);
        Ok(prepared)
    }
}

/// What the runtime does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// Everything, to the end.
    Run,
    /// It leaves a process that waits.
    Create,
}

impl OciExecutor {
    fn prepare(&self, spec: &RunSpec, how: How) -> Result<(Bundle, Prepared, Vec<Note>)> {
        check(spec)?;
        refuse(spec)?;
        let mut bundle = Bundle::new(&self.options.directory)?;
        if !spec.hooks.list.is_empty() && !spec.hooks.id.is_empty() {
            // Hooks are told of it.
            bundle.name.clone_from(&spec.hooks.id);
        }
        let files = bundle.files(spec)?;
        let root = bundle.path.join(ROOT);
        let (text, notes) = config::write(spec, &self.version, &root, &files)?;
        bundle.write_config(&spec.hooks.filter(text)?)?;
        let prepared = self.plan(spec, &bundle, &files, how)?;
        Ok((bundle, prepared, notes))
    }

    /// Has the runtime make a process with everything that it has, and wait before its command.
    ///
    /// As [`NativeExecutor::create`](crate::NativeExecutor::create), and it may have a terminal. Where the helper
    /// is killed, whoever holds what this returns kills the process; where both are, it goes on until
    /// [`sweep`](Self::sweep).
    ///
    /// # Errors
    ///
    /// As [`Executor::run`]; `RuntimeFailed` with what the runtime says.
    pub fn create(&self, spec: &RunSpec) -> Result<Created> {
        let (mut bundle, mut prepared, notes) = self.prepare(spec, How::Create)?;
        prepared.notes.extend(notes);
        let NativeOptions { program, argument, .. } = &self.options.helper;
        // The helper may remove the bundle before what is in the log is asked for.
        let log = bundle.log()?;
        let helper = Helper::with_plan(&self.program, program, argument, prepared)?;
        let created = Created::wait(helper, &|_| Ok(()));
        match created {
            Ok(created) => {
                // The helper removes it when all is over.
                bundle.is_kept = true;
                Ok(created)
            }
            Err(error) => Err(failure::explain(log, &self.options.runtime, spec).unwrap_or(error)),
        }
    }

    /// Has the runtime end everything that it created below its directory, and removes what is left there: what
    /// was created by a process that was killed, with or without its helper. Nothing else may be in that directory.
    ///
    /// # Errors
    ///
    /// `Io` where something cannot be removed.
    pub fn sweep(&self) -> Result<()> {
        let words = self.state_words();
        for entry in fs::read_dir(self.state()).into_iter().flatten().flatten() {
            let words = words.iter().map(|word| OsStr::from_bytes(word));
            let mut words = words.collect::<Vec<_>>().into_iter();
            let mut delete = Command::new(words.next().unwrap_or_default());
            delete.args(words).args(["delete", "--force"]).arg(entry.file_name());
            // What it does not know any more is removed with the directory.
            let _ = delete.env_clear().env("PATH", DEFAULT_PATH).stdin(Stdio::null()).output();
        }
        // A helper that still lives does the same, and would do it to what is created next: it ends with its bundle.
        let until = Instant::now() + GRACE;
        while self.has_bundles() && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
        let directory = &self.options.directory;
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(error, "remove", directory.display()))
            }
            _ => Ok(()),
        }
    }

    fn has_bundles(&self) -> bool {
        let entries = fs::read_dir(&self.options.directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).any(|path| path != self.state())
    }
}

impl Executor for OciExecutor {
    fn run(&self, spec: &RunSpec, cancel: &Cancel) -> Result<ExitReport> {
        if spec.io.terminal.is_some() {
            return Err(refused("a terminal", "create the process, and start it"));
        }
        let (bundle, prepared, mut notes) = self.prepare(spec, How::Run)?;
        let helper = &self.options.helper;
        let log = bundle.log()?;
        let report =
            launch(&self.program, &helper.program, &helper.argument, prepared, cancel, &|_| Ok(()));
        let mut report = report?;
        if let Some(error) = failure::explain(log, &self.options.runtime, spec) {
            return Err(error);
        }
        notes.append(&mut report.notes);
        report.notes = notes;
        Ok(report)
    }

    fn capabilities(&self) -> ExecutorCapabilities {
        ExecutorCapabilities {
            isolates: true,
            mounts: true,
            networks: true,
            seccomp: true,
            terminals: false,
        }
    }
}

/// What a runtime prints to a question; `None` where it fails.
fn ask(runtime: &Path, question: &str) -> std::io::Result<Option<String>> {
    let output = Command::new(runtime)
        .arg(question)
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    let fits = output.status.success() && output.stdout.len() as u64 <= LONGEST_TEXT;
    Ok(fits.then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
}

fn make_directory(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Error::io(error, "make the directory", path.display()))
}

/// The directory of one run: configuration, contents of files, log. Removed when dropped.
#[derive(Debug)]
pub(crate) struct Bundle {
    path: PathBuf,
    name: String,
    /// Somebody else removes it.
    is_kept: bool,
}

impl Drop for Bundle {
    fn drop(&mut self) {
        // The helper removes it as well, where it is the one who ends the run.
        if !self.is_kept {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

impl Bundle {
    /// The directory for hooks of a process that no external runtime runs, below `directory`, and the text of its
    /// configuration: all that is mounted has the name that it has here.
    pub(crate) fn of_hooks(directory: &Path, spec: &RunSpec) -> Result<(Self, String)> {
        make_directory(directory)?;
        let bundle = Self::new(directory)?;
        make_directory(&bundle.root())?;
        let name = |mount: &Mount| match &mount.source {
            MountSource::Bind(source) => {
                let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&**source));
                fs::read_link(link).unwrap_or_default()
            }
            _ => PathBuf::new(),
        };
        let files: Vec<PathBuf> = spec.files.mounts.iter().map(name).collect();
        let (text, _) = config::write(spec, OLDEST_VERSION, &bundle.root(), &files)?;
        Ok((bundle, text))
    }

    pub(crate) fn write_config(&self, text: &str) -> Result<()> {
        self.file("config.json", text.as_bytes(), 0o600).map(drop)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where its root is.
    pub(crate) fn root(&self) -> PathBuf {
        self.path.join(ROOT)
    }

    /// The log, which the runtime appends to.
    fn log(&self) -> Result<fs::File> {
        self.file("log", b"", 0o600)?;
        let path = self.path.join("log");
        fs::File::open(&path).map_err(|error| Error::io(error, "open", path.display()))
    }

    fn new(directory: &Path) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let failed = |error, path: &Path| Error::io(error, "make the bundle", path.display());
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
            let name = format!("cask-{}-{number}-{now:x}", std::process::id());
            let path = directory.join(&name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error, &path)),
                Ok(()) => {
                    // Without links: the runtime compares paths as texts.
                    let path = path.canonicalize().map_err(|error| failed(error, &path))?;
                    return Ok(Self { path, name, is_kept: false });
                }
            }
        }
    }

    fn file(&self, name: &str, bytes: &[u8], mode: u32) -> Result<PathBuf> {
        let path = self.path.join(name);
        let failed = |error| Error::io(error, "write", path.display());
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(mode))
            .map_err(|error| failed(error.into()))?;
        Ok(path)
    }

    /// What each mount is a mount of, in the bundle: files with contents, and places for what is open.
    fn files(&self, spec: &RunSpec) -> Result<Vec<PathBuf>> {
        make_directory(&self.path.join(ROOT))?;
        let make = |(number, mount): (usize, &Mount)| {
            let name = format!("mount{number}");
            match &mount.source {
                MountSource::Memory { .. } | MountSource::Terminals => Ok(PathBuf::new()),
                MountSource::Bind(source) => self.place(&name, source),
                MountSource::Overlay(overlay) => self.place(&name, &overlay.lower),
                MountSource::Content { bytes, mode, uid, gid } => {
                    let path = self.file(&name, bytes, *mode & 0o7777)?;
                    let (uid, gid) = (outside(spec, *uid, true)?, outside(spec, *gid, false)?);
                    std::os::unix::fs::chown(&path, Some(uid), Some(gid))
                        .map_err(|error| Error::io(error, "give to its owner", path.display()))?;
                    Ok(path)
                }
            }
        };
        spec.files.mounts.iter().enumerate().map(make).collect()
    }

    /// Something to mount `source` on.
    fn place(&self, name: &str, source: &OwnedFd) -> Result<PathBuf> {
        let found = rustix::fs::fstat(source)
            .map_err(|error| Error::io(error, "look at", "the source of a mount"))?;
        if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
            return self.file(name, b"", 0o600);
        }
        let path = self.path.join(name);
        make_directory(&path).map(|()| path)
    }
}

/// What no external runtime is asked for.
fn refuse(spec: &RunSpec) -> Result<()> {
    if spec.process.init {
        return Err(refused("an init", "use the native executor, or an init of the image"));
    }
    let own = [
        (spec.process.keep_groups, "the groups of whoever starts it"),
        (spec.process.personality.is_some(), "a personality"),
        (spec.process.pause, "no command"),
        (!spec.io.passed.is_empty(), "more descriptors"),
    ];
    if let Some((_, what)) = own.iter().find(|(asked, _)| *asked) {
        return Err(refused(what, "use the native executor"));
    }
    let shared = |mount: &Mount| mount.options.propagation == Propagation::DangerShared;
    if spec.files.mounts.iter().any(shared) {
        return Err(refused("shared mounts", "use the native executor"));
    }
    if spec.files.mounts.iter().any(|mount| mount.options.shift_owners) {
        return Err(refused("mounts with other owners", "use the native executor"));
    }
    Ok(())
}

fn refused(what: &str, hint: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, "give the process", what).with_hint(hint)
}

/// What an ID of the process's user namespace is here.
fn outside(spec: &RunSpec, id: u32, user: bool) -> Result<u32> {
    let UserNamespace::Map(maps) = &spec.users else { return Ok(id) };
    let ranges = if user { &maps.uids } else { &maps.gids };
    let found =
        ranges.iter().find(|range| (range.inside..range.inside + range.count).contains(&id));
    found.map(|range| range.outside + (id - range.inside)).ok_or_else(|| {
        Error::new(ErrorKind::InvalidSpec, "give a file to", format_args!("the ID {id}"))
            .with_detail("the user namespace does not have it")
    })
}

/// A text that can stand in a configuration.
fn text(value: impl AsRef<OsStr>, what: &str) -> Result<String> {
    let value = value.as_ref();
    value.to_str().map(ToOwned::to_owned).ok_or_else(|| {
        Error::new(ErrorKind::InvalidSpec, "write for a runtime", format_args!("{what} {value:?}"))
            .with_detail("its configuration can hold UTF-8 only")
            .with_hint("use the native executor")
    })
}
