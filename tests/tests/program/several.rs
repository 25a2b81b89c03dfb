//! Copies of several tags, and of none.

use cask_testkit::generate::{ArtifactSpec, ImageSpec, LayerSpec, write_oci_layout};
use tests::{Scratch, dray, scratch, tree};

/// A layout with the images `1` and `2`, and a tag about the first.
fn layout() -> (Scratch, String) {
    let scratch = scratch();
    let [one, two] = [1, 2].map(|seed| ImageSpec::new(seed).build().content());
    let signature = ArtifactSpec::new(3, "application/vnd.example.signature").build();
    let about = format!("{}.sig", one.top.digest.as_str().replace(':', "-"));
    let images = [(Some("1"), &one), (Some("2"), &two), (Some(about.as_str()), &signature)];
    write_oci_layout(&scratch.join("layout"), &images).expect("it is writable");
    let place = format!("oci:{}", scratch.at("layout"));
    (scratch, place)
}

#[track_caller]
fn tags(place: &str) -> Vec<String> {
    let listed = dray(&format!("list-tags {place}")).ok().json();
    let tags = listed["Tags"].as_array().expect("tags are a list").iter();
    let mut tags: Vec<_> = tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect();
    tags.sort();
    tags
}

#[test]
fn all_tags_go_to_any_place_that_holds_several() {
    let (scratch, from) = layout();
    let (out, archive) = (format!("oci:{}", scratch.at("out")), scratch.at("out.tar"));
    let archive = format!("oci-archive:{archive}");
    let digests = scratch.at("digests");
    let before = tree(&scratch);
    dray(&format!("copy --all-tags --dry-run {from} {archive}")).ok();
    assert!(tree(&scratch) == before);
    for to in [&out, &archive] {
        dray(&format!("copy --all-tags --digestfile {digests} {from} {to}")).ok();
        assert_eq!(tags(to), tags(&from));
        let written = std::fs::read_to_string(&digests).expect("it was written");
        for tag in ["1", "2"] {
            let digest = dray(&format!("digest {from}:{tag}")).ok();
            assert_eq!(dray(&format!("digest {to}:{tag}")).ok().text(), digest.text());
            assert!(written.contains(&format!("{} {to}:{tag}\n", digest.text())), "{written}");
        }
    }
    let done = dray(&format!("copy --all-tags {from} {out}")).ok();
    assert!(done.text().contains("3 unchanged"), "{done}");
    // A directory holds one image: each has its own.
    dray(&format!("copy -q --all-tags {from} dir:{}", scratch.at("dir"))).ok();
    dray(&format!("validate -q dir:{}:2", scratch.at("dir"))).ok();
    for (from, to) in [(format!("{from}:1"), out.clone()), (from.clone(), format!("{out}:1"))] {
        dray(&format!("copy --all-tags {from} {to}")).ends(1).says("no tag or digest is allowed");
    }
    dray(&format!("copy --all-tags oci:{} {out}", scratch.at("nope"))).ends(2);
}

#[test]
fn what_is_there_is_not_clobbered() {
    let (scratch, from) = layout();
    let out = format!("oci:{}", scratch.at("out"));
    dray(&format!("copy -q -n {from}:1 {out}:it")).ok();
    dray(&format!("copy -q --no-clobber {from}:1 {out}:it")).ok();
    let one = dray(&format!("digest {out}:it")).ok();
    let words = format!("refusing to clobber existing tag {out}:it@{}", one.text());
    dray(&format!("copy -q -n {from}:2 {out}:it")).ends(1).says(&words);
    dray(&format!("tag {out}:it 2")).ok();
    let done = dray(&format!("copy -n --all-tags {from} {out}")).ok();
    assert!(done.text().contains("1 kept"), "{done}");
    for tag in ["it", "2"] {
        assert_eq!(dray(&format!("digest {out}:{tag}")).ok().text(), one.text());
    }
    let dir = format!("dir:{}", scratch.at("dir"));
    dray(&format!("copy -q -n {from}:1 {dir}")).ok();
    dray(&format!("copy -q -n {from}:2 {dir}"))
        .ends(1)
        .says("Refusing to overwrite destination directory");
}

#[test]
fn tags_about_an_image_follow_it() {
    let (scratch, from) = layout();
    let out = |name: &str| format!("oci:{}", scratch.at(name));
    dray(&format!("copy -q {from}:1 {}:it", out("alone"))).ok();
    assert_eq!(tags(&out("alone")), ["it"]);
    dray(&format!("copy -q --digest-tags {from}:1 {}:it", out("both"))).ok();
    let found = tags(&out("both"));
    assert_eq!((found.len(), found[0].as_str()), (2, "it"), "{found:?}");
    assert!(found[1].starts_with("sha256-") && found[1].ends_with(".sig"), "{found:?}");
    dray(&format!("validate -q {}:{}", out("both"), found[1])).ok();
    dray(&format!("copy -q --digest-tags {from}:2 {}:it", out("none"))).ok();
    assert_eq!(tags(&out("none")), ["it"]);
    // They would be about nothing.
    let zstd = "--digest-tags --dest-compress-format zstd";
    dray(&format!("copy -q {zstd} {from}:1 {}:it", out("changed")))
        .ends(1)
        .says("tags are about digests that change on the way");
    dray(&format!("copy --digest-tags dir:{} {}:it", scratch.at("x"), out("no"))).ends(2);
}

#[test]
fn precomputed_layers_are_the_same_layers() {
    let scratch = scratch();
    let plain = cask_testkit::generate::Compression::None;
    let image = ImageSpec::new(1).layer(LayerSpec::new(1).compression(plain)).build().content();
    write_oci_layout(&scratch.join("layout"), &[(Some("it"), &image)]).expect("it is writable");
    let from = format!("oci:{}:it", scratch.at("layout"));
    let to = |name: &str| format!("oci:{}:it", scratch.at(name));
    dray(&format!("copy -q {from} {}", to("one"))).ok();
    dray(&format!("copy -q --dest-precompute-digests {from} {}", to("two"))).ok();
    assert_eq!(tests::layers(&to("one")), tests::layers(&to("two")));
    let again = format!("copy --dry-run --dest-precompute-digests {from} {}", to("two"));
    dray(&again).ok().says("0 bytes to move");
    dray(&format!("copy --dry-run {from} {}", to("two"))).ok().says("compress by gzip");
}
