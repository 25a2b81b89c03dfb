//! `RUN --mount`.

use std::fs;
use std::os::unix::fs::symlink;

use cask_build::{ErrorKind, Volume};
use cask_containerfile::instruction::MountFlag;
use cask_storage::DriverKind;

use super::support::{BASE, Bench, outcomes};

#[test]
fn files_of_the_context_are_mounted_and_changes_of_them_are_lost() {
    let Some(mut bench) = Bench::with_shell() else { return };
    bench.write("src/a", "A");
    bench.write("src/hidden", "H");
    let text = format!(
        "FROM {BASE}\nRUN --mount=target=/m cat /m/src/a; touch /m/x 2>/dev/null || echo ro\n\
         RUN --mount=source=src,target=/m,rw echo B >/m/a; cat /m/a; ls /m\n\
         RUN --mount=source=src/a,target=/f cat /f\n"
    );
    bench.build(&text);
    assert_eq!(bench.output(), "Aro\nB\na\nhidden\nA");
    assert_eq!(fs::read_to_string(bench.context().join("src/a")).unwrap(), "A");
    assert_eq!(outcomes(&bench.build(&text)), ["-", "hit", "hit", "hit"]);
    bench.write("src/a", "C");
    assert_eq!(outcomes(&bench.build(&text)), ["-", "miss", "miss", "miss"]);
    bench.output();
    // What is ignored is not there.
    bench.write(".dockerignore", "src/hidden\n");
    bench.reopen_context();
    bench.build(&format!("FROM {BASE}\nRUN --mount=target=/m ls /m/src\n"));
    assert_eq!(bench.output(), "a\n");
    bench.check_nothing_left();
}

#[test]
fn files_of_stages_are_mounted() {
    let Some(bench) = Bench::with_shell() else { return };
    let text = format!(
        "FROM {BASE} AS tools\nRUN mkdir /t; echo x >/t/x\nFROM {BASE}\n\
         RUN --mount=from=tools,source=/t,target=/m,rw cat /m/x; echo y >/m/x; cat /m/x\n\
         RUN --mount=from=tools,target=/all cat /all/t/x; ls / | grep -c '^m$' || true\n"
    );
    bench.build(&text);
    assert_eq!(bench.output(), "x\ny\nx\n0\n");
    assert_eq!(
        outcomes(&bench.build(&text)),
        ["-", "miss", "-", "hit", "hit"].map(|w| if w == "miss" { "hit" } else { w })
    );
    bench.check_nothing_left();
}

#[test]
fn mounts_of_all_commands_may_be_of_stages() {
    let Some(bench) = Bench::with_shell() else { return };
    bench.write("a", "A");
    let text = format!(
        "FROM {BASE} AS tools\nCOPY a /t/a\nFROM scratch AS unused\nFROM {BASE}\nRUN cat /m/a\n\
         RUN --mount=type=tmpfs,target=/x cat /m/a; ls /x\n"
    );
    let mut request = bench.request(&text);
    let mount = MountFlag::new("type=bind,from=tools,source=/t,target=/m").unwrap();
    request.run.mounts.push(mount);
    let report = bench.run(&request).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(bench.output(), "AA");
    assert!(!bench.has(&report.images[0], "/m"));
    bench.write("a", "B");
    assert_eq!(outcomes(&bench.run(&request).unwrap()), ["-", "miss", "-", "miss", "miss"]);
    MountFlag::new("type=nothing").unwrap_err();
    bench.check_nothing_left();
}

#[test]
fn cve_2024_1753_mount_source_symlink_stays_in_its_root() {
    let Some(bench) = Bench::with_shell() else { return };
    fs::write(bench.directory.path().join("sentinel"), "host").unwrap();
    for (name, target) in [
        ("absolute", "/"),
        ("up", "../../../../../../.."),
        ("proc", "/proc/self/root"),
        ("chained", "absolute"),
    ] {
        symlink(target, bench.context().join(name)).unwrap();
    }
    let host = bench.directory.path().join("sentinel").display().to_string();
    for name in ["absolute", "up", "chained"] {
        for from in ["", "from=s,"] {
            let text = format!(
                "FROM {BASE} AS s\nCOPY . /\nFROM {BASE}\n\
                 RUN --mount={from}source=/{name},target=/m cat /m{host} 2>/dev/null || echo safe\n"
            );
            let mut request = bench.request(&text);
            request.cache.none = true;
            match bench.run(&request) {
                Ok(_) => assert_eq!(bench.output(), "safe\n", "{name} {from}"),
                // A link to the root of the context is a circle to those who copy it.
                Err(error) => assert!(
                    matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Missing),
                    "{error:?}"
                ),
            }
        }
    }
    let text = format!(
        "FROM {BASE}\nRUN --mount=source=/proc,target=/m cat /m{host} 2>/dev/null || echo safe\n"
    );
    if bench.run(&bench.request(&text)).is_ok() {
        assert_eq!(bench.output(), "safe\n");
    }
    bench.check_nothing_left();
}

