//! The flags that each instruction has.

use crate::diagnostic::{Code, Collector, Diagnostic};
use crate::statement::{Flag, Statement, Word};
use crate::suggest::{did_you_mean, nearest};

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing, or `true` or `false`.
    Bool,
    /// A value, once.
    Value,
    /// A value, any number of times.
    Values,
}

/// The flags of an instruction.
pub(crate) fn known_flags(keyword: &str) -> &'static [(&'static str, Kind)] {
    use Kind::{Bool, Value, Values};
    match keyword {
        "ADD" => &[
            ("checksum", Value),
            ("chmod", Value),
            ("chown", Value),
            ("exclude", Values),
            ("keep-git-dir", Bool),
            ("link", Bool),
            ("unpack", Bool),
        ],
        "COPY" => &[
            ("chmod", Value),
            ("chown", Value),
            ("exclude", Values),
            ("from", Value),
            ("link", Bool),
            ("parents", Bool),
        ],
        "FROM" => &[("after", Values), ("platform", Value)],
        "HEALTHCHECK" => &[
            ("interval", Value),
            ("retries", Value),
            ("start-interval", Value),
            ("start-period", Value),
            ("timeout", Value),
        ],
        "RUN" => &[("device", Values), ("mount", Values), ("network", Value), ("security", Value)],
        _ => &[],
    }
}

/// The flags of a statement, each of them known to its instruction.
pub(super) struct Flags<'a> {
    used: &'a [Flag],
}

impl<'a> Flags<'a> {
    /// Checks the flags; `None` if there is an error among them.
    pub(super) fn check(
        statement: &'a Statement,
        keyword: &str,
        diagnostics: &mut Collector,
    ) -> Option<Self> {
        let known = known_flags(keyword);
        let used = statement.flags();
        let mut ok = true;
        for (index, flag) in used.iter().enumerate() {
            if diagnostics.is_full() {
                return None;
            }
            if let Err(diagnostic) = check_flag(flag, known, &used[..index], keyword) {
                diagnostics.push(diagnostic);
                ok = false;
            }
        }
        ok.then_some(Self { used })
    }

    /// The value of a flag.
    pub(super) fn value(&self, name: &str) -> Option<Word> {
        self.used.iter().find(|flag| flag.name() == name).and_then(word)
    }

    /// The values of a flag.
    pub(super) fn values(&self, name: &str) -> Vec<Word> {
        self.used.iter().filter(|flag| flag.name() == name).filter_map(word).collect()
    }

    /// The value of a flag that is true or false.
    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        let flag = self.used.iter().find(|flag| flag.name() == name)?;
        Some(flag.value().is_none_or(|value| value.eq_ignore_ascii_case("true")))
    }
}

fn word(flag: &Flag) -> Option<Word> {
    let start = flag.text.find('=')? + 1;
    Some(Word::new(flag.text.slice(start..flag.text.len()), flag.value_span()))
}

fn check_flag(
    flag: &Flag,
    known: &[(&'static str, Kind)],
    used: &[Flag],
    keyword: &str,
) -> Result<(), Diagnostic> {
    let name = flag.name();
    let error = |code, message: String| Err(Diagnostic::error(code, flag.span, message));
    let Some((_, kind)) = known.iter().find(|(known, _)| *known == name) else {
        let near = nearest(name, known.iter().map(|(name, _)| *name), false);
        let message = format!("unknown flag: --{}{}", name.escape_debug(), did_you_mean(near));
        let all: Vec<String> = known.iter().map(|(name, _)| format!("--{name}")).collect();
        let help = match all.as_slice() {
            [] => format!("{keyword} has no flags"),
            all => format!("{keyword} has {}", all.join(", ")),
        };
        return Err(Diagnostic::error(Code::UnknownFlag, flag.span, message).with_help(help));
    };
    if *kind != Kind::Values && used.iter().any(|other| other.name() == name) {
        return error(Code::DuplicateFlag, format!("duplicate flag specified: --{name}"));
    }
    match (kind, flag.value()) {
        (Kind::Bool, None) | (Kind::Value | Kind::Values, Some(_)) => Ok(()),
        (Kind::Bool, Some("")) | (_, None) => {
            error(Code::MissingFlagValue, format!("missing a value on flag: --{name}"))
        }
        (Kind::Bool, Some(value)) => {
            if value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false") {
                return Ok(());
            }
            let value = value.escape_debug();
            let message = format!("expecting boolean value for flag --{name}, not: {value}");
            error(Code::InvalidFlagValue, message)
        }
    }
}
