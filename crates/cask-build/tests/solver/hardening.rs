//! What other builders had to be hardened against without a number of an advisory. The names are those of the
//! changes; what has a number is a test with that number, in the crate that it is about.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;

use cask_build::{Context, ErrorKind, IgnoreChoice, Secret, StreamContext};

use super::support::{BASE, Bench};

/// A directory outside of everything, and a link `l/out` of the context to it.
fn outside(bench: &Bench) -> std::path::PathBuf {
    let outside = bench.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("kept"), "machine").unwrap();
    fs::create_dir(bench.context().join("l")).unwrap();
    symlink(&outside, bench.context().join("l/out")).unwrap();
    outside
}

/// As [`outside`], but the link is in a base, and the context has nothing of it.
fn base_that_links_outside(bench: &mut Bench) -> std::path::PathBuf {
    let outside = outside(bench);
    let mut base = bench.request("FROM scratch\nCOPY l /\n");
    base.image.names = vec![BASE.to_owned()];
    bench.run(&base).unwrap();
    fs::remove_dir_all(bench.context().join("l")).unwrap();
    outside
}

/// What a directory holds: its names, and what was in `kept`.
fn held(outside: &std::path::Path) -> (usize, String) {
    let count = fs::read_dir(outside).unwrap().count();
    (count, fs::read_to_string(outside.join("kept")).unwrap())
}

/// There, a base with links in the place of the builder's own directories had its files written over.
#[test]
fn kaniko_586_links_of_a_base_lead_nowhere() {
    let mut bench = Bench::new();
    let outside = base_that_links_outside(&mut bench);
    bench.write("f", "new");
    bench.write("d/kept", "new");
    bench.reopen_context();
    let report = bench.build(&format!(
        "FROM {BASE}\nWORKDIR /out/made\nCOPY f /out/kept\nCOPY d /out\nCOPY f /out/\nADD f /out/g\nVOLUME /out/v\n"
    ));
    assert_eq!(held(&outside), (1, "machine".to_owned()));
    let inside = |name: &str| format!("{}/{name}", outside.display());
    for (name, text) in [("kept", "new"), ("f", "new"), ("g", "new")] {
        assert_eq!(bench.read(&report.images[0], &inside(name)), text, "{name}");
    }
    assert!(bench.has(&report.images[0], &inside("made")));
    bench.check_nothing_left();
}

/// There, an archive was unpacked through an absolute link of the image.
#[test]
fn buildkit_0_32_archives_through_absolute_links_stay_in_the_image() {
    let mut bench = Bench::new();
    let outside = base_that_links_outside(&mut bench);
    let mut archive = tar::Builder::new(Vec::new());
    for name in ["kept", "sub/x"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, &b"new"[..]).unwrap();
    }
    fs::write(bench.context().join("a.tar"), archive.into_inner().unwrap()).unwrap();
    bench.reopen_context();
    let report = bench.build(&format!("FROM {BASE}\nADD a.tar /out\nADD a.tar /out/below/\n"));
    assert_eq!(held(&outside), (1, "machine".to_owned()));
    let inside = format!("{}/below/sub/x", outside.display());
    assert_eq!(bench.read(&report.images[0], &inside), "new");
    bench.check_nothing_left();
}

/// There, what a file operation removed could lie above its directory.
#[test]
fn buildkit_0_31_nothing_above_a_context_is_removed() {
    let mut bench = Bench::new();
    let outside = outside(&bench);
    let scratch = bench.directory.path().join("scratch");
    fs::create_dir(&scratch).unwrap();
    // It is unpacked in a directory of its own in there: the one above both is two up.
    for name in [
        "../../outside/kept",
        "../../outside/.wh.kept",
        "../../.wh.outside",
        "a/../../../.wh.outside",
        "/outside/.wh.kept",
        "l/kept",
        "l/.wh.kept",
        "l/.wh..wh..opq",
        ".wh...",
        ".wh..",
    ] {
        let link = member("l", b'2', outside.to_str().unwrap());
        let stream = [&link[..], &member(name, b'0', ""), &[0; 1024]].concat();
        let choice = IgnoreChoice::default();
        let found = Context::from_stream("-", &stream[..], &scratch, &choice);
        if let Ok(StreamContext::Context(context)) = found {
            bench.tools.sources.context = std::sync::Arc::new(context);
            // Names that mean a deletion elsewhere are names here, or refused.
            let _ = bench.run(&bench.request("FROM scratch\nCOPY . /\n"));
        }
        assert_eq!(held(&outside), (1, "machine".to_owned()), "{name}");
    }
}

