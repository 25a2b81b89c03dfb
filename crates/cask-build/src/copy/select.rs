//! Which files of a context are copied.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use cask_containerfile::{Behavior, Dialect, IgnoreFile};
use cask_rootfs::Kind;

use super::glob;
use super::missing;
use crate::context::{Context, Ignore, LostException, Origin};
use crate::view::{Resolution, Status, View, Walker, join, parent_and_name, shown};
use crate::{Error, ErrorKind, Result};

/// The most files of one COPY.
const MAX_ENTRIES: usize = 5_000_000;

/// A file, or what is in a directory, that is copied.
pub(super) struct Selection {
    pub(super) view: View,
    pub(super) origin: Origin,
    /// The directory that the entries are in, without links in it.
    pub(super) root: Vec<u8>,
    /// The name of a single file at its destination; that of the link if it was one.
    pub(super) name: Vec<u8>,
    /// Whether it is what is in a directory; else one entry.
    pub(super) is_directory: bool,
    /// Whether it is a link, copied as such, that leads to a directory.
    pub(super) leads_to_directory: bool,
    /// A directory comes before what is in it.
    pub(super) entries: Vec<Entry>,
}

/// One file, directory, link or device.
pub(super) struct Entry {
    /// The path below the root of the selection.
    pub(super) relative: Box<[u8]>,
    /// As it is in the context.
    pub(super) status: Status,
    pub(super) target: Box<[u8]>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Of the content of a file, once it is hashed.
    pub(super) sha256: Option<[u8; 32]>,
}

impl Selection {
    /// The path of an entry in its view.
    pub(super) fn path(&self, entry: &Entry) -> Vec<u8> {
        join(&self.root, &entry.relative)
    }

    /// What of an entry reaches an image before flags are applied.
    pub(super) fn adapted(&self, entry: &Entry) -> Status {
        let mut status = entry.status;
        self.origin.adapt(&mut status);
        status
    }
}

/// Takes files from one context.
pub(super) struct Selector<'c> {
    context: &'c Context,
    walker: Walker,
    excludes: IgnoreFile,
    dialect: Dialect,
    /// Whether a source that is a link is copied itself.
    pub(super) keep_links: bool,
    /// How many entries there are so far, of all selections.
    count: usize,
    /// How many files the ignore file has hidden.
    pub(super) hidden: usize,
    pub(super) warnings: Vec<String>,
    /// Exceptions that were not looked for, by their lines, each with the first directory.
    lost: BTreeMap<usize, LostException>,
}

/// Which files of a directory are meant.
struct Wanted {
    matching: IgnoreFile,
    /// The same as exceptions, which tell where to look for more.
    below: IgnoreFile,
}

impl<'c> Selector<'c> {
    pub(super) fn new(context: &'c Context, excludes: &[String], dialect: Dialect) -> Result<Self> {
        let excludes = IgnoreFile::from_patterns(excludes).map_err(|error| {
            Error::new(ErrorKind::Invalid, "--exclude", "is no pattern").with_source(error)
        })?;
        let (count, hidden) = (0, 0);
        let walker = context.view().walker();
        let (warnings, lost) = (Vec::new(), BTreeMap::new());
        let keep_links = false;
        Ok(Self { context, walker, excludes, dialect, keep_links, count, hidden, warnings, lost })
    }

    /// The selections of a path or a pattern. A pattern may have none; a path without anything there
    /// is an error.
    pub(super) fn select(&mut self, text: &str) -> Result<Vec<Selection>> {
        let cleaned = clean(text);
        if !glob::is_pattern(&cleaned) {
            return Ok(self.one(cleaned.as_bytes(), text)?.into_iter().collect());
        }
        let mut selections = Vec::new();
        for path in self.matches(&cleaned)? {
            if self.is_hidden_for_good(&path)? {
                self.hidden += 1;
                continue;
            }
            selections.extend(self.one(&path, text)?);
        }
        Ok(selections)
    }

    /// The exceptions that were not looked for in directories, each with the first of these.
    pub(super) fn lost_exceptions(&mut self) -> Vec<LostException> {
        std::mem::take(&mut self.lost).into_values().collect()
    }

    fn matches(&mut self, pattern: &str) -> Result<Vec<Vec<u8>>> {
        let crosses = self.dialect.does(Behavior::PatternsCrossDirectories);
        glob::expand(&mut self.walker, pattern, crosses)
    }

