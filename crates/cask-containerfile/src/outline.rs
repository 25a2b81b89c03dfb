//! What a build can be given.

use std::collections::{BTreeMap, BTreeSet};

use crate::dialect::Dialect;
use crate::expand::{ExpandOptions, GlobalScope, PlatformArguments, StageScope, Variables, expand};
use crate::graph::{Graph, Link, Resolved};
use crate::instruction::{ArgItem, Instruction, Mount, MountKind};
use crate::span::Span;
use crate::stages::{Stage, Stages};
use crate::statement::{Statement, Word};
use crate::tree::Tree;

/// What the build of a stage can be given, and what the file says of it in the comments above.
///
/// A comment describes the stage or the argument below it if it begins with its name.
///
/// ```
/// use cask_containerfile::{ExpandOptions, GlobalScope, Graph, Outline, parse};
/// use cask_containerfile::{BuildArguments, PlatformArguments};
///
/// let source = "\
/// ## GO is the version of the compiler
/// ARG GO=1.23
/// ## app is what is deployed
/// FROM golang:$GO AS app
/// RUN --mount=type=secret,id=netrc,required go build
/// ".replace("##", "#");
/// let tree = parse(&source).tree;
/// let (stages, options) = (tree.stages(), ExpandOptions::default());
/// let platforms = PlatformArguments::new("linux/amd64", "linux/amd64", "default");
/// let scope = GlobalScope::of_stages(&stages, &platforms, BuildArguments::new(), &options);
/// let graph = Graph::expanded(&stages, &scope, &options);
///
/// let outline = Outline::new(&tree, &graph, &scope, 0);
/// assert_eq!(outline.description.as_deref(), Some("is what is deployed"));
/// assert_eq!(outline.arguments[0].value.as_deref(), Some("1.23"));
/// assert_eq!((outline.secrets[0].id.as_str(), outline.secrets[0].is_required), ("netrc", true));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outline {
    /// The name of the stage, if it has one.
    pub name: Option<String>,
    /// What the comment above its FROM says.
    pub description: Option<String>,
    /// The arguments that it and the stages that it needs use, by place.
    pub arguments: Vec<OutlinedArgument>,
    /// The secrets that their commands use, by place.
    pub secrets: Vec<OutlinedId>,
    /// The SSH agents that their commands use, by place.
    pub ssh: Vec<OutlinedId>,
}

/// An argument of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutlinedArgument {
    /// Its name.
    pub name: String,
    /// What it has if nobody gives another value; or what was given.
    pub value: Option<String>,
    /// What the comment above it says.
    pub description: Option<String>,
    /// Where it is declared.
    pub span: Span,
}

/// A secret or an SSH agent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutlinedId {
    /// Its ID.
    pub id: String,
    /// Whether a command fails without it.
    pub is_required: bool,
    /// Where it is used first.
    pub span: Span,
}

impl Outline {
    /// The outline of a stage, by its index; of no stage, there is nothing in it.
    #[must_use]
    pub fn new(tree: &Tree, graph: &Graph, global: &GlobalScope, target: usize) -> Self {
        let stages = tree.stages();
        let options = ExpandOptions { escape: tree.escape(), ..ExpandOptions::default() };
        let mut outline = Self::default();
        let Some(stage) = stages.stages.get(target) else { return outline };
        outline.name = stage.name();
        outline.description =
            stage.name().and_then(|name| tree.description(stage.statement, &name));
        let mut walk = Walk { tree, global, options, outline, used: BTreeSet::new() };
        let mut scopes: BTreeMap<usize, StageScope> = BTreeMap::new();
        for index in graph.needed_for(target) {
            let Some(stage) = stages.stages.get(index) else { continue };
            let mut scope = match base_of(graph, index).and_then(|base| scopes.get(&base)) {
                Some(base) => StageScope::inherit(base),
                None => StageScope::new(&[], Dialect::default()),
            };
            walk.stage(stage, &mut scope);
            scopes.insert(index, scope);
        }
        walk.globals(&stages);
        walk.finish()
    }

