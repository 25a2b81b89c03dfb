//! The same COPY by both.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cask_build::{
    AddOptions, Context, CopyItem, CopyRequest, CopyTools, IgnoreChoice, View, WriteOptions,
    prepare,
};
use cask_layer::{ApplyOptions, DiffOptions, MemberKind, MemberLimits, Members, apply, diff_tree};
use cask_rootfs::Root;
use tempfile::TempDir;

/// What buildah makes of a line.
pub(crate) enum Verdict {
    /// The same.
    Same,
    /// Something else, or an error where we have none; and why we do not.
    Differs(#[expect(dead_code, reason = "it is for who reads the table")] &'static str),
    /// An error, as we do; ours says this.
    Fails(&'static str),
}

/// Files by path: what is said of each.
pub(crate) type Files = BTreeMap<String, String>;

/// Buildah, with a store of its own, and a context.
pub(crate) struct Peer {
    place: TempDir,
    program: PathBuf,
}

impl Peer {
    /// `None`, where it may be missing, without buildah or as another user than root.
    #[expect(clippy::print_stderr, reason = "whoever runs the tests should know what did not run")]
    pub(crate) fn start() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let program = std::env::split_paths(&path).map(|place| place.join("buildah"));
        let program = program.into_iter().find(|program| program.is_file());
        let is_root = rustix::process::geteuid().is_root();
        let Some(program) = program.filter(|_| is_root) else {
            assert!(std::env::var_os("CI").is_none(), "buildah and root are needed");
            eprintln!("not compared: buildah and root are needed");
            return None;
        };
        let place = tempfile::tempdir().unwrap();
        make_context(&place.path().join("context"));
        Some(Self { place, program })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn theirs(&self, line: &str) -> Result<Files, String> {
        let (file, output) = (self.path("Containerfile"), self.path("output.tar"));
        fs::write(&file, format!("FROM scratch\nCOPY stage /\n{line}\n")).unwrap();
        let _ = fs::remove_file(&output);
        let run = Command::new(&self.program)
            .arg("--root")
            .arg(self.path("root"))
            .arg("--runroot")
            .arg(self.path("run"))
            .args(["--storage-driver", "vfs", "bud", "-q", "--layers=false", "--output"])
            .arg(format!("type=tar,dest={}", output.display()))
            .arg("-f")
            .arg(&file)
            .arg(self.path("context"))
            .output()
            .unwrap();
        if !run.status.success() {
            return Err(String::from_utf8_lossy(&run.stderr).into_owned());
        }
        Ok(files(&fs::read(output).unwrap()))
    }

    pub(crate) fn ours(&self, line: &str) -> Result<Files, String> {
        let tree = tempfile::tempdir_in(self.place.path()).unwrap();
        let root = Root::open(tree.path()).unwrap();
        for line in ["COPY stage /", line] {
            let context = Context::directory(self.path("context"), &IgnoreChoice::default());
            let request = request(Arc::new(context.unwrap()), line);
            let tools = CopyTools::new(self.place.path());
            let view = View::of_root(root.try_clone().unwrap());
            let mut layer = Vec::new();
            prepare(&request, &tools)
                .and_then(|found| found.write(&view, &tools, &WriteOptions::default(), &mut layer))
                .map_err(|error| error.to_string())?;
            apply(&layer[..], &root, &ApplyOptions::default(), ()).unwrap();
        }
        let (_, tar) = diff_tree(&root, Vec::new(), &DiffOptions::default()).unwrap();
        Ok(files(&tar))
    }
}

fn request(context: Arc<Context>, line: &str) -> CopyRequest {
    let mut words: Vec<&str> = line.split(' ').collect();
    let mut request = CopyRequest::new(context, words.pop().unwrap());
    for word in words {
        match word {
            "COPY" => {}
            "ADD" => request.add = Some(AddOptions::default()),
            word => match word.split_once('=') {
                Some(("--chown", owner)) => request.owner = Some(owner.to_owned()),
                Some(("--chmod", mode)) => request.mode = Some(mode.to_owned()),
                _ => request.sources.push(CopyItem::Path(word.to_owned())),
            },
        }
    }
    request
}

/// What a tar stream has. The times of directories are left out: buildah changes those that it writes
/// to.
fn files(tar: &[u8]) -> Files {
    let mut files = Files::new();
    let mut members = Members::new(tar, MemberLimits::default());
    while let Some(mut entry) = members.next_member().unwrap() {
        let mut content = Vec::new();
        entry.payload.read_to_end(&mut content).unwrap();
        let member = entry.member;
        let path = String::from_utf8_lossy(&member.name);
        let path = path.trim_start_matches("./").trim_matches('/').to_owned();
        let link = String::from_utf8_lossy(&member.link_name);
        let (uid, gid, mode) = (member.uid, member.gid, member.mode & 0o7777);
        let said = match member.kind {
            MemberKind::HardLink => format!("hard link to {link}"),
            MemberKind::Directory => format!("directory {mode:04o} {uid}:{gid}"),
            MemberKind::Symlink => format!("-> {link} {uid}:{gid} @{}", member.modified.seconds),
            kind => {
                let text = String::from_utf8_lossy(&content);
                let time = member.modified.seconds;
                format!("{kind:?} {mode:04o} {uid}:{gid} @{time} {text:?}")
            }
        };
        if !path.is_empty() {
            files.insert(path, said);
        }
    }
    files
}

/// What is different, line by line.
pub(crate) fn explain(
    line: &str,
    ours: &Result<Files, String>,
    theirs: &Result<Files, String>,
) -> String {
    let mut text = format!("== {line}\n");
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) if ours == theirs => text += "   the same\n",
        (Ok(ours), Ok(theirs)) => {
            let mut paths: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
            paths.sort();
            paths.dedup();
            for path in paths {
                let (ours, theirs) = (ours.get(path), theirs.get(path));
                if ours != theirs {
                    text += &format!("   {path}: ours {ours:?}, theirs {theirs:?}\n");
                }
            }
        }
        _ => {
            let short = |result: &Result<Files, String>| match result {
                Ok(files) => format!("{} files", files.len()),
                Err(error) => error.chars().take(600).collect(),
            };
            text += &format!("   ours: {}\n   theirs: {}\n", short(ours), short(theirs));
        }
    }
    text
}

