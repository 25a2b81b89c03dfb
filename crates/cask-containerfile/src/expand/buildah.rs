//! Modifiers as `imagebuilder` reads them, for Buildah's dialect.

use std::ops::Range;

use super::lexer::{Lexer, Outcome};
use super::{EXPANSION_MAX_BYTES, EXPANSION_MAX_DEPTH, ExpandErrorKind};
use crate::ignore::PathPattern;

/// Patterns are tried at every place: longer values are refused.
const VALUE_MAX_BYTES: usize = 8 << 10;

impl Lexer<'_> {
    /// What begins with `$`.
    ///
    /// Source: openshift/imagebuilder, `shell_parser.go`.
    pub(super) fn dollar_of_buildah(&mut self) -> Outcome<String> {
        let start = self.at;
        self.next();
        if self.peek() != Some('{') {
            let name = self.name_of_buildah();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok(self.look_up(name).unwrap_or_default().to_owned());
        }
        self.next();
        self.depth += 1;
        if self.depth > EXPANSION_MAX_DEPTH {
            return self.error(ExpandErrorKind::TooDeep, start);
        }
        let name = self.name_of_buildah();
        let result = match self.peek() {
            Some('}') => {
                self.next();
                Ok(self.look_up(name).unwrap_or_default().to_owned())
            }
            Some(':') => self.default_of_buildah(start, name),
            Some(side @ ('#' | '%')) => self.trimmed_by_buildah(start, name, side),
            Some('/') => self.replaced_by_buildah(start, name),
            _ => self.refuse(start, "Missing ':' or '#' or '%' or '/' in substitution"),
        };
        self.depth -= 1;
        result
    }

    fn refuse<T>(&self, start: usize, message: impl Into<String>) -> Outcome<T> {
        self.error(ExpandErrorKind::Buildah(message.into()), start)
    }

    /// One digit, or letters, digits and `_`.
    fn name_of_buildah(&mut self) -> Range<usize> {
        let rest = &self.source[self.at..];
        let length = match rest.chars().next() {
            Some(c) if c.is_numeric() => c.len_utf8(),
            _ => rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()),
        };
        let start = self.at;
        self.at += length;
        start..self.at
    }

    /// Reads up to one of two characters, which is given too.
    fn operand_of_buildah(&mut self, stops: &[char]) -> Outcome<(char, String)> {
        let begin = self.at;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            if stops.contains(&c) {
                self.next();
                return Ok((c, text));
            }
            match self.special(c) {
                Some(special) => text.push_str(&special?),
                None => self.plain(&mut text, None),
            }
            text = self.bounded(text)?;
        }
        self.refuse(begin, "unexpected end of statement while looking for matching }")
    }

    /// `${v:-w}`, `${v:+w}` and `${v:?w}`.
    fn default_of_buildah(&mut self, start: usize, name: Range<usize>) -> Outcome<String> {
        self.next();
        let modifier = self.next();
        let (_, word) = self.operand_of_buildah(&['}'])?;
        let shown = self.source[name.clone()].to_owned();
        let value = self.look_up(name).unwrap_or_default();
        match modifier {
            Some('+') if value.is_empty() => Ok(String::new()),
            Some('+') => Ok(word),
            Some('-' | '?') if !value.is_empty() => Ok(value.to_owned()),
            Some('?') if word.is_empty() => {
                self.refuse(start, format!("{shown} is not allowed to be unset"))
            }
            Some('-' | '?') => Ok(word),
            other => {
                let other = other.map(|c| c.escape_debug().to_string()).unwrap_or_default();
                self.refuse(start, format!("Unsupported modifier ({other}) in substitution"))
            }
        }
    }

    /// The value of a variable whose parts are compared with a pattern.
    fn short(&mut self, start: usize, name: Range<usize>) -> Outcome<String> {
        let value = self.look_up(name).unwrap_or_default().to_owned();
        if value.len() > VALUE_MAX_BYTES {
            return self.refuse(start, "a value for a pattern is longer than 8 KiB");
        }
        Ok(value)
    }

    /// `${v#p}` and `${v%p}`: the shortest or longest part that matches is cut off, never the
    /// whole value, and what is cut off in the shortest way at the front or in the longest at the
    /// end leaves at least two bytes.
    fn trimmed_by_buildah(
        &mut self,
        start: usize,
        name: Range<usize>,
        side: char,
    ) -> Outcome<String> {
        self.next();
        let is_longest = self.peek() == Some(side);
        if is_longest {
            self.next();
        }
        let (_, word) = self.operand_of_buildah(&['}'])?;
        if word.is_empty() {
            let what = if side == '#' { "prefix" } else { "suffix" };
            let name = self.source[name].to_owned();
            return self.refuse(start, format!("{name}{side}: no {what} to remove"));
        }
        let value = self.short(start, name)?;
        let Some(pattern) = PathPattern::parse(&word) else { return Ok(value) };
        let length = value.len();
        if side == '#' {
            let ends = pattern.ends(&value);
            let cut = if is_longest {
                ends.iter().rev().find(|end| **end < length)
            } else {
                ends.iter().find(|end| **end + 1 < length)
            };
            return Ok(cut.map_or(value.as_str(), |cut| &value[*cut..]).to_owned());
        }
        let is_match = |at: &usize| pattern.ends(&value[*at..]).last() == Some(&(length - at));
        let places: Vec<usize> = value.char_indices().map(|(at, _)| at).collect();
        let cut = if is_longest {
            places.into_iter().filter(|at| at + 1 < length).find(is_match)
        } else {
            places.into_iter().rev().find(is_match)
        };
        Ok(cut.map_or(value.as_str(), |cut| &value[..cut]).to_owned())
    }

    /// `${v/p/w}`, `${v//p/w}`, `${v/#p/w}` and `${v/%p/w}`; `/w` may be missing.
    fn replaced_by_buildah(&mut self, start: usize, name: Range<usize>) -> Outcome<String> {
        self.next();
        let kind = self.peek().filter(|c| matches!(c, '/' | '#' | '%'));
        if kind.is_some() {
            self.next();
        }
        let (stop, word) = self.operand_of_buildah(&['/', '}'])?;
        if word.is_empty() {
            let name = self.source[name].to_owned();
            return self.refuse(start, format!("{name}/: no pattern to replace"));
        }
        let with = if stop == '/' { self.operand_of_buildah(&['}'])?.1 } else { String::new() };
        let value = self.short(start, name)?;
        let Some(pattern) = PathPattern::parse(&word) else { return Ok(value) };
        let mut result = String::new();
        let mut at = 0;
        while let Some(c) = value[at..].chars().next() {
            let ends = pattern.ends(&value[at..]);
            let longest = ends.last().copied().filter(|end| *end > 0);
            let fits = match kind {
                Some('#') => at == 0,
                Some('%') => longest.is_some_and(|end| at + end == value.len()),
                _ => true,
            };
            let Some(end) = longest.filter(|_| fits) else {
                result.push(c);
                at += c.len_utf8();
                continue;
            };
            result.push_str(&with);
            at += end;
            if result.len() > EXPANSION_MAX_BYTES {
                return self.error(ExpandErrorKind::TooLong, start);
            }
            if kind != Some('/') {
                break;
            }
        }
        result.push_str(&value[at..]);
        self.bounded(result)
    }
}
