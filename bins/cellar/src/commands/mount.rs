//! `cellar image mount`

use std::path::Path;

use anyhow::{Result, bail};
use cask_program::output;
use cask_storage::Image;
use cask_terminal::table::{Layout, align};
use cask_terminal::value::JsonStyle;
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::show;

/// Mount images to be read, and print where; without an image, list what is mounted
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The images
    images: Vec<String>,
    /// Mount all images
    #[arg(short, long)]
    all: bool,
    /// How to list: json
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Source: podman, `cmd/podman/images/mount.go`.
#[derive(Serialize)]
struct Mounted {
    id: String,
    #[serde(rename = "Names")]
    names: Vec<String>,
    #[serde(rename = "Repositories")]
    repositories: Vec<String>,
    #[serde(rename = "mountpoint")]
    mount_point: String,
}

/// Mounts.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    if !arguments.images.is_empty() && arguments.all {
        bail!("when using the --all switch, you may not pass any image names or IDs");
    }
    if arguments.format.as_deref().is_some_and(|format| format != "json") {
        bail!("unknown --format argument: {:?}", arguments.format.as_deref().unwrap_or_default());
    }
    let images = context.images()?;
    let store = images.store();
    if arguments.images.is_empty() && !arguments.all {
        let mounts = store.mounts()?;
        let mut found = Vec::new();
        for image in store.images()? {
            let mount = mounts.iter().find(|mount| Some(&mount.layer) == image.top_layer.as_ref());
            if let Some(mount) = mount {
                found.push((image, mount.path.clone()));
            }
        }
        return list(&found, arguments.format.is_some());
    }
    let wanted: Vec<Image> = match arguments.all {
        true => store.images()?.into_iter().filter(|image| image.top_layer.is_some()).collect(),
        false => {
            let found = arguments.images.iter().map(|name| images.find_instance(name));
            found.map(|found| found.map(|found| found.image)).collect::<Result<_, _>>()?
        }
    };
    let mut mounted = Vec::new();
    for image in wanted {
        let path = store.mount_image(&image.id)?;
        images.note("mount", image.id.as_str(), "");
        mounted.push((image, path));
    }
    match mounted.as_slice() {
        [(_, path)] if !arguments.all && arguments.format.is_none() => {
            output::line(&path.display().to_string())
        }
        mounted => list(mounted, arguments.format.is_some()),
    }
}

fn list(mounted: &[(Image, impl AsRef<Path>)], json: bool) -> Result<()> {
    let path = |path: &dyn AsRef<Path>| path.as_ref().display().to_string();
    if json {
        let rows = mounted.iter().map(|(image, at)| Mounted {
            id: image.id.to_string(),
            names: image.manifest_digest().map(ToString::to_string).into_iter().collect(),
            repositories: image.names.clone(),
            mount_point: path(at),
        });
        let rows: Vec<Mounted> = rows.collect();
        return show::json(&rows, JsonStyle::indented(1));
    }
    let rows = mounted.iter().map(|(image, at)| {
        let name = image.names.first().cloned().unwrap_or_else(|| image.id.to_string());
        format!("{name}\t{}\n", path(at))
    });
    output::bytes(&align(rows.collect::<String>().as_bytes(), Layout::PODMAN))
}
