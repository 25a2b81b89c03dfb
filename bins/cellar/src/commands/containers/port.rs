//! `cellar port`

use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::{Container, Containers, PortMapping};
use cask_program::output;
use clap::Args;

use super::several;
use crate::context::Context;

/// Print the ports of this machine that lead to a container's
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container
    container: Option<String>,
    /// Only this port of it
    port: Option<String>,
    /// Of all containers that run
    #[arg(short, long)]
    all: bool,
    /// Of the container that was made last; the port is the only word then
    #[arg(short, long)]
    latest: bool,
}

/// Prints them.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let containers = context.containers()?;
    let mut text = String::new();
    let latest = arguments.latest;
    let port = if latest { &arguments.container } else { &arguments.port }.as_deref();
    match (&arguments.container, arguments.all) {
        (name, false) if latest || name.is_some() => {
            let name = name.as_deref().filter(|_| !latest);
            let container = several::one(&containers, name, latest)?;
            let lines = lines(&ports(&containers, container)?, port);
            if lines.is_empty()
                && let Some(port) = port
            {
                bail!("failed to find published port {port:?}");
            }
            lines.iter().for_each(|line| text.push_str(&format!("{line}\n")));
        }
        (None, true) => {
            for container in containers.all(|_| ())? {
                if container.state.status.is_up() {
                    let id = container.id()[..12].to_owned();
                    for line in lines(&ports(&containers, container)?, None) {
                        text.push_str(&format!("{id}\t{line}\n"));
                    }
                }
            }
        }
        _ => bail!("you must supply a running container name or id, or --all"),
    }
    output::bytes(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Those that lead to a container, which may be those of another one: whose network it shares.
fn ports(containers: &Containers, container: Container) -> Result<Vec<PortMapping>> {
    let owner = containers.network_owner(&container.config)?.unwrap_or(container);
    Ok(owner.config.network.ports)
}

fn lines(ports: &[PortMapping], wanted: Option<&str>) -> Vec<String> {
    let wanted = wanted.map(|wanted| wanted.split_once('/').unwrap_or((wanted, "tcp")));
    let mut found = Vec::new();
    for mapping in ports {
        for offset in 0..mapping.range {
            let port = (mapping.container_port + offset).to_string();
            let fits =
                |(number, protocol): (&str, &str)| number == port && protocol == mapping.protocol;
            if wanted.is_none_or(fits) {
                let ip = if mapping.host_ip.is_empty() { "0.0.0.0" } else { &mapping.host_ip };
                let host = format!("{ip}:{}", mapping.host_port + offset);
                found.push(match wanted {
                    Some(_) => host,
                    None => format!("{port}/{} -> {host}", mapping.protocol),
                });
            }
        }
    }
    found
}
