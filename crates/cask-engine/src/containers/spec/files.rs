//! What a container sees of files besides its root: mounts and devices.

use std::os::fd::AsFd as _;
use std::path::Path;

use cask_rootfs::Root;
use cask_runtime::{
    ControlGroupFiles, CopyUp, Device, DeviceAccess, DeviceRule, Identity, Memory, Mount,
    MountAccess, MountOptions, MountSource, Propagation, RunSpec,
};

use super::super::config::{ContainerConfig, SpaceMode};
use super::super::devices::devices;
use super::super::etc::EtcFile;
use super::super::mounts::{MountConfig, MountType};
use super::super::{overlays, record, resources};
use super::{Borrowed, Ingredients, open, open_place};
use crate::{Error, ErrorKind, Result};

/// What a container without a size for it gets as `/dev/shm`. Source: containers/common, `DefaultShmSize`.
const SHARED_MEMORY: u64 = 65_536_000;
/// What systemd has in memory, with the permissions where the image has no such directory.
///
/// Source: podman, `libpod/container_internal_linux.go`, `setupSystemd`.
const SYSTEMD: [(&str, u32); 4] =
    [("/run", 0o755), ("/run/lock", 0o1777), ("/tmp", 0o1777), ("/var/log/journal", 0o1777)];
/// What can be written of a root that cannot.
const WRITABLE: [&str; 3] = ["/run", "/tmp", "/var/tmp"];

