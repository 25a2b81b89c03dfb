//! Many images at once, between files.

use cask_testkit::generate::{Format, ImageSpec, platforms_index, write_oci_layout};
use serde_json::{Value, json};
use tests::{Scratch, dray, scratch, tree};

/// A tree of layouts: `a/app` with two images and an index, `b/app` with another image.
fn layouts() -> (Scratch, String) {
    let scratch = scratch();
    let [one, two, other] = [1, 2, 3].map(|seed| ImageSpec::new(seed).build().content());
    let index = platforms_index(1, Format::Oci);
    for folder in ["tree/a/app", "tree/b"] {
        std::fs::create_dir_all(scratch.join(folder)).expect("a scratch directory is writable");
    }
    let images = [(Some("1"), &one), (Some("2"), &two), (Some("all"), &index)];
    write_oci_layout(&scratch.join("tree/a/app"), &images).expect("it is writable");
    write_oci_layout(&scratch.join("tree/b/app"), &[(Some("9"), &other)]).expect("it is writable");
    let tree = scratch.at("tree");
    (scratch, tree)
}

/// How each image ended, by where it went.
#[track_caller]
fn outcomes(line: &str) -> Vec<(String, String)> {
    let report = dray(&format!("sync -q --report json {line}")).ok().json();
    let text = |value: &Value| value.as_str().expect("it is a text").to_owned();
    let images = report["Images"].as_array().expect("images are a list").iter();
    let mut found: Vec<_> =
        images.map(|image| (text(&image["To"]), text(&image["Outcome"]))).collect();
    found.sort();
    found
}

#[test]
fn a_tree_of_layouts_goes_anywhere_and_comes_back() {
    let (scratch, from) = layouts();
    let (archive, there, back) = (scratch.at("all.tar"), scratch.at("there"), scratch.at("back"));
    let expected = |outcome: &str, prefix: &str, names: [&str; 4]| {
        names.map(|name| (format!("{prefix}{name}"), outcome.to_owned())).to_vec()
    };
    let names = ["a/app:1", "a/app:2", "a/app:all", "b/app:9"];
    for (outcome, flags) in [("would be copied", "--dry-run"), ("copied", ""), ("unchanged", "")] {
        let before = tree(&scratch);
        let prefix = format!("oci:{there}/below/");
        let line = format!("--all --scoped {flags} -s oci -d oci {from} {there}/below/");
        assert_eq!(outcomes(&line), expected(outcome, &prefix, names));
        assert_eq!(tree(&scratch) == before, outcome != "copied", "{outcome}");

        let prefix = format!("oci-archive:{archive}:");
        let line = format!("--all --scoped {flags} -s oci -d oci-archive {from} {archive}");
        assert_eq!(outcomes(&line), expected(outcome, &prefix, names));
    }
    // Whole names in an archive are the names of the images.
    let line = format!("--all --scoped -s oci-archive -d oci {archive} {back}");
    assert_eq!(outcomes(&line), expected("copied", &format!("oci:{back}/"), names));
    for name in names {
        let digest = |base: &str| dray(&format!("digest oci:{base}/{name}")).ok().text().to_owned();
        assert_eq!(digest(&back), digest(&from), "{name}");
        dray(&format!("validate -q oci:{back}/{name}")).ok();
    }
    let daemon = scratch.at("docker.tar");
    dray(&format!("sync -q --scoped -s oci -d docker-archive {from} {daemon}")).ok();
    let tags = dray(&format!("list-tags docker-archive:{daemon}")).ok().json();
    let names = names.map(|name| format!("docker.io/{name}"));
    assert_eq!(tags, json!({ "Tags": names }));
}

#[test]
fn two_images_never_share_a_name() {
    let (scratch, from) = layouts();
    let other = ImageSpec::new(4).build().content();
    write_oci_layout(&scratch.join("tree/c-app"), &[(Some("x"), &other)]).expect("it is writable");
    let name = scratch.join("tree/b/app");
    write_oci_layout(&name, &[(Some("1"), &other)]).expect("it is writable");
    let out = scratch.at("out");
    dray(&format!("sync -s oci -d oci {from} {out}"))
        .ends(1)
        .says("would both be")
        .says("hint: --scoped keeps the whole name of each");
    assert!(!scratch.join("out").exists());
    // A path that a layout would take for a path and a name.
    std::fs::create_dir_all(scratch.join("odd/a:b")).expect("it is writable");
    std::fs::rename(scratch.join("tree/b/app"), scratch.join("odd/a:b/app")).expect("it is there");
    dray(&format!("sync -s oci -d oci {}/odd {out}", scratch.display()))
        .ends(1)
        .says("a path cannot have a colon here");
    assert!(!scratch.join("out").exists());
}

