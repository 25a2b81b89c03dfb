//! Archives that are OCI layouts too.

use cask_archive::Durability;
use cask_docker_tar::{DockerArchiveWriter, ErrorKind, Layout, Selector, WriteOptions};
use cask_image::{
    Descriptor, ImageFormat, ImageManifest, LayerCompression, Manifest, MediaType, RawManifest,
};

use crate::fixtures::{TestImage, archive_of, digest, gzip, member_names, name, open, references};

fn hybrid() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.layout = Layout::Hybrid;
    options
}

/// The OCI manifest of an image whose layers are compressed, and these layers.
fn compressed(image: &TestImage) -> (RawManifest, Vec<Vec<u8>>) {
    let layers: Vec<Vec<u8>> = image.layers.iter().map(|layer| gzip(layer)).collect();
    let config_size = image.config.len() as u64;
    let config = Descriptor::new(MediaType::OciConfig, image.config_digest(), config_size);
    let media_type = MediaType::OciLayer(LayerCompression::Gzip);
    let descriptors = layers
        .iter()
        .map(|layer| Descriptor::new(media_type.clone(), digest(layer), layer.len() as u64));
    (ImageManifest::new(ImageFormat::Oci, config, descriptors.collect()).encode(), layers)
}

fn index_of(path: &std::path::Path) -> Vec<Descriptor> {
    let bytes = open(path).unwrap().archive().read_member("index.json", 1 << 20).unwrap();
    match RawManifest::new(bytes, MediaType::OciIndex).parse().unwrap() {
        Manifest::Index(index) => index.manifests,
        _ => panic!("an index"),
    }
}

#[test]
fn plain_images_get_a_manifest() {
    let image = TestImage::new(&["one", "two"]);
    let (_directory, path) = archive_of(&[(&image, &["foo/bar:1", "x:2"])], &hybrid());
    let archive = open(&path).unwrap();
    image.check(&archive, &name("foo/bar:1"));
    image.check(&archive, &name("x:2"));
    let names = member_names(&path);
    assert_eq!(names[..2], ["blobs", "blobs/sha256"]);
    assert_eq!(names[6..], ["index.json", "manifest.json", "oci-layout"]);
    for name in &names[2..6] {
        let bytes = archive.archive().read_member(name, 1 << 20).unwrap();
        assert_eq!(*name, format!("blobs/sha256/{}", digest(&bytes).hex()));
    }
    let index = index_of(&path);
    let entry = |key: &str| -> Vec<String> {
        index.iter().map(|entry| entry.annotations[key].clone()).collect()
    };
    let expected = ["docker.io/foo/bar:1", "docker.io/library/x:2"];
    assert_eq!(entry("org.opencontainers.image.ref.name"), expected);
    assert_eq!(entry("io.containerd.image.name"), expected);
    assert_eq!(index[0].digest, index[1].digest);
}

#[test]
fn manifests_are_kept_and_layers_stay_compressed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("images.tar");
    let image = TestImage::new(&["one", "two"]);
    let (manifest, layers) = compressed(&image);
    let writer = DockerArchiveWriter::create(&path, &hybrid()).unwrap();
    for layer in &layers {
        writer.write_layer(&digest(layer), Some(layer.len() as u64), &mut &layer[..]).unwrap();
    }
    writer.add_oci_image(&manifest, &image.config, &references(&["a:b"])).unwrap();
    writer.finish(Durability::Kernel).unwrap();
    let archive = open(&path).unwrap();
    image.check(&archive, &name("a:b"));
    let index = index_of(&path);
    assert_eq!(index[0].digest, *manifest.digest());
    let member = format!("blobs/sha256/{}", manifest.digest().hex());
    let found = archive.archive().read_member(member, 1 << 20).unwrap();
    assert_eq!(found, manifest.bytes()[..]);
}

