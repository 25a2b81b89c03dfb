//! Which store is used.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use cask::containers_storage::{OpenStore, StoreUse};
use cask_config::storage::{StorageConf, StorageEnvironment, StoragePaths};
use cask_storage::{Store, StoreOptions, StoreSpecifier};
use clap::Args;

use crate::{registries, report, rootless};

/// The flags that say where the store is.
#[derive(Args, Clone, Debug, Default)]
pub struct StoreArguments {
    /// Keep layers, images and containers here
    #[arg(long, global = true, value_name = "DIRECTORY")]
    root: Option<PathBuf>,
    /// Keep what does not survive a reboot here
    #[arg(long, global = true, value_name = "DIRECTORY")]
    runroot: Option<PathBuf>,
    /// Keep images here instead of with the containers
    #[arg(long, global = true, value_name = "DIRECTORY")]
    imagestore: Option<PathBuf>,
    /// How layers lie on the disk: overlay or vfs
    #[arg(long, global = true, value_name = "DRIVER")]
    storage_driver: Option<String>,
    /// An option of the driver, such as overlay.mountopt=nodev, instead of those in storage.conf
    #[arg(long, global = true, value_name = "OPTION")]
    storage_opt: Vec<String>,
}

impl StoreArguments {
    /// Opens the store that the flags, the environment and the user's or the system's files name.
    ///
    /// # Errors
    /// Those of the store and of the files; an option that is not known.
    pub fn open(&self) -> Result<Store> {
        Ok(Store::open(self.options()?)?)
    }

    /// Opens what a location names, with these flags for what it leaves open.
    pub fn opener(&self) -> OpenStore {
        let this = self.clone();
        Arc::new(move |specifier, used| {
            let mut options = this.options()?;
            options.read_only = used == StoreUse::Read;
            if let Some(specifier) = specifier {
                specify(&mut options, specifier)?;
            }
            Ok(Store::open(options)?)
        })
    }

    /// What the store is opened with.
    ///
    /// # Errors
    /// Those of the files; an option that is not known.
    pub fn options(&self) -> Result<StoreOptions> {
        let user = StorageEnvironment::new(registries::environment(), variables());
        let conf = StorageConf::load(&StoragePaths::new(&user, StoragePaths::scheme(&user)))?;
        let location = conf.resolve(&user);
        // Whoever watches a container works elsewhere.
        let whole = |path: PathBuf| {
            std::path::absolute(&path).with_context(|| format!("cannot tell where {path:?} is"))
        };
        let graph_root = whole(self.root.clone().unwrap_or(location.graph_root))?;
        let run_root = whole(self.runroot.clone().unwrap_or(location.run_root))?;
        check_own(&run_root)?;
        let mut options = StoreOptions::new(graph_root, run_root);
        options.rootless = rootless::is_rootless();
        options.transient = conf.transient_store.unwrap_or_default();
        options.image_store = self.imagestore.clone().or_else(|| conf.image_store.clone());
        if let Some(driver) = self.storage_driver.as_ref().or(location.driver.as_ref()) {
            options.driver = Some(driver.parse()?);
        }
        let given = match self.storage_opt.as_slice() {
            [] => location.driver_options,
            given => Some(given.to_vec()),
        };
        match given {
            Some(given) => given.iter().try_for_each(|option| set(&mut options, option))?,
            None => take(&mut options, &conf)?,
        }
        Ok(options)
    }
}

/// Refuses a directory of a user's in `/tmp` that is somebody else's: anybody could have made it first.
///
/// Source: containers/storage, `types/utils.go`, `isRootlessRuntimeDirOwner`.
fn check_own(run_root: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let usual = format!("/tmp/storage-run-{}", rootless::user_id());
    let top = std::path::Path::new(&usual);
    if !run_root.starts_with(top) {
        return Ok(());
    }
    let Ok(found) = std::fs::symlink_metadata(top) else { return Ok(()) };
    let own = found.is_dir() && found.uid() == rustix::process::getuid().as_raw();
    if !rootless::is_rootless() || (own && found.mode() & 0o022 == 0) {
        return Ok(());
    }
    bail!(
        "{} is not the user's alone, and what is in it decides what is mounted: name another with --runroot, or set XDG_RUNTIME_DIR",
        top.display()
    )
}

