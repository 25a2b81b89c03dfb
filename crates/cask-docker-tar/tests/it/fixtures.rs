//! Images for tests.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use cask_archive::{ArchiveReader, ArchiveWriter, Durability, ReadOptions};
use cask_docker_tar::{DockerArchive, DockerArchiveWriter, Error, Selector, WriteOptions};
use cask_image::{Algorithm, Digest, Hasher};
use cask_reference::Reference;
use tempfile::TempDir;

/// An image whose layers are plain.
#[derive(Clone)]
pub(crate) struct TestImage {
    pub(crate) config: Vec<u8>,
    pub(crate) layers: Vec<Vec<u8>>,
}

impl TestImage {
    /// An image of one layer for each text.
    pub(crate) fn new(texts: &[&str]) -> Self {
        let layers: Vec<Vec<u8>> = texts.iter().map(|text| layer(text)).collect();
        let diff_ids: Vec<String> =
            layers.iter().map(|layer| format!("{:?}", digest(layer).to_string())).collect();
        // Odd white space and characters that Go escapes.
        let config = format!(
            "{{ \"architecture\": \"amd64\", \"os\": \"linux\",\n \"author\": \"<a & b>\",\n \
             \"config\": {{ \"Cmd\": [\"sh\", \"-c\", \"a && b > \\u00e9\"] }},\n \
             \"created\": \"2020-01-01T00:00:00Z\", \"history\": [],\n \
             \"rootfs\": {{ \"type\": \"layers\", \"diff_ids\": [{}] }} }}",
            diff_ids.join(", ")
        );
        Self { config: config.into_bytes(), layers }
    }

    pub(crate) fn diff_ids(&self) -> Vec<Digest> {
        self.layers.iter().map(|layer| digest(layer)).collect()
    }

    pub(crate) fn config_digest(&self) -> Digest {
        digest(&self.config)
    }

    /// Writes what the archive does not hold yet.
    pub(crate) fn write(&self, writer: &DockerArchiveWriter, names: &[&str]) -> Result<(), Error> {
        for layer in &self.layers {
            if !writer.has_layer(&digest(layer))? {
                writer.write_layer(&digest(layer), Some(layer.len() as u64), &mut &layer[..])?;
            }
        }
        writer.add_image(&self.config, &references(names))
    }

    /// Reads the image back and compares everything.
    pub(crate) fn check(&self, archive: &DockerArchive, selector: &Selector) {
        let image = archive.image(selector).unwrap();
        assert_eq!(&image.config_bytes()[..], &self.config[..]);
        assert_eq!(*image.config_digest(), self.config_digest());
        for layer in &self.layers {
            let mut bytes = Vec::new();
            let mut reader = image.open_layer(&digest(layer)).unwrap();
            std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
            assert!(bytes == *layer);
        }
    }
}

/// A layer with one file in it.
pub(crate) fn layer(text: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layer");
    let writer = ArchiveWriter::create(&path, Default::default()).unwrap();
    writer.append_bytes(&format!("file-{}", text.len()), text.as_bytes()).unwrap();
    writer.finish(Durability::Kernel).unwrap();
    std::fs::read(path).unwrap()
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn reference(name: &str) -> Reference {
    Reference::parse_normalized(name).unwrap()
}

pub(crate) fn references(names: &[&str]) -> Vec<Reference> {
    names.iter().map(|name| reference(name)).collect()
}

pub(crate) fn name(name: &str) -> Selector {
    Selector::Name(reference(name))
}

/// Writes images into one archive.
pub(crate) fn archive_of(
    images: &[(&TestImage, &[&str])],
    options: &WriteOptions,
) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("images.tar");
    let writer = DockerArchiveWriter::create(&path, options).unwrap();
    for (image, names) in images {
        image.write(&writer, names).unwrap();
    }
    writer.finish(Durability::Kernel).unwrap();
    (directory, path)
}

/// An archive of any members.
pub(crate) fn tar_of(members: &[(&str, &[u8])]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("images.tar");
    let writer = ArchiveWriter::create(&path, Default::default()).unwrap();
    for (name, bytes) in members {
        writer.append_bytes(name, bytes).unwrap();
    }
    writer.finish(Durability::Kernel).unwrap();
    (directory, path)
}

pub(crate) fn open(path: &Path) -> Result<DockerArchive, Error> {
    DockerArchive::open(path, &ReadOptions::default())
}

pub(crate) fn member_names(path: &Path) -> Vec<String> {
    let archive = ArchiveReader::open(path, &ReadOptions::default()).unwrap();
    archive.members().iter().map(|member| member.display_name().into_owned()).collect()
}
