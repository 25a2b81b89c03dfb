//! Changes to an archive that exists: a new one of its members takes its place.

use std::path::PathBuf;

use cask_archive::{ArchiveWriter, Durability, LockedArchive, Member, ReadOptions, WriteOptions};
use cask_image::Digest;
use cask_layout::IndexDocument;
use cask_layout_seam::of_layout;
use cask_transport::{ErrorKind, Result};

use crate::archive::{DOCKER_MANIFEST, INDEX, OciArchive};
use crate::error::of_tar;

/// How archives are read and written, and where.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) read: ReadOptions,
    pub(crate) write: WriteOptions,
    pub(crate) durability: Durability,
}

/// An archive that nobody else adds to meanwhile.
pub(crate) struct Locked {
    pub(crate) archive: OciArchive,
    pub(crate) index: IndexDocument,
    lock: LockedArchive,
}

impl Place {
    /// Waits until nobody else changes the archive, and opens it.
    pub(crate) fn lock(&self) -> Result<Locked> {
        let lock = LockedArchive::open(&self.path, &self.read).map_err(of_tar)?;
        let archive = OciArchive::new(lock.reader().clone())?;
        if archive.reader().find(DOCKER_MANIFEST).is_ok() {
            return Err(archive
                .error(ErrorKind::Unsupported, "changing")
                .with_detail("its manifest.json, which docker load reads, would say something else")
                .with_hint("docker-archive: changes both"));
        }
        let index = archive.index().clone();
        Ok(Locked { archive, index, lock })
    }

    /// Gives the archive another index and only the blobs that it is still to have.
    pub(crate) fn rewrite(&self, locked: Locked, is_kept: impl Fn(&Digest) -> bool) -> Result<()> {
        let index = locked.index.encode(INDEX).map_err(of_layout)?;
        let keep = |member: &Member| {
            digest_of(&member.display_name()).is_none_or(|digest| is_kept(&digest))
        };
        let writer = locked.begin(&self.write, keep)?;
        writer.append_bytes(INDEX, &index).map_err(of_tar)?;
        writer.finish(self.durability).map_err(of_tar)?;
        Ok(())
    }
}

impl Locked {
    /// Begins an archive with the members that are to be kept, and without an index.
    pub(crate) fn begin(
        self,
        options: &WriteOptions,
        keep: impl Fn(&Member) -> bool,
    ) -> Result<ArchiveWriter> {
        let keep = |member: &Member| member.name() != INDEX.as_bytes() && keep(member);
        ArchiveWriter::append_to(self.lock, options.clone(), keep).map_err(of_tar)
    }
}

/// The digest that a member's name says, if it is a blob's.
fn digest_of(name: &str) -> Option<Digest> {
    let (algorithm, hex) = name.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{hex}").parse().ok()
}
