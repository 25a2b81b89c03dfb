//! What the environment of the caller gives to a build.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

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

/// What `--ssh` gives, by ID: the socket that is named, or else the one of SSH_AUTH_SOCK; or an agent
/// that is started for the keys that are named, in `directory`.
///
/// Source: BuildKit, `build/ssh.go`.
pub(super) fn agents(
    given: &[String],
    directory: &Path,
) -> Result<(BTreeMap<String, PathBuf>, Vec<KeyAgent>)> {
    let (mut agents, mut started) = (BTreeMap::new(), Vec::new());
    for text in given {
        let (id, paths) = match text.split_once('=') {
            Some((id, paths)) => (id, paths.split(',').map(PathBuf::from).collect()),
            None => {
                let socket = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty());
                let socket = socket.with_context(|| {
                    format!("--ssh {text}: SSH_AUTH_SOCK is not set; is there an agent?")
                })?;
                (text.as_str(), vec![PathBuf::from(socket)])
            }
        };
        let id = if id.is_empty() { "default" } else { id };
        let mut sockets = 0;
        for path in &paths {
            let metadata = path.metadata();
            let metadata = metadata.with_context(|| format!("--ssh {text}: {}", path.display()))?;
            sockets += usize::from(metadata.file_type().is_socket());
        }
        let socket = match (paths.as_slice(), sockets) {
            ([socket], 1) => socket.clone(),
            (_, 1..) => bail!("--ssh {text}: name one socket, or keys"),
            _ => {
                let socket = directory.join(format!("agent-{}", started.len()));
                let agent = KeyAgent::start(&socket, &paths);
                started.push(agent.with_context(|| format!("--ssh {text}"))?);
                socket
            }
        };
        agents.insert(id.to_owned(), socket);
    }
    Ok((agents, started))
}

/// An agent that has keys; it ends when this is dropped, and with this process.
pub(super) struct KeyAgent(Child);

impl KeyAgent {
    /// Waits until it has the keys. Who watches it reads from this process, and hears of its end.
    fn start(socket: &Path, keys: &[PathBuf]) -> Result<Self> {
        let mut agent = Command::new("sh");
        agent.args(["-c", KEEP, "sh"]).arg(socket).args(keys);
        let started = agent.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut agent = Self(started.context("starting a shell for ssh-agent")?);
        let mut said = String::new();
        if let Some(output) = agent.0.stdout.take() {
            BufReader::new(output).read_line(&mut said).context("hearing of ssh-agent")?;
        }
        match said.trim() {
            "ready" => Ok(agent),
            _ => bail!(
                "neither the socket of an agent nor a key that ssh-add takes: start ssh-agent, add the key to it, and write --ssh default"
            ),
        }
    }
}

/// Starts an agent and gives it keys; the agent ends when nobody writes any more.
const KEEP: &str = r#"
socket=$1
shift
ssh-agent -D -a "$socket" >/dev/null & agent=$!
trap 'kill $agent; wait $agent' EXIT
trap 'exit 1' HUP INT TERM
until test -S "$socket"; do kill -0 $agent || exit; sleep 0.02; done
SSH_AUTH_SOCK=$socket ssh-add -q -- "$@" && echo ready && cat >/dev/null
"#;

impl Drop for KeyAgent {
    fn drop(&mut self) {
        // Its command has no more input, then.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
