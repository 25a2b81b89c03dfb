//! `cellar artifact inspect` and `cellar artifact ls`

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use cask_engine::{StoredArtifact, StoredArtifacts};
use cask_image::{Descriptor, ImageManifest, Platform};
use cask_json::base64;
use cask_program::report;
use cask_reference::LiteralReference;
use cask_terminal::table::{human_size, short_id};
use cask_terminal::template::{Headers, Origin};
use cask_terminal::value::{JsonStyle, Time, Value};
use clap::Args;
use serde::Serialize;

use crate::{moment, show};

/// Print everything about an artifact
#[derive(Args, Debug)]
pub(crate) struct InspectArguments {
    /// The artifact
    #[arg(value_name = "ARTIFACT")]
    words: Vec<String>,
    /// Print JSON, or what a Go template says
    #[arg(short, long, value_name = "FORMAT", default_value = "json")]
    format: String,
}

/// List artifacts
#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    /// Print JSON, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print whole digests
    #[arg(long)]
    no_trunc: bool,
    /// Print no headings
    #[arg(short, long)]
    noheading: bool,
    #[arg(hide = true)]
    rest: Vec<String>,
}

/// Source: podman, `pkg/domain/entities/artifact.go`, `ArtifactInspectReport`.
#[derive(Serialize)]
#[serde(rename = "*entities.ArtifactInspectReport")]
struct Shown {
    #[serde(rename = "Manifest")]
    manifest: ShownManifest,
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Digest")]
    digest: String,
    #[serde(rename = "Artifact method")]
    artifact: ShownArtifact,
    #[serde(rename = "TotalSizeBytes method")]
    total_size_bytes: u64,
}

/// What the former embeds.
#[derive(Serialize)]
struct ShownArtifact {
    #[serde(rename = "Manifest")]
    manifest: ShownManifest,
    #[serde(rename = "Name")]
    name: String,
}

