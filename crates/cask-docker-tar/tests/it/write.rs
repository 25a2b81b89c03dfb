//! Archives that are written.

use std::io::Write;

use cask_archive::{Durability, ErrorKind as ArchiveErrorKind, Existing};
use cask_docker_tar::{DockerArchiveWriter, ErrorKind, Selector, WriteOptions};
use cask_image::Digest;

use crate::fixtures::{TestImage, archive_of, digest, layer, member_names, name, open, references};

#[test]
fn the_order_is_that_of_skopeo() {
    let image = TestImage::new(&["one", "two", "one"]);
    let (_directory, path) = archive_of(&[(&image, &["foo/bar:1"])], &WriteOptions::default());
    let names = member_names(&path);
    let [one, two, _] = &image.diff_ids()[..] else { panic!("three layers") };
    assert_eq!(names[0], format!("{}.tar", one.hex()));
    assert_eq!(names[1], format!("{}.tar", two.hex()));
    assert_eq!(names[2], format!("{}.json", image.config_digest().hex()));
    for number in 0..3 {
        let files = &names[3 + 3 * number..6 + 3 * number];
        let id = files[0].strip_suffix("/layer.tar").unwrap();
        assert_eq!(files[1..], [format!("{id}/VERSION"), format!("{id}/json")]);
    }
    assert_eq!(names[12..], ["manifest.json", "repositories"]);
}

#[test]
fn the_bytes_are_those_of_skopeo() {
    let image = TestImage::new(&["one", "two", "one"]);
    let (_directory, path) = archive_of(&[(&image, &["foo/bar:1"])], &WriteOptions::default());
    // Recorded from skopeo 1.9.3; the target `peers` compares with the one that is installed.
    let expected = "sha256:3a6b24679f019b45c74ef1e00aaa3e866a695c910fa1c3a0d6e2bd3cb827b46c";
    assert_eq!(digest(&std::fs::read(path).unwrap()).to_string(), expected);
}

#[test]
fn the_order_of_layers_is_that_of_their_beginnings() {
    let image = TestImage::new(&["one", "two", "three"]);
    let (_directory, expected) = archive_of(&[(&image, &["a:b"])], &WriteOptions::default());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("images.tar");
    let writer = DockerArchiveWriter::create(&path, &WriteOptions::default()).unwrap();
    let mut layers: Vec<_> = image
        .layers
        .iter()
        .map(|layer| (writer.begin_layer(&digest(layer), None).unwrap(), layer))
        .collect();
    writer.add_image(&image.config, &references(&["a:b"])).unwrap();
    while let Some((mut slot, layer)) = layers.pop() {
        slot.write_all(b"a first try that fails").unwrap();
        slot.restart().unwrap();
        slot.write_all(layer).unwrap();
        assert_eq!(slot.finish().unwrap(), layer.len() as u64);
    }
    writer.finish(Durability::Kernel).unwrap();
    assert!(std::fs::read(path).unwrap() == std::fs::read(expected).unwrap());
}

#[test]
fn shared_layers_are_written_once() {
    let (one, two) = (TestImage::new(&["base", "one"]), TestImage::new(&["base", "two"]));
    let (_directory, path) =
        archive_of(&[(&one, &["one:1"]), (&two, &["two:1"])], &WriteOptions::default());
    let layers = member_names(&path).iter().filter(|name| name.ends_with(".tar")).count();
    // Three layers, and a link for each of the three legacy images.
    assert_eq!(layers, 6);
    let archive = open(&path).unwrap();
    one.check(&archive, &name("one:1"));
    two.check(&archive, &name("two:1"));
}

