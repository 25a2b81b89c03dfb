//! What the digest is made of, and that what is written is what was hashed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use cask_containerfile::Dialect;

use super::adding::with_archive;
use super::support::{Tree, chain, copy, request, scratch, write};
use crate::copy::{CopyItem, CopyRequest, CopyTools, prepare};
use crate::{ErrorKind, StatCache, View};

fn digest(tree: &Tree, line: &str) -> String {
    let place = scratch();
    let tools = CopyTools::new(&place);
    prepare(&request(tree.context(), line), &tools).unwrap().digest().to_string()
}

fn tree() -> Tree {
    Tree::of(&["d/a=1", "d/b=2", "d/s/c=3", "d/l -> a", "other"])
}

#[test]
fn the_digest_is_of_contents_and_not_of_times_and_places() {
    let (one, two) = (tree(), Tree::of(&["d/l -> a", "d/s/c=3", "d/b=2", "d/a=1", "more"]));
    assert_eq!(digest(&one, "d /x"), digest(&two, "d /x"));
    let file = fs::File::open(two.path().join("d/a")).unwrap();
    file.set_modified(std::time::SystemTime::now()).unwrap();
    assert_eq!(digest(&one, "d /x"), digest(&two, "d /x"));
    let layers = [&one, &two].map(|tree| {
        tree.settle();
        copy(tree, &View::scratch(), "d /x").unwrap().tar
    });
    assert!(layers[0] == layers[1], "the same bytes");
}

#[test]
fn whatever_matters_changes_the_digest() {
    let before = digest(&tree(), "d /x");
    type Change = fn(&Tree);
    let changes: [(&str, Change); 6] = [
        ("content", |tree| tree.add("d/a=2")),
        ("mode", |tree| {
            let path = tree.path().join("d/a");
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }),
        ("name", |tree| {
            fs::rename(tree.path().join("d/a"), tree.path().join("d/A")).unwrap();
        }),
        ("target", |tree| {
            fs::remove_file(tree.path().join("d/l")).unwrap();
            tree.add("d/l -> b");
        }),
        ("new", |tree| tree.add("d/s/e/")),
        ("link", |tree| {
            fs::remove_file(tree.path().join("d/b")).unwrap();
            fs::write(tree.path().join("d/b"), "1").unwrap();
            fs::remove_file(tree.path().join("d/b")).unwrap();
            fs::hard_link(tree.path().join("d/a"), tree.path().join("d/b")).unwrap();
        }),
    ];
    let mut seen = vec![before];
    for (what, change) in changes {
        let tree = tree();
        change(&tree);
        let after = digest(&tree, "d /x");
        assert!(!seen.contains(&after), "{what}");
        seen.push(after);
    }
    for line in ["d /y", "d /x/", "--chown=1 d /x", "--chmod=700 d /x", "--link d /x", "d/s /x"] {
        let after = digest(&tree(), line);
        assert!(!seen.contains(&after), "{line}");
        seen.push(after);
    }
    assert_eq!(digest(&tree(), "other /x"), digest(&Tree::of(&["other"]), "other /x"));
}

#[test]
fn every_part_of_a_request_counts() {
    let tree = with_archive(&["f=1"]);
    tree.add("a=1");
    tree.add("b=1");
    let place = scratch();
    let tools = CopyTools::new(&place);
    let of = |line: &str, change: &dyn Fn(&mut CopyRequest)| {
        let mut request = request(tree.context(), line);
        change(&mut request);
        prepare(&request, &tools).unwrap().digest().to_string()
    };
    let plain = |line: &str| of(line, &|_| {});
    for (one, other) in [
        ("a /x/", "b /x/"),
        ("a /x", "--add a /x"),
        ("--add --unpack=false a.tar /x", "--add a.tar /x"),
        ("--chown=app a /x", "--chown=web a /x"),
        ("--chown=1 a /x", "--chown=1:2 a /x"),
    ] {
        assert_ne!(plain(one), plain(other), "{one}");
    }
    let below = |directory: &'static str| {
        of("a x", &move |request| request.working_directory = directory.to_owned())
    };
    assert_ne!(below("/one"), below("/two"));
    let of_dialect = of("a /x", &|request| request.dialect = Dialect::Buildah);
    assert_ne!(plain("a /x"), of_dialect);
    let heredoc = |mode: Option<&'static str>, contents: &'static str| {
        of("/x/", &move |request| {
            let (name, contents) = ("h".to_owned(), contents.as_bytes().to_vec());
            request.sources.push(CopyItem::File { name, contents });
            request.mode = mode.map(str::to_owned);
        })
    };
    assert_ne!(heredoc(None, "1"), heredoc(Some("0700"), "1"));
    assert_ne!(heredoc(None, "1"), heredoc(None, "2"));
}

