//! Descriptors that are passed on besides input, output and errors.

use anyhow::{Result, bail};
use clap::Args;

/// The first that can be passed on.
const FIRST: u32 = 3;
/// The most that are passed on.
const MOST: u32 = 900;

/// Which descriptors are passed on.
#[derive(Args, Debug)]
pub(super) struct DescriptorArguments {
    /// Pass so many descriptors on besides input, output and errors: from number 3 on
    #[arg(long, value_name = "N", default_value_t = 0)]
    preserve_fds: u32,
    /// Pass the descriptors of these numbers on
    #[arg(long, value_name = "NUMBER", value_delimiter = ',')]
    preserve_fd: Vec<u32>,
}

impl DescriptorArguments {
    /// Their numbers. Each was given to this program.
    pub(super) fn numbers(&self) -> Result<Vec<u32>> {
        if self.preserve_fds > MOST {
            bail!("--preserve-fds {}: no more than {MOST} are passed on", self.preserve_fds);
        }
        let mut numbers: Vec<u32> = (FIRST..FIRST + self.preserve_fds).collect();
        numbers.extend(&self.preserve_fd);
        numbers.sort_unstable();
        numbers.dedup();
        // The words are podman's.
        if let Some(number) =
            numbers.iter().find(|number| !cask_runtime::has_inherited_descriptor(**number))
        {
            bail!(
                "file descriptor {number} is not available - the preserve-fds option requires that file descriptors must be passed"
            );
        }
        Ok(numbers)
    }
}
