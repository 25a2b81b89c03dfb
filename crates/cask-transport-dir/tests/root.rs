//! What needs root: mounts, a full disk, devices, another user.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]
#![expect(clippy::print_stderr, reason = "whoever runs the tests is told what they leave out")]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use cask_image::Algorithm;
use cask_testkit::generate::{ImageSpec, LayerSpec, dir_files};
use cask_transport::ErrorKind;
use common::{files, image, location, names, read, write};

/// A mount, undone at the end.
struct Mount(PathBuf);

impl Mount {
    /// `None` for users who may not mount.
    fn new(arguments: &[&str], path: &Path) -> Option<Self> {
        let status = Command::new("mount").args(arguments).arg(path).status();
        if status.is_ok_and(|status| status.success()) {
            return Some(Self(path.to_owned()));
        }
        assert!(std::env::var_os("CI").is_none(), "this test needs root, to mount a file system");
        eprintln!("no right to mount a file system: nothing was tested");
        None
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    assert!(root || std::env::var_os("CI").is_none(), "this test needs root");
    if !root {
        eprintln!("only root can do this: nothing was tested");
    }
    root
}

#[tokio::test]
async fn a_full_disk_leaves_the_old_image_and_no_litter() {
    let temp = tempfile::tempdir().unwrap();
    let disk = temp.path();
    let Some(_mount) = Mount::new(&["-t", "tmpfs", "-o", "size=2m", "tmpfs"], disk) else { return };
    let large = ImageSpec::new(1).layer(LayerSpec::new(1).size_bytes(6 << 20)).build().content();
    let (new, kept) = (disk.join("new"), disk.join("kept"));
    let full = |error: cask_transport::Error, case: &str| {
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(error.kind(), ErrorKind::Io, "{case}: {error:?}");
        assert!(cause.contains("No space left"), "{case}: {error:?}");
    };
    full(write(&new, &large).await.unwrap_err(), "new");
    assert!(names(disk).is_empty(), "{:?}", names(disk));
    write(&kept, &image(1)).await.unwrap();
    full(write(&kept, &large).await.unwrap_err(), "kept");
    assert_eq!(files(&kept), dir_files(&image(1)));

    // Page by page less room, so that every step finds the disk full once.
    let ballast = disk.join("ballast");
    let mut failed = 0;
    for free_pages in (0..40).rev() {
        fs::write(&ballast, "").unwrap();
        let stat = rustix::fs::statvfs(disk).unwrap();
        let bytes = stat.f_bfree.saturating_sub(free_pages) * stat.f_frsize;
        fs::write(&ballast, vec![1; usize::try_from(bytes).unwrap()]).unwrap();
        let was = files(&kept);
        match write(&kept, &image(free_pages)).await {
            Ok(_) => assert_eq!(files(&kept), dir_files(&image(free_pages))),
            Err(error) => {
                full(error, "a little room");
                assert_eq!(files(&kept), was);
                failed += 1;
            }
        }
        if let Err(error) = write(&new, &image(free_pages)).await {
            full(error, "a little room for a new one");
            assert_eq!(names(disk), ["ballast", "kept"]);
        } else {
            fs::remove_dir_all(&new).unwrap();
        }
    }
    assert!((5..40).contains(&failed), "{failed} writes failed");
    fs::remove_file(&ballast).unwrap();
    write(&kept, &image(99)).await.unwrap();
    assert_eq!(files(&kept), dir_files(&image(99)));
}

#[tokio::test]
async fn a_target_that_is_a_mount_point_is_written_where_it_is() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| {
        let path = temp.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let (tmpfs, bound, origin) = (at("tmpfs"), at("bound"), at("origin"));
    let Some(_tmpfs) = Mount::new(&["-t", "tmpfs", "tmpfs"], &tmpfs) else { return };
    let origin_text = origin.to_str().unwrap();
    let Some(_bound) = Mount::new(&["--bind", origin_text], &bound) else { return };
    for path in [&tmpfs, &bound] {
        for seed in 0..3 {
            let was = fs::metadata(path).unwrap();
            write(path, &image(seed)).await.unwrap();
            assert_eq!(files(path), dir_files(&image(seed)));
            assert_eq!(read(path).await.unwrap(), image(seed).top.digest);
            let is = fs::metadata(path).unwrap();
            assert_eq!((is.dev(), is.ino()), (was.dev(), was.ino()));
        }
    }
    assert_eq!(files(&origin), dir_files(&image(2)), "it is the same directory");
    assert_eq!(names(temp.path()), ["bound", "origin", "tmpfs"]);
}

#[tokio::test]
async fn a_file_system_that_is_read_only_is_an_error_and_no_panic() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path();
    let Some(_mount) = Mount::new(&["-t", "tmpfs", "tmpfs"], path) else { return };
    let image_path = path.join("image");
    write(&image_path, &image(1)).await.unwrap();
    fs::create_dir(path.join("empty")).unwrap();
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(path).status().unwrap();
    assert!(remounted.success());
    for name in ["image", "empty", "new"] {
        let error = write(&path.join(name), &image(2)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{name}: {error:?}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("Read-only file system"), "{name}: {error:?}");
    }
    assert_eq!(read(&image_path).await.unwrap(), image(1).top.digest);

