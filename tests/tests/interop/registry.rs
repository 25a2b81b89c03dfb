//! Debian's registry, with skopeo and `dray` on its two sides.

use cask_testkit::generate::{ArtifactSpec, ImageSpec, LayerSpec, write_oci_layout};
use tests::{
    Access, PASSWORD, Registry, Scratch, USER, command, dray, dray_built, fixtures, has, identity,
    run, scratch, skopeo, skopeo_with,
};

const TOOLS: [&str; 6] = ["skopeo", "buildah", "podman", "busybox", "docker-registry", "openssl"];

fn start(access: Access) -> Option<(Scratch, Registry)> {
    if !has(&TOOLS) {
        return None;
    }
    let scratch = scratch();
    let registry = Registry::start(&scratch, access);
    Some((scratch, registry))
}

/// What identifies the image at a place in a registry, as skopeo sees it.
#[track_caller]
fn identity_in(scratch: &Scratch, flags: &[&str], place: &str) -> tests::Identity {
    let copy = scratch.at("seen-by-skopeo");
    let _ = std::fs::remove_dir_all(&copy);
    let to = format!("dir:{copy}");
    skopeo_with(&[&["copy", "-q"], flags, &[place, &to]].concat()).ok();
    identity(&to)
}

#[test]
fn what_dray_pushes_skopeo_pulls_and_the_other_way_round() {
    let Some((scratch, registry)) = start(Access::Plain) else { return };
    let host = registry.address();
    for (number, from) in fixtures().places().into_iter().enumerate() {
        let ours = format!("docker://{host}/ours/it:{number}");
        let theirs = format!("docker://{host}/theirs/it:{number}");
        dray(&format!("copy -q --dest-tls-verify=false {from} {ours}")).ok();
        skopeo(&format!("copy -q --dest-tls-verify=false {from} {theirs}")).ok();
        assert_eq!(
            identity_in(&scratch, &["--src-tls-verify=false"], &ours),
            identity(from),
            "{from}"
        );
        let back = scratch.at(&format!("back-{number}"));
        dray(&format!("copy -q --src-tls-verify=false {theirs} dir:{back}")).ok();
        dray(&format!("validate -q dir:{back}")).ok();
        assert_eq!(identity(&format!("dir:{back}")), identity(from), "{from}");
        dray(&format!("validate -q --tls-verify=false {theirs}")).ok();
    }
}

#[test]
fn passwords_and_certificates_let_in() {
    let Some((scratch, registry)) = start(Access::Password) else { return };
    let (host, from) = (registry.address(), &fixtures().buildah_oci);
    let place = format!("docker://{host}/it:1");
    let creds = format!("{USER}:{PASSWORD}");
    let with = |arguments: &[&str]| run(command(dray_built()).args(arguments));
    let copy = ["copy", "-q", "--dest-tls-verify=false"];
    with(&[&copy[..], &["--dest-no-creds", from, &place]].concat())
        .ends(1)
        .says("unauthorized: authentication required");
    with(&[&copy[..], &["--dest-creds", "tester:wrong", from, &place]].concat()).ends(1);
    with(&[&copy[..], &["--dest-creds", &creds, from, &place]].concat()).ok();
    let flags = ["--src-tls-verify=false", "--src-creds", &creds];
    assert_eq!(identity_in(&scratch, &flags, &place), identity(from));

    let registry = Registry::start(&scratch, Access::Tls);
    let place = format!("docker://{}/it:1", registry.address());
    let certificates = registry.certificates();
    dray(&format!("copy -q {from} {place}")).ends(1).says("certificate");
    dray(&format!("--tls-verify=false copy -q --dest-tls-verify {from} {place}")).ends(1);
    dray(&format!("--tls-verify=false copy -q {from} {place}")).ok();
    dray(&format!("copy -q --dest-cert-dir {certificates} {from} {place}")).ok();
    let flags = ["--src-cert-dir", &certificates];
    assert_eq!(identity_in(&scratch, &flags, &place), identity(from));
}

#[test]
fn a_copy_of_what_is_there_asks_once() {
    let Some((_scratch, registry)) = start(Access::Plain) else { return };
    let from = &fixtures().buildah_oci;
    let place = format!("docker://{}/it:1", registry.address());
    let copy = format!("copy --dest-tls-verify=false {from} {place}");
    dray(&copy).ok();
    let before = registry.requests().len();
    dray(&copy).ok();
    let requests = registry.requests().split_off(before);
    assert!(requests.len() <= 3, "{requests:#?}");
    let change = |request: &String| !request.starts_with("GET ") && !request.starts_with("HEAD ");
    assert!(!requests.iter().any(change), "{requests:#?}");
}

