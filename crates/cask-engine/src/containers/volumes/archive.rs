//! The files of a volume as a tarball, and back.

use std::ffi::OsString;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use cask_layer::{
    ApplyOptions, DecompressLimits, DiffErrorKind, DiffOptions, Whiteouts, apply, decompress,
    detect_reader, diff_tree,
};
use cask_rootfs::Root;

use super::{Volume, Volumes};
use crate::{Error, ErrorKind, Result};

/// How a tarball is read into a volume.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct VolumeImportOptions {
    /// This process is in a user namespace: device nodes are left out.
    pub user_namespace: bool,
}

impl Volumes {
    /// Writes all files of a volume as a tar stream, and gives `output` back, with the paths of at most 100 files
    /// that could not be written: names that begin with `.wh.`, which tarballs of layers use for what is gone, and
    /// files whose attributes tar cannot hold.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where a file cannot be read or `output` takes no more, with that error as the source.
    pub fn export<W: Write>(&self, volume: &Volume, output: W) -> Result<(W, Vec<PathBuf>)> {
        let subject = || format!("exporting volume {}", volume.name);
        let root = Root::open(&volume.mount_point)
            .map_err(|error| Error::new(ErrorKind::Io, subject(), "").with_source(error))?;
        let written = diff_tree(&root, output, &DiffOptions::default());
        let (written, output) = written.map_err(|error| {
            let doing = match error.kind() {
                DiffErrorKind::Write => "writing the tarball",
                _ => "reading the files",
            };
            Error::new(ErrorKind::Io, subject(), doing).with_source(error)
        })?;
        let left_out = written.left_out.into_iter().map(|path| OsString::from_vec(path).into());
        Ok((output, left_out.collect()))
    }

    /// Puts the files of a tarball, compressed or not, into a volume, over those that have their names. What a
    /// tarball brings before it turns out to be damaged stays.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where it is none; [`ErrorKind::Io`] where it cannot be read.
    pub fn import(
        &self,
        volume: &Volume,
        input: impl Read,
        options: &VolumeImportOptions,
    ) -> Result<()> {
        let subject = || format!("importing into volume {}", volume.name);
        let root = Root::open(&volume.mount_point)
            .map_err(|error| Error::new(ErrorKind::Io, subject(), "").with_source(error))?;
        let (compression, reader) = detect_reader(input).map_err(|error: io::Error| {
            Error::new(ErrorKind::Io, subject(), "reading the tarball").with_source(error)
        })?;
        let reader = decompress(reader, compression, DecompressLimits::default());
        let mut wanted = ApplyOptions::default();
        // They are files like others here.
        wanted.whiteouts = Whiteouts::Keep;
        wanted.user_namespace = options.user_namespace;
        let read = apply(BufReader::new(reader), &root, &wanted, ());
        read.map(drop)
            .map_err(|error| Error::new(ErrorKind::Invalid, subject(), "").with_source(error))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::VolumeOptions;
    use super::*;

    #[test]
    fn a_volume_comes_back_from_its_tarball() {
        let directory = tempfile::tempdir().unwrap();
        let volumes = Volumes::new(directory.path(), directory.path(), None, false);
        let made = |name| volumes.create(name, &VolumeOptions::default()).unwrap();
        let (from, to) = (made("from"), made("to"));
        fs::create_dir(from.mount_point.join("d")).unwrap();
        fs::write(from.mount_point.join("d/f"), "text").unwrap();
        fs::write(from.mount_point.join("d/.wh.f"), "").unwrap();
        std::os::unix::fs::symlink("/etc", from.mount_point.join("link")).unwrap();
        let (tarball, left_out) = volumes.export(&from, Vec::new()).unwrap();
        assert_eq!(left_out, [PathBuf::from("d/.wh.f")]);
        fs::write(to.mount_point.join("kept"), "").unwrap();
        volumes.import(&to, &*tarball, &VolumeImportOptions::default()).unwrap();
        assert_eq!(fs::read(to.mount_point.join("d/f")).unwrap(), b"text");
        assert_eq!(
            fs::read_link(to.mount_point.join("link")).unwrap(),
            std::path::Path::new("/etc")
        );
        assert!(to.mount_point.join("kept").exists());
        let wrong = volumes.import(&to, &b"junk"[..], &VolumeImportOptions::default());
        assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Invalid);
    }
}
