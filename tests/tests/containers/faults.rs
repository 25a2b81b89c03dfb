//! What is killed, stopped or out of space is not forgotten: `ps` tells the truth, `rm` cleans up, nothing is left.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tests::has;

use crate::support::Cellar;

fn signal(pid: i64, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("it is a number");
    kill_process(pid, signal).expect("it runs");
}

fn kill(pid: i64) {
    signal(pid, Signal::KILL);
}

fn number(cellar: &Cellar, field: &str) -> i64 {
    cellar.run(&["inspect", "c"]).ok().json()[0]["State"][field].as_i64().expect("it is a number")
}

/// A container `c` that runs for long.
fn sleeping(cellar: &Cellar, options: &[&str]) {
    let command = ["box:1", "sleep", "1000"];
    let all: Vec<&str> =
        ["-d", "--name", "c"].iter().chain(options).chain(&command).copied().collect();
    cellar.container(&all).ok();
}

#[track_caller]
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_there(pid: i64) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn a_killed_process_is_an_exited_container() {
    let Some(cellar) = Cellar::new() else { return };
    sleeping(&cellar, &[]);
    kill(number(&cellar, "Pid"));
    assert_eq!(cellar.run(&["wait", "c"]).ok().text(), "137");
    assert_eq!(cellar.states(), "c exited 137");
    cellar.run(&["rm", "c"]).ok();
    cellar.is_clean();
}

#[test]
fn a_killed_monitor_takes_its_container_along() {
    let Some(cellar) = Cellar::new() else { return };
    sleeping(&cellar, &["--restart", "always"]);
    let process = number(&cellar, "Pid");
    kill(number(&cellar, "ConmonPid"));
    until("its process goes on", || !is_there(process));
    // Nobody is left who would have it begin again.
    assert_eq!(cellar.states(), "c exited 137");
    // It can live again, with its policy, and go.
    cellar.run(&["start", "c"]).ok();
    assert_eq!(cellar.states(), "c running 0");
    let second = number(&cellar, "Pid");
    kill(second);
    until("it does not begin again", || {
        number(&cellar, "Pid") != second && cellar.states() == "c running 0"
    });
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    cellar.is_clean();
}

#[test]
fn what_goes_when_it_ends_goes_also_without_its_monitor() {
    let Some(cellar) = Cellar::new() else { return };
    sleeping(&cellar, &["--rm", "-v", "/anonymous"]);
    let process = number(&cellar, "Pid");
    kill(number(&cellar, "ConmonPid"));
    until("its process goes on", || !is_there(process));
    assert_eq!(cellar.states(), "");
    assert_eq!(cellar.run(&["volume", "ls", "-q"]).ok().text(), "");
    cellar.is_clean();
}

/// The state as another start of the machine would have left it.
fn of_another_boot(cellar: &Cellar) {
    let id = cellar.run(&["inspect", "--format", "{{.Id}}", "c"]).ok().text().to_owned();
    let path = cellar.path("root/cask/containers").join(id).join("container.json");
    let text = std::fs::read_to_string(&path).expect("it is there");
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("it is there");
    assert!(text.contains(boot.trim()), "{text}");
    std::fs::write(path, text.replace(boot.trim(), "another")).expect("it is writable");
    // What is in memory is gone, and so are mounts and their counts.
    cellar.unmount_all();
    std::fs::remove_dir_all(cellar.path("run")).expect("it was there");
}

#[test]
fn what_ran_when_the_machine_ended_has_exited() {
    let Some(cellar) = Cellar::new() else { return };
    let crash = |options: &[&str]| {
        sleeping(&cellar, options);
        let (process, monitor) = (number(&cellar, "Pid"), number(&cellar, "ConmonPid"));
        kill(monitor);
        until("its process goes on", || !is_there(process));
        of_another_boot(&cellar);
    };
    crash(&[]);
    cellar.run(&["create", "--network", "none", "--name", "new", "box:1", "true"]).ok();
    assert_eq!(cellar.states(), "c exited 137, new created 0");
    let shown = cellar.run(&["inspect", "c"]).ok().json();
    assert_eq!(shown[0]["State"]["Error"], "it ended with the machine");
    cellar.run(&["rm", "new"]).ok();
    cellar.run(&["start", "c"]).ok();
    assert_eq!(cellar.states(), "c running 0");
    cellar.run(&["exec", "c", "true"]).ok();
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    cellar.is_clean();
    crash(&["--rm"]);
    assert_eq!(cellar.states(), "");
    cellar.is_clean();
}

