//! Builds that end early.

use std::thread;
use std::time::{Duration, Instant};

use cask_build::{BuildEvent, ErrorKind};
use cask_runtime::{Cancel, ChrootExecutor, NativeOptions};

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
    let error = bench.run(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Command(9), "{error:?}");
    assert_eq!(error.location().unwrap().line, 2);
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

#[test]
fn a_build_that_is_killed_leaves_nothing_to_the_next_one() {
    let Some(bench) = Bench::with_shell() else { return };
    let text = format!(
        "FROM {BASE}\nRUN echo kept >/kept\n\
         RUN --mount=type=cache,target=/c,sharing=locked --mount=from={BASE},target=/m echo began; sleep 4242\n"
    );
    // Those of steps: that of a container has no digest.
    let is_of_step = |layer: &cask_storage::Layer| layer.diff_digest.is_some();
    let layers = || bench.tools.store.layers().unwrap().iter().filter(|l| is_of_step(l)).count();
    let before = layers();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_cask-build-helper"))
        .arg("__build")
        .arg(bench.directory.path())
        .arg(&text)
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while !bench.directory.path().join("began").exists() && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
    // What a step made is in the store a second later.
    while layers() == before && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let sleeping = || {
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        all.filter(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|word| word == b"4242")
        })
        .count()
    };
    while sleeping() > 0 && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(sleeping(), 0);
    // The next one has the step that was done, the cache that is free again, and sweeps up.
    let report = bench.build(&text.replace("sleep 4242", "true"));
    assert_eq!(super::support::outcomes(&report)[..2], ["-", "hit"]);
    bench.check_nothing_left();
}

#[test]
fn where_nothing_can_be_mounted_commands_have_what_they_need() {
    let Some(mut bench) = Bench::with_shell() else { return };
    let mut native = NativeOptions::default();
    native.program = env!("CARGO_BIN_EXE_cask-build-helper").into();
    bench.tools.executor = Some(std::sync::Arc::new(ChrootExecutor::new(native)));
    let text = format!(
        "FROM {BASE}\nRUN cat /etc/resolv.conf; echo lost >/dev/null; echo x >/x\n\
         RUN <<EOF\n#!/bin/sh\necho script\nEOF\n"
    );
    let mut request = bench.request(&text);
    request.run.names.resolv_conf = "nameserver 192.0.2.1\n".to_owned();
    let report = bench.run(&request).unwrap();
    assert_eq!(bench.output(), "nameserver 192.0.2.1\nscript\n");
    assert!(report.warnings.iter().any(|warning| warning.contains("no isolation")));
    let image = &report.images[0];
    assert_eq!(bench.read(image, "/x"), "x\n");
    assert!(!bench.has(image, "/dev/null") && !bench.has(image, "/etc/resolv.conf"));
    let text = format!("FROM {BASE}\nRUN --mount=type=tmpfs,target=/t true\n");
    let error = bench.run(&bench.request(&text)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Runtime, "{error:?}");
    bench.check_nothing_left();
}

#[test]
fn a_user_without_more_ids_builds_with_commands() {
    use std::os::unix::fs::{PermissionsExt, chown};
    let Some(bench) = Bench::with_shell() else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(path.join("context")).unwrap();
    // The program and its directory may not be readable for others.
    std::fs::copy(env!("CARGO_BIN_EXE_cask-build-helper"), path.join("helper")).unwrap();
    std::fs::copy("/bin/busybox", path.join("context/busybox")).unwrap();
    for owned in [path.to_owned(), path.join("context")] {
        chown(owned, Some(65534), Some(65534)).unwrap();
    }
    let text = "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n\
        RUN echo x >/x; rm /bin/vi; mkdir /d\nRUN rm -r /d; test ! -e /bin/vi && cat /x && id -u\n";
    let output = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "-Urm"])
        .arg(path.join("helper"))
        .args(["__build".as_ref(), path.as_os_str(), text.as_ref(), "rootless".as_ref()])
        .current_dir("/")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("unshare") && std::env::var_os("CI").is_none() {
        eprintln!("left out: this machine lets users have no namespaces: {said}");
        return;
    }
    assert!(output.status.success(), "{said}");
    assert_eq!(std::fs::read_to_string(path.join("began")).unwrap(), "0\n");
    drop(bench);
}

#[test]
fn what_is_asked_for_in_vain_is_said() {
    let bench = Bench::new();
    let mut request = bench.request("FROM scratch\nLABEL a=b\n");
    request.arguments.insert("SOURCE_DATE_EPOCH".to_owned(), "yesterday".to_owned());
    assert_eq!(bench.run(&request).unwrap_err().kind(), ErrorKind::Invalid);
    request.arguments.insert("SOURCE_DATE_EPOCH".to_owned(), "12345".to_owned());
    let report = bench.run(&request).unwrap();
    assert_eq!(report.images[0].config.created.unwrap().unix_seconds(), 12345);
    request.platforms.targets.clear();
    assert_eq!(bench.run(&request).unwrap_err().kind(), ErrorKind::Invalid);
}
