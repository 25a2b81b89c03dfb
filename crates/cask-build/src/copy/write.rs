//! From what was prepared to a layer.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::SystemTime;

use cask_image::{Algorithm, Hasher};
use cask_layer::{FileTimes, Fragment, MemberKind, MemberWriter, NewMember, Timestamp};
use cask_rootfs::Kind;
use tempfile::TempDir;

use super::content::{BUFFER_BYTES, Content as Reading, changed, sha256};
use super::destination::{Target, target};
use super::plan::{Content, Made, Plan, Planned, Rule};
use super::prepared::{Prepared, Source};
use super::select::{Selection, whole};
use super::{CopyTools, WriteOptions, Written, archive, remote};
use crate::context::{Context, ContextLocation, ContextTools, IgnoreChoice, StreamContext};
use crate::stat_cache::is_racy;
use crate::view::{Status, View, Walker, join, shown};
use crate::{Error, ErrorKind, Result};

impl Prepared {
    /// Writes the layer as a tar stream, sorted by name; `view` is what the stage has so far, and with
    /// `--link` is asked for nothing but the names of `--chown`.
    ///
    /// The directories on the way to what is copied are in the layer, as the stage has them; those
    /// that are missing are made 0755, and belong to whom `--chown` names, else to 0:0. Whatever was
    /// hashed must be the same still: a file that has changed since is an error that names it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where the destination is something that cannot be replaced;
    /// [`ErrorKind::Mismatch`] for a file that has changed, or that is not what `--checksum` says;
    /// [`ErrorKind::Missing`] for a user that the stage does not have; [`ErrorKind::Fetch`];
    /// [`ErrorKind::Limit`]; [`ErrorKind::Io`].
    pub fn write<W: Write>(
        &self,
        view: &View,
        tools: &CopyTools<'_>,
        options: &WriteOptions,
        output: W,
    ) -> Result<Written> {
        let owner = self.request.owner.as_deref().map(|text| view.owner(text)).transpose()?;
        let (uid, gid) = owner.unwrap_or((0, 0));
        let made = Made { uid, gid, seconds: options.created_seconds };
        let empty = View::scratch();
        let stage = if self.request.link { &empty } else { view };
        let mut copying = Copying {
            prepared: self,
            tools,
            owner,
            plan: Plan::new(stage, made),
            files: Vec::new(),
            archives: Vec::new(),
            kept: Vec::new(),
        };
        copying.plan.make(&options.directories, (0, 0))?;
        if let Some((path, user)) = &options.working_directory
            && copying.plan.lacks(path)?
        {
            let owner = if user.is_empty() { (0, 0) } else { view.owner(user)? };
            copying.plan.make(std::slice::from_ref(path), owner)?;
        }
        if self.sources.is_empty() {
            let mut written = copying.emit(options.times, output, self)?;
            written.destination = "/".to_owned();
            return Ok(written);
        }
        let target = target(&mut copying.plan, &self.request, &self.sources)?;
        for (number, source) in self.sources.iter().enumerate() {
            copying.source(number as u64, source, &target)?;
        }
        let mut written = copying.emit(options.times, output, self)?;
        written.destination = format!("/{}", String::from_utf8_lossy(target.path()));
        Ok(written)
    }
}

struct Copying<'c> {
    prepared: &'c Prepared,
    tools: &'c CopyTools<'c>,
    /// Of `--chown`.
    owner: Option<(u32, u32)>,
    plan: Plan,
    /// Archives and downloads.
    files: Vec<File>,
    /// Archives of the context, which must be at the end what they were when they were hashed.
    archives: Vec<Arc<Selection>>,
    /// What must stay until the end.
    kept: Vec<TempDir>,
}