#[test]
fn cve_2024_9407_options_are_words_of_a_list() {
    let Some(bench) = Bench::with_shell() else { return };
    for option in
        ["bind-propagation=rshared", "bind-propagation=shared", "bind-propagation=runbindable"]
    {
        let text = format!("FROM {BASE}\nRUN --mount=type=bind,target=/m,{option} true\n");
        let error = bench.run(&bench.request(&text)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{option}");
        assert_eq!(error.location().unwrap().column, 13, "{option}");
    }
    let wrong = "FROM x\nRUN --mount=type=bind,target=/m,bind-propagation=exec true\n";
    assert!(cask_containerfile::parse(wrong).has_errors());
}

#[test]
fn caches_last_and_belong_to_their_owner() {
    let Some(bench) = Bench::with_shell() else { return };
    let run = |flags: &str, command: &str| {
        let mut request =
            bench.request(&format!("FROM {BASE}\nRUN --mount=type=cache,{flags} {command}\n"));
        request.cache.none = true;
        bench.run(&request).unwrap();
        bench.output()
    };
    run("target=/c", "echo 1 >/c/one");
    assert_eq!(run("id=/c,target=/other", "ls /other"), "one\n");
    assert_eq!(run("id=/c,target=/c,sharing=locked", "ls /c"), "one\n");
    assert_eq!(run("target=/c,ro", "touch /c/x 2>/dev/null || echo ro"), "ro\n");
    assert_eq!(
        run("target=/c,uid=1000,mode=0700", "ls -ld /c | cut -c1-10; ls /c"),
        "drwx------\n"
    );
    assert_eq!(run("id=../../../../etc,target=/c", "ls /c"), "");
    let text = format!(
        "FROM {BASE} AS s\nRUN mkdir /seed; echo s >/seed/s\nFROM {BASE}\n\
         RUN --mount=type=cache,id=seeded,from=s,source=/seed,target=/c cat /c/s; echo t >/c/s\n"
    );
    bench.build(&text);
    assert_eq!(bench.output(), "s\n");
    assert_eq!(run("id=seeded,target=/c", "cat /c/s"), "t\n");
    let entries = cask_build::Cache::new(&bench.tools.state_directory).entries().unwrap();
    let mut names: Vec<&str> = entries
        .iter()
        .filter(|entry| entry.kind == cask_build::CacheEntryKind::Mount)
        .map(|entry| entry.description.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["../../../../etc", "/c", "/c", "seeded"]);
    bench.check_nothing_left();
}

#[test]
fn memory_is_gone_and_may_begin_with_what_is_there() {
    let Some(bench) = Bench::with_shell() else { return };
    let report = bench.build(&format!(
        "FROM {BASE}\nRUN --mount=type=tmpfs,target=/etc/x,size=1m echo x >/etc/x/y; grep ' /etc/x ' /proc/mounts | cut -d' ' -f3\n\
         RUN --mount=type=tmpfs,target=/etc,tmpcopyup wc -l </etc/group; rm /etc/group\n"
    ));
    assert_eq!(bench.output(), "tmpfs\n3\n");
    assert!(bench.has(&report.images[0], "/etc/group"));
    assert!(!bench.has(&report.images[0], "/etc/x"));
}

#[test]
fn volumes_of_the_machine_are_in_every_command() {
    let Some(bench) = Bench::with_shell() else { return };
    let data = bench.directory.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("f"), "machine").unwrap();
    let mut request = bench.request(&format!("FROM {BASE}\nRUN cat /v/f; echo w >/v/w\n"));
    request.run.volumes.push(Volume::new(&data, "/v"));
    let report = bench.run(&request).unwrap();
    assert_eq!(bench.output(), "machine");
    assert!(data.join("w").exists() && !bench.has(&report.images[0], "/v"));
    let mut volume = Volume::new(bench.directory.path().join("none"), "/v");
    volume.options.access.read_only = true;
    request.run.volumes = vec![volume];
    assert_eq!(bench.run(&request).unwrap_err().kind(), ErrorKind::Missing);
}

