//! The other backends do what the native one does, or say that they do not.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cask_runtime::{
    Cancel, ChrootExecutor, Device, ErrorKind, Executor, ExitStatus, Mount, Network, Note,
    OciExecutor, OciOptions, Output, ProcessHandle, RunSpec, TerminalSize,
};

use crate::support::{Image, executor, is_root, options, processes_with, run_on};

pub(crate) const RUNC: &str = "/usr/sbin/runc";

fn chroot() -> ChrootExecutor {
    ChrootExecutor::new(options())
}

fn host(mut spec: RunSpec) -> RunSpec {
    spec.network = Network::Host;
    spec
}

pub(crate) fn oci(image: &Image, runtime: &str) -> Option<OciExecutor> {
    assert!(Path::new(runtime).exists() || std::env::var_os("CI").is_none(), "needs {runtime}");
    let mut chosen = OciOptions::new(runtime, image.beside("oci"));
    chosen.helper = options();
    Path::new(runtime).exists().then(|| OciExecutor::new(chosen).unwrap())
}

fn nothing_is_left(image: &Image) {
    let left: Vec<_> = fs::read_dir(image.beside("oci")).unwrap().flatten().collect();
    assert!(left.iter().all(|entry| entry.file_name() == "state"), "{left:?}");
    let state = fs::read_dir(image.beside("oci/state"));
    assert!(state.is_err() || state.unwrap().next().is_none());
}

#[test]
fn chroot_runs_and_says_aloud_that_it_is_no_isolation() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let script = "id -u; ls /proc /dev /sys; pwd; exit 3";
    let (text, report) = run_on(&chroot(), host(image.shell(script))).unwrap();
    assert_eq!(text, "0\n/dev:\n\n/proc:\n\n/sys:\n/\n");
    assert_eq!(report.status, ExitStatus::Code(3));
    assert_eq!(report.notes, [Note::NotIsolated]);
    assert!(report.notes[0].to_string().contains("no isolation"));
    let error = run_on(&chroot(), host(image.spec(&["nope"]))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandNotFound);
    let mut scored = host(image.spec(&["true"]));
    scored.process.out_of_memory_score = Some(500);
    assert!(run_on(&chroot(), scored).unwrap().1.status.success());
}

#[test]
fn chroot_refuses_what_it_cannot_give() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let check = |change: &dyn Fn(&mut RunSpec), what: &str| {
        let mut spec = host(image.spec(&["true"]));
        change(&mut spec);
        let error = run_on(&chroot(), spec).unwrap_err();
        assert_eq!((error.kind(), error.subject()), (ErrorKind::Unsupported, what));
    };
    check(&|spec| spec.network = Network::None, "a network of its own");
    check(&|spec| spec.files.mounts.push(Mount::memory(None, "/tmp")), "mounts");
    check(&|spec| spec.hostname = Some("h".into()), "a host name");
    check(&|spec| spec.process.init = true, "an init");
    check(&|spec| spec.files.read_only_root = true, "a read-only root");
}

#[test]
fn daemons_in_a_chroot_end_with_the_process() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    // Shells want it for what runs in the background.
    fs::write(image.path("dev/null"), "").unwrap();
    let script =
        "for n in 1 2 3; do (setsid sh -c 'sleep 98801 & sleep 98801' &) ; done; sleep 0.1";
    run_on(&chroot(), host(image.shell(script))).unwrap();
    assert!(processes_with("98801").is_empty());
    let cancel = Cancel::new().unwrap();
    let other = cancel.clone();
    let spec = host(image.shell("(setsid sleep 98802 &); sleep 98802"));
    let runner = thread::spawn(move || chroot().run(&spec, &other).unwrap_err());
    let start = Instant::now();
    while processes_with("\u{0}98802").len() < 2 {
        assert!(start.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(5));
    }
    cancel.cancel();
    assert_eq!(runner.join().unwrap().kind(), ErrorKind::Cancelled);
    assert!(processes_with("98802").is_empty());
}

#[test]
fn runc_runs_what_the_native_executor_runs() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let Some(runc) = oci(&image, RUNC) else { return };
    let source = image.beside("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), "text\n").unwrap();
    let script = "id -G; cat /data/file /run/secrets/key; stat -c %a:%u /run/secrets/key; \
        umask; hostname; ulimit -Hn; ls /sys/class/net; grep Seccomp: /proc/self/status; \
        grep CapEff /proc/self/status; echo $$; exit 9";
    let mut spec = image.shell(script);
    spec.process.environment = vec![("PATH".into(), "/bin".into())];
    spec.process.identity = cask_runtime::Identity::resolve(&image.opened(), "alice").unwrap();
    spec.process.umask = 0o077;
    spec.hostname = Some("cask".into());
    let resource = cask_runtime::Resource::OpenFiles;
    spec.process.limits = vec![cask_runtime::Limit { resource, soft: 64, hard: 64 }];
    let data = OwnedFd::from(fs::File::open(&source).unwrap());
    spec.files.mounts = vec![
        Mount::bind(data, "/data").read_only(),
        Mount::new(
            cask_runtime::MountSource::Content {
                bytes: (*b"key\n").into(),
                mode: 0o400,
                uid: 1000,
                gid: 0,
            },
            "/run/secrets/key",
        ),
    ];
    let expected = "1000 4 10\ntext\nkey\n400:1000\n0077\ncask\n64\nlo\nSeccomp:\t2\n\
        CapEff:\t0000000000000000\n1\n";
    let native = crate::support::run(spec.clone()).unwrap();
    assert_eq!((&*native.0, native.1.status), (expected, ExitStatus::Code(9)));
    let (text, report) = run_on(&runc, spec).unwrap();
    assert_eq!((&*text, report.status), (expected, ExitStatus::Code(9)));
    nothing_is_left(&image);
}

