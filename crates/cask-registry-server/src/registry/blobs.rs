//! Blobs out.

use cask_layout::ErrorKind;
use http::header;
use http::{Response, StatusCode};

use super::{Answer, CONTENT_DIGEST, Call, Registry, parse_digest, set, status};
use crate::body::file_body;
use crate::bytes_range::BytesRange;
use crate::refusal::Refusal;
use crate::{RefusalCode, RepositoryName};

impl Registry {
    pub(super) async fn blob(&self, name: RepositoryName, digest: &str, call: &Call<'_>) -> Answer {
        let digest = parse_digest(digest)?;
        let wanted = digest.clone();
        let opened = self.blocking(move |inner| {
            let layout = inner.existing(&name)?;
            layout.open_blob(&wanted).map_err(unknown_if_missing)
        });
        let (file, size) = opened.await?;
        let tag = format!("\"{digest}\"");
        if call.header(header::IF_NONE_MATCH).is_some_and(|known| known.contains(&tag)) {
            let mut response = status(StatusCode::NOT_MODIFIED);
            set(&mut response, header::ETAG, &tag);
            return Ok(response);
        }
        let range = call.header(header::RANGE);
        // A range of another version of the content would be useless.
        let range =
            range.filter(|_| call.header(header::IF_RANGE).is_none_or(|known| known == tag));
        let (code, first, length) = match BytesRange::parse(range, size) {
            BytesRange::Whole => (StatusCode::OK, 0, size),
            BytesRange::Part { first, last } => {
                (StatusCode::PARTIAL_CONTENT, first, last - first + 1)
            }
            BytesRange::Unsatisfiable => {
                return Err(Refusal::new(RefusalCode::SizeInvalid, "the blob has no such range")
                    .with_status(StatusCode::RANGE_NOT_SATISFIABLE)
                    .with_header(header::CONTENT_RANGE, format!("bytes */{size}")));
            }
        };
        let mut response = Response::new(file_body(file, first, length));
        *response.status_mut() = code;
        if code == StatusCode::PARTIAL_CONTENT {
            let last = first + length - 1;
            set(&mut response, header::CONTENT_RANGE, &format!("bytes {first}-{last}/{size}"));
        }
        set(&mut response, header::CONTENT_LENGTH, &length.to_string());
        set(&mut response, header::CONTENT_TYPE, "application/octet-stream");
        set(&mut response, header::ACCEPT_RANGES, "bytes");
        set(&mut response, header::ETAG, &tag);
        set(&mut response, CONTENT_DIGEST, digest.as_str());
        Ok(response)
    }

    pub(super) async fn delete_blob(&self, name: RepositoryName, digest: &str) -> Answer {
        let digest = parse_digest(digest)?;
        self.blocking(move |inner| {
            inner.existing(&name)?.delete_blob(&digest).map_err(|error| match error.kind() {
                ErrorKind::Unsupported => Refusal::new(
                    RefusalCode::Unsupported,
                    "a manifest needs the blob; delete the manifest first",
                ),
                _ => unknown_if_missing(error),
            })
        })
        .await?;
        Ok(status(StatusCode::ACCEPTED))
    }
}

fn unknown_if_missing(error: cask_layout::Error) -> Refusal {
    match error.kind() {
        ErrorKind::NotFound => Refusal::new(RefusalCode::BlobUnknown, "blob unknown to registry"),
        _ => error.into(),
    }
}
