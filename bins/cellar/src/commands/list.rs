//! `cellar images`

use std::cmp::Ordering;
use std::collections::BTreeMap;

use anyhow::{Result, bail};
use cask_engine::{Filter, ImageSummary, Images, Relations};
use cask_program::output;
use cask_terminal::table::spaced_size;
use cask_terminal::template::{Headers, Origin, is_json_format};
use cask_terminal::value::{JsonStyle, nil};
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::{moment, show};

/// List the images of the store
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Only images of this name, a part of one, or a pattern
    image: Option<String>,
    /// List images too that others were built on and that have no name
    #[arg(short, long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// Only images that fit, such as dangling=true, reference=PATTERN or label=KEY=VALUE
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Print JSON, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show the names that images had
    #[arg(long)]
    history: bool,
    /// Print IDs in full
    #[arg(long)]
    no_trunc: bool,
    /// Print no headings
    #[arg(short, long)]
    noheading: bool,
    /// Print only the IDs of images
    #[arg(short, long)]
    quiet: bool,
    /// What comes first: created, id, repository, size or tag
    #[arg(long, value_name = "FIELD", default_value = "created")]
    sort: String,
}

/// A row: an image under one of its names. The names of the fields are those of templates.
#[derive(Serialize)]
#[serde(rename = "images.imageReporter")]
struct Row {
    #[serde(rename = "Repository")]
    repository: String,
    #[serde(rename = "Tag")]
    tag: String,
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Created")]
    created: String,
    #[serde(rename = "CreatedSince")]
    created_since: String,
    #[serde(rename = "CreatedAt")]
    created_at: String,
    #[serde(rename = "CreatedTime")]
    created_time: String,
    #[serde(rename = "Size")]
    size: String,
    #[serde(rename = "History")]
    history: String,
    #[serde(flatten)]
    image: Image,
    #[serde(skip)]
    order: Order,
}

/// What rows are sorted by.
#[derive(Clone)]
struct Order {
    created: (i64, u32),
    size_bytes: u64,
}

/// What is the same in templates and in JSON.
#[derive(Clone, Serialize)]
struct Image {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "ParentId")]
    parent_id: String,
    #[serde(rename = "RepoTags")]
    repo_tags: Vec<String>,
    #[serde(rename = "RepoDigests")]
    repo_digests: Vec<String>,
    #[serde(rename = "SharedSize")]
    shared_size: u64,
    #[serde(rename = "VirtualSize")]
    virtual_size: u64,
    #[serde(rename = "Labels", serialize_with = "nil::map")]
    labels: Option<BTreeMap<String, String>>,
    #[serde(rename = "Containers")]
    containers: usize,
    #[serde(rename = "ReadOnly")]
    read_only: bool,
    #[serde(rename = "IsReadOnly")]
    is_read_only: bool,
    #[serde(rename = "Dangling")]
    dangling: bool,
    #[serde(rename = "IsDangling")]
    is_dangling: bool,
    #[serde(rename = "Names")]
    names: Vec<String>,
    #[serde(rename = "Digest")]
    digest: String,
}

/// An image, as JSON has it: field by field podman's.
///
/// Source: podman, `pkg/domain/entities/images.go`, `ImageSummary`; `cmd/podman/images/list.go`.
#[derive(Serialize)]
struct Listed {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "ParentId")]
    parent_id: String,
    #[serde(rename = "RepoTags", serialize_with = "nil::list")]
    repo_tags: Option<Vec<String>>,
    #[serde(rename = "RepoDigests")]
    repo_digests: Vec<String>,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(rename = "SharedSize")]
    shared_size: u64,
    #[serde(rename = "VirtualSize")]
    virtual_size: u64,
    #[serde(rename = "Labels", serialize_with = "nil::map")]
    labels: Option<BTreeMap<String, String>>,
    #[serde(rename = "Containers")]
    containers: usize,
    #[serde(rename = "ReadOnly", skip_serializing_if = "std::ops::Not::not")]
    read_only: bool,
    #[serde(rename = "Dangling", skip_serializing_if = "std::ops::Not::not")]
    dangling: bool,
    #[serde(rename = "Names", skip_serializing_if = "Vec::is_empty")]
    names: Vec<String>,
    #[serde(rename = "Digest")]
    digest: String,
    #[serde(rename = "History", skip_serializing_if = "Vec::is_empty")]
    history: Vec<String>,
    #[serde(rename = "Created")]
    created: i64,
    #[serde(rename = "CreatedAt")]
    created_at: String,
}

