//! The other commands.

use std::os::unix::fs::symlink;

use tests::{cellar_built, command, cooper_built, dray_built, run, scratch, tree};

use crate::{both, place, ready, same, same_error, words};

#[test]
fn a_link_with_the_name_of_a_tool_says_a_version_of_it() {
    let scratch = scratch();
    let tools = [
        (cellar_built(), "podman", "4.9.4"),
        (cooper_built(), "buildah", "1.33.7"),
        (dray_built(), "skopeo", "1.14.2"),
    ];
    for (built, peer, version) in tools {
        let link = scratch.join(peer);
        symlink(built, &link).expect("the directory is ours");
        let said = run(command(&link).arg("--version")).ok();
        assert_eq!(said.text(), format!("{peer} version {version}"));
        let own = run(command(built).arg("--version")).ok();
        assert_eq!(own.text().split(' ').nth(2), Some(env!("CARGO_PKG_VERSION")), "{own}");
    }
    let format = ["version", "--format", "{{.Client.Version}}"];
    assert_eq!(run(command(scratch.join("podman")).args(format)).ok().text(), "4.9.4");
}

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
