//! Commands that are told to end.

use std::process::Stdio;
use std::time::{Duration, Instant};

use cask_testkit::generate::{ImageSpec, write_oci_layout};
use cask_testkit::registry::{Failure, Fault, Registry};
use rustix::process::{Pid, Signal, kill_process};
use tests::{Outcome, Scratch, dray, scratch};

use crate::program;

/// A layout with one image, and a registry of this process that answers some requests late.
struct Setup {
    runtime: tokio::runtime::Runtime,
    registry: Registry,
    _scratch: Scratch,
    from: String,
    to: String,
}

fn setup() -> Setup {
    let scratch = scratch();
    let image = ImageSpec::new(1).build().content();
    write_oci_layout(&scratch.join("layout"), &[(Some("it"), &image)]).expect("it is writable");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let registry = runtime.block_on(Registry::builder().start());
    let from = format!("oci:{}:it", scratch.at("layout"));
    let to = format!("docker://{}/it:1", registry.host());
    Setup { runtime, registry, _scratch: scratch, from, to }
}

impl Setup {
    /// Copies, and sends a signal as soon as the registry is asked for something.
    #[track_caller]
    fn stopped(&self, signal: Signal, method: &str, path: &str) -> Outcome {
        let line = format!("copy -q --dest-tls-verify=false {} {}", self.from, self.to);
        let child = program(&line)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("dray runs");
        let begun = Instant::now();
        let is_it =
            |seen: &cask_testkit::registry::Seen| seen.method == method && seen.path.contains(path);
        while !self.registry.requests().iter().any(is_it) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{method} {path} never came");
            std::thread::sleep(Duration::from_millis(5));
        }
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("it has an ID");
        kill_process(pid, signal).expect("it runs");
        let output = child.wait_with_output().expect("it is a child");
        Outcome::new(line, output)
    }

    fn late(&self, method: &str, path: &str) {
        let fault = Fault::new(Failure::Delay(Duration::from_secs(1)));
        self.registry.fail(fault.method(method).path(path));
    }
}

#[test]
fn a_signal_ends_a_command_with_an_error() {
    let setup = setup();
    setup.late("POST", "/blobs/uploads");
    for (signal, words) in [(Signal::INT, "interrupted"), (Signal::TERM, "terminated")] {
        setup.registry.take_requests();
        setup.stopped(signal, "POST", "/blobs/uploads").ends(1).says(words);
    }
    setup.registry.heal();
    dray(&format!("inspect --tls-verify=false {}", setup.to)).ends(2);
}

#[test]
fn a_signal_while_an_image_becomes_visible_waits_for_it() {
    let setup = setup();
    setup.late("PUT", "/manifests/");
    setup.stopped(Signal::TERM, "PUT", "/manifests/").ok();
    setup.registry.heal();
    let there = dray(&format!("digest --tls-verify=false {}", setup.to)).ok();
    assert_eq!(there.text(), dray(&format!("digest {}", setup.from)).ok().text());
    // One that is refused is told as such.
    let refusal = Fault::new(Failure::Status(403)).method("PUT").path("/manifests/");
    setup.registry.fail(refusal);
    let line = format!("copy -q --dest-tls-verify=false {} {}2", setup.from, setup.to);
    dray(&line).ends(1);
}

#[test]
fn a_command_ends_when_its_time_is_over() {
    let setup = setup();
    setup.registry.fail(Fault::new(Failure::StallHead).method("GET"));
    dray(&format!("inspect --command-timeout 300ms --tls-verify=false {}", setup.to))
        .ends(1)
        .says("the command took longer than --command-timeout allows");
    dray(&format!("inspect --command-timeout 1m {}", setup.from)).ok();
    dray(&format!("inspect --command-timeout soon {}", setup.from)).ends(1).says("soon");
    drop(setup.registry);
    drop(setup.runtime);
}
