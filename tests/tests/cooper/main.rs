//! What `cooper` says and how it ends.

mod advisories;
mod build;
mod fmt;
mod graph;
mod habits;
mod lint;
mod places;
mod results;
mod volumes;

use std::process::Command;

use tests::{Outcome, Scratch, command, cooper_built, run, scratch};

/// `cooper` in a directory, with arguments that white space separates.
fn program(directory: &Scratch, line: &str) -> Command {
    let mut cooper = command(cooper_built());
    cooper.current_dir(&**directory).args(line.split_whitespace());
    cooper
}

/// Runs it.
#[track_caller]
fn cooper(directory: &Scratch, line: &str) -> Outcome {
    run(&mut program(directory, line))
}

/// Runs it with a text on its standard input.
#[track_caller]
fn fed(directory: &Scratch, line: &str, text: &str) -> Outcome {
    let (reader, mut writer) = std::io::pipe().expect("a pipe can be made");
    std::io::Write::write_all(&mut writer, text.as_bytes()).expect("it fits into a pipe");
    drop(writer);
    run(program(directory, line).stdin(reader))
}

/// A directory with these files.
fn files(files: &[(&str, &str)]) -> Scratch {
    let scratch = scratch();
    for (name, text) in files {
        let path = scratch.join(name);
        let parent = path.parent().expect("a file is in a directory");
        std::fs::create_dir_all(parent).expect("a scratch directory is writable");
        std::fs::write(path, text).expect("a scratch directory is writable");
    }
    scratch
}

#[test]
fn every_command_has_help_and_a_man_page() {
    let directory = scratch();
    let help = cooper(&directory, "--help").ok();
    cooper(&directory, "man pages").ok();
    for verb in ["lint", "fmt", "graph", "version", "completion"] {
        assert!(help.text().contains(verb), "{verb} in {help}");
        let own = cooper(&directory, &format!("{verb} --help")).ok();
        assert!(own.text().contains("Usage: cooper "), "{own}");
        let page = std::fs::read_to_string(directory.join(format!("pages/cooper-{verb}.1")));
        let page = page.unwrap_or_else(|error| panic!("the page of {verb}: {error}"));
        assert!(page.contains(".SH NAME"), "{page}");
    }
    assert!(directory.join("pages/cooper.1").exists());
}

#[test]
fn completions_are_scripts_that_their_shells_take() {
    let directory = scratch();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = cooper(&directory, &format!("completion {shell}")).ok();
        assert!(script.text().contains("graph"), "{shell}");
        if shell == "bash" {
            // It is longer than an argument may be.
            let file = directory.join("script");
            std::fs::write(&file, &script.stdout).expect("a scratch directory is writable");
            run(command("bash").arg("-n").arg(file)).ok();
        }
    }
    cooper(&directory, "completion nonsense").ends(125);
}

#[test]
fn a_broken_pipe_is_success() {
    let directory = files(&[("Containerfile", "FROM alpine:3\nRUN a\n")]);
    for line in ["--help", "completion bash", "graph", "lint --format json", "fmt --diff"] {
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        drop(reader);
        let outcome = run(program(&directory, line).stdout(writer));
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome}");
    }
}

#[test]
fn what_cannot_be_done_is_125_and_nothing_on_standard_output() {
    let directory = files(&[("binary", ""), ("good", "FROM a:1\n"), ("empty/x", "")]);
    std::fs::write(directory.join("binary"), b"FROM a\xff\n").expect("it is writable");
    let table = [
        ("lint -f nowhere", "opening nowhere: no such file or directory"),
        ("lint empty", "cannot find Containerfile or Dockerfile in context directory empty"),
        ("lint -f empty", "cannot be path to a directory: empty is one"),
        ("fmt binary", "reading binary: it is not UTF-8: byte 6 cannot be read"),
        ("graph", "cannot find Containerfile or Dockerfile"),
        ("lint --explain Nope", "there is no rule \"Nope\""),
        ("lint --skip JsonLookWrong", "did you mean JsonLooksWrong?"),
        ("lint -f - -f -", "standard input can be read once only"),
        ("lint --platform a/b/c/d -f good", "--platform"),
        ("lint --frobnicate", "unknown flag: --frobnicate"),
        ("frobnicate", "unrecognized command `cooper frobnicate`"),
    ];
    for (line, words) in table {
        let outcome = cooper(&directory, line).ends(125).says(words);
        assert_eq!(outcome.text(), "", "{outcome}");
        assert!(outcome.stderr.starts_with("Error: "), "{outcome}");
    }
}
