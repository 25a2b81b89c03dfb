//! `cooper containers`

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail};
use cask_build::WorkingContainers;
use cask_program::output;
use cask_storage::Id;
use cask_terminal::output::Output;
use cask_terminal::value::JsonStyle;
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::show;

/// List working containers
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// List containers of others too
    #[arg(short, long)]
    all: bool,
    /// Only those that fit: id=, name= or ancestor=
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Option<String>,
    /// Print what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print no headings
    #[arg(short, long)]
    noheading: bool,
    /// Cut nothing off
    #[arg(long)]
    notruncate: bool,
    /// Print only IDs
    #[arg(short, long)]
    quiet: bool,
}

/// Source: buildah, `cmd/buildah/containers.go`.
#[derive(Serialize)]
struct Row {
    #[serde(rename = "ContainerID")]
    id: String,
    #[serde(rename = "Builder")]
    builder: &'static str,
    #[serde(rename = "ImageID")]
    image_id: String,
    #[serde(rename = "ImageName")]
    image_name: String,
    #[serde(rename = "ContainerName")]
    name: String,
}

#[derive(Serialize)]
struct Listed<'r> {
    id: &'r str,
    builder: bool,
    imageid: &'r str,
    imagename: &'r str,
    containername: &'r str,
}

/// What a container made by these programs has in its column.
const OURS: &str = "   *";

/// Lists.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    if arguments.quiet && arguments.format.is_some() {
        bail!("quiet and format are mutually exclusive");
    }
    let filter = arguments.filter.as_deref().map(Filter::parse).transpose();
    let filter = filter.context("parsing filter")?.unwrap_or_default();
    let mut rows = rows(&context.containers()?, arguments.all)?;
    rows.retain(|row| filter.fits(row));
    if arguments.json {
        return json(&rows);
    }
    if let Some(template) = &arguments.format {
        return show::rows("containers", template, &HEADERS, &rows);
    }
    let mut text = String::new();
    if !arguments.noheading && !arguments.quiet {
        let [id, builder, image_id, image_name, name] = HEADERS.map(|(_, header)| header);
        text += &line(arguments.notruncate, [id, builder, image_id, image_name, name], true);
    }
    for row in &rows {
        text += &match arguments.quiet {
            true => format!("{:<64}\n", row.id),
            false => line(
                arguments.notruncate,
                [&row.id, row.builder, &row.image_id, &row.image_name, &row.name],
                false,
            ),
        };
    }
    output::bytes(text.as_bytes())
}

const HEADERS: [(&str, &str); 5] = [
    ("ContainerID", "CONTAINER ID"),
    ("Builder", "BUILDER"),
    ("ImageID", "IMAGE ID"),
    ("ImageName", "IMAGE NAME"),
    ("ContainerName", "CONTAINER NAME"),
];

/// Source: buildah, `containerOutputUsingFormatString` and `containerOutputHeader`.
fn line(whole: bool, fields: [&str; 5], is_header: bool) -> String {
    let [id, builder, image_id, image_name, name] = fields;
    if whole {
        return format!("{id:<64} {builder:<8} {image_id:<64} {image_name:<32} {name}\n");
    }
    let name_of_image = if is_header { image_name.to_owned() } else { truncated(image_name) };
    format!("{id:<12.12}  {builder:<8} {image_id:<12.12} {name_of_image:<32} {name}\n")
}

/// Source: buildah, `util.TruncateString`.
fn truncated(text: &str) -> String {
    match text.chars().count() > 32 {
        true => text.chars().take(29).chain("...".chars()).collect(),
        false => text.to_owned(),
    }
}

fn json(rows: &[Row]) -> Result<()> {
    let listed = rows.iter().map(|row| Listed {
        id: &row.id,
        builder: row.builder == OURS,
        imageid: &row.image_id,
        imagename: &row.image_name,
        containername: &row.name,
    });
    let listed: Vec<Listed<'_>> = listed.collect();
    let mut output = Output::stdout();
    match listed.is_empty() {
        // As Go prints a list that was never made.
        true => output.json(&None::<()>, JsonStyle::indented(4))?,
        false => output.json(&listed, JsonStyle::indented(4))?,
    }
    Ok(output.finish()?)
}

fn rows(containers: &WorkingContainers, all: bool) -> Result<Vec<Row>> {
    let store = containers.store();
    let mut names: HashMap<String, String> = HashMap::new();
    let mut image_name = |id: &str| -> Result<String> {
        if id.is_empty() {
            return Ok("scratch".to_owned());
        }
        if let Some(known) = names.get(id) {
            return Ok(known.clone());
        }
        let image = store.image(&Id::parse(id)?)?;
        let name = image.and_then(|image| image.names.first().cloned()).unwrap_or_default();
        names.insert(id.to_owned(), name.clone());
        Ok(name)
    };
    let working = containers.list().context("reading build containers")?;
    let mut rows = Vec::new();
    if !all {
        for one in working {
            rows.push(Row {
                id: one.id().to_string(),
                builder: OURS,
                image_id: one.image_id().to_owned(),
                image_name: image_name(one.image_id())?,
                name: one.name().to_owned(),
            });
        }
        return Ok(rows);
    }
    for one in store.containers().context("reading list of all containers")? {
        let image_id = one.image.as_ref().map(Id::to_string).unwrap_or_default();
        let is_ours = working.iter().any(|ours| *ours.id() == one.id);
        rows.push(Row {
            id: one.id.to_string(),
            builder: if is_ours { OURS } else { "" },
            image_name: image_name(&image_id)?,
            image_id,
            name: one.names.first().cloned().unwrap_or_default(),
        });
    }
    Ok(rows)
}

/// Which containers are listed.
#[derive(Default)]
struct Filter {
    id: Option<String>,
    name: Option<String>,
    ancestor: Option<String>,
}

impl Filter {
    fn parse(text: &str) -> Result<Self> {
        let mut filter = Self::default();
        for part in text.split(',') {
            let Some((key, value)) = part.split_once('=') else {
                bail!("incorrect filter value {part:?}, should be of form filter=value");
            };
            let field = match key.trim() {
                "id" => &mut filter.id,
                "name" => &mut filter.name,
                "ancestor" => &mut filter.ancestor,
                other => bail!("invalid filter {other:?}"),
            };
            *field = Some(value.to_owned()).filter(|value| !value.is_empty());
        }
        Ok(filter)
    }

    fn fits(&self, row: &Row) -> bool {
        let is = |wanted: &Option<String>, fits: &dyn Fn(&str) -> bool| {
            wanted.as_deref().is_none_or(fits)
        };
        is(&self.id, &|wanted| row.id.starts_with(wanted))
            && is(&self.name, &|wanted| row.name.contains(wanted))
            && is(&self.ancestor, &|wanted| {
                row.image_id.starts_with(wanted) || is_reference(&row.image_name, wanted)
            })
    }
}

/// Source: buildah, `cmd/buildah/images.go`, `matchesReference`.
fn is_reference(name: &str, wanted: &str) -> bool {
    let cut = |text: &str| {
        let (name, tag) = text.split_once(':').unwrap_or((text, ""));
        (name.to_owned(), tag.to_owned())
    };
    let (name, tag) = cut(name);
    let (wanted_name, wanted_tag) = cut(wanted);
    name.ends_with(&wanted_name) && (wanted_tag.is_empty() || tag == wanted_tag)
}
