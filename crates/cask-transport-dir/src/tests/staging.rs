//! Writers that meet, and what they must not sweep up.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use cask_files::fault::{Fault, arm};
use cask_image::{Algorithm, Hasher};
use cask_transport::{ErrorKind, Measured};

use super::image::{Signed, files};
use crate::names;
use crate::staging::{Staging, is_hidden};

fn begin(target: &Path) -> Staging {
    Staging::begin(target.to_str().unwrap()).unwrap()
}

fn hidden(directory: &Path) -> Vec<String> {
    files(directory).into_keys().filter(|name| is_hidden(name)).collect()
}

#[tokio::test]
async fn a_writer_does_not_sweep_up_after_the_living() {
    for exists in [false, true] {
        let temp = tempfile::tempdir().unwrap();
        let target = temp.path().join("image");
        if exists {
            fs::create_dir(&target).unwrap();
        }
        let home = if exists { &target } else { temp.path() };
        let (one, two) = (Signed::new(1, 0), Signed::new(2, 0));
        let first = begin(&target);
        one.fill(&first).unwrap();
        let second = begin(&target);
        assert_eq!(hidden(home).len(), 2, "each has its own");
        two.fill(&second).unwrap();
        assert_eq!(second.publish().unwrap(), Vec::<String>::new());
        assert!(two.is_at(&target).await);
        drop(second);
        drop(begin(&target));
        assert_eq!(first.publish().unwrap(), Vec::<String>::new());
        assert!(one.is_at(&target).await, "the last one to publish wins");
        drop(first);
        assert_eq!(files(&target), one.files());
        assert_eq!(files(temp.path()).len(), 1);
    }
}

#[test]
fn what_a_writer_left_is_swept_though_a_child_process_has_its_handle_yet() {
    let temp = tempfile::tempdir().unwrap();
    let target = temp.path().join("image");
    let staging = begin(&target);
    // What `fork` does, until `exec`.
    let inherited = rustix::io::dup(staging.handle()).unwrap();
    arm(Some(Fault::Fail(0)));
    drop(staging);
    arm(None);
    assert_eq!(hidden(temp.path()).len(), 1, "it could not be removed");
    drop(begin(&target));
    assert_eq!(hidden(temp.path()).len(), 0, "the next writer has swept it");
    drop(inherited);
}

#[test]
fn what_only_looks_like_litter_stays() {
    let temp = tempfile::tempdir().unwrap();
    let target = temp.path().join("image");
    let staging = begin(&target);
    let litter = hidden(temp.path()).remove(0);
    drop(staging);
    assert!(is_hidden(&litter) && !is_hidden(&format!("{litter}0000")) && !is_hidden("x"));

    // Somebody's own files in a directory of this name.
    let path = temp.path().join(&litter);
    fs::create_dir(&path).unwrap();
    fs::write(path.join("diary"), "precious").unwrap();
    drop(begin(&target));
    assert_eq!(fs::read_to_string(path.join("diary")).unwrap(), "precious");
    fs::remove_dir_all(&path).unwrap();

    // A link to an image, by which a sweep could be led away.
    let elsewhere = temp.path().join("elsewhere");
    Signed::new(1, 1).write(&elsewhere).unwrap();
    let was = files(&elsewhere);
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    drop(begin(&target));
    assert_eq!(files(&elsewhere), was);
    assert!(path.is_symlink());
}

#[test]
fn too_many_leftovers_are_an_error_that_says_where_they_are() {
    let temp = tempfile::tempdir().unwrap();
    let target = temp.path().join("image");
    let all: Vec<_> = (0..64).map(|_| begin(&target)).collect();
    let error = Staging::begin(target.to_str().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.hint().unwrap().contains(temp.path().to_str().unwrap()), "{error:?}");
    drop(all);
    assert_eq!(files(temp.path()).len(), 0);
}

#[test]
fn nothing_is_written_after_the_end() {
    let temp = tempfile::tempdir().unwrap();
    let target = temp.path().join("image");
    let image = Signed::new(1, 0);
    let staging = begin(&target);
    image.fill(&staging).unwrap();
    let late = |staging: &Staging| {
        let error = staging.write(|_| Ok(()), |()| "late".into()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    };
    // A write that was given up, and goes on: it neither stays behind nor comes too late.
    staging
        .write(
            |part| {
                staging.publish().unwrap();
                std::io::Write::write_all(part, b"x").unwrap_err();
                Ok(())
            },
            |()| "late".into(),
        )
        .unwrap_err();
    late(&staging);
    assert_eq!(files(&target), image.files());

    let staging = begin(&target);
    staging.abandon();
    late(&staging);
    assert_eq!(staging.publish().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(files(&target), image.files());
    assert_eq!(files(temp.path()).len(), 1);
}

#[test]
fn blobs_of_the_old_image_are_reused_if_they_are_what_they_should_be() {
    let temp = tempfile::tempdir().unwrap();
    let target = temp.path().join("image");
    let image = Signed::new(1, 0);
    let wanted = Measured::from(&image.content.blobs[1].descriptor);
    let path = target.join(names::blob(&wanted.digest));
    assert!(!begin(&target).reuse(&wanted).unwrap(), "there is no old image");
    image.write(&target).unwrap();
    assert!(begin(&target).reuse(&wanted).unwrap());
    let longer = Measured { size: wanted.size + 1, ..wanted.clone() };
    assert!(!begin(&target).reuse(&longer).unwrap());
    let other = Measured { digest: Hasher::digest(Algorithm::Sha512, b""), size: 0 };
    assert!(!begin(&target).reuse(&other).unwrap(), "it is not there");

    // Published with a reused blob, the new image is complete, and stays so.
    let staging = begin(&target);
    for (name, bytes) in image.files() {
        if name != names::blob(&wanted.digest) {
            staging
                .write(
                    |part| {
                        std::io::Write::write_all(part, &bytes).unwrap();
                        Ok(())
                    },
                    |()| name.clone(),
                )
                .unwrap();
        }
    }
    assert!(staging.reuse(&wanted).unwrap());
    staging.publish().unwrap();
    drop(staging);
    assert_eq!(files(&target), image.files());

    let mut bytes = fs::read(&path).unwrap();
    bytes[7] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(!begin(&target).reuse(&wanted).unwrap(), "a bit is wrong");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("manifest.json", &path).unwrap();
    assert!(!begin(&target).reuse(&wanted).unwrap(), "it is a link");
    image.write(&target).unwrap();
    assert_eq!(files(&target), image.files(), "a link is replaced, not followed");
}

#[test]
fn an_existing_directory_stays_the_one_it_is() {
    let temp = tempfile::tempdir().unwrap();
    let target = temp.path().join("image");
    fs::create_dir(&target).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o2710)).unwrap();
    let identity = |path: &Path| {
        let found = fs::metadata(path).unwrap();
        (std::os::unix::fs::MetadataExt::ino(&found), found.permissions().mode())
    };
    let was = identity(&target);
    Signed::new(1, 0).write(&target).unwrap();
    Signed::new(2, 0).write(&target).unwrap();
    assert_eq!(identity(&target), was);
}