    /// Prints it as `docker build --call=outline` does; ends with a line end.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let name = self.name.clone().unwrap_or_else(|| "(default)".to_owned());
        let mut head = vec![["TARGET:".to_owned(), name]];
        if let Some(description) = &self.description {
            head.push(["DESCRIPTION:".to_owned(), description.clone()]);
        }
        columns(&mut text, &head);
        if !self.arguments.is_empty() {
            let heading = ["BUILD ARG", "VALUE", "DESCRIPTION"].map(str::to_owned);
            let rows = self.arguments.iter().map(|argument| {
                let (value, description) = (argument.value.clone(), argument.description.clone());
                [argument.name.clone(), value.unwrap_or_default(), description.unwrap_or_default()]
            });
            text.push('\n');
            columns(&mut text, &std::iter::once(heading).chain(rows).collect::<Vec<_>>());
        }
        for (heading, ids) in [("SECRET", &self.secrets), ("SSH", &self.ssh)] {
            if ids.is_empty() {
                continue;
            }
            let rows = ids.iter().map(|one| {
                let required = if one.is_required { "true" } else { "" };
                [one.id.clone(), required.to_owned()]
            });
            let heading = [heading.to_owned(), "REQUIRED".to_owned()];
            text.push('\n');
            columns(&mut text, &std::iter::once(heading).chain(rows).collect::<Vec<_>>());
        }
        text
    }
}

impl Tree {
    /// What the comments above an instruction say of a name: the rest of the first of them that
    /// begins with it.
    #[must_use]
    pub fn description(&self, statement: &Statement, name: &str) -> Option<String> {
        let comments = statement.comments().iter().map(|span| self.text(*span));
        let texts = comments.map(|text| text.strip_prefix('#').unwrap_or(text).trim());
        let mut found = texts.filter_map(|text| text.strip_prefix(name)?.strip_prefix(' '));
        found.next().map(str::to_owned)
    }
}

/// The stage that a stage begins with.
fn base_of(graph: &Graph, index: usize) -> Option<usize> {
    let mut all = graph.stages.get(index)?.dependencies.iter();
    all.find_map(|dependency| match (dependency.link, &dependency.on) {
        (Link::From, Resolved::Stage(base)) => Some(*base),
        _ => None,
    })
}

/// Columns with three blanks between them; nothing is behind the last word of a line.
fn columns<const N: usize>(text: &mut String, rows: &[[String; N]]) {
    let width = |column: usize| {
        rows.iter().map(|row: &[String; N]| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in rows {
        let cells: String =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}   ")).collect();
        text.push_str(cells.trim_end());
        text.push('\n');
    }
}

/// An outline that is being made.
struct Walk<'a> {
    tree: &'a Tree,
    global: &'a GlobalScope,
    options: ExpandOptions,
    outline: Outline,
    /// The names of global arguments that are used.
    used: BTreeSet<String>,
}

