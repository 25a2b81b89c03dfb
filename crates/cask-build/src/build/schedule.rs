//! Building stages side by side, each when those that it needs are done.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use cask_containerfile::Resolved;
use cask_containerfile::instruction::Instruction;
use cask_runtime::Cancel;
use rustix::event::{PollFd, PollFlags, poll};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::engine::{Engine, StageId, lock};
use super::epoch;
use super::plan::{Plan, PlatformPlan, StepPlan, platform_text};
use super::report::BuildReport;
use super::request::BuildRequest;
use super::sources::BuildSources;
use super::state::read_config;
use super::tools::{BaseImage, BuildTools};
use crate::{Error, ErrorKind, Result};

/// The most stages that are built at the same time where the caller does not say.
const MAX_JOBS: usize = 4;

/// Stages that a stage needs beyond what the file says: those that triggers of its base name.
type More = BTreeMap<usize, BTreeSet<usize>>;

/// What a base image was asked for with: its name, and the platform.
type BaseKey = (String, String);

/// Builds an image for every platform of the request.
///
/// What the file does not need for its target is not built. Stages that need nothing of each other
/// are built at the same time, platforms too; a step that several of them have is done once. What
/// earlier builds did is taken from their records. Needs a tokio runtime with I/O, if the bases
/// need one; steps run on its blocking threads.
///
/// Dropped before it ends, what runs is stopped and leaves nothing but whole layers.
///
/// # Errors
/// [`ErrorKind::Command`] with the status of a command that failed; [`ErrorKind::Cancelled`]; and
/// every other kind. An error that is about an instruction has its [`Location`](crate::Location).
/// Nothing gets a name then; the layers of the steps that were done are kept for later builds.
pub async fn build(request: &BuildRequest, tools: &BuildTools) -> Result<BuildReport> {
    let begun = Instant::now();
    let (given, own) = (request.clone(), tools.clone());
    let dated = tokio::task::spawn_blocking(move || epoch::dated(&given, &own)).await;
    let request = &dated.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    let plan = Plan::new(request, &tools.sources.names())?;
    let mut bases = BTreeMap::new();
    let mut more = Vec::new();
    for platform in &plan.platforms {
        more.push(fetch_bases(request, tools, &plan, platform, &mut bases).await?);
    }
    let stages = stages(&plan, &more);
    let stop = Stop::new(&tools.cancel)?;
    let engine = Engine::new(request, tools, plan, Handle::current(), stop.cancel.clone(), bases);
    let engine = Arc::new(engine.with_stages(stages.keys().copied()));
    let unused = &engine.plan.unused_arguments;
    if !unused.is_empty() {
        let message = format!("one or more build args were not consumed: [{}]", unused.join(" "));
        engine.warn(None, message);
    }
    let outcome = run_stages(&engine, stages, request.jobs, &stop).await;
    let (ended, stopped) = (Arc::clone(&engine), tools.cancel.is_cancelled());
    let finished = tokio::task::spawn_blocking(move || {
        let images = match outcome {
            Ok(()) if stopped => Err(stopped_error()),
            Ok(()) => ended.save_stages().and_then(|saved| {
                let platforms = 0..ended.plan.platforms.len();
                let images = platforms.map(|platform| ended.commit_target(platform));
                Ok((images.collect::<Result<Vec<_>>>()?, saved))
            }),
            Err(error) => Err(error),
        };
        let (images, saved) = match images {
            Ok((images, saved)) => (Ok(images), saved),
            Err(error) => (Err(error), Vec::new()),
        };
        ended.keep_tips(images.iter().flatten().chain(&saved));
        ended.forget_fetched();
        match (images, &ended.tools.on_failure) {
            (Ok(images), _) => Ok((images, ended.export_steps())),
            (Err(error), Some(take)) if error.kind() != ErrorKind::Cancelled => {
                take(ended.export_steps());
                Err(error)
            }
            (Err(error), _) => Err(error),
        }
    });
    let (images, cached) = finished.await.unwrap_or_else(|panic| {
        std::panic::resume_unwind(panic.into_panic());
    })?;
    let steps = std::mem::take(&mut *lock(&engine.steps));
    let warnings = std::mem::take(&mut *lock(&engine.warnings));
    let bases = engine.used_bases();
    let materials = std::mem::take(&mut *lock(&engine.materials)).into_iter().collect();
    let date = engine.pinned_date();
    let wall = begun.elapsed();
    Ok(BuildReport { images, steps, warnings, cached, bases, materials, date, wall })
}

/// The base images that the target of a request needs for its first platform, as they are asked for; names that
/// stand for files are none.
///
/// # Errors
/// [`ErrorKind::Invalid`] and [`ErrorKind::Missing`] for a file that cannot be built.
pub fn base_references(request: &BuildRequest, sources: &BuildSources) -> Result<BTreeSet<String>> {
    let plan = Plan::new(request, &sources.names())?;
    let mut references = BTreeSet::new();
    for platform in plan.platforms.iter().take(1) {
        for stage in platform.needed(&More::new()) {
            let Resolved::Image(name) = &platform.bases[stage].on else { continue };
            if sources.files_of(name).is_none() {
                references.insert(sources.image_of(name)?);
            }
        }
    }
    Ok(references)
}

fn stopped_error() -> Error {
    Error::new(ErrorKind::Cancelled, "the build", "it was stopped")
}

