//! Many runs at once.

use std::process::Command;
use std::thread;

use cask_runtime::{Cancel, Executor, Output};

use crate::support::{Image, helper, is_root, options, processes_with};

/// The leak check counts what the whole process holds, so the threads run in a process of their own: this test
/// binary, started again for this one test.
const ALONE: &str = "CASK_RUNTIME_TEST_ALONE";

#[test]
fn sixteen_threads_run_thirty_times_each_without_a_leak() {
    if !is_root() {
        return;
    }
    if std::env::var_os(ALONE).is_none() {
        let name = "concurrency::sixteen_threads_run_thirty_times_each_without_a_leak";
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(ALONE, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let image = Image::new();
    let executor = cask_runtime::NativeExecutor::new(options());
    let cancel = Cancel::new().unwrap();
    let run = |code: usize| {
        let mut spec = image.spec(&["sh", "-c", &format!("exit {code}")]);
        (spec.io.output, spec.io.error) = (Output::Null, Output::Null);
        let report = executor.run(&spec, &cancel).unwrap();
        assert_eq!(usize::from(report.status.shell_status()), code);
    };
    run(0);
    let held = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = held();
    thread::scope(|scope| {
        for thread in 0..16 {
            scope.spawn(move || (0..30).for_each(|turn| run((thread * 30 + turn) % 200)));
        }
    });
    assert_eq!(held(), before);
    let own = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
    assert_eq!(children, "");
    assert!(processes_with(image.path("").to_str().unwrap()).is_empty());
    assert!(helper().exists());
}
