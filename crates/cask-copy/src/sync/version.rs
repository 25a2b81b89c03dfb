//! Semantic versions, and what may be asked of them.
//!
//! Source: Masterminds/semver v3, `NewVersion`, `NewConstraint` and `Check`, which skopeo uses for
//! `images-by-semver`: versions may lack their last numbers, and a pre-release counts only where
//! the constraint names one.

use std::cmp::Ordering;

use super::select::{PatternError, PatternErrorKind};

/// The longest constraint that is read, in bytes.
const MAX_BYTES: usize = 4096;

/// A version. What follows a `+` does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Version {
    numbers: [u64; 3],
    pre: String,
}

/// What is asked of versions, such as `>=3.14, <4 || ~5.1`.
#[derive(Clone, Debug)]
pub struct VersionConstraint {
    text: String,
    /// One of these has to hold, with all its terms.
    alternatives: Vec<Vec<Term>>,
}

#[derive(Clone, Debug)]
struct Term {
    operator: Operator,
    version: Version,
    /// How many of the numbers were given: the others, and those that are `x`, may be any.
    given: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    /// As given: of `1.2`, any `1.2.x`.
    Is,
    IsNot,
    Greater,
    Less,
    AtLeast,
    AtMost,
    /// The same as far as given, but for the last number of three.
    Tilde,
    /// The same up to the first number that is not zero.
    Caret,
}

/// The operators, those first that begin with another.
const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::IsNot),
    (">=", Operator::AtLeast),
    ("=>", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("=<", Operator::AtMost),
    ("~>", Operator::Tilde),
    ("=", Operator::Is),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

impl VersionConstraint {
    /// Parses a constraint: terms of an operator (`=`, `!=`, `>`, `<`, `>=`, `<=`, `~`, `^`) and a
    /// version, joined by commas or spaces where all have to hold, by `||` where one has to;
    /// `1.2 - 1.4` is a range with both ends. An empty alternative holds for every version.
    ///
    /// # Errors
    /// If it is none, with the offset of what does not fit.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > MAX_BYTES {
            return Err(PatternError::new(PatternErrorKind::TooLong, text, MAX_BYTES));
        }
        let mut alternatives = Vec::new();
        let mut at = 0;
        for part in text.split("||") {
            let mut scan = Scan { text, at, end: at + part.len() };
            alternatives.push(scan.terms()?);
            at += part.len() + 2;
        }
        Ok(Self { text: text.to_owned(), alternatives })
    }

    /// Whether a tag is a version that fits. One that is no version does not.
    pub fn accepts(&self, tag: &str) -> bool {
        let Some(version) = Version::parse(tag) else { return false };
        self.alternatives.iter().any(|terms| {
            let takes_pre = terms.iter().any(|term| !term.version.pre.is_empty());
            (version.pre.is_empty() || takes_pre) && terms.iter().all(|term| term.accepts(&version))
        })
    }

    /// The constraint as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Term {
    fn accepts(&self, version: &Version) -> bool {
        let Self { operator, version: asked, given } = self;
        let given = *given;
        let same = |numbers: usize| version.numbers[..numbers] == asked.numbers[..numbers];
        match operator {
            Operator::Is if given == 3 => version.compare(asked) == Ordering::Equal,
            Operator::Is | Operator::Tilde => {
                // Of nothing but zeros, as of nothing at all, everything is near.
                let is_any = given == 0 || (given == 3 && asked.numbers == [0; 3]);
                version.compare(asked) != Ordering::Less && (is_any || same(given.min(2)))
            }
            Operator::IsNot if given == 3 => version.compare(asked) != Ordering::Equal,
            Operator::IsNot => !same(given) || (given == 2 && version.pre != asked.pre),
            Operator::Greater if given == 3 => version.compare(asked) == Ordering::Greater,
            Operator::Greater => version.numbers[..given] > asked.numbers[..given],
            Operator::Less => version.compare(asked) == Ordering::Less,
            Operator::AtLeast => version.compare(asked) != Ordering::Less,
            Operator::AtMost if given == 3 => version.compare(asked) != Ordering::Greater,
            Operator::AtMost => version.numbers[..given] <= asked.numbers[..given],
            Operator::Caret => {
                // The first number that is not zero, or else the last that was given.
                let leading = asked.numbers.iter().position(|number| *number > 0);
                let kept = leading.map_or(given, |place| place + 1).min(given);
                version.compare(asked) != Ordering::Less && same(kept)
            }
        }
    }
}

