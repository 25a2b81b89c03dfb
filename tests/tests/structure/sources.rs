//! What a source file may hold.

use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::assert_kept;
use crate::layers::is_in_layer_0;
use crate::rust::{Rust, Token};
use crate::workspace::{folder, members, root};

/// Lines of a file before its tests.
const LONGEST: usize = 800;

/// The crates that may say `unsafe`, each block with a `SAFETY:` comment.
const MAY_BE_UNSAFE: [&str; 2] = ["cask-runtime", "cask-storage"];

/// The crates of `crates/` that are handed nothing by a program, because they are one or serve tests.
const MAY_READ_ENVIRONMENT: [&str; 4] = ["cask-cases", "cask-program", "cask-testkit", "xtask"];

/// What reads or changes the environment. `:: home_dir` is any crate's function of that name.
const ENVIRONMENT: [&str; 8] = [
    "env : : var",
    "env : : var_os",
    "env : : vars",
    "env : : vars_os",
    "env : : set_var",
    "env : : remove_var",
    ": : home_dir",
    "env : : {",
];

/// What a crate of layer 0 does not say outside its tests: it could compile to wasm.
const IMPURE: [&str; 8] = [
    "std : : fs",
    "std : : net",
    "std : : process",
    "std : : thread",
    "SystemTime : : now",
    "Instant : : now",
    "tokio : :",
    "async fn",
];

/// A Rust file of the workspace.
struct Source {
    /// From the root of the repository.
    path: PathBuf,
    package: String,
    lines: usize,
    rust: Rust,
    /// The whole file is compiled for tests only.
    test: bool,
}

impl Source {
    fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path.display())
    }

    /// Every place outside of tests with one of `patterns`.
    fn outside_tests(&self, patterns: &[&str]) -> Vec<String> {
        let found = patterns.iter().flat_map(|pattern| {
            let hits = self.rust.find(pattern).into_iter().filter(|hit| !self.test && !hit.test);
            hits.map(|hit| self.at(hit.line, &pattern.replace(": :", "::").replace(" :: ", "::")))
        });
        found.collect()
    }
}

/// Every Rust file of the workspace, read once for all tests.
static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(sources);

fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    for package in members() {
        let mut paths = Vec::new();
        rust_files(folder(&package), &mut paths);
        for path in paths {
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            let rust =
                Rust::parse(&text).unwrap_or_else(|error| panic!("{}:{error}", path.display()));
            let path = path.strip_prefix(root()).expect("a member is below the root").to_owned();
            let is_test = |part: Component<'_>| {
                ["tests", "benches"].map(OsStr::new).contains(&part.as_os_str())
            };
            let test = path.components().any(is_test);
            let lines = text.lines().count();
            sources.push(Source { path, package: package.name.to_string(), lines, rust, test });
        }
    }
    let modules: Vec<PathBuf> = sources.iter().flat_map(test_module_paths).collect();
    for source in &mut sources {
        source.test |= modules.iter().any(|module| {
            source.path == module.with_extension("rs") || source.path.starts_with(module)
        });
    }
    sources
}

