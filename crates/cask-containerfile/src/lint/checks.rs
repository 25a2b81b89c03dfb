//! Which lints run: `# check=skip=A,B;error=true;experimental=all`.

use std::collections::BTreeSet;
use std::fmt;

use super::Rule;

/// Which lints run, and whether what they find is an error.
///
/// A name that is no rule is kept out silently: it may be one of a newer builder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checks {
    /// Rules that do not run.
    pub skipped: BTreeSet<Rule>,
    /// No rule runs, but experimental ones that are asked for.
    pub skips_all: bool,
    /// Experimental rules that run.
    pub experimental: BTreeSet<Rule>,
    /// All experimental rules run.
    pub is_experimental: bool,
    /// What is found fails the build.
    pub is_error: bool,
}

/// A text that says nothing about lints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckError {
    option: String,
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "invalid check option {:?}: use skip=RULE,RULE or skip=all, error=true, experimental=RULE",
            self.option
        )
    }
}

impl std::error::Error for CheckError {}

impl Checks {
    /// Reads the value of the `check` directive, or of the argument `BUILDKIT_DOCKERFILE_CHECK`.
    ///
    /// # Errors
    ///
    /// An option is none of `skip`, `error` and `experimental`, or `error` is neither true nor
    /// false.
    pub fn parse(text: &str) -> Result<Self, CheckError> {
        let mut checks = Self::default();
        if text.trim().is_empty() {
            return Ok(checks);
        }
        for option in text.split(';') {
            let refuse = || CheckError { option: option.to_owned() };
            let (key, value) = option.split_once('=').ok_or_else(refuse)?;
            let rules = || value.split(',').filter_map(|name| Rule::from_name(name.trim()));
            match (key.trim(), value.trim()) {
                ("skip", "all") => checks.skips_all = true,
                ("skip", _) => checks.skipped.extend(rules()),
                ("experimental", "all") => checks.is_experimental = true,
                ("experimental", _) => checks.experimental.extend(rules()),
                ("error", "1" | "t" | "T" | "true" | "TRUE" | "True") => checks.is_error = true,
                ("error", "0" | "f" | "F" | "false" | "FALSE" | "False") => checks.is_error = false,
                _ => return Err(refuse()),
            }
        }
        Ok(checks)
    }

    /// What a comment above an instruction says: `# check=skip=RULE`.
    pub(super) fn of_comment(comment: &str) -> Option<Self> {
        let text = comment.trim_start_matches('#').trim();
        let (key, value) = text.split_once('=')?;
        if !key.trim_end().eq_ignore_ascii_case("check") {
            return None;
        }
        // What is behind a blank is the reason.
        Self::parse(value.trim().split(' ').next().unwrap_or_default()).ok()
    }

    /// Adds what another says.
    pub fn merge(&mut self, other: &Self) {
        self.skipped.extend(&other.skipped);
        self.experimental.extend(&other.experimental);
        self.skips_all |= other.skips_all;
        self.is_experimental |= other.is_experimental;
        self.is_error |= other.is_error;
    }

    /// Whether a rule runs.
    #[must_use]
    pub fn runs(&self, rule: Rule) -> bool {
        if rule.is_experimental() {
            return self.is_experimental || self.experimental.contains(&rule);
        }
        !self.skips_all && !self.skipped.contains(&rule)
    }
}
