use std::io::{Cursor, Read};

use cask_layer::{TarSplitErrorKind, TarSplitReader, assemble};
use proptest::prelude::*;

fn check(text: &str, expected: TarSplitErrorKind, words: &str) {
    let mut reader = TarSplitReader::new(text.as_bytes()).unwrap();
    let error = loop {
        match reader.next_entry() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("no error: {text}"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), expected, "{text}");
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn faulty_lines_are_refused_by_number() {
    use TarSplitErrorKind::Corrupt;
    let good = "{\"type\":2,\"payload\":\"YQ==\",\"position\":0}\n";
    check(&format!("{good}{{\"type\":2,\"pay"), Corrupt, "entry 1");
    check(&format!("{good}{{\"type\":3,\"payload\":null}}"), Corrupt, "entry 1: unknown type 3");
    check("{\"type\":2,\"payload\":\"YQ=\"}", Corrupt, "entry 0: payload");
    check("{\"type\":1,\"name_raw\":\"!\"}", Corrupt, "entry 0: name_raw");
    check("{\"type\":1,\"name\":\"a\",\"size\":1,\"payload\":\"YQ==\"}", Corrupt, "8 bytes");
    check("{\"type\":1,\"name\":\"a\",\"size\":-1,\"payload\":null}", Corrupt, "entry 0");
    check("[]", Corrupt, "entry 0");
}

#[test]
fn several_entries_of_one_line_and_unknown_fields_are_read() {
    let text = "{\"type\":2,\"payload\":\"YQ==\"} {\"type\":2,\"payload\":\"Yg==\",\"new\":[1]}\n\n\
                {\"type\":1,\"name\":\"a\",\"size\":1,\"payload\":\"\"}";
    let mut stream = String::new();
    let error = assemble(text.as_bytes(), |_: &[u8]| Ok(Cursor::new(b"c")))
        .unwrap()
        .read_to_string(&mut stream)
        .unwrap_err();
    assert_eq!(error.to_string(), "file integrity checksum failed for \"a\"");
}

#[test]
fn a_line_without_end_is_refused() {
    let endless = Cursor::new(b"{\"type\":2,\"payload\":\"").chain(std::io::repeat(b'A'));
    let mut reader = TarSplitReader::new(endless).unwrap();
    let error = reader.next_entry().unwrap_err();
    assert_eq!(error.kind(), TarSplitErrorKind::TooLarge);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_text_makes_the_reader_panic(text in ".*\n?.*", bytes in any::<Vec<u8>>()) {
        for input in [text.as_bytes(), &bytes] {
            if let Ok(mut assembled) = assemble(input, |_: &[u8]| Ok(Cursor::new(b"a"))) {
                let _ = assembled.read_to_end(&mut Vec::new());
            }
        }
    }
}
