//! Flags that say what runs a container.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use cask_engine::RuntimeConfig;
use cask_program::containers_conf::EngineConf;
use clap::Args;

use crate::cli::GlobalArguments;

/// What runs it.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "What runs it")]
pub(crate) struct RuntimeArguments {
    /// Run it with this OCI runtime, a name or a path, instead of our own
    #[arg(long, value_name = "RUNTIME")]
    runtime: Option<PathBuf>,
    /// Give the OCI runtime an option, without its hyphens
    #[arg(long, value_name = "OPTION")]
    runtime_flag: Vec<String>,
}

impl RuntimeArguments {
    /// The runtime that is named here, or else before the command, or else in containers.conf; `native` is our own.
    pub(crate) fn resolve(
        &self,
        global: &GlobalArguments,
        conf: &EngineConf,
    ) -> Result<Option<RuntimeConfig>> {
        let usual = conf.runtime.as_ref().map(PathBuf::from);
        let named = self.runtime.as_ref().or(global.runtime.as_ref()).or(usual.as_ref());
        let flags: Vec<String> =
            global.runtime_flag.iter().chain(&self.runtime_flag).cloned().collect();
        // What `info` calls it is its name too.
        let is_other =
            |name: &&PathBuf| !["native", "cask"].iter().any(|own| name.as_os_str() == *own);
        let Some(named) = named.filter(is_other) else {
            if let Some(flag) = flags.first() {
                bail!("--runtime-flag {flag} is for an OCI runtime: name one with --runtime");
            }
            return Ok(None);
        };
        let name = named.display().to_string();
        // The words are podman's.
        let program = conf
            .find_runtime(&name)
            .map(PathBuf::from)
            .or_else(|| cask_program::build::runtime(Some(named)).ok())
            .filter(|path| path.is_file())
            .with_context(|| {
                format!("default OCI runtime \"{name}\" not found: invalid argument")
            })?;
        let program = std::path::absolute(program)?;
        Ok(Some(RuntimeConfig { name, program, flags, init: conf.init.clone() }))
    }
}
