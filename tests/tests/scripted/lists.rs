//! Lists of images for several platforms.

use tests::{has, scratch};

use crate::{TOOLS, buildah, cooper, store_with_base};

#[test]
fn lists_are_made_by_one_and_changed_by_the_other() {
    if !has(&TOOLS) || !has(&["skopeo"]) {
        return;
    }
    let (store, files) = (store_with_base(), scratch());
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    cooper(&store, &["config", "--arch", "arm64", "--variant", "v8", &container]).ok();
    cooper(&store, &["commit", "-q", &container, "other"]).ok();
    let id = cooper(&store, &["manifest", "create", "all", "base"]).ok().text().to_owned();
    let added = buildah(&store, &["manifest", "add", "all", "other"]).ok();
    let digest = added.text().rsplit(' ').next().expect("it prints the digest").to_owned();
    assert_eq!(added.text(), format!("{id}: {digest}"));
    let line = ["manifest", "annotate", "--annotation", "a=b", "--os-version", "7", "all", &digest];
    assert_eq!(cooper(&store, &line).ok().text(), added.text());
    let theirs = buildah(&store, &["manifest", "inspect", "all"]).ok().json();
    let ours = cooper(&store, &["manifest", "inspect", "all"]).ok().json();
    assert_eq!(ours["manifests"], theirs["manifests"]);
    let second = &ours["manifests"][1];
    let expected = serde_json::json!({
        "architecture": "arm64", "os": "linux", "os.version": "7", "variant": "v8",
    });
    assert_eq!((&second["platform"], &second["annotations"]["a"]), (&expected, &"b".into()));

    let check = |program: &str, name: &str| {
        let place = format!("oci:{}:x", files.at(name));
        store.run(program, &["manifest", "push", "--all", "all", &place]).ok();
        let raw = tests::skopeo(&format!("inspect --raw {place}")).ok().json();
        assert_eq!(raw["manifests"].as_array().map(Vec::len), Some(2), "{program}");
        let arguments =
            format!("--override-arch arm64 --override-variant v8 inspect --config {place}");
        assert_eq!(tests::skopeo(&arguments).ok().json()["architecture"], "arm64");
    };
    check(crate::program(), "ours");
    check("buildah", "theirs");

    cooper(&store, &["manifest", "exists", "all"]).ok();
    cooper(&store, &["manifest", "exists", "base"]).ends(125).says("image is not a manifest list");
    cooper(&store, &["manifest", "exists", "nosuch"]).ends(1);
    cooper(&store, &["manifest", "create", "all"]).ends(125).says("that name is already in use");
    let nowhere = ["manifest", "add", "--retry=0", "all", "127.0.0.1:1/nosuch"];
    cooper(&store, &nowhere).ends(125).says("is not in the store");
    cooper(&store, &["manifest", "remove", "all", &digest]).ok();
    let again = ["manifest", "remove", "all", &digest];
    cooper(&store, &again).ends(125).says("no instance matching digest");
    assert_eq!(
        buildah(&store, &["manifest", "inspect", "all"]).ok().json()["manifests"][1],
        serde_json::Value::Null
    );
    let gone = cooper(&store, &["manifest", "rm", "all"]).ok();
    assert_eq!(gone.text(), format!("untagged: localhost/all:latest\n{id}"));
}

#[test]
fn push_takes_a_list_away_and_leaves_an_image() {
    if !has(&TOOLS) {
        return;
    }
    let (store, files) = (store_with_base(), scratch());
    let image = ["push", "-q", "--rm", "base", &format!("dir:{}", files.at("image"))];
    for program in [cooper, buildah] {
        program(&store, &image).ok();
        assert!(!program(&store, &["images", "-q", "base"]).ok().text().is_empty());
    }
    cooper(&store, &["manifest", "create", "all", "containers-storage:localhost/base"]).ok();
    let list = ["push", "-q", "--rm", "--all", "all", &format!("dir:{}", files.at("list"))];
    cooper(&store, &list).ok();
    cooper(&store, &["manifest", "exists", "all"]).ends(1);
}

#[test]
fn lists_that_many_change_at_once_lose_nothing() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let names: Vec<String> = (0..6).map(|number| format!("of-{number}")).collect();
    for name in &names {
        let container = cooper(&store, &["from", "scratch"]).ok().text().to_owned();
        cooper(&store, &["config", "--label", &format!("n={name}"), &container]).ok();
        cooper(&store, &["commit", "-q", "--rm", &container, name]).ok();
    }
    cooper(&store, &["manifest", "create", "all"]).ok();
    std::thread::scope(|scope| {
        for name in &names {
            let store = &store;
            scope.spawn(move || cooper(store, &["manifest", "add", "all", name]).ok());
        }
    });
    let list = buildah(&store, &["manifest", "inspect", "all"]).ok().json();
    assert_eq!(list["manifests"].as_array().map(Vec::len), Some(names.len()));
}

#[test]
fn commits_at_once_make_one_list() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let containers: Vec<String> =
        (0..3).map(|_| cooper(&store, &["from", "base"]).ok().text().to_owned()).collect();
    for (number, container) in containers.iter().enumerate() {
        cooper(&store, &["config", "--label", &format!("n={number}"), container]).ok();
    }
    std::thread::scope(|scope| {
        for container in &containers {
            let store = &store;
            scope.spawn(move || {
                cooper(store, &["commit", "-q", "--manifest", "all", container]).ok()
            });
        }
    });
    let list = buildah(&store, &["manifest", "inspect", "all"]).ok().json();
    assert_eq!(list["manifests"].as_array().map(Vec::len), Some(containers.len()));
}
