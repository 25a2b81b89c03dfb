//! Pods on the disk.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use cask_storage::Id;
use serde::{Deserialize, Serialize};

use super::{Pod, PodConfig, PodOptions, Pods};
use crate::containers::{check_name, choose_name, now, open_lock};
use crate::{
    Container, ContainerConfig, CreateOptions, Error, ErrorKind, Found, RemoveOptions, Result,
};

/// The version of the file. Newer ones are refused.
const VERSION: u32 = 1;
/// The most that is read of a file, in bytes.
const LONGEST: u64 = 16 << 20;
/// Names that are tried before giving up.
const MOST_NAMES: usize = 20;
/// Digits of an ID that are shown.
const SHORT: usize = 12;

#[derive(Serialize, Deserialize)]
struct Document<C> {
    version: u32,
    pod: C,
}

fn failed(error: std::io::Error, doing: &str, path: &Path) -> Error {
    Error::new(ErrorKind::Io, path.display(), doing).with_source(error)
}

fn unknown(text: &str) -> Error {
    let words = format!("no pod with name or ID {text} found");
    Error::new(ErrorKind::PodNotKnown, words, "no such pod")
}

impl Pods {
    fn place(&self, id: &str) -> PathBuf {
        self.directory().join(id)
    }

    fn file(&self, id: &str) -> PathBuf {
        self.place(id).join("pod.json")
    }

    /// Nobody else makes a pod meanwhile.
    fn locked(&self) -> Result<File> {
        let directory = self.directory();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(|error| failed(error, "making the directory", &directory))?;
        lock(&directory.join("lock"))
    }

    /// No container joins a pod meanwhile, and nobody removes it.
    pub(crate) fn hold(&self, id: &str) -> Result<File> {
        let held = match lock(&self.place(id).join("lock")) {
            Err(error) if error.kind() == ErrorKind::ContainerNotKnown => return Err(unknown(id)),
            held => held?,
        };
        // Whoever had the lock may have removed it.
        if self.file(id).exists() { Ok(held) } else { Err(unknown(id)) }
    }

    /// Makes a pod, and its infra container, from an image or from nothing. Neither runs yet.
    ///
    /// # Errors
    /// [`ErrorKind::NameInUse`] for a name that another pod has, or a container; those of
    /// [`Containers::create`](crate::Containers::create).
    pub fn create(&self, image: Option<&Found>, options: PodOptions) -> Result<Pod> {
        let PodOptions { config, infra, replace } = options;
        if infra.is_none() && !config.shared.is_empty() {
            let words = "Pods must have an infra container to share namespaces";
            return Err(Error::new(ErrorKind::Invalid, words, ""));
        }
        let choose = |is_taken: &dyn Fn(&str) -> bool| {
            let free = |name: &String| !is_taken(name);
            (0..MOST_NAMES).map(choose_name).find(free).unwrap_or_default()
        };
        self.establish(config, replace, choose, |pod, root| {
            let root = image.is_none().then_some(root);
            infra.map(|options| self.make_infra(pod, image, root, options)).transpose()
        })
    }

