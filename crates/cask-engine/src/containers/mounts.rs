//! Mounts of containers as they are written on command lines.

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
    /// A volume that nobody named goes with its container.
    pub anonymous: bool,
    /// A path below the source.
    pub subpath: String,
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
            Self::Image => "image",
            Self::Devpts => "devpts",
        }
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
        for option in options.split(',').filter(|option| !option.is_empty()) {
            mount.set(option, None, text)?;
        }
        Ok(mount)
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
                ("target" | "destination" | "dst", Some(value)) => {
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
            MountType::Devpts if self.target != Path::new("/dev/pts") => {
                let why = "terminals are mounted on /dev/pts of every container, and nowhere else";
                return Err(invalid(text, why));
            }
            MountType::Image if !self.read_only => {
                let why = "an image cannot be written to: leave rw out, or make a container of it";
                return Err(invalid(text, why));
            }
            MountType::Image if self.source.is_empty() => {
                return Err(invalid(text, "must set source and destination for image volume"));
            }
            MountType::Tmpfs | MountType::Devpts if !self.source.is_empty() => {
                return Err(invalid(text, "it has no source"));
            }
            MountType::Tmpfs => "tmpfs".clone_into(&mut self.source),
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
        let in_memory = self.kind == MountType::Tmpfs;
        match name {
            "ro" | "readonly" => self.read_only = flag(value)?,
            "rw" => self.read_only = !flag(value)?,
            "suid" => self.suid = flag(value)?,
            "nosuid" => self.suid = !flag(value)?,
            "dev" => self.dev = flag(value)?,
            "nodev" => self.dev = !flag(value)?,
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
            // SELinux labels are not set here: there is nothing to do where it is not used.
            "z" | "Z" | "relabel" => {}
            "U" | "chown" => self.own = flag(value)?,
            "idmap" => self.shift_owners = flag(value)?,
            "copy" => self.no_copy = false,
            "nocopy" => self.no_copy = true,
            "notmpcopyup" => {}
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

    /// The options as `inspect` has them.
    pub fn options(&self) -> Vec<&str> {
        let mut options = Vec::new();
        let mut add = |holds: bool, name| options.extend(holds.then_some(name));
        add(!self.suid, "nosuid");
        add(!self.dev, "nodev");
        add(self.no_exec, "noexec");
        add(self.own, "U");
        add(self.kind != MountType::Tmpfs, if self.not_recursive { "bind" } else { "rbind" });
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
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits);
    let shift = match unit.trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        "p" | "pb" | "pib" => 50,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift);
    }
    let number: f64 = number.parse().ok()?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "fractions of units are no exact bytes, and casts stop at the ends"
    )]
    let bytes = (number * (1_u64 << shift) as f64) as u64;
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
        format!("{} {}->{}{ro}", mount.kind.as_str(), mount.source, mount.target.display())
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
        check("type=volume,source=v,target=/b", "volume v->/b");
        check("source=v,target=/b", "volume v->/b");
        check("type=image,source=alpine,target=/i", "image alpine->/i ro");
        for wrong in [
            "type=bind,src=/a",
            "type=nope,src=/a,dst=/b",
            "type=bind,src=/a,dst=/b,bind-propagation=rprivate:ro",
            "type=bind,src=/a,dst=/b,size=1",
            "type=tmpfs,src=/a,dst=/b",
            "type=image,dst=/b",
            "type=image,src=alpine,dst=/b,rw=true",
            "type=devpts,dst=/b",
        ] {
            check(wrong, "");
        }
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
    }
}
