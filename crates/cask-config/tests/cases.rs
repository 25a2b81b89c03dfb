//! The tables of cases from the field.
//!
//! They are read from the folder that `CASK_CASES` names. Where it is unset, the tests fail if
//! `CI` is set and pass otherwise.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use std::path::{Path, PathBuf};

use cask_config::registries::{
    Access, CredentialHelper, Main, Paths, RecordedAliases, RegistriesConf, ShortNameMode,
    ShortNameOptions, ShortNameResolution, record_alias, remove_alias,
};
use cask_config::{Environment, Error, certs};
use cask_reference::{LiteralReference, Reference, Repository};
use serde_json::Value;

/// All rows of registries-conf.json, and those of docker-transport.json that are about certs.d.
const ROWS: (usize, usize) = (282, 11);

const DIGEST: &str = "sha256:d366a4665ab44f0648d7a00ae3fae139d55e32f9712c67accd604bb55df9d05a";

/// A table, and the folder that the files of its rows are in.
struct Tables {
    folder: PathBuf,
    tables: Value,
}

impl Tables {
    /// Reads a table, or `None` where there are none.
    fn read(name: &str) -> Option<Self> {
        let folder = cask_cases::folder(name)?;
        let text = std::fs::read(folder.join(name)).unwrap();
        let mut file: Value = serde_json::from_slice(&text).unwrap();
        Some(Self { folder, tables: file["tables"].take() })
    }

    fn len(&self) -> usize {
        let tables = self.tables.as_object().unwrap().values();
        tables.map(|table| table["rows"].as_array().unwrap().len()).sum()
    }

    /// Runs one table, and counts its rows.
    fn run(&self, name: &str, check: impl Fn(&Value)) -> usize {
        let rows = self.tables[name]["rows"].as_array().unwrap_or_else(|| panic!("no {name}"));
        rows.iter().for_each(check);
        rows.len()
    }

    /// A file of `testdata`.
    fn fixture(&self, set: &str, path: &str) -> PathBuf {
        let name = path.strip_prefix("testdata/").unwrap_or(path);
        self.folder.join("fixtures").join(set).join(name)
    }

    fn load(&self, set: &str, main: &str, drop_ins: Option<&str>) -> Result<RegistriesConf, Error> {
        let mut paths = Paths::only(self.fixture(set, main));
        paths.drop_in_directories.extend(drop_ins.map(|path| self.fixture(set, path)));
        RegistriesConf::load(&paths)
    }
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_else(|| panic!("no {key} in {row}"))
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// The error and what it says of its source.
fn told(error: &Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}{}", source.unwrap_or_default())
}

/// A configuration of one registry, if it is one.
fn one(prefix: &str, location: &str) -> Result<RegistriesConf, Error> {
    let text = format!("[[registry]]\nprefix = {prefix:?}\nlocation = {location:?}\n");
    RegistriesConf::parse(&text, "one.conf")
}

fn mode(number: &Value) -> Option<ShortNameMode> {
    match number.as_i64().unwrap() {
        1 => Some(ShortNameMode::Disabled),
        2 => Some(ShortNameMode::Permissive),
        3 => Some(ShortNameMode::Enforcing),
        _ => None,
    }
}

fn options(mode: Option<ShortNameMode>, docker_hub_only: bool) -> ShortNameOptions {
    let mut options = ShortNameOptions::default();
    options.mode = mode;
    options.docker_hub_only = docker_hub_only;
    options
}

/// The candidates of a name, where nobody can be asked.
fn resolve(
    conf: &RegistriesConf,
    name: &str,
    recorded: &RecordedAliases,
    options: ShortNameOptions,
) -> Result<Vec<String>, Error> {
    match conf.resolve_short_name(name, recorded, options)? {
        ShortNameResolution::Resolved(resolved) => {
            Ok(resolved.candidates().iter().map(ToString::to_string).collect())
        }
        ShortNameResolution::Ask(question) => panic!("{question:?}"),
    }
}

fn repository(name: &str) -> Repository {
    Repository::parse_normalized(name).unwrap()
}

#[test]
fn every_row_of_registries_conf() {
    let Some(tables) = Tables::read("registries-conf.json") else { return };
    let rows = prefixes(&tables)
        + files(&tables)
        + mirrors(&tables)
        + modes_and_helpers(&tables)
        + alias_texts(&tables)
        + aliases(&tables)
        + short_names(&tables)
        + varying_modes(&tables)
        + recorded(&tables)
        + local(&tables);
    assert_eq!((rows, tables.len()), (ROWS.0, ROWS.0));
}