    /// Makes a pod under its name, or one that is chosen, with the infra container that is made for it in a directory of
    /// its own.
    pub(super) fn establish(
        &self,
        mut config: PodConfig,
        replace: bool,
        choose: impl Fn(&dyn Fn(&str) -> bool) -> String,
        infra: impl FnOnce(&Pod, PathBuf) -> Result<Option<Container>>,
    ) -> Result<Pod> {
        let _held = self.locked()?;
        self.sweep()?;
        let all = self.all()?;
        let named = |name: &str| all.iter().find(|pod| pod.name() == name);
        let of_container = |name: &str| self.containers.store().container_named(name).is_ok();
        if config.name.is_empty() {
            config.name = choose(&|name| named(name).is_some() || of_container(name));
        }
        check_name(&config.name)?;
        let taken = |name: &str, by: &str| {
            let words = format!("adding pod to state: name {name:?} is in use");
            Error::new(ErrorKind::NameInUse, words, by)
        };
        match named(&config.name) {
            Some(old) if replace => {
                let options = RemoveOptions { force: true, ..RemoveOptions::default() };
                match self.remove(old, &options) {
                    // Somebody else removed it meanwhile.
                    Err(error) if error.kind() == ErrorKind::PodNotKnown => {}
                    other => other?,
                }
            }
            Some(_) => return Err(taken(&config.name, "pod already exists")),
            None if of_container(&config.name) => {
                return Err(taken(&config.name, "container already exists"));
            }
            None => {}
        }
        config.id = Id::random().to_string();
        config.created = now();
        let mut pod = Pod { config };
        let made = self.make(&mut pod, infra);
        // Now that it has the name, no container will; one may have come meanwhile.
        let made = made.and_then(|()| match of_container(pod.name()) {
            true => Err(taken(pod.name(), "container already exists")),
            false => Ok(()),
        });
        match made {
            Ok(()) => {
                self.tell("create", &pod);
                Ok(pod)
            }
            Err(error) => {
                if let Some(id) = &pod.config.infra
                    && let Ok(infra) = self.containers.find(id)
                {
                    let _ = self.containers.remove_any(&infra, &RemoveOptions::default());
                }
                let _ = fs::remove_dir_all(self.place(pod.id()));
                Err(error)
            }
        }
    }

    fn make(
        &self,
        pod: &mut Pod,
        infra: impl FnOnce(&Pod, PathBuf) -> Result<Option<Container>>,
    ) -> Result<()> {
        let place = self.place(pod.id());
        let root = place.join("root");
        for (path, mode) in [(&place, 0o711), (&root, 0o755)] {
            let made = DirBuilder::new().mode(mode).create(path);
            made.map_err(|error| failed(error, "making the directory", path))?;
        }
        pod.config.infra = infra(pod, root)?.map(|infra| infra.config.id);
        write(&self.file(pod.id()), &pod.config)
    }

    fn make_infra(
        &self,
        pod: &Pod,
        image: Option<&Found>,
        root: Option<PathBuf>,
        mut options: CreateOptions,
    ) -> Result<Container> {
        pod.settle_infra(&mut options.config, root);
        self.containers.create(image, options)
    }

    /// Removes what is left of pods whose makers were killed: their infra containers, and what has no record.
    fn sweep(&self) -> Result<()> {
        let known = |id: &str| self.file(id).exists();
        for one in self.containers.summaries(&[], |_| ())? {
            if one.pod.infra && !known(&one.pod.id) {
                let infra = self.containers.find(&one.id)?;
                let options = RemoveOptions { force: true, ..RemoveOptions::default() };
                self.containers.remove_any(&infra, &options)?;
            }
        }
        for id in self.ids()?.into_iter().filter(|id| !known(id)) {
            let _ = fs::remove_dir_all(self.place(&id));
        }
        Ok(())
    }

    /// Removes what is left of pods whose makers were killed, where nobody makes one.
    ///
    /// # Errors
    /// [`ErrorKind::Io`]; [`ErrorKind::Storage`].
    pub fn tidy(&self) -> Result<()> {
        if !self.directory().exists() {
            return Ok(());
        }
        let _held = self.locked()?;
        self.sweep()
    }

