//! Docker, podman and umoci take what `dray` wrote.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use cask_testkit::generate::{ImageSpec, SaveForm, docker_archive};
use tests::{Fixtures, Transport, daemon, dray, fixtures, has, identity, scratch, skopeo, tool};

use crate::TOOLS;

#[test]
fn docker_loads_a_docker_archive() {
    if !has(&TOOLS) || !has(&["docker"]) {
        return;
    }
    let scratch = scratch();
    let archive = scratch.at("it.tar");
    for from in [&fixtures().buildah_oci, &fixtures().podman_docker_dir] {
        let _ = std::fs::remove_file(&archive);
        let more = "--additional-tag example.com/loaded:more";
        dray(&format!("copy -q {more} {from} docker-archive:{archive}:example.com/loaded:1")).ok();
        daemon().docker(&format!("load -q -i {archive}")).ok();
        for name in ["example.com/loaded:1", "example.com/loaded:more"] {
            let id = daemon().docker(&format!("inspect --format {{{{.Id}}}} {name}")).ok();
            assert_eq!(id.text(), identity(from).config, "{from} as {name}");
        }
    }
    // The layers went over whole: what comes out again is what went in.
    let again = scratch.at("again.tar");
    daemon().docker(&format!("save -o {again} example.com/loaded:1")).ok();
    let again = identity(&format!("docker-archive:{again}"));
    assert_eq!(again, identity(&fixtures().podman_docker_dir));
}

#[test]
fn podman_loads_every_form() {
    if !has(&TOOLS) {
        return;
    }
    let from = &fixtures().buildah_oci;
    let config = identity(from).config;
    for transport in Transport::ALL {
        let scratch = scratch();
        let path = transport.path(&scratch, "it").display().to_string();
        dray(&format!("copy -q {from} {}", transport.place(&scratch, "it"))).ok();
        match transport {
            // `podman load` takes no directory whose name has capitals.
            Transport::Dir | Transport::Oci => {
                let place = transport.place(Path::new(""), "it");
                Fixtures::podman_in(&scratch, &format!("pull -q {place}")).ok()
            }
            _ => Fixtures::podman(&scratch, &format!("load -q -i {path}")).ok(),
        };
        let images = Fixtures::podman(&scratch, "images -q --no-trunc").ok();
        assert_eq!(images.text(), config, "{transport:?}");
    }
}

#[test]
fn podman_runs_nothing_less_than_the_image() {
    if !has(&TOOLS) {
        return;
    }
    let scratch = scratch();
    let place = Transport::OciArchive.place(&scratch, "it");
    dray(&format!("copy -q {} {place}", fixtures().podman_docker_archive)).ok();
    Fixtures::podman(&scratch, &format!("pull -q {place}")).ok();
    let id = Fixtures::podman(&scratch, "images -q").ok().text().to_owned();
    let mounted = Fixtures::podman(&scratch, &format!("image mount {id}")).ok().text().to_owned();
    assert_rootfs(Path::new(&mounted));
    Fixtures::podman(&scratch, &format!("image umount {id}")).ok();
}

#[test]
fn umoci_unpacks_a_layout() {
    if !has(&TOOLS) || !has(&["umoci"]) {
        return;
    }
    let scratch = scratch();
    let (layout, bundle) = (scratch.at("layout"), scratch.at("bundle"));
    for from in [&fixtures().buildah_oci, &fixtures().podman_docker_archive] {
        dray(&format!("copy -q {from} oci:{layout}:it")).ok();
        tool("umoci", &format!("unpack --image {layout}:it {bundle}")).ok();
        assert_rootfs(&Path::new(&bundle).join("rootfs"));
        std::fs::remove_dir_all(&bundle).expect("a bundle can be removed");
    }
    tool("umoci", &format!("stat --image {layout}:it")).ok();
}

/// Checks the root file system of the fixture.
#[track_caller]
fn assert_rootfs(root: &Path) {
    let read = |name: &str| std::fs::read_to_string(root.join(name)).expect("it is in the image");
    let metadata = |name: &str| root.join(name).symlink_metadata().expect("it is in the image");
    assert!(metadata("bin/busybox").len() > 100_000);
    assert_eq!(metadata("bin/busybox").mode() & 0o7777, 0o755);
    assert_eq!(metadata("data/hard").ino(), metadata("data/kept").ino(), "a hard link");
    assert_eq!(metadata("bin/su").mode() & 0o7777, 0o4755, "set-user-ID");
    assert!(!root.join("data/gone").exists(), "a whiteout");
    assert!(metadata("data/empty").is_dir());
    assert!(metadata("data/soft").is_symlink());
    assert_eq!(read("data/hard"), "two\nmore\n");
    assert_eq!(metadata("bin/su").uid(), 0);
}

#[test]
fn a_hybrid_archive_is_the_same_image_to_docker_to_skopeo_and_to_dray() {
    if !has(&TOOLS) || !has(&["docker"]) {
        return;
    }
    let scratch = scratch();
    let (archive, from) = (scratch.at("hybrid.tar"), &fixtures().buildah_oci);
    dray(&format!("copy -q --dest-hybrid {from} docker-archive:{archive}:example.com/hybrid:1"))
        .ok();
    let config = identity(from).config;
    assert_hybrid(&archive, &config, "example.com/hybrid:1");
    // The layout in it has the manifest as it was, with compressed layers.
    assert_eq!(tests::digest(&format!("oci-archive:{archive}")), tests::digest(from));

    // Another's.
    let image = ImageSpec::new(1).build();
    let bytes = docker_archive(&[(&image, &["example.com/generated:1"])], SaveForm::Hybrid);
    std::fs::write(&archive, bytes).expect("a scratch file is writable");
    assert_hybrid(&archive, image.config.digest().as_str(), "example.com/generated:1");
}

/// Checks that everybody reads the image with this config from an archive of both forms.
#[track_caller]
fn assert_hybrid(archive: &str, config: &str, name: &str) {
    daemon().docker(&format!("load -q -i {archive}")).ok();
    let id = daemon().docker(&format!("inspect --format {{{{.Id}}}} {name}")).ok();
    assert_eq!(id.text(), config);
    for place in [format!("docker-archive:{archive}"), format!("oci-archive:{archive}")] {
        let scratch = scratch();
        assert_eq!(identity(&place).config, config);
        dray(&format!("validate {place}")).ok();
        let (ours, theirs) = (scratch.at("ours"), scratch.at("theirs"));
        dray(&format!("copy -q {place} dir:{ours}")).ok();
        skopeo(&format!("copy -q {place} dir:{theirs}")).ok();
        let [ours, theirs] = [ours, theirs].map(|path| identity(&format!("dir:{path}")));
        assert_eq!(ours, theirs, "{place}");
    }
}
