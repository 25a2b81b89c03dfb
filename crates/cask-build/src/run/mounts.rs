//! The mounts of a RUN: what they are, and how they enter the key.

use std::any::Any;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cask_containerfile::Behavior;
use cask_containerfile::instruction::{Mount as Words, MountFlag, MountKind, Propagation, Sharing};
use cask_rootfs::Root;
use cask_runtime::{CopyUp, Memory, Mount, MountAccess, MountSource, Propagation as Travel};
use cask_storage::Id;
use rustix::fs::{Mode, OFlags};

use super::agent::Agent;
use super::cache_mount::{self, CacheRequest};
use super::materialize::{Selection, select};
use super::stubs::Place;
use crate::build::{Engine, From, Secret, StageRun};
use crate::context::Context;
use crate::key::KeyParts;
use crate::view::View;
use crate::volume::{Volume, give};
use crate::{Error, ErrorKind, Result, config};

/// A mount whose variables are replaced and whose source is known.
pub(super) struct Planned {
    /// Where it is mounted: an absolute path.
    target: String,
    what: What,
    read_only: bool,
    travel: Travel,
    /// Whether the command's user gets it.
    gives: bool,
}

enum What {
    /// Files of a context, as they lie there.
    Direct {
        context: Arc<Context>,
        source: String,
    },
    /// Files that are copied for the mount: changes of them are lost.
    Copied {
        selection: Selection,
        is_directory: bool,
        source: String,
    },
    /// Files of a stage or an image.
    Layers {
        top: Option<Id>,
        source: String,
    },
    Cache {
        id: String,
        sharing: Sharing,
        owner: (u32, u32),
        mode: u32,
        first: Option<Selection>,
    },
    Memory {
        size_bytes: Option<u64>,
        /// `None` is that of the directory that is there.
        mode: Option<u32>,
        copies_up: bool,
    },
    Secret {
        secret: Secret,
        mode: u32,
        owner: (u32, u32),
    },
    Agent {
        socket: PathBuf,
        mode: u32,
        owner: (u32, u32),
    },
}

/// All mounts of a RUN, and the variables that come with them.
#[derive(Default)]
pub(super) struct Plans {
    pub(super) mounts: Vec<Planned>,
    /// Variables with secrets, and those of agents.
    pub(super) environment: Vec<(OsString, OsString)>,
}

/// The mounts, taken hold of; what they need ends when this is dropped.
#[derive(Default)]
pub(super) struct Opened {
    pub(super) mounts: Vec<Mount>,
    /// Where they go, and what is to be there.
    pub(super) places: Vec<(String, Place)>,
    /// Which of the mounts the command's user gets, and what they are called.
    given: Vec<(usize, PathBuf)>,
    keep: Vec<Box<dyn Any>>,
}

fn invalid(flag: &MountFlag, detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, format!("--mount={}", flag.fields.join(",")), detail)
}

/// Works out the mounts of a RUN, and adds to the key what can change its result: of secrets, agents
/// and caches only who they are.
pub(super) fn plan(run: &StageRun<'_>, flags: &[MountFlag], parts: &mut KeyParts) -> Result<Plans> {
    let mut plans = Plans::default();
    let options = run.plan.expansion(run.dialect());
    for flag in flags {
        let words = flag.resolve(&run.state.scope, &options).map_err(|error| {
            let detail = match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            };
            invalid(flag, detail).at(|| run.plan.location(flag.span))
        })?;
        let planning = Planning { run, flag, words: &words };
        let planned = planning.plan(&mut plans, parts);
        planned.map_err(|error| error.at(|| run.plan.location(flag.span)))?;
    }
    Ok(plans)
}

struct Planning<'a> {
    run: &'a StageRun<'a>,
    flag: &'a MountFlag,
    words: &'a Words,
}

