//! ADD: archives and files from URLs.

use std::fs;
use std::io::Write;
use std::sync::Mutex;

use cask_layer::{Compression, Level, MemberKind, MemberWriter, NewMember, compress};

use super::support::{THEN, Tree, chain, check, check_error, request, scratch, write};
use crate::context::{Fetch, Fetched};
use crate::copy::{CopyTools, prepare};
use crate::{Error, ErrorKind, Result, View};

/// An archive of `name`, `name/`, `name -> target`, `name = target` and `name=content`, with ` @` behind for another
/// owner and other permissions.
pub(super) fn archive(lines: &[&str]) -> Vec<u8> {
    let mut writer = MemberWriter::new(Vec::new());
    for line in lines {
        let mut member = NewMember::default();
        member.mode = 0o644;
        (member.uid, member.gid, member.seconds) = (7, 8, THEN);
        let line = match line.strip_suffix(" @") {
            Some(line) => {
                (member.mode, member.uid, member.gid) = (0o600, 1, 2);
                line
            }
            None => line,
        };
        let mut content = "";
        if let Some((name, target)) = line.split_once(" -> ") {
            (member.name, member.link_name) = (name.into(), target.into());
            member.kind = MemberKind::Symlink;
        } else if let Some((name, target)) = line.split_once(" = ") {
            (member.name, member.link_name) = (name.into(), target.into());
            member.kind = MemberKind::HardLink;
        } else if let Some((name, text)) = line.split_once('=') {
            (member.name, content) = (name.into(), text);
        } else if let Some(name) = line.strip_suffix(" 0:0") {
            (member.name, member.kind) = (name.into(), MemberKind::CharacterDevice);
        } else {
            member.name = line.into();
            if line.ends_with('/') {
                (member.kind, member.mode) = (MemberKind::Directory, 0o750);
            }
        }
        member.size_bytes = content.len() as u64;
        writer.member(&member).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap()
}

pub(super) fn with_archive(lines: &[&str]) -> Tree {
    let tree = Tree::of(&["plain"]);
    fs::write(tree.path().join("a.tar"), archive(lines)).unwrap();
    tree.settle();
    tree
}

fn compressed(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let mut writer =
        compress(Vec::new(), compression, Level::Default, std::num::NonZero::<usize>::MIN).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

#[test]
fn an_archive_is_known_by_its_content() {
    let tar = archive(&["etc/", "etc/x=1", "y=22"]);
    let unpacked = ["x/ 0755 +", "x/etc/ 0750 7:8", "x/etc/x 0644 7:8", "x/y 0644 7:8"];
    let tree = Tree::of(&["empty=", "text"]);
    fs::write(tree.path().join("a.txt"), &tar).unwrap();
    fs::write(tree.path().join("a.gz"), compressed(&tar, Compression::Gzip)).unwrap();
    fs::write(tree.path().join("a.zst"), compressed(&tar, Compression::Zstd)).unwrap();
    fs::write(tree.path().join("text.gz"), compressed(b"no tar", Compression::Gzip)).unwrap();
    fs::write(tree.path().join("cut.gz"), &compressed(&tar, Compression::Gzip)[..15]).unwrap();
    tree.settle();
    let scratch = View::scratch();
    for name in ["a.txt", "a.gz", "a.zst"] {
        let layer = check(&tree, &scratch, &format!("--add {name} /x"), &unpacked);
        assert_eq!(layer.content("x/y"), "22");
        check(&tree, &scratch, &format!("{name} /x"), &["x 0644"]);
        check(&tree, &scratch, &format!("--unpack=false {name} /x"), &["x 0644"]);
    }
    for name in ["empty", "text", "text.gz", "cut.gz"] {
        check(&tree, &scratch, &format!("--add {name} /x"), &["x 0644"]);
    }
    // In a directory it is a file.
    check(
        &tree,
        &scratch,
        "--add --exclude=[ct]* --exclude=empty --exclude=a.[gz]* . /x",
        &["x/ 0755 +", "x/a.txt 0644"],
    );
}

#[test]
fn other_compressions_are_undone_too() {
    let tar = archive(&["y=22"]);
    let tree = Tree::of(&["keep"]);
    for (program, name) in [("bzip2", "a.bz2"), ("xz", "a.xz")] {
        let path = tree.path().join("keep");
        fs::write(&path, &tar).unwrap();
        let output = std::process::Command::new(program).arg("-c").arg(&path).output();
        let Ok(output) = output else { continue };
        fs::write(tree.path().join(name), output.stdout).unwrap();
        tree.settle();
        let line = format!("--add {name} /x");
        check(&tree, &View::scratch(), &line, &["x/ 0755 +", "x/y 0644 7:8"]);
    }
}

#[test]
fn an_archive_merges_as_tar_does() {
    let stage = Tree::of(&[
        "app/conf/ 0700",
        "app/conf/old",
        "app/file",
        "app/dir/inside",
        "app/lib -> ../usr",
        "usr/u",
    ]);
    let stage = stage.view();
    // Permissions of directories change; buildah ignores --chown for archives, and all ignore --chmod.
    let tree = with_archive(&["conf/", "conf/new=1", "file=2", "lib/x=3"]);
    check(
        &tree,
        &stage,
        "--add a.tar /app",
        &[
            "app/ 0755",
            "app/conf/ 0750 7:8",
            "app/conf/new 0644 7:8",
            "app/file 0644 7:8",
            "usr/ 0755",
            "usr/x 0644 7:8",
        ],
    );
    check(
        &tree,
        &stage,
        "--add --chown=1:2 --chmod=600 a.tar /app/conf/deep",
        &[
            "app/ 0755",
            "app/conf/ 0700",
            "app/conf/deep/ 0755 1:2 +",
            "app/conf/deep/conf/ 0750 1:2",
            "app/conf/deep/conf/new 0644 1:2",
            "app/conf/deep/file 0644 1:2",
            "app/conf/deep/lib/ 0755 1:2 +",
            "app/conf/deep/lib/x 0644 1:2",
        ],
    );
    // What is in the way goes.
    let tree = with_archive(&["dir=now a file", "file/", "file/f=1"]);
    check(
        &tree,
        &stage,
        "--add a.tar /app",
        &["app/ 0755", "app/dir 0644 7:8", "app/file/ 0750 7:8", "app/file/f 0644 7:8"],
    );
    // A directory that went and comes back is empty.
    let tree = with_archive(&["dir=file", "dir/", "dir/f=1"]);
    check(
        &tree,
        &stage,
        "--add a.tar /app",
        &["app/ 0755", "app/dir/ 0750 7:8", "app/dir/.wh..wh..opq 0000 @0", "app/dir/f 0644 7:8"],
    );
    check_error(&tree, &stage, "--add a.tar /app/file", "already exists but is not a directory");
}

#[test]
fn the_last_member_of_a_name_counts_and_links_are_kept() {
    let tree = with_archive(&["b=old", "b=new", "z=linked", "a = z", "l -> b", "./c/../d=1"]);
    let layer = check(
        &tree,
        &View::scratch(),
        "--add a.tar /",
        &["a 0644 7:8", "b 0644 7:8", "d 0644 7:8", "l -> b 7:8", "z = a"],
    );
    assert_eq!(layer.content("b"), "new");
    assert_eq!(layer.content("a"), "linked");
}

#[test]
fn the_last_name_of_a_file_says_whose_it_is() {
    let tree = with_archive(&["m=linked", "a = m @", "z = a", "y = m @", "other=1"]);
    let lines = ["a 0600 1:2", "m = a", "other 0644 7:8", "y = a", "z = a"];
    check(&tree, &View::scratch(), "--add a.tar /", &lines);
}

#[test]
fn a_hard_link_to_a_file_of_the_stage_is_a_copy() {
    let stage = Tree::of(&["x/there=content"]);
    let tree = with_archive(&["l = there"]);
    let expected = ["x/ 0755", "x/l 0644"];
    let layer = check(&tree, &stage.view(), "--add a.tar /x", &expected);
    assert_eq!(layer.content("x/l"), "content");
}

/// A server with one answer.
#[derive(Default)]
pub(super) struct Server {
    pub(super) body: Vec<u8>,
    pub(super) asked: Mutex<Vec<String>>,
}

impl Fetch for Server {
    fn get(&self, url: &str, output: &mut dyn Write) -> Result<Fetched> {
        self.asked.lock().unwrap().push(url.to_owned());
        if url.contains("missing") {
            return Err(Error::new(ErrorKind::Fetch, "the server", "says 404"));
        }
        output.write_all(&self.body).map_err(|error| {
            Error::new(ErrorKind::Io, "output", "cannot be written").with_source(error)
        })?;
        let time = "Sun, 09 Sep 2001 01:46:40 GMT".to_owned();
        Ok(Fetched::new([("Last-Modified".to_owned(), time)]))
    }
}

fn from_server(server: &Server, line: &str) -> Result<Vec<String>> {
    let tree = Tree::of(&[]);
    let place = scratch();
    let mut tools = CopyTools::new(&place);
    tools.fetch = Some(server);
    let prepared = prepare(&request(tree.context(), line), &tools)?;
    write(&prepared, &View::scratch(), &tools).map(|layer| layer.lines())
}

#[test]
fn a_file_from_an_url_is_0600_and_as_old_as_its_server_says() {
    let server = Server { body: b"hello\n".to_vec(), ..Server::default() };
    let check = |line: &str, expected: &[&str]| match from_server(&server, line) {
        Ok(lines) => assert_eq!(lines, expected, "{line}"),
        Err(error) => panic!("{line}: {}", chain(&error)),
    };
    check("--add https://h/p/f.txt?q /x", &["x 0600"]);
    check("--add https://h/p/f.txt?q /x/", &["x/ 0755 +", "x/f.txt 0600"]);
    check("--add --chown=3 --chmod=644 https://h/f /x", &["x 0644 3:3"]);
    check("--add https://h/ /x", &["x 0600"]);
    let sum = "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    check(&format!("--add --checksum={sum} https://h/f /x"), &["x 0600"]);
    let refuse = |line: &str, expected: &str, kind: ErrorKind| {
        let error = from_server(&server, line).unwrap_err();
        assert!(chain(&error).contains(expected), "{line}: {}", chain(&error));
        assert_eq!(error.kind(), kind);
    };
    refuse("--add https://h/ /x/", "cannot determine filename", ErrorKind::Invalid);
    let other = sum.replace(":5", ":6");
    let line = format!("--add --checksum={other} https://u:secret@h/f /x");
    refuse(&line, "https://h/f: digest mismatch sha256:5891", ErrorKind::Mismatch);
    refuse("--add --checksum=md5:0 https://h/f /x", "no digest", ErrorKind::Invalid);
    refuse("--add https://h/missing /x", "404", ErrorKind::Fetch);
}

#[test]
fn archives_from_an_url_are_unpacked_if_that_is_wanted() {
    let server = Server { body: archive(&["y=22"]), ..Server::default() };
    let lines = |line: &str| from_server(&server, line).unwrap();
    assert_eq!(lines("--add https://h/a.tar /x"), ["x 0600"]);
    assert_eq!(lines("--unpack=true https://h/a.tar /x"), ["x/ 0755 +", "x/y 0644 7:8"]);
    let server = Server { body: b"no tar".to_vec(), ..Server::default() };
    let error = from_server(&server, "--unpack=true https://h/a.tar /x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn with_a_checksum_nothing_is_fetched_before_it_is_needed() {
    let server = Server { body: b"hello\n".to_vec(), ..Server::default() };
    let tree = Tree::of(&[]);
    let place = scratch();
    let mut tools = CopyTools::new(&place);
    tools.fetch = Some(&server);
    let sum = "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    let line = format!("--add --checksum={sum} https://h/f /x");
    let promised = prepare(&request(tree.context(), &line), &tools).unwrap();
    assert!(server.asked.lock().unwrap().is_empty());
    let fetched = prepare(&request(tree.context(), "--add https://h/f /x"), &tools).unwrap();
    assert_eq!(server.asked.lock().unwrap().len(), 1);
    assert_eq!(promised.digest(), fetched.digest());
    assert_eq!(fetched.newest_seconds(), Some(THEN));
}

#[test]
fn cve_2023_26054_credentials_are_in_no_text_and_no_key() {
    let server = Server { body: b"hello\n".to_vec(), ..Server::default() };
    let place = scratch();
    let mut tools = CopyTools::new(&place);
    tools.fetch = Some(&server);
    let prepared = |credentials: &str| {
        let line = format!("--add https://{credentials}h/f /x/");
        prepare(&request(Tree::of(&[]).context(), &line), &tools).unwrap()
    };
    let (with, without) = (prepared("marker:marker@"), prepared(""));
    assert_eq!(with.digest(), without.digest());
    assert_eq!(with.components(10), without.components(10));
    assert!(!format!("{with:?}").contains("marker"));
    assert_eq!(server.asked.lock().unwrap()[0], "https://marker:marker@h/f");
}

#[test]
fn nothing_is_fetched_without_a_fetcher() {
    let tree = Tree::of(&[]);
    check_error(&tree, &View::scratch(), "--add https://h/f /x", "nothing was given that could");
    check_error(&tree, &View::scratch(), "--add https://h/f.git /x", "no git program was given");
}