impl Ingredients<'_> {
    pub(super) fn files(
        &self,
        spec: &mut RunSpec,
        root: &Root,
        borrowed: &mut Borrowed,
    ) -> Result<()> {
        let Self { config, .. } = self;
        spec.files.shared_memory_bytes = config.files.shm_bytes.unwrap_or(SHARED_MEMORY);
        spec.files.no_shared_memory = config.namespaces.ipc == SpaceMode::None;
        spec.files.read_only_root = config.files.read_only;
        spec.files.devices = devices(config)?;
        for rule in &config.resources.device_rules {
            spec.files.device_rules.push(resources::parse_device_rule(rule)?);
        }
        spec.files.control_groups = match config.process.systemd || config.security.privileged {
            true => ControlGroupFiles::Writable,
            false => ControlGroupFiles::ReadOnly,
        };
        if config.security.privileged {
            let mut devices = machine_devices();
            if config.process.systemd {
                devices.retain(|device| !is_virtual_terminal(&device.path));
            }
            spec.files.devices.extend(devices);
        }
        let mut mounts = std::mem::take(&mut spec.files.mounts);
        for file in self.containers.write_etc(config, self.place, root)? {
            mounts.push(etc_mount(&file, Path::new("/"))?);
            if matches!(file.target, "/etc/hosts" | "/etc/resolv.conf") {
                for root in &config.files.more_roots {
                    mounts.push(etc_mount(&file, root)?);
                }
            }
        }
        mounts.extend(self.shared_memory()?);
        mounts.extend(time_zone(config)?);
        if config.files.read_only && config.files.read_only_tmpfs {
            mounts.extend(WRITABLE.map(|path| in_memory(path, 0o1777, None)));
        }
        if config.process.systemd {
            let most = config.files.systemd_bytes.filter(|bytes| *bytes > 0);
            mounts.extend(SYSTEMD.map(|(path, mode)| in_memory(path, mode, most)));
        }
        let covers_devices =
            config.files.mounts.iter().any(|mount| mount.target == Path::new("/dev"));
        if covers_devices && config.namespaces.ipc == SpaceMode::Private {
            mounts.push(own_shared_memory(spec.files.shared_memory_bytes));
        }
        for mount in &config.files.mounts {
            // Every container has its terminals there.
            let is_usual = mount.target == Path::new("/dev/pts");
            if mount.kind == MountType::Devpts && is_usual && !covers_devices {
                continue;
            }
            mounts.retain(|known: &Mount| known.target != mount.target);
            mounts.push(self.mount(mount, spec, root, borrowed)?);
        }
        self.default_mounts(&mut mounts)?;
        // What is below something else is mounted after it.
        mounts.sort_by_key(|mount| mount.target.components().count());
        spec.files.mounts = mounts;
        Ok(())
    }

    /// Adds what every container is given copies of, where nothing else is mounted.
    fn default_mounts(&self, mounts: &mut Vec<Mount>) -> Result<()> {
        let owner = self.config.namespaces.user.outside(0, 0)?;
        for file in &self.containers.default_mounts {
            if mounts.iter().any(|known| known.target == file.target) {
                continue;
            }
            mounts.extend(file.mount(&self.place.run.join("given"), owner)?);
        }
        Ok(())
    }

    /// Shared memory that is another's.
    fn shared_memory(&self) -> Result<Option<Mount>> {
        Ok(match &self.config.namespaces.ipc {
            SpaceMode::Host => Some(Mount::bind(open(Path::new("/dev/shm"))?, "/dev/shm")),
            SpaceMode::Container(id) => {
                let taken = self.other(id)?.mount_at(Path::new("/dev/shm"))?;
                Some(Mount::bind(taken, "/dev/shm"))
            }
            _ => None,
        })
    }

    fn mount(
        &self,
        mount: &MountConfig,
        spec: &RunSpec,
        root: &Root,
        borrowed: &mut Borrowed,
    ) -> Result<Mount> {
        let identity = &spec.process.identity;
        let mut made = match mount.kind {
            MountType::Tmpfs => memory(mount, Memory::Tmpfs { size_bytes: mount.size_bytes }),
            MountType::Ramfs => memory(mount, Memory::Ramfs),
            MountType::Bind => self.bind(Path::new(&mount.source), mount, identity)?,
            MountType::Volume => {
                let volumes = self.containers.volumes();
                let path = self.containers.volume_of(mount)?;
                self.containers.take_volume(&mount.source, &self.config.id)?;
                if !mount.no_copy {
                    volumes.fill(&mount.source, root, &mount.target)?;
                }
                self.give_new_volume(&path, root, mount, identity)?;
                self.bind(&path, mount, identity)?
            }
            MountType::Image => {
                let image = self.containers.images().find(&mount.source)?.image.id.clone();
                let path = self.containers.store().mount_image(&image)?;
                borrowed.images.push(image);
                self.bind(&path, mount, identity)?
            }
            MountType::Devpts => {
                let mut made = Mount::new(MountSource::Terminals, &mount.target);
                made.options.access.no_setuid = true;
                made.options.access.no_execute = true;
                return Ok(made);
            }
        };
        if mount.overlay {
            made = overlays::over(made, mount, self.place, borrowed.overlays)?;
            borrowed.overlays += 1;
        }
        let is_plain = is_plain_device(&made.source);
        made.options = options(mount);
        // The machine's own files: of a volume or an image a container could have made the nodes.
        if mount.kind == MountType::Bind && !mount.no_dev && (self.guards_devices || is_plain) {
            made.options.access.no_devices = false;
        }
        Ok(made)
    }

    fn bind(&self, source: &Path, mount: &MountConfig, identity: &Identity) -> Result<Mount> {
        let made = if mount.subpath.is_empty() {
            let missing = |error: std::io::Error| {
                Error::new(ErrorKind::Invalid, format_args!("statfs {}", source.display()), "")
                    .with_source(error)
            };
            Mount::bind(open_place(source).map_err(missing)?, &mount.target)
        } else {
            let root = Root::open(source)?;
            Mount::bind_below(&root, Path::new(&mount.subpath), &mount.target)?
        };
        if mount.own {
            let MountSource::Bind(opened) = &made.source else { return Ok(made) };
            let owner = self.config.namespaces.user.outside(identity.uid, identity.gid)?;
            cask_runtime::give_files(opened.as_fd(), source, owner)?;
        }
        Ok(made)
    }

    /// A volume that nobody has used, and that the image has nothing for, is the user's: else nobody inside could
    /// write to it.
    fn give_new_volume(
        &self,
        path: &Path,
        root: &Root,
        mount: &MountConfig,
        identity: &Identity,
    ) -> Result<()> {
        use std::os::unix::fs::MetadataExt as _;
        let users = &self.config.namespaces.user;
        if !users.is_mapped() || root.metadata_following(&mount.target).is_ok() {
            return Ok(());
        }
        let failed = |error| record::io(error, "looking at", path);
        let found = std::fs::symlink_metadata(path).map_err(failed)?;
        let is_empty = std::fs::read_dir(path).map_err(failed)?.next().is_none();
        if is_empty && (found.uid(), found.gid()) == (0, 0) {
            let (uid, gid) = users.outside(identity.uid, identity.gid)?;
            std::os::unix::fs::lchown(path, Some(uid), Some(gid))
                .map_err(|error| record::io(error, "changing the owner of", path))?;
        }
        Ok(())
    }
}

