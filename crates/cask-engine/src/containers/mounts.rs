//! Mounts of containers as they are written on command lines.

mod glob;

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

/// One mount of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct MountConfig {
    /// What is mounted.
    pub kind: MountType,
    /// A path of this machine, the name of a volume, or an image; empty for a volume without a name.
    pub source: String,
    /// Where.
    pub target: PathBuf,
    /// Nothing can be written through it.
    pub read_only: bool,
    /// Whether set-user-ID programs work.
    pub suid: bool,
    /// Whether device nodes work.
    pub dev: bool,
    /// Device nodes do not work even where the container may use any.
    pub no_dev: bool,
    /// Whether programs cannot be run from it.
    pub no_exec: bool,
    /// What is mounted below the source does not come along.
    pub not_recursive: bool,
    /// `private`, `slave` or `shared`.
    pub propagation: String,
    /// The most that a directory in memory may hold, in bytes.
    pub size_bytes: Option<u64>,
    /// The permissions of a directory in memory.
    pub mode: Option<u32>,
    /// The source, with all in it, becomes the container's user's.
    pub own: bool,
    /// Files belong to whom the container's user namespace maps their owners to.
    pub shift_owners: bool,
    /// An empty volume is not filled with what the image has there.
    pub no_copy: bool,
    /// Whether a directory in memory begins with what the image has there: `tmpcopyup` or `notmpcopyup`; `None` is that
    /// nobody said so, and it does.
    pub copies_up: Option<bool>,
    /// A volume that nobody named goes with its container.
    pub anonymous: bool,
    /// A path below the source.
    pub subpath: String,
    /// The source stays as it is: what is changed is kept elsewhere, and goes when the container ends.
    pub overlay: bool,
    /// Where changes are kept, and stay; empty is with the container.
    pub upper: String,
    /// A directory for the kernel beside `upper`.
    pub work: String,
}

/// What a [`MountConfig`] mounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MountType {
    /// A file or a directory of this machine.
    #[default]
    Bind,
    /// A volume.
    Volume,
    /// A directory in memory.
    Tmpfs,
    /// A directory in memory that is never written to a disk, and that nothing limits.
    Ramfs,
    /// The files of an image.
    Image,
    /// The terminals of a container.
    Devpts,
}

impl MountType {
    /// The word of `--mount` and `inspect`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Volume => "volume",
            Self::Tmpfs => "tmpfs",
            Self::Ramfs => "ramfs",
            Self::Image => "image",
            Self::Devpts => "devpts",
        }
    }

    /// Whether it is a directory in memory.
    pub fn is_memory(self) -> bool {
        matches!(self, Self::Tmpfs | Self::Ramfs)
    }
}

fn invalid(text: &str, why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, format_args!("{text:?}"), why)
}

/// A path of a container: absolute, and without `..`.
pub(crate) fn target(text: &str, whole: &str) -> Result<PathBuf> {
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err(invalid(
            whole,
            format!("invalid container path {text:?}, must be an absolute path"),
        ));
    }
    let mut clean = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            _ => {}
        }
    }
    if clean == Path::new("/") {
        return Err(invalid(whole, "nothing can be mounted over the root of a container"));
    }
    Ok(clean)
}

/// A path without `.` and double slashes.
fn clean(path: &Path) -> String {
    path.components().collect::<PathBuf>().display().to_string()
}

impl MountConfig {
    /// A mount of nothing yet.
    pub fn new(kind: MountType, source: impl Into<String>, target: impl Into<PathBuf>) -> Self {
        let (source, target) = (source.into(), target.into());
        // What this machine has is as good as it is there.
        let suid = kind == MountType::Bind;
        Self { kind, source, target, suid, propagation: "rprivate".to_owned(), ..Self::default() }
    }

