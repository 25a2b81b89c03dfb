//! What holds for every document.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cask_json::{
    Document, Entry, ErrorKind, Fields, Kind, Node, Rules, Style, Value, Writer, base64, compact,
    fold, folds_equal, parse, quoted, quoted_as_go,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

/// Puts bytes through everything that takes bytes.
fn try_everything(bytes: &[u8]) {
    let strict = Rules::default();
    for rules in [
        strict,
        strict.replacing_bad_text(),
        strict.keeping_duplicates().in_go_words(),
        strict.replacing_bad_text().in_go_words(),
    ] {
        match parse(bytes, rules) {
            Ok(document) => {
                try_value(&document, document.root());
                try_editing(bytes, rules);
            }
            Err(error) => {
                assert!(error.position().offset <= bytes.len(), "{error}");
                assert!(Node::parse(bytes, rules).is_err());
            }
        }
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = (base64::decode(&text), base64::decode_canonical(&text), base64::decode_url(&text));
    assert!(quoted(&text).len() <= 10 * 120 + 5 && quoted_as_go(&text).len() <= 10 * 200 + 5);
    assert!(!quoted(&text).contains('\n') && !quoted_as_go(&text).contains('\n'));
}

fn try_value(document: &Document<'_>, value: Value<'_>) {
    assert_eq!(value.text(), &document.bytes()[value.span()]);
    let place = value.place();
    assert_eq!((place.position(), value.position()), (value.position(), place.position()));
    let _ = (value.as_str(), value.as_bool(), value.as_integer(), value.as_unsigned());
    let _ = (value.as_strings(), value.as_string_set(), value.as_string_map());
    match value.kind() {
        Kind::Array(items) => items.for_each(|item| try_value(document, item)),
        Kind::Object(entries) => {
            if let Ok(fields) = Fields::of(value) {
                let keys: Vec<&str> = entries.clone().map(Entry::key).collect();
                assert!(keys.iter().all(|key| fields.has(key) && fields.get(key).is_ok()));
                assert_eq!(fields.others(&keys).count(), 0);
            }
            entries.for_each(|entry| try_value(document, entry.value()));
        }
        _ => {}
    }
}

/// Opening a value changes nothing, and laying it out anew neither.
fn try_editing(bytes: &[u8], rules: Rules) {
    let expected = compact(bytes);
    let mut node = Node::parse(bytes, rules).unwrap();
    assert_eq!(node.encode(Style::compact()), expected);
    let indented = node.encode(Style::indented("\t"));
    assert_eq!(compact(&indented), expected);
    assert!(
        parse(&expected, Rules::new(1 << 30)).is_ok() || parse(bytes, Rules::default()).is_err()
    );
    open(&mut node);
    let opened = node.encode(Style::compact());
    let keys_are_as_they_were = !bytes.contains(&b'\\') && str::from_utf8(bytes).is_ok();
    assert!(opened == expected || !keys_are_as_they_were);
    assert!(parse(&opened, rules.keeping_duplicates()).is_ok());
}

fn open(node: &mut Node) {
    if let Some(items) = node.as_array_mut() {
        items.iter_mut().for_each(open);
    } else if let Some(object) = node.as_object_mut() {
        let keys: Vec<String> = object.fields().map(|(key, _)| key.to_owned()).collect();
        keys.iter().for_each(|key| open(object.field_mut(key).unwrap()));
    }
}

/// JSON, and text that is nearly so.
fn almost_json() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        vec(any::<u8>(), 0..3),
        r#"[\[\]{}:,"0-9eE.+\-\\u a-z<&]{0,4}"#.prop_map(String::into_bytes),
        Just(br#"{"a":"#.to_vec()),
        Just(br#","A":"#.to_vec()),
        Just(br#""\u0061":1,"#.to_vec()),
        Just(b"[1,".to_vec()),
        Just(b"null".to_vec()),
        Just(b"true]".to_vec()),
        Just(b"-1.5e+7}".to_vec()),
        Just(br"\ud83d\ude00".to_vec()),
        Just(br#""\ud800""#.to_vec()),
        Just("\u{2028}<é".as_bytes().to_vec()),
    ];
    vec(token, 0..12).prop_map(|tokens| tokens.concat())
}

/// JSON as somebody else writes it.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Into::into),
            btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Reads a value into what `serde_json` has.
fn converted(value: Value<'_>) -> serde_json::Value {
    match value.kind() {
        Kind::Null => serde_json::Value::Null,
        Kind::Boolean(value) => value.into(),
        Kind::Number(text) => serde_json::from_str(text).unwrap(),
        Kind::String(text) => text.into(),
        Kind::Array(items) => items.map(converted).collect(),
        Kind::Object(entries) => {
            entries.map(|e| (e.key().to_owned(), converted(e.value()))).collect()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_bytes_make_anything_panic(bytes in vec(any::<u8>(), 0..200)) {
        try_everything(&bytes);
    }

    #[test]
    fn no_almost_json_makes_anything_panic(bytes in almost_json()) {
        try_everything(&bytes);
    }

    #[test]
    fn what_is_json_is_decided_as_elsewhere(bytes in almost_json()) {
        let ours = parse(&bytes, Rules::default());
        let theirs = serde_json::from_slice::<serde_json::Value>(&bytes);
        match (ours, theirs) {
            (Err(error), Ok(_)) => prop_assert_ne!(error.kind(), ErrorKind::Syntax, "{}", error),
            (Ok(_), Err(error)) => {
                prop_assert!(error.to_string().contains("out of range"), "{}", error);
            }
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(converted(ours.root()), theirs),
            (Err(_), Err(_)) => {}
        }
    }

    #[test]
    fn both_words_decide_alike(bytes in almost_json()) {
        let plain = parse(&bytes, Rules::default()).map(|_| ()).map_err(|e| e.kind());
        let go = parse(&bytes, Rules::default().in_go_words()).map(|_| ()).map_err(|e| e.kind());
        prop_assert_eq!(plain, go);
    }

    #[test]
    fn what_others_write_is_read_and_edited(value in json(), pretty in any::<bool>()) {
        let write = if pretty { serde_json::to_vec_pretty } else { serde_json::to_vec };
        let bytes = write(&value).unwrap();
        // Numbers may come back a little different from there.
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let document = parse(&bytes, Rules::default()).unwrap();
        prop_assert_eq!(&converted(document.root()), &value);
        try_everything(&bytes);
        let mut node = Node::of(document.root());
        open(&mut node);
        let encoded = node.encode(Style::indented(" "));
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&encoded).unwrap(), value);
    }

    #[test]
    fn indents_are_those_of_others_too(value in json()) {
        let theirs = serde_json::to_vec_pretty(&value).unwrap();
        let mut writer = Writer::new(Style::indented("  "));
        writer.copy(&serde_json::to_vec(&value).unwrap());
        prop_assert_eq!(writer.finish(), theirs);
    }

    #[test]
    fn strings_round_trip(text in any::<String>(), map in btree_map(any::<String>(), any::<String>(), 0..4)) {
        for style in [Style::compact(), Style::indented("\t").without_html_escapes()] {
            let mut writer = Writer::new(style);
            writer.object(|w| {
                w.key("text").string(&text);
                w.key("map").string_map(&map);
            });
            let bytes = writer.finish();
            let document = parse(&bytes, Rules::default()).unwrap();
            let fields = Fields::of(document.root()).unwrap();
            prop_assert_eq!(fields.string("text").unwrap(), Some(text.as_str()));
            let found: BTreeMap<String, String> = fields.string_map("map").unwrap();
            prop_assert_eq!(&found, &map);
        }
        prop_assert_eq!(Node::from(text.as_str()).to_text(), Some(text));
    }

    #[test]
    fn base64_round_trips(bytes in vec(any::<u8>(), 0..50)) {
        let text = base64::encode(&bytes);
        prop_assert_eq!(base64::decode(&text).unwrap(), &bytes[..]);
        prop_assert_eq!(base64::decode_canonical(&text).unwrap(), &bytes[..]);
        let url = text.replace('+', "-").replace('/', "_");
        prop_assert_eq!(base64::decode_url(url.trim_end_matches('=')).unwrap(), &bytes[..]);
    }

    #[test]
    fn only_the_canonical_text_is_canonical(text in "[A-Za-z0-9+/=\n]{0,12}") {
        if let Some(bytes) = base64::decode_canonical(&text) {
            prop_assert_eq!(base64::encode(&bytes), text);
        }
    }

    #[test]
    fn folding_is_one_relation(one in "[a-cA-Cſskſ\u{212a}éÉ]{0,4}", other in "[a-cA-Cſskſ\u{212a}éÉ]{0,4}") {
        prop_assert_eq!(fold(&one) == fold(&other), folds_equal(&one, &other));
    }
}

/// A mebibyte of whatever is worst.
#[test]
fn hostile_documents_take_linear_time() {
    const SIZE: usize = 1 << 20;
    let fill = |unit: &str, room: usize| unit.repeat((SIZE - room) / unit.len());
    let keys: String = (0..60_000).map(|n| format!(",\"K{n}\":0")).collect();
    let documents = [
        format!("{{\"a\":2{keys}}}"),
        format!("{{\"a\":2,\"config\":{{\"digest\":0{keys}}}}}"),
        format!("{{\"x\":\"{}\"}}", fill("\\u0041", 10)),
        format!("{{\"x\":\"{}\"}}", fill("\\ud800", 10)),
        format!("{{\"x\":[{}0]}}", fill("{},", 10)),
        format!("[{}0]", fill("\n0,", 10)),
        format!("{}0", fill("\n", 10)),
        fill("[", 0),
        fill("{\"a\":", 0),
        [fill("[", SIZE / 2), fill("]", SIZE / 2)].concat(),
        format!("\"{}\"", fill("<", 10)),
    ];
    let mut all: Vec<Vec<u8>> = documents.into_iter().map(String::into_bytes).collect();
    let mut bad_text = vec![0xff; SIZE];
    bad_text[..6].copy_from_slice(b"{\"x\":\"");
    bad_text[SIZE - 2..].copy_from_slice(b"\"}");
    all.push(bad_text);
    let boundless = Rules::default().with_max_depth(usize::MAX).with_max_values(usize::MAX);
    for bytes in all {
        let start = Instant::now();
        let _ = parse(&bytes, Rules::default());
        if let Ok(document) = parse(&bytes, boundless.replacing_bad_text()) {
            let _ = document.place(bytes.len() / 2);
            if let Ok(items) = document.root().items() {
                assert!(items.map(|item| item.position().line).max() > Some(0));
            }
            let _ = Fields::of(document.root());
            let mut node = Node::of(document.root());
            let _ = (node.as_object_mut().is_some(), node.as_array_mut().is_some());
            let _ = node.encode(Style::compact());
        }
        let start_of = String::from_utf8_lossy(&bytes[..30]).into_owned();
        assert!(start.elapsed() < Duration::from_secs(120), "{start_of} {:?}", start.elapsed());
    }
}
