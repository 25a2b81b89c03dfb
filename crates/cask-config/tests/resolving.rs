//! What a configuration makes of references and short names.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use cask_config::ErrorKind;
use cask_config::registries::{
    Access, RecordedAliases, RegistriesConf, Resolution, ShortNameMode, ShortNameOptions,
    ShortNameResolution,
};

fn conf(text: &str) -> RegistriesConf {
    RegistriesConf::parse(text, "/etc/r.conf").unwrap()
}

fn resolve(conf: &RegistriesConf, reference: &str, access: Access) -> Resolution {
    conf.resolve(&reference.parse().unwrap(), access).unwrap()
}

/// The same configuration was given to skopeo 1.9.3, which tried the same places.
const SKOPEO: &str = r#"
[[registry]]
location = "blk.example"
blocked = true

[[registry]]
prefix = "127.0.0.1:1"
location = "127.0.0.1:1/x"
[[registry.mirror]]
location = "127.0.0.1:2/m"
[[registry.mirror]]
location = "127.0.0.1:3/d"
pull-from-mirror = "digest-only"

[[registry]]
prefix = "*.wild.example"
[[registry.mirror]]
location = "127.0.0.1:4/w"
insecure = true
"#;

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn mirrors_come_first_when_reading_and_never_when_writing() {
    #[track_caller]
    fn check(reference: &str, access: Access, expected: &[&str]) {
        let resolution = resolve(&conf(SKOPEO), reference, access);
        let found: Vec<_> =
            resolution.endpoints().iter().map(|place| place.reference().to_string()).collect();
        assert_eq!(found, expected);
        let mirrors = resolution.endpoints().iter().filter(|place| place.is_mirror()).count();
        assert_eq!(mirrors, expected.len() - 1);
        assert!(resolution.primary().is_some_and(|primary| !primary.is_mirror()));
    }
    check("127.0.0.1:1/a:1", Access::Read, &["127.0.0.1:2/m/a:1", "127.0.0.1:1/x/a:1"]);
    check("127.0.0.1:1/a:1", Access::Write, &["127.0.0.1:1/x/a:1"]);
    // As by tag: the list of tags of a mirror may be another.
    check("127.0.0.1:1/a", Access::Read, &["127.0.0.1:2/m/a", "127.0.0.1:1/x/a"]);
    let by_digest = format!("127.0.0.1:1/a@{DIGEST}");
    let expected = ["127.0.0.1:2/m", "127.0.0.1:3/d", "127.0.0.1:1/x"];
    let expected = expected.map(|place| format!("{place}/a@{DIGEST}"));
    check(&by_digest, Access::Read, &expected.each_ref().map(String::as_str));
    check(&by_digest, Access::Write, &[&expected[2]]);
    check("x.wild.example/a:1", Access::Read, &["127.0.0.1:4/w/a:1", "x.wild.example/a:1"]);
    check("other.example/a:1", Access::Read, &["other.example/a:1"]);
}

#[test]
fn what_is_pushed_goes_elsewhere_where_the_configuration_says_so() {
    let text = r#"
[[registry]]
prefix = "a.example/team"
location = "cache.example/team"
push-to = "main.example/team/"
insecure = true
[[registry.mirror]]
location = "m.example"

[[registry]]
prefix = "*.wild.example"
push-to = "main.example"
"#;
    let conf = conf(text);
    assert!(conf.warnings().is_empty());
    let check = |reference: &str, access: Access, expected: &[&str]| {
        let resolution = resolve(&conf, reference, access);
        let found = resolution.endpoints().iter().map(|place| place.reference().to_string());
        assert_eq!(found.collect::<Vec<_>>(), expected, "{reference}");
    };
    let read = ["m.example/x:1", "cache.example/team/x:1"];
    check("a.example/team/x:1", Access::Read, &read);
    check("a.example/team/x:1", Access::Write, &["main.example/team/x:1"]);
    check("b.wild.example/x:1", Access::Read, &["b.wild.example/x:1"]);
    check("b.wild.example/x:1", Access::Write, &["main.example/x:1"]);
    let resolution = resolve(&conf, "a.example/team/x:1", Access::Write);
    assert!(!resolution.endpoints()[0].is_original_host(), "typed credentials do not go there");
    let error = RegistriesConf::parse("[[registry]]\nlocation='a.b'\npush-to='http://x'", "f");
    assert!(error.unwrap_err().to_string().contains("URI schemes are not supported"));
}

