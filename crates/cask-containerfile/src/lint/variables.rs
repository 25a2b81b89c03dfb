//! Variables that nothing defines.

use std::collections::BTreeMap;

use super::{Linter, Rule, Told};
use crate::diagnostic::{Code, Diagnostic};
use crate::dialect::Dialect;
use crate::expand::{ExpandErrorKind, ExpandOptions, Expansion, GlobalScope, StageScope, expand};
use crate::instruction::{CopySource, Instruction};
use crate::stages::Stage;
use crate::statement::{Statement, Word};
use crate::suggest::nearest;

/// Of how many names the nearest one is looked for.
const CANDIDATES: usize = 1000;

/// How often a name is compared with another, until it is enough.
const COMPARISONS: usize = 1_000_000;

/// How many variables are copied from stage to stage, until it is enough.
const COPIES: usize = 1_000_000;

/// What is known at a place in a stage.
#[derive(Clone)]
struct Known {
    scope: StageScope,
    /// Whether all variables of the base are known.
    is_complete: bool,
}

pub(super) fn check(linter: &mut Linter<'_>) {
    let stages = linter.tree.stages();
    let options = linter.expand_options();
    let global = super::from::globals(linter, &stages, linter.options.arguments.clone());
    let mut ends: BTreeMap<String, Known> = BTreeMap::new();
    let mut copies = 0;
    for stage in &stages.stages {
        let mut known = begin(linter, stage, &global, &ends, &options);
        copies += known.scope.visible().count();
        if copies > COPIES {
            return;
        }
        for (statement, instruction) in &stage.steps {
            step(linter, statement, instruction, &mut known, &global, &options);
            if linter.found.is_full() {
                return;
            }
        }
        if let Some(name) = stage.name() {
            ends.insert(name, known);
        }
    }
}

/// The variables at the beginning of a stage.
fn begin(
    linter: &Linter<'_>,
    stage: &Stage<'_>,
    global: &GlobalScope,
    ends: &BTreeMap<String, Known>,
    options: &ExpandOptions,
) -> Known {
    let image = expand(&stage.from.image.text, global, options).unwrap_or_default().text;
    if let Some(end) = ends.get(&image.to_lowercase()) {
        return end.clone();
    }
    let path = [(
        "PATH".to_owned(),
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
    )];
    let mut scope = StageScope::new(&path, Dialect::default());
    let base = linter.options.bases.get(&image);
    for (name, value) in base.into_iter().flat_map(|base| &base.environment) {
        scope.set_environment(name, value);
    }
    Known { scope, is_complete: image == "scratch" || base.is_some() }
}

/// The words of an instruction in which variables are replaced, and whether quotes are literal.
fn words(instruction: &Instruction) -> Vec<(Word, bool)> {
    let plain = |words: &[Word]| words.iter().map(|word| (word.clone(), false)).collect::<Vec<_>>();
    let sources = |sources: &[CopySource]| {
        let each = sources.iter().filter_map(|source| match source {
            CopySource::Path(word) => Some((word.clone(), false)),
            CopySource::Heredoc(heredoc) if heredoc.expands => {
                Some((Word::new(heredoc.text.clone(), heredoc.body), true))
            }
            CopySource::Heredoc(_) => None,
        });
        each.collect::<Vec<_>>()
    };
    let mut all = match instruction {
        Instruction::Add(add) => sources(&add.sources),
        Instruction::Copy(copy) => sources(&copy.sources),
        Instruction::Env(env) => env
            .pairs
            .iter()
            .flat_map(|p| [(p.key.clone(), false), (p.value.clone(), false)])
            .collect(),
        Instruction::Label(label) => label
            .pairs
            .iter()
            .flat_map(|p| [(p.key.clone(), false), (p.value.clone(), false)])
            .collect(),
        Instruction::Expose(expose) => plain(&expose.ports),
        Instruction::StopSignal(signal) => plain(std::slice::from_ref(&signal.signal)),
        Instruction::User(user) => plain(std::slice::from_ref(&user.user)),
        Instruction::Volume(volume) => plain(&volume.paths),
        Instruction::Workdir(workdir) => plain(std::slice::from_ref(&workdir.path)),
        Instruction::Run(run) => {
            let fields = run.mounts.iter().flat_map(|mount| {
                mount
                    .fields
                    .iter()
                    .filter_map(|f| f.split_once('='))
                    .map(|(_, v)| Word::new(v, mount.span))
            });
            fields.map(|word| (word, false)).collect()
        }
        _ => Vec::new(),
    };
    let flags = match instruction {
        Instruction::Add(add) => [&add.owner, &add.mode, &add.checksum],
        Instruction::Copy(copy) => [&copy.owner, &copy.mode, &None],
        _ => [&None; 3],
    };
    all.extend(flags.into_iter().flatten().map(|word| (word.clone(), false)));
    let destination = match instruction {
        Instruction::Add(add) => Some(&add.destination),
        Instruction::Copy(copy) => Some(&copy.destination),
        _ => None,
    };
    all.extend(destination.map(|word| (word.clone(), false)));
    all
}

