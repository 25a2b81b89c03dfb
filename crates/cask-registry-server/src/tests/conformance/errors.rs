//! What is refused, and with which code.

use cask_image::Algorithm;

use super::suite::{Ask, Sentence, Suite, digest};

const CODES: Sentence = "A 4XX response code from the registry MAY return a body in any format. If \
    the response body is in JSON format, it MUST have the following format: errors: [code, …]. The \
    code field MUST be a unique identifier, from the table of error codes.";

#[tokio::test]
async fn errors_have_the_codes_of_the_table() {
    let suite = Suite::new();
    let zeros = "0".repeat(64);
    let rows: &[(&'static str, String, u16, &str)] = &[
        ("GET", format!("/v2/a/b/blobs/sha256:{zeros}"), 404, "BLOB_UNKNOWN"),
        ("DELETE", format!("/v2/a/b/blobs/sha256:{zeros}"), 404, "BLOB_UNKNOWN"),
        ("GET", "/v2/a/b/blobs/sha256:short".into(), 400, "DIGEST_INVALID"),
        ("DELETE", "/v2/a/b/blobs/sha256:short".into(), 400, "DIGEST_INVALID"),
        ("GET", format!("/v2/a/b/manifests/sha256:{zeros}"), 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/a/b/manifests/none".into(), 404, "MANIFEST_UNKNOWN"),
        ("DELETE", "/v2/a/b/manifests/none".into(), 404, "MANIFEST_UNKNOWN"),
        ("DELETE", format!("/v2/a/b/manifests/sha256:{zeros}"), 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/no/where/tags/list".into(), 404, "NAME_UNKNOWN"),
        ("GET", "/v2/A/b/tags/list".into(), 400, "NAME_INVALID"),
        ("POST", "/v2/A/b/blobs/uploads/".into(), 400, "NAME_INVALID"),
        ("GET", "/v2/a/b/blobs/uploads/none".into(), 404, "BLOB_UPLOAD_UNKNOWN"),
        ("PATCH", "/v2/a/b/blobs/uploads/none".into(), 404, "BLOB_UPLOAD_UNKNOWN"),
        ("PUT", "/v2/a/b/manifests/v1".into(), 400, "MANIFEST_INVALID"),
    ];
    let named = digest(Algorithm::Sha256, b"something");
    let target = format!("/v2/a/b/blobs/uploads/?digest={named}");
    suite.must(CODES, Ask::new("POST", &target).body(b"something"), &[201]).await;
    for (method, target, status, code) in rows {
        suite.refuses(CODES, Ask::new(method, target), *status, code).await;
    }
    assert_eq!(suite.checks(), 1 + 2 * rows.len());
}

#[tokio::test]
async fn the_base_is_there() {
    let suite = Suite::new();
    let sentence: Sentence = "Determining Support: If the response is 200 OK, then the registry \
        implements this specification.";
    suite.must(sentence, Ask::new("GET", "/v2/"), &[200]).await;
}
