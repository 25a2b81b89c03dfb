//! What was selected and hashed, and not copied yet.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use cask_containerfile::Dialect;
use cask_image::{Algorithm, Digest, Hasher};
use cask_rootfs::Kind;

use super::mode::ModeChange;
use super::remote::Remote;
use super::select::{Entry, Selection};
use super::{Component, CopyRequest};
use crate::build::Material;
use crate::context::{GitLocation, LostException, redacted};
use crate::view::{Status, is_numeric};

/// What a COPY or ADD would bring: selected and hashed, with nothing copied.
#[derive(Debug)]
pub struct Prepared {
    pub(super) request: CopyRequest,
    pub(super) sources: Vec<Source>,
    pub(super) mode: Option<ModeChange>,
    /// When hashing began.
    pub(super) began: SystemTime,
    pub(super) warnings: Vec<String>,
    pub(super) lost: Vec<LostException>,
    pub(super) digest: Digest,
}

/// One source.
#[derive(Debug)]
pub(super) enum Source {
    /// A file, or what is in a directory.
    Selection(Arc<Selection>),
    /// A file that is an archive to be taken apart.
    Archive(Arc<Selection>),
    /// A heredoc.
    File { name: String, contents: Arc<[u8]> },
    /// An URL; what was downloaded of it.
    Remote(Mutex<Remote>),
    /// A commit of a repository.
    Repository { location: Box<GitLocation>, commit: String },
}

impl Prepared {
    /// The digest of all that decides what the layer is but the stage that it is for: paths, types,
    /// permissions and owners after flags, targets of links, attributes and contents, the flags, the
    /// destination and the working directory. Not times, and nothing of the place, the order of
    /// directories, or how many threads there were.
    ///
    /// A file from an URL counts with its content, and a repository with its commit.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Parts of what the digest is made of, sorted by path: files, or directories with all that is in
    /// them where there would be more than `most`. Flags are not among them.
    pub fn components(&self, most: usize) -> Vec<Component> {
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        for source in &self.sources {
            self.source_components(source, &mut all);
        }
        fold(all, most.max(1))
    }

    /// Whether the stage that it is for decides what the layer is: with `--link` it does not, but for
    /// `--chown` with a name.
    pub fn depends_on_stage(&self) -> bool {
        let by_name = self.request.owner.as_deref().is_some_and(|owner| !is_numeric(owner));
        !self.request.link || by_name
    }

