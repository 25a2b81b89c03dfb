//! Building a stage, instruction by instruction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cask_containerfile::instruction::Instruction;
use cask_containerfile::{Behavior, Dialect, Resolved, expand};
use cask_image::PlatformWanted;
use cask_storage::{Id, StagedLayer};

use super::engine::{Engine, StageId, lock};
use super::event::{BuildEvent, CacheOutcome, Step, StepOutcome};
use super::networks::StageNetwork;
use super::plan::{PlatformPlan, StagePlan, StepPlan, platform_text};
use super::remote::{InlineStep, now_seconds};
use super::request::{InheritLabels, LayerMode, SavedStages};
use super::state::{Pending, StageState};
use crate::Context;
use crate::cache::{Found, LayerFact, Miss, Record};
use crate::key::KeyParts;
use crate::{Error, ErrorKind, Result, history};

/// A stage that is being built.
pub(crate) struct StageRun<'e> {
    pub(crate) engine: &'e Engine,
    pub(crate) id: StageId,
    pub(crate) state: StageState,
    /// The instruction that is being done.
    pub(crate) step: Arc<Step>,
    pub(crate) plan: StepPlan,
    /// The network of its commands, where they have one of their own.
    pub(crate) network: Option<StageNetwork>,
}

/// What came of a step that may have made a layer.
#[derive(Debug)]
pub(crate) struct Layered {
    pub(crate) cache: CacheOutcome,
    pub(crate) layer_bytes: Option<u64>,
    pub(crate) cpu: Duration,
    pub(crate) saved: Duration,
}

/// What the layer of a step rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// The stage so far: upon anything else the layer may be another one.
    Stage,
    /// Nothing: the layer is the same upon every stage.
    Nothing,
}

/// What doing a step gave.
pub(crate) struct Made {
    /// The files that it changed; none where there is nothing to change.
    pub(crate) staged: Option<StagedLayer>,
    /// The date of what was made; the image is not older.
    pub(crate) date: i64,
    /// Processor time of the command.
    pub(crate) cpu: Duration,
}

impl Layered {
    /// A step that changes the config alone.
    pub(crate) fn nothing() -> Self {
        Self {
            cache: CacheOutcome::NotNeeded,
            layer_bytes: None,
            cpu: Duration::ZERO,
            saved: Duration::ZERO,
        }
    }
}

impl Engine {
    fn stage_plan(&self, id: StageId) -> &StagePlan {
        &self.plan.stages[id.1]
    }

    pub(crate) fn platform(&self, id: StageId) -> &PlatformPlan {
        &self.plan.platforms[id.0]
    }

    /// Builds a stage whose dependencies are done. Blocks.
    pub(crate) fn run_stage(&self, id: StageId) -> Result<()> {
        self.check_cancelled()?;
        let stage = self.stage_plan(id);
        let (mut run, triggers) = self.begin_stage(id)?;
        let mut steps: Vec<StepPlan> = triggers;
        steps.extend(stage.steps.iter().cloned());
        let count = steps.len() + 1;
        let outcome = run.all(&steps, count);
        if let Err(error) = outcome {
            lock(&self.partial).push(run.state);
            return Err(error);
        }
        // A stage is begun once.
        let _ = self.done[&id].set(run.state);
        Ok(())
    }

    fn describe(&self, id: StageId, plan: &StepPlan, number: usize, count: usize) -> Arc<Step> {
        let platform = &self.platform(id).bases[id.1].platform;
        Arc::new(Step {
            platform: platform_text(platform),
            platform_index: id.0,
            stage: id.1,
            // Those behind the target are none of this build, as with buildah.
            stages: self.platform(id).target + 1,
            stage_name: self.platform(id).graph.stages[id.1].label(id.1),
            number,
            count,
            text: plan.shown(),
            file: plan.file.to_string(),
            line: plan.line(),
        })
    }

