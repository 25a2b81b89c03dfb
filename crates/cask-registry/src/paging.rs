//! Lists that come in pages.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use cask_http::{Origin, Response};
use cask_reference::{Digest, Tag};
use futures_util::Stream;
use http::StatusCode;
use http::header::LINK;
use url::Url;

use crate::error::Doing;
use crate::host::{Call, Host, Target};
use crate::{Error, ErrorKind};

/// How many names are asked for at once. Registries give fewer if they like.
const PAGE: u32 = 1000;
/// The most bytes of one page, and the most names in all.
const MAX_PAGE_BYTES: u64 = 16 << 20;
const MAX_NAMES: usize = 10_000_000;
/// The most pages in all, and in a row without a single name.
const MAX_PAGES: usize = 100_000;
const MAX_PAGES_WITHOUT_NAMES: u32 = 100;

/// Names that come in pages: tags of a repository, repositories of a registry. Each is given once.
#[derive(Debug)]
pub struct Names {
    host: Arc<Host>,
    /// The next page, if there is one.
    call: Option<Call>,
    key: &'static str,
    doing: Doing,
    page: VecDeque<String>,
    given: usize,
    /// The pages that were read, hashed: no registry leads in a circle.
    seen: HashSet<u64>,
    hashing: RandomState,
    /// How many of the last pages had no names.
    without_names: u32,
    last: Option<String>,
}

impl Names {
    pub(crate) fn new(host: Arc<Host>, mut call: Call, key: &'static str, doing: Doing) -> Self {
        if let Target::Path(path) = &mut call.target {
            path.push_str(&format!("?n={PAGE}"));
        }
        Self {
            host,
            call: Some(call),
            key,
            doing,
            page: VecDeque::new(),
            given: 0,
            seen: HashSet::new(),
            hashing: RandomState::new(),
            without_names: 0,
            last: None,
        }
    }

    /// The next name, or `None` at the end.
    ///
    /// # Errors
    /// `NotFound` (`name unknown`) if there is no such repository, `LimitExceeded` for pages above
    /// 16 MiB, more than ten million names, 100,000 pages, or 100 pages in a row without any, `Corrupt` if the pages are malformed or lead in a
    /// circle, and all errors of connections and credentials. After an error there is nothing more.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        loop {
            if let Some(name) = self.page.pop_front() {
                self.given += 1;
                if self.given > MAX_NAMES {
                    self.call = None;
                    self.page.clear();
                    let detail = format!("more than {MAX_NAMES} names");
                    return Err(self.doing.fail(ErrorKind::LimitExceeded, detail));
                }
                return Ok(Some(name));
            }
            let Some(call) = self.call.take() else {
                return Ok(None);
            };
            self.read_page(call).await?;
        }
    }

    /// All names that are left.
    ///
    /// # Errors
    /// As for [`next`](Self::next).
    pub async fn all(mut self) -> Result<Vec<String>, Error> {
        let mut all = Vec::new();
        while let Some(name) = self.next().await? {
            all.push(name);
        }
        Ok(all)
    }

    /// The names as a stream, which ends after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<String, Error>> + Send {
        futures_util::stream::try_unfold(self, async |mut names| {
            Ok(names.next().await?.map(|name| (name, names)))
        })
    }

    async fn read_page(&mut self, mut call: Call) -> Result<(), Error> {
        let response = self.host.send(&call, &self.doing).await?;
        if response.status() != StatusCode::OK {
            return Err(self.doing.status(response).await);
        }
        let base = self.host.connected().await?.base.clone();
        let next = next_page(&response, &base);
        let body = response.read_limited(MAX_PAGE_BYTES).await.map_err(|e| self.doing.http(e))?;
        let corrupt = |detail: String| self.doing.fail(ErrorKind::Corrupt, detail);
        let mut document: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&body)
                .map_err(|error| corrupt(format!("the list is malformed: {error}")))?;
        let names: Option<Vec<Option<String>>> = serde_json::from_value(
            document.remove(self.key).unwrap_or_default(),
        )
        .map_err(|error| corrupt(format!("the list of {} is malformed: {error}", self.key)))?;
        let names: Vec<String> = names.into_iter().flatten().flatten().collect();
        // Some registries ignore where a page shall start: the same page again is the end.
        let repeated = names.last().is_some() && names.last() == self.last.as_ref();
        self.last = names.last().cloned().or(self.last.take());
        if repeated {
            return Ok(());
        }
        let tags = self.key == "tags";
        self.page = names
            .into_iter()
            .filter(|name| if tags { is_tag(name) } else { !name.is_empty() })
            .collect();
        if let Some(next) = next {
            self.without_names = if self.page.is_empty() { self.without_names + 1 } else { 0 };
            if self.without_names >= MAX_PAGES_WITHOUT_NAMES || self.seen.len() >= MAX_PAGES {
                let pages = self.seen.len() + 1;
                let detail = format!("the list has no end after {pages} pages");
                return Err(self.doing.fail(ErrorKind::LimitExceeded, detail));
            }
            if !self.seen.insert(self.hashing.hash_one(next.as_str())) {
                return Err(corrupt("the pages of the list lead in a circle".to_owned()));
            }
            call.target = Target::Url(next);
            self.call = Some(call);
        }
        Ok(())
    }
}

fn is_tag(name: &str) -> bool {
    name.parse::<Tag>().is_ok() && name.parse::<Digest>().is_err()
}

/// The next page by the header `Link`. Only path and query count: it is of the same registry.
///
/// Source: RFC 8288; containers/image takes path and query, too.
pub(crate) fn next_page(response: &Response, base: &Url) -> Option<Url> {
    let links = response.headers().get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let target = links.flat_map(split_links).find_map(next_target)?;
    let url = response.url().join(target).ok()?;
    let mut next = base.clone();
    next.set_path(url.path());
    next.set_query(url.query());
    (Origin::of(&next).ok()? == Origin::of(base).ok()?).then_some(next)
}

/// Splits at commas that are neither within `<>` nor quoted.
fn split_links(header: &str) -> Vec<&str> {
    let (mut angle, mut quoted, mut start) = (false, false, 0);
    let mut all = Vec::new();
    for (at, byte) in header.bytes().enumerate() {
        match byte {
            b'<' if !quoted => angle = true,
            b'>' if !quoted => angle = false,
            b'"' if !angle => quoted = !quoted,
            b',' if !angle && !quoted => {
                all.push(&header[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    all.push(&header[start..]);
    all
}

fn next_target(link: &str) -> Option<&str> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let mut relations = parameters.split(';').filter_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.trim().eq_ignore_ascii_case("rel").then(|| value.trim().trim_matches('"'))
    });
    // Some registries forget to say which relation it is.
    let relation = relations.next().unwrap_or("next");
    relation.split(' ').any(|one| one.eq_ignore_ascii_case("next")).then_some(target)
}
