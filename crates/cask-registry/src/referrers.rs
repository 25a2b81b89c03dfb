//! What refers to a manifest.

use cask_image::{Descriptor, ImageFormat, Index, MAX_INDEX_ENTRIES, MAX_MANIFEST_BYTES};
use cask_image::{Manifest, MediaType, RawManifest};
use cask_reference::{Digest, Tag};
use http::header::{ACCEPT, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MATCH};
use http::{Method, StatusCode};
use url::form_urlencoded;

use crate::error::Doing;
use crate::host::Target;
use crate::paging::next_page;
use crate::push::SubjectLink;
use crate::{Error, ErrorKind, Repository, Selector};

/// How often the index under a fallback tag is read again because somebody else changed it.
const ATTEMPTS: u32 = 5;
/// The most pages of one list.
const MAX_PAGES: u32 = 1000;
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

impl Repository {
    /// Lists what refers to a manifest: signatures, attestations, anything that has it as its
    /// subject; only that of one type, if one is given. A manifest that is not there has none.
    ///
    /// Registries without such a list are asked for the index under the manifest's fallback tag.
    ///
    /// # Errors
    /// `LimitExceeded` above 20,000 referrers, `Corrupt` if the list is malformed, and all errors
    /// of connections and credentials.
    ///
    /// Source: OCI distribution specification, "Listing Referrers".
    pub async fn referrers(
        &self,
        digest: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>, Error> {
        let doing = Doing::new("listing referrers of", format!("{digest} in {}", self.name()));
        let mut path = format!("referrers/{digest}");
        if let Some(artifact_type) = artifact_type {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("artifactType", artifact_type.as_str())
                .finish();
            path = format!("{path}?{query}");
        }
        let mut all = match self.referrers_by_list(&path, &doing).await? {
            Some(all) => all,
            None => match self.fallback_index(digest, &doing).await? {
                Some((index, _)) => index.manifests,
                None => Vec::new(),
            },
        };
        if let Some(wanted) = artifact_type {
            all.retain(|one| one.artifact_type.as_ref() == Some(wanted));
        }
        Ok(all)
    }

    /// The registry's own list; `None` if it keeps none.
    async fn referrers_by_list(
        &self,
        path: &str,
        doing: &Doing,
    ) -> Result<Option<Vec<Descriptor>>, Error> {
        let mut call = self.call(Method::GET, path);
        call.headers
            .insert(ACCEPT, HeaderValue::from_static("application/vnd.oci.image.index.v1+json"));
        let mut all = Vec::new();
        for page in 0..MAX_PAGES {
            let response = self.host.send(&call, doing).await?;
            let status = response.status();
            let absent = matches!(status.as_u16(), 400 | 404 | 405 | 406 | 415 | 501);
            if page == 0 && absent {
                return Ok(None);
            }
            if status != StatusCode::OK {
                return Err(doing.status(response).await);
            }
            tracing::debug!(
                filtered = response.headers().contains_key(FILTERS_APPLIED),
                "referrers"
            );
            let is_index = response
                .header(CONTENT_TYPE)
                .is_some_and(|text| text.starts_with(MediaType::OciIndex.as_str()));
            if page == 0 && !is_index {
                // A page for people, or whatever else is given for every path.
                return Ok(None);
            }
            let next = next_page(&response, &self.host.connected().await?.base);
            let bytes =
                response.read_limited(MAX_MANIFEST_BYTES).await.map_err(|e| doing.http(e))?;
            let index = index_of(&RawManifest::new(bytes, MediaType::OciIndex), doing)?;
            all.extend(index.manifests);
            if all.len() > MAX_INDEX_ENTRIES {
                let detail = format!("more than {MAX_INDEX_ENTRIES} referrers");
                return Err(doing.fail(ErrorKind::LimitExceeded, detail));
            }
            let Some(next) = next else {
                return Ok(Some(all));
            };
            call.target = Target::Url(next);
        }
        let detail = format!("more than {MAX_PAGES} pages of referrers");
        Err(doing.fail(ErrorKind::LimitExceeded, detail))
    }

    /// The index under the fallback tag, and its entity tag.
    async fn fallback_index(
        &self,
        subject: &Digest,
        doing: &Doing,
    ) -> Result<Option<(Index, Option<HeaderValue>)>, Error> {
        let tag = fallback_tag(subject, doing)?;
        let mut call = self.call(Method::GET, &format!("manifests/{tag}"));
        for accepted in [MediaType::OciIndex, MediaType::DockerManifestList] {
            if let Ok(value) = HeaderValue::from_str(accepted.as_str()) {
                call.headers.append(ACCEPT, value);
            }
        }
        let response = self.host.send(&call, doing).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ => return Err(doing.status(response).await),
        }
        let entity = response.headers().get(ETAG).cloned();
        let content_type = response.header(CONTENT_TYPE).map(str::to_owned);
        let bytes = response.read_limited(MAX_MANIFEST_BYTES).await.map_err(|e| doing.http(e))?;
        let manifest = RawManifest::received(bytes, content_type.as_deref())
            .map_err(|error| doing.fail(ErrorKind::Corrupt, error.to_string()))?;
        Ok(Some((index_of(&manifest, doing)?, entity)))
    }

