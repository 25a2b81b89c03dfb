//! Docker's daemon loads what is written, and what it saves is read.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cask_archive::Durability;
use cask_docker_tar::{DockerArchiveWriter, Layout, WriteOptions};
use tempfile::TempDir;

use crate::fixtures::{TestImage, archive_of, digest, gzip, name, open, references};
use crate::oci::layout_of;
use crate::{has, is_root, run};

/// A daemon of our own, which ends with the value.
struct Daemon {
    child: Child,
    directory: TempDir,
}

impl Daemon {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let log = File::create(path("log")).unwrap();
        let child = Command::new("dockerd")
            .args(["--storage-driver=vfs", "--iptables=false", "--ip6tables=false"])
            .args(["--bridge=none", "--host"])
            .arg(format!("unix://{}", path("socket").display()))
            .arg("--data-root")
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("exec"))
            .arg("--pidfile")
            .arg(path("pid"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let daemon = Self { child, directory };
        let begin = Instant::now();
        while !daemon.answers() {
            let log = || fs::read_to_string(daemon.directory.path().join("log"));
            assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", log());
            std::thread::sleep(Duration::from_millis(200));
        }
        daemon
    }

    fn host(&self) -> String {
        format!("unix://{}", self.directory.path().join("socket").display())
    }

    fn answers(&self) -> bool {
        let mut command = Command::new("docker");
        command.args(["--host", &self.host(), "info"]);
        command.output().is_ok_and(|output| output.status.success())
    }

    #[track_caller]
    fn docker(&self, arguments: &[&str], directory: &Path) -> String {
        let host = self.host();
        let all: Vec<&str> = ["--host", &host].iter().chain(arguments).copied().collect();
        run("docker", &all, directory)
    }

    fn images(&self) -> Vec<String> {
        let format = "{{.Repository}}:{{.Tag}} {{.ID}}";
        let listed = self.docker(&["images", "--no-trunc", "--format", format], Path::new("/"));
        let mut listed: Vec<String> = listed.lines().map(str::to_owned).collect();
        listed.sort();
        listed
    }

    fn remove_images(&self) {
        for image in self.images() {
            let name = image.split(' ').next().unwrap();
            self.docker(&["rmi", name], Path::new("/"));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has a containerd of its own, which it ends when it is asked to end.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").arg(&pid).status();
        let begin = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if begin.elapsed() > Duration::from_secs(30) {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// An OCI image with compressed layers, in an archive that Docker can load.
fn compressed_hybrid(image: &TestImage, directory: &Path) -> PathBuf {
    let manifest = layout_of(image, &directory.join("layout"), "x");
    let manifest = cask_image::RawManifest::new(manifest, cask_image::MediaType::OciManifest);
    let mut options = WriteOptions::default();
    options.layout = Layout::Hybrid;
    let path = directory.join("compressed.tar");
    let writer = DockerArchiveWriter::create(&path, &options).unwrap();
    for layer in image.layers.iter().map(|layer| gzip(layer)) {
        writer.write_layer(&digest(&layer), None, &mut &layer[..]).unwrap();
    }
    let names = references(&["foo/one:1", "foo/one:2"]);
    writer.add_oci_image(&manifest, &image.config, &names).unwrap();
    writer.finish(Durability::Kernel).unwrap();
    path
}

#[test]
fn docker_loads_what_is_written_and_what_it_saves_is_read() {
    if !has("dockerd") || !has("docker") || !is_root() {
        return;
    }
    let daemon = Daemon::start();
    let (one, two) = (TestImage::new(&["base", "one"]), TestImage::new(&["base", "two"]));
    let (one_id, two_id) = (one.config_digest(), two.config_digest());
    let both = [
        format!("foo/one:1 {one_id}"),
        format!("foo/one:2 {one_id}"),
        format!("foo/two:1 {two_id}"),
    ];
    for layout in [Layout::Classic, Layout::Hybrid] {
        let mut options = WriteOptions::default();
        options.layout = layout;
        let (directory, _path) =
            archive_of(&[(&one, &["foo/one:1", "foo/one:2"]), (&two, &["foo/two:1"])], &options);
        daemon.docker(&["load", "-i", "images.tar"], directory.path());
        assert_eq!(daemon.images(), both, "{layout:?}");

        let save = ["save", "-o", "saved.tar", "foo/one:2", "foo/two:1"];
        daemon.docker(&save, directory.path());
        let archive = open(&directory.path().join("saved.tar")).unwrap();
        one.check(&archive, &name("foo/one:2"));
        two.check(&archive, &name("foo/two:1"));
        daemon.remove_images();
    }
    let directory = tempfile::tempdir().unwrap();
    let path = compressed_hybrid(&one, directory.path());
    daemon.docker(&["load", "-i", &path.display().to_string()], directory.path());
    assert_eq!(daemon.images(), both[..2]);
}