    /// `file`, `dir` or `multi`: what buildah's history says before the digest.
    pub fn kind(&self) -> &'static str {
        match self.sources.as_slice() {
            [Source::Selection(one)] if one.is_directory => "dir",
            [Source::Repository { .. }] => "dir",
            [_] => "file",
            _ => "multi",
        }
    }

    /// The newest time of modification of what is copied, in seconds since 1970; `None` where nothing
    /// that is copied has one yet.
    pub fn newest_seconds(&self) -> Option<i64> {
        let newest = |source: &Source| match source {
            Source::Selection(found) | Source::Archive(found) => {
                found.entries.iter().map(|entry| found.adapted(entry).modified.seconds).max()
            }
            Source::Remote(remote) => super::remote::locked(remote).last_modified(),
            Source::File { .. } | Source::Repository { .. } => None,
        };
        self.sources.iter().filter_map(newest).max()
    }

    /// What a user should hear of: sockets that were left out. At most 100 for each source.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Exceptions of the ignore file that were not looked for in directories that are ignored, each with the
    /// first of these: a user who is used to BuildKit should hear of them.
    pub fn lost_exceptions(&self) -> &[LostException] {
        &self.lost
    }

    /// What comes from elsewhere.
    pub(crate) fn materials(&self) -> impl Iterator<Item = Material> {
        self.sources.iter().filter_map(|source| match source {
            Source::Remote(remote) => {
                let remote = super::remote::locked(remote);
                let digest = remote.digest().to_string();
                Some(Material { uri: remote.shown_url(), digest })
            }
            Source::Repository { location, commit } => {
                let algorithm = if commit.len() > 40 { "sha256" } else { "sha1" };
                let uri = redacted(&location.to_string());
                Some(Material { uri, digest: format!("{algorithm}:{commit}") })
            }
            _ => None,
        })
    }

    /// How many files, directories and links were selected.
    pub fn entries(&self) -> usize {
        let count = |source: &Source| match source {
            Source::Selection(found) => found.entries.len(),
            _ => 1,
        };
        self.sources.iter().map(count).sum()
    }

    fn source_components(&self, source: &Source, all: &mut BTreeMap<String, String>) {
        let mut put = |path: String, hasher: Hasher| {
            all.insert(path, hasher.finish().hex().to_owned());
        };
        match source {
            Source::Selection(found) | Source::Archive(found) => {
                let mut links = Links::default();
                for entry in &found.entries {
                    let mut frames = Frames::new();
                    self.frame(found, entry, &mut links, &mut frames);
                    let mut path = String::from_utf8_lossy(&found.path(entry)).into_owned();
                    if entry.status.is_directory() {
                        path.push('/');
                    }
                    put(path, frames.0);
                }
            }
            Source::File { name, contents } => {
                let mut frames = Frames::new();
                frames.bytes(contents);
                put(format!("<<{name}"), frames.0);
            }
            Source::Remote(remote) => {
                let remote = super::remote::locked(remote);
                let mut frames = Frames::new();
                frames.bytes(remote.digest().as_str().as_bytes());
                put(remote.shown_url(), frames.0);
            }
            Source::Repository { location, commit } => {
                let mut frames = Frames::new();
                frames.bytes(commit.as_bytes());
                put(location.to_string(), frames.0);
            }
        }
    }

    /// Computes the digest.
    pub(super) fn seal(&mut self) {
        let mut frames = Frames::new();
        let request = &self.request;
        frames.bytes(b"cask-copy 1");
        frames.bytes(request.verb().as_bytes());
        frames.bytes(request.destination.as_bytes());
        frames.bytes(request.working_directory.as_bytes());
        frames.optional(request.owner.as_deref().map(str::as_bytes));
        frames.number(u64::from(request.parents) | u64::from(request.link) << 1);
        // Nothing where it is the default, so that keys stay what they were.
        if request.dialect != Dialect::default() {
            frames.bytes(format!("{:?}", request.dialect).as_bytes());
        }
        frames.number(self.sources.len() as u64);
        for source in &self.sources {
            match source {
                Source::Selection(found) | Source::Archive(found) => {
                    let is_archive = matches!(source, Source::Archive(_));
                    frames.number(if is_archive { 2 } else { 1 });
                    frames.number(
                        u64::from(found.is_directory) | u64::from(found.leads_to_directory) << 1,
                    );
                    // Of an archive the name has no effect.
                    frames.bytes(if is_archive { b"" } else { &found.name });
                    frames.number(found.entries.len() as u64);
                    let mut links = Links::default();
                    for entry in &found.entries {
                        self.frame(found, entry, &mut links, &mut frames);
                    }
                }
                Source::File { name, contents } => {
                    frames.number(3);
                    frames.bytes(name.as_bytes());
                    frames.bytes(contents);
                    frames.number(u64::from(self.mode_of(0o644, false)));
                }
                Source::Remote(remote) => {
                    let remote = super::remote::locked(remote);
                    frames.number(if remote.unpack { 5 } else { 4 });
                    frames.bytes(remote.name.as_deref().unwrap_or_default().as_bytes());
                    frames.bytes(remote.digest().as_str().as_bytes());
                    frames.optional(request.mode.as_deref().map(str::as_bytes));
                }
                Source::Repository { location, commit } => {
                    frames.number(6);
                    frames.bytes(commit.as_bytes());
                    frames.optional(location.subdirectory.as_deref().map(str::as_bytes));
                    let keeps = location.keep_git_dir == Some(true);
                    frames.number(u64::from(keeps) | u64::from(location.submodules) << 1);
                    frames.optional(request.mode.as_deref().map(str::as_bytes));
                    frames.number(request.excludes.len() as u64);
                    for exclude in &request.excludes {
                        frames.bytes(exclude.as_bytes());
                    }
                    // Where a kept repository says that it is from.
                    frames.bytes(if keeps { location.url() } else { String::new() }.as_bytes());
                }
            }
        }
        self.digest = frames.0.finish();
    }

    fn frame(&self, found: &Selection, entry: &Entry, links: &mut Links, frames: &mut Frames) {
        let status = self.flagged(found.adapted(entry));
        frames.bytes(&entry.relative);
        frames.number(kind_number(status.kind));
        frames.number(u64::from(status.mode));
        if self.request.owner.is_none() {
            frames.number(u64::from(status.uid) << 32 | u64::from(status.gid));
        }
        frames.bytes(&entry.target);
        frames.number(u64::from(status.device_major) << 32 | u64::from(status.device_minor));
        frames.number(entry.xattrs.len() as u64);
        for (name, value) in &entry.xattrs {
            frames.bytes(name);
            frames.bytes(value);
        }
        frames.bytes(entry.sha256.as_ref().map_or(&[][..], |sha256| sha256));
        frames.number(links.number(&entry.status));
    }

    /// The permissions after `--chmod`.
    pub(super) fn flagged(&self, mut status: Status) -> Status {
        if status.kind != Kind::Symlink {
            status.mode = self.mode_of(status.mode, status.is_directory());
        }
        status
    }

    pub(super) fn mode_of(&self, mode: u32, is_directory: bool) -> u32 {
        self.mode.as_ref().map_or(mode, |change| change.apply(mode, is_directory))
    }
}

