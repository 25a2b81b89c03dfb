//! Blobs: every way to push one, mounts, ranges.

use cask_image::{Algorithm, Digest};

use super::suite::{Ask, Sentence, Suite, digest, location, with_parameter};
use crate::tests::support::header;

const BEGIN: Sentence = "Upon success, the response MUST have a code of 202 Accepted, and MUST \
    include the following header: Location: <location>";
const SINGLE_POST: Sentence = "Registries MAY support pushing blobs using a single POST request: \
    Successful completion of the request MUST return a 201 Created";
const PUT: Sentence = "Upon successful completion of the request, the response MUST have code 201 \
    Created and MUST have the following header: Location: <blob-location>";
const CHUNK: Sentence = "The response for each successful chunk upload MUST be 202 Accepted, and \
    MUST have the following headers: Location: <location>, Range: 0-<end-of-range>";
const ORDER: Sentence = "Chunks MUST be uploaded in order, with the first byte of a chunk being \
    the last chunk's <end-of-range> plus one. If a chunk is uploaded out of order, the registry \
    MUST respond with a 416 Requested Range Not Satisfiable code.";
const STATUS: Sentence = "To get the current status after a 416 error, issue a GET request to a \
    URL <location>. The <range> value MUST match the last <end-of-range>; 204 No Content.";
const CANCEL: Sentence = "To cancel a running upload, issue a DELETE request to the upload \
    location; 204 No Content.";
const GONE: Sentence = "BLOB_UPLOAD_UNKNOWN: If a blob upload has been cancelled or was never \
    started, this error code may be returned.";
const WRONG: Sentence = "DIGEST_INVALID: When a blob is uploaded, the registry will check that \
    the content matches the digest provided by the client.";
const MOUNT: Sentence = "If the blob is successfully mounted, the response code MUST be 201 \
    Created, and the Location header will contain the registry URL to access the accepted blob.";
const NO_MOUNT: Sentence = "If a registry does not support cross-repository mounting or is unable \
    to mount the requested blob, it SHOULD return a 202; a new upload session has begun.";
const ANYWHERE: Sentence = "The registry MAY treat the from parameter as optional, and it MAY \
    cross-mount the blob if it can be found.";
const RANGE: Sentence = "A registry SHOULD support the Range request header in accordance with \
    RFC 9110.";
const DELETE: Sentence = "To delete a blob, perform a DELETE request: Upon success, the registry \
    MUST respond with code 202 Accepted.";
const LEAST: Sentence = "If the registry has a minimum chunk size, the response SHOULD include \
    OCI-Chunk-Min-Length: a client SHOULD send at least that many bytes, except for the last.";

/// How a blob is pushed.
#[derive(Clone, Copy, Debug)]
enum Way {
    SinglePost,
    PostPut,
    Stream,
    /// In so many chunks; whether the last is sent by `PUT`; whether one comes out of order.
    Chunks(usize, bool, bool),
}

const WAYS: [Way; 8] = [
    Way::SinglePost,
    Way::PostPut,
    Way::Stream,
    Way::Chunks(1, false, false),
    Way::Chunks(3, false, false),
    Way::Chunks(3, true, false),
    Way::Chunks(3, false, true),
    Way::Chunks(3, true, true),
];

const BINARY: (&str, &str) = ("content-type", "application/octet-stream");

async fn begin(suite: &Suite, algorithm: Algorithm) -> String {
    let target = match algorithm {
        Algorithm::Sha256 => "/v2/a/b/blobs/uploads/".to_owned(),
        other => format!("/v2/a/b/blobs/uploads/?digest-algorithm={other}"),
    };
    let answer = suite.must(BEGIN, Ask::new("POST", &target), &[202]).await;
    suite.check(BEGIN, !location(&answer).is_empty(), || "no Location".to_owned());
    let least = header(&answer, "oci-chunk-min-length");
    suite.check(LEAST, least.is_empty() || least.parse::<u64>().is_ok(), || least.clone());
    location(&answer)
}

