//! A store of podman's, with images that buildah made.

use std::path::PathBuf;
use std::process::Command;

use crate::program::{Outcome, cellar_built, command, run};
use crate::scratch::{Scratch, scratch};

/// A store in a directory of a test.
pub struct PeerStore(Scratch);

impl PeerStore {
    /// An empty store.
    pub fn new() -> Self {
        Self(scratch())
    }

    /// A store with `localhost/base:1`, of seven steps and one layer, and `localhost/child:1`, which
    /// is `quay.io/x/child:v2` too, of four steps and one more layer; each made a second after the
    /// other.
    ///
    /// # Panics
    /// If buildah cannot make them.
    #[track_caller]
    pub fn with_images() -> Self {
        let store = Self::new();
        std::fs::copy("/bin/busybox", store.0.join("busybox")).expect("busybox is installed");
        let base = "FROM scratch\nCOPY busybox /bin/busybox\nLABEL vendor=me x=y\n\
                    ENV A=b PATH=/bin\nEXPOSE 80/tcp\nVOLUME /data\nWORKDIR /w\n\
                    CMD [\"/bin/busybox\",\"sh\",\"-c\",\"echo a long command line that goes on\"]\n";
        let child = "FROM localhost/base:1\nCOPY base /base\nSTOPSIGNAL SIGINT\nUSER 3\n\
                     HEALTHCHECK CMD true\n";
        for (name, text) in [("base", base), ("child", child)] {
            std::fs::write(store.0.join(name), text).expect("a scratch directory is writable");
        }
        let build = |format: &str, name: &str| {
            let file = store.0.at(name);
            let context = store.0.display().to_string();
            let tag = format!("localhost/{name}:1");
            let line = ["bud", "-q", "--layers", "--format", format, "-t", &tag, "-f", &file];
            store.run("buildah", &[line.as_slice(), &[&context]].concat()).ok();
        };
        build("oci", "base");
        std::thread::sleep(std::time::Duration::from_millis(1100));
        build("docker", "child");
        store.podman(&["tag", "localhost/child:1", "quay.io/x/child:v2"]).ok();
        store
    }

    /// Another store with the same in it. Nothing of this one may be mounted.
    ///
    /// # Panics
    /// If it cannot be copied.
    #[track_caller]
    pub fn copied(&self) -> Self {
        let other = Self::new();
        run(command("cp").arg("-a").arg(self.root()).arg(other.root())).ok();
        // What podman keeps of its own says where it is.
        let _ = std::fs::remove_dir_all(other.root().join("libpod"));
        other
    }

    /// Runs podman on the store.
    #[track_caller]
    pub fn podman(&self, arguments: &[&str]) -> Outcome {
        self.run("podman", arguments)
    }

    /// Runs cellar on the store.
    #[track_caller]
    pub fn cellar(&self, arguments: &[&str]) -> Outcome {
        run(self.at_store(&mut command(cellar_built())).args(arguments))
    }

    /// Cellar on the store, ready to be run.
    pub fn cellar_command(&self, arguments: &[&str]) -> Command {
        let mut command = command(cellar_built());
        self.at_store(&mut command).args(arguments);
        command
    }

    /// Runs podman or buildah on the store.
    #[track_caller]
    pub fn run(&self, program: &str, arguments: &[&str]) -> Outcome {
        run(self.at_store(&mut command(program)).args(arguments))
    }

    /// An image of the store, as `containers-storage:` names it.
    pub fn location(&self, image: &str) -> String {
        let (root, run) = (self.0.at("root"), self.0.at("run"));
        format!("containers-storage:[overlay@{root}+{run}]{image}")
    }

    /// Where its layers, images and containers are.
    pub fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    /// Lets a command of podman's, of buildah's or of ours work on the store.
    pub fn at_store<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let (root, run) = (self.0.at("root"), self.0.at("run"));
        command.args(["--root", &root, "--runroot", &run, "--storage-driver", "overlay"])
    }
}

impl Default for PeerStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for PeerStore {
    fn drop(&mut self) {
        // Peers mount the directory of the driver onto itself.
        let _ = command("umount").args(["-l", &self.0.at("root/overlay")]).output();
    }
}
