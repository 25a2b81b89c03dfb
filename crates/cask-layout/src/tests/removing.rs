//! Names, deletion and garbage.

use super::support::*;
use crate::{Content as _, ErrorKind, Layout, Selector};

#[test]
fn names_are_given_and_taken_away() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let (a, b) = (image("a", 1), image("b", 1));
    write(&layout, &a, Some("v1")).unwrap();
    write(&layout, &b, None).unwrap();
    let check = |expected: &[&str]| {
        assert_eq!(names(&layout), expected);
        check_clean(layout.path());
    };
    layout.tag(&a.manifest.descriptor(), &name("v2")).unwrap();
    check(&["v1", "@1", "v2"]);
    layout.tag(&b.manifest.descriptor(), &name("v1")).unwrap();
    check(&["@0", "v1", "v2"]);
    layout.tag(&b.manifest.descriptor(), &name("v1")).unwrap();
    check(&["@0", "v1", "v2"]);
    layout.untag("v2").unwrap();
    check(&["@0", "v1"]);
    assert_eq!(layout.untag("v2").unwrap_err().kind(), ErrorKind::NotFound);
    let missing = image("c", 1).manifest.descriptor();
    assert_eq!(layout.tag(&missing, &name("v3")).unwrap_err().kind(), ErrorKind::NotFound);
    let mut wrong = a.manifest.descriptor();
    wrong.size += 1;
    assert_eq!(layout.tag(&wrong, &name("v3")).unwrap_err().kind(), ErrorKind::SizeMismatch);
    check(&["@0", "v1"]);
}

#[test]
fn a_part_of_an_index_can_get_a_name() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let part = image("part", 1);
    write_index(&layout, &[&part, &image("more", 1)], "all");
    layout.tag(&part.manifest.descriptor(), &name("one")).unwrap();
    assert_eq!(names(&layout), ["all", "one"]);
    layout.delete(Selector::Name("all")).unwrap();
    check_clean(layout.path());
    assert_eq!(layout.manifest(&part.manifest.descriptor()).unwrap(), part.manifest);
}

#[test]
fn deleting_removes_what_no_other_image_needs() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let (a, b) = (image("a", 2), image("b", 2));
    write(&layout, &a, Some("a")).unwrap();
    write_index(&layout, &[&a, &b], "both");
    write(&layout, &b, Some("b")).unwrap();

    let removed = layout.delete(Selector::Name("a")).unwrap();
    assert_eq!((removed.blobs.len(), removed.entries.len()), (0, 1), "the index still needs it");
    let removed = layout.delete(Selector::Name("both")).unwrap();
    assert_eq!(removed.blobs.len(), 1 + 4, "the index, and image a with config and two layers");
    let bytes: usize = a.blobs.iter().map(Vec::len).sum();
    assert!(removed.freed_bytes > bytes as u64);
    check_clean(layout.path());
    assert_eq!(layout.delete(Selector::Name("a")).unwrap_err().kind(), ErrorKind::NotFound);
    layout.delete(Selector::Only).unwrap();
    assert_eq!(names(&layout), Vec::<String>::new());
    check_clean(layout.path());
}

#[test]
fn deleting_by_digest_takes_every_name() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let image = image("a", 1);
    for name in [Some("v1"), Some("v2"), None] {
        write(&layout, &image, name).unwrap();
    }
    let removed = layout.delete(Selector::Name("v1")).unwrap();
    assert_eq!((removed.entries.len(), removed.blobs.len()), (1, 0));
    assert_eq!(names(&layout), ["v2", "@1"]);
    let removed = layout.delete(Selector::Digest(image.manifest.digest())).unwrap();
    assert_eq!((removed.entries.len(), removed.blobs.len()), (2, 3));
    check_clean(layout.path());
}

#[test]
fn a_part_of_an_index_cannot_be_deleted() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let part = image("part", 1);
    write_index(&layout, &[&part], "all");
    let error = layout.delete(Selector::Digest(part.manifest.digest())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.hint(), Some("delete the whole, which is @0"));
    check_clean(layout.path());
}

