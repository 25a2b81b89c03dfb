//! Containers that begin again, who is attached to them, and what is told of it all.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::Cellar;

/// Waits for something that comes to be.
#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn inspected(cellar: &Cellar, field: &str) -> String {
    let format = format!("{{{{.{field}}}}}");
    cellar.run(&["inspect", "--format", &format, "c"]).ok().text().to_owned()
}

#[test]
fn who_is_attached_sees_one_life_of_a_container_that_begins_again() {
    let Some(cellar) = Cellar::new() else { return };
    let policy = ["--name", "c", "--restart", "on-failure:2", "box:1"];
    let said = cellar.container(&[&policy[..], &["sh", "-c", "echo hello; exit 3"]].concat());
    assert_eq!(said.ends(3).text(), "hello");
    // Those who read the log hear of every one.
    until("it does not begin again", || {
        cellar.run(&["logs", "c"]).ok().text() == "hello\nhello\nhello"
    });
    until("it does not end", || cellar.states() == "c exited 3");
    assert_eq!(inspected(&cellar, "RestartCount"), "2");
    let policy = "{{.Name}} {{.MaximumRetryCount}}";
    let shown = format!("{{{{with .HostConfig.RestartPolicy}}}}{policy}{{{{end}}}}");
    let shown = cellar.run(&["inspect", "--format", &shown, "c"]).ok();
    assert_eq!(shown.text(), "on-failure 2");
    cellar.run(&["rm", "-f", "c"]).ok();
    for (policy, words) in [
        ("on-failure:-1", "must specify restart policy retry count as a number greater than 0"),
        ("always:3", "restart policy retries can only be specified with on-failure restart policy"),
        ("bad", "running container create option: \"bad\" is not a valid restart policy: invalid"),
    ] {
        cellar.container(&["--restart", policy, "box:1", "true"]).ends(125).says(words);
    }
    cellar.is_clean();
}

#[test]
fn what_ended_with_the_machine_is_started_by_its_policy() {
    let Some(cellar) = Cellar::new() else { return };
    for (name, policy) in [("a", "always"), ("u", "unless-stopped"), ("n", "no")] {
        let all = ["-d", "--name", name, "--restart", policy, "box:1", "sleep", "1000"];
        cellar.container(&all).ok();
    }
    // What another start of the machine left.
    for id in cellar.run(&["ps", "-aq", "--no-trunc"]).ok().text().lines() {
        let file = cellar.path("root/cask/containers").join(id).join("container.json");
        let monitor = cellar.run(&["inspect", "--format", "{{.State.ConmonPid}}", id]).ok();
        tests::tool("kill", &format!("-9 {}", monitor.text())).ok();
        let wait = || cellar.run(&["inspect", "--format", "{{.State.Running}}", id]).ok();
        until("it goes on", || wait().text() == "false");
        let mut kept: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&file).expect("it is there"))
                .expect("it is JSON");
        kept["state"]["boot"] = "another".into();
        std::fs::write(&file, kept.to_string()).expect("it is writable");
    }
    cellar.run(&["start", "--all", "--filter", "restart-policy=always"]).ok();
    let names = || {
        let listed = cellar.run(&["ps", "--sort", "names", "--format", "{{.Names}}"]).ok();
        listed.text().lines().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(), "a");
    cellar.run(&["start", "--filter", "restart-policy=unless-stopped"]).ok();
    assert_eq!(names(), "a u");
    // Only what it starts is named.
    assert_eq!(cellar.run(&["start", "u"]).ok().text(), "");
    assert_eq!(cellar.run(&["start", "n"]).ok().text(), "n");
    cellar.run(&["rm", "-f", "-t", "0", "--filter", "restart-policy=always"]).ok();
    assert_eq!(names(), "n u");
    for (words, said) in [
        (&["start"][..], "start requires at least one argument"),
        (&["start", "--all", "n"], "either start all containers or the container(s) provided"),
        (&["start", "-a", "--all"], "you cannot start and attach all containers at once"),
        (&["start", "--sig-proxy", "n"], "you cannot use sig-proxy without --attach: invalid"),
        (&["start", "-l", "n"], "--latest and containers cannot be used together"),
        (&["attach"], "requires a name, id, or the \"--latest\" flag"),
    ] {
        cellar.run(words).ends(125).says(said);
    }
}