impl Planning<'_> {
    fn plan(&self, plans: &mut Plans, parts: &mut KeyParts) -> Result<()> {
        let words = self.words;
        if words.changes_owner && !matches!(words.kind, MountKind::Bind | MountKind::Cache) {
            return Err(invalid(self.flag, "U is for mounts of the types bind and cache"));
        }
        let before = plans.environment.len();
        let what = match words.kind {
            MountKind::Bind => Some(self.bind(parts)?),
            MountKind::Cache => Some(self.cache(parts)?),
            MountKind::Tmpfs => Some(self.memory(parts)?),
            MountKind::Secret => self.secret(plans, parts)?,
            MountKind::Ssh => self.agent(plans, parts)?,
            _ => return Err(invalid(self.flag, "this crate does not know its type")),
        };
        let Some((target, what)) = what else {
            debug_assert!(plans.environment.len() >= before);
            return Ok(());
        };
        let is_writable_copy = matches!(what, What::Copied { .. } | What::Layers { .. });
        let writes = !words.is_read_only || (words.is_overlay && is_writable_copy);
        let read_only = !writes && !matches!(what, What::Agent { .. });
        let (travel, gives) = (self.travel()?, words.changes_owner);
        plans.mounts.push(Planned { target, what, read_only, travel, gives });
        Ok(())
    }

    /// How later mounts travel: none that would let a command mount on this machine.
    fn travel(&self) -> Result<Travel> {
        match self.words.propagation {
            None | Some(Propagation::Private | Propagation::RecursivePrivate) => {
                Ok(Travel::Private)
            }
            Some(Propagation::Slave | Propagation::RecursiveSlave) => Ok(Travel::Slave),
            Some(_) => Err(invalid(
                self.flag,
                "bind-propagation is one of private, rprivate, slave and rslave in a build",
            )),
        }
    }

    fn target(&self) -> Result<String> {
        let target = self.words.target.as_deref().filter(|target| !target.is_empty());
        let target =
            target.ok_or_else(|| invalid(self.flag, "invalid mount: a target is required"))?;
        let path = config::working_directory(&self.run.state.config.config.working_dir, target);
        match path.as_str() {
            "/" => Err(invalid(self.flag, "nothing can be mounted over the root itself")),
            _ => Ok(path),
        }
    }

    fn bind(&self, parts: &mut KeyParts) -> Result<(String, What)> {
        let words = self.words;
        let target = self.target()?;
        let writes = !words.is_read_only || words.is_overlay;
        let source = words.source.clone().unwrap_or_default();
        let from = match &words.from {
            Some(from) => self.run.from(from)?,
            None => From::Files(Arc::clone(&self.run.engine.tools.sources.context)),
        };
        let name = format!("mount {target}");
        let store = &self.run.engine.tools.store;
        let what = match from {
            From::Layers { top, .. } if source.trim_matches('/').is_empty() => {
                parts.add(name, format!("bind of {}", top.as_ref().map_or("scratch", Id::as_str)));
                What::Layers { top, source }
            }
            From::Layers { top, name: from } => {
                let context = From::Layers { name: from, top: top.clone() }.context(store)?;
                let selection = self.selection(&context, &source)?.0;
                add_selection(parts, name, &selection);
                What::Layers { top, source }
            }
            From::Files(context) => {
                let (selection, is_directory) = self.selection(&context, &source)?;
                add_selection(parts, name, &selection);
                // The owners of files of a context stay what they are: those of a copy are changed.
                let lies_ready = context.ignore_file().is_none()
                    && context.view().one_root().is_some()
                    && !writes
                    && !words.changes_owner;
                match lies_ready {
                    true => What::Direct { context, source },
                    false => What::Copied { selection, is_directory, source },
                }
            }
        };
        parts.add(format!("access of {target}"), if writes { "rw" } else { "ro" });
        if words.changes_owner {
            parts.add(format!("owner of {target}"), "the user");
        }
        Ok((target, what))
    }

    /// What is at a path of a context, and whether it is a directory.
    fn selection(&self, context: &Arc<Context>, source: &str) -> Result<(Selection, bool)> {
        let status = context.view().status_following(source)?.ok_or_else(|| {
            let detail = format!("{source:?} is not in {}", context.name());
            Error::new(
                ErrorKind::Missing,
                format!("--mount={}", self.flag.fields.join(",")),
                detail,
            )
        })?;
        Ok((select(self.run.engine, context, source)?, status.is_directory()))
    }

    fn owner(&self) -> (u32, u32) {
        (self.words.uid.unwrap_or(0), self.words.gid.unwrap_or(0))
    }

    fn cache(&self, parts: &mut KeyParts) -> Result<(String, What)> {
        let words = self.words;
        let target = self.target()?;
        let id = words.id.clone().unwrap_or_else(|| target.clone());
        let owner = self.owner();
        let mode = words.mode.unwrap_or(0o755);
        let sharing = words.sharing.unwrap_or_default();
        if sharing == Sharing::Private && !self.run.dialect().does(Behavior::CacheMayBePrivate) {
            // The words are buildah's.
            let detail = "unrecognized value \"private\" for field `sharing`";
            return Err(invalid(self.flag, detail));
        }
        let first = match &words.from {
            Some(from) => {
                let context = self.run.from(from)?.context(&self.run.engine.tools.store)?;
                let source = words.source.clone().unwrap_or_default();
                Some(self.selection(&context, &source)?.0)
            }
            None => None,
        };
        // What is in a cache never counts, nor what it begins with.
        let text = format!("cache {id} {}:{} {mode:o}", owner.0, owner.1);
        parts.add(format!("mount {target}"), text);
        Ok((target, What::Cache { id, sharing, owner, mode, first }))
    }

    fn memory(&self, parts: &mut KeyParts) -> Result<(String, What)> {
        let words = self.words;
        let target = self.target()?;
        let size = words.size_bytes.map_or("unlimited".to_owned(), |size| size.to_string());
        let view = View::of_store(&self.run.engine.tools.store, self.run.state.top())?;
        let is_there = view.status_following(&target)?.is_some_and(|found| found.is_directory());
        // What is made for the mount alone is no directory to look like.
        let mode = words.mode.or_else(|| (!is_there).then_some(0o1777));
        let shown = mode.map_or("its own".to_owned(), |mode| format!("{mode:o}"));
        let filled = if words.copies_up { " with what is there" } else { "" };
        parts.add(format!("mount {target}"), format!("tmpfs {size} {shown}{filled}"));
        let (size_bytes, copies_up) = (words.size_bytes, words.copies_up && is_there);
        Ok((target, What::Memory { size_bytes, mode, copies_up }))
    }

    fn secret(&self, plans: &mut Plans, parts: &mut KeyParts) -> Result<Option<(String, What)>> {
        let words = self.words;
        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let id = words.id.clone().or_else(|| words.source.clone());
        let id = id.or_else(|| words.target.as_deref().map(last)).unwrap_or_default();
        if id.is_empty() {
            return Err(invalid(self.flag, "a secret needs an id"));
        }
        let variable = words.env.as_ref().map(|env| if env.is_empty() { &id } else { env });
        // A variable alone needs no file.
        let target = match (&words.target, variable) {
            (Some(_), _) => Some(self.target()?),
            (None, Some(_)) => None,
            (None, None) => Some(self.secret_target(&id)?),
        };
        let (owner, mode) = (self.owner(), words.mode.unwrap_or(0o400));
        let text = format!(
            "secret {id} {}:{} {mode:o} {}",
            owner.0,
            owner.1,
            variable.map_or("", String::as_str)
        );
        parts.add(format!("mount {}", target.as_deref().unwrap_or("of a secret")), text);
        let Some(secret) = self.run.engine.request.run.secrets.get(&id) else {
            if words.is_required {
                // The words are buildah's.
                let detail = format!("secret required but no secret with id {id} found");
                return Err(Error::new(ErrorKind::Missing, "", detail)
                    .with_hint(format!("give it with --secret id={id},src=FILE")));
            }
            return Ok(None);
        };
        if secret.danger_bytes().len() > Secret::MAX_BYTES {
            let detail = format!("it is longer than {} bytes", Secret::MAX_BYTES);
            return Err(Error::new(ErrorKind::Limit, format!("secret {id:?}"), detail));
        }
        if let Some(name) = variable {
            let value = secret.danger_bytes().to_vec();
            if name.contains('=') || value.contains(&0) {
                return Err(invalid(self.flag, "the secret cannot be a variable: it holds a NUL"));
            }
            plans.environment.push((name.into(), OsString::from_vec(value)));
        }
        let what = What::Secret { secret: secret.clone(), mode, owner };
        Ok(target.map(|target| (target, what)))
    }

    /// `/run/secrets/ID`; an ID that is a path gives its last part.
    fn secret_target(&self, id: &str) -> Result<String> {
        let name = id.rsplit('/').next().unwrap_or_default();
        if matches!(name, "" | "." | "..") {
            return Err(invalid(self.flag, "a secret whose id is no name needs a target"));
        }
        Ok(format!("/run/secrets/{name}"))
    }

    fn agent(&self, plans: &mut Plans, parts: &mut KeyParts) -> Result<Option<(String, What)>> {
        let words = self.words;
        let id = words.id.clone().unwrap_or_else(|| "default".to_owned());
        let number = plans.environment.iter().filter(|(name, _)| name == "SSH_AUTH_SOCK").count();
        let target = match &words.target {
            Some(_) => self.target()?,
            None => format!("/run/buildkit/ssh_agent.{number}"),
        };
        let (owner, mode) = (self.owner(), words.mode.unwrap_or(0o600));
        let text = format!("ssh {id} {}:{} {mode:o}", owner.0, owner.1);
        parts.add(format!("mount {target}"), text);
        let Some(socket) = self.run.engine.request.run.agents.get(&id) else {
            if words.is_required {
                return Err(Error::new(
                    ErrorKind::Missing,
                    format!("SSH agent {id:?}"),
                    "not found",
                )
                .with_hint("give it with --ssh"));
            }
            return Ok(None);
        };
        plans.environment.push(("SSH_AUTH_SOCK".into(), target.clone().into()));
        Ok(Some((target, What::Agent { socket: socket.clone(), mode, owner })))
    }
}