#[test]
fn frames_keep_parts_apart() {
    // Without lengths, the names and contents of both would be the same bytes.
    let (one, two) = (Tree::of(&["d/ab=c", "d/d=e"]), Tree::of(&["d/a=bc", "d/d=e"]));
    assert_ne!(digest(&one, "d /x"), digest(&two, "d /x"));
}

#[test]
fn threads_and_caches_do_not_change_the_digest() {
    let tree = Tree::of(&[]);
    for number in 0..200 {
        tree.add(&format!("d{}/f{number}={number}", number % 7));
    }
    let place = scratch();
    let cache = StatCache::in_memory();
    let mut digests = Vec::new();
    for threads in [1, 2, 8] {
        for cache in [None, Some(&cache)] {
            let mut tools = CopyTools::new(&place);
            (tools.threads, tools.stat_cache) = (threads, cache);
            let prepared = prepare(&request(tree.context(), ". /x"), &tools).unwrap();
            digests.push(prepared.digest().to_string());
        }
    }
    digests.dedup();
    assert_eq!(digests.len(), 1);
}

#[test]
fn components_name_what_has_changed() {
    let place = scratch();
    let tools = CopyTools::new(&place);
    let components = |tree: &Tree, most| {
        prepare(&request(tree.context(), "d /x"), &tools).unwrap().components(most)
    };
    let (one, two) = (tree(), tree());
    two.add("d/s/c=4");
    let changed = |most| {
        let (one, two) = (components(&one, most), components(&two, most));
        assert_eq!(one.len(), two.len());
        let pairs = one.into_iter().zip(two).filter(|(one, two)| one != two);
        pairs.map(|(one, _)| one.path).collect::<Vec<_>>()
    };
    assert_eq!(changed(100), ["d/s/c"]);
    assert_eq!(changed(4), ["d/s/"]);
    assert_eq!(changed(3), ["d/"]);
    assert_eq!(changed(1), ["d/"]);
    assert_eq!(components(&one, 100).len(), 5);
}

#[test]
fn a_file_that_changes_after_it_was_hashed_is_told() {
    let place = scratch();
    let tools = CopyTools::new(&place);
    type Change = fn(&std::path::Path);
    let changes: [(Change, &str); 3] = [
        (|path| fs::write(path, "longer").unwrap(), "it had 1 bytes and has 6"),
        (|path| fs::write(path, "").unwrap(), "it had 1 bytes and has 0"),
        (
            |path| {
                fs::remove_file(path).unwrap();
                fs::write(path, "2").unwrap();
            },
            "its content is another one",
        ),
    ];
    for (change, expected) in changes {
        let tree = tree();
        let prepared = prepare(&request(tree.context(), "d /x"), &tools).unwrap();
        change(&tree.path().join("d/a"));
        let Err(error) = write(&prepared, &View::scratch(), &tools) else { panic!("{expected}") };
        assert_eq!(error.kind(), ErrorKind::Mismatch);
        let text = chain(&error);
        assert!(text.starts_with("\"/d/a\": was changed while it was copied"), "{text}");
        assert!(text.contains(expected), "{text}");
    }
    let tree = tree();
    let prepared = prepare(&request(tree.context(), "d /x"), &tools).unwrap();
    fs::remove_file(tree.path().join("d/a")).unwrap();
    let Err(error) = write(&prepared, &View::scratch(), &tools) else { panic!("it is gone") };
    assert!(chain(&error).contains("\"/d/a\": is not there any more"), "{}", chain(&error));
}

#[test]
fn nothing_is_opened_that_the_cache_knows() {
    let tree = tree();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache/stat");
    let place = scratch();
    // Files must be older than their reading by more than a step of the clock.
    std::thread::sleep(Duration::from_millis(250));
    let file = fs::File::open(tree.path().join("d/a")).unwrap();
    let half = std::time::UNIX_EPOCH + Duration::from_millis(1_000_000_000_500);
    file.set_modified(half).unwrap();
    for name in ["d/b", "d/s/c"] {
        fs::File::open(tree.path().join(name)).unwrap().set_modified(half).unwrap();
    }
    std::thread::sleep(Duration::from_millis(250));
    let run = || {
        let cache = StatCache::open(&path);
        let mut tools = CopyTools::new(&place);
        tools.stat_cache = Some(&cache);
        let prepared = prepare(&request(tree.context(), "d /x"), &tools).unwrap();
        cache.save().unwrap();
        (prepared.digest().to_string(), cache.len())
    };
    let first = run();
    assert_eq!(first.1, 3);
    // A change that leaves the times as they are cannot be made; so the content is not looked at.
    let before = fs::metadata(tree.path().join("d/a")).unwrap().accessed().unwrap();
    assert_eq!(run(), first);
    assert_eq!(fs::metadata(tree.path().join("d/a")).unwrap().accessed().unwrap(), before);
    tree.add("d/a=changed");
    assert_ne!(run().0, first.0);
}
