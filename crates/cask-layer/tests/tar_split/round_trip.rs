use std::collections::BTreeSet;

use cask_layer::{TarSplitEntry, TarSplitError, TarSplitErrorKind};
use proptest::prelude::*;

use crate::model::clean;
use crate::support::{entries, join, member, split};

/// Names that meet each other often.
fn name() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec!["a", "b", "c", "d", ".", "..", ".wh.a", ".wh.b", ""]);
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"))
}

/// A tar stream, and its members in words.
pub(crate) struct Stream(pub(crate) Vec<u8>, pub(crate) Vec<String>);

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.1.fmt(f)
    }
}

/// Streams of members with these flags.
pub(crate) fn stream(flags: &[u8]) -> impl Strategy<Value = Stream> + use<> {
    let kind = prop::sample::select(flags.to_vec());
    let data = prop::collection::vec(any::<u8>(), 0..1500);
    let one = (kind, name(), name(), data).prop_map(|(flag, name, link, data)| {
        // What a global header holds are records.
        let data = if flag == b'g' { vec![] } else { data };
        let words = format!("{} {name} {link} {}", char::from(flag), data.len());
        (member(flag, &name, &link, &data), words)
    });
    let members = prop::collection::vec(one, 0..14);
    (members, 0..3000_usize).prop_map(|(members, tail)| {
        let (bytes, words): (Vec<_>, _) = members.into_iter().unzip();
        let mut bytes = bytes.concat();
        bytes.resize(bytes.len() + tail, 0);
        bytes.truncate(bytes.len() / 512 * 512);
        Stream(bytes, words)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_layer_is_put_together_again(stream in stream(b"00000055122347g")) {
        let (split, model) = split(&stream.0);
        let joined = join(&split, &model.borrow());
        prop_assert!(joined.is_ok(), "{joined:?}");
        prop_assert!(joined.unwrap() == stream.0);
        // The field's readers refuse what has two entries of one name.
        let mut names = BTreeSet::new();
        for entry in entries(&split) {
            if let TarSplitEntry::File { name, .. } = entry {
                prop_assert!(names.insert(clean(&name)), "{}", name.escape_ascii());
            }
        }
    }
}

#[test]
fn a_file_that_changed_is_named_in_the_words_of_the_field() {
    let stream = member(b'0', "etc/hostname", "", b"web");
    let (split, model) = split(&stream);
    for damage in ["dew", "we", "webs", ""] {
        model.borrow_mut().damage("etc/hostname", damage.as_bytes());
        let error = join(&split, &model.borrow()).unwrap_err();
        assert_eq!(error.to_string(), r#"file integrity checksum failed for "etc/hostname""#);
        assert_eq!(TarSplitError::of(&error).unwrap().kind(), TarSplitErrorKind::Changed);
    }
}

#[test]
fn a_link_with_a_size_has_no_payload() {
    // Peers write the header's size, and the checksum of nothing.
    let mut writer = cask_layer::TarSplitWriter::new(Vec::new()).unwrap();
    let link = member(b'1', "b", "a", b"data");
    writer.segment(&link).unwrap();
    writer.file(b"b", 4, Some(0)).unwrap();
    let split = writer.finish().unwrap();
    let joined = join(&split, &crate::model::Model::default()).unwrap();
    assert!(joined == link);
}
