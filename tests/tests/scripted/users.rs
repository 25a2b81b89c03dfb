//! Containers with users of their own, networks of commands, and volumes that are given or changed for a while.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use tests::{has, is_root, scratch};

use crate::{TOOLS, buildah, cooper, program, store_with_base};

const MAPS: [&str; 4] = ["--userns-uid-map", "0:100000:5000", "--userns-gid-map", "0:200000:5000"];

fn owner(path: impl AsRef<Path>) -> String {
    let found = std::fs::symlink_metadata(path.as_ref()).expect("it is there");
    format!("{}:{}", found.uid(), found.gid())
}

#[test]
fn commands_have_users_of_their_own_and_images_those_inside() {
    if !has(&TOOLS) || !is_root() {
        return;
    }
    let (store, files) = (store_with_base(), scratch());
    std::fs::write(files.join("copied"), "x").expect("it is writable");
    let container =
        cooper(&store, &[&["from"], &MAPS[..], &["base"]].concat()).ok().text().to_owned();
    let run = |script: &str| {
        let line = ["run", &container, "--", "sh", "-c", script];
        cooper(&store, &line).ok().text().to_owned()
    };
    let map = run("cat /proc/self/uid_map /proc/self/gid_map");
    let words: Vec<&str> = map.split_whitespace().collect();
    assert_eq!(words, ["0", "100000", "5000", "0", "200000", "5000"]);
    cooper(&store, &["copy", "-q", "--chown", "3:4", &container, &files.at("copied"), "/d/f"]).ok();
    let made = "echo x > /made; busybox chown 5:6 /made; busybox stat -c %u:%g / /made /d /d/f";
    assert_eq!(run(made), "0:0\n5:6\n3:4\n3:4");
    let root = cooper(&store, &["mount", &container]).ok().text().to_owned();
    let root = Path::new(&root);
    for (name, expected) in [
        ("", "100000:200000"),
        ("made", "100005:200006"),
        ("d/f", "100003:200004"),
        ("bin/busybox", "100000:200000"),
    ] {
        assert_eq!(owner(root.join(name)), expected, "{name}");
    }
    cooper(&store, &["umount", &container]).ok();
    let check = |image: &str| {
        let other = cooper(&store, &["from", image]).ok().text().to_owned();
        let line = [
            "run",
            &other,
            "--",
            "busybox",
            "stat",
            "-c",
            "%u:%g",
            "/",
            "/made",
            "/d/f",
            "/bin/busybox",
        ];
        assert_eq!(cooper(&store, &line).ok().text(), "0:0\n5:6\n3:4\n0:0", "{image}");
        cooper(&store, &["rm", &other]).ok();
    };
    cooper(&store, &["commit", "-q", &container, "ours"]).ok();
    check("ours");
    // What another container begins with are the users inside, too.
    let other = cooper(&store, &["from", "scratch"]).ok().text().to_owned();
    cooper(&store, &["copy", "-q", "--from", &container, &other, "/made", "/bin", "/"]).ok();
    let root = cooper(&store, &["mount", &other]).ok().text().to_owned();
    assert_eq!(owner(Path::new(&root).join("made")), "5:6");
    cooper(&store, &["umount", &other]).ok();
    // buildah goes on with it, and the other way round.
    buildah(&store, &["copy", "-q", "--chown", "7:8", &container, &files.at("copied"), "/theirs"])
        .ok();
    assert_eq!(run("busybox stat -c %u:%g /theirs /made"), "7:8\n5:6");
    let theirs =
        buildah(&store, &[&["from"], &MAPS[..], &["base"]].concat()).ok().text().to_owned();
    let line = [
        "run",
        &theirs,
        "--",
        "sh",
        "-c",
        "echo x > /made; busybox chown 5:6 /made; busybox head -n 1 /proc/self/uid_map",
    ];
    assert!(cooper(&store, &line).ok().text().contains("100000"));
    cooper(&store, &["copy", "-q", "--chown", "3:4", &theirs, &files.at("copied"), "/d/f"]).ok();
    cooper(&store, &["commit", "-q", &theirs, "ours2"]).ok();
    check("ours2");
    cooper(&store, &["from", "--userns", "host", "--userns-uid-map", "0:1:1", "base"])
        .ends(125)
        .says("can not specify ID mappings while using host's user namespace");
}

#[test]
fn a_namespace_of_users_without_a_map_has_everybody() {
    if !has(&TOOLS) || !is_root() {
        return;
    }
    let store = store_with_base();
    let from = ["from", "--userns", "private", "--network", "none", "base"];
    let container = cooper(&store, &from).ok().text().to_owned();
    let script = "busybox readlink /proc/self/ns/user; busybox stat -c %u /";
    let line = ["run", &container, "--", "sh", "-c", script];
    let seen = cooper(&store, &line).ok().text().to_owned();
    let own = std::fs::read_link("/proc/self/ns/user").expect("there is proc");
    let (namespace, owner) = seen.split_once('\n').expect("there are two lines");
    assert_ne!(Path::new(namespace), own);
    assert_eq!(owner, "0");
}

