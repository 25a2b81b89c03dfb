//! Processes that are created, started, joined and signalled, with terminals.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cask_runtime::{
    Capability, Created, Device, ErrorKind, ExitStatus, Namespace, Network, Output, ProcessHandle,
    RunSpec, Running, Signal, TerminalSize,
};

use crate::support::{
    Image, descriptors_come_down_to, executor, is_root, open_descriptors, processes_with,
};

/// Gives a specification a pipe for its output.
fn piped(spec: &mut RunSpec) -> File {
    let (reader, writer) = std::io::pipe().unwrap();
    let writer = Arc::new(OwnedFd::from(writer));
    spec.io.output = Output::Descriptor(writer.clone());
    spec.io.error = Output::Descriptor(writer);
    OwnedFd::from(reader).into()
}

fn sleeping(image: &Image) -> (Running, ProcessHandle) {
    let running = executor().create(&image.shell("sleep 1000")).unwrap().start().unwrap();
    let started = ProcessHandle::started(running.pid());
    let handle = ProcessHandle::open(running.pid(), started).unwrap().unwrap();
    (running, handle)
}

/// What a command prints that is run in a container.
fn exec(handle: &ProcessHandle, mut spec: RunSpec) -> (String, ExitStatus) {
    let mut output = piped(&mut spec);
    let created = executor().exec(handle, &spec).unwrap();
    drop(spec);
    let running = created.start().unwrap();
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    (text, running.wait().unwrap().status)
}

fn all_of(terminal: OwnedFd) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    let mut terminal = File::from(terminal);
    // The end of a terminal is an error.
    while let Ok(count @ 1..) = terminal.read(&mut buffer) {
        text.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(text).unwrap().replace("\r\n", "\n")
}

fn with_terminal(mut spec: RunSpec) -> (Created, OwnedFd) {
    spec.io.terminal = Some(TerminalSize { rows: 24, columns: 100 });
    let mut created = executor().create(&spec).unwrap();
    let terminal = created.take_terminal().unwrap();
    (created, terminal)
}

#[test]
fn a_created_process_waits_for_the_word() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let mut spec = image.shell("echo begun; exit 7");
    let mut output = piped(&mut spec);
    let created = executor().create(&spec).unwrap();
    drop(spec);
    assert!(ProcessHandle::started(created.pid()).is_some());
    assert!(std::fs::metadata(format!("/proc/{}/ns/net", created.pid())).is_ok());
    let running = created.start().unwrap();
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(text, "begun\n");
    assert_eq!(running.wait().unwrap().status, ExitStatus::Code(7));
}

#[test]
fn what_is_dropped_leaves_nothing() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let before = open_descriptors();
    let created = executor().create(&image.spec(&["sleep", "10001"])).unwrap();
    let pid = created.pid();
    drop(created);
    assert_eq!(ProcessHandle::started(pid), None);
    let running = executor().create(&image.spec(&["sleep", "10001"])).unwrap().start().unwrap();
    let pid = running.pid();
    drop(running);
    assert_eq!(ProcessHandle::started(pid), None);
    assert!(processes_with("10001").is_empty());
    descriptors_come_down_to(before + 1);
}

#[test]
fn commands_that_are_not_there_fail_at_the_start() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let created = executor().create(&image.spec(&["nope"])).unwrap();
    assert_eq!(created.start().unwrap_err().kind(), ErrorKind::CommandNotFound);
    let created = executor().create(&image.spec(&["/etc/passwd"])).unwrap();
    assert_eq!(created.start().unwrap_err().kind(), ErrorKind::CommandNotExecutable);
}

#[test]
fn the_end_is_told_without_waiting() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let (mut running, handle) = sleeping(&image);
    assert!(running.ended().unwrap().is_none());
    assert!(!handle.wait(Some(Duration::from_millis(10))));
    running.signal(Signal::from_number(34).unwrap()).unwrap();
    running.kill().unwrap();
    assert!(handle.wait(Some(Duration::from_secs(10))));
    let report = loop {
        if let Some(report) = running.ended().unwrap() {
            break report;
        }
        let mut places = [rustix::event::PollFd::new(&running, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut places, None).unwrap();
    };
    assert_eq!(report.status, ExitStatus::Signal(9));
    // Told again, as often as asked.
    assert!(running.ended().unwrap().is_some());
    running.kill().unwrap();
    assert!(ProcessHandle::open(handle.pid(), None).unwrap().is_none());
}

