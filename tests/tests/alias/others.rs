//! The other commands.

use tests::tree;

use crate::{both, place, ready, same, same_error, words};

#[test]
fn list_tags_prints_the_same() {
    if !ready() {
        return;
    }
    let place = place();
    same(&place, &words("list-tags docker-archive:IN/save.tar"));
    same_error(&place, "list-tags dir:IN/image", "Unsupported transport 'dir' for tag listing");
}

#[test]
fn manifest_digest_prints_the_same() {
    if !ready() {
        return;
    }
    let place = place();
    for file in ["IN/image/manifest.json", "IN/list/manifest.json", "IN/save.tar"] {
        same(&place, &["manifest-digest", file]);
    }
    same_error(&place, "manifest-digest IN/nowhere", "Error reading manifest from");
}

#[test]
fn delete_is_refused_with_the_same_words_where_nothing_can_be_deleted() {
    if !ready() {
        return;
    }
    let place = place();
    for image in ["dir:IN/image", "docker-archive:IN/save.tar:a:1"] {
        let [_, theirs] = both(&place, &["delete", image]);
        let phrase = "Deleting images not implemented for";
        assert!(theirs.code == 1 && theirs.stderr.contains(phrase), "{theirs}");
    }
    let before = tree(&place.join("image"));
    let [ours, _] = both(&place, &["delete", "dir:IN/image"]);
    let ours = ours.ends(1).says("Deleting images not implemented for dir: images");
    assert_eq!(ours.text(), "");
    assert!(tree(&place.join("image")) == before);
}
