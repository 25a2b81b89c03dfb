//! The stages that `--from` and mounts name by variables, as far as the file says what these are.

use std::collections::{BTreeMap, BTreeSet};

use cask_containerfile::instruction::Instruction;
use cask_containerfile::{Behavior, Dialect, Resolved, StageScope, expand};

use super::{PlatformPlan, StagePlan, StepPlan};

/// What each stage needs besides. A word that cannot be expanded, or only with the variables of an image, is left
/// out: it is told where the instruction is done.
pub(super) fn stages(
    stages: &[StagePlan],
    plan: &PlatformPlan,
    dialect: Dialect,
) -> BTreeMap<usize, BTreeSet<usize>> {
    let mut found = BTreeMap::new();
    if !dialect.does(Behavior::CopyFromExpands) {
        return found;
    }
    let mut scopes: Vec<StageScope> = Vec::new();
    for (index, stage) in stages.iter().enumerate() {
        let mut scope = match &plan.bases[index].on {
            Resolved::Stage(base) if *base < index => StageScope::inherit(&scopes[*base]),
            _ => StageScope::new(&[], dialect),
        };
        let needed: &mut BTreeSet<usize> = found.entry(index).or_default();
        for step in &stage.steps {
            for name in names(step, &scope, dialect) {
                needed.extend(plan.stage_named(&name, index));
            }
            follow(step, &mut scope, plan, dialect);
        }
        scopes.push(scope);
    }
    found
}

/// What an instruction names by variables.
fn names(step: &StepPlan, scope: &StageScope, dialect: Dialect) -> Vec<String> {
    let words: Vec<&str> = match step.statement.instruction() {
        Some(Instruction::Copy(copy)) => copy.from.iter().map(|word| word.as_str()).collect(),
        Some(Instruction::Run(run)) => {
            run.mounts.iter().filter_map(|mount| mount.field(&["from"])).collect()
        }
        _ => Vec::new(),
    };
    let variable = words.into_iter().filter(|word| word.contains('$'));
    let options = step.expansion(dialect);
    variable.filter_map(|word| Some(expand(word, scope, &options).ok()?.text)).collect()
}

/// Does ARG and ENV.
fn follow(step: &StepPlan, scope: &mut StageScope, plan: &PlatformPlan, dialect: Dialect) {
    let options = step.expansion(dialect);
    match step.statement.instruction() {
        Some(Instruction::Arg(arg)) => {
            for item in &arg.items {
                let default = item.default.as_ref().map(|word| word.as_str());
                // What makes no sense is told when it is done.
                let _ = scope.declare(&item.name.text, default, &plan.global, &options);
            }
        }
        Some(Instruction::Env(env)) => {
            let before = scope.clone();
            for pair in &env.pairs {
                let text = |word: &str| expand(word, &before, &options).map(|found| found.text);
                if let (Ok(key), Ok(value)) = (text(&pair.key.text), text(&pair.value.text)) {
                    scope.set_environment(&key, &value);
                }
            }
        }
        _ => {}
    }
}