fn prefixes(tables: &Tables) -> usize {
    let covers = |row: &Value| {
        let conf = one(text(row, "prefix"), "location.example").unwrap();
        let registry = conf.registries().next().unwrap();
        let expected = usize::try_from(row["expected"].as_i64().unwrap()).ok();
        assert_eq!(registry.covers(text(row, "ref")), expected, "{row}");
    };
    let rewrite = |row: &Value| -> Option<String> {
        let reference: Reference = text(row, "inputRef").parse().unwrap();
        let conf = one(text(row, "prefix"), text(row, "location")).ok()?;
        let resolution = conf.resolve(&reference, Access::Write).ok()?;
        resolution.prefix()?;
        Some(resolution.primary()?.reference().to_string())
    };
    tables.run("image/pkg/sysregistriesv2 TestRefMatchingSubdomainPrefix:literal", covers)
        + tables.run("image/pkg/sysregistriesv2 TestRefMatchingPrefix:literal", covers)
        + tables.run("image/pkg/sysregistriesv2 TestRewriteReferenceSuccess:literal", |row| {
            assert_eq!(rewrite(row).as_deref(), row["expected"].as_str(), "{row}");
        })
        + tables.run(
            "image/pkg/sysregistriesv2 TestRewriteReferenceFailedDuringParseNamed:literal",
            |row| {
                let [prefix, location] = ["prefix", "location"].map(|key| text(row, key));
                // The parser takes slashes away from ends, so that what is left does no harm;
                // what would happen with them is tested beside the function that rewrites.
                if prefix.ends_with('/') || location.ends_with('/') {
                    let location = location.trim_end_matches('/');
                    let expected = format!("{location}/image:latest");
                    return assert_eq!(rewrite(row), Some(expected), "{row}");
                }
                assert_eq!(rewrite(row), None, "{row}");
            },
        )
}

fn files(tables: &Tables) -> usize {
    tables.run("image/pkg/sysregistriesv2 TestNewConfigWrapper:literal", |row| {
        let mut environment = Environment::default();
        environment.home = Some("/home/user".into());
        let root = row["sys"]["RootForImplicitAbsolutePaths"].as_str();
        environment.system_root = root.map(Into::into);
        let given = row["sys"]["SystemRegistriesConfPath"].as_str();
        let paths = match given {
            Some(path) => Paths::only(path),
            None => Paths::from_environment(&environment),
        };
        // The user's own file is first, and is not always there.
        let user = row["userfilePresent"].as_bool().unwrap();
        let found = match &paths.main {
            Main::Required(path) => path,
            Main::FirstOf(candidates) => &candidates[usize::from(!user)],
            other => panic!("{other:?}"),
        };
        let expected = text(row, "expected").replace("$TMP", "/home/user");
        assert_eq!(found, Path::new(&expected), "{row}");
    }) + tables.run("image/pkg/sysregistriesv2 TestInvalidV2Configs:literal", |row| {
        let error = tables.load("registries", text(row, "path"), None).unwrap_err();
        assert!(told(&error).contains(text(row, "errorSubstring")), "{error} of {row}");
    }) + tables.run("image/pkg/sysregistriesv2 TestInvalidMirrorConfig:literal", |row| {
        let path = text(&row["sys"], "SystemRegistriesConfPath");
        let error = tables.load("registries", path, None).unwrap_err();
        assert!(told(&error).contains(text(row, "expectErr")), "{error} of {row}");
    }) + tables.run("image/pkg/sysregistriesv2 TestV1BackwardsCompatibility:literal", |row| {
        tables.load("registries", row.as_str().unwrap(), None).unwrap_err();
    }) + tables.run("image/pkg/sysregistriesv2 TestMixingV1andV2:literal", |row| {
        tables.load("registries", row.as_str().unwrap(), None).unwrap_err();
    })
}