#[test]
fn an_image_that_comes_twice_gets_more_names() {
    let image = TestImage::new(&["one"]);
    let other = TestImage::new(&["one", "two"]);
    let images: [(&TestImage, &[&str]); 4] =
        [(&image, &["a:1"]), (&other, &["c:1"]), (&image, &["b:1", "a:1"]), (&image, &["c:1"])];
    let (_directory, path) = archive_of(&images, &WriteOptions::default());
    let archive = open(&path).unwrap();
    let names: Vec<_> = archive.entries().iter().map(|entry| entry.names()).collect();
    let library = |names: &[&str]| -> Vec<String> {
        names.iter().map(|name| format!("docker.io/library/{name}")).collect()
    };
    // The last owner of a name has it.
    assert_eq!(names, [library(&["b:1", "a:1", "c:1"]), library(&[])]);
}

#[test]
fn images_without_layers_and_names_are_fine() {
    let image = TestImage::new(&[]);
    let (_directory, path) = archive_of(&[(&image, &[])], &WriteOptions::default());
    let archive = open(&path).unwrap();
    image.check(&archive, &Selector::Only);
    assert_eq!(archive.archive().read_member("repositories", 100).unwrap(), b"{}");
}

#[test]
fn what_is_not_whole_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("images.tar");
    let begin = || DockerArchiveWriter::create(&path, &WriteOptions::default()).unwrap();
    let image = TestImage::new(&["one"]);
    let diff_id: &Digest = &image.diff_ids()[0];

    let writer = begin();
    let error = writer.add_image(&image.config, &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoLayer);
    assert_eq!(writer.add_image(b"{", &[]).unwrap_err().kind(), ErrorKind::Malformed);
    let error = writer.write_layer(diff_id, None, &mut &layer("other")[..]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    assert!(!writer.has_layer(diff_id).unwrap());
    // What was wrong was left out, so the right one has a place.
    writer.write_layer(diff_id, None, &mut &image.layers[0][..]).unwrap();
    let error = writer.begin_layer(diff_id, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Archive(ArchiveErrorKind::Duplicate));
    for bad in ["a", "a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"] {
        let error = writer.add_image(&image.config, &references(&[bad])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
    drop(writer);

    let writer = begin();
    let given_up = writer.begin_layer(diff_id, None).unwrap();
    writer.add_image(&image.config, &[]).unwrap();
    drop(given_up);
    assert_eq!(writer.finish(Durability::Kernel).unwrap_err().kind(), ErrorKind::NoLayer);

    let writer = begin();
    let _unfinished = writer.begin_layer(diff_id, None).unwrap();
    writer.add_image(&image.config, &[]).unwrap();
    let error = writer.finish(Durability::Kernel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Archive(ArchiveErrorKind::Unfinished));
    assert!(!path.exists());
}

#[test]
fn an_archive_that_exists_can_be_kept() {
    let image = TestImage::new(&["one"]);
    let (_directory, path) = archive_of(&[(&image, &[])], &WriteOptions::default());
    let mut options = WriteOptions::default();
    options.existing = Existing::Refused;
    let error = DockerArchiveWriter::create(&path, &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Archive(ArchiveErrorKind::Exists));
}

#[test]
fn times_are_those_of_the_options() {
    let image = TestImage::new(&["one"]);
    let mut options = WriteOptions::default();
    options.modified_seconds = 1_600_000_000;
    let (_directory, path) = archive_of(&[(&image, &[])], &options);
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[136..147], format!("{:011o}", 1_600_000_000).as_bytes());
}

#[test]
fn streams_get_the_same_bytes() {
    let image = TestImage::new(&["one", "two"]);
    let (_directory, path) = archive_of(&[(&image, &["a:b"])], &WriteOptions::default());
    let (mut reader, stream) = std::io::pipe().unwrap();
    let collector = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
        bytes
    });
    let writer =
        DockerArchiveWriter::to_stream(stream, "(stdout)", &WriteOptions::default()).unwrap();
    image.write(&writer, &["a:b"]).unwrap();
    writer.finish(Durability::Kernel).unwrap();
    assert!(collector.join().unwrap() == std::fs::read(path).unwrap());
}
