//! Programs that are killed.

use std::process::Stdio;
use std::time::{Duration, Instant};

use cask_image::{Algorithm, Hasher};
use tests::{Transport, Tree, dray, is_root};

use crate::stage::{Stage, large};

/// Of each transport, with and without an image at the destination: 4 x 2 x 8 = 64 kills.
const KILLS: u32 = 8;

/// A number between 0 and 1 that depends on nothing but its arguments.
fn random(a: u32, b: u32) -> f64 {
    let digest = Hasher::digest(Algorithm::Sha256, format!("{a} {b}").as_bytes());
    f64::from(u32::from_str_radix(&digest.hex()[..8], 16).expect("hex")) / f64::from(u32::MAX)
}

/// Kills copies at random times. The destination has the old image or the new one, whole; the next
/// copy makes of it what a copy without any kill makes.
fn kills_leave_the_old_or_the_new(transport: Transport, with_image: bool) {
    let make = || if with_image { Stage::with_image(transport) } else { Stage::empty(transport) };
    let image = large(3);
    let undisturbed = make();
    let from = undisturbed.source("new", &image);
    undisturbed.copy(&line(&undisturbed, &from)).ok();
    let expected = contents(&undisturbed);

    let time = (0..2).map(|_| time(&make(), &from)).min().expect("two were made");
    let seed = transport as u32 * 2 + u32::from(with_image);
    let (mut early, mut late) = (0, 0);
    for round in 0..KILLS {
        let stage = make();
        let mut copy = stage.copying(&line(&stage, &from));
        let mut copy = copy.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        // The first kill comes in the middle, whatever chance says.
        std::thread::sleep(if round == 0 { time / 2 } else { time.mul_f64(random(round, seed)) });
        copy.kill().expect("a child can be killed");
        let is_done = copy.wait().expect("a child can be waited for").success();
        *(if is_done { &mut late } else { &mut early }) += 1;

        let context = format!("{transport:?}, {round}");
        assert_whole(&stage, with_image, is_done, &context);
        stage.copy(&line(&stage, &from)).ok();
        assert_eq!(contents(&stage), expected, "as if nobody had been killed: {context}");
        stage.assert_no_litter(&context);
    }
    assert!(early > 0, "{early} of {KILLS} were killed before their end, {late} after");
}

/// How long a copy takes.
fn time(stage: &Stage, from: &str) -> Duration {
    let started = Instant::now();
    stage.copy(&line(stage, from)).ok();
    started.elapsed()
}

fn line(stage: &Stage, from: &str) -> String {
    format!("{} {from} {}", stage.options(), stage.new_place())
}

/// The names and bytes at the destination.
fn contents(stage: &Stage) -> Vec<(String, usize, String)> {
    let hash = |bytes: &[u8]| Hasher::digest(Algorithm::Sha256, bytes).to_string();
    let tree: Tree = stage.tree();
    tree.into_iter().map(|(name, (_, bytes))| (name, bytes.len(), hash(&bytes))).collect()
}

/// The old image is there if it was, unless the new one took its place; the new one is whole.
fn assert_whole(stage: &Stage, with_image: bool, is_done: bool, context: &str) {
    let new = dray(&format!("validate -q {}", stage.new_place()));
    let old = dray(&format!("validate -q {}", stage.old()));
    if is_done {
        new.clone().ok();
    }
    if with_image {
        old.ok();
    } else if new.code != 0 {
        let message = &new.stderr;
        let is_absent =
            new.code == 2 || message.contains("No such file") || message.contains("not found");
        assert!(is_absent, "there is no half of an image: {context}: {new}");
    }
}

macro_rules! kills {
    ($($name:ident: $transport:expr, $with_image:expr;)*) => {
        $(#[test]
        fn $name() {
            kills_leave_the_old_or_the_new($transport, $with_image);
        })*
    };
}

kills! {
    kill_9_leaves_a_dir_image_old_or_new: Transport::Dir, true;
    kill_9_leaves_no_half_dir_image: Transport::Dir, false;
    kill_9_leaves_a_layout_old_or_new: Transport::Oci, true;
    kill_9_leaves_no_half_layout: Transport::Oci, false;
    kill_9_leaves_a_docker_archive_old_or_new: Transport::DockerArchive, true;
    kill_9_leaves_no_half_docker_archive: Transport::DockerArchive, false;
    kill_9_leaves_an_oci_archive_old_or_new: Transport::OciArchive, true;
    kill_9_leaves_no_half_oci_archive: Transport::OciArchive, false;
}

#[test]
fn a_terminated_copy_cleans_up_and_says_so() {
    if !is_root() {
        return;
    }
    for transport in Transport::ALL {
        let stage = Stage::with_image(transport);
        let before = stage.tree();
        let from = stage.source("new", &large(4));
        let mut copy = stage.copying(&line(&stage, &from));
        let copy = copy.stderr(Stdio::piped()).spawn().expect("it runs");
        // The first kill comes in the middle, whatever chance says.
        std::thread::sleep(Duration::from_millis(40));
        let id = rustix::process::Pid::from_child(&copy);
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        let output = copy.wait_with_output().expect("a child can be waited for");
        if output.status.success() {
            continue;
        }
        // A program that has not come to listen for the signal dies of it, and has done nothing.
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code().is_none() || stderr.contains("terminated"), "{stderr}");
        let after = stage.tree();
        let names = after.keys().filter(|name| before.get(*name) != after.get(*name));
        let names: Vec<_> = names.collect();
        // What has begun to be committed is committed.
        let is_new = dray(&format!("validate -q {}", stage.new_place())).code == 0
            && tests::layers(&stage.new_place()).len() == 4;
        assert!(after == before || is_new, "{transport:?}: old or new, not {names:?}: {stderr}");
        stage.assert_no_litter(&format!("{transport:?}"));
    }
}
