//! Messages that go to the system's log too.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::OnceLock;
use std::time::SystemTime;

use crate::logging::Level;
use crate::report::log_line;

/// Where the system listens for messages. Source: Go, `log/syslog`, `unixSyslog`; syslog(3).
const PLACES: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// Where messages go, and what they begin with.
static SYSLOG: OnceLock<Syslog> = OnceLock::new();

#[derive(Debug)]
struct Syslog {
    socket: UnixDatagram,
    /// The name of the program.
    tag: String,
    level: Level,
}

/// Sends what is warned of, what goes wrong, and what is logged at a level and above, to the system's log too. The answer
/// says whether anybody listens there.
///
/// Source: logrus, `hooks/syslog`.
pub fn init(tag: &str, level: Level) -> bool {
    let opened = PLACES.iter().find_map(|place| Syslog::open(Path::new(place), tag, level));
    opened.is_some_and(|syslog| SYSLOG.set(syslog).is_ok())
}

/// Tells something that is not logged otherwise.
pub(crate) fn tell(level: Level, message: &str) {
    if let Some(syslog) = SYSLOG.get() {
        syslog.send(level, &log_line(SystemTime::now(), level.word(), message, &[]));
    }
}

/// Sends a line that was logged.
pub(crate) fn send(level: Level, line: &str) {
    if let Some(syslog) = SYSLOG.get() {
        syslog.send(level, line);
    }
}

impl Syslog {
    fn open(place: &Path, tag: &str, level: Level) -> Option<Self> {
        let socket = UnixDatagram::unbound().ok()?;
        socket.connect(place).ok()?;
        Some(Self { socket, tag: tag.to_owned(), level })
    }

    /// Sends a line. One that nobody takes is lost: there is nobody to tell.
    fn send(&self, level: Level, line: &str) {
        if level > self.level {
            return;
        }
        let severity = match level {
            Level::Error => 3,
            Level::Warning => 4,
            Level::Info => 6,
            Level::Debug | Level::Trace => 7,
        };
        let (tag, pid) = (&self.tag, std::process::id());
        // Messages of users: the kernel's own, which Go writes, are not to be sent by anybody else.
        let _ = self.socket.send(format!("<{}>{tag}[{pid}]: {line}\n", 8 | severity).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_their_severity_and_who_said_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("log");
        let listener = UnixDatagram::bind(&path).unwrap();
        let syslog = Syslog::open(&path, "cellar", Level::Warning).unwrap();
        syslog.send(Level::Info, "not this");
        syslog.send(Level::Warning, "careful");
        syslog.send(Level::Error, "bad");
        let next = || {
            let mut bytes = [0; 128];
            let length = listener.recv(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        };
        let pid = std::process::id();
        assert_eq!(next(), format!("<12>cellar[{pid}]: careful\n"));
        assert_eq!(next(), format!("<11>cellar[{pid}]: bad\n"));
        assert!(Syslog::open(&place.path().join("none"), "cellar", Level::Error).is_none());
    }
}
