//! Builds that end early.

use std::thread;
use std::time::{Duration, Instant};

use cask_build::{BuildEvent, ErrorKind};
use cask_runtime::Cancel;

use super::support::{BASE, Bench};

#[test]
fn a_build_that_is_stopped_leaves_nothing_and_keeps_what_was_done() {
    let Some(mut bench) = Bench::with_shell() else { return };
    let cancel = Cancel::new().unwrap();
    bench.tools.cancel = cancel.clone();
    let events = std::sync::Arc::clone(&bench.events);
    let text = format!(
        "FROM {BASE} AS a\nRUN echo a >/a\nRUN echo running; sleep 1000\n\
         FROM {BASE} AS b\nRUN --mount=type=cache,target=/c echo running; sleep 1000\n\
         FROM {BASE}\nCOPY --from=a / /\nCOPY --from=b / /\n"
    );
    let watching = thread::spawn(move || {
        let end = Instant::now() + Duration::from_secs(60);
        let running = || {
            let events = events.lock().unwrap();
            let output = events.iter().filter(|event| matches!(event, BuildEvent::Output { .. }));
            output.count()
        };
        while running() < 2 && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
        cancel.cancel();
    });
    let mut request = bench.request(&text);
    request.jobs = std::num::NonZeroUsize::new(2);
    request.image.names = vec!["localhost/never:latest".to_owned()];
    let error = bench.run(&request).unwrap_err();
    watching.join().unwrap();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
    assert!(bench.store.image_by_name("localhost/never:latest").unwrap().is_none());
    bench.check_nothing_left();
    let entries = cask_build::Cache::new(&bench.tools.state_directory).entries().unwrap();
    assert!(entries.iter().any(|entry| entry.description == "RUN echo a >/a"));
}

#[test]
fn one_stage_that_fails_stops_the_others() {
    let Some(bench) = Bench::with_shell() else { return };
    let text = format!(
        "FROM {BASE} AS a\nRUN sleep 1; exit 9\nFROM {BASE} AS b\nRUN sleep 1000\n\
         FROM {BASE}\nCOPY --from=a / /\nCOPY --from=b / /\n"
    );
    let mut request = bench.request(&text);
    request.jobs = std::num::NonZeroUsize::new(2);
    let begun = Instant::now();
    let error = bench.run(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Command(9), "{error:?}");
    assert_eq!(error.location().unwrap().line, 2);
    assert!(begun.elapsed() < Duration::from_secs(60));
    bench.check_nothing_left();
}

#[test]
fn without_an_executor_a_command_is_refused_and_the_rest_is_built() {
    let mut bench = Bench::new();
    bench.tools.executor = None;
    bench.write("a", "A");
    bench.build("FROM scratch\nCOPY a /a\n");
    let error = bench.run(&bench.request("FROM scratch\nCOPY a /a\nRUN x\n")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Runtime);
}
