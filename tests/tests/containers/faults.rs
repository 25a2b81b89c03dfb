//! What is killed, is not forgotten: `ps` tells the truth, and `rm` leaves nothing.

use crate::support::Cellar;

fn kill(pid: i64) {
    let pid =
        i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("it is a number");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
}

fn number(cellar: &Cellar, field: &str) -> i64 {
    cellar.run(&["inspect", "c"]).ok().json()[0]["State"][field].as_i64().expect("it is a number")
}

#[test]
fn a_killed_process_is_an_exited_container() {
    let Some(cellar) = Cellar::new() else { return };
    cellar.container(&["-d", "--name", "c", "box:1", "sleep", "1000"]).ok();
    kill(number(&cellar, "Pid"));
    assert_eq!(cellar.run(&["wait", "c"]).ok().text(), "137");
    assert_eq!(cellar.states(), "c exited 137");
    cellar.run(&["rm", "c"]).ok();
    cellar.is_clean();
}

#[test]
fn a_killed_monitor_takes_its_container_along() {
    let Some(cellar) = Cellar::new() else { return };
    cellar.container(&["-d", "--name", "c", "box:1", "sleep", "1000"]).ok();
    let process = number(&cellar, "Pid");
    kill(number(&cellar, "ConmonPid"));
    let there = || std::path::Path::new(&format!("/proc/{process}")).exists();
    for _ in 0..500 {
        if !there() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(!there(), "its process goes on");
    assert_eq!(cellar.states(), "c exited 137");
    // It can live again, and go.
    cellar.run(&["start", "c"]).ok();
    assert_eq!(cellar.states(), "c running 0");
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    cellar.is_clean();
}

#[test]
fn of_two_starts_one_is_enough() {
    let Some(cellar) = Cellar::new() else { return };
    cellar.run(&["create", "--network", "none", "--name", "c", "box:1", "sleep", "1000"]).ok();
    let start = || cellar.command(&["start", "c"]).spawn().expect("it starts");
    let mut both = [start(), start()];
    for one in &mut both {
        assert!(one.wait().expect("it ends").success());
    }
    assert_eq!(cellar.states(), "c running 0");
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    cellar.is_clean();
}
