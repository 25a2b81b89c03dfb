//! The processes of a container.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cask_image::{Timestamp, go_duration};
use cask_rootfs::Root;
use cask_runtime::IdRange;

use super::{Container, Containers, SpaceMode};
use crate::{Error, ErrorKind, Result};

/// The longest command line that is read.
const LONGEST_COMMAND: u64 = 64 << 10;

/// One thing that is told of a process, by its name.
///
/// Source: containers/psgo, `aixFormatDescriptors`.
#[derive(Clone, Copy, Debug)]
pub struct TopField {
    name: &'static str,
    code: &'static str,
    header: &'static str,
    read: fn(&Seen<'_>) -> String,
}

impl TopField {
    /// The heading of its column.
    pub fn header(self) -> &'static str {
        self.header
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Finds one by its name, or by its letter after a `%`.
    pub fn named(text: &str) -> Option<Self> {
        let is_it = |field: &&Self| field.name == text || (field.code == text && text != "%");
        FIELDS.iter().find(is_it).copied()
    }
}

const fn field(
    name: &'static str,
    code: &'static str,
    header: &'static str,
    read: fn(&Seen<'_>) -> String,
) -> TopField {
    // An empty code is no letter of anything.
    TopField { name, code: if code.is_empty() { "%" } else { code }, header, read }
}

/// What is told where nothing else is asked for.
pub const TOP_FIELDS: [&str; 8] = ["user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args"];

const FIELDS: [TopField; 30] = [
    field("args", "%a", "COMMAND", |seen| seen.arguments()),
    field("capamb", "", "AMBIENT CAPS", |seen| seen.capabilities("CapAmb")),
    field("capbnd", "", "BOUNDING CAPS", |seen| seen.capabilities("CapBnd")),
    field("capeff", "", "EFFECTIVE CAPS", |seen| seen.capabilities("CapEff")),
    field("capinh", "", "INHERITED CAPS", |seen| seen.capabilities("CapInh")),
    field("capprm", "", "PERMITTED CAPS", |seen| seen.capabilities("CapPrm")),
    field("comm", "%c", "COMMAND", |seen| seen.name.clone()),
    field("etime", "%t", "ELAPSED", |seen| go_duration(seen.elapsed())),
    field("group", "%G", "GROUP", |seen| seen.own_id("Gid", 2)),
    field("groups", "", "GROUPS", |seen| seen.own_groups()),
    field("hgroup", "", "HGROUP", |seen| seen.id("Gid", 2, &seen.all.host_groups)),
    field("hgroups", "", "HGROUPS", |seen| seen.groups(&seen.all.host_groups)),
    field("hpid", "", "HPID", |seen| seen.pid.to_string()),
    field("huser", "", "HUSER", |seen| seen.id("Uid", 2, &seen.all.host_users)),
    field("label", "", "LABEL", |seen| seen.label()),
    field("nice", "%n", "NI", |seen| seen.stat(16).to_owned()),
    field("pcpu", "%C", "%CPU", |seen| seen.share()),
    field("pgid", "%r", "PGID", |seen| seen.inside("NSpgid", 2)),
    field("pid", "%p", "PID", |seen| seen.own_pid()),
    field("ppid", "%P", "PPID", |seen| seen.parent()),
    field("rgroup", "%g", "RGROUP", |seen| seen.own_id("Gid", 1)),
    field("rss", "", "RSS", |seen| seen.resident()),
    field("ruser", "%u", "RUSER", |seen| seen.own_id("Uid", 1)),
    field("seccomp", "", "SECCOMP", |seen| seen.seccomp()),
    field("state", "", "STATE", |seen| seen.stat(0).to_owned()),
    field("stime", "", "STIME", |seen| seen.began()),
    field("time", "%x", "TIME", |seen| go_duration(seen.used())),
    field("tty", "%y", "TTY", |seen| seen.terminal()),
    field("user", "%U", "USER", |seen| seen.own_id("Uid", 2)),
    field("vsz", "%z", "VSZ", |seen| (seen.number(20) / 1024).to_string()),
];

/// What all processes of a container have in common.
struct All {
    users: Names,
    groups: Names,
    host_users: Names,
    host_groups: Names,
    /// Who its users are outside.
    maps: super::UsersConfig,
    /// Who the users of the namespace that this process is in are on the machine, and the groups.
    outer: (Vec<IdRange>, Vec<IdRange>),
    up: Duration,
    ticks: u64,
    page_bytes: u64,
    host_pids: bool,
    pids: Vec<(u32, u32)>,
}

/// Names of numbers: `(number, name)`.
type Names = Vec<(u32, String)>;

/// A map of the user namespace that this process is in.
fn outer(file: &str) -> Vec<IdRange> {
    IdRange::of_map(&fs::read_to_string(Path::new("/proc/self").join(file)).unwrap_or_default())
}

/// A process, as `/proc` tells of it.
struct Seen<'a> {
    all: &'a All,
    pid: u32,
    name: String,
    /// The fields behind the name, from the state on.
    stat: String,
    status: String,
}

impl Containers {
    /// Tells of every process of a container, in the order in which they began: a row of texts, as many as `fields`.
    ///
    /// # Errors
    /// [`ErrorKind::StateImproper`] for one that does not run; [`ErrorKind::Io`].
    pub fn top(&self, container: &Container, fields: &[TopField]) -> Result<Vec<Vec<String>>> {
        let process = container.process()?;
        let root = process.root()?;
        let mut pids = processes(container, process.pid())?;
        pids.sort_unstable();
        let own = |pid: u32| -> Option<(u32, u32)> {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            Some((pid, line(&status, "NSpid")?.split_whitespace().last()?.parse().ok()?))
        };
        let all = All {
            users: names(&root, "etc/passwd"),
            groups: names(&root, "etc/group"),
            host_users: host_names("/etc/passwd"),
            host_groups: host_names("/etc/group"),
            maps: container.config.namespaces.user.clone(),
            outer: (outer("uid_map"), outer("gid_map")),
            up: up(),
            ticks: rustix::param::clock_ticks_per_second().max(1),
            page_bytes: rustix::param::page_size() as u64,
            host_pids: container.config.namespaces.pid == SpaceMode::Host,
            pids: pids.iter().filter_map(|pid| own(*pid)).collect(),
        };
        let seen = pids.iter().filter_map(|pid| look(&all, *pid));
        Ok(seen.map(|seen| fields.iter().map(|field| (field.read)(&seen)).collect()).collect())
    }
}

/// The numbers of a container's processes: those of its control group, else those that see the same processes.
fn processes(container: &Container, first: u32) -> Result<Vec<u32>> {
    if let Ok(group) = container.control_group() {
        let found = group.processes()?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    if container.config.namespaces.pid != SpaceMode::Private {
        return Ok(vec![first]);
    }
    let space = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = space(first);
    let failed = |error| super::record::io(error, "listing", "/proc".as_ref());
    let entries = fs::read_dir("/proc").map_err(failed)?;
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(pids.filter(|pid| own.is_some() && space(*pid) == own).collect())
}

fn look(all: &All, pid: u32) -> Option<Seen<'_>> {
    let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).ok();
    let stat = String::from_utf8_lossy(&read("stat")?).into_owned();
    // The name may have anything in it.
    let (before, behind) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    let status = String::from_utf8_lossy(&read("status")?).into_owned();
    Some(Seen { all, pid, name, stat: behind.trim().to_owned(), status })
}

