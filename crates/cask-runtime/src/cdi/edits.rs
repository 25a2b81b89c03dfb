//! What a container gets.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags};

use super::document::{BoundFile, Edits, NamedHook, Node};
use crate::cgroup::DeviceAccess;
use crate::error::{Error, ErrorKind, Result};
use crate::hooks::{Hook, HookStage};
use crate::mount::{Mount, MountAccess, Propagation};
use crate::spec::{Device, RunSpec};

/// What nodes have whose permissions nobody says. Source: runc, `libcontainer/specconv`, `createDevices`.
const USUAL_MODE: u32 = 0o666;

/// What a container gets with devices of the Container Device Interface.
#[derive(Clone, Debug, Default)]
pub struct CdiEdits {
    environment: Vec<(OsString, OsString)>,
    nodes: Vec<DeviceNode>,
    mounts: Vec<BindMount>,
    hooks: Vec<Hook>,
    groups: Vec<u32>,
    pub(super) warnings: Vec<String>,
}

#[derive(Clone, Debug)]
struct DeviceNode {
    /// Its owner is that of the process where nobody says one.
    device: Device,
    uid: Option<u32>,
    gid: Option<u32>,
}

#[derive(Clone, Debug)]
struct BindMount {
    source: PathBuf,
    target: PathBuf,
    access: MountAccess,
    recursive: bool,
    propagation: Propagation,
}

impl CdiEdits {
    /// Whether a container gets nothing.
    pub fn is_empty(&self) -> bool {
        self.environment.is_empty()
            && self.nodes.is_empty()
            && self.mounts.is_empty()
            && self.hooks.is_empty()
            && self.groups.is_empty()
    }

    /// The devices whose nodes it gets, which its control group must let pass.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.nodes.iter().map(|node| &node.device)
    }

    /// What is wrong with files that might have had something to say.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What of it is mounted: files of the machine, and devices outside of `/dev`.
    ///
    /// # Errors
    /// `NotFound`, `Denied` and `Io` where something of the machine cannot be opened.
    pub fn mounts(&self) -> Result<Vec<Mount>> {
        let mut all = Vec::new();
        for device in self.devices().filter(|device| !has_node(device)) {
            all.push(Mount::bind(open(&device.source)?, &device.path));
        }
        for mount in &self.mounts {
            let mut made = Mount::bind(open(&mount.source)?, &mount.target);
            made.options.access = mount.access;
            made.options.recursive = mount.recursive;
            made.options.propagation = mount.propagation;
            all.push(made);
        }
        Ok(all)
    }

    /// Has a process get all of it: of variables, nodes and mounts it replaces what has the same name or place.
    ///
    /// Source: container-device-interface, `ContainerEdits.Apply`.
    ///
    /// # Errors
    /// `NotFound`, `Denied` and `Io` where something of the machine cannot be opened.
    pub fn apply(&self, spec: &mut RunSpec) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let process = &mut spec.process;
        process.environment.extend(self.environment.iter().cloned());
        process.identity.groups.extend(&self.groups);
        for node in &self.nodes {
            let mut device = node.device.clone();
            device.uid = node.uid.unwrap_or(process.identity.uid);
            device.gid = node.gid.unwrap_or(process.identity.gid);
            spec.files.devices.retain(|known| known.path != device.path);
            if has_node(&device) {
                spec.files.devices.push(device);
            }
        }
        for made in self.mounts()? {
            spec.files.mounts.retain(|known| known.target != made.target);
            spec.files.mounts.push(made);
        }
        // What is below something else is mounted after it.
        spec.files.mounts.sort_by_key(|mount| mount.target.components().count());
        spec.hooks.list.extend(self.hooks.iter().cloned());
        Ok(())
    }

    /// Adds what a file says; the device is whose fault it is.
    pub(super) fn add(&mut self, edits: &Edits, device: &str, file: &Path) -> Result<()> {
        let refused = |why: String| {
            let subject = format!("{device} of {}", file.display());
            Error::new(ErrorKind::InvalidSpec, "use the CDI device", subject).with_detail(why)
        };
        if edits.intel_rdt.is_some() {
            let why = "intelRdt: classes of caches and memory bandwidth are not set";
            return Err(refused(why.to_owned()));
        }
        if !edits.net_devices.is_empty() {
            let why = "netDevices: interfaces of networks are not moved into containers";
            return Err(refused(why.to_owned()));
        }
        for entry in &edits.env {
            if let Some((name, value)) = entry.split_once('=') {
                self.environment.push((name.into(), value.into()));
            }
        }
        for given in &edits.device_nodes {
            let node = node(given).map_err(|wrong| match wrong {
                Wrong::Words(why) => refused(why),
                Wrong::Machine(error) => {
                    refused(format!("failed to stat CDI host device {:?}", host_path(given)))
                        .with_source(error)
                }
            })?;
            self.nodes.retain(|known| known.device.path != node.device.path);
            self.nodes.push(node);
        }
        for given in &edits.mounts {
            let mount = mount(given).map_err(&refused)?;
            self.mounts.retain(|known| known.target != mount.target);
            self.mounts.push(mount);
        }
        for given in &edits.hooks {
            self.hooks.push(hook(given).map_err(&refused)?);
        }
        // The group 0 means none. Source: CDI specification, SPEC.md, "CDI JSON Specification".
        self.groups.extend(edits.additional_gids.iter().filter(|gid| **gid != 0));
        Ok(())
    }
}

