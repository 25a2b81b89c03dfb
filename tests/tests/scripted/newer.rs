//! Flags that buildah's users have seldom, or only with later releases.

use serde_json::Value;
use tests::{PeerStore, command, has, run, scratch};

use crate::{TOOLS, buildah, cooper, program, store_with_base};

/// Where a command of a container has a namespace, and whether that is this process's.
#[track_caller]
fn shares(store: &PeerStore, flags: &[&str], container: &str, space: &str) -> bool {
    let link = format!("/proc/self/ns/{space}");
    let line = [&["run"], flags, &[container, "--", "busybox", "readlink", &link]].concat();
    let own = std::fs::read_link(&link).expect("it is a link");
    cooper(store, &line).ok().text() == own.to_str().expect("it is text")
}

#[test]
fn namespaces_are_remembered_and_containers_conf_has_some() {
    if !has(&TOOLS) {
        return;
    }
    let (store, files) = (store_with_base(), scratch());
    let conf = files.at("containers.conf");
    let from = |text: &str, flags: &[&str]| {
        std::fs::write(&conf, format!("[containers]\n{text}")).expect("it is writable");
        let mut words = command(program());
        let line = [&["from"], flags, &["base"]].concat();
        let made = run(store.at_store(&mut words).args(line).env("CONTAINERS_CONF", &conf));
        made.ok().text().to_owned()
    };
    let spaces = [("ipcns", "ipc"), ("pidns", "pid"), ("utsns", "uts"), ("cgroupns", "cgroup")];
    for (key, space) in spaces {
        let shared = from(&format!("{key} = \"host\""), &[]);
        assert!(shares(&store, &[], &shared, space), "{space}");
        let own = from(&format!("{key} = \"private\""), &[]);
        assert!(!shares(&store, &[], &own, space), "{space}");
    }
    // What a flag says counts.
    let own =
        from("utsns = \"host\"\ncgroupns = \"host\"", &["--uts=private", "--cgroupns=private"]);
    assert!(!shares(&store, &[], &own, "uts") && !shares(&store, &[], &own, "cgroup"));
    let none = from("netns = \"none\"", &[]);
    let said = cooper(&store, &["run", &none, "--", "ls", "/sys/class/net"]).ok();
    assert_eq!(said.text(), "lo");
    // A namespace is named by its path, with or without the word before it.
    let path = format!("/proc/{}/ns/net", std::process::id());
    for network in [path.clone(), format!("ns:{path}")] {
        assert!(shares(&store, &["--network", &network], &none, "net"), "{network}");
    }
}

#[test]
fn settings_of_the_kernel_come_from_containers_conf() {
    if !has(&TOOLS) {
        return;
    }
    let (store, files) = (store_with_base(), scratch());
    let conf = files.at("containers.conf");
    let text = "[containers]\ndefault_sysctls = [\"fs.mqueue.msg_max=7\"]\n";
    std::fs::write(&conf, text).expect("a scratch directory is writable");
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    let check = |flags: &[&str]| {
        let mut words = command(program());
        let rest = [container.as_str(), "--", "cat", "/proc/sys/fs/mqueue/msg_max"];
        let line = [&["run"], flags, rest.as_slice()].concat();
        run(store.at_store(&mut words).args(line).env("CONTAINERS_CONF", &conf)).ok()
    };
    assert_eq!(check(&[]).text(), "7");
    // What belongs to the machine is left alone.
    assert_ne!(check(&["--ipc", "host"]).text(), "7");
}

#[test]
fn some_exit_codes_are_no_failure() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    let check = |codes: &str, script: &str, expected: i32| {
        let line = ["run", "--valid-exit-codes", codes, &container, "--", "sh", "-c", script];
        cooper(&store, &line).ends(expected)
    };
    check("0,3", "exit 3", 0);
    check("0,3", "exit 4", 4);
    check("3", "exit 0", 125).says("exit status 0 is not in the valid exit codes list");
}

#[test]
fn containers_have_suffixes_groups_and_host_names() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let made = cooper(&store, &["from", "--suffix", "x", "--group-add", "77", "base"]).ok();
    assert_eq!(made.text(), "base-x");
    let ran = |flags: &[&str], script: &str| {
        let line = [&["run"], flags, &["base-x", "--", "sh", "-c", script]].concat();
        cooper(&store, &line).ok().text().to_owned()
    };
    assert_eq!(ran(&[], "busybox grep -c '^Groups:.*77' /proc/self/status"), "1");
    assert_eq!(ran(&["--no-hostname"], "ls /etc/hostname 2>/dev/null || echo none"), "none");
}

