//! What holds for any bytes and any credential.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

#[path = "common/support.rs"]
mod common;

use std::fs;

use cask_auth::{AuthFiles, Credential, Fixed, Format, Key, Keychain as _, Secret};
use common::{chain, files};
use proptest::prelude::*;
use tempfile::TempDir;

fn format() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::Containers), Just(Format::Docker), Just(Format::Legacy)]
}

/// Text that is nearly an auth file.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{"),
        Just("}"),
        Just(":"),
        Just(","),
        Just("\"auths\""),
        Just("\"a.example\""),
        Just("\"auth\""),
        Just("\"YTpi\""),
        Just("\"credHelpers\""),
        Just("\"credsStore\""),
        Just("\"username\""),
        Just("null"),
        Just("[]"),
        Just("1"),
        Just("\"https://a.example/\""),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_it_panic(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            nearly().prop_map(String::into_bytes),
        ],
        format in format(),
    ) {
        let home = TempDir::new().unwrap();
        let path = home.path().join("f");
        fs::write(&path, bytes).unwrap();
        let files = files(&path, format);
        let key = Key::parse("a.example/b").unwrap();
        let _ = files.find(&key).map_err(|error| chain(&error));
        let _ = files.list();
        let _ = files.remove(&key);
        let _ = files.set(&key, &Credential::basic("u", "p"));
        let _ = files.remove_all();
    }

    #[test]
    fn no_key_makes_it_panic(text in any::<String>()) {
        let _ = Key::parse(&text);
        let _ = Key::parse_argument(&text);
    }

    #[test]
    fn what_is_set_is_found_under_any_longer_key(
        host in "[a-z][a-z0-9.]{0,8}(:[0-9]{1,5})?",
        namespace in "(/[a-z0-9]{1,6}){0,3}",
        rest in "(/[a-z0-9]{1,6}){0,2}",
        username in "[^:\u{0}]{1,20}",
        password in "[^\u{0}]{0,40}",
        token in any::<bool>(),
    ) {
        let home = TempDir::new().unwrap();
        let files = files(home.path().join("auth.json"), Format::Containers);
        let credential = if token && !password.is_empty() {
            Credential::IdentityToken { username, token: password.into() }
        } else {
            Credential::basic(username, password)
        };
        let key = format!("{host}{namespace}");
        files.set(&Key::parse(&key).unwrap(), &credential).unwrap();
        let longer = Key::parse(&format!("{key}{rest}")).unwrap();
        prop_assert_eq!(files.find(&longer).unwrap().unwrap().credential, credential);
        let other = Key::parse(&format!("{host}x{namespace}")).unwrap();
        prop_assert_eq!(files.find(&other).unwrap(), None);
        files.remove(&Key::parse(&key).unwrap()).unwrap();
        prop_assert_eq!(files.find(&longer).unwrap(), None);
    }

    #[test]
    fn debug_and_display_never_show_a_secret(secret in "[A-Z]{12,40}", username in "[a-z]{1,9}") {
        let hidden = |text: String| !text.contains(&secret);
        let kept = Secret::new(secret.as_str());
        let text = format!("{kept} {kept:?} {kept:#?}");
        prop_assert!(hidden(text));
        for credential in [
            Credential::basic(username, secret.as_str()),
            Credential::identity_token(secret.as_str()),
            Credential::registry_token(secret.as_str()),
        ] {
            let text = format!("{credential:?} {credential:#?}");
        prop_assert!(hidden(text));
            let fixed = Fixed::new(credential.clone());
            let text = format!("{fixed:?}");
        prop_assert!(hidden(text));
            let found = fixed.credential("a", None).unwrap();
            let text = format!("{found:?}");
        prop_assert!(hidden(text));
        }
    }

    #[test]
    fn no_error_shows_a_secret(secret in "[A-Z]{12,40}", cut in 0usize..60) {
        // Files and what they encode, cut off anywhere.
        let encoded = cask_json::base64::encode(secret.as_bytes());
        for value in [&secret, &encoded, &format!("{encoded}!")] {
            let file = format!("{{\"auths\":{{\"a\":{{\"auth\":\"{value}\"}}}}}}");
            let file = &file[..file.len() - cut.min(file.len())];
            let home = TempDir::new().unwrap();
            let path = home.path().join("f");
            fs::write(&path, file).unwrap();
            let files = AuthFiles::new(common::only(path, Format::Containers));
            if let Err(error) = files.find(&Key::parse("a").unwrap()) {
                let text = format!("{} {error:?}", chain(&error));
                prop_assert!(!text.contains(&secret) && !text.contains(&encoded));
            }
        }
    }
}
