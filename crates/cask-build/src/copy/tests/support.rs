//! Contexts, stages and layers for tests.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cask_layer::{MemberKind, MemberLimits, Members};
use cask_rootfs::Root;
use tempfile::TempDir;

use crate::context::{Context, IgnoreChoice};
use crate::copy::{
    AddOptions, CopyItem, CopyRequest, CopyTools, Prepared, WriteOptions, Written, prepare,
};
use crate::view::View;
use crate::{Error, Result};

/// The time of everything in a context and a stage.
pub(super) const THEN: i64 = 1_000_000_000;

/// The time of what is made.
pub(super) const NOW: i64 = 1_700_000_000;

/// A directory with files.
pub(super) struct Tree(pub(super) TempDir);

impl Tree {
    /// Makes files: `path`, `path/`, `path -> target`, `path=content`, with ` 0755` behind for
    /// permissions.
    pub(super) fn of(lines: &[&str]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for line in lines {
            tree.add(line);
        }
        tree.settle();
        tree
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn add(&self, line: &str) {
        let (line, mode) = match line.rsplit_once(" 0") {
            Some((front, mode)) => (front, Some(u32::from_str_radix(mode, 8).unwrap())),
            None => (line, None),
        };
        let (name, _) = line.split_once('=').unwrap_or((line, ""));
        let (name, target) = name.split_once(" -> ").map_or((name, None), |(n, t)| (n, Some(t)));
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match (target, line.split_once('='), name.ends_with('/')) {
            (Some(target), ..) => symlink(target, &path).unwrap(),
            (None, _, true) => fs::create_dir_all(&path).unwrap(),
            (None, Some((_, content)), _) => fs::write(&path, content).unwrap(),
            (None, None, _) => fs::write(&path, name).unwrap(),
        }
        if target.is_none() {
            let default = if name.ends_with('/') { 0o755 } else { 0o644 };
            let mode = fs::Permissions::from_mode(mode.unwrap_or(default));
            fs::set_permissions(&path, mode).unwrap();
        }
    }

    /// Gives everything one time and directories one mode.
    pub(super) fn settle(&self) {
        let mut left = vec![self.path().to_owned()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(&directory).unwrap() {
                let path = entry.unwrap().path();
                if fs::symlink_metadata(&path).unwrap().is_dir() {
                    left.push(path.clone());
                }
                touch(&path);
            }
        }
    }

    pub(super) fn view(&self) -> View {
        View::of_root(Root::open(self.path()).unwrap())
    }

    pub(super) fn context(&self) -> Arc<Context> {
        Arc::new(Context::directory(self.path(), &IgnoreChoice::default()).unwrap())
    }
}

/// An owner; the stages of tests belong to who runs them, and are meant to belong to 0:0.
fn inside(uid: i64, gid: i64) -> (i64, i64) {
    let own = rustix::process::geteuid().as_raw();
    if own != 0 && uid == i64::from(own) { (0, 0) } else { (uid, gid) }
}

pub(super) fn touch(path: &Path) {
    let time = rustix::fs::Timespec { tv_sec: THEN, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, flags).unwrap();
}

/// A layer that was written.
pub(super) struct Layer {
    pub(super) tar: Vec<u8>,
    pub(super) written: Written,
}

impl Layer {
    /// Lines of `path mode uid:gid`, with ` +` for the time of things made; ` -> target`; ` = link`.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.each(|member, _| {
            let mut line = String::from_utf8_lossy(&member.name).into_owned();
            let link = String::from_utf8_lossy(&member.link_name).into_owned();
            let (uid, gid) = inside(member.uid, member.gid);
            match member.kind {
                MemberKind::Symlink => {
                    line += &format!(" -> {link}");
                    if uid != 0 {
                        line += &format!(" {uid}:{gid}");
                    }
                }
                MemberKind::HardLink => line += &format!(" = {link}"),
                kind => {
                    line += &format!(" {:04o}", member.mode & 0o7777);
                    if (uid, gid) != (0, 0) {
                        line += &format!(" {uid}:{gid}");
                    }
                    if !matches!(kind, MemberKind::File | MemberKind::Directory) {
                        line += &format!(" {kind:?}");
                    }
                }
            }
            match member.modified.seconds {
                THEN => {}
                NOW => line += " +",
                other => line += &format!(" @{other}"),
            }
            lines.push(line);
        });
        lines
    }

    /// The content of a file.
    pub(super) fn content(&self, path: &str) -> String {
        let mut found = None;
        self.each(|member, content| {
            if member.name == path.as_bytes() && member.kind == MemberKind::File {
                found = Some(String::from_utf8_lossy(content).into_owned());
            }
        });
        found.unwrap_or_else(|| panic!("{path} is not in {:?}", self.lines()))
    }

    fn each(&self, mut see: impl FnMut(&cask_layer::Member, &[u8])) {
        let mut members = Members::new(&self.tar[..], MemberLimits::default());
        while let Some(mut entry) = members.next_member().unwrap() {
            let mut content = Vec::new();
            entry.payload.read_to_end(&mut content).unwrap();
            see(entry.member, &content);
        }
    }
}

