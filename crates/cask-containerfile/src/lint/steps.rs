//! Rules about the instructions of a stage.

use std::collections::BTreeMap;

use super::{Linter, Rule};
use crate::diagnostic::{Code, Diagnostic};
use crate::expand::{expand_words, is_predefined};
use crate::instruction::{CommandLine, CopySource, Expose, Instruction, parse_ports};
use crate::span::Span;
use crate::stages::Stage;
use crate::statement::Statement;

pub(super) fn check(linter: &mut Linter<'_>) {
    let tree = linter.tree;
    let stages = tree.stages();
    // What later stages inherit, by name: whether a WORKDIR was set, and a shell.
    let mut known: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    for stage in &stages.stages {
        let base = stage.from.image.text.to_lowercase();
        let shell =
            linter.options.bases.get(stage.from.image.text.as_str()).is_some_and(|b| b.has_shell);
        let (mut workdir, mut shell) = known.get(&base).copied().unwrap_or((false, shell));
        repeated(linter, stage);
        for (statement, instruction) in &stage.steps {
            match instruction {
                Instruction::Workdir(path) => {
                    if !workdir && !is_absolute(&path.path.text) {
                        let text = &path.path.text;
                        let message = format!(
                            "Relative workdir {text:?} can have unexpected results if the base image changes"
                        );
                        linter.report(
                            Rule::WorkdirRelativePath,
                            statement,
                            path.path.span,
                            message,
                        );
                    }
                    workdir = true;
                }
                Instruction::Shell(_) => shell = true,
                Instruction::Cmd(line) | Instruction::Entrypoint(line) if !shell => {
                    shell_form(linter, statement, line);
                }
                Instruction::Expose(expose) => ports(linter, statement, expose),
                Instruction::Env(env) => {
                    for pair in &env.pairs {
                        secret(linter, statement, "ENV", &pair.key.text, pair.key.span);
                    }
                }
                Instruction::Arg(arg) => {
                    for item in &arg.items {
                        secret(linter, statement, "ARG", &item.name.text, item.name.span);
                    }
                }
                _ => {}
            }
        }
        order(linter, stage);
        early_arguments(linter, stage);
        if let Some(name) = stage.name() {
            known.insert(name, (workdir, shell));
        }
    }
}

fn is_absolute(path: &str) -> bool {
    let path = path.trim_start_matches(['"', '\'']);
    // A variable may hold any path.
    let mut chars = path.chars();
    let drive =
        matches!((chars.next(), chars.next()), (Some(c), Some(':')) if c.is_ascii_alphabetic());
    path.starts_with(['/', '\\', '$']) || drive
}

/// Of several CMD, ENTRYPOINT and HEALTHCHECK, the last one counts: the others are told.
fn repeated(linter: &mut Linter<'_>, stage: &Stage<'_>) {
    for name in ["CMD", "ENTRYPOINT", "HEALTHCHECK"] {
        let all = stage.steps.iter().map(|(statement, _)| *statement);
        let same: Vec<&Statement> = all.filter(|statement| statement.is(name)).collect();
        let Some((last, others)) = same.split_last() else { continue };
        for statement in others {
            let message = format!(
                "Multiple {name} instructions should not be used in the same stage because only the last one will be used"
            );
            let rule = Rule::MultipleInstructionsDisallowed;
            let found = Diagnostic::warning(Code::Lint(rule), statement.head(), message);
            let found = found.with_note(Some(last.keyword_span()), "this one is used");
            linter.report_with(rule, statement, found);
        }
    }
}

fn shell_form(linter: &mut Linter<'_>, statement: &Statement, line: &CommandLine) {
    let CommandLine::Shell(_) = line else { return };
    let name = statement.keyword().to_uppercase();
    let message = format!(
        "JSON arguments recommended for {name} to prevent unintended behavior related to OS signals"
    );
    linter.report(Rule::JSONArgsRecommended, statement, statement.head(), message);
}

fn ports(linter: &mut Linter<'_>, statement: &Statement, expose: &Expose) {
    let nothing: &[(&str, &str)] = &[];
    for word in &expose.ports {
        // What a variable holds is the build's to check.
        if word.text.contains('$') {
            continue;
        }
        for text in expand_words(&word.text, nothing, &linter.expand_options()).unwrap_or_default()
        {
            if let Err(error) = parse_ports(&text) {
                linter.found.error(Code::InvalidPort, word.span, error.to_string());
                continue;
            }
            let (address, port) = text.rsplit_once(':').unwrap_or(("", &text));
            let protocol = port.split_once('/').map_or("", |(_, protocol)| protocol);
            if protocol != protocol.to_lowercase() {
                let message =
                    format!("Defined protocol '{text}' in EXPOSE instruction should be lowercase");
                linter.report(Rule::ExposeProtoCasing, statement, word.span, message);
            }
            if !address.is_empty() {
                let message = format!(
                    "EXPOSE instruction should not define an IP address or host-port mapping, found '{text}'"
                );
                linter.report(Rule::ExposeInvalidFormat, statement, word.span, message);
            }
        }
    }
}