#[test]
fn what_a_loss_of_power_leaves_of_a_record_is_no_loss_of_the_container() {
    let Some(cellar) = Cellar::new() else { return };
    let script = "echo here > /kept; cat /kept";
    let made = ["create", "--network", "none", "--name", "old", "box:1", "sh", "-c", script];
    let id = cellar.run(&made).ok().text().to_owned();
    let record = cellar.path("root/cask/containers").join(&id).join("container.json");
    let damage = |part: usize| {
        let text = std::fs::read(&record).expect("it is there");
        std::fs::write(&record, &text[..text.len() * part / 2]).expect("it is writable");
    };
    let damaged = "its record was damaged";
    cellar.run(&["rename", "old", "c"]).ok();
    damage(0);
    let listed = cellar.run(&["ps", "-a", "--format", "{{.Names}} {{.Status}}"]).ok();
    assert_eq!(listed.text(), "c Created");
    listed.says(damaged);
    let shown = cellar.run(&["inspect", "c"]).ok().json();
    assert!(shown[0]["State"]["Error"].as_str().is_some_and(|text| text.contains(damaged)));
    let started = cellar.run(&["start", "--attach", "c"]).ok();
    assert_eq!(started.text(), "here");
    started.says(damaged);
    let listed = cellar.run(&["ps", "-a"]).ok();
    assert!(!listed.stderr.contains(damaged), "{listed}");
    // It ran; how it ended is not known.
    damage(1);
    let listed = cellar.run(&["ps", "-a", "--format", "{{.Names}} {{.State}} {{.ExitCode}}"]).ok();
    assert_eq!(listed.text(), "c exited 137");
    listed.says(damaged);
    cellar.run(&["start", "--attach", "c"]).ok().says(damaged);
    assert_eq!(cellar.states(), "c exited 0");
    damage(0);
    cellar.run(&["rm", "c"]).ok().says(damaged);
    cellar.is_clean();
}

#[test]
fn a_container_whose_record_is_damaged_while_it_runs_is_removed_at_once() {
    let Some(cellar) = Cellar::new() else { return };
    for both in [false, true] {
        let flags = ["-d", "--name", "c", "box:1", "sleep", "1000"];
        let id = cellar.container(&flags).ok().text().to_owned();
        let place = cellar.path("root/cask/containers").join(&id);
        std::fs::write(place.join("container.json"), "{").expect("it is writable");
        let began = std::time::Instant::now();
        if both {
            std::fs::write(place.join("first.json"), "{").expect("it is writable");
            cellar.run(&["rm", "-f", &id]).ok();
        } else {
            assert_eq!(cellar.states(), "c running 0");
            cellar.run(&["rm", "c"]).ends(2).says("cannot be removed without force");
            cellar.run(&["rm", "-f", "c"]).ok();
        }
        // Nobody waited until patience was at an end.
        assert!(began.elapsed().as_secs() < 60);
        assert_eq!(cellar.states(), "");
        cellar.is_clean();
    }
}