impl Version {
    /// Source: Masterminds/semver, `coerceNewVersion`.
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, metadata) = match text.split_once('+') {
            Some((text, metadata)) => (text, Some(metadata)),
            None => (text, None),
        };
        let (numbers, pre) = match text.split_once('-') {
            Some((numbers, pre)) => (numbers, Some(pre)),
            None => (text, None),
        };
        let mut version = Self::default();
        let mut places = version.numbers.iter_mut();
        for number in numbers.split('.') {
            *places.next()? = decimal(number)?;
        }
        let is_fit = |part: &str| !part.is_empty() && part.bytes().all(is_identifier);
        if !metadata.is_none_or(|metadata| metadata.split('.').all(is_fit)) {
            return None;
        }
        if let Some(pre) = pre {
            let is_padded = |part: &str| {
                part.len() > 1 && part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit())
            };
            if !pre.split('.').all(|part| is_fit(part) && !is_padded(part)) {
                return None;
            }
            pre.clone_into(&mut version.pre);
        }
        Some(version)
    }

    fn compare(&self, other: &Self) -> Ordering {
        let pre = match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => {
                let parts = |text: &str| text.split('.').map(Part::new).collect::<Vec<_>>();
                parts(&self.pre).cmp(&parts(&other.pre))
            }
        };
        self.numbers.cmp(&other.numbers).then(pre)
    }
}

/// A part of a pre-release: numbers come before words.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Word(String),
}

impl Part {
    fn new(text: &str) -> Self {
        decimal(text).map_or_else(|| Self::Word(text.to_owned()), Self::Number)
    }
}

/// A number without a sign.
fn decimal(text: &str) -> Option<u64> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit());
    if is_decimal { text.parse().ok() } else { None }
}

fn is_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// One alternative, read from the left.
struct Scan<'t> {
    text: &'t str,
    at: usize,
    end: usize,
}

impl<'t> Scan<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..self.end]
    }

    fn skip_spaces(&mut self) -> bool {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        rest.len() != self.rest().len()
    }

    fn fail<T>(&self) -> Result<T, PatternError> {
        Err(PatternError::new(PatternErrorKind::Version, self.text, self.at))
    }

    fn terms(&mut self) -> Result<Vec<Term>, PatternError> {
        let mut terms = Vec::new();
        self.skip_spaces();
        while !self.rest().is_empty() {
            let term = self.term()?;
            let from = self.at;
            let is_apart = self.skip_spaces();
            match self.rest().strip_prefix("- ").filter(|_| is_apart) {
                Some(_) if term.operator == Operator::Is => {
                    self.at += 2;
                    self.skip_spaces();
                    let mut last = self.term()?;
                    if last.operator != Operator::Is {
                        return self.fail();
                    }
                    last.operator = Operator::AtMost;
                    terms.extend([Term { operator: Operator::AtLeast, ..term }, last]);
                    self.skip_spaces();
                }
                Some(_) => return self.fail(),
                None => terms.push(term),
            }
            if self.rest().starts_with(',') {
                self.at += 1;
                self.skip_spaces();
                if self.rest().is_empty() {
                    return self.fail();
                }
            } else if !self.rest().is_empty() && self.at == from {
                return self.fail();
            }
        }
        Ok(terms)
    }

    fn term(&mut self) -> Result<Term, PatternError> {
        let known = OPERATORS.iter().find(|(sign, _)| self.rest().starts_with(sign));
        let operator = known.map_or(Operator::Is, |(sign, operator)| {
            self.at += sign.len();
            *operator
        });
        self.skip_spaces();
        let length = self.rest().find(|end: char| end.is_whitespace() || end == ',');
        let word = &self.rest()[..length.unwrap_or(self.rest().len())];
        let (word, given) = match filled(word) {
            Some(filled) => filled,
            None => return self.fail(),
        };
        let Some(version) = Version::parse(&word) else { return self.fail() };
        self.at += length.unwrap_or(self.rest().len());
        Ok(Term { operator, version, given })
    }
}

