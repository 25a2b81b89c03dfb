//! `cooper config`

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use cask_build::{ConfigChange, HealthcheckChange};
use cask_program::access;
use cask_program::duration::GoDuration;
use cask_program::report;
use clap::Args;

use crate::context::{Context, environment_switch, now};

/// Change what the image of a working container will say
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container
    container: Vec<String>,
    /// Tell the history of the change
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    add_history: Option<String>,
    /// Who made the image
    #[arg(long, value_name = "TEXT")]
    author: Option<String>,
    /// How its layer was made, for the history
    #[arg(long, value_name = "TEXT")]
    created_by: Option<String>,
    /// The architecture of the image
    #[arg(long)]
    arch: Option<String>,
    /// The variant of the architecture
    #[arg(long)]
    variant: Option<String>,
    /// The operating system of the image
    #[arg(long)]
    os: Option<String>,
    /// The version of the operating system
    #[arg(long, value_name = "VERSION")]
    os_version: Option<String>,
    /// A feature of the operating system that the image needs
    #[arg(long, value_name = "FEATURE", allow_hyphen_values = true)]
    os_feature: Vec<String>,
    #[command(flatten)]
    run: RunArguments,
    #[command(flatten)]
    about: AboutArguments,
    #[command(flatten)]
    health: HealthArguments,
}

/// How the image is run.
#[derive(Args, Debug)]
struct RunArguments {
    /// The user
    #[arg(short, long)]
    user: Option<String>,
    /// The shell
    #[arg(long, allow_hyphen_values = true)]
    shell: Option<String>,
    /// The signal that ends it
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// A port that it listens on; with a dash behind it, one that it does not; a dash for none at all
    #[arg(short, long, value_name = "PORT", value_delimiter = ',', allow_hyphen_values = true)]
    port: Vec<String>,
    /// A variable, NAME=VALUE or NAME for the caller's; NAME- takes it away, a dash all of them
    #[arg(short, long, value_name = "VARIABLE", allow_hyphen_values = true)]
    env: Vec<String>,
    /// The entry point: a JSON list, or a text for a shell
    #[arg(long, allow_hyphen_values = true)]
    entrypoint: Option<String>,
    /// The command: a JSON list, or a text as a shell reads it
    #[arg(long, value_name = "COMMAND", allow_hyphen_values = true)]
    cmd: Option<String>,
    /// A directory that is a volume; with a dash behind it, one that is not; a dash for none at all
    #[arg(
        short,
        long,
        value_name = "DIRECTORY",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    volume: Vec<String>,
    /// The directory in which it begins
    #[arg(long, value_name = "DIRECTORY")]
    workingdir: Option<String>,
    /// The name of its host (docker format)
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// The name of its domain (docker format)
    #[arg(long, value_name = "NAME")]
    domainname: Option<String>,
    /// An instruction for builds that start from the image (docker format)
    #[arg(long, value_name = "INSTRUCTION", value_delimiter = ',')]
    onbuild: Vec<String>,
}

/// What is said about the image.
#[derive(Args, Debug)]
struct AboutArguments {
    /// A label, NAME=VALUE; NAME- takes it away, a dash all of them
    #[arg(short, long, value_name = "LABEL", allow_hyphen_values = true)]
    label: Vec<String>,
    /// Take a label away
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    unsetlabel: Vec<String>,
    /// An annotation, NAME=VALUE; NAME- takes it away, a dash all of them
    #[arg(short, long, value_name = "ANNOTATION", allow_hyphen_values = true)]
    annotation: Vec<String>,
    /// Take an annotation away
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    unsetannotation: Vec<String>,
    /// A comment (docker format)
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// A comment for the history
    #[arg(long, value_name = "TEXT")]
    history_comment: Option<String>,
}

/// How to find out whether it works (docker format).
#[derive(Args, Debug)]
struct HealthArguments {
    /// The check: CMD and arguments, CMD-SHELL and a command, or NONE
    #[arg(long, value_name = "CHECK")]
    healthcheck: Option<String>,
    /// The time between two checks
    #[arg(long, value_name = "DURATION")]
    healthcheck_interval: Option<String>,
    /// How many checks have to fail
    #[arg(long, value_name = "NUMBER")]
    healthcheck_retries: Option<u32>,
    /// How long the program may take to start
    #[arg(long, value_name = "DURATION")]
    healthcheck_start_period: Option<String>,
    /// The time between two checks while the program starts
    #[arg(long, value_name = "DURATION")]
    healthcheck_start_interval: Option<String>,
    /// How long a check may take
    #[arg(long, value_name = "DURATION")]
    healthcheck_timeout: Option<String>,
}