    fn ids(&self) -> Result<Vec<String>> {
        let directory = self.directory();
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|error| failed(error, "listing", &directory))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed(error, "listing", &directory))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            found.extend(Some(name).filter(|name| Id::parse(name).is_ok()));
        }
        Ok(found)
    }

    /// Whether a pod has this name.
    pub(crate) fn is_named(&self, name: &str) -> Result<bool> {
        Ok(self.all()?.iter().any(|pod| pod.name() == name))
    }

    /// All pods, by the moments when they were made.
    ///
    /// # Errors
    /// [`ErrorKind::Io`]; [`ErrorKind::Storage`] for one that cannot be read.
    pub fn all(&self) -> Result<Vec<Pod>> {
        let mut found = Vec::new();
        for id in self.ids()? {
            found.extend(read(&self.file(&id))?.map(|config| Pod { config }));
        }
        let moment = |pod: &Pod| {
            let time: Option<cask_image::Timestamp> = pod.config.created.parse().ok();
            time.map(|time| (time.unix_seconds(), time.nanoseconds()))
        };
        found.sort_by_cached_key(moment);
        Ok(found)
    }

    /// Finds a pod by its name, its ID, or the beginning of its ID.
    ///
    /// # Errors
    /// [`ErrorKind::PodNotKnown`]; [`ErrorKind::Ambiguous`] where the IDs of several begin so; those of
    /// [`all`](Self::all).
    pub fn find(&self, text: &str) -> Result<Pod> {
        if Id::parse(text).is_ok() {
            let found = read(&self.file(text))?;
            return found.map(|config| Pod { config }).ok_or_else(|| unknown(text));
        }
        let mut all = self.all()?;
        if let Some(place) = all.iter().position(|pod| pod.name() == text) {
            return Ok(all.swap_remove(place));
        }
        all.retain(|pod| !text.is_empty() && pod.id().starts_with(text));
        match (all.pop(), all.is_empty()) {
            (Some(pod), true) => Ok(pod),
            (Some(_), false) => {
                let words = format!("more than one result for ID or name {text}");
                Err(Error::new(ErrorKind::Ambiguous, words, "pod already exists"))
            }
            (None, _) => Err(unknown(text)),
        }
    }

    /// Forgets a pod, whose lock is held, and which has no containers any more.
    pub(super) fn forget(&self, pod: &Pod) -> Result<()> {
        let file = self.file(pod.id());
        fs::remove_file(&file).map_err(|error| failed(error, "removing", &file))?;
        let place = self.place(pod.id());
        fs::remove_dir_all(&place).map_err(|error| failed(error, "removing", &place))
    }
}

impl Pod {
    /// Fills in what an infra container has because it is this pod's. Its root is an empty one, or its image's.
    pub(super) fn settle_infra(&self, config: &mut ContainerConfig, root: Option<PathBuf>) {
        (config.pod.id, config.pod.infra) = (self.config.id.clone(), true);
        if config.name.is_empty() {
            config.name = format!("{}-infra", self.id().get(..SHORT).unwrap_or_default());
        }
        if config.namespaces.uts == crate::SpaceMode::Private {
            config.network.hostname.get_or_insert_with(|| self.hostname().to_owned());
        }
        config.namespaces.ipc_alone = false;
        config.process.pause = root.is_some();
        config.rootfs = root;
        config.resources.cgroup_parent = self.cgroup_parent();
        config.labels.clone_from(&self.config.labels);
        config.create_command.clone_from(&self.config.create_command);
    }
}

fn lock(path: &Path) -> Result<File> {
    let file = open_lock(path)?;
    file.lock().map_err(|error| failed(error, "locking", path))?;
    Ok(file)
}

/// `None` where there is none, or none any more.
fn read(path: &Path) -> Result<Option<PodConfig>> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| failed(error, "reading", path))?,
    };
    let damaged = |error: serde_json::Error| {
        Error::new(ErrorKind::Storage, path.display(), "the record of the pod is damaged")
            .with_source(error)
    };
    let found: Document<serde_json::Value> = serde_json::from_slice(&bytes).map_err(damaged)?;
    if found.version != VERSION {
        let why = format!("it is of version {}, which is newer than this program", found.version);
        return Err(Error::new(ErrorKind::Storage, path.display(), why));
    }
    serde_json::from_value(found.pod).map(Some).map_err(damaged)
}

/// Replaces the file, which is on the disk when this comes back.
fn write(path: &Path, config: &PodConfig) -> Result<()> {
    let document = Document { version: VERSION, pod: config };
    let bytes = serde_json::to_vec(&document).expect("texts and numbers can be written");
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    let written = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&new, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&new);
        failed(error, "writing", path)
    })
}
