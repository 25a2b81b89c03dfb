//! Plans and progress.

use serde_json::Value;
use tests::{dray, tree};

use crate::layout;

#[test]
fn a_dry_run_tells_the_plan_and_does_nothing() {
    let (scratch, place) = layout();
    let before = tree(&scratch);
    let outcome = dray(&format!("copy --dry-run {place}:it dir:{}", scratch.at("out"))).ok();
    assert_eq!(outcome.text(), "");
    assert!(outcome.stderr.contains("sha256:"), "{outcome}");
    assert!(tree(&scratch) == before);
}

#[test]
fn an_explained_copy_says_why_and_copies() {
    let (scratch, place) = layout();
    let to = format!("docker-archive:{}:example.com/it:1", scratch.at("out.tar"));
    let plan = dray(&format!("copy --dry-run --explain {place}:it {to}")).ok();
    let done = dray(&format!("copy -q --explain {place}:it {to}")).ok();
    // The same plan, whether it is carried out or not, and with it the reasons.
    assert_eq!(plan.stderr, done.stderr);
    assert!(plan.stderr.contains("decompress"), "{plan}");
    dray(&format!("validate {to}")).ok();
}

#[test]
fn progress_as_json_is_one_object_on_each_line() {
    let (scratch, place) = layout();
    let line = format!("copy --progress=json --all {place}:index dir:{}", scratch.at("out"));
    let outcome = dray(&line).ok();
    assert_eq!(outcome.text(), "");
    let lines: Vec<Value> = outcome
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert!(lines.len() > 5 && lines.iter().all(Value::is_object), "{outcome}");
}

#[test]
fn a_repeated_copy_says_what_is_there_already() {
    let (scratch, place) = layout();
    let line = format!("copy --progress=plain {place}:it oci:{}:it", scratch.at("out"));
    dray(&line).ok();
    dray(&line).ok().says("already exists");
}

#[test]
fn the_digest_goes_to_the_file_that_is_asked_for() {
    let (scratch, place) = layout();
    let (file, out) = (scratch.at("digest"), scratch.at("out"));
    dray(&format!("copy -q --digestfile {file} {place}:it dir:{out}")).ok();
    let digest = std::fs::read_to_string(&file).expect("it was written");
    assert_eq!(digest, dray(&format!("digest dir:{out}")).ok().text());
}
