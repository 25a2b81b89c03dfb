//! Bombs, and how far they get.

use std::io::{self, Read, Write};

use cask_layer::{
    Compression, DecompressLimits, Error, ErrorKind, Level, Limit, compress, decompress,
};

use crate::support::{REAL, kind, pack, sample, threads, unpack_within};

const MIB: usize = 1 << 20;

/// A gigabyte of zeros.
fn bomb(compression: Compression) -> Vec<u8> {
    let zeros = vec![0; 8 * MIB];
    match compression {
        Compression::Gzip | Compression::Zstd => {
            let mut writer = compress(Vec::new(), compression, Level::Default, threads(2)).unwrap();
            for _ in 0..128 {
                writer.write_all(&zeros).unwrap();
            }
            writer.finish().unwrap()
        }
        // Their encoders are slow: the same stream again and again.
        _ => pack(&zeros, compression).repeat(128),
    }
}

fn limits(change: impl FnOnce(&mut DecompressLimits)) -> DecompressLimits {
    let mut limits = DecompressLimits::default();
    change(&mut limits);
    limits
}

/// Reads until the error; gives it with how much came out before.
fn explode(blob: &[u8], compression: Compression, limits: DecompressLimits) -> (u64, ErrorKind) {
    let mut reader = decompress(blob, compression, limits);
    let mut buffer = vec![0; MIB];
    let mut out = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => panic!("{compression}: the bomb went through"),
            Ok(count) => out += count as u64,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                assert!(reader.read(&mut buffer).is_err(), "the error stays");
                return (out, kind(&error));
            }
        }
    }
}

#[test]
fn a_gigabyte_of_zeros_stops_at_the_limits() {
    for compression in REAL {
        let blob = bomb(compression);
        let most = 64 * MIB as u64;
        let (out, kind) =
            explode(&blob, compression, limits(|limits| limits.max_output_bytes = most));
        assert_eq!(kind, ErrorKind::LimitExceeded { what: Limit::OutputBytes, limit: most });
        assert!(out <= most, "{compression}");

        let strict = limits(|limits| {
            limits.max_ratio = 200;
            limits.ratio_floor_bytes = 10 * MIB as u64;
        });
        let (out, kind) = explode(&blob, compression, strict);
        assert_eq!(kind, ErrorKind::LimitExceeded { what: Limit::Ratio, limit: 200 });
        assert!(out <= 12 * MIB as u64, "{compression}: {out}");
    }
}

#[test]
fn a_gigabyte_of_zeros_in_a_layer_is_allowed_by_default() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let blob = bomb(compression);
        let mut reader = decompress(&blob[..], compression, DecompressLimits::default());
        let mut buffer = vec![0; MIB];
        while reader.read(&mut buffer).unwrap() > 0 {}
        assert_eq!(reader.decompressed_bytes(), 1024 * MIB as u64);
    }
}

#[test]
fn exactly_the_limit_is_fine_and_one_byte_more_is_not() {
    let data = sample(100_000);
    for compression in Compression::ALL {
        let blob = pack(&data, compression);
        let exact = limits(|limits| limits.max_output_bytes = 100_000);
        assert!(unpack_within(&blob, compression, exact).unwrap() == data, "{compression}");
        let less = limits(|limits| limits.max_output_bytes = 99_999);
        let error = unpack_within(&blob, compression, less).unwrap_err();
        assert_eq!(
            kind(&error),
            ErrorKind::LimitExceeded { what: Limit::OutputBytes, limit: 99_999 }
        );
        let nothing = limits(|limits| limits.max_output_bytes = 0);
        assert!(unpack_within(&blob, compression, nothing).is_err());
        assert_eq!(unpack_within(&pack(b"", compression), compression, nothing).unwrap(), b"");
    }
}

#[test]
fn finish_counts_what_it_throws_away() {
    let blob = bomb(Compression::Gzip);
    let few = limits(|limits| limits.max_output_bytes = 10 * MIB as u64);
    let mut reader = decompress(&blob[..], Compression::Gzip, few);
    reader.read_exact(&mut [0; 1000]).unwrap();
    let error = reader.finish().unwrap_err();
    assert!(matches!(kind(&error), ErrorKind::LimitExceeded { .. }));
}

#[test]
fn windows_beyond_the_limit_are_refused() {
    // A frame header that asks for 2^27 bytes of window, and an empty last block.
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0x00, (27 - 10) << 3, 1, 0, 0];
    let check = |limit: u64, fine: bool| {
        let limits = limits(|limits| limits.max_memory_bytes = limit);
        let result = unpack_within(&zstd, Compression::Zstd, limits);
        assert_eq!(result.is_ok(), fine, "{limit}");
        if let Err(error) = result {
            assert_eq!(kind(&error), ErrorKind::LimitExceeded { what: Limit::MemoryBytes, limit });
        }
    };
    check(128 << 20, true);
    check((128 << 20) - 1, false);
    check(0, false);

    let huge = [0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3, 1, 0, 0];
    let error = unpack_within(&huge, Compression::Zstd, DecompressLimits::default()).unwrap_err();
    assert!(matches!(kind(&error), ErrorKind::LimitExceeded { what: Limit::MemoryBytes, .. }));
    assert_eq!(
        error.to_string(),
        "zstd data at byte 0: decoding exceeds the limit of 134217728 bytes of memory"
    );
}

#[test]
fn dictionaries_beyond_the_limit_are_refused() {
    // Preset 6 has a dictionary of 8 MiB.
    let blob = pack(b"data", Compression::Xz);
    let small = limits(|limits| limits.max_memory_bytes = 8 << 20);
    let error = unpack_within(&blob, Compression::Xz, small).unwrap_err();
    assert_eq!(kind(&error), ErrorKind::LimitExceeded { what: Limit::MemoryBytes, limit: 8 << 20 });
    let enough = limits(|limits| limits.max_memory_bytes = 9 << 20);
    assert_eq!(unpack_within(&blob, Compression::Xz, enough).unwrap(), b"data");
}

#[test]
fn frames_that_need_a_dictionary_are_unsupported() {
    // Descriptor: a dictionary number of one byte; then window, number, and an empty last block.
    let blob = [0x28, 0xb5, 0x2f, 0xfd, 0x01, 0x58, 7, 1, 0, 0];
    let error = unpack_within(&blob, Compression::Zstd, DecompressLimits::default()).unwrap_err();
    assert_eq!(kind(&error), ErrorKind::Unsupported);
    assert_eq!(Error::of(&error).and_then(Error::compression), Some(Compression::Zstd));
}

#[test]
fn many_empty_members_are_no_trap() {
    for compression in REAL {
        let blob = pack(b"", compression).repeat(3000);
        assert_eq!(
            unpack_within(&blob, compression, DecompressLimits::default()).unwrap(),
            b"",
            "{compression}"
        );
    }
}
