//! Processes that die, and file systems that fail, at every step.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cask_files::fault::{Fault, arm, steps};

use super::support::*;
use crate::{Layout, LayoutOptions, Result, Selector, nameless};

/// Says to a child process what it is to do, and where.
const JOB: &str = "CASK_LAYOUT_TEST_JOB";
const PLACE: &str = "CASK_LAYOUT_TEST_PLACE";
const STEP: &str = "CASK_LAYOUT_TEST_STEP";

/// What a child does to a layout that has the image "old" under the name v1.
const JOBS: [&str; 5] = ["write", "write-named", "tag", "delete", "create"];

fn work(job: &str, path: &Path, options: LayoutOptions) -> Result<()> {
    let layout = Layout::create_or_open(path, options)?;
    match job {
        "tag" => layout.tag(&image("old", 2).manifest.descriptor(), &name("v2")),
        "delete" => layout.delete(Selector::Name("v1")).map(drop),
        _ => write(&layout, &image("new", 2), Some("v1")),
    }
}

/// Not a test of its own: what the child processes run.
#[test]
fn child() {
    let Ok(job) = std::env::var(JOB) else { return };
    let path = std::env::var(PLACE).unwrap();
    nameless::allow(job != "write-named");
    if let Ok(step) = std::env::var(STEP) {
        arm(Some(Fault::Die(step.parse().unwrap())));
        work(&job, Path::new(&path), LayoutOptions::default()).unwrap();
        return;
    }
    if let Some(writer) = job.strip_prefix("fifty-") {
        let layout = Layout::create_or_open(&path, LayoutOptions::default()).unwrap();
        for number in 0..50 {
            let image = image(&format!("{writer}{}", number % 10), 1);
            write(&layout, &image, Some(&format!("{writer}{number}"))).unwrap();
        }
        return;
    }
    if job == "few-files" {
        use rustix::process::{Resource, Rlimit, setrlimit};
        setrlimit(Resource::Nofile, Rlimit { current: Some(30), maximum: Some(30) }).unwrap();
        let layout = Layout::create_or_open(&path, LayoutOptions::default()).unwrap();
        write(&layout, &image("new", 50), Some("v1")).unwrap();
        return;
    }
    for number in 0..1_000 {
        let layout = Layout::create_or_open(&path, LayoutOptions::default()).unwrap();
        let name = format!("v{}", number % 7);
        write(&layout, &image(&number.to_string(), 3), Some(&name)).unwrap();
        layout.delete(Selector::Position(0)).unwrap();
    }
}

fn spawn(job: &str, path: &Path, step: Option<u64>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "tests::crash::child"]).env(JOB, job).env(PLACE, path);
    if let Some(step) = step {
        command.env(STEP, step.to_string());
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn prepare(job: &str, path: &Path) {
    if job != "create" {
        let layout = Layout::create_or_open(path, quick()).unwrap();
        write(&layout, &image("old", 2), Some("v1")).unwrap();
    }
}

/// What may be seen after a crash: all of the old, or all of the new.
fn states(job: &str) -> [&'static [&'static str]; 2] {
    match job {
        "tag" => [&["v1"], &["v1", "v2"]],
        "delete" => [&["v1"], &[]],
        "create" => [&[], &["v1"]],
        _ => [&["v1"], &["@0", "v1"]],
    }
}

/// Asserts that the next writer finds a whole layout and leaves no litter.
fn check_after(job: &str, path: &Path, at: &str) {
    let layout = Layout::create_or_open(path, quick()).unwrap();
    let found = names(&layout);
    assert!(states(job).iter().any(|state| found == *state), "{at}: {found:?}");
    if path.join("index.json").exists() {
        check_whole(path);
    }
    drop(layout.begin().unwrap());
    let unfinished = files(path).into_iter().filter(|file| file.contains("unfinished"));
    assert_eq!(unfinished.collect::<Vec<_>>(), Vec::<String>::new(), "{at}");
    if path.exists() {
        layout.collect_garbage().unwrap();
    }
    work(job, path, quick())
        .or_else(|error| if job == "delete" { Ok(()) } else { Err(error) })
        .unwrap();
    check_clean(path);
}

