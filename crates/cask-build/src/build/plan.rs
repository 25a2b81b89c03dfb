//! What is to be done: stages with their instructions, and what each platform needs of them.

mod by_variables;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cask_containerfile::instruction::{From, Instruction};
use cask_containerfile::{
    Dialect, Escape, ExpandOptions, GlobalScope, Graph, Needed, ParseOptions, PlatformArguments,
    Resolved, Severity, Span, Stage, Stages, Statement, Tree, expand, is_predefined, parse_with,
};
use cask_image::PlatformWanted;

use super::epoch::EPOCH;
use super::request::{BuildRequest, Platforms};
use crate::{Error, ErrorKind, Location, Result};

/// An instruction, and the file that it is in.
#[derive(Clone, Debug)]
pub(crate) struct StepPlan {
    pub(crate) file: Arc<str>,
    pub(crate) tree: Arc<Tree>,
    pub(crate) statement: Arc<Statement>,
    /// Where the file has it: a trigger stands where FROM does.
    pub(crate) at: Span,
    escape: Escape,
}

impl StepPlan {
    /// The instruction on one line.
    pub(crate) fn text(&self) -> String {
        self.statement.text().trim_end().to_owned()
    }

    /// The same as it is told to people: its keywords in upper case, as with buildah.
    pub(crate) fn shown(&self) -> String {
        let text = self.text();
        let word = self.statement.keyword();
        let rest = text.get(word.len()..).unwrap_or_default();
        let mut shown = format!("{}{rest}", word.to_uppercase());
        if let Some(Instruction::From(from)) = self.statement.instruction()
            && let Some(name) = &from.name
            && let Some(before) = shown.strip_suffix(name.as_str())
        {
            let image = before.trim_end();
            let image = image.get(..image.len().saturating_sub(2)).unwrap_or_default();
            shown = format!("{image}AS {}", name.as_str());
        }
        for heredoc in self.statement.heredocs() {
            shown.push_str(&summary(&heredoc.content()));
        }
        shown
    }

    pub(crate) fn location(&self, span: Span) -> Location {
        Location::new(&self.file, &self.tree, span, &self.shown())
    }

    /// Says that an error is about this instruction.
    pub(crate) fn locate(&self, error: Error) -> Error {
        error.at(|| self.location(self.at))
    }

    /// The line of the instruction, from 1.
    pub(crate) fn line(&self) -> usize {
        self.tree.lines().line(self.at.start())
    }

    /// The triggers that a base image has for whoever begins with it; this is their FROM.
    pub(crate) fn triggers(&self, texts: &[String], dialect: Dialect) -> Result<Vec<Self>> {
        let mut steps = Vec::new();
        for text in texts {
            let mut options = ParseOptions::default();
            options.dialect = dialect;
            options.fragment = true;
            let parsed = parse_with(text, &options);
            let wrong = parsed.diagnostics.iter().find(|found| found.severity == Severity::Error);
            if let Some(found) = wrong {
                let detail =
                    format!("the base image has a trigger that makes no sense: {}", found.message);
                return Err(self.locate(Error::new(
                    ErrorKind::Invalid,
                    format!("ONBUILD {text}"),
                    detail,
                )));
            }
            for statement in parsed.tree.statements() {
                match statement.instruction() {
                    Some(
                        Instruction::Onbuild(_) | Instruction::From(_) | Instruction::Maintainer(_),
                    ) => {
                        let word = statement.keyword();
                        let detail = format!("{word} isn't allowed as an ONBUILD trigger");
                        return Err(self.locate(Error::new(ErrorKind::Invalid, "FROM", detail)));
                    }
                    _ => steps.push(Self {
                        statement: Arc::new(statement.clone()),
                        escape: parsed.tree.escape(),
                        ..self.clone()
                    }),
                }
            }
        }
        Ok(steps)
    }

    /// How words of the instruction are expanded.
    pub(crate) fn expansion(&self, dialect: Dialect) -> ExpandOptions {
        let mut options = ExpandOptions::default();
        options.escape = self.escape;
        options.dialect = dialect;
        options
    }
}

/// The first line of a heredoc, as the line of the step tells it.
///
/// Source: buildah, `imagebuildah/stage_executor.go`, `summarizeHeredoc`.
fn summary(text: &str) -> String {
    let mut lines = text.trim().lines();
    let first = lines.next().unwrap_or_default();
    let more = if lines.next().is_some() { "..." } else { "" };
    format!(" ({first}{more})")
}

