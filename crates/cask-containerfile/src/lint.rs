//! What builds, and could be better.

mod checks;
mod copies;
mod file;
mod from;
mod graph;
mod image_name;
mod rule;
mod steps;
mod variables;

use std::collections::{BTreeMap, BTreeSet};

pub use checks::{CheckError, Checks};
pub use rule::{Rule, UnknownRule};

use crate::diagnostic::{Code, Collector, Diagnostic};
use crate::expand::{BuildArguments, ExpandOptions, PlatformArguments};
use crate::ignore::IgnoreFile;
use crate::parse::declared;
use crate::span::Span;
use crate::statement::Statement;
use crate::tree::{DirectiveKey, Tree};

/// What is known of a base image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BaseImage {
    /// Its environment.
    pub environment: Vec<(String, String)>,
    /// Its platform, `os/architecture` with a variant or without; none where it is not known.
    pub platform: Option<String>,
    /// Whether its config has a shell.
    pub has_shell: bool,
}

/// What a file is linted with.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LintOptions<'a> {
    /// What the caller skips and asks for; added to what the file says.
    pub checks: Checks,
    /// The ignore file of the context, for [`Rule::CopyIgnoredFile`].
    pub ignore: Option<&'a IgnoreFile>,
    /// The arguments of the build.
    pub arguments: BuildArguments,
    /// The platform that is built on; `linux/amd64` where there is none.
    pub build_platform: Option<String>,
    /// The platform that is built for; that which is built on where there is none.
    pub target_platform: Option<String>,
    /// The stage that is built, by name or index: of stages that it does not need, nothing is
    /// told. `None` looks at all of them.
    pub target: Option<String>,
    /// The base images by the names that FROM has for them, variables replaced. Of one that is not
    /// here nothing is known: a variable that it may define is undefined only if another name is
    /// near it, and [`Rule::InvalidBaseImagePlatform`] finds nothing.
    pub bases: BTreeMap<String, BaseImage>,
}

/// What the lints found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LintReport {
    /// By place; at most [`DIAGNOSTICS_MAX`](crate::DIAGNOSTICS_MAX).
    pub diagnostics: Vec<Diagnostic>,
    /// Whether the build is to fail for them: there are some, and the file or the caller says
    /// `error=true`; or one of them is an error itself.
    pub is_failure: bool,
}

/// Lints a file.
///
/// Its instructions with errors in them, which [`parse`](crate::parse) told, are left out.
#[must_use]
pub fn lint(tree: &Tree, options: &LintOptions<'_>) -> LintReport {
    let checks = options.checks.clone();
    let mut linter = Linter {
        tree,
        options,
        checks,
        left_out: Vec::new(),
        compared: 0,
        found: Collector::default(),
    };
    graph::check(&mut linter);
    if let Some((value, span)) = declared(tree.source(), DirectiveKey::Check) {
        match Checks::parse(&value) {
            Ok(checks) => linter.checks.merge(&checks),
            Err(error) => {
                linter.found.error(Code::InvalidCheck, span, error.to_string());
            }
        }
    }
    file::check(&mut linter);
    from::check(&mut linter);
    steps::check(&mut linter);
    copies::check(&mut linter);
    variables::check(&mut linter);
    let is_strict = linter.checks.is_error;
    let diagnostics = linter.found.finish();
    let is_failure = diagnostics
        .iter()
        .any(|found| is_strict || found.severity == crate::diagnostic::Severity::Error);
    LintReport { diagnostics, is_failure }
}

/// A lint in progress.
struct Linter<'a> {
    tree: &'a Tree,
    options: &'a LintOptions<'a>,
    checks: Checks,
    /// How many names were compared to find the nearest to an unknown one.
    compared: usize,
    /// Where the stages are that the target does not need, in order.
    left_out: Vec<Span>,
    found: Collector,
}

impl Linter<'_> {
    /// Tells what a rule found in a statement, unless the file, the comments of the statement or
    /// the caller skip it.
    fn report(
        &mut self,
        rule: Rule,
        statement: &Statement,
        span: Span,
        message: impl Into<String>,
    ) {
        self.report_with(rule, statement, Diagnostic::warning(Code::Lint(rule), span, message));
    }

    fn report_with(&mut self, rule: Rule, statement: &Statement, diagnostic: Diagnostic) {
        if self.found.is_full() || self.is_left_out(statement) {
            return;
        }
        let own =
            statement.comments().iter().find_map(|span| Checks::of_comment(self.tree.text(*span)));
        let runs = match own {
            Some(own) => {
                let mut checks = self.checks.clone();
                checks.merge(&own);
                checks.runs(rule)
            }
            None => self.checks.runs(rule),
        };
        if runs {
            self.found.push(diagnostic);
        }
    }

    fn is_left_out(&self, statement: &Statement) -> bool {
        let at = statement.keyword_span().start();
        let after = self.left_out.partition_point(|span| span.start() <= at);
        after > 0 && self.left_out[after - 1].contains(at)
    }

    fn expand_options(&self) -> ExpandOptions {
        ExpandOptions { escape: self.tree.escape(), ..ExpandOptions::default() }
    }

    fn platforms(&self) -> PlatformArguments {
        let build = self.options.build_platform.as_deref().unwrap_or("linux/amd64");
        let target = self.options.target_platform.as_deref().unwrap_or(build);
        PlatformArguments::new(build, target, self.options.target.as_deref().unwrap_or("default"))
    }
}

/// Names that were told, so that one is told once.
type Told = BTreeSet<String>;

#[cfg(test)]
mod tests;
