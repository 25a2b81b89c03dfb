//! `cooper images`

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use cask_engine::{Filter, ImageSummary};
use cask_image::Timestamp;
use cask_program::output;
use cask_reference::Reference;
use cask_terminal::output::Output;
use cask_terminal::table::{ago, spaced_size};
use cask_terminal::value::{JsonStyle, Time};
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::show;

/// List the images of the store
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Only this image
    image: Vec<String>,
    /// List images too that others were built on and that have no name
    #[arg(short, long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// Only images that fit, such as dangling=true or label=KEY=VALUE
    #[arg(short, long, value_name = "KEY=VALUE", value_delimiter = ',')]
    filter: Vec<String>,
    /// Print what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show the names that images had
    #[arg(long)]
    history: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print no headings
    #[arg(short, long)]
    noheading: bool,
    /// Cut no IDs off
    #[arg(long = "no-trunc", alias = "notruncate")]
    notruncate: bool,
    /// Print only IDs
    #[arg(short, long)]
    quiet: bool,
}

/// Source: buildah, `cmd/buildah/images.go`, `imageOutputParams`.
#[derive(Clone, Serialize)]
struct Row {
    #[serde(rename = "Tag")]
    tag: String,
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Digest")]
    digest: String,
    #[serde(rename = "Created")]
    created: i64,
    #[serde(rename = "CreatedAt")]
    created_at: String,
    #[serde(rename = "Size")]
    size: String,
    #[serde(rename = "CreatedAtRaw")]
    created_at_raw: Time,
    #[serde(rename = "ReadOnly")]
    read_only: bool,
    #[serde(rename = "History")]
    history: String,
}

/// Source: buildah, `cmd/buildah/images.go`, `jsonImage`.
#[derive(Serialize)]
struct Listed {
    id: String,
    names: Vec<String>,
    digest: String,
    createdat: String,
    size: String,
    created: i64,
    createdatraw: String,
    readonly: bool,
    history: Option<Vec<String>>,
}

const HEADERS: [(&str, &str); 8] = [
    ("Name", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("CreatedAt", "CREATED"),
    ("Size", "SIZE"),
    ("ReadOnly", "R/O"),
    ("History", "HISTORY"),
];

/// Lists.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    match arguments.image.as_slice() {
        [_, ..] if arguments.all => {
            bail!("when using the --all switch, you may not pass any images names or IDs")
        }
        [_, _, ..] => bail!("'cooper images' requires at most 1 argument"),
        _ => {}
    }
    if arguments.quiet && arguments.format.is_some() {
        bail!("quiet and format are mutually exclusive");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let filters = arguments.filter.iter().map(|text| Filter::parse(text, seconds));
    let mut filters = filters.collect::<Result<Vec<_>, _>>()?;
    if !arguments.all {
        filters.push(Filter::Intermediate(false));
    }
    let images = context.images()?;
    let mut listed = images.list(&filters)?;
    if let Some(name) = arguments.image.first() {
        let found = images.find(name)?;
        listed.retain(|one| one.image.id == found.image.id);
    }
    Context::warn(images.store());
    if arguments.json {
        return json(&listed, arguments, now);
    }
    listed.sort_by_key(|one| {
        std::cmp::Reverse(one.created.map(|time| (time.unix_seconds(), time.nanoseconds())))
    });
    let rows: Vec<Row> = listed.iter().flat_map(|one| rows(one, arguments, now)).collect();
    if arguments.quiet {
        let ids: String = rows.iter().map(|row| format!("{}\n", row.id)).collect();
        return output::bytes(ids.as_bytes());
    }
    if let Some(template) = &arguments.format {
        return show::rows("images", template, &HEADERS, &rows);
    }
    table(&rows, arguments)
}

