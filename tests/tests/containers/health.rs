//! Checks of health: of a beginning, changed while they run, and where what they say can be read.

use std::time::{Duration, Instant};

use crate::support::Cellar;

/// Waits until a container is shown so.
#[track_caller]
fn until(cellar: &Cellar, template: &str, wanted: &str) {
    let begun = Instant::now();
    loop {
        let shown = cellar.run(&["inspect", "-f", template, "c"]).ok().text().to_owned();
        if shown == wanted {
            return;
        }
        assert!(begun.elapsed().as_secs() < 60, "{shown}, not {wanted}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const STATUS: &str = "{{.State.Health.Status}}";

#[test]
fn a_beginning_is_checked_first_and_what_does_not_begin_begins_again() {
    let Some(cellar) = Cellar::new() else { return };
    let first = ["--health-startup-cmd", "test -e /tmp/begun", "--health-startup-success", "2"];
    let then = ["--health-cmd", "test -e /tmp/well", "--health-retries", "1"];
    let often = ["--health-interval", "50ms", "--health-startup-interval=50ms"];
    let rest = ["-d", "--name", "c", "box:1", "sleep", "1000"];
    let (own, rest) = rest.split_at(3);
    cellar.container(&[own, &first, &then, &often, rest].concat()).ok();
    assert_eq!(cellar.run(&["healthcheck", "run", "c"]).ends(1).text(), "starting");
    until(&cellar, "{{.State.Health.Status}} {{.State.Health.FailingStreak}}", "starting 0");
    let shown = "{{.Config.StartupHealthCheck.Test}} {{.Config.StartupHealthCheck.Interval}} \
                 {{.Config.StartupHealthCheck.Successes}} {{.Config.Healthcheck.Interval}}";
    let shown = cellar.run(&["inspect", "-f", shown, "c"]).ok();
    assert_eq!(shown.text(), "[CMD-SHELL test -e /tmp/begun] 50ms 2 50ms");
    cellar.run(&["exec", "c", "touch", "/tmp/begun"]).ok();
    // Its usual check begins only now.
    until(&cellar, STATUS, "unhealthy");
    cellar.run(&["exec", "c", "touch", "/tmp/well"]).ok();
    until(&cellar, STATUS, "healthy");
    cellar.run(&["wait", "--condition", "healthy", "c"]).ok();
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();

    let again = ["--health-startup-cmd", "false", "--health-startup-retries", "2"];
    let rest = ["--stop-signal", "KILL", "--name", "c", "-d", "box:1", "sleep", "1000"];
    let (own, rest) = rest.split_at(5);
    cellar.container(&[own, &again, &then, &often, rest].concat()).ok();
    let begun = Instant::now();
    loop {
        let count = cellar.run(&["inspect", "-f", "{{.RestartCount}}", "c"]).ok();
        if count.text().parse::<u32>().is_ok_and(|count| count > 0) {
            break;
        }
        assert!(begun.elapsed().as_secs() < 60, "{count}");
    }
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    let alone = ["--health-startup-cmd", "true", "box:1", "true"];
    let words = "cannot set a startup healthcheck when there is no regular healthcheck";
    cellar.container(&alone).ends(125).says(words);
    cellar.is_clean();
}

#[test]
fn how_a_container_is_checked_is_changed_while_it_runs() {
    let Some(cellar) = Cellar::new() else { return };
    cellar.container(&["-d", "--name", "c", "box:1", "sleep", "1000"]).ok();
    let update = |flags: &[&str]| cellar.run(&[&["update"][..], flags, &["c"]].concat());
    update(&["--health-interval", "1s"]).ends(125).says("healthcheck command is not set");
    update(&["--health-startup-retries", "1"])
        .ends(125)
        .says("startup healthcheck command is not set");
    let both = ["--no-healthcheck", "--health-cmd", "true"];
    update(&both)
        .ends(125)
        .says("cannot specify both --no-healthcheck and other HealthCheck flags");
    cellar.run(&["wait", "--condition=healthy", "c"]).ends(125).says("has no healthcheck");
    // Its monitor hears of it: nothing was checked before.
    update(&["--health-cmd", "false", "--health-interval", "50ms", "--health-retries", "1"]).ok();
    until(&cellar, STATUS, "unhealthy");
    update(&["--health-cmd", "true"]).ok();
    until(&cellar, STATUS, "healthy");
    // Another time begins at once, whatever it was before.
    update(&["--health-interval", "1h", "--health-cmd", "true"]).ok();
    update(&["--health-cmd", "false"]).ok();
    update(&["--health-interval", "59m"]).ok();
    until(&cellar, STATUS, "unhealthy");
    update(&["--health-interval", "disable", "--health-max-log-count", "2"]).ok();
    let directory = cellar.path("logs");
    std::fs::create_dir(&directory).expect("it is new");
    let place = directory.display().to_string();
    let log = ["--health-log-destination", &place, "--health-max-log-size", "3"];
    update(&[&log[..], &["--health-cmd", "echo four"]].concat()).ok();
    for _ in 0..3 {
        cellar.run(&["healthcheck", "run", "c"]).ok();
    }
    let shown = cellar.run(&["inspect", "c"]).ok().json();
    let (config, health) = (&shown[0]["Config"], &shown[0]["State"]["Health"]);
    assert_eq!(health["Log"].as_array().map(Vec::len), Some(2), "{health}");
    assert_eq!(health["Log"][1]["Output"], "fou");
    assert_eq!(config["HealthLogDestination"], place);
    let id = shown[0]["Id"].as_str().unwrap_or_default();
    let file = std::fs::read_to_string(directory.join(format!("{id}-healthcheck.log")));
    let written: serde_json::Value =
        serde_json::from_str(&file.expect("it is written")).expect("JSON");
    assert_eq!(&written["Log"], &health["Log"]);
    update(&["--health-log-destination", "/no/directory"]).ends(125).says("/no/directory");
    update(&["--no-healthcheck"]).ok();
    let shown = cellar.run(&["inspect", "-f", "{{.Config.Healthcheck.Test}}", "c"]).ok();
    assert_eq!(shown.text(), "[NONE]");
    assert!(!cellar.run(&["ps", "--format", "{{.Status}}"]).ok().text().contains('('));
    // Limits of its processes hold from its next start on.
    update(&["--ulimit", "nofile=33:44"]).ok();
    cellar.run(&["restart", "-t", "0", "c"]).ok();
    let limits = cellar.run(&["exec", "c", "cat", "/proc/1/limits"]).ok().text().to_owned();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    assert_eq!(files.split_whitespace().collect::<Vec<_>>()[3..5], ["33", "44"], "{limits}");
    update(&["--ulimit", "nope=1"]).ends(125);
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    cellar.is_clean();
}

#[test]
fn a_check_that_the_end_interrupts_says_so() {
    let Some(cellar) = Cellar::new() else { return };
    let check = ["--health-cmd", "touch /tmp/checking; sleep 1000", "--health-interval=disable"];
    let rest = ["-d", "--name", "c", "--stop-signal", "KILL", "box:1", "sleep", "1000"];
    let (own, rest) = rest.split_at(5);
    cellar.container(&[own, &check, rest].concat()).ok();
    let script =
        "$CELLAR healthcheck run c & until $CELLAR exec c test -e /tmp/checking; do :; done
                  $CELLAR stop c >/dev/null; wait $!";
    assert_eq!(cellar.shell(script).ends(1).text(), "stopped");
    let shown = "{{.State.Status}} {{.State.Health.Status}} {{.State.Health.FailingStreak}}";
    assert_eq!(cellar.run(&["inspect", "-f", shown, "c"]).ok().text(), "exited stopped 0");
    cellar.run(&["rm", "c"]).ok();
    cellar.is_clean();
}