/// Every base image that a platform needs, all at the same time; gives what their triggers need.
async fn fetch_bases(
    request: &BuildRequest,
    tools: &BuildTools,
    plan: &Plan,
    platform: &PlatformPlan,
    bases: &mut BTreeMap<BaseKey, BaseImage>,
) -> Result<More> {
    let mut more = More::new();
    let mut seen = BTreeSet::new();
    loop {
        let needed = platform.needed(&more);
        let new: Vec<usize> = needed.into_iter().filter(|stage| seen.insert(*stage)).collect();
        if new.is_empty() {
            return Ok(more);
        }
        let mut fetching = JoinSet::new();
        let mut asked: BTreeMap<BaseKey, Vec<usize>> = BTreeMap::new();
        for stage in new {
            let base = &platform.bases[stage];
            let Resolved::Image(name) = &base.on else { continue };
            if tools.sources.files_of(name).is_some() {
                continue;
            }
            let head = plan.stages[stage].head.clone();
            let reference = tools.sources.image_of(name).map_err(|e| head.locate(e))?;
            let key = (reference.clone(), platform_text(&base.platform));
            let stages = asked.entry(key.clone()).or_default();
            stages.push(stage);
            if stages.len() > 1 || bases.contains_key(&key) {
                continue;
            }
            let (source, pull) = (Arc::clone(&tools.bases), request.pull);
            let platform = base.platform.clone();
            fetching.spawn(async move {
                let found = source.base(&reference, &platform, pull).await;
                found.map(|found| (key, found)).map_err(|error| head.locate(error))
            });
        }
        while let Some(joined) = fetching.join_next().await {
            let fetched = joined.unwrap_or_else(|panic| {
                std::panic::resume_unwind(panic.into_panic());
            });
            let (key, image) = fetched?;
            bases.insert(key, image);
        }
        for (key, stages) in asked {
            let config = read_config(&tools.store, &bases[&key]);
            for stage in stages {
                let head = &plan.stages[stage].head;
                let config = config.as_ref().map_err(|_| head.locate(damaged(&key.0)))?;
                let triggers = head.triggers(&config.config.on_build, request.dialect)?;
                more.insert(stage, named_stages(platform, stage, &triggers));
            }
        }
    }
}

/// A base image that is in the store and cannot be read.
fn damaged(name: &str) -> Error {
    Error::new(ErrorKind::Storage, name, "its config is missing or makes no sense")
        .with_hint("remove the image and fetch it again")
}

/// The stages that instructions name in `--from` and in mounts.
fn named_stages(platform: &PlatformPlan, stage: usize, steps: &[StepPlan]) -> BTreeSet<usize> {
    let mut stages = BTreeSet::new();
    for step in steps {
        match step.statement.instruction() {
            Some(Instruction::Copy(copy)) => {
                let from = copy.from.as_ref();
                stages.extend(from.and_then(|from| platform.stage_named(&from.text, stage)));
            }
            Some(Instruction::Run(run)) => {
                let names = run.mounts.iter().filter_map(|mount| mount.field(&["from"]));
                stages.extend(names.filter_map(|name| platform.stage_named(name, stage)));
            }
            _ => {}
        }
    }
    stages
}

/// The stages that are to be built, and those that each waits for.
fn stages(plan: &Plan, more: &[More]) -> BTreeMap<StageId, BTreeSet<StageId>> {
    let mut all = BTreeMap::new();
    for (index, (platform, more)) in plan.platforms.iter().zip(more).enumerate() {
        for stage in platform.needed(more) {
            let waits_for = platform.dependencies(stage, more);
            let waits_for = waits_for.into_iter().map(|stage| (index, stage)).collect();
            all.insert((index, stage), waits_for);
        }
    }
    all
}

async fn run_stages(
    engine: &Arc<Engine>,
    mut waiting: BTreeMap<StageId, BTreeSet<StageId>>,
    jobs: Option<NonZeroUsize>,
    stop: &Stop,
) -> Result<()> {
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let jobs = jobs.map_or(processors.min(MAX_JOBS), NonZeroUsize::get);
    let mut running = JoinSet::new();
    let mut failure: Option<Error> = None;
    loop {
        while failure.is_none() && running.len() < jobs {
            let ready = waiting.iter().find(|(_, needs)| needs.is_empty()).map(|(id, _)| *id);
            let Some(id) = ready else { break };
            waiting.remove(&id);
            let engine = Arc::clone(engine);
            running.spawn_blocking(move || (id, engine.run_stage(id)));
        }
        let Some(joined) = running.join_next().await else { break };
        let (id, outcome) = joined.unwrap_or_else(|panic| {
            std::panic::resume_unwind(panic.into_panic());
        });
        match outcome {
            Ok(()) => {
                for needs in waiting.values_mut() {
                    needs.remove(&id);
                }
            }
            Err(error) => {
                stop.cancel.cancel();
                // What ends because something else failed says nothing.
                if failure.as_ref().is_none_or(|first| {
                    first.kind() == ErrorKind::Cancelled && error.kind() != ErrorKind::Cancelled
                }) {
                    failure = Some(error);
                }
            }
        }
    }
    failure.map_or(Ok(()), Err)
}

/// What ends this build: the caller, an error, or that nobody waits for it any more.
struct Stop {
    cancel: Cancel,
}

impl Stop {
    /// Follows the caller's, which may be shared by builds that have nothing to do with this one.
    fn new(caller: &Cancel) -> Result<Self> {
        let cancel = Cancel::new().map_err(|error| Error::runtime(error, "the build"))?;
        let (caller, own) = (caller.clone(), cancel.clone());
        let watch = move || {
            while !own.is_cancelled() {
                let mut both =
                    [PollFd::new(&caller, PollFlags::IN), PollFd::new(&own, PollFlags::IN)];
                let _ = poll(&mut both, None);
                if caller.is_cancelled() {
                    own.cancel();
                }
            }
        };
        let started = thread::Builder::new().name("cask-build-cancel".into()).spawn(watch);
        started.map_err(|error| {
            Error::new(ErrorKind::Runtime, "the build", "no thread can be made").with_source(error)
        })?;
        Ok(Self { cancel })
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}