#[test]
fn agents_are_passed_on() {
    let Some(bench) = Bench::with_shell() else { return };
    let socket = bench.directory.path().join("agent");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            use std::io::Write;
            let _ = stream.unwrap().write_all(b"agent says\n");
        }
    });
    let text = format!(
        "FROM {BASE}\nRUN --mount=type=ssh ls -l $SSH_AUTH_SOCK | cut -c1-10; echo $SSH_AUTH_SOCK; test -S $SSH_AUTH_SOCK && echo socket\n\
         RUN echo [$SSH_AUTH_SOCK]\n"
    );
    let mut request = bench.request(&text);
    request.run.agents.insert("default".to_owned(), socket);
    bench.run(&request).unwrap();
    let output = bench.output();
    assert_eq!(output, "srw-------\n/run/buildkit/ssh_agent.0\nsocket\n[]\n");
    let missing = format!("FROM {BASE}\nRUN --mount=type=ssh,required true\n");
    let error = bench.run(&bench.request(&missing)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
    bench.check_nothing_left();
}

#[test]
fn cve_2024_23652_a_parent_of_a_mount_point_that_becomes_a_link_leads_nowhere() {
    for driver in [DriverKind::Overlay, DriverKind::Vfs] {
        let Some(bench) = Bench::with_shell_on(Some(driver)) else { return };
        let sentinel = bench.directory.path().join("sentinel");
        fs::create_dir_all(sentinel.join("token")).unwrap();
        let text = format!(
            "FROM {BASE}\nRUN --mount=type=tmpfs,target=/p/token mv /p /q 2>/dev/null; \
             ln -s {} /p 2>/dev/null; test -L /p && echo swapped\n",
            sentinel.display()
        );
        let _ = bench.run(&bench.request(&text));
        // With overlay the directories of mount points lie beneath what the command can move.
        assert_eq!(bench.output().contains("swapped"), driver == DriverKind::Vfs);
        assert!(sentinel.join("token").exists(), "{driver:?}");
        bench.check_nothing_left();
    }
}

#[test]
fn cve_2024_11218_a_source_that_is_swapped_while_it_is_mounted_leads_nowhere() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let Some(bench) = Bench::with_shell() else { return };
    let secret = bench.directory.path().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("f"), "SECRET").unwrap();
    bench.write("real/f", "fine");
    symlink(&secret, bench.context().join("link")).unwrap();
    fs::rename(bench.context().join("real"), bench.context().join("src")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let (context, flag) = (bench.context(), Arc::clone(&stop));
    let swapping = std::thread::spawn(move || {
        while !flag.load(Ordering::Relaxed) {
            let (src, link, real) =
                (context.join("src"), context.join("link"), context.join("real"));
            fs::rename(&src, &real).unwrap();
            fs::rename(&link, &src).unwrap();
            fs::rename(&src, &link).unwrap();
            fs::rename(&real, &src).unwrap();
        }
    });
    let mut request = bench.request(&format!(
        "FROM {BASE}\nRUN --mount=source=src,target=/a cat /a/f 2>/dev/null || true\n\
         RUN --mount=source=src,target=/b,rw cat /b/f 2>/dev/null || true\n"
    ));
    request.cache.none = true;
    for _ in 0..20 {
        // It may be missing at the moment; it never is something else.
        let _ = bench.run(&request);
    }
    stop.store(true, Ordering::Relaxed);
    swapping.join().unwrap();
    assert!(!bench.output().contains("SECRET"));
    bench.check_nothing_left();
}

#[test]
fn names_that_the_caller_gave_come_first() {
    use cask_build::{Context, IgnoreChoice, NamedContext};
    let Some(mut bench) = Bench::with_shell() else { return };
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("f"), "named").unwrap();
    let files = Context::directory(other.path(), &IgnoreChoice::default()).unwrap();
    let named = &mut bench.tools.sources.named;
    named.insert("tools".to_owned(), NamedContext::Files(std::sync::Arc::new(files)));
    named.insert("golang:1.0".to_owned(), NamedContext::Image(BASE.to_owned()));
    let report = bench.build(
        "FROM scratch AS tools\nFROM golang:1.0\nCOPY --from=tools /f /f\n\
         RUN --mount=from=tools,target=/m cat /m/f\n",
    );
    assert_eq!(bench.read(&report.images[0], "/f"), "named");
    assert_eq!(bench.output(), "named");
    let report = bench.build("FROM tools\n");
    assert_eq!(bench.read(&report.images[0], "/f"), "named");
}
