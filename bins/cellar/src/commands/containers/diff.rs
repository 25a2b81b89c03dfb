//! `cellar diff`

use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::{
    ChangeKind, Container, ContainerSummary, Containers, DiffSide, ErrorKind, FileChange, Found,
};
use cask_program::output;
use cask_terminal::value::JsonStyle;
use clap::Args;
use serde::Serialize;

use super::several;
use crate::context::Context;
use crate::show;

/// Print what a container or an image changed of what it was made from
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container or image, and another that it is compared with
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Print JSON: json
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// The container that was made last
    #[arg(short, long)]
    latest: bool,
}

/// Print what an image changed of the one it was made from
#[derive(Args, Debug)]
pub(crate) struct ImageArguments {
    /// The image, and another that it is compared with
    #[arg(value_name = "IMAGE")]
    names: Vec<String>,
    /// Print JSON: json
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

/// What names may mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Container,
    Image,
    Any,
}

/// Something that was found.
enum Side {
    Container(Box<Container>),
    External(Box<ContainerSummary>),
    Image(Box<Found>),
}

impl Side {
    fn side(&self) -> DiffSide<'_> {
        match self {
            Self::Container(container) => DiffSide::Container(container),
            Self::External(found) => DiffSide::External(found),
            Self::Image(found) => DiffSide::Image(found),
        }
    }
}

/// The names are podman's.
#[derive(Serialize)]
struct Shown {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    added: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deleted: Vec<String>,
}

/// Of a container, or where there is none such, of an image.
pub(crate) fn run(arguments: &Arguments, kind: Kind, context: &Context) -> Result<ExitCode> {
    let format = json_wanted(arguments.format.as_deref())?;
    let containers = context.containers()?;
    let mut sides = Vec::new();
    if arguments.latest {
        if !arguments.names.is_empty() {
            bail!("--latest and containers cannot be used together");
        }
        sides.push(Side::Container(Box::new(several::one(&containers, None, true)?)));
    }
    for name in &arguments.names {
        sides.push(side(&containers, name, kind)?);
    }
    print(&containers, &sides, format)
}

/// Of an image.
pub(crate) fn image(arguments: &ImageArguments, context: &Context) -> Result<ExitCode> {
    let format = json_wanted(arguments.format.as_deref())?;
    let containers = context.containers()?;
    let sides = arguments.names.iter().map(|name| side(&containers, name, Kind::Image));
    print(&containers, &sides.collect::<Result<Vec<_>>>()?, format)
}

fn json_wanted(format: Option<&str>) -> Result<bool> {
    match format {
        None | Some("") => Ok(false),
        Some("json") => Ok(true),
        Some(_) => bail!("only supported value for '--format' is 'json'"),
    }
}

/// Finds it; that there is nothing such is said in podman's words.
fn side(containers: &Containers, name: &str, kind: Kind) -> Result<Side> {
    if kind != Kind::Image {
        match containers.find(name) {
            Ok(found) => return Ok(Side::Container(Box::new(found))),
            Err(error) if error.kind() != ErrorKind::ContainerNotKnown => return Err(error.into()),
            Err(_) => {}
        }
        match containers.find_external(name) {
            Ok(found) => return Ok(Side::External(Box::new(found))),
            Err(error) if error.kind() != ErrorKind::ContainerNotKnown => return Err(error.into()),
            Err(_) if kind == Kind::Container => {
                bail!("{name} not found: container not known")
            }
            Err(_) => {}
        }
    }
    match containers.images().find(name) {
        Ok(found) => Ok(Side::Image(Box::new(found))),
        Err(error) if !matches!(error.kind(), ErrorKind::ImageNotKnown | ErrorKind::Invalid) => {
            Err(error.into())
        }
        Err(_) if kind == Kind::Any => bail!("{name} not found: layer not known"),
        Err(_) => bail!("{name} not found: {name}: image not known"),
    }
}

fn print(containers: &Containers, sides: &[Side], json: bool) -> Result<ExitCode> {
    let changes = match sides {
        [] => bail!("\"cellar diff\" requires a name, id, or the \"--latest\" flag"),
        [of] => containers.diff(of.side(), None)?,
        [of, from] => containers.diff(of.side(), Some(from.side()))?,
        more => bail!("accepts between 1 and 2 arg(s), received {}", more.len()),
    };
    let text = |change: &FileChange| String::from_utf8_lossy(&change.path).into_owned();
    if json {
        let of = |kind: ChangeKind| {
            changes.iter().filter(|change| change.kind == kind).map(text).collect()
        };
        let shown = Shown {
            changed: of(ChangeKind::Changed),
            added: of(ChangeKind::Added),
            deleted: of(ChangeKind::Deleted),
        };
        show::json(&shown, JsonStyle::indented(5))?;
        return Ok(ExitCode::SUCCESS);
    }
    let lines = changes.iter().map(|change| {
        [format!("{} ", change.kind.letter()).as_bytes(), &change.path, b"\n"].concat()
    });
    output::bytes(&lines.collect::<Vec<_>>().concat())?;
    Ok(ExitCode::SUCCESS)
}
