//! `cellar secret`

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use cask_engine::{ErrorKind, Secret};
use cask_program::output;
use cask_terminal::template::{Headers, Origin};
use cask_terminal::value::{JsonStyle, Time};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::filter;
use super::options::pairs;
use super::several::finish;
use crate::context::Context;
use crate::{moment, show};

/// The most that is read of a secret: one that is longer is refused.
const MOST: u64 = 1 << 20;

/// Manage secrets
#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    Create(CreateArguments),
    /// Say by the exit code whether there is such a secret
    Exists {
        /// The secret
        name: String,
    },
    Inspect(InspectArguments),
    #[command(name = "ls", visible_alias = "list")]
    List(ListArguments),
    #[command(name = "rm")]
    Remove(RemoveArguments),
}

/// Keep a secret
#[derive(Args, Debug)]
pub(crate) struct CreateArguments {
    /// Its name
    name: String,
    /// The file that has it, or - for standard input; with --env a variable
    source: String,
    /// Read it from a variable of the environment
    #[arg(long)]
    env: bool,
    /// Who keeps it: file
    #[arg(short, long, value_name = "DRIVER", default_value = "file")]
    driver: String,
    /// Set an option of the driver
    #[arg(long, value_name = "NAME=VALUE", hide = true)]
    driver_opts: Vec<String>,
    /// Set a label
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    label: Vec<String>,
    /// Forget the one that has this name
    #[arg(long, conflicts_with = "ignore")]
    replace: bool,
    /// Do nothing where there is one of this name
    #[arg(long)]
    ignore: bool,
}

/// Print everything about secrets, but what they are only where that is asked for
#[derive(Args, Debug)]
pub(crate) struct InspectArguments {
    /// The secrets
    #[arg(required = true)]
    names: Vec<String>,
    /// Print what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print it for people
    #[arg(long)]
    pretty: bool,
    /// Print what they are, too
    #[arg(long)]
    showsecret: bool,
}

/// List secrets
#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    /// Only those that fit: name=TEXT or id=TEXT
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Print JSON, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print no headings
    #[arg(short, long)]
    noheading: bool,
    /// Print only IDs
    #[arg(short, long)]
    quiet: bool,
}

/// Forget secrets
#[derive(Args, Debug)]
pub(crate) struct RemoveArguments {
    /// The secrets
    names: Vec<String>,
    /// All secrets
    #[arg(short, long)]
    all: bool,
    /// Do not fail where there is no such secret
    #[arg(short, long)]
    ignore: bool,
}

/// What of a secret is for people. Source: podman, `cmd/podman/secrets/inspect.go`, `prettyTemplate`.
const PRETTY: &str = "ID:              {{.ID}}
Name:              {{.Spec.Name}}
{{- if .Spec.Labels }}
Labels:
{{- range $k, $v := .Spec.Labels }}
 - {{ $k }}{{if $v }}={{ $v }}{{ end }}
{{- end }}{{ end }}
Driver:            {{.Spec.Driver.Name}}
Created at:        {{.CreatedAt}}
Updated at:        {{.UpdatedAt}}";

/// Source: podman, `pkg/domain/entities/secrets.go`, `SecretInfoReport`.
#[derive(Serialize)]
#[serde(rename = "*entities.SecretInfoReport")]
struct Shown {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "CreatedAt")]
    created_at: Time,
    #[serde(rename = "UpdatedAt")]
    updated_at: Time,
    #[serde(rename = "Spec")]
    spec: Spec,
    #[serde(rename = "SecretData json:,omitempty")]
    data: String,
}

