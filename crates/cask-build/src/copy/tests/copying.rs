//! Sources, flags and what is kept of files.

use std::fs;

use super::support::{Tree, chain, check, check_error, copy};
use cask_containerfile::Dialect;

use crate::view::View;
use crate::{Context, ErrorKind, IgnoreChoice};

fn sources() -> Tree {
    Tree::of(&[
        "a.txt",
        "b.txt",
        "run 06755",
        "dir/f",
        "dir/sub/s 0600",
        "dir/sub/ 0711",
        "dir/ 0700",
        "dir/link -> ../a.txt",
        "link -> a.txt",
        "dlink -> dir",
        "out -> /../../a.txt",
        "away -> ../../../etc/passwd",
        "absolute -> /etc/passwd",
        "loop -> loop",
    ])
}

#[test]
fn a_file_goes_to_a_path_or_into_a_directory() {
    let (tree, scratch) = (sources(), View::scratch());
    check(&tree, &scratch, "a.txt /x", &["x 0644"]);
    check(&tree, &scratch, "a.txt /x/", &["x/ 0755 +", "x/a.txt 0644"]);
    check(&tree, &scratch, "/a.txt/ /x", &["x 0644"]);
    check(&tree, &scratch, "a.txt x", &["x 0644"]);
    check(&tree, &scratch, "--workdir=/w a.txt x", &["w/ 0755 +", "w/x 0644"]);
    check(&tree, &scratch, "--workdir=/w a.txt .", &["w/ 0755 +", "w/a.txt 0644"]);
    check(&tree, &scratch, "../../a.txt /../x", &["x 0644"]);
    check(&tree, &scratch, "a.txt /p/q/x", &["p/ 0755 +", "p/q/ 0755 +", "p/q/x 0644"]);
}

#[test]
fn setuid_and_setgid_of_a_context_are_dropped_and_those_of_chmod_kept() {
    let (tree, scratch) = (sources(), View::scratch());
    check(&tree, &scratch, "run /x", &["x 0755"]);
    check(&tree, &scratch, "--chmod=4755 run /x", &["x 4755"]);
    // A stage keeps them.
    let context = std::sync::Arc::new(Context::of_view("stage", tree.view()));
    let request = super::support::request(context, "run /x");
    let place = super::support::scratch();
    let tools = crate::CopyTools::new(&place);
    let prepared = crate::prepare(&request, &tools).unwrap();
    let layer = super::support::write(&prepared, &scratch, &tools).unwrap();
    assert_eq!(layer.lines(), ["x 6755"]);
}

#[test]
fn a_directory_is_what_is_in_it() {
    let (tree, scratch) = (sources(), View::scratch());
    let inside = ["x/ 0755 +", "x/f 0644", "x/link -> ../a.txt", "x/sub/ 0711", "x/sub/s 0600"];
    for line in ["dir /x", "dir/ /x/", "./dir/. x", "dlink /x", "--parents dir/./ /x"] {
        check(&tree, &scratch, line, &inside);
    }
}

#[test]
fn several_sources_go_into_a_directory_with_or_without_slash() {
    let (tree, scratch) = (sources(), View::scratch());
    let both = ["x/ 0755 +", "x/a.txt 0644", "x/b.txt 0644"];
    check(&tree, &scratch, "a.txt b.txt /x/", &both);
    check(&tree, &scratch, "b.txt a.txt /x", &both);
    check(&tree, &scratch, "?.txt /x/", &both);
    check(&tree, &scratch, "*.txt /x/.", &both);
    check(&tree, &scratch, "[a]*.txt /x", &["x 0644"]);
    check(&tree, &scratch, "nope* a.txt b.txt /x/", &both);
}