impl Copying<'_> {
    fn source(&mut self, number: u64, source: &Source, target: &Target) -> Result<()> {
        match source {
            Source::Selection(found) if found.is_directory => self.tree(number, found, target),
            Source::Selection(found) => {
                let Some(entry) = found.entries.first() else { return Ok(()) };
                let planned = self.planned(number, found, 0, &found.adapted(entry));
                let path = target.of(&found.name);
                self.plan.put(&path, planned, self.rule())
            }
            Source::Archive(found) => self.archive(found, target),
            Source::File { name, contents } => {
                let mode = self.prepared.mode_of(0o644, false);
                let mut planned = Planned::new(Kind::File, mode, self.plan.made());
                planned.content = Content::Bytes(contents.clone());
                self.plan.put(&target.of(name.as_bytes()), planned, self.rule())
            }
            Source::Remote(found) => {
                let mut found = remote::locked(found);
                let (file, size, seconds) = found.open(self.tools)?;
                if found.unpack {
                    let name = found.shown_url();
                    return self.extract(&name, file, target);
                }
                let mode = self.prepared.mode_of(0o600, false);
                let mut planned = Planned::new(Kind::File, mode, self.plan.made());
                planned.seconds = seconds;
                let (sparse, offset) = (None, 0);
                let file = self.keep(file);
                planned.content = Content::Part { file, offset, length: size, sparse, size };
                let name = found.name.clone().unwrap_or_default();
                self.plan.put(&target.of(name.as_bytes()), planned, self.rule())
            }
            Source::Repository { location, commit } => {
                let mut wanted = location.as_ref().clone();
                wanted.checksum = Some(commit.clone());
                let tools = ContextTools {
                    fetch: self.tools.fetch,
                    git: self.tools.git,
                    scratch: self.tools.scratch,
                };
                let location = ContextLocation::Git(wanted);
                let context = Context::fetch(&location, &IgnoreChoice::default(), &tools)?;
                let StreamContext::Context(context) = context else {
                    let detail = "is no repository";
                    return Err(Error::new(ErrorKind::Fetch, commit, detail));
                };
                let found = Arc::new(whole(&context, &self.prepared.request.excludes)?);
                self.kept.extend(context.into_temporary());
                self.tree(number, &found, target)
            }
        }
    }

    fn rule(&self) -> Rule {
        Rule::of_copy(self.prepared.request.dialect)
    }

    fn keep(&mut self, file: File) -> usize {
        self.files.push(file);
        self.files.len() - 1
    }

    /// What is in a directory goes into the destination.
    fn tree(&mut self, number: u64, found: &Arc<Selection>, target: &Target) -> Result<()> {
        for (index, entry) in found.entries.iter().enumerate() {
            let planned = self.planned(number, found, index, &found.adapted(entry));
            self.plan.put(&join(target.path(), &entry.relative), planned, self.rule())?;
        }
        Ok(())
    }

    fn planned(
        &mut self,
        number: u64,
        found: &Arc<Selection>,
        index: usize,
        adapted: &Status,
    ) -> Planned {
        let entry = &found.entries[index];
        let mut planned = Planned::of(&self.prepared.flagged(*adapted));
        if let Some((uid, gid)) = self.owner {
            (planned.uid, planned.gid) = (uid, gid);
        }
        planned.target = entry.target.to_vec();
        planned.xattrs.clone_from(&entry.xattrs);
        if entry.status.is_file() {
            planned.content = Content::Entry(found.clone(), index);
            if entry.status.links > 1 {
                let (device, inode) = (entry.status.device, entry.status.inode);
                planned.group = Some(self.plan.group(number, device, inode));
            }
        }
        planned
    }

    fn archive(&mut self, found: &Arc<Selection>, target: &Target) -> Result<()> {
        let Some(entry) = found.entries.first() else { return Ok(()) };
        let path = found.path(entry);
        let mut walker = found.view.walker();
        let file = Reading::open(&mut walker, &path, &entry.status)?.into_file();
        self.archives.push(found.clone());
        self.extract(&shown(&path), file, target)
    }

    fn extract(&mut self, name: &str, file: File, target: &Target) -> Result<()> {
        let file = archive::plain(name, file, self.tools.scratch)?;
        let reader = file.try_clone().map_err(|error| {
            Error::new(ErrorKind::Io, name, "cannot be opened again").with_source(error)
        })?;
        let number = self.keep(file);
        let path = target.path();
        archive::extract(self.prepared, &mut self.plan, name, &reader, number, path)
    }

    fn emit<W: Write>(
        mut self,
        times: FileTimes,
        output: W,
        prepared: &Prepared,
    ) -> Result<Written> {
        let nodes = std::mem::take(&mut self.plan.nodes);
        let last_names = std::mem::take(&mut self.plan.last_names);
        let mut emitter = Emitter {
            writer: MemberWriter::new(output),
            times,
            prepared,
            files: &self.files,
            walkers: HashMap::new(),
            stage: self.plan.walker(),
            first_names: HashMap::new(),
            buffer: vec![0; BUFFER_BYTES],
            size_bytes: 0,
        };
        for (path, mut planned) in nodes {
            if let Some(last) = planned.group.and_then(|group| last_names.get(&group)) {
                (planned.mode, planned.uid, planned.gid, planned.seconds) = *last;
            }
            emitter.node(path, planned)?;
        }
        for found in &self.archives {
            verify_archive(found, prepared.began, &mut emitter.buffer)?;
        }
        let (members, size_bytes) = (emitter.writer.members(), emitter.size_bytes);
        emitter.writer.finish().map_err(|error| cannot_write(b"", error))?;
        Ok(Written { members, size_bytes, destination: String::new() })
    }
}