/// A stage as the file has it.
#[derive(Clone, Debug)]
pub(crate) struct StagePlan {
    pub(crate) label: String,
    pub(crate) head: StepPlan,
    pub(crate) from: From,
    pub(crate) steps: Vec<StepPlan>,
}

/// All stages.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) stages: Vec<StagePlan>,
    pub(crate) platforms: Vec<PlatformPlan>,
    /// Arguments of the caller that no instruction takes.
    pub(crate) unused_arguments: Vec<String>,
}

/// What one platform needs.
#[derive(Clone, Debug)]
pub(crate) struct PlatformPlan {
    pub(crate) global: GlobalScope,
    pub(crate) graph: Graph,
    pub(crate) target: usize,
    /// Stages before the target are built whether it needs them or not.
    builds_all: bool,
    /// By stage: what it begins with, and for which platform.
    pub(crate) bases: Vec<StageBase>,
    /// By stage: those that it names by variables.
    by_variables: BTreeMap<usize, BTreeSet<usize>>,
    /// Stages whose names the caller gave other meanings: nothing takes anything of them.
    replaced: BTreeSet<usize>,
}

/// What a stage begins with.
#[derive(Clone, Debug)]
pub(crate) struct StageBase {
    pub(crate) on: Resolved,
    pub(crate) platform: PlatformWanted,
}

/// A platform as `os/architecture/variant`.
pub(crate) fn platform_text(platform: &PlatformWanted) -> String {
    let mut text = format!("{}/{}", platform.os, platform.architecture);
    if let Some(variant) = platform.variant.as_deref().filter(|variant| !variant.is_empty()) {
        text.push('/');
        text.push_str(variant);
    }
    text
}

impl Plan {
    /// Works out what a request asks for. `contexts` are the names that the caller gave meanings.
    pub(crate) fn new(request: &BuildRequest, contexts: &BTreeSet<String>) -> Result<Self> {
        let all = Stages::collect(request.files.iter().map(|file| &*file.tree));
        let (globals, stages) = collect(request);
        if stages.is_empty() {
            let name = request.files.first().map_or("", |file| file.name.as_str());
            return Err(Error::new(ErrorKind::Invalid, name, "no stage to build")
                .with_hint("begin the file with `FROM image`, or with `FROM scratch`"));
        }
        if request.platforms.targets.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "the build", "no platform is asked for"));
        }
        let make = |wanted: &PlatformWanted| {
            let platform = OnePlatform { request, globals: &globals, stages: &stages, contexts };
            platform.plan(wanted, &all)
        };
        let platforms = request.platforms.targets.iter().map(make).collect::<Result<Vec<_>>>()?;
        let unused_arguments = unused(request);
        Ok(Self { stages, platforms, unused_arguments })
    }
}

/// The instructions of all files: those before the first FROM, and the stages.
fn collect(request: &BuildRequest) -> (Vec<StepPlan>, Vec<StagePlan>) {
    let (mut globals, mut stages): (Vec<StepPlan>, Vec<StagePlan>) = (Vec::new(), Vec::new());
    for file in &request.files {
        let name: Arc<str> = file.name.as_str().into();
        for statement in file.tree.statements() {
            let step = StepPlan {
                file: Arc::clone(&name),
                tree: Arc::clone(&file.tree),
                at: statement.head(),
                escape: file.tree.escape(),
                statement: Arc::new(statement.clone()),
            };
            match (statement.instruction(), stages.last_mut()) {
                (Some(Instruction::From(from)), _) => {
                    let named = from.name.as_ref().map(|name| name.text.to_lowercase());
                    let label = named.unwrap_or_else(|| stages.len().to_string());
                    let from = From::clone(from);
                    stages.push(StagePlan { label, head: step, from, steps: Vec::new() });
                }
                (Some(_), Some(stage)) => stage.steps.push(step),
                (Some(Instruction::Arg(_)), None) => globals.push(step),
                _ => {}
            }
        }
    }
    (globals, stages)
}

/// The arguments of the caller that no ARG takes.
fn unused(request: &BuildRequest) -> Vec<String> {
    let statements = request.files.iter().flat_map(|file| file.tree.statements());
    let taken: BTreeSet<&str> = statements
        .filter_map(|statement| match statement.instruction() {
            Some(Instruction::Arg(arg)) => Some(arg.items.iter().map(|item| item.name.as_str())),
            _ => None,
        })
        .flatten()
        .collect();
    let names = request.arguments.keys();
    names
        .filter(|name| !taken.contains(name.as_str()) && !is_known_argument(name))
        .cloned()
        .collect()
}

