//! Hooks of processes that the native executor runs.

use serde_json::Value;

use super::{HookPlan, HookStage, Hooks, run, state};
use crate::error::{Error, ErrorKind, Result};
use crate::oci::Bundle;
use crate::prepare::Prepared;
use crate::report::Note;
use crate::spec::RunSpec;

/// The hooks of a process that a helper makes; those of its own namespaces are the helper's.
#[derive(Debug)]
pub(crate) struct Hooked {
    hooks: Hooks,
    /// Removed when all is over.
    bundle: Bundle,
    base: String,
    /// Some may have run: those at the end shall.
    begun: bool,
}

impl Hooked {
    /// Writes the bundle of a process that has hooks, and has its plan wait for them.
    pub(crate) fn add_to(prepared: &mut Prepared, spec: &RunSpec) -> Result<()> {
        let hooks = &spec.hooks;
        if hooks.list.is_empty() {
            return Ok(());
        }
        let (bundle, text) = Bundle::of_hooks(&hooks.directory, spec)?;
        let filtered = hooks.filter(text.clone())?;
        let value = |text: &str| serde_json::from_str::<Value>(text).ok();
        if value(&filtered) != value(&text) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "run the process as the precreate hooks want it, with",
                "the native executor",
            )
            .with_hint("name an OCI runtime, which reads the configuration that they wrote"));
        }
        bundle.write_config(&filtered)?;
        let base = hooks.base(bundle.name(), bundle.path());
        let inside = [HookStage::CreateContainer, HookStage::StartContainer];
        let list = hooks.list.iter().filter(|hook| inside.contains(&hook.stage)).cloned();
        let root = std::os::unix::ffi::OsStringExt::into_vec(bundle.root().into_os_string());
        prepared.plan.hooks = Some(HookPlan { root, list: list.collect(), base: base.clone() });
        let hooks = hooks.clone();
        prepared.hooked = Some(Self { hooks, bundle, base, begun: false });
        Ok(())
    }

    /// Runs those here before the root is the root.
    pub(crate) fn create(&mut self, pid: u32) -> Result<()> {
        self.begun = true;
        for stage in [HookStage::Prestart, HookStage::CreateRuntime] {
            self.run(stage, "creating", Some(pid))?;
        }
        Ok(())
    }

    /// Runs those here when the command has begun.
    pub(crate) fn started(&self, pid: u32) -> Result<()> {
        self.run(HookStage::Poststart, "running", Some(pid))
    }

    /// Runs those at the end, each of them, and says which failed.
    pub(crate) fn ended(self) -> Vec<Note> {
        if !self.begun {
            return Vec::new();
        }
        let state = state(&self.base, "stopped", None);
        let failures = self
            .hooks
            .of(HookStage::Poststop)
            .map(|hook| run(hook, &state, Some(self.bundle.path())).err());
        failures.flatten().map(|error| Note::HookFailed(error.to_string())).collect()
    }

    fn run(&self, stage: HookStage, status: &str, pid: Option<u32>) -> Result<()> {
        let state = state(&self.base, status, pid);
        self.hooks
            .of(stage)
            .try_for_each(|hook| run(hook, &state, Some(self.bundle.path())).map(drop))
    }
}
