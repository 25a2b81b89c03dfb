//! The config as Go's tools hold it, for templates.

use std::collections::BTreeMap;

use cask::image::{ExecutionConfig, HistoryEntry, ImageConfig};
use cask_terminal::value::{Time, nil};
use serde::Serialize;

/// Source: the image specification's Go module, `specs-go/v1/config.go`.
#[derive(Serialize)]
#[serde(rename = "v1.Image")]
pub(crate) struct Config {
    #[serde(rename = "Created json:created,omitempty")]
    created: Option<Time>,
    #[serde(rename = "Author json:author,omitempty")]
    author: String,
    #[serde(rename = "Architecture json:architecture")]
    architecture: String,
    #[serde(rename = "Variant json:variant,omitempty")]
    variant: String,
    #[serde(rename = "OS json:os")]
    os: String,
    #[serde(rename = "OSVersion json:os.version,omitempty")]
    os_version: String,
    #[serde(rename = "OSFeatures json:os.features,omitempty")]
    os_features: Vec<String>,
    #[serde(rename = "Config json:config,omitempty")]
    config: Execution,
    #[serde(rename = "RootFS json:rootfs")]
    rootfs: RootFs,
    #[serde(rename = "History json:history,omitempty")]
    history: Vec<History>,
}

#[derive(Serialize)]
#[serde(rename = "v1.ImageConfig")]
struct Execution {
    #[serde(rename = "User json:User,omitempty")]
    user: String,
    #[serde(rename = "ExposedPorts json:ExposedPorts,omitempty")]
    exposed_ports: BTreeMap<String, Empty>,
    #[serde(rename = "Env json:Env,omitempty")]
    env: Vec<String>,
    #[serde(rename = "Entrypoint json:Entrypoint,omitempty", serialize_with = "nil::list")]
    entrypoint: Option<Vec<String>>,
    #[serde(rename = "Cmd json:Cmd,omitempty", serialize_with = "nil::list")]
    cmd: Option<Vec<String>>,
    #[serde(rename = "Volumes json:Volumes,omitempty")]
    volumes: BTreeMap<String, Empty>,
    #[serde(rename = "WorkingDir json:WorkingDir,omitempty")]
    working_dir: String,
    #[serde(rename = "Labels json:Labels,omitempty")]
    labels: BTreeMap<String, String>,
    #[serde(rename = "StopSignal json:StopSignal,omitempty")]
    stop_signal: String,
    #[serde(rename = "ArgsEscaped json:ArgsEscaped,omitempty")]
    args_escaped: bool,
}

/// Go's `struct{}`.
#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
#[serde(rename = "v1.RootFS")]
struct RootFs {
    #[serde(rename = "Type json:type")]
    kind: &'static str,
    #[serde(rename = "DiffIDs json:diff_ids")]
    diff_ids: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename = "v1.History")]
struct History {
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

impl Config {
    /// The config under Go's names.
    pub(crate) fn of(config: &ImageConfig) -> Self {
        Self {
            created: config.created.map(|created| Time(created.to_string())),
            author: config.author.clone(),
            architecture: config.architecture.clone(),
            variant: config.variant.clone().unwrap_or_default(),
            os: config.os.clone(),
            os_version: config.os_version.clone().unwrap_or_default(),
            os_features: config.os_features.clone(),
            config: Execution::of(&config.config),
            rootfs: RootFs {
                kind: "layers",
                diff_ids: config.diff_ids.iter().map(ToString::to_string).collect(),
            },
            history: config.history.iter().map(History::of).collect(),
        }
    }
}

impl Execution {
    fn of(config: &ExecutionConfig) -> Self {
        let set = |names: &std::collections::BTreeSet<String>| {
            names.iter().map(|name| (name.clone(), Empty {})).collect()
        };
        Self {
            user: config.user.clone(),
            exposed_ports: set(&config.exposed_ports),
            env: config.env.clone(),
            entrypoint: config.entrypoint.clone(),
            cmd: config.cmd.clone(),
            volumes: set(&config.volumes),
            working_dir: config.working_dir.clone(),
            labels: config.labels.clone(),
            stop_signal: config.stop_signal.clone(),
            args_escaped: config.args_escaped,
        }
    }
}

impl History {
    fn of(entry: &HistoryEntry) -> Self {
        Self {
            created: entry.created.map(|created| Time(created.to_string())),
            created_by: entry.created_by.clone(),
            author: entry.author.clone(),
            comment: entry.comment.clone(),
            empty_layer: entry.empty_layer,
        }
    }
}