/// Which names are the same file.
#[derive(Default)]
struct Links {
    known: HashMap<(u64, u64), u64>,
}

impl Links {
    /// 0 for a file with one name; the same number for the same file, in order of appearance.
    fn number(&mut self, status: &Status) -> u64 {
        if !status.is_file() || status.links < 2 {
            return 0;
        }
        let next = self.known.len() as u64 + 1;
        *self.known.entry((status.device, status.inode)).or_insert(next)
    }
}

/// Something hashed so that no two inputs are the same bytes: every part is preceded by its length.
struct Frames(Hasher);

impl Frames {
    fn new() -> Self {
        Self(Hasher::new(Algorithm::Sha256))
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn optional(&mut self, bytes: Option<&[u8]>) {
        self.number(u64::from(bytes.is_some()));
        self.bytes(bytes.unwrap_or_default());
    }
}

fn kind_number(kind: Kind) -> u64 {
    match kind {
        Kind::File => 0,
        Kind::Directory => 5,
        Kind::Symlink => 2,
        Kind::CharDevice => 3,
        Kind::BlockDevice => 4,
        Kind::Fifo => 6,
        _ => 7,
    }
}

/// Puts entries together by their directories until there are few enough.
fn fold(all: BTreeMap<String, String>, most: usize) -> Vec<Component> {
    let plain = |map: BTreeMap<String, String>| {
        map.into_iter().map(|(path, digest)| Component { path, digest }).collect()
    };
    if all.len() <= most {
        return plain(all);
    }
    let deepest = all.keys().map(|path| path.matches('/').count()).max().unwrap_or(0);
    for depth in (0..deepest).rev() {
        let mut groups: BTreeMap<String, Frames> = BTreeMap::new();
        for (path, digest) in &all {
            let end = path.match_indices('/').nth(depth).map_or(path.len(), |(at, _)| at + 1);
            let frames = groups.entry(path[..end].to_owned()).or_insert_with(Frames::new);
            frames.bytes(path.as_bytes());
            frames.bytes(digest.as_bytes());
        }
        if groups.len() <= most || depth == 0 {
            let hashed = groups.into_iter().map(|(path, frames)| {
                let digest = frames.0.finish().hex().to_owned();
                (path, digest)
            });
            let folded: BTreeMap<String, String> = hashed.collect();
            if folded.len() <= most {
                return plain(folded);
            }
        }
    }
    let mut frames = Frames::new();
    for (path, digest) in &all {
        frames.bytes(path.as_bytes());
        frames.bytes(digest.as_bytes());
    }
    vec![Component { path: "/".to_owned(), digest: frames.0.finish().hex().to_owned() }]
}
