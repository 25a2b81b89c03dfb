//! What all stages of a build share.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use cask_image::PlatformWanted;
use cask_runtime::Cancel;
use cask_storage::Id;
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::event::{BuildEvent, Step, StepOutcome};
use super::hold::Holds;
use super::plan::{Plan, platform_text};
use super::remote::Export;
use super::report::{BuiltImage, Material, StepReport, UsedBase};
use super::request::BuildRequest;
use super::scratch::Scratch;
use super::settling::Settling;
use super::state::StageState;
use super::tools::{BaseImage, BuildTools};
use crate::cache::Cache;
use crate::copy::Prepared;
use crate::key::Key;
use crate::{Error, ErrorKind, Result};

/// A stage for one of the platforms: their numbers.
pub(crate) type StageId = (usize, usize);

/// What all stages of a build share.
pub(crate) struct Engine {
    pub(crate) request: BuildRequest,
    pub(crate) tools: BuildTools,
    pub(crate) plan: Plan,
    pub(crate) cache: Cache,
    pub(crate) runtime: Handle,
    /// The stages that are done.
    pub(crate) done: HashMap<StageId, OnceLock<StageState>>,
    /// How far stages came that failed.
    pub(crate) partial: Mutex<Vec<StageState>>,
    pub(crate) steps: Mutex<Vec<StepReport>>,
    pub(crate) warnings: Mutex<Vec<String>>,
    /// Exceptions of ignore files that were told of: the file and the line.
    told_exceptions: Mutex<BTreeSet<(String, usize)>>,
    /// What ADD got from elsewhere.
    pub(crate) materials: Mutex<BTreeSet<Material>>,
    /// The steps that are being done at the moment: another stage that needs the same one waits.
    pub(crate) flights: Flights<Key>,
    /// The steps that this build has done, which it may use whatever the cache options say.
    pub(crate) fresh: Mutex<HashSet<Key>>,
    /// What ends the build.
    pub(crate) cancel: Cancel,
    bases: Mutex<BTreeMap<(String, String), BaseImage>>,
    base_flights: Flights<(String, String)>,
    holds: Holds,
    /// The steps that shall go elsewhere.
    pub(crate) exports: Mutex<Vec<Export>>,
    /// The images that steps came as from elsewhere.
    pub(crate) fetched: Mutex<Vec<Id>>,
    /// Takes the layers that wait into the store.
    pub(crate) settling: Settling,
    /// The images of stages before the targets.
    pub(crate) saved: Mutex<HashMap<StageId, BuiltImage>>,
    pub(crate) saved_flights: Flights<StageId>,
    /// Only one step has the terminal.
    pub(crate) shell_turn: Mutex<()>,
    /// Only one thread tells at a time.
    telling: Arc<Mutex<()>>,
    scratch: OnceLock<Scratch>,
    scratch_turn: Mutex<()>,
}

impl Engine {
    pub(crate) fn new(
        request: &BuildRequest,
        tools: &BuildTools,
        plan: Plan,
        runtime: Handle,
        cancel: Cancel,
        bases: BTreeMap<(String, String), BaseImage>,
    ) -> Self {
        Self {
            request: request.clone(),
            cache: Cache::new(&tools.state_directory),
            tools: BuildTools { store: tools.store.with_pending(), ..tools.clone() },
            settling: Settling::default(),
            plan,
            runtime,
            done: HashMap::new(),
            partial: Mutex::default(),
            steps: Mutex::default(),
            warnings: Mutex::default(),
            told_exceptions: Mutex::default(),
            materials: Mutex::default(),
            flights: Flights::default(),
            fresh: Mutex::default(),
            cancel,
            bases: Mutex::new(bases),
            base_flights: Flights::default(),
            holds: Holds::default(),
            exports: Mutex::default(),
            fetched: Mutex::default(),
            saved: Mutex::default(),
            saved_flights: Flights::default(),
            shell_turn: Mutex::default(),
            telling: Arc::default(),
            scratch: OnceLock::new(),
            scratch_turn: Mutex::default(),
        }
    }

    /// Makes room for the results of stages.
    pub(crate) fn with_stages(mut self, stages: impl IntoIterator<Item = StageId>) -> Self {
        self.done = stages.into_iter().map(|id| (id, OnceLock::new())).collect();
        self
    }

    /// The directory for what this build needs for a while.
    pub(crate) fn scratch(&self) -> Result<&Path> {
        let _turn = lock(&self.scratch_turn);
        if let Some(scratch) = self.scratch.get() {
            return Ok(scratch.path());
        }
        let own = self.tools.state_directory.join("tmp");
        let root = self.tools.sources.scratch.as_deref().unwrap_or(&own);
        let scratch = Scratch::new(root, &self.tools.store)?;
        Ok(self.scratch.get_or_init(|| scratch).path())
    }

    /// A directory of its own in there.
    pub(crate) fn scratch_directory(&self) -> Result<TempDir> {
        let root = self.scratch()?;
        tempfile::tempdir_in(root).map_err(|error| Error::io(error, "cannot be written to", root))
    }

