//! Which pods are meant.

use std::path::PathBuf;

use anyhow::{Result, bail};
use cask_engine::{Containers, Error, ErrorKind, Pod};
use clap::Args;

use super::super::options::pod_id_of;

/// Which pods are meant.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Which {
    /// The pods: names, IDs, or beginnings of IDs
    pods: Vec<String>,
    /// All pods
    #[arg(short, long)]
    pub(super) all: bool,
    /// The pod that was made last
    #[arg(short, long)]
    latest: bool,
    #[arg(skip)]
    files: Vec<PathBuf>,
    #[arg(skip)]
    ignore: bool,
}

impl Which {
    /// With those too whose IDs are in files.
    pub(super) fn with_files(&self, files: &[PathBuf]) -> Self {
        Self { files: files.to_vec(), ..self.clone() }
    }

    /// Those that are not there are passed over.
    pub(super) fn ignoring(self, ignore: bool) -> Self {
        Self { ignore, ..self }
    }

    /// Those of a name or, where there is none, the last.
    pub(super) fn one(name: Option<&str>, latest: bool) -> Self {
        Self { pods: name.map(ToOwned::to_owned).into_iter().collect(), latest, ..Self::default() }
    }

    /// All that are there of some names, or all.
    pub(super) fn names(pods: &[String], all: bool, latest: bool) -> Self {
        Self { pods: pods.to_vec(), all, latest, ..Self::default() }
    }

    /// Refuses what does not go together. Source: podman, `cmd/podman/validate/args.go`, `CheckAllLatestAndIDFile`.
    fn check(&self) -> Result<()> {
        let (named, from_file) = (!self.pods.is_empty(), !self.files.is_empty());
        match (from_file, self.all, self.latest) {
            (true, true, _) | (true, _, true) => {
                bail!("--all, --latest, and --pod-id-file cannot be used together")
            }
            (_, true, true) => bail!("--all and --latest cannot be used together"),
            (_, true, _) if named => bail!("no arguments are needed with --all"),
            (_, _, true) if named => bail!("--latest and pods cannot be used together"),
            (true, ..) if named => bail!("no arguments are needed with --latest or --pod-id-file"),
            (false, false, false) if !named => bail!("you must provide at least one name or id"),
            _ => Ok(()),
        }
    }

    /// Finds them; what cannot be found is an error among the others.
    pub(super) fn find(
        &self,
        containers: &Containers,
        errors: &mut Vec<anyhow::Error>,
    ) -> Result<Vec<Pod>> {
        self.check()?;
        let pods = containers.pods();
        if self.all {
            return Ok(pods.all()?);
        }
        if self.latest {
            return match pods.latest()? {
                Some(pod) => Ok(vec![pod]),
                None => bail!("no such pod"),
            };
        }
        let mut words = self.pods.clone();
        for file in self.files.iter().filter(|file| !self.ignore || file.exists()) {
            words.push(pod_id_of(file)?);
        }
        let mut found = Vec::new();
        for word in words {
            match pods.find(&word) {
                Ok(pod) => found.push(pod),
                Err(error) if self.ignore && error.kind() == ErrorKind::PodNotKnown => {}
                Err(error) => errors.push(error.into()),
            }
        }
        Ok(found)
    }

    /// Whether it does not matter that somebody else removed a pod meanwhile.
    pub(super) fn forgives(&self, error: &Error) -> bool {
        error.kind() == ErrorKind::PodNotKnown && (self.ignore || self.all)
    }
}