/// Puts zeros for the numbers that are missing or `x`, and tells how many were there before the
/// first of those.
fn filled(word: &str) -> Option<(String, usize)> {
    let word = word.strip_prefix('v').unwrap_or(word);
    let end = word.find(['-', '+']).unwrap_or(word.len());
    let (numbers, more) = word.split_at(end);
    let numbers: Vec<&str> = numbers.split('.').collect();
    let is_any = |number: &&str| matches!(*number, "x" | "X" | "*");
    let is_fit = |number: &&str| is_any(number) || decimal(number).is_some() && !number.is_empty();
    if numbers.len() > 3 || !numbers.iter().all(is_fit) {
        return None;
    }
    let given = numbers.iter().position(is_any).unwrap_or(numbers.len());
    let mut full: Vec<&str> = numbers[..given].to_vec();
    full.resize(3, "0");
    // Of what may be anything, nothing follows.
    let more = if given == 0 { more.split_once('+').map_or(more, |(pre, _)| pre) } else { more };
    Some((format!("{}{more}", full.join(".")), given))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(constraint: &str, fits: &[&str], fails: &[&str]) {
        let parsed = VersionConstraint::parse(constraint).expect("it is a constraint");
        assert_eq!(parsed.as_str(), constraint);
        for tag in fits {
            assert!(parsed.accepts(tag), "{constraint} should take {tag}");
        }
        for tag in fails {
            assert!(!parsed.accepts(tag), "{constraint} should not take {tag}");
        }
    }

    #[test]
    fn constraints_choose_as_those_of_masterminds() {
        check(">= 3.12.0", &["3.12.0", "v3.12.1", "4", "4.0"], &["3.11.9", "3.13.0-rc1", "x"]);
        check("*", &["1", "0.0.0", "1.2.3+build"], &["1.0-rc1", "latest", ""]);
        check("", &["1.2.3"], &["1.2.3-a"]);
        check("1.2.3", &["1.2.3", "v1.2.3", "1.2.3+x"], &["1.2.4", "1.2"]);
        check("1.2", &["1.2", "1.2.9"], &["1.3", "1.1.9"]);
        check("=1.x", &["1", "1.9.9"], &["2", "0.9"]);
        check("!=1.2.3", &["1.2.4", "1"], &["1.2.3"]);
        check("!=1.2", &["1.3", "2.2"], &["1.2.0", "1.2.7"]);
        check("!=1", &["2"], &["1.2.0", "1"]);
        check(">1.2.3", &["1.2.4", "2"], &["1.2.3", "1.2"]);
        check(">11", &["12"], &["11.1.0", "11"]);
        check(">11.1", &["11.2.1", "12"], &["11.1.1"]);
        check("<1.2", &["1.1.9"], &["1.2", "1.2.1"]);
        check("<=1.2", &["1.2.9", "1.1"], &["1.3"]);
        check("=<1.2.3", &["1.2.3"], &["1.2.4"]);
        check("=>1.2", &["1.2.0"], &["1.1"]);
        check("~1.2.3", &["1.2.3", "1.2.9"], &["1.3.0", "1.2.2"]);
        check("~1.2", &["1.2.0"], &["1.3"]);
        check("~>1", &["1.9"], &["2"]);
        check("^1.2.3", &["1.2.3", "1.9"], &["2", "1.2.2"]);
        check("^0.2.3", &["0.2.9"], &["0.3.0", "0.2.2"]);
        check("^0.0.3", &["0.0.3"], &["0.0.4"]);
        check("^0.0", &["0.0.9"], &["0.1.0"]);
        check("^0", &["0.9.9"], &["1"]);
        check(">=1, <2", &["1.5"], &["2", "0.9"]);
        check(">=1 <2 || 3.1.4", &["1.5", "3.1.4"], &["2", "3"]);
        check("1.2 - 1.4.5", &["1.2", "1.4.5"], &["1.4.6", "1.1"]);
        check("1.2 - 1.4", &["1.4.9"], &["1.5"]);
        check(">=1.0.0-0", &["1.0.0-rc1", "1.0.0"], &["0.9.0"]);
        check(">1.0.0-rc.2", &["1.0.0-rc.10", "1.0.0-rd", "1.0.0"], &["1.0.0-rc.1", "1.0.0-3"]);
    }

    #[test]
    fn what_is_no_constraint_is_refused_at_its_place() {
        #[track_caller]
        fn check(text: &str, offset: usize) {
            let error = VersionConstraint::parse(text).expect_err("it is none");
            assert_eq!((error.kind(), error.offset()), (PatternErrorKind::Version, offset));
            assert_eq!(error.input(), text);
        }
        check(">=", 2);
        check("a", 0);
        check("1.2.3.4", 0);
        check("1, ", 3);
        check("1 || >>2", 6);
        check(">1 - 2", 3);
        check("1.2-", 0);
        let long = "1".repeat(MAX_BYTES + 1);
        let error = VersionConstraint::parse(&long).expect_err("it is too long");
        assert_eq!(error.kind(), PatternErrorKind::TooLong);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[ -~]{0,40}", tag in "[ -~]{0,20}") {
            if let Ok(constraint) = VersionConstraint::parse(&text) {
                constraint.accepts(&tag);
            }
        }
    }
}
