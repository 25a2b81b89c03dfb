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
    request.sources.push(CopyItem::Path(escaped(path)));
    let prepared = engine.with_copy_tools(|tools| prepare(&request, tools))?;
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
