//! From the flags to an image.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use cask::transport::Transports;
use cask_build::{
    BuildFile, BuildReport, BuildRequest, BuildTools, ErrorKind, ShellTerminal, StatCache,
};
use cask_containerfile::render_excerpt;
use cask_engine::Images;
use cask_runtime::TerminalSize;
use cask_storage::Store;
use cask_terminal::report::Exit;
use serde_json::json;

use super::arguments::{Arguments, Method, OutputArguments};
use super::bases::PulledBases;
use super::cache::{Pulled, Pushing};
use super::compression::Compress;
use super::inputs::Inputs;
use super::outputs::{self, Destinations, Output};
use super::provenance::{Described, Provenance};
use super::results::{self, Results};
use super::run_arguments::RunArguments;
use super::show::Show;
use super::source_policy::SourcePolicy;
use super::{cache, check, environment, executor, inputs, request, summary};
use crate::settings::Settings;
use crate::{containers_conf, events, registries, report, stop, terminal};

/// How long steps that are told to end are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Builds, and tells how the program ends: with the status of a command that failed, or 125.
///
/// The program must have handed over to [`cask_runtime::run_helper`] where that was asked for, and
/// have called [`rootless::enter`](crate::rootless::enter).
///
/// # Errors
/// What is not about the build itself: the flags, the store.
pub fn run(arguments: Arguments, settings: &Settings) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(stop::unless_stopped(None, build(arguments, settings)));
    // Commands that are told to end do, and what was held for them is let go. Whoever still reads
    // standard input is left behind.
    runtime.shutdown_timeout(if outcome.is_ok() { Duration::ZERO } else { PATIENCE });
    let error = match outcome {
        Ok(code) => return Ok(code),
        Err(error) => error,
    };
    report::engine_failure(&error, hint);
    Ok(ExitCode::from(status(&error)))
}

/// A command of RUN failed.
#[derive(Debug)]
struct CommandFailed {
    instruction: String,
    status: u8,
    /// Why it could not be run at all; what ran has said itself what was wrong.
    source: Option<cask_build::Error>,
}

impl fmt::Display for CommandFailed {
    /// The words are buildah's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instruction, status, .. } = self;
        let shown = format_args!("\"{instruction}\"");
        write!(f, "building at STEP {shown}: while running runtime: exit status {status}")
    }
}

impl std::error::Error for CommandFailed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}

/// What the user can do about an error.
fn hint<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e str> {
    let of_build = error.downcast_ref::<cask_build::Error>().and_then(|error| error.hint());
    let of_engine = || error.downcast_ref::<cask_engine::Error>().and_then(|error| error.hint());
    of_build.or_else(of_engine)
}