struct Emitter<'e, W> {
    writer: MemberWriter<W>,
    times: FileTimes,
    prepared: &'e Prepared,
    files: &'e [File],
    /// By the address of their selection.
    walkers: HashMap<*const Selection, Walker>,
    stage: &'e mut Walker,
    first_names: HashMap<u64, Vec<u8>>,
    buffer: Vec<u8>,
    size_bytes: u64,
}

impl<W: Write> Emitter<'_, W> {
    fn node(&mut self, path: Vec<u8>, planned: Planned) -> Result<()> {
        if path.len() > 4095 {
            let detail = "the path is longer than 4095 bytes, so that nobody could extract it";
            return Err(Error::new(ErrorKind::Invalid, shown(&path), detail));
        }
        let mut member = NewMember::default();
        member.name.clone_from(&path);
        member.mode = planned.mode;
        (member.uid, member.gid) = (planned.uid, planned.gid);
        let modified = Timestamp { seconds: planned.seconds, nanoseconds: 0 };
        member.seconds = self.times.seconds(modified);
        member.xattrs = planned.xattrs;
        if let Some(group) = planned.group {
            if let Some(first) = self.first_names.get(&group) {
                member.kind = MemberKind::HardLink;
                member.link_name.clone_from(first);
                return self.header(&member);
            }
            self.first_names.insert(group, path.clone());
        }
        member.kind = match planned.kind {
            Kind::Directory => {
                member.name.push(b'/');
                MemberKind::Directory
            }
            Kind::Symlink => {
                member.link_name = planned.target;
                MemberKind::Symlink
            }
            Kind::CharDevice => MemberKind::CharacterDevice,
            Kind::BlockDevice => MemberKind::BlockDevice,
            Kind::Fifo => MemberKind::Fifo,
            _ => MemberKind::File,
        };
        (member.device_major, member.device_minor) = (planned.device_major, planned.device_minor);
        member.size_bytes = planned.content.size();
        self.header(&member)?;
        self.size_bytes += member.size_bytes;
        if planned.is_opaque {
            let mut mark = NewMember::default();
            mark.name = join(&path, b".wh..wh..opq");
            mark.seconds = self.times.seconds(Timestamp::default());
            self.header(&mark)?;
        }
        self.content(&path, planned.content)
    }

    fn header(&mut self, member: &NewMember) -> Result<()> {
        self.writer.member(member).map_err(|error| cannot_write(&member.name, error))
    }

    fn content(&mut self, path: &[u8], content: Content) -> Result<()> {
        match content {
            Content::None => Ok(()),
            Content::Bytes(bytes) => {
                self.writer.write_all(&bytes).map_err(|error| cannot_write(path, error))
            }
            Content::Entry(selection, index) => {
                let entry = &selection.entries[index];
                let source = selection.path(entry);
                let is_racy = is_racy(&entry.status, self.prepared.began);
                let expected = entry.sha256.filter(|_| is_racy);
                let key = Arc::as_ptr(&selection);
                let walker = self.walkers.entry(key).or_insert_with(|| selection.view.walker());
                let reading = Reading::open(walker, &source, &entry.status)?;
                copy(&mut self.writer, &mut self.buffer, reading, path, expected)
            }
            Content::Stage { path: source, status } => {
                let reading = Reading::open(self.stage, &source, &status)?;
                copy(&mut self.writer, &mut self.buffer, reading, path, None)
            }
            Content::Part { file, offset, length, sparse: None, .. } => {
                self.part(path, file, offset, length)
            }
            Content::Part { file, offset, sparse: Some(fragments), size, .. } => {
                self.sparse(path, file, offset, &fragments, size)
            }
        }
    }

    fn part(&mut self, path: &[u8], file: usize, mut offset: u64, length: u64) -> Result<()> {
        let mut left = length;
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(BUFFER_BYTES);
            let count = match self.files[file].read_at(&mut self.buffer[..room], offset) {
                Ok(0) => return Err(changed(path, length, length - left)),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let detail = "its content cannot be read";
                    return Err(Error::new(ErrorKind::Io, shown(path), detail).with_source(error));
                }
            };
            self.writer
                .write_all(&self.buffer[..count])
                .map_err(|error| cannot_write(path, error))?;
            offset += count as u64;
            left -= count as u64;
        }
        Ok(())
    }

    /// A file with holes, which become zeros.
    fn sparse(
        &mut self,
        path: &[u8],
        file: usize,
        mut offset: u64,
        fragments: &[Fragment],
        size: u64,
    ) -> Result<()> {
        let mut at = 0;
        for fragment in fragments {
            self.zeros(path, fragment.offset - at)?;
            self.part(path, file, offset, fragment.length)?;
            offset += fragment.length;
            at = fragment.offset + fragment.length;
        }
        self.zeros(path, size - at)
    }

    fn zeros(&mut self, path: &[u8], count: u64) -> Result<()> {
        let mut zeros = io::Read::take(io::repeat(0), count);
        let copied = io::copy(&mut zeros, &mut self.writer);
        copied.map(drop).map_err(|error| cannot_write(path, error))
    }
}

