//! Images that are added to archives which exist.

use cask_archive::{Durability, ErrorKind as ArchiveErrorKind, ReadOptions};
use cask_docker_tar::{DockerArchiveWriter, Error, ErrorKind, Layout, Selector, WriteOptions};

use crate::fixtures::{TestImage, archive_of, gzip, member_names, name, open, tar_of};

fn append(path: &std::path::Path) -> Result<DockerArchiveWriter, Error> {
    DockerArchiveWriter::append_to(path, &WriteOptions::default(), &ReadOptions::default())
}

fn hybrid() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.layout = Layout::Hybrid;
    options
}

#[test]
fn the_result_is_as_if_written_at_once() {
    let (one, two) = (TestImage::new(&["base", "one"]), TestImage::new(&["base", "two"]));
    for options in [WriteOptions::default(), hybrid()] {
        let (_directory, at_once) = archive_of(&[(&one, &["one:1"]), (&two, &["two:1"])], &options);
        let (_directory, path) = archive_of(&[(&one, &["one:1"])], &options);
        let writer = append(&path).unwrap();
        assert_eq!(writer.layout(), options.layout);
        two.write(&writer, &["two:1"]).unwrap();
        writer.finish(Durability::Kernel).unwrap();
        assert!(std::fs::read(&path).unwrap() == std::fs::read(at_once).unwrap());
    }
}

#[test]
fn names_move_to_the_new_image() {
    let (one, two) = (TestImage::new(&["one"]), TestImage::new(&["two"]));
    for options in [WriteOptions::default(), hybrid()] {
        let (_directory, path) = archive_of(&[(&one, &["a:1", "a:2"])], &options);
        let writer = append(&path).unwrap();
        two.write(&writer, &["a:1"]).unwrap();
        writer.finish(Durability::Kernel).unwrap();
        let archive = open(&path).unwrap();
        two.check(&archive, &name("a:1"));
        one.check(&archive, &name("a:2"));
        assert_eq!(archive.entries()[0].names(), ["docker.io/library/a:2"]);
    }
}

#[test]
fn an_older_archive_of_docker_keeps_its_members() {
    let (one, two) = (TestImage::new(&["base", "one"]), TestImage::new(&["base", "two"]));
    let manifest = r#"[{"Config":"c.json","RepoTags":["a:1"],"Layers":["x/layer.tar","./y//layer.tar"],"LayerSources":{"k":1}}]"#;
    let (_directory, path) = tar_of(&[
        ("x/layer.tar", &gzip(&one.layers[0])),
        ("x/VERSION", b"1.0"),
        ("y/layer.tar", &one.layers[1]),
        ("c.json", &one.config),
        ("manifest.json", manifest.as_bytes()),
    ]);
    let writer = append(&path).unwrap();
    two.write(&writer, &["b:1"]).unwrap();
    writer.finish(Durability::Kernel).unwrap();
    let archive = open(&path).unwrap();
    one.check(&archive, &name("a:1"));
    two.check(&archive, &name("b:1"));
    let manifest = archive.archive().read_member("manifest.json", 10_000).unwrap();
    assert!(String::from_utf8(manifest).unwrap().contains(r#""LayerSources":{"k":1}"#));
    let names = member_names(&path);
    assert_eq!(names[..4], ["x/layer.tar", "x/VERSION", "y/layer.tar", "c.json"]);
    assert_eq!(
        names.iter().filter(|name| !name.contains('/') && name.ends_with(".tar")).count(),
        1
    );
}

#[test]
fn damaged_layers_are_not_used_again() {
    let (one, two) = (TestImage::new(&["base"]), TestImage::new(&["base", "two"]));
    let manifest = r#"[{"Config":"c.json","Layers":["layer"]}]"#;
    let (_directory, path) = tar_of(&[
        ("layer", b"something else"),
        ("c.json", &one.config),
        ("manifest.json", manifest.as_bytes()),
    ]);
    let before = std::fs::read(&path).unwrap();
    let error = two.write(&append(&path).unwrap(), &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    assert!(error.to_string().contains("is damaged"), "{error}");
    assert!(std::fs::read(&path).unwrap() == before);
}

#[test]
fn damaged_configs_are_not_used_again() {
    let (one, two) = (TestImage::new(&["one"]), TestImage::new(&["two"]));
    let config = format!("{}.json", two.config_digest().hex());
    let manifest = format!(r#"[{{"Config":"{config}","Layers":["layer"]}}]"#);
    let (_directory, path) = tar_of(&[
        ("layer", &one.layers[0]),
        (&config, &one.config),
        ("manifest.json", manifest.as_bytes()),
    ]);
    let error = two.write(&append(&path).unwrap(), &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("is damaged"), "{error}");
}

#[test]
fn what_cannot_be_added_to_is_refused() {
    let check = |bytes: &[u8], kind| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("images.tar");
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(append(&path).unwrap_err().kind(), kind);
        assert!(std::fs::read(&path).unwrap() == bytes);
    };
    let (_directory, path) = archive_of(&[(&TestImage::new(&["one"]), &[])], &Default::default());
    let whole = std::fs::read(&path).unwrap();
    check(&gzip(&whole), ErrorKind::Archive(ArchiveErrorKind::Unsupported));
    check(&whole[..whole.len() - 1024], ErrorKind::Archive(ArchiveErrorKind::Truncated));
    let (_directory, other) = tar_of(&[("a", b"b")]);
    check(&std::fs::read(other).unwrap(), ErrorKind::NotDockerArchive);
    let (_directory, other) = tar_of(&[("manifest.json", b"[]"), ("repositories", b"[]")]);
    check(&std::fs::read(other).unwrap(), ErrorKind::Malformed);
}

#[test]
fn of_two_that_add_none_is_lost() {
    let (_directory, path) =
        archive_of(&[(&TestImage::new(&["base"]), &["base:1"])], &WriteOptions::default());
    std::thread::scope(|scope| {
        for number in 0..6 {
            let path = &path;
            scope.spawn(move || {
                let writer = append(path).unwrap();
                let image = TestImage::new(&["base", &format!("own {number}")]);
                image.write(&writer, &[&format!("image:{number}")]).unwrap();
                writer.finish(Durability::Kernel).unwrap();
            });
        }
    });
    let archive = open(&path).unwrap();
    assert_eq!(archive.entries().len(), 7);
    for number in 0..6 {
        let image = TestImage::new(&["base", &format!("own {number}")]);
        image.check(&archive, &name(&format!("image:{number}")));
    }
    TestImage::new(&["base"]).check(&archive, &Selector::Position(0));
}
