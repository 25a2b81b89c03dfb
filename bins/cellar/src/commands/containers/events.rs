//! `cellar events`

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use cask_engine::{Event, EventFilter, EventOptions, parse_exact_moment};
use cask_terminal::template::{Format, Origin, is_json_format};
use cask_terminal::value::Value;
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::moment;

/// Print what was and is done to containers, images and volumes
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Only those that fit, such as container=NAME, event=create, type=volume or label=NAME=VALUE
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Print JSON, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print whole IDs [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    no_trunc: Option<bool>,
    /// From this moment on: a time, or how long ago
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Go on with what is done from now on [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    stream: Option<bool>,
    /// Up to this moment
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
}

/// An event as templates have it.
#[derive(Serialize)]
#[serde(rename = "events.Event")]
struct Row<'e> {
    #[serde(rename = "ContainerExitCode")]
    exit_code: i32,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    #[serde(rename = "ID")]
    id: &'e str,
    #[serde(rename = "Image")]
    image: &'e str,
    #[serde(rename = "Name")]
    name: &'e str,
    #[serde(rename = "Network")]
    network: &'e str,
    #[serde(rename = "Status")]
    status: &'e str,
    #[serde(rename = "Time")]
    time: String,
    #[serde(rename = "TimeNano")]
    nanoseconds: i64,
    #[serde(rename = "Type")]
    kind: &'e str,
    #[serde(rename = "HealthStatus")]
    health_status: &'e str,
    #[serde(rename = "HealthLog")]
    health_log: &'e str,
    #[serde(rename = "HealthFailingStreak")]
    health_failing_streak: i32,
    #[serde(rename = "ContainerInspectData")]
    inspect_data: &'e str,
    #[serde(rename = "Attributes")]
    attributes: std::collections::BTreeMap<String, String>,
}

/// An event as JSON has it: `Time` is what podman 4 calls it, `time` and `timeNano` are the later ones' numbers.
#[derive(Serialize)]
struct Document<'e> {
    #[serde(flatten)]
    event: &'e Event,
    #[serde(rename = "ContainerExitCode", skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(rename = "time")]
    seconds: i64,
    #[serde(rename = "timeNano")]
    nanoseconds: i64,
}

/// Prints them.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let now = moment::exactly_now();
    let mut options = EventOptions::default();
    let since = arguments.since.as_deref().map(|text| parse_exact_moment(text, now));
    options.since = since.transpose()?;
    let until = arguments.until.as_deref().map(|text| moment::exact_end(text, now));
    options.until = until.transpose()?;
    options.follow = arguments.stream.unwrap_or(true);
    let filters = arguments.filter.iter().map(|text| EventFilter::parse(text));
    options.filters = filters.collect::<Result<_, _>>()?;
    let format = arguments.format.as_deref().filter(|format| !format.is_empty());
    let json = format.is_some_and(is_json_format);
    let template = match format {
        Some(format) if !json => Some(Format::parse("events", format, Origin::Value)?),
        _ => None,
    };
    let truncated = !arguments.no_trunc.unwrap_or(true);
    let containers = context.containers()?;
    let mut failed = None;
    containers.events(&options, &mut |event| {
        let text = match &template {
            _ if json => document(event),
            None => Ok(event.line(truncated)),
            Some(template) => of_template(template, event),
        };
        match text.and_then(|text| Ok(print(&text)?)) {
            Ok(()) => Ok(true),
            Err(error) => {
                failed = Some(error);
                Ok(false)
            }
        }
    })?;
    match failed {
        // Nobody reads any more.
        Some(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        Some(error) => Err(error),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn document(event: &Event) -> Result<String> {
    // Of what ended, 0 is an exit code too.
    let ended = event.exit_code == 0 && matches!(event.status.as_str(), "died" | "exec_died");
    let (seconds, nanoseconds) = (event.moment().0, nanoseconds(event));
    let exit_code = ended.then_some(0);
    Ok(serde_json::to_string(&Document { event, exit_code, seconds, nanoseconds })?)
}

/// Since 1970.
fn nanoseconds(event: &Event) -> i64 {
    let (seconds, more) = event.moment();
    seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(more))
}

fn of_template(template: &Format, event: &Event) -> Result<String> {
    let row = Row {
        exit_code: event.exit_code,
        oom_killed: event.oom_killed.unwrap_or_default(),
        id: &event.id,
        image: &event.image,
        name: &event.name,
        network: &event.network,
        status: &event.status,
        time: event.go_time(),
        nanoseconds: nanoseconds(event),
        kind: &event.kind,
        health_status: &event.health_status,
        health_log: &event.health_log,
        health_failing_streak: event.health_failing_streak,
        inspect_data: &event.inspect_data,
        attributes: event.attributes.clone().unwrap_or_default(),
    };
    let text = template.render(None, &Value::of(&row)?)?;
    Ok(String::from_utf8_lossy(&text).trim_end_matches('\n').to_owned())
}

fn print(line: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("{line}\n").as_bytes())?;
    stdout.flush()
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