    // The parent cannot be written, and the target can.
    let target = path.join("empty");
    let Some(_writable) = Mount::new(&["-t", "tmpfs", "tmpfs"], &target) else { return };
    for seed in 0..2 {
        write(&target, &image(seed)).await.unwrap();
        assert_eq!(files(&target), dir_files(&image(seed)));
    }
}

#[tokio::test]
async fn devices_are_not_opened() {
    if !is_root() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("image");
    let blob = image(1).blobs[0].digest().hex().to_owned();
    // A terminal would become ours, zeros would never end, and nobody has the last one.
    for (kind, major, minor) in [("c", 5, 2), ("c", 1, 5), ("b", 200, 200)] {
        for name in ["version", "manifest.json", &blob] {
            write(&path, &image(1)).await.unwrap();
            let file = path.join(name);
            fs::remove_file(&file).unwrap();
            let status = Command::new("mknod")
                .arg(&file)
                .args([kind, &major.to_string(), &minor.to_string()])
                .status();
            assert!(status.unwrap().success());
            let error = read(&path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
            let expected = format!(
                "opening {}: it is a device, and a regular file is expected",
                file.display()
            );
            assert_eq!(error.to_string(), expected);
            fs::remove_dir_all(&path).unwrap();
        }
    }
}

/// The part of a test that somebody without rights runs.
#[tokio::test]
async fn nobody() {
    let Ok(path) = std::env::var("CASK_TRANSPORT_DIR_NOBODY") else { return };
    let path = Path::new(&path);
    let denied = |name: &'static str| {
        let target = path.join(name);
        async move {
            let error = write(&target, &image(3)).await.expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Denied, "{name}: {error:?}");
        }
    };
    // Nothing can be created in the parent, but what is there belongs to us.
    denied("new").await;
    write(&path.join("own"), &image(3)).await.unwrap();
    assert_eq!(files(&path.join("own")), dir_files(&image(3)));
    // Somebody else's directory, one of our own that we closed, and one we cannot even look into.
    denied("theirs").await;
    denied("closed").await;
    denied("secret").await;
    let error = location(&path.join("secret")).source().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    let error = location(&path.join("secret/image")).policy_identity().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    read(&path.join("theirs")).await.unwrap();
    // In a group's directory, our own files can replace those of another.
    write(&path.join("shared"), &image(3)).await.unwrap();
    assert_eq!(files(&path.join("shared")), dir_files(&image(3)));
    // Where only owners remove files, the old image stays whole.
    denied("sticky").await;
    assert_eq!(files(&path.join("sticky")), dir_files(&image(1)));
}

#[tokio::test]
async fn permissions_are_those_of_the_system() {
    if !is_root() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let make = |path: PathBuf, mode: u32, owner: u32| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        std::os::unix::fs::chown(&path, Some(owner), None).unwrap();
    };
    make(temp.path().to_owned(), 0o755, 0);
    for (name, mode, owner) in [
        ("own", 0o755, 65534),
        ("theirs", 0o755, 0),
        ("closed", 0o555, 65534),
        ("secret", 0o700, 0),
        ("shared", 0o777, 0),
        ("sticky", 0o1777, 0),
    ] {
        write(&temp.path().join(name), &image(1)).await.unwrap();
        make(temp.path().join(name), mode, owner);
    }
    // Where nobody can go, there is no program to run either.
    let program = temp.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"])
        .arg(&program)
        .args(["--exact", "nobody", "--nocapture"])
        .env("CASK_TRANSPORT_DIR_NOBODY", temp.path())
        .current_dir("/")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(names(temp.path()).iter().all(|name| !name.starts_with('.')), "no litter");
    assert_eq!(fs::metadata(temp.path().join("own")).unwrap().uid(), 65534);
}

#[tokio::test]
async fn litter_of_other_users_is_left_alone() {
    if !is_root() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("image");
    let hash = cask_image::Hasher::digest(Algorithm::Sha256, b"image");
    let hidden = temp.path().join(format!(".cask-unfinished-{}-0", &hash.hex()[..16]));
    for (owner, stays) in [(65534, true), (0, false)] {
        fs::create_dir(&hidden).unwrap();
        fs::write(hidden.join("manifest.json"), "").unwrap();
        std::os::unix::fs::chown(&hidden, Some(owner), None).unwrap();
        write(&path, &image(1)).await.unwrap();
        assert_eq!(hidden.join("manifest.json").exists(), stays);
        fs::remove_dir_all(&path).unwrap();
        if stays {
            fs::remove_dir_all(&hidden).unwrap();
        }
    }
}