/// A command that is attached to a container which prints the signals that it gets.
struct Attached {
    command: Child,
    heard: BufReader<std::process::ChildStdout>,
}

impl Attached {
    fn new(cellar: &Cellar, options: &[&str]) -> Self {
        let script = "for i in 1 3 10 12 15 16 21 22 37; do trap \"echo got $i\" $i; done
                      trap 'exit 42' 2; echo ready; while true; do sleep 0.05; done";
        let run = ["run", "--network", "none", "--name", "c"];
        let all = [&run, options, &["box:1", "sh", "-c", script]].concat();
        let mut command = cellar.command(&all);
        let mut command = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let heard = BufReader::new(command.stdout.take().expect("it is piped"));
        let mut attached = Self { command, heard };
        assert_eq!(attached.line(), "ready");
        attached
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.heard.read_line(&mut line).expect("it can be read");
        line.trim().to_owned()
    }

    /// The shell before its name does not know every signal by it.
    fn signal(&self, number: i32) {
        tests::tool("kill", &format!("-{number} {}", self.command.id())).ok();
    }
}

#[test]
fn signals_are_passed_on_to_what_runs() {
    let Some(cellar) = Cellar::new() else { return };
    let mut attached = Attached::new(&cellar, &[]);
    for number in [1, 3, 10, 12, 15, 16, 21, 22, 37] {
        // One that comes before the other end is ready for it would end the command.
        until("it does not listen", || {
            let path = format!("/proc/{}/status", attached.command.id());
            let status = std::fs::read_to_string(path).unwrap_or_default();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let caught = caught.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
            caught.is_some_and(|caught| caught & (1 << (number - 1)) != 0)
        });
        attached.signal(number);
        assert_eq!(attached.line(), format!("got {number}"));
    }
    attached.signal(2);
    assert_eq!(attached.command.wait().expect("it ends").code(), Some(42));
    cellar.run(&["rm", "c"]).ok();
    // Unless somebody wants them.
    let mut attached = Attached::new(&cellar, &["--sig-proxy=false"]);
    attached.signal(15);
    assert_eq!(attached.command.wait().expect("it ends").code(), None);
    assert_eq!(cellar.states(), "c running 0");
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    let mut rest = String::new();
    attached.heard.read_to_string(&mut rest).expect("it is text");
    assert_eq!(rest, "");
    cellar.is_clean();
}

#[test]
fn one_that_is_asked_to_end_is_stopping_until_it_has() {
    let Some(cellar) = Cellar::new() else { return };
    let script = "trap 'echo heard' TERM; echo ready; while :; do sleep 0.05; done";
    cellar.container(&["-d", "--name", "c", "box:1", "sh", "-c", script]).ok();
    until("it is not ready", || cellar.run(&["logs", "c"]).ok().text() == "ready");
    let mut stop = cellar.command(&["stop", "-t", "100", "c"]);
    let mut stop = stop.stdout(Stdio::null()).spawn().expect("it is there");
    until("it does not hear", || cellar.run(&["logs", "c"]).ok().text() == "ready\nheard");
    assert_eq!(inspected(&cellar, "State.Status"), "stopping");
    let listed = ["ps", "--filter", "status=stopping", "--format", "{{.State}} {{.Status}}"];
    assert_eq!(cellar.run(&listed).ok().text(), "stopping Stopping");
    cellar.run(&["rm", "c"]).ends(2).says("as it is stopping");
    cellar.run(&["kill", "c"]).ok();
    assert!(stop.wait().expect("it ends").success());
    assert_eq!(cellar.states(), "c exited 137");
    assert_eq!(inspected(&cellar, "State.StoppedByUser"), "true");
    cellar.run(&["start", "c"]).ok();
    assert_eq!(inspected(&cellar, "State.Status"), "running");
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
}