#[test]
fn runc_failures_are_explained_and_leave_nothing() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let Some(runc) = oci(&image, RUNC) else { return };
    let error = run_on(&runc, image.spec(&["nope"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandNotFound, "{error}");
    let error = run_on(&runc, image.spec(&["/bin/nope"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandNotFound, "{error}");
    nothing_is_left(&image);
}

#[test]
fn crun_refuses_hybrid_cgroups_and_the_hint_says_what_helps() {
    if !is_root() || !Path::new("/usr/bin/crun").exists() {
        return;
    }
    let image = Image::new();
    let Some(crun) = oci(&image, "/usr/bin/crun") else { return };
    match run_on(&crun, image.spec(&["true"])) {
        Ok((_, report)) => assert!(report.status.success()),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.hint().unwrap().contains("native"), "{error}");
        }
    }
    nothing_is_left(&image);
}

#[test]
fn cancelling_an_external_runtime_leaves_nothing() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let Some(runc) = oci(&image, RUNC) else { return };
    let cancel = Cancel::new().unwrap();
    let other = cancel.clone();
    let spec = image.shell("(setsid sleep 98811 &); sleep 98811");
    let runner = thread::spawn(move || runc.run(&spec, &other).unwrap_err());
    let start = Instant::now();
    while processes_with("\u{0}98811").len() < 2 {
        assert!(start.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(5));
    }
    cancel.cancel();
    assert_eq!(runner.join().unwrap().kind(), ErrorKind::Cancelled);
    assert!(processes_with("98811").is_empty());
    nothing_is_left(&image);
}

#[test]
fn what_runc_creates_waits_for_the_word_is_joined_and_leaves_nothing() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let Some(runc) = oci(&image, RUNC) else { return };
    let mut spec =
        image.shell("busybox stty size; read line; echo \"got $line\"; ls /dev/own; exit 7");
    spec.io.terminal = Some(TerminalSize { rows: 7, columns: 42 });
    spec.files.devices = vec![Device::of("/dev/null".as_ref(), "/dev/own").unwrap()];
    spec.sysctls = vec![("net.ipv4.ip_forward".to_owned(), "1".to_owned())];
    let mut created = runc.create(&spec).unwrap();
    let terminal = fs::File::from(created.take_terminal().unwrap());
    let handle = ProcessHandle::open(created.pid(), None).unwrap().unwrap();
    assert_ne!(
        fs::read_link(format!("/proc/{}/ns/net", created.pid())).unwrap(),
        fs::read_link("/proc/self/ns/net").unwrap()
    );
    let running = created.start().unwrap();
    assert_eq!(running.pid(), handle.pid());
    let mut joined = image.spec(&["cat", "/proc/sys/net/ipv4/ip_forward"]);
    let (reader, writer) = std::io::pipe().unwrap();
    joined.io.output = Output::Descriptor(Arc::new(writer.into()));
    let second = executor().exec(&handle, &joined).unwrap().start().unwrap();
    drop(joined);
    assert!(second.wait().unwrap().status.success());
    assert_eq!(std::io::read_to_string(reader).unwrap(), "1\n");
    let mut size = [0; 6];
    (&terminal).read_exact(&mut size).unwrap();
    assert_eq!(&size, b"7 42\r\n");
    (&terminal).write_all(b"word\n").unwrap();
    let mut text = Vec::new();
    // The terminal is gone with the last that had it, which is an error here.
    let _ = (&terminal).read_to_end(&mut text);
    assert_eq!(String::from_utf8_lossy(&text), "word\r\ngot word\r\n/dev/own\r\n");
    assert_eq!(running.wait().unwrap().status, ExitStatus::Code(7));
    nothing_is_left(&image);
}

#[test]
fn what_runc_creates_can_be_dropped_killed_and_swept() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let Some(runc) = oci(&image, RUNC) else { return };
    drop(runc.create(&image.shell("sleep 98812")).unwrap());
    nothing_is_left(&image);
    let running = runc.create(&image.shell("sleep 98812")).unwrap().start().unwrap();
    running.kill().unwrap();
    assert_eq!(running.wait().unwrap().status.shell_status(), 137);
    let running = runc.create(&image.shell("sleep 98812")).unwrap().start().unwrap();
    drop(running);
    assert!(processes_with("98812").is_empty());
    nothing_is_left(&image);
    for words in [&["nope"][..], &["/bin/nope"]] {
        let error = runc.create(&image.spec(words)).and_then(|made| made.start().map(drop));
        assert_eq!(error.unwrap_err().kind(), ErrorKind::CommandNotFound, "{words:?}");
    }
    nothing_is_left(&image);
    // As if this process and the helper had been killed together.
    let running = runc.create(&image.shell("sleep 98812")).unwrap().start().unwrap();
    runc.sweep().unwrap();
    assert_eq!(running.wait().unwrap().status.shell_status(), 137);
    assert!(processes_with("98812").is_empty());
    assert!(!image.beside("oci").exists());
}

#[test]
fn what_is_no_runtime_is_refused() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let check = |runtime: &str, kind: ErrorKind| {
        let error = OciExecutor::new(OciOptions::new(runtime, image.beside("oci"))).unwrap_err();
        assert_eq!(error.kind(), kind, "{runtime}");
    };
    check("/not/there", ErrorKind::NotFound);
    check("/bin/false", ErrorKind::RuntimeFailed);
}
