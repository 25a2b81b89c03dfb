//! `cooper inspect`

use anyhow::{Context as _, Result, bail};
use cask_build::{WorkingDetails, image_details};
use cask_program::output;
use cask_terminal::output::Output;
use cask_terminal::template::{Format, Origin};
use cask_terminal::value::{JsonStyle, Value};
use clap::Args;
use serde::Serialize;
use serde::ser::SerializeMap as _;

use crate::context::Context;

/// Show everything about a working container or an image
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container or the image
    name: Vec<String>,
    /// Print what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// What is looked for: container, image or manifest
    #[arg(short, long = "type", value_name = "TYPE")]
    kind: Option<String>,
}

/// The fields in their order.
struct Ordered<'d>(&'d WorkingDetails);

impl Serialize for Ordered<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.fields.len()))?;
        for (name, value) in &self.0.fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
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
        Ok(image_details(&containers, &found.image, &found.name)?)
    };
    let details = match arguments.kind.as_deref() {
        None => match containers.find(name) {
            Ok(container) => container.details(),
            Err(_) => match is_list(&images, name) {
                true => return manifest(&images, name),
                false => image()?,
            },
        },
        Some("container") => containers.find(name).context("reading build container")?.details(),
        Some("image") => image()?,
        Some("manifest") => return manifest(&images, name),
        Some(_) => bail!("the only recognized types are \"container\" and \"image\""),
    };
    let Some(template) = &arguments.format else {
        let mut output = Output::stdout();
        output.json(&Ordered(&details), JsonStyle::indented(4))?;
        return Ok(output.finish()?);
    };
    if !(template.contains("{{") && template.contains("}}")) {
        bail!("invalid format provided: {template}");
    }
    let format = Format::parse("format", template, Origin::Value)?;
    let named = go_names(serde_json::to_value(Ordered(&details))?);
    output::bytes(&format.render(None, &Value::of(&named)?)?)
}

fn is_list(images: &cask_engine::Images, name: &str) -> bool {
    let found = images.find(name).and_then(|found| images.manifest(&found.image));
    matches!(found, Ok((_, cask_image::Manifest::Index(_))))
}

fn manifest(images: &cask_engine::Images, name: &str) -> Result<()> {
    let found = images.find(name)?;
    let (raw, _) = images.manifest(&found.image)?;
    let value: serde_json::Value = serde_json::from_slice(raw.bytes())?;
    let mut output = Output::stdout();
    output.json(&value, JsonStyle::indented(4))?;
    Ok(output.finish()?)
}

/// What the fields of configs are called in JSON and in Go, which templates are written in.
///
/// Source: OCI image specification, `specs-go/v1/config.go`; buildah, `docker/types.go`.
const GO_NAMES: [(&str, &str); 21] = [
    ("architecture", "Architecture"),
    ("author", "Author"),
    ("comment", "Comment"),
    ("config", "Config"),
    ("container", "Container"),
    ("container_config", "ContainerConfig"),
    ("created", "Created"),
    ("created_by", "CreatedBy"),
    ("diff_ids", "DiffIDs"),
    ("docker_version", "DockerVersion"),
    ("empty_layer", "EmptyLayer"),
    ("history", "History"),
    ("id", "ID"),
    ("os", "OS"),
    ("os.features", "OSFeatures"),
    ("os.version", "OSVersion"),
    ("parent", "Parent"),
    ("rootfs", "RootFS"),
    ("size", "Size"),
    ("type", "Type"),
    ("variant", "Variant"),
];

/// Gives the fields of both configs, and of the history, the names that Go has for them.
fn go_names(mut details: serde_json::Value) -> serde_json::Value {
    for key in ["OCIv1", "Docker", "History"] {
        if let Some(value) = details.get_mut(key) {
            rename(value);
        }
    }
    details
}

fn rename(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Array(items) => items.iter_mut().for_each(rename),
        serde_json::Value::Object(fields) => {
            for (json, go) in GO_NAMES {
                let Some(mut inner) = fields.remove(json) else { continue };
                // What is in a config has Go's names already, and labels have their own.
                if !matches!(json, "config" | "container_config") {
                    rename(&mut inner);
                }
                fields.insert(go.to_owned(), inner);
            }
        }
        _ => {}
    }
}