fn memory(mount: &MountConfig, kind: Memory) -> Mount {
    Mount::new(MountSource::Memory { kind, mode: mount.mode.unwrap_or(0o1777) }, &mount.target)
}

/// A directory in memory that has what the image has there; `mode` is that of one that the image does not have.
fn in_memory(path: &str, mode: u32, size_bytes: Option<u64>) -> Mount {
    let mut mount =
        Mount::new(MountSource::Memory { kind: Memory::Tmpfs { size_bytes }, mode }, path);
    mount.options.copy_up = CopyUp { files: true, permissions: true };
    mount.options.access = MountAccess::NO_PRIVILEGES;
    mount
}

fn options(mount: &MountConfig) -> MountOptions {
    let mut options = MountOptions::default();
    options.access.read_only = mount.read_only;
    options.access.no_setuid = !mount.suid;
    options.access.no_devices = !mount.dev;
    options.access.no_execute = mount.no_exec;
    options.recursive = !mount.not_recursive;
    options.shift_owners = mount.shift_owners;
    if mount.kind.is_memory() {
        let permissions = mount.mode.is_none();
        options.copy_up = CopyUp { files: mount.takes_files_over(), permissions };
    }
    options.propagation = match mount.propagation.trim_start_matches('r') {
        "slave" => Propagation::Slave,
        "shared" => Propagation::DangerShared,
        _ => Propagation::Private,
    };
    options
}

/// Shared memory in a `/dev` of this machine.
fn own_shared_memory(bytes: u64) -> Mount {
    let mut mount = Mount::memory(Some(bytes), "/dev/shm");
    mount.options.access = MountAccess::DATA;
    mount
}

/// Whether it is one of the devices that every container may use, as `/dev/null` is.
fn is_plain_device(source: &MountSource) -> bool {
    use rustix::fs::{FileType, fstat, major, minor};
    let MountSource::Bind(opened) = source else { return false };
    fstat(opened).is_ok_and(|found| {
        FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice
            && DeviceRule::usual().iter().any(|rule| {
                rule.access == DeviceAccess::ALL
                    && rule.major == Some(major(found.st_rdev))
                    && rule.minor == Some(minor(found.st_rdev))
            })
    })
}

fn etc_mount(file: &EtcFile, root: &Path) -> Result<Mount> {
    let opened =
        open_place(&file.path).map_err(|error| record::io(error, "opening", &file.path))?;
    let below = file.target.trim_start_matches('/');
    Ok(Mount::bind(opened, root.join(below)))
}

fn time_zone(config: &ContainerConfig) -> Result<Option<Mount>> {
    let Some(zone) = &config.process.time_zone else { return Ok(None) };
    let bytes = if zone == "local" {
        std::fs::read("/etc/localtime").unwrap_or_default()
    } else {
        let zones = Root::open("/usr/share/zoneinfo")?;
        let mut bytes = Vec::new();
        let mut file = zones.open_file_following(zone)?;
        std::io::Read::read_to_end(&mut file, &mut bytes)
            .map_err(|error| record::io(error, "reading", Path::new(zone)))?;
        bytes
    };
    Ok(Some(Mount::content(bytes, "/etc/localtime")))
}

/// Whether a device is a terminal of this machine's screen, which a manager of services would take for its own.
///
/// Source: podman, `pkg/specgen/generate/config_linux.go`, `isVirtualTerminalDevice`.
fn is_virtual_terminal(path: &Path) -> bool {
    let number = path.to_str().and_then(|path| path.strip_prefix("/dev/tty")).unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Every device of this machine, for a container that is privileged.
fn machine_devices() -> Vec<Device> {
    fn walk(directory: &Path, depth: usize, found: &mut Vec<Device>) {
        let Ok(entries) = std::fs::read_dir(directory) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            let name = entry.file_name();
            let own = ["pts", "shm", "mqueue", "fd", "console", "ptmx"];
            if depth == 0 && own.iter().any(|own| name == *own) {
                continue;
            }
            if kind.is_dir() && depth < 4 {
                walk(&path, depth + 1, found);
            } else if let Ok(device) = Device::of(&path, &path)
                && !kind.is_symlink()
            {
                found.push(device);
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new("/dev"), 0, &mut found);
    found
}
