//! `cellar search`

use anyhow::{Context as _, Result, anyhow, bail};
use cask_program::access::OneArguments;
use cask_program::{registries, registry};
use cask_reference::Repository;
use cask_registry::{Client, FoundRepository};
use cask_terminal::template::{Headers, Origin};
use cask_terminal::value::JsonStyle;
use clap::Args;
use futures_util::future::join_all;
use serde::Serialize;

use crate::context::Context;
use crate::show;

/// How many of each registry are shown if nobody says how many.
const USUAL_LIMIT: usize = 25;
/// How long a description may be that is not shown whole.
const MAX_DESCRIPTION_CHARS: usize = 44;

/// Look for repositories in registries
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A part of a name; with a registry before it, as in HOST/TERM, that one alone is asked, and HOST/ lists all
    term: String,
    /// Show also how many people like them, and whether they are official or automated
    #[arg(long)]
    compatible: bool,
    /// Show only some: stars=N, is-official[=false], is-automated[=false]
    #[arg(short, long, value_name = "FILTER", value_delimiter = ',')]
    filter: Vec<String>,
    /// Print JSON, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show so many of each registry [default: 25; of tags all]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    limit: usize,
    /// List the tags of the repository that TERM names
    #[arg(long)]
    list_tags: bool,
    /// Print whole descriptions
    #[arg(long)]
    no_trunc: bool,
    #[command(flatten)]
    access: OneArguments,
}

/// Source: podman, `pkg/domain/entities/images.go`, `ImageSearchReport`.
#[derive(Default, Serialize)]
#[serde(rename = "entities.ImageSearchReport")]
struct Row {
    #[serde(rename = "Index")]
    index: String,
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Description")]
    description: String,
    #[serde(rename = "Stars")]
    stars: u64,
    #[serde(rename = "Official")]
    official: &'static str,
    #[serde(rename = "Automated")]
    automated: &'static str,
    #[serde(rename = "Tag")]
    tag: String,
}

/// What JSON shows of a repository's tags.
#[derive(Serialize)]
struct Tags {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Tags")]
    tags: Vec<String>,
}

/// Searches, all registries at once.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    let filters: Vec<Filter> =
        arguments.filter.iter().map(|text| filter(text)).collect::<Result<_>>()?;
    if arguments.list_tags && !filters.is_empty() {
        bail!("filters are not applicable to list tags result");
    }
    arguments.access.check_authfile()?;
    let (host, term) = split(&arguments.term);
    let configured = registries::read(&context.settings)?;
    let hosts = match host {
        Some(host) => vec![host.to_owned()],
        None => configured.search_registries().to_vec(),
    };
    if hosts.is_empty() {
        bail!(
            "no registry to search: name one, as in HOST/{term}, or list some as unqualified-search-registries in registries.conf"
        );
    }
    let access = arguments.access.resolve(&context.settings).await?;
    let client = registry::docker(&access, &context.settings).client;
    let asked = hosts.iter().map(async |host| {
        let found = match configured.check_not_blocked(host) {
            Ok(()) => ask(&client, host, term, &arguments).await,
            Err(error) => Err(error.into()),
        };
        found.with_context(|| format!("couldn't search registry {host:?}"))
    });
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for found in join_all(asked).await {
        match found {
            Ok(found) => rows.extend(found),
            Err(error) => failed.push(error),
        }
    }
    rows.retain(|row| filters.iter().all(|filter| filter.takes(row)));
    if rows.is_empty()
        && let Some(error) = failed.into_iter().reduce(|one, other| anyhow!("{one:#}; {other:#}"))
    {
        return Err(error);
    }
    print(&arguments, rows)
}

/// The registry that a term names, and what is looked for.
///
/// Source: containers/common, `libimage`, `Runtime.Search`.
fn split(term: &str) -> (Option<&str>, &str) {
    let term = term.strip_prefix("docker://").unwrap_or(term);
    match term.split_once('/') {
        Some((host, rest)) if host == "localhost" || host.contains(['.', ':']) => {
            (Some(host), rest)
        }
        _ => (None, term),
    }
}

