//! The flag that gives secrets.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use cask_engine::{ContainerConfig, SecretConfig};
use clap::Args;

/// Where secrets are that say nothing else.
const DIRECTORY: &str = "/run/secrets";

/// What it is told.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Its files")]
pub(super) struct SecretArguments {
    /// Give it a secret: as a file of /run/secrets, or with type=env as a variable
    #[arg(long, value_name = "NAME[,type=TYPE,target=TARGET,uid=UID,gid=GID,mode=MODE]")]
    secret: Vec<String>,
}

impl SecretArguments {
    pub(super) fn resolve(&self, config: &mut ContainerConfig) -> Result<()> {
        let read = |text: &String| read(text).context("parsing secret");
        config.secrets = self.secret.iter().map(read).collect::<Result<_>>()?;
        Ok(())
    }
}

/// Source: podman, `cmd/podman/containers` and `pkg/specgenutil`, `parseSecrets`.
fn read(text: &str) -> Result<SecretConfig> {
    let mut secret = SecretConfig::default();
    let (mut target, mut is_variable, mut of_file) = (None, false, false);
    secret.mode = 0o444;
    for (number, part) in text.split(',').enumerate() {
        let (name, value) = match part.split_once('=') {
            Some(pair) => pair,
            None if number == 0 => ("source", part),
            None => bail!("option {part} invalid"),
        };
        let id = || value.parse::<u32>().with_context(|| format!("{name} {value} invalid"));
        match name {
            "source" => value.clone_into(&mut secret.name),
            "type" => match value {
                "mount" => is_variable = false,
                "env" => is_variable = true,
                other => bail!("type {other} is invalid"),
            },
            "target" => target = Some(value),
            "mode" => {
                let mode = u32::from_str_radix(value, 8).ok().filter(|mode| *mode <= 0o7777);
                secret.mode = mode.with_context(|| format!("mode {value} invalid"))?;
            }
            "uid" => secret.uid = id()?,
            "gid" => secret.gid = id()?,
            _ => bail!("option {part} invalid"),
        }
        of_file |= matches!(name, "uid" | "gid" | "mode");
    }
    if secret.name.is_empty() {
        bail!("no source found {text}");
    }
    if is_variable {
        if of_file {
            bail!("UID, GID, Mode options cannot be set with secret type env");
        }
        let name = target.unwrap_or(&secret.name).to_owned();
        if name.is_empty() || name.contains('=') {
            bail!("target {name:?} is no name of a variable");
        }
        secret.variable = Some(name);
    } else {
        secret.target = Path::new(DIRECTORY).join(target.unwrap_or(&secret.name));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_as_podman_reads_them() {
        let check = |text: &str, expected: &str| {
            let shown = match read(text) {
                Ok(secret) => match &secret.variable {
                    Some(name) => format!("{} ${name}", secret.name),
                    None => format!(
                        "{} {} {}:{} {:o}",
                        secret.name,
                        secret.target.display(),
                        secret.uid,
                        secret.gid,
                        secret.mode
                    ),
                },
                Err(error) => error.to_string(),
            };
            assert_eq!(shown, expected, "{text}");
        };
        check("one", "one /run/secrets/one 0:0 444");
        check("source=one,target=q", "one /run/secrets/q 0:0 444");
        check("one,target=/x/y,uid=5,gid=6,mode=0400", "one /x/y 5:6 400");
        check("one,type=env", "one $one");
        check("one,type=env,target=FOO", "one $FOO");
        check("one,type=bad", "type bad is invalid");
        check("one,foo=bar", "option foo=bar invalid");
        check("one,x", "option x invalid");
        check("one,mode=zz", "mode zz invalid");
        check(
            "one,type=env,mode=0400",
            "UID, GID, Mode options cannot be set with secret type env",
        );
        check("type=env", "no source found type=env");
    }
}
