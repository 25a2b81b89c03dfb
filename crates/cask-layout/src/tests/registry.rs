//! What a registry needs: directories that are open, blobs by link, deletion of single things.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;

use cask_image::{Algorithm, Descriptor, Hasher, MediaType};

use super::support::*;
use crate::{Content as _, ErrorKind, Layout, LayoutOptions, ReferenceName, Selector};

fn octets(content: &[u8]) -> Descriptor {
    let digest = Hasher::digest(Algorithm::Sha256, content);
    Descriptor::new(MediaType::from("application/octet-stream"), digest, content.len() as u64)
}

#[test]
fn an_open_directory_is_used_and_never_its_path() {
    let temp = tempfile::tempdir().unwrap();
    let directory = OwnedFd::from(File::open(temp.path()).unwrap());
    let layout = Layout::of_directory(directory, "/nowhere/x", LayoutOptions::default()).unwrap();
    assert!(!layout.exists().unwrap());
    write(&layout, &image("a", 1), Some("v1")).unwrap();
    assert!(layout.exists().unwrap());
    check_clean(temp.path());
    std::fs::remove_dir_all(temp.path()).unwrap();
    assert!(!layout.exists().unwrap());
    assert_eq!(layout.begin().unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_file_becomes_a_blob_by_a_link() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let path = temp.path().join("file");
    std::fs::write(&path, "content").unwrap();
    let (file, descriptor) = (File::open(&path).unwrap(), octets(b"content"));
    let transaction = layout.begin().unwrap();
    let mut wrong = descriptor.clone();
    wrong.size += 1;
    let error = transaction.link_blob(&file, &wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SizeMismatch);
    transaction.link_blob(&file, &descriptor).unwrap();
    drop(transaction);
    assert_eq!(layout.blob_size(&descriptor.digest).unwrap(), None, "nothing was committed");
    let transaction = layout.begin().unwrap();
    transaction.link_blob(&file, &descriptor).unwrap();
    transaction.link_blob(&file, &descriptor).unwrap();
    transaction.commit(&[]).unwrap();
    let (blob, _) = layout.open_blob(&descriptor.digest).unwrap();
    assert_eq!(blob.metadata().unwrap().ino(), file.metadata().unwrap().ino());
}

#[test]
fn a_file_without_a_name_is_copied() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let path = temp.path().join("file");
    std::fs::write(&path, "content").unwrap();
    let (file, descriptor) = (File::open(&path).unwrap(), octets(b"content"));
    std::fs::remove_file(&path).unwrap();
    let transaction = layout.begin().unwrap();
    transaction.link_blob(&file, &descriptor).unwrap();
    transaction.commit(&[]).unwrap();
    assert_eq!(layout.blob_size(&descriptor.digest).unwrap(), Some(7));
}

#[test]
fn a_manifest_goes_alone() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let a = image("a", 1);
    write(&layout, &a, Some("v1")).unwrap();
    layout.tag(&a.manifest.descriptor(), &name("v2")).unwrap();
    let removed = layout.delete_manifest(a.manifest.digest()).unwrap();
    assert_eq!((removed.entries.len(), removed.blobs.len()), (2, 1));
    assert!(names(&layout).is_empty());
    let error = layout.delete_manifest(a.manifest.digest()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(layout.collect_garbage().unwrap().blobs.len(), a.blobs.len());
}

#[test]
fn what_an_index_lists_stays() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let part = image("part", 1);
    write_index(&layout, &[&part], "all");
    let digest = part.manifest.digest();
    assert_eq!(layout.delete_manifest(digest).unwrap_err().kind(), ErrorKind::Unsupported);
    layout.tag(&part.manifest.descriptor(), &name("one")).unwrap();
    assert_eq!(layout.delete_manifest(digest).unwrap().blobs.len(), 0);
    assert_eq!(names(&layout), ["all"]);
    layout.resolve(Selector::Digest(digest)).unwrap();
}

#[test]
fn a_blob_goes_only_if_nothing_needs_it() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let a = image("a", 1);
    write(&layout, &a, Some("v1")).unwrap();
    let needed = octets(&a.blobs[0]).digest;
    assert_eq!(layout.delete_blob(&needed).unwrap_err().kind(), ErrorKind::Unsupported);
    let transaction = layout.begin().unwrap();
    let single = transaction.write_bytes(b"single").unwrap();
    transaction.commit(&[]).unwrap();
    let removed = layout.delete_blob(&single).unwrap();
    assert_eq!((removed.blobs.len(), removed.freed_bytes), (1, 6));
    assert_eq!(layout.delete_blob(&single).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn every_tag_is_a_name() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    for tag in ["_x", "a__b", "v1."] {
        let name = ReferenceName::from_tag(&tag.parse().unwrap());
        assert!(ReferenceName::parse(tag).is_err(), "{tag}");
        let a = image(tag, 1);
        write(&layout, &a, None).unwrap();
        layout.tag(&a.manifest.descriptor(), &name).unwrap();
        let found = layout.resolve(Selector::Name(tag)).unwrap();
        assert_eq!(found.descriptor.digest, *a.manifest.digest(), "{tag}");
    }
}
