//! From text to what it says.

use std::path::PathBuf;

use crate::document::{Found, Source, Table};
use crate::storage::{AdditionalLayerStore, DriverOptions, PullOptions, StorageConf};
use crate::{Error, ErrorKind};

const LOADING: &str = "loading storage configuration";

/// Keys of `[storage]`.
const TOP: &[&str] = &[
    "driver",
    "driver_priority",
    "graphroot",
    "runroot",
    "imagestore",
    "rootless_storage_path",
    "transient_store",
    "options",
];

/// Keys of `[storage.options]` that are not a driver's.
const OPTIONS: &[&str] = &[
    "additionalimagestores",
    "additionallayerstores",
    "pull_options",
    "overlay",
    "vfs",
    "root-auto-userns-user",
    "auto-userns-min-size",
    "auto-userns-max-size",
    "disable-volatile",
];

/// Keys of a driver's options.
const DRIVER: &[&str] = &[
    "mount_program",
    "mountopt",
    "skip_mount_home",
    "ignore_chown_errors",
    "force_mask",
    "use_composefs",
    "size",
    "inodes",
    "sync",
];

/// Keys of `[storage.options.pull_options]`.
const PULL: &[&str] = &[
    "enable_partial_images",
    "use_hard_links",
    "ostree_repos",
    "convert_images",
    "insecure_allow_unpredictable_image_contents",
];

impl StorageConf {
    /// Reads a text of at most [`MAX_FILE_BYTES`](crate::MAX_FILE_BYTES); `file` is named in
    /// errors.
    ///
    /// Booleans may be strings, as most are in the files of distributions. Everything is below the
    /// table `storage`; keys that are not known are listed and do no harm.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`], [`ErrorKind::Syntax`], and [`ErrorKind::Invalid`] for a value of
    /// the wrong type.
    pub fn parse(text: &str, file: &str) -> Result<Self, Error> {
        let source = Source::new(text, LOADING, file);
        let document = source.parse()?;
        let root = Table::root(&source, &document);
        let mut conf = Self::default();
        note_unknown(&mut conf, &root, &[&["storage"]]);
        let Some(storage) = root.table("storage")? else { return Ok(conf) };
        conf.driver = text_of(storage.string("driver")?);
        conf.driver_priority = texts(storage.strings("driver_priority")?);
        conf.graph_root = text_of(storage.string("graphroot")?);
        conf.run_root = text_of(storage.string("runroot")?);
        conf.image_store = text_of(storage.string("imagestore")?).map(PathBuf::from);
        conf.rootless_storage_path = text_of(storage.string("rootless_storage_path")?);
        conf.transient_store = boolean(&storage, "transient_store")?;
        note_unknown(&mut conf, &storage, &[TOP]);
        if let Some(options) = storage.table("options")? {
            read_options(&mut conf, &options)?;
        }
        Ok(conf)
    }
}

fn read_options(conf: &mut StorageConf, options: &Table<'_>) -> Result<(), Error> {
    let stores = texts(options.strings("additionalimagestores")?);
    conf.additional_image_stores = stores.into_iter().map(PathBuf::from).collect();
    let layer_stores = texts(options.strings("additionallayerstores")?);
    conf.additional_layer_stores = layer_stores.into_iter().map(layer_store).collect();
    conf.auto_userns_user = text_of(options.string("root-auto-userns-user")?);
    conf.auto_userns_min_size = number(options, "auto-userns-min-size")?;
    conf.auto_userns_max_size = number(options, "auto-userns-max-size")?;
    conf.disable_volatile = boolean(options, "disable-volatile")?;
    conf.options = driver_options(options)?;
    note_unknown(conf, options, &[OPTIONS, DRIVER]);
    if let Some(overlay) = options.table("overlay")? {
        conf.overlay = driver_options(&overlay)?;
        note_unknown(conf, &overlay, &[DRIVER]);
    }
    if let Some(vfs) = options.table("vfs")? {
        conf.vfs = driver_options(&vfs)?;
        note_unknown(conf, &vfs, &[DRIVER]);
    }
    if let Some(pull) = options.table("pull_options")? {
        conf.pull_options = PullOptions {
            enable_partial_images: boolean(&pull, PULL[0])?,
            use_hard_links: boolean(&pull, PULL[1])?,
            ostree_repos: text_of(pull.string(PULL[2])?),
            convert_images: boolean(&pull, PULL[3])?,
            danger_unpredictable_image_contents: boolean(&pull, PULL[4])?,
        };
        note_unknown(conf, &pull, &[PULL]);
    }
    Ok(())
}

fn driver_options(table: &Table<'_>) -> Result<DriverOptions, Error> {
    Ok(DriverOptions {
        mount_program: text_of(table.string("mount_program")?).map(PathBuf::from),
        mount_options: text_of(table.string("mountopt")?),
        skip_mount_home: boolean(table, "skip_mount_home")?,
        ignore_chown_errors: boolean(table, "ignore_chown_errors")?,
        force_mask: text_of(table.string("force_mask")?),
        use_composefs: boolean(table, "use_composefs")?,
        size: text_of(table.string("size")?),
        inodes: text_of(table.string("inodes")?),
        sync: text_of(table.string("sync")?),
    })
}