#[test]
fn a_commit_tells_what_came_of_it() {
    if !has(&TOOLS) {
        return;
    }
    let (store, files) = (store_with_base(), scratch());
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    let path = files.at("metadata.json");
    let line =
        ["commit", "-q", "--metadata-file", &path, "--created-annotation", "--timestamp", "9"];
    let committed = cooper(&store, &[&line[..], &[&container, "made"]].concat()).ok();
    let text = std::fs::read(&path).expect("it was written");
    let metadata: Value = serde_json::from_slice(&text).expect("it is JSON");
    assert_eq!(
        metadata["containerimage.config.digest"],
        format!("sha256:{}", committed.text()).as_str()
    );
    assert_eq!(metadata["containerimage.digest"], metadata["containerimage.descriptor"]["digest"]);
    let template = "{{index .ImageAnnotations \"org.opencontainers.image.created\"}}";
    let shown = cooper(&store, &["inspect", "--type", "image", "--format", template, "made"]).ok();
    assert_eq!(shown.text(), "1970-01-01T00:00:09Z");
    // Elsewhere layers are compressed as they are asked to be.
    let layout = format!("oci:{}", files.at("layout"));
    let line = ["commit", "-q", "--compression-format", "zstd", "--metadata-file", &path];
    cooper(&store, &[&line[..], &[&container, &layout]].concat()).ok();
    let index = std::fs::read_dir(files.at("layout/blobs/sha256")).expect("it is there");
    let is_zstd = |path: &std::path::Path| {
        std::fs::read(path).expect("it is there").starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
    };
    let blobs = index.map(|entry| entry.expect("it is there").path());
    assert_eq!(blobs.filter(|path| is_zstd(path)).count(), 2);
    let line = ["commit", "-D", "--compression-format", "gzip", &container, &layout];
    cooper(&store, &line).ends(125).says("--disable-compression and --compression-format");
}

#[test]
fn a_list_takes_a_name_over_and_is_shown_where_no_image_fits() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    cooper(&store, &["tag", "base", "name"]).ok();
    cooper(&store, &["manifest", "create", "name"]).ends(125);
    // A list that cannot be filled leaves the name where it was, and nothing behind.
    cooper(&store, &["manifest", "create", "empty"]).ok();
    cooper(&store, &["manifest", "create", "--replace", "name", "empty"]).ends(125);
    cooper(&store, &["inspect", "--type", "image", "name"]).ok();
    assert_eq!(cooper(&store, &["images", "-q", "-f", "dangling=true"]).ok().text(), "");
    cooper(&store, &["manifest", "create", "--replace", "name"]).ok();
    cooper(&store, &["manifest", "create", "--replace", "--amend", "name"]).ends(125);
    let shown = cooper(&store, &["inspect", "name"]).ok();
    let list: Value = serde_json::from_str(shown.text()).expect("it is JSON");
    assert_eq!(list["schemaVersion"], 2);
    cooper(&store, &["inspect", "--type", "image", "name"]).ends(125);
    cooper(&store, &["inspect", "base"]).ok();
}

#[test]
fn a_container_is_mounted_as_long_as_a_command_runs() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    let mount = format!("where={container}");
    let line = ["unshare", "--mount", &mount, "--", "sh", "-c", "echo x > $where/made; exit 3"];
    cooper(&store, &line).ends(3);
    assert_eq!(cooper(&store, &["mount"]).ok().text(), "");
    assert_eq!(cooper(&store, &["run", &container, "cat", "/made"]).ok().text(), "x");
    // Who is root need not become it, but may say so.
    assert_eq!(cooper(&store, &["unshare", "id", "-u"]).ok().text(), "0");
}

