//! Flags that limit memory, processors and processes.

use anyhow::{Result, bail};
use cask_engine::ResourcesConfig;
use clap::Args;

use super::{RateArguments, WeightArguments, size};

/// Limits of a whole container.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "How much it may use")]
pub(in crate::commands::containers) struct LimitArguments {
    /// Memory, such as 512m
    #[arg(short, long, value_name = "SIZE")]
    memory: Option<String>,
    /// Memory and swap together; -1 is no limit
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    memory_swap: Option<String>,
    /// Memory above which it is taken back first
    #[arg(long, value_name = "SIZE")]
    memory_reservation: Option<String>,
    /// Processors, such as 1.5
    #[arg(long, value_name = "N")]
    cpus: Option<f64>,
    /// The period of its quota, in microseconds
    #[arg(long, value_name = "N")]
    cpu_period: Option<u64>,
    /// Its processor time in each period, in microseconds
    #[arg(long, value_name = "N")]
    cpu_quota: Option<u64>,
    /// Its share of processor time where that is short; 1024 is usual
    #[arg(short, long, value_name = "N")]
    cpu_shares: Option<u64>,
    /// The processors that it may use, such as 0-3
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// The memory nodes that it may use
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// How many processes it may have; -1 is no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(super) pids_limit: Option<i64>,
}

/// All limits that a container or a pod that is there can be given others of.
#[derive(Args, Debug, Default)]
pub(in crate::commands::containers) struct AllLimitArguments {
    #[command(flatten)]
    limits: LimitArguments,
    #[command(flatten)]
    rates: RateArguments,
    #[command(flatten)]
    weights: WeightArguments,
}

impl AllLimitArguments {
    pub(in crate::commands::containers) fn resolve(
        &self,
        resources: &mut ResourcesConfig,
    ) -> Result<()> {
        self.limits.resolve(resources)?;
        self.rates.resolve(resources)?;
        self.weights.resolve(resources)
    }
}

impl LimitArguments {
    pub(in crate::commands::containers) fn resolve(
        &self,
        resources: &mut ResourcesConfig,
    ) -> Result<()> {
        let optional = |flag: &str, text: &Option<String>| {
            text.as_deref().map(|text| size(flag, text)).transpose()
        };
        // 0 is no limit, as it is for podman.
        resources.memory = optional("memory", &self.memory)?.filter(|bytes| *bytes > 0);
        resources.memory_reservation = optional("memory-reservation", &self.memory_reservation)?;
        resources.memory_swap = match self.memory_swap.as_deref() {
            None => None,
            Some("-1") => Some(-1),
            Some(text) => Some(i64::try_from(size("memory-swap", text)?).unwrap_or(-1)),
        };
        if let Some(cpus) = self.cpus.filter(|cpus| *cpus != 0.0) {
            if !(0.01..=10_000.0).contains(&cpus) {
                bail!("--cpus is from 0.01 to the number of processors, not {cpus}");
            }
            for (name, other) in [("period", self.cpu_period), ("quota", self.cpu_quota)] {
                if other.is_some() {
                    bail!("--cpu-{name} and --cpus cannot be set together");
                }
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be in range"
            )]
            let nano = (cpus * 1e9) as u64;
            resources.nano_cpus = Some(nano);
        }
        resources.cpu_period = self.cpu_period;
        resources.cpu_quota = self.cpu_quota;
        resources.cpu_shares = self.cpu_shares;
        resources.cpuset_cpus.clone_from(&self.cpuset_cpus);
        resources.cpuset_mems.clone_from(&self.cpuset_mems);
        // 0 is no limit, as it is for podman.
        resources.pids = self.pids_limit.map(|pids| if pids == 0 { -1 } else { pids });
        Ok(())
    }
}
