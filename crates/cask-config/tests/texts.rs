//! What texts are refused with, and what is only warned of.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use cask_config::ErrorKind;
use cask_config::registries::{RegistriesConf, WarningKind};

#[track_caller]
fn refuses(text: &str, kind: ErrorKind, key: &str, place: (u32, u32), message: &str) {
    let error = RegistriesConf::parse(text, "a.conf").unwrap_err();
    assert_eq!(error.message(), message);
    assert_eq!((error.kind(), error.key()), (kind, key));
    assert_eq!((error.line(), error.column()), (Some(place.0), Some(place.1)));
    let lines: usize = text.split_inclusive('\n').take(place.0 as usize - 1).map(str::len).sum();
    assert_eq!(error.offset(), Some(lines + place.1 as usize - 1));
    assert!(error.to_string().starts_with("loading registries configuration \"a.conf\": "));
}

#[track_caller]
fn invalid(text: &str, key: &str, place: (u32, u32), message: &str) {
    refuses(text, ErrorKind::Invalid, key, place, message);
}

#[test]
fn syntax_errors_tell_the_place() {
    let syntax = ErrorKind::Syntax;
    refuses(
        "a = 1\nx = ",
        syntax,
        "",
        (2, 5),
        "not TOML: string values must be quoted, expected literal string",
    );
    refuses("a = 1\na = 2", syntax, "", (2, 1), "not TOML: duplicate key");
    refuses("invalid", syntax, "", (1, 8), "not TOML: key with no value, expected `=`");
}

#[test]
fn types_are_checked() {
    invalid(
        "\n[[registry]]\nlocation = 1",
        "registry[0].location",
        (3, 12),
        "incompatible types: expected a string, found an integer",
    );
    invalid(
        "[registry]\nlocation = \"a.b\"",
        "registry",
        (1, 1),
        "incompatible types: expected an array of tables, written [[registry]], found a table",
    );
    invalid(
        "[[registry]]\nlocation = \"a.b\"\n[registry.mirror]\nlocation = \"c.d\"",
        "registry[0].mirror",
        (3, 1),
        "incompatible types: expected an array of tables, written [[registry.mirror]], found a table",
    );
    invalid(
        "[[registry]]\nlocation = \"a.b\"\nblocked = \"true\"",
        "registry[0].blocked",
        (3, 11),
        "incompatible types: expected true or false, found a string",
    );
    invalid(
        "unqualified-search-registries = \"a.b\"",
        "unqualified-search-registries",
        (1, 33),
        "incompatible types: expected an array of strings, found a string",
    );
    invalid(
        "unqualified-search-registries = [\"a.b\", 1]",
        "unqualified-search-registries[1]",
        (1, 41),
        "incompatible types: expected a string, found an integer",
    );
    invalid(
        "aliases = []",
        "aliases",
        (1, 11),
        "incompatible types: expected a table, found an array",
    );
}

#[test]
fn registries_that_contradict_themselves_are_refused() {
    invalid(
        "[[registry]]\ninsecure = true",
        "registry[0]",
        (1, 1),
        "invalid condition: both location and prefix are unset; add location = \"host/path\"",
    );
    invalid(
        "[[registry]]\nprefix = \"a.b\"",
        "registry[0]",
        (1, 1),
        "invalid condition: location is unset and prefix is not in the format: *.example.com; add \
         location",
    );
    invalid(
        "[[registry]]\nprefix = \"*.a.b:80\"",
        "registry[0]",
        (1, 1),
        "Wildcarded prefix should be in the format: *.example.com. Current prefix \"*.a.b:80\" is \
         incorrectly formatted",
    );
    invalid(
        "[[registry]]\nlocation = \"https://a.b\"",
        "registry[0].location",
        (2, 12),
        "invalid location 'https://a.b': URI schemes are not supported; write host/path, and \
         insecure = true for a registry without TLS",
    );
    invalid(
        "[[registry]]\nlocation = \"a.b\"\n[[registry.mirror]]\ninsecure = true",
        "registry[0].mirror[0]",
        (3, 1),
        "invalid condition: mirror location is unset; add location = \"host/path\"",
    );
    invalid(
        "[[registry]]\nprefix = \"a.b\"\nlocation = \"c.d\"\n\
         [[registry]]\nprefix = \"e.f\"\nlocation = \"c.d\"\ninsecure = true",
        "registry[1]",
        (4, 1),
        "registry 'c.d' is defined multiple times with conflicting 'insecure' setting",
    );
    invalid(
        "[[registry]]\nprefix = \"*.b\"\n[[registry]]\nprefix = \"*.b\"\nblocked = true",
        "registry[1]",
        (3, 1),
        "registry '*.b' is defined multiple times with conflicting 'blocked' setting",
    );
    invalid(
        "[[registry]]\nlocation = \"a.b\"\nLocation = \"c.d\"",
        "registry[0].location",
        (2, 1),
        "the same key as Location: keep one of them",
    );
}

#[test]
fn the_other_keys_are_checked() {
    invalid(
        "unqualified-search-registries = [\"a.b\", \"c.d/e\"]",
        "unqualified-search-registries[1]",
        (1, 41),
        "Invalid unqualified-search-registries entry \"c.d/e\"; write host or host:port",
    );
    invalid(
        "short-name-mode = \"ask\"",
        "short-name-mode",
        (1, 19),
        "invalid short-name mode: \"ask\"; known are enforcing, permissive and disabled",
    );
    invalid(
        "credential-helpers = [\"../x\"]",
        "credential-helpers[0]",
        (1, 23),
        "credential helper \"../x\" must be what follows docker-credential- in the name of a program",
    );
    refuses(
        "[registries.search]\nregistries = []",
        ErrorKind::Version1,
        "registries",
        (1, 2),
        "registry must be in v2 format but is in v1, which is no longer supported; replace \
         [registries.search] by unqualified-search-registries = […], and each entry of \
         [registries.insecure] and [registries.block] by a [[registry]] with location and \
         insecure = true or blocked = true",
    );
}

