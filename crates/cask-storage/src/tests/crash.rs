//! Processes that die, and file systems that fail, at every step.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::support::*;
use crate::{CheckOptions, ErrorKind, NewContainer, NewImage, PruneOptions, Result, Store};
use cask_files::fault::{Fault, arm, steps};
use cask_image::LayerCompression;

/// Says to a child process what it is to do, and where.
const JOB: &str = "CASK_STORAGE_TEST_JOB";
const PLACE: &str = "CASK_STORAGE_TEST_PLACE";
const STEP: &str = "CASK_STORAGE_TEST_STEP";

/// What a child does to a store that has the image "old" of two layers.
const JOBS: [&str; 14] = [
    "first",
    "put",
    "put-again",
    "put-otherwise",
    "sign",
    "tag",
    "delete",
    "prune",
    "write",
    "together",
    "read",
    "repair",
    "create",
    "remove",
];

/// Those that need so little space that they succeed on a full disk.
const FRUGAL: [&str; 3] = ["delete", "prune", "remove"];

/// Those that take nothing away twice: what is gone is not found.
const ONCE: [&str; 2] = ["delete", "remove"];

fn work(job: &str, directory: &Path) -> Result<()> {
    let store = Store::open(options(directory))?;
    let old = || Ok(store.image_named("old")?.id.clone());
    match job {
        "first" | "put" => put(&store, &["base", "new"], "new").map(drop),
        "put-again" => put(&store, &["base", "top"], "new").map(drop),
        // The same image, with another manifest.
        "put-otherwise" => {
            let image = new_image_as(&store, &["base", "top"], "new", LayerCompression::Gzip)?;
            store.commit_image(image).map(drop)
        }
        // The same image, with another signature of it.
        "sign" => store.commit_image(signed(&store, "new", &["of", "two"])?).map(drop),
        "tag" => store.add_names(&old()?, &["new".to_owned()]),
        "delete" => store.delete_image(&old()?).map(drop),
        "write" => write(&store),
        "together" => together(&store.with_pending()),
        "read" => super::kept::add(&store, "fresh").map(drop),
        "repair" => store.repair().map(drop),
        "create" => create(&store),
        "remove" => {
            store.container_named("c").and_then(|c| store.delete_container(&c.id)).map(drop)
        }
        _ => prune(&store),
    }
}

/// The image, with signatures.
fn signed(store: &Store, name: &str, signatures: &[&str]) -> Result<NewImage> {
    let mut image = new_image(store, &["base", "top"], name)?;
    let manifest = image.digest.clone().unwrap();
    let signatures: Vec<Vec<u8>> = signatures.iter().map(|one| one.as_bytes().to_vec()).collect();
    image.add_signatures(&manifest, &signatures);
    Ok(image)
}

/// Layers that wait for one another.
fn together(store: &Store) -> Result<()> {
    let parent = store.image_named("old")?.top_layer.clone();
    let below = store.commit_layer(parent.as_ref(), stage(store, "below")?)?;
    store.commit_layer(Some(&below.id), stage(store, "above")?)?;
    store.settle()
}

/// A layer upon the image's; where mounting is allowed, through a mount.
fn write(store: &Store) -> Result<()> {
    let parent = store.image_named("old")?.top_layer.clone();
    let mut working = store.begin_working_layer(parent.as_ref())?;
    if rustix::process::geteuid().is_root() {
        std::fs::write(working.mount()?.join("x"), "x").unwrap();
    }
    let mut options = cask_layer::DiffOptions::default();
    options.times = cask_layer::FileTimes::Set(0);
    working.commit(&options).map(drop)
}

/// A container `c`, unless there is one.
fn create(store: &Store) -> Result<()> {
    let mut new = NewContainer::new(Some(store.image_named("old")?.id.clone()));
    new.names = vec!["c".to_owned()];
    new.layer_names = vec!["c-layer".to_owned()];
    match store.create_container(&new) {
        Err(error) if error.kind() == ErrorKind::Exists => Ok(()),
        made => made.map(drop),
    }
}

fn prune(store: &Store) -> Result<()> {
    let options = PruneOptions { older_than: Duration::ZERO };
    store.prune(&options).map(drop)
}

