//! Containers whose users are others outside, and what they see of control groups.

use crate::support::Cellar;
use tests::has;

const IDS: &str = "tr -s ' ' </proc/self/uid_map; tr -s ' ' </proc/self/gid_map";

#[test]
fn another_user_has_a_home_and_what_was_added_by_name() {
    let Some(cellar) = Cellar::new() else { return };
    let shown = "busybox grep -E 'Cap(Inh|Prm|Eff|Amb)' /proc/self/status | busybox cut -c 16- | busybox uniq; echo $HOME; id -G";
    let line = ["-d", "--name", "c", "-u", "5:6", "-w", "/bin", "--cap-add", "net_raw"];
    let own = format!("{shown}; sleep 1000");
    let more = ["--group-add", "77", "box:1", "sh", "-c", &own];
    cellar.container(&[&line[..], &more].concat()).ok();
    let added = "000002000\n/bin\n6 77";
    cellar.shell("until test \"$($CELLAR logs c | wc -l)\" = 3; do sleep 0.01; done").ok();
    assert_eq!(cellar.run(&["logs", "c"]).ok().text(), added);
    assert_eq!(cellar.run(&["exec", "c", "sh", "-c", shown]).ok().text(), added);
    // Who else is in it has its own.
    let other = cellar.run(&["exec", "-u", "7", "c", "sh", "-c", shown]).ok();
    assert_eq!(other.text(), "000000000\n/\n0");
    // What is told of it is so too.
    cellar.run(&["create", "--name", "none", "-u", "5", "box:1", "true"]).ok();
    for (name, expected) in [("c", r#"["CAP_NET_RAW"] [CAP_NET_RAW] 1"#), ("none", "null [] 0")] {
        let format = "{{json .EffectiveCaps}} {{.EffectiveCaps}} {{len .EffectiveCaps}}";
        let told = cellar.run(&["inspect", "--format", format, name]).ok();
        assert_eq!(told.text(), expected, "{name}");
    }
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
}

#[test]
fn users_are_mapped_as_asked_and_their_files_are_found_again_by_podman() {
    let Some(cellar) = Cellar::new() else { return };
    let maps = ["--uidmap", "0:100000:5000", "--gidmap", "0:200000:6000"];
    let script = format!(
        "{IDS}; id -u; busybox stat -c %u:%g / /etc/passwd /etc/hosts /data/of-image; echo $HOME; touch /made; \
         busybox chown 7:8 /made; busybox stat -c %u:%g /made"
    );
    let said = cellar
        .container(&[&maps[..], &["--name", "c", "box:1", "sh", "-c", &script]].concat())
        .ok();
    assert_eq!(
        said.text(),
        "0 100000 5000\n 0 200000 6000\n0\n0:0\n0:0\n0:0\n0:0\n/root\n7:8",
        "{said}"
    );
    // On the disk they are those outside; in what is made of it those inside.
    let told = cellar.run(&["inspect", "--format", "{{.HostConfig.IDMappings.UidMap}}", "c"]).ok();
    assert_eq!(told.text(), "[0:100000:5000]");
    let disk = cellar
        .shell("m=$($CELLAR mount c); stat -c %u:%g $m $m/made; $CELLAR unmount c >/dev/null")
        .ok();
    assert_eq!(disk.text(), "100000:200000\n100007:200008");
    let exported =
        cellar.shell("$CELLAR export c | tar --numeric-owner -tvf - made | cut -d' ' -f2").ok();
    assert_eq!(exported.text(), "7/8");
    cellar.run(&["commit", "-q", "c", "localhost/made:1"]).ok();
    cellar.run(&["commit", "-q", "-s", "c", "localhost/whole:1"]).ok();
    let stat = ["busybox", "stat", "-c", "%u:%g", "/made", "/bin"];
    let whole = cellar.container(&[&["--rm", "whole:1"][..], &stat].concat()).ok();
    assert_eq!(whole.text(), "7:8\n0:0");
    let seen =
        cellar.container(&["--rm", "made:1", "busybox", "stat", "-c", "%u:%g", "/made"]).ok();
    assert_eq!(seen.text(), "7:8");
    if has(&["podman"]) {
        let other = cellar
            .podman(&["ps", "-a", "--external", "--noheading", "--format", "{{.Names}}"])
            .ok();
        assert_eq!(other.text(), "c");
        let image = cellar.podman(&["image", "inspect", "--format", "{{.Os}}", "localhost/made:1"]);
        assert_eq!(image.ok().text(), "linux");
        // Podman makes the uppermost directory the machine's, and the container still begins again.
        cellar.podman(&["mount", "c"]).ok();
        cellar.podman(&["umount", "c"]).ok();
        assert_eq!(cellar.run(&["start", "-a", "c"]).ok().text(), said.text());
    }
    cellar.run(&["rm", "c"]).ok();
    cellar.run(&["rmi", "-f", "made:1", "whole:1"]).ok();
    cellar.is_clean();
}

#[test]
fn a_mapped_root_reaches_nothing_of_the_machines_and_shares_with_its_like() {
    let Some(cellar) = Cellar::new() else { return };
    let place = cellar.path("host");
    std::fs::create_dir(&place).expect("it is new");
    std::fs::write(place.join("secret"), "secret\n").expect("it is writable");
    tests::tool("chmod", &format!("600 {}", place.join("secret").display())).ok();
    let bind = |options: &str| format!("{}:/v{options}", place.display());
    let mapped = ["--rm", "--uidmap", "0:100000:2000"];
    let run = |more: &[&str], script: &str| {
        let words: Vec<&str> =
            mapped.iter().chain(more).copied().chain(["box:1", "sh", "-c", script]).collect();
        cellar.container(&words)
    };
    let refused = run(&["-v", &bind("")], "cat /v/secret; echo x >/v/new; ls /v");
    // What `ls` says, and nothing of what is in it.
    assert_eq!(refused.ok().text(), "secret");
    let shown = run(&["-v", &bind(":idmap")], "busybox stat -c %u:%g /v/secret; cat /v/secret");
    let shown = shown.ok();
    assert_eq!(shown.text(), "0:0\nsecret");
    // Given away with all in it, and nothing through links.
    std::os::unix::fs::symlink("/etc/passwd", place.join("link")).expect("it is new");
    let given =
        run(&["-u", "5", "-v", &bind(":U")], "busybox stat -c %u:%g /v /v/secret; cat /v/secret");
    assert_eq!(given.ok().text(), "5:0\n5:0\nsecret");
    let owners =
        tests::tool("stat", &format!("-c %u {} /etc/passwd", place.join("secret").display())).ok();
    assert_eq!(owners.text(), "100005\n0");
    // A volume that nobody had is its user's.
    let volume = run(
        &["-u", "5", "-v", "own:/volume"],
        "busybox stat -c %u:%g /volume; touch /volume/x && echo yes",
    );
    assert_eq!(volume.ok().text(), "5:0\nyes");
    // Another one in the same namespace, which runs first.
    cellar
        .run(&[
            "create",
            "--network",
            "none",
            "--name",
            "first",
            "--uidmap",
            "0:300000:2000",
            "box:1",
            "sleep",
            "1000",
        ])
        .ok();
    let same =
        cellar.container(&["--rm", "--userns", "container:first", "box:1", "sh", "-c", IDS]).ok();
    assert_eq!(same.text(), "0 300000 2000\n 0 300000 2000");
    let both = cellar.shell(
        "p=$($CELLAR inspect --format '{{.State.Pid}}' first)
         $CELLAR run --rm --network none --userns ns:/proc/$p/ns/user box:1 sh -c \"tr -s ' ' </proc/self/uid_map\"
         $CELLAR top first user group huser | busybox tail -n 1 | tr -s ' '
         $CELLAR exec first id -u; $CELLAR exec -u 1000 first id -u; $CELLAR cp $PWD/Cargo.toml first:/copied
         $CELLAR exec first busybox stat -c %u:%g /copied",
    );
    assert_eq!(both.ok().text(), "0 300000 2000\nroot 0 300000\n0\n1000\n0:0");
    cellar.run(&["rm", "-f", "-t", "0", "first"]).ok();
    cellar.run(&["volume", "rm", "own"]).ok();
    cellar.is_clean();
}

#[test]
fn what_makes_no_sense_of_users_is_refused_in_podmans_words() {
    let Some(cellar) = Cellar::new() else { return };
    let check = |flags: &[&str], words: &str| {
        let all: Vec<&str> = flags.iter().copied().chain(["box:1", "true"]).collect();
        cellar.container(&all).ends(125).says(words);
    };
    check(&["--userns", "bogus"], "unrecognized namespace mode bogus passed");
    check(&["--userns", "keep-id"], "keep-id is only supported in rootless mode");
    check(&["--userns", "nomap"], "nomap is only supported in rootless mode");
    check(&["--userns", "private"], "must provide at least one UID or GID mapping");
    check(&["--uidmap", "0:100000"], "UID setting is malformed expected");
    check(&["--uidmap", "5:100000:10"], "container ID 0 cannot be mapped to a host ID");
    check(&["--userns", "host", "--uidmap", "0:1:2"], "mutually exclusive");
    check(&["--userns", "container:nope"], "looking up container to share user namespace with");
    check(&["--userns", "ns:/nowhere"], "cannot find specified user namespace path");
    check(&["--subuidname", "nobody-here"], "no subuid ranges found for user \"nobody-here\"");
    check(&["--userns", "auto:bogus=1"], "unknown option specified: \"bogus\"");
    check(&["--cgroups", "bogus"], "invalid cgroup mode \"bogus\"");
    check(&["--systemd=bogus"], "--systemd values must be one of");
    check(&["--device-cgroup-rule", "bogus"], "invalid device cgroup rule requires type");
    check(&["--cgroup-conf", "bogus"], "--cgroup-conf must be formatted KEY=VALUE");
    check(&["--blkio-weight-device", "/dev/vda"], "bad format: /dev/vda");
    cellar.is_clean();
}

#[test]
fn free_ranges_are_chosen_and_no_other_container_has_them() {
    let Some(cellar) = Cellar::new() else { return };
    let ranges = cellar.path("ranges");
    std::fs::write(&ranges, "containers:1000000:4000\n").expect("it is writable");
    let script = format!(
        "unshare -m sh -ec 'for f in subuid subgid; do touch /etc/$f; mount --bind {} /etc/$f; done
         run=\"$CELLAR run --rm --network none\"
         $CELLAR create -q --network none --name a --userns auto box:1 true >/dev/null
         $run --userns auto box:1 cat /proc/self/uid_map
         $run --userns auto:size=1500 box:1 cat /proc/self/uid_map
         $run --userns auto:size=100,uidmapping=5:9000:10 box:1 cat /proc/self/uid_map
         $run --userns auto -u 2000 box:1 cat /proc/self/gid_map
         $run --subuidname containers box:1 cat /proc/self/uid_map
         $run --userns auto:size=3000 box:1 true || echo $?
         $CELLAR inspect --format \"{{{{.HostConfig.IDMappings.UidMap}}}}\" a; $CELLAR rm a
         umount {} 2>/dev/null || true' | tr -s ' '",
        ranges.display(),
        cellar.path("root/overlay").display(),
    );
    let said = cellar.shell(&script).ok();
    let expected = "0 1001024 1024\n 0 1001024 1500\n 0 1001024 5\n 15 1001029 85\n 5 9000 10\n \
        0 1001024 2001\n 0 1000000 4000\n125\n[0:1000000:1024]\na";
    assert_eq!(said.text(), expected, "{said}");
    said.says("could not find enough available IDs");
    cellar.is_clean();
}

#[test]
fn a_container_sees_its_control_group_and_systemd_has_what_it_wants() {
    let Some(cellar) = Cellar::new() else { return };
    let seen = "d=/sys/fs/cgroup; test -d $d/pids && d=$d/pids; cat $d/pids.max; (echo 5 >$d/pids.max) 2>/dev/null || echo refused";
    let said = cellar.container(&["--rm", "--pids-limit", "77", "box:1", "sh", "-c", seen]).ok();
    assert_eq!(said.text(), "77\nrefused");
    let mapped =
        ["--rm", "--pids-limit", "77", "--uidmap", "0:100000:2000", "box:1", "sh", "-c", seen];
    assert_eq!(cellar.container(&mapped).ok().text(), "77\nrefused");
    let prepared = "busybox mount | busybox awk '$5 == \"tmpfs\" {print $3}' | busybox grep -v -e ^/dev -e ^/proc -e ^/sys | busybox sort; \
         echo ${#container_uuid}; d=/sys/fs/cgroup; test -d $d/systemd && d=$d/systemd; mkdir $d/own && echo own; busybox rmdir $d/own";
    let systemd = ["--systemd=always", "--name", "s", "box:1", "sh", "-c", prepared];
    let expected = "/run\n/run/lock\n/tmp\n/var/log/journal\n32\nown";
    let said = cellar.container(&systemd).ok();
    assert_eq!(said.text(), expected, "{said}");
    let format = "{{.Config.StopSignal}} {{.Config.SystemdMode}}";
    assert_eq!(cellar.run(&["inspect", "--format", format, "s"]).ok().text(), "37 true");
    cellar.run(&["rm", "s"]).ok();
    cellar.is_clean();
}

#[test]
fn users_are_mapped_with_another_runtime_too() {
    let Some(cellar) = Cellar::new() else { return };
    if !has(&["runc"]) {
        return;
    }
    let maps = ["--uidmap", "0:100000:5000", "--gidmap", "0:200000:6000"];
    let run = |network: &str, options: &[&str], script: &str| {
        let first = ["--runtime", "runc", "run", "--network", network, "--ulimit", "nofile=64:64"];
        cellar.run(&[&first, &maps[..], options, &["box:1", "sh", "-c", script]].concat())
    };
    let script = format!(
        "{IDS}; id -u; busybox stat -c %u:%g / /etc/passwd /etc/hosts /data; touch /made /data/made && echo made"
    );
    let said = run("none", &["--rm", "-v", "data:/data"], &script).ok();
    let expected = " 0 100000 5000\n 0 200000 6000\n0\n0:0\n0:0\n0:0\n0:0\nmade";
    assert_eq!(said.text(), expected.trim(), "{said}");
    // What is the machine's is seen, not mounted anew.
    run("host", &["--rm"], "test -d /sys/class/net").ok();
    run("none", &["-d", "--name", "c"], "sleep 1000").ok();
    let maps = cellar.run(&["exec", "c", "sh", "-c", IDS]).ok();
    assert_eq!(maps.text(), "0 100000 5000\n 0 200000 6000");
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    cellar.run(&["volume", "rm", "data"]).ok();
    cellar.is_clean();
}
