//! What each tool wrote is read.

use tests::{Transport, daemon, digest, dray, fixtures, has, identity, scratch, skopeo, tool};

use crate::TOOLS;

/// Copies `from` to everywhere; skopeo finds the same image there.
#[track_caller]
fn reads(from: &str) {
    let expected = identity(from);
    let scratch = scratch();
    dray(&format!("validate {from}")).ok();
    for transport in Transport::ALL {
        let to = transport.place(&scratch, transport.scheme());
        dray(&format!("copy -q {from} {to}")).ok();
        dray(&format!("validate {to}")).ok();
        assert_eq!(identity(&to), expected, "{from} to {to}");
    }
}

#[test]
fn everything_that_buildah_and_podman_write_is_read() {
    if !has(&TOOLS) {
        return;
    }
    for from in fixtures().places() {
        reads(from);
    }
}

#[test]
fn everything_is_summarised_as_by_skopeo() {
    if !has(&TOOLS) {
        return;
    }
    for from in fixtures().places() {
        let theirs = skopeo(&format!("inspect {from}")).ok().json();
        let mut ours = dray(&format!("inspect {from}")).ok().json();
        let ours = ours.as_object_mut().expect("a summary is an object");
        // Newer skopeos have it.
        ours.remove("LayersData");
        if from.starts_with("docker-archive:") {
            // Of a manifest that each makes up.
            ours.insert("Digest".into(), theirs["Digest"].clone());
        }
        assert_eq!(&serde_json::Value::Object(ours.clone()), &theirs, "{from}");
    }
}

#[test]
fn what_docker_saves_is_read() {
    if !has(&TOOLS) || !has(&["docker"]) {
        return;
    }
    let scratch = scratch();
    let archive = fixtures().podman_docker_archive.replace("docker-archive:", "");
    daemon().docker(&format!("load -q -i {archive}")).ok();
    let saved = scratch.at("saved.tar");
    daemon().docker(&format!("save -o {saved} localhost/fixture:1")).ok();
    let from = format!("docker-archive:{saved}");
    reads(&from);
    assert_eq!(digest(&from), digest(&fixtures().podman_docker_archive));
}

#[test]
fn what_umoci_packs_is_read() {
    if !has(&TOOLS) || !has(&["umoci"]) {
        return;
    }
    let scratch = scratch();
    let layout = scratch.at("layout");
    skopeo(&format!("copy -q {} oci:{layout}:it", fixtures().buildah_oci)).ok();
    let bundle = scratch.at("bundle");
    tool("umoci", &format!("unpack --image {layout}:it {bundle}")).ok();
    std::fs::write(format!("{bundle}/rootfs/data/new"), "new").expect("the bundle is writable");
    std::fs::remove_file(format!("{bundle}/rootfs/data/kept")).expect("it was unpacked");
    tool("umoci", &format!("repack --image {layout}:more {bundle}")).ok();
    reads(&format!("oci:{layout}:more"));
    let tags = dray(&format!("list-tags oci:{layout}")).ok().json();
    assert_eq!(tags["Tags"], serde_json::json!(["it", "more"]));
    // What nobody needs any more goes, and what umoci needs stays.
    dray(&format!("delete oci:{layout}:it")).ok();
    tool("umoci", &format!("gc --layout {layout}")).ok();
    reads(&format!("oci:{layout}:more"));
}