#[test]
fn layers_may_get_their_names_at_the_end() {
    let image = TestImage::new(&["one", "two", "one"]);
    let (manifest, layers) = compressed(&image);
    let write = |named: bool| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("images.tar");
        let writer = DockerArchiveWriter::create(&path, &hybrid()).unwrap();
        let mut slots: Vec<_> = layers
            .iter()
            .take(if named { 2 } else { 3 })
            .map(|layer| match named {
                true => writer.begin_layer(&digest(layer), Some(layer.len() as u64)).unwrap(),
                false => writer.begin_unnamed_layer().unwrap(),
            })
            .collect();
        for (slot, layer) in slots.iter_mut().zip(&layers) {
            std::io::Write::write_all(slot, layer).unwrap();
        }
        for (slot, layer) in slots.into_iter().zip(&layers) {
            assert_eq!(slot.finish_as(&digest(layer)).unwrap(), layer.len() as u64);
        }
        writer.add_oci_image(&manifest, &image.config, &references(&["a:b"])).unwrap();
        writer.finish(Durability::Kernel).unwrap();
        std::fs::read(path).unwrap()
    };
    assert!(write(true) == write(false));

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("images.tar");
    let writer = DockerArchiveWriter::create(&path, &hybrid()).unwrap();
    let error = writer.begin_unnamed_layer().unwrap().finish().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoLayer);
    let error = writer.begin_unnamed_layer().unwrap().finish_as(&digest(b"x")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    let writer = DockerArchiveWriter::create(&path, &WriteOptions::default()).unwrap();
    assert_eq!(writer.begin_unnamed_layer().unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn names_and_images_come_and_go_in_both_lists() {
    let (one, two) = (TestImage::new(&["one"]), TestImage::new(&["two"]));
    let images: [(&TestImage, &[&str]); 5] =
        [(&one, &[]), (&two, &["a:1"]), (&one, &["a:1", "b:1"]), (&one, &["b:1"]), (&one, &[])];
    let (_directory, path) = archive_of(&images, &hybrid());
    let archive = open(&path).unwrap();
    one.check(&archive, &name("a:1"));
    one.check(&archive, &name("b:1"));
    two.check(&archive, &Selector::Position(1));
    let index = index_of(&path);
    let names: Vec<Option<&str>> = index
        .iter()
        .map(|entry| entry.annotations.get("io.containerd.image.name").map(|name| &**name))
        .collect();
    let expected = [None, Some("docker.io/library/a:1"), Some("docker.io/library/b:1")];
    assert_eq!(names, expected);
}

#[test]
fn what_docker_could_not_load_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("images.tar");
    let image = TestImage::new(&["one"]);
    let (manifest, layers) = compressed(&image);
    let classic = DockerArchiveWriter::create(&path, &WriteOptions::default()).unwrap();
    let error = classic.add_oci_image(&manifest, &image.config, &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);

    let writer = DockerArchiveWriter::create(&path, &hybrid()).unwrap();
    let check = |manifest: &RawManifest, config: &[u8], kind| {
        let error = writer.add_oci_image(manifest, config, &[]).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    };
    check(&manifest, &image.config, ErrorKind::NoLayer);
    let layer = &layers[0];
    writer.write_layer(&digest(layer), None, &mut &layer[..]).unwrap();
    check(&manifest, b"{}", ErrorKind::DigestMismatch);
    check(&RawManifest::new("{}", MediaType::OciManifest), b"{}", ErrorKind::Malformed);
    let index = cask_image::Index::new(ImageFormat::Oci, Vec::new()).encode();
    check(&index, b"{}", ErrorKind::Unsupported);
    let Manifest::Image(mut parsed) = manifest.parse().unwrap() else { panic!("an image") };
    parsed.layers.clear();
    check(&parsed.encode(), &image.config, ErrorKind::Malformed);
    parsed.config.media_type = MediaType::OciEmpty;
    check(&parsed.encode(), &image.config, ErrorKind::Unsupported);
}