/// Pushes a blob, and checks everything on the way.
async fn push(suite: &Suite, way: Way, bytes: &[u8], named: &Digest, is_right: bool) {
    let ask_last = match way {
        Way::SinglePost => {
            let target = format!("/v2/a/b/blobs/uploads/?digest={named}");
            let ask = Ask::new("POST", &target).headers(&[BINARY]).body(bytes);
            return finish(suite, SINGLE_POST, ask, named, is_right).await;
        }
        Way::PostPut => (begin(suite, named.algorithm()).await, bytes),
        Way::Stream => {
            let target = begin(suite, named.algorithm()).await;
            let ask = Ask::new("PATCH", &target).headers(&[BINARY]).body(bytes);
            let answer = suite.must(CHUNK, ask, &[202]).await;
            (location(&answer), &b""[..])
        }
        Way::Chunks(count, last_by_put, out_of_order) => {
            let mut target = begin(suite, named.algorithm()).await;
            let size = bytes.len().div_ceil(count);
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            let by_patch = chunks.len() - usize::from(last_by_put);
            for (number, chunk) in chunks[..by_patch].iter().enumerate() {
                if out_of_order && number == 1 {
                    target = disorder(suite, &target, chunk, number * size).await;
                }
                target = send(suite, &target, chunk, number * size).await;
            }
            (target, if last_by_put { chunks[by_patch] } else { b"" })
        }
    };
    let target = with_parameter(&ask_last.0, &format!("digest={named}"));
    let start = bytes.len() - ask_last.1.len();
    let range = format!("{start}-{}", bytes.len().max(1) - 1);
    let ranged = [BINARY, ("content-range", range.as_str())];
    let headers = if matches!(way, Way::Chunks(_, true, _)) { &ranged[..] } else { &ranged[..1] };
    let ask = Ask::new("PUT", &target).headers(headers).body(ask_last.1);
    finish(suite, PUT, ask, named, is_right).await;
}

async fn send(suite: &Suite, target: &str, chunk: &[u8], start: usize) -> String {
    let range = format!("{start}-{}", start + chunk.len() - 1);
    let headers = [BINARY, ("content-range", range.as_str())];
    let ask = Ask::new("PATCH", target).headers(&headers).body(chunk);
    let answer = suite.must(CHUNK, ask, &[202]).await;
    suite.has(CHUNK, &answer, "range", &format!("0-{}", start + chunk.len() - 1));
    location(&answer)
}

/// Sends a chunk where it does not belong, and asks where the next one does.
async fn disorder(suite: &Suite, target: &str, chunk: &[u8], start: usize) -> String {
    for wrong in [start + chunk.len(), 0] {
        let range = format!("{wrong}-{}", wrong + chunk.len() - 1);
        let headers = [BINARY, ("content-range", range.as_str())];
        let ask = Ask::new("PATCH", target).headers(&headers).body(chunk);
        suite.must(ORDER, ask, &[416]).await;
    }
    let answer = suite.must(STATUS, Ask::new("GET", target), &[204]).await;
    suite.has(STATUS, &answer, "range", &format!("0-{}", start - 1));
    location(&answer)
}

async fn finish(suite: &Suite, sentence: Sentence, ask: Ask<'_>, named: &Digest, is_right: bool) {
    if !is_right {
        return suite.refuses(WRONG, ask, 400, "DIGEST_INVALID").await;
    }
    let answer = suite.must(sentence, ask, &[201]).await;
    suite.has(sentence, &answer, "location", &format!("/v2/a/b/blobs/{named}"));
}

#[tokio::test]
async fn blobs_are_pushed_in_every_way() {
    let suite = Suite::new();
    let bytes: Vec<u8> = (0..10_000).map(|n: u32| (n * 7 + n / 256).to_le_bytes()[0]).collect();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        for way in WAYS {
            let (right, wrong) = (digest(algorithm, &bytes), digest(algorithm, b"other bytes"));
            let path = format!("/v2/a/b/blobs/{right}");
            suite.lacks(&path).await;
            push(&suite, way, &bytes, &wrong, false).await;
            suite.lacks(&format!("/v2/a/b/blobs/{wrong}")).await;
            push(&suite, way, &bytes, &right, true).await;
            suite.holds(&path, &right, &bytes).await;
            // What is there may be pushed again.
            push(&suite, way, &bytes, &right, true).await;
            suite.must(DELETE, Ask::new("DELETE", &path), &[202]).await;
            suite.lacks(&path).await;
        }
        for small in [&b""[..], b"{}"] {
            let named = digest(algorithm, small);
            push(&suite, Way::PostPut, small, &named, true).await;
            suite.holds(&format!("/v2/a/b/blobs/{named}"), &named, small).await;
        }
    }
    assert_eq!(suite.checks(), 660);
}