fn step(
    linter: &mut Linter<'_>,
    statement: &Statement,
    instruction: &Instruction,
    known: &mut Known,
    global: &GlobalScope,
    options: &ExpandOptions,
) {
    let mut told = Told::new();
    if let Instruction::Arg(arg) = instruction {
        for item in &arg.items {
            if let Some(default) = &item.default {
                expanded(linter, statement, default, known, &mut told, options);
            }
            let default = item.default.as_ref().map(Word::as_str);
            if known.scope.declare(&item.name.text, default, global, options).is_err() {
                let _ = known.scope.declare(&item.name.text, None, global, options);
            }
        }
        return;
    }
    for (word, literal_quotes) in words(instruction) {
        let options = ExpandOptions { literal_quotes, ..*options };
        expanded(linter, statement, &word, known, &mut told, &options);
    }
    if let Instruction::Env(env) = instruction {
        // All of them see the environment from before.
        let text = |word: &Word| expand(&word.text, &known.scope, options).unwrap_or_default().text;
        let pairs = env.pairs.iter().map(|pair| (text(&pair.key), text(&pair.value)));
        for (name, value) in pairs.collect::<Vec<_>>() {
            known.scope.set_environment(&name, &value);
        }
    }
}

/// Tells what a word uses that is not there.
fn expanded(
    linter: &mut Linter<'_>,
    statement: &Statement,
    word: &Word,
    known: &Known,
    told: &mut Told,
    options: &ExpandOptions,
) {
    let Expansion { uses, .. } = match expand(&word.text, &known.scope, options) {
        Ok(expansion) => expansion,
        Err(error) if matches!(error.kind, ExpandErrorKind::Required { .. }) => return,
        Err(error) => {
            let span = statement.span_in(word, error.offset..word.text.len());
            linter.found.error(Code::InvalidSubstitution, span, error.to_string());
            return;
        }
    };
    for variable in uses.iter().filter(|found| !found.is_set) {
        if linter.found.is_full() {
            return;
        }
        let name = &variable.name;
        let is_declared = known.scope.declares(name);
        let is_special =
            matches!(name.as_str(), "BUILDKIT_SBOM_SCAN_CONTEXT" | "BUILDKIT_SBOM_SCAN_STAGE");
        if is_declared || is_special || !told.insert(name.clone()) {
            continue;
        }
        let all = if linter.compared < COMPARISONS { CANDIDATES } else { 0 };
        let names = known.scope.visible().map(|(name, _)| name).take(all);
        linter.compared += names.size_hint().1.unwrap_or(all);
        let near = nearest(name, names, false);
        if near.is_none() && !known.is_complete {
            continue;
        }
        let suggestion = near.map(|near| format!(" (did you mean ${near}?)")).unwrap_or_default();
        let message = format!("Usage of undefined variable '${name}'{suggestion}");
        let found = Diagnostic::warning(
            Code::Lint(Rule::UndefinedVar),
            statement.span_in(word, variable.range.clone()),
            message,
        );
        linter.report_with(Rule::UndefinedVar, statement, found);
    }
}
