//! `docker-daemon:` and Debian's Docker daemon.

use serde_json::Value;
use tests::{daemon, dray, fixtures, has, identity, scratch, skopeo};

use crate::TOOLS;

/// The identity of an image of the daemon, as skopeo sees it.
#[track_caller]
fn in_daemon(name: &str) -> tests::Identity {
    identity(&format!("--daemon-host {} docker-daemon:{name}", daemon().host()))
}

#[test]
fn images_go_to_the_docker_daemon() {
    if !has(&TOOLS) || !has(&["docker"]) {
        return;
    }
    let host = daemon().host();
    // Layers that are plain go over as they are; others are decompressed on the way.
    for (from, name) in [
        (&fixtures().podman_docker_archive, "example.com/sent:plain"),
        (&fixtures().buildah_oci, "example.com/sent:gzip"),
    ] {
        dray(&format!("copy -q --dest-daemon-host {host} {from} docker-daemon:{name}")).ok();
        let id = daemon().docker(&format!("inspect --format {{{{.Id}}}} {name}")).ok();
        assert_eq!(id.text(), identity(from).config);
        assert_eq!(in_daemon(name), identity(from));
        let outcome = daemon().docker(&format!("create --name made-{} {name}", &name[17..]));
        outcome.ok();
    }
}

#[test]
fn images_come_from_the_docker_daemon() {
    if !has(&TOOLS) || !has(&["docker"]) {
        return;
    }
    let (host, scratch) = (daemon().host(), scratch());
    let name = "example.com/loaded-for-reading:1";
    let archive = scratch.at("it.tar");
    skopeo(&format!("copy -q {} docker-archive:{archive}:{name}", fixtures().buildah_oci)).ok();
    daemon().docker(&format!("load -q -i {archive}")).ok();
    let expected = identity(&fixtures().buildah_oci);
    let from = format!("--src-daemon-host {host} docker-daemon");
    for image in [name, &expected.config] {
        for to in ["oci", "dir", "docker-archive"] {
            let to = format!("{to}:{}", scratch.at(&format!("{to}-{}", image.len())));
            dray(&format!("copy -q {from}:{image} {to}")).ok();
            assert_eq!(identity(&to), expected, "{image} to {to}");
        }
    }
    let shown = dray(&format!("inspect --daemon-host {host} docker-daemon:{name}")).ok().json();
    let same = skopeo(&format!("inspect --daemon-host {host} docker-daemon:{name}")).ok().json();
    for key in ["Name", "Labels", "Layers", "Env", "Architecture", "Os", "Created"] {
        assert_eq!(shown[key], same[key], "{key}");
        assert_ne!(shown[key], Value::Null, "{key}");
    }
}

#[test]
fn what_the_docker_daemon_lacks_is_not_found() {
    if !has(&TOOLS) || !has(&["docker"]) {
        return;
    }
    let host = daemon().host();
    let words = "loading image from docker engine: Error response from daemon: \
                 reference does not exist";
    let image = "docker-daemon:example.com/not-there:1";
    dray(&format!("inspect --daemon-host {host} {image}")).ends(2).says(words);
    skopeo(&format!("inspect --daemon-host {host} {image}")).ends(1).says(words);

    let nobody = "unix:///nonexistent/docker.sock";
    let words = format!(
        "loading image from docker engine: Cannot connect to the Docker daemon at {nobody}. \
         Is the docker daemon running?"
    );
    for program in [dray, skopeo] {
        program(&format!("inspect --daemon-host {nobody} {image}")).ends(1).says(&words);
    }
}