fn prepare(job: &str, directory: &Path) {
    let store = open(directory);
    if job == "first" {
        return;
    }
    let signatures: &[&str] = if job == "sign" { &["of one"] } else { &[] };
    store.commit_image(signed(&store, "old", signatures).unwrap()).unwrap();
    if job == "repair" {
        // Old releases find layers by links, new ones do without. A file has a generation before.
        let id = store.image_named("old").unwrap().id.clone();
        store.set_image_data(&id, "note", b"mine").unwrap();
        std::fs::remove_dir_all(directory.join("root/overlay/l")).unwrap();
        std::fs::write(directory.join("root/overlay-images/images.json"), "[").unwrap();
    }
    if job == "remove" {
        create(&store).unwrap();
    }
    if job == "prune" {
        let waste = put(&store, &["base", "waste", "more"], "waste").unwrap();
        // An image that lost its record leaves layers that nobody needs, and a directory.
        let images = directory.join("root/overlay-images");
        let text = std::fs::read_to_string(images.join("images.json")).unwrap();
        let start = text.find(&format!(",{{\"id\":\"{waste}")).unwrap();
        std::fs::write(images.join("images.json"), format!("{}]", &text[..start])).unwrap();
    }
}

/// What may be seen after a crash: all of the old, or all of the new.
fn states(job: &str) -> [&'static [&'static str]; 2] {
    match job {
        "first" => [&[], &["new"]],
        "delete" => [&["old"], &[]],
        "put" | "put-again" | "put-otherwise" | "sign" | "tag" => [&["old"], &["new", "old"]],
        _ => [&["old"], &["old"]],
    }
}

/// Not a test of its own: what the child processes run.
#[test]
fn child() {
    let Ok(job) = std::env::var(JOB) else { return };
    let place = std::env::var(PLACE).unwrap();
    let place = Path::new(&place);
    if let Ok(step) = std::env::var(STEP) {
        arm(Some(Fault::Die(step.parse().unwrap())));
        work(&job, place).unwrap();
        return;
    }
    // One of several that work at the same time.
    let store = open(place);
    for number in 0..12 {
        let shared = format!("shared-{}", number % 3);
        let own = format!("{job}-{number}");
        let id = put(&store, &["base", &shared, &own], &own).unwrap();
        put(&store, &["base", &shared], &format!("all-{}", number % 3)).unwrap();
        store.add_names(&id, &[format!("{own}-tagged"), "latest".to_owned()]).unwrap();
        store.remove_names(&id, &[own]).unwrap();
        if number % 2 == 1 {
            store.delete_image(&id).unwrap();
        }
    }
}

