//! Runs of programs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::scratch::session;

/// How a program ended, and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was run, for messages.
    pub line: String,
    /// The exit code; 128 and the number of the signal that ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: String,
}

impl Outcome {
    /// Takes over what the standard library has.
    pub fn new(line: String, output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        let signal = || output.status.signal().map_or(-1, |signal| 128 + signal);
        Self {
            line,
            code: output.status.code().unwrap_or_else(signal),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Panics unless it succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.ends(0)
    }

    /// Panics unless it ended with this code.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert!(self.code == code, "expected exit code {code}: {self}");
        self
    }

    /// Panics unless standard error has this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "expected {text:?} on standard error: {self}");
        self
    }

    /// Standard output as text, without white space around it.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("the output is text").trim()
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("expected JSON on standard output ({error}): {self}"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stdout = String::from_utf8_lossy(&self.stdout);
        let Self { line, code, stderr, .. } = self;
        write!(f, "`{line}` ended with {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

/// The built `dray`.
///
/// # Panics
/// If it cannot be built.
pub fn dray_built() -> &'static Path {
    static DRAY: OnceLock<PathBuf> = OnceLock::new();
    DRAY.get_or_init(|| built("dray"))
}

/// The built `cellar`.
///
/// # Panics
/// If it cannot be built.
pub fn cellar_built() -> &'static Path {
    static CELLAR: OnceLock<PathBuf> = OnceLock::new();
    CELLAR.get_or_init(|| built("cellar"))
}

/// The built `cooper`.
///
/// # Panics
/// If it cannot be built.
pub fn cooper_built() -> &'static Path {
    static COOPER: OnceLock<PathBuf> = OnceLock::new();
    COOPER.get_or_init(|| built("cooper"))
}

fn built(program: &str) -> PathBuf {
    // Built for this package alone they are other programs to cargo than those of the whole workspace, whose
    // dependencies have more features: whoever has these says so.
    let built = std::env::var_os("CASK_PROGRAMS").map_or_else(|| build(program), PathBuf::from);
    // Whoever builds it anew while the tests run does not change what they test. Copied by this process, it
    // would be open for writing in the children that other threads start meanwhile, and cannot be run then.
    let here = session().join(program);
    let copied = Command::new("cp").arg(built.join(program)).arg(&here).status();
    assert!(copied.expect("cp runs").success(), "{program} cannot be copied");
    here
}

/// Builds a program as this test was built; gives the directory in which it then is.
fn build(program: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test.ancestors().nth(2).expect("tests are in target/PROFILE/deps");
    let target = profile.parent().expect("a profile is in a target directory");
    let mut cargo = Command::new(env!("CARGO"));
    // What cargo said of the test's package, ring's build script takes for news of its own: it would be built again,
    // with all that needs it.
    for (name, _) in std::env::vars_os() {
        let package = ["CARGO_PKG_", "CARGO_MANIFEST_"];
        if package.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes())) {
            cargo.env_remove(name);
        }
    }
    cargo.args(["build", "-q", "-p", program, "--target-dir"]).arg(target);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let built = cargo.output().expect("cargo runs");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{program} cannot be built:\n{said}");
    profile.to_path_buf()
}

/// A program with a home and a temporary directory of ours, and without this process's settings.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env("HOME", session().join("home")).env("TMPDIR", session().join("tmp"));
    let settings = ["CI", "NO_COLOR", "SOURCE_DATE_EPOCH"];
    let directories = ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"];
    for name in settings.iter().chain(&directories) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command.
///
/// # Panics
/// If it cannot be started.
#[track_caller]
pub fn run(command: &mut Command) -> Outcome {
    let parts = std::iter::once(command.get_program()).chain(command.get_args());
    let line = parts.map(|part| part.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
    match command.output() {
        Ok(output) => Outcome::new(line, output),
        Err(error) => panic!("`{line}` cannot be run: {error}"),
    }
}

/// What is wanted, or what the fifth attempt came to.
///
/// Debian's buildah, where a machine has much to do, may end before it has passed on what the command in a container
/// printed: 3 of 150 runs lost all of it. Whoever compares what it prints asks again.
pub fn again<T>(mut attempt: impl FnMut() -> T, is_wanted: impl Fn(&T) -> bool) -> T {
    let mut last = attempt();
    for _ in 0..4 {
        if is_wanted(&last) {
            break;
        }
        last = attempt();
    }
    last
}

/// Runs a program with arguments that white space separates.
#[track_caller]
pub fn tool(program: &str, line: &str) -> Outcome {
    run(command(program).args(line.split_whitespace()))
}

/// Runs `dray` with arguments that white space separates.
#[track_caller]
pub fn dray(line: &str) -> Outcome {
    run(command(dray_built()).args(line.split_whitespace()))
}

/// Runs `dray` with arguments of any text.
#[track_caller]
pub fn dray_with(arguments: &[&str]) -> Outcome {
    run(command(dray_built()).args(arguments))
}

/// Runs `skopeo` with arguments that white space separates.
#[track_caller]
pub fn skopeo(line: &str) -> Outcome {
    tool("skopeo", line)
}

/// Runs `skopeo` with arguments of any text.
#[track_caller]
pub fn skopeo_with(arguments: &[&str]) -> Outcome {
    run(command("skopeo").args(arguments))
}
