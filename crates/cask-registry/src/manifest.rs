//! Manifests: found, read.

use cask_http::Response;
use cask_image::{Descriptor, Hasher, MAX_MANIFEST_BYTES, MediaType, RawManifest};
use cask_reference::{Algorithm, Digest};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use crate::error::Doing;
use crate::host::Call;
use crate::{Error, ErrorKind, Repository, Selector};

/// Everything that a manifest can be.
///
/// Source: containers/image, `manifest.DefaultRequestedManifestMIMETypes`.
const ACCEPTED: [MediaType; 6] = [
    MediaType::OciManifest,
    MediaType::DockerManifest,
    MediaType::DockerSchema1Signed,
    MediaType::DockerSchema1,
    MediaType::OciIndex,
    MediaType::DockerManifestList,
];

pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

impl Repository {
    /// Finds out what a tag or a digest names, without reading the manifest if the registry says
    /// enough. One request, usually, and one that registries with quotas do not count.
    ///
    /// # Errors
    /// `NotFound` (`manifest unknown`, `name unknown`); `DigestMismatch` if the registry claims
    /// another digest than the one asked for; `Corrupt` if it claims what is no digest; all errors
    /// of connections and credentials.
    pub async fn resolve(&self, selector: &Selector) -> Result<Descriptor, Error> {
        let doing = self.doing_manifest(selector);
        let call = self.manifest_call(Method::HEAD, selector);
        let response = self.host.send(&call, &doing).await?;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            return Err(doing.status(response).await);
        }
        // An answer without a body does not say why: the same question with one does.
        if status == StatusCode::OK
            && let Some(found) = described(&response, selector, &doing)?
        {
            return Ok(found);
        }
        Ok(self.manifest(selector).await?.descriptor())
    }

    /// Whether there is such a manifest: [`resolve`](Self::resolve) by one request, and no error
    /// if there is none.
    ///
    /// # Errors
    /// As for [`resolve`](Self::resolve), but `NotFound`.
    pub async fn resolve_existing(&self, selector: &Selector) -> Result<Option<Descriptor>, Error> {
        let doing = self.doing_manifest(selector);
        let response = self.host.send(&self.manifest_call(Method::HEAD, selector), &doing).await?;
        match response.status() {
            StatusCode::NOT_FOUND => return Ok(None),
            StatusCode::OK => {
                if let Some(found) = described(&response, selector, &doing)? {
                    return Ok(Some(found));
                }
            }
            status if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
                return Err(doing.status(response).await);
            }
            _ => {}
        }
        match self.manifest(selector).await {
            Ok(manifest) => Ok(Some(manifest.descriptor())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a manifest or an index: its exact bytes, and what the registry says that it is. A
    /// content type that is of no manifest is replaced by what the bytes look like.
    ///
    /// # Errors
    /// `NotFound`; `DigestMismatch` if the bytes are not those of the digest that was asked for, or
    /// that the registry claims; `LimitExceeded` above [`MAX_MANIFEST_BYTES`]; `Corrupt` if it is
    /// no manifest; all errors of connections and credentials.
    pub async fn manifest(&self, selector: &Selector) -> Result<RawManifest, Error> {
        let doing = self.doing_manifest(selector);
        let response = self.host.send(&self.manifest_call(Method::GET, selector), &doing).await?;
        if response.status() != StatusCode::OK {
            return Err(doing.status(response).await);
        }
        let claimed = claimed_digest(&response, &doing)?;
        let content_type = response.header(CONTENT_TYPE).map(str::to_owned);
        let bytes =
            response.read_limited(MAX_MANIFEST_BYTES).await.map_err(|error| doing.http(error))?;
        let received = RawManifest::received(bytes, content_type.as_deref())
            .map_err(|error| doing.fail(ErrorKind::Corrupt, error.to_string()))?;
        let expected = selector.digest().or(claimed.as_ref());
        let Some(expected) = expected else {
            return Ok(received);
        };
        if !received.matches(expected) {
            let detail = format!("Manifest does not match provided manifest digest {expected}");
            return Err(doing.fail(ErrorKind::DigestMismatch, detail));
        }
        if expected.algorithm() == Algorithm::Sha256 {
            return Ok(received);
        }
        let (bytes, media_type) = (received.bytes().clone(), received.media_type().clone());
        Ok(RawManifest::with_algorithm(bytes, media_type, expected.algorithm()))
    }

    pub(crate) fn doing_manifest(&self, selector: &Selector) -> Doing {
        Doing::new("reading manifest", format!("{selector} in {}", self.name()))
    }

    fn manifest_call(&self, method: Method, selector: &Selector) -> Call {
        let mut call = self.call(method, &format!("manifests/{selector}"));
        for media_type in ACCEPTED {
            if let Ok(value) = HeaderValue::from_str(media_type.as_str()) {
                call.headers.append(ACCEPT, value);
            }
        }
        call
    }
}

/// The digest that an answer claims for its body.
pub(crate) fn claimed_digest(response: &Response, doing: &Doing) -> Result<Option<Digest>, Error> {
    let Some(text) = response.header(CONTENT_DIGEST).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|error| {
        doing.fail(ErrorKind::Corrupt, format!("the registry's Docker-Content-Digest: {error}"))
    })
}

/// What the head of an answer tells of a manifest, if that is enough.
fn described(
    response: &Response,
    selector: &Selector,
    doing: &Doing,
) -> Result<Option<Descriptor>, Error> {
    let claimed = claimed_digest(response, doing)?;
    if let (Some(asked), Some(claimed)) = (selector.digest(), &claimed)
        && asked.algorithm() == claimed.algorithm()
        && asked != claimed
    {
        let detail = format!("the registry answers for {asked} with {claimed}");
        return Err(doing.fail(ErrorKind::DigestMismatch, detail));
    }
    let digest = selector.digest().cloned().or(claimed);
    let media_type = response
        .header(CONTENT_TYPE)
        .and_then(essence)
        .map(|text| MediaType::from(text.as_str()))
        .filter(MediaType::is_manifest);
    let (Some(digest), Some(media_type), Some(size)) =
        (digest, media_type, response.content_length())
    else {
        return Ok(None);
    };
    if size > MAX_MANIFEST_BYTES {
        let detail = format!("exceeded maximum allowed size of {MAX_MANIFEST_BYTES} bytes");
        return Err(doing.fail(ErrorKind::LimitExceeded, detail));
    }
    Ok(Some(Descriptor::new(media_type, digest, size)))
}

/// A content type without its parameters, in lower case, if it is one.
pub(crate) fn essence(content_type: &str) -> Option<String> {
    let text = content_type.split(';').next().unwrap_or_default().trim();
    let text = text.to_ascii_lowercase();
    MediaType::from(text.as_str()).is_well_formed().then_some(text)
}

/// Hashes some bytes as a digest is made.
pub(crate) fn digest_like(digest: &Digest, bytes: &[u8]) -> Digest {
    Hasher::digest(digest.algorithm(), bytes)
}
