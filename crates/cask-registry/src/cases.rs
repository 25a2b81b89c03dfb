//! The rows of `docker-transport.json` in the folder that `CASK_CASES` names: errors, challenges,
//! ranges, tokens, warnings, content types, sizes. Where it is unset, the tests fail if `CI` is set,
//! and are left out otherwise.

use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;

use crate::api_error::Explained;
use crate::challenge::Challenge;
use crate::content_range::{ContentRange, decimal};
use crate::token::Token;
use crate::warning::parse_warning;
use crate::{ErrorKind, manifest};

fn rows(table: &str, count: usize) -> Vec<Value> {
    let Some(folder) = cask_cases::folder(table) else { return Vec::new() };
    let bytes = std::fs::read(folder.join("docker-transport.json")).unwrap();
    let document: Value = serde_json::from_slice(&bytes).unwrap();
    let rows = document["tables"][format!("image/docker {table}")]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), count, "{table}");
    rows.clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// What a server sent: status, reason, headers, body.
fn response(text: &str) -> (u16, String, HeaderMap, Vec<u8>) {
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let mut status = lines.next().unwrap().splitn(3, ' ').skip(1);
    let code = status.next().unwrap().parse().unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name: http::HeaderName = name.parse().unwrap();
        headers.append(name, value.parse().unwrap());
    }
    let length = headers.get("content-length").map(|n| n.to_str().unwrap().parse().unwrap());
    let body = &body.as_bytes()[..length.unwrap_or(body.len()).min(body.len())];
    (code, status.next().unwrap().to_owned(), headers, body.to_vec())
}

fn explained(text: &str) -> Explained {
    let (status, reason, headers, body) = response(text);
    let insufficient = Challenge::all(&headers)
        .iter()
        .any(|challenge| challenge.get("error") == Some("insufficient_scope"));
    Explained::new(status, reason, insufficient, body)
}

#[test]
fn answers_that_are_errors_are_told_in_the_words_of_the_field() {
    for row in rows("TestRegistryHTTPResponseToError:literal", 9) {
        assert_eq!(explained(text(&row["response"])).text(), text(&row["errorString"]), "{row}");
    }
}

#[test]
fn manifests_that_are_not_there_are_recognised() {
    for row in rows("TestIsManifestUnknownError:literal", 4) {
        assert_eq!(explained(text(&row["response"])).kind(), ErrorKind::NotFound, "{row}");
    }
}

#[test]
fn numbers_are_read_up_to_what_follows() {
    let tails = rows("TestParseDecimalInString:literal#2", 2);
    for number in rows("TestParseDecimalInString:literal#3", 3) {
        for tail in &tails {
            let tail = text(tail);
            let input = format!("{}{tail}", text(&number["s"]));
            let expected = number["v"].as_u64().unwrap();
            assert_eq!(decimal(&input), Some((expected, tail)), "{input}");
        }
    }
    for bad in rows("TestParseDecimalInString:literal#4", 5) {
        assert_eq!(decimal(text(&bad)), None, "{bad}");
    }
}

#[test]
fn content_ranges_are_read_strictly() {
    for row in rows("TestParseContentRange:literal", 3) {
        let range = ContentRange::parse(text(&row["in"])).unwrap();
        assert_eq!(Some(range.first), row["first"].as_u64());
        assert_eq!(Some(range.last), row["last"].as_u64());
        assert_eq!(range.complete, row["completeLength"].as_u64());
    }
    for row in rows("TestParseContentRange:literal#2", 3) {
        // None of them has the header exactly once, which `Response::header` asks for.
        let values = row["Content-Range"].as_array().map_or(0, Vec::len);
        assert_ne!(values, 1);
    }
    for row in rows("TestParseContentRange:literal#3", 13) {
        assert_eq!(ContentRange::parse(text(&row)), None, "{row}");
    }
}

#[test]
fn tokens_are_read_and_live_for_a_minute_at_least() {
    for row in rows("TestBearerTokenReadFromHTTPResponseBody:literal", 4) {
        let token = Token::parse(text(&row["input"]).as_bytes());
        if row["expected"].is_null() {
            assert!(token.is_err());
            continue;
        }
        let token = token.unwrap();
        assert_eq!(token.secret.expose(), text(&row["expected"]["token"]));
        let expires = row["expected"]["expirationTime"]["ext"].as_u64().unwrap();
        // Issued at 2018-01-01T10:00:02Z, in seconds since the year 1.
        assert_eq!(token.life, Duration::from_secs(expires - 63_650_397_602));
    }
}

