//! A token server: who gets which token, and what it is good for.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};

/// One thing that is allowed: `repository:a/b:pull`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Grant {
    pub(crate) resource: String,
    pub(crate) action: String,
}

impl Grant {
    pub(crate) fn new(resource: impl Into<String>, action: &str) -> Self {
        Self { resource: resource.into(), action: action.to_owned() }
    }
}

#[derive(Debug)]
struct Token {
    grants: BTreeSet<Grant>,
    expires: Instant,
}

/// The tokens that were given.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    given: HashMap<String, Token>,
    count: u64,
}

/// What a token is good for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    /// Unknown or expired.
    Invalid,
    /// Good for something else.
    Insufficient,
}

/// How tokens are given.
#[derive(Clone, Debug)]
pub(crate) struct TokenRules {
    pub(crate) lifetime: Duration,
    /// What is given to who asks for one that lives long, and taken instead of a password.
    pub(crate) identity_token: Option<String>,
    pub(crate) anonymous_pull: bool,
    /// Whether `access_token` is the name of the token in the answer, instead of `token`.
    pub(crate) access_token_only: bool,
    /// Whether a token is good for the first scope only that was asked for.
    pub(crate) one_scope: bool,
}

/// A request for a token, wherever its parameters stood.
#[derive(Debug, Default)]
pub(crate) struct TokenRequest {
    parameters: Vec<(String, String)>,
}

impl TokenRequest {
    pub(crate) fn parse(query: &str, form: &[u8]) -> Self {
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned();
        let form = url::form_urlencoded::parse(form).into_owned();
        let parameters = query.chain(form).collect();
        Self { parameters }
    }

    fn first<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.parameters.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn scopes(&self) -> Vec<&str> {
        self.all("scope").flat_map(|scopes| scopes.split(' ')).filter(|s| !s.is_empty()).collect()
    }
}

impl Tokens {
    /// Forgets all tokens, as if they had expired.
    pub(crate) fn expire(&mut self) {
        self.given.clear();
    }

    /// Judges the value of a header `Authorization`.
    pub(crate) fn judge(&self, header: Option<&str>, needed: &[Grant]) -> Verdict {
        let token = header.and_then(|header| header.strip_prefix("Bearer "));
        let Some(token) = token.and_then(|token| self.given.get(token)) else {
            return Verdict::Invalid;
        };
        if token.expires <= Instant::now() {
            return Verdict::Invalid;
        }
        let has = |grant: &Grant| {
            let all = Grant::new(grant.resource.clone(), "*");
            token.grants.contains(grant) || token.grants.contains(&all)
        };
        if needed.iter().all(has) { Verdict::Allowed } else { Verdict::Insufficient }
    }

    /// Answers a request for a token.
    pub(crate) fn give(
        &mut self,
        rules: &TokenRules,
        user: Option<(&str, &str)>,
        headers: &HeaderMap,
        request: &TokenRequest,
    ) -> (StatusCode, serde_json::Value) {
        let known = is_user(rules, user, headers, request);
        let anonymous = !headers.contains_key(http::header::AUTHORIZATION)
            && request.first("grant_type").is_none();
        if !(known || anonymous && (rules.anonymous_pull || user.is_none())) {
            let error = serde_json::json!({ "errors": [{
                "code": "UNAUTHORIZED", "message": "incorrect username or password" }] });
            return (StatusCode::UNAUTHORIZED, error);
        }
        let mut grants = BTreeSet::new();
        let scopes = request.scopes();
        let scopes = if rules.one_scope { &scopes[..scopes.len().min(1)] } else { &scopes };
        for scope in scopes {
            let Some((resource, actions)) = scope.rsplit_once(':') else { continue };
            let actions = actions.split(',');
            let allowed = actions.filter(|action| known || user.is_none() || *action == "pull");
            grants.extend(allowed.map(|action| Grant::new(resource, action)));
        }
        self.count += 1;
        let token = format!("token-{}-{:016x}", self.count, random());
        let expires = Instant::now() + rules.lifetime;
        self.given.insert(token.clone(), Token { grants, expires });
        (StatusCode::OK, answer(rules, request, &token))
    }
}

fn answer(rules: &TokenRules, request: &TokenRequest, token: &str) -> serde_json::Value {
    let name = if rules.access_token_only { "access_token" } else { "token" };
    let mut answer = serde_json::json!({ "expires_in": rules.lifetime.as_secs() });
    answer[name] = token.into();
    let wants_identity = request.first("offline_token") == Some("true")
        || request.first("access_type") == Some("offline");
    if let Some(identity) = rules.identity_token.as_ref().filter(|_| wants_identity) {
        answer["refresh_token"] = identity.as_str().into();
    }
    answer
}

fn is_user(
    rules: &TokenRules,
    user: Option<(&str, &str)>,
    headers: &HeaderMap,
    request: &TokenRequest,
) -> bool {
    match request.first("grant_type") {
        Some("refresh_token") => {
            let given = request.first("refresh_token");
            given.is_some() && given == rules.identity_token.as_deref()
        }
        Some("password") => {
            let given = request.first("username").zip(request.first("password"));
            given.is_some() && given == user
        }
        _ => {
            let given = headers.get(http::header::AUTHORIZATION).and_then(|v| v.to_str().ok());
            user.is_some_and(|user| given == Some(basic(user).as_str()))
        }
    }
}

/// The value of `Authorization` for a user.
pub(crate) fn basic((name, password): (&str, &str)) -> String {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
    format!("Basic {encoded}")
}

fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish()
}
