//! What users without privileges need: to be root of a user namespace, where layers can have files of many owners.
//!
//! A program that is about to write layers calls [`enter`] first of all. Who is root already, of the machine or of
//! such a namespace, stays where they are.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail};
use cask_runtime::{ErrorKind, IdMaps, enter_shared_user_namespace, enter_user_namespace};
use clap::Args;
use rustix::process::{getgid, getuid};

use crate::report;

/// The variable by which the field's tools tell one another who the user of a namespace is.
///
/// Source: containers/storage, `pkg/unshare`.
const USER: &str = "_CONTAINERS_ROOTLESS_UID";
const GROUP: &str = "_CONTAINERS_ROOTLESS_GID";
/// The variable that says that the namespace is ready.
const CONFIGURED: &str = "_CONTAINERS_USERNS_CONFIGURED";

/// The user that this process was before it entered a namespace.
static ENTERED: OnceLock<(u32, u32)> = OnceLock::new();

/// The ID of the user who called: outside of the user namespace, where that is known. 0 is the machine's root.
pub fn user_id() -> u32 {
    if let Some((user, _)) = ENTERED.get() {
        return *user;
    }
    let own = getuid().as_raw();
    let named = || std::env::var(USER).ok()?.parse().ok();
    match own == 0 && is_in_user_namespace() {
        // Nobody outside of a namespace believes what a variable says.
        true => named().unwrap_or(own),
        false => own,
    }
}

/// A user without privileges.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The user's number.
    pub uid: u32,
    /// That of its group.
    pub gid: u32,
    /// What the user is called.
    pub name: String,
    /// What its group is called.
    pub group: String,
    /// Who the user is.
    pub full_name: String,
    /// The user's home directory.
    pub home: String,
}

/// The user who called, outside of the user namespace; `None` is root.
pub fn caller() -> Option<Caller> {
    let uid = user_id();
    if uid == 0 {
        return None;
    }
    let found = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten();
    let named = || std::env::var(GROUP).ok()?.parse().ok();
    let gid = ENTERED.get().map(|(_, group)| *group).or_else(named);
    let gid = gid.or_else(|| found.as_ref().map(|user| user.gid.as_raw())).unwrap_or(uid);
    let group = nix::unistd::Group::from_gid(nix::unistd::Gid::from_raw(gid)).ok().flatten();
    let group = group.map_or_else(|| gid.to_string(), |group| group.name);
    let Some(found) = found else {
        let (name, home) = (uid.to_string(), "/".to_owned());
        return Some(Caller { uid, gid, name, group, full_name: String::new(), home });
    };
    let full_name = found.gecos.to_string_lossy().split(',').next().unwrap_or_default().to_owned();
    let home = found.dir.display().to_string();
    Some(Caller { uid, gid, name: found.name, group, full_name, home })
}

/// Whether this is not the machine's own user namespace.
pub fn is_in_user_namespace() -> bool {
    let maps = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let first: Vec<&str> = maps.split_whitespace().collect();
    !first.is_empty() && first != ["0", "0", "4294967295"]
}

/// Whether layers must be written as users have to: without devices, marked with attributes of users.
pub fn is_rootless() -> bool {
    user_id() != 0 || is_in_user_namespace()
}

/// Who the users of the user's containers are on the machine; `None` for who is root of it, or in a user namespace
/// already.
///
/// # Errors
/// Those of the files that say it.
pub fn maps_outside() -> Result<Option<IdMaps>> {
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    if user == 0 || is_in_user_namespace() { Ok(None) } else { maps(user, group).map(Some) }
}

/// Moves the process into a user namespace where it is root, with the IDs that the system gives the user, and into
/// a mount namespace: those in which the user's other programs are, as long as any runs. Nothing happens for who is
/// root already.
///
/// To be called before anything else that could start a thread. Where the user has no range of IDs, that is said:
/// then only one user and one group exist.
///
/// # Errors
/// Those of the namespace and of its maps.
pub fn enter() -> Result<()> {
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    if user == 0 {
        return Ok(());
    }
    let maps = maps(user, group)?;
    match directory(user) {
        Some(directory) => enter_shared_user_namespace(&directory, &maps)?,
        None => enter_user_namespace(&maps)?,
    }
    // Who is here twice has been root since the first time.
    let _ = ENTERED.set((user, group));
    Ok(())
}

