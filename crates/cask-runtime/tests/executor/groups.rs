//! Control groups.

use std::sync::Arc;
use std::time::Duration;

use cask_runtime::{
    Capability, Cgroup, CgroupLimits, ControlGroupFiles, DeviceAccess, DeviceRule, DiskWeight,
    ErrorKind, ExitStatus, Namespace, Output, RunSpec,
};

use crate::backends::{RUNC, oci};
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
fn what_is_killed_for_lack_of_memory_is_told_by_an_external_runtime_too() {
    let Some(group) = Group::new("runc", |limits| {
        limits.memory_bytes = Some(16 << 20);
        limits.memory_and_swap_bytes = Some(16 << 20);
    }) else {
        return;
    };
    let image = Image::new();
    let Some(runc) = oci(&image, RUNC) else { return };
    let greedy = "dd if=/dev/zero of=/dev/null bs=200M count=1; exit 3";
    let ended = |script: &str| {
        let running = runc.create(&group.spec(&image, script)).unwrap().start().unwrap();
        running.wait().unwrap()
    };
    let report = ended(greedy);
    assert_eq!(report.status, ExitStatus::Code(3));
    assert_eq!(report.out_of_memory_kills, 1);
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
    running.kill().unwrap();
    running.wait().unwrap();
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
    let (above, _) = name.split_once('/').unwrap();
    Cgroup::open(above).unwrap().map_or(Ok(()), |above| above.remove()).unwrap();
}

#[test]
fn a_process_sees_its_own_group_and_changes_nothing() {
    let Some(group) = Group::new("seen", |limits| limits.processes = Some(77)) else { return };
    let image = Image::new();
    let script = "cd /sys/fs/cgroup; d=pids; test -d $d || d=.; cat $d/pids.max
        (echo 88 >$d/pids.max) 2>/dev/null || echo refused
        (mkdir $d/sub) 2>/dev/null || echo refused; (mkdir new) 2>/dev/null || echo refused
        test -d $d/cask-test || ls -d $d/*cask* 2>/dev/null; grep -c cask /proc/self/cgroup";
    let mut spec = group.spec(&image, script);
    spec.files.control_groups = ControlGroupFiles::ReadOnly;
    let (text, _) = run_on(executor(), spec.clone()).unwrap();
    assert_eq!(text, "77\nrefused\nrefused\nrefused\n0\n");
    // Whoever shares the machine's names sees where the group is, and of version 1 still no other.
    spec.namespaces.control_groups = Namespace::Host;
    let (text, _) = run_on(executor(), spec.clone()).unwrap();
    assert!(Cgroup::is_unified() || text.starts_with("77\nrefused\nrefused\nrefused\n"), "{text}");
    assert!(!text.ends_with("\n0\n"), "{text}");
    // An init makes groups of its own.
    spec.namespaces.control_groups = Namespace::New;
    spec.files.control_groups = ControlGroupFiles::Writable;
    spec.process.arguments[2] =
        "cd /sys/fs/cgroup; test -d systemd && cd systemd; mkdir sub && echo made; rmdir sub"
            .into();
    assert_eq!(run_on(executor(), spec.clone()).unwrap().0, "made\n");
    // Without any, nothing is mounted where only version 1 is.
    spec.files.control_groups = ControlGroupFiles::None;
    spec.process.arguments[2] = "ls /sys/fs/cgroup".into();
    assert_eq!(run_on(executor(), spec).unwrap().0, "");
}

#[test]
fn devices_work_as_rules_say_wherever_their_nodes_are() {
    if !Cgroup::limits_devices() {
        return;
    }
    // Zeroes may be read and not written.
    let zero = |rule: &DeviceRule| (rule.major, rule.minor) == (Some(1), Some(5));
    let read = DeviceAccess { write: false, ..DeviceAccess::ALL };
    let mut rules = DeviceRule::usual();
    rules.iter_mut().filter(|rule| zero(rule)).for_each(|rule| rule.access = read);
    let Some(group) = Group::new("devices", |limits| limits.devices = Some(rules.clone())) else {
        return;
    };
    let image = Image::new();
    let script = "cd /tmp; rm -f *; for n in 3 5 1; do mknod n$n c 1 $n; done; mknod disk b 254 0
        try() { ($1) 2>/dev/null && echo yes || echo no; }
        read() { dd if=$1 of=/dev/null bs=1 count=0; }; write() { : >>$1; }
        for n in n3 n5 n1 disk; do try \"read $n\"; try \"write $n\"; done; write /dev/null && echo usual";
    let mut spec = group.spec(&image, script);
    spec.privileges.capabilities = spec.privileges.capabilities.with(Capability::MakeNode);
    let closed = run_on(executor(), spec.clone()).unwrap().0;
    assert_eq!(closed, "no\n".repeat(8) + "usual\n");
    spec.files.device_rules = rules;
    let open = run_on(executor(), spec).unwrap().0;
    assert_eq!(open, "yes\nyes\nyes\nno\nno\nno\nno\nno\nusual\n");
}

#[test]
fn what_a_group_of_this_machine_cannot_do_is_said() {
    let refused = |change: &dyn Fn(&mut CgroupLimits)| {
        let mut limits = CgroupLimits::default();
        change(&mut limits);
        let name = format!("cask-test-{}-cannot/it", std::process::id());
        let error = Cgroup::create(&name, &limits).map(|group| group.remove()).unwrap_err();
        let (above, _) = name.split_once('/').unwrap();
        Cgroup::open(above).unwrap().map_or(Ok(()), |above| above.remove()).unwrap();
        error.kind()
    };
    if Group::new("cannot", |_| {}).is_none() {
        return;
    }
    // A disk that is none.
    let weight = DiskWeight { disk: Some((4000, 1)), weight: 100 };
    refused(&|limits| limits.disk_weights = vec![weight]);
    let odd = refused(&|limits| limits.by_name = vec![("../../x".into(), "1".into())]);
    assert!(matches!(odd, ErrorKind::InvalidSpec | ErrorKind::Unsupported));
    if Cgroup::is_unified() {
        let time = refused(&|limits| limits.real_time_runtime_micros = Some(1000));
        assert_eq!(time, ErrorKind::Unsupported);
    }
}
