//! The helper of the tests, and a program that embeds the executor: `MODE ROOT COMMAND…` runs a command.
#![expect(clippy::print_stderr, reason = "a program of the tests says what failed")]

use std::error::Error;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use cask_runtime::{
    Cancel, Device, Executor, IdMaps, Identity, Namespace, NativeExecutor, Network, RunSpec,
    UserNamespace, run_helper,
};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let mode = arguments.next().expect("an argument");
    if mode == "__run-helper" {
        return ExitCode::from(run_helper());
    }
    match run(mode.to_str().expect("a mode"), &mut arguments) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("{error}");
            if let Some(source) = error.source() {
                eprintln!("{source}");
            }
            ExitCode::from(125)
        }
    }
}

/// The mode is `inherit`, `single` or `subordinate`, with `+host` for the machine's network or `+device` for
/// `/dev/null` in another place, with `+pid` for the machine's processes, and a user after a colon where it is not root.
fn run(
    mode: &str,
    arguments: &mut dyn Iterator<Item = std::ffi::OsString>,
) -> Result<u8, Box<dyn Error>> {
    let (mode, user) = mode.split_once(':').unwrap_or((mode, ""));
    let (mode, host) = mode.strip_suffix("+host").map_or((mode, false), |mode| (mode, true));
    let (mode, device) = mode.strip_suffix("+device").map_or((mode, false), |mode| (mode, true));
    let (mode, processes) = mode.strip_suffix("+pid").map_or((mode, false), |mode| (mode, true));
    let path = arguments.next().ok_or("a root is missing")?;
    let root = OwnedFd::from(File::open(&path)?);
    let identity = Identity::resolve(&cask_rootfs::Root::open(&path)?, user)?;
    let mut spec = RunSpec::new(root, arguments);
    spec.process.identity = identity;
    if host {
        spec.network = Network::Host;
    }
    if processes {
        spec.namespaces.processes = Namespace::Host;
    }
    if device {
        spec.files.devices.push(Device::of("/dev/null".as_ref(), "/dev/some/where")?);
    }
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    spec.users = match mode {
        "single" => UserNamespace::Map(IdMaps::single(uid, gid)),
        "subordinate" => {
            let read = std::fs::read_to_string;
            let (uids, gids) = (read("/etc/subuid")?, read("/etc/subgid")?);
            UserNamespace::Map(IdMaps::subordinate("cask-tester", uid, gid, &uids, &gids)?)
        }
        _ => UserNamespace::Inherit,
    };
    let report = NativeExecutor::default().run(&spec, &Cancel::new()?)?;
    report.notes.iter().for_each(|note| eprintln!("note: {note}"));
    Ok(report.status.shell_status())
}
