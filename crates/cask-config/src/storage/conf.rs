//! What storage.conf says.

use std::path::PathBuf;

/// What one storage.conf says, or several that were merged. What is not said is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StorageConf {
    /// `driver`: as it is written; `overlay2` is another name of `overlay`.
    pub driver: Option<String>,
    /// `driver_priority`: drivers to try where none is named.
    pub driver_priority: Vec<String>,
    /// `graphroot`, with variables.
    pub graph_root: Option<String>,
    /// `runroot`, with variables.
    pub run_root: Option<String>,
    /// `imagestore`: where images are kept, if not in the graph root.
    pub image_store: Option<PathBuf>,
    /// `rootless_storage_path`, with variables: the graph root of users.
    pub rootless_storage_path: Option<String>,
    /// `transient_store`: whether containers are kept in the run root.
    pub transient_store: Option<bool>,
    /// `options.additionalimagestores`: stores whose images can be used too.
    pub additional_image_stores: Vec<PathBuf>,
    /// `options.additionallayerstores`: file systems that give single layers.
    pub additional_layer_stores: Vec<AdditionalLayerStore>,
    /// `options.pull_options`.
    pub pull_options: PullOptions,
    /// `options`: for whatever driver.
    pub options: DriverOptions,
    /// `options.overlay`.
    pub overlay: DriverOptions,
    /// `options.vfs`.
    pub vfs: DriverOptions,
    /// `options.root-auto-userns-user`: whose IDs containers of root get.
    pub auto_userns_user: Option<String>,
    /// `options.auto-userns-min-size`: the least number of IDs in such a range.
    pub auto_userns_min_size: Option<u32>,
    /// `options.auto-userns-max-size`: the most IDs in such a range.
    pub auto_userns_max_size: Option<u32>,
    /// `options.disable-volatile`: whether containers that are removed when they end are kept as
    /// safely as others.
    pub disable_volatile: Option<bool>,
    /// Keys that nothing here means, by their path: options of other drivers, and misspellings.
    pub unknown_keys: Vec<String>,
}

/// A file system that gives single layers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdditionalLayerStore {
    /// Where it is mounted.
    pub path: PathBuf,
    /// Whether it wants to know the image's name.
    pub with_reference: bool,
}

/// How images are pulled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullOptions {
    /// `enable_partial_images`.
    pub enable_partial_images: Option<bool>,
    /// `use_hard_links`.
    pub use_hard_links: Option<bool>,
    /// `ostree_repos`, as it is written: paths with colons between them.
    pub ostree_repos: Option<String>,
    /// `convert_images`.
    pub convert_images: Option<bool>,
    /// `insecure_allow_unpredictable_image_contents`: it lowers safety.
    pub danger_unpredictable_image_contents: Option<bool>,
}

/// What a driver is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DriverOptions {
    /// `mount_program`: what mounts instead of the kernel.
    pub mount_program: Option<PathBuf>,
    /// `mountopt`: options of mounts, with commas between them.
    pub mount_options: Option<String>,
    /// `skip_mount_home`: whether the driver's directory is not mounted over itself.
    pub skip_mount_home: Option<bool>,
    /// `ignore_chown_errors`.
    pub ignore_chown_errors: Option<bool>,
    /// `force_mask`, as it is written: an octal mode, `shared` or `private`.
    pub force_mask: Option<String>,
    /// `use_composefs`.
    pub use_composefs: Option<bool>,
    /// `size`, as it is written: the most that a container may write.
    pub size: Option<String>,
    /// `inodes`, as it is written: the most files that a container may make.
    pub inodes: Option<String>,
    /// `sync`, as it is written: `none` or `filesystem`.
    pub sync: Option<String>,
}

/// Takes the fields of the second where they say something.
macro_rules! prefer {
    ($first:expr, $second:expr; $($field:ident),* $(,)?) => {
        $( take_said(&mut $first.$field, $second.$field); )*
    };
}

fn take_said<T: Default + PartialEq>(first: &mut T, second: T) {
    if second != T::default() {
        *first = second;
    }
}

impl StorageConf {
    /// Takes what a later file says instead of what this one does.
    pub fn merge(&mut self, later: Self) {
        self.pull_options.merge(later.pull_options);
        self.options.merge(later.options);
        self.overlay.merge(later.overlay);
        self.vfs.merge(later.vfs);
        self.unknown_keys.extend(later.unknown_keys);
        prefer!(self, later; driver, driver_priority, graph_root, run_root, image_store,
            rootless_storage_path, transient_store, additional_image_stores,
            additional_layer_stores, auto_userns_user, auto_userns_min_size, auto_userns_max_size,
            disable_volatile);
    }

    /// What a driver is told: what is said for it, and else what is said for whatever driver.
    pub fn options_of(&self, driver: &str) -> DriverOptions {
        let mut options = self.options.clone();
        match driver {
            "overlay" | "overlay2" => options.merge(self.overlay.clone()),
            "vfs" => options.merge(self.vfs.clone()),
            _ => {}
        }
        options
    }
}

impl PullOptions {
    fn merge(&mut self, later: Self) {
        prefer!(self, later; enable_partial_images, use_hard_links, ostree_repos, convert_images,
            danger_unpredictable_image_contents);
    }
}

impl DriverOptions {
    pub(super) fn merge(&mut self, later: Self) {
        prefer!(self, later; mount_program, mount_options, skip_mount_home, ignore_chown_errors,
            force_mask, use_composefs, size, inodes, sync);
    }
}