#[test]
fn endpoints_tell_what_they_may_be_told() {
    let resolution = resolve(&conf(SKOPEO), "127.0.0.1:1/a:1", Access::Read);
    assert_eq!(resolution.prefix(), Some("127.0.0.1:1"));
    let hosts: Vec<_> =
        resolution.endpoints().iter().map(|place| place.is_original_host()).collect();
    assert_eq!(hosts, [false, true]);
    let resolution = resolve(&conf(SKOPEO), "x.wild.example/a:1", Access::Read);
    let insecure: Vec<_> = resolution.endpoints().iter().map(|place| place.is_insecure()).collect();
    assert_eq!(insecure, [true, false]);
    let resolution = resolve(&conf(SKOPEO), "other.example/a:1", Access::Read);
    assert_eq!(resolution.prefix(), None);
}

#[test]
fn failures_are_told_in_one_line() {
    let resolution = resolve(&conf(SKOPEO), "127.0.0.1:1/a:1", Access::Read);
    assert_eq!(
        resolution.failure(&["no route", "refused"]),
        "(Mirrors also failed: [127.0.0.1:2/m/a:1: no route]): 127.0.0.1:1/x/a:1: refused"
    );
    let resolution = resolve(&conf(SKOPEO), "other.example/a:1", Access::Read);
    assert_eq!(resolution.failure(&["refused"]), "refused");
}

#[test]
fn a_blocked_registry_is_blocked_for_all() {
    #[track_caller]
    fn check(reference: &str) {
        for access in [Access::Read, Access::Write] {
            let error = conf(SKOPEO).resolve(&reference.parse().unwrap(), access).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Blocked);
            let expected = "registry blk.example is blocked in /etc/r.conf (line 2)";
            assert_eq!(error.to_string(), expected);
        }
    }
    check("blk.example/a:1");
    check("BLK.example/a");
    check("blk.example:5000/a:1");
    assert!(conf(SKOPEO).check_not_blocked("blk.example").is_err());
    assert!(conf(SKOPEO).check_not_blocked("blk.example/team").is_err());
    assert!(conf(SKOPEO).check_not_blocked("other.example").is_ok());
}

/// What skopeo 1.9.3 did with the same configuration, but for the last registry, which it asks.
const BLOCKED: &str = r#"
[[registry]]
location = "source.example"
blocked = true
[[registry.mirror]]
location = "127.0.0.1:2/m"

[[registry]]
prefix = "leads.example"
location = "source.example/z"

[[registry]]
prefix = "mirrored.example"
location = "127.0.0.1:5/x"
[[registry.mirror]]
location = "source.example/z"

[[registry]]
prefix = "moved.example"
location = "127.0.0.1:6/y"
blocked = true
"#;

#[test]
fn what_is_blocked_is_the_place_that_would_be_asked() {
    #[track_caller]
    fn check(reference: &str, access: Access, expected: Result<&[&str], &str>) {
        match (conf(BLOCKED).resolve(&reference.parse().unwrap(), access), expected) {
            (Ok(found), Ok(expected)) => {
                let found: Vec<_> =
                    found.endpoints().iter().map(|place| place.reference().to_string()).collect();
                assert_eq!(found, expected);
            }
            (Err(error), Err(expected)) => {
                assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::Blocked, expected));
            }
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    }
    const SOURCE: &str = "registry source.example is blocked in /etc/r.conf (line 2)";
    // Never contact the source: its mirrors have to do.
    check("source.example/a:1", Access::Read, Ok(&["127.0.0.1:2/m/a:1"]));
    check("source.example/a:1", Access::Write, Err(SOURCE));
    check("leads.example/a:1", Access::Read, Err(SOURCE));
    check("leads.example/a:1", Access::Write, Err(SOURCE));
    check("mirrored.example/a:1", Access::Read, Ok(&["127.0.0.1:5/x/a:1"]));
    let moved = "registry moved.example is blocked in /etc/r.conf (line 18)";
    check("moved.example/a:1", Access::Read, Err(moved));
}