fn mirrors(tables: &Tables) -> usize {
    let conf = tables.load("registries", "pull-sources-from-reference.conf", None).unwrap();
    tables.run("image/pkg/sysregistriesv2 TestPullSourcesFromReference:literal", |row| {
        let (prefix, repo) = (text(row, "matchedPrefix"), text(row, "repo"));
        for (kind, end) in [("digest", format!("@{DIGEST}")), ("tag", ":aaa".to_owned())] {
            let reference = format!("{prefix}/{repo}{end}").parse().unwrap();
            let resolution = conf.resolve(&reference, Access::Read).unwrap();
            assert_eq!(resolution.prefix(), Some(prefix));
            let endpoints = resolution.endpoints();
            let expected = texts(&row[format!("{kind}Prefixes")]);
            let expected: Vec<_> =
                expected.iter().map(|prefix| format!("{prefix}/{repo}{end}")).collect();
            let found: Vec<_> =
                endpoints.iter().map(|endpoint| endpoint.reference().to_string()).collect();
            assert_eq!(found, expected, "{row}");
            let insecure: Vec<_> =
                endpoints.iter().map(|endpoint| Value::from(endpoint.is_insecure())).collect();
            assert_eq!(Value::from(insecure), row[format!("{kind}Insecure")], "{row}");
            // Nothing is written to a mirror.
            let resolution = conf.resolve(&reference, Access::Write).unwrap();
            assert_eq!(resolution.endpoints(), &endpoints[endpoints.len() - 1..]);
        }
    })
}

fn modes_and_helpers(tables: &Tables) -> usize {
    tables.run("image/pkg/sysregistriesv2 TestParseShortNameMode:tests", |row| {
        let parsed = text(row, "input").parse::<ShortNameMode>();
        assert_eq!(parsed.ok(), mode(&row["result"]), "{row}");
    }) + tables.run("image/pkg/sysregistriesv2 TestGetShortNameMode:tests", |row| {
        let conf = tables.load("registries", text(row, "path"), None);
        assert_eq!(conf.ok().map(|conf| conf.short_name_mode()), mode(&row["mode"]), "{row}");
    }) + tables.run("image/pkg/sysregistriesv2 TestCredentialHelpers:tests", |row| {
        let drop_ins = Some(text(row, "confDirPath"));
        let conf = tables.load("registries", text(row, "confPath"), drop_ins).unwrap();
        let helpers = conf.credential_helpers().iter().map(|helper| match helper {
            CredentialHelper::AuthFiles => CredentialHelper::AUTH_FILES,
            CredentialHelper::Program(name) => name,
        });
        assert_eq!(helpers.collect::<Vec<_>>(), texts(&row["helpers"]), "{row}");
    })
}

fn alias_texts(tables: &Tables) -> usize {
    tables.run("image/pkg/sysregistriesv2 TestParseShortNameValue:tests", |row| {
        let (input, valid) = (text(row, "input"), row["valid"].as_bool().unwrap());
        let conf = RegistriesConf::parse(&format!("[aliases]\na = {input:?}"), "f");
        // A file may set an alias to nothing; that is no value.
        let found = conf.is_ok_and(|conf| conf.aliases()["a"].repository().is_some());
        assert_eq!(found, valid, "{row}");
    }) + tables.run("image/pkg/sysregistriesv2 TestValidateShortName:tests", |row| {
        let (input, valid) = (text(row, "input"), row["valid"].as_bool().unwrap());
        let conf = RegistriesConf::parse(&format!("[aliases]\n{input:?} = \"a.b/c\""), "f");
        assert_eq!(conf.is_ok(), valid, "{row}");
    }) + tables.run("image/pkg/shortnames TestIsShortName:tests", |row| {
        let parsed = LiteralReference::parse(text(row, "input"));
        assert_eq!(parsed.is_err(), row["mustFail"].as_bool().unwrap(), "{row}");
        let is_short = parsed.is_ok_and(|parsed| parsed.is_short_name());
        assert_eq!(is_short, row["parseUnnormalizedShortName"].as_bool().unwrap(), "{row}");
        // And no name that is not one is resolved.
        let conf = RegistriesConf::parse("unqualified-search-registries = [\"a.b\"]", "f").unwrap();
        let found =
            resolve(&conf, text(row, "input"), &RecordedAliases::default(), options(None, false));
        assert_eq!(found.is_err(), row["mustFail"].as_bool().unwrap(), "{row}");
    }) + tables.run("image/pkg/shortnames TestSplitUserInput:tests", |row| {
        let parsed = LiteralReference::parse(text(row, "input")).unwrap();
        assert_eq!(parsed.name(), text(row, "repo"));
        assert_eq!(Value::from(parsed.tag().is_some()), row["isTagged"], "{row}");
        assert_eq!(Value::from(parsed.digest().is_some()), row["isDigested"], "{row}");
    })
}

