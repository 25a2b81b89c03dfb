//! Looking for repositories by a part of their names.

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use url::Url;

use crate::api_error::clean;
use crate::error::Doing;
use crate::{Error, ErrorKind, Registry};

/// The most bytes of an answer to a search: 4 MiB.
const MAX_ANSWER_BYTES: u64 = 4 << 20;

/// A repository that a registry has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundRepository {
    /// Its path in the registry.
    pub name: String,
    /// What its owners say of it, on one line.
    pub description: String,
    /// How many people like it.
    pub stars: u64,
    /// Whether those who run the registry look after it.
    pub is_official: bool,
    /// Whether the registry builds its images.
    pub is_automated: bool,
}

/// An answer to `GET /v1/search`. Registries write `null` for what they do not know.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Option<Vec<Answered>>,
}

#[derive(Deserialize)]
struct Answered {
    name: Option<String>,
    description: Option<String>,
    star_count: Option<u64>,
    is_official: Option<bool>,
    is_automated: Option<bool>,
}

impl Registry {
    /// Looks for repositories, as many as `limit`: by the registry's own search where it has one, as Docker Hub does,
    /// else by its catalog, of which those are found whose names have the term in them. The one with just this name
    /// comes first. An empty term finds whatever the catalog tells.
    ///
    /// # Errors
    /// As for [`catalog`](Self::catalog), where there is no search.
    ///
    /// Source: containers/image, `docker.SearchRegistry`.
    pub async fn search(&self, term: &str, limit: usize) -> Result<Vec<FoundRepository>, Error> {
        if !term.is_empty()
            && let Some(found) = self.first_search(term, limit).await?
        {
            return Ok(found);
        }
        let mut names = self.catalog();
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(name) = names.next().await?
        {
            if !name.contains(term) {
                continue;
            }
            let place = if name == term { 0 } else { found.len() };
            found.insert(place, FoundRepository { name: clean(&name), ..Default::default() });
        }
        Ok(found)
    }

    /// Asks the search of the first protocol, which wants no credentials; `None` if there is none.
    async fn first_search(
        &self,
        term: &str,
        limit: usize,
    ) -> Result<Option<Vec<FoundRepository>>, Error> {
        let doing = Doing::new("searching registry", self.name());
        let url = self.search_url(term, limit).await?;
        let response = match self.0.send_foreign(&url, &HeaderMap::new(), &doing).await {
            Ok(response) if response.status() == StatusCode::OK => response,
            Ok(response) => {
                response.discard().await;
                return Ok(None);
            }
            Err(error) if error.kind() == ErrorKind::Network => return Err(error),
            Err(_) => return Ok(None),
        };
        let Ok(answer) = response.read_limited(MAX_ANSWER_BYTES).await else { return Ok(None) };
        let answer = serde_json::from_slice(&answer).ok();
        let results = answer.and_then(|answer: Answer| answer.results);
        Ok(results.map(|all| all.into_iter().filter_map(found).take(limit).collect()))
    }

    async fn search_url(&self, term: &str, limit: usize) -> Result<Url, Error> {
        let mut url = self.0.connected().await?.base.clone();
        if matches!(self.name(), "docker.io" | "index.docker.io") {
            // The search is not where the images are.
            let moved = url.set_host(Some("index.docker.io"));
            debug_assert!(moved.is_ok(), "a name of a host");
        }
        url.set_path("/v1/search");
        url.query_pairs_mut().append_pair("n", &limit.to_string()).append_pair("q", term);
        Ok(url)
    }
}

fn found(result: Answered) -> Option<FoundRepository> {
    Some(FoundRepository {
        name: clean(&result.name?),
        description: clean(&result.description.unwrap_or_default()),
        stars: result.star_count.unwrap_or_default(),
        is_official: result.is_official.unwrap_or_default(),
        is_automated: result.is_automated.unwrap_or_default(),
    })
}
