//! Stores in temporary directories, the peers' programs on them, and images.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cask_image::{
    Algorithm, Descriptor, Digest, Hasher, ImageConfig, ImageFormat, ImageManifest,
    LayerCompression, MediaType, RawManifest,
};
use cask_storage::{DriverKind, Store, StoreOptions};

/// Whether the peers can be asked; fails where they must be.
pub(crate) fn peers_are_there() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    let all = is_root && ["podman", "buildah", "skopeo"].into_iter().all(there);
    assert!(all || std::env::var_os("CI").is_none(), "podman, buildah, skopeo and root are needed");
    if !all {
        eprintln!("podman, buildah, skopeo or root are missing: nothing is compared");
    }
    all
}

/// A store in a directory of its own.
pub(crate) struct TestStore {
    directory: tempfile::TempDir,
    driver: DriverKind,
}

impl TestStore {
    pub(crate) fn new(driver: DriverKind) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), driver }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn options(&self) -> StoreOptions {
        let mut options = StoreOptions::new(self.root(), self.run());
        options.driver = Some(self.driver);
        options.lock_timeout = Some(std::time::Duration::from_secs(60));
        options
    }

    pub(crate) fn open(&self) -> Store {
        Store::open(self.options()).unwrap()
    }

    /// The name of an image in this store, for skopeo.
    pub(crate) fn name(&self, image: &str) -> String {
        let (root, run) = (self.root(), self.run());
        let (root, run) = (root.display(), run.display());
        format!("containers-storage:[{}@{root}+{run}]{image}", self.driver)
    }

    /// Runs podman or buildah on the store.
    pub(crate) fn peer(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.arg("--root").arg(self.root()).arg("--runroot").arg(self.run());
        command.args(["--storage-driver", self.driver.as_str()]);
        if program == "podman" {
            // Its database of containers would be shared with the system otherwise.
            command.arg("--tmpdir").arg(self.directory.path().join("libpod"));
        }
        command.args(arguments).output().unwrap()
    }

    /// Runs podman, which must succeed; gives what it prints.
    pub(crate) fn podman(&self, arguments: &[&str]) -> String {
        text(&self.peer("podman", arguments), arguments)
    }

    /// Runs buildah, which must succeed; gives what it prints.
    pub(crate) fn buildah(&self, arguments: &[&str]) -> String {
        text(&self.peer("buildah", arguments), arguments)
    }

    /// What lies in the driver's directory, without what feature tests of peers leave there.
    pub(crate) fn driver_entries(&self) -> Vec<String> {
        let path = match self.driver {
            DriverKind::Vfs => self.root().join("vfs/dir"),
            _ => self.root().join("overlay"),
        };
        let mut names: Vec<String> = std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.len() == 64)
            .collect();
        names.sort();
        names
    }
}

impl Drop for TestStore {
    fn drop(&mut self) {
        // Peers mount the driver's directory over itself and leave it so.
        for path in ["root/overlay", "root/vfs"] {
            let path = self.directory.path().join(path);
            while rustix::mount::unmount(&path, rustix::mount::UnmountFlags::DETACH).is_ok() {}
        }
    }
}

fn text(output: &Output, arguments: &[&str]) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout.clone()).unwrap().trim().to_owned()
}

/// Runs skopeo, which must succeed.
pub(crate) fn skopeo(arguments: &[&str]) -> String {
    let mut command = Command::new("skopeo");
    text(&command.arg("--insecure-policy").args(arguments).output().unwrap(), arguments)
}

/// An image to put into stores: its config, its manifest and its layers.
pub(crate) struct TestImage {
    pub(crate) config: Vec<u8>,
    pub(crate) manifest: RawManifest,
    pub(crate) layers: Vec<Vec<u8>>,
    pub(crate) diff_ids: Vec<Digest>,
}

/// What an entry of a layer is.
pub(crate) enum Entry<'a> {
    Directory(&'a str),
    File(&'a str, &'a [u8]),
    Link(&'a str, &'a str),
    HardLink(&'a str, &'a str),
}

