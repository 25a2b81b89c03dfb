//! `cellar images`

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use anyhow::{Result, bail};
use cask_engine::{Filter, ImageSummary, Images, Relations};
use cask_image::Digest;
use cask_program::output;
use cask_terminal::table::spaced_size;
use cask_terminal::template::{Headers, Origin, is_json_format};
use cask_terminal::value::{JsonStyle, Time, Value, nil};
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::show::Lines;
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
    #[arg(short, long, value_name = "KEY=VALUE", value_delimiter = ',')]
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

/// What stands for a name that an image does not have.
const NONE: &str = "<none>";

/// A row: an image under one of its names.
struct Row<'l> {
    repository: &'l str,
    tag: &'l str,
    one: &'l ImageSummary,
}

/// A row with all that templates can name: the fields and methods of Go's struct, and those of the one that it embeds.
///
/// Source: podman, `cmd/podman/images/list.go`, `imageReporter`.
#[derive(Serialize)]
#[serde(rename = "images.imageReporter")]
struct Whole {
    #[serde(rename = "Repository json:repository,omitempty")]
    repository: String,
    #[serde(rename = "Tag json:tag,omitempty")]
    tag: String,
    #[serde(rename = "ImageSummary")]
    summary: Summary,
    #[serde(rename = "ID method")]
    shown_id: String,
    #[serde(rename = "Created method")]
    created: String,
    #[serde(rename = "CreatedSince method")]
    created_since: String,
    #[serde(rename = "CreatedAt method")]
    created_at: String,
    #[serde(rename = "CreatedTime method")]
    created_time: String,
    #[serde(rename = "Size method")]
    size: String,
    #[serde(rename = "History method")]
    history: String,
    #[serde(rename = "Id method")]
    id: String,
    #[serde(rename = "ParentId method")]
    parent_id: String,
    #[serde(rename = "RepoTags method")]
    repo_tags: Vec<String>,
    #[serde(rename = "RepoDigests method")]
    repo_digests: Vec<String>,
    #[serde(rename = "SharedSize method")]
    shared_size: u64,
    #[serde(rename = "VirtualSize method")]
    virtual_size: u64,
    #[serde(rename = "Labels method", serialize_with = "nil::map")]
    labels: Option<BTreeMap<String, String>>,
    #[serde(rename = "Containers method")]
    containers: usize,
    #[serde(rename = "ReadOnly method")]
    read_only: bool,
    #[serde(rename = "IsReadOnly method")]
    is_read_only: bool,
    #[serde(rename = "Dangling method")]
    dangling: bool,
    #[serde(rename = "IsDangling method")]
    is_dangling: bool,
    #[serde(rename = "Names method")]
    names: Vec<String>,
    #[serde(rename = "Digest method")]
    digest: String,
}

/// What podman's engine says of an image.
///
/// Source: podman, `pkg/domain/entities/images.go`, `ImageSummary`.
#[derive(Clone, Serialize)]
#[serde(rename = "entities.ImageSummary")]
struct Summary {
    #[serde(rename = "ID json:Id")]
    id: String,
    #[serde(rename = "ParentId")]
    parent_id: String,
    #[serde(rename = "RepoTags")]
    repo_tags: Vec<String>,
    #[serde(rename = "RepoDigests")]
    repo_digests: Vec<String>,
    #[serde(rename = "Created")]
    created: i64,
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
    #[serde(rename = "ReadOnly json:,omitempty")]
    read_only: bool,
    #[serde(rename = "Dangling json:,omitempty")]
    dangling: bool,
    #[serde(rename = "Names json:,omitempty")]
    names: Vec<String>,
    #[serde(rename = "Digest json:,omitempty")]
    digest: String,
    #[serde(rename = "History json:,omitempty")]
    history: Vec<String>,
}

