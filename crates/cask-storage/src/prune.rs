//! Taking away what nobody needs, and mending what can be mended.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::check::{CheckOptions, Problem, ProblemKind};
use crate::delete::{Books, Trash, TrashOf, blobs_of, delete_layers};
use crate::layers::MAX_CHAIN;
use crate::{Id, Image, Result, Store, reserve, temp};

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

    /// The images that are broken beyond use, by what [`check`](Self::check) found: whose manifest or other files, or
    /// whose layers, are missing or not what they were. A layer that only lost the recipe for its tar stream is still of
    /// use.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`](crate::ErrorKind::Denied) and [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn broken_images(&self, problems: &[Problem]) -> Result<Vec<Image>> {
        let about = |kinds: &[ProblemKind]| -> HashSet<&Id> {
            let found = problems.iter().filter(|problem| kinds.contains(&problem.kind));
            found.filter_map(|problem| problem.id.as_ref()).collect()
        };
        let of_images = about(&[
            ProblemKind::ImageWithoutLayer,
            ProblemKind::ImageWithoutData,
            ProblemKind::ImageDataChanged,
        ]);
        let mut of_layers = about(&[ProblemKind::LayerChanged]);
        let without_recipe = about(&[ProblemKind::LayerWithoutTarSplit]);
        of_layers.retain(|id| !without_recipe.contains(id));
        of_layers.extend(about(&[ProblemKind::LayerWithoutFiles, ProblemKind::LayerWithoutParent]));
        let layers: HashMap<Id, Option<Id>> =
            self.layers()?.iter().map(|layer| (layer.id.clone(), layer.parent.clone())).collect();
        let is_upon_broken = |image: &Image| {
            let parent = |id: &&Id| layers.get(*id)?.as_ref();
            let mut chain = std::iter::successors(image.top_layer.as_ref(), |id| parent(id));
            chain.by_ref().take(MAX_CHAIN).any(|id| of_layers.contains(id))
        };
        let mut images = self.images()?;
        images.retain(|image| of_images.contains(&image.id) || is_upon_broken(image));
        Ok(images)
    }

    /// What the space that is kept back for deleting on a full disk takes, in bytes.
    pub fn reserved_bytes(&self) -> u64 {
        crate::check::disk_bytes(&reserve::own_directory(self.graph_root()))
    }
}
