//! Commands, environments, inputs and outputs.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use cask_runtime::{Cancel, ErrorKind, Executor, ExitStatus, Input, Output};

use crate::support::{Image, executor, is_root, options, run};

#[test]
fn true_and_false_end_as_they_do() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let check = |arguments: &[&str], expected: ExitStatus| {
        let (text, report) = run(image.spec(arguments)).unwrap();
        assert_eq!(report.status, expected, "{arguments:?}: {text}");
        assert!(report.notes.is_empty(), "{:?}", report.notes);
        assert!(report.wall > Duration::ZERO && report.usage.max_resident_bytes > 0);
    };
    check(&["true"], ExitStatus::Code(0));
    check(&["/bin/false"], ExitStatus::Code(1));
    check(&["sh", "-c", "exit 42"], ExitStatus::Code(42));
    check(&["sh", "-c", "exit 255"], ExitStatus::Code(255));
    // Number 1 of its processes cannot be ended by a signal that it does not handle, as with every other runtime.
    check(&["sh", "-c", "kill -TERM $$; exit 3"], ExitStatus::Code(3));
    check(&["sh", "-c", "sh -c 'kill -KILL $$'; exit $?"], ExitStatus::Code(137));
}

#[test]
fn with_an_init_the_process_is_number_two_and_orphans_are_reaped() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let mut spec =
        image.shell("echo $$; (sleep 0.05 &) ; sleep 0.2; ps -o stat | grep -c Z; exit 7");
    spec.process.init = true;
    let (text, report) = run(spec).unwrap();
    assert_eq!((&*text, report.status), ("2\n0\n", ExitStatus::Code(7)));
    assert_eq!(image.prints("echo $$"), "1\n");
    let mut spec = image.shell("kill -TERM $$");
    spec.process.init = true;
    assert_eq!(run(spec).unwrap().1.status, ExitStatus::Code(143));
    // What is sent to number 1 comes to the command, which may do what it likes then.
    let trap = "trap 'echo heard; exit 9' TERM; kill -TERM 1; while :; do sleep 0.01; done";
    let mut spec = image.shell(trap);
    spec.process.init = true;
    let (text, report) = run(spec).unwrap();
    assert_eq!((&*text, report.status), ("heard\n", ExitStatus::Code(9)));
    // Who does nothing about it ends by it.
    let mut spec = image.shell("kill -USR1 1; exec sleep 100");
    spec.process.init = true;
    assert_eq!(run(spec).unwrap().1.status, ExitStatus::Code(128 + 10));
}

#[test]
fn commands_that_cannot_run_say_what_was_tried() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    fs::write(image.path("work/plain"), "text").unwrap();
    fs::write(image.path("work/script"), "#!/bin/missing\n").unwrap();
    fs::write(image.path("work/headless"), "echo").unwrap();
    for name in ["script", "headless"] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(image.path("work").join(name), mode).unwrap();
    }
    let check = |command: &str, kind: ErrorKind, text: &str| {
        let mut spec = image.spec(&[command]);
        spec.process.environment = vec![("PATH".into(), "/none:/work:/bin".into())];
        let error = run(spec).unwrap_err();
        assert_eq!((error.kind(), &*error.to_string()), (kind, text));
    };
    let (absent, refused) = (ErrorKind::CommandNotFound, ErrorKind::CommandNotExecutable);
    check("nope", absent, "exec \"nope\": executable file not found in $PATH (/none:/work:/bin)");
    check(
        "/bin/nope",
        absent,
        "exec \"/bin/nope\": no such file or directory in the root filesystem",
    );
    check("plain", refused, "exec /work/plain");
    check("script", refused, "exec /work/script");
    check("/work/headless", refused, "exec /work/headless");
    check("/work", refused, "exec /work");
    let error = run(image.spec(&["nope"])).unwrap_err();
    assert_eq!(error.shell_status(), Some(127));
    assert!(
        error
            .to_string()
            .contains("(/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)")
    );
}

#[test]
fn the_environment_is_what_was_said_and_nothing_else() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let mut spec = image.spec(&["/bin/env"]);
    for (name, value) in [("B", "2"), ("A", "x y\n="), ("B", "3")] {
        spec.process.environment.push((name.into(), value.into()));
    }
    assert_eq!(run(spec).unwrap().0, "B=3\nA=x y\n=\n");
    assert_eq!(run(image.spec(&["/bin/env"])).unwrap().0, "");
}

