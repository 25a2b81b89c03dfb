//! Reading once what was written: for the digest, the recipe for the tar stream, and the owners.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, Read, Seek as _, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;

use cask_image::{Algorithm, Digest, Hasher};
use cask_layer::{
    Compression, DiffError, DiffErrorKind, DiffOptions, Diffed, FileTimes, MemberLimits, Members,
    TarSplitRecorder, diff_changes, diff_tree, diff_upper,
};
use cask_rootfs::{Kind, Order, Parents, Root};
use rustix::fs::MemfdFlags;

use crate::stage::{ScratchFiles, scratch_file};
use crate::staged::Facts;
use crate::{DriverKind, Error, ErrorKind, Result};

/// How many bytes are handed over at a time.
const BLOCK_BYTES: usize = 256 << 10;

/// How many blocks may wait.
const BLOCKS: usize = 4;

/// Writes down how the tar stream of a new layer is put together; `lowers` are the layers below, with
/// vfs at most the nearest.
pub(super) fn record(
    driver: DriverKind,
    files: &Root,
    lowers: &[Root],
    options: &DiffOptions,
    tar_split: &Path,
) -> Result<Facts> {
    let failed = |error| Error::io(error, "writing", tar_split);
    let output = scratch_file(tar_split).map_err(failed)?;
    let unnamed = ScratchFiles::beside(tar_split).into_source();
    let recipe = Recipe { output, unnamed, path: tar_split };
    let (seen, diffed) = write(driver, files, lowers, options, recipe)?;
    if options.times != FileTimes::Keep || diffed.sockets > 0 {
        settle(files, options.times)?;
    }
    Ok(Facts {
        blob_digest: seen.digest.clone(),
        blob_size: seen.size,
        diff_digest: seen.digest,
        diff_size: seen.size,
        compression: Compression::None,
        uids: seen.uids.into_iter().collect(),
        gids: seen.gids.into_iter().collect(),
        warnings: Vec::new(),
    })
}

/// Writes down how the tar stream of a layer would be put together that its files give now; gives the stream's digest,
/// too. The recipe lies in memory: that of an ordinary layer is small.
pub(crate) fn again(
    driver: DriverKind,
    files: &Root,
    lowers: &[Root],
    tar_split: &Path,
) -> Result<(File, Digest)> {
    let in_memory = || rustix::fs::memfd_create(c"recipe", MemfdFlags::CLOEXEC).map(File::from);
    let failed = |error: io::Error| Error::io(error, "writing", tar_split);
    let mut recipe = in_memory().map_err(|error| failed(error.into()))?;
    let output = recipe.try_clone().map_err(failed)?;
    let unnamed = move || in_memory().map_err(io::Error::from);
    let into = Recipe { output, unnamed, path: tar_split };
    let (seen, _) = write(driver, files, lowers, &DiffOptions::default(), into)?;
    recipe.rewind().map_err(failed)?;
    Ok((recipe, seen.digest))
}

/// Where a recipe is written to.
struct Recipe<'p, U> {
    output: File,
    /// Where members are kept that no file of the layer has.
    unnamed: U,
    path: &'p Path,
}

/// Reads the files as a tar stream, and writes down how that is put together.
fn write(
    driver: DriverKind,
    files: &Root,
    lowers: &[Root],
    options: &DiffOptions,
    recipe: Recipe<'_, impl FnMut() -> io::Result<File> + Send + 'static>,
) -> Result<(Seen, Diffed)> {
    let (sender, blocks) = mpsc::sync_channel(BLOCKS);
    let (returned, free) = mpsc::channel();
    let writer = Blocks { sender, free, block: Vec::new() };
    let reader = BlockReader {
        blocks,
        returned,
        block: Vec::new(),
        position: 0,
        hasher: Hasher::new(Algorithm::Sha256),
    };
    let walk = || match (driver, lowers.first()) {
        (DriverKind::Overlay, _) => diff_upper(files, lowers, writer, options),
        (DriverKind::Vfs, Some(below)) => diff_changes(below, files, writer, options),
        (DriverKind::Vfs, None) => diff_tree(files, writer, options),
    };
    let (walked, seen) = thread::scope(|scope| {
        let walking = scope.spawn(move || walk().map(|(diffed, _)| diffed));
        let seen = observe(reader, files, recipe);
        let walked = walking.join();
        (walked.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), seen)
    });
    let diffed = match (walked, &seen) {
        // Then it is the other side that failed.
        (Err(error), Err(_)) if error.kind() == DiffErrorKind::Write => Diffed::default(),
        (walked, _) => walked.map_err(diff_error)?,
    };
    Ok((seen?, diffed))
}

/// What was seen of a stream.
struct Seen {
    digest: Digest,
    size: u64,
    uids: BTreeSet<u32>,
    gids: BTreeSet<u32>,
}

