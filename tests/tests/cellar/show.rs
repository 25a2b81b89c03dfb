//! Commands that only look.

use tests::{PeerStore, has};

use crate::TOOLS;

/// Commands whose standard output, standard error and exit code are podman's. Ages are not compared.
const SAME: &[&str] = &[
    "images",
    "images --digests",
    "images -q",
    "images --no-trunc",
    "images --no-trunc -q",
    "images --format json",
    "images --format {{.Repository}}:{{.Tag}}",
    "images --format {{.CreatedAt}}|{{.CreatedTime}}|{{.Digest}}|{{.RepoTags}}|{{.Names}}",
    "images --format {{.Labels}}|{{.ParentId}}|{{.VirtualSize}}|{{.SharedSize}}|{{.Containers}}",
    "images --format {{.ID}}|{{.Id}}|{{.RepoDigests}}|{{.IsDangling}}|{{.IsReadOnly}}",
    "images -n",
    "images nosuch",
    "images child",
    "images localhost/ch*",
    "images --history",
    "images --filter dangling=true",
    "images --filter dangling=false",
    "images --filter bad=1",
    "images --filter reference=*child*",
    "images --filter label=vendor",
    "images --filter label=vendor=you",
    "images --filter since=base:1",
    "images --filter before=child:1",
    "images --filter readonly=true",
    "images --filter id=abc",
    "images --sort size",
    "images --sort repository",
    "images --sort tag",
    "image ls",
    "image list -q",
    "image tree child:1",
    "image tree base:1",
    "image tree --whatrequires base:1",
    "image tree nosuch",
    "history nosuch",
    "image inspect child:1",
    "image inspect base:1",
    "image inspect nosuch",
    "image inspect base:1 nosuch",
    "image inspect --format {{.Id}} base:1",
    "image inspect --format {{.ID}}|{{.Config.Env}}|{{.Os}} base:1",
    "image exists base:1",
    "image exists base",
    "image exists nosuch",
    "image exists quay.io/x/child:v2",
    "image exists x/child:v2",
    "image mount",
    "image mount nosuch",
    "image unmount nosuch",
    "image unmount base:1",
    "tag nosuch a",
    "untag nosuch",
    "rmi nosuch",
    "rmi",
    "rmi -i nosuch",
    "rmi -f nosuch",
    "image prune",
];

/// How many of those there are.
const COUNT: usize = 57;

/// Takes ages out, which pass between two commands.
fn without_ages(text: &str) -> String {
    let ago = ["Less than a second ago", "1 second ago", "About a minute ago"];
    let mut text = text.to_owned();
    for age in ago {
        text = text.replace(age, "AGO");
    }
    for number in 2..60 {
        text = text.replace(&format!("{number} seconds ago"), "AGO");
        text = text.replace(&format!("{number} minutes ago"), "AGO");
    }
    // The width of that column is another, too.
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_podman_shows_cellar_shows() {
    if !has(&TOOLS) {
        return;
    }
    assert_eq!(SAME.len(), COUNT);
    let store = PeerStore::with_images();
    let mut different = Vec::new();
    for line in SAME {
        let words: Vec<&str> = line.split(' ').collect();
        let (theirs, ours) = (store.podman(&words), store.cellar(&words));
        let text = |bytes: &[u8]| without_ages(&String::from_utf8_lossy(bytes));
        let same = theirs.code == ours.code
            && text(&theirs.stdout) == text(&ours.stdout)
            && theirs.stderr == ours.stderr;
        if !same {
            different.push(format!("{theirs}\n{ours}"));
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n\n"));
}

#[test]
fn history_says_which_image_each_step_made() {
    if !has(&TOOLS) {
        return;
    }
    let store = PeerStore::with_images();
    let history = store.cellar(&["history", "--format", "json", "child:1"]).ok().json();
    let steps = history.as_array().expect("a history is a list");
    assert_eq!(steps.len(), 11);
    let id = |name: &str| {
        let inspected = store.podman(&["image", "inspect", name]).ok().json();
        inspected[0]["Id"].as_str().expect("an image has an ID").to_owned()
    };
    assert_eq!(steps[0]["id"].as_str(), Some(id("child:1").as_str()));
    assert_eq!(steps[4]["id"].as_str(), Some(id("base:1").as_str()), "{history}");
    // What podman knows besides is the same.
    let theirs = store.podman(&["history", "--format", "json", "child:1"]).ok().json();
    for (ours, theirs) in steps.iter().zip(theirs.as_array().expect("a history is a list")) {
        for key in ["created", "CreatedBy", "size", "comment", "Created"] {
            assert_eq!(ours[key], theirs[key], "{key}");
        }
    }
}