const FIELDS: [&str; 23] = [
    "Repository",
    "Tag",
    "ID",
    "Created",
    "CreatedSince",
    "CreatedAt",
    "CreatedTime",
    "Size",
    "History",
    "Id",
    "ParentId",
    "RepoTags",
    "RepoDigests",
    "SharedSize",
    "VirtualSize",
    "Labels",
    "Containers",
    "ReadOnly",
    "IsReadOnly",
    "Dangling",
    "IsDangling",
    "Names",
    "Digest",
];

/// Lists.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    if arguments.quiet && arguments.format.is_some() {
        bail!("quiet and format are mutually exclusive");
    }
    let order = order(&arguments.sort)?;
    let images = context.images()?;
    let mut listed = images.list(&filters(arguments)?)?;
    Context::warn(images.store());
    // Rows of equal images stay together.
    listed.sort_by_key(|one| std::cmp::Reverse(one.created.map(|time| time.unix_seconds())));
    let template = arguments.format.as_deref();
    let is_json = template.is_some_and(is_json_format);
    let needs = |field: &str| is_json || template.is_some_and(|text| text.contains(field));
    let depth = Depth {
        relations: match needs("ParentId") {
            true => Some(images.relations()?),
            false => None,
        },
        labels: needs("Labels"),
    };
    let mut rows = Vec::new();
    for one in &listed {
        add_rows(one, &images, &depth, arguments, &mut rows)?;
    }
    rows.sort_by(order);
    if is_json {
        let listed: Vec<Listed> = rows.into_iter().map(Listed::from).collect();
        return show::json(&listed, JsonStyle::pretty());
    }
    if arguments.quiet {
        let mut ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        ids.dedup();
        return output::bytes(
            ids.iter().map(|id| format!("{id}\n")).collect::<String>().as_bytes(),
        );
    }
    print(&rows, template, arguments)
}

fn filters(arguments: &Arguments) -> Result<Vec<Filter>> {
    let now = moment::now();
    let filters = arguments.filter.iter().map(|text| Filter::parse(text, now));
    let mut filters = filters.collect::<Result<Vec<_>, _>>()?;
    filters.extend(arguments.image.clone().map(Filter::Reference));
    let asked = filters.iter().any(|filter| matches!(filter, Filter::Intermediate(_)));
    if !arguments.all && !asked {
        filters.push(Filter::Intermediate(false));
    }
    Ok(filters)
}

fn order(field: &str) -> Result<fn(&Row, &Row) -> Ordering> {
    Ok(match field {
        "created" => |a, b| b.order.created.cmp(&a.order.created),
        "id" => |a, b| a.image.id.cmp(&b.image.id),
        "repository" => |a, b| a.repository.cmp(&b.repository),
        "size" => |a, b| a.order.size_bytes.cmp(&b.order.size_bytes),
        "tag" => |a, b| (&a.tag, &a.repository).cmp(&(&b.tag, &b.repository)),
        _ => bail!(
            "{field:?} is not a valid field for sorting. Choose from: created, id, repository, \
             size, tag"
        ),
    })
}

/// How much is looked up of each image: only what is shown.
struct Depth<'i> {
    relations: Option<Relations<'i>>,
    labels: bool,
}

fn add_rows(
    one: &ImageSummary,
    images: &Images,
    depth: &Depth<'_>,
    arguments: &Arguments,
    rows: &mut Vec<Row>,
) -> Result<()> {
    let image = image(one, images, depth)?;
    let created = moment::whole_seconds(one.created);
    let created_time =
        cask_terminal::value::Value::of(&cask_terminal::value::Time(created.to_string()))?
            .to_string();
    let id = match arguments.no_trunc {
        true => format!("sha256:{}", image.id),
        false => one.image.id.short().to_owned(),
    };
    let names = one.image.names.iter().map(|name| split(name));
    let mut names: Vec<(String, String)> = names.collect();
    if names.is_empty() {
        names.push(("<none>".to_owned(), "<none>".to_owned()));
    }
    for (repository, tag) in names {
        rows.push(Row {
            repository,
            tag,
            id: id.clone(),
            created: moment::since(one.created),
            created_since: moment::since(one.created),
            created_at: created_time.clone(),
            created_time: created_time.clone(),
            size: spaced_size(one.size_bytes),
            history: one.image.names_history.join(", "),
            image: image.clone(),
            order: Order {
                created: (created.unix_seconds(), one.created.map_or(0, |time| time.nanoseconds())),
                size_bytes: one.size_bytes,
            },
        });
    }
    Ok(())
}

