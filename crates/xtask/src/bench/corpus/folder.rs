//! The folder of images: what is in it, and what has to be made first.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::kind::Corpus;
use super::layout::{Made, write_layout};
use super::parts::Parts;
use super::synthetic;
use crate::console;
use crate::process::{command, succeed};

/// Counts up when any image changes: what an older version made is thrown away.
const RECIPE: &str = "1";

/// The folder of images.
#[derive(Debug)]
pub(crate) struct Corpora {
    folder: PathBuf,
}

impl Corpora {
    /// Opens the folder, and empties it if another version of this code filled it.
    ///
    /// # Errors
    ///
    /// Where it cannot be read or made.
    pub(crate) fn open(folder: PathBuf) -> Result<Self> {
        let mark = folder.join("recipe");
        if fs::read_to_string(&mark).is_ok_and(|recipe| recipe == RECIPE) {
            return Ok(Self { folder });
        }
        let emptied = if folder.exists() { fs::remove_dir_all(&folder) } else { Ok(()) };
        emptied
            .and_then(|()| fs::create_dir_all(&folder))
            .and_then(|()| fs::write(mark, RECIPE))
            .with_context(|| format!("cannot prepare {}", folder.display()))?;
        Ok(Self { folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes an image, unless it is there.
    ///
    /// # Errors
    ///
    /// Where a program that is needed is missing or fails, and where Debian's packages cannot be had.
    pub(crate) fn make(&self, corpus: Corpus) -> Result<Made> {
        let name = corpus.name();
        let mark = self.folder.join(format!("{name}.json"));
        if let Ok(text) = fs::read_to_string(&mark) {
            return serde_json::from_str(&text)
                .with_context(|| format!("{}: delete it", mark.display()));
        }
        console::heading(&format!("making the image {name}"));
        let parts = Parts::open(self.folder.join("parts"))?;
        let layers = match corpus {
            Corpus::Debian => vec![parts.debian()?],
            Corpus::Python => parts.python()?,
            Corpus::Many30 => parts.many(30)?,
            Corpus::BigBlob => synthetic::big_blobs(parts.folder(), &parts.debian()?)?,
            Corpus::Layers(count) => synthetic::small_layers(parts.folder(), count)?,
        };
        let made = write_layout(&self.folder.join(&name), &layers)?;
        if corpus == Corpus::Python {
            self.other_formats(&name, &layers)?;
        }
        let mut gone = layers.iter().filter(|layer| !Parts::is_shared(layer));
        gone.try_for_each(fs::remove_file).context("cannot remove plain layers")?;
        let text = serde_json::to_string_pretty(&made)?;
        fs::write(&mark, text).with_context(|| format!("cannot write {}", mark.display()))?;
        Ok(made)
    }

    /// Writes the image once more as a `docker save` archive, as an OCI archive, and as plain layers.
    fn other_formats(&self, name: &str, layers: &[PathBuf]) -> Result<()> {
        let path = |suffix: &str| self.folder.join(format!("{name}{suffix}"));
        let (docker, oci, plain) = (path(".docker.tar"), path(".oci.tar"), path(".plain"));
        if docker.exists() {
            fs::remove_file(&docker)
                .with_context(|| format!("cannot remove {}", docker.display()))?;
        }
        let from = format!("oci:{}:latest", path("").display());
        let to = format!("docker-archive:{}:{name}:latest", docker.display());
        succeed(&mut command("skopeo", ["--insecure-policy", "copy", "--quiet", &from, &to]))?;
        let mut tar = command("tar", ["-cf"]);
        tar.arg(oci).arg("-C").arg(path("")).args(["oci-layout", "index.json", "blobs"]);
        succeed(&mut tar)?;
        if plain.exists() {
            fs::remove_dir_all(&plain)
                .with_context(|| format!("cannot remove {}", plain.display()))?;
        }
        fs::create_dir(&plain).with_context(|| format!("cannot make {}", plain.display()))?;
        for layer in layers {
            let link = plain.join(layer.file_name().expect("a layer is a file"));
            fs::hard_link(layer, &link)
                .with_context(|| format!("cannot link {}", link.display()))?;
        }
        Ok(())
    }
}
