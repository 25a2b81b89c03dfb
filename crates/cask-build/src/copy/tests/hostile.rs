//! Contexts, stages and archives that want out.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::adding::{archive, with_archive};
use super::support::{Tree, chain, check, check_error, copy, request, scratch, write};
use crate::copy::{CopyTools, prepare};
use crate::view::swap;
use crate::{Context, ErrorKind, IgnoreChoice, StreamContext, View};

/// A file outside that nobody may read.
fn secret() -> Tree {
    Tree::of(&["secret=marker", "etc/passwd=marker"])
}

#[test]
fn cve_2018_15664_a_directory_swapped_for_a_link_is_not_followed() {
    let outside = secret();
    for during in ["dir", "dir/etc", "dir/etc/passwd"] {
        let tree = Tree::of(&["dir/etc/passwd=inside"]);
        let victim = tree.path().join(during);
        let target = match during {
            "dir" => outside.path().to_owned(),
            "dir/etc" => outside.path().join("etc"),
            _ => outside.path().join("etc/passwd"),
        };
        let place = scratch();
        let tools = CopyTools::new(&place);
        let swapping = |victim: PathBuf, target: PathBuf| {
            let mut done = false;
            move |path: &[u8]| {
                if path == during.as_bytes() && !done {
                    done = true;
                    let aside = victim.with_extension("aside");
                    fs::rename(&victim, aside).unwrap();
                    symlink(&target, &victim).unwrap();
                }
            }
        };
        let request = request(tree.context(), "dir /x");
        let prepared =
            swap::with(swapping(victim.clone(), target.clone()), || prepare(&request, &tools));
        assert!(prepared.is_err(), "{during}: it is something else now");
        // And between hashing and writing.
        fs::remove_file(&victim).unwrap();
        fs::rename(victim.with_extension("aside"), &victim).unwrap();
        let prepared = prepare(&request, &tools).unwrap();
        let written =
            swap::with(swapping(victim, target), || write(&prepared, &View::scratch(), &tools));
        match written {
            Ok(layer) => assert_eq!(layer.content("x/etc/passwd"), "inside", "{during}"),
            Err(error) => assert!(!chain(&error).contains("marker"), "{during}"),
        }
    }
}

#[test]
fn cve_2018_15664_a_link_that_is_there_for_a_moment_is_not_followed() {
    let (outside, place) = (secret(), scratch());
    let tools = CopyTools::new(&place);
    for during in ["dir", "dir/etc", "dir/etc/passwd"] {
        for (turn, hashing) in (1..=4).flat_map(|turn| [(turn, true), (turn, false)]) {
            let tree = Tree::of(&["dir/etc/passwd=inside"]);
            let request = request(tree.context(), "dir /x");
            let prepared = prepare(&request, &tools).unwrap();
            let target = outside.path().join(during["dir".len()..].trim_start_matches('/'));
            let victim = tree.path().join(during);
            let (hook, was_swapped) = swap::for_a_moment(during, turn, victim, target);
            let written = match hashing {
                true => swap::with(hook, || prepare(&request, &tools)).and_then(|again| {
                    assert_eq!(again.digest(), prepared.digest(), "{during}, {turn}");
                    write(&again, &View::scratch(), &tools)
                }),
                false => swap::with(hook, || write(&prepared, &View::scratch(), &tools)),
            };
            assert!(was_swapped.get() || turn > 1, "{during}, {hashing}: it was not swapped");
            match written {
                Ok(layer) => {
                    assert_eq!(layer.content("x/etc/passwd"), "inside", "{during}, {turn}");
                    let text = String::from_utf8_lossy(&layer.tar);
                    assert!(!text.contains("marker"), "{during}, {turn}");
                }
                Err(error) => assert!(!chain(&error).contains("marker"), "{during}, {turn}"),
            }
        }
    }
}

#[test]
fn cve_2018_15664_an_archive_swapped_for_a_link_is_not_followed() {
    let outside = with_archive(&["f=marker"]);
    let place = scratch();
    let tools = CopyTools::new(&place);
    // While it is hashed, and between that and when it is taken apart.
    for hashing in [true, false] {
        let tree = with_archive(&["f=inside"]);
        let (victim, target) = (tree.path().join("a.tar"), outside.path().join("a.tar"));
        let mut done = false;
        let swapping = move |path: &[u8]| {
            if path == b"a.tar" && !done {
                done = true;
                fs::rename(&victim, victim.with_extension("aside")).unwrap();
                symlink(&target, &victim).unwrap();
            }
        };
        let request = request(tree.context(), "--add a.tar /x");
        let written = match hashing {
            true => swap::with(swapping, || prepare(&request, &tools))
                .and_then(|prepared| write(&prepared, &View::scratch(), &tools)),
            false => {
                let prepared = prepare(&request, &tools).unwrap();
                swap::with(swapping, || write(&prepared, &View::scratch(), &tools))
            }
        };
        assert!(tree.path().join("a.tar").is_symlink(), "it was swapped");
        match written {
            Ok(layer) => assert_eq!(layer.content("x/f"), "inside"),
            Err(error) => assert!(!chain(&error).contains("marker")),
        }
    }
}

