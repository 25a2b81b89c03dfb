//! `init`: everything that a container needs is made, and its command begins with `start`.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use tests::has;

use crate::faults::until;
use crate::support::Cellar;

fn number(cellar: &Cellar, field: &str) -> i64 {
    let shown = cellar.run(&["inspect", "--type", "container", "c"]).ok().json();
    shown[0]["State"][field].as_i64().expect("it is a number")
}

#[test]
fn what_is_prepared_waits_until_it_is_started() {
    let Some(cellar) = Cellar::new() else { return };
    let runtimes: &[&[&str]] = if has(&["runc"]) { &[&[], &["--runtime", "runc"]] } else { &[&[]] };
    for runtime in runtimes {
        let limits = ["--network", "none", "--ulimit", "nofile=64:64"];
        let command = ["--name", "c", "box:1", "sh", "-c", "echo here; exit 3"];
        cellar.run(&[runtime, &["create"][..], &limits, &command].concat()).ok();
        assert_eq!(cellar.run(&["init", "c"]).ok().text(), "c");
        assert_eq!(cellar.states(), "c initialized 0");
        let status = cellar.run(&["ps", "-a", "--format", "{{.Status}}"]).ok();
        assert_eq!(status.text(), "Initialized");
        assert_eq!(cellar.run(&["ps", "-q"]).ok().text(), "");
        assert!(Path::new(&format!("/proc/{}/ns", number(&cellar, "Pid"))).exists());
        cellar.run(&["init", "c"]).ends(125).says("has already been created in runtime");
        cellar.run(&["exec", "c", "true"]).ends(255).says("on running containers");
        cellar.run(&["kill", "c"]).ends(125).says("can only kill running containers");
        let started = cellar.run(&["start", "--attach", "c"]).ends(3);
        assert_eq!(started.text(), "here");
        assert_eq!(cellar.states(), "c exited 3");
        // Once more, and it is to be no more before it began.
        cellar.run(&["init", "c"]).ok();
        cellar.run(&["stop", "c"]).ok();
        assert_eq!(cellar.states(), "c exited 137");
        cellar.run(&["init", "--all"]).ok();
        cellar.run(&["restart", "c"]).ok();
        assert_eq!(cellar.run(&["wait", "c"]).ok().text(), "3");
        cellar.run(&["init", "--latest"]).ok();
        cellar.run(&["rm", "c"]).ok();
        cellar.is_clean();
    }
}

#[test]
fn what_is_prepared_and_cannot_begin_says_why() {
    let Some(cellar) = Cellar::new() else { return };
    cellar.run(&["create", "--network", "none", "--name", "c", "box:1", "nosuch"]).ok();
    cellar.run(&["init", "c"]).ok();
    cellar.run(&["start", "c"]).ends(125).says("nosuch");
    assert_eq!(cellar.states(), "c created 127");
    cellar.run(&["rm", "c"]).ok();
    cellar.is_clean();
}

#[test]
fn what_is_prepared_ends_with_its_monitor_and_can_be_started_then() {
    let Some(cellar) = Cellar::new() else { return };
    cellar.run(&["create", "--network", "none", "--name", "c", "box:1", "true"]).ok();
    cellar.run(&["init", "c"]).ok();
    let (process, monitor) = (number(&cellar, "Pid"), number(&cellar, "ConmonPid"));
    let pid = i32::try_from(monitor).ok().and_then(Pid::from_raw).expect("it is a number");
    kill_process(pid, Signal::KILL).expect("it lives");
    until("its process goes on", || !Path::new(&format!("/proc/{process}")).exists());
    assert_eq!(cellar.states(), "c created 0");
    assert_eq!(cellar.run(&["start", "--attach", "c"]).ok().text(), "");
    assert_eq!(cellar.states(), "c exited 0");
    cellar.run(&["rm", "c"]).ok();
    cellar.is_clean();
}

#[test]
fn sockets_that_a_manager_listens_at_are_the_containers() {
    let Some(cellar) = Cellar::new() else { return };
    let script =
        "echo $LISTEN_FDS $LISTEN_PID; test -e /proc/self/fd/3 -a ! -e /proc/self/fd/4 || exit 9";
    let run = format!("$CELLAR run --rm --network none box:1 sh -c '{script}'");
    let with = |variables: &str| cellar.shell(&format!("exec 3</dev/null; {variables} {run}")).ok();
    assert_eq!(with("LISTEN_FDS=1").text(), "1 1");
    let of_another = cellar.shell(&format!("exec 3</dev/null; LISTEN_PID=1 LISTEN_FDS=1 {run}"));
    assert_eq!(of_another.ends(9).text(), "");
    cellar.is_clean();
}
