//! Flags about control groups, devices, and what systemd wants.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use cask_engine::{CreateOptions, DiskWeight, ResourcesConfig, parse_device_rule};
use clap::Args;

/// Weights of disks, and real time.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "How much it may use")]
pub(in crate::commands::containers) struct WeightArguments {
    /// Which part of disks' time it gets beside others, from 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    blkio_weight: Option<String>,
    /// The same for one disk
    #[arg(long, value_name = "DEVICE:WEIGHT")]
    blkio_weight_device: Vec<String>,
    /// The period of its quota of real time, in microseconds
    #[arg(long, value_name = "N")]
    cpu_rt_period: Option<u64>,
    /// Its real time in each such period, in microseconds
    #[arg(long, value_name = "N")]
    cpu_rt_runtime: Option<u64>,
}

impl WeightArguments {
    pub(in crate::commands::containers) fn resolve(
        &self,
        resources: &mut ResourcesConfig,
    ) -> Result<()> {
        if let Some(text) = &self.blkio_weight {
            let weight: u16 = text.parse().with_context(|| "invalid value for blkio-weight")?;
            if weight != 0 && !(10..=1000).contains(&weight) {
                bail!("invalid value for blkio-weight: {weight} is not from 10 to 1000");
            }
            resources.disk_weight = Some(weight).filter(|weight| *weight != 0);
        }
        for text in &self.blkio_weight_device {
            resources.disk_weights.push(weight(text)?);
        }
        resources.real_time_period = self.cpu_rt_period.filter(|value| *value != 0);
        resources.real_time_runtime = self.cpu_rt_runtime.filter(|value| *value != 0);
        Ok(())
    }
}

/// What control groups do besides plain limits.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "How much it may use")]
pub(super) struct ControlArguments {
    #[command(flatten)]
    weights: WeightArguments,
    /// Set a file of its control group, such as memory.high
    #[arg(long, value_name = "FILE=VALUE")]
    cgroup_conf: Vec<String>,
    /// Let it use devices of which it has nodes, such as 'c 42:* rwm'
    #[arg(long, value_name = "RULE", help_heading = "What it may do")]
    device_cgroup_rule: Vec<String>,
    /// Prepare it for systemd: always, false, or true, which is where its command is systemd
    #[arg(long, value_name = "WHEN", help_heading = "Its life")]
    systemd: Option<String>,
}

impl ControlArguments {
    pub(super) fn resolve(&self, options: &mut CreateOptions) -> Result<()> {
        options.systemd = match self.systemd.as_deref() {
            None | Some("true") => None,
            Some("always") => Some(true),
            Some("false") => Some(false),
            Some(_) => bail!(
                "invalid config provided: --systemd values must be one of \"true, false, always\": invalid configuration"
            ),
        };
        let resources = &mut options.config.resources;
        self.weights.resolve(resources)?;
        for text in &self.device_cgroup_rule {
            parse_device_rule(text)?;
            resources.device_rules.push(text.clone());
        }
        for text in &self.cgroup_conf {
            let Some((file, value)) = text.split_once('=') else {
                bail!("--cgroup-conf must be formatted KEY=VALUE");
            };
            resources.control_group_settings.insert(file.to_owned(), value.to_owned());
        }
        if !self.cgroup_conf.is_empty() && !cask_runtime::Cgroup::is_unified() {
            bail!("cannot use --cgroup-conf without cgroup v2");
        }
        Ok(())
    }
}

/// Source: podman, `pkg/specgenutil/specgen.go`, `parseWeightDevices`.
fn weight(text: &str) -> Result<DiskWeight> {
    let (path, weight) = text.split_once(':').with_context(|| format!("bad format: {text}"))?;
    if !path.starts_with("/dev/") {
        bail!("bad format for device path: {text}");
    }
    match weight.parse() {
        Ok(weight @ 10..=1000) => Ok(DiskWeight { path: PathBuf::from(path), weight }),
        _ => bail!("invalid weight for device: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_disks_are_read_as_podman_reads_them() {
        let check = |text: &str, expected: &str| {
            let found = weight(text).map(|one| format!("{} {}", one.path.display(), one.weight));
            assert_eq!(found.unwrap_or_else(|error| error.to_string()), expected, "{text}");
        };
        check("/dev/sda:300", "/dev/sda 300");
        check("/dev/sda", "bad format: /dev/sda");
        check("/dev/sda:5", "invalid weight for device: /dev/sda:5");
        check("/dev/sda:x", "invalid weight for device: /dev/sda:x");
        check("sda:300", "bad format for device path: sda:300");
    }
}