fn add_selection(parts: &mut KeyParts, name: String, selection: &Selection) {
    for component in selection.components() {
        parts.detail(component.path, component.digest);
    }
    parts.add(name, selection.digest());
}

impl Opened {
    /// Takes hold of all that is mounted.
    pub(super) fn new(engine: &Engine, planned: &[Planned], volumes: &[Volume]) -> Result<Self> {
        let mut opened = Self::default();
        for volume in volumes {
            opened.volume(engine, volume)?;
        }
        for plan in planned {
            opened.open(engine, plan)?;
        }
        Ok(opened)
    }

    /// Adds a mount of ours.
    pub(super) fn push(&mut self, mount: Mount, place: Place) {
        self.places.push((mount.target.to_string_lossy().into_owned(), place));
        self.mounts.push(mount);
    }

    fn volume(&mut self, engine: &Engine, volume: &Volume) -> Result<()> {
        let keep = &mut self.keep;
        let mount = volume.open(|| {
            let changes = engine.scratch_directory()?;
            let path = changes.path().to_owned();
            keep.push(Box::new(changes));
            Ok(path)
        })?;
        let place = match &mount.source {
            MountSource::Bind(source) => place_of(source),
            _ => Place::Directory,
        };
        if volume.gives {
            self.given.push((self.mounts.len(), volume.source.clone()));
        }
        self.push(mount, place);
        Ok(())
    }

