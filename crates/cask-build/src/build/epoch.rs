//! `SOURCE_DATE_EPOCH`: the argument that dates an image.
//!
//! Source: BuildKit, `frontend/dockerfile/dockerfile2llb/epoch.go`, its rules and words.

use std::collections::BTreeSet;
use std::sync::Arc;

use cask_containerfile::instruction::{Add, CopySource, Instruction};
use cask_containerfile::{StageScope, Variables as _, expand};
use cask_image::Algorithm;

use super::plan::{Plan, PlatformPlan, StagePlan};
use super::request::BuildRequest;
use super::sources::NamedContext;
use super::tools::BuildTools;
use crate::context::{ContextTools, GitLocation, download, newest_member};
use crate::{Error, ErrorKind, Result};

/// The argument.
pub(crate) const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// What is said of a stage that the date cannot be taken from.
const ONE_SOURCE: &str = "SOURCE_DATE_EPOCH stage must contain exactly one remote ADD";

/// The request with the date that its arguments give, or those of the file; commands that ask for the argument
/// get the date as a number, or nothing where there is none. Fetches what dates the image; blocks.
///
/// The argument is a number of seconds since 1970, `context` for the date of the build context, or the name of a
/// context or of a stage, whose one instruction adds something from elsewhere. A directory of this machine has no date.
pub(super) fn dated(request: &BuildRequest, tools: &BuildTools) -> Result<BuildRequest> {
    let mut dated = request.clone();
    if let Some(seconds) = request.image.dates.source_date_epoch {
        dated.arguments.entry(EPOCH.to_owned()).or_insert_with(|| seconds.to_string());
        return Ok(dated);
    }
    let Some(text) = wanted(request, &tools.sources.names())? else { return Ok(dated) };
    let seconds = match text.parse::<i64>() {
        Ok(seconds) if seconds >= 0 => Some(seconds),
        Ok(_) => return Err(invalid(&text, "it is not a number of seconds since 1970")),
        Err(_) => of_source(&dated, tools, &text)?,
    };
    dated.image.dates.source_date_epoch = seconds;
    let resolved = seconds.map(|seconds| seconds.to_string()).unwrap_or_default();
    dated.arguments.insert(EPOCH.to_owned(), resolved);
    Ok(dated)
}

/// What the caller gives, or else the file before its first FROM.
fn wanted(request: &BuildRequest, names: &BTreeSet<String>) -> Result<Option<String>> {
    let given = match request.arguments.get(EPOCH) {
        Some(text) => Some(text.clone()),
        None if !is_declared(request) => None,
        None => {
            let plan = Plan::new(request, names)?;
            let global = plan.platforms.first().map(|platform| &platform.global);
            global.and_then(|global| global.value(EPOCH)).map(str::to_owned)
        }
    };
    Ok(given.filter(|text| !text.is_empty()))
}

/// Whether the file asks for the argument before its first FROM.
fn is_declared(request: &BuildRequest) -> bool {
    let statements = request.files.iter().flat_map(|file| file.tree.statements());
    let mut instructions = statements.filter_map(|statement| statement.instruction());
    instructions.find_map(|instruction| match instruction {
        Instruction::From(_) => Some(false),
        Instruction::Arg(arg) if arg.items.iter().any(|item| item.name.as_str() == EPOCH) => {
            Some(true)
        }
        _ => None,
    }) == Some(true)
}

fn invalid(text: &str, detail: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{EPOCH}={text}"), detail).with_hint(
        "give seconds since 1970, `context`, or the name of a context or a stage that adds something from elsewhere",
    )
}

fn refuse<T>(detail: &str) -> Result<T> {
    Err(Error::new(ErrorKind::Invalid, "", detail))
}