#[test]
fn a_terminal_is_one_and_is_controlled_by_the_process() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let script = "test -t 0 && test -t 1 && test -t 2 && test -c /dev/console && echo yes; \
        echo tty >/dev/tty; stat -c %u /dev/pts/0; readlink /proc/self/fd/0";
    let (created, terminal) = with_terminal(image.shell(script));
    let running = created.start().unwrap();
    assert_eq!(all_of(terminal), "yes\ntty\n0\n/dev/pts/0\n");
    assert_eq!(running.wait().unwrap().status, ExitStatus::Code(0));
}

#[test]
fn a_terminal_passes_on_what_is_typed_and_its_interrupts() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let mut spec = image.shell("read line; echo \"got $line\"; exec sleep 100");
    // Number 1 does not hear of what it has no handler for.
    spec.process.init = true;
    let (created, terminal) = with_terminal(spec);
    let running = created.start().unwrap();
    let size = rustix::termios::tcgetwinsize(&terminal).unwrap();
    assert_eq!((size.ws_row, size.ws_col), (24, 100));
    let mut typed = File::from(terminal.try_clone().unwrap());
    typed.write_all(b"hello\n").unwrap();
    let mut seen = String::new();
    let mut buffer = [0; 100];
    while !seen.contains("got hello") {
        let count = typed.read(&mut buffer).unwrap();
        seen.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    // A shell that is about to become another program forgets an interrupt.
    let handle = ProcessHandle::open(running.pid(), None).unwrap().unwrap();
    while !handle.wait(Some(Duration::from_millis(50))) {
        typed.write_all(b"\x03").unwrap();
    }
    assert_eq!(running.wait().unwrap().status, ExitStatus::Code(130));
    drop(terminal);
}

#[test]
fn a_process_without_a_command_waits_until_it_is_asked_to_end() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let mut spec = image.shell("nobody runs this");
    spec.process.pause = true;
    let running = executor().create(&spec).unwrap().start().unwrap();
    let handle = ProcessHandle::open(running.pid(), None).unwrap().unwrap();
    // Others go on in its namespaces.
    let mut own = image.shell("test -d /proc/1");
    own.process.identity = spec.process.identity.clone();
    let inside = executor().exec(&handle, &own).unwrap().start().unwrap();
    assert_eq!(inside.wait().unwrap().status, ExitStatus::Code(0));
    handle.signal(Signal::TERM).unwrap();
    assert_eq!(running.wait().unwrap().status, ExitStatus::Code(0));
}

#[test]
fn a_terminal_belongs_to_the_user() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let mut spec = image.shell("stat -c %u:%g /dev/pts/0; echo x >/dev/stdout");
    spec.process.identity = cask_runtime::Identity::new(1000, 1000);
    let (created, terminal) = with_terminal(spec);
    let running = created.start().unwrap();
    assert_eq!(all_of(terminal), "1000:5\nx\n");
    assert!(running.wait().unwrap().status.success());
}

#[test]
fn running_wants_no_terminal() {
    if !is_root() {
        return;
    }
    use cask_runtime::{Cancel, Executor};
    let image = Image::new();
    let mut spec = image.shell("true");
    spec.io.terminal = Some(TerminalSize { rows: 1, columns: 1 });
    let refused = executor().run(&spec, &Cancel::new().unwrap()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidSpec);
}

#[test]
fn a_second_process_has_everything_that_the_first_has() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let mut spec = image.shell("echo secret >/tmp/made; hostname; sleep 1000");
    spec.hostname = Some("inside".into());
    let mut output = piped(&mut spec);
    let running = executor().create(&spec).unwrap().start().unwrap();
    let mut line = [0; 7];
    output.read_exact(&mut line).unwrap();
    let handle = ProcessHandle::open(running.pid(), None).unwrap().unwrap();
    for space in ["mnt", "pid", "ipc", "uts", "net", "cgroup", "user"] {
        let (text, status) = exec(&handle, image.shell(&format!("readlink /proc/self/ns/{space}")));
        let first = std::fs::read_link(format!("/proc/{}/ns/{space}", running.pid())).unwrap();
        assert_eq!(text.trim(), first.to_str().unwrap());
        assert!(status.success());
    }
    let script = "cat /tmp/made; hostname; id -u; grep Cap /proc/self/status; ls /proc/self/fd; cat /proc/1/comm";
    let (text, status) = exec(&handle, image.shell(script));
    assert_eq!(
        text,
        "secret\ninside\n0\nCapInh:\t0000000000000000\nCapPrm:\t00000000800405fb\nCapEff:\t00000000800405fb\n\
         CapBnd:\t00000000800405fb\nCapAmb:\t0000000000000000\n0\n1\n2\n3\nsleep\n"
    );
    assert!(status.success());
    let (_, status) = exec(&handle, image.shell("kill -9 $$"));
    assert_eq!(status, ExitStatus::Signal(9));
    drop(running);
    let gone = executor().exec(&handle, &image.shell("true")).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
}

