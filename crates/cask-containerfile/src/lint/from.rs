//! Rules about FROM.

use std::collections::BTreeSet;

use super::image_name::{is_image_name, split_tag};
use super::{Linter, Rule};
use crate::diagnostic::{Code, Diagnostic};
use crate::expand::{
    BuildArguments, ExpandErrorKind, ExpandOptions, Expansion, GlobalScope, Variables, expand,
};
use crate::stages::{Stage, Stages};
use crate::statement::Word;
use crate::suggest::nearest;

pub(super) fn check(linter: &mut Linter<'_>) {
    let stages = linter.tree.stages();
    let options = linter.expand_options();
    let scope = globals(linter, &stages, linter.options.arguments.clone());
    let defaults = globals(linter, &stages, BuildArguments::new());
    let mut names = BTreeSet::new();
    for stage in &stages.stages {
        names_of_stage(linter, stage, &names);
        undeclared(linter, stage, &scope, &options);
        default_base(linter, stage, &defaults, &options);
        platform(linter, stage, &scope, &options);
        base(linter, stage, &scope, &options, &names);
        names.extend(stage.name());
    }
}

/// The global scope of a file; a default that cannot be expanded is left out.
pub(super) fn globals(
    linter: &Linter<'_>,
    stages: &Stages<'_>,
    arguments: BuildArguments,
) -> GlobalScope {
    GlobalScope::of_stages(stages, &linter.platforms(), arguments, &linter.expand_options())
}

fn names_of_stage(linter: &mut Linter<'_>, stage: &Stage<'_>, earlier: &BTreeSet<String>) {
    let (Some(word), Some(name)) = (&stage.from.name, stage.name()) else { return };
    let statement = stage.statement;
    if word.text != name {
        let message = format!("Stage name '{}' should be lowercase", word.text);
        linter.report(Rule::StageNameCasing, statement, word.span, message);
    }
    let from = statement.keyword();
    if let Some(keyword) = statement.words().get(1) {
        let wanted = match from {
            from if from == from.to_lowercase() => keyword.text.to_lowercase(),
            from if from == from.to_uppercase() => keyword.text.to_uppercase(),
            _ => keyword.text.to_string(),
        };
        if keyword.text != wanted {
            let message = format!("'{}' and '{from}' keywords' casing do not match", keyword.text);
            linter.report(Rule::FromAsCasing, statement, keyword.span, message);
        }
    }
    if name == "context" || name == "scratch" {
        let message = format!("Stage name should not use the same name as reserved stage {name:?}");
        linter.report(Rule::ReservedStageName, statement, word.span, message);
    }
    if earlier.contains(&name) {
        let message = format!("Duplicate stage name {name:?}, stage names should be unique");
        linter.report(Rule::DuplicateStageName, statement, word.span, message);
    }
}

/// Expands a word of FROM; an error is told, unless it is a variable that the build must give.
fn expanded(
    linter: &mut Linter<'_>,
    stage: &Stage<'_>,
    word: &Word,
    scope: &GlobalScope,
    options: &ExpandOptions,
) -> Option<Expansion> {
    match expand(&word.text, scope, options) {
        Ok(expansion) => Some(expansion),
        Err(error) => {
            if !matches!(error.kind, ExpandErrorKind::Required { .. }) {
                let at = error.offset;
                let span = stage.statement.span_in(word, at..word.text.len());
                linter.found.error(Code::InvalidSubstitution, span, error.to_string());
            }
            None
        }
    }
}

