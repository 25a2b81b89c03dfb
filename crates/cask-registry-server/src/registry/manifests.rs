//! Manifests in and out.

use cask_image::{Descriptor, Digest, MAX_MANIFEST_BYTES, Manifest, MediaType, RawManifest};
use cask_layout::{Content as _, Entry, ErrorKind, NewEntry, ReferenceName, Selector};
use cask_reference::Tag;
use http::header::{self, HeaderName};
use http::{Response, StatusCode};

use super::{Answer, CONTENT_DIGEST, Call, Inner, Registry, not_held, parse_digest, set, status};
use crate::body::full_body;
use crate::refusal::{Refusal, chain};
use crate::{RefusalCode, RepositoryName, RequestBody};

/// How a manifest is named in a path.
#[derive(Clone)]
enum Reference {
    Tag(Tag),
    Digest(Digest),
}

impl Reference {
    fn parse(text: &str) -> Result<Self, Refusal> {
        if text.contains(':') {
            return parse_digest(text).map(Self::Digest);
        }
        text.parse().map(Self::Tag).map_err(|error: cask_reference::ReferenceError| {
            Refusal::new(RefusalCode::ManifestInvalid, chain(&error))
        })
    }

    /// A tag that is none, asked for, is one that does not exist.
    fn parse_to_read(text: &str) -> Result<Self, Refusal> {
        if text.contains(':') {
            Self::parse(text)
        } else {
            Self::parse(text).map_err(|_| unknown())
        }
    }
}

impl Registry {
    pub(super) async fn manifest(
        &self,
        name: RepositoryName,
        reference: String,
        call: &Call<'_>,
    ) -> Answer {
        let reference = Reference::parse_to_read(&reference)?;
        let manifest = self
            .blocking(move |inner| {
                let layout = inner.existing(&name)?;
                let descriptor = match &reference {
                    Reference::Tag(tag) => tagged(&layout.list()?, tag).ok_or_else(unknown)?,
                    Reference::Digest(digest) => {
                        layout.resolve(Selector::Digest(digest)).map_err(missing)?.descriptor
                    }
                };
                layout.manifest(&descriptor).map_err(missing)
            })
            .await?;
        let tag = format!("\"{}\"", manifest.digest());
        let known = call.header(header::IF_NONE_MATCH).is_some_and(|known| known.contains(&tag));
        let mut response = if known {
            status(StatusCode::NOT_MODIFIED)
        } else {
            let mut response = Response::new(full_body(manifest.bytes().clone()));
            set(&mut response, header::CONTENT_LENGTH, &manifest.bytes().len().to_string());
            set(&mut response, header::CONTENT_TYPE, manifest.media_type().as_str());
            response
        };
        set(&mut response, header::ETAG, &tag);
        set(&mut response, CONTENT_DIGEST, manifest.digest().as_str());
        Ok(response)
    }

    pub(super) async fn put_manifest(
        &self,
        name: RepositoryName,
        reference: String,
        call: &Call<'_>,
        body: &mut RequestBody,
    ) -> Answer {
        if !self.0.store.may_hold(&name) {
            return Err(not_held(&name));
        }
        let reference = Reference::parse(&reference)?;
        let mut tags = Vec::new();
        for tag in call.query.all("tag") {
            tags.push(tag.parse().map_err(|error: cask_reference::ReferenceError| {
                Refusal::new(RefusalCode::ManifestInvalid, chain(&error))
            })?);
        }
        let asked = tags.clone();
        let content_type = call.header(header::CONTENT_TYPE).map(str::to_owned);
        let bytes = self.read_manifest(call, body).await?;
        let by_tag = matches!(reference, Reference::Tag(_));
        if by_tag && !tags.is_empty() {
            return Err(invalid("the parameter tag goes with a digest"));
        }
        let of = name.clone();
        let put = move |inner: &Inner| {
            let manifest = received(bytes, content_type.as_deref(), &reference)?;
            if let Reference::Tag(tag) = reference {
                tags.push(tag);
            }
            let parsed = manifest.parse().map_err(|error| {
                invalid("manifest invalid").with_detail(serde_json::json!(chain(&error)))
            })?;
            let subject = parsed.subject().map(|subject| subject.digest.clone());
            store(inner, &of, &manifest, &parsed, &tags)?;
            Ok((manifest.digest().clone(), subject))
        };
        let (digest, subject) = self.blocking(put).await?;
        let mut response = status(StatusCode::CREATED);
        set(&mut response, header::LOCATION, &format!("/v2/{name}/manifests/{digest}"));
        set(&mut response, CONTENT_DIGEST, digest.as_str());
        if let Some(subject) = subject {
            set(&mut response, HeaderName::from_static("oci-subject"), subject.as_str());
        }
        for tag in asked {
            if let Ok(value) = http::HeaderValue::from_str(Tag::as_str(&tag)) {
                response.headers_mut().append(HeaderName::from_static("oci-tag"), value);
            }
        }
        Ok(response)
    }

