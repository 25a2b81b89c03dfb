//! The order of members is that in which they are begun, whoever is finished first.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use cask_archive::{
    ArchiveReader, ArchiveWriter, Durability, ErrorKind, ReadOptions, WriteOptions,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Plan {
    data: Vec<u8>,
    announced: bool,
    named_late: bool,
    /// What its bytes are given in, after how many turns of the others.
    chunk: usize,
    delay: usize,
    restarts: bool,
}

fn plan() -> impl Strategy<Value = Plan> {
    let data = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..1500),
        (any::<u8>(), 60_000..150_000_usize).prop_map(|(byte, size)| vec![byte; size]),
    ];
    (data, any::<bool>(), any::<bool>(), 1..4_usize, 0..6_usize, any::<bool>()).prop_map(
        |(data, announced, named_late, pieces, delay, restarts)| Plan {
            chunk: (data.len() / pieces).max(1),
            data,
            announced,
            named_late,
            delay,
            restarts,
        },
    )
}

/// A name that needs a PAX header, so that late names have to make room.
fn name(number: usize) -> String {
    if number.is_multiple_of(3) {
        format!("{}{number}", "n".repeat(150))
    } else {
        format!("m{number}")
    }
}

fn sequential(plans: &[Plan], path: &Path) -> Vec<u8> {
    let writer = ArchiveWriter::create(path, WriteOptions::default()).unwrap();
    for (number, plan) in plans.iter().enumerate() {
        writer.append_bytes(&name(number), &plan.data).unwrap();
    }
    writer.finish(Durability::Kernel).unwrap();
    std::fs::read(path).unwrap()
}

fn interleaved(plans: &[Plan], writer: &ArchiveWriter, may_restart: bool) {
    let mut slots: Vec<_> = plans
        .iter()
        .enumerate()
        .map(|(number, plan)| {
            let slot = if plan.announced {
                writer.reserve(&name(number), plan.data.len() as u64)
            } else if plan.named_late {
                writer.reserve_unsized(None)
            } else {
                writer.reserve_unsized(Some(&name(number)))
            };
            Some(slot.unwrap())
        })
        .collect();
    for turn in 0.. {
        if slots.iter().all(Option::is_none) {
            return;
        }
        for (number, plan) in plans.iter().enumerate() {
            let Some(mut slot) = slots[number].take_if(|_| turn >= plan.delay) else { continue };
            if plan.restarts && may_restart && turn == plan.delay + 1 {
                slot.restart().unwrap();
            }
            let written = slot.written_bytes() as usize;
            if written == plan.data.len() {
                let named_late = !plan.announced && plan.named_late;
                if named_late { slot.finish_as(&name(number)) } else { slot.finish() }.unwrap();
            } else {
                let end = (written + plan.chunk).min(plan.data.len());
                slot.write_all(&plan.data[written..end]).unwrap();
                slots[number] = Some(slot);
            }
        }
    }
}

/// A stream into memory.
#[derive(Clone, Default)]
struct Stream(Arc<Mutex<Vec<u8>>>);

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_interleaving_gives_the_same_bytes(plans in proptest::collection::vec(plan(), 1..7)) {
        let directory = tempfile::tempdir().unwrap();
        let expected = sequential(&plans, &directory.path().join("one.tar"));

        let path = directory.path().join("two.tar");
        let writer = ArchiveWriter::create(&path, WriteOptions::default()).unwrap();
        interleaved(&plans, &writer, true);
        writer.finish(Durability::Kernel).unwrap();
        prop_assert!(std::fs::read(&path).unwrap() == expected);

        let stream = Stream::default();
        let writer = ArchiveWriter::to_stream(stream.clone(), "(stream)", WriteOptions::default());
        interleaved(&plans, &writer, false);
        writer.finish(Durability::Kernel).unwrap();
        prop_assert!(*stream.0.lock().unwrap() == expected);
    }
}

#[test]
fn threads_give_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let data: Vec<Vec<u8>> = (1..9_u8).map(|byte| vec![byte; 400_000 * byte as usize]).collect();
    let mut results = Vec::new();
    for round in 0..4 {
        let path = directory.path().join(format!("{round}.tar"));
        let writer = ArchiveWriter::create(&path, WriteOptions::default()).unwrap();
        std::thread::scope(|scope| {
            for (number, data) in data.iter().enumerate() {
                let mut slot = match (number + round) % 3 {
                    0 => writer.reserve_unsized(None).unwrap(),
                    _ => writer.reserve(&name(number), data.len() as u64).unwrap(),
                };
                scope.spawn(move || {
                    for chunk in data.chunks(50_000 + 1000 * round) {
                        slot.write_all(chunk).unwrap();
                    }
                    if (number + round) % 3 == 0 {
                        slot.finish_as(&name(number)).unwrap();
                    } else {
                        slot.finish().unwrap();
                    }
                });
            }
        });
        writer.finish(Durability::Kernel).unwrap();
        results.push(std::fs::read(path).unwrap());
    }
    assert!(results.iter().all(|result| *result == results[0]));
}

#[test]
fn members_that_were_given_up_while_they_waited_are_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.tar");
    let writer = ArchiveWriter::create(&path, WriteOptions::default()).unwrap();
    let mut head = writer.reserve_unsized(Some("head")).unwrap();
    let mut given_up = writer.reserve_unsized(Some("given-up")).unwrap();
    let mut kept = writer.reserve_unsized(Some("kept")).unwrap();
    head.write_all(&[1; 5000]).unwrap();
    given_up.write_all(&[2; 100_000]).unwrap();
    kept.write_all(&[3; 100_000]).unwrap();
    drop(given_up);
    // The member at the front is given up too: what follows takes its place.
    drop(head);
    kept.write_all(&[3; 10]).unwrap();
    kept.finish().unwrap();
    // Both names are free again.
    writer.append_bytes("head", b"new").unwrap();
    writer.finish(Durability::Kernel).unwrap();
    let archive = ArchiveReader::open(&path, &ReadOptions::default()).unwrap();
    let names: Vec<_> = archive.members().iter().map(|member| member.display_name()).collect();
    assert_eq!(names, ["kept", "head"]);
    assert_eq!(archive.read_member("kept", 200_000).unwrap(), [3; 100_010]);
}

#[test]
fn what_went_to_a_stream_cannot_be_given_up() {
    let writer = ArchiveWriter::to_stream(Stream::default(), "(stream)", WriteOptions::default());
    let mut slot = writer.reserve("a", 10).unwrap();
    slot.restart().unwrap();
    slot.write_all(b"12345").unwrap();
    assert_eq!(slot.restart().unwrap_err().kind(), ErrorKind::Unsupported);
    drop(slot);
    assert_eq!(writer.finish(Durability::Kernel).unwrap_err().kind(), ErrorKind::Unfinished);
}
