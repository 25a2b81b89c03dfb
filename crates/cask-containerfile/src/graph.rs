//! Which stage needs which.

mod draw;

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::dialect::{Behavior, Dialect};
use crate::expand::{ExpandOptions, GlobalScope, expand};
use crate::instruction::Instruction;
use crate::span::Span;
use crate::stages::{Stage, Stages};
use crate::statement::Word;
use crate::suggest::{did_you_mean, nearest};

/// What a name in FROM or `--from` stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolved {
    /// A stage of the file, by its index.
    Stage(usize),
    /// Nothing: `FROM scratch`.
    Scratch,
    /// A context that the caller named, else an image.
    Image(String),
}

/// How a stage needs something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Link {
    /// It begins with it.
    From,
    /// It copies of it: `COPY --from`.
    Copy,
    /// It mounts it: `RUN --mount=from=`.
    Mount,
    /// It is built after it: `FROM --after`.
    After,
}

impl Link {
    /// The word for it in a drawing.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::From => "FROM",
            Self::Copy => "COPY",
            Self::Mount => "mount",
            Self::After => "after",
        }
    }
}

/// Something that a stage needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dependency {
    /// What it is.
    pub on: Resolved,
    /// How it is needed.
    pub link: Link,
    /// Where the file says so.
    pub span: Span,
}

/// A stage in the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Needed {
    /// Its name as names are compared, which is in lower case mostly, if it has one.
    pub name: Option<String>,
    /// The base as it is written.
    pub base: String,
    /// Where its FROM is.
    pub span: Span,
    /// What it needs, in the order of the file.
    pub dependencies: Vec<Dependency>,
}

impl Needed {
    /// Its name, or its index where it has none.
    #[must_use]
    pub fn label(&self, index: usize) -> String {
        self.name.clone().unwrap_or_else(|| index.to_string())
    }
}

/// The stages of a file, and what each of them needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Graph {
    /// The stages, in the order of the file.
    pub stages: Vec<Needed>,
    /// What cannot be: a stage that needs itself or a later one.
    pub diagnostics: Vec<Diagnostic>,
    /// The stages by name; of equal names, the last.
    names: BTreeMap<String, usize>,
    /// Whether names count as they are written, rather than in lower case.
    is_exact: bool,
}

/// The last stage of every name in the whole file.
struct Last {
    names: BTreeMap<String, usize>,
    count: usize,
}

