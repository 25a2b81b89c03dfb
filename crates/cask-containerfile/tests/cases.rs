//! The tables of cases from the field.
//!
//! They are read from the folder that `CASK_CASES` names. Where it is unset, the tests fail if
//! `CI` is set and pass otherwise.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

#[path = "cases/nodes.rs"]
mod nodes;
#[path = "cases/typed.rs"]
mod typed;

use std::collections::BTreeMap;

use cask_containerfile::{
    Dialect, Escape, ExpandOptions, IgnoreFile, ParseOptions, Severity, expand, expand_words,
    parse, parse_with,
};
use serde_json::{Value, json};

/// Reads a table, or `None` where there are none.
fn table(name: &str) -> Option<Value> {
    cask_cases::document(name)
}

/// Fails with all that differ, and where a deviation is listed that is none.
fn assert_deviations(wrong: &[(String, String)], listed: &[&str]) {
    let unlisted: Vec<String> = wrong
        .iter()
        .filter(|(id, _)| !listed.contains(&id.as_str()))
        .map(|(id, what)| format!("{id}: {what}"))
        .collect();
    assert!(unlisted.is_empty(), "{} differ:\n{}", unlisted.len(), unlisted.join("\n"));
    let kept: Vec<_> =
        listed.iter().filter(|id| !wrong.iter().any(|(wrong, _)| wrong == *id)).collect();
    assert!(kept.is_empty(), "these are as expected, and listed as deviations: {kept:?}");
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_else(|| panic!("no {key} in {row}"))
}

/// What we do otherwise than BuildKit in `dockerfile-parse.json`:
/// - we read lines of up to 2 MiB, as Buildah does, where BuildKit stops at 64 KiB;
/// - names of stages may have symbols, and variables, as with Buildah.
const PARSE_DEVIATIONS: &[&str] = &[
    "ib/long-text",
    "ib-td/Dockerfile.target",
    "buildah-bud/base-with-arg/Containerfile",
    "buildah-bud/save-stages/Dockerfile.arg-build-stages-and-chained-build-stages",
];

#[test]
fn files_are_parsed_as_buildkit_does() {
    let Some(table) = table("dockerfile-parse.json") else { return };
    let rows = table["cases"].as_array().unwrap();
    assert_eq!(rows.len(), 671);
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        let source = text(row, "dockerfile");
        let expected = &row["buildkit"];
        let parsed = parse(source);
        assert_eq!(parsed.tree.print(), source);
        let mut refuse = |what: String| wrong.push((text(row, "id").to_owned(), what));
        if let Some(nodes) = expected.get("nodes") {
            *counts.entry("nodes").or_default() += 1;
            let found = nodes::nodes(&parsed.tree);
            if found != *nodes {
                refuse(nodes::difference(&found, nodes));
            }
        }
        let errors: Vec<_> =
            parsed.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
        let messages: Vec<&str> = errors.iter().map(|d| d.message.as_str()).collect();
        if let Some(error) = expected.get("parse_error").and_then(Value::as_str) {
            *counts.entry("parse errors").or_default() += 1;
            if !messages.iter().any(|message| message.starts_with(error)) {
                refuse(format!("{error}: found {messages:?}"));
            }
        } else if let Some(error) = expected.get("instruction_error").and_then(Value::as_str) {
            *counts.entry("instruction errors").or_default() += 1;
            let line = parsed.tree.lines().line(errors.first().map_or(0, |d| d.span.start()));
            let places =
                parsed.diagnostics.iter().map(|d| parsed.tree.lines().line(d.span.start()));
            let told = places.zip(&parsed.diagnostics).any(|(at, d)| {
                let full = format!("dockerfile parse error on line {at}: {}", d.message);
                (full == error || d.message == error) && d.severity == Severity::Error && at >= line
            });
            if !told {
                refuse(format!("{error}: found {messages:?}"));
            }
        } else {
            *counts.entry("stages").or_default() += 1;
            let found = typed::stages(&parsed.tree);
            if !errors.is_empty() && messages != ["dockerfile contains no stages to build"] {
                refuse(format!("unexpected {messages:?}"));
            } else if found != expected["stages"] {
                refuse(nodes::difference(&found, &expected["stages"]));
            } else if let Some(meta) = expected.get("meta_args")
                && typed::globals(&parsed.tree) != *meta
            {
                refuse(nodes::difference(&typed::globals(&parsed.tree), meta));
            }
        }
    }
    let counts: Vec<_> = counts.into_iter().collect();
    assert_deviations(&wrong, PARSE_DEVIATIONS);
    let expected =
        [("instruction errors", 143), ("nodes", 662), ("parse errors", 9), ("stages", 519)];
    assert_eq!(counts, expected);
}

/// What we do otherwise than imagebuilder in `dockerfile-parse.json`, also in its dialect:
/// - directives are read by the newer rules: a `syntax` before `escape` does not end them, and an
///   escape of two characters is an error, not its first character.
const IMAGEBUILDER_DEVIATIONS: &[&str] = &["bk/escape-with-syntax", "ib/escape-nonewline"];

