//! `cellar image inspect`

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use cask_engine::{ImageDetails, Images};
use cask_image::{ExecutionConfig, Healthcheck, HistoryEntry, ImageConfig, MediaType, Timestamp};
use cask_program::report;
use cask_terminal::template::{Origin, is_json_format};
use cask_terminal::value::{Duration, JsonStyle, Time, nil};
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::show;

/// Show everything about images
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The images
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// Print what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Field by field what podman has, under Go's names.
///
/// Source: containers/common, `libimage/inspect.go`, `ImageData`.
#[derive(Serialize)]
#[serde(rename = "libimage.ImageData")]
pub(super) struct Data {
    #[serde(rename = "ID json:Id")]
    id: String,
    #[serde(rename = "Digest")]
    digest: String,
    #[serde(rename = "RepoTags")]
    repo_tags: Vec<String>,
    #[serde(rename = "RepoDigests")]
    repo_digests: Vec<String>,
    #[serde(rename = "Parent")]
    parent: String,
    #[serde(rename = "Comment")]
    comment: String,
    #[serde(rename = "Created")]
    created: Option<Time>,
    #[serde(rename = "Config")]
    config: Config,
    #[serde(rename = "Version")]
    version: String,
    #[serde(rename = "Author")]
    author: String,
    #[serde(rename = "Architecture")]
    architecture: String,
    #[serde(rename = "Os")]
    os: String,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(rename = "VirtualSize")]
    virtual_size: u64,
    #[serde(rename = "GraphDriver")]
    graph_driver: GraphDriver,
    #[serde(rename = "RootFS")]
    root_fs: RootFs,
    #[serde(rename = "Labels", serialize_with = "nil::map")]
    labels: Option<BTreeMap<String, String>>,
    #[serde(rename = "Annotations")]
    annotations: BTreeMap<String, String>,
    #[serde(rename = "ManifestType")]
    manifest_type: String,
    #[serde(rename = "User")]
    user: String,
    #[serde(rename = "History")]
    history: Vec<Step>,
    #[serde(rename = "NamesHistory")]
    names_history: Vec<String>,
    #[serde(rename = "HealthCheck json:Healthcheck,omitempty")]
    health_check: Option<Health>,
}

#[derive(Serialize)]
#[serde(rename = "v1.ImageConfig")]
struct Config {
    #[serde(rename = "User json:User,omitempty")]
    user: String,
    #[serde(rename = "ExposedPorts json:ExposedPorts,omitempty")]
    exposed_ports: BTreeMap<String, Empty>,
    #[serde(rename = "Env json:Env,omitempty")]
    env: Vec<String>,
    #[serde(rename = "Entrypoint json:Entrypoint,omitempty")]
    entrypoint: Vec<String>,
    #[serde(rename = "Cmd json:Cmd,omitempty")]
    cmd: Vec<String>,
    #[serde(rename = "Volumes json:Volumes,omitempty")]
    volumes: BTreeMap<String, Empty>,
    #[serde(rename = "WorkingDir json:WorkingDir,omitempty")]
    working_dir: String,
    #[serde(rename = "Labels json:Labels,omitempty")]
    labels: BTreeMap<String, String>,
    #[serde(rename = "StopSignal json:StopSignal,omitempty")]
    stop_signal: String,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
#[serde(rename = "define.DriverData")]
struct GraphDriver {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Data")]
    data: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
#[serde(rename = "libimage.RootFS")]
struct RootFs {
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(rename = "Layers")]
    layers: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename = "v1.History")]
struct Step {
    #[serde(rename = "Created json:created,omitempty")]
    created: Option<Time>,
    #[serde(rename = "CreatedBy json:created_by,omitempty")]
    created_by: String,
    #[serde(rename = "Author json:author,omitempty")]
    author: String,
    #[serde(rename = "Comment json:comment,omitempty")]
    comment: String,
    #[serde(rename = "EmptyLayer json:empty_layer,omitempty")]
    empty_layer: bool,
}

#[derive(Serialize)]
#[serde(rename = "manifest.Schema2HealthConfig")]
struct Health {
    #[serde(rename = "Test json:Test,omitempty")]
    test: Vec<String>,
    #[serde(rename = "StartPeriod json:StartPeriod,omitempty")]
    start_period: Duration,
    #[serde(rename = "Interval json:Interval,omitempty")]
    interval: Duration,
    #[serde(rename = "Timeout json:Timeout,omitempty")]
    timeout: Duration,
    #[serde(rename = "Retries json:Retries,omitempty")]
    retries: u32,
}