    /// Adds a manifest to the index under its subject's fallback tag.
    pub(crate) async fn link_by_tag(&self, manifest: &RawManifest) -> Result<SubjectLink, Error> {
        // What cannot be understood has no subject that anybody could find.
        let Ok(parsed) = manifest.parse() else {
            return Ok(SubjectLink::None);
        };
        let Some(subject) = parsed.subject() else {
            return Ok(SubjectLink::None);
        };
        let doing = Doing::new(
            "updating the referrers of",
            format!("{} in {}", subject.digest, self.name()),
        );
        let selector = Selector::from(fallback_tag(&subject.digest, &doing)?);
        let entry = entry_of(manifest, &parsed);
        for _ in 0..ATTEMPTS {
            let (mut index, entity) = self
                .fallback_index(&subject.digest, &doing)
                .await?
                .unwrap_or_else(|| (Index::new(ImageFormat::Oci, Vec::new()), None));
            if index.manifests.iter().any(|one| one.digest == entry.digest) {
                return Ok(SubjectLink::FallbackTag);
            }
            index.manifests.push(entry.clone());
            let condition = entity.map(|entity| (IF_MATCH, entity));
            match self.put_raw(&selector, &index.encode(), condition, &doing).await {
                Err(error) if error.status() == Some(412) => {}
                Err(error) => return Err(error),
                Ok(_) => return Ok(SubjectLink::FallbackTag),
            }
        }
        let detail = "others change the same index all the time";
        Err(doing.fail(ErrorKind::Network, detail))
    }
}

fn index_of(manifest: &RawManifest, doing: &Doing) -> Result<Index, Error> {
    match manifest.parse() {
        Ok(Manifest::Index(index)) => Ok(index),
        Ok(_) => Err(doing.fail(ErrorKind::Corrupt, "the list of referrers is no index")),
        Err(error) => Err(doing.fail(ErrorKind::Corrupt, error.to_string())),
    }
}

fn entry_of(manifest: &RawManifest, parsed: &Manifest) -> Descriptor {
    let mut entry = manifest.descriptor();
    match parsed {
        Manifest::Image(image) => {
            let config = Some(&image.config.media_type)
                .filter(|media_type| !matches!(media_type, MediaType::OciEmpty));
            entry.artifact_type = image.artifact_type.as_ref().or(config).cloned();
            entry.annotations.clone_from(&image.annotations);
        }
        Manifest::Index(index) => {
            entry.artifact_type.clone_from(&index.artifact_type);
            entry.annotations.clone_from(&index.annotations);
        }
        _ => {}
    }
    entry
}

/// The tag under which an index of the referrers is kept where the registry keeps none.
///
/// Source: OCI distribution specification, "Referrers Tag Schema": at most 32 characters of the
/// algorithm, and 64 of the hash.
fn fallback_tag(digest: &Digest, doing: &Doing) -> Result<Tag, Error> {
    let hex = digest.hex();
    let text = format!("{}-{}", digest.algorithm(), &hex[..hex.len().min(64)]);
    text.parse().map_err(|_| doing.fail(ErrorKind::Unsupported, "its digest makes no tag"))
}
