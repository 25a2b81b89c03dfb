//! Layers that want out, or to cost more than they may.

use std::os::unix::fs::symlink;

use cask_layer::{ApplyErrorKind, Whiteouts};

use crate::tar::{Header, Tar};
use crate::tree::{Host, extract, extract_with, options};

/// Extracts, and expects nothing outside; gives what went wrong.
fn check(tar: Tar) -> (Host, Option<ApplyErrorKind>) {
    let host = Host::new();
    let failed = extract(&tar.end(), &host).err().map(|error| {
        assert!(error.member().is_some(), "{error} names the member");
        error.kind()
    });
    host.assert_untouched();
    (host, failed)
}

#[test]
fn names_that_lead_out_stay_in() {
    let names = ["../outside/new", "/outside/new", "a/../../outside/new", "./../../../outside/new"];
    for name in names {
        let (host, failed) = check(Tar::default().file(name, "x"));
        assert_eq!(failed, None, "{name}");
        assert_eq!(host.text("outside/new"), "x", "{name}");
    }
}

#[test]
fn cve_2026_42574_files_through_links_stay_in() {
    let (host, failed) = check(Tar::default().symlink("lnk", "/etc").file("lnk/hostname", "x"));
    assert_eq!(failed, Some(ApplyErrorKind::InvalidLayer), "the link leads nowhere in the root");
    assert!(!host.has("etc"));

    let through = Tar::default().dir("etc", 0o755).symlink("lnk", "/etc");
    let (host, failed) = check(through.file("lnk/hostname", "x"));
    assert_eq!(failed, None);
    assert_eq!(host.text("etc/hostname"), "x");

    for target in ["..", "../..", "../outside", "/../outside"] {
        let (host, _) = check(Tar::default().symlink("lnk", target).file("lnk/secret", "x"));
        assert_eq!(host.text("outside/secret").contains("No such"), !host.has("outside"));
    }
    // The link itself is replaced, and what it points to is left alone.
    let (host, failed) = check(Tar::default().symlink("f", "../outside/secret").file("f", "x"));
    assert_eq!((failed, host.text("f").as_str()), (None, "x"));
    let (_, failed) = check(Tar::default().symlink("c", "c").file("c/x", "x"));
    assert_eq!(failed, Some(ApplyErrorKind::InvalidLayer));
}

#[test]
fn links_that_were_there_before_stay_in() {
    let host = Host::new();
    symlink(host.at("outside"), host.at("root/d")).unwrap();
    symlink(host.at("outside/secret"), host.at("root/f")).unwrap();
    let tar = Tar::default().file("f", "x").dir("d", 0o777).file("d/secret", "x");
    extract(&tar.end(), &host).unwrap();
    host.assert_untouched();
    assert_eq!(host.text("d/secret"), "x");
    assert!(host.at("root/d").symlink_metadata().unwrap().is_dir(), "the link was replaced");
}

#[test]
fn hard_links_stay_in_and_need_a_file() {
    let invalid = Some(ApplyErrorKind::InvalidLayer);
    for target in ["../outside/secret", "/etc/passwd", "nowhere", "", ".", "d"] {
        let (host, failed) = check(Tar::default().dir("d", 0o755).hard_link("h", target));
        assert_eq!(failed, invalid, "{target}");
        assert!(!host.has("h"));
    }
    let (_, failed) =
        check(Tar::default().symlink("l", "../outside").hard_link("h", "l/secret").file("h", "x"));
    assert_eq!(failed, invalid);
    // A hard link to a symbolic link is another such link, and writes go to neither's target.
    let (host, failed) =
        check(Tar::default().symlink("l", "../outside/secret").hard_link("h", "l").file("h", "x"));
    assert_eq!((failed, host.text("h").as_str()), (None, "x"));
    let (host, failed) = check(Tar::default().file("f", "x").hard_link("f", "f"));
    assert_eq!((failed, host.text("f").as_str()), (None, "x"));
    let (_, failed) = check(Tar::default().file("d/f", "x").hard_link("d", "d/f"));
    assert_eq!(failed, invalid, "the directory that is replaced held the original");
}

#[test]
fn whiteouts_that_name_nothing_are_refused() {
    for whiteouts in [Whiteouts::OverlayUser, Whiteouts::Remove] {
        for name in [".wh.", ".wh..", ".wh...", "d/.wh...", "d/.wh.."] {
            let host = Host::new();
            let tar = Tar::default().file("d/f", "x").file(name, "").end();
            let error = extract_with(&tar, &host, &options(whiteouts)).unwrap_err();
            assert_eq!(error.kind(), ApplyErrorKind::InvalidLayer, "{name}");
            host.assert_untouched();
            assert!(host.has("d/f"));
        }
        // Through links, too, only what is in the root is deleted.
        let host = Host::new();
        symlink(host.at("outside"), host.at("root/l")).unwrap();
        symlink("../outside", host.at("root/m")).unwrap();
        let tar = Tar::default().file("l/.wh.secret", "").file("m/.wh..wh..opq", "").end();
        let _ = extract_with(&tar, &host, &options(whiteouts));
        host.assert_untouched();
    }
}