fn table(rows: &[Row], arguments: &Arguments) -> Result<()> {
    let line = |row: &Row| {
        let mut fields = vec![row.name.as_str(), row.tag.as_str()];
        fields.extend(arguments.digests.then_some(row.digest.as_str()));
        fields.extend([row.id.as_str(), row.created_at.as_str(), row.size.as_str()]);
        fields.extend(arguments.history.then_some(row.history.as_str()));
        fields.join("\t") + "\n"
    };
    let mut text = String::new();
    if !arguments.noheading {
        let mut fields = vec!["REPOSITORY", "TAG"];
        fields.extend(arguments.digests.then_some("DIGEST"));
        fields.extend(["IMAGE ID", "CREATED", "SIZE"]);
        fields.extend(arguments.history.then_some("HISTORY"));
        text = fields.join("\t") + "\n";
    }
    text.extend(rows.iter().map(line));
    output::bytes(&cask_terminal::table::align(text.as_bytes(), show::LAYOUT))
}

fn json(listed: &[ImageSummary], arguments: &Arguments, now: Duration) -> Result<()> {
    let all = listed.iter().map(|one| {
        let (created, raw) = created(one);
        Listed {
            id: id(one, arguments),
            names: one.image.names.clone(),
            digest: one.digest().map(ToString::to_string).unwrap_or_default(),
            createdat: since(created, now),
            size: size(one.size_bytes),
            created: created.unix_seconds(),
            createdatraw: raw,
            readonly: one.image.is_read_only(),
            history: None,
        }
    });
    let all: Vec<Listed> = all.collect();
    let mut output = Output::stdout();
    output.json(&all, JsonStyle::indented(4))?;
    Ok(output.finish()?)
}

/// A row for each name.
fn rows(one: &ImageSummary, arguments: &Arguments, now: Duration) -> Vec<Row> {
    let (created, raw) = created(one);
    let row = Row {
        name: "<none>".to_owned(),
        tag: "<none>".to_owned(),
        id: id(one, arguments),
        digest: one.digest().map(ToString::to_string).unwrap_or_default(),
        created: created.unix_seconds(),
        created_at: since(created, now),
        created_at_raw: Time(raw),
        size: size(one.size_bytes),
        read_only: one.image.is_read_only(),
        history: String::new(),
    };
    let mut rows = Vec::new();
    for name in &one.image.names {
        let Ok(parsed) = Reference::parse_normalized(name) else { continue };
        let tag = parsed.tag().map_or_else(|| "<none>".to_owned(), ToString::to_string);
        let history = history(&one.image.names_history, name);
        rows.push(Row { name: parsed.name().to_owned(), tag, history, ..row.clone() });
    }
    if rows.is_empty() {
        rows.push(Row { history: history(&one.image.names_history, ""), ..row });
    }
    if arguments.quiet {
        rows.truncate(1);
    }
    rows
}

/// Source: buildah, `formatHistory`.
fn history(names: &[String], name: &str) -> String {
    let rest = match names {
        [first, rest @ ..] if first == name => rest,
        all => all,
    };
    if rest.is_empty() { "<none>".to_owned() } else { rest.join(", ") }
}

fn id(one: &ImageSummary, arguments: &Arguments) -> String {
    match arguments.notruncate {
        true => format!("sha256:{}", one.image.id),
        false => one.image.id.short().to_owned(),
    }
}

/// A size in the units of buildah, which has them all in capitals.
///
/// Source: buildah, `cmd/buildah/images.go`, `formattedSize`.
fn size(size_bytes: u64) -> String {
    spaced_size(size_bytes).replace("kB", "KB")
}

fn created(one: &ImageSummary) -> (Timestamp, String) {
    let created = one.created.unwrap_or(Timestamp::GO_ZERO);
    (created, created.to_string())
}

/// How long ago that was; what is to come is now.
fn since(time: Timestamp, now: Duration) -> String {
    ago(match u64::try_from(time.unix_seconds()) {
        Ok(seconds) => now.saturating_sub(Duration::new(seconds, time.nanoseconds())),
        Err(_) => now + Duration::from_secs(time.unix_seconds().unsigned_abs()),
    })
}