fn image(one: &ImageSummary, images: &Images, depth: &Depth<'_>) -> Result<Image> {
    let image = &one.image;
    let parent = match &depth.relations {
        Some(relations) => relations.parent(image)?.map(|parent| parent.id.to_string()),
        None => None,
    };
    let labels = match depth.labels {
        true => images.config(image)?.map(|config| config.config.labels),
        false => None,
    };
    let dangling = image.names.is_empty();
    Ok(Image {
        id: image.id.to_string(),
        parent_id: parent.unwrap_or_default(),
        repo_tags: image.names.clone(),
        repo_digests: one.repository_digests(),
        shared_size: 0,
        virtual_size: one.size_bytes,
        labels: labels.filter(|labels| !labels.is_empty()),
        containers: one.containers,
        read_only: image.is_read_only(),
        is_read_only: image.is_read_only(),
        dangling,
        is_dangling: dangling,
        names: image.names.clone(),
        digest: one.digest().map(ToString::to_string).unwrap_or_default(),
    })
}

/// The repository and the tag of a name.
fn split(name: &str) -> (String, String) {
    let none = || "<none>".to_owned();
    if let Some((repository, _)) = name.split_once('@') {
        return (repository.to_owned(), none());
    }
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository.to_owned(), tag.to_owned()),
        _ => (name.to_owned(), none()),
    }
}

fn print(rows: &[Row], template: Option<&str>, arguments: &Arguments) -> Result<()> {
    let mut columns = vec!["{{.Repository}}", "{{.Tag}}"];
    if arguments.digests {
        columns.push("{{.Digest}}");
    }
    columns.extend(["{{.ID}}", "{{.Created}}", "{{.Size}}"]);
    if arguments.history {
        columns.push("{{if .History}}{{.History}}{{else}}<none>{{end}}");
    }
    if rows.iter().any(|row| row.image.read_only) {
        columns.push("{{.ReadOnly}}");
    }
    // Spaces of a table's template are between columns.
    let usual = columns.join("\t").replace("{{if .History}}", "{{if\u{a0}.History}}");
    let usual = format!("table {}", usual.replace('\u{a0}', " "));
    let headers = Headers::from_fields(
        FIELDS,
        &[("ID", "IMAGE ID"), ("CreatedSince", "CREATED"), ("ReadOnly", "R/O")],
    );
    let headers = (!arguments.noheading).then_some(&headers);
    show::rows("images", (template.unwrap_or(&usual), Origin::List), headers, rows)
}

impl From<Row> for Listed {
    fn from(row: Row) -> Self {
        let Row { image, order, history, .. } = row;
        let history = history.split(", ").filter(|name| !name.is_empty());
        Self {
            id: image.id,
            parent_id: image.parent_id,
            repo_tags: None,
            repo_digests: image.repo_digests,
            size: image.virtual_size,
            shared_size: 0,
            virtual_size: image.virtual_size,
            labels: image.labels,
            containers: image.containers,
            read_only: image.read_only,
            dangling: image.dangling,
            names: image.names,
            digest: image.digest,
            history: history.map(str::to_owned).collect(),
            created: order.created.0,
            created_at: cask_image::Timestamp::from_unix(order.created.0, 0)
                .unwrap_or(cask_image::Timestamp::GO_ZERO)
                .to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_the_tag() {
        let check = |name: &str, repository: &str, tag: &str| {
            assert_eq!(split(name), (repository.to_owned(), tag.to_owned()));
        };
        check("localhost/a:1", "localhost/a", "1");
        check("host:5000/a", "host:5000/a", "<none>");
        check("host:5000/a:b", "host:5000/a", "b");
        check("localhost/a@sha256:00", "localhost/a", "<none>");
    }
}
