use std::io::Cursor;

use cask_layer::{MemberLimits, Members, TarErrorKind, TarSplitRecorder};
use proptest::prelude::*;

use crate::support::members;

/// A header with everything set, and the right checksum.
fn header(flag: u8, name: &[u8], size: u64, magic: &[u8]) -> [u8; 512] {
    let mut block = [0; 512];
    block[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[156] = flag;
    block[257..257 + magic.len()].copy_from_slice(magic);
    seal(&mut block);
    block
}

fn seal(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn record(name: &str, value: &[u8]) -> Vec<u8> {
    let rest = name.len() + value.len() + 3;
    let mut len = rest + 1;
    while len != rest + len.to_string().len() {
        len += 1;
    }
    [len.to_string().as_bytes(), b" ", name.as_bytes(), b"=", value, b"\n"].concat()
}

fn block_of() -> impl Strategy<Value = Vec<u8>> {
    let flag = prop::sample::select(b"\x000123456789xxxgLKSSDVMNxS".to_vec());
    let magic = prop::sample::select(vec![&b"ustar\x0000"[..], b"ustar  \0", b""]);
    let name = prop::sample::select(vec!["a", "a/", "", "../b", "/c"]);
    let key = prop::sample::select(vec![
        "path",
        "size",
        "mtime",
        "uid",
        "SCHILY.xattr.a",
        "GNU.sparse.major",
        "GNU.sparse.minor",
        "GNU.sparse.map",
        "GNU.sparse.numblocks",
        "GNU.sparse.realsize",
        "GNU.sparse.offset",
        "GNU.sparse.numbytes",
    ]);
    let value = prop_oneof![
        "[0-9]{1,4}".prop_map(String::into_bytes),
        "[0-9]{1,2}(,[0-9]{1,2}){0,3}".prop_map(String::into_bytes),
        Just(b"1".to_vec()),
        Just(b"0".to_vec()),
        prop::collection::vec(any::<u8>(), 0..9),
    ];
    let records = prop::collection::vec((key, value), 0..6);
    let noise = prop::collection::vec((0..512_usize, any::<u8>()), 0..3);
    (flag, magic, name, records, 0..2000_u64, noise, any::<bool>()).prop_map(
        |(flag, magic, name, records, size, noise, sealed)| {
            let data: Vec<u8> = match flag {
                b'x' | b'g' => records.iter().flat_map(|(key, value)| record(key, value)).collect(),
                _ => b"2\n0\n10\n20\n5\n".iter().copied().cycle().take(size as usize).collect(),
            };
            let mut block = header(flag, name.as_bytes(), data.len() as u64, magic);
            for (index, byte) in noise {
                block[index] = byte;
            }
            if sealed {
                seal(&mut block);
            }
            let mut bytes = [&block[..], &data].concat();
            bytes.resize(bytes.len().next_multiple_of(512), 0);
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_stream_makes_it_panic_and_no_byte_is_lost(
        blocks in prop::collection::vec(block_of(), 0..6),
        cut in 0..6000_usize,
        buffer_bytes in 1..2000_usize,
    ) {
        let mut stream = blocks.concat();
        stream.resize(cut, 0);
        // Asserts that all bytes were seen where the stream is a good one.
        let (_, read) = members(&stream, buffer_bytes, false);
        if let Err(error) = read {
            prop_assert!(error.offset() <= stream.len() as u64);
            prop_assert!(matches!(
                error.kind(),
                TarErrorKind::Corrupt | TarErrorKind::Truncated | TarErrorKind::TooLarge
            ), "{error}");
        }
    }

    #[test]
    fn what_a_recorder_makes_of_any_stream_is_that_stream(
        blocks in prop::collection::vec(block_of(), 0..6),
    ) {
        let mut stream = blocks.concat();
        stream.resize(stream.len() + 1024, 0);
        let output = Cursor::new(Vec::new());
        let nothing = |_: &[u8]| Ok(std::io::empty());
        let scratch = || Ok(Cursor::new(Vec::new()));
        let recorder = TarSplitRecorder::new(output, nothing, scratch).unwrap();
        let members = Members::observed(&stream[..], MemberLimits::default(), recorder);
        if let Ok((_, recorder)) = members.finish() {
            // Files are not what they were: that is said, and nothing else goes wrong.
            let _ = recorder.finish();
        }
    }
}

#[test]
fn headers_without_end_are_refused() {
    let mut limits = MemberLimits::default();
    limits.max_header_bytes = 8192;
    let long_name = [&header(b'L', b"././@LongLink", 512, b"ustar  \0")[..], &[b'a'; 512]].concat();
    let stream = long_name.repeat(100);
    let error = Members::new(&stream[..], limits).next_member().unwrap_err();
    assert_eq!((error.kind(), error.offset()), (TarErrorKind::TooLarge, 8192));

    let mut sparse = header(b'S', b"sparse", 0, b"ustar  \0");
    sparse[482] = 1;
    seal(&mut sparse);
    let mut more = [0; 512];
    more[504] = 1;
    let stream = [&sparse[..], &more.repeat(100)].concat();
    let error = Members::new(&stream[..], limits).next_member().unwrap_err();
    assert_eq!((error.kind(), error.member()), (TarErrorKind::TooLarge, Some(&b"sparse"[..])));
}

#[test]
fn numbers_beyond_octal_and_before_1970_are_read() {
    let pax = [record("mtime", b"-1.25"), record("uid", b"4294967294")].concat();
    let mut block = header(b'0', b"file", 0, b"ustar  \0");
    block[116..124].copy_from_slice(b"\x80\0\0\0\x7f\xff\xff\xff");
    seal(&mut block);
    let mut stream = [&header(b'x', b"x", pax.len() as u64, b"ustar\x0000")[..], &pax].concat();
    stream.resize(1024, 0);
    stream.extend_from_slice(&block);
    let (found, result) = members(&stream, 512, true);
    result.unwrap();
    let member = &found[0].0;
    assert_eq!((member.uid, member.gid), (4_294_967_294, 2_147_483_647));
    assert_eq!((member.modified.seconds, member.modified.nanoseconds), (-2, 750_000_000));
    assert_eq!(member.raw_header, stream);
}
