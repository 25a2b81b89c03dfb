//! A store with an image of busybox, and `cellar` on it.

use std::path::PathBuf;
use std::process::Command;

use tests::{Outcome, Scratch, cellar_built, command, has, is_root, run, scratch, tool};

/// A store of one test. What still runs in it ends with the test.
pub(crate) struct Cellar(Scratch);

/// The size of a small disk.
const SMALL: &str = "size=24m";

impl Cellar {
    /// `None` where containers cannot run here.
    pub(crate) fn new() -> Option<Self> {
        if !has(&["busybox"]) || !is_root() {
            return None;
        }
        Self(scratch()).with_image()
    }

    /// One whose store is on a disk of its own.
    pub(crate) fn on_small_disk() -> Option<Self> {
        if !has(&["busybox", "mount"]) || !is_root() {
            return None;
        }
        let cellar = Self(scratch());
        let root = cellar.0.join("root");
        std::fs::create_dir(&root).expect("it is new");
        tool("mount", &format!("-t tmpfs -o {SMALL} none {}", root.display())).ok();
        cellar.with_image()
    }

    /// One of which everything is on a disk of its own.
    pub(crate) fn on_one_small_disk() -> Option<Self> {
        if !has(&["busybox", "mount"]) || !is_root() {
            return None;
        }
        let cellar = Self(scratch());
        let root = cellar.0.join("root");
        std::fs::create_dir(&root).expect("it is new");
        tool("mount", &format!("-t tmpfs -o {SMALL} none {}", root.display())).ok();
        std::fs::create_dir(root.join("of-run")).expect("it is new");
        std::os::unix::fs::symlink("root/of-run", cellar.0.join("run")).expect("it is new");
        cellar.with_image()
    }

    /// Leaves no room on the small disk.
    pub(crate) fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("root/filler")).expect("it is new");
        let piece = [0; 4096];
        while std::io::Write::write_all(&mut file, &piece).is_ok() {}
    }

    /// Has room again.
    pub(crate) fn make_room(&self) {
        std::fs::remove_file(self.0.join("root/filler")).expect("it is there");
    }

    /// Takes every mount away that containers have.
    pub(crate) fn unmount_all(&self) {
        let mounts = std::fs::read_to_string("/proc/self/mounts").expect("it is there");
        let root = self.0.join("root").display().to_string();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        for point in points.filter(|point| point.starts_with(&root) && point.ends_with("/merged")) {
            tool("umount", point).ok();
        }
    }

    fn with_image(self) -> Option<Self> {
        let cellar = self;
        let image = cellar.0.join("image");
        for name in ["bin", "etc", "tmp", "data"] {
            std::fs::create_dir_all(image.join(name)).expect("a scratch directory is writable");
        }
        std::fs::copy("/bin/busybox", image.join("bin/busybox")).expect("busybox is installed");
        for name in [
            "sh", "true", "cat", "echo", "id", "env", "sleep", "hostname", "test", "ls", "touch",
            "kill", "ln", "mkdir", "rm", "stty", "false", "yes", "head", "tail",
        ] {
            std::os::unix::fs::symlink("busybox", image.join("bin").join(name)).expect("it is new");
        }
        std::fs::write(image.join("data/of-image"), "data\n").expect("it is writable");
        let passwd = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home:/bin/sh\n";
        std::fs::write(image.join("etc/passwd"), passwd).expect("it is writable");
        let archive = cellar.0.at("image.tar");
        tool("tar", &format!("-C {} -cf {archive} .", image.display())).ok();
        cellar.run(&["import", "-q", &archive, "localhost/box:1"]).ok();
        Some(cellar)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut cellar = command(cellar_built());
        cellar.arg("--root").arg(self.0.join("root")).arg("--runroot").arg(self.0.join("run"));
        cellar.args(arguments);
        cellar
    }

    /// Runs podman on the same store.
    #[track_caller]
    pub(crate) fn podman(&self, arguments: &[&str]) -> Outcome {
        run(&mut self.podman_command(arguments))
    }

    pub(crate) fn podman_command(&self, arguments: &[&str]) -> Command {
        let mut podman = command("podman");
        podman.arg("--root").arg(self.0.join("root")).arg("--runroot").arg(self.0.join("run"));
        podman.args(["--storage-driver", "overlay"]).args(arguments);
        podman
    }

    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        run(&mut self.command(arguments))
    }

    /// Runs a script in which `$CELLAR` is the program on this store.
    #[track_caller]
    pub(crate) fn shell(&self, script: &str) -> Outcome {
        let words = self.command(&[]);
        let program = words.get_program().to_string_lossy().into_owned();
        let arguments = words.get_args().map(|word| word.to_string_lossy().into_owned());
        let words: Vec<String> = std::iter::once(program).chain(arguments).collect();
        run(Command::new("sh").arg("-c").arg(script).env("CELLAR", words.join(" ")))
    }

    /// Runs a container without a network.
    #[track_caller]
    pub(crate) fn container(&self, arguments: &[&str]) -> Outcome {
        let all: Vec<&str> =
            ["run", "--network", "none"].iter().chain(arguments).copied().collect();
        self.run(&all)
    }

    /// Names and states of all containers.
    #[track_caller]
    pub(crate) fn states(&self) -> String {
        let listed =
            self.run(&["ps", "-a", "--format", "{{.Names}} {{.State}} {{.ExitCode}}"]).ok();
        listed.text().lines().collect::<Vec<_>>().join(", ")
    }

    /// Fails unless nothing of any container is left.
    #[track_caller]
    pub(crate) fn is_clean(&self) {
        let root = self.0.join("root");
        let mounts = std::fs::read_to_string("/proc/self/mounts").expect("it is there");
        let merged: Vec<&str> = mounts
            .lines()
            .filter(|line| line.contains(&*root.display().to_string()) && line.contains("/merged"))
            .collect();
        assert!(merged.is_empty(), "{merged:?}");
        for directory in ["root/cask/containers", "run/cask/containers", "root/overlay-containers"]
        {
            let left = std::fs::read_dir(self.0.join(directory)).into_iter().flatten().flatten();
            let left: Vec<_> = left.filter(|entry| entry.path().is_dir()).collect();
            assert!(left.is_empty(), "{left:?}");
        }
        self.has_no_process();
    }

    /// Fails where a process of a container is left: a monitor that ends has a moment.
    #[track_caller]
    fn has_no_process(&self) {
        let root = self.0.join("root").display().to_string();
        let of_store = |entry: &std::fs::DirEntry| {
            let mounts =
                std::fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
            let upper = format!("upperdir={root}");
            let is_container =
                mounts.lines().any(|line| line.contains(" / / ") && line.contains(&upper));
            let open = std::fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten();
            let mut open = open.filter_map(|one| std::fs::read_link(one.path()).ok());
            is_container || open.any(|path| path.starts_with(&root))
        };
        let found = || {
            let entries = std::fs::read_dir("/proc").expect("it is there").flatten();
            let left: Vec<_> = entries.filter(of_store).map(|entry| entry.file_name()).collect();
            left
        };
        let began = std::time::Instant::now();
        while !found().is_empty() && began.elapsed().as_secs() < 10 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert_eq!(found(), [""; 0]);
    }
}

impl Drop for Cellar {
    fn drop(&mut self) {
        let _ = self.command(&["rm", "-f", "-t", "0", "-a"]).output();
        for mount in ["root/overlay", "root"] {
            let _ = Command::new("umount").arg("-l").arg(self.0.join(mount)).output();
        }
    }
}