    /// The selections of `--parents`: what a pattern matches below what is before `/./`.
    pub(super) fn select_with_parents(&mut self, text: &str) -> Result<Vec<Selection>> {
        let (front, pattern) = text.split_once("/./").unwrap_or(("", text));
        let (front, pattern) = (clean(front), clean(pattern));
        let roots = match glob::is_pattern(&front) {
            true => self.matches(&front)?,
            false => vec![front.into_bytes()],
        };
        let invalid = |error| {
            Error::new(ErrorKind::Invalid, format!("{text:?}"), "is no pattern").with_source(error)
        };
        let wanted = match pattern.is_empty() {
            true => None,
            false => Some(Wanted {
                matching: IgnoreFile::from_patterns([&pattern]).map_err(invalid)?,
                below: IgnoreFile::from_patterns([format!("!{pattern}")]).map_err(invalid)?,
            }),
        };
        let mut selections = Vec::new();
        for root in roots {
            let Resolution::Found(found) = self.walker.resolve(&root, true)? else {
                return Err(self.missing(&root));
            };
            if !self.walker.status(&found)?.is_some_and(|status| status.is_directory()) {
                continue;
            }
            let selection = self.tree(found.clone(), wanted.as_ref())?;
            if selection.entries.is_empty() && !glob::is_pattern(text) {
                return Err(self.missing(&join(&found, pattern.as_bytes())));
            }
            selections.extend((!selection.entries.is_empty()).then_some(selection));
        }
        Ok(selections)
    }

    /// What a path leads to.
    fn one(&mut self, path: &[u8], text: &str) -> Result<Option<Selection>> {
        let found = match self.walker.resolve(path, !self.keep_links)? {
            Resolution::Found(found) => found,
            _ => return Err(self.missing(path)),
        };
        let Some(status) = self.walker.status(&found)? else { return Err(self.missing(path)) };
        if status.is_directory() {
            if self.is_hidden_for_good(path)? || self.is_hidden_for_good(&found)? {
                return Err(self.missing(path));
            }
            let selection = self.tree(found.clone(), None)?;
            // What is kept below brings its directories with it: with nothing kept there is none.
            if selection.entries.is_empty() && (self.hides(path) || self.hides(&found)) {
                return Err(self.missing(path));
            }
            return Ok(Some(selection));
        }
        if self.hides(path) || self.hides(&found) {
            return Err(self.missing(path));
        }
        if status.kind == Kind::Socket {
            let detail = "is a socket, which no image can have";
            return Err(Error::new(ErrorKind::Invalid, shown(path), detail));
        }
        let (parent, _) = parent_and_name(&found);
        let (_, name) = parent_and_name(path);
        // What is named itself is wanted, as with BuildKit.
        let excluded = [name, path].map(|path| self.excludes.is_ignored(&lossy(path)));
        if excluded.contains(&true) && glob::is_pattern(text) {
            return Ok(None);
        }
        let mut selection = self.selection(parent.to_vec(), false);
        selection.leads_to_directory =
            status.kind == Kind::Symlink && self.leads_to_directory(&found)?;
        selection.name = if name.is_empty() { text.as_bytes().to_vec() } else { name.to_vec() };
        check_name(&selection.name, path)?;
        let entry = self.entry(&found, parent.len(), status)?;
        selection.entries.push(entry);
        Ok(Some(selection))
    }

    fn leads_to_directory(&mut self, path: &[u8]) -> Result<bool> {
        let Ok(Resolution::Found(found)) = self.walker.resolve(path, true) else {
            return Ok(false);
        };
        Ok(self.walker.status(&found)?.is_some_and(|status| status.is_directory()))
    }

    /// Whether the ignore file hides a path itself.
    fn hides(&self, path: &[u8]) -> bool {
        self.context.ignored(&lossy(path)).is_some()
    }

    fn selection(&self, root: Vec<u8>, is_directory: bool) -> Selection {
        let origin = self.context.origin();
        Selection {
            view: self.context.view().clone(),
            origin: match self.dialect.does(Behavior::StripsSetuidFromContext) {
                true => origin,
                false => origin.keeping_privileges(),
            },
            root,
            name: Vec::new(),
            is_directory,
            leads_to_directory: false,
            entries: Vec::new(),
        }
    }

