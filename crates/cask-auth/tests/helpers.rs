//! Credential helpers, well-behaved and hostile.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

#[path = "common/support.rs"]
mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use cask_auth::{AuthFiles, AuthFilesOptions, Credential, ErrorKind, Format, Key, Origin};
use common::{chain, only, script};
use tempfile::TempDir;

/// Keeps each secret in a file named as the server, and notes what it is asked.
const STORE: &str = r#"#!/bin/sh
dir="$(dirname "$0")"
input="$(cat)"
echo "$1 $input" >> "$dir/log"
name() { echo "$1" | tr '/:' '__'; }
case "$1" in
get) f="$dir/kept-$(name "$input")"
     if [ -f "$f" ]; then cat "$f"; else echo "credentials not found in native keychain"; exit 1; fi ;;
store) server="$(echo "$input" | sed 's/.*"ServerURL":"\([^"]*\)".*/\1/')"
     echo "$input" > "$dir/kept-$(name "$server")" ;;
erase) f="$dir/kept-$(name "$input")"
     if [ -f "$f" ]; then rm "$f"; else echo "credentials not found in native keychain" >&2; exit 1; fi ;;
list) echo '{"kept.example":"u","https://index.docker.io/v1/":"u"}' ;;
esac
"#;

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn with(home: &Path, file: &str, format: Format) -> AuthFilesOptions {
    let path = home.join("config.json");
    fs::write(&path, file).unwrap();
    script(&home.join("docker-credential-store"), STORE);
    let mut options = only(path, format);
    options.helper_search_path = vec!["relative".into(), "/nowhere".into(), home.to_owned()];
    options
}

fn file(home: &Path) -> String {
    fs::read_to_string(home.join("config.json")).unwrap()
}

#[test]
fn creds_store_keeps_what_has_no_helper_of_its_own() {
    let home = TempDir::new().unwrap();
    let config = r#"{"credsStore":"store","credHelpers":{"plain.example":""}}"#;
    let files = AuthFiles::new(with(home.path(), config, Format::Docker));
    assert_eq!(files.find(&key("docker.io/library/busybox")).unwrap(), None);

    let origin = files.set(&key("docker.io"), &Credential::basic("u", "p\"w")).unwrap();
    let server = "https://index.docker.io/v1/".to_owned();
    let path = Some(home.path().join("config.json"));
    let expected = Origin::Helper { name: "store".to_owned(), server, file: path };
    assert_eq!(origin, expected);
    let found = files.find(&key("docker.io/library/busybox")).unwrap().unwrap();
    assert_eq!(found.origin, expected);
    assert_eq!(found.credential, Credential::basic("u", "p\"w"));
    // The file has a marker, and no secret.
    assert!(file(home.path()).contains("\"https://index.docker.io/v1/\": {}"));

    files.set(&key("plain.example"), &Credential::basic("a", "b")).unwrap();
    assert!(file(home.path()).contains("\"auth\": \"YTpi\""));

    let listed = files.list().unwrap();
    let listed: Vec<_> = listed.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(listed, ["docker.io", "plain.example"]);

    files.remove(&key("docker.io")).unwrap();
    assert_eq!(files.find(&key("docker.io")).unwrap(), None);
    assert_eq!(files.remove(&key("docker.io")).unwrap_err().kind(), ErrorKind::NotLoggedIn);

    files.set(&key("b.example"), &Credential::identity_token("t")).unwrap();
    let found = files.find(&key("b.example")).unwrap().unwrap();
    assert_eq!(found.credential, Credential::identity_token("t"));
    files.remove_all().unwrap();
    assert_eq!(files.list().unwrap(), []);
    assert!(file(home.path()).contains("\"credsStore\": \"store\""));
    assert!(!home.path().join("kept-b.example").exists());
}

