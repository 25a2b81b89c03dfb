//! Places that hold several images.

use serde_json::json;
use tests::{daemon, dray, fixtures, has, identity, scratch, skopeo};

use crate::TOOLS;

#[test]
fn each_image_of_a_docker_archive_is_read_by_name_and_by_position() {
    if !has(&TOOLS) {
        return;
    }
    let two = &fixtures().podman_two;
    let theirs = skopeo(&format!("list-tags {two}")).ok().json();
    let ours = dray(&format!("list-tags {two}")).ok().json();
    assert_eq!(ours, theirs);
    let scratch = scratch();
    let names = ["localhost/fixture:1", "localhost/fixture:2", "@0", "@1"];
    for (index, name) in names.into_iter().enumerate() {
        let to = format!("oci:{}:it", scratch.at(&index.to_string()));
        dray(&format!("copy -q {two}:{name} {to}")).ok();
        assert_eq!(identity(&to), identity(&format!("{two}:{name}")), "{name}");
    }
    dray(&format!("inspect {two}")).ends(1);
    dray(&format!("inspect {two}:localhost/fixture:3")).ends(2);
}

#[test]
fn a_docker_archive_takes_a_further_image_and_docker_loads_both() {
    if !has(&TOOLS) || !has(&["docker"]) {
        return;
    }
    let scratch = scratch();
    let archive = format!("docker-archive:{}", scratch.at("more.tar"));
    let two = &fixtures().podman_two;
    for tag in ["1", "2"] {
        let to = format!("{archive}:example.com/appended:{tag}");
        let from = format!("{two}:localhost/fixture:{tag}");
        if tag == "2" {
            dray(&format!("copy -q {from} {to}")).ends(1).says("modifying existing images");
        }
        dray(&format!("copy -q --dest-append {from} {to}")).ok();
    }
    let tags = json!(["example.com/appended:1", "example.com/appended:2"]);
    assert_eq!(skopeo(&format!("list-tags {archive}")).ok().json()["Tags"], tags);
    assert_eq!(dray(&format!("list-tags {archive}")).ok().json()["Tags"], tags);
    daemon().docker(&format!("load -q -i {}", scratch.at("more.tar"))).ok();
    for tag in ["1", "2"] {
        let name = format!("example.com/appended:{tag}");
        let expected = identity(&format!("{two}:localhost/fixture:{tag}"));
        assert_eq!(identity(&format!("{archive}:{name}")), expected);
        let id = daemon().docker(&format!("inspect --format {{{{.Id}}}} {name}")).ok();
        assert_eq!(id.text(), expected.config);
        dray(&format!("validate {archive}:{name}")).ok();
    }
}

#[test]
fn layouts_that_skopeo_and_dray_write_by_turns_keep_every_name() {
    if !has(&TOOLS) {
        return;
    }
    for scheme in ["oci"] {
        let scratch = scratch();
        let place = format!("{scheme}:{}", scratch.at("it"));
        let from = &fixtures().buildah_oci;
        skopeo(&format!("copy -q {from} {place}:a")).ok();
        dray(&format!("copy -q {} {place}:b", fixtures().podman_docker_dir)).ok();
        skopeo(&format!("copy -q {from} {place}:c")).ok();
        dray(&format!("tag {place}:a d")).ok();
        dray(&format!("copy -q {from} {place}:a")).ok();
        let tags = dray(&format!("list-tags {place}")).ok().json();
        let mut tags: Vec<_> = tags["Tags"].as_array().expect("a list").iter().collect();
        tags.retain(|tag| !tag.as_str().unwrap_or_default().starts_with('@'));
        tags.sort_by_key(|tag| tag.to_string());
        assert_eq!(tags, ["a", "b", "c", "d"]);
        for name in ["a", "b", "c", "d"] {
            skopeo(&format!("inspect {place}:{name}")).ok();
            dray(&format!("validate {place}:{name}")).ok();
        }
        dray(&format!("untag {place}:d")).ok();
        dray(&format!("inspect {place}:d")).ends(2);
        dray(&format!("delete {place}:b")).ok();
        for name in ["a", "c"] {
            skopeo(&format!("copy -q {place}:{name} dir:{}", scratch.at(name))).ok();
        }
    }
}