#[test]
fn who_is_sent_what_it_ends_at_does_not_begin_again() {
    let Some(cellar) = Cellar::new() else { return };
    let script =
        "trap 'exit 42' TERM; trap 'echo heard' HUP; echo ready; while :; do sleep 0.05; done";
    let flags = ["-d", "--name", "c", "--restart", "always", "box:1", "sh", "-c", script];
    cellar.container(&flags).ok();
    until("it is not ready", || cellar.run(&["logs", "c"]).ok().text() == "ready");
    cellar.run(&["kill", "-s", "-HUP", "c"]).ok();
    until("it does not hear", || cellar.run(&["logs", "c"]).ok().text() == "ready\nheard");
    cellar.run(&["kill", "-s", "TERM", "c"]).ok();
    assert_eq!(cellar.run(&["wait", "c"]).ok().text(), "42");
    cellar.run(&["rm", "c"]).ok();
    cellar.is_clean();
}

#[test]
fn events_are_podmans_one_by_one() {
    let Some(cellar) = Cellar::new() else { return };
    let told = |kind: &str| {
        let kind = format!("type={kind}");
        let filter = ["events", "--stream=false", "--filter", &kind];
        let format = "{{.Status}} {{.Name}} {{.ContainerExitCode}}";
        let said = cellar.run(&[&filter[..], &["--format", format]].concat()).ok();
        said.text().lines().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    cellar.container(&["--rm", "--name", "c", "box:1", "sh", "-c", "exit 7"]).ends(7);
    let run = ["create c 0", "init c 0", "start c 0", "attach c 0", "died c 7", "remove c 0"];
    assert_eq!(told("container"), run);
    let make = ["--restart", "on-failure:1", "--name", "c", "box:1", "sh", "-c", "exit 1"];
    cellar.container(&[&["-d"][..], &make].concat()).ok();
    until("it does not end", || told("container").last().is_some_and(|one| one == "cleanup c 0"));
    let lives = ["create", "init", "start", "died 1", "restart", "init", "start", "died 1"];
    let lives = lives.map(|one| match one.split_once(' ') {
        Some((status, code)) => format!("{status} c {code}"),
        None => format!("{one} c 0"),
    });
    assert_eq!(told("container")[run.len()..run.len() + lives.len()], lives);
    cellar.run(&["rm", "c"]).ok();
    cellar.container(&["-d", "--name", "d", "-v", "/anon", "box:1", "sleep", "1000"]).ok();
    cellar.run(&["exec", "d", "sh", "-c", "exit 3"]).ends(3);
    assert_eq!(told("container").last().expect("there are some"), "exec_died d 3");
    cellar.run(&["rm", "-f", "-t", "0", "-v", "d"]).ok();
    cellar.run(&["volume", "create", "v"]).ok();
    cellar.run(&["volume", "prune", "-f"]).ok();
    let statuses = |kind: &str| {
        let all = told(kind);
        let words = all.iter().filter_map(|line| line.split(' ').next());
        words.map(ToOwned::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(statuses("volume"), "create remove create remove prune");
    let file = cellar.path("Containerfile").display().to_string();
    std::fs::write(&file, "FROM localhost/box:1\nLABEL a=b\n").expect("it is writable");
    let context = cellar.path("image/data").display().to_string();
    let built = cellar.run(&["build", "-q", "-f", &file, &context]).ok();
    cellar.run(&["image", "mount", "box:1"]).ok();
    cellar.run(&["image", "unmount", "box:1"]).ok();
    let images = told("image");
    assert!(images.contains(&format!("build {} 0", built.text())), "{images:?}");
    // Each container asks for its image.
    assert_eq!(statuses("image"), "tag pull pull pull build mount unmount");
    // To the nanosecond.
    let json = cellar.run(&["events", "--stream=false", "--format", "json"]).ok();
    let last: serde_json::Value =
        serde_json::from_str(json.text().lines().last().expect("there are some")).expect("JSON");
    let time = last["Time"].as_str().expect("it is text");
    let since = ["system", "events", "--stream=false", "--format", "{{.Status}}", "--since", time];
    assert_eq!(cellar.run(&since).ok().text(), "unmount");
    assert_eq!(
        cellar.run(&["events", "--stream=false", "--since", "9999999999.5"]).ok().text(),
        ""
    );
    cellar.is_clean();
}

#[test]
fn a_container_that_could_not_be_made_leaves_no_volume() {
    let Some(cellar) = Cellar::new() else { return };
    let create = ["create", "--network", "none", "--name", "c", "-v", "/anon", "box:1", "true"];
    cellar.run(&create).ok();
    let count = || cellar.run(&["volume", "ls", "-q"]).ok().text().lines().count();
    assert_eq!(count(), 1);
    cellar.run(&create).ends(125).says("is already in use by");
    assert_eq!(count(), 1);
    // One whose volume is missing since its maker was killed has it when it starts.
    let name = cellar.run(&["volume", "ls", "-q"]).ok().text().to_owned();
    std::fs::remove_dir_all(cellar.path("root/volumes").join(name)).expect("it is there");
    cellar.run(&["start", "-a", "c"]).ok();
    cellar.run(&["rm", "-v", "c"]).ok();
    assert_eq!(count(), 0);
    cellar.is_clean();
}

#[test]
fn whatever_is_waited_for_is_waited_for_in_one_way() {
    let Some(cellar) = Cellar::new() else { return };
    cellar.run(&["create", "--network", "none", "--name", "new", "box:1", "false"]).ok();
    // What never began has ended.
    for conditions in ["exited", "stopped", "exited,paused", "paused,created"] {
        let expected = if conditions.contains("created") { "-1" } else { "0" };
        let said = cellar.run(&["wait", "--condition", conditions, "new"]).ok();
        assert_eq!(said.text(), expected, "{conditions}");
    }
    cellar.run(&["wait", "--condition", "healthy,exited", "new"]).ends(125).says("no healthcheck");
    cellar.run(&["init", "new"]).ok();
    // What is prepared has not.
    let script = "$CELLAR wait --condition exited new & $CELLAR start new >/dev/null; wait";
    assert_eq!(cellar.shell(script).ok().text(), "1");
    for flags in ["", "--condition exited", "--condition stopped,paused --interval 1"] {
        cellar.container(&["-d", "--name", "c", "box:1", "sleep", "1000"]).ok();
        let script = format!("$CELLAR wait {flags} c & $CELLAR kill c >/dev/null; wait");
        assert_eq!(cellar.shell(&script).ok().text(), "137", "{flags}");
        cellar.run(&["rm", "c"]).ok();
    }
    // One that is not there fails before anything is waited for, or has a code in its place.
    cellar.container(&["-d", "--name", "long", "box:1", "sleep", "1000"]).ok();
    cellar.run(&["wait", "long", "nosuch"]).ends(125).says("no such container");
    let said = cellar.run(&["wait", "--ignore", "new", "nosuch"]).ok();
    assert_eq!(said.text(), "1\n-1");
    let first = ["wait", "--exit-first-match", "--interval", "10"];
    let said = cellar.run(&[&first[..], &["long", "new"]].concat()).ok();
    assert_eq!(said.text(), "1");
    let said = cellar.run(&[&first[..], &["--condition", "running", "new", "long"]].concat()).ok();
    assert_eq!(said.text(), "-1");
    cellar.run(&[&first[..], &["long", "nosuch"]].concat()).ends(125).says("no such container");
    cellar.run(&["rm", "-f", "-t", "0", "long"]).ok();
    cellar.run(&["rm", "new"]).ok();
    cellar.is_clean();
}
