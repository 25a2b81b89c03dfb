//! How long it takes; run with `--release` and `--nocapture` to see numbers that mean something.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use super::support::{Tree, request, scratch};
use crate::copy::{CopyTools, WriteOptions, prepare};
use crate::{StatCache, View};

#[test]
fn twenty_thousand_files_are_remembered_and_written() {
    let tree = Tree::of(&[]);
    for directory in 0..200 {
        let path = tree.path().join(format!("d{directory}"));
        fs::create_dir(&path).unwrap();
        for file in 0..100 {
            fs::write(path.join(format!("f{file}")), [directory, file]).unwrap();
        }
    }
    std::thread::sleep(Duration::from_millis(300));
    let place = scratch();
    let cache = StatCache::in_memory();
    let mut tools = CopyTools::new(&place);
    tools.stat_cache = Some(&cache);
    let context = tree.context();
    let began = Instant::now();
    let first = prepare(&request(context.clone(), ". /x"), &tools).unwrap();
    let cold = began.elapsed();
    let began = Instant::now();
    let second = prepare(&request(context, ". /x"), &tools).unwrap();
    let warm = began.elapsed();
    assert_eq!(first.digest(), second.digest());
    assert_eq!(cache.len(), 20_000);
    let began = Instant::now();
    let options = WriteOptions::default();
    let written = second.write(&View::scratch(), &tools, &options, io::sink()).unwrap();
    let write = began.elapsed();
    assert_eq!(written.members, 20_201);
    eprintln!("20,000 files: cold {cold:?}, warm {warm:?}, written in {write:?}");
}
