//! What is told of containers, and the flags that they are made with.

use std::fs;

use tests::{has, tool};

use crate::support::Cellar;

#[test]
fn processes_use_and_events_are_told_as_podman_tells_them() {
    let Some(cellar) = Cellar::new() else { return };
    let id = cellar
        .container(&["-d", "--name", "c", "-l", "a=b", "-u", "alice", "box:1", "sleep", "1000"])
        .ok();
    let told = cellar.run(&["top", "c"]).ok();
    let lines: Vec<Vec<&str>> =
        told.text().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["USER", "PID", "PPID", "%CPU", "ELAPSED", "TTY", "TIME", "COMMAND"]);
    assert_eq!(
        (lines.len(), &lines[1][..3], &lines[1][7..]),
        (2, &["alice", "1", "0"][..], &["sleep", "1000"][..])
    );
    let told = cellar.run(&["top", "c", "pid,comm", "capeff", "seccomp"]).ok();
    assert_eq!(
        told.text(),
        "PID         COMMAND     EFFECTIVE CAPS  SECCOMP\n1           sleep       none            filter"
    );
    cellar.run(&["exec", "-d", "c", "sleep", "2000"]).ok();
    let told = cellar.run(&["container", "top", "c", "pid", "ppid", "args"]).ok();
    assert!(told.text().contains("sleep 2000"), "{}", told.text());

    let stats = cellar.run(&["stats", "--no-stream", "--format", "json", "c"]).ok().json();
    assert_eq!((&stats[0]["name"], &stats[0]["pids"]), (&"c".into(), &"2".into()));
    assert_eq!(stats[0]["id"], id.text()[..12]);
    let table = cellar.run(&["stats", "--no-stream"]).ok();
    assert!(table.text().starts_with("ID            NAME        CPU %       MEM USAGE / LIMIT"));

    cellar.run(&["kill", "c"]).ok();
    assert_eq!(cellar.run(&["wait", "c"]).ok().text(), "137");
    cellar.run(&["top", "c"]).ends(125).says("top can only be used on running containers");
    let stats = cellar.run(&["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "c"]).ok();
    assert_eq!(stats.text(), "c 0");
    cellar.run(&["rm", "c"]).ok();

    let events = |more: &[&str]| {
        let all = [&["events", "--stream=false", "--filter", "container=c"], more].concat();
        cellar.run(&all).ok()
    };
    let told = events(&["--format", "{{.Status}}"]);
    let told: Vec<&str> = told.text().lines().collect();
    let expected = ["create", "init", "start", "exec", "kill", "died", "cleanup", "remove"];
    // What the monitor says and what the commands say may be told in either order.
    assert!(expected.iter().all(|status| told.contains(status)), "{told:?}");
    let died = events(&["--filter", "event=died", "--format", "json"]).json();
    assert_eq!((&died["ContainerExitCode"], &died["ID"]), (&137.into(), &id.text().into()));
    assert_eq!(
        (&died["Image"], &died["Attributes"]["a"]),
        (&"localhost/box:1".into(), &"b".into())
    );
    let line = events(&["--filter", "event=create"]);
    let end =
        format!(" +0000 UTC container create {} (image=localhost/box:1, name=c, a=b)", id.text());
    assert!(line.text().ends_with(&end), "{}", line.text());
    assert_eq!(events(&["--until", "2001-01-01"]).text(), "");
    cellar
        .run(&["events", "--filter", "x", "--stream=false"])
        .ends(125)
        .says("x is an invalid filter");
}

#[test]
fn lists_are_filtered_sorted_and_told_as_podman_tells_them() {
    let Some(cellar) = Cellar::new() else { return };
    let make = |options: &[&str], command: &[&str]| {
        let all = [&["create", "--network", "none"], options, &["box:1"], command].concat();
        cellar.run(&all).ok();
    };
    make(&["--name", "web1", "-l", "a=b", "-v", "data:/inside"], &["sleep", "1000"]);
    make(&["--name", "db", "--restart", "always"], &["echo", "1"]);
    make(&["--name", "web2"], &["true"]);
    let names = |options: &[&str]| {
        let said = cellar.run(&[&["ps", "-a", "--format", "{{.Names}}"], options].concat()).ok();
        said.text().lines().collect::<Vec<_>>().join(" ")
    };
    for (options, expected) in [
        (&["--filter", "name=^web[0-9]$"][..], "web1 web2"),
        (&["--filter", "volume=data:/inside"], "web1"),
        (&["--filter", "restart-policy=always"], "db"),
        (&["--filter", "pod=x"], ""),
        (&["--filter", "since=web1", "--filter", "name=web"], "web2"),
        (&["--sort", "names"], "db web1 web2"),
        (&["--sort", "image"], "web1 db web2"),
        (&["--sort", "command"], "db web1 web2"),
        (&["-n", "2"], "db web2"),
        (&["--last", "0", "--sync", "--pod"], "web1 db web2"),
    ] {
        assert_eq!(names(options), expected, "{options:?}");
    }
    let fields =
        "{{.Labels}} {{.Mounts}} {{.Pid}} {{.IsInfra}} {{.Restarts}} [{{.Namespaces.MNT}}]";
    let said = cellar.run(&["ps", "-a", "--ns", "--filter", "name=web1", "--format", fields]).ok();
    assert_eq!(said.text(), "map[a:b] [/inside] 0 false 0 []");
    let said = cellar.run(&["ps", "-a", "--ns", "--noheading", "--filter", "name=db"]).ok();
    assert_eq!(said.text().split_whitespace().skip(1).collect::<Vec<_>>(), ["db", "0"]);
    for (options, words) in [
        (&["--filter", "nope=x"][..], "nope is an invalid filter"),
        (&["--filter", "status=nope"], "unknown container state: nope: invalid argument"),
        (&["--sort", "nope"], "\"nope\" is not a valid value"),
        (&["-q", "-s"], "quiet conflicts with size and namespace"),
        (&["-l", "-n", "2"], "last and latest are mutually exclusive"),
    ] {
        cellar.run(&[&["ps"], options].concat()).ends(125).says(words);
    }
    let prune = ["container", "prune", "-f", "--filter"];
    let refused = cellar.run(&[&prune[..], &["name=web1"]].concat()).ends(125);
    refused.says("name is an invalid filter");
    cellar.run(&["wait", "-i", "x", "db"]).ends(125).says("time: invalid duration \"x\"");
}

#[test]
fn logs_of_several_are_followed_with_ids_or_names() {
    let Some(cellar) = Cellar::new() else { return };
    for name in ["c", "d"] {
        let script = format!("echo {name}1; echo {name}2 >&2; sleep 0.3; echo {name}3");
        cellar.container(&["-d", "--name", name, "box:1", "sh", "-c", &script]).ok();
    }
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
        lines.sort();
        lines.join(",")
    };
    let said = cellar.run(&["logs", "-f", "-n", "c", "d"]).ok();
    assert_eq!(sorted(said.text()), "c c1,c c3,d d1,d d3");
    assert_eq!(sorted(&said.stderr), "c c2,d d2");
    let id = cellar.run(&["inspect", "--format", "{{.Id}}", "d"]).ok().text()[..12].to_owned();
    let said = cellar.run(&["logs", "--tail", "1", "c", "d"]).ok();
    assert!(said.text().contains(&format!("{id} d3")), "{said}");
    // One needs no word before its lines.
    assert_eq!(cellar.run(&["logs", "-n", "--tail", "1", "c"]).ok().text(), "c3");
    let said = cellar.run(&["logs", "--color", "--tail", "1", "c", "d"]).ok();
    assert!(said.text().contains("\x1b[37m") && said.text().contains(" d3\x1b[0m"), "{said}");
    let said = cellar.run(&["logs", "-t", "--until", "1h", "--tail", "1", "c"]).ok();
    let time = said.text().split(' ').next().unwrap_or_default();
    assert!(time.len() == 30 && time.ends_with('Z'), "{said}");
    assert_eq!(cellar.run(&["logs", "--until", "2001-01-01", "c"]).ok().text(), "");
    cellar.run(&["logs", "-l", "c"]).ends(125).says("--latest and containers cannot be used");
}

