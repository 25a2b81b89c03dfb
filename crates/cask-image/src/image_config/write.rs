//! Writing configs: new ones, changed ones, and OCI ones.

use std::collections::BTreeSet;

use bytes::Bytes;
use cask_json::{Document, Entry, Fields, Kind, Value, Writer, folds_equal, parse, push_key};

use super::{ExecutionConfig, Healthcheck, HistoryEntry, ImageConfig, RULES};
use crate::error::ManifestError;

impl ImageConfig {
    /// The bytes of the config.
    ///
    /// Of a config that was parsed and not changed: the bytes that it was parsed from. Of one that
    /// was changed: those fields anew, all others as they were, in their order, without white
    /// space between them; fields that were not there come last. Of a new one: the fields that
    /// are not empty, in the order of the OCI specification's Go struct.
    pub fn encode(&self) -> Bytes {
        let Some(original) = &self.original else {
            let mut writer = Writer::default();
            self.write(&mut writer, None);
            return writer.finish().into();
        };
        let document = parse(original, RULES).expect("it was parsed before");
        let before = Self::read(&document).expect("it was read before");
        if self.says_the_same(&before) {
            return original.clone();
        }
        let mut writer = Writer::default();
        self.write(&mut writer, Some((&document, &before)));
        writer.finish().into()
    }

