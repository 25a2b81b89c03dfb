//! Taking away what nobody needs, and mending what can be mended.

use std::time::Duration;

use crate::check::{CheckOptions, Problem, ProblemKind};
use crate::delete::{Books, Deleted, Trash, TrashOf, blobs_of, delete_layers};
use crate::{Id, Result, Store, reserve, temp};

/// What is taken away.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PruneOptions {
    /// Layers that nobody needs and files that belong to nothing are taken away once they have
    /// been there for so long: younger ones may be of a pull or a build that goes on. What the
    /// dead left is known by its locks and goes at once.
    pub older_than: Duration,
}

impl Default for PruneOptions {
    /// A day.
    fn default() -> Self {
        Self { older_than: Duration::from_secs(24 * 60 * 60) }
    }
}

/// What was taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// What it was, with what each took on the disk.
    pub removed: Vec<Problem>,
}

impl Pruned {
    /// What was freed in bytes.
    pub fn bytes(&self) -> u64 {
        self.removed.iter().map(|problem| problem.bytes).sum()
    }
}

impl Store {
    /// Takes away what nobody needs: layers that no image and no container has, what interrupted
    /// pulls and deletions left, directories that belong to nothing.
    ///
    /// Works on a full disk.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly),
    /// [`ErrorKind::Locked`](crate::ErrorKind::Locked),
    /// [`ErrorKind::Denied`](crate::ErrorKind::Denied) and [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn prune(&self, options: &PruneOptions) -> Result<Pruned> {
        let inner = &self.inner;
        let held = inner.hold_all()?;
        let problems = self.check_held(&CheckOptions::default())?;
        let is_old = |problem: &Problem| match problem.kind {
            ProblemKind::IncompleteLayer | ProblemKind::Leftover => true,
            _ => problem.age.is_some_and(|age| age >= options.older_than),
        };
        let waste = problems.into_iter().filter(|problem| problem.kind.is_waste());
        let mut waste: Vec<Problem> = waste.filter(is_old).collect();
        let mut books = Books::load(&held)?;
        let doomed = self.prunable(&books, &waste);
        waste.retain(|problem| match (&problem.kind, &problem.id) {
            (ProblemKind::UnusedLayer, Some(id)) => doomed.contains(id),
            _ => true,
        });
        let blobs = blobs_of(&books, &doomed);
        let mut trash = Trash::default();
        delete_layers(inner, &held, &mut books.layers, &doomed, &mut trash)?;
        for problem in waste.iter().filter(|problem| problem.kind == ProblemKind::Orphan) {
            let of = match problem.path.starts_with(inner.places[problem.place].driver_directory())
            {
                true => TrashOf::Driver,
                false => TrashOf::Records,
            };
            trash.take(inner, problem.place, of, &problem.path)?;
        }
        drop(held);
        trash.empty()?;
        for place in inner.writable_places() {
            for of in [TrashOf::Driver, TrashOf::Records] {
                inner.with_reserve(|| temp::sweep(&inner.temp_root(place, of)))?;
            }
        }
        self.forget_kept_blobs(&blobs);
        self.tidy();
        Ok(Pruned { removed: waste })
    }

    /// The layers among the waste that can go, each before its parent: not those under a layer
    /// that stays.
    fn prunable(&self, books: &Books, waste: &[Problem]) -> Vec<Id> {
        let ids = waste.iter().filter(|problem| {
            matches!(problem.kind, ProblemKind::UnusedLayer | ProblemKind::IncompleteLayer)
        });
        let mut waiting: Vec<Id> = ids.filter_map(|problem| problem.id.clone()).collect();
        let mut doomed: Vec<Id> = Vec::new();
        loop {
            let stays = |id: &Id| {
                let mut children =
                    books.layers.records().filter(|layer| layer.parent.as_ref() == Some(id));
                children.any(|child| !doomed.contains(&child.id))
            };
            let (kept, free): (Vec<Id>, Vec<Id>) = waiting.into_iter().partition(stays);
            if free.is_empty() {
                return doomed;
            }
            doomed.extend(free);
            waiting = kept;
        }
    }

    /// Deletes images that are broken beyond use: those whose layers or manifest are missing.
    ///
    /// # Errors
    /// As [`delete_image`](Self::delete_image).
    pub fn remove_broken_images(&self) -> Result<Deleted> {
        let problems = self.check(&CheckOptions::default())?;
        let mut deleted = Deleted::default();
        let broken = problems.into_iter().filter(|problem| {
            matches!(problem.kind, ProblemKind::ImageWithoutLayer | ProblemKind::ImageWithoutData)
        });
        let mut broken: Vec<Id> = broken.filter_map(|problem| problem.id).collect();
        broken.dedup();
        for id in broken {
            if self.image(&id)?.is_some() {
                let gone = self.delete_image(&id)?;
                deleted.images.extend(gone.images);
                deleted.layers.extend(gone.layers);
            }
        }
        Ok(deleted)
    }

    /// What the space that is kept back for deleting on a full disk takes, in bytes.
    pub fn reserved_bytes(&self) -> u64 {
        crate::check::disk_bytes(&reserve::own_directory(self.graph_root()))
    }
}