#[test]
fn pruning_a_layout_frees_its_room() {
    let (scratch, from) = layouts();
    let out = scratch.at("out");
    let sync = |flags: &str| dray(&format!("sync -q --all {flags} -s oci -d oci {from}/a {out}"));
    sync("").ok();
    dray(&format!("tag oci:{out}/app:2 kept")).ok();
    dray(&format!("untag oci:{from}/a/app:all")).ok();
    let count = || tree(&scratch.join("out/app/blobs/sha256")).len();
    let before = count();
    let planned = sync("--prune --dry-run --report json").ok().json();
    let mut removed = [format!("oci:{out}/app:all"), format!("oci:{out}/app:kept")];
    removed.sort();
    let listed = planned["Removed"].as_array().expect("it is a list");
    assert_eq!(*listed, removed.clone().map(Value::from), "{planned}");
    assert_eq!(count(), before);
    let done = sync("--prune --report json").ok().json();
    assert_eq!(done["Summary"]["Removed"], 2, "{done}");
    assert!(count() < before);
    let tags = || {
        let listed = dray(&format!("list-tags oci:{out}/app")).ok().json();
        let mut tags = listed["Tags"].as_array().expect("it is a list").clone();
        tags.sort_by_key(Value::to_string);
        tags
    };
    assert_eq!(tags(), ["1", "2"]);
    for tag in ["1", "2"] {
        dray(&format!("validate -q oci:{out}/app:{tag}")).ok();
    }
    // A list that cannot be read, and one of nothing, take nothing away.
    let index = scratch.join("tree/a/app/index.json");
    for text in [r#"{"schemaVersion":2,"manifests":[]}"#, "{", ""] {
        std::fs::write(&index, text).expect("it is writable");
        sync("--prune").ends(1);
    }
    assert_eq!(tags(), ["1", "2"]);
    dray(&format!("sync --prune -s oci -d dir {from}/b {}", scratch.at("dirs")))
        .ends(1)
        .says("names cannot be taken away there");
    assert!(!scratch.join("dirs").exists());
}

#[test]
fn one_image_that_fails_stops_the_rest_unless_told_otherwise() {
    let (scratch, from) = layouts();
    let layer = tests::layers(&format!("oci:{from}/a/app:1"))[0]["digest"].clone();
    let layer = layer.as_str().expect("it is a text").replace(':', "/");
    std::fs::remove_file(scratch.join("tree/a/app/blobs").join(layer)).expect("it is there");
    let line = |out: &str| format!("-s oci -d oci {from} {}", scratch.at(out));
    dray(&format!("sync --parallel-images 1 {}", line("one")))
        .ends(1)
        .says("Error copying ref")
        .says("app:1");
    assert!(!scratch.join("one/app/index.json").exists());
    let digests = scratch.at("digests");
    let kept = dray(&format!("sync --keep-going --digestfile {digests} {}", line("two")))
        .ends(1)
        .says("Sync failed due to previous reported error(s) for one or more images");
    assert!(kept.text().contains("Synced 3 images from 2 sources: 3 copied, 1 failed"), "{kept}");
    let written = std::fs::read_to_string(&digests).expect("it was written");
    let out = scratch.at("two");
    let expected = ["app:2", "app:all", "app:9"].map(|name| {
        let place = format!("oci:{out}/{name}");
        format!("{} {place}\n", dray(&format!("digest {place}")).ok().text())
    });
    assert_eq!(written, expected.concat());
}

#[test]
fn what_cannot_be_done_yet_is_refused_by_name() {
    let (scratch, from) = layouts();
    let out = scratch.at("out");
    for flag in [
        "--sign-by x",
        "--sign-by-sq-fingerprint x",
        "--sign-by-sigstore x",
        "--sign-by-sigstore-private-key x",
        "--sign-passphrase-file x",
    ] {
        let name = flag.split(' ').next().expect("it has a name");
        let words = format!("{name}: images cannot be signed yet");
        dray(&format!("sync {flag} -s oci -d oci {from} {out}")).ends(1).says(&words);
        dray(&format!("copy {flag} oci:{from}/b/app:9 oci:{out}")).ends(1).says(&words);
    }
    for flag in
        ["--decryption-key k", "--encrypt-layer -1", "--encryption-key k", "--sign-identity x"]
    {
        let name = flag.split(' ').next().expect("it has a name");
        let said = dray(&format!("copy {flag} oci:{from}/b/app:9 oci:{out}")).ends(1);
        said.says(name).says("is not supported");
    }
    let image = format!("oci:{from}/b/app:9");
    dray(&format!("delete --shared-blob-dir x {image}")).ends(1).says("--shared-blob-dir x is not");
    for command in
        ["standalone-sign m x k -o s", "standalone-verify m x k s", "generate-sigstore-key"]
    {
        let name = command.split(' ').next().expect("it has a name");
        dray(command).ends(1).says(&format!("dray has no command \\\"{name}\\\""));
    }
    dray(&format!("sync --format v2s1 -s oci -d dir {from} {out}")).ends(1).says("v2s1");
    assert!(!scratch.join("out").exists());
}