/// `path[:ref]`.
fn layer_store(text: String) -> AdditionalLayerStore {
    match text.strip_suffix(":ref") {
        Some(path) => AdditionalLayerStore { path: path.into(), with_reference: true },
        None => AdditionalLayerStore { path: text.into(), with_reference: false },
    }
}

fn note_unknown(conf: &mut StorageConf, table: &Table<'_>, known: &[&[&str]]) {
    let others = table.others(&known.concat());
    conf.unknown_keys.extend(others.into_iter().map(|found| found.key));
}

/// An empty text says nothing.
fn text_of(found: Option<Found<String>>) -> Option<String> {
    found.map(|found| found.value).filter(|text| !text.is_empty())
}

fn texts(found: Option<Vec<Found<String>>>) -> Vec<String> {
    found.unwrap_or_default().into_iter().map(|found| found.value).collect()
}

/// A boolean, or a string that is one.
fn boolean(table: &Table<'_>, name: &str) -> Result<Option<bool>, Error> {
    match table.boolean(name) {
        Err(error) if error.kind() == ErrorKind::Invalid => {
            let Some(found) = table.string(name)? else { return Ok(None) };
            match found.value.to_ascii_lowercase().as_str() {
                "true" | "t" | "1" => Ok(Some(true)),
                "false" | "f" | "0" => Ok(Some(false)),
                "" => Ok(None),
                _ => Err(table.error(found.offset, &found.key, "neither true nor false")),
            }
        }
        found => Ok(found?.map(|found| found.value)),
    }
}

/// A number; the files have them as strings or as they are.
fn number(table: &Table<'_>, name: &str) -> Result<Option<u32>, Error> {
    let Some(found) = table.number(name)? else { return Ok(None) };
    let number = u32::try_from(found.value);
    let wrong = |_| table.error(found.offset, &found.key, "not a number of IDs");
    number.map(Some).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_files_of_distributions_say_is_read() {
        let text = r#"
[storage]
driver = "overlay"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
transient_store = true
[storage.options]
additionalimagestores = ["/a", "/b"]
additionallayerstores = ["/var/lib/stargz:ref", "/c"]
pull_options = {enable_partial_images = "true", use_hard_links = "false", ostree_repos=""}
auto-userns-min-size = 1024
[storage.options.overlay]
mountopt = "nodev,metacopy=on"
mount_program = "/usr/bin/fuse-overlayfs"
ignore_chown_errors = "false"
[storage.options.thinpool]
autoextend_percent = "20"
"#;
        let conf = StorageConf::parse(text, "storage.conf").unwrap();
        assert_eq!(conf.driver.as_deref(), Some("overlay"));
        assert_eq!(conf.graph_root.as_deref(), Some("/var/lib/containers/storage"));
        assert_eq!(conf.transient_store, Some(true));
        assert_eq!(conf.additional_image_stores, [PathBuf::from("/a"), "/b".into()]);
        assert!(conf.additional_layer_stores[0].with_reference);
        assert_eq!(conf.pull_options.enable_partial_images, Some(true));
        assert_eq!(conf.pull_options.ostree_repos, None);
        assert_eq!(conf.auto_userns_min_size, Some(1024));
        let overlay = conf.options_of("overlay");
        assert_eq!(overlay.mount_options.as_deref(), Some("nodev,metacopy=on"));
        assert_eq!(overlay.ignore_chown_errors, Some(false));
        assert_eq!(conf.unknown_keys, ["storage.options.thinpool"]);
    }

    #[test]
    fn wrong_types_are_refused_with_their_place() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let error = StorageConf::parse(text, "s.conf").unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        check("[storage]\ndriver = 1", "line 2");
        check("[storage]\ntransient_store = \"maybe\"", "neither true nor false");
        check("storage = 1", "line 1");
        check("[storage]\n[storage.options]\nadditionalimagestores = \"/a\"", "line 3");
        check("[storage", "not TOML");
    }

    #[test]
    fn later_files_win_where_they_say_something() {
        let mut first = StorageConf::parse(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"/a\"\n[storage.options.overlay]\nsize = \"1\"",
            "a",
        )
        .unwrap();
        let later = "[storage]\ndriver = \"overlay\"\n[storage.options.overlay]\nmountopt = \"x\"";
        first.merge(StorageConf::parse(later, "b").unwrap());
        assert_eq!(first.driver.as_deref(), Some("overlay"));
        assert_eq!(first.graph_root.as_deref(), Some("/a"));
        assert_eq!(first.overlay.size.as_deref(), Some("1"));
        assert_eq!(first.overlay.mount_options.as_deref(), Some("x"));
    }
}