#[test]
fn what_is_killed_for_lack_of_memory_is_told_whatever_runs_it() {
    let Some(cellar) = Cellar::new() else { return };
    // Whoever needs it is the first to go: not the shell, and not what the runtime begins with.
    let greedy = "echo 1000 > /proc/self/oom_score_adj; exec tail";
    let script = format!("head -c 200m /dev/zero | sh -c '{greedy}' > /dev/null; exit 3");
    let script = script.as_str();
    let limits = ["-m", "64m", "--ulimit", "nofile=64:64", "box:1", "sh", "-c", script];
    let runtimes: &[&[&str]] = if has(&["runc"]) { &[&[], &["--runtime", "runc"]] } else { &[&[]] };
    for runtime in runtimes {
        let run = ["run", "--name", "c", "--network", "none"];
        cellar.run(&[runtime, &run[..], &limits].concat()).ends(3);
        let shown = cellar.run(&["inspect", "--format", "{{.State.OOMKilled}}", "c"]).ok();
        assert_eq!(shown.text(), "true", "{runtime:?}");
        cellar.run(&["rm", "c"]).ok();
    }
    cellar.is_clean();
}

#[test]
fn of_two_starts_one_is_enough() {
    let Some(cellar) = Cellar::new() else { return };
    cellar.run(&["create", "--network", "none", "--name", "c", "box:1", "sleep", "1000"]).ok();
    let start = || cellar.command(&["start", "c"]).spawn().expect("it starts");
    let mut both = [start(), start()];
    for one in &mut both {
        assert!(one.wait().expect("it ends").success());
    }
    assert_eq!(cellar.states(), "c running 0");
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    cellar.is_clean();
}

#[test]
fn one_that_begins_again_and_again_is_started_stopped_and_removed_meanwhile() {
    let Some(cellar) = Cellar::new() else { return };
    let failing = ["-d", "--name", "c", "--restart", "always", "box:1", "false"];
    cellar.container(&failing).ok();
    // Up to a minute passes between its lives: nobody waits so long for it.
    std::thread::sleep(Duration::from_millis(900));
    let began = Instant::now();
    cellar.run(&["start", "c"]).ok();
    cellar.run(&["stop", "-t", "0", "c"]).ok();
    assert_eq!(cellar.states(), "c exited 1");
    cellar.run(&["start", "c"]).ok();
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    cellar.is_clean();
}

#[test]
fn a_monitor_that_stands_is_waited_for_briefly_and_removed_by_force() {
    let Some(cellar) = Cellar::new() else { return };
    sleeping(&cellar, &[]);
    let (process, monitor) = (number(&cellar, "Pid"), number(&cellar, "ConmonPid"));
    signal(monitor, Signal::STOP);
    let began = Instant::now();
    let hint = format!("kill -CONT {monitor}");
    cellar.run(&["stop", "-t", "0", "c"]).ends(125).says("is stopped and does nothing").says(&hint);
    cellar.run(&["start", "c"]);
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    until("something of it goes on", || !is_there(process) && !is_there(monitor));
    assert_eq!(cellar.states(), "");
    cellar.is_clean();
}

#[test]
fn who_is_attached_and_stands_keeps_nobody_from_stopping_it() {
    let Some(cellar) = Cellar::new() else { return };
    let script = "i=0; while true; do echo $i-0123456789012345678901234567890123456789; done";
    let mut attached = cellar.command(&["run", "--network", "none", "--name", "c", "box:1", "sh"]);
    attached.args(["-c", script]).stdout(Stdio::null());
    let mut attached = attached.spawn().expect("it starts");
    until("it does not run", || cellar.states() == "c running 0");
    signal(i64::from(attached.id()), Signal::STOP);
    std::thread::sleep(Duration::from_millis(100));
    cellar.run(&["stop", "-t", "0", "c"]).ok();
    assert_eq!(cellar.states(), "c exited 137");
    cellar.run(&["rm", "c"]).ok();
    signal(i64::from(attached.id()), Signal::CONT);
    assert_eq!(attached.wait().expect("it ends").code(), Some(137));
    cellar.is_clean();
}