impl Seen<'_> {
    /// A field behind the name; 0 is the state.
    fn stat(&self, number: usize) -> &str {
        self.stat.split(' ').nth(number).unwrap_or_default()
    }

    fn number(&self, field: usize) -> u64 {
        self.stat(field).parse().unwrap_or(0)
    }

    /// A number as the container has it.
    fn inside(&self, key: &str, host: usize) -> String {
        let inside = || line(&self.status, key)?.split_whitespace().last();
        match self.all.host_pids {
            true => self.stat(host).to_owned(),
            false => inside().unwrap_or_default().to_owned(),
        }
    }

    fn own_pid(&self) -> String {
        let known = self.all.pids.iter().find(|(pid, _)| *pid == self.pid);
        match known {
            Some((_, own)) if !self.all.host_pids => own.to_string(),
            _ => self.pid.to_string(),
        }
    }

    fn parent(&self) -> String {
        let parent = self.number(1);
        if self.all.host_pids {
            return parent.to_string();
        }
        // One that is not in the container is none to it.
        let known = self.all.pids.iter().find(|(pid, _)| u64::from(*pid) == parent);
        known.map_or(0, |(_, own)| *own).to_string()
    }

    /// The name of a user or group; which of its four numbers counts from 1.
    fn id(&self, key: &str, which: usize, names: &Names) -> String {
        let text = line(&self.status, key).unwrap_or_default();
        named(&self.outer(key, text.split_whitespace().nth(which - 1).unwrap_or_default()), names)
    }

    /// A number as this machine has it: this process may be in a user namespace.
    fn outer(&self, key: &str, number: &str) -> String {
        let ranges = if key == "Uid" { &self.all.outer.0 } else { &self.all.outer.1 };
        let found = number.parse::<u32>().ok().and_then(|number| {
            let range = ranges
                .iter()
                .find(|range| range.inside <= number && number - range.inside < range.count)?;
            range.outside.checked_add(number - range.inside)
        });
        found.map_or_else(|| number.to_owned(), |found| found.to_string())
    }

    /// As [`id`](Self::id), as the container sees it.
    fn own_id(&self, key: &str, which: usize) -> String {
        let text = line(&self.status, key).unwrap_or_default();
        self.own(key, text.split_whitespace().nth(which - 1).unwrap_or_default())
    }

    fn own_groups(&self) -> String {
        let text = line(&self.status, "Groups").unwrap_or_default();
        text.split_whitespace().map(|one| self.own("Gid", one)).collect::<Vec<_>>().join(",")
    }

    fn own(&self, key: &str, number: &str) -> String {
        let (ranges, names) = match key {
            "Uid" => (&self.all.maps.uids, &self.all.users),
            _ => (&self.all.maps.gids, &self.all.groups),
        };
        let own = number.parse().ok().and_then(|number| super::users::inside(ranges, number));
        named(&own.map_or_else(|| number.to_owned(), |own| own.to_string()), names)
    }

    fn groups(&self, names: &Names) -> String {
        let text = line(&self.status, "Groups").unwrap_or_default();
        let name = |one: &str| named(&self.outer("Gid", one), names);
        text.split_whitespace().map(name).collect::<Vec<_>>().join(",")
    }

    fn arguments(&self) -> String {
        let mut bytes = Vec::new();
        if let Ok(file) = fs::File::open(format!("/proc/{}/cmdline", self.pid)) {
            // What cannot be read is as if it were none: then its name is told.
            let _ = file.take(LONGEST_COMMAND).read_to_end(&mut bytes);
        }
        let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
        if text.is_empty() { format!("[{}]", self.name) } else { text }
    }

    fn capabilities(&self, key: &str) -> String {
        let text = line(&self.status, key).unwrap_or_default();
        let bits = u64::from_str_radix(text, 16).unwrap_or(0);
        let all = cask_runtime::CapabilitySet::all();
        let mut names: Vec<&str> = Vec::new();
        let mut known = 0;
        for one in all.iter() {
            known |= 1_u64 << one as u8;
            if bits & (1 << one as u8) != 0 {
                names.push(one.name().trim_start_matches("CAP_"));
            }
        }
        names.sort_unstable();
        match bits {
            0 => "none".to_owned(),
            bits if bits & known == known => "full".to_owned(),
            _ => names.join(","),
        }
    }

    fn label(&self) -> String {
        let text = fs::read_to_string(format!("/proc/{}/attr/current", self.pid));
        let text = text.unwrap_or_default();
        let text = text.trim_matches(['\0', '\n', ' ']);
        if text.is_empty() { "?".to_owned() } else { text.to_owned() }
    }

    fn seccomp(&self) -> String {
        match line(&self.status, "Seccomp") {
            Some("0") => "disabled",
            Some("1") => "strict",
            Some("2") => "filter",
            _ => "?",
        }
        .to_owned()
    }

    fn resident(&self) -> String {
        (self.number(21) * self.all.page_bytes / 1024).to_string()
    }

    fn of_ticks(&self, ticks: u64) -> Duration {
        let per_second = self.all.ticks;
        let rest = (ticks % per_second) * 1_000_000_000 / per_second;
        Duration::new(ticks / per_second, u32::try_from(rest).unwrap_or(0))
    }

    fn used(&self) -> Duration {
        self.of_ticks(self.number(11) + self.number(12))
    }

    fn elapsed(&self) -> Duration {
        self.all.up.saturating_sub(self.of_ticks(self.number(19)))
    }

    fn share(&self) -> String {
        let elapsed = self.elapsed().as_secs_f64();
        let share = if elapsed > 0.0 { self.used().as_secs_f64() * 100.0 / elapsed } else { 0.0 };
        format!("{share:.3}")
    }

    fn began(&self) -> String {
        let began = SystemTime::now().checked_sub(self.elapsed()).unwrap_or(UNIX_EPOCH);
        let since = began.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
        let text = Timestamp::from_unix(seconds, 0).unwrap_or(Timestamp::GO_ZERO).to_string();
        text.replace('T', " ").replace('Z', " +0000 UTC")
    }

    /// The terminal, as `/dev` has it. Source: proc_pid_stat(5), `tty_nr`.
    fn terminal(&self) -> String {
        let number = self.number(4);
        let (major, minor) = ((number >> 8) & 0xfff, (number & 0xff) | ((number >> 12) & 0xfff00));
        match major {
            136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
            4 if minor < 64 => format!("tty{minor}"),
            4 => format!("ttyS{}", minor - 64),
            _ => "?".to_owned(),
        }
    }
}

