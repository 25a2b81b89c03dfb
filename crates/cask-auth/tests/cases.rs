//! The table of cases from the field.
//!
//! It is read from the folder that `CASK_CASES` names. Where it is unset, the tests fail if `CI`
//! is set and pass otherwise.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

#[path = "common/support.rs"]
mod common;

use std::fs;
use std::path::{Path, PathBuf};

use cask_auth::{
    AuthFile, AuthFiles, AuthFilesOptions, Choice, Credential, Environment, ErrorKind, Fixed,
    Format, Key, Keychain,
};
use common::{files, only, script, triple};
use serde_json::Value;
use tempfile::TempDir;

/// What the helper of the table knows.
const HELPER: &str = r#"#!/bin/sh
case "$1" in
get)
    read registry
    case "$registry" in
    registry-a.com) echo "{\"ServerURL\":\"$registry\",\"Username\":\"foo\",\"Secret\":\"bar\"}" ;;
    registry-b.com) echo "{\"ServerURL\":\"$registry\",\"Username\":\"<token>\",\"Secret\":\"fizzbuzz\"}" ;;
    registry-no-creds.com) echo "credentials not found in native keychain"; exit 1 ;;
    *) echo "{}" ;;
    esac ;;
store) read unused ;;
list) read unused; echo '{"registry-a.com":"foo"}' ;;
*) echo "not implemented"; exit 1 ;;
esac
"#;

fn folder() -> Option<PathBuf> {
    cask_cases::folder("auth-file.json")
}

