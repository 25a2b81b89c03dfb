//! What a case is built from, and how its result is written down.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use serde_json::{Map, Value, json};
use tests::{command, run};

use crate::case::{CHANGED, set_times};
use crate::difference::Built;
use crate::image::File;

/// A Containerfile and what is special about its build.
#[derive(Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    text: &'static str,
    /// What buildah is given instead, where it does not know the construct: another way to the same files.
    like: Option<&'static str>,
    /// Files beside those that every context has, and what is in them.
    texts: &'static [(&'static str, &'static str)],
    pub(super) flags: &'static [&'static str],
}

/// A case whose build is like any other's.
pub(super) const fn case(name: &'static str, text: &'static str) -> Case {
    Case { name, text, like: None, texts: &[], flags: &[] }
}

impl Case {
    pub(super) const fn like(self, text: &'static str) -> Self {
        Self { like: Some(text), ..self }
    }

    pub(super) const fn texts(self, texts: &'static [(&'static str, &'static str)]) -> Self {
        Self { texts, ..self }
    }

    pub(super) const fn flags(self, flags: &'static [&'static str]) -> Self {
        Self { flags, ..self }
    }

    /// Whether the two are given different files: their steps cannot be compared then.
    pub(super) fn is_like(&self) -> bool {
        self.like.is_some()
    }

    /// Writes the Containerfile and the context of a case, and says which they are.
    pub(super) fn write(&self, into: &Path, is_peer: bool) -> [String; 2] {
        let (file, context) = (into.join("Containerfile"), into.join("context"));
        let text = self.like.filter(|_| is_peer).unwrap_or(self.text);
        fs::write(&file, text).expect("a scratch directory is writable");
        write_context(&context);
        for (path, text) in self.texts {
            fs::write(context.join(path), text).expect("a scratch directory is writable");
        }
        set_times(&context);
        [file, context].map(|path| path.display().to_string())
    }
}

/// Every file of a context, each with its own path in it: the path, its permissions.
const FILES: [(&str, u32); 11] = [
    ("a.txt", 0o644),
    ("b.txt", 0o644),
    ("a file.txt", 0o644),
    (".hidden", 0o644),
    ("run.sh", 0o755),
    ("secret", 0o600),
    ("suid", 0o6755),
    ("d/x.c", 0o644),
    ("d/y.h", 0o644),
    ("d/.h", 0o644),
    ("d/sub/z.c", 0o640),
];

/// The links of every context, and their targets.
const LINKS: [(&str, &str); 6] = [
    ("link", "a.txt"),
    ("dlink", "d"),
    ("l/up", "../a.txt"),
    ("l/whole", "/etc/passwd"),
    ("l/gone", "nowhere"),
    ("l/dir", "../d"),
];

fn write_context(context: &Path) {
    let parent = |path: &Path| {
        fs::create_dir_all(path.parent().expect("it is in a directory")).expect("writable");
    };
    for (name, mode) in FILES {
        let path = context.join(name);
        parent(&path);
        fs::write(&path, format!("{name}\n")).expect("a scratch directory is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
    }
    for (name, target) in LINKS {
        parent(&context.join(name));
        symlink(target, context.join(name)).expect("a scratch directory is writable");
    }
    let sub = context.join("d/sub");
    fs::set_permissions(&sub, fs::Permissions::from_mode(0o711)).expect("it is ours");
    chown(&sub, Some(5), Some(6)).expect("tests run as root");
    // What archives are made of is gone when they are.
    fs::create_dir(context.join("in")).expect("a scratch directory is writable");
    fs::write(context.join("in/f"), "packed\n").expect("writable");
    symlink("f", context.join("in/link")).expect("writable");
    set_times(context);
    let script = "tar --owner=7 --group=8 --mode=u+rw --sort=name --format=gnu -cf t.tar in && \
                  gzip -nc t.tar > packed && rm -r in && echo text | gzip -n > text.gz";
    run(command("sh").args(["-c", script]).current_dir(context)).ok();
}

/// What buildah made of a case, as it is written down: `null` if it made nothing.
pub(super) fn write_down(built: Option<&Built>) -> Value {
    let Some(built) = built else { return Value::Null };
    let files: Map<String, Value> =
        built.files.iter().map(|(path, file)| (path.clone(), written(file).into())).collect();
    let mut recorded = json!({
        "layers": built.new_layers,
        "config": built.config,
        "annotations": built.annotations,
        "history": built.history,
        "files": files,
        "removed": built.removed,
    });
    let fields = recorded.as_object_mut().expect("it is one");
    fields.retain(|_, value| value.as_object().is_none_or(|value| !value.is_empty()));
    fields.retain(|_, value| value.as_array().is_none_or(|value| !value.is_empty()));
    recorded
}

/// A file in a line: its kind, permissions and owner, `kept` if it has the time of the context, what is in it.
fn written(file: &File) -> String {
    let kept = if file.mtime == CHANGED as u64 { " kept" } else { "" };
    let (owner, group) = file.owner;
    let line = format!("{} {:o} {owner}:{group}{kept} {}", file.kind, file.mode, file.content);
    line.trim_end().to_owned()
}

/// What was written down.
pub(super) fn read_back(recorded: &Value) -> Option<Built> {
    let texts = |key: &str| -> Vec<String> {
        let texts = recorded[key].as_array().into_iter().flatten();
        texts.map(|text| text.as_str().expect("text").to_owned()).collect()
    };
    let map = |key: &str| recorded[key].as_object().cloned().unwrap_or_default();
    let files = map("files");
    let files = files.iter().map(|(path, line)| {
        let line = line.as_str().expect("a file is a line");
        (path.clone(), read_file(line).unwrap_or_else(|| panic!("{path}: {line}")))
    });
    let files: BTreeMap<String, File> = files.collect();
    recorded.as_object()?;
    Some(Built {
        config: map("config"),
        annotations: map("annotations"),
        new_layers: recorded["layers"].as_u64().expect("a number").try_into().expect("small"),
        history: texts("history"),
        files,
        removed: texts("removed"),
    })
}

fn read_file(line: &str) -> Option<File> {
    let mut rest = line;
    let mut word = || {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = after;
        word
    };
    let kinds = ["file", "dir", "symlink", "fifo", "device"];
    let (kind, mode) = (word(), word());
    let kind = kinds.into_iter().find(|known| *known == kind)?;
    let (owner, group) = word().split_once(':')?;
    let mtime = if rest == "kept" || rest.starts_with("kept ") { CHANGED as u64 } else { 0 };
    let content = if mtime == 0 { rest } else { rest["kept".len()..].trim_start() };
    Some(File {
        kind,
        mode: u32::from_str_radix(mode, 8).ok()?,
        owner: (owner.parse().ok()?, group.parse().ok()?),
        mtime,
        content: content.to_owned(),
    })
}
