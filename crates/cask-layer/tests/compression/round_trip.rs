//! What goes in comes out; what the ends of streams mean.

use std::io::{self, Read, Write};

use cask_layer::{
    Compression, DecompressLimits, ErrorKind, Level, compress, decompress, detect_reader,
};
use proptest::prelude::*;

use crate::support::{Dribble, REAL, kind, noise, pack, pack_as, sample, threads, unpack};

#[test]
fn data_of_every_size_comes_back() {
    for len in [0, 1, 2, 511, 32_768, 131_071, 131_072, 131_073, 262_144, 700_000] {
        let data = sample(len);
        for compression in Compression::ALL {
            let blob = pack(&data, compression);
            assert!(unpack(&blob, compression).unwrap() == data, "{compression} {len}");
            if len > 0 {
                let expected =
                    if compression == Compression::None { None } else { Some(compression) };
                let found = Compression::detect(&blob);
                assert_eq!(found, expected.unwrap_or(Compression::None));
            }
        }
    }
}

#[test]
fn every_level_comes_back() {
    let data = [sample(300_000), noise(200_000), vec![0; 200_000], sample(10_000)].concat();
    for level in 1..=9 {
        let blob = pack_as(&data, Compression::Gzip, Level::Exact(level), 2);
        assert!(unpack(&blob, Compression::Gzip).unwrap() == data, "gzip {level}");
        let hint = [0, 4, 0, 0, 0, 0, 0, 0, 0, 2][level as usize];
        assert_eq!(blob[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, hint, 255]);
    }
    for level in [1, 2, 3, 5, 8, 9, 12, 16, 17, 19, 20] {
        let blob = pack_as(&data, Compression::Zstd, Level::Exact(level), 2);
        assert!(unpack(&blob, Compression::Zstd).unwrap() == data, "zstd {level}");
        let mut limits = DecompressLimits::default();
        limits.max_memory_bytes = 8 << 20;
        let mut reader = decompress(&blob[..], Compression::Zstd, limits);
        io::copy(&mut reader, &mut io::sink()).expect("8 MiB of window are enough");
    }
}

#[test]
fn incompressible_data_fits_at_every_level() {
    let data = noise(400_000);
    for level in 1..=9 {
        let blob = pack_as(&data, Compression::Gzip, Level::Exact(level), 1);
        assert!(unpack(&blob, Compression::Gzip).unwrap() == data);
        let bound = if level == 1 { data.len() * 9 / 8 + 100 } else { data.len() + 1000 };
        assert!(blob.len() < bound, "level {level}: {}", blob.len());
    }
    // What costs deflate most: bytes above 143 have nine bits in its fixed code.
    let high: Vec<u8> = data.iter().map(|byte| byte | 0x90).collect();
    for level in 1..=9 {
        let blob = pack_as(&high, Compression::Gzip, Level::Exact(level), 1);
        assert!(unpack(&blob, Compression::Gzip).unwrap() == high);
    }
}

#[test]
fn blocks_cost_less_than_one_percent() {
    let data = sample(4_000_000);
    let ours = pack_as(&data, Compression::Gzip, Level::Exact(6), 2).len();
    let level = flate2::Compression::new(6);
    let mut single = flate2::write::GzEncoder::new(Vec::new(), level);
    single.write_all(&data).unwrap();
    let single = single.finish().unwrap().len();
    assert!(ours * 100 <= single * 101, "{ours} against {single}");
}

#[test]
fn members_one_after_another_are_one_output() {
    let parts = [sample(1000), Vec::new(), sample(200_000), vec![7]];
    for compression in REAL {
        let blob: Vec<u8> = parts.iter().flat_map(|part| pack(part, compression)).collect();
        assert!(unpack(&blob, compression).unwrap() == parts.concat(), "{compression}");
    }
}