async fn build(mut arguments: Arguments, settings: &Settings) -> Result<ExitCode> {
    arguments.run.fill(containers_conf::load()?);
    let store = settings.store.open()?;
    let images = Images::new(store.clone(), registries::lazily(settings))
        .with_events_in(events::log(settings)?);
    let transports = arguments.registry.transports(&images, settings).await?;
    let output = &arguments.output;
    let compress = Compress::of(output)?;
    let to = destinations(&arguments, &transports)?;
    let stdout_is_data = to.outputs.iter().any(Output::is_standard_output);
    let show = Arc::new(Show::start(&arguments.show, arguments.cache.explain, stdout_is_data)?);
    let scratch =
        tempfile::Builder::new().prefix("cask-build-").tempdir_in(temporary(settings)?)?;

    let inputs = load(&arguments, settings, scratch.path()).await?;
    let method = arguments.show.method()?;
    if method != Method::Build {
        let fails = check::tell(method, &inputs, &arguments)?;
        return Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }
    let cache_from = cache::sources(&arguments.cache.cache_from)?;
    let cache_to = cache::destinations(&arguments.cache.cache_to)?;
    let mut request = request::request(&arguments, inputs.files, &to.names)?;
    request.cache.export = cache::export(&cache_to.places);
    request.cache.inline = cache_to.inline;
    let (sockets, _agents) = environment::agents(&arguments.run.ssh, scratch.path())?;
    request.run.agents = sockets;
    let mut bases = PulledBases::new((&images, &transports), settings, show.progress());
    bases.platforms_named = request.platforms.are_named;
    bases.directory = inputs.directory;
    if let Some(path) = &arguments.input.source_policy_file {
        bases.policy = SourcePolicy::load(path)?;
    }
    let bases = Arc::new(bases);
    if arguments.input.all_platforms {
        request.platforms.targets = bases.common_platforms(&request, &inputs.sources).await?;
    }
    let provenance = refuse(&request, &to, output)?;
    show.split(&request.platforms.targets)?;
    let mut tools = BuildTools::new(store.clone())?;
    tools.sources = inputs.sources;
    commands(&mut tools, &arguments.run, settings, scratch.path())?;
    if arguments.show.debug && io::stdin().is_terminal() {
        tools.terminal = Some(Arc::new(OwnTerminal));
    }
    tools.bases = bases;
    if !cache_from.is_empty() {
        let places = (&images, &transports);
        tools.remote_cache = Some(Pulled::new(cache_from, places, settings, &show));
    }
    let known = Arc::new(StatCache::open(tools.state_directory.join("stat-cache")));
    tools.stat_cache = Some(Arc::clone(&known));
    let told = Arc::clone(&show);
    tools.events = Arc::new(move |event| told.event(&event));

    let (images, transports, compress) = (&images, &transports, &compress);
    let pushing = Pushing { places: &cache_to.places, images, transports, settings, compress };
    let built = carry_out_and_push(&request, tools, &pushing, &show).await;
    keep(&known);
    let built = match built {
        Ok(built) => built,
        // That was told as an object already.
        Err(error) if show.is_json() => return Ok(ExitCode::from(status(&error))),
        Err(error) => return Err(error),
    };
    let results = Results {
        built: &built,
        request: &request,
        to: &to,
        images,
        transports,
        settings,
        show: &show,
        scratch: scratch.path(),
        compress,
        provenance: provenance.as_ref(),
        described: Described::new(&request, &built, &arguments),
    };
    finish(&results, &arguments).await?;
    warn(&store);
    Ok(ExitCode::SUCCESS)
}

/// Where results go, by the flags.
fn destinations(arguments: &Arguments, transports: &Transports) -> Result<Destinations> {
    let output = &arguments.output;
    let is_scheme = |scheme: &str| transports.find(scheme).is_some();
    let mut to = outputs::destinations(&output.tag, &output.output, output.push, is_scheme)?;
    if arguments.cache.compresses()? {
        to.compress();
    }
    to.list = output.manifest.as_deref().map(outputs::full_name).transpose()?;
    Ok(to)
}

/// Locks what is right whoever panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps what is known of files for later builds.
fn keep(known: &StatCache) {
    if let Err(error) = known.save() {
        report::note(&format!("what is known of files cannot be kept for later builds: {error}"));
    }
}

/// Reads and fetches all that is built from, on a thread that may wait.
async fn load(arguments: &Arguments, settings: &Settings, scratch: &Path) -> Result<Inputs> {
    let (arguments, settings, scratch) = (arguments.clone(), settings.clone(), scratch.to_owned());
    let loading =
        tokio::task::spawn_blocking(move || inputs::load(&arguments, &settings, &scratch));
    loading.await?
}

/// Adds what runs commands, and what makes their networks.
fn commands(
    tools: &mut BuildTools,
    arguments: &RunArguments,
    settings: &Settings,
    scratch: &Path,
) -> Result<()> {
    tools.executor = Some(executor::executor(arguments, scratch)?);
    let networks = arguments.network()?.networks(&tools.store, settings, scratch)?;
    tools.networks = networks.map(|networks| Arc::new(networks) as _);
    Ok(())
}

/// Refuses what cannot become what it is to become, before anything is built; gives what is to be told of
/// the image beside it.
fn refuse(
    request: &BuildRequest,
    to: &Destinations,
    output: &OutputArguments,
) -> Result<Option<Provenance>> {
    results::check(request, to)?;
    results::check_files(to, output)?;
    cache::check_inline(request)?;
    let provenance = Provenance::of(output)?;
    if provenance.is_some() {
        results::check_provenance(request, to, output)?;
    }
    Ok(provenance)
}

