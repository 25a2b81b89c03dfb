//! What two builds of one Containerfile differ in.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::image::{File, Image, content_digest};

/// Files of a context are older than this, what a build makes is newer: 2020 in seconds since 1970.
const NEW: u64 = 1_577_836_800;

/// A build as it is compared.
#[derive(Clone)]
pub(crate) struct Built {
    /// The config of its containers, without what hangs on the tool or the machine.
    pub(crate) config: Map<String, Value>,
    /// The annotations of the manifest, without those of the tool.
    pub(crate) annotations: Map<String, Value>,
    /// Layers upon the base.
    pub(crate) new_layers: usize,
    /// Steps, each as instruction and what it was given, and whether it has a layer.
    pub(crate) history: Vec<String>,
    /// Files added to the base or changed.
    pub(crate) files: BTreeMap<String, File>,
    /// Files of the base that are gone.
    pub(crate) removed: Vec<String>,
}

impl Built {
    /// What an image is upon its base.
    pub(crate) fn of(image: &Image) -> Self {
        let changed = |(path, file): &(&String, &File)| {
            !image.base.get(*path).is_some_and(|base| base.is_like(file))
        };
        let files = image.files.iter().filter(changed);
        let gone = image.base.keys().filter(|path| !image.files.contains_key(*path));
        Self {
            config: config(&image.config["config"]),
            annotations: annotations(&image.annotations),
            new_layers: image.new_layers,
            history: history(&image.config["history"], image.has_base()),
            files: files.map(|(path, file)| (path.clone(), file.clone())).collect(),
            removed: gone.cloned().collect(),
        }
    }

    /// What the table says of a build. It has no times of files.
    pub(crate) fn recorded(expected: &Value) -> Self {
        let number = |value: &Value| value.as_u64().expect("a number");
        let file = |value: &Value| File {
            kind: match value["type"].as_str().expect("it has a type") {
                "file" => "file",
                "dir" => "dir",
                "symlink" => "symlink",
                other => panic!("a file of type {other}"),
            },
            mode: value["mode"].as_str().map_or(0, |mode| {
                u32::from_str_radix(mode.trim_start_matches("0o"), 8).expect("it is octal")
            }),
            owner: (number(&value["uid"]), number(&value["gid"])),
            mtime: 0,
            content: ["sha256", "target"]
                .iter()
                .find_map(|key| value[key].as_str())
                .unwrap_or("")
                .to_owned(),
        };
        let files = expected["files"].as_object().expect("it has files");
        let removed = expected["removed"].as_array().expect("it has removed files");
        Self {
            config: config(&expected["config"]),
            annotations: Map::new(),
            new_layers: number(&expected["new_layers"]).try_into().expect("a small number"),
            history: history(&expected["history"], expected["base_layers"] == 1),
            files: files.iter().map(|(path, value)| (path.clone(), file(value))).collect(),
            removed: removed.iter().map(|path| path.as_str().expect("a path").to_owned()).collect(),
        }
    }
}

/// What differs, each as a line: ours, then theirs.
pub(crate) fn differences(ours: &Built, theirs: &Built) -> Vec<String> {
    let mut found = Vec::new();
    let maps = [
        ("config", &ours.config, &theirs.config),
        ("annotation", &ours.annotations, &theirs.annotations),
    ];
    for (what, ours, theirs) in maps {
        let mut keys: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let (a, b) = (ours.get(key), theirs.get(key));
            if a != b {
                found.push(format!("{what} {key}: {} / {}", text(a), text(b)));
            }
        }
    }
    if ours.new_layers != theirs.new_layers {
        found.push(format!("layers: {} / {}", ours.new_layers, theirs.new_layers));
    }
    if ours.history != theirs.history {
        found.push(format!("history: {:?} / {:?}", ours.history, theirs.history));
    }
    if ours.removed != theirs.removed {
        found.push(format!("removed: {:?} / {:?}", ours.removed, theirs.removed));
    }
    for (path, file) in &ours.files {
        match theirs.files.get(path) {
            None => found.push(format!("file {path}: {file:?} / none")),
            Some(other) => found.extend(file_differences(path, file, other)),
        }
    }
    let missing = theirs.files.iter().filter(|(path, _)| !ours.files.contains_key(*path));
    found.extend(missing.map(|(path, file)| format!("file {path}: none / {file:?}")));
    found
}

fn text(value: Option<&Value>) -> String {
    value.map_or_else(|| "none".to_owned(), Value::to_string)
}

fn file_differences(path: &str, ours: &File, theirs: &File) -> Vec<String> {
    let mut found = Vec::new();
    let mut differ = |what: &str, ours: String, theirs: String| {
        if ours != theirs {
            found.push(format!("{what} of {path}: {ours} / {theirs}"));
        }
    };
    differ("type", ours.kind.to_owned(), theirs.kind.to_owned());
    differ("mode", format!("{:o}", ours.mode), format!("{:o}", theirs.mode));
    differ("owner", format!("{:?}", ours.owner), format!("{:?}", theirs.owner));
    // What the table does not have, and what was made while the test ran, has no time to compare.
    if 0 < theirs.mtime && theirs.mtime < NEW {
        differ("mtime", ours.mtime.to_string(), theirs.mtime.to_string());
    }
    if content_digest(&ours.content) != content_digest(&theirs.content) {
        differ("content", ours.content.clone(), theirs.content.clone());
    }
    found
}

/// The annotations without what a tool puts there of its own.
fn annotations(annotations: &Map<String, Value>) -> Map<String, Value> {
    let mut annotations = annotations.clone();
    annotations.retain(|name, _| !name.starts_with("org.opencontainers.image."));
    annotations
}

/// The config without what a machine or a tool puts there, and without what is empty.
fn config(config: &Value) -> Map<String, Value> {
    let mut config = config.as_object().cloned().unwrap_or_default();
    for key in ["Hostname", "Image", "Domainname", "AttachStdin", "AttachStdout", "AttachStderr"] {
        config.remove(key);
    }
    if let Some(labels) = config.get_mut("Labels").and_then(Value::as_object_mut) {
        labels.remove("io.buildah.version");
    }
    let is_empty = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(values) => values.is_empty(),
        _ => false,
    };
    config.retain(|_, value| !is_empty(value));
    config
}

/// The steps after those of the base, whose last one is its CMD, in the words that both forms have. What was copied and how a command is
/// written differs by design: of COPY and ADD the instruction counts, of RUN the command.
fn history(history: &Value, has_base: bool) -> Vec<String> {
    let step = |entry: &Value| {
        let by = entry["created_by"].as_str().unwrap_or("");
        let by = by.strip_suffix("# buildkit").unwrap_or(by).trim();
        let (word, rest) = match by.strip_prefix("/bin/sh -c #(nop) ") {
            Some(step) => step.trim().split_once(' ').unwrap_or((step.trim(), "")),
            None => match by.split_once(' ') {
                Some((word, rest)) if word.bytes().all(|b| b.is_ascii_uppercase()) => (word, rest),
                _ => ("RUN", by),
            },
        };
        let rest = if matches!(word, "COPY" | "ADD") { "" } else { rest.trim() };
        let layer = if entry["empty_layer"].as_bool() == Some(true) { "" } else { " +layer" };
        format!("{word} {rest}{layer}")
    };
    let mut steps: Vec<String> = history.as_array().into_iter().flatten().map(step).collect();
    let of_base = steps.iter().position(|step| has_base && step.starts_with("CMD "));
    steps.split_off(of_base.map_or(0, |last| last + 1))
}
