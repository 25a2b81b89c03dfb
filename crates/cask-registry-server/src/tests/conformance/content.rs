//! Sets of content, pushed, discovered, pulled and deleted.

use std::collections::BTreeSet;

use cask_image::Algorithm;
use serde_json::Value;

use super::sets::{Document, Set, all};
use super::suite::{Ask, Sentence, Suite, location, with_parameter};
use crate::tests::support::header;

const PUT: Sentence = "Pushing Manifests: Upon a successful upload, the registry MUST return \
    response code 201 Created, and MUST have the following header: Location: <location>";
const SUBJECT: Sentence = "When processing a request for an image manifest with the subject field, \
    a registry implementation that supports the referrers API MUST respond with the response \
    header OCI-Subject: <subject digest>";
const MISSING: Sentence = "The registry MUST accept an otherwise valid manifest with a subject \
    field that references a manifest that does not exist.";
const TYPE: Sentence = "In a successful response, the Content-Type header will indicate the type of \
    the returned manifest. It SHOULD match what the client pushed.";
const TAGS: Sentence = "To fetch the list of tags, perform a GET request to /v2/<name>/tags/list; \
    upon success, the response MUST be a json body, with tags in lexical order.";
const PAGE: Sentence = "The response to such a request MAY return fewer than <int> results, but only \
    when the total number of tags is less than <int> or a Link header is provided; without the \
    last query parameter the list returned will start at the beginning.";
const ZERO: Sentence = "When n is zero, this endpoint MUST return an empty list, and MUST NOT \
    include a Link header.";
const LAST: Sentence = "<tagname> MUST NOT be a numerical index, but rather it MUST be a proper tag; \
    the list begins after it.";
const REFERRERS: Sentence = "Upon success, the response MUST be a JSON body with an image index \
    containing a list of descriptors. If a query results in no matching referrers, an empty \
    manifest list MUST be returned. The Content-Type header MUST be set to the index's type.";
const KIND: Sentence = "Each descriptor is of an image manifest or index in the same <name> \
    namespace with a subject field that specifies the value of <digest>. The descriptors MUST \
    include an artifactType field that is set to the value of the artifactType in the manifest, \
    and if that is empty, to the config descriptor's mediaType.";
const FILTER: Sentence = "If filtering is requested and applied, the response MUST include a header \
    OCI-Filters-Applied: artifactType denoting that an artifactType filter was applied.";
const UNTAG: Sentence = "To delete a tag, perform a DELETE request with the tag: Upon success, the \
    registry MUST respond with a 202 Accepted code.";
const DELETE: Sentence = "To delete a manifest, perform a DELETE request with the digest: Upon \
    success, the registry MUST respond with a 202 Accepted code.";
const BLOBS: Sentence = "To delete a blob: 202 Accepted; if the blob is not found, 404 Not Found.";
const BEGIN: Sentence = "Pushing a blob monolithically, by POST then PUT: 202 Accepted.";
const END: Sentence = "Pushing a blob monolithically, by POST then PUT: 201 Created.";

const NAME: &str = "/v2/conformance/repository";

async fn push_blobs(suite: &Suite, set: &Set) {
    for (named, bytes) in &set.blobs {
        let target = format!("{NAME}/blobs/uploads/");
        let answer = suite.must(BEGIN, Ask::new("POST", &target), &[202]).await;
        let target = with_parameter(&location(&answer), &format!("digest={named}"));
        let ask = Ask::new("PUT", &target);
        let headers = [("content-type", "application/octet-stream")];
        suite.must(END, ask.headers(&headers).body(bytes), &[201]).await;
        suite.holds(&format!("{NAME}/blobs/{named}"), named, bytes).await;
    }
}

async fn push(suite: &Suite, document: &Document) {
    let by_tag = document.tag.map(|tag| format!("{NAME}/manifests/{tag}"));
    let by_digest = format!("{NAME}/manifests/{}", document.digest);
    let headers = [("content-type", document.media_type)];
    // A tag gives a digest by SHA-256; another is what the client names it.
    let is_named = document.digest.algorithm() != Algorithm::Sha256;
    let tagged = match (&document.tag, is_named) {
        (Some(tag), true) => Some(with_parameter(&by_digest, &format!("tag={tag}"))),
        _ => by_tag.clone(),
    };
    for target in [Some(by_digest.clone()), tagged].into_iter().flatten() {
        let ask = Ask::new("PUT", &target).headers(&headers).body(&document.bytes);
        let answer = suite.must(PUT, ask, &[201]).await;
        suite.check(PUT, !header(&answer, "location").is_empty(), || "no Location".to_owned());
        let sentence = if document.subject.is_some() { SUBJECT } else { MISSING };
        suite.has(sentence, &answer, "oci-subject", document.subject.as_deref().unwrap_or(""));
    }
    for path in [Some(by_digest), by_tag].into_iter().flatten() {
        suite.holds(&path, &document.digest, &document.bytes).await;
        let answer = suite.must(TYPE, Ask::new("GET", &path), &[200]).await;
        suite.has(TYPE, &answer, "content-type", document.media_type);
    }
}

