//! Flags of `copy`, `inspect` and the like that change what is read and written.

use cask_testkit::generate::{ArtifactSpec, ImageSpec, write_oci_layout};
use serde_json::json;
use tests::{dray, scratch};

use crate::layout;

#[test]
fn referrers_come_along_only_when_asked_for() {
    let scratch = scratch();
    let image = ImageSpec::new(1).build().content();
    let about = ArtifactSpec::new(2, "application/spdx+json").subject(&image.top).build();
    write_oci_layout(&scratch.join("layout"), &[(Some("it"), &image), (None, &about)])
        .expect("it is writable");
    let from = format!("oci:{}:it", scratch.at("layout"));
    let listed = |place: &str| {
        let listed = dray(&format!("referrers --json {place}")).ok().json();
        listed["Referrers"].as_array().map(Vec::len).expect("it is a list")
    };
    let (alone, both) = (scratch.at("alone"), scratch.at("both"));
    dray(&format!("copy -q {from} oci:{alone}:it")).ok();
    dray(&format!("copy -q --referrers {from} oci:{both}:it")).ok();
    assert_eq!((listed(&format!("oci:{alone}:it")), listed(&format!("oci:{both}:it"))), (0, 1));
    // What refers to the image cannot refer to another.
    dray(&format!("copy -q --referrers --dest-compress-format zstd {from} oci:{alone}:other"))
        .ends(1)
        .says("--referrers");
}

#[test]
fn an_oci_archive_takes_a_second_image() {
    let (scratch, place) = layout();
    let archive = format!("oci-archive:{}", scratch.at("out.tar"));
    dray(&format!("copy -q {place}:it {archive}:one")).ok();
    dray(&format!("copy -q --all --dest-append {place}:index {archive}:two")).ok();
    let tags = dray(&format!("list-tags {archive}")).ok().json();
    assert_eq!(tags, json!({"Tags": ["one", "two"]}));
    for name in ["one", "two"] {
        dray(&format!("validate -q {archive}:{name}")).ok();
    }
    // Without the flag the archive is another one.
    dray(&format!("copy -q {place}:it {archive}:three")).ok();
    assert_eq!(dray(&format!("list-tags {archive}")).ok().json(), json!({"Tags": ["three"]}));
}

#[test]
fn blobs_that_layouts_share_are_found_where_they_are() {
    let (scratch, place) = layout();
    let (out, shared) = (scratch.at("out"), scratch.at("shared"));
    dray(&format!("copy -q --dest-shared-blob-dir {shared} {place}:it oci:{out}:it")).ok();
    let count = |folder: &str| {
        std::fs::read_dir(scratch.join(folder).join("sha256")).map_or(0, Iterator::count)
    };
    assert_eq!((count("out/blobs"), count("shared")), (0, 4));
    let flag = format!("--shared-blob-dir {shared}");
    let expected = dray(&format!("inspect {place}:it")).ok();
    assert_eq!(dray(&format!("inspect {flag} oci:{out}:it")).ok().text(), expected.text());
    for verb in ["digest", "validate -q", "list-tags"] {
        dray(&format!("{verb} {flag} oci:{out}:it")).ok();
    }
    dray(&format!("inspect oci:{out}:it")).ends(2);
    dray(&format!("copy -q --src-shared-blob-dir {shared} oci:{out}:it dir:{}", scratch.at("dir")))
        .ok();
}

#[test]
fn levels_are_those_of_their_compression() {
    let (scratch, place) = layout();
    let out = scratch.at("out");
    for (flags, words) in [
        (
            "--dest-compress-format gzip --dest-compress-level 0",
            "gzip has no level 0: choose 1 to 9",
        ),
        (
            "--dest-compress-format gzip --dest-compress-level 10",
            "gzip has no level 10: choose 1 to 9",
        ),
        ("--dest-compress-level 10", "gzip has no level 10: choose 1 to 9"),
        (
            "--dest-compress-format zstd --dest-compress-level 21",
            "zstd has no level 21: choose 1 to 20",
        ),
        (
            "--dest-compress-format zstd --dest-compress-level=-1",
            "zstd has no level -1: choose 1 to 20",
        ),
        ("--dest-compress-format estargz", "estargz cannot be written: choose zstd:chunked"),
        (
            "--dest-compress-format zstd:chunked --dest-compress-level 21",
            "zstd has no level 21: choose 1 to 20",
        ),
    ] {
        dray(&format!("copy {flags} {place}:it dir:{out}")).ends(1).says(words);
        assert!(!scratch.join("out").exists(), "{flags}");
    }
    for flags in ["gzip --dest-compress-level 9", "zstd --dest-compress-level 20"] {
        let to = format!("oci:{}:it", scratch.at(&flags[..4]));
        dray(&format!("copy -q --dest-compress-format {flags} {place}:it {to}")).ok();
        dray(&format!("validate -q {to}")).ok();
    }
}

