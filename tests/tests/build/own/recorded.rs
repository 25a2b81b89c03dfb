//! Each case is built, and compared with what is recorded.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Map, Value};
use tests::{PeerStore, Scratch, command, cooper_built, has, run, scratch};

use super::case::{self, Case};
use super::{copies, on_purpose, stages, words};
use crate::conformance::unlisted;
use crate::difference::{Built, differences};
use crate::image::read;

/// How many cases there are.
const COUNT: usize = 148;

/// What Debian's buildah made of each case, by its name.
const RECORDED: &str = include_str!("recorded.json");

#[test]
fn every_case_of_our_own_becomes_what_buildah_made_of_it() {
    let cases: Vec<Case> = [copies::CASES, stages::CASES, words::CASES].concat();
    assert_eq!(cases.len(), COUNT, "another number of cases");
    if std::env::var_os("CASK_RECORD").is_some() {
        return record(&cases);
    }
    if !has(&["busybox"]) {
        return;
    }
    let recorded: Map<String, Value> = serde_json::from_str(RECORDED).expect("it is JSON");
    assert_eq!(recorded.len(), COUNT, "cases are recorded that are none, or the other way round");
    let shop = Shop::open(cooper_built(), false);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let theirs = case::read_back(&recorded[case.name]);
            let of_case = compare(case, shop.build(case), theirs);
            found.extend(of_case.into_iter().map(|found| (case.name.to_owned(), found)));
        }
        found
    };
    let found = std::thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.map(|worker| worker.join().expect("a case is built, whatever comes of it")).concat()
    });
    let wrong = unlisted("what is recorded", &found, [on_purpose::DIFFERENT, &[]]);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is different, each as a line.
fn compare(case: &Case, ours: Result<Built, String>, theirs: Option<Built>) -> Vec<String> {
    let (mut ours, mut theirs) = match (ours, theirs) {
        (Ok(ours), Some(theirs)) => (ours, theirs),
        (Err(_), None) => return Vec::new(),
        (Ok(_), None) => return vec!["fails: no / yes".to_owned()],
        (Err(said), Some(_)) => return vec![format!("fails: yes / no: {said}")],
    };
    for built in [&mut ours, &mut theirs] {
        if case.is_like() {
            built.history.clear();
            built.new_layers = 0;
        }
        built.history.iter_mut().for_each(|step| *step = step_alone(step));
    }
    differences(&ours, &theirs)
}

/// A step of the history as its instruction, and whether it has a layer: what the instruction was given is told in BuildKit's
/// words, which the conformance cases compare.
fn step_alone(step: &str) -> String {
    let word = step.split(' ').next().unwrap_or_default().to_uppercase();
    let layer = if step.ends_with(" +layer") { " +layer" } else { "" };
    format!("{word}{layer}")
}

/// Has buildah build all cases, and writes down what it makes of them, each case in a line.
fn record(cases: &[Case]) {
    let shop = Shop::open(Path::new("buildah"), true);
    let mut lines = Vec::new();
    for case in cases {
        let name = Value::from(case.name);
        lines.push(format!("{name}: {}", case::write_down(shop.build(case).ok().as_ref())));
    }
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/build/own/recorded.json");
    fs::write(recorded, format!("{{\n{}\n}}\n", lines.join(",\n")))
        .expect("the source is writable");
}

/// A store with the image `base`, in which a program builds.
struct Shop {
    program: PathBuf,
    is_peer: bool,
    store: PeerStore,
    /// The DiffIDs of the base.
    base: Vec<String>,
    scratch: Scratch,
}

impl Shop {
    fn open(program: &Path, is_peer: bool) -> Self {
        let (program, scratch) = (program.to_path_buf(), scratch());
        let mut shop =
            Self { program, is_peer, store: PeerStore::new(), base: Vec::new(), scratch };
        let context = shop.scratch.join("base");
        crate::bases::fill(&context.join("rootfs"));
        fs::write(context.join("Containerfile"), "FROM scratch\nADD rootfs /\nCMD [\"sh\"]\n")
            .expect("a scratch directory is writable");
        let image = shop.scratch.join("image");
        let flags = ["--format", "docker", "-t", "localhost/base"];
        shop.build_into(&context, &flags, &image).expect("the base can be built");
        let ids = read(&image, &[]).config["rootfs"]["diff_ids"].take();
        let ids = ids.as_array().expect("it has DiffIDs");
        shop.base = ids.iter().map(|id| id.as_str().expect("a digest").to_owned()).collect();
        shop
    }

    /// Builds a case; an error is what the program said.
    fn build(&self, case: &Case) -> Result<Built, String> {
        let scratch = scratch();
        let [file, context] = case.write(&scratch, self.is_peer);
        let image = scratch.join("image");
        let format: &[&str] =
            if case.flags.contains(&"--format") { &[] } else { &["--format", "docker"] };
        let flags = [&["-f", &file], format, case.flags].concat();
        self.build_into(Path::new(&context), &flags, &image)?;
        Ok(Built::of(&read(&image, &self.base)))
    }

    /// Builds, and writes the image into a directory. Buildah loses one that it shall build into a directory.
    fn build_into(&self, context: &Path, flags: &[&str], image: &Path) -> Result<(), String> {
        let place = format!("dir:{}", image.display());
        let mut build = command(&self.program);
        self.store.at_store(&mut build).args(["build", "-q", "--layers", "--network", "host"]);
        build.args(flags);
        if self.is_peer {
            build.args(["--isolation", "chroot", "-t", "localhost/case"]);
        } else {
            build.args(["-t", &place]);
        }
        let outcome = run(build.arg(".").current_dir(context));
        if outcome.code != 0 {
            return Err(outcome.stderr.trim().to_owned());
        }
        if self.is_peer {
            let from = self.store.location("localhost/case");
            run(command("skopeo").args(["--insecure-policy", "copy", "-q", &from, &place])).ok();
        }
        Ok(())
    }
}
