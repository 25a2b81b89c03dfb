//! A writer that dies, or is told that its disk is broken, at every single step.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use cask_files::fault::{Fault, arm, steps};

use super::image::{Signed, files};
use crate::staging::is_hidden;

/// Tells the child which writer it is.
const ROLE: &str = "CASK_TRANSPORT_DIR_CRASH";

/// What the target is before somebody writes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    Empty,
    Image,
    ImageWithSignatures,
    ManySignatures,
    SameImage,
}

const ALL: [Before; 6] = [
    Before::Nothing,
    Before::Empty,
    Before::Image,
    Before::ImageWithSignatures,
    Before::ManySignatures,
    Before::SameImage,
];

impl Before {
    /// Makes the target, and gives the image in it.
    fn prepare(self, target: &Path) -> Option<Signed> {
        let old = match self {
            Self::Nothing => return None,
            Self::Empty => {
                std::fs::create_dir(target).unwrap();
                return None;
            }
            Self::Image => Signed::new(1, 0),
            Self::ImageWithSignatures => Signed::new(1, 1),
            Self::ManySignatures => Signed::new(1, 5),
            Self::SameImage => Signed::new(2, 3),
        };
        old.write(target).unwrap();
        Some(old)
    }
}

fn new() -> Signed {
    Signed::new(2, 2)
}

struct Scene {
    temp: tempfile::TempDir,
    old: Option<Signed>,
}

impl Scene {
    fn new(before: Before) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let old = before.prepare(&temp.path().join("image"));
        Self { temp, old }
    }

    fn target(&self) -> PathBuf {
        self.temp.path().join("image")
    }

    /// Either image is there as a whole, and the next writer finds nothing in its way.
    async fn check(&self, case: &str) {
        let target = self.target();
        let is_new = new().is_at(&target).await;
        match &self.old {
            Some(old) => assert!(is_new || old.is_at(&target).await, "{case}: neither is there"),
            None => assert!(is_new || !target.join("manifest.json").exists(), "{case}: a half"),
        }
        let last = Signed::new(3, 1);
        assert_eq!(last.write(&target).unwrap(), Vec::<String>::new(), "{case}");
        assert!(last.is_at(&target).await, "{case}");
        assert_eq!(files(&target), last.files(), "{case}: nothing but the last image is there");
        assert_eq!(files(self.temp.path()).len(), 1, "{case}: nothing lies beside it");
    }
}

/// How many steps a write takes.
fn count(before: Before) -> u64 {
    let scene = Scene::new(before);
    arm(None);
    new().write(&scene.target()).unwrap();
    steps()
}

#[tokio::test]
async fn a_writer_killed_at_any_step_leaves_the_old_image_or_the_new_one() {
    for before in ALL {
        let count = count(before);
        assert!(count > 20, "{before:?}: {count}");
        for step in 0..count {
            let scene = Scene::new(before);
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "tests::crash::child", "--nocapture"])
                .env(ROLE, format!("{step} {}", scene.target().display()))
                .stdout(std::process::Stdio::null())
                .status()
                .unwrap();
            assert_eq!(status.signal(), Some(9), "{before:?}: step {step} was not reached");
            scene.check(&format!("{before:?}, killed at step {step}")).await;
        }
    }
}

/// The writer that dies. Does nothing in an ordinary run.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (step, target) = role.split_once(' ').unwrap();
    arm(Some(Fault::Die(step.parse().unwrap())));
    new().write(Path::new(target)).unwrap();
}

#[tokio::test]
async fn a_step_that_fails_leaves_the_old_image_or_the_new_one() {
    for before in ALL {
        for step in 0..count(before) {
            let case = format!("{before:?}, failing at step {step}");
            let scene = Scene::new(before);
            let unhidden = || {
                let mut found = files(&scene.target());
                found.retain(|name, _| !is_hidden(name));
                found
            };
            let was = unhidden();
            arm(Some(Fault::Fail(step)));
            let result = new().write(&scene.target());
            arm(None);
            match result {
                Ok(warnings) => {
                    assert!(new().is_at(&scene.target()).await, "{case}");
                    assert!(warnings.len() <= 1, "{case}: {warnings:?}");
                }
                Err(error) => {
                    assert!(format!("{error:?}").contains("told to fail"), "{case}: {error:?}");
                    assert_eq!(unhidden(), was, "{case}: the old image is as it was");
                }
            }
            scene.check(&case).await;
        }
    }
}
