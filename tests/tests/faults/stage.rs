//! A destination that is watched.

use std::path::PathBuf;

use cask_testkit::generate::{Image, ImageSpec, LayerSpec, write_oci_layout};
use tests::{Outcome, Scratch, Transport, Tree, command, dray_built, run, scratch, tree};

/// A destination with a temporary directory of its own.
pub(crate) struct Stage {
    pub(crate) scratch: Scratch,
    pub(crate) transport: Transport,
}

impl Stage {
    /// A destination where nothing is yet.
    pub(crate) fn empty(transport: Transport) -> Self {
        let scratch = scratch();
        for folder in ["destination", "tmp"] {
            std::fs::create_dir(scratch.join(folder)).expect("a scratch directory is writable");
        }
        Self { scratch, transport }
    }

    /// A destination with an image.
    pub(crate) fn with_image(transport: Transport) -> Self {
        let stage = Self::empty(transport);
        let old = stage.source("old", &ImageSpec::new(77).build());
        stage.copy(&format!("-q {old} {}", stage.old())).ok();
        stage
    }

    /// The options of a copy to the new place.
    pub(crate) fn options(&self) -> &'static str {
        match self.transport {
            Transport::DockerArchive => "-q --dest-append",
            _ => "-q",
        }
    }

    /// The folder that holds the destination, and nothing else.
    pub(crate) fn folder(&self) -> PathBuf {
        self.scratch.join("destination")
    }

    /// Where the image goes. A layout holds it beside the old one, as a docker-archive does.
    pub(crate) fn new_place(&self) -> String {
        let place = self.transport.place(&self.folder(), "it");
        match self.transport {
            Transport::Dir | Transport::OciArchive => place,
            Transport::Oci => place.replace("it:it", "it:new"),
            Transport::DockerArchive => place.replace("it:1", "it:new"),
        }
    }

    /// Where the old image is.
    pub(crate) fn old(&self) -> String {
        self.transport.place(&self.folder(), "it")
    }

    /// Writes an image to a layout of its own.
    pub(crate) fn source(&self, name: &str, image: &Image) -> String {
        let path = self.scratch.at(name);
        write_oci_layout(path.as_ref(), &[(Some("it"), &image.content())])
            .expect("a scratch directory is writable");
        format!("oci:{path}:it")
    }

    /// `dray copy`, without anything run.
    pub(crate) fn copying(&self, line: &str) -> std::process::Command {
        let mut dray = command(dray_built());
        dray.env("TMPDIR", self.scratch.join("tmp")).arg("copy").args(line.split_whitespace());
        dray
    }

    /// Runs `dray copy`.
    #[track_caller]
    pub(crate) fn copy(&self, line: &str) -> Outcome {
        run(&mut self.copying(line))
    }

    /// All that is at the destination.
    pub(crate) fn tree(&self) -> Tree {
        tree(&self.folder())
    }

    /// Panics if something is in the temporary directory.
    #[track_caller]
    pub(crate) fn assert_no_litter(&self, context: &str) {
        let litter = tree(&self.scratch.join("tmp")).into_keys().collect::<Vec<_>>();
        assert_eq!(litter, [""], "temporary files, {context}");
    }

    /// Copies `from`, which has to be refused: the destination is as before, and the error tells
    /// one of `places`, or a digest.
    #[track_caller]
    pub(crate) fn refuses(&self, from: &str, context: &str, places: &[&str]) -> Outcome {
        let before = self.tree();
        let outcome = self.copy(&format!("--all {} {from} {}", self.options(), self.new_place()));
        let context = format!("{context}, to {:?}: {outcome}", self.transport);
        assert!([1, 2].contains(&outcome.code), "it has to be refused: {context}");
        assert!(outcome.stderr.contains("level=fatal"), "an error is reported: {context}");
        assert!(!outcome.stderr.contains("panicked"), "{context}");
        let tells = |place: &&&str| outcome.stderr.contains(**place);
        let told = outcome.stderr.contains("sha256:") || places.iter().any(|place| tells(&place));
        assert!(told, "the error tells where: {context}");
        assert!(self.tree() == before, "the destination is as before: {context}");
        self.assert_no_litter(&context);
        outcome
    }
}

/// An image that takes a while: four layers of random bytes.
pub(crate) fn large(seed: u64) -> Image {
    let layer = |n: u64| LayerSpec::new(seed * 10 + n).size_bytes(1 << 20);
    (0..4).fold(ImageSpec::new(seed), |image, n| image.layer(layer(n))).build()
}