fn secret(linter: &mut Linter<'_>, statement: &Statement, keyword: &str, name: &str, span: Span) {
    const SECRETS: [&str; 10] = [
        "apikey",
        "auth",
        "credential",
        "credentials",
        "key",
        "password",
        "pword",
        "passwd",
        "secret",
        "token",
    ];
    const HARMLESS: [&str; 3] = ["public", "file", "version"];
    let folded = name.to_lowercase();
    let has = |words: &[&str]| folded.split('_').any(|part| words.contains(&part));
    if has(&SECRETS) && !has(&HARMLESS) {
        let message =
            format!("Do not use ARG or ENV instructions for sensitive data ({keyword} {name:?})");
        let help = "hand it to the one RUN that needs it: RUN --mount=type=secret,id=…";
        let rule = Rule::SecretsUsedInArgOrEnv;
        let found = Diagnostic::warning(Code::Lint(rule), span, message).with_help(help);
        linter.report_with(rule, statement, found);
    }
}

/// Commands that install packages of the system, and need nothing of the context.
const INSTALLERS: [&str; 8] = [
    "apt-get install",
    "apt install",
    "apk add",
    "dnf install",
    "yum install",
    "microdnf install",
    "zypper install",
    "pacman -S",
];

fn installs(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().filter(|word| !word.starts_with("--")).collect();
    let joined = words.iter().filter(|word| **word != "-y" && **word != "-qq" && **word != "-q");
    let joined = joined.copied().collect::<Vec<_>>().join(" ");
    INSTALLERS.iter().any(|installer| joined.contains(installer))
}

/// Packages are installed before the context is copied.
fn order(linter: &mut Linter<'_>, stage: &Stage<'_>) {
    let mut copied: Option<&Statement> = None;
    for (statement, instruction) in &stage.steps {
        match instruction {
            Instruction::Copy(copy) if copy.from.is_none() && takes_context(&copy.sources) => {
                copied = copied.or(Some(statement));
            }
            Instruction::Run(run) => {
                let Some(earlier) = copied else { continue };
                let body = run.heredocs.iter().any(|heredoc| installs(&heredoc.text));
                if body || run.command.words().iter().any(|text| installs(text)) {
                    let rule = Rule::CopyBeforeInstall;
                    let message =
                        "Packages are installed again whenever a file of the context changes";
                    let found = Diagnostic::warning(Code::Lint(rule), statement.head(), message)
                        .with_note(Some(earlier.head()), "the whole context is copied here")
                        .with_help("put this RUN above the copy");
                    linter.report_with(rule, statement, found);
                    return;
                }
            }
            _ => {}
        }
    }
}

fn takes_context(sources: &[CopySource]) -> bool {
    sources.iter().any(|source| match source {
        CopySource::Path(word) => matches!(word.text.as_str(), "." | "./" | "/" | "./." | "*"),
        CopySource::Heredoc(_) => false,
    })
}

/// An ARG stands above a RUN that does not name it, and is first named below.
fn early_arguments(linter: &mut Linter<'_>, stage: &Stage<'_>) {
    // Of each argument that is waiting for its first use, the first RUN since.
    let mut waiting: Vec<(&Statement, &str, Span, Option<Span>)> = Vec::new();
    for (statement, instruction) in &stage.steps {
        let is_run = matches!(instruction, Instruction::Run(_));
        let text = statement.text();
        waiting.retain_mut(|(argument, name, span, run)| {
            let body = statement.heredocs().iter().any(|heredoc| names(&heredoc.text, name));
            if !body && !names(text, name) {
                if is_run && run.is_none() {
                    *run = Some(statement.keyword_span());
                }
                return true;
            }
            if let Some(run) = run {
                let rule = Rule::ArgInvalidatesBelow;
                let message =
                    format!("Another value of {name} makes a RUN run again that does not need it");
                let found = Diagnostic::warning(Code::Lint(rule), *span, message)
                    .with_note(Some(*run), "this one")
                    .with_note(Some(statement.keyword_span()), "it is first used here")
                    .with_help("move the ARG down to its first use");
                linter.report_with(rule, argument, found);
            }
            false
        });
        if let Instruction::Arg(arg) = instruction {
            let items = arg.items.iter().filter(|item| !is_predefined(&item.name.text));
            // More than these are waiting in no real file; each costs time at every instruction.
            let room = 32usize.saturating_sub(waiting.len());
            waiting.extend(
                items
                    .take(room)
                    .map(|item| (*statement, item.name.text.as_str(), item.name.span, None)),
            );
        }
    }
}

/// Whether a word of a text is this name.
fn names(text: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    !name.is_empty()
        && text.match_indices(name).any(|(at, _)| {
            !text[..at].ends_with(is_word) && !text[at + name.len()..].starts_with(is_word)
        })
}