#[derive(Serialize)]
struct Spec {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Driver")]
    driver: Driver,
    #[serde(rename = "Labels")]
    labels: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Driver {
    #[serde(rename = "Name")]
    name: &'static str,
    #[serde(rename = "Options")]
    options: BTreeMap<String, String>,
}

/// Source: podman, `pkg/domain/entities/secrets.go`, `SecretListReport`.
#[derive(Serialize)]
#[serde(rename = "*entities.SecretListReport")]
struct Row {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Driver")]
    driver: &'static str,
    #[serde(rename = "CreatedAt")]
    created_at: String,
    #[serde(rename = "UpdatedAt")]
    updated_at: String,
}

/// Does it.
pub(crate) fn run(command: &SecretCommand, context: &Context) -> Result<ExitCode> {
    match command {
        SecretCommand::Create(arguments) => create(arguments, context),
        SecretCommand::Exists { name } => {
            let all = context.containers()?.secrets().all()?;
            let known = all.iter().any(|secret| secret.name == *name || secret.id == *name);
            Ok(if known { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        SecretCommand::Inspect(arguments) => inspect(arguments, context),
        SecretCommand::List(arguments) => list(arguments, context),
        SecretCommand::Remove(arguments) => remove(arguments, context),
    }
}

fn create(arguments: &CreateArguments, context: &Context) -> Result<ExitCode> {
    if arguments.ignore
        && let Some(known) = named(&arguments.name, context)?
    {
        output::line(&known.id)?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.driver != "file" || !arguments.driver_opts.is_empty() {
        bail!("secrets are kept in files: only --driver file is supported, without options");
    }
    let source = &arguments.source;
    let mut data = Vec::new();
    if arguments.env {
        let value = std::env::var_os(source);
        let value = value.with_context(|| {
            format!("cannot create store secret data: environment variable {source} is not set")
        })?;
        data = std::os::unix::ffi::OsStringExt::into_vec(value);
    } else if source == "-" {
        if std::io::IsTerminal::is_terminal(&std::io::stdin()) {
            bail!("if `-` is used, data must be passed into stdin");
        }
        std::io::stdin().lock().take(MOST).read_to_end(&mut data).context("reading stdin")?;
    } else {
        let file = std::fs::File::open(source).with_context(|| format!("open {source}"))?;
        file.take(MOST).read_to_end(&mut data).with_context(|| format!("reading {source}"))?;
    }
    let secrets = context.containers()?.secrets();
    let (name, labels) = (&arguments.name, pairs(&arguments.label));
    let made = match arguments.replace {
        true => secrets.replace(name, &data, labels)?,
        false => secrets.create(name, &data, labels)?,
    };
    output::line(&made.id)?;
    Ok(ExitCode::SUCCESS)
}

/// The secret that is called exactly so.
fn named(name: &str, context: &Context) -> Result<Option<Secret>> {
    let all = context.containers()?.secrets().all()?;
    Ok(all.into_iter().find(|secret| secret.name == name))
}

fn shown(secret: Secret) -> Shown {
    let driver = Driver { name: "file", options: BTreeMap::new() };
    Shown {
        id: secret.id,
        updated_at: Time(secret.created.clone()),
        created_at: Time(secret.created),
        spec: Spec { name: secret.name, driver, labels: secret.labels },
        data: String::new(),
    }
}

fn inspect(arguments: &InspectArguments, context: &Context) -> Result<ExitCode> {
    let secrets = context.containers()?.secrets();
    let mut errors = Vec::new();
    let mut found = Vec::new();
    for name in &arguments.names {
        match secrets.find(name) {
            Ok(secret) => {
                let data = match arguments.showsecret {
                    true => String::from_utf8_lossy(&secrets.data(&secret)?).into_owned(),
                    false => String::new(),
                };
                found.push(Shown { data, ..shown(secret) });
            }
            Err(error) => errors.push(anyhow::Error::from(error).context("inspecting secret")),
        }
    }
    let pretty = arguments.pretty.then_some(PRETTY);
    match pretty.or(arguments.format.as_deref()) {
        Some(template) => show::rows("inspect", (template, Origin::List), None, &found)?,
        None => show::json(&found, JsonStyle::indented(4))?,
    }
    Ok(finish(errors))
}

/// The secrets that fit every filter; its expressions are looked for anywhere in a name or an ID.
///
/// Source: podman, `pkg/domain/utils/secrets_filters.go`.
fn matching(mut kept: Vec<Secret>, filters: &[String]) -> Result<Vec<Secret>> {
    for (key, values) in filter::by_key(filters)? {
        let fits = filter::expressions(key, &values)?;
        match key.to_ascii_lowercase().as_str() {
            "name" => kept.retain(|secret| fits(&secret.name)),
            "id" => kept.retain(|secret| fits(&secret.id)),
            _ => bail!("invalid filter {key:?}"),
        }
    }
    Ok(kept)
}

fn list(arguments: &ListArguments, context: &Context) -> Result<ExitCode> {
    let found = matching(context.containers()?.secrets().all()?, &arguments.filter)?;
    if arguments.quiet {
        found.iter().try_for_each(|secret| output::line(&secret.id))?;
        return Ok(ExitCode::SUCCESS);
    }
    let template = arguments.format.as_deref();
    if template == Some("json") {
        let shown: Vec<Shown> = found.into_iter().map(shown).collect();
        show::json(&shown, JsonStyle::indented(4))?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |secret: Secret| {
        let since = moment::since(secret.created.parse().ok());
        Row {
            id: secret.id,
            name: secret.name,
            driver: "file",
            created_at: since.clone(),
            updated_at: since,
        }
    };
    let rows: Vec<Row> = found.into_iter().map(row).collect();
    let headers = Headers::from_fields(
        ["ID", "Name", "Driver", "CreatedAt", "UpdatedAt"],
        &[("CreatedAt", "CREATED"), ("UpdatedAt", "UPDATED")],
    );
    let headers = (!arguments.noheading).then_some(&headers);
    let usual = "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.CreatedAt}}\t{{.UpdatedAt}}";
    show::rows("ls", (template.unwrap_or(usual), Origin::List), headers, &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn remove(arguments: &RemoveArguments, context: &Context) -> Result<ExitCode> {
    let secrets = context.containers()?.secrets();
    let mut names = arguments.names.clone();
    match (arguments.all, names.is_empty()) {
        (true, true) => names = secrets.all()?.into_iter().map(|secret| secret.id).collect(),
        (true, false) => bail!("`secret rm` takes no arguments with --all"),
        (false, true) => bail!("`secret rm` requires at least one secret, or --all"),
        (false, false) => {}
    }
    let mut errors = Vec::new();
    for name in names {
        let removed = secrets.find(&name).and_then(|secret| {
            secrets.remove(&secret)?;
            Ok(secret.id)
        });
        match removed {
            Ok(id) => output::line(&id)?,
            Err(error) if arguments.ignore && error.kind() == ErrorKind::SecretNotKnown => {}
            Err(error) => errors.push(error.into()),
        }
    }
    Ok(finish(errors))
}