#[test]
fn blocked_places_are_told_among_the_failures() {
    let resolution = resolve(&conf(BLOCKED), "source.example/a:1", Access::Read);
    assert_eq!(resolution.primary(), None);
    assert_eq!(
        resolution.failure(&["refused"]),
        "(Mirrors also failed: [127.0.0.1:2/m/a:1: refused]): source.example/a:1: registry \
         source.example is blocked in /etc/r.conf (line 2)"
    );
    let resolution = resolve(&conf(BLOCKED), "mirrored.example/a:1", Access::Read);
    assert_eq!(
        resolution.failure(&["refused"]),
        "(Mirrors also failed: [source.example/z/a:1: registry source.example is blocked in \
         /etc/r.conf (line 2)]): 127.0.0.1:5/x/a:1: refused"
    );
}

#[test]
fn a_host_is_insecure_where_all_say_so() {
    #[track_caller]
    fn check(host: &str, expected: bool) {
        let place = |prefix: &str, location: &str, insecure: bool| {
            format!(
                "[[registry]]\nprefix = \"{prefix}\"\nlocation = \"{location}\"\n\
                 insecure = {insecure}\n"
            )
        };
        let text = [
            place("plain.example", "plain.example", true),
            place("moved.example", "there.example:5000/x", true),
            "[[registry.mirror]]\nlocation = \"mirror.example/y\"\ninsecure = true\n".into(),
            place("mixed.example/a", "mixed.example/a", true),
            place("mixed.example/b", "mixed.example/b", false),
            "[[registry]]\nprefix = \"*.wild.example\"\ninsecure = true\n".into(),
        ];
        assert_eq!(conf(&text.concat()).is_insecure_host(host), expected, "{host}");
    }
    check("plain.example", true);
    check("PLAIN.example", true);
    check("plain.example:5000", true);
    check("plain.example.org", false);
    check("moved.example", false);
    check("there.example:5000", true);
    check("there.example", false);
    check("mirror.example", true);
    check("mirror.example:5000", false);
    check("mixed.example", false);
    check("a.wild.example:80", true);
    check("wild.example", false);
    check("other.example", false);
}

#[test]
fn the_longest_prefix_wins() {
    #[track_caller]
    fn check(name: &str, expected: Option<&str>) {
        let text: String = ["a.b", "a.b/c", "a.b/c/d:T", "*.b", "*.x.b", "y.x.b", "q.b"]
            .map(|prefix| format!("[[registry]]\nprefix = \"{prefix}\"\nlocation = \"l.m\"\n"))
            .concat();
        assert_eq!(conf(&text).find(name).map(|registry| registry.prefix()), expected);
    }
    check("a.b/x", Some("a.b"));
    check("a.b/c/x", Some("a.b/c"));
    check("a.b/cx", Some("a.b"));
    check("a.b/c/d:T", Some("a.b/c/d:T"));
    check("a.b/c/d:t", Some("a.b/c"));
    check("z.b/x", Some("*.b"));
    check("z.x.b/x", Some("*.x.b"));
    // One length, but one of them is the host itself.
    check("y.x.b/x", Some("y.x.b"));
    check("q.b/x", Some("q.b"));
    check("b/x", None);
}

#[test]
fn a_location_that_makes_no_reference_is_an_error() {
    let conf = conf("[[registry]]\nprefix = \"a.b\"\nlocation = \"c.d/E\"");
    let error = conf.resolve(&"a.b/x:1".parse().unwrap(), Access::Read).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rewrite);
    assert!(error.to_string().contains("\"c.d/E/x:1\""), "{error}");
}

const ALIASES: &str = "unqualified-search-registries = [\"q.io\", \"r.io:5000\"]\n\
                       [aliases]\nshort = \"s.io/t/short\"\ngone = \"\"\n";

fn options(mode: Option<ShortNameMode>, can_ask: bool) -> ShortNameOptions {
    let mut options = ShortNameOptions::default();
    options.mode = mode;
    options.can_ask = can_ask;
    options
}