#[tokio::test]
async fn uploads_are_cancelled() {
    let suite = Suite::new();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let target = begin(&suite, algorithm).await;
        let target = send(&suite, &target, b"first", 0).await;
        suite.must(CANCEL, Ask::new("DELETE", &target), &[204]).await;
        suite.refuses(GONE, Ask::new("GET", &target), 404, "BLOB_UPLOAD_UNKNOWN").await;
        let ask = Ask::new("PATCH", &target).headers(&[BINARY]).body(b"next");
        suite.refuses(GONE, ask, 404, "BLOB_UPLOAD_UNKNOWN").await;
        suite.refuses(GONE, Ask::new("DELETE", &target), 404, "BLOB_UPLOAD_UNKNOWN").await;
    }
    assert_eq!(suite.checks(), 24);
}

#[tokio::test]
async fn blobs_are_mounted() {
    let suite = Suite::new();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let named = digest(algorithm, b"shared");
        push(&suite, Way::PostPut, b"shared", &named, true).await;
        let from = format!("/v2/c/d/blobs/uploads/?mount={named}&from=a/b");
        let answer = suite.must(MOUNT, Ask::new("POST", &from), &[201]).await;
        suite.has(MOUNT, &answer, "location", &format!("/v2/c/d/blobs/{named}"));
        suite.holds(&format!("/v2/c/d/blobs/{named}"), &named, b"shared").await;
        let anywhere = format!("/v2/e/f/blobs/uploads/?mount={named}");
        suite.must(ANYWHERE, Ask::new("POST", &anywhere), &[201]).await;
        suite.holds(&format!("/v2/e/f/blobs/{named}"), &named, b"shared").await;
        let missing = digest(algorithm, b"nobody has this");
        for from in ["&from=a/b", "&from=no/where", ""] {
            let target = format!("/v2/c/d/blobs/uploads/?mount={missing}{from}");
            let answer = suite.must(NO_MOUNT, Ask::new("POST", &target), &[202]).await;
            let target = with_parameter(&location(&answer), &format!("digest={missing}"));
            let put = Ask::new("PUT", &target).headers(&[BINARY]).body(b"nobody has this");
            suite.must(NO_MOUNT, put, &[201]).await;
            let path = format!("/v2/c/d/blobs/{missing}");
            suite.must(DELETE, Ask::new("DELETE", &path), &[202]).await;
        }
    }
    assert_eq!(suite.checks(), 58);
}

#[tokio::test]
async fn parts_of_blobs_are_pulled() {
    let suite = Suite::new();
    let bytes: Vec<u8> = (0..4000_u32).map(|n| (n % 251).to_le_bytes()[0]).collect();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let named = digest(algorithm, &bytes);
        push(&suite, Way::PostPut, &bytes, &named, true).await;
        let path = format!("/v2/a/b/blobs/{named}");
        let check = async |range: &str, status: u16, expected: std::ops::Range<usize>| {
            let headers = [("range", range)];
            let ask = Ask::new("GET", &path).headers(&headers);
            let answer = suite.must(RANGE, ask, &[status]).await;
            if status != 416 {
                suite.check(RANGE, answer.body()[..] == bytes[expected.clone()], || range.into());
            }
            if status == 206 {
                let said = format!("bytes {}-{}/4000", expected.start, expected.end - 1);
                suite.has(RANGE, &answer, "content-range", &said);
            }
        };
        check("bytes=500-1499", 206, 500..1500).await;
        check("bytes=500-", 206, 500..4000).await;
        check("bytes=-500", 206, 3500..4000).await;
        check("bytes=2000-5000", 206, 2000..4000).await;
        check("bytes=0-0", 206, 0..1).await;
        check("bytes=5000-10000", 416, 0..0).await;
        // What is no range is as if it were not there.
        check("bytes=500-0", 200, 0..4000).await;
        check("lines=1-2", 200, 0..4000).await;
    }
    assert_eq!(suite.checks(), 50);
}