async fn json(suite: &Suite, sentence: Sentence, target: &str) -> (Value, [String; 3]) {
    let answer = suite.must(sentence, Ask::new("GET", target), &[200]).await;
    let headers = ["link", "content-type", "oci-filters-applied"].map(|name| header(&answer, name));
    (serde_json::from_slice(answer.body()).unwrap_or_default(), headers)
}

async fn check_tags(suite: &Suite, expected: &[&str]) {
    let list = async |query: &str, sentence| {
        let (body, headers) = json(suite, sentence, &format!("{NAME}/tags/list{query}")).await;
        let tags = body["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
        (tags.map(str::to_owned).collect::<Vec<_>>(), headers[0].clone())
    };
    let same = |sentence, found: &[String], expected: &[&str]| {
        suite.check(sentence, found == expected, || format!("{found:?}, not {expected:?}"));
    };
    let (found, link) = list("", TAGS).await;
    same(TAGS, &found, expected);
    suite.check(TAGS, link.is_empty(), || link.clone());
    let (found, link) = list("?n=0", ZERO).await;
    same(ZERO, &found, &[]);
    suite.check(ZERO, link.is_empty(), || link.clone());
    for n in 1..=expected.len() {
        let (found, link) = list(&format!("?n={n}"), PAGE).await;
        same(PAGE, &found, &expected[..n]);
        suite.check(PAGE, link.is_empty() == (n == expected.len()), || link.clone());
        let (found, _) = list(&format!("?last={}", expected[n - 1]), LAST).await;
        same(LAST, &found, &expected[n..]);
    }
}

async fn check_referrers(suite: &Suite, set: &Set) {
    let subjects: BTreeSet<_> =
        set.documents.iter().filter_map(|document| document.subject.clone()).collect();
    for subject in subjects {
        let about = |kind: Option<&str>| -> BTreeSet<(String, String)> {
            let about = set.documents.iter().filter(|one| one.subject.as_ref() == Some(&subject));
            let described = about
                .map(|one| (one.digest.to_string(), one.artifact_type.clone().unwrap_or_default()));
            described.filter(|(_, found)| kind.is_none_or(|kind| found == kind)).collect()
        };
        let kinds: BTreeSet<_> = about(None).into_iter().map(|(_, kind)| kind).collect();
        let wanted = kinds.iter().map(|kind| Some(kind.as_str()));
        for kind in wanted.chain([None, Some("application/vnd.it.nobody")]) {
            let target = format!("{NAME}/referrers/{subject}");
            let target = match kind {
                Some(kind) => {
                    with_parameter(&target, &format!("artifactType={}", kind.replace('+', "%2B")))
                }
                None => target,
            };
            let (body, headers) = json(suite, REFERRERS, &target).await;
            suite.check(REFERRERS, headers[1] == super::sets::INDEX, || headers[1].clone());
            let found: BTreeSet<_> = body["manifests"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|one| ["digest", "artifactType"].map(|key| one[key].as_str().unwrap_or("")))
                .map(|[digest, kind]| (digest.to_owned(), kind.to_owned()))
                .collect();
            suite.check(KIND, found == about(kind), || format!("{target}: {body}"));
            let applied = if kind.is_some() { "artifactType" } else { "" };
            suite.check(FILTER, headers[2] == applied, || headers[2].clone());
        }
    }
}

async fn delete(suite: &Suite, set: &Set) {
    for document in set.documents.iter().rev() {
        if let Some(tag) = document.tag {
            let path = format!("{NAME}/manifests/{tag}");
            suite.must(UNTAG, Ask::new("DELETE", &path), &[202]).await;
            suite.lacks(&path).await;
        }
        let path = format!("{NAME}/manifests/{}", document.digest);
        // Without its tag, nobody may have wanted it any more.
        suite.must(DELETE, Ask::new("DELETE", &path), &[202, 404]).await;
        suite.lacks(&path).await;
    }
    for (named, _) in &set.blobs {
        let path = format!("{NAME}/blobs/{named}");
        suite.must(BLOBS, Ask::new("DELETE", &path), &[202, 404]).await;
        suite.lacks(&path).await;
    }
}

/// Every set by itself, and then nothing of it is left.
async fn run(algorithm: Algorithm) -> usize {
    let suite = Suite::new();
    for set in all(algorithm) {
        push_blobs(&suite, &set).await;
        for document in &set.documents {
            push(&suite, document).await;
        }
        let mut tags: Vec<_> = set.documents.iter().filter_map(|one| one.tag).collect();
        tags.sort_unstable();
        check_tags(&suite, &tags).await;
        check_referrers(&suite, &set).await;
        delete(&suite, &set).await;
        check_tags(&suite, &[]).await;
        let none = format!("{NAME}/referrers/{}", set.documents[0].digest);
        let (body, _) = json(&suite, REFERRERS, &none).await;
        suite.check(REFERRERS, body["manifests"] == serde_json::json!([]), || set.name.to_owned());
    }
    suite.checks()
}

#[tokio::test]
async fn content_is_pushed_discovered_pulled_and_deleted() {
    assert_eq!(run(Algorithm::Sha256).await, 1585);
}

#[tokio::test]
async fn content_by_sha_512_is_pushed_discovered_pulled_and_deleted() {
    assert_eq!(run(Algorithm::Sha512).await, 1585);
}
