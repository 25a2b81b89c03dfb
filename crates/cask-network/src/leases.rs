//! Who has which address: ours in one file, podman's where podman keeps them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::networks::replace;
use crate::prefix::{address, number};
use crate::{Error, ErrorKind, Network, Result, Subnet, bolt, machine};

/// The most that is read of a file of others.
const LONGEST: u64 = 64 << 20;

/// The addresses that containers have, until the machine starts again.
#[derive(Clone, Debug)]
pub struct Leases {
    directory: PathBuf,
}

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    /// Which start of the machine this is about.
    boot: String,
    networks: BTreeMap<String, OfNetwork>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct OfNetwork {
    /// The container that has an address.
    taken: BTreeMap<IpAddr, String>,
    /// The address that was given last, for each subnet: who was just gone is not followed by another at once.
    last: BTreeMap<String, IpAddr>,
}

impl Leases {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    fn file(&self) -> PathBuf {
        self.directory.join("cask-leases.json")
    }

    /// Gives a container one address of each subnet of a network: those that it asks for, or free ones.
    ///
    /// # Errors
    /// [`ErrorKind::Taken`] for an address that another container has, and where none is free;
    /// [`ErrorKind::Invalid`] for one that is not the network's; [`ErrorKind::Io`].
    pub fn take(
        &self,
        network: &Network,
        container: &str,
        wanted: &[IpAddr],
    ) -> Result<Vec<IpAddr>> {
        for address in wanted {
            if !network.subnets.iter().any(|subnet| subnet.subnet.contains(*address)) {
                let name = &network.name;
                let words =
                    format!("requested static ip {address} not in any subnet on network {name}");
                return Err(Error::invalid(words));
            }
        }
        if !network.has_leases() {
            return Ok(wanted.to_vec());
        }
        let _held = self.lock()?;
        let mut kept = self.load()?;
        let others = self.others(&network.name);
        let of_network = kept.networks.entry(network.name.clone()).or_default();
        let mut given = Vec::new();
        for subnet in &network.subnets {
            let asked = wanted.iter().find(|address| subnet.subnet.contains(**address));
            let address = match asked {
                Some(address) => of_network.claim(*address, subnet, container, &others)?,
                None => of_network.choose(subnet, &others)?,
            };
            of_network.taken.insert(address, container.to_owned());
            given.push(address);
        }
        self.save(&kept)?;
        Ok(given)
    }

    /// Takes back what a container has: of one network, or of all.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn give_back(&self, network: Option<&str>, container: &str) -> Result<()> {
        if !self.file().exists() {
            return Ok(());
        }
        let _held = self.lock()?;
        let mut kept = self.load()?;
        for (name, of_network) in &mut kept.networks {
            if network.is_none_or(|wanted| wanted == name) {
                of_network.taken.retain(|_, owner| owner != container);
            }
        }
        self.save(&kept)
    }

    /// Who has which address of a network: ours.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn of(&self, network: &str) -> Result<BTreeMap<IpAddr, String>> {
        Ok(self.load()?.networks.remove(network).unwrap_or_default().taken)
    }

    fn lock(&self) -> Result<File> {
        let directory = &self.directory;
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(directory)
            .map_err(|error| Error::io(error, "making the directory", directory))?;
        let path = directory.join("cask-leases.lock");
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|error| Error::io(error, "opening", &path))?;
        file.lock().map_err(|error| Error::io(error, "locking", &path))?;
        Ok(file)
    }

    fn load(&self) -> Result<Kept> {
        let path = self.file();
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(|error| Error::io(error, "reading", &path))?,
        };
        let boot = machine::boot();
        // What cannot be read is no more: the file is replaced as a whole, and of no use after this start.
        let kept: Kept = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(if kept.boot == boot { kept } else { Kept { boot, ..Kept::default() } })
    }

    fn save(&self, kept: &Kept) -> Result<()> {
        let bytes = serde_json::to_vec(kept).expect("texts can be written");
        replace(&self.file(), &bytes, 0o600)
    }

    /// The addresses that podman has given, as far as they can be seen: its database, and what aardvark-dns answers.
    fn others(&self, network: &str) -> BTreeSet<IpAddr> {
        let read = |path: &Path| {
            let short = fs::metadata(path).is_ok_and(|found| found.len() <= LONGEST);
            if short { fs::read(path).unwrap_or_default() } else { Vec::new() }
        };
        let mut found = bolt::addresses(&read(&self.directory.join("ipam.db")), network);
        let named = read(&self.directory.join("aardvark-dns").join(network));
        // The first line is the gateways; the others are ID, addresses with commas, and names.
        for line in String::from_utf8_lossy(&named).lines().skip(1) {
            let words = line.split([' ', ',']).skip(1);
            found.extend(words.filter_map(|word| word.parse::<IpAddr>().ok()));
        }
        found
    }
}

impl OfNetwork {
    fn claim(
        &self,
        address: IpAddr,
        subnet: &Subnet,
        container: &str,
        others: &BTreeSet<IpAddr>,
    ) -> Result<IpAddr> {
        let owner = match self.taken.get(&address) {
            Some(owner) if owner == container => return Ok(address),
            Some(owner) => format!("container ID {owner}"),
            None if others.contains(&address) => "a container of podman".to_owned(),
            None if subnet.gateway == Some(address) => "the gateway".to_owned(),
            None => return Ok(address),
        };
        let words =
            format!("IPAM error: requested ip address {address} is already allocated to {owner}");
        Err(Error::new(ErrorKind::Taken, words))
    }

