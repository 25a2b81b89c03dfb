//! The output depends on the data and the level, and on nothing else.

use std::io::Write;

use cask_layer::{Compression, Level, compress};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::support::{Numbers, pack_as, sample, threads};

/// Compresses in pieces whose sizes come from `seed`, with a flush here and there.
fn in_pieces(
    data: &[u8],
    compression: Compression,
    level: Level,
    count: usize,
    seed: u64,
) -> Vec<u8> {
    let mut numbers = Numbers(seed);
    let largest = 1 + numbers.below(300_000);
    let mut writer = compress(Vec::new(), compression, level, threads(count)).unwrap();
    let mut rest = data;
    while !rest.is_empty() {
        let len = (numbers.below(largest) as usize).min(rest.len());
        writer.write_all(&rest[..len]).unwrap();
        rest = &rest[len..];
        if numbers.below(8) == 0 {
            writer.flush().unwrap();
        }
    }
    writer.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn gzip_is_the_same_for_any_threads_and_pieces(
        seed in any::<u64>(),
        len in 0usize..1_500_000,
        level in 1i32..=9,
        count in 2usize..9,
    ) {
        let data = sample(len);
        let expected = pack_as(&data, Compression::Gzip, Level::Exact(level), 1);
        let pieces = in_pieces(&data, Compression::Gzip, Level::Exact(level), count, seed);
        prop_assert!(pieces == expected);
        let pieces = in_pieces(&data, Compression::Gzip, Level::Exact(level), 1, !seed);
        prop_assert!(pieces == expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn zstd_is_the_same_for_any_threads_and_pieces(
        seed in any::<u64>(),
        len in 0usize..12_000_000,
        level in 1i32..=9,
    ) {
        let data = sample(len);
        let expected = pack_as(&data, Compression::Zstd, Level::Exact(level), 1);
        for count in [1, 2, 4] {
            let level = Level::Exact(level);
            let pieces = in_pieces(&data, Compression::Zstd, level, count, seed ^ count as u64);
            prop_assert!(pieces == expected, "{} workers", count);
        }
    }
}

#[test]
fn high_zstd_levels_are_the_same_for_any_threads() {
    // Larger than two jobs of the highest levels, and of long matches, which are quick to encode.
    let mut data = Vec::new();
    for part in 0..12 {
        data.extend_from_slice(&sample(200_000 + part).repeat(8));
    }
    assert!(data.len() > 18 << 20);
    for level in [12, 17, 20] {
        let level = Level::Exact(level);
        let expected = pack_as(&data, Compression::Zstd, level, 1);
        let pieces = in_pieces(&data, Compression::Zstd, level, 3, 5);
        assert!(pieces == expected, "{level:?}");
    }
}

/// With several threads each compresses other blocks than the single one does: nothing of one
/// block may be left when the next is compressed.
#[test]
fn gzip_blocks_do_not_depend_on_what_their_thread_did_before() {
    let data = sample(4_000_000);
    for level in 1..=9 {
        let level = Level::Exact(level);
        let expected = pack_as(&data, Compression::Gzip, level, 1);
        for count in [2, 3, 5] {
            assert!(pack_as(&data, Compression::Gzip, level, count) == expected, "{level:?}");
        }
    }
}

#[test]
fn block_boundaries_are_no_special_case() {
    for len in [0, 1, 262_143, 262_144, 262_145, 524_287, 524_288, 524_289] {
        let data = sample(len);
        let expected = pack_as(&data, Compression::Gzip, Level::Default, 1);
        for (count, seed) in [(2, 1), (3, 2), (8, 3)] {
            let pieces = in_pieces(&data, Compression::Gzip, Level::Default, count, seed);
            assert!(pieces == expected, "{len}, {count} threads");
        }
    }
}

/// Digests of blobs that users already have depend on these: if one changes, a release note says
/// so. They change with the compression libraries' versions, and must not with anything else.
#[test]
fn output_is_pinned() {
    let data = sample(5_000_000);
    let check = |compression, level, expected: &str| {
        let blob = pack_as(&data, compression, level, 2);
        let digest: String =
            Sha256::digest(&blob).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, expected, "{compression} {level:?}, {} bytes", blob.len());
    };
    check(
        Compression::None,
        Level::Default,
        "429d1bba7869407db67e1a36f78131d637b8f4926e701337c8a5a34e13178ef6",
    );
    check(
        Compression::Gzip,
        Level::Default,
        "edfae6d435a590227d1a79cc9bd7b27a664c45a9b99925ebc357460e1239ba33",
    );
    check(
        Compression::Gzip,
        Level::Exact(6),
        "8624db69a686de7e809dbb1a9f7f47540bb2ded9024cf7995f515bba165aedce",
    );
    check(
        Compression::Gzip,
        Level::Exact(1),
        "ae12af680755507aa39ac82a3c48d2fc7fe97164d61f843721981d6a97ffa740",
    );
    check(
        Compression::Gzip,
        Level::Exact(9),
        "0272fed87dd54933cbf5de882680ad5c5b6e8fcc83438949e1dafb74eadd2ebc",
    );
    check(
        Compression::Zstd,
        Level::Default,
        "263ba9a1bb43fa2918a1983d7ff446653445d2c2aa54b3abcd89982dd9dd312d",
    );
    check(
        Compression::Zstd,
        Level::Exact(12),
        "21afd974d5589df9d31307fe0f373489ea40cd54823c8a5678eb55b8779b863d",
    );
}
