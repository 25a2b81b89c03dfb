//! Two writers of one place.

use std::process::Stdio;

use tests::{Transport, digest, dray};

use crate::stage::{Stage, large};

const ROUNDS: u64 = 3;

/// Runs two copies at once, each to a name of its own where there are names. At least one
/// succeeds, and all that succeed can be read afterwards.
#[track_caller]
fn both_or_one(transport: Transport) {
    for round in 0..ROUNDS {
        let stage = if round == 0 { Stage::empty(transport) } else { Stage::with_image(transport) };
        let copies = [1, 2].map(|n| {
            let from = stage.source(&format!("source-{n}"), &large(round * 2 + n));
            let to = name(&stage, n);
            let mut copy = stage.copying(&format!("{} {from} {to}", stage.options()));
            let child = copy.stderr(Stdio::piped()).spawn().expect("it runs");
            (from, to, child)
        });
        let mut succeeded = 0;
        let mut kept = Vec::new();
        for (from, to, child) in copies {
            let output = child.wait_with_output().expect("a child can be waited for");
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.success() {
                succeeded += 1;
                kept.push((digest_of_config(&from), to));
            } else {
                assert!(stderr.contains("level=fatal"), "{transport:?}: {stderr}");
            }
        }
        assert!(succeeded >= 1, "{transport:?}: one of two writers succeeds");
        let is_there = |(config, to): &(String, String)| {
            dray(&format!("validate -q {to}")).ok();
            digest_of_config(to) == *config
        };
        let there = kept.iter().filter(|it| is_there(it)).count();
        // One image takes the place of the other where there is one name only.
        let has_names = matches!(transport, Transport::Oci | Transport::DockerArchive);
        assert!(there == succeeded || (!has_names && there == 1), "{there} of {succeeded}");
        if transport == Transport::Oci {
            assert_eq!(succeeded, 2, "a layout takes two writers");
        }
        stage.assert_no_litter(&format!("{transport:?}"));
    }
}

fn name(stage: &Stage, n: u64) -> String {
    let place = stage.new_place();
    match stage.transport {
        Transport::Oci | Transport::DockerArchive => place.replace("new", &format!("new-{n}")),
        Transport::Dir | Transport::OciArchive => place,
    }
}

fn digest_of_config(place: &str) -> String {
    let manifest = dray(&format!("inspect --raw {place}")).ok().json();
    manifest["config"]["digest"].as_str().expect("an image has a config").into()
}

#[test]
fn two_writers_of_one_layout_both_succeed() {
    both_or_one(Transport::Oci);
}

#[test]
fn two_writers_of_one_docker_archive_lose_no_image_that_was_reported_written() {
    both_or_one(Transport::DockerArchive);
}

#[test]
fn two_writers_of_one_oci_archive_leave_one_whole_image() {
    both_or_one(Transport::OciArchive);
}

#[test]
fn two_writers_of_one_directory_leave_one_whole_image() {
    both_or_one(Transport::Dir);
}

#[test]
fn a_reader_sees_the_old_or_the_new_image_while_it_is_written() {
    for transport in Transport::ALL {
        let stage = Stage::with_image(transport);
        let old = digest(&stage.old());
        let from = stage.source("new", &large(9));
        let to = stage.old();
        let to = if transport == Transport::DockerArchive { stage.new_place() } else { to };
        let mut copy = stage.copying(&format!("{} {from} {to}", stage.options()));
        let mut copy = copy.spawn().expect("it runs");
        let mut seen = Vec::new();
        while copy.try_wait().expect("a child can be asked").is_none() {
            seen.push(digest(&stage.old()));
        }
        seen.push(digest(&stage.old()));
        let new = digest(&to);
        assert!(seen.iter().all(|digest| [&old, &new].contains(&digest)), "{transport:?}");
        assert!(seen.is_sorted_by_key(|digest| *digest != old), "never back: {transport:?}");
    }
}
