//! skopeo and podman push to it and pull from it.

use rustix::process::Signal;
use tests::{
    Access, Fixtures, PASSWORD, Served, USER, daemon, dray, fixtures, has, identity, scratch,
    skopeo, skopeo_with,
};

use crate::TOOLS;

#[test]
fn skopeo_pushes_and_pulls() {
    if !has(&TOOLS) {
        return;
    }
    let scratch = scratch();
    let served = Served::start(&scratch, Access::Plain);
    let address = served.address();
    let froms = [&fixtures().buildah_oci, &fixtures().podman_docker_dir];
    for (from, tag) in froms.into_iter().zip(["oci", "docker"]) {
        let there = format!("docker://{address}/team/image:{tag}");
        skopeo(&format!("copy -q --dest-tls-verify=false {from} {there}")).ok();
        let back = scratch.at(tag);
        let line = format!("copy -q --preserve-digests --src-tls-verify=false {there} dir:{back}");
        skopeo(&line).ok();
        assert_eq!(identity(&format!("dir:{back}")), identity(from));
        let pushed = skopeo(&format!("inspect --raw --tls-verify=false {there}")).ok();
        assert_eq!(pushed.stdout, skopeo(&format!("inspect --raw dir:{back}")).ok().stdout);
        dray(&format!("validate -q {}:{tag}", served.layout("team/image"))).ok();
    }
    let tags = format!("list-tags --tls-verify=false docker://{address}/team/image");
    assert_eq!(skopeo(&tags).ok().json()["Tags"], serde_json::json!(["docker", "oci"]));
    // skopeo reads the layout while it is served. This one knows only OCI's types there.
    let read = skopeo(&format!("inspect --raw {}:oci", served.layout("team/image"))).ok();
    let oci = format!("docker://{address}/team/image:oci");
    assert_eq!(read.stdout, skopeo(&format!("inspect --raw --tls-verify=false {oci}")).ok().stdout);
    let inspected = skopeo(&format!("inspect --tls-verify=false {oci}")).ok().json();
    assert_eq!(inspected["RepoTags"], serde_json::json!(["docker", "oci"]));
    skopeo(&format!("delete --tls-verify=false {oci}")).ok();
    assert_eq!(skopeo(&tags).ok().json()["Tags"], serde_json::json!(["docker"]));
    served.stop(Signal::TERM).ok();
}

#[test]
fn skopeo_mounts_from_another_repository() {
    if !has(&TOOLS) {
        return;
    }
    let scratch = scratch();
    let served = Served::start(&scratch, Access::Plain);
    let place = |name: &str| format!("docker://{}/{name}:1", served.address());
    let from = &fixtures().buildah_oci;
    skopeo(&format!("copy -q --dest-tls-verify=false {from} {}", place("a"))).ok();
    let insecure = "--src-tls-verify=false --dest-tls-verify=false";
    skopeo(&format!("copy -q {insecure} {} {}", place("a"), place("b/c"))).ok();
    assert!(served.log().contains("mount="), "{}", served.log());
    dray(&format!("validate -q {}:1", served.layout("b/c"))).ok();
}

#[test]
fn skopeo_pushes_whole_indexes() {
    if !has(&TOOLS) {
        return;
    }
    let scratch = scratch();
    let served = Served::start(&scratch, Access::Plain);
    let image = cask_testkit::generate::ImageSpec::new(1).build();
    let other = cask_testkit::generate::ImageSpec::new(2).build();
    let index = cask_testkit::generate::IndexSpec::new().image(&image).image(&other).build();
    let layout = scratch.join("layout");
    cask_testkit::generate::write_oci_layout(&layout, &[(Some("all"), &index)])
        .expect("a new directory is writable");
    let (from, there) =
        (format!("oci:{}:all", layout.display()), format!("docker://{}/r:all", served.address()));
    skopeo(&format!("copy -q --all --dest-tls-verify=false {from} {there}")).ok();
    let back = scratch.at("back");
    skopeo(&format!("copy -q --all --src-tls-verify=false {there} oci:{back}:all")).ok();
    let raw = |place: &str| skopeo(&format!("inspect --raw {place}")).ok().stdout;
    assert_eq!(raw(&from), raw(&format!("oci:{back}:all")));
    dray(&format!("validate -q {}:all", served.layout("r"))).ok();
}