/// Whether a node is made of a device, which can only be below `/dev`.
fn has_node(device: &Device) -> bool {
    device.path.starts_with("/dev")
}

enum Wrong {
    Words(String),
    Machine(Error),
}

fn host_path(node: &Node) -> &str {
    if node.host_path.is_empty() { &node.path } else { &node.host_path }
}

/// Source: container-device-interface, `DeviceNode.fillMissingInfo`.
fn node(given: &Node) -> Result<DeviceNode, Wrong> {
    let path = Path::new(&given.path);
    if !path.is_absolute() {
        return Err(Wrong::Words(format!("the path {path:?} of a node is not absolute")));
    }
    if given.kind == "p" {
        return Err(Wrong::Words(format!("{path:?} is a FIFO: those are not made")));
    }
    let access = match given.permissions.as_str() {
        "" => DeviceAccess::ALL,
        "none" => DeviceAccess { read: false, write: false, make: false },
        letters => DeviceAccess::of_letters(letters).unwrap_or(DeviceAccess::ALL),
    };
    let number = |number: i64, what: &str| {
        let why = || Wrong::Words(format!("{what} of {path:?} is no number of a device: {number}"));
        u32::try_from(number).map_err(|_| why())
    };
    let source = Path::new(host_path(given));
    let is_block = given.kind == "b";
    let mut device = match !given.kind.is_empty() && given.major != 0 {
        true => Device {
            path: path.to_owned(),
            source: source.to_owned(),
            block: is_block,
            major: number(given.major, "major")?,
            minor: number(given.minor, "minor")?,
            mode: USUAL_MODE,
            uid: 0,
            gid: 0,
            access,
        },
        false => {
            let mut found = Device::of(source, path).map_err(Wrong::Machine)?;
            if !given.kind.is_empty() && found.block != is_block {
                let found = if found.block { "b" } else { "c" };
                return Err(Wrong::Words(format!(
                    "CDI device ({path:?}, {source:?}), host type mismatch ({}, {found})",
                    given.kind
                )));
            }
            if given.major != 0 {
                found.major = number(given.major, "major")?;
                found.minor = number(given.minor, "minor")?;
            }
            found
        }
    };
    device.mode = given.file_mode.unwrap_or(USUAL_MODE) & 0o777;
    device.access = access;
    Ok(DeviceNode { device, uid: given.uid, gid: given.gid })
}

fn mount(given: &BoundFile) -> Result<BindMount, String> {
    let BoundFile { host_path, container_path, kind, options } = given;
    for path in [host_path, container_path] {
        if !path.starts_with('/') {
            return Err(format!("the path {path:?} of a mount is not absolute"));
        }
    }
    let mut mount = BindMount {
        source: host_path.into(),
        target: container_path.into(),
        access: MountAccess::default(),
        recursive: true,
        propagation: Propagation::Private,
    };
    let mut is_bound = matches!(kind.as_str(), "" | "bind");
    for option in options {
        let access = &mut mount.access;
        match option.as_str() {
            "bind" => (is_bound, mount.recursive) = (true, false),
            "rbind" => (is_bound, mount.recursive) = (true, true),
            "ro" => access.read_only = true,
            "rw" => access.read_only = false,
            "nosuid" => access.no_setuid = true,
            "suid" => access.no_setuid = false,
            "nodev" => access.no_devices = true,
            "dev" => access.no_devices = false,
            "noexec" => access.no_execute = true,
            "exec" => access.no_execute = false,
            "private" | "rprivate" => mount.propagation = Propagation::Private,
            "slave" | "rslave" => mount.propagation = Propagation::Slave,
            "shared" | "rshared" => mount.propagation = Propagation::DangerShared,
            other => {
                return Err(format!("{other:?} is no option of the mount of {host_path:?}"));
            }
        }
    }
    match is_bound {
        true => Ok(mount),
        false => Err(format!(
            "the mount of {host_path:?} is of the type {kind:?}: only files of the machine are mounted"
        )),
    }
}

fn hook(given: &NamedHook) -> Result<Hook, String> {
    let NamedHook { hook_name, path, args, env, timeout } = given;
    let stage = HookStage::named(hook_name).filter(|stage| *stage != HookStage::Precreate);
    let stage = stage.ok_or_else(|| format!("invalid hook name {hook_name:?}"))?;
    if !path.starts_with('/') {
        return Err(format!("the path of the hook {path:?} is not absolute"));
    }
    if stage != HookStage::StartContainer && !Path::new(path).exists() {
        return Err(format!("the hook {path}: no such file or directory"));
    }
    let mut hook = Hook::new(stage, path);
    hook.arguments.clone_from(args);
    hook.environment.clone_from(env);
    hook.timeout_seconds = match *timeout {
        None => None,
        Some(seconds) => Some(
            u32::try_from(seconds)
                .ok()
                .filter(|seconds| *seconds > 0)
                .ok_or_else(|| format!("the timeout of the hook {path:?} is {seconds}"))?,
        ),
    };
    Ok(hook)
}

fn open(path: &Path) -> Result<Arc<std::os::fd::OwnedFd>> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(CWD, path, flags, Mode::empty());
    opened.map(Arc::new).map_err(|error| Error::io(error, "open", path.display()))
}
