use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};

use cask_layer::{
    Crc64, MemberLimits, Members, TarSplitEntry, TarSplitErrorKind, assemble, verified,
};

use crate::support::{cases, entries, gunzip, join, split};

/// The streams that tar-split's own tests take apart: names, sizes.
const STREAMS: [(&str, usize); 7] = [
    ("t.tar.gz", 10240),
    ("longlink.tar.gz", 20480),
    ("fatlonglink.tar.gz", 26_234_880),
    ("iso-8859.tar.gz", 10240),
    ("extranils.tar.gz", 10648),
    ("notenoughnils.tar.gz", 512),
    ("1c51fc286aa95d9413226599576bafa38490b1e292375c90de095855b64caea6", 1024),
];

#[test]
fn streams_from_the_field_are_put_together_again() {
    let Some(folder) = cases().map(|cases| cases.join("fixtures/tar-split")) else { return };
    assert_eq!(fs::read_dir(&folder).unwrap().count(), STREAMS.len());
    for (name, size) in STREAMS {
        let stream = gunzip(&fs::read(folder.join(name)).unwrap());
        assert_eq!(stream.len(), size, "{name}");
        let (split, model) = split(&stream);
        assert!(join(&split, &model.borrow()).unwrap() == stream, "{name}");
    }
}

#[test]
fn layers_that_go_reads_are_put_together_again() {
    let Some(folder) = cases().map(|cases| cases.join("fixtures/tar-testdata")) else { return };
    let mut whole = 0;
    for file in fs::read_dir(folder).unwrap() {
        let stream = fs::read(file.unwrap().path()).unwrap();
        let mut members = Members::new(&stream[..], MemberLimits::default());
        if iter(|| Ok(members.next_member().map_err(io::Error::from)?.map(drop))).is_err() {
            continue;
        }
        let (split, model) = split(&stream);
        assert!(join(&split, &model.borrow()).unwrap() == stream);
        whole += 1;
    }
    assert_eq!(whole, 32);
}

fn iter(mut next: impl FnMut() -> io::Result<Option<()>>) -> io::Result<()> {
    while next()?.is_some() {}
    Ok(())
}

/// The recorded layer's digest.
const LAYER: &str = "602f0cb0373e4df98a5a9ad880a1fb881e10229a6ccd0ecfa48aeb695e7ad93b";

#[test]
fn recorded_files_are_read_and_their_lines_are_ours() {
    let Some(folder) = cases().map(|cases| cases.join("../store-dumps")) else { return };
    for version in ["4.3.1", "5.8.2"] {
        let file = fs::read(folder.join(format!("{version}-smallest.tar-split.gz"))).unwrap();
        let found = entries(&file);
        let (busybox, size) = (b"bin/busybox".to_vec(), 1_982_256);
        let crc = Some(0xf15f_7b29_5076_f05b);
        let contents = TarSplitEntry::File { name: busybox, size_bytes: size, crc };
        assert_eq!(found[3], contents);

        // The same lines, but for the empty segment that the older version ends with.
        let mut writer = cask_layer::TarSplitWriter::new(Vec::new()).unwrap();
        for entry in &found {
            match entry {
                TarSplitEntry::Segment(bytes) => writer.segment(bytes).unwrap(),
                TarSplitEntry::File { name, size_bytes, crc } => {
                    writer.file(name, *size_bytes, *crc).unwrap();
                }
                _ => panic!("{entry:?}"),
            }
        }
        let (theirs, ours) = (gunzip(&file), gunzip(&writer.finish().unwrap()));
        let empty = b"{\"type\":2,\"payload\":\"\",\"position\":5}\n";
        assert!(theirs.strip_suffix(empty).unwrap_or(&theirs) == ours);

        // With the program that was in it, the recorded layer comes back.
        let program = fs::read("/bin/busybox").unwrap_or_default();
        let mut of_program = Crc64::default();
        of_program.update(&program);
        if Some(of_program.value()) == crc {
            let digest = format!("sha256:{LAYER}").parse().unwrap();
            let files = |_: &[u8]| Ok(&program[..]);
            let mut joined = verified(assemble(&file[..], files).unwrap(), digest, Some(1_984_512));
            io::copy(&mut joined, &mut io::sink()).unwrap();
        } else {
            eprintln!("another busybox or none is installed: the recorded layer is not compared");
        }

        // All but the contents is there: with other contents the whole stream comes, and then
        // the error.
        let mut stream = Vec::new();
        let zeros = |name: &[u8]| {
            assert_eq!(name, b"bin/busybox");
            Ok(io::repeat(0).take(1_982_256))
        };
        let error = assemble(&file[..], zeros).unwrap().read_to_end(&mut stream).unwrap_err();
        let kind = cask_layer::TarSplitError::of(&error).unwrap().kind();
        assert_eq!(kind, TarSplitErrorKind::Changed);
        assert_eq!(stream.len(), 1024 + 1_982_256);
        let mut members = Members::new(&stream[..], MemberLimits::default());
        let mut names = BTreeMap::new();
        while let Some(entry) = members.next_member().unwrap() {
            names.insert(entry.member.name.clone(), entry.member.stream_size_bytes);
            if names.len() == 2 {
                break;
            }
        }
        assert_eq!(names[&b"bin/busybox"[..]], 1_982_256);
    }
}