/// Whether an argument means something that no ARG says.
fn is_known_argument(name: &str) -> bool {
    is_predefined(name)
        || PlatformArguments::NAMES.contains(&name)
        || name == EPOCH
        || name.starts_with("BUILDKIT_")
}

/// What is said of an ARG that has no value; `None` of one that has it from elsewhere. The words are buildah's.
///
/// Source: buildah, `imagebuildah/build.go`, `warnOnUnsetBuildArgs`.
pub(crate) fn missing_argument(name: &str) -> Option<String> {
    let message = format!(
        "missing {name:?} build argument. Try adding \"--build-arg {name}=<VALUE>\" to the command line"
    );
    (!is_known_argument(name)).then_some(message)
}

struct OnePlatform<'a> {
    request: &'a BuildRequest,
    globals: &'a [StepPlan],
    stages: &'a [StagePlan],
    contexts: &'a BTreeSet<String>,
}

impl OnePlatform<'_> {
    fn plan(&self, wanted: &PlatformWanted, all: &Stages<'_>) -> Result<PlatformPlan> {
        let Platforms { build, .. } = &self.request.platforms;
        let text = platform_text(wanted);
        let target_stage = self.request.target.as_deref().unwrap_or("default");
        let arguments = PlatformArguments::new(&platform_text(build), &text, target_stage);
        let global = self.global(&arguments)?;
        let mut images = Vec::new();
        for (index, stage) in self.stages.iter().enumerate() {
            images.push(self.image(index, stage, &global)?);
        }
        let image = |stage: &Stage<'_>| images[stage.index].clone();
        let name = |stage: &Stage<'_>| self.stage_name(stage.index, &global);
        let graph = Graph::with_names(all, self.request.dialect, image, name);
        let mut bases = Vec::new();
        for (index, stage) in self.stages.iter().enumerate() {
            bases.push(self.base(stage, &graph, index, &global, wanted)?);
        }
        let target = graph.target(self.request.target.as_deref()).map_err(|diagnostic| {
            let mut error = Error::new(ErrorKind::Missing, "", diagnostic.message);
            if let Some(help) = diagnostic.help {
                error = error.with_hint(help);
            }
            error
        })?;
        let is_replaced = |(index, stage): (usize, &Needed)| {
            stage.name.as_ref().filter(|name| self.is_context(name)).map(|_| index)
        };
        let replaced = graph.stages.iter().enumerate().filter_map(is_replaced).collect();
        let by_variables = BTreeMap::new();
        let builds_all = self.request.unused_stages;
        let mut plan =
            PlatformPlan { global, graph, target, builds_all, bases, by_variables, replaced };
        plan.by_variables = by_variables::stages(self.stages, &plan, self.request.dialect);
        self.add_mounted(&mut plan);
        self.refuse_circles(&plan)?;
        Ok(plan)
    }

    /// Adds the stages that the mounts of all commands name.
    fn add_mounted(&self, plan: &mut PlatformPlan) {
        let names = self.request.run.mounts.iter().filter_map(|mount| mount.field(&["from"]));
        let names: Vec<&str> = names.collect();
        for (index, stage) in self.stages.iter().enumerate() {
            let is_run =
                |step: &StepPlan| matches!(step.statement.instruction(), Some(Instruction::Run(_)));
            if !stage.steps.iter().any(is_run) {
                continue;
            }
            let found: Vec<usize> =
                names.iter().filter_map(|name| plan.stage_named(name, index)).collect();
            plan.by_variables.entry(index).or_default().extend(found);
        }
    }

    fn global(&self, arguments: &PlatformArguments) -> Result<GlobalScope> {
        let mut global = GlobalScope::new(arguments, self.request.arguments.clone());
        for step in self.globals {
            let Some(Instruction::Arg(arg)) = step.statement.instruction() else { continue };
            for item in &arg.items {
                let default = item.default.as_ref().map(|word| word.as_str());
                let options = step.expansion(self.request.dialect);
                global.declare(item.name.as_str(), default, &options).map_err(|error| {
                    step.locate(Error::new(ErrorKind::Invalid, "", error.to_string()))
                })?;
            }
        }
        Ok(global)
    }

    /// The base as FROM names it, with variables replaced.
    fn image(&self, index: usize, stage: &StagePlan, global: &GlobalScope) -> Result<String> {
        if let Some(base) = self.request.base.as_ref().filter(|_| index == 0) {
            return Ok(base.clone());
        }
        let word = &stage.from.image;
        let refuse = |detail: String| {
            let error = Error::new(ErrorKind::Invalid, "FROM", detail);
            Err(error.at(|| stage.head.location(word.span)))
        };
        match expand(word.as_str(), global, &stage.head.expansion(self.request.dialect)) {
            Err(error) => refuse(error.to_string()),
            Ok(image) if image.text.is_empty() => {
                refuse(format!("base name ({}) should not be blank", word.text))
            }
            Ok(image) => Ok(image.text),
        }
    }

    /// The name of a stage, with variables replaced as Buildah does; what cannot be stays as it is written.
    fn stage_name(&self, index: usize, global: &GlobalScope) -> Option<String> {
        let StagePlan { head, from, .. } = &self.stages[index];
        let name = from.name.as_ref()?.as_str();
        let expanded = expand(name, global, &head.expansion(self.request.dialect));
        Some(expanded.map_or_else(|_| name.to_owned(), |found| found.text))
    }

    fn base(
        &self,
        stage: &StagePlan,
        graph: &Graph,
        index: usize,
        global: &GlobalScope,
        wanted: &PlatformWanted,
    ) -> Result<StageBase> {
        let needed = &graph.stages[index];
        let on = needed.dependencies.first().map_or(Resolved::Scratch, |first| first.on.clone());
        let on = match on {
            // What the caller named comes first.
            _ if self.is_context(&needed.base) => Resolved::Image(needed.base.clone()),
            on => on,
        };
        let Some(word) = &stage.from.platform else {
            return Ok(StageBase { on, platform: wanted.clone() });
        };
        let options = stage.head.expansion(self.request.dialect);
        let refuse = |detail: String| {
            let error = Error::new(ErrorKind::Invalid, "FROM --platform", detail);
            error.at(|| stage.head.location(word.span))
        };
        let text = expand(word.as_str(), global, &options).map_err(|e| refuse(e.to_string()))?.text;
        if text.is_empty() {
            return Err(refuse(format!("empty platform value from expression {}", word.text)));
        }
        let platform = parse_platform(&text, wanted).map_err(refuse)?;
        Ok(StageBase { on, platform })
    }

    fn is_context(&self, name: &str) -> bool {
        self.contexts.contains(&name.to_lowercase())
    }

    /// Whether what a stage needs there is something that the caller gave a meaning.
    fn means_context(&self, stage: &Needed, span: Span) -> bool {
        stage.dependencies.iter().any(|needed| {
            let is_context = matches!(&needed.on, Resolved::Image(name) if self.is_context(name));
            needed.span == span && is_context
        })
    }

    /// Refuses stages that need themselves or later ones, where the target needs them.
    fn refuse_circles(&self, plan: &PlatformPlan) -> Result<()> {
        let mut needed: BTreeSet<usize> = plan.graph.needed_for(plan.target).into_iter().collect();
        if plan.builds_all {
            needed.extend(0..plan.target);
        }
        for diagnostic in &plan.graph.diagnostics {
            let place = |stage: &StagePlan| {
                let steps = std::iter::once(&stage.head).chain(&stage.steps);
                steps
                    .into_iter()
                    .find(|step| step.statement.span.contains(diagnostic.span.start()))
                    .cloned()
            };
            let found = self
                .stages
                .iter()
                .enumerate()
                .find_map(|(index, stage)| Some((index, place(stage)?)));
            if let Some((index, step)) = found
                && needed.contains(&index)
                && !self.means_context(&plan.graph.stages[index], diagnostic.span)
            {
                let error = Error::new(ErrorKind::Invalid, "", diagnostic.message.clone());
                return Err(error.at(|| step.location(diagnostic.span)));
            }
        }
        Ok(())
    }
}

