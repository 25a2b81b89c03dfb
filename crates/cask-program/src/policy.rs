//! Finding and reading the signature policy.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use cask::TransportOptions;
use cask::trust::Policy;

use crate::settings::Settings;

/// The policy that the arguments, the environment or the system's files give.
///
/// Source: containers-policy.json(5), and the search order of 2026.
pub fn read(settings: &Settings) -> Result<Arc<Policy>> {
    if settings.insecure_policy {
        return Ok(Arc::new(Policy::danger_accept_anything()));
    }
    let path = path(settings)?;
    tracing::debug!("Using signature policy {}", path.display());
    let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let policy = Policy::parse(&text, &path.display().to_string())?;
    let transports = cask::transports(&TransportOptions::default());
    policy.validate_scopes(|transport, scope| match transports.find(transport) {
        Some(transport) => transport.validate_policy_scope(scope),
        // A transport that we do not have is nobody's to judge.
        None => Ok(()),
    })?;
    Ok(Arc::new(policy))
}

/// Where it is.
///
/// # Errors
/// Where there is none.
pub fn path(settings: &Settings) -> Result<PathBuf> {
    match &settings.policy {
        Some(path) => Ok(path.clone()),
        None => find(),
    }
}

fn find() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CONTAINERS_POLICY_JSON").filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let home = std::env::var_os("XDG_CONFIG_HOME")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".config")));
    let places = home.into_iter().chain(["/etc".into(), "/usr/share".into()]);
    let mut candidates: Vec<_> = places.map(|place| place.join("containers/policy.json")).collect();
    match candidates.iter().position(|path| path.exists()) {
        Some(found) => Ok(candidates.swap_remove(found)),
        None => {
            let candidates: Vec<_> =
                candidates.iter().map(|path| path.display().to_string()).collect();
            bail!(crate::report::Hinted {
                message: format!("there is no signature policy: no {}", candidates.join(", no ")),
                hint: "--insecure-policy accepts every image; --policy names a file",
            })
        }
    }
}
