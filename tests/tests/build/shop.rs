//! Two stores with the same bases: cooper builds in one, buildah in the other.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tests::{Outcome, PeerStore, Scratch, command, cooper_built, run, scratch};

use crate::case::Prepared;
use crate::image::{Image, read};

/// Who builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Builder {
    /// Ours.
    Cooper,
    /// Debian's, with `--isolation chroot`.
    Buildah,
}

/// A store for each builder, with the bases in both.
pub(crate) struct Shop {
    ours: PeerStore,
    theirs: PeerStore,
    base: Vec<String>,
    scratch: Scratch,
}

impl Shop {
    /// Opens a shop.
    pub(crate) fn open() -> Self {
        let scratch = scratch();
        let archive = scratch.join("bases.tar");
        crate::bases::make(&archive);
        let (ours, theirs) = (PeerStore::new(), PeerStore::new());
        for store in [&ours, &theirs] {
            store.podman(&["load", "-q", "-i", &archive.display().to_string()]).ok();
        }
        let images = ours.podman(&["images", "-q", "--no-trunc"]).ok();
        let ids: Vec<&str> = images.text().lines().map(str::trim).collect();
        let inspected = ours.podman(&[["image", "inspect"].as_slice(), &ids].concat()).ok().json();
        let layers = |image: &Value| image["RootFS"]["Layers"].as_array().expect("layers").clone();
        let base = inspected.as_array().expect("a list").iter().flat_map(layers);
        let base = base.map(|id| id.as_str().expect("a digest").to_owned()).collect();
        Self { ours, theirs, base, scratch }
    }

    /// Builds a case; the outcome ends with the image's ID on its standard output.
    pub(crate) fn build(&self, builder: Builder, case: &Prepared) -> Outcome {
        let (file, context) = (case.file.display().to_string(), case.context.display().to_string());
        let common = ["-q", "--layers", "--no-cache", "--format", "docker", "--network", "host"];
        let store = self.store(builder);
        let mut build = match builder {
            Builder::Cooper => command(cooper_built()),
            Builder::Buildah => command("buildah"),
        };
        store.at_store(&mut build).args(["bud"]).args(common);
        if builder == Builder::Buildah {
            build.args(["--isolation", "chroot"]);
        }
        run(build.args(&case.arguments).args(["-f", &file, &context]))
    }

    /// Reads an image that was built.
    pub(crate) fn read(&self, builder: Builder, id: &str) -> Image {
        let id = id.trim().trim_start_matches("sha256:");
        // Two cases may become one image, and are read at the same time.
        static READ: AtomicUsize = AtomicUsize::new(0);
        let number = READ.fetch_add(1, Ordering::Relaxed);
        let directory = self.scratch.join(format!("{builder:?}-{number}"));
        let from = self.store(builder).location(&format!("@{id}"));
        let to = format!("dir:{}", directory.display());
        run(command("skopeo").args(["copy", "-q", &from, &to])).ok();
        let image = read(&directory, &self.base);
        remove(&directory);
        image
    }

    /// The store of a builder.
    pub(crate) fn store(&self, builder: Builder) -> &PeerStore {
        match builder {
            Builder::Cooper => &self.ours,
            Builder::Buildah => &self.theirs,
        }
    }
}

fn remove(directory: &Path) {
    std::fs::remove_dir_all(directory).expect("it is ours");
}
