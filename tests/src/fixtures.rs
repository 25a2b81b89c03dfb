//! Images that the real tools made, once for all tests of a process.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::program::{Outcome, command, run, skopeo};
use crate::scratch::session;

/// A small image: three layers with a static busybox, hard and symbolic links, a program with
/// set-user-ID, an empty directory, a file that a higher layer takes away, one that it changes.
const CONTAINERFILE: &str = r#"FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "cd /bin && ./busybox ln busybox sh && ./busybox mkdir -p /data/empty /tmp && echo one > /data/gone && echo two > /data/kept && ./busybox ln /data/kept /data/hard && echo su > su && ./busybox chmod 4755 su"]
RUN /bin/busybox rm /data/gone && /bin/busybox ln -s kept /data/soft && echo more >> /data/hard
ENV GREETING="hello, world & <others>"
LABEL example.com/label="a label"
CMD ["/bin/sh"]
"#;

/// The image, in the places that the tools wrote it to.
pub struct Fixtures {
    /// By `buildah push` to a layout: an OCI manifest, layers by gzip.
    pub buildah_oci: String,
    /// By `buildah push` to a directory, as a Docker manifest.
    pub buildah_dir: String,
    /// By `buildah push` to an archive.
    pub buildah_docker_archive: String,
    /// By `podman save --format docker-archive`.
    pub podman_docker_archive: String,
    /// By `podman save --format oci-archive`.
    pub podman_oci_archive: String,
    /// By `podman save --format oci-dir`.
    pub podman_oci_dir: String,
    /// By `podman save --format docker-dir`.
    pub podman_docker_dir: String,
    /// Two images in one archive, by `podman save --multi-image-archive`.
    pub podman_two: String,
    store: PathBuf,
}

impl Fixtures {
    /// Every place with the one image.
    pub fn places(&self) -> [&str; 7] {
        [
            &self.buildah_oci,
            &self.buildah_dir,
            &self.buildah_docker_archive,
            &self.podman_docker_archive,
            &self.podman_oci_archive,
            &self.podman_oci_dir,
            &self.podman_docker_dir,
        ]
    }

    /// Runs podman on a storage of its own in `directory`.
    #[track_caller]
    pub fn podman(directory: &Path, line: &str) -> Outcome {
        on_storage("podman", directory, line)
    }

    /// Runs podman on a storage of its own in `directory`, where relative paths begin.
    #[track_caller]
    pub fn podman_in(directory: &Path, line: &str) -> Outcome {
        run(storage_command("podman", directory, line).current_dir(directory))
    }

    fn make(store: PathBuf) -> Self {
        let context = store.join("context");
        std::fs::create_dir_all(&context).expect("a new directory is writable");
        std::fs::write(context.join("Containerfile"), CONTAINERFILE).expect("it is writable");
        std::fs::copy("/bin/busybox", context.join("busybox")).expect("busybox is installed");
        let (name, second) = ("localhost/fixture:1", "localhost/fixture:2");
        let build = "bud --isolation chroot --layers -q";
        let at = context.display();
        on_storage("buildah", &store, &format!("{build} -t {name} {at}")).ok();
        on_storage("buildah", &store, &format!("{build} -t {second} --label second=yes {at}")).ok();
        let at = |file: &str| store.join(file).display().to_string();
        let push = |options: &str, to: String| {
            on_storage("buildah", &store, &format!("push -q {options} {name} {to}")).ok();
            to
        };
        let save = |format: &str, to: &str| {
            let line = format!("save -q --format {format} -o {} {name}", at(to));
            on_storage("podman", &store, &line).ok();
            at(to)
        };
        let two = at("two.tar");
        let line = format!("save -q --multi-image-archive -o {two} {name} {second}");
        on_storage("podman", &store, &line).ok();
        Self {
            buildah_oci: push("", format!("oci:{}:it", at("oci"))),
            buildah_dir: push("--format v2s2", format!("dir:{}", at("dir"))),
            buildah_docker_archive: push("", format!("docker-archive:{}", at("pushed.tar"))),
            podman_docker_archive: format!("docker-archive:{}", save("docker-archive", "d.tar")),
            podman_oci_archive: format!("oci-archive:{}", save("oci-archive", "o.tar")),
            podman_oci_dir: format!("oci:{}", save("oci-dir", "oci-dir")),
            podman_docker_dir: format!("dir:{}", save("docker-dir", "docker-dir")),
            podman_two: format!("docker-archive:{two}"),
            store,
        }
    }

    /// Copies the image's OCI form to another place, by skopeo.
    #[track_caller]
    pub fn put(&self, place: &str) {
        skopeo(&format!("copy -q {} {place}", self.buildah_oci)).ok();
    }

    /// Where the storage is.
    pub fn store(&self) -> &Path {
        &self.store
    }
}

fn on_storage(program: &str, store: &Path, line: &str) -> Outcome {
    run(&mut storage_command(program, store, line))
}

fn storage_command(program: &str, store: &Path, line: &str) -> std::process::Command {
    let (root, state) = (store.join("root"), store.join("run"));
    let mut command = command(program);
    command.args(["--storage-driver", "vfs", "--root"]).arg(root).arg("--runroot").arg(state);
    command.args(line.split_whitespace());
    command
}

/// The images; the first call makes them.
pub fn fixtures() -> &'static Fixtures {
    static FIXTURES: OnceLock<Fixtures> = OnceLock::new();
    FIXTURES.get_or_init(|| Fixtures::make(session().join("fixtures")))
}

/// A Docker daemon of our own, which ends with this process.
pub struct Daemon {
    socket: String,
    _child: Child,
}

impl Daemon {
    /// Runs the client.
    #[track_caller]
    pub fn docker(&self, line: &str) -> Outcome {
        run(&mut self.command(line))
    }

    /// Where it listens: `unix://` and a path.
    pub fn host(&self) -> &str {
        &self.socket
    }

    /// The client, ready to be run.
    pub fn command(&self, line: &str) -> std::process::Command {
        let mut client = command(crate::peer::DOCKER);
        client.args(["-H", &self.socket]).args(line.split_whitespace());
        client
    }

    fn start(directory: &Path) -> Self {
        std::fs::create_dir_all(directory).expect("a new directory is writable");
        let script = "dockerd --storage-driver=vfs --iptables=false --ip6tables=false \
                      --bridge=none -H \"unix://$0/socket\" --data-root \"$0/data\" --exec-root \
                      \"$0/exec\" --pidfile \"$0/pid\" >\"$0/log\" 2>&1 & \
                      read -r _; kill $!; wait $!";
        let child = command("sh")
            .args(["-c", script])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("there is a shell");
        let daemon =
            Self { socket: format!("unix://{}/socket", directory.display()), _child: child };
        let started = Instant::now();
        while daemon.docker("version").code != 0 {
            let log = || std::fs::read_to_string(directory.join("log")).unwrap_or_default();
            assert!(started.elapsed() < Duration::from_secs(60), "dockerd is silent: {}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
        daemon
    }
}

/// The daemon; the first call starts it.
pub fn daemon() -> &'static Daemon {
    static DAEMON: OnceLock<Daemon> = OnceLock::new();
    DAEMON.get_or_init(|| Daemon::start(&session().join("docker")))
}
