use std::cell::RefCell;
use std::ffi::OsStr;
use std::io::{self, Cursor, Read};
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

use cask_layer::{
    ApplyErrorKind, ApplyOptions, TarSplitRecorder, UnpackOptions, Whiteouts, apply, assemble,
    summarize, unpack,
};
use cask_rootfs::Root;
use proptest::prelude::*;

use crate::round_trip::{Stream, stream};
use crate::support::member;

fn options() -> ApplyOptions {
    let mut options = ApplyOptions::default();
    options.whiteouts = Whiteouts::OverlayUser;
    options.ignore_chown_errors = true;
    options
}

/// Applies a layer to a directory, and puts it together again from there. Nothing if it cannot be
/// applied.
fn round_trip(stream: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let directory = tempfile::tempdir().unwrap();
    let root = Rc::new(Root::open(directory.path()).unwrap());
    let opener = Rc::clone(&root);
    let open =
        move |name: &[u8]| opener.open_file(OsStr::from_bytes(name)).map_err(io::Error::other);
    let output = Cursor::new(Vec::new());
    let scratch = || Ok(Cursor::new(Vec::new()));
    let recorder = TarSplitRecorder::new(output, open.clone(), scratch).unwrap();
    let failed = RefCell::new(None);
    let layer = unpack(stream, &UnpackOptions::default(), |tar| {
        apply(tar, &root, &options(), recorder)
            .map(|(applied, _, recorder)| (applied, recorder))
            .map_err(|error| *failed.borrow_mut() = Some(error))
    });
    if let Some(error) = failed.into_inner() {
        let found = error.kind();
        return match found {
            // The recorder's errors come from the stream.
            ApplyErrorKind::Input => Err(format!("{error:?}")),
            _ => Ok(None),
        };
    }
    let (applied, recorder) = layer.map_err(|error| format!("{error:?}"))?.value;
    let split = recorder.finish().map_err(|error| format!("{error:?}"))?.into_inner();
    let summary = summarize(&split[..]).map_err(|error| format!("{error:?}"))?;
    if (summary.size_bytes, &summary.owners)
        != (stream.len() as u64, &Some((applied.uids, applied.gids)))
    {
        return Err(format!("{summary:?}"));
    }
    let mut joined = Vec::new();
    assemble(&split[..], open)
        .unwrap()
        .read_to_end(&mut joined)
        .map_err(|error| format!("{error:?}"))?;
    Ok(Some(joined))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_layer_that_is_applied_is_put_together_again(stream in stream(b"00000055122")) {
        let Stream(stream, _) = stream;
        match round_trip(&stream) {
            Ok(Some(joined)) => prop_assert!(joined == stream),
            Ok(None) => {}
            Err(error) => prop_assert!(false, "{error}"),
        }
    }
}

#[test]
fn layers_that_peers_refuse_come_back() {
    let check = |members: &[Vec<u8>]| {
        let mut stream = members.concat();
        stream.resize(stream.len() + 1024, 0);
        assert!(round_trip(&stream).unwrap().unwrap() == stream);
    };
    let (file, other) = (member(b'0', "d/f", "", b"first"), member(b'0', "d/f", "", b"second one"));
    check(&[file.clone(), other.clone()]);
    check(&[file.clone(), member(b'2', "l", "d", b""), member(b'0', "l/f", "", b"through")]);
    check(&[file.clone(), member(b'2', "l", "/d", b""), member(b'0', "l/f", "", b"through")]);
    check(&[file.clone(), member(b'0', "d", "", b"no directory any more")]);
    check(&[file.clone(), member(b'0', "../../d/f", "", b"outside")]);
    check(&[file, member(b'0', "/d/f", "", b"absolute"), other]);
}
