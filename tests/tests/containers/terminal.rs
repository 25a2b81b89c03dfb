//! Containers at a real terminal: its size, its keys, leaving and coming back.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tests::has;

use crate::support::Cellar;

/// How long anything may take on a machine with much to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program at a terminal of its own.
struct Terminal {
    near: File,
    child: Child,
    heard: String,
}

impl Terminal {
    fn new(cellar: &Cellar, rows: u16, columns: u16, arguments: &[&str]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let near = openpt(flags).expect("there are terminals");
        grantpt(&near).and_then(|()| unlockpt(&near)).expect("it is new");
        let name = ptsname(&near, Vec::new()).expect("it has a name");
        let far = File::options().read(true).write(true).open(name.to_string_lossy().as_ref());
        let far = far.expect("it was unlocked");
        let words = cellar.command(arguments);
        // Signals of a terminal go to those whose own it is.
        let mut command = Command::new("setsid");
        command.args(["-c", "-w"]).arg(words.get_program()).args(words.get_args());
        let end = || far.try_clone().expect("descriptors are left");
        command.stdin(end()).stdout(end()).stderr(end());
        let mut terminal = Self {
            near: near.into(),
            child: command.spawn().expect("it is there"),
            heard: String::new(),
        };
        terminal.resize(rows, columns);
        terminal.heard.clear();
        terminal
    }

    fn resize(&mut self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(self.near.as_fd(), size).expect("terminals have sizes");
    }

    fn type_in(&mut self, text: &str) {
        self.near.write_all(text.as_bytes()).expect("it is open");
    }

    /// Types a line until the answer is heard: before, nobody may listen, or the size be an old one.
    #[track_caller]
    fn asks(&mut self, line: &str, answer: &str) {
        let begun = Instant::now();
        while !self.heard.contains(answer) {
            assert!(begun.elapsed() < PATIENCE, "{line}: {:?} in {:?}", answer, self.heard);
            self.type_in(line);
            self.listen(Duration::from_millis(500), answer);
        }
        self.heard.clear();
    }

    fn listen(&mut self, time: Duration, until: &str) {
        let begun = Instant::now();
        while begun.elapsed() < time && !self.heard.contains(until) {
            let mut place = [rustix::event::PollFd::new(&self.near, rustix::event::PollFlags::IN)];
            let pause = rustix::time::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
            if rustix::event::poll(&mut place, Some(&pause)).unwrap_or(0) == 0 {
                continue;
            }
            let mut bytes = [0; 4096];
            match self.near.read(&mut bytes) {
                Ok(0) => return,
                // The other end is closed.
                Err(error) if error.kind() != ErrorKind::Interrupted => return,
                Err(_) => {}
                Ok(count) => self.heard.push_str(&String::from_utf8_lossy(&bytes[..count])),
            }
        }
    }

    /// Waits for its end; its exit code.
    #[track_caller]
    fn ends(mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is a child") {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end: {:?}", self.heard);
            self.listen(Duration::from_millis(100), "\0");
        }
    }
}

#[test]
fn a_terminal_has_a_size_and_is_left_and_come_back_to() {
    let Some(cellar) = Cellar::new().filter(|_| has(&["setsid"])) else { return };
    let run = ["run", "-it", "--network", "none", "--name", "c", "box:1", "sh"];
    let mut terminal = Terminal::new(&cellar, 33, 77, &run);
    terminal.asks("stty size\n", "33 77");
    terminal.resize(40, 100);
    terminal.asks("stty size\n", "40 100");
    terminal.type_in("\x10\x11");
    assert_eq!(terminal.ends(), Some(0));
    assert_eq!(cellar.states(), "c running 0");
    let mut terminal =
        Terminal::new(&cellar, 20, 60, &["attach", "--detach-keys", "ctrl-x,a", "c"]);
    terminal.asks("stty size\n", "20 60");
    terminal.type_in("\x18a");
    assert_eq!(terminal.ends(), Some(0));
    let mut terminal = Terminal::new(&cellar, 22, 62, &["exec", "-it", "c", "sh"]);
    terminal.asks("stty size\n", "22 62");
    terminal.type_in("exit 4\n");
    assert_eq!(terminal.ends(), Some(4));
    let mut terminal = Terminal::new(&cellar, 21, 61, &["attach", "c"]);
    terminal.asks("stty size\n", "21 61");
    terminal.type_in("exit 5\n");
    assert_eq!(terminal.ends(), Some(5));
    assert_eq!(cellar.states(), "c exited 5");
}

#[test]
fn who_has_no_terminal_is_told_that_typing_will_not_do() {
    let Some(cellar) = Cellar::new() else { return };
    let run = |flags: &str| {
        let words = ["run", flags, "--rm", "--network", "none", "box:1", "echo", "x"];
        tests::run(cellar.command(&words).stdin(std::process::Stdio::null())).ok()
    };
    run("-ti").says("The input device is not a TTY. The --tty and --interactive flags might not");
    for flags in ["-t", "-i"] {
        assert_eq!(run(flags).stderr, "");
    }
}

#[test]
fn devices_of_this_machine_work_where_the_container_may_use_them() {
    let Some(cellar) = Cellar::new().filter(|_| has(&["setsid"])) else { return };
    let sees = |arguments: &[&str], expected: &str| {
        let told = cellar.container(&[&["--rm"], arguments].concat());
        assert_eq!(told.ok().text(), expected, "{arguments:?}");
    };
    // A file is hidden, as many do it.
    sees(&["-v", "/dev/null:/etc/passwd", "box:1", "cat", "/etc/passwd"], "");
    let all = ["--privileged", "-v", "/dev:/dev", "--mount", "type=devpts,dst=/dev/pts"];
    let script =
        "echo x >/dev/null && busybox grep -q ' /dev/shm .*=64000k' /proc/mounts && echo own";
    sees(&[&all[..], &["box:1", "sh", "-c", script]].concat(), "own");
    let refused = ["-v", "/dev/null:/n:nodev", "box:1", "cat", "/n"];
    cellar.container(&[&["--rm"], &refused[..]].concat()).ends(1).says("Permission denied");
    let run = [&["run", "-it", "--rm", "--network", "none"], &all[..], &["box:1", "sh"]].concat();
    let mut terminal = Terminal::new(&cellar, 33, 77, &run);
    terminal.asks("busybox tty\n", "/dev/pts/0");
    terminal.type_in("exit 6\n");
    assert_eq!(terminal.ends(), Some(6));
}
