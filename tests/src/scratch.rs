//! Temporary files that go away however the tests end.

use std::ops::Deref;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// A directory of one test, removed when it ends.
pub struct Scratch(tempfile::TempDir);

impl Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        self.0.path()
    }
}

impl Scratch {
    /// A path in it, as text.
    pub fn at(&self, name: &str) -> String {
        self.join(name).to_str().expect("temporary directories have ordinary names").into()
    }
}

/// Makes a directory for a test.
pub fn scratch() -> Scratch {
    Scratch(tempfile::tempdir_in(session()).expect("a temporary directory can be made"))
}

/// The directory of everything that this process makes.
pub fn session() -> &'static Path {
    static SESSION: OnceLock<(PathBuf, Child)> = OnceLock::new();
    let (path, _) = SESSION.get_or_init(|| {
        let path = tempfile::Builder::new().prefix("cask-tests-").tempdir();
        let path = path.expect("a temporary directory can be made").keep();
        for folder in ["home/.config/containers", "tmp"] {
            std::fs::create_dir_all(path.join(folder)).expect("a new directory is writable");
        }
        let policy = r#"{"default":[{"type":"insecureAcceptAnything"}]}"#;
        std::fs::write(path.join("home/.config/containers/policy.json"), policy)
            .expect("a new directory is writable");
        // A daemon ends on its own, and is given time to.
        let script = "n=0; while [ -e \"$0/docker/pid\" ] && [ $n -lt 100 ]; do \
                      sleep 0.1; n=$((n+1)); done; rm -rf \"$0\"";
        let janitor = at_end(script, &path, &[]);
        (path, janitor)
    });
    path
}

/// Runs a shell script when this process has ended, even if it was killed: the shell waits for the
/// end of a pipe that only this process holds open. `$0` is `directory`.
pub(crate) fn at_end(script: &str, directory: &Path, arguments: &[&str]) -> Child {
    Command::new("sh")
        .args(["-c", &format!("read -r _; {script}")])
        .arg(directory)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // An interrupt from the keyboard must not stop the cleaning.
        .process_group(0)
        .spawn()
        .expect("there is a shell")
}