    /// Reads the value of `--volume`: `[SOURCE:]TARGET[:OPTIONS]`.
    ///
    /// A source that begins with `/` or `.` is a path of this machine (relative to `here`), any other one the name
    /// of a volume; without a source a volume is made for the container.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`].
    pub fn of_volume(text: &str, here: &Path) -> Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (source, to, options) = match parts.as_slice() {
            [to] => ("", *to, ""),
            [source, to] if to.starts_with('/') => (*source, *to, ""),
            [to, options] if to.starts_with('/') && !options.is_empty() => ("", *to, *options),
            [source, to, options] => (*source, *to, *options),
            _ => {
                let why = "incorrect volume format, should be [host-dir:]ctr-dir[:option]";
                return Err(invalid(text, why));
            }
        };
        if parts.len() > 1 && source.is_empty() && to == parts[1] {
            return Err(invalid(text, "host directory cannot be empty"));
        }
        let mut mount = Self::new(MountType::Volume, source, target(to, text)?);
        if source.starts_with('/') || source.starts_with('.') {
            (mount.kind, mount.suid) = (MountType::Bind, true);
            mount.source = clean(&here.join(source));
        } else {
            mount.anonymous = source.is_empty();
            if !source.is_empty() {
                check_name(source)?;
            }
        }
        mount.overlay = options.split(',').any(|option| option == "O");
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match mount.overlay {
                true => mount.set_overlay(split(option), here, text)?,
                false => mount.set(option, None, text)?,
            }
        }
        if mount.upper.is_empty() != mount.work.is_empty() {
            return Err(invalid(text, "must set both `upperdir` and `workdir`"));
        }
        Ok(mount)
    }

    /// Sets one option of an overlay, which has few. The words are podman's.
    ///
    /// Source: podman, `pkg/specgen/volumes.go`, `GenVolumeMounts`.
    fn set_overlay(
        &mut self,
        (name, value): (&str, Option<&str>),
        here: &Path,
        text: &str,
    ) -> Result<()> {
        let path = |value: &str| clean(&here.join(value));
        match (name, value) {
            ("O", None) => {}
            ("upperdir", Some(value)) if self.upper.is_empty() => self.upper = path(value),
            ("workdir", Some(value)) if self.work.is_empty() => self.work = path(value),
            _ => return Err(invalid(text, "can't use 'O' with other options")),
        }
        Ok(())
    }

    /// Reads the value of `--tmpfs`: `TARGET[:OPTIONS]`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`].
    pub fn of_tmpfs(text: &str) -> Result<Self> {
        let (to, options) = text.split_once(':').unwrap_or((text, ""));
        let mut mount = Self::new(MountType::Tmpfs, "tmpfs", target(to, text)?);
        for option in options.split(',').filter(|option| !option.is_empty()) {
            let (name, value) = split(option);
            mount.set(name, value, text)?;
        }
        Ok(mount)
    }

    /// Reads the value of `--mount`: `type=TYPE,source=SOURCE,target=TARGET,…`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`].
    pub fn of_mount(text: &str, here: &Path) -> Result<Self> {
        let mut options: Vec<(&str, Option<&str>)> = text.split(',').map(split).collect();
        let kind = match options.iter().position(|(name, _)| *name == "type") {
            None => MountType::Volume,
            Some(place) => match options.remove(place).1 {
                Some("bind") => MountType::Bind,
                Some("volume") => MountType::Volume,
                Some("tmpfs") => MountType::Tmpfs,
                Some("ramfs") => MountType::Ramfs,
                Some("image") => MountType::Image,
                Some("devpts") => MountType::Devpts,
                other => {
                    let why = format!("invalid filesystem type {:?}", other.unwrap_or_default());
                    return Err(invalid(text, why));
                }
            },
        };
        let mut mount = Self::new(kind, "", "");
        mount.read_only = kind == MountType::Image;
        for (name, value) in options {
            match (name, value) {
                ("source" | "src", Some(value)) => value.clone_into(&mut mount.source),
                ("target" | "destination" | "dst" | "dest", Some(value)) => {
                    mount.target = target(value, text)?;
                }
                (name, value) => mount.set(name, value, text)?,
            }
        }
        mount.finish(here, text)
    }

    fn finish(mut self, here: &Path, text: &str) -> Result<Self> {
        if self.target.as_os_str().is_empty() {
            return Err(invalid(text, "must set volume destination"));
        }
        match self.kind {
            MountType::Bind if self.source.is_empty() => {
                self.source = self.target.display().to_string();
            }
            MountType::Bind => self.source = clean(&here.join(&self.source)),
            MountType::Volume => {
                self.anonymous = self.source.is_empty();
                if !self.anonymous {
                    check_name(&self.source)?;
                }
            }
            MountType::Image if self.source.is_empty() => {
                return Err(invalid(text, "must set source and destination for image volume"));
            }
            // What is written goes with the container.
            MountType::Image => self.overlay = !self.read_only,
            MountType::Tmpfs | MountType::Ramfs | MountType::Devpts if !self.source.is_empty() => {
                return Err(invalid(text, "it has no source"));
            }
            kind if kind.is_memory() => kind.as_str().clone_into(&mut self.source),
            _ => {}
        }
        Ok(self)
    }

    /// Sets one option: a word, or a name with a value.
    fn set(&mut self, name: &str, value: Option<&str>, text: &str) -> Result<()> {
        let flag = |value: Option<&str>| match value {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => Err(invalid(text, format!("{name} is true or false, not {other:?}"))),
        };
        let unknown = || Err(invalid(text, format!("invalid mount option {name:?}")));
        let in_memory = self.kind.is_memory();
        match name {
            "ro" | "readonly" => self.read_only = flag(value)?,
            "rw" | "readwrite" => self.read_only = !flag(value)?,
            "suid" => self.suid = flag(value)?,
            "nosuid" => self.suid = !flag(value)?,
            "dev" | "nodev" => {
                self.dev = flag(value)? == (name == "dev");
                self.no_dev = !self.dev;
            }
            "exec" => self.no_exec = !flag(value)?,
            "noexec" => self.no_exec = flag(value)?,
            "bind" => self.not_recursive = true,
            "rbind" => self.not_recursive = false,
            "bind-nonrecursive" => self.not_recursive = flag(value)?,
            "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared"
                if value.is_none() =>
            {
                name.clone_into(&mut self.propagation);
            }
            "bind-propagation" => match value {
                // One of these words and nothing else (CVE-2024-9407).
                Some(
                    word @ ("private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared"),
                ) => {
                    word.clone_into(&mut self.propagation);
                }
                _ => return unknown(),
            },
            "z" | "Z" if in_memory => {
                let why = "the 'z' and 'Z' options are not allowed with tmpfs mounts: invalid mount option";
                return Err(invalid(text, why));
            }
            // SELinux labels are not set here: there is nothing to do where it is not used.
            "z" | "Z" | "relabel" => {}
            "U" | "chown" => self.own = flag(value)?,
            "idmap" => self.shift_owners = flag(value)?,
            "copy" => self.no_copy = false,
            "nocopy" => self.no_copy = true,
            "tmpcopyup" | "notmpcopyup" if in_memory && value.is_none() => {
                if self.copies_up.replace(name == "tmpcopyup").is_some() {
                    let why = "the 'tmpcopyup' or 'notmpcopyup' option can only be set once: \
                        duplicate mount option passed";
                    return Err(invalid(text, why));
                }
            }
            "size" | "tmpfs-size" if self.kind == MountType::Ramfs => {
                return Err(invalid(text, "nothing limits a ramfs; type=tmpfs has a size"));
            }
            "size" | "tmpfs-size" if in_memory => self.size_bytes = Some(size(value, text)?),
            "mode" | "tmpfs-mode" if in_memory => {
                let mode = value.and_then(|mode| u32::from_str_radix(mode, 8).ok());
                self.mode = Some(mode.ok_or_else(|| invalid(text, "the mode is octal"))?);
            }
            "subpath" | "volume-subpath" => {
                value.unwrap_or_default().clone_into(&mut self.subpath);
            }
            "consistency" => {}
            _ => return unknown(),
        }
        Ok(())
    }

    /// Whether it is a directory in memory that begins with what the image has there. One on `/dev`, which is no
    /// directory of the image, does not.
    ///
    /// Source: podman, `pkg/util/mountOpts.go`, `ProcessOptions`; `pkg/specgen/generate/storage.go`, `initFSMounts`.
    pub fn takes_files_over(&self) -> bool {
        self.kind.is_memory() && self.copies_up != Some(false) && self.target != Path::new("/dev")
    }

    /// The options as `inspect` has them.
    pub fn options(&self) -> Vec<&str> {
        let mut options = Vec::new();
        let mut add = |holds: bool, name| options.extend(holds.then_some(name));
        add(self.overlay, "O");
        add(!self.suid, "nosuid");
        add(!self.dev, "nodev");
        add(self.no_exec, "noexec");
        add(self.own, "U");
        add(self.takes_files_over(), "tmpcopyup");
        add(!self.kind.is_memory(), if self.not_recursive { "bind" } else { "rbind" });
        options
    }
}