    /// What is in a directory.
    fn tree(&mut self, root: Vec<u8>, wanted: Option<&Wanted>) -> Result<Selection> {
        let mut selection = self.selection(root, true);
        let mut levels = vec![self.level(&selection.root, None)?];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.pop() else {
                levels.pop();
                continue;
            };
            let path = join(&level.path, name.as_bytes());
            let relative = relative(&path, selection.root.len());
            let Some(status) = self.walker.status(&path)? else {
                let detail = "is not there any more: it was removed while it was copied";
                return Err(Error::new(ErrorKind::Mismatch, shown(&path), detail));
            };
            let (is_hidden, may_have_more) =
                self.visibility(&path, relative, status.is_directory(), wanted);
            if status.kind == Kind::Socket && !is_hidden {
                self.warn(format!("{} is a socket, and left out", shown(&path)));
                continue;
            }
            if is_hidden && !(status.is_directory() && may_have_more) {
                continue;
            }
            check_name(name.as_bytes(), &path)?;
            let entry = self.entry(&path, selection.root.len(), status)?;
            if is_hidden {
                let is_known = self.dialect.does(Behavior::IgnoredDirectoriesKeepTheirMode)
                    || !self.hides(&path);
                let level = self.level(&path, is_known.then_some(entry))?;
                levels.push(level);
                continue;
            }
            let pending = levels.iter_mut().filter_map(|level| level.entry.take());
            selection.entries.extend(pending);
            selection.entries.push(entry);
            if status.is_directory() {
                let level = self.level(&path, None)?;
                levels.push(level);
            }
        }
        Ok(selection)
    }

    fn level(&mut self, path: &[u8], entry: Option<Entry>) -> Result<Level> {
        let names = self.walker.names(path)?;
        let mut names = names.ok_or_else(|| crate::view::not_a_directory(path))?;
        names.reverse();
        Ok(Level { path: path.to_vec(), names, entry })
    }

    /// Whether an entry is hidden, and whether something in it may not be.
    fn visibility(
        &mut self,
        path: &[u8],
        relative: &[u8],
        is_directory: bool,
        wanted: Option<&Wanted>,
    ) -> (bool, bool) {
        let (mut is_hidden, mut may_have_more) = (false, true);
        if let Some(ignore) = self.context.ignore().filter(|ignore| !ignore.is_empty()) {
            let path = lossy(path);
            if ignore.is_ignored(&path) {
                self.hidden += 1;
                is_hidden = true;
                may_have_more &= is_directory && self.may_keep_below(ignore, &path);
            }
        }
        if self.excludes.rules().is_empty() && wanted.is_none() {
            return (is_hidden, may_have_more);
        }
        let relative = lossy(relative);
        if self.excludes.is_ignored(&relative) {
            is_hidden = true;
            may_have_more &= self.excludes.may_keep_below(&relative);
        }
        if let Some(wanted) = wanted
            && !wanted.matching.is_ignored(&relative)
        {
            is_hidden = true;
            may_have_more &= wanted.below.may_keep_below(&relative);
        }
        (is_hidden, may_have_more)
    }

    fn entry(&mut self, path: &[u8], root_length: usize, status: Status) -> Result<Entry> {
        self.count += 1;
        if self.count > MAX_ENTRIES {
            let detail = format!("has more than {MAX_ENTRIES} files to copy");
            return Err(Error::new(ErrorKind::Limit, self.context.name(), detail));
        }
        let target = match status.kind {
            Kind::Symlink => self.walker.read_link(path)?,
            _ => Vec::new(),
        };
        // Those of files are read when they are hashed: mostly it is known that there are none.
        let xattrs = match status.kind {
            Kind::Directory => self.walker.xattrs(path)?,
            _ => Vec::new(),
        };
        let relative = relative(path, root_length).into();
        Ok(Entry { relative, status, target: target.into(), xattrs, sha256: None })
    }

    /// Whether something below a hidden directory may be seen.
    fn may_keep_below(&mut self, ignore: &Ignore, path: &str) -> bool {
        if self.dialect.does(Behavior::ExceptionsMayBeginWithPatterns) {
            return ignore.may_keep_below(path);
        }
        let may_keep = ignore.rules().has_exception_that_begins_with(path);
        if !may_keep {
            for lost in ignore.lost_exceptions(path) {
                self.lost.entry(lost.line).or_insert(lost);
            }
        }
        may_keep
    }

    /// Whether a path is hidden with all that is in it.
    fn is_hidden_for_good(&mut self, path: &[u8]) -> Result<bool> {
        let Some(ignore) = self.context.ignore() else { return Ok(false) };
        let text = lossy(path);
        if !ignore.is_ignored(&text) {
            return Ok(false);
        }
        let Resolution::Found(found) = self.walker.resolve(path, true)? else { return Ok(true) };
        let status = self.walker.status(&found)?;
        let is_directory = status.is_some_and(|status| status.is_directory());
        Ok(!(is_directory && self.may_keep_below(ignore, &text)))
    }

    fn missing(&mut self, path: &[u8]) -> Error {
        missing::missing(self.context, &mut self.walker, path)
    }

    fn warn(&mut self, text: String) {
        if self.warnings.len() < 100 {
            self.warnings.push(text);
        }
    }
}

/// A directory on the way down.
struct Level {
    path: Vec<u8>,
    /// What is left, the next one last.
    names: Vec<OsString>,
    /// The directory itself, if it is hidden and nothing in it was seen so far.
    entry: Option<Entry>,
}

fn relative(path: &[u8], root_length: usize) -> &[u8] {
    let rest = &path[root_length.min(path.len())..];
    rest.strip_prefix(b"/").unwrap_or(rest)
}

fn lossy(path: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(path)
}

/// Refuses a name that would delete another one when the layer is read.
fn check_name(name: &[u8], path: &[u8]) -> Result<()> {
    if name.starts_with(b".wh.") {
        let detail = "cannot be copied: in a layer, a name that begins with .wh. means a deletion";
        return Err(Error::new(ErrorKind::Invalid, shown(path), detail)
            .with_hint("rename it, or exclude it by an ignore file"));
    }
    Ok(())
}

/// A source as a path below the context: without `.` and `..`, which stops at the root.
pub(crate) fn clean(text: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// All files of a tree, as a repository's are added.
pub(super) fn whole(context: &Context, excludes: &[String]) -> Result<Selection> {
    Selector::new(context, excludes, Dialect::default())?.tree(Vec::new(), None)
}

impl std::fmt::Debug for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Selection")
            .field("root", &OsString::from_vec(self.root.clone()))
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}
