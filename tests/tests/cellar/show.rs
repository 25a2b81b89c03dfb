//! Commands that only look.

use std::sync::Mutex;

use tests::{Outcome, PeerStore, has, tool};

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
    "images --format {{.}}",
    "images --format {{.ImageSummary}}",
    "images --format {{.ImageSummary.Size}}|{{.ImageSummary.Created}}",
    "images --help=false",
    "images --help=x",
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
    "history --format {{.CreatedAt}}|{{.CreatedSince}}|{{.Created}} child:1",
    "history --human=false --format {{.CreatedSince}}|{{.Created}} child:1",
    "image inspect child:1",
    "image inspect base:1",
    "image inspect nosuch",
    "image inspect base:1 nosuch",
    "image inspect --format {{.Id}} base:1",
    "image inspect --format {{.ID}}|{{.Config.Env}}|{{.Os}} base:1",
    "image inspect --format {{.HealthCheck}} child:1",
    "image inspect --format {{.HealthCheck.Interval}}|{{.HealthCheck.Retries}} child:1",
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
    "network prune",
    "container prune",
    "images --filter dangling=true,readonly=false",
    "images --filter dangling=true --filter dangling=false",
    "images --filter dangling",
    "images --filter",
    "images --format {{.Bogus}}",
    "images -q --format json",
    "images -q --format {{.Tag}}",
    "images --all=false",
    "images --all=maybe",
    "images a b",
    "images -z",
    "images --bogus",
    "image bogus",
    "image exists",
    "image exists a b",
    "image exists BASE",
    "image tree",
    "image tree a b",
    "image inspect",
    "image inspect nosuch1 nosuch2",
    "image inspect --bogus x",
    "image mount --format bogus",
    "image unmount -a base:1",
    "image prune x",
    "image prune -f --filter bogus=1",
    "history",
    "history a b",
    "tag",
    "tag base:1",
    "untag",
    "untag base:1 nosuch",
    "rmi nosuch1 nosuch2",
    "rmi -a x",
    "rmi A",
    "save",
    "save --format zip base:1",
    "load x",
    "import",
    "import a b c",
    "pull",
    "push",
    "push a b c",
    "login a b",
    "logout a b",
    "system bogus",
    "system df x",
    "system prune x",
    "info x",
    "version x",
];

/// How many of those there are.
const COUNT: usize = 117;

/// Commands after which the same is in the store, besides.
const SAME_AFTER: &[&str] = &[
    "rmi base:1 nosuch",
    "rmi -a",
    "image prune -af",
    "image prune -af --filter label=vendor",
    "untag child:1 child:1",
];

/// Takes ages out, which pass between two commands.
fn without_ages(text: &str) -> String {
    let ago = ["Less than a second ago", "1 second ago", "About a minute ago"];
    let mut text = text.to_owned();
    for age in ago {
        text = text.replace(age, "AGO");
    }
    // The longer ones first: they end as shorter ones do.
    for number in (2..60).rev() {
        text = text.replace(&format!("{number} seconds ago"), "AGO");
        text = text.replace(&format!("{number} minutes ago"), "AGO");
    }
    // The width of that column is another, too.
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_podman_shows_and_changes_cellar_shows_and_changes() {
    if !has(&TOOLS) {
        return;
    }
    assert_eq!(SAME.len(), COUNT);
    let store = PeerStore::with_images();
    assert_none_differs(SAME, |words| {
        let (theirs, ours) = (store.podman(words), store.cellar(words));
        is_same(&theirs, &ours).then_some(()).ok_or(format!("{theirs}\n{ours}"))
    });
    // Podman mounts the directory of the driver onto itself, and copies are to be of what is beneath.
    tool("umount", &format!("-l {}", store.root().join("overlay").display()));
    assert_none_differs(SAME_AFTER, |words| {
        let (one, other) = (store.copied(), store.copied());
        let (theirs, ours) = (one.podman(words), other.cellar(words));
        let after = (names(&one), names(&other));
        let same = is_same(&theirs, &ours) && after.0 == after.1;
        same.then_some(()).ok_or(format!("{theirs}\n{ours}\n{after:#?}"))
    });
}

/// Compares line by line, several at a time: most of the time goes by while a peer starts.
#[track_caller]
fn assert_none_differs(
    lines: &[&str],
    compare: impl Fn(&[&str]) -> Result<(), String> + Send + Sync,
) {
    let (different, lines) = (Mutex::new(Vec::new()), Mutex::new(lines.iter()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let line = lines.lock().expect("nobody panics").next();
                    let Some(line) = line else { return };
                    let words: Vec<&str> = line.split(' ').collect();
                    if let Err(both) = compare(&words) {
                        different.lock().expect("nobody panics").push(both);
                    }
                }
            });
        }
    });
    let different = different.into_inner().expect("nobody panics");
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n\n"));
}

/// Whether two runs say the same, but for the program's name, and end alike.
fn is_same(theirs: &Outcome, ours: &Outcome) -> bool {
    let text = |bytes: &[u8]| without_ages(&String::from_utf8_lossy(bytes));
    let errors = theirs.stderr.replace("podman", "cellar");
    theirs.code == ours.code
        && text(&theirs.stdout) == text(&ours.stdout)
        && errors.trim_end() == ours.stderr.trim_end()
}

/// The images of a store, with their names.
fn names(store: &PeerStore) -> Vec<String> {
    let format = "{{.Id}} {{.Repository}}:{{.Tag}}";
    let listed = store.cellar(&["images", "-a", "--format", format]).ok();
    let mut names: Vec<String> = listed.text().lines().map(str::to_owned).collect();
    names.sort();
    names
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