#[test]
fn skippable_frames_are_skipped_wherever_they_are() {
    let frame = pack(b"data", Compression::Zstd);
    let skip = |magic: u8, content: &[u8]| {
        let mut out = vec![magic, 0x2a, 0x4d, 0x18];
        out.extend_from_slice(&(content.len() as u32).to_le_bytes());
        out.extend_from_slice(content);
        out
    };
    let check = |parts: &[Vec<u8>], expected: &[u8]| {
        let blob = parts.concat();
        let (compression, reader) = detect_reader(&blob[..]).unwrap();
        assert_eq!(compression, Compression::Zstd);
        let mut reader = decompress(reader, compression, DecompressLimits::default());
        let mut out = Vec::new();
        reader.read_to_end(&mut out).unwrap();
        assert_eq!(out, expected);
    };
    check(&[skip(0x50, b"four"), frame.clone()], b"data");
    check(&[frame.clone(), skip(0x5d, &[1; 3000]), frame.clone()], b"datadata");
    check(&[frame.clone(), skip(0x5f, b"")], b"data");
    check(&[skip(0x50, b"")], b"");
    check(&[skip(0x50, b"x"), skip(0x51, b"y")], b"");
    let cut = skip(0x50, b"four");
    assert_eq!(
        kind(&unpack(&cut[..cut.len() - 1], Compression::Zstd).unwrap_err()),
        ErrorKind::Truncated
    );
}

#[test]
fn gzip_headers_of_all_shapes_are_read() {
    let plain = pack(b"abc", Compression::Gzip);
    let body = &plain[10..];
    let head = |flags: u8| vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 3];
    let check = |parts: &[&[u8]]| {
        let blob = parts.concat();
        for size in [1, 3, 1000] {
            let reader = Dribble::new(&blob, size);
            let reader = decompress(reader, Compression::Gzip, DecompressLimits::default());
            assert_eq!(io::read_to_string(reader).unwrap(), "abc");
        }
    };
    check(&[&head(0), body]);
    check(&[&head(1), body]);
    check(&[&head(4), b"\x03\x00xyz", body]);
    check(&[&head(4), b"\x00\x00", body]);
    check(&[&head(8), b"name\0", body]);
    check(&[&head(16), b"comment\0", body]);
    check(&[&head(4 + 8 + 16), b"\x01\x00x", b"name\0", b"\0", body]);
    check(&[&head(8), &[b'n'; 70_000], b"\0", body]);

    let mut crc = flate2::Crc::new();
    let mut checked = [&head(2 + 8)[..], b"name\0"].concat();
    crc.update(&checked);
    checked.extend_from_slice(&crc.sum().to_le_bytes()[..2]);
    check(&[&checked, body]);
    *checked.last_mut().unwrap() ^= 1;
    let error = unpack(&[&checked[..], body].concat(), Compression::Gzip).unwrap_err();
    assert_eq!(kind(&error), ErrorKind::Corrupt);
    assert!(error.to_string().contains("header"), "{error}");

    let error = unpack(&[&head(0x20)[..], body].concat(), Compression::Gzip).unwrap_err();
    assert!(error.to_string().contains("reserved flags"), "{error}");
}

/// One row: the compression, what follows a whole stream, and what that is.
fn check_trailing(compression: Compression, trailing: &[u8], expected: Result<(), ErrorKind>) {
    let mut blob = pack(b"data", compression);
    let whole = blob.len() as u64;
    blob.extend_from_slice(trailing);
    let result = unpack(&blob, compression);
    match expected {
        Ok(()) => assert_eq!(result.unwrap(), b"data", "{compression} {trailing:02x?}"),
        Err(expected) => {
            let error = result.unwrap_err();
            assert_eq!(kind(&error), expected, "{compression} {trailing:02x?}");
            let offset = cask_layer::Error::of(&error).unwrap().offset().unwrap();
            assert!(offset >= whole, "{compression}: {offset} is not after {whole}");
        }
    }
}

#[test]
fn what_follows_the_last_member_must_be_a_member_or_padding() {
    use Compression::{Bzip2, Gzip, Xz, Zstd};
    use ErrorKind::{Corrupt, Truncated};

    check_trailing(Gzip, b"garbage after the end", Err(Corrupt));
    check_trailing(Gzip, b"g", Err(Corrupt));
    check_trailing(Gzip, b"\x1f", Err(Truncated));
    check_trailing(Gzip, b"\x1f\x8b\x08\0\0", Err(Truncated));
    check_trailing(Gzip, b"\0", Ok(()));
    check_trailing(Gzip, &[0; 100_000], Ok(()));
    check_trailing(Gzip, b"\0\0\0x", Err(Corrupt));
    check_trailing(Zstd, b"garbage after the end", Err(Corrupt));
    check_trailing(Zstd, b"\0\0\0\0\0\0\0\0", Err(Corrupt));
    check_trailing(Zstd, b"\x28\xb5", Err(Truncated));
    check_trailing(Xz, b"garbage after the end", Err(Corrupt));
    check_trailing(Xz, b"\0\0\0\0", Ok(()));
    check_trailing(Xz, &[0; 100_000], Ok(()));
    check_trailing(Xz, b"\0\0\0", Err(Corrupt));
    check_trailing(Bzip2, b"garbage after the end", Err(Corrupt));
    check_trailing(Bzip2, b"\0\0\0\0", Err(Corrupt));
    check_trailing(Bzip2, b"BZ", Err(Truncated));
}