#[test]
fn layers_in_pieces_are_read_as_zstd() {
    let (scratch, place) = layout();
    let at = |name: &str| format!("oci:{}:it", scratch.at(name));
    let (pieces, whole, gzip) = (at("pieces"), at("whole"), at("gzip"));
    dray(&format!("copy -q --dest-compress-format zstd:chunked {place}:it {pieces}")).ok();
    dray(&format!("validate -q {pieces}")).ok();
    for layer in tests::layers(&pieces) {
        let key = "io.github.containers.zstd-chunked.manifest-checksum";
        assert!(layer["annotations"][key].is_string(), "{layer}");
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
    }
    // What has pieces is zstd, and stays; zstd without them does not.
    for (format, from, to, stays) in
        [("zstd", &pieces, "same", true), ("zstd", &format!("{place}:it"), "whole", false)]
    {
        dray(&format!("copy -q --dest-compress-format {format} {from} {}", at(to))).ok();
        assert_eq!(tests::layers(&at(to)) == tests::layers(&pieces), stays, "{to}");
    }
    dray(&format!("copy -q --dest-compress-format zstd:chunked {whole} {}", at("again"))).ok();
    assert_eq!(tests::layers(&at("again")), tests::layers(&pieces));
    dray(&format!("copy -q --dest-compress-format gzip {pieces} {gzip}")).ok();
    assert!(tests::layers(&gzip).iter().all(|layer| layer.get("annotations").is_none()));
    if tests::has(&["skopeo"]) {
        tests::skopeo(&format!("copy -q {pieces} dir:{}", scratch.at("theirs"))).ok();
        let config = |place: &str| tests::skopeo(&format!("inspect --config {place}")).ok().json();
        assert_eq!(config(&pieces), config(&gzip));
    }
}

#[test]
fn a_blob_that_is_missing_is_no_image_that_is_not_found() {
    let (scratch, place) = layout();
    let layer = tests::layers(&format!("{place}:it"))[0]["digest"].clone();
    let layer = layer.as_str().expect("it is a text").replace(':', "/");
    std::fs::remove_file(scratch.join("layout/blobs").join(layer)).expect("it is there");
    dray(&format!("copy -q {place}:it dir:{}", scratch.at("out"))).ends(1);
    let config = dray(&format!("inspect --raw {place}:it")).ok().json()["config"]["digest"].clone();
    let config = config.as_str().expect("it is a text").replace(':', "/");
    std::fs::remove_file(scratch.join("layout/blobs").join(config)).expect("it is there");
    dray(&format!("inspect {place}:it")).ends(1);
    // Nor is a directory to write to, or a daemon's certificate.
    dray(&format!("copy -q {place}:index dir:{}/a/b", scratch.at("no"))).ends(1);
    dray("copy -q docker-daemon:nope:1 dir:/nowhere --src-daemon-host unix:///nowhere").ends(1);
}

#[test]
fn every_verb_about_a_daemon_s_image_takes_its_address() {
    let host = "--daemon-host tcp://127.0.0.1:1";
    for verb in ["inspect", "digest", "validate -q"] {
        dray(&format!("{verb} {host} docker-daemon:it:1")).ends(1).says("127.0.0.1:1");
    }
    dray(&format!("list-tags {host} docker-daemon:it:1"))
        .ends(1)
        .says("Unsupported transport 'docker-daemon' for tag listing");
    dray("digest --daemon-host nonsense docker-daemon:it:1").ends(1).says("--daemon-host");
}
