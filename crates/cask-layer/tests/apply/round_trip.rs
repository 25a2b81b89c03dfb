//! Any tree, written as a layer and applied, is the same tree.

use std::ffi::OsStr;
use std::io::{Cursor, Write};
use std::os::unix::ffi::OsStrExt;

use cask_layer::{
    DiffOptions, TarSplitRecorder, Whiteouts, apply, assemble, diff_changes, diff_tree,
};
use cask_rootfs::{Directory, Node, Root, Timestamp};
use proptest::prelude::*;

use crate::tree::{Host, assert_same, describe, options};

/// One thing to make, somewhere.
#[derive(Clone, Debug)]
struct Make {
    place: usize,
    name: Vec<u8>,
    what: What,
    mode: u32,
    seconds: i64,
}

#[derive(Clone, Debug)]
enum What {
    File(Vec<u8>),
    Directory,
    Symlink(Vec<u8>),
    HardLink(usize),
    Fifo,
    Attribute(Vec<u8>),
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let any = prop::collection::vec(
        any::<u8>().prop_map(|b| if b == b'/' || b == 0 { b'_' } else { b }),
        1..200,
    );
    let plain = prop::sample::select(vec!["a", "b", "c", "long", "é", "d e", "..."])
        .prop_map(|name: &str| name.as_bytes().to_vec());
    prop_oneof![3 => plain, 1 => any].prop_filter("a name", |name| {
        !matches!(&name[..], b"." | b"..") && !name.starts_with(b".wh.")
    })
}

fn make() -> impl Strategy<Value = Make> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..2000);
    let target = prop::collection::vec(1..=255_u8, 1..150);
    let what = prop_oneof![
        4 => bytes().prop_map(What::File),
        4 => Just(What::Directory),
        2 => target.prop_map(What::Symlink),
        2 => any::<usize>().prop_map(What::HardLink),
        1 => Just(What::Fifo),
        2 => bytes().prop_map(What::Attribute),
    ];
    (any::<usize>(), name(), what, 0..0o10000_u32, -10_000_000_000_i64..10_000_000_000)
        .prop_map(|(place, name, what, mode, seconds)| Make { place, name, what, mode, seconds })
}

/// Makes a tree; what cannot be made, as a name that is taken, is not.
fn build(root: &Root, makes: &[Make]) {
    let mut directories: Vec<Directory> = vec![root.directory("").unwrap()];
    let mut made: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut settle = Vec::new();
    for Make { place, name, what, mode, seconds } in makes {
        let at = place % directories.len();
        let (directory, name) = (&directories[at], OsStr::from_bytes(name));
        let done = match what {
            What::File(body) => {
                directory.create_file(name, 0o600).map(|mut file| file.write_all(body).unwrap())
            }
            What::Directory => directory.create_dir(name, 0o700),
            What::Symlink(target) => directory.symlink(name, OsStr::from_bytes(target)),
            What::Fifo => directory.create_node(name, Node::Fifo, 0o600),
            What::HardLink(_) if made.is_empty() => continue,
            What::HardLink(of) => {
                let (source, source_name) = &made[of % made.len()];
                let source_name = OsStr::from_bytes(source_name);
                directory.hard_link(name, &directories[*source], source_name)
            }
            What::Attribute(value) => {
                // Of a symbolic link, or of nothing: refused.
                let _ = directory.set_attribute(name, "user.test", value);
                continue;
            }
        };
        if done.is_err() {
            continue;
        }
        settle.push((at, name.to_owned(), *mode, *seconds));
        if let What::Directory = what {
            let directory = directory.open_dir(name).unwrap();
            directories.push(directory);
        } else {
            made.push((at, name.as_bytes().to_vec()));
        }
    }
    for (at, name, mode, seconds) in settle.into_iter().rev() {
        let found = directories[at].metadata(&name).unwrap();
        if found.kind != cask_rootfs::Kind::Symlink {
            // Whoever is not root could not read the rest back.
            let mode = if found.is_directory() { mode | 0o700 } else { mode | 0o400 };
            directories[at].set_mode(&name, mode).unwrap();
        }
        let time = Timestamp { seconds, nanoseconds: 0 };
        directories[at].set_times(&name, time, time).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn trees_survive_being_layers(makes in prop::collection::vec(make(), 0..40)) {
        let (from, to) = (Host::new(), Host::new());
        build(&from.root(), &makes);
        let (_, tar) = diff_tree(&from.root(), Vec::new(), &DiffOptions::default()).unwrap();

        let root = to.root();
        let open = |name: &[u8]| Ok(root.open_file(OsStr::from_bytes(name))?);
        let scratch = || Ok(Cursor::new(Vec::new()));
        let recorder = TarSplitRecorder::new(Cursor::new(Vec::new()), open, scratch).unwrap();
        let options = options(Whiteouts::OverlayUser);
        let (applied, rest, recorder) = apply(&tar[..], &root, &options, recorder).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!(&applied.warnings, &[]);
        assert_same(&describe(&root, true), &describe(&from.root(), true), "applied");

        let split = recorder.finish().unwrap().into_inner();
        let mut again = Vec::new();
        let mut assembled = assemble(&split[..], open).unwrap();
        std::io::Read::read_to_end(&mut assembled, &mut again).unwrap();
        prop_assert!(again == tar, "put together again");

        let (_, second) = diff_tree(&root, Vec::new(), &DiffOptions::default()).unwrap();
        prop_assert!(second == tar, "written again");
        let (diffed, _) =
            diff_changes(&from.root(), &root, Vec::new(), &DiffOptions::default()).unwrap();
        prop_assert_eq!(diffed.members, 0, "nothing changed");
    }
}