#[test]
fn two_processes_lose_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("layout");
    let writers = ["a", "b"].map(|writer| spawn(&format!("fifty-{writer}"), &path, None));
    for mut writer in writers {
        assert!(writer.wait().unwrap().success());
    }
    let mut found = names(&Layout::open(&path, quick()).unwrap());
    found.sort();
    let mut expected: Vec<_> = (0..50).flat_map(|n| [format!("a{n}"), format!("b{n}")]).collect();
    expected.sort();
    assert_eq!(found, expected);
    check_clean(&path);
}

#[test]
fn a_process_that_may_open_few_files_can_write_many_blobs() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("layout");
    assert!(spawn("few-files", &path, None).wait().unwrap().success());
    check_clean(&path);
}

#[test]
fn a_process_can_die_at_every_step() {
    for job in JOBS {
        let mut step = 0;
        loop {
            let temp = tempfile::tempdir().unwrap();
            let path = temp.path().join("layout");
            prepare(job, &path);
            let status = spawn(job, &path, Some(step)).wait().unwrap();
            check_after(job, &path, &format!("{job}, step {step}"));
            if status.success() {
                break;
            }
            step += 1;
        }
        assert!(step > 4, "{job} ended after {step} steps");
    }
}

#[test]
fn the_file_system_can_fail_at_every_step() {
    for job in JOBS {
        nameless::allow(job != "write-named");
        let mut step = 0;
        loop {
            let temp = tempfile::tempdir().unwrap();
            let path = temp.path().join("layout");
            prepare(job, &path);
            let before = files(&path);
            arm(Some(Fault::Fail(step)));
            let result = work(job, &path, LayoutOptions::default());
            let (last, after) = (steps(), files(&path));
            arm(None);
            if result.is_err()
                && names(&Layout::create_or_open(&path, quick()).unwrap()) == states(job)[0]
            {
                let lost: Vec<_> = before.difference(&after).collect();
                assert!(lost.is_empty(), "{job}, step {step}: {lost:?} are gone");
            }
            check_after(job, &path, &format!("{job}, step {step}"));
            if step >= last {
                assert!(result.is_ok(), "{job}: {result:?}");
                break;
            }
            step += 1;
        }
    }
    nameless::allow(true);
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    for nameless in [true, false] {
        nameless::allow(nameless);
        let count = {
            let temp = tempfile::tempdir().unwrap();
            arm(None);
            write(&new_layout(&temp), &image("new", 2), Some("v1")).unwrap();
            steps()
        };
        for step in 0..count {
            let temp = tempfile::tempdir().unwrap();
            let layout = new_layout(&temp);
            arm(Some(Fault::Fail(step)));
            let result = write(&layout, &image("new", 2), Some("v1"));
            arm(None);
            if result.is_err() {
                assert!(!layout.path().exists(), "step {step}: {:?}", files(layout.path()));
            } else {
                check_clean(layout.path());
            }
        }
    }
    nameless::allow(true);
}

#[test]
fn processes_can_be_killed_at_any_time() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("layout");
    let start = Instant::now();
    for round in 0..200u64 {
        let job = if round % 2 == 0 { "write" } else { "write-named" };
        let mut children = [spawn(job, &path, None), spawn(job, &path, None)];
        // Spread over the start and the first commits.
        std::thread::sleep(Duration::from_micros(5_000 + (round * 7_919) % 40_000));
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let layout = Layout::create_or_open(&path, quick()).unwrap();
        drop(layout.begin().unwrap());
        let unfinished = files(&path).into_iter().filter(|file| file.contains("unfinished"));
        assert_eq!(unfinished.collect::<Vec<_>>(), Vec::<String>::new(), "round {round}");
        if path.join("index.json").exists() {
            check_whole(&path);
        }
    }
    let layout = Layout::open(&path, quick()).unwrap();
    layout.collect_garbage().unwrap();
    check_clean(&path);
    eprintln!("200 rounds in {:?}, {} images left", start.elapsed(), names(&layout).len());
}