const FILES: &[&str] = &[
    "stage/etc/passwd=root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n",
    "stage/etc/group=root:x:0:\nstaff:x:50:\napp:x:1001:\n",
    "stage/usr/bin/tool",
    "stage/app/conf/old",
    "stage/app/dir/inside",
    "stage/app/file",
    "a",
    "b",
    "run",
    "sgid/f",
    "d/f",
    "d/sub/s",
    "merge/conf/new",
    "root/bin/x",
    "root/abs/y",
    "replace/dir=now a file",
    "under/file/x",
    "over/file=new",
    "over/lib=new",
    "linked/f",
    "hard/b",
    "special/f",
    "empty=",
    "hidden.tmp",
    ".dockerignore=*.tmp\n",
    "archive/conf/new",
    "archive/etc/x",
    "archive/lib/y",
    "dir-archive/dir=now a file",
];

const LINKS: &[(&str, &str)] = &[
    ("stage/bin", "usr/bin"),
    ("stage/app/lib", "../usr"),
    ("stage/l", "app/file"),
    ("stage/abs", "/app"),
    ("stage/up", "../../../../app"),
    ("stage/dangling", "/w/t"),
    ("link", "a"),
    ("dlink", "d"),
    ("climb", "../../../../a"),
    ("dangling", "nothing"),
    ("outside", "/etc/hostname"),
    ("d/link", "../a"),
    ("linked/new", "nothing"),
    ("link-over/dir", "nothing"),
];

const MODES: &[(&str, u32)] = &[
    ("run", 0o6755),
    ("sgid", 0o2775),
    ("d", 0o700),
    ("d/sub", 0o711),
    ("d/sub/s", 0o600),
    ("merge/conf", 0o711),
    ("stage/app", 0o1777),
    ("stage/app/conf", 0o700),
    ("archive/conf", 0o711),
];

fn make_context(root: &Path) {
    for line in FILES {
        let (path, content) = line.split_once('=').unwrap_or((line, line));
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    for (path, target) in LINKS {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        symlink(target, root.join(path)).unwrap();
    }
    fs::hard_link(root.join("hard/b"), root.join("hard/a")).unwrap();
    let pipe = root.join("special/pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, pipe, 0o644.into()).unwrap();
    let device = rustix::fs::makedev(1, 3);
    let kind = rustix::fs::FileType::CharacterDevice;
    let null = root.join("special/null");
    rustix::fs::mknodat(rustix::fs::CWD, null, kind, 0o600.into(), device).unwrap();
    for (path, mode) in MODES {
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(*mode)).unwrap();
    }
    settle(root);
    for (name, directory, flag) in [
        ("ar.tar", "archive", "-cf"),
        ("ar.tgz", "archive", "-czf"),
        ("file-over-dir.tar", "dir-archive", "-cf"),
    ] {
        let run = Command::new("tar")
            .arg(flag)
            .arg(root.join(name))
            .args(["--owner=7", "--group=8", "--sort=name", "-C"])
            .arg(root.join(directory))
            .args(if directory == "archive" { &["conf", "etc", "lib"][..] } else { &["dir"] })
            .status();
        assert!(run.unwrap().success());
    }
    let text = Command::new("gzip").arg("-c").arg(root.join("a")).output().unwrap();
    fs::write(root.join("text.gz"), text.stdout).unwrap();
    drop(std::os::unix::net::UnixListener::bind(root.join("special/sock")).unwrap());
    settle(root);
}

/// Gives everything one time.
fn settle(root: &Path) {
    let time = rustix::fs::Timespec { tv_sec: 1_000_000_000, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        rustix::fs::utimensat(rustix::fs::CWD, &path, &times, flags).unwrap();
    }
}
