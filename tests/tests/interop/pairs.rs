//! Every pair of transports.

use tests::Transport::{self, Dir, DockerArchive, Oci, OciArchive};
use tests::{digest, dray, fixtures, has, identity, scratch, skopeo, tree};

use crate::TOOLS;

/// Whether a manifest survives the way from `a` to `b` and back. A docker-archive keeps no
/// manifest: what is read from it is made up from plain layers and Docker's types. `a` can be one,
/// since the same config and layers have the same manifest made up.
fn keeps_the_digest(a: Transport, b: Transport) -> bool {
    a == DockerArchive || b.keeps_manifests()
}

/// skopeo writes `a`; `dray` copies from there to `b` and back to another `a`; skopeo reads both.
#[track_caller]
fn check(a: Transport, b: Transport) {
    if !has(&TOOLS) {
        return;
    }
    let scratch = scratch();
    let [start, middle, end] =
        [(a, "start"), (b, "middle"), (a, "end")].map(|(it, name)| it.place(&scratch, name));
    fixtures().put(&start);
    let expected = identity(&start);
    let before = digest(&start);
    assert_same_manifest(a, &start);

    for (from, to) in [(&start, &middle), (&middle, &end)] {
        dray(&format!("copy {from} {to}")).ok();
        dray(&format!("validate -q {to}")).ok().says("");
        assert_eq!(identity(to), expected, "skopeo reads {to}, written from {from}");
        assert_same_manifest(if to == &end { a } else { b }, to);
        // Reading all layers is more than reading the config.
        let read =
            scratch.at(if to == &end { "read end" } else { "read middle" }).replace(' ', "-");
        skopeo(&format!("copy -q {to} dir:{read}")).ok();
        assert_eq!(identity(&format!("dir:{read}")).diff_ids, expected.diff_ids);
    }
    assert_eq!(digest(&end) == before, keeps_the_digest(a, b), "{a:?} to {b:?} and back");
}

/// Panics unless `dray` and skopeo read the same manifest. Of a docker-archive they make one up:
/// skopeo says that the plain layers are compressed, which `dray` does not repeat.
#[track_caller]
fn assert_same_manifest(transport: Transport, place: &str) {
    let [ours, theirs] = [dray, skopeo].map(|program| program(&format!("inspect --raw {place}")));
    let [ours, mut theirs] = [ours, theirs].map(|outcome| outcome.ok().text().to_owned());
    if transport == DockerArchive {
        theirs = theirs.replace("rootfs.diff.tar.gzip", "rootfs.diff.tar");
    }
    assert_eq!(ours, theirs, "{place}");
}

macro_rules! pairs {
    ($($name:ident: $a:expr, $b:expr;)*) => {
        $(#[test]
        fn $name() {
            check($a, $b);
        })*
    };
}

pairs! {
    dir_to_dir_and_back: Dir, Dir;
    dir_to_oci_and_back: Dir, Oci;
    dir_to_oci_archive_and_back: Dir, OciArchive;
    dir_to_docker_archive_and_back: Dir, DockerArchive;
    oci_to_dir_and_back: Oci, Dir;
    oci_to_oci_and_back: Oci, Oci;
    oci_to_oci_archive_and_back: Oci, OciArchive;
    oci_to_docker_archive_and_back: Oci, DockerArchive;
    oci_archive_to_dir_and_back: OciArchive, Dir;
    oci_archive_to_oci_and_back: OciArchive, Oci;
    oci_archive_to_oci_archive_and_back: OciArchive, OciArchive;
    oci_archive_to_docker_archive_and_back: OciArchive, DockerArchive;
    docker_archive_to_dir_and_back: DockerArchive, Dir;
    docker_archive_to_oci_and_back: DockerArchive, Oci;
    docker_archive_to_oci_archive_and_back: DockerArchive, OciArchive;
    docker_archive_to_docker_archive_and_back: DockerArchive, DockerArchive;
}

#[test]
fn a_docker_manifest_survives_dir_only_and_its_config_everything() {
    if !has(&TOOLS) {
        return;
    }
    let scratch = scratch();
    let start = &docker_image(&scratch);
    let (before, expected) = (digest(start), identity(start));
    for transport in Transport::ALL {
        let middle = transport.place(&scratch, "middle");
        let end = Dir.place(&scratch, transport.scheme());
        dray(&format!("copy {start} {middle}")).ok();
        dray(&format!("copy {middle} {end}")).ok();
        dray(&format!("validate {end}")).ok();
        assert_eq!(identity(&end), expected, "through {middle}");
        assert_eq!(digest(&end) == before, transport == Dir, "through {middle}");
    }
}

/// The image with Docker's manifest and compressed layers.
fn docker_image(scratch: &std::path::Path) -> String {
    let place = Dir.place(scratch, "docker");
    skopeo(&format!("copy -q --format v2s2 {} {place}", fixtures().buildah_oci)).ok();
    place
}

#[test]
fn preserve_digests_succeeds_exactly_where_the_digest_is_kept() {
    if !has(&TOOLS) {
        return;
    }
    let scratch = scratch();
    let images = [(&fixtures().buildah_oci, false), (&docker_image(&scratch), true)];
    for (index, (from, is_docker)) in images.into_iter().enumerate() {
        for transport in Transport::ALL {
            let to = transport.place(&scratch, &format!("{}-{index}", transport.scheme()));
            let outcome = dray(&format!("copy --preserve-digests {from} {to}"));
            let can = transport == Dir || (!is_docker && transport.keeps_manifests());
            if can {
                outcome.ok();
                assert_eq!(digest(from), digest(&to), "{from} to {to}");
            } else {
                outcome.ends(1);
                let path = transport.path(&scratch, &format!("{}-{index}", transport.scheme()));
                assert!(tree(&path).is_empty(), "{to} is not there after the refusal");
            }
        }
    }
}

#[test]
fn what_skopeo_and_dray_write_to_a_docker_archive_is_the_same_to_the_byte() {
    if !has(&TOOLS) {
        return;
    }
    let scratch = scratch();
    for (index, from) in fixtures().places().into_iter().enumerate() {
        let name = format!("{index}.tar");
        let (theirs, ours) = (scratch.at(&format!("theirs-{name}")), scratch.at(&name));
        skopeo(&format!("copy -q {from} docker-archive:{theirs}:example.com/it:1")).ok();
        dray(&format!("copy -q {from} docker-archive:{ours}:example.com/it:1")).ok();
        let [theirs, ours] = [theirs, ours].map(|path| std::fs::read(path).expect("was written"));
        assert!(theirs == ours, "{from}: {} and {} bytes", theirs.len(), ours.len());
    }
}
