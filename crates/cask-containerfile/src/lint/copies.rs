//! Rules about COPY and ADD.

use super::{Linter, Rule};
use crate::diagnostic::{Code, Diagnostic};
use crate::ignore::{IgnoreFile, clean};
use crate::instruction::{CopySource, Instruction};
use crate::statement::{Statement, Word};

/// COPY or ADD.
struct Copied<'a> {
    statement: &'a Statement,
    paths: Vec<&'a Word>,
    /// Heredocs among them.
    sources: usize,
    destination: &'a Word,
    mode: Option<&'a Word>,
    /// They are from the context.
    is_local: bool,
    /// It is an ADD, with a checksum or without.
    add: Option<bool>,
}

pub(super) fn check(linter: &mut Linter<'_>) {
    let tree = linter.tree;
    for statement in tree.statements() {
        let copied = match statement.instruction() {
            Some(Instruction::Copy(copy)) => Copied {
                statement,
                paths: paths(&copy.sources),
                sources: copy.sources.len(),
                destination: &copy.destination,
                mode: copy.mode.as_ref(),
                is_local: copy.from.is_none(),
                add: None,
            },
            Some(Instruction::Add(add)) => Copied {
                statement,
                paths: paths(&add.sources),
                sources: add.sources.len(),
                destination: &add.destination,
                mode: add.mode.as_ref(),
                is_local: true,
                add: Some(add.checksum.is_some()),
            },
            _ => continue,
        };
        destination(linter, &copied);
        mode(linter, &copied);
        remote(linter, &copied);
        for path in copied.paths.iter().filter(|path| copied.is_local && !is_remote(&path.text)) {
            ignored(linter, &copied, path);
            secret(linter, &copied, path);
        }
    }
}

fn paths(sources: &[CopySource]) -> Vec<&Word> {
    let paths = sources.iter().filter_map(|source| match source {
        CopySource::Path(word) => Some(word),
        CopySource::Heredoc(_) => None,
    });
    paths.collect()
}

fn is_remote(path: &str) -> bool {
    path.contains("://") || path.starts_with("git@")
}

fn destination(linter: &mut Linter<'_>, copied: &Copied<'_>) {
    let text = &copied.destination.text;
    let is_directory = text.ends_with(['/', '\\']) || matches!(text.as_str(), "." | "..");
    if copied.sources > 1 && !is_directory && !text.ends_with("/.") && !text.contains('$') {
        let message =
            format!("The destination {text:?} of several sources does not end with a slash");
        let help = format!("write {text}/: it is a directory whether it is there or not");
        let rule = Rule::ImplicitDirectoryDest;
        let found = Diagnostic::warning(Code::Lint(rule), copied.destination.span, message);
        linter.report_with(rule, copied.statement, found.with_help(help));
    }
}

fn mode(linter: &mut Linter<'_>, copied: &Copied<'_>) {
    let Some(mode) = copied.mode else { return };
    let Ok(bits) = u32::from_str_radix(&mode.text, 8) else { return };
    let is_directory =
        |path: &&&Word| matches!(path.text.as_str(), "." | "..") || path.text.ends_with(['/', '.']);
    if bits & 0o111 == 0
        && let Some(path) = copied.paths.iter().find(is_directory)
    {
        let message =
            format!("The mode {} makes the directories of {} inaccessible", mode.text, path.text);
        let help = "write --chmod=u=rwX,go=rX: X gives x to directories alone";
        let rule = Rule::ChmodStripsDirX;
        let found = Diagnostic::warning(Code::Lint(rule), mode.span, message).with_help(help);
        linter.report_with(rule, copied.statement, found);
    }
}

fn remote(linter: &mut Linter<'_>, copied: &Copied<'_>) {
    if copied.add != Some(false) {
        return;
    }
    for path in &copied.paths {
        let text = path.text.to_lowercase();
        let is_http = text.starts_with("http://") || text.starts_with("https://");
        let name = text.split(['#', '?']).next().unwrap_or_default();
        if is_http && !name.ends_with(".git") {
            let message = format!("What {} gives is not checked", path.text);
            let help = "add --checksum=sha256:…";
            let rule = Rule::AddRemoteWithoutChecksum;
            let found = Diagnostic::warning(Code::Lint(rule), path.span, message).with_help(help);
            linter.report_with(rule, copied.statement, found);
        }
    }
}

fn ignored(linter: &mut Linter<'_>, copied: &Copied<'_>, path: &Word) {
    let Some(file) = linter.options.ignore else { return };
    let source = clean(&path.text);
    let relative = source.trim_start_matches('/');
    let rule = if relative.is_empty() || source == "." {
        if file.has_exceptions() { None } else { everything(file) }
    } else {
        let decision = file.decide(relative);
        decision.rule.filter(|_| decision.is_ignored && !file.may_keep_below(relative))
    };
    let Some(rule) = rule.and_then(|index| file.rules().get(index)) else { return };
    let verb = if copied.add.is_some() { "Add" } else { "Copy" };
    let message = format!("Attempting to {verb} file {source:?} that is excluded by .dockerignore");
    let note = match rule.line {
        0 => format!("the rule is {:?}", rule.pattern),
        line => format!("the rule is {:?}, on line {line} of the ignore file", rule.pattern),
    };
    let found = Diagnostic::warning(Code::Lint(Rule::CopyIgnoredFile), path.span, message);
    linter.report_with(Rule::CopyIgnoredFile, copied.statement, found.with_note(None, note));
}

/// The rule that excludes all that is in the context.
fn everything(file: &IgnoreFile) -> Option<usize> {
    file.rules().iter().position(|rule| matches!(rule.pattern.as_str(), "*" | "**" | "**/*"))
}

fn secret(linter: &mut Linter<'_>, copied: &Copied<'_>, path: &Word) {
    const NAMES: [&str; 13] = [
        "id_rsa",
        "id_dsa",
        "id_ecdsa",
        "id_ed25519",
        ".netrc",
        "_netrc",
        ".npmrc",
        ".pypirc",
        ".git-credentials",
        ".env",
        ".htpasswd",
        ".pgpass",
        ".vault-token",
    ];
    const ENDS: [&str; 6] =
        [".aws/credentials", ".docker/config.json", ".kube/config", ".p12", ".pfx", ".ppk"];
    let text = path.text.trim_end_matches('/').to_lowercase();
    let name = text.rsplit(['/', '\\']).next().unwrap_or_default();
    if NAMES.contains(&name) || ENDS.iter().any(|end| text.ends_with(end)) {
        let message =
            format!("{} looks like a secret, and whoever has the image can read it", path.text);
        let help = "use RUN --mount=type=secret, which leaves nothing in a layer";
        let rule = Rule::SecretCopiedIntoLayer;
        let found = Diagnostic::warning(Code::Lint(rule), path.span, message).with_help(help);
        linter.report_with(rule, copied.statement, found);
    }
}
