//! The hostile images and archives of the testkit, through the program.

use cask_testkit::generate::hostile::{self, Case, Fault};
use cask_testkit::generate::{Content, oci_archive, write_dir, write_oci_layout};
use tests::{Transport, is_root};

use crate::stage::Stage;

/// What only those find who unpack layers, as a copy to a docker-archive does; a copy elsewhere
/// takes compressed layers as they are.
const INSIDE_LAYERS: [&str; 10] = [
    "diff ID of other bytes",
    "diff IDs in another order",
    "one diff ID too few",
    "one diff ID too many",
    "no diff IDs",
    "gzip stream cut short",
    "gzip stream with a wrong checksum",
    "bytes after the end of the gzip stream",
    "layer that unpacks to a thousand times its size",
    "layer that is no tar",
];

/// What is no lie: the content decides how a layer is compressed, not the media type.
const HARMLESS: [&str; 2] = ["plain tar that is said to be gzip", "zstd that is said to be gzip"];

/// Every destination with an image in it, and each without.
fn stages() -> Vec<Stage> {
    Transport::ALL.into_iter().flat_map(|it| [Stage::with_image(it), Stage::empty(it)]).collect()
}

/// Writes content to where a transport reads it.
fn write(stage: &Stage, transport: Transport, content: &Content) -> String {
    let path = transport.path(&stage.scratch, "evil");
    let _ = std::fs::remove_dir_all(&path);
    match transport {
        Transport::Dir => write_dir(&path, content),
        Transport::Oci => write_oci_layout(&path, &[(Some("it"), content)]),
        _ => std::fs::write(&path, oci_archive(&[(Some("it"), content)])),
    }
    .expect("a scratch directory is writable");
    transport.place(&stage.scratch, "evil")
}

/// Content that is refused, from everything that can hold it, to all destinations by turns.
#[track_caller]
fn refuses_contents(wanted: impl Fn(&Case<Content>) -> bool) {
    let stages = stages();
    let mut turn = 0;
    let cases: Vec<_> = hostile::contents(1).into_iter().filter(wanted).collect();
    assert!(!cases.is_empty());
    for case in &cases {
        for from in Transport::ALL.into_iter().filter(|from| from.keeps_manifests()) {
            if from == Transport::Dir && case.fault == Fault::Top {
                continue;
            }
            let inside = INSIDE_LAYERS.contains(&case.name.as_str());
            let mut takes = stages
                .iter()
                .cycle()
                .skip(turn)
                .filter(|stage| !inside || stage.transport == Transport::DockerArchive);
            let Some(stage) = takes.next() else { continue };
            let place = write(stage, from, &case.value);
            let path = from.path(&stage.scratch, "evil").display().to_string();
            stage.refuses(&place, &format!("{} from {from:?}", case.name), &[&path]);
            turn += 1;
        }
    }
}

/// Those that every destination sees.
fn seen(case: &Case<Content>) -> bool {
    !INSIDE_LAYERS.contains(&case.name.as_str()) && !HARMLESS.contains(&case.name.as_str())
}

#[test]
fn wrong_digests_are_refused_and_leave_the_destination_as_it_was() {
    refuses_contents(|case| seen(case) && matches!(case.fault, Fault::Digest | Fault::Top));
}

#[test]
fn wrong_sizes_and_truncated_blobs_are_refused_and_leave_the_destination_as_it_was() {
    refuses_contents(|case| seen(case) && case.fault == Fault::Size);
}

#[test]
fn what_is_missing_is_refused_and_leaves_the_destination_as_it_was() {
    refuses_contents(|case| seen(case) && case.fault == Fault::Missing);
}

#[test]
fn oversize_manifests_deep_indexes_and_cycles_are_refused() {
    let others = [Fault::Digest, Fault::Top, Fault::Size, Fault::Missing];
    refuses_contents(|case| seen(case) && !others.contains(&case.fault));
}

#[test]
fn layers_that_are_not_what_the_config_tells_are_refused_where_they_are_unpacked() {
    let bombs = |case: &Case<Content>| case.name.contains("thousand");
    refuses_contents(|case| INSIDE_LAYERS.contains(&case.name.as_str()) && !bombs(case));
}

#[test]
fn hostile_docker_archives_are_refused() {
    let stages = stages();
    for (case, stage) in hostile::docker_archives(1).iter().zip(stages.iter().cycle()) {
        // Whoever never unpacks an archive has nothing to fear from a name in it.
        if case.name == "member outside" {
            continue;
        }
        let path = stage.scratch.at("evil.tar");
        std::fs::write(&path, &case.value).expect("a scratch file is writable");
        stage.refuses(&format!("docker-archive:{path}"), &case.name, &[&path]);
    }
}

#[test]
fn hostile_oci_archives_are_refused() {
    let stages = stages();
    for (case, stage) in hostile::oci_archives(1).iter().zip(stages.iter().cycle()) {
        if case.fault == Fault::Escape && case.name.starts_with("member ") {
            continue;
        }
        let path = stage.scratch.at("evil.tar");
        std::fs::write(&path, &case.value).expect("a scratch file is writable");
        stage.refuses(&format!("oci-archive:{path}"), &case.name, &[&path]);
    }
}

#[test]
fn hostile_layouts_and_directories_are_refused() {
    let stages = stages();
    let scratch = tests::scratch();
    let layouts = hostile::write_layouts(&scratch.join("layouts"), 1).expect("it is writable");
    let dirs = hostile::write_dirs(&scratch.join("dirs"), 1).expect("it is writable");
    let cases = layouts.iter().map(|case| ("oci", case)).chain(dirs.iter().map(|it| ("dir", it)));
    for ((scheme, case), stage) in cases.zip(stages.iter().cycle()) {
        let path = case.value.to_str().expect("a scratch path is text");
        stage.refuses(&format!("{scheme}:{path}"), &case.name, &[path]);
    }
}

#[test]
fn a_bomb_takes_neither_memory_nor_time() {
    if !is_root() {
        return;
    }
    let stage = Stage::empty(Transport::Oci);
    let bomb = hostile::bomb(1, 1 << 30);
    let from = stage.source("bomb", &bomb);
    // 512 MiB of addresses are less than what it unpacks to.
    let line = format!("copy -q --dest-compress-format zstd {from} {}", stage.new_place());
    let mut shell = tests::command("sh");
    shell.args(["-c", "ulimit -v 1000000; exec \"$0\" \"$@\""]);
    shell.arg(tests::dray_built()).args(line.split_whitespace());
    let outcome = tests::run(&mut shell);
    if outcome.code != 0 {
        outcome.ends(1).says("sha256:");
        assert!(stage.tree().len() <= 1, "nothing is left");
    }
}