fn aliases(tables: &Tables) -> usize {
    let conf = tables.load("registries", "aliases.conf", None).unwrap();
    assert_eq!(conf.aliases().len(), 4);
    let plain = tables.run("image/pkg/sysregistriesv2 TestResolveShortNameAlias:aliases", |row| {
        let alias = &conf.aliases()[text(row, "name")];
        assert_eq!(alias.repository(), Some(&repository(text(row, "value"))));
        assert!(alias.file().ends_with("fixtures/registries/aliases.conf"));
    });
    assert_eq!(conf.aliases()["empty"].repository(), None);

    let conf = tables.load("registries", "aliases.conf", Some("registries.conf.d")).unwrap();
    assert_eq!(conf.aliases().len(), 8);
    assert_eq!(conf.short_name_mode(), ShortNameMode::Permissive);
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("aliases.conf");
    for name in ["added1", "added2", "added3"] {
        record_alias(&path, name, &repository(&format!("aliases.conf/{name}"))).unwrap();
    }
    let recorded = RecordedAliases::load(&path).unwrap();
    let drop_ins =
        tables.run("image/pkg/sysregistriesv2 TestAliasesWithDropInConfigs:aliases", |row| {
            let name = text(row, "name");
            let alias = recorded.aliases().get(name).unwrap_or_else(|| &conf.aliases()[name]);
            assert_eq!(alias.repository(), Some(&repository(text(row, "value"))));
            let file = text(row, "config").replace("$TMP", &home.path().to_string_lossy());
            assert!(alias.file().ends_with(file.trim_start_matches("testdata")), "{row}");
        });
    for name in ["added1", "added2", "added3"] {
        remove_alias(&path, name).unwrap();
    }
    let recorded = RecordedAliases::load(&path).unwrap();
    let removed =
        tables.run("image/pkg/sysregistriesv2 TestAliasesWithDropInConfigs:literal", |row| {
            let name = row.as_str().unwrap();
            assert!(!recorded.aliases().contains_key(name) && !conf.aliases().contains_key(name));
        });
    assert_eq!(conf.aliases()["added3"].repository(), Some(&repository("xxx.com/image")));
    remove_alias(&path, "added3").unwrap_err();
    plain + drop_ins + removed
}

fn short_names(tables: &Tables) -> usize {
    let none = RecordedAliases::default();
    let conf = tables.load("shortnames", "aliases.conf", None).unwrap();
    let plain = tables.run("image/pkg/shortnames TestResolve:tests", |row| {
        for (key, hub) in [("value", false), ("dockerHubValue", true)] {
            let found = resolve(&conf, text(row, "input"), &none, options(None, hub)).unwrap();
            assert_eq!(found, [text(row, key)], "{row}");
        }
    });
    resolve(&conf, "doesnotexist", &none, options(None, false)).unwrap_err();
    let found = resolve(&conf, "doesnotexist", &none, options(None, true)).unwrap();
    assert_eq!(found, ["docker.io/library/doesnotexist:latest"]);

    let conf = tables.load("shortnames", "aliases.conf", Some("registries.conf.d")).unwrap();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("aliases.conf");
    for name in ["added1", "added2", "added3"] {
        record_alias(&path, name, &repository(&format!("aliases.conf/{name}"))).unwrap();
    }
    let recorded = RecordedAliases::load(&path).unwrap();
    let drop_ins = tables.run("image/pkg/shortnames TestResolveWithDropInConfigs:tests", |row| {
        let found = resolve(&conf, text(row, "name"), &recorded, options(None, false)).unwrap();
        assert_eq!(found, [text(row, "value")], "{row}");
    });
    let found = resolve(&conf, "doesnotexist", &recorded, options(None, false)).unwrap();
    assert_eq!(found, ["example-overwrite.com/doesnotexist:latest"]);
    plain + drop_ins
}

fn varying_modes(tables: &Tables) -> usize {
    let none = RecordedAliases::default();
    tables.run("image/pkg/shortnames TestResolveWithVaryingShortNameModes:tests", |row| {
        let must_fail = row["mustFail"].as_bool().unwrap();
        // A mode that is none cannot even be written down here.
        let Some(mode) = mode(&row["mode"]) else { return assert!(must_fail, "{row}") };
        let conf = tables.load("shortnames", text(row, "confPath"), None).unwrap();
        let found = resolve(&conf, text(row, "name"), &none, options(Some(mode), false));
        assert_eq!(found.is_err(), must_fail, "{row}");
        let count = found.map_or(0, |found| found.len());
        assert_eq!(Value::from(count), row["numAliases"], "{row}");
    })
}

