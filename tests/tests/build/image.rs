//! What is in an image, read by skopeo and by a reader of tarballs that is not ours.

use std::collections::BTreeMap;
use std::fs::File as DiskFile;
use std::io::{BufReader, Read};
use std::path::Path;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tar::EntryType;

/// An image.
pub(crate) struct Image {
    /// Its config.
    pub(crate) config: Value,
    /// The annotations of its manifest.
    pub(crate) annotations: Map<String, Value>,
    /// The files of its first layers and of all of them.
    pub(crate) base: BTreeMap<String, File>,
    /// The files of all its layers.
    pub(crate) files: BTreeMap<String, File>,
    /// How many layers it has upon the base.
    pub(crate) new_layers: usize,
}

/// A file of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// `file`, `dir`, `symlink` or another word.
    pub(crate) kind: &'static str,
    /// The permissions; 0 for links.
    pub(crate) mode: u32,
    /// The owner and the group.
    pub(crate) owner: (u64, u64),
    /// Seconds since 1970.
    pub(crate) mtime: u64,
    /// What is in it: a short text as in JSON, else its digest; the target of a link.
    pub(crate) content: String,
}

impl Image {
    /// Whether it is built upon an image.
    pub(crate) fn has_base(&self) -> bool {
        !self.base.is_empty()
    }
}

impl File {
    /// Whether another is the same but for its time.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        Self { mtime: 0, ..self.clone() } == Self { mtime: 0, ..other.clone() }
    }
}

/// The digest of what is in a file, whichever way it is told.
pub(crate) fn content_digest(content: &str) -> String {
    match serde_json::from_str::<String>(content) {
        Ok(text) => digest(text.as_bytes()),
        Err(_) => content.to_owned(),
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads an image that is a directory of skopeo's; `base` holds the DiffIDs of images that others are
/// built upon.
pub(crate) fn read(directory: &Path, base: &[String]) -> Image {
    let json = |name: &str| -> Value {
        let bytes = std::fs::read(directory.join(name)).expect("skopeo wrote it");
        serde_json::from_slice(&bytes).expect("skopeo wrote JSON")
    };
    let manifest = json("manifest.json");
    let blob = |digest: &Value| digest.as_str().expect("it is text")["sha256:".len()..].to_owned();
    let config = json(&blob(&manifest["config"]["digest"]));
    let layers = manifest["layers"].as_array().expect("it has layers");
    // An image without layers may have none, rather than no members.
    let ids = config["rootfs"]["diff_ids"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(layers.len(), ids.len(), "as many layers as DiffIDs");
    let of_base = ids.iter().take_while(|id| base.iter().any(|base| *id == base)).count();
    let annotations = manifest["annotations"].as_object().cloned().unwrap_or_default();
    let (base_files, files) = (BTreeMap::new(), BTreeMap::new());
    let mut image = Image { config, annotations, base: base_files, files, new_layers: 0 };
    for (index, layer) in layers.iter().enumerate() {
        if index == of_base {
            image.base = image.files.clone();
        }
        lay(&mut image.files, &directory.join(blob(&layer["digest"])));
    }
    if layers.len() == of_base {
        image.base = image.files.clone();
    }
    image.new_layers = layers.len() - of_base;
    image
}

/// Puts a layer on top of files.
fn lay(files: &mut BTreeMap<String, File>, blob: &Path) {
    let blob = BufReader::new(DiskFile::open(blob).expect("skopeo wrote it"));
    let mut added = BTreeMap::new();
    for entry in tar::Archive::new(blob).entries().expect("a layer is a tarball") {
        let mut entry = entry.expect("a layer is a tarball");
        let path = String::from_utf8(entry.path_bytes().into_owned()).expect("a name is UTF-8");
        let path = path.trim_start_matches("./").trim_matches('/').to_owned();
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if name == ".wh..wh..opq" {
            remove_below(files, parent);
        } else if let Some(name) = name.strip_prefix(".wh.") {
            let removed =
                if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
            files.remove(&removed);
            remove_below(files, &removed);
        } else if entry.header().entry_type() == EntryType::Link {
            let target = entry.link_name_bytes().expect("a hard link has a target");
            let target = String::from_utf8(target.into_owned()).expect("a name is UTF-8");
            let target = target.trim_start_matches("./").trim_matches('/');
            let same = added.get(target).or_else(|| files.get(target)).cloned();
            added.insert(path, same.expect("the target of a hard link is there"));
        } else {
            let file = file(&mut entry);
            added.insert(path, file);
        }
    }
    for (path, file) in added {
        if file.kind != "dir" {
            remove_below(files, &path);
        }
        files.insert(path, file);
    }
    files.remove("");
}

fn remove_below(files: &mut BTreeMap<String, File>, directory: &str) {
    let prefix = format!("{directory}/");
    files.retain(|path, _| !path.starts_with(&prefix) && !directory.is_empty());
}

fn file(entry: &mut tar::Entry<'_, impl Read>) -> File {
    let header = entry.header();
    let kind = match header.entry_type() {
        EntryType::Regular | EntryType::Continuous => "file",
        EntryType::Directory => "dir",
        EntryType::Symlink => "symlink",
        EntryType::Fifo => "fifo",
        EntryType::Char | EntryType::Block => "device",
        other => panic!("a member of type {other:?}"),
    };
    let mode = if kind == "symlink" { 0 } else { header.mode().expect("a number") & 0o7777 };
    let owner = (header.uid().expect("a number"), header.gid().expect("a number"));
    let mtime = header.mtime().expect("a number");
    let content = match kind {
        "symlink" => {
            let target = entry.link_name_bytes().expect("a link has a target");
            String::from_utf8(target.into_owned()).expect("a name is UTF-8")
        }
        "file" => {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("a layer is a tarball");
            match std::str::from_utf8(&bytes) {
                Ok(text) if text.len() <= 80 => Value::from(text).to_string(),
                _ => digest(&bytes),
            }
        }
        _ => String::new(),
    };
    File { kind, mode, owner, mtime, content }
}