/// Changes.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let name = match arguments.container.as_slice() {
        [] => bail!("container ID must be specified"),
        [name] => name,
        _ => bail!("too many arguments specified"),
    };
    let mut container = context
        .containers()?
        .find(name)
        .with_context(|| format!("reading build container {name:?}"))?;
    let changes = arguments.changes()?;
    let history = add_history(arguments.add_history.as_deref())?.then(now).transpose()?;
    let warnings = container.configure(&changes, history)?;
    warnings.iter().for_each(|warning| report::note(warning));
    Ok(())
}

/// Whether the history is told: by a flag, or else by the environment.
pub(super) fn add_history(flag: Option<&str>) -> Result<bool> {
    match flag {
        Some(text) => access::boolean_value("add-history", text),
        None => Ok(environment_switch("BUILDAH_HISTORY")),
    }
}

impl Arguments {
    /// The changes in buildah's order.
    fn changes(&self) -> Result<Vec<ConfigChange>> {
        let Self { run, about, .. } = self;
        let text =
            |value: &Option<String>, change: fn(String) -> ConfigChange| value.clone().map(change);
        let list = |values: &[String], change: fn(Vec<String>) -> ConfigChange| {
            (!values.is_empty()).then(|| change(values.to_vec()))
        };
        let environment = run.env.iter().map(|variable| from_caller(variable));
        let environment = environment.collect::<Result<Vec<_>>>()?;
        let all = [
            text(&self.author, ConfigChange::Author),
            text(&self.created_by, ConfigChange::CreatedBy),
            text(&self.arch, ConfigChange::Architecture),
            text(&self.variant, ConfigChange::Variant),
            text(&self.os, ConfigChange::Os),
            list(&self.os_feature, ConfigChange::OsFeatures),
            text(&self.os_version, ConfigChange::OsVersion),
            text(&run.user, ConfigChange::User),
            text(&run.shell, ConfigChange::Shell),
            text(&run.stop_signal, ConfigChange::StopSignal),
            list(&run.port, ConfigChange::Ports),
            list(&environment, ConfigChange::Environment),
            text(&run.entrypoint, ConfigChange::Entrypoint),
            text(&run.cmd, ConfigChange::Command),
            list(&run.volume, ConfigChange::Volumes),
            self.health.change()?.map(ConfigChange::Healthcheck),
            list(&about.label, ConfigChange::Labels),
            list(&about.unsetlabel, ConfigChange::RemoveLabels),
            list(&about.unsetannotation, ConfigChange::RemoveAnnotations),
            text(&run.workingdir, ConfigChange::WorkingDirectory),
            text(&about.comment, ConfigChange::Comment),
            text(&about.history_comment, ConfigChange::HistoryComment),
            text(&run.domainname, ConfigChange::DomainName),
            text(&run.hostname, ConfigChange::HostName),
            list(&run.onbuild, ConfigChange::OnBuild),
            list(&about.annotation, ConfigChange::Annotations),
        ];
        Ok(all.into_iter().flatten().collect())
    }
}

/// Gives a variable without a value that of the caller.
fn from_caller(variable: &str) -> Result<String> {
    if variable.contains('=') || variable.ends_with('-') {
        return Ok(variable.to_owned());
    }
    match std::env::var(variable) {
        Ok(value) if !value.is_empty() => Ok(format!("{variable}={value}")),
        _ => bail!("setting env {variable:?}: no value given"),
    }
}

impl HealthArguments {
    fn change(&self) -> Result<Option<HealthcheckChange>> {
        let mut change = HealthcheckChange::default();
        change.test.clone_from(&self.healthcheck);
        change.retries = self.healthcheck_retries;
        let mut written = String::new();
        change.interval = duration("interval", &self.healthcheck_interval, &mut written)?;
        if let Some(retries) = self.healthcheck_retries {
            let _ = write!(written, "--retries={retries} ");
        }
        change.start_period =
            duration("start-period", &self.healthcheck_start_period, &mut written)?;
        change.start_interval =
            duration("start-interval", &self.healthcheck_start_interval, &mut written)?;
        change.timeout = duration("timeout", &self.healthcheck_timeout, &mut written)?;
        change.written = written;
        Ok((change != HealthcheckChange::default()).then_some(change))
    }
}

/// Reads a duration, and adds to how it is told in the history.
fn duration(name: &str, text: &Option<String>, written: &mut String) -> Result<Option<Duration>> {
    let Some(text) = text else { return Ok(None) };
    let GoDuration(parsed) = text
        .parse()
        .map_err(|error: String| anyhow!("parsing --healthcheck-{name} {text:?}: {error}"))?;
    let _ = write!(written, "--{name}={text} ");
    Ok(Some(parsed))
}
