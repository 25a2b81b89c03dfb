//! The cases of the field, as the table has them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The seconds since 1970 at which every file of a context was changed.
pub(crate) const CHANGED: i64 = 1_485_449_953;

/// How many cases the table has.
pub(crate) const CASES: usize = 64;

/// The table, and the folder with the contexts; `None` where there is none and there need not be.
///
/// # Panics
/// In CI if there is none; always if the number of rows is another.
pub(crate) fn table() -> Option<(Vec<Value>, PathBuf)> {
    let folder = cask_cases::folder("what the field builds")?;
    let table = cask_cases::document("build-conformance.json")?;
    let cases = table["cases"].as_array().expect("the table has cases").clone();
    assert_eq!(cases.len(), CASES, "the table has another number of rows");
    Some((cases, folder.join("fixtures/build-contexts")))
}

/// What a case is built from.
pub(crate) struct Prepared {
    /// The Containerfile, outside of the context where it is not one of its files.
    pub(crate) file: PathBuf,
    /// The context.
    pub(crate) context: PathBuf,
    /// `--build-arg` and its values.
    pub(crate) arguments: Vec<String>,
}

/// Writes the context of a case.
pub(crate) fn prepare(case: &Value, contexts: &Path, into: &Path) -> Prepared {
    let context = into.join("context");
    match case["context"].as_str() {
        Some(name) => copy(&contexts.join(name), &context),
        None => fs::create_dir(&context).expect("a scratch directory is writable"),
    }
    restore_links(&context);
    for extra in case["extra_files"].as_array().into_iter().flatten() {
        write_extra(&context, extra);
    }
    let file = match (case["dockerfile_text"].as_str(), case["dockerfile"].as_str()) {
        (Some(text), _) => {
            let file = into.join("Containerfile");
            fs::write(&file, text).expect("a scratch directory is writable");
            file
        }
        (None, Some(name)) if context.join(name).exists() => context.join(name),
        (None, Some(name)) => {
            let file = into.join("Containerfile");
            fs::copy(contexts.join(name), &file).expect("the table has the file");
            file
        }
        (None, None) => panic!("{}: no Containerfile", case["id"]),
    };
    let mut arguments = Vec::new();
    for (name, value) in case["build_args"].as_object().into_iter().flatten() {
        arguments.extend([
            "--build-arg".to_owned(),
            format!("{name}={}", value.as_str().expect("text")),
        ]);
    }
    set_times(&context);
    Prepared { file, context, arguments }
}

/// Copies a tree with the modes that it has in a checkout.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a scratch directory is writable");
    for entry in fs::read_dir(from).expect("the fixture is there") {
        let entry = entry.expect("the fixture can be read");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().expect("it has a type").is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("a scratch directory is writable");
            let executable = fs::metadata(&from).expect("it is there").permissions().mode() & 0o100;
            let mode = if executable == 0 { 0o664 } else { 0o775 };
            fs::set_permissions(&to, fs::Permissions::from_mode(mode)).expect("it is ours");
        }
    }
    fs::set_permissions(to, fs::Permissions::from_mode(0o775)).expect("it is ours");
}

/// Makes links again of what the table keeps as files with their targets.
fn restore_links(directory: &Path) {
    for entry in fs::read_dir(directory).expect("it is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() && !path.is_symlink() {
            restore_links(&path);
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let is_target = !text.is_empty() && text.len() < 100 && !text.contains(['\n', ' ']);
        let parent = path.parent().expect("it is in a directory");
        if is_target && parent.join(&text).symlink_metadata().is_ok() {
            fs::remove_file(&path).expect("it is ours");
            symlink(text, &path).expect("a scratch directory is writable");
        }
    }
}

fn write_extra(context: &Path, extra: &Value) {
    let path = context.join(extra["path"].as_str().expect("it has a path"));
    if extra["dir"].as_bool() == Some(true) {
        fs::create_dir_all(&path).expect("a scratch directory is writable");
    } else {
        fs::create_dir_all(path.parent().expect("it is in a directory")).expect("writable");
        fs::write(&path, extra["content"].as_str().unwrap_or("")).expect("writable");
    }
    if let Some(mode) = extra["mode"].as_str() {
        let mode = u32::from_str_radix(mode.trim_start_matches("0o"), 8).expect("it is octal");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
    }
    let owner = |name: &str| extra[name].as_u64().map(|id| u32::try_from(id).expect("an ID"));
    chown(&path, owner("uid"), owner("gid")).expect("tests run as root");
}

/// Sets the times of everything below a directory, and its own.
pub(crate) fn set_times(path: &Path) {
    let metadata = fs::symlink_metadata(path).expect("it is there");
    if metadata.is_dir() {
        for entry in fs::read_dir(path).expect("it can be read") {
            set_times(&entry.expect("it can be read").path());
        }
    }
    let time = rustix::fs::Timespec { tv_sec: CHANGED, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, flags).expect("it is ours");
}
