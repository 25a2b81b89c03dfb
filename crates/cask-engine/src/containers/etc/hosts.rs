//! `/etc/hosts` of containers that share a network: one file, that of the container whose network it is. Those that
//! joined have a line at its end as long as they live, so that each finds the others by their names.
//!
//! Source: podman, `libpod/container_internal_common.go`; containers/common, `libnetwork/etchosts`, `Add` and `Remove`.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};

use serde::{Deserialize, Serialize};

use super::{ContainerConfig, Place, hostname, io};
use crate::Result;
use crate::containers::record::open_lock;

/// The file, below the container's own directory.
pub(super) const HOSTS: &str = "hosts";
/// Who joined, beside it; locked while either is changed.
const JOINED: &str = "hosts.joined";
/// The most that is read, in bytes: containers write to the file too.
const LONGEST: u64 = 1 << 20;

/// A container that joined.
#[derive(Serialize, Deserialize)]
struct Joined {
    id: String,
    /// What the file says of it, without the end of the line; empty where its names stand there already.
    line: String,
}

/// The file while nobody else changes it.
struct Hosts<'p> {
    place: &'p Place,
    joined: Vec<Joined>,
    lock: File,
}

impl<'p> Hosts<'p> {
    fn open(place: &'p Place) -> Result<Self> {
        let path = place.run.join(JOINED);
        let mut lock = open_lock(&path)?;
        lock.lock().map_err(|error| io(error, "locking", &path))?;
        let mut text = String::new();
        lock.read_to_string(&mut text).map_err(|error| io(error, "reading", &path))?;
        // What a killed program left half written is as nothing.
        let joined = serde_json::from_str(&text).unwrap_or_default();
        Ok(Self { place, joined, lock })
    }

    /// What the file says but of those who joined; `None` where there is none, or it is none any more.
    fn own(&self) -> Result<Option<String>> {
        let path = self.place.run.join(HOSTS);
        let mut text = Vec::new();
        match File::open(&path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut text)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| io(error, "reading", &path))?,
        };
        if text.len() as u64 > LONGEST {
            return Ok(None);
        }
        let Ok(text) = String::from_utf8(text) else { return Ok(None) };
        let is_own = |line: &&str| self.joined.iter().all(|one| one.line != line.trim_end());
        Ok(Some(text.split_inclusive('\n').filter(is_own).collect()))
    }

    /// Writes both. The file stays the one that is mounted.
    fn put(mut self, own: &str) -> Result<()> {
        let mut text = own.to_owned();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        for one in self.joined.iter().filter(|one| !one.line.is_empty()) {
            text.push_str(&one.line);
            text.push('\n');
        }
        let path = self.place.run.join(JOINED);
        let joined = serde_json::to_vec(&self.joined).expect("texts can be written");
        self.lock
            .set_len(0)
            .and_then(|()| self.lock.rewind())
            .and_then(|()| self.lock.write_all(&joined))
            .map_err(|error| io(error, "writing", &path))?;
        let path = self.place.run.join(HOSTS);
        fs::write(&path, text).map_err(|error| io(error, "writing", &path))
    }
}

/// Has nobody joined: the container begins.
pub(super) fn begin(place: &Place) -> Result<()> {
    let path = place.run.join(JOINED);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(io(error, "removing", &path))
        }
        _ => Ok(()),
    }
}

/// Has the file say something else of the container whose network it is.
pub(super) fn rewrite(place: &Place, own: &str) -> Result<()> {
    Hosts::open(place)?.put(own)
}

/// Has the file of a network say who joined it.
pub(super) fn join(place: &Place, config: &ContainerConfig) -> Result<()> {
    let mut hosts = Hosts::open(place)?;
    let Some(own) = hosts.own()? else { return Ok(()) };
    hosts.joined.retain(|one| one.id != config.id);
    let all = own.lines().chain(hosts.joined.iter().map(|one| one.line.as_str()));
    let known: Vec<&str> = all.flat_map(|line| line.split_whitespace().skip(1)).collect();
    let names = [hostname(config), config.name.clone()];
    let new: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| !known.contains(name)).collect();
    let line = match new.is_empty() {
        true => String::new(),
        false => format!("127.0.0.1\t{}", new.join(" ")),
    };
    hosts.joined.push(Joined { id: config.id.clone(), line });
    hosts.put(&own)
}

/// Has the file of a network say nothing more of a container that joined it.
pub(super) fn leave(place: &Place, id: &str) -> Result<()> {
    if !place.run.join(JOINED).exists() {
        return Ok(());
    }
    let mut hosts = Hosts::open(place)?;
    if hosts.joined.iter().all(|one| one.id != id) {
        return Ok(());
    }
    let Some(own) = hosts.own()? else { return Ok(()) };
    hosts.joined.retain(|one| one.id != id);
    hosts.put(&own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_joined_stands_there_as_long_as_it_lives() {
        let temp = tempfile::tempdir().unwrap();
        let place = Place { kept: temp.path().to_owned(), run: temp.path().to_owned() };
        let file = temp.path().join(HOSTS);
        let text = || fs::read_to_string(&file).unwrap();
        let one = |id: &str, name: &str| ContainerConfig {
            id: id.repeat(64),
            name: name.to_owned(),
            ..ContainerConfig::default()
        };
        // A file that is not there is not made.
        join(&place, &one("a", "first")).unwrap();
        leave(&place, &"a".repeat(64)).unwrap();
        assert!(!file.exists());
        fs::write(&file, "127.0.0.1\tlocalhost\n10.0.0.2\tweb").unwrap();
        begin(&place).unwrap();
        join(&place, &one("a", "first")).unwrap();
        join(&place, &one("b", "web")).unwrap();
        let (a, b) = ("127.0.0.1\taaaaaaaaaaaa first\n", "127.0.0.1\tbbbbbbbbbbbb\n");
        assert_eq!(text(), format!("127.0.0.1\tlocalhost\n10.0.0.2\tweb\n{a}{b}"));
        // What containers write there themselves stays, and who begins again stands there once.
        fs::write(&file, text() + "10.0.0.9\tother").unwrap();
        join(&place, &one("a", "first")).unwrap();
        let own = "127.0.0.1\tlocalhost\n10.0.0.2\tweb\n10.0.0.9\tother\n";
        assert_eq!(text(), format!("{own}{b}{a}"));
        rewrite(&place, "10.0.0.3\tweb\n").unwrap();
        assert_eq!(text(), format!("10.0.0.3\tweb\n{b}{a}"));
        leave(&place, &"b".repeat(64)).unwrap();
        leave(&place, &"c".repeat(64)).unwrap();
        assert_eq!(text(), format!("10.0.0.3\tweb\n{a}"));
        fs::write(&file, vec![b'x'; 2 << 20]).unwrap();
        leave(&place, &"a".repeat(64)).unwrap();
        assert_eq!(text().len(), 2 << 20);
    }
}