/// Where the modules are that `source` declares for tests only, without the `.rs`.
fn test_module_paths(source: &Source) -> Vec<PathBuf> {
    let folder = match source.name() {
        "lib.rs" | "main.rs" | "mod.rs" => source.path.parent().unwrap_or(Path::new("")).to_owned(),
        _ => source.path.with_extension(""),
    };
    source.rust.test_modules.iter().map(|name| folder.join(name)).collect()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .and_then(Iterator::collect)
        .expect("a folder of sources can be listed");
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (kind, path) = (entry.file_type().expect("a listed file has a type"), entry.path());
        if kind.is_dir() && entry.file_name() != "target" {
            rust_files(&path, found);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Collects what `rule` says of every file, then fails.
#[track_caller]
fn check_files(text: &str, rule: impl Fn(&Source) -> Vec<String>) {
    assert!(SOURCES.len() > 20, "only {} Rust files found", SOURCES.len());
    let broken: Vec<String> = SOURCES.iter().flat_map(rule).collect();
    assert_kept(text, &broken);
}

#[test]
fn lib_and_mod_files_only_declare() {
    check_files("lib.rs and mod.rs declare and re-export, nothing else", |source| {
        let declares = matches!(source.name(), "lib.rs" | "mod.rs");
        let line = source.rust.defines.filter(|_| declares);
        line.map(|line| source.at(line, "move this to a module of its own")).into_iter().collect()
    });
}

#[test]
fn files_are_short() {
    check_files("a file has at most 800 lines before its tests", |source| {
        let lines = source.rust.tests_begin.map_or(source.lines, |line| line - 1);
        let long = (lines > LONGEST).then(|| source.at(lines, "too long: split it by idea"));
        long.into_iter().collect()
    });
}

#[test]
fn nothing_is_left_for_later() {
    check_files("no test is ignored and no code is missing", |source| {
        let missing =
            ["todo !", "unimplemented !"].map(|pattern| (pattern, source.rust.find(pattern)));
        let ignored =
            source.rust.find("# [ ignore").into_iter().chain(conditionally_ignored(&source.rust));
        let mut broken: Vec<String> =
            ignored.map(|hit| source.at(hit.line, "an ignored test")).collect();
        for (pattern, hits) in missing {
            broken.extend(hits.iter().map(|hit| source.at(hit.line, &pattern.replace(' ', ""))));
        }
        broken.extend(
            ignored_examples(&source.rust).map(|line| source.at(line, "an ignored example")),
        );
        broken
    });
}

/// `#[cfg_attr(…, ignore)]`
fn conditionally_ignored(rust: &Rust) -> Vec<Token> {
    let until_end = |from: usize| rust.tokens[from..].iter().take_while(|token| token.text != "]");
    let starts = (0..rust.tokens.len()).filter(|at| rust.tokens[*at].text == "cfg_attr");
    starts.flat_map(until_end).filter(|token| token.text == "ignore").cloned().collect()
}

/// Lines of documentation that open an example which is not compiled as Rust although it is Rust.
fn ignored_examples(rust: &Rust) -> impl Iterator<Item = usize> {
    let doc = rust.tokens.windows(3).filter(|row| row[0].text == "doc" && row[1].text == "=");
    doc.filter(|row| opens_ignored_example(row[2].text.trim_matches('"'))).map(|row| row[2].line)
}

fn opens_ignored_example(line: &str) -> bool {
    let Some(words) = line.trim().strip_prefix("```") else { return false };
    words.split(',').any(|word| word.trim().starts_with("ignore"))
}

#[test]
fn unsafe_stays_in_two_crates() {
    check_files("`unsafe` only in cask-runtime and cask-storage", |source| {
        let hits = if MAY_BE_UNSAFE.contains(&source.package.as_str()) {
            Vec::new()
        } else {
            source.rust.find("unsafe")
        };
        hits.iter().map(|hit| source.at(hit.line, "unsafe")).collect()
    });
}

#[test]
fn libraries_read_no_environment() {
    check_files(
        "libraries read no environment variable and no home directory: programs pass values down",
        |source| {
            let library = source.path.starts_with("crates")
                && !MAY_READ_ENVIRONMENT.contains(&source.package.as_str());
            if library { source.outside_tests(&ENVIRONMENT) } else { Vec::new() }
        },
    );
}

#[test]
fn layer_0_does_no_io_and_asks_no_clock() {
    check_files("layer 0 does no I/O, is not async and asks no clock", |source| {
        if is_in_layer_0(&source.package) { source.outside_tests(&IMPURE) } else { Vec::new() }
    });
}

/// It has no dependency, so that the compiler alone is enough.
#[test]
fn containerfile_compiles_for_wasm_where_that_target_is_installed() {
    let rustc = || Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let target = ["--target", "wasm32-unknown-unknown"];
    let found = rustc().args(["--print", "target-libdir"]).args(target).output();
    let libraries = found.expect("tests are compiled by rustc").stdout;
    let libraries = PathBuf::from(String::from_utf8_lossy(&libraries).trim());
    if !libraries.is_dir() {
        eprintln!("note: {} is not installed", target[1]);
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let output = rustc()
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--out-dir"])
        .arg(directory.path())
        .args(target)
        .arg(root().join("crates/cask-containerfile/src/lib.rs"))
        .output()
        .expect("rustc was started before");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn readme_is_the_front_page() {
    let front_page = "# ! [ doc = include_str ! ( \"../README.md\" )";
    let mut broken = Vec::new();
    for package in
        members().iter().filter(|package| folder(package).starts_with(root().join("crates")))
    {
        let folder = folder(package);
        match fs::read_to_string(folder.join("README.md")) {
            Err(_) => broken.push(format!("{}: README.md is missing", package.name)),
            Ok(text) if text.lines().any(opens_ignored_example) => {
                broken.push(format!("{}: README.md has an ignored example", package.name));
            }
            Ok(_) => {}
        }
        let file = ["src/lib.rs", "src/main.rs"]
            .map(|file| folder.join(file))
            .into_iter()
            .find(|file| file.exists());
        let text = file.and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        if Rust::parse(&text).is_ok_and(|rust| rust.find(front_page).is_empty()) {
            broken.push(format!(
                "{}: `#![doc = include_str!(\"../README.md\")]` is missing",
                package.name
            ));
        }
    }
    assert_kept("the front page of a crate is its README", &broken);
}

#[test]
fn the_readme_names_every_crate() {
    let text = fs::read_to_string(root().join("README.md")).expect("it is there");
    let crates = root().join("crates");
    let missing: Vec<_> = members()
        .iter()
        .filter(|package| folder(package).starts_with(&crates))
        .filter(|package| !text.contains(&format!("\n| [`{0}`](crates/{0}) | ", package.name)))
        .map(|package| package.name.to_string())
        .collect();
    assert_kept("the README has a row for every crate", &missing);
}

#[test]
fn patterns_find_code_and_not_words() {
    fn check(text: &str, patterns: &[&str], expected: usize) {
        let rust = Rust::parse(text).unwrap();
        let found: usize = patterns.iter().map(|pattern| rust.find(pattern).len()).sum();
        assert_eq!(
            found + ignored_examples(&rust).count() + conditionally_ignored(&rust).len(),
            expected,
            "{text}"
        );
    }
    check("fn f() { std::env::var(\"A\"); }", &ENVIRONMENT, 1);
    check("use std::env::{self, var};", &ENVIRONMENT, 1);
    check("fn f() { env!(\"A\"); env::current_dir(); // std::env::var\n}", &ENVIRONMENT, 0);
    check("fn f() { dirs::home_dir(); options.home_dir; }", &ENVIRONMENT, 1);
    check("fn f() { \"todo!()\"; let todo = 1; }", &["todo !"], 0);
    check("fn f() { todo!() }", &["todo !"], 1);
    check("#[test]\n#[ignore = \"slow\"]\nfn f() {}", &["# [ ignore"], 1);
    check("#[cfg_attr(not(unix), ignore)]\nfn f() {}", &["# [ ignore"], 1);
    check("/// ```ignore\n/// f();\n/// ```\nfn f() {}", &["unsafe"], 1);
    check("/// An `unsafe` word, to ignore.\nfn f() {}", &["unsafe"], 0);
    check("fn f() { unsafe { g() } }", &["unsafe"], 1);
    check("use std::fs;\nuse std::io::Read;", &IMPURE, 1);
}