#[derive(Clone, Serialize)]
struct ShownManifest {
    #[serde(rename = "SchemaVersion json:schemaVersion")]
    schema_version: u32,
    #[serde(rename = "MediaType json:mediaType,omitempty")]
    media_type: String,
    #[serde(rename = "ArtifactType json:artifactType,omitempty")]
    artifact_type: String,
    #[serde(rename = "Config json:config")]
    config: ShownDescriptor,
    #[serde(rename = "Layers json:layers")]
    layers: Vec<ShownDescriptor>,
    #[serde(rename = "Subject json:subject,omitempty")]
    subject: Option<ShownDescriptor>,
    #[serde(rename = "Annotations json:annotations,omitempty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Clone, Serialize)]
struct ShownDescriptor {
    #[serde(rename = "MediaType json:mediaType")]
    media_type: String,
    #[serde(rename = "Digest json:digest")]
    digest: String,
    #[serde(rename = "Size json:size")]
    size: u64,
    #[serde(rename = "URLs json:urls,omitempty")]
    urls: Vec<String>,
    #[serde(rename = "Annotations json:annotations,omitempty")]
    annotations: BTreeMap<String, String>,
    #[serde(rename = "Data json:data,omitempty")]
    data: String,
    #[serde(rename = "Platform json:platform,omitempty")]
    platform: Option<ShownPlatform>,
    #[serde(rename = "ArtifactType json:artifactType,omitempty")]
    artifact_type: String,
}

#[derive(Clone, Serialize)]
struct ShownPlatform {
    #[serde(rename = "Architecture json:architecture")]
    architecture: String,
    #[serde(rename = "OS json:os")]
    os: String,
    #[serde(rename = "OSVersion json:os.version,omitempty")]
    os_version: String,
    #[serde(rename = "Variant json:variant,omitempty")]
    variant: String,
}

impl From<&ImageManifest> for ShownManifest {
    fn from(manifest: &ImageManifest) -> Self {
        let media_type = manifest.format.manifest_type().to_string();
        Self {
            schema_version: 2,
            media_type: if manifest.declares_media_type { media_type } else { String::new() },
            artifact_type: manifest
                .artifact_type
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            config: (&manifest.config).into(),
            layers: manifest.layers.iter().map(ShownDescriptor::from).collect(),
            subject: manifest.subject.as_ref().map(ShownDescriptor::from),
            annotations: manifest.annotations.clone(),
        }
    }
}

impl From<&Descriptor> for ShownDescriptor {
    fn from(descriptor: &Descriptor) -> Self {
        let data = descriptor.data.as_deref();
        let artifact_type = descriptor.artifact_type.as_ref();
        Self {
            media_type: descriptor.media_type.to_string(),
            digest: descriptor.digest.to_string(),
            size: descriptor.size,
            urls: descriptor.urls.clone(),
            annotations: descriptor.annotations.clone(),
            data: data.map(base64::encode).unwrap_or_default(),
            platform: descriptor.platform.as_ref().map(ShownPlatform::from),
            artifact_type: artifact_type.map(ToString::to_string).unwrap_or_default(),
        }
    }
}

impl From<&Platform> for ShownPlatform {
    fn from(platform: &Platform) -> Self {
        Self {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            os_version: platform.os_version.clone().unwrap_or_default(),
            variant: platform.variant.clone().unwrap_or_default(),
        }
    }
}

/// Prints all of it.
pub(super) fn inspect(arguments: &InspectArguments, artifacts: &StoredArtifacts) -> Result<()> {
    let found = artifacts.find(super::one(&arguments.words)?)?;
    let total_size_bytes = found.size_bytes();
    let manifest = ShownManifest::from(&found.manifest?);
    let name = found.name.unwrap_or_default();
    let artifact = ShownArtifact { manifest: manifest.clone(), name: name.clone() };
    let digest = found.digest.to_string();
    let shown = Shown { manifest, name, digest, artifact, total_size_bytes };
    match arguments.format.trim() {
        "" | "json" => show::json(&shown, JsonStyle::indented(5).without_html_escapes()),
        _ => show::rows("inspect", (&arguments.format, Origin::List), None, &[shown]),
    }
}

/// Source: podman, `cmd/podman/artifact/list.go`, `artifactListOutput`.
#[derive(Serialize)]
#[serde(rename = "artifact.artifactListOutput")]
struct Row {
    #[serde(rename = "Digest")]
    digest: String,
    #[serde(rename = "Repository")]
    repository: String,
    #[serde(rename = "Size")]
    size: String,
    #[serde(rename = "Tag")]
    tag: String,
    #[serde(rename = "VirtualSize")]
    virtual_size: String,
    #[serde(rename = "Created method")]
    created: String,
    #[serde(rename = "CreatedAt method")]
    created_at: String,
}

/// Prints a line for each.
pub(super) fn list(arguments: &ListArguments, artifacts: &StoredArtifacts) -> Result<()> {
    if !arguments.rest.is_empty() {
        bail!("`cellar artifact ls` takes no arguments");
    }
    let mut rows = Vec::new();
    for one in artifacts.list()? {
        rows.push(row(&one, arguments.no_trunc)?);
        if let Err(error) = one.manifest {
            report::engine_failure(&error.into(), crate::run::hint);
        }
    }
    let template = arguments.format.as_deref();
    if template.map(str::trim) == Some("json") {
        return show::json(&rows, JsonStyle::indented(5));
    }
    let headers = Headers::from_fields(
        ["Digest", "Repository", "Size", "Tag", "VirtualSize", "Created", "CreatedAt"],
        &[],
    );
    let headers = (!arguments.noheading).then_some(&headers);
    let usual = "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.Created}}\t{{.Size}}";
    show::rows("ls", (template.unwrap_or(usual), Origin::List), headers, &rows)
}

fn row(one: &StoredArtifact, whole: bool) -> Result<Row> {
    let name = one.name.as_deref().unwrap_or("<none>");
    let (repository, tag) = match LiteralReference::parse(name) {
        Ok(name) => (name.name().to_owned(), name.tag().map(ToString::to_string)),
        Err(_) => (name.to_owned(), None),
    };
    let created = one.created();
    let at = created.map(|created| Value::of(&Time(created.to_string()))).transpose()?;
    let digits = one.digest.hex();
    Ok(Row {
        digest: if whole { digits } else { short_id(digits) }.to_owned(),
        repository,
        size: human_size(one.size_bytes()),
        tag: tag.unwrap_or_default(),
        virtual_size: one.size_bytes().to_string(),
        created: created.map(|created| moment::since(Some(created))).unwrap_or_default(),
        created_at: at.map(|at| at.to_string()).unwrap_or_default(),
    })
}
