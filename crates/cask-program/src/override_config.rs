//! `--config` of `commit`: a config in a file, which comes over what a container says.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

/// The config in a file; variables without a value have the caller's. A file without anything says nothing.
///
/// Source: buildah 1.43, `internal/config/override.go`, `mergeEnv`; podman 5.8, `DecodeOverrideConfig`.
///
/// # Errors
/// For a file that cannot be read or is no JSON object.
pub fn read(file: &Path) -> Result<Map<String, Value>> {
    let bytes = std::fs::read(file)
        .with_context(|| format!("reading the config from {}", file.display()))?;
    if bytes.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    let mut given: Map<String, Value> = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is no JSON object with a config", file.display()))?;
    for (_, value) in given.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case("Env")) {
        for variable in value.as_array_mut().into_iter().flatten() {
            if let Some(name) = variable.as_str().filter(|text| !text.contains('=')) {
                let found = std::env::var(name).unwrap_or_default();
                *variable = json!(format!("{name}={found}"));
            }
        }
    }
    Ok(given)
}
