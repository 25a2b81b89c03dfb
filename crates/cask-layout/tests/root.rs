//! What needs root: a file system that is full.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]
#![expect(clippy::print_stderr, reason = "whoever runs the tests is told what they leave out")]

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use cask_image::{Algorithm, Descriptor, Hasher, MediaType};
use cask_layout::{Layout, LayoutOptions, NewEntry, ReferenceName, Result};

/// A tiny file system, unmounted at the end.
struct Mount(tempfile::TempDir);

impl Mount {
    /// `None` for users who may not mount.
    fn new(kilobytes: u64) -> Option<Self> {
        let temp = tempfile::tempdir().unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"])
            .arg(temp.path())
            .status();
        if status.is_ok_and(|status| status.success()) {
            return Some(Self(temp));
        }
        assert!(std::env::var_os("CI").is_none(), "this test needs root, to mount a file system");
        eprintln!("no right to mount a file system: nothing was tested");
        None
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

fn write(layout: &Layout, seed: u64, kilobytes: usize, name: &str) -> Result<()> {
    let transaction = layout.begin()?;
    let content = seed.to_le_bytes().repeat(kilobytes * 128);
    let digest = Hasher::digest(Algorithm::Sha256, &content);
    let layer = Descriptor::new(MediaType::OciConfig, digest, content.len() as u64);
    let mut writer = transaction.blob_writer()?;
    for piece in content.chunks(16 << 10) {
        if let Err(error) = writer.write_all(piece) {
            assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
            drop(writer);
            // Whoever goes on all the same finds no blob.
            let missing = NewEntry { descriptor: layer, name: None };
            return Err(transaction.commit(&[missing]).unwrap_err());
        }
    }
    writer.finish(&layer)?;
    let image = cask_image::ImageManifest::new(cask_image::ImageFormat::Oci, layer, Vec::new());
    let manifest = image.encode();
    transaction.write_manifest(&manifest)?;
    let name = Some(ReferenceName::parse(name).unwrap());
    transaction.commit(&[NewEntry { descriptor: manifest.descriptor(), name }])
}

fn files(path: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(files(&path));
        } else {
            names.push(path.display().to_string());
        }
    }
    names.sort();
    names
}

#[test]
fn a_full_file_system_loses_nothing() {
    let Some(mount) = Mount::new(1024) else { return };
    let path = mount.0.path().join("layout");
    let layout = Layout::create_or_open(&path, LayoutOptions::default()).unwrap();
    write(&layout, 0, 2000, "too-large").unwrap_err();
    assert!(!path.exists(), "nothing remains: {:?}", files(&path));

    let mut written = 0;
    loop {
        let before = files(&path);
        // Smaller and smaller images fill the last page, so that every step fails once.
        let kilobytes = if written < 9 { 100 } else { 1 };
        match write(&layout, written + 1, kilobytes, &format!("v{written}")) {
            Ok(()) => written += 1,
            Err(_) => {
                let mut after = files(&path);
                after.retain(|file| !before.contains(file));
                assert!(after.is_empty(), "{after:?}");
                break;
            }
        }
    }
    assert!(written > 9, "only {written} images were written");
    let names: Vec<String> =
        layout.list().unwrap().iter().map(|entry| entry.name().unwrap().to_owned()).collect();
    assert_eq!(names, (0..written).map(|number| format!("v{number}")).collect::<Vec<_>>());
    for entry in layout.list().unwrap() {
        layout.manifest(&entry.descriptor).unwrap();
    }
    // A full file system can be emptied, and written again.
    layout.delete(cask_layout::Selector::Position(0)).unwrap();
    write(&layout, 1_000, 50, "again").unwrap();
}