#[test]
fn files_of_one_pattern_go_to_one_name_where_no_directory_has_it() {
    let tree = sources();
    for stage in [Tree::of(&[]), Tree::of(&["x"])] {
        let layer = check(&tree, &stage.view(), "?.txt /x", &["x 0644"]);
        assert_eq!(layer.content("x"), "b.txt");
    }
    let both = ["x/ 0700", "x/a.txt 0644", "x/b.txt 0644"];
    check(&tree, &Tree::of(&["x/ 0700"]).view(), "?.txt /x", &both);
    let all = [
        "x/ 0755 +",
        "x/f 0644",
        "x/link -> ../a.txt",
        "x/run 0755",
        "x/sub/ 0711",
        "x/sub/s 0600",
    ];
    check(&tree, &View::scratch(), "[dr][iu][rn] /x", &all);
    let warnings = |line: &str| {
        let context = std::sync::Arc::new(Context::of_view("stage", tree.view()));
        let place = super::support::scratch();
        let request = super::support::request(context, line);
        crate::prepare(&request, &crate::CopyTools::new(&place)).unwrap().warnings().to_vec()
    };
    // Nothing, as a variable without a value, is the working directory.
    let nothing = |stage: &Tree| {
        let mut request = super::support::request(tree.context(), "--workdir=/w a.txt x");
        request.destination.clear();
        let place = super::support::scratch();
        let tools = crate::CopyTools::new(&place);
        let prepared = crate::prepare(&request, &tools).unwrap();
        assert!(prepared.warnings()[0].starts_with("the destination is empty"));
        super::support::write(&prepared, &stage.view(), &tools).unwrap().lines()
    };
    assert_eq!(nothing(&Tree::of(&[])), ["w/ 0755 +", "w/a.txt 0644"]);
    let warning =
        "2 files are written to /x, each over the one before, if it is no directory: /x/ is one";
    assert_eq!(warnings("?.txt /x"), [warning]);
    for line in ["?.txt /x/", "a.* /x", "a.txt b.txt /x", "[dr][iu][rn] /x"] {
        assert!(warnings(line).is_empty(), "{line}");
    }
}

#[test]
fn globs_do_not_cross_slashes_and_follow_links() {
    let (tree, scratch) = (sources(), View::scratch());
    check(&tree, &scratch, "d*/f /x/", &["x/ 0755 +", "x/f 0644"]);
    check(&tree, &scratch, "dir/s* /x", &["x/ 0755 +", "x/s 0600"]);
    check_error(&tree, &scratch, "*/s /x", "no items matching glob \"*/s\" copied");
    let odd = Tree::of(&["[x].txt", "a*b"]);
    check(&odd, &scratch, "[[]x].txt /x", &["x 0644"]);
    check(&odd, &scratch, "a\\*b /x", &["x 0644"]);
    check_error(&odd, &scratch, "[x /x", "syntax error in pattern");
}

#[test]
fn two_stars_between_slashes_are_any_number_of_directories() {
    let tree =
        Tree::of(&["1", "a/2", "a/b/3", "a/b/.c/4", "a/b/away -> ../../d", "d/5", "n/a/b/6"]);
    let scratch = View::scratch();
    let all = ["x/ 0755 +", "x/1 0644", "x/2 0644", "x/3 0644", "x/4 0644", "x/5 0644", "x/6 0644"];
    check(&tree, &scratch, "**/[0-9] /x/", &all);
    check(&tree, &scratch, "**/**/[0-9] /x/", &all);
    check(&tree, &scratch, "a/**/[0-9] /x/", &[all[0], all[2], all[3], all[4]]);
    check(&tree, &scratch, "**/b/[0-9] /x/", &[all[0], all[3], all[6]]);
    check(&tree, &scratch, "a/**/.c/** /x/", &[all[0], all[4]]);
    check(&tree, &scratch, "1/** a/b/3 /x/", &[all[0], all[3]]);
    check(&tree, &scratch, "a**/2 /x/", &[all[0], all[2]]);
    check_error(&tree, &scratch, "**/7 /x", "no items matching glob \"**/7\" copied");
}

#[test]
fn links_are_followed_as_sources_and_copied_inside_of_directories() {
    let (tree, scratch) = (sources(), View::scratch());
    let layer = check(&tree, &scratch, "link /x/", &["x/ 0755 +", "x/link 0644"]);
    assert_eq!(layer.content("x/link"), "a.txt");
    check(&tree, &scratch, "out /x", &["x 0644"]);
    check(&tree, &scratch, "dir/link /x", &["x 0644"]);
    let error = check_error(&tree, &scratch, "absolute /x", "symbolic link to \"/etc/passwd\"");
    assert_eq!(error.kind(), ErrorKind::Missing);
    check_error(&tree, &scratch, "away /x", "symbolic link to \"/etc/passwd\"");
    check_error(&tree, &scratch, "loop /x", "too many levels of symbolic links");
}