#[test]
fn input_comes_from_where_it_was_said() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    assert_eq!(image.prints("cat; echo end"), "end\n");
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut spec = image.spec(&["cat"]);
    spec.io.input = Input::Descriptor(Arc::new(OwnedFd::from(reader)));
    writer.write_all(b"from the pipe").unwrap();
    drop(writer);
    assert_eq!(run(spec).unwrap().0, "from the pipe");
}

#[test]
fn a_gigabyte_of_output_flows_through() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut spec = image.spec(&["dd", "if=/dev/zero", "bs=1M", "count=1024"]);
    spec.io.output = Output::Descriptor(Arc::new(OwnedFd::from(writer)));
    spec.io.error = Output::Null;
    let counter = std::thread::spawn(move || {
        let (mut buffer, mut count) = (vec![0; 1 << 20], 0_u64);
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => return count,
                read => count += read as u64,
            }
        }
    });
    let report = executor().run(&spec, &Cancel::new().unwrap()).unwrap();
    drop(spec);
    assert!(report.status.success());
    assert_eq!(counter.join().unwrap(), 1 << 30);
}

#[test]
fn the_working_directory_is_one_of_the_root() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    std::os::unix::fs::symlink("/work", image.path("link")).unwrap();
    std::os::unix::fs::symlink("../../../../tmp", image.path("up")).unwrap();
    let check = |directory: &str, expected: Result<&str, ErrorKind>| {
        let mut spec = image.spec(&["/bin/busybox", "sh", "-c", "/bin/pwd -P"]);
        spec.process.directory = directory.into();
        let found = run(spec).map(|(text, _)| text);
        let found = found.as_deref().map(str::trim_end).map_err(cask_runtime::Error::kind);
        assert_eq!(found, expected, "{directory}");
    };
    check("/", Ok("/"));
    check("/work", Ok("/work"));
    check("/link", Ok("/work"));
    check("/up", Ok("/tmp"));
    check("/work/../../../work", Ok("/work"));
    check("/missing", Err(ErrorKind::CommandNotFound));
    check("/etc/passwd", Err(ErrorKind::Io));
}

#[test]
fn umask_host_name_and_limits_are_given() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let mut spec = image.shell("umask; hostname; ulimit -n; ulimit -Hn");
    spec.process.umask = 0o027;
    spec.hostname = Some("cask".into());
    let limit = |soft, hard| cask_runtime::Limit {
        resource: cask_runtime::Resource::OpenFiles,
        soft,
        hard,
    };
    spec.process.limits = vec![limit(10, 10), limit(100, 200)];
    assert_eq!(run(spec).unwrap().0, "0027\ncask\n100\n200\n");
}

#[test]
fn limits_above_the_hard_one_are_lowered_with_a_note() {
    if !is_root() {
        return;
    }
    // In a user namespace nobody may raise a limit of the machine.
    let image = Image::new();
    let mut spec = image.shell("ulimit -Hn");
    let range = cask_runtime::IdRange { inside: 0, outside: 0, count: 65_536 };
    let maps = cask_runtime::IdMaps { uids: vec![range], gids: vec![range] };
    spec.users = cask_runtime::UserNamespace::Map(maps);
    let resource = cask_runtime::Resource::OpenFiles;
    let asked = 1 << 31;
    spec.process.limits = vec![cask_runtime::Limit { resource, soft: asked, hard: asked }];
    let (text, report) = run(spec).unwrap();
    let given = text.trim().parse().unwrap();
    assert_eq!(report.notes, [cask_runtime::Note::LimitLowered { resource, asked, given }]);
}

#[test]
fn a_program_that_forgot_the_helper_is_told_so() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let mut forgetful = options();
    forgetful.program = "/bin/true".into();
    let executor = cask_runtime::NativeExecutor::new(forgetful);
    let error = executor.run(&image.spec(&["true"]), &Cancel::new().unwrap()).unwrap_err();
    assert!(error.hint().unwrap().contains("run_helper()"), "{error}");
}