    /// Does FROM, and gives the triggers that the base has.
    fn begin_stage(&self, id: StageId) -> Result<(StageRun<'_>, Vec<StepPlan>)> {
        let stage = self.stage_plan(id);
        let mut step = self.describe(id, &stage.head, 1, stage.steps.len() + 1);
        // As with buildah, FROM is told with the image that it came to mean.
        let (written, named) =
            (&*stage.from.image.text, &self.platform(id).graph.stages[id.1].base);
        let meant = self.tools.sources.image_of(named).unwrap_or_else(|_| named.clone());
        if written != meant {
            let step = Arc::make_mut(&mut step);
            step.text = step.text.replacen(written, &meant, 1);
        }
        self.tell(BuildEvent::StepBegan(Arc::clone(&step)));
        let begun = Instant::now();
        let locate = |error| stage.head.locate(error);
        let mut state = self.base_state(id, &step).map_err(locate)?;
        if let Some(date) = self.pinned_date() {
            state.date = date;
        }
        let triggers = std::mem::take(&mut state.config.config.on_build);
        let triggers = stage.head.triggers(&triggers, self.request.dialect)?;
        let (step_of_run, plan) = (Arc::clone(&step), stage.head.clone());
        let mut run = StageRun { engine: self, id, state, step: step_of_run, plan, network: None };
        let layered = match self.files_of_base(id) {
            Some(context) => run.base_files(context).map_err(locate)?,
            None => Layered::nothing(),
        };
        run.first_edits().map_err(locate)?;
        self.end(&step, layered.outcome(begun.elapsed()));
        Ok((run, triggers))
    }

    /// The date that the caller gives the image.
    pub(crate) fn pinned_date(&self) -> Option<i64> {
        let dates = &self.request.image.dates;
        dates.timestamp.or(dates.source_date_epoch)
    }

    fn base_state(&self, id: StageId, step: &Arc<Step>) -> Result<StageState> {
        let (base, dialect) = (&self.platform(id).bases[id.1], self.request.dialect);
        match &base.on {
            Resolved::Scratch => Ok(StageState::scratch(&base.platform, dialect)),
            Resolved::Stage(index) => {
                let found = self.stage((id.0, *index)).ok_or_else(|| unbuilt(*index))?;
                match self.request.image.layers {
                    // As with peers, a stage is a layer upon those of the stage that it begins with.
                    LayerMode::SquashNew => {
                        Ok(StageState::of_stage(&self.squash(found, LayerMode::SquashNew)?))
                    }
                    _ => Ok(StageState::of_stage(found)),
                }
            }
            Resolved::Image(_) if self.files_of_base(id).is_some() => {
                Ok(StageState::scratch(&base.platform, dialect))
            }
            Resolved::Image(name) => {
                let reference = self.tools.sources.image_of(name)?;
                let image = self.base(&reference, &base.platform)?;
                let state = StageState::of_image(&self.tools.store, &image, dialect)?;
                self.check_platform(&state, &base.platform, name, step);
                Ok(state)
            }
            _ => Err(Error::new(ErrorKind::Invalid, "FROM", "it begins with something unknown")),
        }
    }

    /// The files that a stage begins with, where FROM names a context that has some.
    fn files_of_base(&self, id: StageId) -> Option<Arc<Context>> {
        let Resolved::Image(name) = &self.platform(id).bases[id.1].on else { return None };
        self.tools.sources.files_of(name).cloned()
    }

    fn check_platform(
        &self,
        state: &StageState,
        wanted: &PlatformWanted,
        name: &str,
        step: &Arc<Step>,
    ) {
        let found = state.config.platform();
        if !wanted.accepts(&found) {
            let has = format!("{}/{}", found.os, found.architecture);
            // The words are buildah's.
            let message = format!(
                "{name}: image platform ({has}) does not match the expected platform ({})",
                platform_text(wanted)
            );
            self.warn(Some(step), message);
        }
    }

    /// Whether the stage is what the caller wants to have.
    fn is_target(&self, id: StageId) -> bool {
        self.platform(id).target == id.1
    }
}

/// A stage that something needs and nobody said so: a base image's trigger may.
pub(crate) fn unbuilt(index: usize) -> Error {
    let detail = "it is needed, and was not built";
    Error::new(ErrorKind::Missing, format!("stage {index}"), detail)
}

impl Layered {
    pub(crate) fn outcome(self, wall: Duration) -> StepOutcome {
        let Self { cache, layer_bytes, cpu, saved } = self;
        StepOutcome { cache, wall, cpu, layer_bytes, saved }
    }
}