/// The date of a context or of a stage.
fn of_source(request: &BuildRequest, tools: &BuildTools, text: &str) -> Result<Option<i64>> {
    if text == "context" {
        return tools.sources.context.date();
    }
    match tools.sources.named(text) {
        Some(NamedContext::Files(context)) => return context.date(),
        Some(NamedContext::Image(_)) => return Ok(None),
        None => {}
    }
    let plan = Plan::new(request, &tools.sources.names())?;
    let label = text.to_lowercase();
    let stage = plan.stages.iter().find(|stage| stage.from.name.is_some() && stage.label == label);
    let (Some(stage), Some(platform)) = (stage, plan.platforms.first()) else {
        return Err(invalid(text, "it is no date, and no stage is called so"));
    };
    of_stage(stage, platform, request, tools)
}

/// The date of what a stage adds; it does nothing else.
fn of_stage(
    stage: &StagePlan,
    platform: &PlatformPlan,
    request: &BuildRequest,
    tools: &BuildTools,
) -> Result<Option<i64>> {
    let options = stage.head.expansion(request.dialect);
    let expanded =
        |error: &dyn std::fmt::Display| Error::new(ErrorKind::Invalid, "FROM", error.to_string());
    let base = expand(stage.from.image.as_str(), &platform.global, &options);
    if base.map_err(|error| stage.head.locate(expanded(&error)))?.text != "scratch" {
        return refuse("SOURCE_DATE_EPOCH stage must use FROM scratch")
            .map_err(|error| stage.head.locate(error));
    }
    let mut scope = StageScope::new(&[], request.dialect);
    let mut found: Option<(String, &Add)> = None;
    for step in &stage.steps {
        let options = step.expansion(request.dialect);
        let done = match step.statement.instruction() {
            Some(Instruction::Arg(arg)) => arg.items.iter().try_for_each(|item| {
                let default = item.default.as_ref().map(|word| word.as_str());
                scope
                    .declare(&item.name.text, default, &platform.global, &options)
                    .map_err(|error| expanded(&error))
            }),
            Some(Instruction::Add(_)) if found.is_some() => refuse(ONE_SOURCE),
            Some(Instruction::Add(add)) => match add.sources.as_slice() {
                [CopySource::Path(word)] => {
                    let source = expand(word.as_str(), &scope, &options);
                    source.map_err(|error| expanded(&error)).map(|source| {
                        found = Some((source.text, add));
                    })
                }
                _ => refuse(ONE_SOURCE),
            },
            _ => refuse(&format!(
                "SOURCE_DATE_EPOCH stage does not meet source-only requirements: unsupported {} instruction",
                step.statement.keyword()
            )),
        };
        done.map_err(|error| step.locate(error))?;
    }
    let dated = match found {
        Some((source, add)) => of_remote(&source, add, tools),
        None => refuse(ONE_SOURCE),
    };
    dated.map_err(|error| stage.head.locate(error))
}

/// The date of what is elsewhere: of the commit, or what the server says of the file, or else the newest file of
/// the archive that it is.
fn of_remote(source: &str, add: &Add, tools: &BuildTools) -> Result<Option<i64>> {
    let sources = &tools.sources;
    let failed = |error| Error::io(error, "cannot be written to", &tools.state_directory);
    let own = tools.state_directory.join("tmp");
    let root = sources.scratch.as_deref().unwrap_or(&own);
    std::fs::create_dir_all(root).map_err(failed)?;
    let scratch = tempfile::tempdir_in(root).map_err(failed)?;
    if let Some(location) = GitLocation::parse(source) {
        let mut location = location?;
        location.keep_git_dir = add.keep_git_dir.or(location.keep_git_dir);
        let git = crate::context::required(sources.git.as_deref(), &location)?;
        return Ok(Some(git.check_out(&location, None, scratch.path())?.seconds));
    }
    if !source.starts_with("http://") && !source.starts_with("https://") {
        let detail = "SOURCE_DATE_EPOCH stage source must be a single HTTP(S) or Git ADD";
        return Err(Error::new(ErrorKind::Invalid, "", detail));
    }
    let fetch = sources.fetch.as_ref().map(Arc::clone);
    let fetch = fetch.as_deref().map(|fetch| fetch as _);
    let tools = ContextTools { fetch, git: None, scratch: scratch.path() };
    let got = download(source, Algorithm::Sha256, tools.fetch, tools.scratch)?;
    Ok(got.last_modified.or_else(|| newest_member(got.file)))
}
