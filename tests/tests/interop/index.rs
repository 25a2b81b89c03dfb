//! Images for several platforms.

use cask_testkit::generate::{Format, platforms_index, write_dir, write_oci_layout};
use tests::Transport::{self, Dir, DockerArchive};
use tests::{digest, dray, has, identity, scratch, skopeo, tree};

/// Writes the index of a format as files: an OCI one to a layout, Docker's to a directory.
fn start(scratch: &std::path::Path, format: Format) -> String {
    let content = platforms_index(1, format);
    let path = scratch.join("start");
    match format {
        Format::Oci => write_oci_layout(&path, &[(Some("it"), &content)]),
        Format::Docker => write_dir(&path, &content),
    }
    .expect("a scratch directory is writable");
    match format {
        Format::Oci => format!("oci:{}:it", path.display()),
        Format::Docker => format!("dir:{}", path.display()),
    }
}

#[test]
fn an_index_goes_every_way_whole_and_keeps_its_digest() {
    if !has(&["skopeo"]) {
        return;
    }
    let places = || Transport::ALL.into_iter().filter(|it| it.keeps_manifests());
    for a in places() {
        for b in places() {
            let scratch = scratch();
            let from = start(&scratch, Format::Oci);
            let [first, second] = [(a, "a"), (b, "b")].map(|(it, name)| it.place(&scratch, name));
            dray(&format!("copy -q --all {from} {first}")).ok();
            dray(&format!("copy -q --all {first} {second}")).ok();
            dray(&format!("validate {second}")).ok();
            assert_eq!(digest(&second), digest(&from), "{a:?}, then {b:?}");
            // Attestations are no images to skopeo of this age, which reads all it knows of.
            for architecture in ["amd64", "arm64"] {
                let line = format!("--override-arch {architecture} inspect --config");
                let [ours, theirs] =
                    [&second, &from].map(|place| skopeo(&format!("{line} {place}")).ok().json());
                assert_eq!(ours, theirs, "{architecture} in {second}");
            }
        }
    }
}

#[test]
fn skopeo_copies_all_of_a_docker_list_that_dray_wrote_and_back() {
    if !has(&["skopeo"]) {
        return;
    }
    let scratch = scratch();
    let from = start(&scratch, Format::Docker);
    let [ours, theirs] = ["ours", "theirs"].map(|name| Dir.place(&scratch, name));
    dray(&format!("copy -q --all {from} {ours}")).ok();
    skopeo(&format!("copy -q --all {ours} {theirs}")).ok();
    assert_eq!(digest(&theirs), digest(&from));
    let files = ["ours", "theirs", "start"].map(|name| {
        let mut tree = tree(&scratch.join(name));
        tree.values_mut().for_each(|(mode, _)| *mode = 0);
        tree
    });
    assert!(files[0] == files[1], "skopeo writes the files that dray wrote");
    assert_eq!(files[0].keys().collect::<Vec<_>>(), files[2].keys().collect::<Vec<_>>());
    dray(&format!("validate {theirs}")).ok();
}

#[test]
fn the_platform_that_is_chosen_is_the_one_that_skopeo_chooses() {
    if !has(&["skopeo"]) {
        return;
    }
    let scratch = scratch();
    for format in [Format::Oci, Format::Docker] {
        let from = start(&scratch, format);
        for platform in [
            "--override-arch amd64",
            "--override-arch arm64",
            "--override-arch arm64 --override-variant v8",
            "--override-arch arm --override-variant v7",
            "--override-arch arm --override-variant v8",
        ] {
            for transport in Transport::ALL {
                let name = platform.replace([' ', '-'], "");
                let ours = transport.place(&scratch, &format!("ours-{format:?}-{name}"));
                let theirs = transport.place(&scratch, &format!("theirs-{format:?}-{name}"));
                dray(&format!("{platform} copy -q {from} {ours}")).ok();
                skopeo(&format!("{platform} copy -q {from} {theirs}")).ok();
                let (ours, theirs) = (identity(&ours), identity(&theirs));
                assert_eq!(ours.diff_ids, theirs.diff_ids, "{format:?} {platform} {transport:?}");
            }
        }
        let none = "--override-arch s390x copy";
        let to = scratch.at("none");
        // "Not found" is 2; skopeo has 1 here.
        let words = "no image found in";
        dray(&format!("{none} {from} dir:{to}")).ends(2).says(words);
        skopeo(&format!("{none} {from} dir:{to}")).ends(1).says(words);
    }
}

#[test]
fn an_index_does_not_fit_into_a_docker_archive() {
    if !has(&["skopeo"]) {
        return;
    }
    let scratch = scratch();
    let from = start(&scratch, Format::Docker);
    let place = DockerArchive.place(&scratch, "it");
    let words = "does not support copying multiple images as a group";
    skopeo(&format!("copy --all {from} {place}")).ends(1).says(words);
    dray(&format!("copy --all {from} {place}")).ends(1).says(words);
    assert!(!DockerArchive.path(&scratch, "it").exists());
}