#[test]
fn one_that_ignores_the_request_to_end_is_killed() {
    let Some(cellar) = Cellar::new() else { return };
    let script = "trap '' TERM; echo ready; while true; do sleep 1; done";
    cellar.container(&["-d", "--name", "c", "box:1", "sh", "-c", script]).ok();
    until("it does not begin", || cellar.run(&["logs", "c"]).text() == "ready");
    cellar.run(&["restart", "-t", "1", "c"]).ok().says("resorting to SIGKILL");
    until("it does not begin again", || cellar.run(&["logs", "c"]).text() == "ready\nready");
    cellar.run(&["stop", "-t", "1", "c"]).ok().says("resorting to SIGKILL");
    assert_eq!(cellar.states(), "c exited 137");
    // One that is given as long as it takes is not.
    let script = "trap 'exit 7' TERM; echo ready; while true; do sleep 0.1; done";
    cellar.container(&["-d", "--name", "d", "box:1", "sh", "-c", script]).ok();
    until("it does not begin", || cellar.run(&["logs", "d"]).text() == "ready");
    cellar.run(&["stop", "-t", "-1", "d"]).ok();
    assert_eq!(cellar.states(), "c exited 137, d exited 7");
    cellar.run(&["rm", "-f", "-t", "-1", "d"]).ok();
    cellar.run(&["rm", "c"]).ok();
    cellar.is_clean();
}

#[test]
fn one_that_forks_for_ever_is_limited_and_removed() {
    let Some(cellar) = Cellar::new() else { return };
    // Its first process needs no more than there are at the beginning, or it would end with the others.
    let script = "bomb() { bomb & bomb & }; bomb 2>/dev/null & exec sleep 1000";
    let bomb = ["-d", "--name", "c", "--pids-limit", "100", "box:1", "sh", "-c", script];
    cellar.container(&bomb).ok();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(cellar.states(), "c running 0");
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    cellar.is_clean();
}

/// The most that a process had in memory so far, in KiB.
fn most_kib(process: i64) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let most =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next());
    most.and_then(|most| most.parse().ok()).expect("it is a number")
}

#[test]
fn a_gibibyte_of_output_takes_no_more_room_than_its_log_may() {
    let Some(cellar) = Cellar::new() else { return };
    // Long lines, and many at once: what is slow is not the container.
    let line = "0123456789abcdef".repeat(500);
    let script = format!(
        "yes {line} | head -c 16777216 >/tmp/lines; echo begun; until test -e /tmp/go; do sleep 0.05; done
         i=0; while test $i -lt 64; do cat /tmp/lines; i=$((i+1)); done; echo; echo done >&2; sleep 1000"
    );
    let log = ["--log-opt", "max-size=4m", "--log-opt", "max-file=3"];
    let run = ["-d", "--name", "c", "box:1", "sh", "-c", &script];
    cellar.container(&[&run[..3], &log, &run[3..]].concat()).ok();
    until("it does not begin", || cellar.run(&["logs", "c"]).ok().text() == "begun");
    let monitor = number(&cellar, "ConmonPid");
    let before = most_kib(monitor);
    cellar.run(&["exec", "c", "touch", "/tmp/go"]).ok();
    until("it does not end", || cellar.run(&["logs", "--tail", "3", "c"]).stderr.contains("done"));
    let id = cellar.run(&["inspect", "--format", "{{.Id}}", "c"]).ok().text().to_owned();
    let directory = cellar.path("root/cask/containers").join(id);
    let size = |name: &str| std::fs::metadata(directory.join(name)).map_or(0, |found| found.len());
    for name in ["ctr.log", "ctr.log.1", "ctr.log.2"] {
        assert!((1..=4 << 20).contains(&size(name)), "{name}: {}", size(name));
    }
    assert_eq!(size("ctr.log.3"), 0);
    // 4 MiB more than a monitor that has nothing to do.
    let most = most_kib(monitor);
    assert!(most <= before + (4 << 10), "{before} KiB, then {most} KiB");
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    cellar.is_clean();
}