/// What is the same in templates and in JSON.
struct Image {
    id: String,
    parent_id: String,
    repo_tags: Vec<String>,
    repo_digests: Vec<String>,
    shared_size: u64,
    virtual_size: u64,
    labels: Option<BTreeMap<String, String>>,
    containers: usize,
    read_only: bool,
    is_read_only: bool,
    dangling: bool,
    is_dangling: bool,
    names: Vec<String>,
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
    let order = order(&arguments.sort)?;
    let images = context.images()?;
    let mut listed = images.list(&filters(arguments)?)?;
    Context::warn(images.store());
    // Rows of equal images stay together.
    listed.sort_by_key(|one| std::cmp::Reverse(one.created.map(|time| time.unix_seconds())));
    let mut rows: Vec<Row<'_>> = listed.iter().flat_map(rows_of).collect();
    rows.sort_by(order);
    // As podman has it: JSON comes before IDs, and these before a template.
    let is_json = arguments.format.as_deref().is_some_and(is_json_format);
    if arguments.quiet && !is_json {
        let mut ids: Vec<Cow<'_, str>> = rows.iter().map(|row| id(row, arguments)).collect();
        ids.dedup();
        let lines: String = ids.iter().flat_map(|id| [id.as_ref(), "\n"]).collect();
        return output::bytes(lines.as_bytes());
    }
    let Some(template) = arguments.format.as_deref() else { return print(&rows, arguments) };
    let is_whole = is_json || shows_all(template);
    let needs = |field: &str| is_whole || template.contains(field);
    let depth = Depth {
        relations: match needs("ParentId") || needs("Dangling") {
            true => Some(images.relations()?),
            false => None,
        },
        labels: needs("Labels"),
    };
    let whole = |row: &Row<'_>| image(row.one, &images, &depth);
    if is_json {
        let listed = rows.iter().map(|row| Ok(Listed::new(row.one, whole(row)?)));
        return show::json(&listed.collect::<Result<Vec<_>>>()?, JsonStyle::pretty());
    }
    let rows = rows.iter().map(|row| Whole::new(row, whole(row)?, arguments));
    let rows = rows.collect::<Result<Vec<_>>>()?;
    show::rows("images", (template, Origin::List), headers(arguments).as_ref(), &rows)
}

/// Whether a template may show more than the fields that it names.
fn shows_all(template: &str) -> bool {
    let mut actions =
        template.split("{{").skip(1).map(|text| text.split("}}").next().unwrap_or(text));
    let is_all = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphabetic());
    actions.any(|action| action.contains("ImageSummary") || action.split('.').skip(1).any(is_all))
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

fn order(field: &str) -> Result<fn(&Row<'_>, &Row<'_>) -> Ordering> {
    Ok(match field {
        "created" => |a, b| created(b).cmp(&created(a)),
        "id" => |a, b| a.one.image.id.cmp(&b.one.image.id),
        "repository" => |a, b| a.repository.cmp(b.repository),
        "size" => |a, b| a.one.size_bytes.cmp(&b.one.size_bytes),
        "tag" => |a, b| (a.tag, a.repository).cmp(&(b.tag, b.repository)),
        _ => bail!(
            "{field:?} is not a valid field for sorting. Choose from: created, id, repository, \
             size, tag"
        ),
    })
}

fn created(row: &Row<'_>) -> (i64, u32) {
    let created = row.one.created;
    let whole = moment::whole_seconds(created).unix_seconds();
    (whole, created.map_or(0, |time| time.nanoseconds()))
}

/// Source: podman, `cmd/podman/images/list.go`, `sortImages`.
fn rows_of(one: &ImageSummary) -> impl Iterator<Item = Row<'_>> {
    let mut names: Vec<(&str, &str)> = one.image.names.iter().map(|name| split(name)).collect();
    // A name without a tag is shown, once, where no other has one.
    match names.iter().any(|(_, tag)| *tag != NONE) {
        true => names.retain(|(_, tag)| *tag != NONE),
        false => names.truncate(1),
    }
    let nameless = names.is_empty().then_some((NONE, NONE));
    names.into_iter().chain(nameless).map(move |(repository, tag)| Row { repository, tag, one })
}

fn id<'l>(row: &Row<'l>, arguments: &Arguments) -> Cow<'l, str> {
    let id = &row.one.image.id;
    match arguments.no_trunc {
        true => format!("sha256:{id}").into(),
        false => id.short().into(),
    }
}

/// How much is looked up of each image: only what is shown.
struct Depth<'i> {
    relations: Option<Relations<'i>>,
    labels: bool,
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
    let dangling = match &depth.relations {
        Some(relations) if image.names.is_empty() => relations.is_dangling(image)?,
        _ => false,
    };
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
fn split(name: &str) -> (&str, &str) {
    if let Some((repository, _)) = name.split_once('@') {
        return (repository, NONE);
    }
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, NONE),
    }
}

fn headers(arguments: &Arguments) -> Option<Headers> {
    let names = [("ID", "IMAGE ID"), ("CreatedSince", "CREATED"), ("ReadOnly", "R/O")];
    (!arguments.noheading).then(|| Headers::from_fields(FIELDS, &names))
}