#[test]
fn files_are_parsed_as_imagebuilder_does_where_that_changes_the_result() {
    let Some(table) = table("dockerfile-parse.json") else { return };
    let rows = table["cases"].as_array().unwrap();
    let mut options = ParseOptions::default();
    options.dialect = Dialect::Buildah;
    let mut wrong = Vec::new();
    let mut count = 0;
    for row in rows {
        let Some(nodes) = row["imagebuilder"].get("nodes") else { continue };
        count += 1;
        let parsed = parse_with(text(row, "dockerfile"), &options);
        assert_eq!(parsed.tree.print(), text(row, "dockerfile"));
        let mut found = nodes::nodes(&parsed.tree);
        // It keeps the end of the line before the body, rather than that of the body's last line.
        for heredoc in found
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .filter_map(|n| n.get_mut("heredocs"))
            .flat_map(|h| h.as_array_mut().unwrap())
        {
            let body = heredoc["content"].as_str().unwrap();
            let body = if body.is_empty() {
                String::new()
            } else {
                format!("\n{}", body.strip_suffix('\n').unwrap_or(body))
            };
            heredoc["content"] = json!(body);
        }
        if found != *nodes {
            wrong.push((text(row, "id").to_owned(), nodes::difference(&found, nodes)));
        }
    }
    // The 35th is an error.
    assert_eq!(count, 34);
    assert_deviations(&wrong, IMAGEBUILDER_DEVIATIONS);
}

fn variables(row: &Value) -> Vec<(String, String)> {
    let pair = |text: &Value| {
        let text = text.as_str().unwrap();
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    };
    row["env"].as_array().unwrap().iter().map(pair).collect()
}

fn outcome(result: Result<(String, Vec<String>), String>) -> Value {
    match result {
        Ok((word, words)) if words.is_empty() => json!({"word": word, "words": null}),
        Ok((word, words)) => json!({"word": word, "words": words}),
        Err(error) => json!({"error": error, "words_error": error}),
    }
}

fn expansion(row: &Value, dialect: Dialect) -> Value {
    let mut options = ExpandOptions::default();
    options.dialect = dialect;
    options.escape = if text(row, "escape") == "`" { Escape::Backtick } else { Escape::Backslash };
    let variables = variables(row);
    let word = expand(text(row, "word"), &variables[..], &options);
    let words = expand_words(text(row, "word"), &variables[..], &options);
    outcome(word.and_then(|word| Ok((word.text, words?))).map_err(|error| error.to_string()))
}

