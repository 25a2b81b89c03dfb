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

/// Runs a script as root, with `$C` for cooper on a store with `localhost/base`, and users that containers may have.
fn with_spare_users(store: &tests::PeerStore, script: &str) -> tests::Outcome {
    let files = scratch();
    let ranges = files.at("ranges");
    std::fs::write(&ranges, "containers:1000000:8000\n").expect("it is writable");
    let prepare = "for f in subuid subgid; do touch /etc/$f; mount --bind \"$1\" /etc/$f; done\nshift\nC=\"$*\"\n";
    let mut apart = tests::command("unshare");
    apart.args(["-m", "sh", "-ec", &format!("{prepare}{script}"), "sh", &ranges, program()]);
    tests::run(store.at_store(&mut apart))
}

#[test]
fn users_are_chosen_that_no_other_container_has() {
    if !has(&TOOLS) || !has(&["unshare"]) || !is_root() {
        return;
    }
    let store = store_with_base();
    let script = "
        a=$($C from --userns auto base); b=$($C from --name b --userns auto:size=2000,uidmapping=5:9000:2 base)
        m='busybox tr -s \" \" </proc/self/uid_map'
        $C run $a -- sh -c \"$m; echo x > /made; busybox chown 5:6 /made; busybox stat -c %u:%g /made /bin/busybox\"
        $C run $b -- sh -c \"$m\"
        $C inspect --format '{{.IDMappingOptions.UIDMap}} {{.IDMappingOptions.AutoUserNs}}' $b; echo
        $C commit -q $a made >/dev/null; c=$($C from made); $C run $c -- busybox stat -c %u:%g /made
        $C from --userns auto:size=5000 base || echo refused
        $C rm $b >/dev/null; d=$($C from --userns auto:size=5000 base); $C run $d -- sh -c \"$m\"
        cat > $PWD/f <<X
FROM localhost/base
RUN busybox tr -s ' ' </proc/self/uid_map >/map; echo x >/built; busybox chown 7:8 /built; busybox stat -c %u:%g / >/seen
RUN busybox tr -s ' ' </proc/self/uid_map >>/map
X
        $C build -q --userns auto:size=900 -t built -f $PWD/f $PWD/ >/dev/null
        e=$($C from built); $C run $e -- sh -c 'cat /map /seen; busybox stat -c %u:%g /built /map'
        $C build --userns auto:size=900 -t built -f $PWD/f $PWD/ 2>&1 | grep -c ' hit '
        $C containers -q | wc -l";
    let script = script.replace("$PWD", &scratch_of(&store));
    let said = with_spare_users(&store, &script).ok();
    let lines: Vec<&str> = said.text().lines().map(str::trim).collect();
    let expected = [
        "0 1000000 1024",
        "5:6",
        "0:0",
        "0 1001024 5",
        "7 1001029 1993",
        "5 9000 2",
        "[{0 1001024 5} {7 1001029 1993} {5 9000 2}] false",
        "5:6",
        "refused",
        "0 1001024 5000",
        "0 1006024 900",
        "0 1006024 900",
        "0:0",
        "7:8",
        "0:0",
        "2",
        "4",
    ];
    assert_eq!(lines, expected, "{said}");
    said.says("could not find enough available IDs");
}

fn scratch_of(store: &tests::PeerStore) -> String {
    store.root().parent().expect("it is in a directory").display().to_string()
}

#[test]
fn users_are_those_of_a_namespace_that_is_there() {
    if !has(&TOOLS) || !has(&["unshare"]) || !is_root() {
        return;
    }
    let store = store_with_base();
    let script = "
        mkfifo $PWD/ready $PWD/end
        unshare -U sh -c \"echo x >$PWD/ready; cat $PWD/end\" >/dev/null 2>&1 & p=$!
        trap 'kill $p' EXIT; read _ <$PWD/ready
        echo '0 300000 3000' >/proc/$p/uid_map; echo '0 400000 3000' >/proc/$p/gid_map
        a=$($C from --userns ns:/proc/$p/ns/user base)
        $C run $a -- sh -c 'busybox readlink /proc/self/ns/user; echo x >/made; busybox stat -c %u:%g /made'
        readlink /proc/$p/ns/user; stat -c %u:%g $($C mount $a)/made; $C umount $a >/dev/null
        printf 'FROM localhost/base\\nRUN busybox readlink /proc/self/ns/user\\n' >$PWD/f
        $C build --userns /proc/$p/ns/user -f $PWD/f $PWD/ 2>&1 | grep -cF \"$(readlink /proc/$p/ns/user)\"
        trap - EXIT; echo x >$PWD/end; wait $p; $C run $a -- true || echo gone";
    let script = script.replace("$PWD", &scratch_of(&store));
    let said = with_spare_users(&store, &script).ok();
    let lines: Vec<&str> = said.text().lines().map(str::trim).collect();
    assert_eq!(lines[0], lines[2], "{said}");
    assert_eq!((lines[1], lines[3]), ("0:0", "300000:400000"), "{said}");
    assert_eq!(lines[4..], ["1", "gone"], "{said}");
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
