//! Archives through pipes.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use tests::{
    Outcome, Transport, command, digest, dray, dray_built, fixtures, has, identity, run, scratch,
};

use crate::TOOLS;

/// Runs `dray` with its standard output going through a pipe to `into`.
fn pipe(mut from: Command, mut into: Command) -> [Outcome; 2] {
    let mut first = from.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let stdout = first.stdout.take().expect("it was asked for");
    let second = run(into.stdin(stdout));
    let first = first.wait_with_output().expect("it can be waited for");
    [Outcome::new("the left of the pipe".into(), first), second]
}

fn dray_command(line: &str) -> Command {
    let mut dray = command(dray_built());
    dray.args(line.split_whitespace());
    dray
}

#[test]
fn an_archive_goes_through_a_pipe_from_dray_to_dray() {
    if !has(&TOOLS) {
        return;
    }
    let from = &fixtures().buildah_oci;
    for transport in [Transport::DockerArchive, Transport::OciArchive] {
        let scratch = scratch();
        let scheme = transport.scheme();
        let to = format!("dir:{}", scratch.at("end"));
        let left = dray_command(&format!("copy {from} {scheme}:-"));
        let right = dray_command(&format!("copy {scheme}:- {to}"));
        let _ = pipe(left, right).map(Outcome::ok);
        assert_eq!(identity(&to), identity(from), "{scheme}");
        dray(&format!("validate {to}")).ok();
    }
}

#[test]
fn docker_and_podman_load_from_the_pipe_and_save_into_it() {
    if !has(&TOOLS) || !has(&["docker"]) {
        return;
    }
    let from = &fixtures().buildah_oci;
    let scratch = scratch();
    let line = format!("copy -q {from} docker-archive:-:example.com/piped:1");
    let load = tests::daemon().command("load -q");
    let _ = pipe(dray_command(&line), load).map(Outcome::ok);
    let to = format!("oci:{}:it", scratch.at("end"));
    let save = tests::daemon().command("save example.com/piped:1");
    let _ = pipe(save, dray_command(&format!("copy -q docker-archive:- {to}"))).map(Outcome::ok);
    assert_eq!(identity(&to), identity(from));
}

#[test]
fn compressed_archives_are_read_from_files_and_from_pipes() {
    if !has(&TOOLS) {
        return;
    }
    let scratch = scratch();
    for transport in [Transport::DockerArchive, Transport::OciArchive] {
        let plain = transport.path(&scratch, "plain");
        dray(&format!("copy -q {} {}", fixtures().buildah_oci, transport.place(&scratch, "plain")))
            .ok();
        let expected = digest(&transport.place(&scratch, "plain"));
        for program in ["gzip", "bzip2", "xz", "zstd"] {
            let packed = scratch.join(format!("{}.{program}", transport.scheme()));
            pack(program, &plain, &packed);
            let file = format!("{}:{}", transport.scheme(), packed.display());
            assert_eq!(digest(&file), expected, "{file}");
            let mut cat = command("cat");
            cat.arg(&packed);
            let line = format!("digest {}:-", transport.scheme());
            let [_, piped] = pipe(cat, dray_command(&line));
            assert_eq!(piped.ok().text(), expected, "{file} through a pipe");
        }
    }
}

/// Compresses a file, and puts the result into another.
fn pack(program: &str, from: &Path, to: &Path) {
    let output = File::create(to).expect("a scratch file is writable");
    let status = command(program).args(["-1", "-c"]).arg(from).stdout(output).status();
    assert!(status.expect("it runs").success(), "{program}");
}

#[test]
fn nothing_but_the_archive_is_on_standard_output() {
    if !has(&TOOLS) {
        return;
    }
    let scratch = scratch();
    let from = &fixtures().podman_oci_archive;
    let path = Transport::DockerArchive.path(&scratch, "file");
    dray(&format!("copy -q {from} docker-archive:{}", path.display())).ok();
    let piped = dray(&format!("copy --progress=plain {from} docker-archive:-")).ok();
    assert!(piped.stdout == std::fs::read(path).expect("was written"));
    piped.says("Writing manifest to image destination");
}
