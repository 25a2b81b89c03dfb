//! `cooper inspect`

mod typed;

use anyhow::{Context as _, Result, bail};
use cask_build::{WorkingDetails, image_details};
use cask_image::{Descriptor, Manifest, PlatformWanted};
use cask_program::manifest::inspect_list;
use cask_program::moving::RegistryArguments;
use cask_storage::Image;
use cask_terminal::output::Output;
use cask_terminal::value::JsonStyle;
use clap::Args;

use crate::context::Context;
use crate::show;

/// Show everything about a working container or an image
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container or the image
    name: Vec<String>,
    /// Print what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// What is looked for: container, image or manifest
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    kind: Option<String>,
}

/// Shows.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let name = match arguments.name.as_slice() {
        [] => bail!("container or image name must be specified"),
        [name] => name,
        _ => bail!("too many arguments specified"),
    };
    let containers = context.containers()?;
    let images = context.images()?;
    let image = || -> Result<WorkingDetails> {
        let found = images.find(name).context("importing settings")?;
        let image = of_platform(&images, found.image)?;
        Ok(image_details(&containers, &image, &found.name)?)
    };
    let details = match arguments.kind.as_deref() {
        None => match containers.find(name) {
            Ok(container) => container.details(),
            Err(_) => match image() {
                Ok(details) => details,
                // A list without an image for this machine is shown itself.
                Err(_) if images.find_list(name).is_ok() => {
                    return manifest(name, &images, context);
                }
                Err(error) => return Err(error),
            },
        },
        Some("container") => containers.find(name).context("reading build container")?.details(),
        Some("image") => image()?,
        Some("manifest") => return manifest(name, &images, context),
        Some(_) => bail!("the only recognized types are \"container\" and \"image\""),
    };
    let shown = typed::Details::of(&details)?;
    let Some(template) = &arguments.format else {
        let mut output = Output::stdout();
        output.json(&shown, JsonStyle::indented(4))?;
        return Ok(output.finish()?);
    };
    if !(template.contains("{{") && template.contains("}}")) {
        bail!("invalid format provided: {template}");
    }
    show::value("format", template, &shown)
}

/// The image itself; of a list the one for this machine.
fn of_platform(images: &cask_engine::Images, image: Image) -> Result<Image> {
    let (_, Manifest::Index(index)) = images.manifest(&image)? else { return Ok(image) };
    let wanted = PlatformWanted::of_this_build();
    let fits = |entry: &&Descriptor| {
        entry.platform.as_ref().is_some_and(|platform| {
            platform.os == wanted.os && platform.architecture == wanted.architecture
        })
    };
    let found = match index.manifests.iter().find(fits) {
        Some(entry) => images.store().images_by_digest(&entry.digest)?.into_iter().next(),
        None => None,
    };
    found.with_context(|| format!("no image found for {wanted} in the list {}", image.id.short()))
}

fn manifest(name: &str, images: &cask_engine::Images, context: &Context) -> Result<()> {
    let registry = RegistryArguments::default();
    super::wait(inspect_list(name, &registry, images, &context.settings))
}