#[test]
fn keys_have_no_case() {
    let text = "[[Registry]]\nLOCATION = \"a.b\"\nBlocked = true\n[Aliases]\nx = \"c.d/x\"";
    let conf = RegistriesConf::parse(text, "a.conf").unwrap();
    assert!(conf.find("a.b/c").unwrap().is_blocked());
    assert!(conf.aliases().contains_key("x"));
    assert_eq!(conf.warnings(), []);
}

#[test]
fn what_has_no_effect_is_warned_of() {
    let text = "color = 1\n\
                [[registry]]\nlocation = \"a.b\"\nblockd = true\n\
                [[registry.mirror]]\nlocation = \"c.d\"\nx.y = 1\n\
                [[registry]]\nlocation = \"a.b\"\n\
                [[registry]]\nlocation = \"team\"\n\
                [[registry]]\nprefix = \"docker://a.b\"\nlocation = \"c.d\"\n\
                [[registry]]\nprefix = \"/\"\nlocation = \"c.d\"\n";
    let conf = RegistriesConf::parse(text, "a.conf").unwrap();
    let found: Vec<_> = conf.warnings().iter().map(ToString::to_string).collect();
    let expected = [
        "unknown key color in \"a.conf\" (line 1 column 1)",
        "unknown key registry[0].blockd in \"a.conf\" (line 4 column 1)",
        "unknown key registry[0].mirror[0].x in \"a.conf\" (line 7 column 1)",
        "registry[1] repeats a prefix and is ignored in \"a.conf\" (line 8 column 1)",
        "registry[2] is a prefix that no image has in \"a.conf\" (line 10 column 1)",
        "registry[3].prefix is a prefix that no image has in \"a.conf\" (line 13 column 10)",
        "registry[4].prefix is a prefix that no image has in \"a.conf\" (line 16 column 10)",
    ];
    assert_eq!(found, expected);
    assert_eq!(conf.warnings()[3].kind(), WarningKind::RepeatedPrefix);
}

#[test]
fn slashes_at_ends_are_cut() {
    let text = "unqualified-search-registries = [\"a.b//\"]\n\
                [[registry]]\nprefix = \"c.d/\"\nlocation = \"e.f/g//\"\n\
                [[registry.mirror]]\nlocation = \"h.i/\"";
    let conf = RegistriesConf::parse(text, "a.conf").unwrap();
    assert_eq!(conf.search_registries(), ["a.b"]);
    let registry = conf.find("c.d/x").unwrap();
    assert_eq!((registry.prefix(), registry.location()), ("c.d", "e.f/g"));
    assert_eq!(registry.mirrors()[0].location(), "h.i");
    assert_eq!((registry.file(), registry.line()), ("a.conf", 2));
}

/// A short text can nest so deeply that taking it apart would overflow the stack of a thread.
#[test]
fn nesting_is_limited() {
    #[track_caller]
    fn refuses(text: &str, message: &str) {
        let error = RegistriesConf::parse(text, "a.conf").unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Syntax, message));
    }
    let nested = |parts: usize, levels: usize| {
        let level = format!("{}a = {{ ", "a.".repeat(parts - 1));
        format!("{}b = 1{}", level.repeat(levels), " }".repeat(levels))
    };
    RegistriesConf::parse(&nested(16, 79), "a.conf").unwrap();
    for parts in [17, 80, 400_000] {
        refuses(&nested(parts, 1), "a key of more than 16 parts");
        refuses(&nested(parts, 1).replace(" = {", "]\nx = {"), "a key of more than 16 parts");
    }
    let too_deep = "not TOML: cannot recurse further; max recursion depth met";
    refuses(&nested(1, 81), too_deep);
    refuses(&format!("x = {}", "[".repeat(1 << 19)), too_deep);
    // Dots in strings and comments are no parts.
    let text = format!("x = \"{0}\" # {0}", ".".repeat(100));
    RegistriesConf::parse(&text, "a.conf").unwrap();
}

#[test]
fn size_is_limited() {
    let text = "#".repeat(cask_config::MAX_FILE_BYTES);
    RegistriesConf::parse(&text, "a.conf").unwrap();
    let error = RegistriesConf::parse(&format!("{text}#"), "a.conf").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

/// A file of the largest size, full of whatever costs most, takes a moment.
#[test]
fn time_is_linear() {
    let lines = |line: &dyn Fn(usize) -> String| -> String {
        (0..)
            .map(line)
            .scan(0, |size, line| {
                *size += line.len();
                (*size <= cask_config::MAX_FILE_BYTES).then_some(line)
            })
            .collect()
    };
    let texts = [
        lines(&|n| format!("x{n}=1\n")),
        lines(&|n| format!("[[registry]]\nprefix=\"a{n}.b\"\nlocation=\"c.d\"\n")),
        format!("[aliases]\n{}", lines(&|n| format!("x{n}=\"a.b/c\"\n")).split_off(30)),
    ];
    for text in texts {
        let _ = RegistriesConf::parse(&text, "a.conf");
    }
}
