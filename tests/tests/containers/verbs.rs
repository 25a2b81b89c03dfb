//! What is told of containers, and the flags that they are made with.

use std::fs;

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
fn flags_that_are_podmans_work_or_are_refused_by_name() {
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
    assert_eq!(cellar.container(&merged).ok().text(), "/opt: 1");
    let file = cellar.path("pid").display().to_string();
    cellar.container(&["-d", "--name", "c", "--pidfile", &file, "box:1", "sleep", "1000"]).ok();
    let shown = cellar.run(&["inspect", "c"]).ok().json();
    assert_eq!(fs::read_to_string(&file).unwrap_or_default(), shown[0]["State"]["Pid"].to_string());
    assert_eq!(shown[0]["PidFile"], *file);
    assert_eq!(cellar.run(&["wait", "--condition", "running", "c"]).ok().text(), "-1");
    cellar
        .run(&["wait", "--condition", "nope", "c"])
        .ends(125)
        .says("invalid container status \"nope\"");
    cellar
        .container(&[
            "--rm",
            "--userns",
            "host",
            "--no-healthcheck",
            "--http-proxy=false",
            "box:1",
            "true",
        ])
        .ok();
    for (flags, words) in [
        (&["--userns", "keep-id"][..], "--userns keep-id is not supported"),
        (&["--health-cmd", "true"], "health checks are not run"),
        (&["--secret", "x"], "there are no secrets"),
        (&["--pod", "x"], "there are no pods"),
        (&["--nope"], "unknown flag: --nope"),
    ] {
        cellar.container(&[flags, &["box:1", "true"]].concat()).ends(125).says(words);
    }
    for (words, said) in [
        (
            &["container", "checkpoint", "-a", "c"][..],
            "cellar has no command \"container checkpoint\"",
        ),
        (&["pod", "create"], "cellar has no command \"pod\": there are no pods"),
        (&["init", "c"], "use create and start"),
        (&["healthcheck", "run", "c"], "use exec"),
    ] {
        cellar.run(words).ends(125).says(said);
    }
}