#[test]
fn cve_2024_9676_passwd_is_read_in_the_image_and_only_if_it_is_a_file() {
    let tree = Tree::of(&["a"]);
    let line = "--chown=app a /x";
    // Absolute, it stays in the image, where there is none.
    let outside = Tree::of(&["passwd=app:x:6:6::/:/bin/sh\n"]);
    let target = outside.path().join("passwd").display().to_string();
    let stage = Tree::of(&["etc/"]);
    symlink(&target, stage.path().join("etc/passwd")).unwrap();
    check_error(&tree, &stage.view(), line, "unable to find user app");
    let stage = Tree::of(&["etc/"]);
    let climb = format!("../../../../../../..{target}");
    symlink(climb, stage.path().join("etc/passwd")).unwrap();
    check_error(&tree, &stage.view(), line, "unable to find user app");
    // A FIFO would wait for ever, and a device act.
    let stage = Tree::of(&["etc/"]);
    let path = stage.path().join("etc/passwd");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o644.into()).unwrap();
    let error = check_error(&tree, &stage.view(), line, "is no regular file");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    // Ten gibibytes without a block on the disk.
    let stage = Tree::of(&["etc/passwd="]);
    let file = fs::OpenOptions::new().write(true).open(stage.path().join("etc/passwd")).unwrap();
    file.set_len(10 << 30).unwrap();
    let error = check_error(&tree, &stage.view(), line, "more than 16777216 bytes");
    assert_eq!(error.kind(), ErrorKind::Limit);
}

#[test]
fn cve_2026_44517_context_symlinks() {
    let outside = secret();
    let link = |tree: &Tree, name: &str, target: &str| {
        let target = outside.path().join(target);
        symlink(target, tree.path().join(name)).unwrap();
    };
    let tree = Tree::of(&["a"]);
    link(&tree, "dir", "etc");
    link(&tree, "Containerfile", "secret");
    link(&tree, ".dockerignore", "secret");
    link(&tree, ".containerignore", "etc");
    let stage = View::scratch();
    let context = tree.context();
    assert_eq!(context.ignore_file(), None, "it leads nowhere");
    for name in ["dir", "dir/passwd", "Containerfile", "dir/*"] {
        let error = copy(&tree, &stage, &format!("{name} /x")).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Missing, "{name}");
    }
    assert_eq!(context.read_text("Containerfile", 1 << 20).unwrap_err().kind(), ErrorKind::Missing);
    // As links, they are copied as they are: they lead nowhere but into the image.
    let layer = copy(&tree, &stage, ". /x").unwrap();
    assert!(layer.lines().iter().any(|line| line.starts_with("x/dir -> ")));
}

#[test]
fn cve_2020_10696_archives_stay_below_their_destination() {
    let stage = Tree::of(&["etc/passwd=inside", "app/"]);
    let stage = stage.view();
    let add = |lines: &[&str], expected: &[&str]| {
        check(&with_archive(lines), &stage, "--add a.tar /app/x", expected);
    };
    let inside = ["app/ 0755", "app/x/ 0755 +", "app/x/evil 0644 7:8"];
    add(&["../../evil=1"], &inside);
    add(&["/evil=1"], &inside);
    add(&["a/../../../evil=1"], &inside);
    // A link first, and then through it: below the destination, as with every peer.
    for target in ["/etc", "../../../../../etc"] {
        let link = format!("l -> {target}");
        let shown = format!("app/x/l -> {target} 7:8");
        let below = ["app/x/etc/ 0755 +", "app/x/etc/evil 0644 7:8", shown.as_str()];
        add(&[&link, "l/evil=1"], &[["app/ 0755", "app/x/ 0755 +"].as_slice(), &below].concat());
    }
    let refuse = |lines: &[&str], expected: &str| {
        let error = check_error(&with_archive(lines), &stage, "--add a.tar /app/x", expected);
        assert_eq!(error.kind(), ErrorKind::Invalid);
    };
    refuse(&["h = ../../../etc/shadow"], "is not there");
    refuse(&["l -> l", "l/x=1"], "too many levels");
    refuse(&["f=1", "f/x=1"], "cannot copy to non-directory");
    for name in [".wh.evil=1", "a/.wh..wh..opq=1", ".wh...=1", ".wh./x=1"] {
        refuse(&[name], "means a deletion");
    }
    refuse(&["d/", "h = d"], "hard link to a directory");
    refuse(&["evil 0:0"], "means a deletion");
}