    /// Reads a body that is to be a manifest.
    async fn read_manifest(
        &self,
        call: &Call<'_>,
        body: &mut RequestBody,
    ) -> Result<bytes::Bytes, Refusal> {
        let too_large = || {
            let words = format!("a manifest has at most {MAX_MANIFEST_BYTES} bytes");
            Refusal::new(RefusalCode::SizeInvalid, words).with_status(StatusCode::PAYLOAD_TOO_LARGE)
        };
        if call.content_length().is_some_and(|length| length > MAX_MANIFEST_BYTES) {
            return Err(too_large());
        }
        let mut bytes = bytes::BytesMut::new();
        while let Some(data) = self.next_data(body).await? {
            if (bytes.len() + data.len()) as u64 > MAX_MANIFEST_BYTES {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes.freeze())
    }

    pub(super) async fn delete_manifest(&self, name: RepositoryName, reference: String) -> Answer {
        let reference = Reference::parse_to_read(&reference)?;
        self.blocking(move |inner| {
            let layout = inner.existing(&name)?;
            match &reference {
                Reference::Tag(tag) => {
                    tagged(&layout.list()?, tag).ok_or_else(unknown)?;
                    layout.untag(tag.as_str()).map_err(missing)
                }
                Reference::Digest(digest) => match layout.delete_manifest(digest) {
                    Ok(_) => Ok(()),
                    Err(error) if error.kind() == ErrorKind::Unsupported => {
                        let words = "the manifest is a part of an index; delete the index first";
                        Err(Refusal::new(RefusalCode::Unsupported, words))
                    }
                    Err(error) => Err(missing(error)),
                },
            }
        })
        .await?;
        Ok(status(StatusCode::ACCEPTED))
    }
}

/// What a tag names.
fn tagged(entries: &[Entry], tag: &Tag) -> Option<Descriptor> {
    let named = |entry: &&Entry| {
        entry.name() == Some(tag.as_str()) && entry.descriptor.media_type.is_manifest()
    };
    entries.iter().find(named).map(|entry| entry.descriptor.clone())
}

/// Wraps a manifest that a client sent.
fn received(
    bytes: bytes::Bytes,
    content_type: Option<&str>,
    reference: &Reference,
) -> Result<RawManifest, Refusal> {
    let essence = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    let media_type = if essence.is_empty() {
        MediaType::of_manifest(&bytes)
            .map_err(|error| invalid("manifest invalid").with_detail(chain(&error).into()))?
    } else {
        MediaType::from(essence.to_ascii_lowercase().as_str())
    };
    if !media_type.is_manifest() || media_type.is_schema1() {
        let words =
            format!("{} is no type of manifest that this registry keeps", media_type.as_str());
        return Err(invalid(words));
    }
    let Reference::Digest(expected) = reference else {
        return Ok(RawManifest::new(bytes, media_type));
    };
    let manifest = RawManifest::with_algorithm(bytes, media_type, expected.algorithm());
    if manifest.digest() != expected {
        let detail = serde_json::json!({ "digest": manifest.digest().as_str() });
        return Err(Refusal::new(RefusalCode::DigestInvalid, "the content has another digest")
            .with_detail(detail));
    }
    Ok(manifest)
}

/// Writes a manifest and its tags, if everything that it needs is there.
fn store(
    inner: &Inner,
    name: &RepositoryName,
    manifest: &RawManifest,
    parsed: &Manifest,
    tags: &[Tag],
) -> Result<(), Refusal> {
    // A refused push makes no repository.
    if inner.store.find(name)?.is_none() {
        check_links(inner, parsed, |_| Ok(None))?;
    }
    let layout = inner.writable(name)?;
    // Nobody deletes anything while the transaction lives.
    let transaction = layout.begin()?;
    check_links(inner, parsed, |digest| transaction.blob_size(digest))?;
    let listed = layout.list()?;
    let mut entries = Vec::new();
    for tag in tags {
        let same = tagged(&listed, tag).is_some_and(|entry| entry == named(manifest, tag));
        if !same {
            let name = Some(ReferenceName::from_tag(tag));
            entries.push(NewEntry { descriptor: manifest.descriptor(), name });
        }
    }
    let is_listed = listed.iter().any(|entry| entry.descriptor.digest == *manifest.digest());
    if tags.is_empty() && !is_listed {
        entries.push(NewEntry { descriptor: manifest.descriptor(), name: None });
    }
    transaction.write_manifest(manifest)?;
    transaction.commit(&entries)?;
    Ok(())
}

/// The entry that a manifest has under a tag.
fn named(manifest: &RawManifest, tag: &Tag) -> Descriptor {
    let mut descriptor = manifest.descriptor();
    let name = "org.opencontainers.image.ref.name".to_owned();
    descriptor.annotations.insert(name, tag.as_str().to_owned());
    descriptor
}

/// Whether everything is there that a manifest needs.
fn check_links(
    inner: &Inner,
    parsed: &Manifest,
    blob_size: impl Fn(&Digest) -> cask_layout::Result<Option<u64>>,
) -> Result<(), Refusal> {
    let mut missing = Vec::new();
    let mut check = |descriptor: &Descriptor| -> Result<(), Refusal> {
        if blob_size(&descriptor.digest)? != Some(descriptor.size) {
            missing.push(descriptor.digest.to_string());
        }
        Ok(())
    };
    match parsed {
        Manifest::Image(image) => {
            check(&image.config)?;
            let stored = |layer: &&Descriptor| {
                !layer.media_type.is_nondistributable_layer() && layer.urls.is_empty()
            };
            image.layers.iter().filter(stored).try_for_each(check)?;
        }
        Manifest::Index(_) if inner.options.accept_sparse_indexes => {}
        Manifest::Index(index) => index.manifests.iter().try_for_each(check)?,
        _ => return Err(invalid("manifest invalid")),
    }
    let Some(first) = missing.first() else { return Ok(()) };
    let words = format!("the manifest needs {first}, which is not in the repository");
    missing.truncate(100);
    Err(Refusal::new(RefusalCode::ManifestBlobUnknown, words)
        .with_detail(serde_json::json!({ "missing": missing })))
}

fn invalid(words: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(RefusalCode::ManifestInvalid, words)
}

fn unknown() -> Refusal {
    Refusal::new(RefusalCode::ManifestUnknown, "manifest unknown")
}

fn missing(error: cask_layout::Error) -> Refusal {
    if error.kind() == ErrorKind::NotFound { unknown() } else { error.into() }
}