#[test]
fn a_missing_source_is_named_with_its_context_and_its_neighbours() {
    let (tree, scratch) = (sources(), View::scratch());
    let error = check_error(&tree, &scratch, "c.txt /x", "\"/c.txt\": not found in ");
    assert!(error.to_string().contains(&tree.path().display().to_string()));
    assert!(error.to_string().contains("no such file or directory"));
    assert_eq!(error.hint(), Some("did you mean a.txt, b.txt?"));
    assert_eq!(error.kind(), ErrorKind::Missing);
    check_error(&tree, &scratch, "c.txt a.txt /x/", "\"/c.txt\": not found in ");
    check_error(&tree, &scratch, "a.txt/b /x", "\"/a.txt\" is no directory");
    check_error(&tree, &scratch, "*.c /x", "no items matching glob \"*.c\" copied");
}

#[test]
fn ignored_files_are_not_there_and_the_line_is_told() {
    let tree = Tree::of(&[
        "a.txt",
        "logs/x.log",
        "logs/keep/k",
        "logs/keep/deep/d",
        "logs/empty/",
        ".dockerignore=# nothing\n*.tmp\nlogs\n!logs/keep\n",
        "b.tmp",
    ]);
    let scratch = View::scratch();
    check(
        &tree,
        &scratch,
        ". /x",
        &[
            "x/ 0755 +",
            "x/.dockerignore 0644",
            "x/a.txt 0644",
            "x/logs/ 0755",
            "x/logs/keep/ 0755",
            "x/logs/keep/deep/ 0755",
            "x/logs/keep/deep/d 0644",
            "x/logs/keep/k 0644",
        ],
    );
    check(&tree, &scratch, "logs/keep/deep /x", &["x/ 0755 +", "x/d 0644"]);
    let error = check_error(&tree, &scratch, "b.tmp /x", "excluded by .dockerignore:2 (\"*.tmp\")");
    assert_eq!(error.kind(), ErrorKind::Missing);
    let parent = "excluded by .dockerignore:3 (\"logs\", which matches \"logs\")";
    check_error(&tree, &scratch, "logs/x.log /x", parent);
    check_error(&tree, &scratch, "*.tmp /x", "(1 filtered out using .dockerignore)");
    // An own file is looked for by a choice, and hides nothing from a stage.
    let choice = IgnoreChoice { file: Some(tree.path().join("nope")), ..IgnoreChoice::default() };
    assert!(Context::directory(tree.path(), &choice).is_err());
    let stage = std::sync::Arc::new(Context::of_view("stage", tree.view()));
    assert!(stage.ignored("b.tmp").is_none());
}

#[test]
fn an_exception_begins_with_its_directory_but_in_buildkits_dialect() {
    let tree = Tree::of(&[
        "a/one",
        "a/two",
        "b/sub/one",
        "c/one",
        ".dockerignore=a\nb\nc\n!*/one\n!a/two\n!**/one\n!?\\?/x\n",
    ]);
    let place = super::support::scratch();
    let tools = crate::CopyTools::new(&place);
    let prepared = |line: &str, dialect| {
        let mut request = super::support::request(tree.context(), line);
        request.dialect = dialect;
        crate::prepare(&request, &tools)
    };
    let ours = prepared("[a-c] /x", Dialect::default()).unwrap();
    let layer = super::support::write(&ours, &View::scratch(), &tools).unwrap();
    assert_eq!(layer.lines(), ["x/ 0755 +", "x/one 0644", "x/two 0644"]);
    let lost: Vec<String> = ours.lost_exceptions().iter().map(ToString::to_string).collect();
    let expected = [
        (4, "*/one", "!b/one"),
        (6, "**/one", "!b/…"),
    ]
    .map(|(line, pattern, instead)| {
        format!(
            ".dockerignore:{line}: the exception \"!{pattern}\" does not hold in the directory \"b\", \
             which is ignored: write \"{instead}\", or build with --compat=docker"
        )
    });
    assert_eq!(lost, expected, "each with the first directory");
    let error = prepared("c /x", Dialect::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert!(error.hint().is_some_and(|hint| hint.contains("write \"!c/one\"")), "{error:?}");
    let theirs = prepared("[a-c] /x", Dialect::BuildKit).unwrap();
    let layer = super::support::write(&theirs, &View::scratch(), &tools).unwrap();
    assert_eq!(
        layer.lines(),
        ["x/ 0755 +", "x/one 0644", "x/sub/ 0755", "x/sub/one 0644", "x/two 0644"]
    );
    assert!(theirs.lost_exceptions().is_empty());
}

#[test]
fn buildkits_patterns_match_names_alone_and_may_match_nothing() {
    let (tree, scratch) = (sources(), View::scratch());
    let place = super::support::scratch();
    let tools = crate::CopyTools::new(&place);
    let lines = |line: &str, dialect| {
        let mut request = super::support::request(tree.context(), line);
        request.dialect = dialect;
        let prepared = crate::prepare(&request, &tools)?;
        super::support::write(&prepared, &scratch, &tools).map(|layer| layer.lines())
    };
    assert_eq!(lines("**/s /x/", Dialect::Cask).unwrap(), ["x/ 0755 +", "x/s 0600"]);
    assert_eq!(lines("**/s /x/", Dialect::BuildKit).unwrap(), [""; 0], "nothing, and no directory");
    assert_eq!(lines("run /x", Dialect::BuildKit).unwrap(), ["x 6755"]);
    let missing = lines("nope /x", Dialect::BuildKit).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Missing);
    // The same, as a flag.
    let mut request = super::support::request(tree.context(), "nope* /x/");
    request.allow_empty_wildcard = true;
    let prepared = crate::prepare(&request, &tools).unwrap();
    assert_eq!(super::support::write(&prepared, &scratch, &tools).unwrap().lines(), [""; 0]);
}