#[test]
fn volumes_are_given_to_the_user_or_changed_for_a_while() {
    if !has(&TOOLS) || !is_root() {
        return;
    }
    let (store, files) = (store_with_base(), scratch());
    for name in ["given", "kept", "over", "upper", "work"] {
        std::fs::create_dir(files.join(name)).expect("it is writable");
    }
    std::fs::write(files.join("given/f"), "").expect("it is writable");
    std::fs::write(files.join("over/f"), "old\n").expect("it is writable");
    std::os::unix::fs::symlink("../kept", files.join("given/link")).expect("it is writable");
    let volume = |name: &str, rest: &str| format!("{}:/{rest}", files.at(name));
    let from = ["from", "-v", &volume("over", "over:O"), "base"];
    let container = cooper(&store, &from).ok().text().to_owned();
    let run = |options: &[&str], script: &str| {
        let line = [&["run"], options, &[&container, "--", "sh", "-c", script]].concat();
        cooper(&store, &line).ok().text().to_owned()
    };
    assert_eq!(run(&["--user", "9:10", "-v", &volume("given", "g:U")], "id -u; echo > /g/f"), "9");
    for name in ["given", "given/f", "given/link"] {
        assert_eq!(owner(files.join(name)), "9:10", "{name}");
    }
    assert_eq!(owner(files.join("kept")), "0:0");
    let mount = format!("type=bind,source={},target=/g,U,rw", files.at("given"));
    run(&["--user", "11", "--mount", &mount], "true");
    assert_eq!(owner(files.join("given/f")), "11:0");
    assert_eq!(run(&[], "echo new > /over/f; cat /over/f"), "new");
    assert_eq!(run(&[], "cat /over/f"), "old");
    let options = format!("O,upperdir={},workdir={}", files.at("upper"), files.at("work"));
    run(&["-v", &volume("over", &format!("x:{options}"))], "echo new > /x/f");
    assert_eq!(std::fs::read_to_string(files.join("upper/f")).expect("it was written"), "new\n");
    assert_eq!(std::fs::read_to_string(files.join("over/f")).expect("it is there"), "old\n");
    for (options, words) in [
        ("g:O,U", "O and U do not go together"),
        ("g:ro,rw", "can only specify 1 'rw' or 'ro' option"),
        ("g:nonsense", "invalid option type \"nonsense\""),
    ] {
        let line = ["run", "-v", &volume("given", options), &container, "--", "true"];
        cooper(&store, &line).ends(125).says(words);
    }
    cooper(&store, &["run", "-v", "/etc:/g:U", &container, "--", "true"])
        .ends(125)
        .says("chowning host path \"/etc\" is not allowed");
    cooper(&store, &["from", "-v", "/nowhere/at/all:/x", "base"]).ends(125).says("no such file");
    // What is in memory may begin with what is there.
    let memory = "type=tmpfs,target=/bin,tmpcopyup";
    let script = "busybox stat -f -c %T /bin; busybox touch /bin/more; ls /bin/more";
    assert_eq!(run(&["--mount", memory], script), "tmpfs\n/bin/more");
    assert_eq!(run(&[], "ls /bin/more 2>/dev/null; true"), "");
}

/// A machine of its own as far as networks go: with nothing of this one's.
const MACHINE: &str = "mkdir -p /etc/containers/networks; mount -t tmpfs none /etc/containers/networks; \
                       mount -t tmpfs none /run; exec \"$@\"";

#[test]
fn commands_have_networks_of_their_own() {
    if !has(&TOOLS) || !has(&["unshare"]) || !is_root() {
        return;
    }
    if !Path::new("/usr/lib/podman/netavark").exists() {
        assert!(std::env::var_os("CI").is_none(), "netavark is not installed");
        return;
    }
    let store = store_with_base();
    let made = |line: &[&str]| cooper(&store, line).ok().text().to_owned();
    let (private, usual) =
        (made(&["from", "--network", "private", "base"]), made(&["from", "base"]));
    let ran = |options: &[&str], container: &str, script: &str| {
        let mut apart = tests::command("unshare");
        apart.args(["-m", "-n", "sh", "-ec", MACHINE, "sh", program()]);
        let line = [&["run"], options, &[container, "--", "sh", "-c", script]].concat();
        tests::run(store.at_store(&mut apart).args(line))
    };
    let script = "busybox ip -4 -o addr show dev eth0; busybox grep host.containers /etc/hosts";
    for (options, container) in [
        (&[][..], &private),
        (&["--network", "private"], &usual),
        (&["--network", "podman"], &usual),
    ] {
        let seen = ran(options, container, script).ok();
        assert!(seen.text().contains("inet 10.88."), "{seen}");
        assert!(seen.text().contains("10.88.0.1\thost.containers.internal"), "{seen}");
    }
    // What is said for the command counts; where nothing is said, the network is the machine's.
    let links = "busybox readlink /proc/self/ns/net; ls /sys/class/net";
    assert!(ran(&["--network", "none"], &private, links).ok().text().ends_with("\nlo"));
    let own = ["--network", "ns:/proc/self/ns/net"];
    for (options, container) in [(&["--network", "host"], &private), (&own, &private)] {
        let check = ran(options, container, "busybox grep -c eth0 /proc/net/dev; true").ok();
        assert_eq!(check.text(), "0", "{options:?}");
    }
    assert_eq!(ran(&[], &usual, "busybox grep -c eth0 /proc/net/dev; true").ok().text(), "0");
    ran(&["--network", "nosuch"], &private, "true").ends(125).says("nosuch");
    // buildah reads what is remembered.
    let format = "{{.ConfigureNetwork}} {{.NamespaceOptions}}";
    let inspected = buildah(&store, &["inspect", "--format", format, &private]).ok();
    assert!(inspected.text().starts_with("NetworkEnabled "), "{inspected}");
    assert!(inspected.text().contains("{network false }"), "{inspected}");
}
