//! ADD from repositories, with a real git.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::{Tree, chain, request, scratch, write};
use crate::context::Git;
use crate::copy::{CopyTools, prepare};
use crate::{Context, ContextLocation, ContextTools, ErrorKind, IgnoreChoice, StreamContext, View};

/// When everything was committed.
const COMMITTED: i64 = 1_500_000_000;

fn git_program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|place| place.join("git")).find(|p| p.is_file());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "git is needed");
    found
}

fn run(directory: &Path, arguments: &[&str]) -> String {
    let date = format!("@{COMMITTED} +0000");
    let output = Command::new("git")
        .current_dir(directory)
        .args(["-c", "user.name=n", "-c", "user.email=e", "-c", "protocol.file.allow=always"])
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_DATE", &date)
        .env("GIT_COMMITTER_DATE", &date)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A repository with two commits, a tag on the first, and a link in it.
fn repository() -> (Tree, String) {
    let tree = Tree::of(&["r.git/readme=one", "r.git/sub/run 0755", "r.git/sub/text 0600"]);
    let path = tree.path().join("r.git");
    tree.add("r.git/away -> /etc");
    tree.add("r.git/climb -> ../../../../etc");
    run(&path, &["init", "-q", "-b", "main"]);
    run(&path, &["add", "."]);
    run(&path, &["commit", "-q", "-m", "one"]);
    run(&path, &["tag", "-a", "v1", "-m", "v1"]);
    tree.add("r.git/readme=two");
    run(&path, &["commit", "-q", "-a", "-m", "two"]);
    let url = format!("file://{}", path.display());
    (tree, url)
}

fn git(program: PathBuf) -> Git {
    let mut git = Git::new(program);
    git.protocols = vec!["file".to_owned()];
    git.environment = vec![("PATH".into(), std::env::var_os("PATH").unwrap_or_default())];
    git
}

fn add(git: &Git, line: &str) -> crate::Result<super::support::Layer> {
    let tree = Tree::of(&[]);
    let place = scratch();
    let mut tools = CopyTools::new(&place);
    tools.git = Some(git);
    let prepared = prepare(&request(tree.context(), line), &tools)?;
    write(&prepared, &View::scratch(), &tools)
}

#[test]
fn a_repository_is_its_commit() {
    let Some(program) = git_program() else { return };
    let (tree, url) = repository();
    let git = git(program);
    let time = format!("@{COMMITTED}");
    let lines = |line: &str| match add(&git, line) {
        Ok(layer) => layer.lines().iter().map(|l| l.replace(&time, "!")).collect::<Vec<_>>(),
        Err(error) => panic!("{line}: {}", chain(&error)),
    };
    assert_eq!(
        lines(&format!("--add {url} /x")),
        [
            "x/ 0755 +",
            "x/away -> /etc !",
            "x/climb -> ../../../../etc !",
            "x/readme 0644 !",
            "x/sub/ 0755 !",
            "x/sub/run 0755 !",
            "x/sub/text 0644 !",
        ]
    );
    let sub = ["x/ 0755 +", "x/run 0755 !", "x/text 0644 !"];
    assert_eq!(lines(&format!("--add {url}#v1:sub /x")), sub);
    assert_eq!(lines(&format!("--add {url}?subdir=sub&branch=main /x")), sub);
    let first = run(&tree.path().join("r.git"), &["rev-parse", "v1^{commit}"]);
    for reference in ["v1", "refs/tags/v1", &first] {
        let layer = add(&git, &format!("--add {url}#{reference} /x")).unwrap();
        assert_eq!(layer.content("x/readme"), "one", "{reference}");
    }
    let layer = add(&git, &format!("--add --checksum={} {url}#v1 /x", &first[..12])).unwrap();
    assert_eq!(layer.content("x/readme"), "one");
    let refuse = |line: &str, expected: &str, kind: ErrorKind| {
        let Err(error) = add(&git, line) else { panic!("{line}") };
        assert!(chain(&error).contains(expected), "{line}: {}", chain(&error));
        assert_eq!(error.kind(), kind, "{line}");
    };
    let line = format!("--add --checksum={} {url} /x", &first[..12]);
    refuse(&line, "expected checksum to match", ErrorKind::Mismatch);
    refuse(&format!("--add {url}#nope /x"), "has no reference \"nope\"", ErrorKind::Missing);
    refuse(&format!("--add {url}#main:nope /x"), "has no directory", ErrorKind::Missing);
    refuse(&format!("--add {url}-not.git /x"), "cannot be fetched", ErrorKind::Fetch);
}

#[test]
fn a_kept_git_directory_is_the_same_every_time() {
    let Some(program) = git_program() else { return };
    let (_tree, url) = repository();
    let git = git(program);
    let line = format!("--add --keep-git-dir {url}#main /x");
    let one = add(&git, &line).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let two = add(&git, &line).unwrap();
    assert!(one.lines().iter().any(|line| line.starts_with("x/.git/HEAD ")));
    assert!(!one.lines().iter().any(|line| line.contains("/logs/")), "{:?}", one.lines());
    assert!(one.tar == two.tar, "{:?}", one.lines());
}

#[test]
fn cve_2026_33748_subdirectories_stay_in_the_repository() {
    let Some(program) = git_program() else { return };
    let (_tree, url) = repository();
    let git = git(program);
    for directory in ["away", "climb", "away/../etc"] {
        let Err(error) = add(&git, &format!("--add {url}#main:{directory} /x")) else {
            panic!("{directory}")
        };
        assert!(matches!(error.kind(), ErrorKind::Missing | ErrorKind::Invalid), "{directory}");
    }
    assert!(add(&git, &format!("--add {url}#main:../../etc /x")).is_err());
}

#[test]
fn cve_2019_13139_only_named_protocols_are_spoken() {
    let Some(program) = git_program() else { return };
    let (tree, url) = repository();
    let mut git = git(program);
    git.protocols = vec!["https".to_owned()];
    let Err(error) = add(&git, &format!("--add {url} /x")) else { panic!("file is spoken") };
    assert!(chain(&error).contains("not allowed"), "{}", chain(&error));
    // Nor is a hook of the repository, or a configuration or a template of the user, heeded.
    let marker = tree.path().join("marker");
    let home = tree.path().join("home");
    let (template, own) = (home.join("template"), tree.path().join("r.git/.git/hooks"));
    for hooks in [template.join("hooks"), own] {
        std::fs::create_dir_all(&hooks).unwrap();
        let hook = hooks.join("post-checkout");
        std::fs::write(&hook, format!("#!/bin/sh\ntouch {}\n", marker.display())).unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let settings = format!("[core]\n\thooksPath = {}/hooks\n", template.display());
    std::fs::write(home.join(".gitconfig"), settings).unwrap();
    git.environment.push(("HOME".into(), home.into()));
    git.environment.push(("GIT_TEMPLATE_DIR".into(), template.into()));
    git.protocols = vec!["file".to_owned()];
    add(&git, &format!("--add {url} /x")).unwrap();
    assert!(!marker.exists());
}

/// A program in the place of git.
fn pretender(place: &Path, script: &str) -> Git {
    let (text, program) = (place.join("text"), place.join("git"));
    std::fs::write(&text, format!("#!/bin/sh\n{script}\n")).unwrap();
    let mut install = Command::new("install");
    assert!(install.arg("-m755").args([&text, &program]).status().unwrap().success());
    git(program)
}

#[test]
fn cve_2019_13139_git_has_nothing_of_the_environment_of_whoever_builds() {
    let place = tempfile::tempdir().unwrap();
    let said = place.path().join("said");
    let git = pretender(place.path(), &format!("env >{}; exit 128", said.display()));
    assert!(add(&git, "--add https://h.invalid/r.git#main /x").is_err());
    let said = std::fs::read_to_string(said).unwrap();
    let has = |line: &str| said.lines().any(|own| own == line);
    assert!(has("GIT_CONFIG_NOSYSTEM=1") && has("GIT_CONFIG_GLOBAL=/dev/null"), "{said}");
    // Variables of git's would come as those do that every test has.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    assert!(!said.contains("CARGO"), "{said}");
}

#[test]
fn cve_2019_13139_submodules_speak_no_other_protocols_and_give_no_options() {
    let Some(program) = git_program() else { return };
    let (tree, url) = repository();
    let (git, path) = (git(program), tree.path().join("r.git"));
    let commit = run(&path, &["rev-parse", "HEAD"]);
    let marker = tree.path().join("marker");
    let touch = format!("touch {}", marker.display());
    let entry = format!("160000,{commit},m");
    run(&path, &["update-index", "--add", "--cacheinfo", &entry]);
    let commit_url = |url: &str| {
        let text =
            format!("[submodule \"m\"]\n\tpath = m\n\turl = \"{}\"\n", url.replace('"', "\\\""));
        std::fs::write(path.join(".gitmodules"), text).unwrap();
        run(&path, &["add", ".gitmodules"]);
        run(&path, &["commit", "-q", "-m", "submodule"]);
    };
    for hostile in
        [format!("ext::sh -c touch% {}", marker.display()), format!("--upload-pack={touch};")]
    {
        commit_url(&hostile);
        assert!(add(&git, &format!("--add {url} /x")).is_err(), "{hostile}");
        assert!(!marker.exists(), "{hostile}");
    }
    // They are what was refused.
    add(&git, &format!("--add {url}?submodules=false /x")).unwrap();
    commit_url(&url);
    let layer = add(&git, &format!("--add {url} /x")).unwrap();
    assert_eq!(layer.content("x/m/readme"), "two");
}

#[test]
fn cve_2023_26054_git_hears_of_credentials_where_nobody_else_does() {
    let place = tempfile::tempdir().unwrap();
    let said = place.path().join("said");
    // It shows what it is told, and complains about where it was to go.
    let script = format!(
        "echo \"$@\" >>{}\necho \"no way to $GIT_CONFIG_KEY_0\" >&2\nexit 128",
        said.display()
    );
    let git = pretender(place.path(), &script);
    let Err(error) = add(&git, "--add https://user:pa55word@h.invalid/r.git#main /x") else {
        panic!("there is no such repository")
    };
    let complaint = chain(&error);
    assert!(complaint.contains("no way to url.https://***@h.invalid"), "{complaint}");
    assert!(!complaint.contains("pa55word"), "{complaint}");
    let said = std::fs::read_to_string(said).unwrap();
    assert!(said.contains("https://h.invalid/r.git"), "{said}");
    assert!(!said.contains("pa55word"), "{said}");
}

#[test]
fn a_repository_is_a_context() {
    let Some(program) = git_program() else { return };
    let (tree, url) = repository();
    let git = git(program);
    let place = tempfile::tempdir().unwrap();
    let tools = ContextTools { fetch: None, git: Some(&git), scratch: place.path() };
    let location = ContextLocation::parse(&format!("{url}#main:sub")).unwrap();
    let context = Context::fetch(&location, &IgnoreChoice::default(), &tools).unwrap();
    let StreamContext::Context(context) = context else { panic!("it is one") };
    let head = run(&tree.path().join("r.git"), &["rev-parse", "HEAD"]);
    assert_eq!(context.commit(), Some(head.as_str()));
    assert_eq!(context.read_text("text", 100).unwrap(), "r.git/sub/text");
    drop(context);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}