#[test]
fn links_are_copied_as_links_where_that_is_wanted() {
    let (tree, scratch) = (sources(), View::scratch());
    let place = super::support::scratch();
    let tools = crate::CopyTools::new(&place);
    for (line, expected) in [
        ("link /x", &["x -> a.txt"][..]),
        ("link /x/", &["x/ 0755 +", "x/link -> a.txt"]),
        ("dlink /x", &["x/ 0755 +", "x/dlink -> dir"]),
        ("away /x", &["x -> ../../../etc/passwd"]),
        ("loop /x", &["x -> loop"]),
        ("a.txt /x", &["x 0644"]),
    ] {
        let mut request = super::support::request(tree.context(), line);
        request.keep_links = true;
        let prepared = crate::prepare(&request, &tools).unwrap();
        let layer = super::support::write(&prepared, &scratch, &tools).unwrap();
        assert_eq!(layer.lines(), expected, "{line}");
    }
}

#[test]
fn chown_is_by_the_names_of_the_image() {
    let tree = sources();
    let stage = Tree::of(&[
        "etc/passwd=root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n",
        "etc/group=root:x:0:\nstaff:x:50:app\n",
    ]);
    let stage = stage.view();
    let owned = |owner: &str| format!("x 0644 {owner}");
    for (flag, owner) in [
        ("5", "5:5"),
        ("5:6", "5:6"),
        ("app", "1000:1001"),
        ("app:staff", "1000:50"),
        ("1000:staff", "1000:50"),
        (":50", "0:50"),
    ] {
        check(&tree, &stage, &format!("--chown={flag} a.txt /x"), &[&owned(owner)]);
    }
    let error = check_error(
        &tree,
        &stage,
        "--chown=nosuch a.txt /x",
        "unable to find user nosuch: no matching entries in passwd file",
    );
    assert!(error.to_string().starts_with("looking up UID/GID for \"nosuch\""));
    check_error(&tree, &stage, "--chown=0:nosuch a.txt /x", "unable to find group nosuch");
    check_error(&tree, &stage, "--chown=: a.txt /x", "names no user");
}

#[test]
fn chown_is_also_for_the_directories_that_are_made() {
    let (tree, scratch) = (sources(), View::scratch());
    check(
        &tree,
        &scratch,
        "--chown=5:6 dir /p/x",
        &[
            "p/ 0755 5:6 +",
            "p/x/ 0755 5:6 +",
            "p/x/f 0644 5:6",
            "p/x/link -> ../a.txt 5:6",
            "p/x/sub/ 0711 5:6",
            "p/x/sub/s 0600 5:6",
        ],
    );
}

