//! A user without privileges.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::program::{Outcome, cellar_built, dray_built, dray_with, run, tool};

/// The user's ID, and its group's.
pub const UID: u32 = 54_321;

/// What `/etc/subuid` says of one who has 65536 IDs besides.
pub const RANGES: &str = "cask-tester:200000:65536\n";

/// A user with a home of its own, and with `dray` and `cellar`. It exists in a mount namespace of each script only.
pub struct User(tempfile::TempDir);

impl User {
    /// One who has ranges of IDs, as the lines of `/etc/subuid` say, or none.
    pub fn new(ranges: &str) -> Self {
        let user = Self(tempfile::tempdir().expect("a temporary directory can be made"));
        let write = |name: &str, text: &str| fs::write(user.path(name), text).expect("it is new");
        let home = user.text("home");
        write(
            "passwd",
            &format!("root:x:0:0::/root:/bin/sh\ncask-tester:x:{UID}:{UID}::{home}:/bin/sh\n"),
        );
        write("subuid", ranges);
        for (name, mode) in [("", 0o755), ("home", 0o755), ("run", 0o700), ("tmp", 0o700)] {
            let path = user.path(name);
            fs::create_dir_all(&path).expect("it can be made");
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
            if !name.is_empty() {
                lchown(&path, Some(UID), Some(UID)).expect("root may");
            }
        }
        user.bring(dray_built(), "dray");
        user.bring(cellar_built(), "cellar");
        user
    }

    /// Gives the user a file that it may read and run.
    pub fn bring(&self, file: &Path, name: &str) {
        fs::copy(file, self.path(name)).expect("a file can be copied");
        let mode = Permissions::from_mode(0o755);
        fs::set_permissions(self.path(name), mode).expect("it is ours");
    }

    /// A path in the directory of programs and images; that directory where there is no name.
    pub fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.0.path().to_owned() } else { self.0.path().join(name) }
    }

    /// The same, as text.
    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Gives the user an image that root has.
    pub fn take(&self, image: &str, name: &str) {
        let layout = self.text(name);
        dray_with(&["--insecure-policy", "copy", "-q", image, &format!("oci:{layout}:1")]).ok();
    }

    /// Runs a script as the user; `$D` is the directory of programs and images.
    pub fn script(&self, script: &str) -> Outcome {
        self.script_with("true", script)
    }

    /// As [`script`](Self::script), where this user may have networks, after root has prepared something.
    pub fn networked_with(&self, prepare: &str, script: &str) -> Outcome {
        // Where nothing sets up devices, only root may open this one.
        tool("mknod", &format!("-m 666 {} c 10 200", self.text("tun"))).ok();
        self.script_with(&format!("mount --bind tun /dev/net/tun && {prepare}"), script)
    }

    /// As [`networked_with`](Self::networked_with), with nothing else prepared.
    pub fn networked(&self, script: &str) -> Outcome {
        self.networked_with("true", script)
    }

    /// As [`script`](Self::script), after root has prepared something in the mount namespace of the script.
    pub fn script_with(&self, prepare: &str, script: &str) -> Outcome {
        let setup = format!(
            "cd \"$1\" && mount --bind passwd /etc/passwd && mount --bind subuid /etc/subuid && \
             mount --bind subuid /etc/subgid && {prepare} && cd home && shift && \
             exec setpriv --reuid={UID} --regid={UID} --clear-groups \"$@\""
        );
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &setup, "sh"]).arg(self.0.path());
        command.args(["sh", "-ec", script]).stdin(Stdio::null()).env_clear();
        command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env("D", self.0.path());
        command.env("HOME", self.path("home")).env("XDG_RUNTIME_DIR", self.path("run"));
        command.env("TMPDIR", self.path("tmp")).env("STORAGE_DRIVER", "overlay");
        run(&mut command)
    }
}