#[test]
fn the_helper_of_a_registry_is_asked_for_the_registry_alone() {
    let home = TempDir::new().unwrap();
    let config = r#"{"auths":{"a.example":{"auth":"b2xkOm9sZA=="},"a.example/ns":{"auth":"YTpi"}},"credHelpers":{"a.example":"store"}}"#;
    let files = AuthFiles::new(with(home.path(), config, Format::Containers));
    assert_eq!(files.find(&key("a.example/ns/repo")).unwrap(), None);
    let error = files.set(&key("a.example/ns"), &Credential::basic("u", "p")).unwrap_err();
    assert_eq!(error.to_string(), "namespaced key is not supported for credential helper store");

    files.set(&key("a.example"), &Credential::basic("u", "p")).unwrap();
    assert!(files.find(&key("a.example/ns/repo")).unwrap().is_some());
    // What the helper keeps is not in the file any more.
    assert!(!file(home.path()).contains("b2xkOm9sZA=="));
    let log = fs::read_to_string(home.path().join("log")).unwrap();
    let asked: Vec<_> = log.lines().filter(|line| line.starts_with("get")).collect();
    assert_eq!(asked, ["get a.example", "get a.example"]);
    files.remove(&key("a.example")).unwrap();
    assert_eq!(files.find(&key("a.example")).unwrap(), None);
}

#[test]
fn a_helper_that_fails_does_not_keep_the_next_one_from_answering() {
    let home = TempDir::new().unwrap();
    let config = r#"{"auths":{"a.example":{"auth":"YTpi"}}}"#;
    let mut options = with(home.path(), config, Format::Containers);
    options.helpers =
        vec!["missing".to_owned(), "../evil".to_owned(), "containers-auth.json".to_owned()];
    let files = AuthFiles::new(options);
    assert!(files.find(&key("a.example")).unwrap().is_some());
    let error = files.find(&key("b.example")).unwrap_err();
    assert_eq!(
        chain(&error),
        "errors looking up credentials: * credential helper docker-credential-missing: \
         executable file not found in $PATH * \"../evil\" is not the name of a credential \
         helper: letters, digits and -_.+"
    );
}

#[test]
fn global_helpers_are_written_to_listed_and_cleared() {
    let home = TempDir::new().unwrap();
    let mut options = with(home.path(), "{}", Format::Containers);
    options.helpers = vec!["store".to_owned()];
    let files = AuthFiles::new(options);
    files.set(&key("kept.example"), &Credential::basic("u", "p")).unwrap();
    assert_eq!(files.list().unwrap()[0].0.as_str(), "kept.example");
    assert_eq!(file(home.path()), "{}");
    files.remove_all().unwrap();
    assert_eq!(files.list().unwrap(), []);
}

/// What becomes of a helper that does this.
fn answer(body: &str, timeout: Duration) -> Result<Option<Credential>, (ErrorKind, String)> {
    let home = TempDir::new().unwrap();
    let mut options = with(home.path(), "{}", Format::Containers);
    script(&home.path().join("docker-credential-hostile"), &format!("#!/bin/sh\n{body}\n"));
    options.helpers = vec!["hostile".to_owned()];
    options.helper_timeout = timeout;
    let found = AuthFiles::new(options).find(&key("a.example"));
    found
        .map(|found| found.map(|found| found.credential))
        .map_err(|error| (error.kind(), chain(&error)))
}