impl Graph {
    /// Makes the graph of the stages.
    ///
    /// `image` gives the base of a stage with its variables replaced; `|stage|
    /// stage.from.image.text.to_string()` leaves them. Stages are found by their names in lower
    /// case, `--from` also by their index, and earlier ones alone; of equal names, the last one
    /// before the place is taken, as in BuildKit.
    #[must_use]
    pub fn new(stages: &Stages<'_>, image: impl FnMut(&Stage<'_>) -> String) -> Self {
        Self::in_dialect(stages, Dialect::default(), image)
    }

    /// The same in a dialect: with Buildah's, names count as they are written.
    #[must_use]
    pub fn in_dialect(
        stages: &Stages<'_>,
        dialect: Dialect,
        image: impl FnMut(&Stage<'_>) -> String,
    ) -> Self {
        Self::with_names(stages, dialect, image, |stage| {
            stage.from.name.as_ref().map(|name| name.text.to_string())
        })
    }

    /// The same, where `name` gives the names of the stages too, with variables replaced.
    #[must_use]
    pub fn with_names(
        stages: &Stages<'_>,
        dialect: Dialect,
        mut image: impl FnMut(&Stage<'_>) -> String,
        name: impl Fn(&Stage<'_>) -> Option<String>,
    ) -> Self {
        let is_exact = !dialect.does(Behavior::StageNamesFoldCase);
        let mut graph = Self { is_exact, ..Self::default() };
        let name_of = |stage: &Stage<'_>| {
            name(stage).map(|name| if is_exact { name } else { name.to_lowercase() })
        };
        let all = stages.stages.iter();
        let names = all.filter_map(|stage| Some((name_of(stage)?, stage.index))).collect();
        let last = Last { names, count: stages.stages.len() };
        for stage in &stages.stages {
            let base = image(stage);
            let mut needed = Needed {
                name: name_of(stage),
                base: base.clone(),
                span: stage.statement.head(),
                dependencies: Vec::new(),
            };
            // No image is called by a number: as with buildah, it is an earlier stage's.
            let on = match graph.find(&base).or_else(|| number(&base, stage.index)) {
                Some(index) => Resolved::Stage(index),
                None if base == "scratch" => Resolved::Scratch,
                None => Resolved::Image(base),
            };
            let span = stage.from.image.span;
            needed.dependencies.push(Dependency { on, link: Link::From, span });
            for word in &stage.from.after {
                graph.depend(&mut needed, &last, stage.index, word, Link::After);
            }
            for (_, instruction) in &stage.steps {
                graph.step(&mut needed, &last, stage.index, instruction);
            }
            if let Some(name) = &needed.name {
                graph.names.insert(name.clone(), stage.index);
            }
            graph.stages.push(needed);
        }
        graph
    }

    /// Makes the graph with the variables of FROM replaced. What cannot be replaced stays as it is
    /// written.
    #[must_use]
    pub fn expanded(stages: &Stages<'_>, scope: &GlobalScope, options: &ExpandOptions) -> Self {
        let replaced = |text: &str| {
            expand(text, scope, options).map_or_else(|_| text.to_owned(), |found| found.text)
        };
        let image = |stage: &Stage<'_>| replaced(&stage.from.image.text);
        let name = |stage: &Stage<'_>| stage.from.name.as_ref().map(|name| replaced(&name.text));
        Self::with_names(stages, Dialect::default(), image, name)
    }

    fn step(&mut self, needed: &mut Needed, last: &Last, index: usize, instruction: &Instruction) {
        match instruction {
            Instruction::Copy(copy) => {
                if let Some(from) = &copy.from {
                    self.depend(needed, last, index, from, Link::Copy);
                }
            }
            Instruction::Run(run) => {
                for mount in &run.mounts {
                    if let Some(from) = mount.field(&["from"]).filter(|from| !from.is_empty()) {
                        self.depend(needed, last, index, &Word::new(from, mount.span), Link::Mount);
                    }
                }
            }
            _ => {}
        }
    }

    fn depend(&mut self, needed: &mut Needed, last: &Last, index: usize, word: &Word, link: Link) {
        let span = word.span;
        let on = match self.find(&word.text).or_else(|| number(&word.text, index)) {
            Some(index) => Resolved::Stage(index),
            None => {
                self.refuse_later(needed, last, index, word);
                Resolved::Image(word.text.to_string())
            }
        };
        needed.dependencies.push(Dependency { on, link, span });
    }

    /// Tells if a name or an index is that of the stage itself, or of a later one.
    fn refuse_later(&mut self, needed: &Needed, last: &Last, index: usize, word: &Word) {
        let text = self.key(&word.text);
        let later = last.names.get(&text).copied().or_else(|| number(&text, last.count));
        let later = later.filter(|found| *found >= index);
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let own = needed.label(index);
        let message = match later {
            Some(found) if found == index => {
                format!("circular dependency detected on stage: {own}")
            }
            Some(_) => format!(
                "cannot copy from stage {:?}, it needs to be defined before current stage {own:?}",
                word.text
            ),
            None if is_number => {
                format!("invalid stage index {:?}: there is no such stage", word.text)
            }
            None => return,
        };
        let code = if later.is_some() { Code::CircularStages } else { Code::UnknownStage };
        self.diagnostics.push(Diagnostic::error(code, word.span, message));
    }

    /// The last stage of this name so far.
    fn find(&self, name: &str) -> Option<usize> {
        self.names.get(&self.key(name)).copied()
    }

    /// A name as names are compared.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        if self.is_exact { name.to_owned() } else { name.to_lowercase() }
    }

    /// The stage that is built for a target: by name, or by index. `None` builds the last one.
    ///
    /// # Errors
    ///
    /// There is no such stage, or no stage at all.
    pub fn target(&self, target: Option<&str>) -> Result<usize, Diagnostic> {
        let end = self.stages.last().map_or(Span::default(), |stage| stage.span);
        let Some(name) = target else {
            let message = "dockerfile contains no stages to build";
            return self.stages.len().checked_sub(1).ok_or(Diagnostic::error(
                Code::NoStages,
                end,
                message,
            ));
        };
        if let Some(index) = self.find(name).or_else(|| number(name, self.stages.len())) {
            return Ok(index);
        }
        let names = self.stages.iter().filter_map(|stage| stage.name.as_deref());
        let near = did_you_mean(nearest(name, names, true));
        let message = format!("target stage {name:?} could not be found{near}");
        Err(Diagnostic::error(Code::UnknownStage, end, message))
    }

    /// The stages that a stage needs, itself among them, in the order of the file: the others
    /// need not be built.
    #[must_use]
    pub fn needed_for(&self, target: usize) -> Vec<usize> {
        let mut is_needed = vec![false; self.stages.len()];
        if let Some(first) = is_needed.get_mut(target) {
            *first = true;
        }
        // A stage needs earlier ones alone.
        for index in (0..self.stages.len()).rev().filter(|index| *index <= target) {
            if !is_needed[index] {
                continue;
            }
            for dependency in &self.stages[index].dependencies {
                if let Resolved::Stage(on) = dependency.on {
                    is_needed[on] = true;
                }
            }
        }
        (0..self.stages.len()).filter(|index| is_needed[*index]).collect()
    }
}

