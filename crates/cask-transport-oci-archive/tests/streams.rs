//! The standard input and output, in a process of their own.

#![cfg(test)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use cask_image::Manifest;
use cask_testkit::conformance::write;
use cask_testkit::generate::{ImageSpec, LayerSpec};
use cask_transport::{Selector, Transport as _};
use cask_transport_oci_archive::OciArchiveTransport;

/// Set in the process that reads or writes: which of both it does.
const ROLE: &str = "CASK_OCI_ARCHIVE_ROLE";

fn content() -> cask_testkit::generate::Content {
    let layer = |seed| LayerSpec::new(seed).size_bytes(300_000);
    ImageSpec::new(1).layer(layer(1)).layer(layer(2)).build().content()
}

/// Not a test of its own: the process that reads or writes.
#[tokio::test]
async fn other_process() {
    let location = OciArchiveTransport::default().parse("-:example.com/a:1").unwrap();
    match std::env::var(ROLE).as_deref() {
        Ok("writes") => {
            write(&*location, &content()).await.unwrap();
            // The test harness would add its own words.
            std::process::exit(0);
        }
        Ok("reads") => {
            // Twice: what was read from a pipe cannot be read again, and is kept.
            for _ in 0..2 {
                let source = location.source().await.unwrap();
                let top = source.resolve(&Selector::Chosen).await.unwrap();
                let manifest = source.manifest(&top).await.unwrap().parse();
                let Ok(Manifest::Image(image)) = manifest else { panic!("an image") };
                for blob in std::iter::once(&image.config).chain(&image.layers) {
                    source.blob(blob).await.unwrap().drain().await.unwrap();
                }
            }
            std::process::exit(0);
        }
        _ => assert_eq!(location.to_string(), "oci-archive:-:example.com/a:1"),
    }
}

fn other(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "other_process", "--nocapture", "--quiet"]).env(ROLE, role);
    command
}

/// What the harness prints before the test begins.
fn without_harness(bytes: &[u8]) -> &[u8] {
    let start = bytes.windows(8).position(|window| window == b"\nrunning").map_or(0, |_| {
        bytes.windows(5).position(|window| window == b"test\n").map_or(0, |at| at + 5)
    });
    &bytes[start..]
}

#[tokio::test]
async fn an_archive_passes_through_pipes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("images.tar");
    let mut child = other("writes").stdout(Stdio::piped()).spawn().unwrap();
    let mut bytes = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
    assert!(child.wait().unwrap().success());
    let archive = without_harness(&bytes);

    let text = format!("{}:example.com/a:1", path.display());
    let location = OciArchiveTransport::default().parse(&text).unwrap();
    write(&*location, &content()).await.unwrap();
    assert!(archive == std::fs::read(&path).unwrap(), "the same bytes as in a file");

    reads_from(&path, Stdio::piped(), archive);
    reads_from(&path, File::open(&path).unwrap().into(), b"");
}

fn reads_from(path: &Path, input: Stdio, bytes: &[u8]) {
    let mut child = other("reads").stdin(input).spawn().unwrap();
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(bytes).unwrap();
    }
    assert!(child.wait().unwrap().success(), "{}", path.display());
}
