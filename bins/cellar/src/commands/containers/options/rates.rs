//! Flags that limit disks, and say what becomes of memory that is short.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use cask_engine::{DiskLimit, ResourcesConfig, parse_bytes};
use clap::Args;

/// Limits of disks and of swap.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "How much it may use")]
pub(in crate::commands::containers) struct RateArguments {
    /// Limit how many bytes a second it reads of a disk
    #[arg(long, value_name = "DEVICE:SIZE")]
    device_read_bps: Vec<String>,
    /// Limit how often a second it reads of a disk
    #[arg(long, value_name = "DEVICE:N")]
    device_read_iops: Vec<String>,
    /// Limit how many bytes a second it writes to a disk
    #[arg(long, value_name = "DEVICE:SIZE")]
    device_write_bps: Vec<String>,
    /// Limit how often a second it writes to a disk
    #[arg(long, value_name = "DEVICE:N")]
    device_write_iops: Vec<String>,
    /// How readily its memory is swapped, from 0 to 100; -1 is as usual
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    memory_swappiness: Option<i64>,
    /// Have its processes wait where memory is short, instead of being killed
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    oom_kill_disable: Option<bool>,
}

impl RateArguments {
    pub(in crate::commands::containers) fn resolve(
        &self,
        resources: &mut ResourcesConfig,
    ) -> Result<()> {
        let rates = [
            ("read-bps", &self.device_read_bps),
            ("read-iops", &self.device_read_iops),
            ("write-bps", &self.device_write_bps),
            ("write-iops", &self.device_write_iops),
        ];
        for (what, given) in rates {
            for text in given {
                resources.disks.push(rate(what, text)?);
            }
        }
        resources.swappiness = match self.memory_swappiness {
            None | Some(-1) => None,
            Some(value) => {
                let found = u64::try_from(value).ok().filter(|value| *value <= 100);
                Some(found.with_context(|| {
                    format!("invalid value: {value}, valid memory swappiness range is 0-100")
                })?)
            }
        };
        if let Some(waits) = self.oom_kill_disable {
            resources.waits_for_memory = waits;
        }
        Ok(())
    }
}

/// Source: containers/common and podman, `cmd/podman/parse` and `pkg/specgenutil`, `parseThrottleBPSDevices`.
fn rate(what: &str, text: &str) -> Result<DiskLimit> {
    let bad = || format!("bad format: {text}");
    let (path, most) = text.split_once(':').with_context(bad)?;
    if !path.starts_with("/dev/") {
        bail!("bad format for device path: {text}");
    }
    let most = match what.ends_with("bps") {
        true => parse_bytes(most).with_context(|| {
            format!(
                "invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
            )
        })?,
        false => most.parse().ok().with_context(|| {
            format!(
                "invalid rate for device: {text}. The correct format is <device-path>:<number>. Number must be a positive integer"
            )
        })?,
    };
    Ok(DiskLimit { path: PathBuf::from(path), what: what.to_owned(), most })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        let check = |what: &str, text: &str, expected: Option<u64>| {
            let found = rate(what, text).ok();
            assert_eq!(found.map(|limit| limit.most), expected, "{what} {text}");
        };
        check("read-bps", "/dev/sda:1mb", Some(1 << 20));
        check("write-bps", "/dev/sda:5", Some(5));
        check("read-iops", "/dev/sda:1000", Some(1000));
        for wrong in ["/dev/sda", "sda:1", "/dev/sda:x", "/dev/sda:-1"] {
            check("read-bps", wrong, None);
            check("read-iops", wrong, None);
        }
        check("read-iops", "/dev/sda:1mb", None);
    }
}