/// Shows what is found; then fails for what is not.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    if arguments.images.is_empty() {
        bail!("no names or ids specified");
    }
    let images = context.images()?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in &arguments.images {
        match details(&images, name) {
            Ok(details) => found.push(data(&images, &details)),
            Err(error) => failures.push(error),
        }
    }
    match arguments.format.as_deref() {
        Some(template) if !is_json_format(template) => {
            // As in JSON, so in templates.
            let template = template.replace(".Id", ".ID");
            show::rows("inspect", (&template, Origin::List), None, &found)?;
        }
        _ => show::json(&found, JsonStyle::indented(5))?,
    }
    let mut failures = failures.into_iter();
    let Some(first) = failures.next() else { return Ok(()) };
    failures.for_each(|error| {
        report::say(&format!("error inspecting object: {}", report::whole(&error)));
    });
    Err(first).context("inspecting object")
}

/// Everything about an image; of a list, about its image for this machine, if that is here.
pub(super) fn details(images: &Images, name: &str) -> cask_engine::Result<ImageDetails> {
    let found = images.find(name)?;
    let found = images.find_instance(name).unwrap_or(found);
    images.details(&found.image)
}

pub(super) fn data(images: &Images, details: &ImageDetails) -> Data {
    let image = &details.image;
    let unknown = ImageConfig::new("", "");
    let config = details.config.as_ref().unwrap_or(&unknown);
    let labels = config.config.labels.clone();
    Data {
        id: image.id.to_string(),
        digest: details.digest().map(ToString::to_string).unwrap_or_default(),
        repo_tags: image.names.clone(),
        repo_digests: details.repository_digests.clone(),
        parent: details.parent.as_ref().map(ToString::to_string).unwrap_or_default(),
        comment: comment(details),
        created: config.created.map(time),
        config: execution(&config.config),
        version: String::new(),
        author: config.author.clone(),
        architecture: config.architecture.clone(),
        os: config.os.clone(),
        size: details.size_bytes,
        virtual_size: details.size_bytes,
        graph_driver: graph_driver(images, details),
        root_fs: RootFs {
            kind: "layers",
            layers: config.diff_ids.iter().map(ToString::to_string).collect(),
        },
        labels: Some(labels).filter(|labels| !labels.is_empty()),
        annotations: details.annotations.clone(),
        manifest_type: details.manifest_type.to_string(),
        user: config.config.user.clone(),
        history: config.history.iter().map(step).collect(),
        names_history: image.names_history.clone(),
        health_check: config.config.healthcheck.as_ref().map(health),
    }
}

/// What was said of it: Docker's configs have a field for that, and an OCI image its first step.
///
/// Source: containers/common, `libimage/inspect.go`.
fn comment(details: &ImageDetails) -> String {
    let Some(config) = &details.config else { return String::new() };
    if details.manifest_type == MediaType::DockerManifest {
        let document: serde_json::Value =
            serde_json::from_slice(&config.encode()).unwrap_or_default();
        return document["comment"].as_str().unwrap_or_default().to_owned();
    }
    config.history.first().map(|step| step.comment.clone()).unwrap_or_default()
}

fn time(time: Timestamp) -> Time {
    Time(time.to_string())
}

fn execution(config: &ExecutionConfig) -> Config {
    let set = |names: &std::collections::BTreeSet<String>| {
        names.iter().map(|name| (name.clone(), Empty {})).collect()
    };
    Config {
        user: config.user.clone(),
        exposed_ports: set(&config.exposed_ports),
        env: config.env.clone(),
        entrypoint: config.entrypoint.clone().unwrap_or_default(),
        cmd: config.cmd.clone().unwrap_or_default(),
        volumes: set(&config.volumes),
        working_dir: config.working_dir.clone(),
        labels: config.labels.clone(),
        stop_signal: config.stop_signal.clone(),
    }
}

fn step(step: &HistoryEntry) -> Step {
    Step {
        created: step.created.map(time),
        created_by: step.created_by.clone(),
        author: step.author.clone(),
        comment: step.comment.clone(),
        empty_layer: step.empty_layer,
    }
}

fn health(check: &Healthcheck) -> Health {
    Health {
        test: check.test.clone(),
        start_period: check.start_period.into(),
        interval: check.interval.into(),
        timeout: check.timeout.into(),
        retries: check.retries,
    }
}

/// Where the files of the layers are.
fn graph_driver(images: &Images, details: &ImageDetails) -> GraphDriver {
    let store = images.store();
    let driver = store.driver();
    let directory = |id: &cask_storage::Id, name: &str| {
        store.graph_root().join(driver.as_str()).join(id.as_str()).join(name).display().to_string()
    };
    let mut data = BTreeMap::new();
    if let (cask_storage::DriverKind::Overlay, [top, lower @ ..]) =
        (driver, details.layers.as_slice())
    {
        data.insert("UpperDir", directory(top, "diff"));
        data.insert("WorkDir", directory(top, "work"));
        if !lower.is_empty() {
            let lower: Vec<String> = lower.iter().map(|id| directory(id, "diff")).collect();
            data.insert("LowerDir", lower.join(":"));
        }
    }
    GraphDriver { name: driver.to_string(), data }
}
