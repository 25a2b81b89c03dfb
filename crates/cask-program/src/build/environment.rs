//! What the environment of the caller gives to a build.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use cask_build::Secret;

use super::values;

/// What `--secret` gives, by ID: `id=ID,src=FILE`, `id=ID,env=VARIABLE`, and `type=file` or
/// `type=env` where only the ID is there besides.
///
/// Source: buildah, `parse.Secrets`; BuildKit, `build/secret.go`.
pub(super) fn secrets(given: &[String]) -> Result<BTreeMap<String, Secret>> {
    let mut secrets = BTreeMap::new();
    for text in given {
        let (id, secret) = secret(text).with_context(|| format!("--secret {text:?}"))?;
        secrets.insert(id, secret);
    }
    Ok(secrets)
}

fn secret(text: &str) -> Result<(String, Secret)> {
    let (mut id, mut file, mut variable, mut kind) = (None, None, None, None);
    for (key, value) in values::fields(text)? {
        let Some(value) = value else { bail!("{key:?} has no value") };
        match key.as_str() {
            "id" => id = Some(value),
            "src" | "source" => file = Some(value),
            "env" => variable = Some(value),
            "type" => kind = Some(value),
            other => bail!("{other:?} is not known: use id, src, env and type"),
        }
    }
    let Some(id) = id.filter(|id| !id.is_empty()) else { bail!("there is no id") };
    let bytes = match (kind.as_deref(), file, variable) {
        (None | Some("file"), Some(file), None) => read(Path::new(&file))?,
        (Some("env"), Some(name), None) | (None | Some("env"), None, Some(name)) => {
            of_variable(&name)?
        }
        (Some("env"), None, None) => of_variable(&id)?,
        (Some("file"), None, None) => bail!("there is no src"),
        // What has the ID's name: a variable, or else a file.
        (None, None, None) if std::env::var_os(&id).is_some() => of_variable(&id)?,
        (None, None, None) => read(Path::new(&id))?,
        (Some(other), _, _) if other != "file" && other != "env" => {
            bail!("the type {other:?} is not known: use file or env")
        }
        _ => bail!("src and env contradict each other"),
    };
    Ok((id, Secret::new(bytes)))
}

fn of_variable(name: &str) -> Result<Vec<u8>> {
    use std::os::unix::ffi::OsStringExt as _;
    let value = std::env::var_os(name);
    Ok(value.with_context(|| format!("the variable {name} is not set"))?.into_vec())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut bytes = Vec::new();
    file.take(Secret::MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| path.display().to_string())?;
    if bytes.len() > Secret::MAX_BYTES {
        bail!("{} has more than {} bytes", path.display(), Secret::MAX_BYTES);
    }
    Ok(bytes)
}

/// What `--ssh` gives, by ID: the socket that is named, or else the one of SSH_AUTH_SOCK.
///
/// Source: BuildKit, `build/ssh.go`.
pub(super) fn agents(given: &[String]) -> Result<BTreeMap<String, PathBuf>> {
    let mut agents = BTreeMap::new();
    for text in given {
        let (id, socket) = match text.split_once('=') {
            Some((id, socket)) => (id, PathBuf::from(socket)),
            None => {
                let socket = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty());
                let socket = socket.with_context(|| {
                    format!("--ssh {text}: SSH_AUTH_SOCK is not set; is there an agent?")
                })?;
                (text.as_str(), PathBuf::from(socket))
            }
        };
        let id = if id.is_empty() { "default" } else { id };
        let metadata =
            socket.metadata().with_context(|| format!("--ssh {text}: {}", socket.display()))?;
        if !metadata.file_type().is_socket() {
            bail!(
                "--ssh {text}: keys are not supported yet, and {} is no socket of an agent: \
                 start ssh-agent, add the key to it, and write --ssh default",
                socket.display()
            );
        }
        agents.insert(id.to_owned(), socket);
    }
    Ok(agents)
}
