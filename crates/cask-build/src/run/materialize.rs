//! A part of a context as files of its own, for a mount that may be written to or leaves things out.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use cask_layer::{ApplyOptions, Whiteouts, apply};
use cask_rootfs::Root;

use crate::build::Engine;
use crate::context::Context;
use crate::copy::{CopyItem, CopyRequest, Prepared, WriteOptions, prepare};
use crate::view::View;
use crate::{Error, ErrorKind, Result};

/// A path of a context, hashed.
pub(super) struct Selection {
    prepared: Prepared,
}

/// Hashes what is at a path of a context, and below it.
pub(super) fn select(engine: &Engine, context: &Arc<Context>, path: &str) -> Result<Selection> {
    let path = match path.trim_matches('/') {
        "" => ".",
        path => path,
    };
    let mut request = CopyRequest::new(Arc::clone(context), "/");
    request.dialect = engine.request.dialect;
    request.sources.push(CopyItem::Path(escaped(path)));
    let prepared = engine.with_copy_tools(|tools| prepare(&request, tools))?;
    engine.warn_of(None, &prepared);
    Ok(Selection { prepared })
}

impl Selection {
    pub(super) fn digest(&self) -> String {
        self.prepared.digest().to_string()
    }

    pub(super) fn components(&self) -> Vec<crate::copy::Component> {
        self.prepared.components(500)
    }

    /// Writes the files below a directory.
    pub(super) fn write(&self, engine: &Engine, directory: &Path) -> Result<()> {
        let failed = |error: &dyn std::fmt::Display| {
            let detail = format!("the files of the mount cannot be written: {error}");
            Error::new(ErrorKind::Io, directory.display(), detail)
        };
        if !directory.is_dir() {
            let made = DirBuilder::new().mode(0o755).create(directory);
            made.map_err(|error| failed(&error))?;
        }
        let root = Root::open(directory).map_err(crate::view::failed)?;
        let mut file = tempfile::tempfile_in(engine.scratch()?).map_err(|error| failed(&error))?;
        engine.with_copy_tools(|tools| {
            let options = WriteOptions::default();
            self.prepared.write(&View::scratch(), tools, &options, &mut file).map(drop)
        })?;
        std::io::Seek::rewind(&mut file).map_err(|error| failed(&error))?;
        let mut options = ApplyOptions::default();
        options.whiteouts = Whiteouts::Keep;
        options.ignore_chown_errors = engine.tools.store.options().rootless;
        options.user_namespace = engine.tools.store.options().rootless;
        apply(std::io::BufReader::new(file), &root, &options, ())
            .map_err(|error| failed(&error))?;
        Ok(())
    }
}

/// A path as a pattern that means it alone.
fn escaped(path: &str) -> String {
    let mut text = String::new();
    for c in path.chars() {
        if "*?[\\".contains(c) {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use cask_containerfile::instruction::Sharing;
    use cask_storage::{Store, StoreOptions};

    use super::*;
    use crate::build::BuildTools;
    use crate::context::IgnoreChoice;
    use crate::run::cache_mount::{self, CacheRequest};
    use crate::view::swap;

    /// The texts of all files below a directory.
    fn texts(directory: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            match kind.is_dir() {
                true => found.extend(texts(&path)),
                false => found.push(fs::read_to_string(&path).unwrap_or_default()),
            }
        }
        found
    }

    /// Puts a link in the place of something as soon as a path is looked at.
    fn swapping(during: &'static str, victim: PathBuf, target: PathBuf) -> impl FnMut(&[u8]) {
        let mut done = false;
        move |path| {
            if path == during.as_bytes() && !done {
                done = true;
                fs::rename(&victim, victim.with_extension("aside")).unwrap();
                symlink(&target, &victim).unwrap();
            }
        }
    }

    /// Swaps what is written somewhere for what lies outside of its context: while it is hashed, and between that and
    /// when it is written.
    fn write_nothing_from_outside(write: impl Fn(&Engine, Selection, &Path) -> Result<()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::create_dir_all(outside.path().join("d")).unwrap();
        fs::write(outside.path().join("d/f"), "marker").unwrap();
        for (during, target) in [("src", ""), ("src/d", "d"), ("src/d/f", "d/f")] {
            // For good, or for the moment in which it is looked at so many times.
            let turns = (0..=4).flat_map(|turn| [(turn, true), (turn, false)]);
            for (turn, hashing) in turns {
                let place = tempfile::tempdir().unwrap();
                let options =
                    StoreOptions::new(place.path().join("root"), place.path().join("run"));
                let tools = BuildTools::new(Store::open(options).unwrap()).unwrap();
                let engine = Engine::idle(&tools, runtime.handle().clone());
                let files = place.path().join("context");
                fs::create_dir_all(files.join("src/d")).unwrap();
                fs::write(files.join("src/d/f"), "inside").unwrap();
                let context = Context::directory(&files, &IgnoreChoice::default()).unwrap();
                let context = Arc::new(context);
                let (victim, target) = (files.join(during), outside.path().join(target));
                let hook: swap::Hook = match turn {
                    0 => Box::new(swapping(during, victim, target)),
                    _ => Box::new(swap::for_a_moment(during, turn, victim, target).0),
                };
                let to = place.path().join("to");
                let selected = || select(&engine, &context, "src");
                let expected = selected().unwrap().digest();
                let written = match hashing {
                    true => swap::with(hook, selected).and_then(|selection| {
                        assert_eq!(
                            selection.digest(),
                            expected,
                            "{during}, {turn}: what is hashed"
                        );
                        write(&engine, selection, &to)
                    }),
                    false => {
                        let selection = selected().unwrap();
                        swap::with(hook, || write(&engine, selection, &to))
                    }
                };
                assert_eq!(files.join(during).is_symlink(), turn == 0, "{during}: it was swapped");
                let found = texts(&to);
                assert!(!found.iter().any(|text| text == "marker"), "{during}: {found:?}");
                if written.is_ok() {
                    assert!(found.iter().any(|text| text == "inside"), "{during}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn cve_2024_11218_the_source_of_a_mount_that_is_swapped_leads_nowhere() {
        write_nothing_from_outside(|engine, selection, to| {
            fs::create_dir(to).unwrap();
            selection.write(engine, to)
        });
    }

    #[test]
    fn cve_2024_23651_the_source_of_a_cache_that_is_swapped_leads_nowhere() {
        write_nothing_from_outside(|engine, selection, to| {
            let request = CacheRequest {
                namespace: "",
                id: "x",
                sharing: Sharing::Shared,
                owner: (0, 0),
                mode: 0o755,
            };
            let fill = |directory: &Path| selection.write(engine, directory);
            cache_mount::open(to, &request, &engine.cancel, fill).map(drop)
        });
    }
}
