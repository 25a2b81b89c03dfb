//! What registries want to see of who asks: `WWW-Authenticate`.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// The most challenges of one answer that are looked at.
const MAX_CHALLENGES: usize = 16;

/// One way to authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// The scheme, in lower case.
    pub(crate) scheme: String,
    /// The parameters; their names in lower case.
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Challenge {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All challenges of an answer. What cannot be understood is left out.
    pub(crate) fn all(headers: &HeaderMap) -> Vec<Self> {
        let mut all = Vec::new();
        for header in headers.get_all(WWW_AUTHENTICATE) {
            if let Ok(text) = header.to_str() {
                parse(text, &mut all);
            }
        }
        all.truncate(MAX_CHALLENGES);
        all
    }
}

/// Source: RFC 9110, sections 5.6 and 11.6.1. Several challenges may stand in one header.
fn parse(text: &str, all: &mut Vec<Challenge>) {
    let mut rest = text.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() && all.len() < MAX_CHALLENGES {
        let (scheme, after) = token(rest);
        if scheme.is_empty() {
            return;
        }
        let mut challenge =
            Challenge { scheme: scheme.to_ascii_lowercase(), parameters: BTreeMap::new() };
        rest = after.trim_start();
        loop {
            let (name, after) = token(rest);
            let Some(value) = after.trim_start().strip_prefix('=').filter(|_| !name.is_empty())
            else {
                break;
            };
            let Some((value, after)) = value_of(value.trim_start()) else {
                // A quote that does not end: nothing of the rest can be told apart.
                all.push(challenge);
                return;
            };
            // A repeated parameter could be understood in two ways: the first one holds.
            challenge.parameters.entry(name.to_ascii_lowercase()).or_insert(value);
            rest = after.trim_start();
            let Some(after) = rest.strip_prefix(',') else {
                break;
            };
            rest = after.trim_start_matches([' ', '\t', ',']);
        }
        all.push(challenge);
        rest = match rest.find(',') {
            Some(at) if !starts_scheme(rest) => rest[at..].trim_start_matches([' ', '\t', ',']),
            _ if starts_scheme(rest) => rest,
            _ => return,
        };
    }
}

fn starts_scheme(text: &str) -> bool {
    !token(text).0.is_empty()
}

fn token(text: &str) -> (&str, &str) {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let end = text.bytes().position(|b| !is_token(b)).unwrap_or(text.len());
    text.split_at(end)
}

fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = token(text);
        return (!value.is_empty()).then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    loop {
        match characters.next()? {
            (at, '"') => return Some((value, &quoted[at + 1..])),
            (_, '\\') => value.push(characters.next()?.1),
            (_, other) => value.push(other),
        }
    }
}
