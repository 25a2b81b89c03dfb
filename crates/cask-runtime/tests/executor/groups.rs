//! Control groups.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cask_runtime::{Cgroup, CgroupLimits, ErrorKind, ExitStatus, Output, RunSpec};

use crate::support::{Image, executor, is_root, processes_with, run_on};

/// A group of its own, where this machine lets root make one.
struct Group(Arc<Cgroup>, String);

impl Group {
    fn new(name: &str, change: impl Fn(&mut CgroupLimits)) -> Option<Self> {
        if !is_root() {
            return None;
        }
        let mut limits = CgroupLimits::default();
        change(&mut limits);
        // Nothing is shared with other tests: removing what is above would take their groups, and limits, from them.
        let above = format!("cask-test-{}-{name}", std::process::id());
        match Cgroup::create(&format!("{above}/it"), &limits) {
            Ok(group) => Some(Self(Arc::new(group), above)),
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "{error:?}");
                eprintln!("not run: {error:?}");
                None
            }
        }
    }

    fn spec(&self, image: &Image, script: &str) -> RunSpec {
        let mut spec = image.shell(script);
        spec.cgroup = Some(self.0.clone());
        spec
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.remove().unwrap();
        Cgroup::open(&self.1).unwrap().map_or(Ok(()), |above| above.remove()).unwrap();
    }
}

#[test]
fn memory_is_limited_and_the_kill_is_told() {
    let Some(group) = Group::new("memory", |limits| {
        limits.memory_bytes = Some(16 << 20);
        limits.memory_and_swap_bytes = Some(16 << 20);
    }) else {
        return;
    };
    let image = Image::new();
    let (_, report) =
        run_on(executor(), group.spec(&image, "exec dd if=/dev/zero of=/dev/null bs=200M count=1"))
            .unwrap();
    assert_eq!(report.status, ExitStatus::Signal(9));
    assert!(group.0.out_of_memory_kills() > 0);
    assert_eq!(group.0.stats().memory_limit_bytes, Some(16 << 20));
}

#[test]
fn the_number_of_processes_is_limited() {
    let Some(group) = Group::new("processes", |limits| limits.processes = Some(5)) else { return };
    let image = Image::new();
    let script = "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done";
    let (text, _) = run_on(executor(), group.spec(&image, script)).unwrap();
    assert!(text.contains("can't fork"), "{text}");
}

#[test]
fn what_is_frozen_stands_still_and_is_killed_all_the_same() {
    let Some(group) = Group::new("frozen", |_| {}) else { return };
    let image = Image::new();
    let running = executor().create(&group.spec(&image, "sleep 10004 & sleep 10004"));
    let running = running.unwrap().start().unwrap();
    assert!(group.0.processes().unwrap().contains(&running.pid()));
    group.0.freeze().unwrap();
    assert!(group.0.is_frozen());
    group.0.thaw().unwrap();
    assert!(!group.0.is_frozen());
    group.0.freeze().unwrap();
    group.0.kill().unwrap();
    assert!(group.0.processes().unwrap().is_empty());
    assert_eq!(running.wait().unwrap().status, ExitStatus::Signal(9));
    assert!(processes_with("10004").is_empty());
}

#[test]
fn a_process_that_forks_for_ever_is_ended() {
    let Some(group) = Group::new("bomb", |limits| limits.processes = Some(200)) else { return };
    let image = Image::new();
    let script = "bomb() { bomb & bomb & }; bomb; sleep 10005";
    let mut spec = group.spec(&image, script);
    // Each of hundreds that cannot fork says so.
    spec.io.error = Output::Null;
    let running = executor().create(&spec).unwrap().start().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(group.0.processes().unwrap().is_empty());
}

#[test]
fn what_was_used_is_told() {
    let Some(group) = Group::new("used", |limits| limits.processor_quota_micros = Some(200_000))
    else {
        return;
    };
    let image = Image::new();
    let (_, report) =
        run_on(executor(), group.spec(&image, "i=0; while test $i -lt 20000; do i=$((i+1)); done"))
            .unwrap();
    assert!(report.status.success());
    let stats = group.0.stats();
    assert!(stats.processor.unwrap() > Duration::from_millis(5), "{stats:?}");
    assert_eq!(stats.processes, Some(0));
    assert!(stats.memory_limit_bytes.is_none());
}

#[test]
fn limits_that_make_no_sense_are_refused_and_leave_nothing() {
    if Group::new("probe", |_| {}).is_none() {
        return;
    }
    let name = format!("cask-test-{}/wrong", std::process::id());
    let mut limits = CgroupLimits::default();
    limits.processors = Some("7000".into());
    let refused = Cgroup::create(&name, &limits).unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::InvalidSpec | ErrorKind::Unsupported | ErrorKind::Io),
        "{refused:?}"
    );
    assert!(Cgroup::open(&name).unwrap().is_none());
}