#[test]
fn what_a_second_process_started_goes_on() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let (running, handle) = sleeping(&image);
    let (_, status) = exec(&handle, image.shell("setsid sleep 10002 >/dev/null 2>&1 </dev/null &"));
    assert!(status.success());
    assert_eq!(processes_with("10002").len(), 1);
    drop(running);
    assert!(processes_with("10002").is_empty());
}

#[test]
fn a_second_process_may_have_a_terminal_and_another_user() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let (_running, handle) = sleeping(&image);
    let mut spec = image.shell("test -t 0 && id -u && echo /dev/pts/*");
    spec.process.identity =
        cask_runtime::Identity::resolve(&handle.root().unwrap(), "alice").unwrap();
    spec.io.terminal = Some(TerminalSize { rows: 30, columns: 90 });
    let mut created = executor().exec(&handle, &spec).unwrap();
    let terminal = created.take_terminal().unwrap();
    let running = created.start().unwrap();
    assert_eq!(all_of(terminal), "1000\n/dev/pts/0 /dev/pts/ptmx\n");
    assert!(running.wait().unwrap().status.success());
}

#[test]
fn cve_2024_21626_a_working_directory_does_not_lead_out_of_a_container() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    std::os::unix::fs::symlink("/proc/self/fd/5", image.path("link")).unwrap();
    let (_running, handle) = sleeping(&image);
    for number in 3..24 {
        let mut spec = image.shell("pwd");
        spec.process.directory = format!("/proc/self/fd/{number}").into();
        assert!(executor().exec(&handle, &spec).is_err(), "{number}");
    }
    let mut spec = image.shell("pwd");
    spec.process.directory = PathBuf::from("/link");
    assert!(executor().exec(&handle, &spec).is_err());
    spec.process.directory = PathBuf::from("/proc/1/root/tmp");
    assert!(executor().exec(&handle, &spec).is_err());
}

#[test]
fn cve_2019_5736_a_container_cannot_look_into_what_joins_it() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let script = "while :; do for p in /proc/[0-9]*; do \
        case $p in /proc/1|/proc/$$) ;; *) echo seen; readlink $p/exe && echo >>$p/exe; ls $p/fd;; esac; done; done 2>/dev/null";
    let mut spec = image.shell(script);
    let mut output = piped(&mut spec);
    let running = executor().create(&spec).unwrap().start().unwrap();
    let handle = ProcessHandle::open(running.pid(), None).unwrap().unwrap();
    let program = std::fs::read(crate::support::helper()).unwrap();
    for _ in 0..10 {
        let created = executor().exec(&handle, &image.spec(&["true"])).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        created.start().unwrap().wait().unwrap();
    }
    running.kill().unwrap();
    drop((running, spec));
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert!(text.contains("seen\n"), "{text}");
    let name = crate::support::helper().file_name().unwrap().to_str().unwrap();
    assert!(!text.contains("memfd") && !text.contains(name), "{text}");
    assert_eq!(std::fs::read(crate::support::helper()).unwrap(), program);
}

