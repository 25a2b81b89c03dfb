//! Images from nothing.

use std::path::Path;

use tests::{Access, Registry, again, command, has, run, scratch};

use crate::{TOOLS, buildah, cooper, store_with_base};
use tests::PeerStore;

#[test]
fn an_image_is_made_from_nothing() {
    if !has(&TOOLS) {
        return;
    }
    let store = PeerStore::new();
    let container = cooper(&store, &["from", "scratch"]).ok().text().to_owned();
    assert_eq!(container, "working-container");
    let root = cooper(&store, &["mount", &container]).ok().text().to_owned();
    let bin = Path::new(&root).join("bin");
    std::fs::create_dir(&bin).expect("the mount is writable");
    std::fs::copy("/bin/busybox", bin.join("busybox")).expect("busybox is installed");
    cooper(&store, &["umount", &container]).ok();
    cooper(&store, &["run", &container, "/bin/busybox", "--install", "-s", "/bin"]).ok();
    cooper(&store, &["config", "--cmd", "sh", "--workingdir", "/w", &container]).ok();
    let id = cooper(&store, &["commit", "-q", "--rm", &container, "tiny"]).ok().text().to_owned();
    assert_eq!(id.len(), 64);
    assert_eq!(cooper(&store, &["containers", "-q"]).ok().text(), "");
    let second = buildah(&store, &["from", "tiny"]).ok().text().to_owned();
    let line = ["run", "--isolation", "chroot", &second, "sh", "-c", "pwd; echo x | wc -c"];
    let said = again(|| buildah(&store, &line).ok(), |said| !said.text().is_empty());
    assert_eq!(said.text(), "/w\n2");
}

#[test]
fn packages_are_installed_into_an_image_from_nothing() {
    if !has(&TOOLS) || !has(&["dpkg", "dpkg-deb"]) {
        return;
    }
    let (store, files) = (PeerStore::new(), scratch());
    let package = files.join("package");
    std::fs::create_dir_all(package.join("DEBIAN")).expect("a scratch directory is writable");
    std::fs::create_dir_all(package.join("usr/bin")).expect("a scratch directory is writable");
    let control = "Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: me\nDescription: x\n";
    std::fs::write(package.join("DEBIAN/control"), control).expect("it is writable");
    std::fs::copy("/bin/busybox", package.join("usr/bin/busybox")).expect("it is installed");
    let built = files.at("tool.deb");
    run(command("dpkg-deb").args(["-b", &package.display().to_string(), &built])).ok();

    let container = cooper(&store, &["from", "scratch"]).ok().text().to_owned();
    let root = cooper(&store, &["mount", &container]).ok().text().to_owned();
    let database = Path::new(&root).join("var/lib/dpkg");
    for folder in ["info", "updates", "triggers"] {
        std::fs::create_dir_all(database.join(folder)).expect("the mount is writable");
    }
    std::fs::write(database.join("status"), "").expect("the mount is writable");
    run(command("dpkg").args(["--root", &root, "--log=/dev/null", "-i", &built])).ok();
    cooper(&store, &["umount", &container]).ok();
    cooper(&store, &["commit", "-q", &container, "installed"]).ok();
    let second = cooper(&store, &["from", "installed"]).ok().text().to_owned();
    let line = ["run", &second, "/usr/bin/busybox", "grep", "-c", "^Package: tool$"];
    let listed = cooper(&store, &[line.as_slice(), &["/var/lib/dpkg/status"]].concat()).ok();
    assert_eq!(listed.text(), "1");
}