/// Compares an archive that was taken apart with what was hashed.
fn verify_archive(found: &Selection, began: SystemTime, buffer: &mut [u8]) -> Result<()> {
    let Some(entry) = found.entries.first() else { return Ok(()) };
    let path = found.path(entry);
    let mut reading = Reading::open(&mut found.view.walker(), &path, &entry.status)?;
    let Some(expected) = entry.sha256.filter(|_| is_racy(&entry.status, began)) else {
        return Ok(());
    };
    let mut hasher = Hasher::new(Algorithm::Sha256);
    loop {
        match reading.read(buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    match sha256(hasher) == expected {
        true => Ok(()),
        false => Err(changed(&path, entry.status.size_bytes, entry.status.size_bytes)),
    }
}

/// Copies a file that must be the one that was described, and must have the digest if one is given.
fn copy<W: Write>(
    writer: &mut MemberWriter<W>,
    buffer: &mut [u8],
    mut reading: Reading<'_>,
    path: &[u8],
    expected: Option<[u8; 32]>,
) -> Result<()> {
    let mut hasher = expected.map(|_| Hasher::new(Algorithm::Sha256));
    let mut size = 0;
    loop {
        let count = reading.read(buffer)?;
        if count == 0 {
            break;
        }
        if let Some(hasher) = &mut hasher {
            hasher.update(&buffer[..count]);
        }
        size += count as u64;
        writer.write_all(&buffer[..count]).map_err(|error| cannot_write(path, error))?;
    }
    match hasher.map(sha256) {
        Some(found) if Some(found) != expected => Err(changed(path, size, size)),
        _ => Ok(()),
    }
}

fn cannot_write(path: &[u8], error: io::Error) -> Error {
    let detail = match error.kind() {
        io::ErrorKind::InvalidInput => "cannot be put into a layer",
        _ => "cannot be written to the layer",
    };
    Error::new(ErrorKind::Io, shown(path), detail).with_source(error)
}

impl Content {
    fn size(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Entry(selection, index) => selection.entries[*index].status.size_bytes,
            Self::Part { size, .. } => *size,
            Self::Stage { status, .. } => status.size_bytes,
        }
    }
}
