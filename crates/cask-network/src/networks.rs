//! Which networks there are.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use cask_image::Timestamp;
use rustix::fs::{FlockOperation, fcntl_lock};
use serde::{Deserialize, Serialize};

use crate::network::is_name;
use crate::{Defaults, Error, ErrorKind, Leases, Network, Result};

/// The most that is read of a file.
const LONGEST: u64 = 1 << 20;
/// Where podman's helpers are. Source: containers/common, `defaultHelperBinariesDir`.
const HELPERS: [&str; 4] = [
    "/usr/local/libexec/podman",
    "/usr/local/lib/podman",
    "/usr/libexec/podman",
    "/usr/lib/podman",
];
/// Where other programs are.
pub(crate) const PROGRAMS: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Where the files of networks and the programs for them are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Places {
    /// The directory of the networks.
    pub config: PathBuf,
    /// The directory of what is true until the machine starts again.
    pub run: PathBuf,
    /// Directories with netavark, aardvark-dns and pasta; the first that has one counts.
    pub helpers: Vec<PathBuf>,
    /// Whoever uses them has no privileges.
    pub rootless: bool,
    /// What is so about networks where nobody says otherwise.
    pub defaults: Defaults,
}

impl Places {
    /// These directories, and the usual ones for programs.
    pub fn new(config: impl Into<PathBuf>, run: impl Into<PathBuf>) -> Self {
        let helpers = HELPERS.iter().chain(&PROGRAMS).map(PathBuf::from).collect();
        let (config, run) = (config.into(), run.into());
        Self { config, run, helpers, rootless: false, defaults: Defaults::default() }
    }

    /// Has podman's helpers looked for in these directories instead of the usual ones.
    pub fn set_helpers(&mut self, directories: &[PathBuf]) {
        let programs = PROGRAMS.iter().map(PathBuf::from);
        self.helpers = directories.iter().cloned().chain(programs).collect();
    }

    /// Those of root, which podman has too.
    ///
    /// Source: containers/common, `libnetwork/network/interface_linux.go`.
    pub fn of_root() -> Self {
        Self::new("/etc/containers/networks", "/run/containers/networks")
    }

    /// Those of a user, beside the user's store.
    pub fn of_user(graph_root: &Path, run_root: &Path) -> Self {
        let mut places = Self::new(graph_root.join("networks"), run_root.join("networks"));
        places.rootless = true;
        places
    }
}

/// The networks of a machine, or of a user. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Networks {
    places: Places,
}

/// While it lives, nobody else makes or removes a network: neither podman nor another thread.
pub(crate) struct Held {
    _file: File,
    _thread: MutexGuard<'static, ()>,
}

impl Networks {
    /// Looks at the networks of these places.
    pub fn new(places: Places) -> Self {
        Self { places }
    }

    /// Where they are.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Whether it is the one that containers are on for which nobody chose one.
    pub fn is_usual(&self, network: &Network) -> bool {
        network.name == self.places.defaults.network
    }

    /// Who has which address.
    pub fn leases(&self) -> Leases {
        Leases::new(&self.places.run)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.places.config.join(format!("{name}.json"))
    }

