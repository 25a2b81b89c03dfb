//! What holds for all texts and names.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use cask_config::certs;
use cask_config::lookaside::LookasideConf;
use cask_config::registries::{Access, RecordedAliases, RegistriesConf};
use cask_reference::Reference;
use proptest::prelude::*;

/// Texts that are nearly configurations.
fn text() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "[[registry]]\n",
        "[[registry.mirror]]\n",
        "[aliases]\n",
        "[registries.search]\n",
        "prefix = ",
        "location = ",
        "blocked = ",
        "insecure = ",
        "pull-from-mirror = ",
        "unqualified-search-registries = ",
        "credential-helpers = ",
        "short-name-mode = ",
        "\"a.b\"",
        "\"*.b\"",
        "\"a.b/c:1\"",
        "\"\"",
        "true",
        "[\"a.b\"]",
        "[",
        "]",
        "{",
        "}",
        "=",
        "\n",
        ".",
        "\"",
        "'''",
        "#",
        "\"digest-only\"",
        "1",
        "é",
        "\0",
        "x",
    ]);
    prop::collection::vec(words, 0..24).prop_map(|words| words.concat())
}

fn prefix() -> impl Strategy<Value = String> {
    "(\\*\\.|[a-c]\\.|[a-c]\\.[a-c]\\.)[a-c]\\.example(:5000)?(/[a-c]){0,2}"
        .prop_filter("a wildcard has neither port nor path", |prefix| {
            !prefix.starts_with('*') || !prefix.contains([':', '/'])
        })
}

fn reference() -> impl Strategy<Value = Reference> {
    "([a-c]\\.){1,3}example(:5000)?(/[a-c]){1,3}(:[a-c])?".prop_map(|text| text.parse().unwrap())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in prop_oneof![text(), any::<String>()]) {
        if let Err(error) = RegistriesConf::parse(&text, "f") {
            prop_assert!(error.to_string().contains("line"));
            prop_assert!(error.offset().is_some_and(|offset| offset <= text.len()));
        }
        let _ = RecordedAliases::parse(&text, "f");
    }

    #[test]
    fn the_longest_prefix_decides(
        prefixes in prop::collection::btree_set(prefix(), 0..8),
        reference in reference(),
    ) {
        let text: String = prefixes.iter().map(|prefix| {
            format!("[[registry]]\nprefix = \"{prefix}\"\nlocation = \"l.m/n\"\n")
        }).collect();
        let conf = RegistriesConf::parse(&text, "f").unwrap();
        let name = reference.to_string();
        let longest = prefixes.iter().filter(|prefix| match prefix.strip_prefix('*') {
            Some(domain) => reference.repository().host().ends_with(domain),
            None => name.strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':', '@'])),
        }).map(String::len).max();
        let found = conf.find(&name);
        prop_assert_eq!(found.map(|registry| registry.prefix().len()), longest);
        // And what is found is put in place of what it covers.
        for access in [Access::Read, Access::Write] {
            let Ok(resolution) = conf.resolve(&reference, access) else { continue };
            let expected = match found {
                Some(found) => format!("l.m/n{}", &name[found.covers(&name).unwrap()..]),
                None => name.clone(),
            };
            prop_assert_eq!(resolution.primary().unwrap().reference().to_string(), expected);
        }
    }

    #[test]
    fn every_name_is_answered(text in text(), name in any::<String>(), reference in reference()) {
        let Ok(conf) = RegistriesConf::parse(&text, "f") else { return Ok(()) };
        if let Some(covered) = conf.find(&name).and_then(|registry| registry.covers(&name)) {
            prop_assert!(name.is_char_boundary(covered));
        }
        let _ = conf.resolve(&reference, Access::Read);
        let none = RecordedAliases::default();
        let _ = conf.resolve_short_name(&name, &none, Default::default());
        let _ = conf.resolve_locally(&name, &none, Default::default());
    }

    #[test]
    fn a_host_never_leaves_its_directory(host in any::<String>()) {
        let home = tempfile::tempdir().unwrap();
        if let Ok(Some(found)) = certs::find(&[home.path().into()], &host) {
            prop_assert_eq!(found.parent(), Some(home.path()));
        }
        if host.contains('/') || host.contains("..") && host.trim_matches('.').is_empty() {
            prop_assert!(certs::find(&[], &host).is_err());
        }
    }
}

/// Texts that are nearly registries.d.
fn lookaside_text() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "default-docker:\n",
        "docker:\n",
        "  r.example/a:\n",
        "  '*.example':\n",
        "    lookaside: ",
        "    sigstore-staging: ",
        "    use-sigstore-attachments: ",
        "file:///a\n",
        "https://u:p@[::1]:5/x?y#z\n",
        "file:\n",
        "true\n",
        "&a ",
        "*a\n",
        "<<: *a\n",
        "[",
        "]",
        "{",
        "}",
        "- ",
        "---\n",
        "!!binary ",
        "|\n",
        "\t",
        "é",
    ]);
    prop::collection::vec(words, 0..24).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn what_says_where_signatures_are_is_read_or_refused(text in lookaside_text()) {
        if let Ok(conf) = LookasideConf::parse(&text, "a.yaml") {
            for name in ["r.example/a/b:1", "x.example/a", "other/b"] {
                let reference = Reference::parse_normalized(name).unwrap();
                let _ = (conf.reading(&reference), conf.writing(&reference));
                conf.uses_sigstore_attachments(&reference);
            }
        }
    }
}

#[test]
fn aliases_of_aliases_do_not_grow_without_end() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &format!("a{level}: &a{level} [{below}]\n");
    }
    let _ = LookasideConf::parse(&text, "a.yaml");
}