#[test]
fn namespaces_can_be_another_containers_or_the_machines() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let (_first, handle) = sleeping(&image);
    let join = |name: &str| Namespace::Join(Arc::new(handle.namespace(name).unwrap()));
    let mut spec = image.shell("for n in net ipc uts pid; do readlink /proc/self/ns/$n; done");
    let mut output = piped(&mut spec);
    spec.network = Network::Join(Arc::new(handle.namespace("net").unwrap()));
    spec.namespaces.communication = join("ipc");
    spec.namespaces.names = join("uts");
    spec.namespaces.processes = join("pid");
    let running = executor().create(&spec).unwrap().start().unwrap();
    drop(spec);
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    let of = |pid: u32| {
        ["net", "ipc", "uts", "pid"]
            .map(|name| std::fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap())
            .map(|link| format!("{}\n", link.display()))
            .concat()
    };
    assert_eq!(text, of(handle.pid()));
    running.wait().unwrap();
    let mut spec = image.shell(
        "for n in net ipc uts pid; do readlink /proc/self/ns/$n; done; setsid sleep 10003 &",
    );
    let mut output = piped(&mut spec);
    spec.network = Network::Host;
    spec.namespaces.communication = Namespace::Host;
    spec.namespaces.names = Namespace::Host;
    spec.namespaces.processes = Namespace::Host;
    let running = executor().create(&spec).unwrap().start().unwrap();
    drop(spec);
    running.wait().unwrap();
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(text, of(std::process::id()));
    assert!(processes_with("10003").is_empty(), "the helper ends what is left behind");
}

#[test]
fn settings_of_the_kernel_hold_inside_only() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let read = || std::fs::read_to_string("/proc/sys/kernel/shmmni").unwrap();
    let before = read();
    let mut spec =
        image.shell("cat /proc/sys/kernel/shmmni /proc/sys/net/ipv4/ip_unprivileged_port_start");
    spec.sysctls = vec![
        ("kernel.shmmni".into(), "123".into()),
        ("net/ipv4/ip_unprivileged_port_start".into(), "80".into()),
    ];
    let (text, _) = crate::support::run_on(executor(), spec).unwrap();
    assert_eq!(text, "123\n80\n");
    assert_eq!(read(), before);
    let check = |name: &str, kind: ErrorKind| {
        let mut spec = image.shell("true");
        spec.sysctls = vec![(name.into(), "1".into())];
        let refused = crate::support::run_on(executor(), spec).unwrap_err();
        assert_eq!(refused.kind(), kind, "{name}");
    };
    check("net.nope", ErrorKind::NotFound);
    check("../../sysrq-trigger", ErrorKind::InvalidSpec);
    check("", ErrorKind::InvalidSpec);
}

#[test]
fn devices_are_those_that_were_asked_for() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        image.path("disk"),
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::from_raw_mode(0o666),
        rustix::fs::makedev(1, 5),
    )
    .unwrap();
    let mut spec =
        image.shell("stat -c '%F %t %T %a' /dev/deep/er/zero; head -c 1 /disk 2>&1; echo");
    let mut device = Device::of("/dev/zero".as_ref(), "/dev/deep/er/zero").unwrap();
    device.mode = 0o640;
    spec.files.devices = vec![device];
    let (text, _) = crate::support::run_on(executor(), spec.clone()).unwrap();
    assert_eq!(text, "character special file 1 5 640\nhead: /disk: Permission denied\n\n");
    spec.files.danger_root_devices = true;
    let (text, _) = crate::support::run_on(executor(), spec).unwrap();
    assert_eq!(text, "character special file 1 5 640\n\0\n");
    // Who may make devices cannot use those that it makes.
    let script = "mknod /dev/made c 1 5 && head -c 1 /dev/made 2>&1; \
        head -c 1 /dev/zero | wc -c";
    let mut maker = image.shell(script);
    maker.privileges.capabilities = maker.privileges.capabilities.with(Capability::MakeNode);
    let (text, _) = crate::support::run_on(executor(), maker).unwrap();
    assert_eq!(text, "head: /dev/made: Permission denied\n1\n");
    assert_eq!(
        Device::of("/etc/passwd".as_ref(), "/dev/x").unwrap_err().kind(),
        ErrorKind::InvalidSpec
    );
    for path in ["/etc/x", "/dev", "/dev/../etc/x"] {
        let mut spec = image.shell("true");
        spec.files.devices = vec![Device::of("/dev/zero".as_ref(), path).unwrap()];
        let refused = crate::support::run_on(executor(), spec).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidSpec, "{path}");
    }
}

#[test]
fn handles_know_their_process() {
    let own = std::process::id();
    let started = ProcessHandle::started(own).unwrap();
    let handle = ProcessHandle::open(own, Some(started)).unwrap().unwrap();
    assert!(!handle.has_ended());
    assert!(handle.as_fd().try_clone_to_owned().is_ok());
    assert!(ProcessHandle::open(own, Some(started + 1)).unwrap().is_none());
    assert!(ProcessHandle::open(0, None).unwrap().is_none());
    assert!(ProcessHandle::open(u32::MAX, None).unwrap().is_none());
}
