//! Manifests that are none, or two things at once.

use cask_testkit::generate::hostile::{ambiguous_manifests, malformed_manifests};
use tests::{Transport, dray, scratch};

use crate::stage::Stage;

/// Writes a manifest as the only file of a `dir:` image, and copies that.
#[track_caller]
fn refuses(cases: Vec<(String, Vec<u8>)>) {
    let stages: Vec<_> = Transport::ALL.into_iter().map(Stage::with_image).collect();
    for ((name, bytes), stage) in cases.into_iter().zip(stages.iter().cycle()) {
        let path = stage.scratch.at("evil");
        std::fs::create_dir_all(&path).expect("a scratch directory is writable");
        let version = "Directory Transport Version: 1.1\n";
        std::fs::write(format!("{path}/version"), version).expect("it is writable");
        std::fs::write(format!("{path}/manifest.json"), bytes).expect("it is writable");
        stage.refuses(&format!("dir:{path}"), &name, &[&path]);
    }
}

#[test]
fn ambiguous_manifests_are_refused() {
    let cases = ambiguous_manifests().into_iter();
    refuses(cases.map(|case| (case.name, case.value.bytes.to_vec())).collect());
}

#[test]
fn malformed_manifests_are_refused() {
    // Each kind of fault, in all places by turns: the library's tests try all in all.
    let cases = malformed_manifests().into_iter().enumerate();
    let some = cases.filter(|(index, case)| index % 5 == 0 || !case.name.contains(" of the "));
    refuses(some.map(|(_, case)| (case.name, case.value.bytes.to_vec())).collect());
}

#[test]
fn names_that_lead_out_of_a_place_are_refused_before_anything_is_read() {
    let scratch = scratch();
    let path = scratch.display();
    for place in [
        format!("oci:{path}:../x"),
        format!("oci:{path}:/x"),
        format!("oci-archive:{path}/x:../x"),
        format!("docker-archive:{path}/x:../x"),
        format!("docker-archive:{path}/x:Upper"),
        format!("docker-archive:{path}/x:@-1"),
    ] {
        let outcome = dray(&format!("inspect {place}")).ends(1);
        assert!(outcome.stderr.contains("parsing image name"), "{outcome}");
    }
}