    /// The next lower one that is free, beginning again at the highest.
    fn choose(&mut self, subnet: &Subnet, others: &BTreeSet<IpAddr>) -> Result<IpAddr> {
        let prefix = subnet.subnet;
        let like = prefix.address();
        let range = subnet.lease_range.clone().unwrap_or_default();
        let lowest =
            range.start_ip.map_or(number(prefix.first()), number).max(number(prefix.first()));
        // The last of version 4 means all of them.
        let top = number(prefix.last()) - u128::from(like.is_ipv4() && prefix.bits() < 31);
        let highest = range.end_ip.map_or(top, number).min(top);
        let none = || {
            let ends = format!("{} - {}", address(lowest, like), address(highest, like));
            Error::new(
                ErrorKind::Taken,
                format!("IPAM error: failed to find free IP in range: {ends}"),
            )
        };
        if lowest > highest {
            return Err(none());
        }
        let key = prefix.to_string();
        let last = self.last.get(&key).map(|last| number(*last));
        let last = last.filter(|last| (lowest..=highest).contains(last));
        let mut next = last.unwrap_or(lowest);
        // Of so many, one more is free.
        let most = self.taken.len() + others.len() + 2;
        for _ in 0..=most {
            next = if next <= lowest { highest } else { next - 1 };
            let found = address(next, like);
            let free = !self.taken.contains_key(&found)
                && !others.contains(&found)
                && subnet.gateway != Some(found);
            if free {
                self.last.insert(key, found);
                return Ok(found);
            }
        }
        Err(none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(subnet: &str) -> Network {
        let mut network = Network::usual(String::new(), &crate::Defaults::default());
        network.subnets = vec![Subnet::new(subnet.parse().unwrap())];
        network
    }

    fn text(given: Result<Vec<IpAddr>>) -> String {
        match given {
            Ok(given) => given.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            Err(error) => format!("{:?}", error.kind()),
        }
    }

    #[test]
    fn addresses_are_given_from_the_highest_and_taken_back() {
        let directory = tempfile::tempdir().unwrap();
        let leases = Leases::new(directory.path());
        let small = network("10.1.0.0/29");
        let take = |id: &str| text(leases.take(&small, id, &[]));
        assert_eq!([take("a"), take("b"), take("c")], ["10.1.0.6", "10.1.0.5", "10.1.0.4"]);
        leases.give_back(None, "a").unwrap();
        // Not the one that was just free.
        assert_eq!([take("d"), take("e"), take("f")], ["10.1.0.3", "10.1.0.2", "10.1.0.6"]);
        assert_eq!(take("g"), "Taken");
        leases.give_back(Some("podman"), "c").unwrap();
        leases.give_back(Some("other"), "d").unwrap();
        assert_eq!(take("g"), "10.1.0.4");
        assert_eq!(leases.of("podman").unwrap().len(), 5);
    }

    #[test]
    fn addresses_that_are_asked_for_must_be_free() {
        let directory = tempfile::tempdir().unwrap();
        let leases = Leases::new(directory.path());
        let one = network("10.1.0.0/24");
        let take = |id: &str, wanted: &str| text(leases.take(&one, id, &[wanted.parse().unwrap()]));
        assert_eq!(take("a", "10.1.0.7"), "10.1.0.7");
        assert_eq!(take("a", "10.1.0.7"), "10.1.0.7");
        assert_eq!(take("b", "10.1.0.7"), "Taken");
        assert_eq!(take("b", "10.1.0.1"), "Taken");
        assert_eq!(take("b", "10.2.0.1"), "Invalid");
        fs::create_dir(directory.path().join("aardvark-dns")).unwrap();
        let names = "10.1.0.1\nabc 10.1.0.254,10.1.0.253  web,abc\n";
        fs::write(directory.path().join("aardvark-dns/podman"), names).unwrap();
        assert_eq!(take("c", "10.1.0.254"), "Taken");
        assert_eq!(text(leases.take(&one, "d", &[])), "10.1.0.252");
    }

    #[test]
    fn leases_of_another_start_of_the_machine_are_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let leases = Leases::new(directory.path());
        for old in [
            "{\"boot\":\"x\",\"networks\":{\"podman\":{\"taken\":{\"10.1.0.254\":\"a\"}}}}",
            "{",
            "",
        ] {
            fs::write(leases.file(), old).unwrap();
            assert_eq!(text(leases.take(&network("10.1.0.0/24"), "b", &[])), "10.1.0.254");
        }
    }

    #[test]
    fn many_take_at_once_and_none_gets_what_another_has() {
        let directory = tempfile::tempdir().unwrap();
        let leases = Leases::new(directory.path());
        let network = network("10.1.0.0/24");
        let mut all: Vec<String> = std::thread::scope(|scope| {
            let (leases, network) = (&leases, &network);
            let take =
                |id: usize| scope.spawn(move || text(leases.take(network, &id.to_string(), &[])));
            (0..20).map(take).map(|one| one.join().unwrap()).collect()
        });
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 20);
    }
}