fn recorded(tables: &Tables) -> usize {
    let conf = tables.load("shortnames", "two-reg.conf", None).unwrap();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("aliases.conf");
    tables.run("image/pkg/shortnames TestResolveAndRecord:tests", |row| {
        let name = text(row, "name");
        let load = || RecordedAliases::load(&path).unwrap();
        let found = resolve(&conf, name, &load(), options(None, false)).unwrap();
        assert_eq!(found, texts(&row["expected"]), "{row}");
        // What is recorded is found, and then alone.
        for candidate in found {
            let short_name = LiteralReference::parse(name).unwrap();
            let reference: Reference = candidate.parse().unwrap();
            record_alias(&path, short_name.name(), reference.repository()).unwrap();
            let found = resolve(&conf, name, &load(), options(None, false)).unwrap();
            assert_eq!(found, [candidate], "{row}");
            remove_alias(&path, short_name.name()).unwrap();
            remove_alias(&path, short_name.name()).unwrap_err();
        }
    })
}

fn local(tables: &Tables) -> usize {
    let none = RecordedAliases::default();
    let conf = tables.load("shortnames", "two-reg.conf", None).unwrap();
    let locally = |name: &str, hub| -> Vec<String> {
        let found = conf.resolve_locally(name, &none, options(None, hub)).unwrap();
        found.iter().map(ToString::to_string).collect()
    };
    let mut rows = tables.run("image/pkg/shortnames TestResolveLocally:tests", |row| {
        assert_eq!(locally(text(row, "input"), false), texts(&row["expectedSys"]), "{row}");
        let hub = text(row, "expectedSysResolveToDockerHub");
        assert_eq!(locally(text(row, "input"), true), [hub], "{row}");
    });
    // The same results once more, in parts.
    let inputs = tables.tables["image/pkg/shortnames TestResolveLocally:tests"]["rows"].clone();
    for (index, input) in inputs.as_array().unwrap().iter().enumerate() {
        let name = match index {
            0 => "image/pkg/shortnames TestResolveLocally:aliases".to_owned(),
            _ => format!("image/pkg/shortnames TestResolveLocally:aliases#{}", index + 1),
        };
        let candidates = locally(text(input, "input"), false);
        let candidates = std::cell::RefCell::new(candidates.into_iter());
        rows += tables.run(&name, |row| {
            let found: Reference = candidates.borrow_mut().next().unwrap().parse().unwrap();
            let (value, named) = (&row["value"], &row["value"]["namedRepository"]["value"]);
            assert_eq!(
                (found.domain(), found.path()),
                (text(named, "domain"), text(named, "path"))
            );
            let tag = found.tag().map(ToString::to_string);
            assert_eq!(tag.as_deref(), value["tag"].as_str());
            let digest = found.digest().map(ToString::to_string);
            assert_eq!(digest.as_deref(), value["digest"].as_str());
        });
        assert_eq!(candidates.borrow_mut().next(), None);
    }
    rows
}

/// The reference implementation names a directory even if none exists; here the candidates are
/// compared, none of which does.
#[test]
fn every_row_about_certs() {
    let Some(tables) = Tables::read("docker-transport.json") else { return };
    let rows = tables.run("image/docker TestDockerCertDir:literal", |row| {
        let sys = &row["sys"];
        let host = "thishostdefinitelydoesnotexist:5000";
        let mut environment = Environment::default();
        environment.system_root = sys["RootForImplicitAbsolutePaths"].as_str().map(Into::into);
        let directories = match sys["DockerPerHostCertDirPath"].as_str() {
            Some(directory) => vec![directory.into()],
            None => certs::directories(&environment),
        };
        assert_eq!(certs::find(&directories, host).unwrap(), None);
        let found = match sys["DockerCertPath"].as_str() {
            Some(directory) => directory.into(),
            None => directories.last().unwrap().join(host),
        };
        assert_eq!(found, Path::new(text(row, "expected")), "{row}");
    });
    assert_eq!(rows, ROWS.1);
}