#[test]
fn cve_2026_33056_a_directory_over_a_link_does_not_change_what_it_leads_to() {
    let stage = Tree::of(&["etc/ 0755", "etc/x", "app/"]);
    // The link is replaced, as tar, buildah and Docker do; /etc is not touched.
    let tree = with_archive(&["l -> /etc", "l/", "l/x=1"]);
    let expected = ["app/ 0755", "app/l/ 0750 7:8", "app/l/x 0644 7:8"];
    check(&tree, &stage.view(), "--add a.tar /app", &expected);
}

#[test]
fn cve_2026_28406_a_context_archive_stays_in_its_directory() {
    let place = tempfile::tempdir().unwrap();
    let sentinel = place.path().join("evil");
    let corpus: [&[&str]; 7] = [
        &["../evil=1"],
        &["../../../../../../../../tmp/evil-cask-build=1"],
        &["/evil=1"],
        &["l -> ..", "l/evil=1"],
        &["l -> /", "l/evil=1"],
        &["h = ../../../../../../../../etc/passwd"],
        &["d/", "d -> ..", "d/evil=1"],
    ];
    for lines in corpus {
        let tar = archive(lines);
        let context = Context::from_stream("-", &tar[..], place.path(), &IgnoreChoice::default());
        if let Ok(StreamContext::Context(context)) = context {
            for path in ["evil", "h", "l/evil"] {
                let text = context.read_text(path, 1 << 20).unwrap_or_default();
                assert!(!text.contains("root:"), "{lines:?}");
            }
        }
        assert!(!sentinel.exists(), "{lines:?}");
        assert!(!std::path::Path::new("/tmp/evil-cask-build").exists(), "{lines:?}");
        assert!(!std::path::Path::new("/evil").exists(), "{lines:?}");
        let left = fs::read_dir(place.path()).unwrap().count();
        assert_eq!(left, 0, "{lines:?} leaves nothing behind");
    }
}

#[test]
fn cve_2025_62518_sizes_that_contradict_smuggle_nothing() {
    // A PAX size of 0 before a file that says 1024 bytes, in which another archive lies.
    let inner = archive(&["smuggled=1"]);
    let mut outer = Vec::new();
    let record = b"10 size=0\n";
    let block = |name: &[u8], flag: u8, size: usize| {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name);
        block[100..107].copy_from_slice(b"0000644");
        block[108..115].copy_from_slice(b"0000000");
        block[116..123].copy_from_slice(b"0000000");
        block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        block[136..147].copy_from_slice(b"00000000000");
        block[156] = flag;
        block[257..265].copy_from_slice(b"ustar\x0000");
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    };
    outer.extend(block(b"x", b'x', record.len()));
    outer.extend(record);
    outer.resize(1024, 0);
    outer.extend(block(b"file", b'0', inner.len()));
    outer.extend(&inner);
    let tree = Tree::of(&[]);
    fs::write(tree.path().join("a.tar"), &outer).unwrap();
    tree.settle();
    // The PAX size counts, as for GNU tar and Go; so what follows are members, the same for all.
    let layer = copy(&tree, &View::scratch(), "--add a.tar /").unwrap();
    assert_eq!(layer.content("file"), "");
}

#[test]
fn a_bomb_is_stopped_by_what_it_may_cost() {
    // A directory chain that no path can name.
    let name = "d/".repeat(2100);
    let tree = with_archive(&[&name]);
    check_error(&tree, &View::scratch(), "--add a.tar /", "longer than 4095 bytes");
    let name = "n".repeat(256);
    let tree = with_archive(&[&name]);
    check_error(&tree, &View::scratch(), "--add a.tar /", "longer than 255 bytes");
}

#[test]
fn damaged_archives_are_told() {
    let mut tar = archive(&["a=1", "b=2"]);
    tar[1024 + 10] ^= 1;
    let tree = Tree::of(&[]);
    fs::write(tree.path().join("a.tar"), &tar).unwrap();
    tree.settle();
    check_error(&tree, &View::scratch(), "--add a.tar /x", "the archive cannot be read");
    fs::write(tree.path().join("a.tar"), &tar[..512]).unwrap();
    check_error(&tree, &View::scratch(), "--add a.tar /x", "the archive cannot be read");
}
