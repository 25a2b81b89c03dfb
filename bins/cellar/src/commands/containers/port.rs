//! `cellar port`

use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::PortMapping;
use cask_program::output;
use clap::Args;

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
}

/// Prints them.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let containers = context.containers()?;
    let mut text = String::new();
    match (&arguments.container, arguments.all) {
        (Some(name), false) => {
            let container = containers.find(name)?;
            let lines = lines(&container.config.network.ports, arguments.port.as_deref());
            if lines.is_empty() && arguments.port.is_some() {
                bail!(
                    "failed to find published port {:?}",
                    arguments.port.as_deref().unwrap_or_default()
                );
            }
            lines.iter().for_each(|line| text.push_str(&format!("{line}\n")));
        }
        (None, true) => {
            for container in containers.all(|_| ())? {
                if container.state.status.is_up() {
                    for line in lines(&container.config.network.ports, None) {
                        text.push_str(&format!("{}\t{line}\n", &container.id()[..12]));
                    }
                }
            }
        }
        _ => bail!("you must supply a running container name or id, or --all"),
    }
    output::bytes(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
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