#[test]
fn events_of_images_have_podmans_words() {
    let Some(cellar) = Cellar::new() else { return };
    let at = |name: &str| cellar.path(name).display().to_string();
    let (archive, pushed) = (at("saved.tar"), format!("dir:{}", at("pushed")));
    cellar.run(&["tag", "box:1", "localhost/two"]).ok();
    cellar.run(&["untag", "localhost/two", "localhost/two"]).ok();
    cellar.run(&["save", "-q", "-o", &archive, "localhost/box:1"]).ok();
    cellar.run(&["push", "-q", "localhost/box:1", &pushed]).ok();
    cellar.run(&["load", "-q", "-i", &archive]).ok();
    cellar.run(&["rmi", "localhost/box:1"]).ok();
    let filters = ["events", "--stream=false", "--since", "1h", "--filter", "type=image"];
    let format = ["--format", "{{.Status}} {{.Name}}"];
    let told = cellar.run(&[&filters[..], &format].concat()).ok();
    let expected = [
        "tag localhost/box:1".to_owned(),
        "tag localhost/two".to_owned(),
        "untag localhost/two:latest".to_owned(),
        format!("save {archive}"),
        format!("push {pushed}"),
        format!("loadfromarchive {archive}"),
        "untag localhost/box:1".to_owned(),
        "remove localhost/box:1".to_owned(),
    ];
    assert_eq!(told.text().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn events_are_told_while_they_come() {
    let Some(cellar) = Cellar::new() else { return };
    let out = cellar.path("events").display().to_string();
    let script = format!(
        "$CELLAR events --since 0 --filter type=volume --format '{{{{.Name}}}} {{{{.Status}}}}' >{out} & told=$!
         $CELLAR volume create v && $CELLAR volume rm v
         for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
             grep -q 'v remove' {out} && break; sleep 0.5
         done
         kill $told"
    );
    cellar.shell(&script).ok();
    assert_eq!(fs::read_to_string(&out).unwrap_or_default(), "v create\nv remove\n");
}

#[test]
fn flags_that_are_podmans_work() {
    let Some(cellar) = Cellar::new() else { return };
    assert_eq!(cellar.container(&["--rm", "-h", "me", "box:1", "hostname"]).ok().text(), "me");
    let merged = [
        "--rm",
        "-e",
        "A=1",
        "--env-merge",
        "PATH=/opt:${PATH}",
        "box:1",
        "/bin/sh",
        "-c",
        "echo $PATH $A",
    ];
    let usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(cellar.container(&merged).ok().text(), format!("/opt:{usual} 1"));
    let file = cellar.path("pid").display().to_string();
    cellar.container(&["-d", "--name", "c", "--pidfile", &file, "box:1", "sleep", "1000"]).ok();
    let shown = cellar.run(&["inspect", "c"]).ok().json();
    assert_eq!(fs::read_to_string(&file).unwrap_or_default(), shown[0]["State"]["Pid"].to_string());
    assert_eq!(shown[0]["PidFile"], *file);
    assert_eq!(cellar.run(&["wait", "--condition", "running", "c"]).ok().text(), "-1");
    cellar.run(&["wait", "--condition", "nope", "c"]).ends(125).says("nope");
    cellar
        .container(&[
            "--rm",
            "--userns",
            "host",
            "--no-healthcheck",
            "--http-proxy=false",
            "--cgroups=no-conmon",
            "--publish-all",
            "--expose=80",
            "--mount",
            "type=devpts,destination=/dev/pts",
            "--mount",
            "type=devpts,destination=/terminals",
            "box:1",
            "test",
            "-c",
            "/terminals/ptmx",
        ])
        .ok();
}

#[test]
fn flags_that_make_no_sense_or_are_not_there_are_refused_by_name() {
    let Some(cellar) = Cellar::new() else { return };
    for (flags, words) in [
        (&["--userns", "keep-id"][..], "keep-id is only supported in rootless mode"),
        (&["--health-on-failure", "kill"], "cannot set on-failure action to kill without"),
        (&["--health-cmd", "x", "--health-retries", "0"], "healthcheck-retries must be greater"),
        (&["--no-healthcheck", "--health-cmd", "x"], "cannot specify both --no-healthcheck and"),
        (&["--secret", "x"], "no secret with name or id \"x\": no such secret"),
        (&["--secret", "x,type=y"], "parsing secret: type y is invalid"),
        (&["--requires", "x"], "is not a valid container, cannot be used as a dependency"),
        (&["--runtime", "nope"], "default OCI runtime \"nope\" not found: invalid argument"),
        (&["--memory-swappiness", "101"], "valid memory swappiness range is 0-100"),
        (&["--device-read-bps", "/dev/null"], "bad format: /dev/null"),
        (&["--hostuser", "no-such-user"], "user: unknown user no-such-user"),
        (&["--chrootdirs", "a"], "it needs to be an absolute path"),
        (
            &["--group-add", "keep-groups,5"],
            "the '--group-add keep-groups' option is not allowed with any other",
        ),
        (&["--personality", "nope"], "unknown persona specified `nope`"),
        (&["--pid", "none"], "unrecognized namespace mode none passed"),
        (&["--ipc", "none", "--shm-size", "1m"], "cannot set shmsize when running in the {none }"),
        (&["--link-local-ip", "1.1.1.1"], "podman does nothing with it either"),
        (&["--mount", "type=ramfs,dst=/x,size=1m"], "nothing limits a ramfs"),
        (&["--init", "--pid", "host"], "cannot add init binary as PID 1"),
        (&["--memory-swap", "1g"], "you should always set a memory limit when using a memoryswap"),
        (
            &["--memory", "1m", "--memory-reservation", "2m"],
            "cannot be less than memory reservation",
        ),
        (&["--memory", "1x"], "invalid value for memory: invalid size: '1x'"),
        (&["--security-opt", "nope"], "invalid --security-opt 1: \"nope\""),
        (&["--security-opt", "nope=1"], "invalid --security-opt 2: \"nope=1\""),
        (&["--security-opt", "seccomp=/no/file"], "opening seccomp profile failed: open /no/file"),
        (&["--sysctl", "kernel.panic=1"], "sysctl 'kernel.panic' is not allowed"),
        (&["--tz", "no/zone"], "stat /usr/share/zoneinfo/no/zone"),
        (&["--umask", "9"], "invalid umask string 9: invalid argument"),
        (&["-v", "/no/file:/x"], "statfs /no/file: no such file or directory"),
        (&["--cap-add", "nope"], "\"CAP_NOPE\": unknown capability"),
        (&["--add-host", "x"], "bad format for add-host: \"x\""),
        (&["--env-file", "/no/file"], "parsing env file \"/no/file\": open /no/file: no such file"),
        (&["--stop-signal", "nope"], "invalid signal: nope"),
        (&["--stop-signal", "99"], "valid signals are 1 through 64"),
        (&["--pull", "nope"], "unsupported pull policy \"nope\""),
        (&["--pod", "x"], "no pod with name or ID x found: no such pod"),
        (&["--nope"], "unknown flag: --nope"),
    ] {
        cellar.container(&[flags, &["box:1", "true"]].concat()).ends(125).says(words);
    }
    cellar.run(&["create", "--network", "none", "--name", "c", "box:1", "true"]).ok();
    for (words, said) in [
        (
            &["container", "checkpoint", "-a", "c"][..],
            "cellar has no command \"container checkpoint\"",
        ),
        (&["compose", "up"], "cellar has no command \"compose\""),
        (&["healthcheck", "run", "c"], "has no defined healthcheck"),
        (&["create", "--attach", "x", "box:1"], "must be one of stdin, stdout, or stderr"),
        (&["exec", "--nope", "c", "true"], "unknown flag: --nope"),
    ] {
        cellar.run(words).ends(125).says(said);
    }
}

#[test]
fn who_runs_is_named_and_secrets_and_roots_below_are_given() {
    let Some(cellar) = Cellar::new() else { return };
    let file = cellar.path("secret").display().to_string();
    fs::write(&file, "word").expect("it is new");
    cellar.run(&["secret", "create", "one", &file]).ok();
    cellar.run(&["secret", "create", "one", &file]).ends(125).says("secret name in use");
    let flags = [
        &["--rm", "-u", "1234:77", "--group-add", "55", "--chrootdirs", "/data"][..],
        &["--secret", "one,mode=0400,uid=1234", "--secret", "one,type=env,target=S", "box:1"],
    ];
    let script = "id; ls /data/etc; cat /run/secrets/one; echo $S";
    let words = [&flags.concat()[..], &["/bin/sh", "-c", script]].concat();
    let shown = cellar.container(&words).ok();
    let expected = "uid=1234(1234) gid=77(77) groups=55,77(77)\nhosts\nwordword";
    assert_eq!(shown.text(), expected, "{shown}");
    cellar.run(&["secret", "rm", "one"]).ok();
    assert_eq!(cellar.run(&["secret", "ls", "-q"]).ok().text(), "");
    let entry = ["--rm", "--read-only", "--passwd-entry", "me:x:$UID:0::/:/s", "-u", "7", "box:1"];
    let words = [&entry[..], &["/bin/busybox", "tail", "-n", "1", "/etc/passwd"]].concat();
    assert_eq!(cellar.container(&words).ok().text(), "me:x:7:0::/:/s");
}

#[test]
fn what_others_need_stays_and_goes_with_them() {
    let Some(cellar) = Cellar::new() else { return };
    cellar.container(&["-d", "--name", "a", "box:1", "sleep", "1000"]).ok();
    let network = ["run", "-d", "--name", "b", "--network", "container:a", "box:1"];
    cellar.run(&[&network[..], &["sleep", "1000"]].concat()).ok();
    cellar.run(&["create", "--name", "c", "--requires", "b", "box:1", "sleep", "1000"]).ok();
    cellar.run(&["kill", "b"]).ok();
    // What is required is started before.
    cellar.run(&["start", "c"]).ok();
    let names = "{{.Names}} {{.State}}";
    let listed = cellar.run(&["ps", "--sort", "names", "--format", names]).ok();
    assert_eq!(listed.text(), "a running\nb running\nc running");
    for name in ["a", "b"] {
        let refused = cellar.run(&["rm", "-f", "-t", "0", name]).ends(125);
        refused.says("has dependent containers which must be removed before it");
    }
    cellar.run(&["rm", "-f", "-t", "0", "--depend", "a"]).ok();
    cellar.is_clean();
}

#[test]
fn a_check_of_health_is_run_again_and_again() {
    let Some(cellar) = Cellar::new() else { return };
    let check = ["--health-cmd", "test -e /tmp/well", "--health-interval", "100ms"];
    let rest = ["--health-retries", "2", "box:1", "sleep", "1000"];
    cellar.container(&[&["-d", "--name", "c"][..], &check, &rest].concat()).ok();
    let until = |wanted: &str| {
        let begun = std::time::Instant::now();
        loop {
            let shown = cellar.run(&["ps", "--format", "{{.Status}}"]).ok();
            if shown.text().ends_with(wanted) {
                return;
            }
            assert!(begun.elapsed().as_secs() < 60, "{shown}, not {wanted}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    until("(unhealthy)");
    assert_eq!(cellar.run(&["healthcheck", "run", "c"]).ends(1).text(), "unhealthy");
    cellar.run(&["exec", "c", "touch", "/tmp/well"]).ok();
    until("(healthy)");
    cellar.run(&["healthcheck", "run", "c"]).ok();
    let listed = cellar.run(&["ps", "-q", "--filter", "health=healthy"]).ok();
    assert_eq!(listed.text().lines().count(), 1);
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    // A check that takes too long ends, and what it checks is killed where that was said.
    let check = ["--health-cmd", "sleep 1000", "--health-timeout", "50ms"];
    let rest = ["--health-retries=1", "--health-on-failure=kill", "box:1", "sleep", "1000"];
    cellar.container(&[&["-d", "--name", "c"][..], &check, &rest].concat()).ok();
    assert_eq!(cellar.run(&["wait", "c"]).ok().text(), "137");
    let shown = cellar.run(&["inspect", "c"]).ok().json();
    assert_eq!(shown[0]["State"]["Health"]["Log"][0]["ExitCode"], -1, "{shown}");
    cellar.run(&["rm", "c"]).ok();
    cellar.is_clean();
}

#[test]
fn runc_runs_containers_that_are_handled_as_all_others() {
    if !has(&["runc"]) {
        return;
    }
    let Some(cellar) = Cellar::new() else { return };
    let limit = ["--ulimit", "nofile=64:64", "box:1"];
    let own = [&["--rm", "--runtime", "runc"][..], &limit].concat();
    let script = "id -u; ls /sys/class/net; exit 7";
    let shown = cellar.container(&[&own[..], &["sh", "-c", script]].concat()).ends(7);
    assert_eq!(shown.text(), "0\nlo", "{shown}");
    let global = ["--runtime", "runc", "run", "-d", "--name", "c", "--network", "none", "box:1"];
    cellar.run(&[&global[..], &["sh", "-c", "echo up; exec sleep 1000"]].concat()).ok();
    let listed = cellar.run(&["inspect", "--format", "{{.OCIRuntime}} {{.State.Status}}", "c"]);
    assert_eq!(listed.ok().text(), "runc running");
    assert_eq!(cellar.run(&["exec", "c", "cat", "/etc/hostname"]).ok().text().len(), 12);
    assert_eq!(cellar.run(&["exec", "-l", "ls", "-d", "/bin"]).ok().text(), "/bin");
    assert_eq!(cellar.run(&["logs", "c"]).ok().text(), "up");
    cellar.run(&["stop", "-t", "0", "c"]).ok();
    assert_eq!(cellar.states(), "c exited 137");
    cellar.run(&["start", "c"]).ok();
    let monitor = cellar.run(&["inspect", "--format", "{{.State.ConmonPid}}", "c"]).ok();
    tool("kill", &format!("-9 {}", monitor.text())).ok();
    // Its helper ends it, and the runtime with it.
    cellar.run(&["wait", "c"]).ok();
    cellar.run(&["start", "c"]).ok();
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    cellar.container(&[&own[..], &["nope"]].concat()).ends(127).says("not found in $PATH");
    // An init is a program of the machine's, which is seen nowhere but at its place.
    let script = "cat /proc/1/comm; (sleep 0 &) ; exit 7";
    let line = [&["--init", "--name", "i"], &own[1..], &["sh", "-c", script]].concat();
    assert_eq!(cellar.container(&line).ends(7).text(), "podman-init");
    let changed = cellar.run(&["diff", "i"]).ok();
    assert!(!changed.text().contains("/run"), "{changed}");
    cellar.run(&["rm", "i"]).ok();
    let named = [&["--init", "--init-path", "/nope"], &own[..], &["true"]].concat();
    cellar.container(&named).ends(125).says("container-init binary not found on the host");
    cellar.is_clean();
}