/// Reads the stream that is being written.
fn observe(
    reader: BlockReader,
    files: &Root,
    recipe: Recipe<'_, impl FnMut() -> io::Result<File> + Send + 'static>,
) -> Result<Seen> {
    let Recipe { output, unnamed, path } = recipe;
    let failed = |error| Error::io(error, "writing", path);
    let open = |name: &[u8]| files.open_file(OsStr::from_bytes(name)).map_err(io::Error::other);
    let recorder = TarSplitRecorder::new(output, open, unnamed).map_err(failed)?;
    let unread =
        |error| Error::new(ErrorKind::Io, "writing down", "the new layer").with_source(error);
    let mut members = Members::observed(reader, MemberLimits::default(), recorder);
    let (mut uids, mut gids) = (BTreeSet::new(), BTreeSet::new());
    while let Some(entry) = members.next_member().map_err(unread)? {
        let member = entry.member;
        let start = member.name.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        if !member.name[start..].starts_with(b".wh.") {
            uids.extend(u32::try_from(member.uid));
            gids.extend(u32::try_from(member.gid));
        }
    }
    let (reader, recorder) = members.finish().map_err(unread)?;
    recorder.finish().map_err(failed)?;
    let size = reader.hasher.len();
    Ok(Seen { digest: reader.hasher.finish(), size, uids, gids })
}

/// Gives the files the times that the stream has, and takes away what it cannot have.
fn settle(files: &Root, times: FileTimes) -> Result<()> {
    let failed = |error: cask_rootfs::Error| {
        Error::new(ErrorKind::Io, "setting the times of", "the new layer").with_source(error)
    };
    let mut parents = Parents::new(files);
    // Directories come before what is in them, and are done after it.
    let mut all = vec![OsString::new()];
    let mut next = 0;
    while let Some(path) = all.get(next).cloned() {
        next += 1;
        let directory = parents.directory(&path).map_err(failed)?;
        for entry in directory.entries(Order::Any).map_err(failed)? {
            let found = directory.metadata(&entry.name).map_err(failed)?;
            match found.kind {
                Kind::Socket => directory.remove_file(&entry.name).map_err(failed)?,
                Kind::Directory => {
                    let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
                    let below = [path.as_bytes(), slash, entry.name.as_bytes()].concat();
                    all.push(OsString::from_vec(below));
                }
                _ => set_times(directory, &entry.name, times).map_err(failed)?,
            }
        }
    }
    for path in all.iter().skip(1).rev() {
        let (directory, name) = parents.entry(path).map_err(failed)?;
        set_times(directory, name, times).map_err(failed)?;
    }
    Ok(())
}

fn set_times(
    directory: &cask_rootfs::Directory,
    name: &OsStr,
    times: FileTimes,
) -> cask_rootfs::Result<()> {
    let now = directory.metadata(name)?.modified;
    let own = cask_layer::Timestamp { seconds: now.seconds, nanoseconds: now.nanoseconds };
    let seconds = times.seconds(own);
    // What stays the same keeps the parts of its second.
    if times == FileTimes::Keep || seconds == now.seconds {
        return Ok(());
    }
    let time = cask_rootfs::Timestamp { seconds, nanoseconds: 0 };
    directory.set_times(name, time, time)
}

fn diff_error(error: DiffError) -> Error {
    let kind = match error.kind() {
        DiffErrorKind::TooLarge => ErrorKind::LimitExceeded,
        DiffErrorKind::UnmappedId => ErrorKind::Denied,
        DiffErrorKind::Changed => ErrorKind::Input,
        _ => ErrorKind::Io,
    };
    Error::new(kind, "reading", "the new layer").with_source(error)
}

/// What is written here is read on another thread.
struct Blocks {
    sender: SyncSender<Vec<u8>>,
    free: Receiver<Vec<u8>>,
    block: Vec<u8>,
}

impl Blocks {
    fn send(&mut self) -> io::Result<()> {
        let mut next = self.free.try_recv().unwrap_or_default();
        next.clear();
        next.reserve(BLOCK_BYTES);
        let full = std::mem::replace(&mut self.block, next);
        self.sender.send(full).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(BLOCK_BYTES - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        if self.block.len() == BLOCK_BYTES {
            self.send()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.block.is_empty() { Ok(()) } else { self.send() }
    }
}

/// What was written on another thread; ends where that ends.
struct BlockReader {
    blocks: Receiver<Vec<u8>>,
    returned: Sender<Vec<u8>>,
    block: Vec<u8>,
    position: usize,
    hasher: Hasher,
}

impl BufRead for BlockReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.block.len()
            && let Ok(block) = self.blocks.recv()
        {
            self.hasher.update(&block);
            // Nobody may want it any more.
            let _ = self.returned.send(std::mem::replace(&mut self.block, block));
            self.position = 0;
        }
        Ok(&self.block[self.position..])
    }

    fn consume(&mut self, count: usize) {
        self.position += count;
    }
}

impl Read for BlockReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