impl Walk<'_> {
    fn uses(&mut self, word: &Word) {
        if let Ok(expansion) = expand(word.as_str(), self.global, &self.options) {
            self.used.extend(expansion.uses.into_iter().map(|found| found.name));
        }
    }

    fn stage(&mut self, stage: &Stage<'_>, scope: &mut StageScope) {
        self.uses(&stage.from.image);
        stage.from.platform.iter().for_each(|word| self.uses(word));
        for (statement, instruction) in &stage.steps {
            match instruction {
                Instruction::Arg(arg) => {
                    for item in &arg.items {
                        self.argument(statement, item, scope);
                    }
                }
                Instruction::Env(env) => {
                    let options = self.options;
                    let texts = env.pairs.iter().map(|pair| {
                        let part = |word: &Word| expand(word.as_str(), &*scope, &options);
                        (part(&pair.key), part(&pair.value))
                    });
                    for (key, value) in texts.collect::<Vec<_>>() {
                        if let (Ok(key), Ok(value)) = (key, value) {
                            scope.set_environment(&key.text, &value.text);
                        }
                    }
                }
                Instruction::Run(run) => {
                    for mount in &run.mounts {
                        if let Ok(found) = mount.resolve(&*scope, &self.options) {
                            self.mount(&found, mount.span);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn argument(&mut self, statement: &Statement, item: &ArgItem, scope: &mut StageScope) {
        let name = item.name.as_str();
        let default = item.default.as_ref().map(Word::as_str);
        if scope.declare(name, default, self.global, &self.options).is_err() {
            return;
        }
        if default.is_none() && self.global.declared().contains(name) {
            self.used.insert(name.to_owned());
        } else if default.is_some() || !PlatformArguments::NAMES.contains(&name) {
            let value = scope.value(name).map(str::to_owned);
            self.push(statement, item, value);
        }
    }

    fn push(&mut self, statement: &Statement, item: &ArgItem, value: Option<String>) {
        let name = item.name.text.to_string();
        let description = self.tree.description(statement, &name);
        let span = item.name.span;
        self.outline.arguments.push(OutlinedArgument { name, value, description, span });
    }

    fn mount(&mut self, mount: &Mount, span: Span) {
        let target = mount.target.as_deref().unwrap_or_default();
        let last = target.rsplit('/').next().unwrap_or_default();
        let (all, default) = match mount.kind {
            MountKind::Secret => (&mut self.outline.secrets, last),
            MountKind::Ssh => (&mut self.outline.ssh, "default"),
            _ => return,
        };
        let id = mount.id.as_deref().filter(|id| !id.is_empty()).unwrap_or(default);
        match all.iter_mut().find(|known| known.id == id) {
            Some(known) => known.is_required |= mount.is_required,
            None => {
                all.push(OutlinedId { id: id.to_owned(), is_required: mount.is_required, span });
            }
        }
    }

    /// The arguments before the first FROM that are used, also in the defaults of others.
    fn globals(&mut self, stages: &Stages<'_>) {
        let items = stages
            .globals
            .iter()
            .flat_map(|(statement, arg)| arg.items.iter().map(move |item| (*statement, item)));
        let items: Vec<(&Statement, &ArgItem)> = items.collect();
        for (statement, item) in items.into_iter().rev() {
            if !self.used.contains(item.name.as_str()) {
                continue;
            }
            item.default.iter().for_each(|word| self.uses(word));
            let value = self.global.value(item.name.as_str()).map(str::to_owned);
            self.push(statement, item, value);
        }
    }

    /// By place; of several arguments with one name, the first.
    fn finish(mut self) -> Outline {
        self.outline.arguments.sort_by_key(|argument| argument.span.start());
        let mut seen = BTreeSet::new();
        self.outline.arguments.retain(|argument| seen.insert(argument.name.clone()));
        self.outline.secrets.sort_by_key(|one| one.span.start());
        self.outline.ssh.sort_by_key(|one| one.span.start());
        self.outline
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::BuildArguments;
    use crate::parse::parse;

    fn check(source: &str, given: &[(&str, &str)], target: &str, expected: &str) {
        let tree = parse(source).tree;
        let (stages, options) = (tree.stages(), ExpandOptions::default());
        let platforms = PlatformArguments::new("linux/amd64", "linux/amd64", "default");
        let given: BuildArguments =
            given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let scope = GlobalScope::of_stages(&stages, &platforms, given, &options);
        let graph = Graph::expanded(&stages, &scope, &options);
        let target = graph.target(Some(target)).unwrap();
        assert_eq!(Outline::new(&tree, &graph, &scope, target).to_text(), expected, "{source}");
    }

    const FILE: &str = "\
ARG OTHER
# MINOR is the minor version
ARG MINOR=23
ARG GO=1.$MINOR
FROM golang:$GO AS build
# not what you think
# MODE is how it is built
ARG MODE=release
ARG GO TARGETARCH
ARG NONE
ENV ID=x
RUN --mount=type=secret,id=$ID make $MODE
RUN --mount=type=secret,id=x,required --mount=type=ssh make

# app is what is deployed
FROM scratch AS app
COPY --from=build /a /
FROM alpine AS unneeded
ARG FAR
";

    #[test]
    fn arguments_and_secrets_of_all_that_is_needed_are_outlined() {
        check(
            FILE,
            &[("MODE", "debug")],
            "app",
            "\
TARGET:        app
DESCRIPTION:   is what is deployed

BUILD ARG   VALUE   DESCRIPTION
MINOR       23      is the minor version
GO          1.23
MODE        debug   is how it is built
NONE

SECRET   REQUIRED
x        true

SSH       REQUIRED
default
",
        );
        check(
            FILE,
            &[],
            "unneeded",
            "TARGET:   unneeded\n\nBUILD ARG   VALUE   DESCRIPTION\nFAR\n",
        );
    }

    #[test]
    fn arguments_of_a_base_stage_are_those_of_what_begins_with_it() {
        let source = "FROM a AS one\nARG A=b\nFROM one\nARG C=$A\nRUN d\n";
        let expected = "TARGET:   (default)\n\nBUILD ARG   VALUE   DESCRIPTION\nA           b\nC           b\n";
        check(source, &[], "1", expected);
    }
}
