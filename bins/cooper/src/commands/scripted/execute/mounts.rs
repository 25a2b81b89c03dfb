//! The mounts of a command.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use cask_build::{ErrorKind, MountFrom, OpenedMount, WorkingContainer, WorkingContainers};
use cask_containerfile::instruction::{Mount, MountKind};
use cask_runtime::Cancel;

use super::SeesArguments;
use crate::context::Context;

/// Takes hold of what `--mount` names.
pub(super) fn open(
    arguments: &SeesArguments,
    containers: &WorkingContainers,
    container: &WorkingContainer,
    context: &Context,
    cancel: &Cancel,
) -> Result<Vec<OpenedMount>> {
    let mut opened = Vec::new();
    for text in &arguments.mount {
        let mut text = text.clone();
        let words = Mount::parse(&text).with_context(|| format!("mount {text:?}"))?;
        let is_bind = words.kind == MountKind::Bind;
        if is_bind
            && words.source.is_none()
            && words.from.is_none()
            && arguments.contextdir.is_none()
        {
            bail!("mount {text:?} has no source: name a file or a directory of this machine");
        }
        let from = match (&words.from, &arguments.contextdir) {
            (Some(from), _) if words.kind == MountKind::Bind => named(from, containers, context)?,
            (_, Some(directory)) => MountFrom::Directory(directory.clone()),
            (_, None) => {
                // A path is where the caller is.
                if let Some(source) =
                    words.source.as_ref().filter(|source| !source.starts_with('/'))
                    && words.kind == MountKind::Bind
                {
                    let absolute = std::env::current_dir()?.join(source);
                    text += &format!(",source={}", absolute.display());
                }
                MountFrom::Directory(PathBuf::from("/"))
            }
        };
        opened.push(containers.open_mount(container, &text, from, cancel)?);
    }
    Ok(opened)
}

/// The container of this name, or else the image.
fn named(name: &str, containers: &WorkingContainers, context: &Context) -> Result<MountFrom> {
    match containers.find(name) {
        Ok(container) => Ok(MountFrom::Container(Box::new(container))),
        Err(error) if error.kind() == ErrorKind::Missing => {
            let found = context.images()?.find(name);
            let found = found.with_context(|| format!("no container named {name:?}"))?;
            Ok(MountFrom::Image(Box::new(found.image)))
        }
        Err(error) => Err(error.into()),
    }
}