/// A tar stream of some entries.
pub(crate) fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(1_700_000_000);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mode(0o755);
        header.set_size(0);
        let mut append = |mut header: tar::Header, path: &str, data: &[u8]| {
            builder.append_data(&mut header, path, data).unwrap();
        };
        match entry {
            Entry::Directory(path) => {
                header.set_entry_type(tar::EntryType::Directory);
                append(header, path, &[]);
            }
            Entry::File(path, data) => {
                header.set_size(data.len() as u64);
                append(header, path, data);
            }
            Entry::Link(path, target) | Entry::HardLink(path, target) => {
                let kind = match entry {
                    Entry::Link(..) => tar::EntryType::Symlink,
                    _ => tar::EntryType::Link,
                };
                header.set_entry_type(kind);
                builder.append_link(&mut header, path, target).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

/// The layers that most tests use: a base with programs, one that adds and deletes.
pub(crate) fn usual_layers() -> Vec<Vec<u8>> {
    let busybox = std::fs::read("/bin/busybox").unwrap_or_else(|_| b"no busybox".to_vec());
    let base = tar(&[
        Entry::Directory("bin/"),
        Entry::File("bin/busybox", &busybox),
        Entry::Link("bin/sh", "busybox"),
        Entry::HardLink("bin/cat", "bin/busybox"),
        Entry::Directory("etc/"),
        Entry::File("etc/old", b"old"),
        Entry::Directory("opaque/"),
        Entry::File("opaque/below", b"below"),
    ]);
    let upper = tar(&[
        Entry::Directory("etc/"),
        Entry::File("etc/.wh.old", b""),
        Entry::File("etc/new", b"new\n"),
        Entry::Directory("opaque/"),
        Entry::File("opaque/.wh..wh..opq", b""),
        Entry::File("opaque/above", b"above"),
    ]);
    vec![base, upper]
}

impl TestImage {
    /// An image of tar streams, compressed with gzip.
    pub(crate) fn new(tars: &[Vec<u8>]) -> Self {
        let sha256 = |bytes: &[u8]| Hasher::digest(Algorithm::Sha256, bytes);
        let diff_ids: Vec<Digest> = tars.iter().map(|tar| sha256(tar)).collect();
        let mut config = ImageConfig::new("linux", "amd64");
        config.diff_ids = diff_ids.clone();
        config.config.cmd = Some(vec!["/bin/sh".to_owned()]);
        let config = config.encode().to_vec();
        let layers: Vec<Vec<u8>> = tars.iter().map(|tar| gzip(tar)).collect();
        let descriptors = layers.iter().map(|layer| {
            Descriptor::new(
                MediaType::OciLayer(LayerCompression::Gzip),
                sha256(layer),
                layer.len() as u64,
            )
        });
        let config_descriptor =
            Descriptor::new(MediaType::OciConfig, sha256(&config), config.len() as u64);
        let manifest =
            ImageManifest::new(ImageFormat::Oci, config_descriptor, descriptors.collect()).encode();
        Self { config, manifest, layers, diff_ids }
    }

    /// Writes the image as a layout; gives skopeo's name for it.
    pub(crate) fn write_layout(&self, directory: &Path) -> String {
        let blobs = directory.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        let blob = |bytes: &[u8]| {
            let digest = Hasher::digest(Algorithm::Sha256, bytes);
            std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
        };
        blob(&self.config);
        blob(self.manifest.bytes());
        self.layers.iter().for_each(|layer| blob(layer));
        let layout = r#"{"imageLayoutVersion":"1.0.0"}"#;
        std::fs::write(directory.join("oci-layout"), layout).unwrap();
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{}","digest":"{}","size":{},"annotations":{{"org.opencontainers.image.ref.name":"1"}}}}]}}"#,
            self.manifest.media_type(),
            self.manifest.digest(),
            self.manifest.bytes().len()
        );
        std::fs::write(directory.join("index.json"), index).unwrap();
        format!("oci:{}:1", directory.display())
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
