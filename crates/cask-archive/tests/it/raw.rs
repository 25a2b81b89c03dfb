//! Archives made block by block, right or wrong.

use std::path::{Path, PathBuf};

use cask_archive::{ArchiveReader, Error, ReadOptions};
use tempfile::TempDir;

/// An archive in the making.
#[derive(Clone, Default)]
pub(crate) struct Raw(pub(crate) Vec<u8>);

/// A header that is right unless its fields are changed.
#[derive(Clone)]
pub(crate) struct Head {
    pub(crate) block: [u8; 512],
}

impl Head {
    pub(crate) fn new(name: &[u8], flag: u8, size: usize) -> Self {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name);
        block[100..108].copy_from_slice(b"0000644\0");
        block[108..116].copy_from_slice(b"0000000\0");
        block[116..124].copy_from_slice(b"0000000\0");
        block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        block[136..148].copy_from_slice(b"00000000000\0");
        block[156] = flag;
        block[257..265].copy_from_slice(b"ustar\x0000");
        Self { block }
    }

    pub(crate) fn link(self, target: &[u8]) -> Self {
        self.field(157, target)
    }

    pub(crate) fn field(mut self, at: usize, bytes: &[u8]) -> Self {
        self.block[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn sealed(mut self) -> [u8; 512] {
        self.block[148..156].fill(b' ');
        let sum: u32 = self.block.iter().map(|byte| u32::from(*byte)).sum();
        self.block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.block
    }
}

impl Raw {
    pub(crate) fn head(mut self, head: Head) -> Self {
        self.0.extend(head.sealed());
        self
    }

    /// Bytes and the padding after them.
    pub(crate) fn data(mut self, data: &[u8]) -> Self {
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, name: &str, data: &[u8]) -> Self {
        self.head(Head::new(name.as_bytes(), b'0', data.len())).data(data)
    }

    pub(crate) fn directory(self, name: &str) -> Self {
        self.head(Head::new(name.as_bytes(), b'5', 0))
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.head(Head::new(name.as_bytes(), b'2', 0).link(target.as_bytes()))
    }

    pub(crate) fn hardlink(self, name: &str, target: &str) -> Self {
        self.head(Head::new(name.as_bytes(), b'1', 0).link(target.as_bytes()))
    }

    /// An extension header: `x`, `g`, `L` or `K`.
    pub(crate) fn extension(self, flag: u8, data: &[u8]) -> Self {
        self.head(Head::new(b"extension", flag, data.len())).data(data)
    }

    pub(crate) fn zeros(mut self, blocks: usize) -> Self {
        self.0.resize(self.0.len() + blocks * 512, 0);
        self
    }

    /// The archive with its end marker.
    pub(crate) fn end(self) -> Vec<u8> {
        self.zeros(2).0
    }
}

/// One PAX record.
pub(crate) fn record(key: &str, value: &str) -> Vec<u8> {
    let fixed = key.len() + value.len() + 3;
    let length = (fixed..).find(|length| fixed + length.to_string().len() == *length).unwrap();
    format!("{length} {key}={value}\n").into_bytes()
}

/// Opens bytes as a file, in place.
pub(crate) fn open(bytes: &[u8]) -> Result<ArchiveReader, Error> {
    let (_directory, path) = stored(bytes);
    ArchiveReader::open(path, &ReadOptions::default())
}

/// Writes bytes to a file of their own.
pub(crate) fn stored(bytes: &[u8]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("archive.tar");
    std::fs::write(&path, bytes).unwrap();
    (directory, path)
}

/// The names in a directory.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
