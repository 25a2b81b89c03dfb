use std::collections::BTreeSet;

use cask_layer::{TarSplitEntry, TarSplitError, TarSplitErrorKind, summarize};
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
    assert_eq!(summarize(&split[..]).unwrap().size_bytes, link.len() as u64);
}

#[test]
fn a_recipe_tells_size_and_owners_without_the_files() {
    let owned = |name: &str, uid: &str, gid: &str, data: &[u8]| {
        let mut member = member(b'0', name, "", data);
        member[108..108 + uid.len()].copy_from_slice(uid.as_bytes());
        member[116..116 + gid.len()].copy_from_slice(gid.as_bytes());
        member[148..156].fill(b' ');
        let sum: u32 = member[..512].iter().map(|&byte| u32::from(byte)).sum();
        member[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        member
    };
    let large = vec![7; 200_000];
    let mut stream = [
        owned("a", "7", "10", b"a"),
        owned("b/c", "1750", "0", &large),
        owned("b/.wh.d", "11", "12", b""),
    ]
    .concat();
    stream.resize(stream.len() + 10_240, 0);
    let (split, _) = split(&stream);
    let summary = summarize(&split[..]).unwrap();
    assert_eq!(summary.size_bytes, stream.len() as u64);
    let owners = (BTreeSet::from([7, 0o1750]), BTreeSet::from([0o10, 0]));
    assert_eq!(summary.owners, Some(owners));
    // A header that makes no sense leaves the size.
    let mut writer = cask_layer::TarSplitWriter::new(Vec::new()).unwrap();
    writer.segment(&[1; 700]).unwrap();
    writer.file(b"x", 70_000, Some(1)).unwrap();
    let summary = summarize(&writer.finish().unwrap()[..]).unwrap();
    assert_eq!((summary.size_bytes, summary.owners), (70_700, None));
    assert_eq!(summarize(&b"garbage"[..]).unwrap_err().kind(), TarSplitErrorKind::Corrupt);
}
