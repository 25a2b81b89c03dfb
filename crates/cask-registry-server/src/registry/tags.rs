//! Lists: repositories, tags, referrers.

use std::collections::BTreeSet;

use cask_image::{Descriptor, ImageFormat, Index, MediaType};
use cask_layout::Content as _;
use cask_reference::Tag;
use http::header::{self, HeaderName};
use http::{Response, StatusCode};

use super::{Answer, Call, Registry, json, parse_digest, set};
use crate::body::full_body;
use crate::refusal::{Refusal, chain};
use crate::{RepositoryName, ResponseBody};

/// The most names in one answer, where the client asks for no other number.
const MAX_NAMES: usize = 10_000;

/// The most bytes of descriptors in one answer: below what clients read of an index.
const MAX_REFERRERS_BYTES: usize = 3 << 20;

impl Registry {
    pub(super) async fn catalog(&self, call: &Call<'_>) -> Answer {
        let names = self
            .blocking(|inner| inner.store.repositories().map_err(|e| Refusal::internal(chain(&e))))
            .await?;
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let page = Page::of(&names, call)?;
        let value = serde_json::json!({ "repositories": page.names });
        Ok(page.link("/v2/_catalog", json(StatusCode::OK, &value)))
    }

    pub(super) async fn tags(&self, name: RepositoryName, call: &Call<'_>) -> Answer {
        let of = name.clone();
        let tags = self
            .blocking(move |inner| {
                let entries = inner.existing(&of)?.list()?;
                let tags = entries.iter().filter(|entry| entry.descriptor.media_type.is_manifest());
                let tags = tags.filter_map(|entry| entry.name());
                // Names that others gave may be none for a registry.
                let tags = tags.filter(|name| name.parse::<Tag>().is_ok()).map(str::to_owned);
                Ok(tags.collect::<BTreeSet<String>>())
            })
            .await?;
        let tags: Vec<String> = tags.into_iter().collect();
        let page = Page::of(&tags, call)?;
        let value = serde_json::json!({ "name": name.as_str(), "tags": page.names });
        Ok(page.link(&format!("/v2/{name}/tags/list"), json(StatusCode::OK, &value)))
    }

    pub(super) async fn referrers(
        &self,
        name: RepositoryName,
        digest: &str,
        call: &Call<'_>,
    ) -> Answer {
        let subject = parse_digest(digest)?;
        let (of, wanted) = (name.clone(), subject.clone());
        let mut found = self
            .blocking(move |inner| match inner.store.find(&of)? {
                Some(layout) => Ok(layout.referrers(&wanted)?),
                // The specification forbids to answer that there is nothing.
                None => Ok(Vec::new()),
            })
            .await?;
        let kind = call.query.first("artifactType").filter(|kind| !kind.is_empty());
        if let Some(kind) = kind {
            let kind = MediaType::from(kind);
            found.retain(|descriptor| descriptor.artifact_type.as_ref() == Some(&kind));
        }
        if let Some(last) = call.query.first("last") {
            let at = found.iter().position(|descriptor| descriptor.digest.as_str() == last);
            found.drain(..at.map_or(0, |at| at + 1));
        }
        let next = fit(&mut found);
        let index = Index::new(ImageFormat::Oci, found).encode();
        let mut response = Response::new(full_body(index.bytes().clone()));
        set(&mut response, header::CONTENT_TYPE, index.media_type().as_str());
        set(&mut response, header::CONTENT_LENGTH, &index.bytes().len().to_string());
        if kind.is_some() {
            set(&mut response, HeaderName::from_static("oci-filters-applied"), "artifactType");
        }
        if let Some(last) = next {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("last", &last);
            kind.map(|kind| query.append_pair("artifactType", kind));
            let link = format!("</v2/{name}/referrers/{subject}?{}>; rel=\"next\"", query.finish());
            set(&mut response, header::LINK, &link);
        }
        Ok(response)
    }
}

/// Cuts a list where an answer would be too long, and gives the last digest that stays.
fn fit(found: &mut Vec<Descriptor>) -> Option<String> {
    let mut bytes = 0;
    let longest = found.iter().position(|descriptor| {
        let texts = descriptor.annotations.iter().map(|(key, value)| key.len() + value.len() + 8);
        bytes += 512 + texts.sum::<usize>();
        bytes > MAX_REFERRERS_BYTES
    })?;
    found.truncate(longest.max(1));
    found.last().map(|descriptor| descriptor.digest.to_string())
}

/// A part of a sorted list.
struct Page<'a> {
    names: &'a [String],
    /// Where the next part begins.
    next: Option<(usize, &'a str)>,
}

impl<'a> Page<'a> {
    /// What comes after `last`, which need not be in the list; `n` of it.
    fn of(all: &'a [String], call: &Call<'_>) -> Result<Self, Refusal> {
        let count = call.query.count()?.unwrap_or(MAX_NAMES).min(MAX_NAMES);
        let start = call
            .query
            .first("last")
            .map_or(0, |last| all.partition_point(|name| name.as_str() <= last));
        let rest = all.get(start..).unwrap_or_default();
        let names = rest.get(..count).unwrap_or(rest);
        let last = names.last().filter(|_| names.len() < rest.len());
        Ok(Self { names, next: last.map(|last| (count, last.as_str())) })
    }

    fn link(&self, path: &str, mut response: Response<ResponseBody>) -> Response<ResponseBody> {
        if let Some((count, last)) = self.next {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("n", &count.to_string()).append_pair("last", last);
            let link = format!("<{path}?{}>; rel=\"next\"", query.finish());
            set(&mut response, header::LINK, &link);
        }
        response
    }
}