/// The rows of a table and the folder of fixtures; the number of rows has to be this.
fn rows(name: &str, count: usize) -> Option<(Vec<Value>, PathBuf)> {
    let folder = folder()?;
    let text = fs::read(folder.join("auth-file.json")).unwrap();
    let table: Value = serde_json::from_slice(&text).unwrap();
    let table = &table["tables"][format!("image/pkg/docker/config {name}")];
    let rows = table["rows"].as_array().unwrap_or_else(|| panic!("no table {name}"));
    assert_eq!(rows.len(), count, "{name}");
    Some((rows.clone(), folder.join("fixtures/auth")))
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_else(|| panic!("no {key} in {row}"))
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn expected(credential: &Value) -> (String, String, String) {
    let field = |name: &str| text(credential, name).to_owned();
    (field("Username"), field("Password"), field("IdentityToken"))
}

fn basic(username: &str, password: &str) -> Credential {
    Credential::basic(username, password)
}

fn with_helpers(mut options: AuthFilesOptions, conf: &Path, bin: &Path) -> AuthFilesOptions {
    let conf = fs::read_to_string(conf).unwrap();
    options.helpers = conf.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    options.helper_search_path = vec![bin.to_owned()];
    script(&bin.join("docker-credential-helper-registry"), HELPER);
    options
}

#[test]
fn all_rows_are_known() {
    let Some(folder) = folder() else { return };
    let text = fs::read(folder.join("auth-file.json")).unwrap();
    let table: Value = serde_json::from_slice(&text).unwrap();
    let tables = table["tables"].as_object().unwrap();
    let count: usize = tables.values().map(|table| table["rows"].as_array().unwrap().len()).sum();
    assert_eq!((tables.len(), count), (18, 108));
}

#[test]
fn path_to_auth() {
    let Some((rows, _)) = rows("TestGetPathToAuth:literal", 21) else { return };
    for row in rows {
        let temporary = TempDir::new().unwrap();
        let real = |text: &str| text.replace("$TMP", temporary.path().to_str().unwrap());
        let mut environment = Environment::default();
        environment.linux = text(&row, "os") == "linux";
        environment.home = Some("/root".into());
        let runtime = real(text(&row, "xrd"));
        environment.xdg_runtime_dir = Some(runtime.clone().into()).filter(|_| !runtime.is_empty());
        let given = |name: &str| row["sys"][name].as_str().map(PathBuf::from);
        environment.root = given("RootForImplicitAbsolutePaths");
        let legacy = given("LegacyFormatAuthFilePath").map(|p| AuthFile::new(p, Format::Legacy));
        let modern = given("AuthFilePath").map(|p| AuthFile::new(p, Format::Containers));
        let choice = modern.or(legacy).map_or(Choice::Default, Choice::File);
        let options = environment.to_read(&choice);

        if text(&row, "expected").is_empty() {
            let error = AuthFiles::new(options).set(&key("quay.io"), &basic("a", "b")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NowhereToWrite, "{row}");
            assert!(error.to_string().contains("$XDG_RUNTIME_DIR does not exist"), "{error}");
            continue;
        }
        let first = &options.files[0];
        assert_eq!(first.path, Path::new(&real(text(&row, "expected"))), "{row}");
        assert_eq!(options.writable.as_ref(), Some(first), "{row}");
        assert_eq!(first.format == Format::Legacy, row["legacyFormat"] == true, "{row}");
        assert_eq!(options.files.len() == 1, row["expectedUserSpecified"] == true, "{row}");
    }
}

#[test]
fn credentials_are_found() {
    let Some((rows, fixtures)) = rows("TestGetAuth:literal", 23) else { return };
    for row in rows {
        let home = TempDir::new().unwrap();
        let mut environment = Environment::default();
        environment.home = Some(home.path().to_owned());
        environment.xdg_runtime_dir = Some(home.path().join("runtime"));
        let fixture = |path: &str| fixtures.join(path.strip_prefix("testdata/").unwrap());
        let mut options = environment.to_read(&Choice::Default);
        if let Some(path) = row["path"].as_str().filter(|path| !path.is_empty()) {
            fs::create_dir_all(options.files[0].path.parent().unwrap()).unwrap();
            fs::copy(fixture(path), &options.files[0].path).unwrap();
        }
        if let Some(conf) = row["sys"]["SystemRegistriesConfPath"].as_str() {
            options = with_helpers(options, &fixture(conf), home.path());
        }
        let (registry, repository) = match text(&row, "key").split_once('/') {
            Some((registry, repository)) => (registry, Some(repository)),
            None => (text(&row, "key"), None),
        };
        let keychain: Box<dyn Keychain> = match &row["sys"]["DockerAuthConfig"] {
            Value::Null => Box::new(AuthFiles::new(options)),
            fixed => Box::new(Fixed::new(basic(text(fixed, "Username"), text(fixed, "Password")))),
        };
        let found = keychain.credential(registry, repository).unwrap();
        assert_eq!(triple(found), expected(&row["expected"]), "{row}");
    }
}

#[test]
fn legacy_files_are_read() {
    let Some((rows, fixtures)) = rows("TestGetAuthFromLegacyFile:literal", 2) else { return };
    let home = TempDir::new().unwrap();
    fs::copy(fixtures.join("legacy.json"), home.path().join(".dockercfg")).unwrap();
    let mut environment = Environment::default();
    environment.home = Some(home.path().to_owned());
    environment.xdg_runtime_dir = Some(home.path().to_owned());
    let files = AuthFiles::new(environment.to_read(&Choice::Default));
    for row in rows {
        let found = files.find(&key(text(&row, "hostname"))).unwrap();
        assert_eq!(triple(found), expected(&row["expected"]), "{row}");
    }
}

#[test]
fn the_new_file_is_preferred() {
    let Some((rows, fixtures)) = rows("TestGetAuthPreferNewConfig:literal", 2) else { return };
    let home = TempDir::new().unwrap();
    for row in rows {
        let target = home.path().join(text(&row, "target").strip_prefix("$TMP/").unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        let source = text(&row, "source").strip_prefix("testdata/").unwrap();
        fs::copy(fixtures.join(source), target).unwrap();
    }
    let mut environment = Environment::default();
    environment.home = Some(home.path().to_owned());
    environment.xdg_runtime_dir = Some(home.path().to_owned());
    let found = AuthFiles::new(environment.to_read(&Choice::Default)).find(&key("docker.io"));
    assert_eq!(triple(found.unwrap()).0, "docker");
}

#[test]
fn what_docker_wrote_is_found() {
    let Some((rows, _)) = rows("TestGetCredentialsInteroperability:literal", 7) else { return };
    for row in rows {
        let home = TempDir::new().unwrap();
        let path = home.path().join("config.json");
        let docker_key = match text(&row, "loginKey") {
            "" => "https://index.docker.io/v1/",
            other => other,
        };
        // As Docker writes it.
        let file = format!(
            "{{\n\t\"auths\": {{\n\t\t\"{docker_key}\": {{\n\t\t\t\"auth\": \"c29tZS11c2VyOnNvbWUtcGFzc3dvcmQ=\"\n\t\t}}\n\t}}\n}}"
        );
        let query = key(text(&row, "queryKey"));
        let files = files(&path, Format::Docker);
        assert_eq!(files.find(&query).unwrap(), None);
        fs::write(&path, file).unwrap();
        let found = triple(files.find(&query).unwrap());
        assert_eq!(found, ("some-user".into(), "some-password".into(), String::new()), "{row}");
        fs::write(&path, "{\n\t\"auths\": {}\n}").unwrap();
        assert_eq!(files.find(&query).unwrap(), None);
    }
}

#[test]
fn whatever_docker_logs_out_of_is_found_and_can_be_removed() {
    let tables = [
        ("TestGetCredentialsInteroperability:regsToLogout", 4, "example.com"),
        ("TestGetCredentialsInteroperability:regsToLogout#2", 4, "example.com:8000"),
        ("TestGetCredentialsInteroperability:regsToLogout#3", 1, "docker.io"),
    ];
    for (name, count, host) in tables {
        let Some((rows, _)) = rows(name, count) else { return };
        for row in rows {
            let home = TempDir::new().unwrap();
            let path = home.path().join("config.json");
            let file = serde_json::json!({"auths": {row.as_str().unwrap(): {"auth": "YTpi"}}});
            fs::write(&path, file.to_string()).unwrap();
            let files = files(&path, Format::Docker);
            assert_eq!(triple(files.find(&key(host)).unwrap()).0, "a", "{row}");

            let argument = Key::parse_argument(row.as_str().unwrap()).unwrap();
            files.set(&argument, &basic("c", "d")).unwrap();
            assert_eq!(triple(files.find(&argument).unwrap()).0, "c", "{row}");
            files.remove(&argument).unwrap();
        }
    }
}

#[test]
fn all_credentials_are_listed() {
    let Some((listed, fixtures)) = rows("TestGetAllCredentials:literal", 2) else { return };
    let (first, _) = rows("TestGetAllCredentials:data", 4).unwrap();
    let (second, _) = rows("TestGetAllCredentials:data#2", 3).unwrap();
    assert_eq!(listed, [Value::from(first), Value::from(second)]);
    for data in listed {
        let home = TempDir::new().unwrap();
        let path = home.path().join("auth.json");
        fs::write(&path, "{}").unwrap();
        let conf = fixtures.join("cred-helper-with-auth-files.conf");
        let options = with_helpers(only(path, Format::Containers), &conf, home.path());
        let files = AuthFiles::new(options);
        let data = data.as_array().unwrap();
        for row in data.iter().filter(|row| row["writeKey"] != "") {
            let credential = basic(text(row, "username"), text(row, "password"));
            files.set(&key(text(row, "writeKey")), &credential).unwrap();
        }
        let mut actual: Vec<_> = files
            .list()
            .unwrap()
            .into_iter()
            .map(|(key, found)| (key.to_string(), triple(Some(found))))
            .collect();
        actual.sort();
        let mut expected: Vec<_> = data
            .iter()
            .map(|row| {
                let field = |name: &str| text(row, name).to_owned();
                (field("expectedKey"), (field("username"), field("password"), String::new()))
            })
            .collect();
        expected.sort();
        assert_eq!(actual, expected);
    }
}

#[test]
fn a_helper_without_an_answer_is_no_error() {
    let Some(folder) = folder() else { return };
    let fixtures = folder.join("fixtures/auth");
    let home = TempDir::new().unwrap();
    let options = only(fixtures.join("config.json"), Format::Docker);
    let options =
        with_helpers(options, &fixtures.join("cred-helper-with-auth-files.conf"), home.path());
    let mut options = options;
    options.helpers.truncate(1);
    assert_eq!(AuthFiles::new(options).list().unwrap(), []);
}

#[test]
fn keys_are_looked_up_from_the_best() {
    let Some((rows, _)) = rows("TestAuthKeyLookupOrder:literal", 5) else { return };
    for row in rows {
        let key = key(text(&row, "input"));
        let actual: Vec<_> = key.lookup_order().collect();
        assert_eq!(Value::from(actual), row["expected"], "{row}");
    }
}

#[test]
fn what_is_set_is_found() {
    let Some((rows, _)) = rows("TestSetCredentials:literal", 4) else { return };
    for row in rows {
        let home = TempDir::new().unwrap();
        let path = home.path().join("auth.json.set");
        fs::write(&path, "{}").unwrap();
        let files = files(&path, Format::Containers);
        let mut written = std::collections::BTreeMap::new();
        for (i, input) in row.as_array().unwrap().iter().enumerate() {
            let credential = basic(&format!("username-{i}"), &format!("password-{i}"));
            files.set(&key(input.as_str().unwrap()), &credential).unwrap();
            written.insert(input.as_str().unwrap(), credential);
        }
        let file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(file["auths"].as_object().unwrap().len(), written.len(), "{row}");
        for (name, credential) in written {
            assert!(file["auths"][name]["auth"].is_string(), "{name}");
            assert_eq!(files.find(&key(name)).unwrap().unwrap().credential, credential, "{name}");
        }
    }
}

#[test]
fn only_what_is_named_is_removed() {
    let Some((rows, _)) = rows("TestRemoveAuthentication:literal", 4) else { return };
    for row in rows {
        let home = TempDir::new().unwrap();
        let path = home.path().join("auth.json");
        let mut left = row["config"]["AuthConfigs"].as_object().unwrap().clone();
        for entry in left.values_mut() {
            *entry = serde_json::json!({"auth": entry["Auth"]});
        }
        let before =
            serde_json::json!({"auths": left, "credHelpers": row["config"]["CredHelpers"]});
        fs::write(&path, before.to_string()).unwrap();
        for input in row["inputs"].as_array().unwrap() {
            let result = files(&path, Format::Containers).remove(&key(input.as_str().unwrap()));
            let kind = result.err().map(|error| error.kind());
            let fails = row["shouldError"] == true;
            assert_eq!(kind, fails.then_some(ErrorKind::NotLoggedIn), "{row}");
            left.remove(input.as_str().unwrap());
        }
        let after: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(after["auths"], Value::from(left), "{row}");
    }
}

#[test]
fn docker_finds_what_was_set() {
    let Some((rows, _)) = rows("TestSetCredentialsInteroperability:literal", 7) else { return };
    for row in rows {
        let home = TempDir::new().unwrap();
        let path = home.path().join("config.json");
        let others = r#"{"auths":{"unmodified-domain.example":{"identitytoken":"identity"}},"psFormat":"psFormatValue","credHelpers":{"helper-domain.example":"helper-name"}}"#;
        if row["otherContents"] == true {
            fs::write(&path, others).unwrap();
        }
        let files = files(&path, Format::Docker);
        let login = key(text(&row, "loginKey"));
        let result = files.set(&login, &basic("some-user", "some-password"));
        if row["loginKeyError"] == true {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Invalid, "{row}");
            assert!(!path.exists());
            continue;
        }
        result.unwrap();
        // What Docker looks for.
        let domain = text(&row, "queryRepo").split('/').next().unwrap();
        let docker_key = if domain == "docker.io" { "https://index.docker.io/v1/" } else { domain };
        let file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(file["auths"][docker_key]["auth"], "c29tZS11c2VyOnNvbWUtcGFzc3dvcmQ=", "{row}");
        assert!(files.find(&key(text(&row, "queryRepo"))).unwrap().is_some());

        files.remove(&login).unwrap();
        assert_eq!(files.find(&key(text(&row, "queryRepo"))).unwrap(), None);
        if row["otherContents"] == true {
            let file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            assert_eq!(file, serde_json::from_str::<Value>(others).unwrap());
        }
    }
}

#[test]
fn keys_are_validated() {
    let Some((bad, _)) = rows("TestValidateKey:literal", 5) else { return };
    for row in bad {
        let error = Key::parse(row.as_str().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{row}");
    }
    let (good, _) = rows("TestValidateKey:literal#2", 5).unwrap();
    for row in good {
        assert_eq!(
            Value::from(key(text(&row, "key")).is_namespaced()),
            row["isNamespaced"],
            "{row}"
        );
    }
}

#[test]
fn entries_match_or_not() {
    let Some((rows, _)) = rows("TestSetGetCredentials:literal", 5) else { return };
    for row in rows {
        let home = TempDir::new().unwrap();
        let path = home.path().join("auth.json");
        let entries = serde_json::json!({text(&row, "set"): {"auth": "dXNlcm5hbWU6cGFzc3dvcmQ="}});
        let legacy = row["useLegacyFormat"] == true;
        let file = if legacy { entries } else { serde_json::json!({"auths": entries}) };
        fs::write(&path, file.to_string()).unwrap();
        let format = if legacy { Format::Legacy } else { Format::Containers };
        let found = files(&path, format).find(&key(text(&row, "get"))).unwrap();
        assert_eq!(Value::from(found.is_some()), row["shouldAuth"], "{row}");
        if let Some(found) = found {
            assert_eq!(found.credential, basic("username", "password"), "{row}");
        }
    }
}