#[test]
fn links_are_copied_as_such_and_patterns_may_match_nothing() {
    if !has(&TOOLS) {
        return;
    }
    let (store, files) = (store_with_base(), scratch());
    std::fs::write(files.join("file"), "text").expect("a scratch directory is writable");
    std::os::unix::fs::symlink("file", files.join("link")).expect("it is writable");
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    let (link, nothing) = (files.at("link"), files.at("nothing-*"));
    cooper(&store, &["copy", "--no-follow-symlinks", &container, &link, "/as/link"]).ok();
    cooper(&store, &["copy", &container, &link, "/as/file"]).ok();
    cooper(&store, &["copy", "--allow-empty-wildcard=true", &container, &nothing, "/none/"]).ok();
    cooper(&store, &["copy", &container, &nothing, "/none/"]).ends(125).says("no such file");
    let script = "busybox readlink /as/link; cat /as/file; test ! -e /none && test ! -L /as/file";
    let seen = cooper(&store, &["run", &container, "--", "sh", "-c", script]).ok();
    assert_eq!(seen.text(), "file\ntext");
}

#[test]
fn what_is_linked_is_a_layer_behind_all_else() {
    if !has(&TOOLS) {
        return;
    }
    let (store, files) = (store_with_base(), scratch());
    let notes = files.at("notes");
    std::fs::write(&notes, "linked").expect("a scratch directory is writable");
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    let user = ["--chown", "3:4", "--chmod", "0640", &container, &notes, "/data/notes"];
    let printed = cooper(&store, &[&["copy", "--link"], &user[..]].concat()).ok();
    assert_eq!(printed.text().len(), 64);
    // The container does not see it, and what it writes to the same path is covered.
    let script = "test ! -e /data && mkdir /data && echo run > /data/notes && echo run > /data/own";
    cooper(&store, &["run", &container, "--", "sh", "-c", script]).ok();
    let directory = scratch();
    std::fs::write(directory.join("one"), "1").expect("it is writable");
    let many = ["add", "-q", "--link", &container, &directory.at("."), "/many/"];
    cooper(&store, &many).ok();
    cooper(&store, &["commit", "-q", "--squash", &container, "x"])
        .ends(125)
        .says("has layers of its own, which --link made: leave --squash out");
    let commit = |flags: &[&str]| {
        let line = [&["commit", "-q"], flags, &[&container, "made"]].concat();
        cooper(&store, &line).ok().text().to_owned()
    };
    let id = commit(&["--timestamp", "77"]);
    assert_eq!(commit(&["--timestamp", "77"]), id);
    let image = cooper(&store, &["inspect", "--type", "image", "made"]).ok().json();
    let config = &image["OCIv1"];
    assert_eq!(config["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(4));
    let history = config["history"].as_array().expect("it has one");
    let told: Vec<_> = history.iter().rev().take(2).map(|entry| &entry["created_by"]).collect();
    let digest = printed.text();
    let expected = format!("/bin/sh -c #(nop) COPY --link file:{digest} in /data/notes ");
    assert_eq!(told[1], expected.as_str());
    assert!(told[0].as_str().is_some_and(|told| told.contains("ADD --link dir:")), "{told:?}");
    let made = cooper(&store, &["from", "made"]).ok().text().to_owned();
    let script =
        "cat /data/notes; echo; busybox stat -c '%u:%g %a %Y' /data/notes; cat /data/own /many/one";
    let seen = cooper(&store, &["run", &made, "--", "sh", "-c", script]).ok();
    assert_eq!(seen.text(), "linked\n3:4 640 77\nrun\n1");
    // Of the two, only what was linked is in the layer.
    let list = buildah(&store, &["inspect", "--type", "image", "made"]).ok().json();
    assert_eq!(list["OCIv1"]["rootfs"], config["rootfs"]);
    // Nothing of it stays when the container goes.
    let containers = store.root().join("overlay-containers");
    let staged = || {
        let all = std::fs::read_dir(&containers).expect("it is there").flatten();
        let data = all.filter_map(|one| std::fs::read_dir(one.path().join("userdata")).ok());
        data.flatten()
            .flatten()
            .filter(|one| one.file_name().to_string_lossy().starts_with("link-stage-"))
            .count()
    };
    assert_eq!(staged(), 2);
    cooper(&store, &["rm", &container]).ok();
    assert_eq!(staged(), 0);
    let missing = ["copy", "--link", &made, "nosuch", "/x"];
    cooper(&store, &missing).ends(125).says("nosuch");
    assert_eq!(staged(), 0);
}
