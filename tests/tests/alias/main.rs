//! `alias skopeo=dray`: the same arguments on the same files, side by side.

use cask_testkit::generate::{Format, ImageSpec, platforms_index, write_dir, write_oci_layout};
use serde_json::Value;
use tests::{Outcome, Scratch, dray_with, has, scratch, skopeo_with};

/// A directory with: `layout`, with the images `it`, `two` and the index `index`; `list`, Docker's
/// list as `dir:`; `image`, an image as `dir:`; `save.tar`, a docker-archive of two.
fn place() -> Scratch {
    let scratch = scratch();
    let (it, two) = (ImageSpec::new(1).label("a", "b").build(), ImageSpec::new(2).build());
    let index = platforms_index(1, Format::Oci);
    let contents = [it.content(), two.content()];
    let names = [(Some("it"), &contents[0]), (Some("two"), &contents[1]), (Some("index"), &index)];
    write_oci_layout(&scratch.join("layout"), &names).expect("it is writable");
    write_dir(&scratch.join("image"), &contents[0]).expect("it is writable");
    write_dir(&scratch.join("list"), &platforms_index(1, Format::Docker)).expect("it is writable");
    let images: [(_, &[&str]); 2] =
        [(&it, &["docker.io/library/a:1", "example.com/b:2"]), (&two, &["example.com/b:3"])];
    let form = cask_testkit::generate::SaveForm::Flat;
    let archive = cask_testkit::generate::docker_archive(&images, form);
    std::fs::write(scratch.join("save.tar"), archive).expect("it is writable");
    scratch
}

/// Runs both, each with a directory for its output in place of `OUT`; `IN` is the input.
#[track_caller]
fn both(place: &Scratch, line: &[&str]) -> [Outcome; 2] {
    let input = place.display().to_string();
    ["ours", "theirs"].map(|out| {
        let out = place.at(out);
        std::fs::create_dir_all(&out).expect("a scratch directory is writable");
        let arguments: Vec<_> =
            line.iter().map(|part| part.replace("IN", &input).replace("OUT", &out)).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        if out.ends_with("ours") { dray_with(&arguments) } else { skopeo_with(&arguments) }
    })
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The same exit code, and the same JSON or text but for `LayersData`, which newer skopeos have.
#[track_caller]
fn same(place: &Scratch, line: &[&str]) {
    let [ours, theirs] = both(place, line);
    assert_eq!(ours.code, theirs.code, "{ours}\n{theirs}");
    let read = |outcome: &Outcome| serde_json::from_slice::<Value>(&outcome.stdout).ok();
    match (read(&ours), read(&theirs)) {
        (Some(mut ours), Some(theirs)) => {
            if let Some(summary) = ours.as_object_mut() {
                summary.remove("LayersData");
            }
            assert_eq!(ours, theirs, "{line:?}");
        }
        _ => assert_eq!(ours.stdout, theirs.stdout, "{ours}\n{theirs}"),
    }
}

/// The same exit code, nothing on standard output, and `phrase` from both on standard error.
#[track_caller]
fn same_error(place: &Scratch, line: &str, phrase: &str) {
    let [ours, theirs] = both(place, &words(line));
    for outcome in [&ours, &theirs] {
        assert!(outcome.stderr.contains(phrase), "expected {phrase:?}: {outcome}");
    }
    assert_eq!(ours.code, theirs.code, "{ours}\n{theirs}");
    assert_eq!(ours.text(), "", "{ours}");
}

mod copy;
mod errors;
mod inspect;
mod others;

/// Whether skopeo is there.
fn ready() -> bool {
    has(&["skopeo"])
}
