//! How runs end, and that nothing is left of them.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cask_runtime::{Cancel, ErrorKind, Executor, Output};

use crate::support::{Image, executor, helper, is_root, open_descriptors, processes_with, run};

fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn cancelling_kills_everything() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let cancel = Cancel::new().unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    // Deaf to every signal that can be ignored, with a daemon of its own.
    let script = "trap '' TERM INT HUP QUIT; setsid sleep 98701 & echo ready; while true; do sleep 98702; done";
    let mut spec = image.shell(script);
    spec.io.output = Output::Descriptor(Arc::new(OwnedFd::from(writer)));
    let other = cancel.clone();
    let runner = thread::spawn(move || executor().run(&spec, &other).unwrap_err());
    reader.read_exact(&mut [0; 6]).unwrap();
    until("both sleep", || processes_with("\u{0}9870").len() == 2);
    cancel.cancel();
    let error = runner.join().unwrap();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(processes_with("\u{0}9870").is_empty());
    let again = executor().run(&image.spec(&["true"]), &cancel).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Cancelled);
}

#[test]
fn daemons_end_with_the_process() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    image.prints("(setsid sleep 98711 > /dev/null 2>&1 &) ; sleep 0.05");
    assert!(processes_with("98711").is_empty());
}

#[test]
fn a_killed_parent_leaves_no_process_and_no_stub() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    std::fs::remove_dir(image.path("proc")).unwrap();
    for init in ["sleep 98721", "exec su alice -c 'sleep 98721'"] {
        let mut parent = Command::new(helper())
            .args(["inherit".as_ref(), image.path("").as_os_str()])
            .args(["sh", "-c", init])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        until("it sleeps", || {
            processes_with("\u{0}98721").len() == 1 || processes_with("sleep 98721").len() > 1
        });
        parent.kill().unwrap();
        parent.wait().unwrap();
        until("all are gone", || processes_with("98721").is_empty());
        until("the stub is gone", || !image.path("proc").exists());
    }
}

#[test]
fn a_killed_helper_takes_the_process_with_it() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let spec = image.spec(&["sleep", "98731"]);
    let own = cask_runtime::NativeExecutor::new({
        let mut options = crate::support::options();
        options.argument = "__run-helper".into();
        options
    });
    let runner = thread::spawn(move || own.run(&spec, &Cancel::new().unwrap()).unwrap_err());
    until("it sleeps", || processes_with("\u{0}98731").len() == 1);
    let sleeper = processes_with("\u{0}98731")[0];
    let status = std::fs::read_to_string(format!("/proc/{sleeper}/status")).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:\t")).unwrap();
    let parent = rustix::process::Pid::from_raw(parent.parse().unwrap()).unwrap();
    rustix::process::kill_process(parent, rustix::process::Signal::KILL).unwrap();
    let error = runner.join().unwrap();
    assert!(error.to_string().contains("ended without a word"), "{error}");
    until("the process is gone", || processes_with("98731").is_empty());
}

#[test]
fn a_failed_run_leaves_no_mount_descriptor_or_directory() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    run(image.spec(&["true"])).unwrap();
    // Others mount and unmount at the same time.
    let own = image.beside("root").display().to_string();
    let mounted = || std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&own);
    assert!(!mounted());
    for _ in 0..3 {
        assert!(run(image.spec(&["nope"])).is_err());
        let mut spec = image.spec(&["true"]);
        spec.process.directory = "/missing".into();
        assert!(run(spec).is_err());
    }
    assert!(!mounted());
    // The root is free at once: nothing holds it any more.
    let place = image.beside("mounted");
    std::fs::create_dir(&place).unwrap();
    let mut mount = Command::new("mount");
    assert!(mount.arg("--bind").arg(image.path("")).arg(&place).status().unwrap().success());
    let root = OwnedFd::from(std::fs::File::open(&place).unwrap());
    let spec = cask_runtime::RunSpec::new(root, ["true"]);
    run(spec).unwrap();
    assert!(Command::new("umount").arg(&place).status().unwrap().success());
    assert!(open_descriptors() < 10_000);
}
