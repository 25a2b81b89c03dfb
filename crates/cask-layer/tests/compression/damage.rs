//! Cut streams and flipped bits: an error or the right bytes, never anything else.

use cask_layer::{Compression, ErrorKind};

use crate::support::{REAL, kind, pack, sample, unpack};

#[test]
fn a_stream_cut_anywhere_is_truncated() {
    for compression in REAL {
        let blob = pack(&sample(3000), compression);
        for len in 0..blob.len() {
            let error = unpack(&blob[..len], compression).unwrap_err();
            assert_eq!(kind(&error), ErrorKind::Truncated, "{compression} cut to {len}");
            assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
            let offset = cask_layer::Error::of(&error).unwrap().offset();
            assert_eq!(offset, Some(len as u64), "{compression} cut to {len}");
        }
    }
}

#[test]
fn a_second_member_cut_anywhere_is_truncated() {
    for compression in REAL {
        let first = pack(&sample(500), compression);
        let second = pack(&sample(700), compression);
        let blob = [&first[..], &second[..]].concat();
        for len in first.len() + 1..blob.len() {
            let error = unpack(&blob[..len], compression).unwrap_err();
            assert_eq!(kind(&error), ErrorKind::Truncated, "{compression} cut to {len}");
        }
        assert!(unpack(&blob[..first.len()], compression).is_ok());
    }
}

#[test]
fn a_flipped_bit_never_gives_wrong_bytes() {
    for compression in REAL {
        let data = sample(2000);
        let blob = pack(&data, compression);
        let mut harmless = 0;
        for bit in 0..blob.len() * 8 {
            let mut damaged = blob.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            match unpack(&damaged, compression) {
                Ok(out) => {
                    assert!(out == data, "{compression} bit {bit}");
                    harmless += 1;
                }
                Err(error) => {
                    let kind = kind(&error);
                    assert!(kind != ErrorKind::Io, "{compression} bit {bit}: {kind:?}");
                }
            }
        }
        // Nobody checks the time in a gzip header, or bzip2's codes for symbols that do not occur.
        let bits = blob.len() * 8;
        assert!(harmless * 20 < bits, "{compression}: {harmless} of {bits} flips unnoticed");
    }
}

#[test]
fn damage_in_a_large_stream_is_found() {
    for compression in REAL {
        let data = sample(400_000);
        let blob = pack(&data, compression);
        for step in 1..40 {
            let mut damaged = blob.clone();
            let at = 20 + (blob.len() - 30) * step / 40;
            damaged[at] ^= 0x55;
            match unpack(&damaged, compression) {
                Ok(out) => assert!(out == data, "{compression} byte {at}"),
                Err(error) => assert!(cask_layer::Error::of(&error).is_some()),
            }
        }
    }
}

#[test]
fn errors_say_where() {
    let mut blob = pack(&sample(3000), Compression::Gzip);
    let trailer = blob.len() - 8;
    blob[trailer] ^= 1;
    let error = unpack(&blob, Compression::Gzip).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "corrupt gzip data at byte {}: the checksum of a member does not match its data",
            blob.len()
        )
    );
    blob[trailer] ^= 1;
    blob[trailer + 4] ^= 1;
    let error = unpack(&blob, Compression::Gzip).unwrap_err();
    assert!(error.to_string().contains("the length of a member"), "{error}");
}
