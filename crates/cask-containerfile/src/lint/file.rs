//! Rules about how a file is written.

use super::{Linter, Rule};
use crate::diagnostic::{Code, Diagnostic};
use crate::instruction::Instruction;
use crate::statement::{Statement, Word};

pub(super) fn check(linter: &mut Linter<'_>) {
    let tree = linter.tree;
    casing(linter);
    for statement in tree.statements() {
        if let Some(line) = statement.empty_lines().first() {
            linter.report(Rule::NoEmptyContinuation, statement, *line, "Empty continuation line");
        }
        if let Some(at) = statement.json_error() {
            looks_like_json(linter, statement, at);
        }
        match statement.instruction() {
            Some(Instruction::From(from)) => {
                description(linter, statement, "FROM", from.name.as_slice());
            }
            Some(Instruction::Arg(arg)) => {
                let names: Vec<Word> = arg.items.iter().map(|item| item.name.clone()).collect();
                description(linter, statement, "ARG", &names);
            }
            Some(Instruction::Env(env)) if env.pairs.iter().any(|pair| !pair.has_equals) => {
                legacy(linter, statement);
            }
            Some(Instruction::Label(label)) if label.pairs.iter().any(|pair| !pair.has_equals) => {
                legacy(linter, statement);
            }
            Some(Instruction::Maintainer(_)) => {
                let message = "Maintainer instruction is deprecated in favor of using label";
                let help = "write `LABEL org.opencontainers.image.authors=\"…\"`";
                let found = Diagnostic::warning(
                    Code::Lint(Rule::MaintainerDeprecated),
                    statement.keyword_span(),
                    message,
                );
                linter.report_with(Rule::MaintainerDeprecated, statement, found.with_help(help));
            }
            _ => {}
        }
    }
}

/// The keywords from the first FROM on are all in upper or all in lower case.
fn casing(linter: &mut Linter<'_>) {
    let tree = linter.tree;
    let in_stages = || tree.statements().skip_while(|statement| !statement.is("FROM"));
    let known = |statement: &&Statement| statement.instruction().is_some();
    let (mut lower, mut upper) = (0, 0);
    for statement in in_stages().filter(known) {
        let word = statement.keyword();
        if word == word.to_lowercase() {
            lower += 1;
        } else if word == word.to_uppercase() {
            upper += 1;
        }
    }
    for statement in in_stages().filter(known) {
        let word = statement.keyword();
        let (wanted, name) = if lower > upper {
            (word.to_lowercase(), "lowercase")
        } else {
            (word.to_uppercase(), "uppercase")
        };
        if word != wanted {
            let message =
                format!("Command '{word}' should match the case of the command majority ({name})");
            linter.report(
                Rule::ConsistentInstructionCasing,
                statement,
                statement.keyword_span(),
                message,
            );
        }
    }
}

fn legacy(linter: &mut Linter<'_>, statement: &Statement) {
    let name = statement.keyword().to_uppercase();
    let message = format!(
        "\"{name} key=value\" should be used instead of legacy \"{name} key value\" format"
    );
    linter.report(Rule::LegacyKeyValueFormat, statement, statement.head(), message);
}

fn looks_like_json(linter: &mut Linter<'_>, statement: &Statement, at: crate::span::Span) {
    let column = linter.tree.lines().position(linter.tree.source(), at.start()).column;
    let message = format!("looks like JSON but is not, column {column}: it is taken as shell text");
    let help = if statement.text().contains('\'') {
        "strings of JSON are in double quotes"
    } else {
        "write [\"program\", \"argument\"], or nothing that begins with ["
    };
    let found = Diagnostic::warning(Code::Lint(Rule::JsonLooksWrong), at, message).with_help(help);
    linter.report_with(Rule::JsonLooksWrong, statement, found);
}

/// The comment directly above begins with one of the names.
fn description(linter: &mut Linter<'_>, statement: &Statement, keyword: &str, names: &[Word]) {
    let (Some(comment), Some(first)) = (statement.comments().last(), names.first()) else { return };
    let lines = linter.tree.lines();
    if lines.line(comment.start()) + 1 != lines.line(statement.head().start()) {
        return;
    }
    let text = linter.tree.text(*comment).trim_start_matches('#').trim();
    let word = text.split(' ').next().unwrap_or_default();
    if names.iter().any(|name| name.text == word) || super::Checks::of_comment(text).is_some() {
        return;
    }
    let name = if names.len() > 1 { "<arg_key>" } else { &first.text };
    let message =
        format!("Comment for {keyword} should follow the format: `# {name} <description>`");
    linter.report(Rule::InvalidDefinitionDescription, statement, *comment, message);
}