    pub(crate) fn lock(&self) -> Result<Held> {
        static ONE: Mutex<()> = Mutex::new(());
        // The lock of the file is the process's: threads need one of their own.
        let thread = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = &self.places.config;
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(directory)
            .map_err(|error| Error::io(error, "making the directory", directory))?;
        let path = directory.join("netavark.lock");
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| Error::io(error, "opening", &path))?;
        fcntl_lock(&file, FlockOperation::LockExclusive)
            .map_err(|error| Error::io(error.into(), "locking", &path))?;
        Ok(Held { _file: file, _thread: thread })
    }

    /// All networks by name, the default one among them. Files that cannot be read are told to `damaged`.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where the directory cannot be listed; one that is not there has no networks.
    pub fn list(&self, mut damaged: impl FnMut(Error)) -> Result<Vec<Network>> {
        let directory = &self.places.config;
        let mut found = Vec::new();
        match fs::read_dir(directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io(error, "listing", directory)),
            Ok(entries) => {
                for entry in entries.flatten() {
                    let name = entry.file_name();
                    let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".json"))
                    else {
                        continue;
                    };
                    if is_name(name) {
                        match self.read(name) {
                            Ok(network) => found.extend(network),
                            Err(error) => damaged(error),
                        }
                    }
                }
            }
        }
        if !found.iter().any(|network| self.is_usual(network)) {
            found.push(Network::usual(now(), &self.places.defaults));
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Reads one file. `None` where there is none.
    fn read(&self, name: &str) -> Result<Option<Network>> {
        let path = self.file(name);
        let length = match fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| Error::io(error, "reading", &path))?.len(),
        };
        let refused = |why: &str| {
            Error::new(ErrorKind::Damaged, format!("network config {}: {why}", path.display()))
                .with_hint("remove the file, or write it anew as podman has it")
        };
        if length > LONGEST {
            return Err(refused("it is longer than 1 MiB"));
        }
        let bytes = fs::read(&path).map_err(|error| Error::io(error, "reading", &path))?;
        let network: Network = serde_json::from_slice(&bytes)
            .map_err(|error| refused("it is not the JSON of a network").with_source(error))?;
        if network.name != name {
            return Err(refused(&format!("it has another name in it, {:?}", network.name)));
        }
        if network.id.len() != 64 || !network.id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refused("its ID is not 64 hexadecimal digits"));
        }
        Ok(Some(network))
    }

    /// Finds a network by its name, its ID, or the beginning of its ID.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Ambiguous`]; [`ErrorKind::Damaged`] for a file that cannot be read.
    pub fn find(&self, text: &str) -> Result<Network> {
        if is_name(text)
            && let Some(network) = self.read(text)?
        {
            return Ok(network);
        }
        let all = self.list(|_| ())?;
        if let Some(network) = all.iter().find(|network| network.name == text) {
            return Ok(network.clone());
        }
        let mut fitting = all.into_iter().filter(|network| network.id.starts_with(text));
        match (fitting.next().filter(|_| !text.is_empty()), fitting.next()) {
            (Some(network), None) => Ok(network),
            (Some(_), Some(_)) => Err(Error::new(
                ErrorKind::Ambiguous,
                format!("more than one result for network ID {text}"),
            )),
            _ => Err(Error::new(
                ErrorKind::NotFound,
                format!("unable to find network with name or ID {text}: network not found"),
            )),
        }
    }

    /// Replaces the file of a network, whose lock is held.
    pub(crate) fn write(&self, network: &Network) -> Result<()> {
        let path = self.file(&network.name);
        let mut bytes = Vec::new();
        let indent = serde_json::ser::PrettyFormatter::with_indent(b"     ");
        let mut writer = serde_json::Serializer::with_formatter(&mut bytes, indent);
        network.serialize(&mut writer).expect("texts and numbers can be written");
        bytes.push(b'\n');
        replace(&path, &bytes, 0o644)
    }

    /// Changes who is asked for names that are not those of a network's containers; at once where some run.
    ///
    /// Source: containers/common, `libnetwork/netavark/config.go`, `NetworkUpdate`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Invalid`] where nobody answers for names on it; [`ErrorKind::Missing`] and
    /// [`ErrorKind::Helper`] as [`connect`](Self::connect).
    pub fn change_servers(&self, name: &str, add: &[IpAddr], remove: &[IpAddr]) -> Result<()> {
        let held = self.lock()?;
        let mut network = self.find(name)?;
        if !network.dns_enabled && !add.is_empty() {
            let name = &network.name;
            return Err(Error::invalid(format!(
                "cannot set NetworkDNSServers if DNS is not enabled for network {name}"
            )));
        }
        let before = network.network_dns_servers.clone();
        network.network_dns_servers = changed(&before, add, remove);
        if network.network_dns_servers == before {
            return Ok(());
        }
        self.write(&network)?;
        drop(held);
        // Only what runs has somebody who answers.
        let answered = self.places.run.join("aardvark-dns");
        let is_live = [network.name.clone(), format!("{}%int", network.name)];
        match is_live.iter().any(|name| answered.join(name).exists()) {
            true => self.update(&network),
            false => Ok(()),
        }
    }

    /// Removes a network. Who uses it is the caller's to know.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for the default one; [`ErrorKind::NotFound`]; [`ErrorKind::Io`].
    pub fn remove(&self, network: &Network) -> Result<()> {
        if self.is_usual(network) {
            return Err(Error::invalid(format!(
                "default network {} cannot be removed",
                network.name
            )));
        }
        let _held = self.lock()?;
        let path = self.file(&network.name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::new(
                ErrorKind::NotFound,
                format!(
                    "unable to find network with name or ID {}: network not found",
                    network.name
                ),
            )),
            other => other.map_err(|error| Error::io(error, "removing", &path)),
        }
    }
}