#[test]
fn few_requests_push_and_inspect_an_image() {
    let Some((_scratch, registry)) = start(Access::Password) else { return };
    let from = &fixtures().buildah_oci;
    let place = format!("docker://{}/it:1", registry.address());
    let creds = format!("{USER}:{PASSWORD}");
    let with = |arguments: &[&str]| run(command(dray_built()).args(arguments)).ok();
    with(&["copy", "-q", "--dest-tls-verify=false", "--dest-creds", &creds, from, &place]);
    let blobs = dray(&format!("inspect {from}")).ok().json()["Layers"].as_array().map(Vec::len);
    let blobs = blobs.expect("an image has layers") + 1;
    let requests = registry.requests();
    // Two or three for each blob, and three around them: who are you, is it there, here it is.
    assert!(requests.len() <= 3 * blobs + 3, "{blobs} blobs: {requests:#?}");

    let before = requests.len();
    with(&["inspect", "--tls-verify=false", "--creds", &creds, &place]);
    let requests = registry.requests().split_off(before);
    assert!(requests.len() <= 4, "{requests:#?}");
}

#[test]
fn blobs_are_mounted_from_another_repository() {
    let Some((_scratch, registry)) = start(Access::Plain) else { return };
    let host = registry.address();
    let from = &fixtures().buildah_oci;
    dray(&format!("copy -q --dest-tls-verify=false {from} docker://{host}/one:1")).ok();
    let before = registry.requests().len();
    let flags = "--src-tls-verify=false --dest-tls-verify=false";
    dray(&format!("copy -q {flags} docker://{host}/one:1 docker://{host}/two:1")).ok();
    let requests = registry.requests().split_off(before);
    let mounts = requests.iter().filter(|request| request.contains("mount=")).count();
    assert!(mounts >= 3, "{requests:#?}");
    assert!(
        !requests.iter().any(|request| request.starts_with("PUT ") && request.contains("/blobs/"))
    );
}

#[test]
fn tags_are_listed_given_taken_away_and_deleted() {
    let Some((_scratch, registry)) = start(Access::Plain) else { return };
    let host = registry.address();
    let from = &fixtures().buildah_oci;
    let repository = format!("docker://{host}/a/b");
    let tags = || {
        let ours = dray(&format!("list-tags --tls-verify=false {repository}")).ok().json();
        let theirs = skopeo(&format!("list-tags --tls-verify=false {repository}")).ok().json();
        assert_eq!(ours, theirs);
        let tags = ours["Tags"].as_array().expect("tags are a list").iter();
        let mut tags: Vec<_> = tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect();
        // The registry has no order.
        tags.sort();
        tags
    };
    dray(&format!("copy -q --dest-tls-verify=false {from} {repository}:1")).ok();
    dray(&format!("tag --tls-verify=false {repository}:1 2 latest")).ok();
    assert_eq!(tags(), ["1", "2", "latest"]);
    dray(&format!("untag --tls-verify=false {repository}:2")).ok();
    assert_eq!(tags(), ["1", "latest"]);
    let digest = dray(&format!("digest --tls-verify=false {repository}:1")).ok().text().to_owned();
    assert_eq!(digest, tests::digest(from));
    dray(&format!("delete --tls-verify=false {repository}:1")).ok();
    dray(&format!("inspect --tls-verify=false {repository}:latest"))
        .ends(2)
        .says("manifest unknown");
}

#[test]
fn what_is_not_there_is_told_in_one_line_and_at_once() {
    let Some((_scratch, registry)) = start(Access::Plain) else { return };
    let host = registry.address();
    dray(&format!("inspect --tls-verify=false docker://{host}/a/b:nope"))
        .ends(2)
        .says("reading manifest nope in");
    dray("inspect docker://127.0.0.1:1/a/b:1")
        .ends(1)
        .says("pinging container registry 127.0.0.1:1");
    dray(&format!("inspect docker://{host}/a/b:1")).ends(1).says("--tls-verify=false");
}

#[test]
fn repositories_and_referrers_are_listed() {
    let Some((scratch, registry)) = start(Access::Plain) else { return };
    let host = registry.address();
    assert_eq!(dray(&format!("catalog --tls-verify=false {host}")).ok().text(), "");
    let layout = scratch.at("layout");
    let image = ImageSpec::new(1).layer(LayerSpec::new(1)).build().content();
    let sbom = ArtifactSpec::new(2, "application/spdx+json").subject(&image.top).build();
    write_oci_layout(std::path::Path::new(&layout), &[(Some("app"), &image), (None, &sbom)])
        .expect("a layout can be written");
    let place = format!("docker://{host}/a/app:1");
    dray(&format!("copy -q --referrers --dest-tls-verify=false oci:{layout}:app {place}")).ok();
    assert_eq!(dray(&format!("catalog --tls-verify=false {host}")).ok().text(), "a/app");
    // This registry has no list of its own: what refers is found by a tag.
    for (flags, place) in [("", &format!("oci:{layout}:app")), ("--tls-verify=false", &place)] {
        let listed = dray(&format!("referrers --json {flags} {place}")).ok().json();
        assert_eq!(listed["Subject"], image.top.digest.to_string());
        assert_eq!(listed["Referrers"][0]["Digest"], sbom.top.digest.to_string(), "{place}");
        assert_eq!(listed["Referrers"][0]["ArtifactType"], "application/spdx+json");
        dray(&format!("referrers {flags} {place}")).ok();
        let other = "referrers --json --artifact-type text/plain";
        let none = dray(&format!("{other} {flags} {place}")).ok().json();
        assert_eq!(none["Referrers"].as_array().map(Vec::len), Some(0));
    }
}
