//! What the program says and how it ends.

use std::process::{Command, Stdio};

use cask_testkit::generate::{Format, ImageSpec, platforms_index, write_oci_layout};
use tests::{Scratch, command, dray, dray_built, run, scratch};

mod auth;
mod flags;
mod login;
mod network;
mod output;
mod several;
mod stopping;
mod sync;
mod verbs;

/// A directory with the layout `layout` of the image `it` and the index `index`.
fn layout() -> (Scratch, String) {
    let scratch = scratch();
    let image = ImageSpec::new(1).build().content();
    let index = platforms_index(1, Format::Oci);
    write_oci_layout(&scratch.join("layout"), &[(Some("it"), &image), (Some("index"), &index)])
        .expect("a scratch directory is writable");
    let place = format!("oci:{}", scratch.at("layout"));
    (scratch, place)
}

/// `dray`, with arguments that white space separates.
fn program(line: &str) -> Command {
    let mut dray = command(dray_built());
    dray.args(line.split_whitespace());
    dray
}

#[test]
fn every_command_has_help_and_a_man_page() {
    let help = dray("--help").ok();
    let scratch = scratch();
    dray(&format!("man {}", scratch.display())).ok();
    let verbs = [
        "copy",
        "sync",
        "inspect",
        "list-tags",
        "digest",
        "tag",
        "untag",
        "delete",
        "manifest-digest",
        "validate",
        "login",
        "logout",
        "auth",
        "completion",
    ];
    for verb in verbs {
        assert!(help.text().contains(verb), "{verb} in {help}");
        let own = dray(&format!("{verb} --help")).ok();
        assert!(own.text().contains("Usage: dray "), "{own}");
        let page = std::fs::read_to_string(scratch.join(format!("dray-{verb}.1")));
        let page = page.unwrap_or_else(|error| panic!("the page of {verb}: {error}"));
        assert!(page.starts_with(".ie") && page.contains(".SH NAME"), "{page}");
    }
    assert!(scratch.join("dray.1").exists());
}

#[test]
fn completions_are_scripts_that_their_shells_take() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = dray(&format!("completion {shell}")).ok();
        for word in ["list-tags", "manifest-digest", "dray"] {
            assert!(script.text().contains(word), "{word} for {shell}");
        }
        if shell == "bash" {
            run(command("bash").args(["-n", "-c", script.text()])).ok();
        }
    }
    dray("completion nonsense").ends(1);
}

#[test]
fn the_version_is_that_of_the_package() {
    let expected = format!("dray version {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(dray("--version").ok().text(), expected);
    assert_eq!(dray("-v").ok().text(), expected);
}

#[test]
fn inspect_shows_json_where_that_is_the_format() {
    let (_scratch, place) = layout();
    for flags in ["", " --config"] {
        let inspect = |format: &str| {
            let arguments = format!("inspect{flags} {place}:it");
            run(program(&arguments).args(["--format", format])).ok().text().to_owned()
        };
        let indented = inspect("json");
        assert!(indented.starts_with("{\n    \""), "{indented}");
        assert_eq!(inspect("{{json .}}"), indented);
        assert_eq!(inspect("{{ json }}"), indented);
    }
}

#[test]
fn a_broken_pipe_is_success() {
    let (_scratch, place) = layout();
    let inspect = format!("inspect {place}:it");
    for line in ["--help", "completion bash", &inspect] {
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        drop(reader);
        let outcome = run(program(line).stdout(writer));
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome}");
    }
}

#[test]
fn a_full_standard_output_is_an_error() {
    let full = || std::fs::File::options().write(true).open("/dev/full").expect("it is there");
    let (_scratch, place) = layout();
    let child = program(&format!("inspect {place}:it"))
        .stdout(full())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let output = child.wait_with_output().expect("a child can be waited for");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("o space left on device"));
}

#[test]
fn what_is_not_there_is_code_2_for_every_verb_that_reads() {
    let (scratch, place) = layout();
    for line in [
        "inspect PLACE:nope",
        "digest PLACE:nope",
        "validate PLACE:nope",
        "delete PLACE:nope",
        "tag PLACE:nope other",
        "untag PLACE:nope",
        "copy PLACE:nope dir:OUT",
        "copy --dry-run PLACE:nope dir:OUT",
    ] {
        let line = line.replace("PLACE", &place).replace("OUT", &scratch.at("out"));
        let outcome = dray(&line).ends(2);
        assert_eq!(outcome.text(), "", "{outcome}");
        assert!(
            outcome.stderr.contains("no descriptor found for reference \\\"nope\\\""),
            "{outcome}"
        );
    }
    dray(&format!("inspect oci:{}:it", scratch.at("nowhere"))).ends(2);
}

#[test]
fn the_policy_is_asked_before_anything_is_written() {
    let (scratch, place) = layout();
    let policy = scratch.at("policy.json");
    std::fs::write(&policy, r#"{"default":[{"type":"reject"}]}"#).expect("it is writable");
    let out = scratch.at("out");
    dray(&format!("--policy {policy} copy {place}:it dir:{out}"))
        .ends(1)
        .says("is rejected by policy.");
    assert!(!scratch.join("out").exists());
    dray(&format!("--policy {policy} inspect {place}:it")).ends(1).says("is rejected by policy.");
    std::fs::write(&policy, r#"{"default":[]}"#).expect("it is writable");
    dray(&format!("--policy {policy} copy {place}:it dir:{out}")).ends(1).says(&policy);
    dray(&format!("--insecure-policy copy {place}:it dir:{out}")).ok();
}
