//! Manifests: written, deleted.

use bytes::Bytes;
use cask_http::RequestBody;
use cask_image::{Descriptor, ImageFormat, ImageManifest, MediaType, RawManifest};
use cask_reference::{Digest, Tag};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use crate::api_error::Explained;
use crate::error::Doing;
use crate::manifest::{claimed_digest, digest_like};
use crate::token::Scopes;
use crate::{Error, ErrorKind, Repository, Selector};

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// A manifest that a registry took.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The digest of the manifest.
    pub digest: Digest,
    /// How the manifest is found from its subject.
    pub subject: SubjectLink,
}

/// How a referrer is found from its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubjectLink {
    /// The manifest has no subject.
    None,
    /// By the registry's list of referrers.
    Registry,
    /// By the index under the fallback tag, which was brought up to date.
    FallbackTag,
}

impl Repository {
    /// Writes a manifest or an index, under a tag or under its digest.
    ///
    /// If it has a subject, and the registry does not say that it keeps account of that, the index
    /// under the subject's fallback tag is brought up to date.
    ///
    /// # Errors
    /// `ManifestRefused` if the registry does not want a manifest like that, though maybe one of
    /// another type; `DigestMismatch` if the selector is the digest of something else, or the
    /// registry stored something else; `Corrupt` if it answers otherwise than a registry does; all
    /// errors of connections and credentials.
    pub async fn put_manifest(
        &self,
        selector: &Selector,
        manifest: &RawManifest,
    ) -> Result<Stored, Error> {
        let doing = Doing::new("writing manifest", format!("{selector} to {}", self.name()));
        if selector.digest().is_some_and(|digest| !manifest.matches(digest)) {
            let detail = format!("the manifest's digest is {}", manifest.digest());
            return Err(doing.fail(ErrorKind::DigestMismatch, detail));
        }
        let answer = self.put_raw(selector, manifest, None, &doing).await?;
        let digest = selector.digest().unwrap_or(manifest.digest()).clone();
        let subject = if answer.took_subject {
            SubjectLink::Registry
        } else {
            self.link_by_tag(manifest).await?
        };
        Ok(Stored { digest, subject })
    }

    pub(crate) async fn put_raw(
        &self,
        selector: &Selector,
        manifest: &RawManifest,
        condition: Option<(HeaderName, HeaderValue)>,
        doing: &Doing,
    ) -> Result<Answer, Error> {
        let path = self.path(&format!("manifests/{selector}"));
        let mut call = self.push_call(Method::PUT, path);
        let content_type = HeaderValue::from_str(manifest.media_type().as_str()).map_err(|_| {
            doing.fail(ErrorKind::ManifestRefused, "its media type cannot stand in a header")
        })?;
        call.headers.insert(CONTENT_TYPE, content_type);
        if let Some((name, value)) = condition {
            call.headers.insert(name, value);
        }
        call.body = RequestBody::Bytes(manifest.bytes().clone());
        let response = self.host.send(&call, doing).await?;
        let status = response.status();
        if status.is_success() && status != StatusCode::CREATED {
            let detail = format!("answered with {status} instead of 201: no registry does that");
            return Err(doing.fail(ErrorKind::Corrupt, detail).with_status(status.as_u16(), None));
        }
        if status != StatusCode::CREATED {
            let explained = Explained::read(response).await;
            if explained.refuses_manifest() {
                let code = explained.code().map(str::to_owned);
                return Err(doing
                    .fail(ErrorKind::ManifestRefused, explained.text())
                    .with_status(explained.status, code));
            }
            return Err(doing.explained(&explained));
        }
        let claimed = claimed_digest(&response, doing)?;
        if let Some(claimed) = claimed.filter(|claimed| !manifest.matches(claimed)) {
            let own = digest_like(&claimed, manifest.bytes());
            let detail = format!("the registry stored {claimed} instead of {own}");
            return Err(doing.fail(ErrorKind::DigestMismatch, detail));
        }
        Ok(Answer { took_subject: response.headers().contains_key(OCI_SUBJECT) })
    }

    /// Deletes a manifest, and with it all tags that name it.
    ///
    /// # Errors
    /// `NotFound`; `Unsupported` if the registry does not delete; all errors of connections and
    /// credentials.
    pub async fn delete_manifest(&self, digest: &Digest) -> Result<(), Error> {
        let doing = Doing::new("deleting", format!("{digest} in {}", self.name()));
        self.delete(&digest.clone().into(), &doing).await
    }

    /// Deletes a tag, and not what it names.
    ///
    /// Registries of the current specification do it. For others, a manifest that says nothing is
    /// written under the tag and then deleted by its digest, which takes the tag along. If that
    /// fails half-way, the tag is made to name again what it named.
    ///
    /// # Errors
    /// `NotFound` if there is no such tag; `Unsupported` if the registry does not delete; all
    /// errors of connections and credentials.
    pub async fn untag(&self, tag: &Tag) -> Result<(), Error> {
        let doing = Doing::new("deleting the tag", format!("{tag} in {}", self.name()));
        let selector = Selector::from(tag);
        match self.delete(&selector, &doing).await {
            Err(error) if matches!(error.status(), Some(400 | 405 | 415 | 501)) => {
                tracing::debug!(%error, "deleting a tag by way of another manifest");
            }
            other => return other,
        }
        let before = self.manifest(&selector).await?;
        let stand_in = stand_in(tag, before.digest());
        let config = Digest::clone(&stand_in.1.digest);
        self.upload_bytes(&config, Bytes::from_static(EMPTY)).await?;
        self.put_raw(&selector, &stand_in.0, None, &doing).await?;
        let Err(error) = self.delete_manifest(stand_in.0.digest()).await else {
            return Ok(());
        };
        self.put_raw(&selector, &before, None, &doing).await?;
        Err(error)
    }

    async fn delete(&self, selector: &Selector, doing: &Doing) -> Result<(), Error> {
        let mut call = self.push_call(Method::DELETE, self.path(&format!("manifests/{selector}")));
        call.scopes = Scopes::repository(self.name().path(), &["*"]);
        let response = self.host.send(&call, doing).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let error = doing.status(response).await;
        Err(if error.kind() == ErrorKind::Unsupported && selector.digest().is_some() {
            error.with_hint("deletion has to be enabled in the registry's configuration")
        } else {
            error
        })
    }
}

pub(crate) struct Answer {
    took_subject: bool,
}

const EMPTY: &[u8] = b"{}";

/// A manifest that nothing else is: it names the tag that is to go.
fn stand_in(tag: &Tag, before: &Digest) -> (RawManifest, Descriptor) {
    let digest = cask_image::Hasher::digest(cask_reference::Algorithm::Sha256, EMPTY);
    let config = Descriptor::new(MediaType::OciConfig, digest, EMPTY.len() as u64);
    let mut manifest = ImageManifest::new(ImageFormat::Oci, config.clone(), Vec::new());
    let text = format!("stands where the tag {tag} is being deleted, which named {before}");
    manifest.annotations.insert("org.opencontainers.image.description".to_owned(), text);
    (manifest.encode(), config)
}