/// An index below `count`.
fn number(text: &str, count: usize) -> Option<usize> {
    text.parse().ok().filter(|index| *index < count && text.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Severity;
    use crate::expand::{BuildArguments, PlatformArguments};
    use crate::parse::parse;

    pub(super) const FILE: &str = "FROM alpine AS Base\nFROM base AS build\nRUN --mount=from=tools,target=/t x\n\
        FROM scratch\nCOPY --from=build /a /\nCOPY --from=0 /b /\nCOPY --from=busybox /c /\nFROM base AS unused\n";

    fn graph(source: &str) -> Graph {
        let parsed = parse(source);
        assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
        Graph::new(&parsed.tree.stages(), |stage| stage.from.image.text.to_string())
    }

    #[test]
    fn stages_are_found_by_name_and_index() {
        let graph = graph(FILE);
        let found = |index: usize| -> Vec<&Resolved> {
            graph.stages[index].dependencies.iter().map(|d| &d.on).collect()
        };
        let image = |name: &str| Resolved::Image(name.to_owned());
        assert_eq!(found(0), [&image("alpine")]);
        assert_eq!(found(1), [&Resolved::Stage(0), &image("tools")]);
        let expected =
            [Resolved::Scratch, Resolved::Stage(1), Resolved::Stage(0), image("busybox")];
        assert_eq!(found(2), expected.iter().collect::<Vec<_>>());
        assert!(graph.diagnostics.is_empty());
    }

    #[test]
    fn names_may_have_symbols_and_variables_and_bases_be_numbers() {
        let source = "ARG N=One/v7\nFROM a AS $N\nFROM b AS x+y\nFROM one/v7\nFROM 1\nFROM 9\n";
        let parsed = parse(source);
        let severities: Vec<_> = parsed.diagnostics.iter().map(|found| found.severity).collect();
        assert_eq!(severities, [Severity::Warning; 2]);
        let platforms = PlatformArguments::new("linux/amd64", "linux/amd64", "default");
        let options = ExpandOptions::default();
        let stages = parsed.tree.stages();
        let scope = GlobalScope::of_stages(&stages, &platforms, BuildArguments::new(), &options);
        let graph = Graph::expanded(&stages, &scope, &options);
        let on: Vec<&Resolved> =
            graph.stages[2..].iter().map(|stage| &stage.dependencies[0].on).collect();
        let image = Resolved::Image("9".to_owned());
        assert_eq!(on, [&Resolved::Stage(0), &Resolved::Stage(1), &image]);
        for name in ["1", "1a", "é", "-a"] {
            assert!(parse(&format!("FROM a AS {name}\n")).has_errors(), "{name}");
        }
    }

    #[test]
    fn names_count_as_they_are_written_in_buildah_s_dialect() {
        let parsed = parse("FROM a AS Up\nFROM up\nFROM Up\n");
        let image = |stage: &Stage<'_>| stage.from.image.text.to_string();
        let found = [Dialect::BuildKit, Dialect::Buildah].map(|dialect| {
            let graph = Graph::in_dialect(&parsed.tree.stages(), dialect, image);
            [1, 2].map(|index: usize| {
                matches!(graph.stages[index].dependencies[0].on, Resolved::Stage(0))
            })
        });
        assert_eq!(found, [[true, true], [false, true]]);
    }

    #[test]
    fn what_a_target_does_not_need_is_left_out() {
        let graph = graph(FILE);
        assert_eq!(graph.target(None).unwrap(), 3);
        assert_eq!(graph.needed_for(3), [0, 3]);
        assert_eq!(graph.needed_for(graph.target(Some("2")).unwrap()), [0, 1, 2]);
        assert_eq!(graph.needed_for(graph.target(Some("BUILD")).unwrap()), [0, 1]);
        let error = graph.target(Some("biuld")).unwrap_err();
        assert_eq!(
            error.message,
            "target stage \"biuld\" could not be found (did you mean build?)"
        );
    }

    #[test]
    fn circles_are_told() {
        fn check(source: &str, expected: &str) {
            let messages: Vec<String> =
                graph(source).diagnostics.into_iter().map(|d| d.message).collect();
            assert_eq!(messages, [expected]);
        }
        check("FROM a AS b\nCOPY --from=b x y\n", "circular dependency detected on stage: b");
        check("FROM a\nCOPY --from=0 x y\n", "circular dependency detected on stage: 0");
        check(
            "FROM a\nCOPY --from=c x y\nFROM d AS c\n",
            "cannot copy from stage \"c\", it needs to be defined before current stage \"0\"",
        );
        check("FROM a\nCOPY --from=7 x y\n", "invalid stage index \"7\": there is no such stage");
    }

    #[test]
    fn a_stage_may_have_the_name_of_its_image() {
        let graph = graph("FROM alpine AS alpine\nFROM alpine\n");
        assert_eq!(graph.stages[0].dependencies[0].on, Resolved::Image("alpine".to_owned()));
        assert_eq!(graph.stages[1].dependencies[0].on, Resolved::Stage(0));
    }
}