/// The header of a member of a tar archive that has no content.
fn member(name: &str, kind: u8, link: &str) -> [u8; 512] {
    let mut block = [0_u8; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..135].copy_from_slice(b"00000000000");
    block[136..147].copy_from_slice(b"00000000000");
    block[148..156].fill(b' ');
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link.as_bytes());
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    write!(&mut block[148..155], "{sum:06o}\0").unwrap();
    block
}

/// There, the number of an input that there was not ended the daemon.
#[test]
fn buildkit_0_31_a_stage_of_a_wrong_number_is_no_stage() {
    let bench = Bench::new();
    bench.write("x", "x");
    let text = |number: &str| {
        format!("FROM scratch AS a\nCOPY x /x\nFROM scratch\nCOPY --from={number} /x /x\n")
    };
    bench.build(&text("0"));
    for number in ["1", "7", "18446744073709551615", "18446744073709551616", "-1"] {
        let text = text(number);
        let error = bench.run(&bench.request(&text)).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Missing | ErrorKind::Invalid),
            "{number}: {error:?}"
        );
        assert!(error.location().is_some(), "{number}: {error:?}");
    }
    for target in ["2", "18446744073709551616", "-1"] {
        let mut request = bench.request("FROM scratch AS a\nFROM scratch\n");
        request.target = Some(target.to_owned());
        assert_eq!(bench.run(&request).unwrap_err().kind(), ErrorKind::Missing, "{target}");
    }
}

/// There, a mode of security that nobody knows was none.
#[test]
fn buildkit_0_31_security_modes_are_words_of_a_list() {
    for mode in ["", "none", "Insecure", "insecure,sandbox", "sandbox "] {
        let text = format!("FROM x\nRUN --security=\"{mode}\" true\n");
        assert!(cask_containerfile::parse(&text).has_errors(), "{mode:?}");
    }
}

/// There, a group file of any length was read, and of any kind.
#[test]
fn buildkit_0_31_groups_are_read_in_the_image_and_bounded() {
    let mut bench = Bench::new();
    bench.write("f", "f");
    bench.write("etc/passwd", "");
    let group = bench.context().join("etc/group");
    let file = fs::File::create(&group).unwrap();
    file.set_len(20 << 20).unwrap();
    bench.reopen_context();
    let text = "FROM scratch\nCOPY etc /etc\nCOPY --chown=0:app f /f\n";
    let error = bench.run(&bench.request(text)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit, "{error:?}");
    drop(file);
    fs::remove_file(&group).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &group, 0o644.into()).unwrap();
    let error = bench.run(&bench.request(text)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
}

/// What a secret is mounted on may be a link, and may become one while the command runs.
#[test]
fn secrets_are_mounted_within_the_root_wherever_links_lead() {
    let Some(mut bench) = Bench::with_shell() else { return };
    let outside = outside(&bench);
    bench.reopen_context();
    let text = format!(
        "FROM {BASE}\nCOPY l /l\nRUN mkdir /p && ln -s /p /q\n\
         RUN --mount=type=secret,id=s,target=/l/out/s --mount=type=secret,id=s,target=/q/s cat /l/out/s /p/s; \
         mv /p /aside 2>/dev/null; ln -s {} /p 2>/dev/null; true\n\
         RUN --mount=type=secret,id=s,target=/p/t cat /p/t\n",
        outside.display()
    );
    let mut request = bench.request(&text);
    request.run.secrets.insert("s".to_owned(), Secret::new(b"marker\n".to_vec()));
    bench.run(&request).unwrap();
    assert!(bench.output().starts_with("marker\nmarker\nmarker\n"));
    assert_eq!(held(&outside), (1, "machine".to_owned()));
    bench.check_nothing_left();
}