#[test]
fn names_that_cannot_be_are_refused() {
    let long = "n".repeat(256);
    let (_, failed) = check(Tar::default().pax(&[("path", long.as_bytes())]).file("x", ""));
    assert_eq!(failed, Some(ApplyErrorKind::InvalidLayer));
    let deep = "d/".repeat(2100) + "f";
    let (_, failed) = check(Tar::default().pax(&[("path", deep.as_bytes())]).file("x", ""));
    assert_eq!(failed, Some(ApplyErrorKind::InvalidLayer));
    let fits = "n".repeat(255);
    let (host, failed) = check(Tar::default().pax(&[("path", fits.as_bytes())]).file("x", "y"));
    assert_eq!((failed, host.text(&fits).as_str()), (None, "y"));
}

#[test]
fn kinds_that_cannot_be_are_refused() {
    for flag in [b'9', b'V', b'M', b'A'] {
        let name = b"x";
        let (_, failed) = check(Tar::default().header(&Header { name, flag, ..Header::default() }));
        assert_eq!(failed, Some(ApplyErrorKind::InvalidLayer), "{flag}");
    }
    let (_, failed) = check(Tar::default().symlink("l", ""));
    assert_eq!(failed, Some(ApplyErrorKind::InvalidLayer));
    // 0x1000:0, cut to 32 bits by the kernel, would be 0:0, a whiteout.
    let device = (0x1000, 0);
    let odd = Header { name: b"c", flag: b'3', device, ..Header::default() };
    let (_, failed) = check(Tar::default().header(&odd));
    assert_eq!(failed, Some(ApplyErrorKind::InvalidLayer));
}

#[test]
fn streams_that_end_or_lie_are_refused() {
    let host = Host::new();
    let whole = Tar::default().file("a", "12345").file("b", "x").end();
    for length in [1, 511, 513, 514, 1025] {
        let error = extract(&whole[..length], &host).unwrap_err();
        assert_eq!(error.kind(), ApplyErrorKind::Truncated, "{length}: {error}");
    }
    // A size that is larger than what follows, up to the largest there is.
    for size in [1 << 12, 0o77_777_777_777] {
        let name = b"big";
        let tar = Tar::default().header(&Header { name, size, ..Header::default() }).0;
        let error = extract(&tar, &host).unwrap_err();
        assert_eq!(error.kind(), ApplyErrorKind::Truncated, "{error}");
        assert_eq!(error.member(), Some(&b"big"[..]));
    }
    let mut wrong = whole.clone();
    wrong[0] ^= 1;
    assert_eq!(extract(&wrong, &host).unwrap_err().kind(), ApplyErrorKind::InvalidLayer);
}

#[test]
fn limits_are_kept() {
    let check = |change: fn(&mut cask_layer::ApplyLimits), tar: Tar| {
        let mut options = options(Whiteouts::OverlayUser);
        change(&mut options.limits);
        let error = extract_with(&tar.end(), &Host::new(), &options).unwrap_err();
        assert_eq!(error.kind(), ApplyErrorKind::LimitExceeded, "{error}");
    };
    check(|limits| limits.max_members = 1, Tar::default().file("a", "").file("b", ""));
    check(|limits| limits.max_bytes = 3, Tar::default().file("a", "12").file("b", "34"));
    check(|limits| limits.max_directory_name_bytes = 60, {
        Tar::default().dir("a", 0o755).dir("b", 0o755)
    });
    check(|limits| limits.members.max_header_bytes = 4096, {
        Tar::default().pax(&[("comment", &[b'x'; 8192])]).file("a", "")
    });
}

#[test]
fn holes_cost_nothing() {
    let records: [(&str, &[u8]); 5] = [
        ("GNU.sparse.major", b"0"),
        ("GNU.sparse.minor", b"1"),
        ("GNU.sparse.size", b"1000000000000"),
        ("GNU.sparse.numblocks", b"1"),
        ("GNU.sparse.map", b"999999999999,1"),
    ];
    let (host, failed) = check(Tar::default().pax(&records).file("sparse", "x"));
    assert_eq!(failed, None);
    let found = host.root().metadata("sparse").unwrap();
    assert_eq!(found.size_bytes, 1_000_000_000_000);
    assert!(found.allocated_bytes < 1 << 20);
}