fn undeclared(
    linter: &mut Linter<'_>,
    stage: &Stage<'_>,
    scope: &GlobalScope,
    options: &ExpandOptions,
) {
    for word in std::iter::once(&stage.from.image).chain(&stage.from.platform) {
        let Some(expansion) = expanded(linter, stage, word, scope, options) else { continue };
        let mut told = super::Told::new();
        for variable in expansion.uses.iter().filter(|found| !found.is_set) {
            let is_declared = scope.declared().contains(&variable.name);
            if is_declared || !told.insert(variable.name.clone()) {
                continue;
            }
            let platforms = crate::expand::PlatformArguments::NAMES;
            let known = scope.declared().iter().map(String::as_str).chain(platforms);
            let near = nearest(&variable.name, known, false);
            let near = near.map(|name| format!(" (did you mean {name}?)")).unwrap_or_default();
            let message = format!("FROM argument '{}' is not declared{near}", variable.name);
            let span = stage.statement.span_in(word, variable.range.clone());
            linter.report(Rule::UndefinedArgInFrom, stage.statement, span, message);
        }
    }
}

fn default_base(
    linter: &mut Linter<'_>,
    stage: &Stage<'_>,
    defaults: &GlobalScope,
    options: &ExpandOptions,
) {
    let word = &stage.from.image;
    let Ok(expansion) = expand(&word.text, defaults, options) else { return };
    if !is_image_name(&expansion.text) {
        let message = format!(
            "Default value for ARG {} results in empty or invalid base image name",
            word.text
        );
        linter.report(Rule::InvalidDefaultArgInFrom, stage.statement, word.span, message);
    }
}

fn platform(
    linter: &mut Linter<'_>,
    stage: &Stage<'_>,
    scope: &GlobalScope,
    options: &ExpandOptions,
) {
    let Some(word) = &stage.from.platform else { return };
    let Ok(expansion) = expand(&word.text, scope, options) else { return };
    if let [only] = expansion.uses.as_slice() {
        if only.name == "TARGETPLATFORM" && scope.value(&only.name) == Some(&expansion.text) {
            let message = format!(
                "Setting platform to predefined {} in FROM is redundant as this is the default behavior",
                word.text
            );
            linter.report(Rule::RedundantTargetPlatform, stage.statement, word.span, message);
        }
        return;
    }
    if !expansion.uses.is_empty() {
        return;
    }
    let name = stage.name().unwrap_or_default();
    let mut parts = expansion.text.split('/').filter(|part| !part.is_empty());
    if parts.next().is_some() && !expansion.text.split('/').take(2).any(|part| name.contains(part))
    {
        let message =
            format!("FROM --platform flag should not use constant value {:?}", expansion.text);
        linter.report(Rule::FromPlatformFlagConstDisallowed, stage.statement, word.span, message);
    }
}

/// What the image that a stage begins with is like.
fn base(
    linter: &mut Linter<'_>,
    stage: &Stage<'_>,
    scope: &GlobalScope,
    options: &ExpandOptions,
    stages: &BTreeSet<String>,
) {
    let word = &stage.from.image;
    let Ok(expansion) = expand(&word.text, scope, options) else { return };
    let image = expansion.text;
    if image == "scratch" || stages.contains(&image.to_lowercase()) || !is_image_name(&image) {
        return;
    }
    let rule = Rule::TagNotPinned;
    if !image.contains('@') && matches!(split_tag(&image).1, None | Some("latest")) {
        let message = format!("Base image {image} has no tag other than latest, and no digest");
        let help = "name a version, or a digest: the same file then builds the same image";
        let found = Diagnostic::warning(Code::Lint(rule), word.span, message).with_help(help);
        linter.report_with(rule, stage.statement, found);
    }
    let actual = linter.options.bases.get(&image).and_then(|base| base.platform.clone());
    let wanted = match &stage.from.platform {
        Some(word) => expand(&word.text, scope, options).ok().map(|expansion| expansion.text),
        None => scope.value("TARGETPLATFORM").map(str::to_owned),
    };
    let (Some(actual), Some(wanted)) = (actual, wanted) else { return };
    let main = |platform: &str| platform.split('/').take(2).map(str::to_owned).collect::<Vec<_>>();
    if main(&actual) != main(&wanted) {
        let message = format!(
            "Base image {image} was pulled with platform {actual:?}, expected {wanted:?} for current build"
        );
        linter.report(Rule::InvalidBaseImagePlatform, stage.statement, word.span, message);
    }
}
