//! Stores that podman wrote: what is read is printed again byte for byte.

use std::fs;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::support::dumps;
use crate::record::{ContainerRecord, ImageRecord, LayerRecord, Record};
use crate::table::Table;

/// Parses a table, forgets its text, and prints it.
fn check<R: Record>(text: &str) -> Table<R> {
    let table = Table::<R>::new(text.to_owned());
    table.check().unwrap();
    assert_eq!(table.print(), text, "as it was read");
    let again = Table::of(table.records().map(|record| R::clone(record)));
    assert_eq!(table.damages().next(), None);
    assert_eq!(again.print(), text, "as it is written");
    again
}

#[test]
fn recorded_stores_are_printed_as_they_were() {
    let Some(folder) = dumps() else { return };
    let mut files = 0;
    for release in ["4.3.1", "5.8.2"] {
        let read = |kind: &str| {
            let name = format!("{release}-store-overlay-{kind}-{kind}.json");
            fs::read_to_string(folder.join(name)).unwrap()
        };
        assert_eq!(check::<LayerRecord>(&read("layers")).len(), 4);
        assert_eq!(check::<ImageRecord>(&read("images")).len(), 1);
        assert_eq!(check::<ContainerRecord>(&read("containers")).len(), 2);
        files += 3;
    }
    assert_eq!(files, 6);
}

#[test]
fn unknown_fields_odd_flags_and_escapes_survive_a_change() {
    let text = concat!(
        r#"[{"id":"a","names":["x\u0026y"],"created":"2026-01-02T03:04:05.1Z","#,
        r#""flags":{"a":[1,2.50],"incomplete":true,"s":"t"},"future":{"b": 1e3}}]"#
    );
    let mut table = Table::<LayerRecord>::new(text.to_owned());
    let id = crate::Id::recorded("a").unwrap();
    assert!(table.change(&id, |layer| layer.set_incomplete(false)));
    let expected = text.replace(r#""incomplete":true,"#, "");
    assert_eq!(table.print(), expected);
    assert!(table.by_name("x&y").is_some());
}

#[test]
fn an_entry_that_makes_no_sense_is_kept_and_not_listed() {
    let text = r#"[{"id":"../x"},{"id":"a","created":"0001-01-01T00:00:00Z"},7]"#;
    let table = Table::<LayerRecord>::new(text.to_owned());
    assert_eq!(table.records().count(), 1);
    assert_eq!(table.damages().count(), 2);
    assert_eq!(table.print(), text);
}

#[test]
fn ids_are_found_however_often_one_asks() {
    let id = |number: usize| crate::Id::recorded(&format!("layer{number}")).unwrap();
    let mut table = Table::of((0..50).map(|number| LayerRecord::new(id(number))));
    table = Table::new(table.print());
    for number in (0..50).chain(0..50) {
        assert_eq!(table.by_id(id(number).as_str()).unwrap().id, id(number));
    }
    assert!(table.remove(&id(7)).is_some());
    table.put(LayerRecord::new(id(50)));
    for number in 0..60 {
        let found = table.by_id(id(number).as_str()).map(|record| record.id.clone());
        assert_eq!(found, (number != 7 && number < 51).then(|| id(number)));
        assert_eq!(table.change(&id(number), |_| {}), found.is_some());
    }
    assert_eq!(table.len(), 50);
}

#[test]
fn null_is_an_empty_list() {
    assert!(Table::<ImageRecord>::new(String::new()).check().is_err());
    for text in ["null", "[]"] {
        let table = Table::<ImageRecord>::new(text.to_owned());
        table.check().unwrap();
        assert_eq!(table.print(), "[]");
    }
}

/// An entry of a list: a whole one, one with what nobody knows, and what makes no sense.
fn entry() -> impl Strategy<Value = String> {
    let id = proptest::sample::select(&["a", "b", "c", "../a", "", "a\\n"][..]);
    let field = proptest::sample::select(
        &[
            r#""names":["x","y/z:1"]"#,
            r#""names":null"#,
            r#""names":{"a":1}"#,
            r#""parent":"a""#,
            r#""created":"2026-01-02T03:04:05Z""#,
            r#""created":"never""#,
            r#""diff-size":-1"#,
            r#""diff-size":1e400"#,
            r#""diff-digest":"sha256:x""#,
            r#""flags":{"incomplete":[true]}"#,
            r#""id":"c""#,
            r#""later": { "a" : [ 1.50, null ] }"#,
        ][..],
    );
    let whole = (id, proptest::collection::vec(field, 0..4)).prop_map(|(id, fields)| {
        let id = format!("\"id\":\"{id}\"");
        format!("{{{}}}", [vec![id.as_str()], fields].concat().join(","))
    });
    let odd = proptest::sample::select(&["null", "7", "[]", "{}", "\"a\"", "{\"id\":7}"][..]);
    prop_oneof![4 => whole, 1 => odd.prop_map(str::to_owned)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_list_makes_a_reader_panic_and_what_nobody_changes_stays(
        entries in proptest::collection::vec(entry(), 0..8),
        asked in 0..8,
        junk in "[\\[\\]{}\",:a0-9 ]{0,30}",
    ) {
        let text = format!("[{}]", entries.join(","));
        let mut table = Table::<LayerRecord>::new(text.clone());
        prop_assert!(table.check().is_ok());
        prop_assert_eq!(table.records().count() + table.damages().count(), entries.len());
        prop_assert_eq!(table.print(), text.as_str());
        let id = crate::Id::recorded("b").unwrap();
        for _ in 0..asked {
            let found = table.by_id("b").map(|record| record.id.clone());
            prop_assert!(found.is_none_or(|found| found == id));
        }
        let changed = table.change(&id, |layer| layer.set_incomplete(true));
        let printed = table.print();
        let after: Vec<&RawValue> = serde_json::from_str(&printed).unwrap();
        prop_assert_eq!(after.len(), entries.len());
        let others = after.iter().zip(&entries).filter(|(after, entry)| after.get() != *entry);
        prop_assert!(others.count() <= usize::from(changed));
        prop_assert_eq!(table.remove(&id).is_some(), changed);
        prop_assert_eq!(table.len(), entries.len() - usize::from(changed));
        // What is no list is said, and nothing is found in it.
        let mut table = Table::<LayerRecord>::new(junk);
        let is_list = table.check().is_ok();
        prop_assert!(is_list || table.records().next().is_none() && table.by_id("a").is_none());
        table.put(LayerRecord::new(id.clone()));
        prop_assert!(table.by_id("b").is_some() && table.remove(&id).is_some());
    }
}