/// The text behind a name in `/proc/PID/status`.
fn line<'t>(status: &'t str, key: &str) -> Option<&'t str> {
    let mut lines = status.lines();
    lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(str::trim)
}

fn named(number: &str, names: &Names) -> String {
    let known = names.iter().find(|(known, _)| number.parse() == Ok(*known));
    known.map_or_else(|| number.to_owned(), |(_, name)| name.clone())
}

fn names(root: &Root, path: &str) -> Names {
    let mut text = Vec::new();
    match root.open_file_following(path) {
        Ok(file) => match file.take(1 << 20).read_to_end(&mut text) {
            Ok(_) => parse_names(&text),
            Err(_) => Vec::new(),
        },
        Err(_) => Vec::new(),
    }
}

fn host_names(path: &str) -> Names {
    parse_names(&fs::read(path).unwrap_or_default())
}

fn parse_names(text: &[u8]) -> Names {
    let text = String::from_utf8_lossy(text);
    let one = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    text.lines().filter_map(one).collect()
}

fn up() -> Duration {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text.split_whitespace().next().and_then(|text| text.parse::<f64>().ok());
    seconds.map_or(Duration::ZERO, Duration::from_secs_f64)
}

/// Says which of some names is none of a field.
///
/// # Errors
/// [`ErrorKind::Invalid`], in podman's words.
pub fn parse_top_fields(words: &[&str]) -> Result<Vec<TopField>> {
    let unknown = |word: &str| {
        Error::new(ErrorKind::Invalid, format_args!("unknown descriptor {word:?}"), "")
    };
    let words =
        words.iter().flat_map(|word| word.split([',', ' '])).filter(|word| !word.is_empty());
    words.map(|word| TopField::named(word).ok_or_else(|| unknown(word))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_names_and_letters() {
        let headers = |words: &[&str]| {
            let fields = parse_top_fields(words).ok()?;
            Some(fields.iter().map(|field| field.header()).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(headers(&["pid,comm", "%C"]).as_deref(), Some("PID COMMAND %CPU"));
        assert_eq!(
            headers(&TOP_FIELDS).as_deref(),
            Some("USER PID PPID %CPU ELAPSED TTY TIME COMMAND")
        );
        for wrong in ["nosuch", "%", "%Q", "-ef"] {
            assert_eq!(headers(&[wrong]), None, "{wrong}");
        }
    }
}
