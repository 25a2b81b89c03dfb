//! `cellar inspect`

use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use cask_engine::{ErrorKind, Images};
use cask_program::report;
use cask_terminal::template::{Origin, is_json_format};
use cask_terminal::value::JsonStyle;
use clap::Args;
use serde::Serialize;

use super::containers::{self, ContainerPart, VolumeShown};
use super::inspect::{self, Data};
use crate::context::Context;
use crate::show;

/// Show everything about containers, images, volumes, networks and pods
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Their names or IDs
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Print what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// The container that was made last
    #[arg(short, long)]
    latest: bool,
    /// How much containers wrote too
    #[arg(short, long)]
    size: bool,
    /// What the names are of: container, image, volume, network, pod, or all, in the order in which they are tried
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "all")]
    kind: String,
}

/// What is shown.
#[derive(Serialize)]
#[serde(untagged)]
enum Document {
    Container(ContainerPart),
    Image(Box<Data>),
    Volume(VolumeShown),
    Network(Box<cask_network::Network>),
    Pod(ContainerPart),
}

/// What a name can be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Container,
    Image,
    Volume,
    Network,
    Pod,
}

const ALL: [Kind; 5] = [Kind::Container, Kind::Image, Kind::Volume, Kind::Network, Kind::Pod];

/// Shows what is found; then fails for what is not.
///
/// Source: podman, `cmd/podman/inspect/inspect.go`.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let kinds = kinds(arguments)?;
    let images = context.images()?;
    let mut found = Vec::new();
    let mut errors = Vec::new();
    if arguments.latest {
        let id = containers::latest(context)?;
        found.extend(look(Kind::Container, &id, arguments, (&images, context))?);
    }
    for name in &arguments.names {
        let mut document = None;
        for kind in &kinds {
            document = look(*kind, name, arguments, (&images, context))?;
            if document.is_some() {
                break;
            }
        }
        match document {
            Some(document) => found.push(document),
            None => errors.push(unknown(&kinds, name)),
        }
    }
    print(&found, arguments.format.as_deref())?;
    let mut errors = errors.into_iter();
    let Some(first) = errors.next() else { return Ok(ExitCode::SUCCESS) };
    for error in errors {
        report::say(&format!("error inspecting object: {error}"));
    }
    Err(first.context("inspecting object"))
}

fn kinds(arguments: &Arguments) -> Result<Vec<Kind>> {
    let Arguments { names, latest, size, kind, .. } = arguments;
    let kinds = match kind.as_str() {
        "all" if *latest => vec![Kind::Container],
        "all" => ALL.to_vec(),
        "container" => vec![Kind::Container],
        "image" if *latest => bail!("latest is not supported for type {kind:?}"),
        "image" | "pod" if *size => bail!("size is not supported for type {kind:?}"),
        "image" => vec![Kind::Image],
        "volume" => vec![Kind::Volume],
        "network" => vec![Kind::Network],
        "pod" => vec![Kind::Pod],
        _ => bail!(
            "invalid type {kind:?}: must be \"image\", \"container\", \"pod\", \"network\", \
             \"volume\", or \"all\""
        ),
    };
    match (names.is_empty(), latest) {
        (false, true) => bail!("--latest and arguments cannot be used together"),
        (true, false) => bail!("no names or ids specified"),
        _ => Ok(kinds),
    }
}

fn look(
    kind: Kind,
    name: &str,
    arguments: &Arguments,
    (images, context): (&Images, &Context),
) -> Result<Option<Document>> {
    Ok(match kind {
        Kind::Container => {
            containers::document(name, arguments.size, context)?.map(Document::Container)
        }
        Kind::Image => match inspect::details(images, name) {
            Ok(details) => Some(Document::Image(Box::new(inspect::data(images, &details)))),
            // Other things may be called what no image may.
            Err(error) if matches!(error.kind(), ErrorKind::ImageNotKnown | ErrorKind::Invalid) => {
                None
            }
            Err(error) => return Err(error.into()),
        },
        Kind::Volume => containers::volume_document(name, context)?.map(Document::Volume),
        Kind::Pod => containers::pod_document(name, &context.containers()?)?.map(Document::Pod),
        Kind::Network => match context.containers()?.networks().find(name) {
            Ok(network) => Some(Document::Network(Box::new(network))),
            Err(error) if error.kind() == cask_network::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        },
    })
}

fn unknown(kinds: &[Kind], name: &str) -> anyhow::Error {
    match kinds {
        [Kind::Container] => anyhow!("no such container {name}"),
        [Kind::Image] => anyhow!("{name}: image not known"),
        [Kind::Volume] => anyhow!("no such volume {name}"),
        [Kind::Pod] => anyhow!("no such pod {name}"),
        [Kind::Network] => anyhow!(
            "network {name}: unable to find network with name or ID {name}: network not found"
        ),
        _ => anyhow!("no such object: {name:?}"),
    }
}

fn print(found: &[Document], format: Option<&str>) -> Result<()> {
    let Some(template) = format.filter(|template| !is_json_format(template)) else {
        return show::json(found, JsonStyle::indented(5));
    };
    for document in found {
        if let Document::Network(network) = document {
            let rows = [containers::named_network(network)];
            show::rows("inspect", (template, Origin::List), None, &rows)?;
            continue;
        }
        // As in JSON, so in templates.
        let template = match document {
            Document::Image(_) => template.replace(".Id", ".ID"),
            Document::Container(_) => containers::normal(template),
            Document::Pod(_) => containers::pod_template(template),
            _ => template.to_owned(),
        };
        show::rows("inspect", (&template, Origin::List), None, std::slice::from_ref(document))?;
    }
    Ok(())
}
