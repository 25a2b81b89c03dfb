//! Streams from the field, and where Go's `archive/tar` stops in streams that are cut short.

use std::fs;
use std::io::Read;

use cask_layer::TarErrorKind::{self, Corrupt, TooLarge, Truncated};
use cask_layer::{Compression, DecompressLimits, decompress};

use crate::support::{cases, line, members};

/// File, its members, and the error at the end.
type Row = (&'static str, &'static [&'static str], Option<TarErrorKind>);

#[rustfmt::skip]
const ROWS: [Row; 43] = [
    (
        "file-and-dir.tar",
        &[
            "0 small.txt 5 0 0:0 0.000000000",
            "5 dir/ 0 0 0:0 0.000000000",
        ],
        None,
    ),
    (
        "gnu-incremental.tar",
        &[
            "D test2/ 14 40755 1000:1000 1441973427.000000000",
            "0 test2/foo 64 100644 1000:1000 1441973363.000000000",
            "S test2/sparse 536870912 100644 1000:1000 1441973427.000000000 sparse",
        ],
        None,
    ),
    (
        "gnu-long-nul.tar",
        &[
            "0 0123456789 0 644 1000:1000 1486082191.000000000",
        ],
        None,
    ),
    (
        "gnu-multi-hdrs.tar",
        &[
            "2 GNU2/GNU2/long-path-name 0 0 0:0 0.000000000 -> GNU4/GNU4/long-linkpath-name",
        ],
        None,
    ),
    (
        "gnu-nil-sparse-data.tar",
        &[
            "S sparse.db 1000 0 0:0 0.000000000 sparse",
        ],
        None,
    ),
    (
        "gnu-nil-sparse-hole.tar",
        &[
            "S sparse.db 1000 0 0:0 0.000000000 sparse",
        ],
        None,
    ),
    (
        "gnu-not-utf8.tar",
        &[
            r"0 hi\x80\x81\x82\x83bye 0 644 1000:1000 0.000000000",
        ],
        None,
    ),
    (
        "gnu-sparse-big.tar",
        &[
            "S gnu-sparse 60000000000 0 0:0 0.000000000 sparse",
        ],
        None,
    ),
    (
        "gnu-utf8.tar",
        &[
            "0 [162] 0 644 1000:1000 0.000000000",
        ],
        None,
    ),
    (
        "gnu.tar",
        &[
            "0 small.txt 5 640 73025:5000 1244428340.000000000",
            "0 small2.txt 11 640 73025:5000 1244436044.000000000",
        ],
        None,
    ),
    (
        "hardlink.tar",
        &[
            "0 file.txt 15 644 1000:100 1425484303.000000000",
            "1 hard.txt 0 644 1000:100 1425484303.000000000 -> file.txt",
        ],
        None,
    ),
    (
        "hdr-only.tar",
        &[
            "5 dir/ 0 750 319973:5000 1442273732.000000000",
            "6 fifo 0 640 319973:5000 1442273806.000000000",
            "0 file 46 640 319973:5000 1442273747.000000000",
            "1 hardlink 0 640 319973:5000 1442273747.000000000 -> file",
            "3 null 0 666 319973:5000 1442264573.000000000 1,3",
            "4 sda 0 660 319973:5000 1442264573.000000000 8,0",
            "2 symlink 0 777 319973:5000 1442273756.000000000 -> file",
            "2 badlink 0 777 319973:5000 1442274044.000000000 -> missing",
            "5 dir/ 0 750 319973:5000 1442273732.000000000",
            "6 fifo 0 640 319973:5000 1442273806.000000000",
            "0 file 46 640 319973:5000 1442273747.000000000",
            "1 hardlink 0 640 319973:5000 1442273747.000000000 -> file",
            "3 null 0 666 319973:5000 1442264573.000000000 1,3",
            "4 sda 0 660 319973:5000 1442264573.000000000 8,0",
            "2 symlink 0 777 319973:5000 1442273756.000000000 -> file",
            "2 badlink 0 777 319973:5000 1442274044.000000000 -> missing",
        ],
        None,
    ),
    (
        "invalid-go17.tar",
        &[
            "0 [101] 0 0 2097152:0 0.000000000",
        ],
        None,
    ),
    (
        "issue10968.tar",
        &[
        ],
        Some(Corrupt),
    ),
    (
        "issue11169.tar",
        &[
        ],
        Some(Corrupt),
    ),
    (
        "issue12435.tar",
        &[
        ],
        Some(Corrupt),
    ),
    (
        "neg-size.tar",
        &[
        ],
        Some(Corrupt),
    ),
    (
        "nil-uid.tar",
        &[
            "0 P1050238.JPG.log 14 664 0:0 1365454838.000000000",
        ],
        None,
    ),
    (
        "pax-bad-hdr-file.tar",
        &[
        ],
        Some(Corrupt),
    ),
    (
        "pax-bad-hdr-large.tar.bz2",
        &[
        ],
        Some(TooLarge),
    ),
    (
        "pax-bad-mtime-file.tar",
        &[
        ],
        Some(Corrupt),
    ),
    (
        "pax-global-records.tar",
        &[
            "g global1 0 0 0:0 1500000000.000000000",
            "0 file1 0 0 0:0 0.000000000",
            "0 file2 0 0 0:0 0.000000000",
            "g GlobalHead.0.0 0 0 0:0 0.000000000",
            "0 file3 0 0 0:0 0.000000000",
            "0 file4 0 0 0:0 1400000000.000000000",
        ],
        None,
    ),
    (
        "pax-multi-hdrs.tar",
        &[
            "2 bar 0 0 0:0 0.000000000 -> PAX4/PAX4/long-linkpath-name",
        ],
        None,
    ),
    (
        "pax-nil-sparse-data.tar",
        &[
            "0 sparse.db 1000 0 0:0 0.000000000 sparse",
        ],
        None,
    ),
    (
        "pax-nil-sparse-hole.tar",
        &[
            "0 sparse.db 1000 0 0:0 0.000000000 sparse",
        ],
        None,
    ),
    (
        "pax-nul-path.tar",
        &[
        ],
        Some(Corrupt),
    ),
    (
        "pax-nul-xattrs.tar",
        &[
        ],
        Some(Corrupt),
    ),
    (
        "pax-path-hdr.tar",
        &[
        ],
        None,
    ),
    (
        "pax-pos-size-file.tar",
        &[
            "0 foo 999 640 319973:5000 1442282516.000000000",
        ],
        None,
    ),
    (
        "pax-records.tar",
        &[
            "0 file 0 0 0:0 0.000000000",
        ],
        None,
    ),
    (
        "pax-sparse-big.tar",
        &[
            "0 pax-sparse 60000000000 0 0:0 0.000000000 sparse",
        ],
        None,
    ),
    (
        "pax.tar",
        &[
            "0 [194] 7 664 1000:1000 1350244992.023960108",
            "2 a/b 0 777 1000:1000 1350266320.910238425 -> [192]",
        ],
        None,
    ),
    (
        "small.txt",
        &[
        ],
        Some(Truncated),
    ),
    (
        "small2.txt",
        &[
        ],
        Some(Truncated),
    ),
    (
        "sparse-formats.tar",
        &[
            "S sparse-gnu 200 644 1000:1000 1392395740.000000000 sparse",
            "0 sparse-posix-0.0 200 644 1000:1000 1392342187.000000000 sparse",
            "0 sparse-posix-0.1 200 644 1000:1000 1392340456.000000000 sparse",
            "0 sparse-posix-1.0 200 644 1000:1000 1392337404.000000000 sparse",
            "0 end 4 644 1000:1000 1392398319.000000000",
        ],
        None,
    ),
    (
        "star.tar",
        &[
            "0 small.txt 5 640 73025:5000 1244592783.000000000",
            "0 small2.txt 11 640 73025:5000 1244592783.000000000",
        ],
        None,
    ),
    (
        "trailing-slash.tar",
        &[
            "5 [300] 0 0 0:0 0.000000000",
        ],
        None,
    ),
    (
        "ustar-file-devs.tar",
        &[
            "0 file 0 644 0:0 0.000000000 1,1",
        ],
        None,
    ),
    (
        "ustar-file-reg.tar",
        &[
            "0 foo 684 640 319973:5000 1442282516.000000000",
        ],
        None,
    ),
    (
        "ustar.tar",
        &[
            "0 [143] 6 644 501:20 1360135598.000000000",
        ],
        None,
    ),
    (
        "v7.tar",
        &[
            "0 small.txt 5 444 73025:5000 1244593104.000000000",
            "0 small2.txt 11 444 73025:5000 1244593104.000000000",
        ],
        None,
    ),
    (
        "writer.tar",
        &[
            "0 small.txt 5 640 73025:5000 1246508266.000000000",
            "0 small2.txt 11 640 73025:5000 1245217492.000000000",
            "2 link.txt 0 777 1000:1000 1314603082.000000000 -> small.txt",
        ],
        None,
    ),
    (
        "xattrs.tar",
        &[
            r"0 small.txt 5 644 1000:10 1386065770.448252320 security.selinux=unconfined_u:object_r:default_t:s0\x00 user.key=value user.key2=value2",
            r"0 small2.txt 11 644 1000:10 1386065770.449252304 security.selinux=unconfined_u:object_r:default_t:s0\x00",
        ],
        None,
    ),
];

/// Too large to expand, or with data that Go never reads in its tests.
const UNREAD: [&str; 3] = ["gnu-incremental.tar", "gnu-sparse-big.tar", "pax-sparse-big.tar"];

#[test]
fn streams_from_the_field_are_read_as_go_reads_them() {
    let Some(folder) = cases("tar-testdata") else { return };
    assert_eq!(fs::read_dir(&folder).unwrap().count(), ROWS.len());
    for (name, expected, error) in ROWS {
        let mut bytes = fs::read(folder.join(name)).unwrap();
        if name.ends_with(".bz2") {
            let limits = DecompressLimits::default();
            let mut plain = Vec::new();
            decompress(&bytes[..], Compression::Bzip2, limits).read_to_end(&mut plain).unwrap();
            bytes = plain;
        }
        for buffer_bytes in [1, 511, 4096] {
            let (found, result) = members(&bytes, buffer_bytes, !UNREAD.contains(&name));
            let lines: Vec<String> = found.iter().map(line).collect();
            assert_eq!(lines, expected, "{name}");
            assert_eq!(result.err().map(|error| error.kind()), error, "{name}");
        }
    }
}

#[test]
fn holes_are_where_the_map_says() {
    let Some(folder) = cases("tar-testdata") else { return };
    let bytes = fs::read(folder.join("sparse-formats.tar")).unwrap();
    let (found, result) = members(&bytes, 4096, true);
    result.unwrap();
    let first = &found[0].1;
    assert!(first.starts_with(b"\0G\0o"), "{}", first.escape_ascii());
    for (member, data) in &found[1..4] {
        assert_eq!(data, first, "{}", member.name.escape_ascii());
    }
    assert_eq!(found[4].1, b"end\n");
}

#[test]
fn streams_cut_short_end_where_go_ends() {
    let Some(folder) = cases("tar-testdata") else { return };
    let file = |name: &str| fs::read(folder.join(name)).unwrap();
    let gnu = file("gnu.tar");
    let ustar = [file("ustar-file-reg.tar"), vec![0; 10 * 512]].concat();
    let (pax, sparse) = (file("pax-path-hdr.tar"), file("sparse-formats.tar"));
    let trash = b"garbage ".repeat(64);
    let join = |first: &[u8], second: &[u8]| [first, second].concat();
    let rows: [(Vec<u8>, usize, Option<TarErrorKind>); 40] = [
        (vec![], 0, None),
        (gnu[..511].into(), 0, Some(Truncated)),
        (gnu[..512].into(), 1, Some(Truncated)),
        (gnu[..1024].into(), 1, None),
        (gnu[..1536].into(), 2, Some(Truncated)),
        (gnu[..2048].into(), 2, None),
        (gnu.clone(), 2, None),
        (join(&gnu[..2048], &ustar[..1536]), 3, None),
        (ustar[..511].into(), 0, Some(Truncated)),
        (ustar[..512].into(), 1, Some(Truncated)),
        (ustar[..1195].into(), 1, Some(Truncated)),
        (ustar[..1196].into(), 1, None),
        (ustar[..1200].into(), 1, None),
        (ustar[..1535].into(), 1, None),
        (ustar[..1536].into(), 1, None),
        (join(&ustar[..1536], &trash[..1]), 1, Some(Truncated)),
        (join(&ustar[..1536], &trash[..511]), 1, Some(Truncated)),
        (join(&ustar[..1536], &trash), 1, Some(Corrupt)),
        (ustar[..2048].into(), 1, None),
        (join(&ustar[..2048], &trash[..1]), 1, Some(Truncated)),
        (join(&ustar[..2048], &trash[..511]), 1, Some(Truncated)),
        (join(&ustar[..2048], &trash), 1, Some(Corrupt)),
        (ustar[..2560].into(), 1, None),
        (join(&ustar[..2560], &trash[..1]), 1, None),
        (join(&ustar[..2560], &trash[..511]), 1, None),
        (join(&ustar[..2560], &trash), 1, None),
        (ustar[..3072].into(), 1, None),
        (pax.clone(), 0, None),
        (join(&pax, &trash[..1]), 0, Some(Truncated)),
        (join(&pax, &trash[..511]), 0, Some(Truncated)),
        (sparse[..511].into(), 0, Some(Truncated)),
        (sparse[..512].into(), 0, Some(Truncated)),
        (sparse[..3584].into(), 1, None),
        (sparse[..9200].into(), 1, None),
        (sparse[..9216].into(), 1, None),
        (sparse[..9728].into(), 2, Some(Truncated)),
        (sparse[..10240].into(), 2, None),
        (sparse[..11264].into(), 2, Some(Truncated)),
        (sparse.clone(), 5, None),
        (join(&sparse, &trash), 5, None),
    ];
    for (index, (stream, count, error)) in rows.iter().enumerate() {
        for read in [false, true] {
            let (found, result) = members(stream, 512, read);
            assert_eq!(found.len(), *count, "row {index}");
            assert_eq!(result.err().map(|error| error.kind()), *error, "row {index}");
        }
    }
}
