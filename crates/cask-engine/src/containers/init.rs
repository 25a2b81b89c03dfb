//! An init that is a program of its own: one that somebody named, or one of the machine's where an external runtime
//! makes the first process.
//!
//! Our own init is the process that becomes the command's parent; no file of the container is needed for it. A runtime
//! can only begin a program that the container has, and ours needs libraries that an image need not have. So a static
//! one is mounted, as podman does it.

use std::path::{Path, PathBuf};

use super::config::{ContainerConfig, SpaceMode};
use crate::{Error, ErrorKind, Result};

/// Where it is in a container. Source: podman, `libpod/define/container.go`, `ContainerInitPath`.
pub(super) const PLACE: &str = "/run/podman-init";

/// Where distributions have one that needs no library. Source: containers/common, `pkg/config/config_linux.go`; the
/// packages catatonit and tini of Debian, Fedora and openSUSE.
const USUAL: [&str; 5] = [
    "/usr/libexec/podman/catatonit",
    "/usr/lib/podman/catatonit",
    "/usr/libexec/catatonit/catatonit",
    "/usr/bin/catatonit",
    "/usr/bin/tini-static",
];

/// The program that a container's first process is; `None` where it has no init, or our own. The words are podman's.
///
/// # Errors
/// [`ErrorKind::Invalid`] where there is none, or the container's first process is another's.
pub(super) fn program(config: &ContainerConfig) -> Result<Option<PathBuf>> {
    let process = &config.process;
    if !process.init {
        return Ok(None);
    }
    if config.namespaces.pid != SpaceMode::Private {
        let words = "cannot add init binary as PID 1 (PID namespace isn't private)";
        return Err(Error::new(ErrorKind::Invalid, words, ""));
    }
    let named = match (&process.init_program, &config.runtime) {
        (Some(named), _) => Some(named.as_path()),
        (None, None) => return Ok(None),
        (None, Some(runtime)) => runtime.init.as_deref(),
    };
    let usual = || USUAL.map(Path::new).into_iter().find(|path| path.is_file());
    let Some(path) = named.or_else(usual) else {
        let why = "container-init binary not found on the host";
        return Err(Error::new(ErrorKind::Invalid, "--init", why)
            .with_hint("install catatonit, name one with --init-path, or leave --runtime out"));
    };
    if let Err(error) = std::fs::metadata(path) {
        let words = format!("container-init binary not found on the host: stat {}", path.display());
        return Err(Error::new(ErrorKind::Invalid, words, "").with_source(error));
    }
    Ok(Some(path.to_owned()))
}

/// The program that does nothing but wait, where an external runtime makes the first process of a container whose own
/// process is to do that; `None` where our own does it.
///
/// # Errors
/// [`ErrorKind::Invalid`] where there is none.
pub(super) fn pause(config: &ContainerConfig) -> Result<Option<PathBuf>> {
    if !config.process.pause || config.runtime.is_none() {
        return Ok(None);
    }
    // Of the usual ones this one can.
    let can = |path: &&Path| path.ends_with("catatonit") && path.is_file();
    match USUAL.map(Path::new).into_iter().find(can) {
        Some(path) => Ok(Some(path.to_owned())),
        None => {
            let words = "finding catatonit binary";
            Err(Error::new(ErrorKind::Invalid, words, "no file of that name is where it should be")
                .with_hint(
                    "install catatonit, name an image with --infra-image, or leave --runtime out",
                ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::RuntimeConfig;
    use super::*;

    #[test]
    fn our_own_init_needs_no_program_and_another_must_be_there() {
        let found = |init: bool, named: Option<&str>, runtime: Option<Option<&str>>| {
            let mut config = ContainerConfig::default();
            config.process.init = init;
            config.process.init_program = named.map(PathBuf::from);
            config.runtime = runtime.map(|init| RuntimeConfig {
                init: init.map(PathBuf::from),
                ..RuntimeConfig::default()
            });
            program(&config).map_err(|error| error.to_string())
        };
        let there = || Ok(Some(PathBuf::from("/bin/sh")));
        assert_eq!(found(false, Some("/bin/sh"), Some(None)), Ok(None));
        assert_eq!(found(true, None, None), Ok(None));
        assert_eq!(found(true, Some("/bin/sh"), None), there());
        assert_eq!(found(true, Some("/bin/sh"), Some(Some("/nope"))), there());
        assert_eq!(found(true, None, Some(Some("/bin/sh"))), there());
        let missing = "container-init binary not found on the host: stat /nope";
        for wrong in [found(true, Some("/nope"), None), found(true, None, Some(Some("/nope")))] {
            assert!(wrong.is_err_and(|error| error.contains(missing)));
        }
        let mut config = ContainerConfig::default();
        config.process.init = true;
        config.namespaces.pid = SpaceMode::Host;
        assert!(program(&config).is_err_and(|error| error.to_string().contains("PID 1")));
    }
}
