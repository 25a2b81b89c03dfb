//! What files say and become.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

#[path = "common/support.rs"]
mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::thread;

use cask_auth::{
    AuthFile, AuthFiles, AuthFilesOptions, Credential, ErrorKind, Format, Key, Origin,
};
use common::{chain, files, only, triple};
use tempfile::TempDir;

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn mode(path: impl AsRef<std::path::Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn entries_give_their_credential_or_say_what_is_wrong_and_where() {
    let check = |file: &str, expected: Result<(&str, &str, &str), &str>| {
        let home = TempDir::new().unwrap();
        let path = home.path().join("af");
        fs::write(&path, file).unwrap();
        let actual = files(&path, Format::Containers).find(&key("a.example/ns/repo"));
        let actual = actual.map(triple).map_err(|error| {
            let text = chain(&error).replace(home.path().to_str().unwrap(), "");
            text.strip_prefix("errors looking up credentials: * ").unwrap().replace("/af", "af")
        });
        let owned = |(a, b, c): (&str, &str, &str)| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(actual, expected.map(owned).map_err(str::to_owned), "{file}");
    };
    let entry = |entry: &str, expected| {
        check(&format!("{{\"auths\":{{\"a.example\":{entry}}}}}"), expected);
    };
    let none = Ok(("", "", ""));
    entry(r#"{"auth":"YTpi"}"#, Ok(("a", "b", "")));
    entry(r#"{"auth":"YTpiOmM="}"#, Ok(("a", "b:c", "")));
    entry(r#"{"auth":"YToAYgA="}"#, Ok(("a", "b", "")));
    entry(r#"{"auth":"Og=="}"#, none);
    entry(r#"{"auth":""}"#, none);
    entry("{}", none);
    entry("null", none);
    entry(r#"{"username":"u","password":"p"}"#, Ok(("u", "p", "")));
    entry(r#"{"username":"u","password":"p","auth":"YTpi"}"#, Ok(("a", "b", "")));
    entry(r#"{"identitytoken":"t"}"#, Ok(("", "", "t")));
    entry(r#"{"Auth":"YTpi","email":5}"#, Ok(("a", "b", "")));
    let bad = "reading JSON file \"af\": unmarshaling JSON at \"af\": ";
    let entry_fails = |text: &str, why: &str| {
        check(&format!("{{\"auths\":{{\"a.example\":{text}}}}}"), Err(&format!("{bad}{why}")));
    };
    entry_fails(
        r#"{"auth":"!!"}"#,
        "auths[\"a.example\"].auth: illegal base64 data at input byte 0 \
         (line 1, column 31, byte 30)",
    );
    entry_fails(
        r#"{"auth":"YWJj"}"#,
        "auths[\"a.example\"].auth: it does not encode a user and a password with a colon \
         between: log in again (line 1, column 31, byte 30)",
    );
    entry_fails(
        r#"{"auth":"/zr/"}"#,
        "auths[\"a.example\"].auth: it does not encode UTF-8: log in again \
         (line 1, column 31, byte 30)",
    );
    entry_fails(
        r#"{"auth":5}"#,
        "auths[\"a.example\"].auth: expected a string, found a number (line 1, column 31, byte 30)",
    );
    let fails = |text: &str, why: &str| check(text, Err(&format!("{bad}{why}")));
    fails("", "unexpected end of JSON input (line 1, column 1, byte 0)");
    fails("[]", "expected an object, found an array (line 1, column 1, byte 0)");
    fails(
        "{\"auths\":[]}",
        "auths: expected an object, found an array (line 1, column 10, byte 9)",
    );
    check("{}", none);
    check("{\"auths\":null}", none);
    // An entry of another registry does not matter, nor does an empty one before a full one.
    check(r#"{"auths":{"b":{"auth":5},"a.example":{"auth":"YTpi"}}}"#, Ok(("a", "b", "")));
    check(
        r#"{"auths":{"a.example/ns":{},"https://a.example/v1/":{"auth":"YTpi"}}}"#,
        Ok(("a", "b", "")),
    );
    // The best match, wherever it stands.
    check(
        r#"{"auths":{"a.example":{"auth":"YTpi"},"a.example/ns":{"auth":"Yzpk"}}}"#,
        Ok(("c", "d", "")),
    );
    check(r#"{"auths":{"a.example/n":{"auth":"YTpi"}}}"#, none);
}

#[test]
fn a_bearer_token_is_found() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("af");
    fs::write(&path, r#"{"auths":{"a.example":{"registrytoken":"t"}}}"#).unwrap();
    let found = files(&path, Format::Docker).find(&key("a.example")).unwrap().unwrap();
    assert_eq!(found.credential, Credential::registry_token("t"));
    assert_eq!(found.origin.to_string(), format!("key \"a.example\" of {}", path.display()));
}

#[test]
fn the_first_file_with_a_match_answers_and_a_bad_one_before_it_is_not_passed_over() {
    let home = TempDir::new().unwrap();
    let file = |name: &str| AuthFile::new(home.path().join(name), Format::Containers);
    let mut options = AuthFilesOptions::default();
    options.files = vec![file("missing"), file("1"), file("2")];
    fs::write(home.path().join("1"), r#"{"auths":{"b.example":{"auth":"YTpi"}}}"#).unwrap();
    fs::write(home.path().join("2"), r#"{"auths":{"a.example":{"auth":"YTpi"}}}"#).unwrap();
    let files = AuthFiles::new(options);
    let found = files.find(&key("a.example")).unwrap().unwrap();
    let path = home.path().join("2");
    assert_eq!(found.origin, Origin::File { path, key: "a.example".to_owned() });

    fs::write(home.path().join("1"), "{").unwrap();
    assert_eq!(files.find(&key("a.example")).unwrap_err().kind(), ErrorKind::Malformed);
}

#[test]
fn a_file_that_is_too_large_or_none_is_refused() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("af");
    fs::write(&path, " ".repeat((4 << 20) + 1)).unwrap();
    let error = files(&path, Format::Containers).find(&key("a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    let error = files(home.path(), Format::Containers).find(&key("a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Read);
    assert!(chain(&error).contains("reading JSON file"), "{error}");
    let error = files(home.path(), Format::Containers)
        .set(&key("a"), &Credential::basic("a", "b"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Read);
}

#[test]
fn set_makes_file_and_directories_for_the_user_alone() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("x/containers/auth.json");
    let files = files(&path, Format::Containers);
    let origin = files.set(&key("a.example/ns"), &Credential::basic("u", "p")).unwrap();
    assert_eq!(origin, Origin::File { path: path.clone(), key: "a.example/ns".to_owned() });
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "{\n\t\"auths\": {\n\t\t\"a.example/ns\": {\n\t\t\t\"auth\": \"dTpw\"\n\t\t}\n\t}\n}"
    );
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(mode(home.path().join("x")), 0o700);
    // Nothing is left beside it.
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);

    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    files.set(&key("b.example"), &Credential::basic("u", "p")).unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn what_is_not_changed_stays_as_it_was() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("config.json");
    let before = concat!(
        "{\n\t\"HttpHeaders\": {\n\t\t\"b\": 1.50,\n\t\t\"a\": \"<&>\"\n\t},\n\t\"auths\": {\n",
        "\t\t\"z.example\": {\n\t\t\t\"auth\": \"YTpi\",\n\t\t\t\"email\": \"e\"\n\t\t},\n",
        "\t\t\"a.example\": {\n\t\t\t\"auth\": \"YTpi\"\n\t\t}\n\t},\n\t\"detachKeys\": \"x\"\n}"
    );
    fs::write(&path, before).unwrap();
    let files = files(&path, Format::Docker);
    files.set(&key("z.example"), &Credential::basic("c", "d")).unwrap();
    let after = fs::read_to_string(&path).unwrap();
    let expected = before.replace(
        "\"auth\": \"YTpi\",\n\t\t\t\"email\": \"e\"",
        "\"email\": \"e\",\n\t\t\t\"auth\": \"Yzpk\"",
    );
    assert_eq!(after.replace("\\u003c\\u0026\\u003e", "<&>"), expected);

    files.remove(&key("a.example")).unwrap();
    files.remove_all().unwrap();
    let after = fs::read_to_string(&path).unwrap();
    assert!(after.contains("\"b\": 1.50") && after.contains("\"auths\": {},\n\t\"detachKeys\""));
}

#[test]
fn an_entry_is_replaced_whole() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("config.json");
    let old =
        r#"{"auths":{"a":{"auth":"YTpi","identitytoken":"t","Username":"u","registrytoken":"r"}}}"#;
    fs::write(&path, old).unwrap();
    let files = files(&path, Format::Docker);
    for credential in [
        Credential::basic("c", "d"),
        Credential::basic("c", ""),
        Credential::identity_token("t"),
        Credential::IdentityToken { username: "u".to_owned(), token: "t".into() },
    ] {
        files.set(&key("a"), &credential).unwrap();
        assert_eq!(files.find(&key("a")).unwrap().unwrap().credential, credential);
    }
}

#[test]
fn what_would_not_be_read_back_is_refused() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("auth.json");
    let check = |key: &Key, credential: Credential| {
        let error = files(&path, Format::Containers).set(key, &credential).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(!path.exists());
    };
    check(&key("a"), Credential::basic("", "b"));
    check(&key("a"), Credential::basic("a:b", "b"));
    check(&key("a"), Credential::basic("a", "\0b"));
    check(&key("a"), Credential::identity_token(""));
    check(&key("a"), Credential::registry_token("t"));
    check(&key(""), Credential::basic("a", "b"));
}

#[test]
fn removing_from_nowhere_makes_nothing() {
    let home = TempDir::new().unwrap();
    let files = files(home.path().join("x/auth.json"), Format::Containers);
    let error = files.remove(&key("a.example")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotLoggedIn);
    assert_eq!(error.to_string(), "not logged into a.example");
    files.remove_all().unwrap();
    assert!(!home.path().join("x").exists());
    let error = AuthFiles::default().remove(&key("a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NowhereToWrite);
}

#[test]
fn a_link_stays_and_what_it_leads_to_is_replaced() {
    let home = TempDir::new().unwrap();
    let (link, real) = (home.path().join("auth.json"), home.path().join("real/dotfiles.json"));
    fs::create_dir(home.path().join("real")).unwrap();
    symlink("real/dotfiles.json", &link).unwrap();
    for _ in ["the link leads nowhere yet", "now it does"] {
        files(&link, Format::Containers).set(&key("a"), &Credential::basic("u", "p")).unwrap();
        assert!(link.is_symlink());
        assert!(!real.is_symlink() && real.is_file());
        assert_eq!(mode(&real), 0o600);
    }
    symlink("loop", home.path().join("loop")).unwrap();
    let error = files(home.path().join("loop"), Format::Containers)
        .set(&key("a"), &Credential::basic("u", "p"))
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Write | ErrorKind::Read), "{error}");
}

#[test]
fn the_link_of_another_user_is_not_followed() {
    let home = TempDir::new().unwrap();
    let link = home.path().join("auth.json");
    symlink("victim", &link).unwrap();
    // Only the superuser can make a link that belongs to another.
    if std::os::unix::fs::lchown(&link, Some(12345), None).is_err() {
        return;
    }
    let error =
        files(&link, Format::Containers).set(&key("a"), &Credential::basic("u", "p")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Write);
    assert!(!home.path().join("victim").exists());
}

#[test]
fn a_file_stays_its_owners() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("auth.json");
    fs::write(&path, "{}").unwrap();
    if std::os::unix::fs::chown(&path, Some(12345), Some(12345)).is_err() {
        return;
    }
    files(&path, Format::Containers).set(&key("a"), &Credential::basic("u", "p")).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (12345, 12345));
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn concurrent_writers_lose_nothing_and_readers_see_whole_files() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("containers/auth.json");
    let files = files(&path, Format::Containers);
    let count = 8;
    let rounds = 12;
    thread::scope(|scope| {
        for writer in 0..count {
            let files = &files;
            scope.spawn(move || {
                for round in 0..rounds {
                    let key = key(&format!("w{writer}.example/r{round}"));
                    files.set(&key, &Credential::basic("u", format!("p{round}"))).unwrap();
                    assert!(files.find(&key).unwrap().is_some());
                }
                let gone = key(&format!("w{writer}.example/r0"));
                files.remove(&gone).unwrap();
            });
        }
    });
    assert_eq!(files.list().unwrap().len(), count * (rounds - 1));
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn legacy_files_are_not_written() {
    let home = TempDir::new().unwrap();
    let files = AuthFiles::new(only(home.path().join(".dockercfg"), Format::Legacy));
    let error = files.set(&key("a"), &Credential::basic("u", "p")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NowhereToWrite);
}