/// Sets what a location says of its store.
fn specify(options: &mut StoreOptions, specifier: &StoreSpecifier) -> Result<()> {
    options.graph_root.clone_from(&specifier.graph_root);
    if let Some(run_root) = &specifier.run_root {
        options.run_root.clone_from(run_root);
    }
    if let Some(driver) = &specifier.driver {
        options.driver = Some(driver.parse()?);
    }
    if !specifier.options.is_empty() {
        specifier.options.iter().try_for_each(|option| set(options, option))?;
    }
    Ok(())
}

/// The variables that storage.conf's places and paths may depend on. What is no text cannot be a
/// path in it.
fn variables() -> BTreeMap<String, String> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// Sets an option of a driver: `[DRIVER.]NAME=VALUE`.
fn set(options: &mut StoreOptions, option: &str) -> Result<()> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let name = name.rsplit_once('.').map_or(name, |(_, name)| name);
    match name {
        "mountopt" => value.clone_into(&mut options.mount_options),
        "imagestore" => options.image_store = Some(value.into()),
        // Ours, for the flag: the field's tools do not know it in storage.conf.
        "kept_blobs" => {
            let bytes =
                value.parse().with_context(|| format!("{value:?} is no number of bytes"))?;
            options.kept_blobs.budget_bytes = bytes;
        }
        "additionalimagestore" => options.additional_image_stores.push(value.into()),
        _ => bail!("the storage option {option:?} is not known"),
    }
    Ok(())
}

/// Takes over what storage.conf says.
fn take(options: &mut StoreOptions, conf: &StorageConf) -> Result<()> {
    options.additional_image_stores.clone_from(&conf.additional_image_stores);
    if !conf.additional_layer_stores.is_empty() {
        report::note("storage.conf sets additionallayerstores, which are not used");
    }
    let of_driver = match options.driver {
        Some(cask_storage::DriverKind::Vfs) => &conf.vfs,
        _ => &conf.overlay,
    };
    for said in [&conf.options, of_driver] {
        if let Some(mount_options) = &said.mount_options {
            options.mount_options.clone_from(mount_options);
        }
        if let Some(ignored) = said.ignore_chown_errors {
            options.extraction.ignore_chown_errors = ignored;
        }
        let unused = [
            ("mount_program", said.mount_program.is_some()),
            ("use_composefs", said.use_composefs == Some(true)),
            ("size", said.size.is_some()),
            ("inodes", said.inodes.is_some()),
        ];
        for (name, _) in unused.iter().filter(|(_, is_set)| *is_set) {
            report::note(&format!("storage.conf sets {name}, which is not used"));
        }
    }
    let said = [&conf.options, of_driver];
    if let Some(mask) = said.iter().filter_map(|said| said.force_mask.as_deref()).next_back() {
        if said.iter().all(|said| said.mount_program.is_none()) {
            bail!("'force_mask' is supported only with 'mount_program'");
        }
        options.extraction.force_mask = Some(force_mask(mask)?);
    }
    Ok(())
}

/// Source: containers/storage, `drivers/overlay/overlay.go`, `parseOptions`.
fn force_mask(text: &str) -> Result<u32> {
    match text {
        "shared" => Ok(0o755),
        "private" => Ok(0o700),
        octal => match u32::from_str_radix(octal, 8) {
            Ok(mode) if mode <= 0o7777 => Ok(mode),
            _ => bail!("force_mask {octal:?} in storage.conf is no octal mode, shared or private"),
        },
    }
}