fn split(option: &str) -> (&str, Option<&str>) {
    match option.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (option, None),
    }
}

/// A number of bytes with a unit: `64m`.
fn size(value: Option<&str>, text: &str) -> Result<u64> {
    let value = value.unwrap_or_default();
    parse_bytes(value).ok_or_else(|| invalid(text, format!("{value:?} is no size")))
}

/// Reads `64m`, `1g`, `512k`, `100b`, `1.5GiB` or a number: powers of 1024.
///
/// Source: docker/go-units, `RAMInBytes`.
pub fn parse_bytes(text: &str) -> Option<u64> {
    scaled_bytes(text, 1024)
}

/// Reads what [`parse_bytes`] reads as powers of 1000: the sizes of logs, as podman counts them.
///
/// Source: docker/go-units, `FromHumanSize`.
pub fn parse_decimal_bytes(text: &str) -> Option<u64> {
    scaled_bytes(text, 1000)
}

fn scaled_bytes(text: &str, base: u64) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits);
    let power = match unit.trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return None,
    };
    let factor = base.pow(power);
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    let number: f64 = number.parse().ok()?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "fractions of units are no exact bytes, and casts stop at the ends"
    )]
    let bytes = (number * factor as f64) as u64;
    Some(bytes)
}

/// Refuses what is no name of a container, a volume or a network: names become paths.
///
/// Source: podman, `libpod/define`, `NameRegex`.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if first && bytes.all(known) && name.len() <= 255 {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Invalid,
        format_args!("{name:?}"),
        "names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(mount: &MountConfig) -> String {
        let ro = if mount.read_only { " ro" } else { "" };
        let over = if mount.overlay { " over" } else { "" };
        format!("{} {}->{}{ro}{over}", mount.kind.as_str(), mount.source, mount.target.display())
    }

    #[test]
    fn volumes_are_read() {
        let check = |text: &str, expected: &str| {
            let found = MountConfig::of_volume(text, Path::new("/here"));
            assert_eq!(found.map(|mount| shown(&mount)).unwrap_or_default(), expected, "{text}");
        };
        check("/a:/b", "bind /a->/b");
        check("./a:/b:ro", "bind /here/a->/b ro");
        check("name:/b", "volume name->/b");
        check("/b", "volume ->/b");
        check("/a:/b/../c:Z,rslave", "bind /a->/c");
        check("/a:/b:O", "bind /a->/b over");
        check("/a:/b:upperdir=u,workdir=/w,O", "bind /a->/b over");
        for wrong in ["/a:/b:O,ro", "/a:/b:O,upperdir=/u", "/a:/b:upperdir=/u,workdir=/w"] {
            check(wrong, "");
        }
        for wrong in ["", "a", ":/b", "/a:/b:nope", "a:b:c:d", "/a:b", "na/me:/b", "/a:/", "..:b"] {
            check(wrong, "");
        }
    }

    #[test]
    fn mounts_are_read() {
        let check = |text: &str, expected: &str| {
            let found = MountConfig::of_mount(text, Path::new("/here"));
            assert_eq!(found.map(|mount| shown(&mount)).unwrap_or_default(), expected, "{text}");
        };
        check("type=bind,src=/a,dst=/b,ro", "bind /a->/b ro");
        check("type=bind,src=a,target=/b,readonly=false", "bind /here/a->/b");
        check("type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=700", "tmpfs tmpfs->/t");
        check("type=ramfs,dst=/t,tmpfs-mode=700", "ramfs ramfs->/t");
        check("type=devpts,dst=/t", "devpts ->/t");
        check("type=volume,source=v,target=/b", "volume v->/b");
        check("source=v,target=/b", "volume v->/b");
        check("type=image,source=alpine,target=/i", "image alpine->/i ro");
        check("type=image,src=alpine,dst=/b,rw=true", "image alpine->/b over");
        for wrong in [
            "type=bind,src=/a",
            "type=nope,src=/a,dst=/b",
            "type=bind,src=/a,dst=/b,bind-propagation=rprivate:ro",
            "type=bind,src=/a,dst=/b,size=1",
            "type=tmpfs,src=/a,dst=/b",
            "type=image,dst=/b",
            "type=bind,src=/a,dst=/b,O",
            "type=devpts,dst=/b,size=1",
            "type=devpts,src=/a,dst=/b",
            "type=ramfs,dst=/b,size=1m",
        ] {
            check(wrong, "");
        }
    }

    #[test]
    fn memory_takes_over_what_the_image_has_unless_somebody_says_so() {
        let check = |options: &str, expected: Option<&[&str]>| {
            let of_tmpfs = MountConfig::of_tmpfs(&format!("/t{}", options.replacen(',', ":", 1)));
            let text = format!("type=tmpfs,dst=/t{options}");
            let of_mount = MountConfig::of_mount(&text, Path::new("/"));
            for found in [of_tmpfs, of_mount] {
                let found = found.ok();
                let found = found.as_ref().map(MountConfig::options);
                assert_eq!(found.as_deref(), expected, "{options}");
            }
        };
        check("", Some(&["nosuid", "nodev", "tmpcopyup"]));
        check(",tmpcopyup,size=1m", Some(&["nosuid", "nodev", "tmpcopyup"]));
        check(",notmpcopyup", Some(&["nosuid", "nodev"]));
        check(",tmpcopyup,notmpcopyup", None);
        check(",notmpcopyup,notmpcopyup", None);
        check(",Z", None);
        assert!(!MountConfig::of_tmpfs("/dev").unwrap().takes_files_over());
        assert!(MountConfig::of_volume("/a:/b:tmpcopyup", Path::new("/")).is_err());
        assert!(MountConfig::of_volume("/a:/b:notmpcopyup", Path::new("/")).is_err());
    }

    #[test]
    fn sizes_have_units() {
        for (text, expected) in [
            ("64m", Some(64 << 20)),
            ("1G", Some(1 << 30)),
            ("512", Some(512)),
            ("1.5k", Some(1536)),
            ("10kb", Some(10240)),
            ("", None),
            ("m", None),
            ("1x", None),
            ("99999999999999g", None),
        ] {
            assert_eq!(parse_bytes(text), expected, "{text}");
        }
        // As podman records them in `inspect`.
        for (text, expected) in [
            ("10k", Some(10_000)),
            ("1MiB", Some(1_000_000)),
            ("1048576", Some(1_048_576)),
            ("1.5m", Some(1_500_000)),
            ("10x", None),
            ("-1", None),
        ] {
            assert_eq!(parse_decimal_bytes(text), expected, "{text}");
        }
    }
}