#[test]
fn a_killed_command_leaves_a_container_or_none() {
    let Some(cellar) = Cellar::new() else { return };
    let run = ["run", "-d", "--network", "none", "--name", "c", "box:1", "sleep", "1000"];
    let began = Instant::now();
    cellar.run(&run).ok();
    let whole = began.elapsed();
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    for turn in 0..4 {
        let mut command = cellar.command(&run);
        let mut command = command.stdout(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(whole * turn / 4);
        command.kill().expect("a child can be killed");
        command.wait().expect("it ends");
        // A monitor that was started goes on.
        let known = ["", "c created 0", "c running 0"];
        until("a state that cannot be", || known.contains(&&*cellar.states()));
        cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
        assert_eq!(cellar.states(), "", "{turn}");
        cellar.container(&["--rm", "--name", "c", "box:1", "true"]).ok();
    }
    cellar.is_clean();
}

/// A container `c` whose monitor has begun, but cannot say so: nobody reads the pipe that it writes a number to.
struct Beginning {
    starter: Child,
    monitor: i64,
    pipe: std::path::PathBuf,
}

impl Beginning {
    fn new(cellar: &Cellar, options: &[&str]) -> Self {
        let pipe = cellar.path("pipe");
        let _ = std::fs::remove_file(&pipe);
        tests::tool("mkfifo", &pipe.display().to_string()).ok();
        let pid = format!("--pidfile={}", pipe.display());
        let run = ["run", "-d", "--network", "none", "--name", "c", &pid];
        let all = [&run, options, &["box:1", "sleep", "1000"]].concat();
        let mut starter = cellar.command(&all);
        let starter = starter.stdout(Stdio::null()).stderr(Stdio::piped());
        let starter = starter.spawn().expect("it starts");
        until("it has no monitor", || monitor(cellar).is_some());
        Self { starter, monitor: monitor(cellar).unwrap_or_default(), pipe }
    }

    fn kill_starter(&mut self) {
        self.starter.kill().expect("a child can be killed");
        self.starter.wait().expect("it ends");
    }

    /// Reads what the monitor writes, as long as this is held.
    fn let_go(&self) -> std::fs::File {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).expect("it is small");
        let mut options = std::fs::OpenOptions::new();
        options.read(true).custom_flags(flags).open(&self.pipe).expect("it is there")
    }
}

/// Whether a process has a file open whose path ends so.
fn has_open(process: &Path, root: &Path, end: &str) -> bool {
    let open = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    let mut open = open.filter_map(|one| std::fs::read_link(one.path()).ok());
    open.any(|path| path.starts_with(root) && path.ends_with(end))
}

/// The process that watches a container of the store.
fn monitor(cellar: &Cellar) -> Option<i64> {
    let root = cellar.path("root/cask/containers");
    let mut all = std::fs::read_dir("/proc").expect("it is there").flatten();
    let found = all.find(|entry| has_open(&entry.path(), &root, "monitor"))?;
    found.file_name().to_str()?.parse().ok()
}

#[test]
fn who_is_killed_while_a_container_begins_keeps_nobody_waiting() {
    let Some(cellar) = Cellar::new() else { return };
    for verb in ["rm", "stop", "start"] {
        let mut beginning = Beginning::new(&cellar, &[]);
        beginning.kill_starter();
        let began = Instant::now();
        let force: &[&str] = match verb {
            "rm" => &["-f", "-t", "0", "c"],
            "stop" => &["-t", "0", "c"],
            _ => &["c"],
        };
        let mut command = cellar.command(&[&[verb], force].concat());
        let mut command = command.stdout(Stdio::null()).spawn().expect("it starts");
        let process = format!("/proc/{}", command.id());
        let root = cellar.path("root/cask/containers");
        until("it does not wait", || has_open(Path::new(&process), &root, "lock"));
        let _reader = beginning.let_go();
        assert!(command.wait().expect("it ends").success(), "{verb}");
        // Whoever waits for a container that runs waits for a minute.
        assert!(began.elapsed() < Duration::from_secs(40), "{verb}: {:?}", began.elapsed());
        let expected = match verb {
            "rm" => "",
            "stop" => "c exited 137",
            _ => "c running 0",
        };
        assert_eq!(cellar.states(), expected);
        cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    }
    cellar.is_clean();
}

