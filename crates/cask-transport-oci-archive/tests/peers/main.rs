//! The programs that read and write these archives: skopeo, umoci and podman.
//!
//! They are not installed everywhere. Where `CI` is set, what is missing fails; elsewhere it is
//! passed over with a word.

#![cfg(test)]

use std::fs;
use std::path::Path;
use std::process::Command;

use cask_image::Manifest;
use cask_testkit::conformance::write;
use cask_testkit::generate::{
    Content, Format, ImageSpec, LayerSpec, platforms_index, write_oci_layout,
};
use cask_transport::{Location, Selector, Transport as _};
use cask_transport_oci_archive::{ExistingArchive, OciArchiveOptions, OciArchiveTransport};

/// Whether a program is there.
fn has(program: &str) -> bool {
    let output = Command::new(program).arg("--version").output();
    if output.is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "{program} has to be installed where CI is set");
    eprintln!("skipped: {program} is not installed");
    false
}

/// Runs a program that has to succeed, and gives what it printed.
#[track_caller]
fn run(program: &str, arguments: &[&str], directory: &Path) -> String {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(directory).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

fn skopeo(arguments: &[&str], directory: &Path) -> String {
    let all: Vec<&str> = ["--insecure-policy"].iter().chain(arguments).copied().collect();
    run("skopeo", &all, directory)
}

fn parse(directory: &Path, rest: &str) -> Box<dyn Location> {
    let mut options = OciArchiveOptions::default();
    options.existing = ExistingArchive::Extended;
    let transport = OciArchiveTransport::new(options);
    transport.parse(&format!("{}/{rest}", directory.display())).unwrap()
}

fn image(seed: u64) -> Content {
    ImageSpec::new(seed).layer(LayerSpec::new(7)).layer(LayerSpec::new(seed)).build().content()
}

/// Reads everything that is there, and compares it with what was written.
async fn check(location: &dyn Location, content: &Content) {
    let source = location.source().await.unwrap();
    let top = source.resolve(&Selector::Chosen).await.unwrap();
    assert_eq!(top.digest, content.top.digest);
    for manifest in &content.manifests {
        let raw = source.manifest(&manifest.descriptor).await.unwrap();
        assert_eq!(*raw.bytes(), manifest.bytes);
        assert!(!matches!(raw.parse(), Ok(Manifest::Schema1(_)) | Err(_)));
    }
    for blob in &content.blobs {
        let bytes = source.blob_bytes(&blob.descriptor, 1 << 30).await.unwrap();
        assert_eq!(bytes, blob.bytes);
    }
}

#[tokio::test]
async fn what_skopeo_writes_is_read() {
    if !has("skopeo") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (one, index) = (image(1), platforms_index(2, Format::Oci));
    write_oci_layout(
        &directory.path().join("layout"),
        &[(Some("one"), &one), (Some("index"), &index)],
    )
    .unwrap();
    skopeo(&["copy", "-q", "oci:layout:one", "oci-archive:one.tar:x/y:1"], directory.path());
    check(&*parse(directory.path(), "one.tar:x/y:1"), &one).await;
    check(&*parse(directory.path(), "one.tar"), &one).await;
    let all = ["copy", "-q", "--all", "oci:layout:index", "oci-archive:index.tar"];
    skopeo(&all, directory.path());
    check(&*parse(directory.path(), "index.tar"), &index).await;
    // An image of ours is added to an archive of theirs.
    write(&*parse(directory.path(), "one.tar:ours"), &image(3)).await.unwrap();
    check(&*parse(directory.path(), "one.tar:x/y:1"), &one).await;
    check(&*parse(directory.path(), "one.tar:ours"), &image(3)).await;
    let inspected = ["inspect", "--raw", "oci-archive:one.tar:ours"];
    let manifest = &image(3).manifests[0].bytes;
    assert_eq!(skopeo(&inspected, directory.path()).as_bytes(), &manifest[..]);
}

#[tokio::test]
async fn what_is_written_skopeo_and_umoci_read() {
    if !has("skopeo") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (one, two, index) = (image(1), image(2), platforms_index(3, Format::Oci));
    for (name, content) in [("one:1", &one), ("two", &two), ("index", &index)] {
        let location = parse(directory.path(), &format!("a.tar:{name}"));
        write(&*location, content).await.unwrap();
    }
    for (name, content) in [("one:1", &one), ("two", &two)] {
        let source = format!("oci-archive:a.tar:{name}");
        let target = format!("oci:copy:{name}");
        let digests = ["copy", "-q", "--preserve-digests", &source, &target];
        skopeo(&digests, directory.path());
        for blob in content.blobs.iter().chain(&content.manifests) {
            let path = directory.path().join("copy/blobs/sha256").join(blob.digest().hex());
            assert_eq!(fs::read(path).unwrap(), blob.bytes);
        }
    }
    let all = ["copy", "-q", "--all", "oci-archive:a.tar:index", "oci:copy:index"];
    skopeo(&all, directory.path());
    if !has("umoci") {
        return;
    }
    fs::create_dir(directory.path().join("unpacked")).unwrap();
    run("tar", &["-xf", "a.tar", "-C", "unpacked"], directory.path());
    let listed = run("umoci", &["ls", "--layout", "unpacked"], directory.path());
    assert_eq!(listed.split_whitespace().collect::<Vec<_>>(), ["one:1", "two", "index"]);
    run("umoci", &["gc", "--layout", "unpacked"], directory.path());
    let kept = fs::read_dir(directory.path().join("unpacked/blobs/sha256")).unwrap().count();
    let all = [&one, &two, &index].into_iter();
    let digests: std::collections::BTreeSet<_> = all
        .flat_map(|content| content.blobs.iter().chain(&content.manifests))
        .map(|blob| blob.digest().clone())
        .collect();
    assert_eq!(kept, digests.len());
}

#[tokio::test]
async fn podman_loads_what_is_written() {
    let is_root =
        fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !has("podman") || !is_root {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let content = image(1);
    write(&*parse(directory.path(), "a.tar:example.com/a:1"), &content).await.unwrap();
    let podman = |arguments: &[&str]| {
        let mut all = vec!["--root", "root", "--runroot", "runroot", "--storage-driver", "vfs"];
        all.extend(arguments);
        let root = directory.path().join("root").display().to_string();
        let runroot = directory.path().join("runroot").display().to_string();
        all[1] = &root;
        all[3] = &runroot;
        run("podman", &all, directory.path())
    };
    podman(&["load", "-q", "-i", "a.tar"]);
    let listed = podman(&["images", "--format", "{{.Repository}}:{{.Tag}} {{.Digest}}"]);
    assert_eq!(listed.trim(), format!("example.com/a:1 {}", content.top.digest));
}
