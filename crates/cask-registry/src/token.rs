//! Scopes, and the tokens that are given for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cask_auth::Secret;
use serde::Deserialize;

/// The shortest life of a token; older services say less, and mean this.
const SHORTEST_LIFE: Duration = Duration::from_secs(60);
/// The longest that a token is believed to live, whatever is said.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

/// What may be done with what.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Scopes(BTreeMap<String, BTreeSet<String>>);

impl Scopes {
    pub(crate) fn none() -> Self {
        Self::default()
    }

    pub(crate) fn repository(path: &str, actions: &[&str]) -> Self {
        Self::none().and(&format!("repository:{path}"), actions)
    }

    pub(crate) fn catalog() -> Self {
        Self::none().and("registry:catalog", &["*"])
    }

    pub(crate) fn and(mut self, resource: &str, actions: &[&str]) -> Self {
        let all = self.0.entry(resource.to_owned()).or_default();
        all.extend(actions.iter().map(|action| (*action).to_owned()));
        self
    }

    /// Adds what a registry says that it wants: scopes with blanks between them.
    pub(crate) fn add_asked(&mut self, asked: &str) {
        for scope in asked.split(' ').filter(|scope| !scope.is_empty()).take(16) {
            if let Some((resource, actions)) = scope.rsplit_once(':') {
                let all = self.0.entry(resource.to_owned()).or_default();
                all.extend(actions.split(',').map(str::to_owned));
            }
        }
    }

    /// Whether whoever may do this may also do the other.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(resource, actions)| {
            self.0.get(resource).is_some_and(|own| actions.is_subset(own))
        })
    }

    /// The scopes as they are asked for.
    pub(crate) fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(resource, actions)| {
            let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
            format!("{resource}:{}", actions.join(","))
        })
    }
}

/// A bearer token, and how long it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) secret: Secret,
    pub(crate) life: Duration,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<f64>,
}

impl Token {
    /// The token as a registry wants to see it.
    pub(crate) fn shown(&self) -> Secret {
        Secret::from(format!("Bearer {}", self.secret.expose()))
    }

    /// Reads the answer of a token service. The time of issue is not looked at: clocks differ.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(body)
            .map_err(|error| format!("the token service's answer is no token: {error}"))?;
        let text = document
            .token
            .filter(|token| !token.is_empty())
            .or(document.access_token.filter(|token| !token.is_empty()))
            .ok_or("the token service's answer has no token")?;
        let seconds = document.expires_in.unwrap_or(0.0).clamp(0.0, 1e9);
        let life = Duration::from_secs_f64(seconds).clamp(SHORTEST_LIFE, LONGEST_LIFE);
        Ok(Self { secret: Secret::from(text), life })
    }
}
