//! Debian's `docker-registry`, on loopback.

use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::program::command;
use crate::scratch::Scratch;

/// Who may use a [`Registry`], and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, over HTTP.
    Plain,
    /// [`USER`] with [`PASSWORD`], over HTTP.
    Password,
    /// Everybody, over HTTPS with a certificate that nobody knows.
    Tls,
}

/// Who may use a registry that asks.
pub const USER: &str = "tester";

/// The password of [`USER`].
pub const PASSWORD: &str = "secret pass";

/// By bcrypt, at its least cost.
pub(crate) const PASSWORD_HASH: &str =
    "$2b$04$abcdefghijklmnopqrstuu1Zbm2zGLePX9VTooeg0fAVe2y9a/dMu";

/// A registry that ends when it is dropped, and with the tests however they end.
pub struct Registry {
    directory: PathBuf,
    address: String,
    _child: Child,
}

impl Registry {
    /// Starts a registry whose files are in a directory of the test.
    ///
    /// # Panics
    /// If it does not answer within half a minute.
    #[track_caller]
    pub fn start(scratch: &Scratch, access: Access) -> Self {
        let directory = scratch.join(format!("registry-{access:?}"));
        std::fs::create_dir_all(&directory).expect("a new directory is writable");
        let address = free_address();
        let at = |name: &str| directory.join(name).display().to_string();
        let more = match access {
            Access::Plain => String::new(),
            Access::Password => {
                write(&at("htpasswd"), &format!("{USER}:{PASSWORD_HASH}\n"));
                format!("auth: {{htpasswd: {{realm: it, path: {:?}}}}}\n", at("htpasswd"))
            }
            Access::Tls => {
                certify(&directory);
                String::new()
            }
        };
        let tls = match access {
            Access::Tls => {
                format!(
                    ", tls: {{certificate: {:?}, key: {:?}}}",
                    at("certs/ca.crt"),
                    at("key.pem")
                )
            }
            _ => String::new(),
        };
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {:?}}}, \
             delete: {{enabled: true}}}}\nhttp: {{addr: {address}{tls}}}\n{more}",
            at("data")
        );
        write(&at("config.yml"), &config);
        let script = "docker-registry serve \"$0/config.yml\" >\"$0/log\" 2>&1 & \
                      read -r _; kill $!; wait $!";
        let child = command("sh")
            .args(["-c", script])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("there is a shell");
        let registry = Self { directory, address, _child: child };
        registry.wait();
        registry
    }

    fn wait(&self) {
        let started = Instant::now();
        while TcpStream::connect(&self.address).is_err() {
            let is_late = started.elapsed() > Duration::from_secs(60);
            assert!(!is_late, "docker-registry is silent: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A directory with the certificate of [`Access::Tls`], for `--cert-dir`.
    pub fn certificates(&self) -> String {
        self.directory.join("certs").display().to_string()
    }

    /// What it has logged: a line for each request. It answers first and writes then: what grows
    /// no more is what there is.
    pub fn log(&self) -> String {
        let read = || std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        let mut log = read();
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let longer = read();
            if longer.len() == log.len() {
                return log;
            }
            log = longer;
        }
    }

    /// The requests so far: `GET /v2/ 401`.
    pub fn requests(&self) -> Vec<String> {
        let request = |line: &str| {
            let mut parts = line.split('"').skip(1);
            let (asked, answer) = (parts.next()?, parts.next()?);
            let asked = asked.rsplit_once(" HTTP/")?.0;
            Some(format!("{asked} {}", answer.split_whitespace().next()?))
        };
        self.log().lines().filter_map(request).collect()
    }
}

fn write(path: &str, text: &str) {
    std::fs::write(path, text).expect("a new directory is writable");
}

/// An address on loopback that nobody listens at, nor is about to: each process of tests has ports of its own, below
/// those that the kernel gives away.
fn free_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = 10_000 + std::process::id() % 340 * 64;
    let ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed) % 64);
    let mut addresses = ports.take(64).map(|port| format!("127.0.0.1:{port}"));
    let free = addresses.find(|address| TcpListener::bind(address).is_ok());
    free.expect("loopback has a free port")
}

/// Makes a key, and a certificate that it signs itself.
pub(crate) fn certify(directory: &Path) {
    let certs = directory.join("certs");
    std::fs::create_dir_all(&certs).expect("a new directory is writable");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=it"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout"])
        .arg(directory.join("key.pem"))
        .arg("-out")
        .arg(certs.join("ca.crt"))
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
