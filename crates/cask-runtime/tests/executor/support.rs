//! A root filesystem made from busybox, and ways to run things in it.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::thread;

use cask_runtime::{
    Cancel, Error, Executor, ExitReport, ExitStatus, NativeExecutor, NativeOptions, Output, RunSpec,
};

const BUSYBOX: &str = "/usr/bin/busybox";
const HELPER: &str = env!("CARGO_BIN_EXE_cask-runtime-helper");

const COMMANDS: [&str; 44] = [
    "sh", "true", "false", "cat", "ls", "echo", "id", "env", "pwd", "sleep", "grep", "mkdir",
    "touch", "rm", "ln", "mount", "umount", "hostname", "ps", "kill", "dd", "wc", "stat", "chmod",
    "chown", "mknod", "readlink", "setsid", "head", "sort", "tr", "seq", "ping", "ip", "test",
    "df", "yes", "su", "rmdir", "mv", "cp", "find", "od", "nc",
];

/// Whether the tests of this file can run.
///
/// # Panics
///
/// Where `CI` is set and they cannot.
pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    let able = root && Path::new(BUSYBOX).exists();
    assert!(able || std::env::var_os("CI").is_none(), "needs root and busybox-static");
    if !able {
        eprintln!("not run: needs root and busybox-static");
    }
    able
}

/// A root filesystem of its own.
pub(crate) struct Image {
    directory: tempfile::TempDir,
}

impl Image {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let image = Self { directory };
        for name in ["bin", "etc", "tmp", "root", "home", "work", "proc", "sys", "dev", "data"] {
            fs::create_dir_all(image.path(name)).unwrap();
        }
        fs::copy(BUSYBOX, image.path("bin/busybox")).unwrap();
        for name in COMMANDS {
            symlink("busybox", image.path("bin").join(name)).unwrap();
        }
        let passwd = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home:/bin/sh\n";
        fs::write(image.path("etc/passwd"), passwd).unwrap();
        let group = "root:x:0:\nadm:x:4:alice\nwheel:x:10:alice,root\nalice:x:1000:\n";
        fs::write(image.path("etc/group"), group).unwrap();
        image
    }

    /// A path of the root filesystem on this machine.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join("root").join(below)
    }

    /// A path beside the root filesystem.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn root(&self) -> OwnedFd {
        File::open(self.path("")).unwrap().into()
    }

    pub(crate) fn opened(&self) -> cask_rootfs::Root {
        cask_rootfs::Root::open(self.path("")).unwrap()
    }

    pub(crate) fn spec(&self, arguments: &[&str]) -> RunSpec {
        RunSpec::new(self.root(), arguments)
    }

    pub(crate) fn shell(&self, script: &str) -> RunSpec {
        self.spec(&["/bin/sh", "-c", script])
    }

    /// What a script prints, to both of its outputs; the script must succeed.
    pub(crate) fn prints(&self, script: &str) -> String {
        let (text, report) = run(self.shell(script)).unwrap();
        assert_eq!(report.status, ExitStatus::Code(0), "{script}: {text}");
        text
    }
}

/// The executor that all tests share.
pub(crate) fn executor() -> &'static NativeExecutor {
    static SHARED: LazyLock<NativeExecutor> = LazyLock::new(|| NativeExecutor::new(options()));
    &SHARED
}

pub(crate) fn options() -> NativeOptions {
    let mut options = NativeOptions::default();
    options.program = PathBuf::from(HELPER);
    options
}

pub(crate) fn helper() -> &'static Path {
    Path::new(HELPER)
}

/// Runs and collects what is printed.
pub(crate) fn run(spec: RunSpec) -> Result<(String, ExitReport), Error> {
    run_on(executor(), spec)
}

pub(crate) fn run_on(
    executor: &dyn Executor,
    mut spec: RunSpec,
) -> Result<(String, ExitReport), Error> {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let writer = Arc::new(OwnedFd::from(writer));
    spec.io.output = Output::Descriptor(writer.clone());
    spec.io.error = Output::Descriptor(writer);
    let collector = thread::spawn(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let outcome = executor.run(&spec, &Cancel::new().unwrap());
    drop(spec);
    let text = collector.join().unwrap();
    outcome.map(|report| (text, report))
}

/// Waits until no more descriptors are open than so many: those of tests that run beside this one close some time.
pub(crate) fn descriptors_come_down_to(most: usize) {
    let begun = std::time::Instant::now();
    while open_descriptors() > most {
        assert!(begun.elapsed().as_secs() < 60, "only the copy of the program stays");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// How many descriptors this process has open.
pub(crate) fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Processes of this machine whose command line has `marker`.
pub(crate) fn processes_with(marker: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has_marker = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let own = *pid == std::process::id();
        !own && line.windows(marker.len()).any(|part| part == marker.as_bytes())
    };
    numbers.filter(has_marker).collect()
}