/// Whether the words of a row lack some of the text of its one word.
fn loses_words(row: &Value) -> bool {
    let expected = &row["buildkit"];
    let whole = expected["word"].as_str().unwrap_or_default();
    let words: Vec<&str> =
        expected["words"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let has_operand = [":-", ":+", ":?", "-", "+", "?", "#", "%", "/"]
        .iter()
        .any(|m| text(row, "word").contains(m));
    has_operand && words.concat().len() < whole.split_whitespace().collect::<String>().len()
}

#[test]
fn files_of_the_field_are_formatted_without_another_meaning() {
    let Some(table) = table("dockerfile-parse.json") else { return };
    let rows = table["cases"].as_array().unwrap();
    let mut changed = 0;
    for row in rows {
        let before = parse(text(row, "dockerfile"));
        let formatted = cask_containerfile::format(&before.tree);
        let after = parse(&formatted);
        let messages = |parsed: &cask_containerfile::Parsed| -> Vec<String> {
            parsed.diagnostics.iter().map(|d| d.message.clone()).collect()
        };
        assert_eq!(messages(&before), messages(&after), "{row}");
        let instructions = |stages: Value| {
            let mut text = stages.to_string();
            text.make_ascii_uppercase();
            text
        };
        assert_eq!(
            instructions(typed::stages(&before.tree)),
            instructions(typed::stages(&after.tree)),
            "{row}"
        );
        assert_eq!(cask_containerfile::format(&after.tree), formatted, "{row}");
        changed += usize::from(formatted != before.tree.source());
    }
    assert!(changed > 100, "{changed} of {} files are changed", rows.len());
}

/// Splitting into words, BuildKit loses the text before a `${v:-w}` or the like, as its buffer is
/// emptied by what is nested. The word that it gives unsplit is ours, and so is Buildah's split.
const LOST_WORDS: &[&str] = &[
    "he${XXX:-000}xx",
    "he${PWD:-000}xx",
    "he${XXX:-$PWD}xx",
    "he${XXX:-${PWD:-yyy}}xx",
    "he${XXX:-${YYY:-yyy}}xx",
    "he${PWD?}",
    "he${PWD:?}",
    "he${NULL?}",
    "he${XXX:+${PWD}}xx",
    "he${PWD:+${XXX}}xx",
    "he${PWD:+${SHELL}}xx",
    "he${XXX:+000}xx",
    "he${PWD:+000}xx",
    "he${PWD:+${PWD}:}xx",
    "he${XXX:-\\$PWD:}xx",
    "he${XXX:-\\${PWD}z}xx",
    "안녕${XXX:-000}xx",
    "안녕${PWD:-000}xx",
    "안녕${XXX:-$PWD}xx",
    "안녕${XXX:-${PWD:-yyy}}xx",
    "안녕${XXX:-${YYY:-yyy}}xx",
    "안녕${XXX:+${PWD}}xx",
    "안녕${PWD:+${XXX}}xx",
    "안녕${PWD:+${SHELL}}xx",
    "안녕${XXX:+000}xx",
    "안녕${PWD:+000}xx",
    "안녕${PWD:+${PWD}:}xx",
    "안녕${XXX:-\\$PWD:}xx",
    "안녕${XXX:-\\${PWD}z}xx",
    "${ABC:-.}${FOO%x}${ABC:-.}",
];

/// At the end of the text, BuildKit complains of a modifier U+FFFD, which is none; we, of the brace
/// that is missing.
const MISSING_BRACES: &[&str] = &["he${PWD", "안녕${PWD", "${aaa"];

#[test]
fn words_are_expanded_as_buildkit_does() {
    let Some(table) = table("env-substitution.json") else { return };
    let rows = table["cases"].as_array().unwrap();
    assert_eq!(rows.len(), 428);
    let mut wrong = Vec::new();
    for row in rows {
        let found = expansion(row, Dialect::BuildKit);
        let expected = &row["buildkit"];
        if found == *expected {
            continue;
        }
        let name = text(row, "word").to_owned();
        // What is listed deviates in one way, and in no other.
        let is_known = if LOST_WORDS.contains(&name.as_str()) {
            found["word"] == expected["word"] && loses_words(row)
        } else if MISSING_BRACES.contains(&name.as_str()) {
            let error = expected["error"].as_str().unwrap_or_default();
            let own = found["error"].as_str().unwrap_or_default();
            error.ends_with("unsupported modifier (\u{fffd}) in substitution")
                && own.ends_with("missing '}'")
        } else {
            false
        };
        let listed = if is_known { String::new() } else { "another deviation: ".to_owned() };
        wrong.push((format!("{listed}{name}"), format!("{found}, not {expected}")));
    }
    assert_deviations(&wrong, &[LOST_WORDS, MISSING_BRACES].concat());
}

#[test]
fn paths_are_ignored_as_moby_does() {
    let Some(table) = table("ignore-patterns.json") else { return };
    let rows = table["cases"].as_array().unwrap();
    assert_eq!(rows.len(), 981);
    let mut wrong = Vec::new();
    for row in rows {
        let patterns = row["patterns"].as_array().unwrap().iter().map(|p| p.as_str().unwrap());
        let found = match IgnoreFile::from_patterns(patterns) {
            Ok(file) => json!(file.is_ignored(text(row, "path"))),
            Err(error) if error.is_lone_exception => json!("illegal exclusion pattern: \"!\""),
            Err(_) => json!("syntax error in pattern"),
        };
        let expected = row["moby"].get("error").unwrap_or(&row["moby"]["match"]);
        if found != *expected {
            wrong.push((
                format!("{} {}", row["patterns"], row["path"]),
                format!("{found}, not {expected}"),
            ));
        }
    }
    assert_deviations(&wrong, IGNORE_DEVIATIONS);
}

/// What we do otherwise than moby in `ignore-patterns.json`: nothing.
const IGNORE_DEVIATIONS: &[&str] = &[];

#[test]
fn ignore_files_are_read_as_moby_does() {
    let Some(table) = table("ignore-patterns.json") else { return };
    let rows = table["ignorefile"].as_array().unwrap();
    assert_eq!(rows.len(), 7);
    for row in rows {
        let expected: Vec<&str> =
            row["lines"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
        match IgnoreFile::parse(text(row, "content")) {
            Ok(file) => {
                let mark = |is_exception| if is_exception { "!" } else { "" };
                let found: Vec<String> = file
                    .rules()
                    .iter()
                    .map(|rule| format!("{}{}", mark(rule.is_exception), rule.pattern))
                    .collect();
                assert_eq!(found, expected, "{row}");
            }
            // Moby refuses these only when it matches.
            Err(error) => assert!(expected.contains(&error.pattern.as_str()), "{error} {row}"),
        }
    }
}

#[test]
fn words_are_expanded_as_imagebuilder_does_in_its_dialect() {
    let Some(table) = table("env-substitution.json") else { return };
    let rows = table["cases"].as_array().unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for row in rows {
        let expected = match &row["imagebuilder"] {
            Value::String(same) if same == "same" => &row["buildkit"],
            Value::String(_) => continue,
            own => own,
        };
        count += 1;
        let found = expansion(row, Dialect::Buildah);
        // The words of an error are its own, but for the prefix.
        let both = found["error"].is_string() && expected["error"].is_string();
        if !both && found != *expected {
            wrong.push((
                format!("{} {}", row["word"], row["env"]),
                format!("{found}, not {expected}"),
            ));
        }
    }
    assert_eq!(count, 422);
    assert_deviations(&wrong, &[]);
}