/// A COPY from a directory, as `[options] sources… destination`.
pub(super) fn request(context: Arc<Context>, line: &str) -> CopyRequest {
    let mut words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
    let mut request = CopyRequest::new(context, words.pop().unwrap());
    for word in words {
        let Some(option) = word.strip_prefix("--") else {
            request.sources.push(CopyItem::Path(word.to_owned()));
            continue;
        };
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name {
            "chown" => request.owner = Some(value.to_owned()),
            "chmod" => request.mode = Some(value.to_owned()),
            "exclude" => request.excludes.push(value.to_owned()),
            "parents" => request.parents = true,
            "link" => request.link = true,
            "workdir" => value.clone_into(&mut request.working_directory),
            "add" => request.add = Some(AddOptions::default()),
            "checksum" => add(&mut request).checksum = Some(value.to_owned()),
            "unpack" => add(&mut request).unpack = Some(value == "true"),
            "keep-git-dir" => add(&mut request).keep_git_dir = Some(true),
            _ => panic!("{option}"),
        }
    }
    request
}

fn add(request: &mut CopyRequest) -> &mut AddOptions {
    request.add.get_or_insert_with(AddOptions::default)
}

pub(super) fn scratch() -> PathBuf {
    std::env::temp_dir()
}

pub(super) fn write(prepared: &Prepared, stage: &View, tools: &CopyTools<'_>) -> Result<Layer> {
    let options = WriteOptions { created_seconds: NOW, ..WriteOptions::default() };
    let mut tar = Vec::new();
    let written = prepared.write(stage, tools, &options, &mut tar)?;
    Ok(Layer { tar, written })
}

/// Copies from a context to a stage.
pub(super) fn copy(context: &Tree, stage: &View, line: &str) -> Result<Layer> {
    let scratch = scratch();
    let tools = CopyTools::new(&scratch);
    let prepared = prepare(&request(context.context(), line), &tools)?;
    write(&prepared, stage, &tools)
}

/// Compares the layer that a COPY makes.
pub(super) fn check(context: &Tree, stage: &View, line: &str, expected: &[&str]) -> Layer {
    match copy(context, stage, line) {
        Ok(layer) => {
            assert_eq!(layer.lines(), expected, "{line}");
            layer
        }
        Err(error) => panic!("{line}: {}", chain(&error)),
    }
}

/// Compares why a COPY fails.
pub(super) fn check_error(context: &Tree, stage: &View, line: &str, expected: &str) -> Error {
    match copy(context, stage, line) {
        Ok(layer) => panic!("{line}: {:?}", layer.lines()),
        Err(error) => {
            assert!(error.to_string().contains(expected), "{line}: {}", chain(&error));
            error
        }
    }
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}