#[test]
fn chmod_is_for_files_and_directories() {
    let (tree, scratch) = (sources(), View::scratch());
    check(
        &tree,
        &scratch,
        "--chmod=640 dir /x",
        &["x/ 0755 +", "x/f 0640", "x/link -> ../a.txt", "x/sub/ 0640", "x/sub/s 0640"],
    );
    check(
        &tree,
        &scratch,
        "--chmod=u=rwX,go=rX dir /x",
        &["x/ 0755 +", "x/f 0644", "x/link -> ../a.txt", "x/sub/ 0755", "x/sub/s 0644"],
    );
    check_error(&tree, &scratch, "--chmod=rw a.txt /x", "invalid chmod parameter");
}

#[test]
fn parents_keep_the_path_and_its_directories() {
    let tree = Tree::of(&["a/b/c/ 0700", "a/b/c/d.txt", "a/b/e.txt", "a/f.md", "g.txt"]);
    let scratch = View::scratch();
    check(
        &tree,
        &scratch,
        "--parents a/b/c/d.txt /x",
        &["x/ 0755 +", "x/a/ 0755", "x/a/b/ 0755", "x/a/b/c/ 0700", "x/a/b/c/d.txt 0644"],
    );
    check(
        &tree,
        &scratch,
        "--parents a/./b/c /x",
        &["x/ 0755 +", "x/b/ 0755", "x/b/c/ 0700", "x/b/c/d.txt 0644"],
    );
    check(
        &tree,
        &scratch,
        "--parents **/*.txt /x",
        &[
            "x/ 0755 +",
            "x/a/ 0755",
            "x/a/b/ 0755",
            "x/a/b/c/ 0700",
            "x/a/b/c/d.txt 0644",
            "x/a/b/e.txt 0644",
            "x/g.txt 0644",
        ],
    );
    check(&tree, &scratch, "--parents a/*/./*.txt g.txt /", &["e.txt 0644", "g.txt 0644"]);
    check_error(&tree, &scratch, "--parents a/b/z /x", "\"/a/b/z\": not found");
    check_error(&tree, &scratch, "--parents **/*.z /x", "no items matching glob");
}

#[test]
fn excludes_are_relative_to_the_source() {
    let tree = Tree::of(&["d/a.txt", "d/b.md", "d/s/c.txt", "d/s/keep.txt", "e.txt", "f.md"]);
    let scratch = View::scratch();
    check(
        &tree,
        &scratch,
        "--exclude=*.txt d /x",
        &["x/ 0755 +", "x/b.md 0644", "x/s/ 0755", "x/s/c.txt 0644", "x/s/keep.txt 0644"],
    );
    check(
        &tree,
        &scratch,
        "--exclude=**/*.txt --exclude=!s/keep.txt d /x",
        &["x/ 0755 +", "x/b.md 0644", "x/s/ 0755", "x/s/keep.txt 0644"],
    );
    check(
        &tree,
        &scratch,
        "--exclude=s --exclude=!s/keep.txt d /x",
        &["x/ 0755 +", "x/a.txt 0644", "x/b.md 0644", "x/s/ 0755", "x/s/keep.txt 0644"],
    );
    // A file that is named is wanted; one that a pattern finds may not be.
    let both = ["x/ 0755 +", "x/e.txt 0644", "x/f.md 0644"];
    check(&tree, &scratch, "--exclude=*.txt e.txt f.md /x/", &both);
    check(&tree, &scratch, "--exclude=*.txt [ef].* /x/", &[both[0], both[2]]);
    check_error(&tree, &scratch, "--exclude=[a d /x", "--exclude");
}

#[test]
fn names_of_one_file_stay_so_within_one_copy() {
    let tree = Tree::of(&["d/b", "d/z"]);
    fs::hard_link(tree.path().join("d/b"), tree.path().join("d/a")).unwrap();
    tree.settle();
    let layer =
        check(&tree, &View::scratch(), "d /x", &["x/ 0755 +", "x/a 0644", "x/b = x/a", "x/z 0644"]);
    assert_eq!(layer.content("x/a"), "d/b");
    check(&tree, &View::scratch(), "d/b /x", &["x 0644"]);
}