/// The terminal that the program was started on.
struct OwnTerminal;

impl ShellTerminal for OwnTerminal {
    fn size(&self) -> TerminalSize {
        let (rows, columns) = terminal::size().unwrap_or((24, 80));
        TerminalSize { rows, columns }
    }

    fn relay(&self, end: &OwnedFd) -> io::Result<()> {
        terminal::relay(end, true, Vec::new()).map(drop).map_err(io::Error::other)
    }
}

/// The status that the program ends with for an error.
fn status(error: &anyhow::Error) -> u8 {
    let failed = error.downcast_ref::<CommandFailed>();
    failed.map_or(Exit::EngineFailure.code(), |failed| failed.status)
}

/// Builds, and puts the steps to the places of `--cache-to`: those of a build that fails, too.
async fn carry_out_and_push(
    request: &BuildRequest,
    mut tools: BuildTools,
    pushing: &Pushing<'_>,
    show: &Show,
) -> Result<BuildReport> {
    let done = Arc::new(Mutex::default());
    let told = Arc::clone(&done);
    tools.on_failure = Some(Arc::new(move |steps| *lock(&told) = steps));
    let built = carry_out(request, &tools, show).await;
    let steps = match &built {
        Ok(built) => built.cached.clone(),
        Err(_) => std::mem::take(&mut *lock(&done)),
    };
    let pushed = match built.is_ok() || !steps.is_empty() {
        true => pushing.push(&steps, show).await,
        false => Ok(()),
    };
    let built = built?;
    pushed.map(|()| built)
}

/// Builds; where it fails, the line that it is about is shown.
async fn carry_out(request: &BuildRequest, tools: &BuildTools, show: &Show) -> Result<BuildReport> {
    let error = match cask_build::build(request, tools).await {
        Ok(report) => return Ok(report),
        Err(error) => error,
    };
    let location = error.location().cloned();
    let error = match &location {
        Some(location) => at_step(error, location.instruction.clone()),
        None => error.into(),
    };
    show.json(&json!({
        "event": "failed",
        "error": format!("{error:#}"),
        "hint": error.chain().find_map(hint),
        "file": location.as_ref().map(|location| &location.file),
        "line": location.as_ref().map(|location| location.line),
        "column": location.as_ref().map(|location| location.column),
        "status": status(&error),
    }));
    if let Some(location) = location.filter(|_| !show.is_json())
        && let Some(file) = file(&request.files, &location.file)
    {
        let excerpt = render_excerpt(&file.name, file.tree.source(), location.span);
        show.finish();
        report::say(excerpt.trim_end());
    }
    Err(error)
}

/// An error of an instruction, in buildah's words.
fn at_step(error: cask_build::Error, instruction: String) -> anyhow::Error {
    match error.kind() {
        ErrorKind::Command(status) => {
            let source = std::error::Error::source(&error).is_some().then_some(error);
            CommandFailed { instruction, status, source }.into()
        }
        _ => anyhow::Error::from(error).context(format!("building at STEP \"{instruction}\"")),
    }
}

fn file<'a>(files: &'a [BuildFile], name: &str) -> Option<&'a BuildFile> {
    files.iter().find(|file| file.name == name)
}

/// What comes after the build: names of lists, outputs, files that say what came of it.
async fn finish(results: &Results<'_>, arguments: &Arguments) -> Result<()> {
    let id = results.finish(&arguments.output).await?;
    results.show.note(&summary::table(results.built));
    results.show.finish();
    results.print(&id, &arguments.output)
}

/// Where what is needed for the time of a build lies.
fn temporary(settings: &Settings) -> Result<PathBuf> {
    let variable = || std::env::var_os("TMPDIR").filter(|path| !path.is_empty()).map(PathBuf::from);
    let directory = settings.temporary_directory.clone().or_else(variable);
    let directory = directory.unwrap_or_else(|| PathBuf::from("/var/tmp"));
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("making {}", directory.display()))?;
    Ok(directory)
}

/// Says what was found wrong with the store on the way.
fn warn(store: &Store) {
    store.take_warnings().iter().for_each(|warning| report::note(&warning.to_string()));
}
