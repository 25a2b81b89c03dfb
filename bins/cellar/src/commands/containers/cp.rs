//! `cellar cp`

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::{Container, Containers, CopyEnd, ErrorKind, FileCopyOptions};
use clap::Args;

use super::export::to_stdout;
use crate::context::Context;

/// Copy files into a container, out of it, or from one to another
///
/// Of both paths one at least is CONTAINER:PATH. A path of - is a tarball on standard input or output.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// From where, and to where
    #[arg(value_name = "[CONTAINER:]PATH")]
    paths: Vec<String>,
    /// Have what is copied into a container belong to its user [default: true]
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    archive: Option<bool>,
    /// Have directories and files take each other's place
    #[arg(long)]
    overwrite: bool,
    /// For the sake of docker's users; nothing: links are followed always
    #[arg(short = 'L', long, hide = true)]
    follow_link: bool,
    /// Of older podmans, whose later ones do nothing with it: no container stands while files are copied
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", hide = true)]
    pause: Option<bool>,
    /// The same: only - is a tarball
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", hide = true)]
    extract: Option<bool>,
}

/// Copies.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let [from, to] = arguments.paths.as_slice() else {
        bail!("accepts 2 arg(s), received {}", arguments.paths.len());
    };
    let ((source, from_path), (target, to_path)) = (split(from), split(to));
    if source.is_none() && target.is_none() {
        bail!("invalid arguments {from:?}, {to:?}: you must use at least one container");
    }
    if from_path.is_empty() || to_path.is_empty() {
        bail!("invalid arguments {from:?}, {to:?}: you must specify paths");
    }
    let mut options = FileCopyOptions::default();
    options.keep_owners = !arguments.archive.unwrap_or(true);
    options.overwrite = arguments.overwrite;
    let containers = context.containers()?;
    let find = |name: Option<&str>| name.map(|name| find(&containers, name)).transpose();
    let (source, target) = (find(source)?, find(target)?);
    match (&source, &target) {
        (Some(source), None) if to_path == "-" => {
            to_stdout(|output| containers.copy_out(source, from_path, output).map(drop))?;
        }
        (None, Some(target)) if matches!(from_path, "-" | "/dev/stdin") => {
            containers.copy_in(target, to_path, io::stdin().lock(), options)?;
        }
        (Some(_), None) if is_neither_file_nor_directory(Path::new(to_path)) => {
            bail!("invalid destination: {to_path:?} must be a directory or a regular file")
        }
        _ => {
            let (from, to) = (end(source.as_ref(), from_path), end(target.as_ref(), to_path));
            containers.copy(&from, &to, options)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn is_neither_file_nor_directory(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// The name of a container before a colon, and a path; what begins as a path has no name.
///
/// Source: podman, `pkg/copy/parse.go`.
fn split(text: &str) -> (Option<&str>, &str) {
    match text.split_once(':') {
        Some((name, path)) if !text.starts_with(['.', '/']) => (Some(name), path),
        _ => (None, text),
    }
}

fn find(containers: &Containers, name: &str) -> Result<Container> {
    match containers.find(name) {
        Err(error) if error.kind() == ErrorKind::ContainerNotKnown => {
            bail!("container {name:?} does not exist")
        }
        other => Ok(other?),
    }
}

fn end<'c>(container: Option<&'c Container>, path: &str) -> CopyEnd<'c> {
    match container {
        Some(container) => CopyEnd::Container(container, path.to_owned()),
        None => CopyEnd::Host(PathBuf::from(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_are_told_apart() {
        for (text, expected) in [
            ("web:/etc", (Some("web"), "/etc")),
            ("web:", (Some("web"), "")),
            ("./a:b", (None, "./a:b")),
            ("/a:b", (None, "/a:b")),
            ("-", (None, "-")),
            ("web:/a:b", (Some("web"), "/a:b")),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }
}
