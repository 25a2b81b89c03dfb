//! Pasta: a network for a user without privileges.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags};

use crate::{Error, ErrorKind, Places, PortMapping, Result, helper};

/// The address at which a container asks for names; pasta asks this machine's servers.
///
/// Source: containers/common, `libnetwork/pasta/pasta_linux.go`, `dnsForwardIpv4`.
pub const PASTA_RESOLVER: &str = "169.254.1.1";
/// How long it may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(20);

/// What pasta shall do.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PastaOptions {
    /// Ports of this machine that lead to the container's.
    pub ports: Vec<PortMapping>,
    /// Its own options, which go before the usual ones.
    pub options: Vec<String>,
}

/// What has the kernel end a program with the thread that started it, where it is installed: it is of util-linux.
const TIES: [&str; 2] = ["/usr/bin/setpriv", "/bin/setpriv"];

/// A pasta that runs. Dropped, it goes on; see [`stop`](Self::stop). Where `setpriv` is installed, it ends with the
/// thread that started it, also where that is killed.
#[derive(Debug)]
pub struct Pasta {
    child: Child,
}

impl Pasta {
    /// Starts pasta for a network namespace, and waits until it is ready. `directory` is for a file that it needs
    /// meanwhile.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`]; [`ErrorKind::Invalid`] for a port that it cannot forward; [`ErrorKind::Helper`] with
    /// what it said.
    pub fn start(
        places: &Places,
        namespace: OwnedFd,
        directory: &Path,
        options: &PastaOptions,
    ) -> Result<Self> {
        let program = places.program("pasta")?;
        let (options, pid_file) = without_pid_file(options);
        let arguments = arguments(&options)?;
        let ready = directory.join("pasta.ready");
        let _ = std::fs::remove_file(&ready);
        let io = |error: rustix::io::Errno| Error::io(error.into(), "making", &ready);
        rustix::fs::mknodat(CWD, &ready, rustix::fs::FileType::Fifo, Mode::from(0o600), 0)
            .map_err(io)?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let reader = rustix::fs::openat(CWD, &ready, flags, Mode::empty()).map_err(io)?;
        let words = directory.join("pasta.log");
        let log = File::create(&words).map_err(|error| Error::io(error, "making", &words))?;
        // It gives up the right to look into others before it opens the namespace: it inherits it.
        let child = tied(&program)
            .args(arguments)
            .args(["--quiet", "--foreground", "--stderr", "--pid"])
            .arg(&ready)
            .args(["--netns", "/proc/self/fd/0"])
            .stdin(Stdio::from(namespace))
            .stdout(Stdio::null())
            .stderr(Stdio::from(log))
            .spawn();
        let child = child.map_err(|error| {
            Error::new(ErrorKind::Helper, format!("running {}", program.display()))
                .with_source(error)
        })?;
        let mut pasta = Self { child };
        let outcome = pasta.wait(reader);
        let said = std::fs::read(&words).unwrap_or_default();
        let _ = std::fs::remove_file(&ready);
        let _ = std::fs::remove_file(&words);
        match outcome {
            Ok(()) => {
                let Some(path) = pid_file else { return Ok(pasta) };
                match std::fs::write(&path, format!("{}\n", pasta.pid())) {
                    Ok(()) => Ok(pasta),
                    Err(error) => {
                        pasta.stop();
                        Err(Error::io(error, "writing", Path::new(&path)))
                    }
                }
            }
            Err(why) => {
                pasta.stop();
                Err(failed(&helper::plain(&without_syslog(&said)), why))
            }
        }
    }

