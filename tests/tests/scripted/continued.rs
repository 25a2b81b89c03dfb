//! Containers that one begins and the other goes on with.

use tests::has;

use crate::{TOOLS, buildah, cooper, store_with_base};

#[test]
fn what_buildah_begins_cooper_goes_on_with() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let container = buildah(&store, &["from", "base"]).ok().text().to_owned();
    buildah(&store, &["config", "--env", "B=buildah", &container]).ok();
    let said = cooper(&store, &["run", &container, "--", "sh", "-c", "echo $B > /ran"]).ok();
    assert_eq!(said.text(), "");
    cooper(&store, &["config", "--label", "by=cooper", "--env", "C=$B", &container]).ok();
    cooper(&store, &["copy", "-q", &container, "/bin/busybox", "/copied/"]).ok();
    buildah(&store, &["commit", "-q", "--rm", &container, "made"]).ok();
    let format = "{{.OCIv1.Config.Env}} {{index .OCIv1.Config.Labels \"by\"}}";
    let seen = buildah(&store, &["inspect", "--type", "image", "--format", format, "made"]).ok();
    assert_eq!(seen.text(), "[A=1 B=buildah C=buildah] cooper");
    let second = cooper(&store, &["from", "made"]).ok().text().to_owned();
    let read = cooper(&store, &["run", &second, "sh", "-c", "cat /ran; ls /copied"]).ok();
    assert_eq!(read.text(), "buildah\nbusybox");
    // Behind the container nothing is a flag of the program.
    for program in [cooper, buildah] {
        let line = ["run", "--isolation=chroot", &second, "--", "echo", "--user", "x", "--", "-e"];
        let said = program(&store, &line).ok();
        assert_eq!(said.text(), "--user x -- -e");
    }
}

#[test]
fn what_cooper_begins_buildah_goes_on_with() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    assert_eq!(container, "base-working-container");
    let second = buildah(&store, &["from", "base"]).ok();
    assert_eq!(second.text(), "base-working-container-1", "each sees the other's names");
    cooper(&store, &["config", "--port", "80", &container]).ok();
    let line = ["run", "--isolation", "chroot", &container, "--", "sh", "-c", "echo $A > /ran"];
    buildah(&store, &line).ok();
    buildah(&store, &["config", "--port", "443/tcp", "--hostname", "h", &container]).ok();
    let theirs = buildah(&store, &["mount", &container]).ok().text().to_owned();
    let ours = cooper(&store, &["mount", &container]).ok().text().to_owned();
    assert_eq!(ours, theirs);
    buildah(&store, &["umount", &container]).ok();
    assert_eq!(cooper(&store, &["mount"]).ok().text(), format!("{container} {ours}"), "counted");
    cooper(&store, &["umount", &container]).ok();
    assert_eq!(buildah(&store, &["mount"]).ok().text(), "");
    cooper(&store, &["commit", "-q", "--format", "docker", &container, "made"]).ok();
    let format = "{{.Docker.Config.ExposedPorts}} {{.Docker.Config.Hostname}}";
    let seen = buildah(&store, &["inspect", "--type", "image", "--format", format, "made"]).ok();
    assert_eq!(seen.text(), "map[443/tcp:{} 80:{}] h");
    buildah(&store, &["rm", &container]).ok();
    cooper(&store, &["run", &container, "true"]).ends(125).says("container not known");
}

#[test]
fn what_newer_releases_write_down_survives() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let container = buildah(&store, &["from", "base"]).ok().text().to_owned();
    let id = buildah(&store, &["containers", "-q"]).ok().text().to_owned();
    let file = store.root().join("overlay-containers").join(id).join("userdata/buildah.json");
    let text = std::fs::read_to_string(&file).expect("buildah writes it");
    let text = text.replacen('{', r#"{"FromTheFuture":{"x":[1,"<&>"]},"#, 1);
    std::fs::write(&file, text).expect("the store is writable");
    cooper(&store, &["config", "--env", "B=2", &container]).ok();
    let text = std::fs::read(&file).expect("it is still there");
    let state: serde_json::Value = serde_json::from_slice(&text).expect("it is JSON");
    assert_eq!(state["FromTheFuture"], serde_json::json!({"x": [1, "<&>"]}));
    assert_eq!(state["ociv1"]["config"]["Env"], serde_json::json!(["A=1", "B=2"]));
    buildah(&store, &["config", "--env", "C=3", &container]).ok();
}