#[test]
fn a_monitor_that_is_stopped_while_it_begins_is_told_and_removed_by_force() {
    let Some(cellar) = Cellar::new() else { return };
    let mut beginning = Beginning::new(&cellar, &[]);
    signal(beginning.monitor, Signal::STOP);
    let began = Instant::now();
    assert_eq!(beginning.starter.wait().expect("it ends").code(), Some(125));
    let mut said = String::new();
    let mut errors = beginning.starter.stderr.take().expect("it is piped");
    std::io::Read::read_to_string(&mut errors, &mut said).expect("it is text");
    let hint = format!("kill -CONT {}", beginning.monitor);
    assert!(said.contains("is stopped and does nothing") && said.contains(&hint), "{said}");
    cellar.run(&["start", "c"]).ends(125).says("is stopped and does nothing").says(&hint);
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    assert_eq!(cellar.states(), "");
    cellar.is_clean();
}

#[test]
fn what_a_monitor_had_made_when_it_was_killed_is_taken_back() {
    let Some(cellar) = Cellar::new() else { return };
    let groups = |id: &str| tests::tool("find", &format!("/sys/fs/cgroup -type d -name {id}")).ok();
    let mut beginning = Beginning::new(&cellar, &[]);
    kill(beginning.monitor);
    assert_eq!(beginning.starter.wait().expect("it ends").code(), Some(126));
    assert_eq!(cellar.states(), "c created 0");
    let id = cellar.run(&["inspect", "--format", "{{.Id}}", "c"]).ok().text().to_owned();
    let mut again = cellar.command(&["start", "c"]);
    let again = again.stdout(Stdio::null()).spawn().expect("it starts");
    until("it has no monitor", || monitor(&cellar).is_some());
    let reader = beginning.let_go();
    assert!(again.wait_with_output().expect("it ends").status.success());
    assert_eq!(cellar.states(), "c running 0");
    drop(reader);
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    assert_eq!(groups(&id).text(), "");
    cellar.is_clean();
    // What goes when it ends goes also where it never began.
    let mut beginning = Beginning::new(&cellar, &["--rm"]);
    beginning.kill_starter();
    kill(beginning.monitor);
    until("it stays", || cellar.states().is_empty());
    cellar.is_clean();
}

#[test]
fn a_name_is_free_as_soon_as_its_container_is_gone() {
    let Some(cellar) = Cellar::new() else { return };
    for turn in 0..5 {
        let said = cellar.container(&["--rm", "--name", "c", "box:1", "echo", &turn.to_string()]);
        assert_eq!(said.ok().text(), turn.to_string());
    }
    sleeping(&cellar, &[]);
    cellar.container(&["--name", "c", "box:1", "true"]).ends(125).says("is already in use by");
    cellar.container(&["--replace", "--name", "c", "box:1", "echo", "second"]).ok();
    assert_eq!(cellar.states(), "c exited 0");
    cellar.run(&["rm", "c"]).ok();
    cellar.is_clean();
}

#[test]
fn a_full_disk_is_told_and_containers_still_end_and_go() {
    let Some(cellar) = Cellar::on_small_disk() else { return };
    sleeping(&cellar, &[]);
    cellar.fill();
    cellar.container(&["--name", "d", "box:1", "true"]).ends(125).says("o space left on device");
    assert_eq!(cellar.states(), "c running 0");
    kill(number(&cellar, "Pid"));
    until("it goes on", || cellar.states() == "c exited 137");
    cellar.make_room();
    cellar.run(&["start", "c"]).ok();
    cellar.fill();
    cellar.run(&["stop", "-t", "0", "c"]).ok();
    assert_eq!(cellar.states(), "c exited 137");
    cellar.run(&["start", "c"]);
    cellar.run(&["rm", "-f", "-t", "0", "c"]);
    cellar.make_room();
    cellar.run(&["rm", "-f", "-t", "0", "-a"]).ok();
    assert_eq!(cellar.states(), "");
    cellar.container(&["--rm", "box:1", "true"]).ok();
    cellar.is_clean();
}

