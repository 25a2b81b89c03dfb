//! podman's store as a side of every command, beside podman.

use serde_json::json;
use tests::{
    Access, PeerStore, Registry, Scratch, command, dray, dray_built, dray_with, has, run, scratch,
};

const TOOLS: [&str; 4] = ["buildah", "podman", "busybox", "docker-registry"];

fn setup() -> Option<(Scratch, PeerStore, Registry)> {
    if !has(&TOOLS) {
        return None;
    }
    let scratch = scratch();
    let registry = Registry::start(&scratch, Access::Plain);
    Some((scratch, PeerStore::with_images(), registry))
}

/// Runs `dray sync` and gives what became of each image, by where it went.
#[track_caller]
fn sync(arguments: &[&str]) -> Vec<String> {
    let mut dray = command(dray_built());
    dray.args(["sync", "-q", "--report", "json"]).args(arguments);
    let report = run(dray.args(["--src-tls-verify=false", "--dest-tls-verify=false"])).ok().json();
    let images = report["Images"].as_array().expect("it is a list").iter();
    let line = |image: &serde_json::Value| {
        let text = |key: &str| image[key].as_str().expect("it is a text").to_owned();
        format!("{} {}", text("Outcome"), text("To"))
    };
    let removed = report["Removed"].as_array().expect("it is a list").iter();
    let removed = removed.map(|name| format!("removed {}", name.as_str().expect("it is a text")));
    images.map(line).chain(removed).collect()
}

#[test]
fn a_repository_of_a_store_is_listed_and_synced_and_pruned() {
    let Some((scratch, store, registry)) = setup() else { return };
    store.podman(&["tag", "localhost/child:1", "quay.io/x/child:v3"]).ok();
    let place = store.location("quay.io/x/child");
    let tags = dray(&format!("list-tags {place}")).ok().json();
    assert_eq!(tags, json!({"Repository": "quay.io/x/child", "Tags": ["v2", "v3"]}));
    dray(&format!("list-tags {place}:v2")).ends(1).says("No tag or digest allowed in reference");

    let from = place.trim_start_matches("containers-storage:");
    let (host, to) = (registry.address(), scratch.at("tree"));
    let copied = sync(&["-s", "containers-storage", "-d", "oci", from, &to]);
    assert_eq!(copied, [format!("copied oci:{to}/child:v2"), format!("copied oci:{to}/child:v3")]);
    let there = format!("docker://{host}/m/child");
    let to = format!("{host}/m");
    let copied = sync(&["-s", "containers-storage", "-d", "docker", from, &to]);
    assert_eq!(copied, [format!("copied {there}:v2"), format!("copied {there}:v3")]);

    // Into another store, whose images podman then has.
    let other = PeerStore::new();
    let into = other.location("localhost");
    let into = into.trim_start_matches("containers-storage:");
    let copied =
        sync(&["-s", "docker", "-d", "containers-storage", &format!("{host}/m/child"), into]);
    assert_eq!(copied.len(), 2, "{copied:?}");
    assert!(copied[0].starts_with("copied ") && copied[0].ends_with("localhost/child:v2"));
    let seen = other.podman(&["images", "--format", "{{.Repository}}:{{.Tag}}", "--sort", "tag"]);
    assert_eq!(seen.ok().text(), "localhost/child:v2\nlocalhost/child:v3");
    let ids = |store: &PeerStore, name: &str| {
        store.podman(&["inspect", "--format", "{{.Id}}", name]).ok().text().to_owned()
    };
    assert_eq!(ids(&other, "localhost/child:v2"), ids(&store, "quay.io/x/child:v2"));

    // Nothing changed; then a tag is gone, and another repository's names stay.
    let line = ["-s", "docker", "-d", "containers-storage", "--prune"];
    let source = format!("{host}/m/child");
    other.podman(&["tag", "localhost/child:v2", "localhost/mine:v3"]).ok();
    dray(&format!("untag --tls-verify=false {there}:v3")).ok();
    let done = sync(&[&line[..], &[&source, into]].concat());
    let removed: Vec<_> = done.iter().filter(|line| line.starts_with("removed")).collect();
    assert!(removed.len() == 1 && removed[0].ends_with("localhost/child:v3"), "{done:?}");
    let seen =
        other.podman(&["images", "--format", "{{.Repository}}:{{.Tag}}", "--sort", "repository"]);
    assert_eq!(seen.ok().text(), "localhost/child:v2\nlocalhost/mine:v3");
}

#[test]
fn every_command_takes_an_image_of_a_store() {
    let Some((scratch, store, registry)) = setup() else { return };
    let place = store.location("localhost/base:1");
    for verb in ["inspect", "inspect --raw", "inspect --config", "digest", "validate -q"] {
        dray(&format!("{verb} {place}")).ok();
    }
    let refused = "Listing referrers not implemented for containers-storage: images";
    dray(&format!("referrers {place}")).ends(1).says(refused);
    dray_with(&["tag", &place, "localhost/base:2"]).ok();
    dray_with(&["untag", &store.location("localhost/base:2")]).ok();
    dray_with(&["digest", &store.location("localhost/base:2")]).ends(2);
    let all = format!("docker://{}/all", registry.address());
    let from = store.location("quay.io/x/child");
    dray(&format!("copy -q --all-tags --dest-tls-verify=false {from} {all}")).ok();
    let tags = dray(&format!("list-tags --tls-verify=false {all}")).ok().json();
    assert_eq!(tags["Tags"], json!(["v2"]));
    let back = store.location("localhost/back");
    dray(&format!("copy -q --all-tags --src-tls-verify=false {all} {back}")).ok();
    dray(&format!("copy -q {back}:v2 dir:{}", scratch.at("dir"))).ok();
    dray(&format!("copy -q --digest-tags {back}:v2 oci:{}:it", scratch.at("layout"))).ok();
    dray(&format!("delete {back}:v2")).ok();
    assert!(!store.podman(&["images", "-n"]).ok().text().contains("localhost/back"));
    dray("catalog containers-storage:x").ends(1);
}

#[test]
fn what_was_pulled_into_a_store_is_pushed_without_being_compressed_again() {
    let Some((scratch, store, registry)) = setup() else { return };
    let host = registry.address();
    let [pushed, again] = ["a", "b"].map(|name| format!("docker://{host}/{name}/base:1"));
    let cache = scratch.at("cache");
    let copy = |from: &str, to: &str, cache: &str| {
        let mut dray = command(dray_built());
        dray.env("XDG_CACHE_HOME", cache).args(["copy", "-q", from, to]);
        run(dray.args(["--src-tls-verify=false", "--dest-tls-verify=false"])).ok()
    };
    copy(&store.location("localhost/base:1"), &pushed, &scratch.at("another"));
    let pulled = PeerStore::new();
    let image = pulled.location("localhost/base:1");
    copy(&pushed, &image, &cache);
    copy(&image, &again, &cache);
    let layers = |place: &str| {
        dray(&format!("inspect --raw --tls-verify=false {place}")).ok().json()["layers"].clone()
    };
    assert_eq!(layers(&again), layers(&pushed));
    let requests = registry.requests();
    let begins = |start: &str| requests.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!(begins("PUT /v2/b/base/blobs/uploads"), 1, "the config alone is sent: {requests:?}");
    assert_eq!(begins("PATCH /v2/b/base"), 0, "{requests:?}");
}