#[test]
fn what_refers_to_an_image_outlives_it() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let subject = image("subject", 1);
    let referrer = image_with_subject("referrer", 1, Some(&subject.manifest));
    write(&layout, &subject, Some("v1")).unwrap();
    write(&layout, &referrer, None).unwrap();
    let removed = layout.delete(Selector::Name("v1")).unwrap();
    assert_eq!(removed.blobs.len(), 3);
    check_clean(layout.path());
    assert_eq!(layout.referrers(subject.manifest.digest()).unwrap().len(), 1);
}

#[test]
fn no_blob_goes_while_a_manifest_cannot_be_read() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let (a, b) = (image("a", 1), image("b", 1));
    write(&layout, &a, Some("a")).unwrap();
    write(&layout, &b, Some("b")).unwrap();
    let damaged = layout.path().join("blobs/sha256").join(b.manifest.digest().hex());
    let mut bytes = b.manifest.bytes().to_vec();
    bytes[20] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let before = files(layout.path());

    assert_eq!(layout.collect_garbage().unwrap_err().kind(), ErrorKind::DigestMismatch);
    let removed = layout.delete(Selector::Name("a")).unwrap();
    assert_eq!((removed.blobs.len(), removed.unreadable.len()), (0, 1));
    assert_eq!(names(&layout), ["b"]);
    assert_eq!(files(layout.path()), before, "only the entry is gone");
    // The damaged one can go, and then the rest.
    let removed = layout.delete(Selector::Name("b")).unwrap();
    assert_eq!(removed.blobs.len(), 1);
    let removed = layout.collect_garbage().unwrap();
    assert_eq!(removed.blobs.len(), 5);
    check_clean(layout.path());
}

#[test]
fn garbage_is_collected() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let kept = image("kept", 2);
    write(&layout, &kept, Some("v1")).unwrap();
    let transaction = layout.begin().unwrap();
    put(&transaction, &image("unlisted", 2)).unwrap();
    transaction.commit(&[]).unwrap();
    let blobs = layout.path().join("blobs/sha256");
    std::fs::write(blobs.join("not-a-digest"), "of somebody else").unwrap();
    std::os::unix::fs::symlink("/etc", blobs.join(digest(b"link").hex())).unwrap();
    let removed = layout.collect_garbage().unwrap();
    assert_eq!(removed.blobs.len(), 5, "and the link, but not where it leads");
    assert_eq!(check_whole(layout.path()), ["blobs/sha256/not-a-digest"]);
}

#[test]
fn content_of_unknown_types_keeps_what_it_names() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let transaction = layout.begin().unwrap();
    let part = transaction.write_bytes(b"part").unwrap();
    transaction.write_bytes(b"garbage").unwrap();
    let strange = format!(r#"{{"things":[{{"inside":{{"digest":"{part}"}}}}]}}"#);
    transaction.write_bytes(strange.as_bytes()).unwrap();
    let descriptor = describe("x/unheard-of".into(), strange.as_bytes());
    transaction.commit(&[crate::NewEntry { descriptor, name: None }]).unwrap();
    let removed = layout.collect_garbage().unwrap();
    assert_eq!(removed.blobs, [digest(b"garbage")]);
}

#[test]
fn shared_blobs_are_never_deleted() {
    let temp = tempfile::tempdir().unwrap();
    let shared = temp.path().join("shared");
    let options = options(|options| options.shared_blob_dir = Some(shared.clone()));
    let layout = Layout::create_or_open(temp.path().join("layout"), options).unwrap();
    write(&layout, &image("a", 1), Some("v1")).unwrap();
    let before = files(&shared);
    let transaction = layout.begin().unwrap();
    put(&transaction, &image("b", 1)).unwrap();
    drop(transaction);
    assert_eq!(files(&shared), before, "what was not committed is not there");
    let removed = layout.delete(Selector::Only).unwrap();
    assert_eq!((removed.entries.len(), removed.blobs.len()), (1, 0));
    layout.collect_garbage().unwrap();
    assert_eq!(files(&shared), before);
}