    /// Gives what is to be the command's user's to that user, by its numbers on this machine.
    pub(super) fn give(&self, owner: (u32, u32)) -> Result<()> {
        self.given.iter().try_for_each(|(number, shown)| give(&self.mounts[*number], shown, owner))
    }

    fn open(&mut self, engine: &Engine, plan: &Planned) -> Result<()> {
        let (mount, place) = match &plan.what {
            What::Direct { context, source } => {
                let root = context.view().one_root().ok_or_else(|| {
                    Error::new(ErrorKind::Runtime, context.name(), "it is no one directory")
                })?;
                below(root, source, &plan.target)?
            }
            What::Copied { selection, is_directory, source } => {
                self.copied(engine, selection, *is_directory, source, &plan.target)?
            }
            What::Layers { top, source } => {
                self.layers(engine, top.as_ref(), source, &plan.target)?
            }
            What::Cache { id, sharing, owner, mode, first } => {
                let namespace = &engine.request.cache.namespace;
                let request =
                    CacheRequest { namespace, id, sharing: *sharing, owner: *owner, mode: *mode };
                let root = engine.tools.state_directory.join("mounts");
                let fill = |directory: &Path| match first {
                    Some(first) => first.write(engine, directory),
                    None => Ok(()),
                };
                let cache = cache_mount::open(&root, &request, &engine.cancel, fill)?;
                let source = cache.directory.try_clone().map_err(|error| {
                    Error::new(ErrorKind::Io, "the cache", "it cannot be opened").with_source(error)
                })?;
                self.keep.push(Box::new(cache));
                (Mount::bind(source, &plan.target), Place::Directory)
            }
            What::Memory { size_bytes, mode, copies_up } => {
                (memory(*size_bytes, *mode, *copies_up, &plan.target), Place::Directory)
            }
            What::Secret { secret, mode, owner } => {
                let bytes = Arc::clone(secret.danger_bytes());
                let (uid, gid) = *owner;
                let source = MountSource::Content { bytes, mode: *mode, uid, gid };
                (Mount::new(source, &plan.target), empty_file())
            }
            What::Agent { socket, mode, owner } => {
                let place = engine.scratch_directory()?;
                let agent = Agent::new(socket, place, *owner, *mode)?;
                let source = open_path(agent.path())?;
                self.keep.push(Box::new(agent));
                (Mount::bind(source, &plan.target), empty_file())
            }
        };
        let mut mount = mount;
        mount.options.access.read_only = plan.read_only;
        mount.options.propagation = plan.travel;
        // What is in it belongs to the users inside, where the kernel can show it so: for root.
        mount.options.shift_owners = engine.request.run.users.are_mapped()
            && !engine.tools.store.options().rootless
            && matches!(mount.source, MountSource::Bind(_));
        if plan.gives {
            self.given.push((self.mounts.len(), PathBuf::from(&plan.target)));
        }
        self.push(mount, place);
        Ok(())
    }