#[test]
fn an_image_goes_anywhere_and_leaves_nothing_in_the_store() {
    if !has(&TOOLS) || !has(&["skopeo"]) {
        return;
    }
    let (store, files) = (store_with_base(), scratch());
    let before = crate::layers(&store);
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    for (scheme, name) in
        [("oci", "layout:x"), ("docker-archive", "a.tar:localhost/x:1"), ("dir", "d")]
    {
        let wanted = format!("{scheme}:{}", files.at(name));
        cooper(&store, &["commit", "-q", &container, &wanted]).ok();
        let seen = tests::skopeo(&format!("inspect --config {wanted}")).ok().json();
        assert_eq!(seen["config"]["Env"], serde_json::json!(["A=1"]), "{wanted}");
    }
    cooper(&store, &["rm", &container]).ok();
    assert_eq!(crate::layers(&store), before);
    assert_eq!(cooper(&store, &["images", "-aq"]).ok().text().lines().count(), 1);
}

#[test]
fn an_archive_of_docker_s_keeps_the_name_of_the_image() {
    if !has(&TOOLS) {
        return;
    }
    let (store, files) = (store_with_base(), scratch());
    for (end, name) in [("", "a.tar"), (":other.example/x:1", "b.tar")] {
        let place = format!("docker-archive:{}{end}", files.at(name));
        cooper(&store, &["push", "-q", "base", &place]).ok();
        let place = format!("docker-archive:{}:localhost/base:latest", files.at(name));
        cooper(&PeerStore::new(), &["pull", "-q", &place]).ok();
    }
    let place = format!("docker-archive:{}", files.at("a.tar"));
    let made = cooper(&PeerStore::new(), &["from", "-q", &place]).ok();
    assert_eq!(made.text(), "base-working-container");
}

#[test]
fn a_name_may_begin_as_a_transport_does() {
    if !has(&TOOLS) || !has(&["docker-registry"]) {
        return;
    }
    let (store, files) = (store_with_base(), scratch());
    let registry = Registry::start(&files, Access::Plain);
    let at = format!("{}/library/docker", registry.address());
    cooper(&store, &["push", "-q", "--tls-verify=false", "base", &format!("docker://{at}:dind")])
        .ok();
    let conf = files.at("registries.conf");
    let text = format!(
        "[[registry]]\nlocation = {:?}\ninsecure = true\n[aliases]\ndocker = {at:?}\n",
        registry.address()
    );
    std::fs::write(&conf, text).expect("a scratch directory is writable");
    let line = ["--registries-conf", &conf, "from", "-q", "docker:dind"];
    let other = PeerStore::new();
    let made = cooper(&other, &line).ok().text().to_owned();
    let said = cooper(&other, &["inspect", "--format", "{{.FromImage}}", &made]).ok();
    assert_eq!(said.text(), format!("{at}:dind"));
}

#[test]
fn what_is_remote_is_copied_as_it_is() {
    if !has(&TOOLS) || !has(&["docker-registry", "skopeo"]) {
        return;
    }
    let (store, files) = (store_with_base(), scratch());
    let registry = Registry::start(&files, Access::Plain);
    let place = format!("docker://{}/it:1", registry.address());
    cooper(&store, &["push", "-q", "--tls-verify=false", "base", &place]).ok();
    let seen = tests::skopeo(&format!("inspect --tls-verify=false {place}")).ok().json();
    let layer = seen["Layers"][0].as_str().expect("it has a layer");
    let url = format!("http://{}/v2/it/blobs/{layer}", registry.address());
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    cooper(&store, &["copy", "-q", &container, &url, "/layer.tar.gz"]).ok();
    let line = ["run", &container, "busybox", "sha256sum", "/layer.tar.gz"];
    let digest = cooper(&store, &line).ok().text().replace("  /layer.tar.gz", "");
    assert_eq!(format!("sha256:{digest}"), layer);
    // An image that is not there is fetched.
    let other = PeerStore::new();
    let container = cooper(&other, &["from", "scratch"]).ok().text().to_owned();
    let line = ["copy", "-q", "--tls-verify=false", "--from", &place, &container, "/bin", "/bin"];
    cooper(&other, &line).ok();
    cooper(&other, &["run", &container, "/bin/true"]).ok();
}