#[test]
fn short_names_are_resolved_or_asked_for() {
    #[track_caller]
    fn check(name: &str, expected: &[&str], description: Option<&str>) {
        let none = RecordedAliases::default();
        let found = conf(ALIASES).resolve_short_name(name, &none, options(None, false)).unwrap();
        let ShortNameResolution::Resolved(found) = found else { panic!("{found:?}") };
        let names: Vec<_> = found.candidates().iter().map(ToString::to_string).collect();
        assert_eq!(names, expected);
        assert_eq!(found.description(), description);
    }
    check("a.b/c", &["a.b/c:latest"], None);
    check("localhost/c:1", &["localhost/c:1"], None);
    check("short", &["s.io/t/short:latest"], Some("Resolved \"short\" as an alias (/etc/r.conf)"));
    check(
        &format!("short:1@{DIGEST}"),
        &[&format!("s.io/t/short:1@{DIGEST}")],
        Some("Resolved \"short\" as an alias (/etc/r.conf)"),
    );
    check(
        "gone:1",
        &["q.io/gone:1", "r.io:5000/gone:1"],
        Some("Resolving \"gone\" using unqualified-search registries (/etc/r.conf)"),
    );
}

#[test]
fn the_user_is_asked_where_there_is_one_and_a_choice() {
    let none = RecordedAliases::default();
    for mode in [None, Some(ShortNameMode::Permissive), Some(ShortNameMode::Enforcing)] {
        let found = conf(ALIASES).resolve_short_name("x:1", &none, options(mode, true)).unwrap();
        let ShortNameResolution::Ask(question) = found else { panic!("{found:?}") };
        assert_eq!((question.short_name(), question.candidates().len()), ("x", 2));
        let choice = question.choose(1).unwrap();
        assert_eq!(choice.reference.to_string(), "r.io:5000/x:1");
        assert_eq!((choice.short_name.as_str(), choice.repository.name()), ("x", "r.io:5000/x"));
        assert_eq!(question.choose(2), None);
    }
    let disabled = options(Some(ShortNameMode::Disabled), true);
    let found = conf(ALIASES).resolve_short_name("x", &none, disabled).unwrap();
    assert!(matches!(found, ShortNameResolution::Resolved(_)));
    let single = conf("unqualified-search-registries = [\"q.io\"]");
    let enforcing = options(Some(ShortNameMode::Enforcing), true);
    let found = single.resolve_short_name("x", &none, enforcing).unwrap();
    assert!(matches!(found, ShortNameResolution::Resolved(_)));
}

#[test]
fn a_recorded_alias_comes_before_the_configuration() {
    let recorded = RecordedAliases::parse("[aliases]\nshort = \"t.io/x\"", "/cache").unwrap();
    let found = conf(ALIASES).resolve_short_name("short", &recorded, options(None, true)).unwrap();
    let ShortNameResolution::Resolved(found) = found else { panic!("{found:?}") };
    assert_eq!(found.candidates()[0].to_string(), "t.io/x:latest");
    assert_eq!(found.description(), Some("Resolved \"short\" as an alias (/cache)"));
}

#[test]
fn short_names_fail_in_the_words_of_podman() {
    #[track_caller]
    fn check(conf: &RegistriesConf, name: &str, kind: ErrorKind, expected: &str) {
        let none = RecordedAliases::default();
        let enforcing = options(Some(ShortNameMode::Enforcing), false);
        let error = conf.resolve_short_name(name, &none, enforcing).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, expected));
    }
    check(
        &conf(ALIASES),
        "x",
        ErrorKind::CannotAsk,
        "short-name resolution enforced but cannot prompt without a TTY",
    );
    check(
        &conf("unqualified-search-registries = []"),
        "foo",
        ErrorKind::Unresolved,
        "short-name \"foo\" did not resolve to an alias and no unqualified-search registries are \
         defined in \"/etc/r.conf\"",
    );
    check(
        &RegistriesConf::default(),
        "foo",
        ErrorKind::Unresolved,
        "short-name \"foo\" did not resolve to an alias and no containers-registries.conf(5) was \
         found",
    );
    check(
        &conf(ALIASES),
        "Foo",
        ErrorKind::InvalidName,
        "cannot parse input: \"Foo\": repository name must be lowercase",
    );
}

#[test]
fn failed_candidates_are_listed() {
    let none = RecordedAliases::default();
    let found = conf(ALIASES).resolve_short_name("x", &none, options(None, false)).unwrap();
    let ShortNameResolution::Resolved(found) = found else { panic!("{found:?}") };
    assert_eq!(found.failure(&["a", "b"]), "2 errors occurred while pulling:\n * a\n * b");
    assert_eq!(found.failure(&["a"]), "a");
}