#[test]
fn empty_input_is_truncated_unless_uncompressed() {
    assert_eq!(unpack(b"", Compression::None).unwrap(), b"");
    for compression in REAL {
        assert_eq!(kind(&unpack(b"", compression).unwrap_err()), ErrorKind::Truncated);
    }
}

#[test]
fn the_reader_below_is_read_to_its_own_end() {
    let data = sample(300_000);
    for compression in Compression::ALL {
        let blob = pack(&data, compression);
        let limits = DecompressLimits::default();
        let mut reader = decompress(Dribble::new(&blob, 4096), compression, limits);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert!(reader.inner().data.is_empty() && reader.inner().ends > 0, "{compression}");
        assert_eq!(reader.compressed_bytes(), blob.len() as u64);
        assert_eq!(reader.decompressed_bytes(), data.len() as u64);
        assert_eq!(reader.read(&mut [0; 10]).unwrap(), 0);

        // A consumer that stops early, as a tar reader does.
        let mut reader = decompress(Dribble::new(&blob, 4096), compression, limits);
        reader.read_exact(&mut [0; 1000]).unwrap();
        let below = reader.finish().unwrap();
        assert!(below.data.is_empty() && below.ends > 0, "{compression}");
    }
}

#[test]
fn finish_refuses_what_was_not_read_yet() {
    for compression in REAL {
        let mut blob = pack(&sample(300_000), compression);
        blob.extend_from_slice(b"garbage after the end");
        let mut reader = decompress(&blob[..], compression, DecompressLimits::default());
        reader.read_exact(&mut [0; 1000]).unwrap();
        assert_eq!(kind(&reader.finish().unwrap_err()), ErrorKind::Corrupt, "{compression}");
    }
}

#[test]
fn errors_are_returned_again_and_never_turn_into_an_end() {
    for compression in REAL {
        let blob = pack(&sample(1000), compression);
        let cut = &blob[..blob.len() - 1];
        let mut reader = decompress(cut, compression, DecompressLimits::default());
        let error = io::copy(&mut reader, &mut io::sink()).unwrap_err();
        for _ in 0..3 {
            let again = reader.read(&mut [0; 10]).unwrap_err();
            assert_eq!(again.to_string(), error.to_string());
        }
        assert!(reader.finish().is_err());
    }
}

#[test]
fn errors_of_the_reader_below_pass_untouched() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::ConnectionReset, "the peer went away"))
        }
    }
    for compression in Compression::ALL {
        let blob = pack(&sample(100_000), compression);
        let broken = blob[..blob.len() / 2].chain(Broken);
        let mut reader = decompress(broken, compression, DecompressLimits::default());
        let error = io::copy(&mut reader, &mut io::sink()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(error.to_string(), "the peer went away");
    }
}

#[test]
fn errors_of_the_writer_below_pass_once_and_stay() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::new(io::ErrorKind::StorageFull, "no room"));
            }
            let count = data.len().min(self.0);
            self.0 -= count;
            Ok(count)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let data = noise(4_000_000);
    for compression in [Compression::Gzip, Compression::Zstd] {
        for count in [1, 3] {
            let full = Full(100_000);
            let mut writer = compress(full, compression, Level::Default, threads(count)).unwrap();
            // Threads that compress may still have all of it before them.
            let error = (0..32).find_map(|_| writer.write_all(&data).err()).expect("it is told");
            assert_eq!(error.to_string(), "no room");
            let error = writer.write_all(&data).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert_eq!(kind(&error), ErrorKind::Io);
            assert!(writer.flush().is_err());
            assert!(writer.finish().is_err());
        }
        let full = Full(100);
        let mut writer = compress(full, compression, Level::Default, threads(2)).unwrap();
        writer.write_all(&data[..1000]).unwrap();
        assert_eq!(writer.finish().err().map(|error| error.to_string()), Some("no room".into()));
    }
}