/// Reads a platform; one of an architecture alone has the wanted operating system.
fn parse_platform(text: &str, wanted: &PlatformWanted) -> Result<PlatformWanted, String> {
    let full = match text.contains('/') {
        true => text.to_owned(),
        false if text.eq_ignore_ascii_case("linux") || text.eq_ignore_ascii_case("windows") => {
            format!("{text}/{}", wanted.architecture)
        }
        false => format!("{}/{text}", wanted.os),
    };
    PlatformWanted::parse(&full).map_err(|error| error.to_string())
}

impl PlatformPlan {
    /// The stages that the target needs, where stages also need those in `more`.
    pub(crate) fn needed(&self, more: &BTreeMap<usize, BTreeSet<usize>>) -> BTreeSet<usize> {
        let mut needed = BTreeSet::from([self.target]);
        if self.builds_all {
            needed.extend(0..self.target);
        }
        // A stage needs earlier ones alone.
        for index in (0..self.graph.stages.len()).rev() {
            if needed.contains(&index) {
                needed.extend(self.dependencies(index, more));
            }
        }
        needed
    }

    /// The stages that a stage needs.
    pub(crate) fn dependencies(
        &self,
        stage: usize,
        more: &BTreeMap<usize, BTreeSet<usize>>,
    ) -> BTreeSet<usize> {
        let written = self.graph.stages[stage].dependencies.iter().skip(1);
        let written = written.filter_map(|dependency| stage_of(&dependency.on));
        let base = stage_of(&self.bases[stage].on);
        let more = more.get(&stage).into_iter().flatten().copied();
        let by_variables = self.by_variables.get(&stage).into_iter().flatten().copied();
        let all = written.chain(base).chain(more).chain(by_variables);
        all.filter(|stage| !self.replaced.contains(stage)).collect()
    }

