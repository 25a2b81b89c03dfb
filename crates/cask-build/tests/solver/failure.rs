//! Builds that end early.

use std::thread;
use std::time::{Duration, Instant};

use cask_build::{BuildEvent, ErrorKind};
use cask_containerfile::Dialect;
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

#[test]
fn what_buildah_refuses_is_refused_where_its_results_are_wanted() {
    let bench = Bench::new();
    bench.write("f", "f");
    for (text, words) in [
        ("HEALTHCHECK --retries=0 CMD true", "--retries must be at least 1 (not 0)"),
        ("COPY --chmod=u=rw f /f", "Error parsing chmod u=rw"),
        (
            "RUN --mount=type=cache,target=/x,sharing=private true",
            "unrecognized value \"private\" for field `sharing`",
        ),
    ] {
        let mut request = bench.request(&format!("FROM scratch\n{text}\n"));
        request.dialect = Dialect::Buildah;
        let error = bench.run(&request).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.location().unwrap().line, 2);
    }
    bench.build("FROM scratch\nHEALTHCHECK --retries=0 CMD true\nCOPY --chmod=u=rw f /f\n");
}

#[test]
fn a_date_may_be_of_what_is_built_from() {
    use std::sync::Arc;

    use cask_build::{Context, IgnoreChoice, NamedContext, StreamContext};
    let mut bench = Bench::new();
    let mut archive = tar::Builder::new(Vec::new());
    for (name, time) in [("old", 1000), ("new", 2000)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o644);
        header.set_mtime(time);
        archive.append_data(&mut header, name, &b""[..]).unwrap();
    }
    let tar = archive.into_inner().unwrap();
    let scratch = bench.directory.path().to_owned();
    let from_archive = || {
        let choice = IgnoreChoice::default();
        match Context::from_stream("-", &tar[..], &scratch, &choice).unwrap() {
            StreamContext::Context(context) => Arc::new(context),
            other => panic!("{other:?}"),
        }
    };
    let sources = &mut bench.tools.sources;
    sources.named.insert("files".to_owned(), NamedContext::Files(from_archive()));
    let date = |bench: &Bench, text: &str, argument: Option<&str>| {
        let mut request = bench.request(text);
        let given = argument.map(|value| ("SOURCE_DATE_EPOCH".to_owned(), value.to_owned()));
        request.arguments.extend(given);
        bench.run(&request).map(|report| {
            let config = &report.images[0].config;
            let told = config.history.last().unwrap().created_by.clone();
            (config.created.unwrap().unix_seconds(), told)
        })
    };
    let plain = "FROM scratch\nARG SOURCE_DATE_EPOCH\n";
    let told = |value: &str| format!("ARG SOURCE_DATE_EPOCH={value}");
    assert_eq!(date(&bench, plain, Some("77")).unwrap(), (77, told("77")));
    assert_eq!(date(&bench, plain, Some("files")).unwrap(), (2000, told("2000")));
    // A directory has no date of its own; the file may have one.
    assert_eq!(date(&bench, plain, Some("context")).unwrap(), (0, told("")));
    let own = format!("ARG SOURCE_DATE_EPOCH=1234\n{plain}");
    assert_eq!(date(&bench, &own, None).unwrap(), (1234, told("1234")));
    assert_eq!(date(&bench, &own, Some("77")).unwrap(), (77, told("77")));
    bench.tools.sources.context = from_archive();
    assert_eq!(date(&bench, plain, Some("context")).unwrap(), (2000, told("2000")));
    for (argument, text, words) in [
        ("never", plain, "no stage is called so"),
        ("-5", plain, "not a number of seconds"),
        ("s", "FROM scratch AS s\nCOPY a /\nFROM scratch\n", "unsupported COPY instruction"),
        ("s", "FROM scratch AS s\nFROM scratch\n", "exactly one remote ADD"),
        ("s", "FROM scratch AS s\nADD a /\nFROM scratch\n", "a single HTTP(S) or Git ADD"),
        ("s", "FROM x AS s\nADD https://h/f /\nFROM scratch\n", "must use FROM scratch"),
    ] {
        let error = date(&bench, text, Some(argument)).unwrap_err();
        assert!(error.to_string().contains(words), "{argument}: {error}");
    }
    // What comes by HTTP is as old as its server says, or as the newest file in it.
    struct Server(Vec<u8>, Option<&'static str>);
    impl cask_build::Fetch for Server {
        fn get(
            &self,
            _: &str,
            output: &mut dyn std::io::Write,
        ) -> cask_build::Result<cask_build::Fetched> {
            output.write_all(&self.0).unwrap();
            let header = self.1.map(|time| ("Last-Modified".to_owned(), time.to_owned()));
            Ok(cask_build::Fetched::new(header))
        }
    }
    let text =
        "FROM scratch AS S\nARG V=1\nADD https://h/f$V /\nFROM scratch\nARG SOURCE_DATE_EPOCH\n";
    for (server, expected) in [
        (Server(tar.clone(), None), "2000"),
        (Server(tar.clone(), Some("Thu, 01 Jan 1970 00:00:09 GMT")), "9"),
        (Server(b"text".to_vec(), None), ""),
    ] {
        bench.tools.sources.fetch = Some(Arc::new(server));
        assert_eq!(date(&bench, text, Some("s")).unwrap().1, told(expected));
    }
}

#[test]
fn stages_may_be_named_by_variables() {
    let bench = Bench::new();
    bench.write("f", "f");
    let report = bench.build(
        "ARG G=one\nFROM scratch AS one\nCOPY f /one\nFROM scratch AS two\nCOPY f /two\n\
         FROM scratch AS unused\nCOPY nothing /\nFROM scratch AS base\nENV E=tw\nFROM base\nARG G\nARG N=$G\n\
         COPY --from=$N /one /a\nCOPY --from=${E}o /two /b\n",
    );
    assert!(bench.has(&report.images[0], "/a") && bench.has(&report.images[0], "/b"));
}
