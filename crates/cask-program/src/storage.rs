//! Which store is used.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use cask::containers_storage::{OpenStore, StoreUse};
use cask_config::storage::{DriverOptions, StorageConf, StorageEnvironment, StoragePaths};
use cask_storage::{DriverKind, Store, StoreOptions, StoreSpecifier};
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
    /// Have containers be gone with the next boot: what is recorded of them is in the run root
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false", hide = true)]
    transient_store: Option<bool>,
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

    /// Whether a flag names another store than the usual one.
    pub fn is_elsewhere(&self) -> bool {
        self.root.is_some()
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
        options.transient = self.transient_store.or(conf.transient_store).unwrap_or_default();
        options.image_store = self.imagestore.clone().or_else(|| conf.image_store.clone());
        if let Some(driver) = self.storage_driver.as_ref().or(location.driver.as_ref()) {
            options.driver = Some(driver.parse()?);
        }
        let given = match self.storage_opt.as_slice() {
            [] => location.driver_options,
            given => Some(given.to_vec()),
        };
        match given {
            Some(given) => take_given(&mut options, &given)?,
            None => take(&mut options, &conf)?,
        }
        Ok(options)
    }
}

/// The storage.conf that somebody wrote: the user's own, or the administrator's.
pub fn configuration() -> Option<PathBuf> {
    let user = StorageEnvironment::new(registries::environment(), variables());
    let paths = StoragePaths::new(&user, StoragePaths::scheme(&user));
    // What comes with the system is not theirs.
    let of_machine = paths.system.last().filter(|_| !paths.is_rootless);
    paths
        .required
        .as_ref()
        .or(paths.own.as_ref())
        .or(of_machine)
        .filter(|path| path.exists())
        .cloned()
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
        take_given(options, &specifier.options)?;
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

/// Takes over what flags, the environment or a location say of a driver: `[DRIVER.]NAME=VALUE` each.
///
/// Source: containers/storage, `drivers/overlay/overlay.go`, `parseOptions`.
fn take_given(options: &mut StoreOptions, given: &[String]) -> Result<()> {
    let mut said = DriverOptions::default();
    // An empty one says that there are none.
    let mut given = given.iter().filter(|option| !option.is_empty());
    given.try_for_each(|option| set(options, &mut said, option))?;
    apply(options, &[&said])
}

fn set(options: &mut StoreOptions, said: &mut DriverOptions, option: &str) -> Result<()> {
    let Some((name, value)) = option.split_once('=') else {
        bail!("unable to parse key/value option: {option}");
    };
    let driver = options.driver.unwrap_or(DriverKind::Overlay);
    let name = match name.rsplit_once('.') {
        Some(("" | "storage", name)) => name,
        Some((of, name)) if of.parse().is_ok_and(|of: DriverKind| of == driver) => name,
        Some(_) => bail!("{driver}: Unknown option {option}"),
        None => name,
    };
    let truth = || {
        cask_config::truth(value)
            .with_context(|| format!("the storage option {option} is neither true nor false"))
    };
    match name {
        "imagestore" => options.image_store = Some(value.into()),
        // Ours, for the flag: the field's tools do not know it in storage.conf.
        "kept_blobs" => {
            let bytes =
                value.parse().with_context(|| format!("{value:?} is no number of bytes"))?;
            options.kept_blobs.budget_bytes = bytes;
        }
        "additionalimagestore" => options.additional_image_stores.push(value.into()),
        "mountopt" => said.mount_options = Some(value.to_owned()),
        "mount_program" => said.mount_program = Some(value.into()),
        "skip_mount_home" => said.skip_mount_home = Some(truth()?),
        "ignore_chown_errors" => said.ignore_chown_errors = Some(truth()?),
        "force_mask" => said.force_mask = Some(value.to_owned()),
        "use_composefs" => said.use_composefs = Some(truth()?),
        "size" => said.size = Some(value.to_owned()),
        "inodes" => said.inodes = Some(value.to_owned()),
        "sync" => said.sync = Some(value.to_owned()),
        _ => bail!("{driver}: Unknown option {option}"),
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
        Some(DriverKind::Vfs) => &conf.vfs,
        _ => &conf.overlay,
    };
    apply(options, &[&conf.options, of_driver])
}

/// Does what a driver is told, the last word first. Nothing is to be done for `skip_mount_home`, since the directory of
/// a driver is never mounted over itself, nor for `sync`: what is committed is on the disk.
fn apply(options: &mut StoreOptions, said: &[&DriverOptions]) -> Result<()> {
    let last = || said.iter().rev();
    if last().find_map(|said| said.use_composefs) == Some(true) {
        return Err(unsupported(
            "use_composefs",
            "layers of composefs are not written here",
            "take it out of storage.conf, or keep images elsewhere with --root",
        ));
    }
    let is_limit = |limit: &&String| !matches!(limit.as_str(), "" | "0");
    for (name, limit) in [
        ("size", last().find_map(|said| said.size.as_ref())),
        ("inodes", last().find_map(|said| said.inodes.as_ref())),
    ] {
        if limit.filter(is_limit).is_some() {
            return Err(unsupported(
                name,
                "there are no quotas of containers here",
                "take it out of storage.conf, and limit the file system of the store instead",
            ));
        }
    }
    if let Some(mount_options) = last().find_map(|said| said.mount_options.as_ref()) {
        options.mount_options.clone_from(mount_options);
    }
    if let Some(ignored) = last().find_map(|said| said.ignore_chown_errors) {
        options.extraction.ignore_chown_errors = ignored;
    }
    let program = last().find_map(|said| said.mount_program.as_ref());
    if let Some(program) = program {
        std::fs::metadata(program)
            .with_context(|| format!("overlay: can't stat program {program:?}"))?;
    }
    match (last().find_map(|said| said.force_mask.as_deref()), program) {
        (Some(_), None) => bail!("'force_mask' is supported only with 'mount_program'"),
        (Some(mask), Some(_)) => options.extraction.force_mask = Some(force_mask(mask)?),
        (None, Some(program)) => report::note(&format!(
            "the mount_program {} is not used: the kernel mounts layers",
            program.display()
        )),
        (None, None) => {}
    }
    Ok(())
}

/// Refuses an option by its name.
fn unsupported(name: &str, why: &str, hint: &'static str) -> anyhow::Error {
    let message = format!("the storage option {name} is not supported: {why}");
    report::Hinted { message, hint }.into()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_drivers_are_honoured_or_refused_by_name() {
        let taken = |given: &[&str]| {
            let mut options = StoreOptions::new("/root", "/run");
            let given: Vec<String> = given.iter().map(ToString::to_string).collect();
            take_given(&mut options, &given).map(|()| options)
        };
        let options = taken(&[
            "overlay.mountopt=nodev",
            "ignore_chown_errors=true",
            ".skip_mount_home=true",
            "overlay2.size=0",
            "overlay.use_composefs=false",
            "kept_blobs=7",
        ]);
        let options = options.expect("they are known");
        assert_eq!(options.mount_options, "nodev");
        assert!(options.extraction.ignore_chown_errors);
        assert_eq!(options.kept_blobs.budget_bytes, 7);
        let check = |option: &str, expected: &str| {
            let error = taken(&[option]).expect_err(option);
            assert_eq!(format!("{error:#}"), expected, "{option}");
        };
        let quotas = "there are no quotas of containers here";
        check("size=1G", &format!("the storage option size is not supported: {quotas}"));
        check("overlay.inodes=9", &format!("the storage option inodes is not supported: {quotas}"));
        check(
            "use_composefs=true",
            "the storage option use_composefs is not supported: layers of composefs are not written here",
        );
        check("bogus", "unable to parse key/value option: bogus");
        check("overlay.bogus=1", "overlay: Unknown option overlay.bogus=1");
        check("vfs.size=1", "overlay: Unknown option vfs.size=1");
        check("overlay.force_mask=700", "'force_mask' is supported only with 'mount_program'");
        let missing =
            "overlay: can't stat program \"/nosuch\": No such file or directory (os error 2)";
        check("overlay.mount_program=/nosuch", missing);
        assert_eq!(
            taken(&["mount_program=/proc/self/exe", "force_mask=shared"])
                .expect("it is there")
                .extraction
                .force_mask,
            Some(0o755)
        );
    }
}
