//! skopeo writes, we read; we write, skopeo reads; and the bytes are the same.

use std::fs;
use std::path::Path;

use cask_archive::Durability;
use cask_docker_tar::{DockerArchiveWriter, Layout, Selector, WriteOptions};

use crate::fixtures::{TestImage, archive_of, digest, name, open, reference, references};
use crate::oci::layout_of;
use crate::{has, run};

fn skopeo(arguments: &[&str], directory: &Path) -> String {
    let all: Vec<&str> = ["--insecure-policy"].iter().chain(arguments).copied().collect();
    run("skopeo", &all, directory)
}

#[test]
fn the_bytes_are_those_of_skopeo() {
    if !has("skopeo") {
        return;
    }
    let check = |texts: &[&str], names: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        let image = TestImage::new(texts);
        layout_of(&image, &directory.path().join("layout"), "x");
        let target = match names.first() {
            Some(name) => format!("docker-archive:skopeo.tar:{name}"),
            None => "docker-archive:skopeo.tar".into(),
        };
        let mut arguments = vec!["copy", "-q", "oci:layout:x", &target];
        for name in names.iter().skip(1) {
            arguments.extend(["--additional-tag", name]);
        }
        skopeo(&arguments, directory.path());
        let theirs = fs::read(directory.path().join("skopeo.tar")).unwrap();
        let (_directory, ours) = archive_of(&[(&image, names)], &WriteOptions::default());
        let ours = fs::read(ours).unwrap();
        assert!(ours == theirs, "{texts:?} {names:?}: {} {}", digest(&ours), digest(&theirs));
    };
    check(&["one", "two", "one"], &["foo/bar:1"]);
    check(&["one"], &[]);
    check(&["one", "two"], &["b:2", "localhost:5000/a/b:1", "b:3"]);
    check(&[&"large ".repeat(100_000)], &["busybox"].map(|_| "busybox:latest"));
}

#[test]
fn what_skopeo_writes_is_read() {
    if !has("skopeo") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let image = TestImage::new(&["one", "two"]);
    layout_of(&image, &directory.path().join("layout"), "x");
    skopeo(&["copy", "-q", "oci:layout:x", "docker-archive:a.tar:foo/bar:1"], directory.path());
    let archive = open(&directory.path().join("a.tar")).unwrap();
    image.check(&archive, &Selector::Only);
    image.check(&archive, &name("foo/bar:1"));
}

#[test]
fn what_is_written_skopeo_reads() {
    if !has("skopeo") {
        return;
    }
    let (one, two) = (TestImage::new(&["base", "one"]), TestImage::new(&["base", "two"]));
    for layout in [Layout::Classic, Layout::Hybrid] {
        let mut options = WriteOptions::default();
        options.layout = layout;
        let (directory, path) = archive_of(&[(&one, &["one:1"]), (&two, &[])], &options);
        let listed = skopeo(&["list-tags", "docker-archive:images.tar"], directory.path());
        assert!(listed.contains("\"docker.io/library/one:1\""), "{listed}");
        assert!(listed.contains("@1"), "{listed}");
        for (number, (source, image)) in
            [("images.tar:one:1", &one), ("images.tar:@1", &two)].into_iter().enumerate()
        {
            let source = format!("docker-archive:{source}");
            let target = format!("dir:copy-{number}");
            skopeo(&["copy", "-q", &source, &target], directory.path());
            let copied = directory.path().join(format!("copy-{number}"));
            let config = fs::read(copied.join(image.config_digest().hex())).unwrap();
            assert_eq!(config, image.config);
            for (diff_id, layer) in image.diff_ids().iter().zip(&image.layers) {
                assert!(fs::read(copied.join(diff_id.hex())).unwrap() == *layer);
            }
        }
        assert!(path.exists());
    }
}

#[test]
fn hybrids_are_oci_archives_to_skopeo() {
    if !has("skopeo") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let image = TestImage::new(&["one", "two"]);
    let manifest = layout_of(&image, &directory.path().join("layout"), "x");
    let raw = cask_image::RawManifest::new(manifest.clone(), cask_image::MediaType::OciManifest);
    let mut options = WriteOptions::default();
    options.layout = Layout::Hybrid;
    let path = directory.path().join("hybrid.tar");
    let writer = DockerArchiveWriter::create(&path, &options).unwrap();
    for layer in &image.layers {
        let layer = crate::fixtures::gzip(layer);
        writer.write_layer(&digest(&layer), None, &mut &layer[..]).unwrap();
    }
    writer.add_oci_image(&raw, &image.config, &references(&["foo/bar:1"])).unwrap();
    writer.finish(Durability::Kernel).unwrap();

    let full = reference("foo/bar:1").to_string();
    let source = format!("oci-archive:hybrid.tar:{full}");
    assert_eq!(skopeo(&["inspect", "--raw", &source], directory.path()), manifest);
    skopeo(&["copy", "-q", &source, "oci:again:x"], directory.path());
    let blob = directory.path().join("again/blobs/sha256").join(raw.digest().hex());
    assert_eq!(fs::read_to_string(blob).unwrap(), manifest);
    skopeo(&["copy", "-q", "docker-archive:hybrid.tar:foo/bar:1", "dir:copy"], directory.path());

    if has("umoci") {
        fs::create_dir(directory.path().join("unpacked")).unwrap();
        run("tar", &["-xf", "hybrid.tar", "-C", "unpacked"], directory.path());
        let listed = run("umoci", &["ls", "--layout", "unpacked"], directory.path());
        assert_eq!(listed.trim(), full);
    }
}
