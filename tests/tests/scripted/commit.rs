//! Commits that are repeated, killed, and made at once.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::{PeerStore, again, command, has, scratch};

use crate::{TOOLS, buildah, cooper, layers, program, store_with_base};

fn container_with_files(store: &PeerStore, megabytes: usize) -> String {
    let container = cooper(store, &["from", "base"]).ok().text().to_owned();
    let root = cooper(store, &["mount", &container]).ok().text().to_owned();
    for number in 0..megabytes {
        let bytes = vec![u8::try_from(number % 251).expect("it is less"); 1 << 20];
        std::fs::write(Path::new(&root).join(format!("file{number}")), bytes).expect("writable");
    }
    cooper(store, &["umount", &container]).ok();
    container
}

fn committing(store: &PeerStore, container: &str, name: &str) -> Command {
    let mut commit = command(program());
    store.at_store(&mut commit).args(["commit", "-q", container, name]);
    commit.stdout(Stdio::null()).stderr(Stdio::null());
    commit
}

#[test]
fn a_commit_that_is_repeated_gives_the_same_image() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let container = container_with_files(&store, 1);
    let line = ["config", "--add-history", "--env", "B=2", &container];
    cooper(&store, &line).ok();
    let check = |options: &[&str]| {
        let commit = [&["commit", "-q"], options, &[container.as_str()]].concat();
        let first = cooper(&store, &commit).ok().text().to_owned();
        std::thread::sleep(Duration::from_millis(1100));
        assert_eq!(cooper(&store, &commit).ok().text(), first, "{options:?}");
    };
    check(&["--timestamp", "0"]);
    check(&["--timestamp", "5", "--format", "docker"]);
    check(&["--source-date-epoch", "5", "--rewrite-timestamp"]);
    check(&["--timestamp", "5", "--squash"]);
    let with_variable = || {
        let mut commit = command(program());
        store.at_store(&mut commit).args(["commit", "-q", &container]);
        tests::run(commit.env("SOURCE_DATE_EPOCH", "7")).ok().text().to_owned()
    };
    assert_eq!(with_variable(), with_variable());
}

#[test]
fn an_image_goes_to_another_store() {
    if !has(&TOOLS) {
        return;
    }
    let (store, other) = (store_with_base(), PeerStore::new());
    let before = layers(&store);
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    cooper(&store, &["commit", "-q", &container, &other.location("moved")]).ok();
    cooper(&store, &["rm", &container]).ok();
    assert_eq!(layers(&store), before);
    let made = buildah(&other, &["from", "--pull-never", "moved"]).ok();
    assert_eq!(made.text(), "moved-working-container");
}

#[test]
fn an_image_of_docker_s_format_says_what_it_was_made_of() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    let id =
        cooper(&store, &["inspect", "--format", "{{.FromImageID}} {{.ContainerID}}", &container]);
    cooper(&store, &["commit", "-q", "--format", "docker", &container, "child"]).ok();
    let line = ["inspect", "--format", "{{.Docker.Parent}} {{.Docker.Container}}", "child"];
    let said = cooper(&store, &line).ok();
    assert_eq!(said.text(), format!("sha256:{}", id.ok().text()));
    assert_eq!(said.text(), buildah(&store, &line).ok().text());
}

#[test]
fn a_commit_that_is_killed_leaves_nothing() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let container = container_with_files(&store, 40);
    let before = layers(&store);
    let started = Instant::now();
    cooper(&store, &["commit", "-q", &container, "whole"]).ok();
    let whole = started.elapsed();
    cooper(&store, &["rmi", "whole"]).ok();
    assert_eq!(layers(&store), before);
    let mut killed = 0;
    for part in 1..=5 {
        let mut commit = committing(&store, &container, "killed").spawn().expect("it runs");
        std::thread::sleep(whole.mul_f64(f64::from(part) / 6.0));
        commit.kill().expect("a child can be killed");
        let done = commit.wait().expect("a child can be waited for").success();
        killed += u32::from(!done);
        let images = buildah(&store, &["images", "-q"]).ok().text().lines().count();
        match done {
            true => drop(cooper(&store, &["rmi", "killed"]).ok()),
            false => assert!(images <= 2, "the image is whole or not there"),
        }
        if images == 2 && !done {
            cooper(&store, &["rmi", "killed"]).ok();
        }
    }
    assert!(killed > 0, "none of them was killed in the middle");
    // Whoever comes next sweeps up.
    cooper(&store, &["commit", "-q", &container, "whole"]).ok();
    cooper(&store, &["rmi", "whole"]).ok();
    assert_eq!(layers(&store), before);
    let temporary = store.root().join("overlay/tempdirs");
    let left = std::fs::read_dir(&temporary).map(Iterator::count).unwrap_or_default();
    assert_eq!(left, 0, "nothing lies in {}", temporary.display());
    cooper(&store, &["run", &container, "true"]).ok();
}

