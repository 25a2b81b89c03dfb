//! The stages of a file.

use crate::instruction::{Arg, From, Instruction};
use crate::statement::Statement;
use crate::tree::Tree;

/// A stage: FROM, and the instructions up to the next one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stage<'a> {
    /// Its number, from 0.
    pub index: usize,
    /// Its FROM.
    pub from: &'a From,
    /// Its FROM as it is written.
    pub statement: &'a Statement,
    /// Its other instructions, without those that have an error in them.
    pub steps: Vec<(&'a Statement, &'a Instruction)>,
}

impl Stage<'_> {
    /// Its name in lower case, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.from.name.as_ref().map(|name| name.text.to_lowercase())
    }

    /// Its name, or its number where it has none.
    #[must_use]
    pub fn label(&self) -> String {
        self.name().unwrap_or_else(|| self.index.to_string())
    }
}

/// The stages of a Containerfile, and what stands before them.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stages<'a> {
    /// The ARGs before the first FROM.
    pub globals: Vec<(&'a Statement, &'a Arg)>,
    /// The stages, in order.
    pub stages: Vec<Stage<'a>>,
}

impl<'a> Stages<'a> {
    /// Collects the stages of files that make a Containerfile together, in order.
    ///
    /// A stage goes on in the next file until that has a FROM.
    #[must_use]
    pub fn collect(trees: impl IntoIterator<Item = &'a Tree>) -> Self {
        let mut all = Self::default();
        for statement in trees.into_iter().flat_map(Tree::statements) {
            let Some(instruction) = statement.instruction() else { continue };
            match (instruction, all.stages.last_mut()) {
                (Instruction::From(from), _) => {
                    let index = all.stages.len();
                    all.stages.push(Stage { index, from, statement, steps: Vec::new() });
                }
                (_, Some(stage)) => stage.steps.push((statement, instruction)),
                (Instruction::Arg(arg), None) => all.globals.push((statement, arg)),
                // No stage: that was told.
                (_, None) => {}
            }
        }
        all
    }
}

impl Tree {
    /// The stages of this file alone.
    #[must_use]
    pub fn stages(&self) -> Stages<'_> {
        Stages::collect([self])
    }
}