#[test]
fn an_unfinished_stream_is_refused_by_readers() {
    #[derive(Clone, Default)]
    struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
    impl Write for Shared {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(data)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for compression in [Compression::Gzip, Compression::Zstd] {
        for (len, count) in [(0, 1), (100, 1), (131_072, 1), (3_000_000, 1), (3_000_000, 4)] {
            let output = Shared::default();
            let mut writer =
                compress(output.clone(), compression, Level::Default, threads(count)).unwrap();
            writer.write_all(&sample(len)).unwrap();
            writer.flush().unwrap();
            drop(writer);
            let blob = output.0.lock().unwrap().clone();
            let error = unpack(&blob, compression).unwrap_err();
            assert_eq!(kind(&error), ErrorKind::Truncated, "{compression} {len}");
        }
    }
}

/// zstd's threads inherit the name of the one that starts them.
#[cfg(target_os = "linux")]
#[test]
fn a_dropped_zstd_writer_leaves_no_thread() {
    fn threads_called(name: &str) -> usize {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        tasks
            .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
            .filter(|found| found.trim_end() == name)
            .count()
    }
    let work = || {
        let mut writer =
            compress(io::sink(), Compression::Zstd, Level::Default, threads(3)).unwrap();
        writer.write_all(&sample(5_000_000)).unwrap();
        assert_eq!(threads_called("drop-zstd"), 4);
        drop(writer);
        // The kernel lists a thread for a moment after it was joined.
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while threads_called("drop-zstd") > 1 && std::time::Instant::now() < patience {
            std::thread::yield_now();
        }
        assert_eq!(threads_called("drop-zstd"), 1);
    };
    std::thread::Builder::new().name("drop-zstd".into()).spawn(work).unwrap().join().unwrap();
}

#[test]
fn read_only_compressions_are_refused_clearly() {
    for compression in [Compression::Xz, Compression::Bzip2] {
        let error = compress(Vec::new(), compression, Level::Default, threads(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(
            error.to_string(),
            format!("{compression} can only be read: choose gzip or zstd")
        );
    }
    let error = compress(Vec::new(), Compression::Gzip, Level::Exact(10), threads(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidLevel);
}

#[test]
fn readers_and_writers_can_move_to_another_thread() {
    fn is_send<T: Send>(_: &T) {}
    for compression in Compression::ALL {
        is_send(&decompress(io::empty(), compression, DecompressLimits::default()));
    }
    is_send(&compress(io::sink(), Compression::Gzip, Level::Default, threads(2)).unwrap());
    is_send(&compress(io::sink(), Compression::Zstd, Level::Default, threads(2)).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_data_in_any_pieces_comes_back(
        seed in any::<u64>(),
        len in 0usize..400_000,
        input in 1usize..70_000,
        output in 1usize..70_000,
        compression in prop::sample::select(Compression::ALL.to_vec()),
    ) {
        let start = (seed % 1000) as usize;
        let data = sample(len + start)[start..].to_vec();
        let blob = pack(&data, compression);
        let below = Dribble::new(&blob, input);
        let mut reader = decompress(below, compression, DecompressLimits::default());
        let mut all = Vec::new();
        let mut piece = vec![0; output];
        loop {
            match reader.read(&mut piece).unwrap() {
                0 => break,
                count => all.extend_from_slice(&piece[..count]),
            }
        }
        prop_assert!(all == data);
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        data in prop::collection::vec(any::<u8>(), 0..300),
        compression in prop::sample::select(REAL.to_vec()),
        with_magic in any::<bool>(),
    ) {
        let mut blob = if with_magic { pack(b"", compression)[..4].to_vec() } else { Vec::new() };
        blob.extend_from_slice(&data);
        let mut limits = DecompressLimits::default();
        limits.max_output_bytes = 1 << 20;
        let mut reader = decompress(&blob[..], compression, limits);
        let _ = io::copy(&mut reader, &mut io::sink());
    }
}