    /// What tells events from any thread.
    pub(crate) fn teller(&self) -> impl Fn(BuildEvent) + Send + 'static {
        let (events, telling) = (Arc::clone(&self.tools.events), Arc::clone(&self.telling));
        move |event| {
            let _turn = lock(&telling);
            events(event);
        }
    }

    /// Tells an event.
    pub(crate) fn tell(&self, event: BuildEvent) {
        let _turn = lock(&self.telling);
        (self.tools.events)(event);
    }

    /// Tells a warning, once.
    pub(crate) fn warn(&self, step: Option<&Arc<Step>>, message: impl Into<String>) {
        let message = message.into();
        {
            let mut warnings = lock(&self.warnings);
            if warnings.contains(&message) {
                return;
            }
            warnings.push(message.clone());
        }
        self.tell(BuildEvent::Warning { step: step.cloned(), message });
    }

    /// Tells what a user should hear of what is copied.
    pub(crate) fn warn_of(&self, step: Option<&Arc<Step>>, prepared: &Prepared) {
        for warning in prepared.warnings() {
            self.warn(step, warning.clone());
        }
        for lost in prepared.lost_exceptions() {
            if lock(&self.told_exceptions).insert((lost.file.clone(), lost.line)) {
                self.warn(step, lost.to_string());
            }
        }
    }

    /// Tells that a step ended, and remembers it for the report.
    pub(crate) fn end(&self, step: &Arc<Step>, outcome: StepOutcome) {
        let report = StepReport { step: Arc::clone(step), outcome: outcome.clone() };
        lock(&self.steps).push(report);
        self.tell(BuildEvent::StepEnded { step: Arc::clone(step), outcome });
    }

    /// Fails where the build is to end.
    pub(crate) fn check_cancelled(&self) -> Result<()> {
        match self.cancel.is_cancelled() {
            true => Err(Error::new(ErrorKind::Cancelled, "the build", "it was stopped")),
            false => Ok(()),
        }
    }

    /// The result of a stage that was needed before.
    pub(crate) fn stage(&self, id: StageId) -> Option<&StageState> {
        self.done.get(&id)?.get()
    }

    /// The base images that were asked for.
    pub(crate) fn used_bases(&self) -> Vec<UsedBase> {
        let bases = lock(&self.bases);
        let each = bases.iter().map(|((_, platform), image)| UsedBase {
            platform: platform.clone(),
            image: image.clone(),
        });
        each.collect()
    }

    /// Keeps anybody from deleting the base images until this build ends. Not needed for what is
    /// taken from the cache: layers that others are upon stay.
    pub(crate) fn hold_bases(&self) {
        let bases: Vec<BaseImage> = lock(&self.bases).values().cloned().collect();
        if bases.is_empty() {
            return;
        }
        let Ok(scratch) = self.scratch() else { return };
        self.holds.hold(&self.tools.store, scratch, &bases);
    }

    /// Finds an image or pulls it, once for every name and platform. Waits on a thread that may.
    pub(crate) fn base(&self, reference: &str, platform: &PlatformWanted) -> Result<BaseImage> {
        let key = (reference.to_owned(), platform_text(platform));
        let _flight = self.base_flights.enter(&key);
        if let Some(found) = lock(&self.bases).get(&key) {
            return Ok(found.clone());
        }
        let pull = self.request.pull;
        let found = self.runtime.block_on(self.tools.bases.base(reference, platform, pull))?;
        lock(&self.bases).insert(key, found.clone());
        Ok(found)
    }
}

#[cfg(test)]
impl Engine {
    /// One that builds nothing, for what needs one.
    pub(crate) fn idle(tools: &BuildTools, runtime: Handle) -> Self {
        use super::request::BuildFile;
        let file =
            BuildFile::new("Containerfile", cask_containerfile::parse("FROM scratch\n").tree);
        let request = BuildRequest::new(file, PlatformWanted::of_this_build());
        let plan = Plan::new(&request, &tools.sources.names()).unwrap();
        Self::new(&request, tools, plan, runtime, tools.cancel.clone(), BTreeMap::new())
    }
}

/// Locks what stays right when a thread that has it panics.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is under way: whoever comes second waits.
#[derive(Debug)]
pub(crate) struct Flights<K> {
    under_way: Mutex<HashSet<K>>,
    landed: Condvar,
}

impl<K> Default for Flights<K> {
    fn default() -> Self {
        Self { under_way: Mutex::new(HashSet::new()), landed: Condvar::new() }
    }
}

impl<K: Clone + Eq + Hash> Flights<K> {
    /// Waits until nobody else does this, and keeps others waiting.
    pub(crate) fn enter(&self, key: &K) -> Flight<'_, K> {
        let mut under_way = lock(&self.under_way);
        while !under_way.insert(key.clone()) {
            under_way = self.landed.wait(under_way).unwrap_or_else(PoisonError::into_inner);
        }
        Flight { flights: self, key: key.clone() }
    }
}

/// Ends when it is dropped.
pub(crate) struct Flight<'a, K: Clone + Eq + Hash> {
    flights: &'a Flights<K>,
    key: K,
}

impl<K: Clone + Eq + Hash> Drop for Flight<'_, K> {
    fn drop(&mut self) {
        lock(&self.flights.under_way).remove(&self.key);
        self.flights.landed.notify_all();
    }
}