/// The servers of a network after a change: none is there twice.
fn changed(before: &[IpAddr], add: &[IpAddr], remove: &[IpAddr]) -> Vec<IpAddr> {
    let kept = before.iter().filter(|server| !remove.contains(server));
    let mut after: Vec<IpAddr> = Vec::new();
    for server in kept.chain(add) {
        if !after.contains(server) {
            after.push(*server);
        }
    }
    after
}

/// Replaces a file as a whole.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&new)?;
        file.write_all(bytes)?;
        fs::rename(&new, path)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&new);
        Error::io(error, "writing", path)
    })
}

/// What the clock says, in RFC 3339.
pub(crate) fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_unix(seconds, since.subsec_nanos()).unwrap_or(Timestamp::GO_ZERO).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetworkOptions;

    #[test]
    fn what_is_made_is_found_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let networks = Networks::new(Places::new(directory.path().join("c"), directory.path()));
        let usual = networks.find("podman").unwrap();
        assert_eq!(usual.network_interface, "podman0");
        let mut places = networks.places().clone();
        places.defaults.network = "usual".to_owned();
        places.defaults.subnet = "172.16.0.0/24".parse().unwrap();
        let other = Networks::new(places);
        let usual_there = other.find("usual").unwrap();
        assert_eq!(usual_there.subnets[0].subnet.to_string(), "172.16.0.0/24");
        assert_eq!(usual_there.id, usual.id);
        assert_eq!(other.find("podman").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(other.remove(&usual_there).unwrap_err().kind(), ErrorKind::Invalid);
        let options = NetworkOptions { name: "web".to_owned(), ..NetworkOptions::default() };
        let made = networks.create(options.clone()).unwrap();
        assert_eq!(networks.find("web").unwrap(), made);
        assert_eq!(networks.find(&made.id[..20]).unwrap(), made);
        assert_eq!(networks.create(options).unwrap_err().kind(), ErrorKind::Exists);
        for wrong in ["", "..", "nope", "a/b"] {
            assert_eq!(networks.find(wrong).unwrap_err().kind(), ErrorKind::NotFound, "{wrong}");
        }
        assert_eq!(networks.remove(&usual).unwrap_err().kind(), ErrorKind::Invalid);
        networks.remove(&made).unwrap();
        assert_eq!(networks.remove(&made).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn servers_of_names_are_changed_and_told_to_who_answers() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path();
        let run = place.join("run");
        let mut places = Places::new(place.join("c"), &run);
        places.helpers = vec![place.to_owned()];
        let script = format!("shift 4; echo \"$@\" >>{}/words", place.display());
        for program in ["netavark", "aardvark-dns"] {
            crate::helper::tests::script(&place.join(program), &script);
        }
        let networks = Networks::new(places);
        let [a, b, c] = ["10.0.0.1", "10.0.0.2", "fd00::1"].map(|text| text.parse().unwrap());
        let mut options = NetworkOptions { name: "web".to_owned(), ..NetworkOptions::default() };
        options.dns_servers = vec![a];
        networks.create(options).unwrap();
        networks.change_servers("web", &[b, b, a], &[]).unwrap();
        assert_eq!(networks.find("web").unwrap().network_dns_servers, [a, b]);
        assert!(!place.join("words").exists(), "nobody answers who could be told");
        fs::create_dir_all(run.join("aardvark-dns")).unwrap();
        fs::write(run.join("aardvark-dns/web"), "").unwrap();
        networks.change_servers("web", &[c], &[a]).unwrap();
        networks.change_servers("web", &[], &[a]).unwrap();
        let told = fs::read_to_string(place.join("words")).unwrap();
        assert_eq!(told, "update web --network-dns-servers 10.0.0.2,fd00::1\n");
        let error = networks.change_servers("podman", &[a], &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }

    #[test]
    fn what_is_damaged_is_told_and_the_rest_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let networks = Networks::new(Places::new(directory.path(), directory.path()));
        for (name, text) in [("a", ""), ("b", "{}"), ("c", r#"{"name":"d","id":"","driver":""}"#)] {
            fs::write(networks.file(name), text).unwrap();
            assert_eq!(networks.find(name).unwrap_err().kind(), ErrorKind::Damaged, "{name}");
        }
        fs::write(directory.path().join("no.conflist"), "x").unwrap();
        let mut errors = 0;
        assert_eq!(networks.list(|_| errors += 1).unwrap().len(), 1);
        assert_eq!(errors, 3);
    }
}
