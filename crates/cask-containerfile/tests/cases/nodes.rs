//! Trees as the tables have them.

use cask_containerfile::{Arguments, Heredoc, Statement, Tree, Word};
use serde_json::{Map, Value, json};

fn words(words: &[Word]) -> Vec<Value> {
    words.iter().map(|word| json!(word.text.as_str())).collect()
}

fn arguments(statement: &Statement, arguments: &Arguments) -> Vec<Value> {
    match arguments {
        Arguments::None => Vec::new(),
        Arguments::Json(all) | Arguments::Words(all) => words(all),
        // Of what BuildKit does not know, it keeps one empty word.
        Arguments::Text(_) if statement.instruction().is_none() && is_unknown(statement) => {
            vec![json!("")]
        }
        Arguments::Text(word) => vec![json!(word.text.as_str())],
        Arguments::Pairs(pairs) => pairs
            .iter()
            .map(|p| json!({"key": p.key.text.as_str(), "value": p.value.text.as_str()}))
            .collect(),
        Arguments::Typed(typed) => {
            let (kind, rest) = &**typed;
            let mut all = vec![json!(kind.text.as_str())];
            all.extend(self::arguments(statement, rest));
            all
        }
        Arguments::Trigger(trigger) => vec![json!({"children": [node(trigger, 0, 0)]})],
        other => panic!("unknown arguments {other:?}"),
    }
}

fn is_unknown(statement: &Statement) -> bool {
    let name = statement.keyword().to_uppercase();
    !cask_containerfile::instruction::NAMES.contains(&name.as_str())
}

fn heredoc(heredoc: &Heredoc) -> Value {
    json!({
        "chomp": heredoc.strips_tabs,
        "content": heredoc.text.as_str(),
        "expand": heredoc.expands,
        "fd": heredoc.descriptor,
        "name": heredoc.name.as_str(),
    })
}

fn node(statement: &Statement, start: usize, end: usize) -> Value {
    let mut args = arguments(statement, &statement.arguments);
    if is_unknown(statement) {
        args = vec![json!("")];
    }
    let mut node = Map::new();
    node.insert("args".to_owned(), Value::Array(args));
    node.insert("end_line".to_owned(), json!(end));
    node.insert("instruction".to_owned(), json!(statement.keyword().to_lowercase()));
    node.insert("original".to_owned(), json!(statement.text()));
    node.insert("start_line".to_owned(), json!(start));
    if !statement.flags().is_empty() {
        let flags: Vec<&str> = statement.flags().iter().map(|f| f.text.as_str()).collect();
        node.insert("flags".to_owned(), json!(flags));
    }
    if statement.is_json() {
        node.insert("json".to_owned(), json!(true));
    }
    let is_outer = end > 0;
    if !statement.heredocs().is_empty() && is_outer {
        let all: Vec<Value> = statement.heredocs().iter().map(heredoc).collect();
        node.insert("heredocs".to_owned(), Value::Array(all));
    }
    Value::Object(node)
}

/// The nodes of a file.
pub(crate) fn nodes(tree: &Tree) -> Value {
    let all = tree.statements().map(|statement| {
        let lines = tree.lines();
        node(statement, lines.line(statement.span.start()), lines.line(statement.span.end() - 1))
    });
    Value::Array(all.collect())
}

/// The first part that differs.
pub(crate) fn difference(found: &Value, expected: &Value) -> String {
    match (found, expected) {
        (Value::Array(a), Value::Array(b)) => {
            let differ = a.iter().zip(b).find(|(a, b)| a != b);
            match differ {
                Some((a, b)) => difference(a, b),
                None => format!("{} members, not {}: {found} not {expected}", a.len(), b.len()),
            }
        }
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys());
            let differ = keys.into_iter().find(|key| a.get(*key) != b.get(*key));
            match differ {
                Some(key) => match (a.get(key), b.get(key)) {
                    (Some(x), Some(y)) => format!("{key}: {}", difference(x, y)),
                    (x, y) => format!("{key}: {x:?}, not {y:?}"),
                },
                None => String::new(),
            }
        }
        _ => format!("{found}, not {expected}"),
    }
}