#[test]
fn passwords_are_asked_for() {
    if !has(&TOOLS) {
        return;
    }
    let scratch = scratch();
    let served = Served::start(&scratch, Access::Password);
    let (from, there) = (&fixtures().buildah_oci, format!("docker://{}/a:1", served.address()));
    let credentials = format!("{USER}:{PASSWORD}");
    let copy = |credentials: &str| {
        let flags = ["copy", "-q", "--dest-tls-verify=false", "--dest-creds"];
        skopeo_with(&[&flags[..], &[credentials, from, &there]].concat())
    };
    copy(&credentials).ok();
    let wrong = copy(&format!("{USER}:wrong"));
    assert_ne!(wrong.code, 0, "{wrong}");
    let nobody = skopeo(&format!("inspect --no-creds --tls-verify=false {there}"));
    assert_ne!(nobody.code, 0, "{nobody}");
    assert!(served.log().contains(&format!(" {USER} \"")), "{}", served.log());
    assert!(!served.log().contains(PASSWORD), "{}", served.log());
}

#[test]
fn tls_is_spoken() {
    if !has(&TOOLS) || !has(&["openssl"]) {
        return;
    }
    let scratch = scratch();
    let served = Served::start(&scratch, Access::Tls);
    assert!(served.url().starts_with("https://"), "{}", served.url());
    let (from, there) = (&fixtures().buildah_oci, format!("docker://{}/a:1", served.address()));
    let certificates = scratch.join("settings-Tls/certs").display().to_string();
    skopeo(&format!("copy -q --dest-cert-dir {certificates} {from} {there}")).ok();
    skopeo(&format!("inspect --cert-dir {certificates} {there}")).ok();
    assert_ne!(skopeo(&format!("inspect {there}")).code, 0, "nobody knows the certificate");
}

#[test]
fn podman_pushes_and_pulls() {
    if !has(&TOOLS) {
        return;
    }
    let scratch = scratch();
    let served = Served::start(&scratch, Access::Plain);
    let (from, name) = (&fixtures().buildah_oci, format!("{}/team/image:1", served.address()));
    skopeo(&format!("copy -q --dest-tls-verify=false {from} docker://{name}")).ok();
    Fixtures::podman(&scratch, &format!("pull -q --tls-verify=false {name}")).ok();
    let images = Fixtures::podman(&scratch, "images -q --no-trunc").ok();
    assert_eq!(images.text(), identity(from).config);
    let again = format!("{}/podman:2", served.address());
    Fixtures::podman(&scratch, &format!("push -q --tls-verify=false {name} {again}")).ok();
    let pushed = format!("{}:2", served.layout("podman"));
    assert_eq!(identity(&pushed).diff_ids, identity(from).diff_ids);
    dray(&format!("validate -q {pushed}")).ok();
}

#[test]
fn the_docker_daemon_pushes_and_pulls() {
    if !has(&TOOLS) || !has(&["docker"]) {
        return;
    }
    let scratch = scratch();
    let served = Served::start(&scratch, Access::Plain);
    let (from, name) = (&fixtures().buildah_oci, format!("{}/team/image:1", served.address()));
    skopeo(&format!("copy -q --dest-tls-verify=false {from} docker://{name}")).ok();
    daemon().docker(&format!("pull -q {name}")).ok();
    let id = daemon().docker(&format!("inspect --format {{{{.Id}}}} {name}")).ok();
    assert_eq!(id.text(), identity(from).config);
    let again = format!("{}/docker:2", served.address());
    daemon().docker(&format!("tag {name} {again}")).ok();
    daemon().docker(&format!("push -q {again}")).ok();
    let pushed = format!("{}:2", served.layout("docker"));
    assert_eq!(identity(&format!("docker://{again} --tls-verify=false")), identity(from));
    dray(&format!("validate -q {pushed}")).ok();
}
