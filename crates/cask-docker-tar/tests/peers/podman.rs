//! podman loads what is written, and what it saves is read.

use std::path::Path;

use cask_docker_tar::{Layout, WriteOptions};

use crate::fixtures::{TestImage, archive_of, name, open};
use crate::{has, is_root, run};

fn podman(arguments: &[&str], directory: &Path) -> String {
    let storage = ["--root", "root", "--runroot", "runroot", "--storage-driver", "vfs"];
    let all: Vec<String> = storage
        .iter()
        .map(|word| match *word {
            "root" | "runroot" => directory.join(word).display().to_string(),
            word => word.to_owned(),
        })
        .chain(arguments.iter().map(|&word| word.to_owned()))
        .collect();
    run("podman", &all.iter().map(|word| &**word).collect::<Vec<_>>(), directory)
}

#[test]
fn podman_loads_what_is_written() {
    if !has("podman") || !is_root() {
        return;
    }
    let (one, two) = (TestImage::new(&["base", "one"]), TestImage::new(&["base", "two"]));
    for layout in [Layout::Classic, Layout::Hybrid] {
        let mut options = WriteOptions::default();
        options.layout = layout;
        let (directory, _path) =
            archive_of(&[(&one, &["foo/one:1", "foo/one:2"]), (&two, &["foo/two:1"])], &options);
        podman(&["load", "-q", "-i", "images.tar"], directory.path());
        let format = "{{.Repository}}:{{.Tag}} {{.Id}}";
        let mut listed = podman(&["images", "--no-trunc", "--format", format], directory.path());
        listed = listed.replace("sha256:", "");
        let mut listed: Vec<&str> = listed.lines().collect();
        listed.sort_unstable();
        let (one, two) = (one.config_digest(), two.config_digest());
        let expected = [
            format!("docker.io/foo/one:1 {}", one.hex()),
            format!("docker.io/foo/one:2 {}", one.hex()),
            format!("docker.io/foo/two:1 {}", two.hex()),
        ];
        assert_eq!(listed, expected, "{layout:?}");
    }
}

#[test]
fn what_podman_saves_is_read() {
    if !has("podman") || !is_root() {
        return;
    }
    let (one, two) = (TestImage::new(&["base", "one"]), TestImage::new(&["base", "two"]));
    let (directory, _path) =
        archive_of(&[(&one, &["foo/one:1"]), (&two, &["foo/two:1"])], &WriteOptions::default());
    podman(&["load", "-q", "-i", "images.tar"], directory.path());
    let save = ["save", "-q", "-m", "-o", "saved.tar", "foo/one:1", "foo/two:1"];
    podman(&save, directory.path());
    let archive = open(&directory.path().join("saved.tar")).unwrap();
    one.check(&archive, &name("foo/one:1"));
    two.check(&archive, &name("foo/two:1"));
}