    fn copied(
        &mut self,
        engine: &Engine,
        selection: &Selection,
        is_directory: bool,
        source: &str,
        target: &str,
    ) -> Result<(Mount, Place)> {
        let scratch = engine.scratch_directory()?;
        selection.write(engine, scratch.path())?;
        let root = Root::open(scratch.path()).map_err(crate::view::failed)?;
        let name = if is_directory { "" } else { source.rsplit('/').next().unwrap_or_default() };
        let found = below(&root, name, target);
        self.keep.push(Box::new(scratch));
        found
    }

    /// The files of layers under a mount of their own, so that changes of them are lost.
    fn layers(
        &mut self,
        engine: &Engine,
        top: Option<&Id>,
        source: &str,
        target: &str,
    ) -> Result<(Mount, Place)> {
        let store = &engine.tools.store;
        let storage = |error| Error::storage(error, format!("the mount on {target}"));
        let mut layer = store.begin_working_layer(top).map_err(storage)?;
        let root = Root::open(layer.mount().map_err(storage)?).map_err(crate::view::failed)?;
        let found = below(&root, source, target);
        self.keep.push(Box::new(layer));
        found
    }
}

/// Mounts what a path names within a root, by an open handle: who swaps it afterwards changes
/// nothing.
fn below(root: &Root, source: &str, target: &str) -> Result<(Mount, Place)> {
    let source = match source.trim_matches('/') {
        "" => ".",
        source => source,
    };
    let mount = Mount::bind_below(root, Path::new(source), target)
        .map_err(|error| Error::runtime(error, format!("the source of the mount on {target}")))?;
    let place = match &mount.source {
        MountSource::Bind(source) => place_of(source),
        _ => Place::Directory,
    };
    Ok((mount, place))
}

/// A directory in memory. It looks as the one at its place does, unless it has permissions of its own, and is as empty
/// unless what is there is copied.
///
/// Source: runc, `libcontainer/rootfs_linux.go`, which mounts it so.
pub(crate) fn memory(
    size_bytes: Option<u64>,
    mode: Option<u32>,
    copies_up: bool,
    target: &str,
) -> Mount {
    let source =
        MountSource::Memory { kind: Memory::Tmpfs { size_bytes }, mode: mode.unwrap_or(0o1777) };
    let mut mount = Mount::new(source, target);
    mount.options.access = MountAccess::NO_PRIVILEGES;
    mount.options.copy_up = CopyUp { files: copies_up, permissions: mode.is_none() };
    mount
}

pub(super) fn open_path(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Error::io(error, "cannot be opened", path))
}

pub(super) fn empty_file() -> Place {
    Place::File { bytes: Vec::new(), mode: 0o644 }
}

/// What has to be where this is mounted.
pub(super) fn place_of(source: &OwnedFd) -> Place {
    let is_directory = rustix::fs::fstat(source).is_ok_and(|found| {
        rustix::fs::FileType::from_raw_mode(found.st_mode) == rustix::fs::FileType::Directory
    });
    if is_directory { Place::Directory } else { empty_file() }
}