#[test]
fn two_commits_at_once_both_succeed() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let containers = [container_with_files(&store, 8), container_with_files(&store, 9)];
    let names = ["one", "two", "three", "four"];
    let commits = names.iter().enumerate().map(|(index, name)| {
        committing(&store, &containers[index % 2], name).spawn().expect("it runs")
    });
    let commits: Vec<_> = commits.collect();
    for mut commit in commits {
        assert!(commit.wait().expect("a child can be waited for").success());
    }
    for name in names {
        let made = buildah(&store, &["from", name]).ok().text().to_owned();
        let line = ["run", "--isolation", "chroot", &made, "ls", "/file7"];
        let said = again(|| buildah(&store, &line).ok(), |said| !said.text().is_empty());
        assert_eq!(said.text(), "/file7");
    }
}

#[test]
fn what_a_container_wrote_is_written_once_and_not_at_all_where_the_container_goes() {
    if !has(&TOOLS) {
        return;
    }
    let (store, scratch) = (store_with_base(), tests::scratch());
    for (option, most_megabytes) in [("-q", 12), ("--rm", 4)] {
        let container = container_with_files(&store, 8);
        // What a shell has written is what those wrote, too, that it waited for.
        let mut commit = command("sh");
        commit
            .args(["-c", "\"$@\" >&2 && sed -n 's/^wchar: //p' /proc/$$/io", "sh"])
            .arg(program());
        store.at_store(&mut commit).args(["commit", "-q", option, &container, "made"]);
        let written = tests::run(&mut commit).ok();
        let bytes: u64 = written.text().parse().expect("it is a number");
        assert!(bytes < most_megabytes << 20, "{option}: {written}");
        let left = cooper(&store, &["inspect", &container]);
        assert_eq!(left.code == 0, option == "-q", "{option}: {left}");
        // Reading all of it compares it with its digests.
        let copy = format!("dir:{}", scratch.at(option));
        cooper(&store, &["push", "-q", "made", &copy]).ok();
        let made = buildah(&store, &["from", "made"]).ok().text().to_owned();
        let line = ["run", "--isolation", "chroot", &made, "ls", "/file7"];
        let said = again(|| buildah(&store, &line).ok(), |said| !said.text().is_empty());
        assert_eq!(said.text(), "/file7");
    }
}

#[test]
fn an_image_has_files_and_settings_besides() {
    if !has(&TOOLS) {
        return;
    }
    let (store, files) = (store_with_base(), scratch());
    std::fs::write(files.join("file"), "x".repeat(700)).expect("it is writable");
    let config = r#"{"Env": ["A=2", "B=3"], "Cmd": ["ls"], "Labels": {"m": "1"}}"#;
    std::fs::write(files.join("config"), config).expect("it is writable");
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    let add = format!("{}:/in/file", files.at("file"));
    let said = "{{.OCIv1.Config.Env}} {{.OCIv1.Config.Cmd}} {{.OCIv1.Config.Labels.m}}";
    for (name, flags, layers) in [("two", &[][..], 3), ("one", &["--squash"][..], 1)] {
        let besides = ["--config", &files.at("config"), "--add-file", &add];
        let line = [&["commit", "-q"], &besides[..], flags, &[&container, name]].concat();
        cooper(&store, &line).ok();
        let shown = cooper(&store, &["inspect", "--type", "image", "--format", said, name]).ok();
        assert_eq!(shown.text(), "[A=2 B=3] [ls] 1", "{name}");
        let made = buildah(&store, &["from", name]).ok().text().to_owned();
        let line = [
            "run",
            "--isolation",
            "chroot",
            &made,
            "busybox",
            "stat",
            "-c",
            "%s %a %u",
            "/in/file",
        ];
        assert_eq!(buildah(&store, &line).ok().text(), "700 644 0", "{name}");
        let count =
            ["inspect", "--type", "image", "--format", "{{len .OCIv1.RootFS.DiffIDs}}", name];
        assert_eq!(cooper(&store, &count).ok().text(), layers.to_string());
    }
    // A name of the container's own, which one layer cannot have twice.
    let twice = format!("{}:/bin/busybox", files.at("file"));
    cooper(&store, &["commit", "--squash", "--add-file", &twice, &container])
        .ends(125)
        .says("leave --squash out");
    for (flag, value, words) in [
        ("--add-file", "/nowhere:/x", "no such file or directory"),
        ("--add-file", "/:/x", "is not a regular file"),
        ("--config", &files.at("file"), "is no JSON object with a config"),
    ] {
        cooper(&store, &["commit", flag, value, &container]).ends(125).says(words);
    }
}
