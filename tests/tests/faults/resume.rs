//! Transfers that are killed go on in the next process.

use std::process::Stdio;

use cask_testkit::generate::{ImageSpec, LayerSpec, TarEntry, random_bytes};
use tests::{Access, Registry, Relay, Served, command, dray, dray_built, has, is_root, run};

use crate::stage::Stage;

const MIB: u64 = 1 << 20;

/// The image: layers of 24 MiB and 12 MiB that nothing compresses.
const TOTAL: u64 = 36 * MIB;

/// The pace of the run that is killed.
const SLOW: u64 = 8 * MIB;

/// When it is killed: the smaller layer is there, and a part of the larger.
const KILLED_AT: u64 = 26 * MIB;

/// What may move twice: a piece of each layer, what was in the kernel's buffers, and manifests.
const TWICE: u64 = 9 * MIB;

fn image() -> cask_testkit::generate::Image {
    let layer = |seed, mib: usize| {
        LayerSpec::new(seed).entry(TarEntry::file("random", random_bytes(seed, mib << 20)))
    };
    ImageSpec::new(91).layer(layer(92, 24)).layer(layer(93, 12)).build()
}

/// A registry, reached by one who is slow and one who is not.
struct Ways {
    slow: Relay,
    fast: Relay,
}

impl Ways {
    fn to(address: &str) -> Self {
        Self { slow: Relay::start(address, SLOW), fast: Relay::start(address, 4 << 30) }
    }
}

/// `dray copy`, with a cache of the test's own.
fn copying(stage: &Stage, from: &str, to: &str) -> std::process::Command {
    let mut copy = command(dray_built());
    copy.env("XDG_CACHE_HOME", stage.scratch.join("cache"));
    copy.args(["copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false"]);
    copy.args([from, to]).stdout(Stdio::null());
    copy
}

/// Kills a copy when so many bytes went through.
fn kill_at(copy: &mut std::process::Command, relay: &Relay, bytes: u64) {
    let mut child = copy.stderr(Stdio::null()).spawn().expect("it runs");
    relay.wait(bytes);
    child.kill().expect("a child can be killed");
    let status = child.wait().expect("a child can be waited for");
    assert!(!status.success(), "it was killed before it was done");
}

/// What a process that goes on has to move.
#[track_caller]
fn assert_goes_on(moved: u64, context: &str) {
    let most = TOTAL - KILLED_AT + TWICE;
    assert!(moved <= most, "{context}: {moved} of {TOTAL} bytes moved, at most {most} should");
}

/// Host names differ between both ways, and so registries would: what is kept of a blob does not
/// depend on them.
fn a_killed_pull_goes_on(address: &str, context: &str) {
    let stage = Stage::empty(tests::Transport::Oci);
    let source = stage.source("source", &image());
    let ways = Ways::to(address);
    run(&mut copying(&stage, &source, &format!("docker://{address}/it/pulled:1"))).ok();
    let (graph, run_root) = (stage.scratch.at("graph"), stage.scratch.at("run"));
    let store = format!("containers-storage:[overlay@{graph}+{run_root}]localhost/it:1");
    let files = ["oci", "dir", "docker-archive"]
        .map(|place| format!("{place}:{}", stage.scratch.at(&format!("destination/{place}"))));
    // Without the files' owners a store is no store for others.
    for to in files.into_iter().chain(is_root().then_some(store)) {
        let from = |relay: &Relay| format!("docker://{}/it/pulled:1", relay.address());
        let before = ways.slow.down() + ways.slow.up();
        let slowly = &mut copying(&stage, &from(&ways.slow), &to);
        kill_at(slowly, &ways.slow, before + KILLED_AT);
        let before = ways.fast.down();
        run(&mut copying(&stage, &from(&ways.fast), &to)).ok();
        assert_goes_on(ways.fast.down() - before, &format!("{context}, to {to}"));
        dray(&format!("validate -q {to}")).ok();
        // A store takes a blob that it has whole from itself: what is kept of that goes with time.
        if to.starts_with("containers-storage:") {
            continue;
        }
        let kept = std::fs::read_dir(stage.scratch.join("cache/cask/partial"));
        let kept: Vec<_> = kept.expect("something was kept").collect();
        assert!(kept.is_empty(), "nothing stays when all is there: {kept:?}");
    }
}

/// What a registry has of a request that broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remembers {
    /// What came.
    Everything,
    /// Nothing: Debian's compares what came with what it has answered, and then knows neither.
    Nothing,
}

/// Here the name has to be one: the session is of one repository.
fn a_killed_push_goes_on(address: &str, remembers: Remembers) {
    let stage = Stage::empty(tests::Transport::Oci);
    let source = stage.source("source", &image());
    let slow = Relay::start(address, SLOW);
    let to = format!("docker://{}/it/pushed:1", slow.address());
    kill_at(&mut copying(&stage, &source, &to), &slow, KILLED_AT);
    let before = slow.up();
    run(&mut copying(&stage, &source, &to)).ok();
    if remembers == Remembers::Everything {
        assert_goes_on(slow.up() - before, "a push");
    }
    dray(&format!("validate -q --tls-verify=false docker://{address}/it/pushed:1")).ok();
    let kept = std::fs::read_dir(stage.scratch.join("cache/cask/uploads"));
    let kept: Vec<_> = kept.expect("something was kept").collect();
    assert!(kept.is_empty(), "nothing stays when all is there: {kept:?}");
}

#[test]
fn kill_9_of_a_pull_from_dray_serve_leaves_what_the_next_one_goes_on_with() {
    let stage = Stage::empty(tests::Transport::Oci);
    let served = Served::start(&stage.scratch, Access::Plain);
    a_killed_pull_goes_on(served.address(), "dray serve");
}

#[test]
fn kill_9_of_a_push_to_dray_serve_leaves_what_the_next_one_goes_on_with() {
    let stage = Stage::empty(tests::Transport::Oci);
    let served = Served::start(&stage.scratch, Access::Plain);
    a_killed_push_goes_on(served.address(), Remembers::Everything);
}

#[test]
fn kill_9_of_a_pull_from_docker_registry_leaves_what_the_next_one_goes_on_with() {
    if !has(&["docker-registry"]) {
        return;
    }
    let stage = Stage::empty(tests::Transport::Oci);
    let registry = Registry::start(&stage.scratch, Access::Plain);
    a_killed_pull_goes_on(registry.address(), "docker-registry");
}

#[test]
fn kill_9_of_a_push_to_docker_registry_does_not_stop_the_next_one() {
    if !has(&["docker-registry"]) {
        return;
    }
    let stage = Stage::empty(tests::Transport::Oci);
    let registry = Registry::start(&stage.scratch, Access::Plain);
    a_killed_push_goes_on(registry.address(), Remembers::Nothing);
}
