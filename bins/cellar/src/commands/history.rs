//! `cellar history`

use anyhow::Result;
use cask_engine::HistoryEntry;
use cask_program::output;
use cask_terminal::table::human_size_with_precision;
use cask_terminal::template::{Headers, Origin, is_json_format};
use cask_terminal::value::{JsonStyle, Time, Value};
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::{moment, show};

/// Show how an image came to be, the latest step first
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image
    image: String,
    /// Print JSON, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print sizes and dates for people
    #[arg(short = 'H', long, value_name = "true|false", default_value_t = true, num_args = 0..=1,
        require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    human: bool,
    /// Print everything in full
    #[arg(long, alias = "notruncate")]
    no_trunc: bool,
    /// Print only the IDs of images
    #[arg(short, long)]
    quiet: bool,
}

/// A row, under the names that templates use.
#[derive(Serialize)]
#[serde(rename = "images.historyReporter")]
struct Row {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Created")]
    created: String,
    #[serde(rename = "CreatedAt")]
    created_at: String,
    #[serde(rename = "CreatedSince")]
    created_since: String,
    #[serde(rename = "CreatedBy")]
    created_by: String,
    #[serde(rename = "Size")]
    size: String,
    #[serde(rename = "Comment")]
    comment: String,
    #[serde(rename = "Tags")]
    tags: Vec<String>,
}

/// An entry, as JSON has it.
#[derive(Serialize)]
struct Entry {
    id: String,
    created: Option<Time>,
    #[serde(rename = "CreatedBy")]
    created_by: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    size: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
    #[serde(rename = "Created")]
    created_at: String,
}

/// Shows.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let images = context.images()?;
    let entries = images.history(&images.find_instance(&arguments.image)?.image)?;
    let template = arguments.format.as_deref();
    if template.is_some_and(is_json_format) {
        let entries: Vec<Entry> = entries.iter().map(entry).collect();
        return show::json(&entries, JsonStyle::compact());
    }
    let rows: Vec<Row> = entries.iter().map(|entry| row(entry, arguments)).collect();
    if arguments.quiet {
        let lines: String = rows.iter().map(|row| format!("{}\n", row.id)).collect();
        return output::bytes(lines.as_bytes());
    }
    let headers = Headers::from_fields(
        ["ID", "Created", "CreatedAt", "CreatedSince", "CreatedBy", "Size", "Comment", "Tags"],
        &[("CreatedBy", "CREATED BY")],
    );
    let usual = "table {{.ID}} {{.Created}} {{.CreatedBy}} {{.Size}} {{.Comment}}";
    let format = match template {
        Some(template) => (template, Origin::List),
        None => (usual, Origin::List),
    };
    show::rows("history", format, Some(&headers), &rows)
}

fn id(entry: &HistoryEntry) -> String {
    entry.image.as_ref().map_or_else(|| "<missing>".to_owned(), ToString::to_string)
}

/// Source: podman, `cmd/podman/images/history.go`, `historyReporter`.
fn row(entry: &HistoryEntry, arguments: &Arguments) -> Row {
    let short = |id: String| match id.starts_with('<') {
        true => id,
        false => id.chars().take(12).collect(),
    };
    let whole = moment::whole_seconds(entry.created).to_string();
    let created = if arguments.human { moment::since(entry.created) } else { whole.clone() };
    let created_at = Value::of(&Time(whole.clone())).map_or(whole, |time| time.to_string());
    let mut created_by = entry.created_by.clone();
    if !arguments.no_trunc && created_by.chars().count() > 45 {
        created_by = created_by.chars().take(42).chain("...".chars()).collect();
    }
    Row {
        id: if arguments.no_trunc { id(entry) } else { short(id(entry)) },
        created_since: created.clone(),
        created,
        created_at,
        created_by,
        size: match arguments.human {
            true => human_size_with_precision(entry.size_bytes, 3),
            false => entry.size_bytes.to_string(),
        },
        comment: entry.comment.clone(),
        tags: entry.names.clone(),
    }
}

fn entry(entry: &HistoryEntry) -> Entry {
    Entry {
        id: id(entry),
        created: entry.created.map(|created| Time(created.to_string())),
        created_by: entry.created_by.clone(),
        tags: entry.names.clone(),
        size: entry.size_bytes,
        comment: entry.comment.clone(),
        created_at: moment::whole_seconds(entry.created).to_string(),
    }
}