    fn write(&self, writer: &mut Writer, old: Option<(&Document<'_>, &Self)>) {
        let before = old.map(|(_, before)| before);
        let mut object = Merged::new(writer, old.map(|(document, _)| document.root()));
        object.field(
            "created",
            before.map(|b| b.created == self.created),
            self.created.is_some(),
            |w, _| {
                w.string(&self.created.map(|time| time.to_string()).unwrap_or_default());
            },
        );
        object.text("author", before.map(|b| &b.author), &self.author);
        // OCI requires these three, and the Go tools write them even if they are empty.
        object.field(
            "architecture",
            before.map(|b| b.architecture == self.architecture),
            true,
            |w, _| {
                w.string(&self.architecture);
            },
        );
        object.field("os", before.map(|b| b.os == self.os), true, |w, _| w.string(&self.os));
        object.optional("os.version", before.map(|b| &b.os_version), self.os_version.as_ref());
        object.list("os.features", before.map(|b| &b.os_features), &self.os_features);
        object.optional("variant", before.map(|b| &b.variant), self.variant.as_ref());
        object.field("config", before.map(|b| b.config == self.config), true, |w, old_value| {
            self.config.write(w, old_value, before.map(|b| &b.config));
        });
        let same_layers =
            before.map(|b| b.diff_ids == self.diff_ids && b.rootfs_type == self.rootfs_type);
        object.field("rootfs", same_layers, true, |w, old_value| {
            self.write_rootfs(w, old_value, before);
        });
        let same_history = before.map(|b| b.history == self.history);
        object.field("history", same_history, !self.history.is_empty(), |w, old_value| {
            self.write_history(w, old_value, before);
        });
        object.finish();
    }

    fn write_rootfs(&self, writer: &mut Writer, old: Old<'_>, before: Option<&Self>) {
        let mut object = Merged::new(writer, old);
        let same_type = before.map(|b| b.rootfs_type == self.rootfs_type);
        let rootfs_type = if self.rootfs_type.is_empty() { "layers" } else { &self.rootfs_type };
        object.field("type", same_type, true, |w, _| w.string(rootfs_type));
        let same_layers = before.map(|b| b.diff_ids == self.diff_ids);
        object.field("diff_ids", same_layers, true, |w, _| {
            w.array(|w| self.diff_ids.iter().for_each(|diff_id| w.string(diff_id.as_str())));
        });
        object.finish();
    }

    fn write_history(&self, writer: &mut Writer, old: Old<'_>, before: Option<&Self>) {
        let mut old_entries = match old.map(Value::kind) {
            Some(Kind::Array(items)) => Some(items),
            _ => None,
        };
        writer.array(|w| {
            for (index, entry) in self.history.iter().enumerate() {
                let unchanged = before.is_some_and(|b| b.history.get(index) == Some(entry));
                match old_entries.as_mut().and_then(Iterator::next) {
                    Some(value) if unchanged => w.copy(value.text()),
                    _ => entry.write(w),
                }
            }
        });
    }
}

impl ExecutionConfig {
    fn write(&self, writer: &mut Writer, old: Old<'_>, before: Option<&Self>) {
        let mut object = Merged::new(writer, old);
        object.text("User", before.map(|b| &b.user), &self.user);
        object.set("ExposedPorts", before.map(|b| &b.exposed_ports), &self.exposed_ports);
        object.list("Env", before.map(|b| &b.env), &self.env);
        object.command("Entrypoint", before.map(|b| &b.entrypoint), self.entrypoint.as_deref());
        object.command("Cmd", before.map(|b| &b.cmd), self.cmd.as_deref());
        object.set("Volumes", before.map(|b| &b.volumes), &self.volumes);
        object.text("WorkingDir", before.map(|b| &b.working_dir), &self.working_dir);
        let same_labels = before.map(|b| b.labels == self.labels);
        object.field("Labels", same_labels, !self.labels.is_empty(), |w, _| {
            w.string_map(&self.labels)
        });
        object.text("StopSignal", before.map(|b| &b.stop_signal), &self.stop_signal);
        let same_escaped = before.map(|b| b.args_escaped == self.args_escaped);
        object.field("ArgsEscaped", same_escaped, self.args_escaped, |w, _| w.boolean(true));
        let same_check = before.map(|b| b.healthcheck == self.healthcheck);
        object.field("Healthcheck", same_check, self.healthcheck.is_some(), |w, _| {
            self.healthcheck.iter().for_each(|check| check.write(w));
        });
        object.list("OnBuild", before.map(|b| &b.on_build), &self.on_build);
        object.command("Shell", before.map(|b| &b.shell), self.shell.as_deref());
        object.finish();
    }
}

impl Healthcheck {
    /// Writes the fields that are not zero, in the order of Docker's struct.
    pub(crate) fn write(&self, writer: &mut Writer) {
        let durations = [
            ("StartPeriod", self.start_period),
            ("StartInterval", self.start_interval),
            ("Interval", self.interval),
            ("Timeout", self.timeout),
        ];
        writer.object(|w| {
            w.strings_unless_empty("Test", &self.test);
            for (name, duration) in durations.into_iter().filter(|(_, d)| !d.is_zero()) {
                w.key(name).integer(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX));
            }
            if self.retries > 0 {
                w.key("Retries").integer(self.retries);
            }
        });
    }
}

impl HistoryEntry {
    /// Writes the fields that are not empty, in the order of OCI's struct.
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            if let Some(created) = self.created {
                w.key("created").string(&created.to_string());
            }
            w.text_unless_empty("created_by", &self.created_by);
            w.text_unless_empty("author", &self.author);
            w.text_unless_empty("comment", &self.comment);
            if self.empty_layer {
                w.key("empty_layer").boolean(true);
            }
        });
    }
}

/// The value that stood in a document, if there is one.
type Old<'d> = Option<Value<'d>>;

/// What to write for one known field.
enum Known {
    /// What was there.
    Unchanged,
    /// Nothing.
    Absent,
    New(Vec<u8>),
}

/// An object that is written over an old one: what did not change stays as it was, and where it
/// was.
struct Merged<'w, 'd> {
    writer: &'w mut Writer,
    old: Old<'d>,
    known: Vec<(&'static str, Known)>,
}

impl<'w, 'd> Merged<'w, 'd> {
    fn new(writer: &'w mut Writer, old: Old<'d>) -> Self {
        let old = old.filter(|value| matches!(value.kind(), Kind::Object(_)));
        Self { writer, old, known: Vec::new() }
    }