/// Where the user's programs find one another: beside what they have while they run. `None` where no directory is
/// the user's alone: then each is by itself.
fn directory(user: u32) -> Option<PathBuf> {
    let own = |path: &Path| {
        let found = std::fs::symlink_metadata(path).ok();
        found
            .is_some_and(|found| found.is_dir() && found.uid() == user && found.mode() & 0o022 == 0)
    };
    let given = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| own(path));
    let top = given.or_else(|| {
        let usual = PathBuf::from(format!("/tmp/storage-run-{user}"));
        // Where it is there already, whose it is decides.
        let _ = std::fs::DirBuilder::new().mode(0o700).create(&usual);
        own(&usual).then_some(usual)
    });
    let directory = top?.join("cask");
    let made = std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&directory);
    (made.is_ok() && own(&directory)).then_some(directory)
}

fn maps(user: u32, group: u32) -> Result<IdMaps> {
    let name = name_of(user);
    let subuid = ranges("/etc/subuid")?;
    let subgid = ranges("/etc/subgid")?;
    match IdMaps::subordinate(&name, user, group, &subuid, &subgid) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            report::note(&format!(
                "user {name} has no range of IDs in /etc/subuid and /etc/subgid: all files will have one owner"
            ));
            if let Some(hint) = error.hint() {
                report::note(hint);
            }
            Ok(IdMaps::single(user, group))
        }
        maps => Ok(maps?),
    }
}

fn ranges(path: &str) -> Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.with_context(|| format!("reading {path}")),
    }
}

/// The name of a user, as the lines of these files have it; the number for who has none.
fn name_of(user: u32) -> String {
    let found = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(user));
    found.ok().flatten().map_or_else(|| user.to_string(), |found| found.name)
}

/// Run a command as root of a user namespace, as the store sees it
#[derive(Args, Clone, Debug)]
pub struct UnshareArguments {
    /// The command [default: $SHELL, else /bin/sh]
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<std::ffi::OsString>,
}

/// Runs the command in place of this program; the result is why that failed.
///
/// # Errors
/// For who is root; those of [`enter`].
///
/// Source: podman, `cmd/podman/system/unshare.go`.
pub fn unshare(arguments: &UnshareArguments) -> Result<ExitCode> {
    for_users()?;
    Ok(replaced(&mut arguments.command()))
}

/// Goes on as root of a user namespace; refuses root.
///
/// # Errors
/// As [`unshare`].
pub fn for_users() -> Result<()> {
    if user_id() == 0 {
        bail!("please use unshare with rootless");
    }
    enter()
}

impl UnshareArguments {
    /// The command, with what the field's tools are told of the user.
    pub fn command(&self) -> Command {
        let shell = || std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
        let (program, rest) = match self.command.split_first() {
            Some((program, rest)) => (program.clone(), rest),
            None => (shell().unwrap_or_else(|| "/bin/sh".into()), &[][..]),
        };
        let mut command = Command::new(&program);
        command.args(rest);
        if let Some((user, group)) = ENTERED.get() {
            command.env(CONFIGURED, "done");
            command.env(USER, user.to_string()).env(GROUP, group.to_string());
        }
        command
    }
}

/// Runs a command in place of this program; the result is why that failed.
pub fn replaced(command: &mut Command) -> ExitCode {
    let error = command.exec();
    failed(command, error)
}

/// Runs a command to its end; the result is its own, as a shell tells it.
pub fn finished(command: &mut Command) -> ExitCode {
    use std::os::unix::process::ExitStatusExt as _;
    match command.status() {
        Ok(status) => {
            let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
            ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(125))
        }
        Err(error) => failed(command, error),
    }
}

/// Tells why a command cannot be run.
fn failed(command: &Command, error: std::io::Error) -> ExitCode {
    let code = match error.kind() {
        std::io::ErrorKind::NotFound => 127,
        std::io::ErrorKind::PermissionDenied => 126,
        _ => 125,
    };
    let program = command.get_program().display();
    let error = anyhow::Error::new(error).context(format!("running {program}"));
    report::engine_failure(&error, |_| None);
    ExitCode::from(code)
}