/// What one registry has.
async fn ask(client: &Client, host: &str, term: &str, arguments: &Arguments) -> Result<Vec<Row>> {
    let limit = (arguments.limit > 0).then_some(arguments.limit);
    if arguments.list_tags {
        return tags(client, &format!("{host}/{term}"), limit).await;
    }
    let found = client.registry(host).search(term, limit.unwrap_or(USUAL_LIMIT)).await?;
    Ok(found.into_iter().map(|one| row(host, one)).collect())
}

async fn tags(client: &Client, name: &str, limit: Option<usize>) -> Result<Vec<Row>> {
    let repository: Repository = match name.parse::<cask_reference::Reference>() {
        Ok(reference) => reference.repository().clone(),
        Err(error) => bail!("{name:?} is no repository whose tags could be listed: {error}"),
    };
    let mut names = client.repository(&repository).tags();
    let mut rows = Vec::new();
    while limit.is_none_or(|limit| rows.len() < limit)
        && let Some(tag) = names.next().await?
    {
        rows.push(Row { name: repository.to_string(), tag, ..Row::default() });
    }
    Ok(rows)
}

fn row(host: &str, found: FoundRepository) -> Row {
    let ok = |holds| if holds { "[OK]" } else { "" };
    let is_hub = host == "docker.io" && !found.name.contains('/');
    Row {
        index: host.to_owned(),
        name: format!("{host}/{}{}", if is_hub { "library/" } else { "" }, found.name),
        description: found.description,
        stars: found.stars,
        official: ok(found.is_official),
        automated: ok(found.is_automated),
        tag: String::new(),
    }
}

/// Which are shown.
enum Filter {
    Stars(u64),
    Official(bool),
    Automated(bool),
}

impl Filter {
    fn takes(&self, row: &Row) -> bool {
        match self {
            Self::Stars(least) => row.stars >= *least,
            Self::Official(wanted) => row.official.is_empty() != *wanted,
            Self::Automated(wanted) => row.automated.is_empty() != *wanted,
        }
    }
}

/// Source: containers/common, `libimage`, `SearchFilters`; its words.
fn filter(text: &str) -> Result<Filter> {
    let (name, value) =
        text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    match (name, value) {
        ("stars", None) => bail!("invalid filter {text:?}, should be stars=<value>"),
        ("stars", Some(value)) => match value.parse() {
            Ok(least) => Ok(Filter::Stars(least)),
            Err(_) => bail!("incorrect value type for stars filter: {value:?} is no number"),
        },
        ("is-official", value) => Ok(Filter::Official(value != Some("false"))),
        ("is-automated", value) => Ok(Filter::Automated(value != Some("false"))),
        _ => bail!("invalid filter type {text:?}"),
    }
}

/// Source: podman, `cmd/podman/images/search.go`.
fn print(arguments: &Arguments, mut rows: Vec<Row>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let template = arguments.format.as_deref();
    let is_json = matches!(template.map(str::trim), Some("json" | "{{json .}}"));
    if is_json && arguments.list_tags {
        let mut all: Vec<Tags> = Vec::new();
        for Row { name, tag, .. } in rows {
            match all.last_mut().filter(|last| last.name == name) {
                Some(last) => last.tags.push(tag),
                None => all.push(Tags { name, tags: vec![tag] }),
            }
        }
        return show::json(&all, JsonStyle::indented(4));
    }
    if is_json {
        return show::json(&rows, JsonStyle::indented(4));
    }
    if !arguments.no_trunc {
        rows.iter_mut().for_each(|row| cut(&mut row.description));
    }
    let usual = match (arguments.list_tags, arguments.compatible) {
        (true, _) => "table {{.Name}}\t{{.Tag}}",
        (false, true) => {
            "table {{.Name}}\t{{.Description}}\t{{.Stars}}\t{{.Official}}\t{{.Automated}}"
        }
        (false, false) => "table {{.Name}}\t{{.Description}}",
    };
    let fields = ["Index", "Name", "Description", "Stars", "Official", "Automated", "Tag"];
    let headers = Headers::from_fields(fields, &[]);
    show::rows("search", (template.unwrap_or(usual), Origin::List), Some(&headers), &rows)
}

fn cut(description: &mut String) {
    if let Some((end, _)) = description.char_indices().nth(MAX_DESCRIPTION_CHARS) {
        description.truncate(end);
        description.truncate(description.trim_end().len());
        description.push_str("...");
    }
}
