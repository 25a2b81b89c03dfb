//! Trees, described so that they can be compared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cask_layer::{Applied, ApplyError, ApplyOptions, Whiteouts, apply};
use cask_rootfs::{Order, Root};

/// A host directory with `root/` in it, and beside it what must never be touched.
pub(crate) struct Host(tempfile::TempDir);

impl Host {
    pub(crate) fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        fs::create_dir(host.at("root")).unwrap();
        fs::create_dir(host.at("outside")).unwrap();
        fs::write(host.at("outside/secret"), "outside").unwrap();
        host
    }

    pub(crate) fn at(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(path)
    }

    pub(crate) fn root(&self) -> Root {
        Root::open(self.at("root")).unwrap()
    }

    /// A text as found at a path below the root, symbolic links not followed by this test.
    pub(crate) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.at("root").join(path)).unwrap_or_else(|e| format!("{path}: {e}"))
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.at("root").join(path).symlink_metadata().is_ok()
    }

    pub(crate) fn assert_untouched(&self) {
        let names = |path: &Path| {
            let mut names: Vec<_> =
                fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(self.0.path()), ["outside", "root"]);
        assert_eq!(names(&self.at("outside")), ["secret"]);
        assert_eq!(fs::read(self.at("outside/secret")).unwrap(), b"outside");
        assert_eq!(fs::metadata(self.at("outside/secret")).unwrap().nlink(), 1);
    }
}

pub(crate) fn options(whiteouts: Whiteouts) -> ApplyOptions {
    let mut options = ApplyOptions::default();
    options.whiteouts = whiteouts;
    options
}

pub(crate) fn extract(tar: &[u8], host: &Host) -> Result<Applied, ApplyError> {
    extract_with(tar, host, &options(Whiteouts::OverlayUser))
}

pub(crate) fn extract_with(
    tar: &[u8],
    host: &Host,
    options: &ApplyOptions,
) -> Result<Applied, ApplyError> {
    let (applied, rest, ()) = apply(tar, &host.root(), options, ())?;
    assert!(rest.is_empty(), "the stream was read to its end");
    Ok(applied)
}

/// One entry: type and permissions, owner, links, size or device, time, attributes, contents.
pub(crate) type Description = BTreeMap<Vec<u8>, String>;

/// Describes everything below a root. Names of one file are told by the first of them.
pub(crate) fn describe(root: &Root, with_nanoseconds: bool) -> Description {
    let mut found = BTreeMap::new();
    let mut first = BTreeMap::new();
    let mut ahead = vec![Vec::new()];
    while let Some(path) = ahead.pop() {
        let directory = root.directory(std::ffi::OsStr::from_bytes(&path)).unwrap();
        for entry in directory.entries(Order::Name).unwrap() {
            let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
            let path = [&path[..], slash, entry.name.as_bytes()].concat();
            let data = directory.metadata(&entry.name).unwrap();
            let mut text = format!("{:?} {:o} {}:{}", data.kind, data.mode, data.uid, data.gid);
            text += &format!(" {}:{}", data.device_major, data.device_minor);
            let time = data.modified;
            text += &match with_nanoseconds {
                true => format!(" {}.{:09}", time.seconds, time.nanoseconds),
                false => format!(" {}", time.seconds),
            };
            for name in directory.attributes(&entry.name).unwrap() {
                let value = directory.attribute(&entry.name, &name).unwrap().unwrap();
                text += &format!(" {}={}", name.display(), value.escape_ascii());
            }
            match data.kind {
                cask_rootfs::Kind::Directory => ahead.push(path.clone()),
                cask_rootfs::Kind::Symlink => {
                    text += &format!(" -> {:?}", directory.read_link(&entry.name).unwrap());
                }
                cask_rootfs::Kind::File => {
                    let mut contents = Vec::new();
                    let mut file = directory.open_file(&entry.name).unwrap();
                    std::io::Read::read_to_end(&mut file, &mut contents).unwrap();
                    let mut crc = cask_layer::Crc64::default();
                    crc.update(&contents);
                    text += &format!(" {} {:x}", contents.len(), crc.value());
                }
                _ => {}
            }
            if !data.is_directory() && data.links > 1 {
                let name = first.entry(data.inode).or_insert_with(|| path.clone());
                text += &format!(" links {} as {}", data.links, name.escape_ascii());
            }
            found.insert(path, text);
        }
    }
    found
}

/// Fails with the first few differences of two trees.
pub(crate) fn assert_same(found: &Description, expected: &Description, what: &str) {
    let names: std::collections::BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let mut differences = Vec::new();
    for name in names {
        if found.get(name) != expected.get(name) {
            differences.push(format!(
                "{}\n  found    {:?}\n  expected {:?}",
                name.escape_ascii(),
                found.get(name),
                expected.get(name)
            ));
        }
    }
    let shown = differences.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{what}: {} differences\n{shown}", differences.len());
}
