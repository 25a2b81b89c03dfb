//! Whatever comes: no panic, and nothing outside.

use std::collections::HashSet;
use std::fs;

use cask_layer::{MemberKind, MemberLimits, Members};
use proptest::prelude::*;

use super::adding::archive;
use super::support::{Tree, copy};
use crate::context::{GitLocation, begins_tar, file_name, redacted};
use crate::copy::{glob, mode::ModeChange};

fn name() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("..".to_owned()),
        Just(".".to_owned()),
        Just(String::new()),
        Just("l".to_owned()),
        Just("d".to_owned()),
        Just("etc".to_owned()),
        "[a-c]{1,2}",
    ];
    proptest::collection::vec(part, 1..5).prop_map(|parts| parts.join("/"))
}

fn member() -> impl Strategy<Value = String> {
    (name(), name(), 0..4).prop_map(|(one, two, kind)| match kind {
        0 => format!("{one}=content"),
        1 => format!("{one}/"),
        2 => format!("{one} -> {two}"),
        _ => format!("{one} = {two}"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_archive_becomes_a_layer_that_is_well_made(members in proptest::collection::vec(member(), 0..12)) {
        let lines: Vec<&str> = members.iter().map(String::as_str).collect();
        let tree = Tree::of(&[]);
        fs::write(tree.path().join("a.tar"), archive(&lines)).unwrap();
        tree.settle();
        let stage = Tree::of(&["etc/passwd", "l -> etc", "d/a/x", "d/b -> ../../.."]);
        let Ok(layer) = copy(&tree, &stage.view(), "--unpack=true a.tar /d/") else { return Ok(()) };
        let mut seen: HashSet<Vec<u8>> = HashSet::from([Vec::new()]);
        let mut last: Vec<u8> = Vec::new();
        let mut members = Members::new(&layer.tar[..], MemberLimits::default());
        while let Some(entry) = members.next_member().unwrap() {
            let name = entry.member.name.strip_suffix(b"/").unwrap_or(&entry.member.name).to_vec();
            prop_assert!(!name.starts_with(b"/") && !name.is_empty());
            prop_assert!(name.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b"..")));
            let parent = name.iter().rposition(|byte| *byte == b'/').map_or(&[][..], |at| &name[..at]);
            prop_assert!(seen.contains(parent), "{:?}", layer.lines());
            if entry.member.kind == MemberKind::HardLink {
                prop_assert!(seen.contains(&entry.member.link_name));
            }
            if !name.ends_with(b"/.wh..wh..opq") {
                prop_assert!(last < name, "sorted, and each once");
                last.clone_from(&name);
            }
            seen.insert(name);
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC{0,40}", bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = ModeChange::parse(&text);
        let _ = file_name(&text);
        let _ = begins_tar(&bytes);
        let _ = GitLocation::parse(&text);
        let view = crate::View::scratch();
        let _ = glob::expand(&mut view.walker(), &text, true);
        let _ = view.owner(&text);
    }

    #[test]
    fn credentials_are_left_out_of_every_url(user in "[a-z]{6}", password in "[A-Z0-9@:/]{6,12}", host in "[a-z]{3}") {
        prop_assume!(!password.contains('/'));
        let url = format!("https://{user}:{password}@{host}/path.git");
        let shown = redacted(&url);
        prop_assert_eq!(shown, format!("https://{host}/path.git"));
    }

    #[test]
    fn a_number_sets_what_it_says(mode in 0u32..0o10000, before in 0u32..0o10000, is_directory: bool) {
        let change = ModeChange::parse(&format!("{mode:o}")).unwrap();
        prop_assert_eq!(change.apply(before, is_directory), mode);
        let change = ModeChange::parse("u+r,g-w,o=,+X").unwrap();
        prop_assert_eq!(change.apply(before, is_directory) & !0o7777, 0);
    }
}