#[test]
fn fifos_and_devices_are_copied_and_sockets_are_not() {
    let tree = Tree::of(&["d/f"]);
    let place = tree.path().join("d");
    rustix::fs::mkfifoat(rustix::fs::CWD, place.join("pipe"), 0o644.into()).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(place.join("sock")).unwrap();
    tree.settle();
    let mut expected = vec!["x/ 0755 +", "x/f 0644", "x/pipe 0644 Fifo"];
    let device = rustix::fs::makedev(1, 3);
    let kind = rustix::fs::FileType::CharacterDevice;
    if rustix::fs::mknodat(rustix::fs::CWD, place.join("null"), kind, 0o600.into(), device).is_ok()
    {
        tree.settle();
        expected.insert(2, "x/null 0600 CharacterDevice");
    }
    check(&tree, &View::scratch(), "d /x", &expected);
    // Buildah makes a directory of the name, with the FIFO in it.
    check(&tree, &View::scratch(), "d/pipe /x", &["x 0644 Fifo"]);
    check_error(&tree, &View::scratch(), "d/sock /x", "is a socket");
    drop(socket);
}

#[test]
fn attributes_of_users_are_kept() {
    let tree = Tree::of(&["a"]);
    let path = tree.path().join("a");
    let flags = rustix::fs::XattrFlags::empty();
    if rustix::fs::setxattr(&path, "user.note", b"x", flags).is_err() {
        return;
    }
    let overlay = rustix::fs::setxattr(&path, "user.overlay.opaque", b"y", flags);
    overlay.unwrap();
    let layer = copy(&tree, &View::scratch(), "a /x").unwrap();
    let mut members = cask_layer::Members::new(&layer.tar[..], Default::default());
    let found = members.next_member().unwrap().unwrap().member.xattrs.clone();
    assert_eq!(found, [(b"user.note".to_vec(), b"x".to_vec())]);
}

#[test]
fn names_that_mean_deletions_are_refused() {
    let tree = Tree::of(&["d/.wh.x", ".wh..wh..opq"]);
    let error = check_error(&tree, &View::scratch(), "d /x", "means a deletion");
    assert!(error.hint().is_some());
    check_error(&tree, &View::scratch(), ".wh..wh..opq /x", "means a deletion");
}

#[test]
fn names_may_be_any_bytes_and_long() {
    use std::os::unix::ffi::OsStrExt;
    let tree = Tree::of(&["d/ü"]);
    let odd = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    fs::write(tree.path().join("d").join(odd), "").unwrap();
    fs::write(tree.path().join("d").join("n".repeat(255)), "").unwrap();
    tree.settle();
    let layer = copy(&tree, &View::scratch(), "d /x").unwrap();
    assert_eq!(layer.written.members, 4);
}

#[test]
fn heredocs_are_files() {
    let request = |destination: &str| {
        let mut request =
            crate::CopyRequest::new(std::sync::Arc::new(Context::empty()), destination);
        request
            .sources
            .push(crate::CopyItem::File { name: "EOF".to_owned(), contents: b"hello\n".to_vec() });
        request
    };
    let place = super::support::scratch();
    let tools = crate::CopyTools::new(&place);
    let check = |request: &crate::CopyRequest, expected: &[&str], name: &str| {
        let prepared = crate::prepare(request, &tools).unwrap();
        let layer = super::support::write(&prepared, &View::scratch(), &tools).unwrap();
        assert_eq!(layer.lines(), expected);
        assert_eq!(layer.content(name), "hello\n");
    };
    check(&request("/x"), &["x 0644 +"], "x");
    check(&request("/x/"), &["x/ 0755 +", "x/EOF 0644 +"], "x/EOF");
    let mut owned = request("/x");
    (owned.owner, owned.mode) = (Some("5".to_owned()), Some("+x".to_owned()));
    check(&owned, &["x 0755 5:5 +"], "x");
}

#[test]
fn an_unreadable_request_is_refused_in_words() {
    let (tree, scratch) = (sources(), View::scratch());
    check_error(&tree, &scratch, "/x", "requires at least two arguments");
    check_error(&tree, &scratch, "https://h/a /x", "source can't be a URL for COPY");
    check_error(&tree, &scratch, "https://h/a.git /x", "source can't be a git ref for COPY");
    check_error(&tree, &scratch, "--add --checksum=sha256:0 a.txt /x", "checksum requires HTTP(S)");
    let line = "--add --checksum=sha256:0 https://h/a https://h/b /x";
    check_error(&tree, &scratch, line, "checksum can't be specified for multiple sources");
    let error = Context::directory(tree.path().join("nope"), &IgnoreChoice::default()).unwrap_err();
    assert!(chain(&error).contains("does not exist"), "{}", chain(&error));
}