    /// It writes its number where it is ready.
    fn wait(&mut self, reader: OwnedFd) -> Result<(), &'static str> {
        let until = Instant::now() + PATIENCE;
        let mut reader = File::from(reader);
        while Instant::now() < until {
            let mut places = [PollFd::new(&reader, PollFlags::IN)];
            let short = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            let _ = poll(&mut places, Some(&short));
            let mut bytes = [0; 16];
            if matches!(reader.read(&mut bytes), Ok(1..)) {
                return Ok(());
            }
            if !matches!(self.child.try_wait(), Ok(None)) {
                return Err("it ended at once");
            }
        }
        Err("it was not ready in time")
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it.
    pub fn stop(&mut self) {
        // One that has ended is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it said, without what it says of a machine that has no system log.
fn without_syslog(said: &[u8]) -> Vec<u8> {
    let lines = said.split_inclusive(|byte| *byte == b'\n');
    let is_noise = |line: &&[u8]| line.ends_with(b" bytes to syslog\n");
    lines.filter(|line| !is_noise(line)).flatten().copied().collect()
}

fn failed(said: &str, why: &str) -> Error {
    let said = if said.is_empty() { why } else { said };
    let error = Error::new(ErrorKind::Helper, format!("pasta: {said}"));
    if said.contains("tun") {
        error.with_hint("/dev/net/tun must be there, and open to users: chmod 666")
    } else if said.contains("Failed to bind") {
        error.with_hint(
            "a user publishes ports that nobody has, from net.ipv4.ip_unprivileged_port_start (1024) on",
        )
    } else {
        error
    }
}

/// A program that ends with this thread.
fn tied(program: &Path) -> Command {
    match TIES.iter().find(|path| Path::new(path).is_file()) {
        None => Command::new(program),
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        }
    }
}

/// The file that somebody wants its number in, apart from its other options: it can write one file, and that is ours.
fn without_pid_file(options: &PastaOptions) -> (PastaOptions, Option<String>) {
    let (mut kept, mut file) = (options.clone(), None);
    kept.options.clear();
    let mut words = options.options.iter();
    while let Some(word) = words.next() {
        match word.strip_prefix("--pid=") {
            Some(path) => file = Some(path.to_owned()),
            None if matches!(word.as_str(), "--pid" | "-P") => file = words.next().cloned(),
            None => kept.options.push(word.clone()),
        }
    }
    (kept, file)
}

/// Source: containers/common, `libnetwork/pasta/pasta_linux.go`, `createPastaArgs`.
fn arguments(options: &PastaOptions) -> Result<Vec<String>> {
    let mut arguments = vec!["--config-net".to_owned()];
    arguments.extend(options.options.iter().filter(|option| *option != "--map-gw").cloned());
    let given = |names: &[&str]| {
        options.options.iter().any(|option| {
            names.iter().any(|name| option == name || option.starts_with(&format!("{name}=")))
        })
    };
    let (mut tcp, mut udp) = (given(&["-t", "--tcp-ports"]), given(&["-u", "--udp-ports"]));
    for port in &options.ports {
        let flag = match port.protocol.as_str() {
            "tcp" => {
                tcp = true;
                "-t"
            }
            "udp" => {
                udp = true;
                "-u"
            }
            other => {
                return Err(Error::invalid(format!("can't forward protocol: {other}"))
                    .with_hint("pasta forwards tcp and udp"));
            }
        };
        let span = |first: u16| match port.range {
            0 | 1 => first.to_string(),
            count => format!("{first}-{}", u32::from(first) + u32::from(count) - 1),
        };
        let at = if port.host_ip.is_empty() { String::new() } else { format!("{}/", port.host_ip) };
        let text = format!("{at}{}:{}", span(port.host_port), span(port.container_port));
        arguments.extend([flag.to_owned(), text]);
    }
    let mut none = |flag: &str, there: bool| {
        if !there {
            arguments.extend([flag.to_owned(), "none".to_owned()]);
        }
    };
    none("-t", tcp);
    none("-u", udp);
    none("-T", given(&["-T", "--tcp-ns"]));
    none("-U", given(&["-U", "--udp-ns"]));
    if !given(&["--map-gw", "--no-map-gw"]) {
        arguments.push("--no-map-gw".to_owned());
    }
    if !given(&["--dns-forward"]) {
        arguments.extend(["--dns-forward".to_owned(), PASTA_RESOLVER.to_owned()]);
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(host_ip: &str, host: u16, container: u16, range: u16, protocol: &str) -> PortMapping {
        PortMapping {
            host_ip: host_ip.to_owned(),
            container_port: container,
            host_port: host,
            range,
            protocol: protocol.to_owned(),
        }
    }

    #[test]
    fn nothing_is_forwarded_that_was_not_asked_for() {
        let check = |ports: Vec<PortMapping>, options: &[&str], expected: &str| {
            let options = options.iter().map(ToString::to_string).collect();
            let shown = match arguments(&PastaOptions { ports, options }) {
                Ok(arguments) => arguments.join(" "),
                Err(error) => error.to_string(),
            };
            assert_eq!(shown, expected);
        };
        check(
            Vec::new(),
            &[],
            "--config-net -t none -u none -T none -U none --no-map-gw --dns-forward 169.254.1.1",
        );
        check(
            vec![port("", 8080, 80, 1, "tcp"), port("127.0.0.1", 53, 153, 3, "udp")],
            &["-T", "5000", "--map-gw"],
            "--config-net -T 5000 -t 8080:80 -u 127.0.0.1/53-55:153-155 -U none --dns-forward 169.254.1.1",
        );
        check(vec![port("", 1, 1, 1, "sctp")], &[], "can't forward protocol: sctp");
    }

    #[test]
    fn one_that_ends_at_once_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("pasta");
        crate::helper::tests::script(&program, "echo no tun >&2; exit 1");
        let mut places = Places::new("/nowhere", "/nowhere");
        places.helpers = vec![directory.path().to_owned()];
        let namespace = || OwnedFd::from(File::open("/proc/self/ns/net").unwrap());
        let start = |places: &Places| {
            Pasta::start(places, namespace(), directory.path(), &PastaOptions::default())
                .unwrap_err()
        };
        let error = start(&places);
        assert_eq!(error.to_string(), "pasta: no tun");
        assert!(error.hint().unwrap().contains("/dev/net/tun"));
        crate::helper::tests::script(
            &program,
            "echo Failed to send 45 bytes to syslog >&2; echo \"Failed to bind any port\" >&2; exit 1",
        );
        let error = start(&places);
        assert_eq!(error.to_string(), "pasta: Failed to bind any port");
        assert!(error.hint().unwrap().contains("1024"));
        crate::helper::tests::script(
            &program,
            "while test \"$1\" != --pid; do shift; done; echo $$ >$2; exec sleep 99",
        );
        let file = directory.path().join("of-somebody");
        let options = ["-T", "1", "--pid", file.to_str().unwrap(), "-U", "2"];
        let options = PastaOptions {
            options: options.map(str::to_owned).to_vec(),
            ..PastaOptions::default()
        };
        let mut pasta = Pasta::start(&places, namespace(), directory.path(), &options).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{}\n", pasta.pid()));
        pasta.stop();
        if TIES.iter().any(|path| Path::new(path).is_file()) {
            let (own, place) = (places.clone(), directory.path().to_owned());
            let start = move || Pasta::start(&own, namespace(), &place, &PastaOptions::default());
            let mut left = std::thread::spawn(start).join().unwrap().unwrap();
            // It ended with the thread.
            left.child.wait().unwrap();
        }
        places.helpers.clear();
        assert_eq!(start(&places).kind(), ErrorKind::Missing);
    }
}