    fn old_entries(&self) -> impl Iterator<Item = Entry<'d>> + use<'d> {
        self.old.and_then(|value| value.entries().ok()).into_iter().flatten()
    }

    /// Adds a field: whether it is unchanged, whether it is written at all, and how.
    fn field(
        &mut self,
        name: &'static str,
        unchanged: Option<bool>,
        present: bool,
        write: impl FnOnce(&mut Writer, Old<'d>),
    ) {
        let old = self.old_entries().find(|entry| folds_equal(entry.key(), name));
        let known = match unchanged {
            Some(true) => Known::Unchanged,
            _ if !present => Known::Absent,
            _ => {
                let mut writer = Writer::default();
                write(&mut writer, old.map(Entry::value));
                Known::New(writer.finish())
            }
        };
        self.known.push((name, known));
    }

    fn text(&mut self, name: &'static str, before: Option<&String>, text: &str) {
        self.field(name, before.map(|b| b == text), !text.is_empty(), |w, _| w.string(text));
    }

    fn optional(
        &mut self,
        name: &'static str,
        before: Option<&Option<String>>,
        text: Option<&String>,
    ) {
        self.field(name, before.map(|b| b.as_ref() == text), text.is_some(), |w, _| {
            w.string(text.map_or("", String::as_str));
        });
    }

    fn list(&mut self, name: &'static str, before: Option<&Vec<String>>, items: &[String]) {
        self.field(name, before.map(|b| b == items), !items.is_empty(), |w, _| w.strings(items));
    }

    fn command(
        &mut self,
        name: &'static str,
        before: Option<&Option<Vec<String>>>,
        arguments: Option<&[String]>,
    ) {
        let unchanged = before.map(|b| b.as_deref() == arguments);
        self.field(name, unchanged, arguments.is_some(), |w, _| {
            w.strings(arguments.unwrap_or_default());
        });
    }

    fn set(
        &mut self,
        name: &'static str,
        before: Option<&BTreeSet<String>>,
        set: &BTreeSet<String>,
    ) {
        self.field(name, before.map(|b| b == set), !set.is_empty(), |w, _| write_set(w, set));
    }

    fn finish(mut self) {
        let entries = self.old_entries();
        let mut known = std::mem::take(&mut self.known);
        self.writer.object(|w| {
            for entry in entries {
                let position = known.iter().position(|(name, _)| folds_equal(name, entry.key()));
                match position.map_or(Known::Unchanged, |at| known.remove(at).1) {
                    Known::Unchanged => w.key(entry.key()).copy(entry.value().text()),
                    Known::New(value) => w.key(entry.key()).copy(&value),
                    Known::Absent => {}
                }
            }
            for (name, change) in known {
                if let Known::New(value) = change {
                    w.key(name).copy(&value);
                }
            }
        });
    }
}

pub(crate) fn write_set(writer: &mut Writer, set: &BTreeSet<String>) {
    writer.object(|w| set.iter().for_each(|key| w.key(key).object(|_| {})));
}

const TOP: [&str; 10] = [
    "created",
    "author",
    "architecture",
    "os",
    "os.version",
    "os.features",
    "variant",
    "config",
    "rootfs",
    "history",
];
const EXECUTION: [&str; 10] = [
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "ArgsEscaped",
];
const ROOTFS: [&str; 2] = ["type", "diff_ids"];
const HISTORY: [&str; 5] = ["created", "created_by", "author", "comment", "empty_layer"];

/// Encodes a config as the Go tools do when they have read it into the OCI specification's struct,
/// and lists the paths of the fields that this loses.
///
/// Fields that are null, false, zero or empty are no loss.
///
/// Source: OCI image specification, `specs-go/v1/config.go`; Go, `encoding/json`.
pub(crate) fn to_oci(config: &[u8]) -> Result<(Vec<u8>, Vec<String>), ManifestError> {
    let document = parse(config, RULES)?;
    let config = ImageConfig::read(&document)?;
    let mut writer = Writer::default();
    config.write_oci(&mut writer, has_diff_ids(&document));
    Ok((writer.finish(), lost(&document)))
}

/// Whether the document has a list of DiffIDs, be it empty.
fn has_diff_ids(document: &Document<'_>) -> bool {
    let list = || {
        let rootfs = Fields::of_any_case(document.root()).ok()?.get("rootfs").ok()??;
        Fields::of_any_case(rootfs).ok()?.get("diff_ids").ok()?
    };
    list().is_some()
}

impl ImageConfig {
    fn write_oci(&self, writer: &mut Writer, has_diff_ids: bool) {
        writer.object(|w| {
            if let Some(created) = self.created {
                w.key("created").string(&created.to_string());
            }
            w.text_unless_empty("author", &self.author);
            self.platform().write_oci_fields(w);
            w.key("config").object(|w| self.config.write_oci(w));
            w.key("rootfs").object(|w| {
                w.key("type").string(&self.rootfs_type);
                let list = w.key("diff_ids");
                if has_diff_ids {
                    list.array(|w| self.diff_ids.iter().for_each(|id| w.string(id.as_str())));
                } else {
                    list.null();
                }
            });
            if !self.history.is_empty() {
                w.key("history").array(|w| self.history.iter().for_each(|entry| entry.write(w)));
            }
        });
    }
}

impl ExecutionConfig {
    fn write_oci(&self, w: &mut Writer) {
        w.text_unless_empty("User", &self.user);
        if !self.exposed_ports.is_empty() {
            write_set(w.key("ExposedPorts"), &self.exposed_ports);
        }
        w.strings_unless_empty("Env", &self.env);
        w.strings_unless_empty("Entrypoint", self.entrypoint.as_deref().unwrap_or_default());
        w.strings_unless_empty("Cmd", self.cmd.as_deref().unwrap_or_default());
        if !self.volumes.is_empty() {
            write_set(w.key("Volumes"), &self.volumes);
        }
        w.text_unless_empty("WorkingDir", &self.working_dir);
        w.map_unless_empty("Labels", &self.labels);
        w.text_unless_empty("StopSignal", &self.stop_signal);
        if self.args_escaped {
            w.key("ArgsEscaped").boolean(true);
        }
    }
}

/// The paths of the fields that OCI's struct does not have and that say something.
fn lost(document: &Document<'_>) -> Vec<String> {
    let mut paths = Vec::new();
    let root = document.root();
    let mut collect = |value: Value<'_>, prefix: &str, known: &[&str]| {
        let Kind::Object(entries) = value.kind() else { return };
        for entry in entries {
            let is_known = known.iter().any(|name| folds_equal(name, entry.key()));
            if !is_known && !is_zero(entry.value()) {
                let mut path = prefix.to_owned();
                push_key(&mut path, entry.key());
                paths.push(path);
            }
        }
    };
    collect(root, "", &TOP);
    let Kind::Object(entries) = root.kind() else { return paths };
    for entry in entries {
        match (entry.key().to_ascii_lowercase().as_str(), entry.value().kind()) {
            ("config", _) => collect(entry.value(), "config", &EXECUTION),
            ("rootfs", _) => collect(entry.value(), "rootfs", &ROOTFS),
            ("history", Kind::Array(items)) => {
                for (index, item) in items.enumerate() {
                    collect(item, &format!("history[{index}]"), &HISTORY);
                }
            }
            _ => {}
        }
    }
    paths
}

/// Whether a value is what Go takes for nothing.
fn is_zero(value: Value<'_>) -> bool {
    match value.kind() {
        Kind::Null => true,
        Kind::Boolean(value) => !value,
        Kind::Number(text) => text == "0",
        Kind::String(text) => text.is_empty(),
        Kind::Array(items) => items.len() == 0,
        Kind::Object(entries) => entries.len() == 0,
    }
}
