//! The displays, driven by a clock and a terminal that the tests hold.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::bars::Bars;
use super::core::{Core, View};
use super::event::{Event, Outcome};
use super::frame::Size;
use super::{Mode, Progress};

/// A writer that keeps each write apart.
#[derive(Clone, Default)]
struct Writes(Arc<Mutex<Vec<String>>>);

impl Write for Writes {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().push(String::from_utf8(bytes.to_vec()).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Writes {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn display(view: View) -> (Core, Writes) {
    let writes = Writes::default();
    (Core::new(view, Box::new(writes.clone())), writes)
}

fn bars(columns: usize, rows: usize) -> (Core, Writes) {
    display(View::Bars(Bars::new(Box::new(move || Size { columns, rows }))))
}

const BLOB: &str =
    "Copying blob sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn plain_lines_are_those_of_skopeo() {
    let (mut core, writes) = display(View::Plain);
    core.event(Event::message("Getting image source signatures"), at(0));
    core.event(Event::started(1, BLOB, Some(1000)), at(0));
    core.event(Event::started(2, "Copying config", None), at(1));
    core.event(Event::finished(2, Outcome::Skipped, Some("already exists".to_owned())), at(2));
    core.event(Event::advanced(1, 1000), at(3));
    core.event(Event::finished(1, Outcome::Done, None), at(1500));
    core.event(Event::message("Writing manifest to image destination"), at(1501));
    let expected = [
        "Getting image source signatures\n".to_owned(),
        format!("{BLOB}\n"),
        "Copying config\n".to_owned(),
        "Copying config skipped: already exists\n".to_owned(),
        format!("{BLOB} done: 1kB in 1.5s\n"),
        "Writing manifest to image destination\n".to_owned(),
    ];
    assert_eq!(writes.take(), expected);
}

#[test]
fn a_long_task_speaks_up_every_five_seconds() {
    let (mut core, writes) = display(View::Plain);
    core.event(Event::started(1, "a", Some(12_000)), at(0));
    for second in 1..=12 {
        core.event(Event::advanced(1, second * 1000), at(second * 1000));
    }
    assert_eq!(writes.take(), ["a\n", "a 5kB / 12kB (41%)\n", "a 10kB / 12kB (83%)\n"]);
    core.event(Event::started(2, "b", None), at(20_000));
    core.event(Event::advanced(2, 10), at(30_000));
    assert_eq!(writes.take(), ["b\n", "b 10B\n"]);
}

#[test]
fn failure_is_said_with_its_reason() {
    let (mut core, writes) = display(View::Plain);
    core.event(Event::started(1, "a", None), at(0));
    core.event(Event::finished(1, Outcome::Failed, Some("no\nspace\x1b".to_owned())), at(1));
    assert_eq!(writes.take(), ["a\n", "a failed: no?space?\n"]);
}

#[test]
fn events_of_unknown_tasks_change_nothing() {
    for view in [View::Plain, View::Json, View::None] {
        let (mut core, writes) = display(view);
        core.event(Event::advanced(7, 1), at(9000));
        core.event(Event::finished(7, Outcome::Failed, None), at(9000));
        assert_eq!(writes.take(), Vec::<String>::new());
    }
}

#[test]
fn json_has_an_object_a_line() {
    let (mut core, writes) = display(View::Json);
    core.event(Event::message("hi \"x\"\n"), at(1));
    core.event(Event::started(1, "a", Some(10)), at(2));
    core.event(Event::advanced(1, 1), at(3));
    core.event(Event::advanced(1, 5), at(600));
    core.event(Event::advanced(1, 6), at(700));
    core.log("level=debug", at(701));
    core.event(Event::finished(1, Outcome::Done, None), at(800));
    let expected = [
        r#"{"event":"message","elapsed_ms":1,"text":"hi \"x\"\n"}"#,
        r#"{"event":"started","elapsed_ms":2,"task":1,"label":"a","total":10}"#,
        r#"{"event":"advanced","elapsed_ms":600,"task":1,"current":5,"total":10}"#,
        r#"{"event":"log","elapsed_ms":701,"text":"level=debug"}"#,
        r#"{"event":"finished","elapsed_ms":800,"task":1,"label":"a","outcome":"done","current":6,"message":null}"#,
    ];
    assert_eq!(writes.take(), expected.map(|line| line.to_owned() + "\n"));
}

#[test]
fn none_shows_log_lines_only() {
    let (mut core, writes) = display(View::None);
    core.event(Event::message("a"), at(0));
    core.event(Event::started(1, "a", None), at(0));
    core.log("b", at(0));
    core.event(Event::finished(1, Outcome::Failed, None), at(0));
    assert_eq!(writes.take(), ["b\n"]);
}

#[test]
fn bars_are_drawn_over_each_other() {
    let (mut core, writes) = bars(80, 24);
    core.event(Event::started(1, BLOB, Some(1000)), at(0));
    core.event(Event::advanced(1, 500), at(50));
    assert_eq!(writes.take(), Vec::<String>::new());
    core.tick(at(100));
    let bar = "Copying blob 0123456789ab [=========>          ] 500B / 1kB 50% 5kB/s 1.0s left";
    assert_eq!(writes.take(), [format!("{bar}\x1b[K\n")]);
    core.event(Event::advanced(1, 1000), at(150));
    core.tick(at(200));
    let bar = "Copying blob 0123456789ab [==============================] 1kB / 1kB 100% 5kB/s";
    assert_eq!(writes.take(), [format!("\x1b[1A\r{bar}\x1b[K\n\x1b[J")]);
    core.event(Event::finished(1, Outcome::Done, None), at(250));
    core.tick(at(300));
    let expected = "\x1b[1A\rCopying blob 0123456789ab done: 1kB in 0.2s\x1b[K\n\x1b[J";
    assert_eq!(writes.take(), [expected]);
    core.close(at(400));
    assert_eq!(writes.take(), Vec::<String>::new());
}

#[test]
fn lines_stay_above_the_bars() {
    let (mut core, writes) = bars(60, 24);
    core.event(Event::started(1, "a", None), at(0));
    core.tick(at(0));
    writes.take();
    core.log("log 1", at(10));
    core.log("log 2", at(20));
    assert_eq!(writes.take(), Vec::<String>::new(), "not before a frame is due");
    core.tick(at(100));
    let expected = "\x1b[1A\rlog 1\x1b[K\nlog 2\x1b[K\na 0.1s\x1b[K\n\x1b[J";
    assert_eq!(writes.take(), [expected]);
}

#[test]
fn failure_does_not_wait_for_the_next_frame() {
    let (mut core, writes) = bars(60, 24);
    core.event(Event::started(1, "a", None), at(0));
    core.event(Event::started(2, "b", None), at(0));
    core.tick(at(0));
    writes.take();
    core.event(Event::finished(1, Outcome::Failed, Some("why".to_owned())), at(10));
    assert_eq!(writes.take(), ["\x1b[2A\ra failed: why\x1b[K\nb 0.0s\x1b[K\n\x1b[J"]);
}

#[test]
fn what_never_finished_stays_on_the_screen() {
    let (mut core, writes) = bars(60, 24);
    core.event(Event::started(1, "a", None), at(0));
    core.event(Event::advanced(1, 10), at(0));
    core.log("last words", at(0));
    core.close(at(100));
    let drawn = writes.take().concat();
    assert!(drawn.contains("last words"), "{drawn:?}");
    assert!(drawn.contains("a 10B 100B/s"), "{drawn:?}");
    core.event(Event::finished(1, Outcome::Failed, None), at(200));
    core.tick(at(300));
    assert_eq!(writes.take(), Vec::<String>::new());
    core.log("after", at(400));
    assert_eq!(writes.take(), ["after\n"]);
}

#[test]
fn more_tasks_than_rows_are_counted() {
    let (mut core, writes) = bars(60, 4);
    for task in 0..5 {
        core.event(Event::started(task, format!("t{task}"), None), at(0));
    }
    core.tick(at(0));
    assert_eq!(writes.take(), ["t0 0.0s\x1b[K\nt1 0.0s\x1b[K\nand 3 more\x1b[K\n"]);
}

#[test]
fn a_narrower_terminal_has_wrapped_what_was_drawn() {
    let columns = Arc::new(AtomicUsize::new(80));
    let seen = columns.clone();
    let size = move || Size { columns: seen.load(Ordering::Relaxed), rows: 24 };
    let (mut core, writes) = display(View::Bars(Bars::new(Box::new(size))));
    core.event(Event::started(1, "x".repeat(50), None), at(0));
    core.tick(at(0));
    writes.take();
    columns.store(20, Ordering::Relaxed);
    core.tick(at(100));
    let drawn = writes.take().concat();
    assert!(drawn.starts_with("\x1b[3A\r"), "{drawn:?}");
    let line = drawn.trim_start_matches("\x1b[3A\r").split("\x1b[K").next().unwrap().to_owned();
    assert_eq!(line, "xxxxxxxxx... 0.1s".replace("xxxxxxxxx", "xxxxxxxxxxx"));
}

#[test]
fn every_width_is_respected() {
    for columns in 0..120 {
        let (mut core, writes) = bars(columns, 10);
        core.event(Event::started(1, BLOB, Some(u64::MAX)), at(0));
        core.event(Event::started(2, "é☺ label", None), at(0));
        core.event(Event::advanced(1, u64::MAX / 2), at(50));
        core.tick(at(100));
        for line in writes.take().concat().split("\x1b[K\n") {
            let width = super::frame::width(line);
            assert!(width < columns.max(1), "{line:?} at {columns}");
        }
    }
}

#[test]
fn the_display_ends_when_it_is_dropped() {
    let writes = Writes::default();
    let progress = Progress::to_writer(Mode::Plain, writes.clone());
    let handle = progress.handle();
    let sender = std::thread::spawn({
        let handle = handle.clone();
        move || handle.event(Event::message("from a thread"))
    });
    sender.join().unwrap();
    progress.finish();
    handle.event(Event::message("too late"));
    handle.log("a line\n");
    assert_eq!(writes.take(), ["from a thread\n", "a line\n"]);
}

/// A standard error that is gone.
struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }
}

#[test]
fn a_closed_stderr_is_no_reason_to_stop() {
    let progress = Progress::to_writer(Mode::Json, Broken);
    progress.handle().event(Event::message("a"));
    progress.handle().log("b");
}