#[test]
fn warnings_for_people_are_read() {
    for row in rows("TestParseRegistryWarningHeader:literal", 14) {
        // The table has lost bytes that are no UTF-8: they stand for themselves there.
        let expected = text(&row["expected"]);
        let parsed = parse_warning(text(&row["header"]).as_bytes()).unwrap_or_default();
        if !text(&row["header"]).contains('\u{fffd}') {
            assert_eq!(parsed, expected, "{row}");
        }
    }
    assert_eq!(parse_warning(b"299 - \"no \xff\xfe\"").unwrap(), "no \u{fffd}\u{fffd}");
    assert_eq!(parse_warning(b"299 - \"no \\\xff\"").unwrap(), "no \u{fffd}");
    assert_eq!(parse_warning(b"299 - \"\\\xc5\\\xbelu\"").unwrap(), "žlu");
}

#[test]
fn challenges_are_read() {
    for row in rows("TestParseValueAndParams:literal", 3) {
        let mut headers = HeaderMap::new();
        headers.insert("www-authenticate", text(&row["input"]).parse().unwrap());
        let all = Challenge::all(&headers);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].scheme, text(&row["scope"]));
        let expected = row["params"].as_object().unwrap();
        assert_eq!(all[0].parameters.len(), expected.len());
        for (name, value) in expected {
            assert_eq!(all[0].get(name), value.as_str());
        }
    }
}

#[test]
fn content_types_lose_their_parameters() {
    for row in rows("TestSimplifyContentType:literal", 9) {
        let essence = manifest::essence(text(&row["input"]));
        assert_eq!(essence.as_deref().unwrap_or_default(), text(&row["expected"]), "{row}");
    }
}

#[test]
fn sizes_are_one_number_or_nothing() {
    for row in rows("TestGetBlobSize:literal", 8) {
        let mut headers = HeaderMap::new();
        for value in row["headers"].as_array().unwrap() {
            headers.append("content-length", text(value).parse().unwrap());
        }
        let expected = row["expected"].as_i64().unwrap();
        let length = cask_http::content_length(&headers).map_or(-1, u64::cast_signed);
        assert_eq!(length, expected, "{row}");
    }
}

proptest::proptest! {
    #[test]
    fn no_header_and_no_body_makes_the_parsers_panic(text in ".{0,200}", bytes: Vec<u8>) {
        let mut headers = HeaderMap::new();
        if let Ok(value) = http::HeaderValue::from_bytes(text.as_bytes()) {
            headers.insert("www-authenticate", value);
        }
        Challenge::all(&headers);
        parse_warning(&bytes);
        parse_warning(format!("299 - \"{text}").as_bytes());
        ContentRange::parse(&format!("bytes {text}"));
        crate::content_range::received_bytes(&text);
        let _ = Token::parse(&bytes);
        Explained::new(400, text, false, bytes).text();
    }
}

/// The scheme and the parameters of a challenge.
type Shape<'a> = (&'a str, &'a [(&'a str, &'a str)]);

#[test]
fn challenges_of_all_shapes_are_read() {
    let rows: [(&str, &[Shape<'_>]); 9] = [
        ("Basic realm=\"a b\"", &[("basic", &[("realm", "a b")])]),
        ("basic", &[("basic", &[])]),
        (
            "Basic realm=\"a\", Bearer realm=\"b\",scope=c",
            &[("basic", &[("realm", "a")]), ("bearer", &[("realm", "b"), ("scope", "c")])],
        ),
        ("Negotiate, Bearer realm=\"b\"", &[("negotiate", &[]), ("bearer", &[("realm", "b")])]),
        ("Bearer REALM=\"a\\\"b\"", &[("bearer", &[("realm", "a\"b")])]),
        (
            "Bearer realm = \"a\" , service = \"b\"",
            &[("bearer", &[("realm", "a"), ("service", "b")])],
        ),
        ("Bearer realm=\"a\",realm=\"evil\"", &[("bearer", &[("realm", "a")])]),
        ("Bearer realm=\"open", &[("bearer", &[])]),
        ("=", &[]),
    ];
    for (text, expected) in rows {
        let mut headers = HeaderMap::new();
        headers.insert("www-authenticate", text.parse().unwrap());
        let all = Challenge::all(&headers);
        let mut read: Vec<(&str, Vec<(&str, &str)>)> = Vec::new();
        for challenge in &all {
            let pairs = challenge.parameters.iter().map(|(a, b)| (a.as_str(), b.as_str()));
            read.push((&challenge.scheme, pairs.collect()));
        }
        let expected: Vec<(&str, Vec<(&str, &str)>)> =
            expected.iter().map(|(scheme, pairs)| (*scheme, pairs.to_vec())).collect();
        assert_eq!(read, expected, "{text}");
    }
}

#[test]
fn ranges_of_uploads_are_read() {
    let rows = [
        ("0-99", Some(100)),
        ("0-0", Some(0)),
        ("bytes=0-99", Some(100)),
        ("1-99", None),
        ("0-18446744073709551615", None),
        ("-1", None),
        ("", None),
    ];
    for (text, expected) in rows {
        assert_eq!(crate::content_range::received_bytes(text), expected, "{text}");
    }
}