    /// The name of a stage, where it means what the caller said instead.
    pub(crate) fn replaced(&self, stage: usize) -> Option<&str> {
        self.graph.stages[stage].name.as_deref().filter(|_| self.replaced.contains(&stage))
    }

    /// Adds to the error of an image that stages are called otherwise, where it may have been meant as one.
    pub(crate) fn no_stage_either(&self, error: Error, name: &str) -> Error {
        let names: Vec<&str> =
            self.graph.stages.iter().filter_map(|stage| stage.name.as_deref()).collect();
        if error.hint().is_some() || name.contains(['/', ':', '.']) {
            return error;
        }
        let others = match names.as_slice() {
            [] => String::new(),
            names => format!(": there is {}", names.join(", ")),
        };
        error.with_hint(format!("no stage is called {name} either{others}"))
    }

    /// The stage that a name or a number means in `--from`, for an instruction of a stage.
    pub(crate) fn stage_named(&self, name: &str, before: usize) -> Option<usize> {
        let key = self.graph.key(name);
        let earlier = &self.graph.stages[..before];
        let named = earlier.iter().rposition(|stage| stage.name.as_deref() == Some(&key));
        named.or_else(|| {
            let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
            name.parse().ok().filter(|index| is_number && *index < before)
        })
    }
}

fn stage_of(on: &Resolved) -> Option<usize> {
    match on {
        Resolved::Stage(index) => Some(*index),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use cask_containerfile::parse;
    use proptest::prelude::*;

    use super::super::request::BuildFile;
    use super::*;

    const LINES: [&str; 14] = [
        "FROM a AS b",
        "FROM b",
        "FROM b AS a",
        "FROM scratch AS c",
        "FROM $X AS d",
        "FROM --platform=$BUILDPLATFORM --after=b ${X:-b}",
        "ARG X=b",
        "ARG X",
        "ENV X=$X",
        "COPY --from=b x /",
        "COPY --from=$X x /",
        "COPY --from=1 x /",
        "RUN --mount=type=bind,from=c,target=/x --mount=type=cache,from=0,target=/y z",
        "ONBUILD COPY --from=0 x /",
    ];

    fn lines() -> impl Strategy<Value = String> {
        let line = proptest::sample::select(&LINES[..]);
        proptest::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// There, a request that nobody had thought of ended the daemon.
        #[test]
        fn cve_2024_23650_any_file_has_a_plan_or_an_error(
            text in lines(),
            target in proptest::option::of("[a-d0-9]{0,2}"),
            argument in proptest::option::of("[a-d$0-9:]{0,2}"),
        ) {
            let file = BuildFile::new("Containerfile", parse(&text).tree);
            let mut request = BuildRequest::new(file, PlatformWanted::of_this_build());
            request.target = target;
            request.arguments.extend(argument.map(|value| ("X".to_owned(), value)));
            let Ok(plan) = Plan::new(&request, &BTreeSet::new()) else { return Ok(()) };
            for platform in &plan.platforms {
                for stage in platform.needed(&BTreeMap::new()) {
                    let on = platform.dependencies(stage, &BTreeMap::new());
                    prop_assert!(on.iter().all(|on| *on < stage), "{text}");
                }
            }
        }
    }
}