#[test]
fn a_container_is_removed_where_a_full_disk_has_everything() {
    let Some(cellar) = Cellar::on_one_small_disk() else { return };
    sleeping(&cellar, &[]);
    cellar.fill();
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    assert_eq!(cellar.states(), "");
    cellar.make_room();
    cellar.container(&["--rm", "box:1", "true"]).ok();
    cellar.is_clean();
}

#[test]
fn a_hundred_start_at_once() {
    let Some(cellar) = Cellar::new() else { return };
    let run = ["run", "-d", "--rm", "--network", "none", "box:1", "sleep", "1000"];
    let start = |_| cellar.command(&run).stdout(Stdio::null()).spawn().expect("it starts");
    let started: Vec<Child> = (0..100).map(start).collect();
    for mut one in started {
        assert!(one.wait().expect("it ends").success());
    }
    assert_eq!(cellar.run(&["ps", "-q"]).ok().text().lines().count(), 100);
    cellar.run(&["rm", "-f", "-t", "0", "-a"]).ok();
    assert_eq!(cellar.states(), "");
    cellar.is_clean();
}

#[test]
fn a_thousand_runs_leave_nothing_while_podman_looks_at_them() {
    let Some(cellar) = Cellar::new() else { return };
    if !tests::has(&["podman", "xargs"]) {
        return;
    }
    // Of `ps --external` podman makes an error where a container goes meanwhile.
    let podman = cellar.podman_command(&["images", "-q"]);
    let words = podman.get_args().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let said = cellar.shell(&format!(
        "while sleep 1; do podman {words} || echo \"code $?\"; done >{log} & beside=$!
         seq 1000 | xargs -P 4 -I @ $CELLAR run --rm --network none box:1 echo @ | sort -n | uniq | wc -l
         kill $beside; wait $beside; sort -u {log} | wc -l",
        log = cellar.path("beside").display(),
    ));
    let said = said.ok();
    assert_eq!(said.text(), "1000\n1", "{said}");
    assert_eq!(cellar.states(), "");
    cellar.is_clean();
}

#[test]
fn an_image_goes_by_force_with_what_runs_of_it() {
    let Some(cellar) = Cellar::new() else { return };
    sleeping(&cellar, &[]);
    cellar.run(&["create", "--name", "d", "--network", "none", "box:1", "true"]).ok();
    cellar.run(&["tag", "box:1", "other:1"]).ok();
    // As long as it has another name nothing else goes.
    cellar.run(&["rmi", "-f", "other:1"]).ok();
    assert_eq!(cellar.states(), "c running 0, d created 0");
    cellar.run(&["rmi", "box:1"]).ends(2).says("image is in use by a container");
    cellar.run(&["rmi", "-f", "box:1"]).ok();
    assert_eq!((cellar.states().as_str(), cellar.run(&["images", "-q"]).ok().text()), ("", ""));
    cellar.is_clean();
}

#[test]
fn podman_beside_us_keeps_our_images_and_shows_our_containers() {
    let Some(cellar) = Cellar::new() else { return };
    if !tests::has(&["podman"]) {
        return;
    }
    sleeping(&cellar, &[]);
    let id = cellar.run(&["inspect", "--format", "{{.Id}}", "c"]).ok().text().to_owned();
    let listed =
        cellar.podman(&["ps", "-a", "--external", "--no-trunc", "--format", "{{.ID}} {{.Names}}"]);
    assert_eq!(listed.ok().text(), format!("{id} c"));
    cellar.podman(&["rmi", "localhost/box:1"]).ends(2).says(&id);
    cellar.podman(&["image", "prune", "-a", "-f"]).ok();
    assert_eq!(cellar.run(&["images", "-q"]).ok().text().lines().count(), 1);
    cellar.run(&["exec", "c", "true"]).ok();
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    assert_eq!(cellar.podman(&["ps", "-a", "--external", "-q"]).ok().text(), "");
    cellar.podman(&["rmi", "localhost/box:1"]).ok();
    cellar.is_clean();
}