impl StageRun<'_> {
    pub(crate) fn dialect(&self) -> Dialect {
        self.engine.request.dialect
    }

    fn all(&mut self, steps: &[StepPlan], count: usize) -> Result<()> {
        for (index, plan) in steps.iter().enumerate() {
            self.engine.check_cancelled()?;
            self.plan = plan.clone();
            self.step = self.engine.describe(self.id, plan, index + 2, count);
            self.engine.tell(BuildEvent::StepBegan(Arc::clone(&self.step)));
            let begun = Instant::now();
            let layered = self.instruction().map_err(|error| plan.locate(error))?;
            self.engine.end(&self.step, layered.outcome(begun.elapsed()));
        }
        self.last_edits();
        Ok(())
    }

    fn instruction(&mut self) -> Result<Layered> {
        let statement = Arc::clone(&self.plan.statement);
        match statement.instruction() {
            Some(Instruction::Run(run)) => self.run(run),
            Some(Instruction::Copy(copy)) => self.copy(copy),
            Some(Instruction::Add(add)) => self.add(add),
            Some(Instruction::Workdir(workdir)) => self.workdir(workdir),
            Some(other) => self.metadata(other).map(|()| Layered::nothing()),
            None => Err(Error::new(ErrorKind::Invalid, self.plan.text(), "it has an error")),
        }
    }

    /// Replaces the variables of a word of the instruction.
    pub(crate) fn expand(&self, word: &str) -> Result<String> {
        let options = self.plan.expansion(self.dialect());
        expand(word, &self.state.scope, &options)
            .map(|expansion| expansion.text)
            .map_err(|error| Error::new(ErrorKind::Invalid, "", error.to_string()))
    }

    /// Notes an instruction in the history, in the form of the dialect; `text` is BuildKit's.
    pub(crate) fn note(&mut self, text: &str, has_layer: bool) {
        let created_by = match self.dialect().does(Behavior::HistoryHasMarker) {
            true => history::buildkit(text, has_layer),
            false => history::buildah(&self.plan.text()),
        };
        self.note_as(created_by, has_layer);
    }

    /// Notes an instruction with the text that its entry has.
    pub(crate) fn note_as(&mut self, created_by: String, has_layer: bool) {
        let is_buildkit = self.dialect().does(Behavior::HistoryHasMarker);
        let is_first = self.state.config.history.len() == self.state.base_history;
        let comment = match (is_buildkit, is_first) {
            (true, _) => history::BUILDKIT_COMMENT.to_owned(),
            (false, true) => {
                let base = self.state.base.as_ref().map(|base| format!("FROM {}", base.name));
                base.unwrap_or_default()
            }
            (false, false) => String::new(),
        };
        self.state.push_history(created_by, comment, !has_layer);
    }

    /// `--env`, and what becomes of the labels of the base.
    fn first_edits(&mut self) -> Result<()> {
        self.stage_labels()?;
        let edits = self.engine.request.image.edits.clone();
        if !self.engine.is_target(self.id) {
            // As with buildah, commands of every stage see them.
            for (name, value) in &edits.environment {
                self.set_variable(name, value);
            }
            return Ok(());
        }
        let state = &mut self.state;
        if edits.inherit_labels == InheritLabels::Drop {
            let inherited = std::mem::take(&mut state.inherited_labels);
            inherited.iter().for_each(|label| drop(state.config.config.labels.remove(label)));
        }
        for label in &edits.remove_labels {
            state.config.config.labels.remove(label);
        }
        for (name, value) in &edits.environment {
            self.set_variable(name, value);
        }
        if !edits.environment.is_empty() {
            self.note_pairs("ENV", &edits.environment);
        }
        Ok(())
    }

    /// `--stage-labels`: which stage it is, and what it begins with.
    ///
    /// Source: buildah 1.44, `imagebuildah/executor.go`, `buildStageLabelLine`.
    fn stage_labels(&mut self) -> Result<()> {
        let stage = self.engine.stage_plan(self.id);
        if self.engine.request.image.stages != SavedStages::Labelled || stage.steps.is_empty() {
            return Ok(());
        }
        let name = stage.from.name.as_ref().map_or(stage.label.as_str(), |name| name.as_str());
        let base = match &self.engine.platform(self.id).bases[self.id.1].on {
            Resolved::Stage(index) => {
                self.engine.save_stage((self.id.0, *index))?.id.as_str().to_owned()
            }
            Resolved::Image(name) => self.engine.tools.sources.image_of(name)?,
            _ => "scratch".to_owned(),
        };
        let labels = [("name", name.to_owned()), ("base", base)]
            .map(|(what, value)| (format!("io.buildah.stage.{what}"), value));
        self.state.config.config.labels.extend(labels.clone());
        self.note_pairs("LABEL", &labels);
        Ok(())
    }

    /// `--label`, `--unsetenv` and what comes last.
    fn last_edits(&mut self) {
        let edits = self.engine.request.image.edits.clone();
        if !self.engine.is_target(self.id) {
            for (name, value) in edits.layer_labels {
                self.state.config.config.labels.insert(name, value);
            }
            return;
        }
        let mut labels = edits.labels;
        labels.extend(edits.identity_label);
        for (name, value) in &labels {
            self.state.config.config.labels.insert(name.clone(), value.clone());
        }
        if !labels.is_empty() {
            self.note_pairs("LABEL", &labels);
        }
        for name in &edits.remove_environment {
            crate::config::unset_environment(&mut self.state.config.config, name);
        }
    }

    fn note_pairs(&mut self, keyword: &str, pairs: &[(String, String)]) {
        let pairs: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let text = format!("{keyword} {}", pairs.join(" "));
        let created_by = match self.dialect().does(Behavior::HistoryHasMarker) {
            true => history::buildkit(&text, false),
            false => history::buildah(&text),
        };
        self.note_as(created_by, false);
    }

    /// The parts that every key of this stage begins with.
    pub(crate) fn key_parts(&self, kind: &str) -> KeyParts {
        let mut parts = KeyParts::new(kind);
        parts.add("parent", self.state.files_key());
        parts.add("date", self.state.date.to_string());
        for path in self.state.pending.directories() {
            parts.add("directory", path);
        }
        if self.state.pending.working.is_some() {
            parts.add("user", &self.state.config.config.user);
        }
        self.add_dates(&mut parts);
        parts
    }

    /// What decides the times of files.
    pub(crate) fn add_dates(&self, parts: &mut KeyParts) {
        let dates = &self.engine.request.image.dates;
        if let Some(timestamp) = dates.timestamp {
            parts.add("--timestamp", timestamp.to_string());
        }
        if dates.rewrite {
            parts.add("--rewrite-timestamp", "");
        }
    }

    /// Takes the result of a step from an earlier build, or makes it with `make`.
    pub(crate) fn layered(
        &mut self,
        parts: &KeyParts,
        ground: Ground,
        make: impl FnOnce(&mut Self) -> Result<Made>,
    ) -> Result<Layered> {
        let engine = self.engine;
        let key = parts.key();
        let _flight = engine.flights.enter(&key);
        let miss = match self.look_up(parts, ground)? {
            Ok(record) => {
                let layered = self.take(&record);
                self.has_layer_upon(ground);
                return Ok(layered);
            }
            Err(miss) => miss,
        };
        let begun = Instant::now();
        engine.hold_bases();
        let made = make(self)?;
        let date = self.engine.pinned_date().unwrap_or(made.date);
        let layer = match made.staged {
            Some(staged) => Some(self.keep(staged)?),
            None => None,
        };
        let mut record = Record::new(parts, self.state.top(), layer.as_ref());
        record.date = date;
        record.text.clone_from(&self.step.text);
        record.stage.clone_from(&self.step.stage_name);
        record.number = self.step.number;
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        record.wall_milliseconds = milliseconds(begun.elapsed());
        record.cpu_milliseconds = milliseconds(made.cpu);
        if let Err(error) = engine.cache.put(&record) {
            engine.warn(Some(&self.step), format!("the step cannot be kept for later: {error}"));
        }
        lock(&engine.fresh).insert(key);
        let layer_bytes = layer.as_ref().map(|layer| layer.size_bytes);
        self.put(&record);
        self.has_layer_upon(ground);
        let (cache, cpu) = (CacheOutcome::Miss(miss), made.cpu);
        Ok(Layered { cache, layer_bytes, cpu, saved: Duration::ZERO })
    }

    /// What was pending is in the layer, unless that knows nothing of the stage.
    fn has_layer_upon(&mut self, ground: Ground) {
        if ground == Ground::Stage {
            self.state.pending = Pending::default();
        }
    }

    /// Puts a layer that is ready into the store.
    fn keep(&self, staged: StagedLayer) -> Result<LayerFact> {
        let layer = LayerFact {
            diff_id: staged.diff_digest().clone(),
            size_bytes: staged.diff_size_bytes(),
        };
        let store = &self.engine.tools.store;
        let kept = store.commit_layer(self.state.top(), staged);
        kept.map_err(|error| Error::storage(error, "the new layer"))?;
        self.engine.settling.begin(store);
        Ok(layer)
    }

    /// The record of an earlier build that can be used, with its layer in the store, or why there is
    /// none.
    fn look_up(&self, parts: &KeyParts, ground: Ground) -> Result<Result<Box<Record>, Miss>> {
        let record = match self.find_record(parts) {
            Ok(record) => record,
            Err(miss) => return Ok(self.look_elsewhere(parts, ground).ok_or(miss)),
        };
        let is_there = match ground {
            Ground::Stage => record.layer_id().is_none_or(|id| self.has_layer(&id)),
            Ground::Nothing => self.put_upon_stage(&record)?,
        };
        if is_there {
            return Ok(Ok(record));
        }
        let miss = Miss::because("its layer is no longer in the store");
        Ok(self.look_elsewhere(parts, ground).ok_or(miss))
    }

    /// The record of a step that was done elsewhere, which is kept here from now on.
    fn look_elsewhere(&self, parts: &KeyParts, ground: Ground) -> Option<Box<Record>> {
        if self.cache_is_off().is_some() {
            return None;
        }
        let record = self.fetch_record(parts, ground)?;
        if self.is_too_old(&record) || matches!(self.put_upon_stage(&record), Err(_) | Ok(false)) {
            return None;
        }
        if let Err(error) = self.engine.cache.put(&record) {
            let message = format!("the step cannot be kept for later: {error}");
            self.engine.warn(Some(&self.step), message);
        }
        Some(Box::new(record))
    }

    fn is_too_old(&self, record: &Record) -> bool {
        let most = self.engine.request.cache.most_age;
        most.is_some_and(|most| {
            now_seconds().saturating_sub(record.made_seconds) > most.as_secs()
                && !lock(&self.engine.fresh).contains(&record.key)
        })
    }

    fn has_layer(&self, id: &Id) -> bool {
        matches!(self.engine.tools.store.layer(id), Ok(Some(_)))
    }

    /// Puts the layer of a record upon the stage, where it lay upon something else; tells whether it
    /// is in the store at all.
    fn put_upon_stage(&self, record: &Record) -> Result<bool> {
        let Some(layer) = record.layer() else { return Ok(true) };
        let top = self.state.top();
        if self.has_layer(&Id::of_layer(top, &layer.diff_id)) {
            return Ok(true);
        }
        let store = &self.engine.tools.store;
        let storage = |error| Error::storage(error, "the layer of an earlier build");
        let others = store.layers_by_diff_digest(&layer.diff_id).map_err(storage)?;
        let Some(other) = others.first() else { return Ok(false) };
        let staged = store.stage_linked(&other.id).map_err(storage)?;
        store.commit_layer(top, staged).map_err(storage)?;
        Ok(true)
    }

    /// The record of an earlier build that the cache options allow, or why there is none.
    fn find_record(&self, parts: &KeyParts) -> Result<Box<Record>, Miss> {
        let engine = self.engine;
        let key = parts.key();
        if !lock(&engine.fresh).contains(&key)
            && let Some(why) = self.cache_is_off()
        {
            return Err(Miss::because(why));
        }
        let step = &self.step;
        match engine.cache.find(&key) {
            Found::Record(record) if self.is_too_old(&record) => {
                Err(Miss::because("its result is older than it may be"))
            }
            Found::Record(record) => Ok(record),
            Found::Damaged => {
                let message = format!("the record of an earlier build is damaged: {key}");
                engine.warn(Some(step), message);
                Err(Miss::because("its record is damaged"))
            }
            Found::Nothing => {
                Err(engine.cache.explain(parts, &step.text, &step.stage_name, step.number))
            }
        }
    }

    /// Makes the image as old as what it was made of last, if that is newer.
    fn be_dated(&mut self, date: i64) {
        self.state.date = match self.engine.pinned_date() {
            Some(pinned) => pinned,
            None => self.state.date.max(date),
        };
    }

    fn cache_is_off(&self) -> Option<String> {
        let cache = &self.engine.request.cache;
        if cache.none {
            return Some("no results of earlier builds are to be used".to_owned());
        }
        let step = &self.step;
        let is_it = |name: &&String| {
            name.eq_ignore_ascii_case(&step.stage_name) || **name == step.stage.to_string()
        };
        let name = cache.none_for.iter().find(is_it)?;
        Some(format!("no results of earlier builds are to be used for stage {name}"))
    }

    /// Puts the result of a step, which is in the store, upon the stage.
    fn put(&mut self, record: &Record) {
        self.be_dated(record.date);
        if let Some(layer) = &record.layer() {
            self.state.push_layer(layer);
            let key = record.key.to_string();
            let (layers, date) = (self.state.layers.len(), record.date);
            self.state.made_by.push(InlineStep { key, layers, date });
            self.note_export(record);
        }
    }

    fn take(&mut self, record: &Record) -> Layered {
        self.put(record);
        Layered {
            cache: CacheOutcome::Hit,
            layer_bytes: record.layer().map(|layer| layer.size_bytes),
            cpu: Duration::ZERO,
            saved: Duration::from_millis(record.wall_milliseconds),
        }
    }
}