/// Prints the usual table.
fn print(rows: &[Row<'_>], arguments: &Arguments) -> Result<()> {
    let mut headings = vec!["REPOSITORY", "TAG"];
    if arguments.digests {
        headings.push("DIGEST");
    }
    headings.extend(["IMAGE ID", "CREATED", "SIZE"]);
    if arguments.history {
        headings.push("HISTORY");
    }
    let tells_read_only = rows.iter().any(|row| row.one.image.is_read_only());
    if tells_read_only {
        headings.push("R/O");
    }
    let mut lines = Lines::new(&headings, arguments.noheading);
    for row in rows {
        let image = &row.one.image;
        let history = || match image.names_history.join(", ") {
            none if none.is_empty() => Cow::from(NONE),
            names => names.into(),
        };
        let digest = || row.one.digest().map_or("", Digest::as_str).into();
        let read_only = || Cow::from(if image.is_read_only() { "true" } else { "false" });
        let mut cells: Vec<Cow<'_, str>> = Vec::with_capacity(headings.len());
        cells.extend([row.repository.into(), row.tag.into()]);
        cells.extend(arguments.digests.then(digest));
        cells.extend([
            id(row, arguments),
            moment::since(row.one.created).into(),
            spaced_size(row.one.size_bytes).into(),
        ]);
        cells.extend(arguments.history.then(history));
        cells.extend(tells_read_only.then(read_only));
        lines.row(cells);
    }
    lines.print()
}

impl Whole {
    fn new(row: &Row<'_>, image: Image, arguments: &Arguments) -> Result<Self> {
        let created = moment::whole_seconds(row.one.created);
        let created_time = Value::of(&Time(created.to_string()))?.to_string();
        Ok(Self {
            repository: row.repository.to_owned(),
            tag: row.tag.to_owned(),
            summary: Summary::new(row.one, &image),
            shown_id: id(row, arguments).into_owned(),
            created: moment::since(row.one.created),
            created_since: moment::since(row.one.created),
            created_at: created_time.clone(),
            created_time,
            size: spaced_size(row.one.size_bytes),
            history: row.one.image.names_history.join(", "),
            id: image.id,
            parent_id: image.parent_id,
            repo_tags: image.repo_tags,
            repo_digests: image.repo_digests,
            shared_size: image.shared_size,
            virtual_size: image.virtual_size,
            labels: image.labels,
            containers: image.containers,
            read_only: image.read_only,
            is_read_only: image.is_read_only,
            dangling: image.dangling,
            is_dangling: image.is_dangling,
            names: image.names,
            digest: image.digest,
        })
    }
}

impl Summary {
    fn new(one: &ImageSummary, image: &Image) -> Self {
        Self {
            id: image.id.clone(),
            parent_id: image.parent_id.clone(),
            repo_tags: image.repo_tags.clone(),
            repo_digests: image.repo_digests.clone(),
            created: moment::whole_seconds(one.created).unix_seconds(),
            size: image.virtual_size,
            shared_size: image.shared_size,
            virtual_size: image.virtual_size,
            labels: image.labels.clone(),
            containers: image.containers,
            read_only: image.read_only,
            dangling: image.dangling,
            names: image.names.clone(),
            digest: image.digest.clone(),
            history: one.image.names_history.clone(),
        }
    }
}

impl Listed {
    fn new(one: &ImageSummary, image: Image) -> Self {
        let created = moment::whole_seconds(one.created);
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
            history: one.image.names_history.clone(),
            created: created.unix_seconds(),
            created_at: created.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_template_shows_is_known_before_it_is_looked_up() {
        let check = |template: &str, expected| {
            assert_eq!(shows_all(template), expected, "{template}");
        };
        check("{{.ID}}. {{ .Tag }}", false);
        check("table {{.Repository}} {{.Size}}", false);
        check("{{.}}", true);
        check("{{ json . }}", true);
        check("{{.ID}}{{.ImageSummary}}", true);
        check("{{range .Names}}{{.}}{{end}}", true);
        check("a . b", false);
    }

    #[test]
    fn names_are_split_at_the_tag() {
        let check = |name: &str, repository: &str, tag: &str| {
            assert_eq!(split(name), (repository, tag));
        };
        check("localhost/a:1", "localhost/a", "1");
        check("host:5000/a", "host:5000/a", "<none>");
        check("host:5000/a:b", "host:5000/a", "b");
        check("localhost/a@sha256:00", "localhost/a", "<none>");
    }
}