/// A directory in memory, where there is one: thousands of small files are made and deleted.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn spawn(job: &str, place: &Path, step: Option<u64>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "tests::crash::child"]).env(JOB, job).env(PLACE, place);
    if let Some(step) = step {
        command.env(STEP, step.to_string());
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn count_steps(job: &str) -> u64 {
    let temp = scratch();
    prepare(job, temp.path());
    arm(None);
    work(job, temp.path()).unwrap();
    let steps = steps();
    check_after(job, temp.path(), job);
    steps
}

/// Asserts that the store opens, what is listed is whole, a retry succeeds, and nothing is left.
fn check_after(job: &str, directory: &Path, at: &str) {
    // What is to be mended was broken before.
    if job != "repair" {
        check_whole(directory, at);
    }
    let store = open(directory);
    if job == "first" {
        // What was never there is not missing.
        let problems = store.check(&CheckOptions::default()).unwrap();
        assert!(problems.iter().all(|problem| problem.kind.is_waste()), "{at}: {problems:?}");
    }
    if job == "sign" {
        // Who writes something else to the image does not take away what its record means.
        let id = store.image_named("old").unwrap().id.clone();
        store.set_image_data(&id, "note", b"mine").unwrap();
        check_whole(directory, at);
    }
    let found = names(&store);
    assert!(states(job).iter().any(|state| found == *state), "{at}: {found:?}");
    let done = work(job, directory);
    if !ONCE.contains(&job) {
        done.unwrap();
    }
    assert_eq!(names(&store), states(job)[1], "{at}");
    let containers = store.containers().unwrap();
    assert_eq!(containers.len(), usize::from(job == "create"), "{at}");
    bystander(&store).unwrap();
    check_listed(&store, job, at);
    prune(&store).unwrap();
    check_clean(directory, at);
}

/// A change that has nothing to do with what others did.
fn bystander(store: &Store) -> Result<()> {
    let made = store.create_container(&NewContainer::new(None))?;
    store.delete_container(&made.id).map(drop)
}

/// Asserts that the next change has left nothing that no record has.
fn check_listed(store: &Store, job: &str, at: &str) {
    let images = store.images().unwrap().into_iter().map(|image| image.id.to_string());
    let layers = store.layers().unwrap().into_iter().map(|layer| layer.id.to_string());
    let containers = store.containers().unwrap().into_iter().map(|found| found.id.to_string());
    let listed = [layers.collect(), images.collect(), containers.collect()];
    let [layers, images, containers]: [HashSet<String>; 3] = listed;
    for (root, directory, known) in [
        (store.graph_root(), "overlay", &layers),
        (store.graph_root(), "overlay-layers", &layers),
        (store.graph_root(), "overlay-images", &images),
        (store.graph_root(), "overlay-containers", &containers),
        (store.run_root(), "overlay-containers", &containers),
        (store.graph_root(), "cask/unfinished", &HashSet::new()),
        (store.graph_root(), "overlay/tempdirs", &HashSet::new()),
        (store.graph_root(), "overlay-layers/tmp", &HashSet::new()),
        (store.run_root(), "cask/mounts", &HashSet::new()),
    ] {
        let is_own = directory.contains('/');
        for name in entries(&root.join(directory)) {
            let id = name.strip_suffix(".tar-split.gz").unwrap_or(&name);
            let is_listed = known.contains(id) || (!is_own && !crate::id::is_full_hex(id));
            assert!(is_listed, "{at}: {directory}/{name}");
        }
    }
    for id in &images {
        for name in entries(&store.graph_root().join("overlay-images").join(id)) {
            assert!(!name.starts_with("cask-superseded"), "{at}: {name}");
        }
    }
    let links = store.graph_root().join("overlay/l");
    for name in entries(&links) {
        assert!(links.join(&name).exists(), "{at}: the link {name} leads nowhere");
    }
    // These are about layers that no image has.
    if !["prune", "write", "together", "read"].contains(&job) {
        let problems = store.check(&CheckOptions::default()).unwrap();
        let unused = problems.iter().filter(|problem| problem.kind.is_waste());
        assert_eq!(unused.count(), 0, "{at}: {problems:?}");
    }
}

fn entries(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[test]
fn whoever_dies_leaves_a_store_that_works() {
    for job in JOBS {
        let steps = count_steps(job);
        assert!(steps > 3, "{job} has {steps} steps");
        for step in 0..steps {
            let temp = scratch();
            prepare(job, temp.path());
            let status = spawn(job, temp.path(), Some(step)).wait().unwrap();
            assert!(!status.success(), "{job} {step}");
            check_after(job, temp.path(), &format!("{job}, dead at step {step}"));
        }
    }
}

#[test]
fn whatever_fails_leaves_a_store_that_works() {
    for job in JOBS {
        for step in 0..count_steps(job) {
            let temp = scratch();
            prepare(job, temp.path());
            arm(Some(Fault::Fail(step)));
            let done = work(job, temp.path());
            arm(None);
            let at = format!("{job}, failed at step {step}: {done:?}");
            check_after(job, temp.path(), &at);
        }
    }
}

/// As a full disk would have it: where there is a reserve, whoever deletes succeeds.
#[test]
fn a_disk_that_is_full_at_any_step_leaves_a_store_that_works() {
    for job in JOBS {
        for step in 0..count_steps(job) {
            let temp = scratch();
            prepare(job, temp.path());
            arm(Some(Fault::Full(step)));
            let done = work(job, temp.path());
            arm(None);
            let at = format!("{job}, full at step {step}: {done:?}");
            if let Err(error) = &done {
                assert_eq!(error.kind(), ErrorKind::NoSpace, "{at}");
            }
            // Tokens have their place already, and removing takes none.
            let cannot_be = at.contains(".lock\"") || at.contains("\"deleting ");
            assert!(!FRUGAL.contains(&job) || done.is_ok() || cannot_be, "{at}");
            check_after(job, temp.path(), &at);
        }
    }
}

#[test]
fn eight_processes_lose_nothing() {
    let temp = scratch();
    let jobs: Vec<String> = (0..8).map(|number| format!("p{number}")).collect();
    let children: Vec<Child> = jobs.iter().map(|job| spawn(job, temp.path(), None)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let mut expected: Vec<String> = jobs
        .iter()
        .flat_map(|job| [0, 2, 4, 6, 8, 10].map(|number| format!("{job}-{number}-tagged")))
        .chain((0..3).map(|number| format!("all-{number}")))
        .collect();
    let store = open(temp.path());
    let mut found = names(&store);
    // Whoever was last to give it away may have been deleted.
    found.retain(|name| name != "latest");
    expected.sort();
    assert_eq!(found, expected);
    check_clean(temp.path(), "eight processes");
}
