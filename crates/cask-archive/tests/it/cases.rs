//! Tars of the field: those of the Go project's tests, and the corpus of the test kit.

use cask_archive::ErrorKind::{Malformed, TooLarge, Truncated, UnsafeName, Unsupported};
use cask_archive::{ArchiveReader, ErrorKind, ReadOptions};
use cask_testkit::generate::hostile::tars;

use crate::raw::open;

/// How many members each tar has, or why it is refused.
///
/// Go reads more of them: sparse files, two extension headers for one member, tars without their
/// end marker. It refuses one that is read here, for an extended attribute that nobody looks at.
const GO: [(&str, Result<usize, ErrorKind>); 43] = [
    ("file-and-dir.tar", Ok(2)),
    ("gnu-incremental.tar", Err(Unsupported)),
    ("gnu-long-nul.tar", Err(UnsafeName)),
    ("gnu-multi-hdrs.tar", Err(Malformed)),
    ("gnu-nil-sparse-data.tar", Err(Unsupported)),
    ("gnu-nil-sparse-hole.tar", Err(Unsupported)),
    ("gnu-not-utf8.tar", Ok(1)),
    ("gnu-sparse-big.tar", Err(Unsupported)),
    ("gnu-utf8.tar", Ok(1)),
    ("gnu.tar", Ok(2)),
    ("hardlink.tar", Ok(2)),
    ("hdr-only.tar", Err(Malformed)),
    ("invalid-go17.tar", Err(Malformed)),
    ("issue10968.tar", Err(Malformed)),
    ("issue11169.tar", Err(Malformed)),
    ("issue12435.tar", Err(Malformed)),
    ("neg-size.tar", Err(Malformed)),
    ("nil-uid.tar", Err(Truncated)),
    ("pax-bad-hdr-file.tar", Err(Malformed)),
    ("pax-bad-hdr-large.tar.bz2", Err(TooLarge)),
    ("pax-bad-mtime-file.tar", Err(Truncated)),
    ("pax-global-records.tar", Err(Unsupported)),
    ("pax-multi-hdrs.tar", Err(Malformed)),
    ("pax-nil-sparse-data.tar", Err(Unsupported)),
    ("pax-nil-sparse-hole.tar", Err(Unsupported)),
    ("pax-nul-path.tar", Err(UnsafeName)),
    ("pax-nul-xattrs.tar", Ok(1)),
    ("pax-path-hdr.tar", Err(Truncated)),
    ("pax-pos-size-file.tar", Err(Truncated)),
    ("pax-records.tar", Ok(1)),
    ("pax-sparse-big.tar", Err(Unsupported)),
    ("pax.tar", Ok(2)),
    ("small.txt", Err(Truncated)),
    ("small2.txt", Err(Truncated)),
    ("sparse-formats.tar", Err(Unsupported)),
    ("star.tar", Ok(2)),
    ("trailing-slash.tar", Ok(1)),
    ("ustar-file-devs.tar", Ok(1)),
    ("ustar-file-reg.tar", Err(Truncated)),
    ("ustar.tar", Ok(1)),
    ("v7.tar", Ok(2)),
    ("writer.tar", Ok(3)),
    ("xattrs.tar", Ok(2)),
];

#[test]
fn the_tars_of_the_go_project() {
    let Some(folder) = cask_cases::folder("the tars of the Go project") else { return };
    let folder = folder.join("fixtures/tar-testdata");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), GO.len());
    for (name, expected) in GO {
        let found = ArchiveReader::open(folder.join(name), &ReadOptions::default());
        let found = found.map(|archive| archive.members().len()).map_err(|error| error.kind());
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn hostile_tars_name_nothing_outside() {
    let cases = tars();
    assert!(cases.len() > 50, "only {}", cases.len());
    for case in cases {
        let Ok(archive) = open(&case.value) else { continue };
        for member in archive.members() {
            let name = member.display_name();
            let parts: Vec<&str> = name.split('/').collect();
            let is_safe = |part: &&str| !matches!(*part, "" | "." | "..") && !part.contains('\0');
            assert!(parts.iter().all(is_safe), "{}: {name}", case.name);
            // Whatever a link says, what is opened is a member.
            if let Ok(reader) = archive.open_member(member.name()) {
                let target = reader.member().name().to_vec();
                assert!(archive.members().iter().any(|member| *member.name() == *target));
            }
        }
    }
}
