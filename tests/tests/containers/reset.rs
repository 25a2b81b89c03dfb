//! `system reset`: everything of a store goes, and nothing else.

use std::fs;
use std::path::Path;

use crate::support::Cellar;

#[test]
fn everything_of_a_store_goes_and_what_is_not_its_own_stays() {
    let Some(cellar) = Cellar::new() else { return };
    let networks = cellar.path("networks").display().to_string();
    let with = |line: &[&str]| cellar.run(&[&["--network-config-dir", &networks], line].concat());
    with(&["network", "create", "one"]).ok();
    cellar.container(&["-d", "--name", "c", "-v", "data:/d", "box:1", "sleep", "1000"]).ok();
    cellar.run(&["secret", "create", "s", "/etc/hostname"]).ok();
    let shown = cellar.run(&["inspect", "c"]).ok().json();
    let pid = shown[0]["State"]["Pid"].as_i64().expect("it runs");
    fs::write(cellar.path("root/letters.txt"), "dear").expect("it is writable");
    // Nobody says yes.
    let asked = cellar.shell("echo n | $CELLAR system reset").ok();
    assert!(asked.text().starts_with("WARNING! This will remove:"), "{asked}");
    assert!(asked.text().contains(&cellar.path("root").display().to_string()), "{asked}");
    cellar.shell("$CELLAR system reset < /dev/null").ends(1).says("EOF");
    assert_eq!(cellar.states(), "c running 0");
    with(&["system", "reset", "--force"]).ok().says("letters.txt is no part of a store");
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    let names = |path: &str| {
        let entries = fs::read_dir(cellar.path(path)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.retain(|name| name != "netavark.lock");
        names
    };
    assert_eq!(names("root"), ["letters.txt"]);
    assert_eq!((names("run"), names("networks")), (Vec::new(), Vec::new()));
    // It can be used again.
    assert_eq!(cellar.run(&["images", "-q"]).ok().text(), "");
    cellar.is_clean();
}

#[test]
fn a_store_that_nobody_can_read_goes_too() {
    let Some(cellar) = Cellar::new() else { return };
    let id = cellar.container(&["-d", "--name", "c", "box:1", "sleep", "1000"]).ok();
    let record = cellar.path("root/cask/containers").join(id.text());
    for file in [record.join("container.json"), record.join("first.json")] {
        fs::write(file, "{").expect("it is writable");
    }
    for kind in ["images", "layers", "containers"] {
        let file = cellar.path("root").join(format!("overlay-{kind}/{kind}.json"));
        fs::write(file, "[{").expect("it is writable");
    }
    // The machine's own networks are nobody's here.
    let networks = cellar.path("networks").display().to_string();
    cellar.run(&["--network-config-dir", &networks, "system", "reset", "-f"]).ok();
    assert!(!cellar.path("root").exists() && !cellar.path("run").exists());
    cellar.is_clean();
}

#[test]
fn a_directory_with_more_than_a_store_in_it_is_refused() {
    let Some(cellar) = Cellar::new() else { return };
    let home = cellar.path("root/home/somebody");
    fs::create_dir_all(&home).expect("it is writable");
    let mut reset = cellar.command(&["system", "reset", "-f"]);
    tests::run(reset.env("HOME", &home)).ends(125).says("somebody is in it");
    let mut reset = cellar.command(&["system", "reset", "-f"]);
    tests::run(reset.current_dir(&home)).ends(125).says("somebody is in it");
    assert_ne!(cellar.run(&["images", "-q"]).ok().text(), "");
}

#[test]
fn networks_of_the_machine_stay_where_another_store_goes() {
    let Some(cellar) = Cellar::new() else { return };
    if !tests::has(&["unshare"]) || !Path::new("/etc/containers").is_dir() {
        return;
    }
    let script = "mount -t tmpfs none /etc/containers; $CELLAR network create mine
        $CELLAR system reset -f; ls /etc/containers/networks/*.json
        $CELLAR --network-config-dir /etc/containers/networks system reset -f; ls /etc/containers/networks";
    let inner = format!("unshare -m sh -c '{script}'");
    let said = cellar.shell(&inner).ok();
    assert_eq!(said.text(), "mine\n/etc/containers/networks/mine.json\nnetavark.lock", "{said}");
}
