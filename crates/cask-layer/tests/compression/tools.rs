//! The field's own programs read what we write, and we read what they write.
//!
//! Where `CI` is set, a program that is not installed is a failure.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use cask_layer::{Compression, Level};

use crate::support::{noise, pack_as, sample, unpack};

/// Runs `program` with `input`; nothing if it is not installed.
#[expect(clippy::print_stderr, reason = "a test that tests nothing says so")]
fn run(program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let child =
        Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{program} is not installed: {error}");
            eprintln!("{program} is not installed: nothing tested");
            return None;
        }
    };
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        let mut output = Vec::new();
        stdout.read_to_end(&mut output).unwrap();
        output
    });
    let status = child.wait().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}");
    Some(output)
}

fn inputs() -> Vec<Vec<u8>> {
    vec![Vec::new(), b"x".to_vec(), sample(131_072), sample(3_000_000), noise(500_000)]
}

/// Our output, from several members, through `program`.
fn check_ours(compression: Compression, level: Level, program: &str, arguments: &[&str]) {
    for data in inputs() {
        for count in [1, 2] {
            let blob = pack_as(&data, compression, level, count);
            let Some(output) = run(program, arguments, &blob) else { return };
            assert!(output == data, "{program} {arguments:?}, {} bytes", data.len());
            let twice = [&blob[..], &blob[..]].concat();
            let output = run(program, arguments, &twice).unwrap();
            assert!(output == data.repeat(2), "{program}: two members, {} bytes", data.len());
        }
    }
}

/// The output of `program`, alone and twice in a row, through us.
fn check_theirs(compression: Compression, program: &str, arguments: &[&str]) {
    for data in inputs() {
        let Some(blob) = run(program, arguments, &data) else { return };
        assert_eq!(Compression::detect(&blob), compression);
        assert!(unpack(&blob, compression).unwrap() == data, "{program} {arguments:?}");
        let other = run(program, arguments, b"the second").unwrap();
        let both = [blob, other].concat();
        let expected = [&data[..], b"the second"].concat();
        assert!(unpack(&both, compression).unwrap() == expected, "{program} {arguments:?}");
    }
}

#[test]
fn gzip_reads_ours_and_we_read_its() {
    check_ours(Compression::Gzip, Level::Default, "gzip", &["-dc"]);
    check_ours(Compression::Gzip, Level::Exact(1), "gzip", &["-dc"]);
    check_ours(Compression::Gzip, Level::Exact(9), "gzip", &["-dc"]);
    check_theirs(Compression::Gzip, "gzip", &["-c"]);
    let blob = pack_as(&sample(3_000_000), Compression::Gzip, Level::Default, 2);
    run("gzip", &["-t"], &blob);
}

#[test]
fn pigz_reads_ours_and_we_read_its() {
    check_ours(Compression::Gzip, Level::Default, "pigz", &["-dc"]);
    check_theirs(Compression::Gzip, "pigz", &["-c", "-p", "2"]);
    check_theirs(Compression::Gzip, "pigz", &["-c", "-p", "2", "-i"]);
    check_theirs(Compression::Gzip, "pigz", &["-c", "-p", "2", "-C", "a comment"]);
}

#[test]
fn zstd_reads_ours_and_we_read_its() {
    check_ours(Compression::Zstd, Level::Default, "zstd", &["-dcq"]);
    check_ours(Compression::Zstd, Level::Exact(20), "zstd", &["-dcq", "--memory=8MB"]);
    check_theirs(Compression::Zstd, "zstd", &["-cq"]);
    check_theirs(Compression::Zstd, "zstd", &["-cq", "-T2", "--no-check"]);
    check_theirs(Compression::Zstd, "zstd", &["-cq", "--long=27"]);
}

#[test]
fn we_read_what_xz_writes() {
    check_theirs(Compression::Xz, "xz", &["-c"]);
    check_theirs(Compression::Xz, "xz", &["-c", "-9", "--check=sha256"]);
    check_theirs(Compression::Xz, "xz", &["-c", "-1", "-T2", "--block-size=100000"]);
    check_theirs(Compression::Xz, "xz", &["-c", "--check=none", "--x86", "--lzma2"]);
}

#[test]
fn we_read_what_bzip2_writes() {
    check_theirs(Compression::Bzip2, "bzip2", &["-c"]);
    check_theirs(Compression::Bzip2, "bzip2", &["-c", "-1"]);
}
