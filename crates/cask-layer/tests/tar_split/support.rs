//! Streams, and short ways to take them apart.

use std::cell::RefCell;
use std::io::{BufReader, Cursor, Read};
use std::path::PathBuf;
use std::rc::Rc;

use cask_layer::{
    Compression, DecompressLimits, MemberLimits, Members, TarSplitEntry, TarSplitReader,
    TarSplitRecorder, assemble, decompress,
};

use crate::model::Model;

/// The folder of cases from the field, or `None` where there is none.
pub(crate) fn cases() -> Option<PathBuf> {
    let cases = cask_cases::folder("cases from the field")?;
    Some(cases)
}

pub(crate) fn gunzip(blob: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let limits = DecompressLimits::default();
    decompress(blob, Compression::Gzip, limits).read_to_end(&mut plain).unwrap();
    plain
}

/// One member: a ustar header, the payload and its padding.
pub(crate) fn member(flag: u8, name: &str, link: &str, data: &[u8]) -> Vec<u8> {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[157..157 + link.len()].copy_from_slice(link.as_bytes());
    block[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut bytes = block.to_vec();
    if !(b'1'..=b'6').contains(&flag) {
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes
}

/// Takes a stream apart while a model applies it; gives the tar-split file and the model.
pub(crate) fn split(stream: &[u8]) -> (Vec<u8>, Rc<RefCell<Model>>) {
    let model = Rc::new(RefCell::new(Model::default()));
    let opener = Rc::clone(&model);
    let files = move |name: &[u8]| opener.borrow().open(name).map(Cursor::new);
    let output = Cursor::new(Vec::new());
    let recorder = TarSplitRecorder::new(output, files, || Ok(Cursor::new(Vec::new()))).unwrap();
    let reader = BufReader::with_capacity(700, stream);
    let mut members = Members::observed(reader, MemberLimits::default(), recorder);
    while let Some(mut entry) = members.next_member().unwrap() {
        let mut data = Vec::new();
        entry.payload.read_to_end(&mut data).unwrap();
        model.borrow_mut().apply(entry.member, data);
    }
    let (_, recorder) = members.finish().unwrap();
    (recorder.finish().unwrap().into_inner(), model)
}

/// Puts a stream together again from the model's files.
pub(crate) fn join(split: &[u8], model: &Model) -> std::io::Result<Vec<u8>> {
    let mut stream = Vec::new();
    let files = |name: &[u8]| model.open(name).map(Cursor::new);
    assemble(split, files)?.read_to_end(&mut stream)?;
    Ok(stream)
}

/// The entries of a tar-split file.
pub(crate) fn entries(split: &[u8]) -> Vec<TarSplitEntry> {
    let mut reader = TarSplitReader::new(split).unwrap();
    std::iter::from_fn(|| reader.next_entry().unwrap()).collect()
}