#[test]
fn hostile_helpers_are_bounded_and_not_quoted_to_the_letter() {
    let long = Duration::from_secs(30);
    let check = |body: &str, expected: &str| {
        let (kind, text) = answer(body, long).unwrap_err();
        assert_eq!(kind, ErrorKind::Helper, "{body}");
        assert!(text.contains(expected), "{body}: {text}");
        assert!(!text.contains("s3cret") && !text.contains('\u{1b}'), "{text}");
    };
    check("cat >/dev/null; cat /dev/zero", "answered more than 1048576 bytes");
    check("cat /dev/zero >&2", "answered more than 1048576 bytes");
    check("echo '{\"Username\":\"u\",\"Secret\":\"s3cret\"'", "answered nonsense");
    check("echo '{\"Username\":[\"s3cret\"]}'", "Username: expected a string, found an array");
    check("echo '\"s3cret\"'", "answered nonsense");
    check("true", "answered nonsense");
    check("echo '{\"Secret\":\"s3cret\"}'; exit 3", "exit status: 3, out: `(not shown");
    check("printf 'no \\033[31m luck'; exit 1", "out: `no  [31m luck`");
    check("echo complaint >&2; exit 1", "out: `complaint`");
    check("kill -9 $$", "signal: 9");
    assert_eq!(answer("echo '{}'", long), Ok(None));
    assert_eq!(answer("echo credentials not found in native keychain >&2; exit 1", long), Ok(None));
    let username = "echo '{\"ServerURL\":\"x\",\"Username\":\"u\",\"Secret\":\"p\",\"More\":1}'";
    assert_eq!(answer(username, long), Ok(Some(Credential::basic("u", "p"))));
}

#[test]
fn a_helper_that_does_not_end_is_killed() {
    // Who waits for them waits for a quarter of an hour.
    for body in [
        "exec sleep 1000",
        // Its child keeps the pipes open after it was killed.
        "sleep 1000 & sleep 1000",
        "exec >/dev/null 2>&1; exec sleep 1000",
    ] {
        let (kind, text) = answer(body, Duration::from_millis(200)).unwrap_err();
        assert_eq!(kind, ErrorKind::Helper);
        assert!(text.contains("took longer than 200ms and was killed"), "{text}");
    }
}

#[test]
fn an_explanation_tells_every_place_and_no_secret() {
    let home = TempDir::new().unwrap();
    let config =
        r#"{"credHelpers":{"h.example":"store"},"auths":{"a.example/ns":{"auth":"dTpzZWNyZXQ="}}}"#;
    let mut options = with(home.path(), config, Format::Docker);
    fs::write(home.path().join("kept-h.example"), r#"{"Username":"v","Secret":"secret"}"#).unwrap();
    let missing = home.path().join("auth.json");
    options.files.insert(0, cask_auth::AuthFile::new(&missing, Format::Containers));
    options.files.push(cask_auth::AuthFile::new(home.path().join("last"), Format::Legacy));
    options.helpers.push("store".to_owned());
    let files = AuthFiles::new(options);
    let check = |text: &str, expected: &[&str]| {
        let explained = files.explain(&key(text));
        let steps = explained.steps.iter().map(|step| format!("{step}"));
        let steps: Vec<_> =
            steps.map(|step| step.replace(&format!("{}/", home.path().display()), "")).collect();
        assert_eq!(steps, expected, "{text}");
        assert!(!format!("{explained:?}").contains("secret"), "{explained:?}");
        assert_eq!(explained.found, files.find(&key(text)).unwrap());
        explained
    };
    let none = "auth.json: there is no such file";
    check(
        "a.example/ns/repo",
        &[
            none,
            "config.json: the key \"a.example/ns\" fits",
            "last: not looked at",
            "the credential helper store: not looked at",
        ],
    );
    check(
        "h.example",
        &[
            none,
            "config.json: it says that the helper store knows",
            "the credential helper store, asked for \"h.example\": it has one",
            "last: not looked at",
            "the credential helper store: not looked at",
        ],
    );
    let anonymous = check(
        "x.example/n",
        &[
            none,
            "config.json: no entry for x.example/n, x.example",
            "last: there is no such file",
            "the credential helper store, asked for \"x.example\": it has none",
        ],
    );
    assert_eq!((anonymous.found, anonymous.error), (None, None));
    fs::write(&missing, "").unwrap();
    let explained = files.explain(&key("a.example/ns/repo"));
    assert!(explained.error.unwrap().contains("unexpected end of JSON input"));
    assert!(explained.steps[0].to_string().contains("unexpected end of JSON input"));
}
