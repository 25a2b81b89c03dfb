//! Known weaknesses of other engines, each by its number.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::PathBuf;

use tests::tool;

use crate::support::Cellar;

/// Makes an image of busybox with links, and gives a directory of the machine that is empty.
fn image_with_links(cellar: &Cellar, directories: &[&str], links: &[&str]) -> PathBuf {
    let root = cellar.path("hostile");
    for name in [&["bin", "mnt"], directories].concat() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(root.join(name)).expect("new");
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox is installed");
    for name in ["sh", "ls", "test"] {
        symlink("busybox", root.join("bin").join(name)).expect("it is new");
    }
    for name in links {
        symlink("/mnt", root.join(name)).expect("it is new");
    }
    let archive = cellar.path("hostile.tar").display().to_string();
    tool("tar", &format!("-C {} -cf {archive} .", root.display())).ok();
    cellar.run(&["import", "-q", &archive, "localhost/hostile:1"]).ok();
    let sentinel = cellar.path("sentinel");
    fs::create_dir(&sentinel).expect("it is new");
    sentinel
}

#[track_caller]
fn is_empty(directory: &PathBuf) {
    let left: Vec<_> = fs::read_dir(directory).expect("it is there").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn cve_2025_4953_what_a_step_writes_to_its_context_goes_with_the_step() {
    let Some(cellar) = Cellar::new() else { return };
    let context = cellar.path("context");
    fs::create_dir(&context).expect("it is new");
    fs::write(context.join("file"), "original\n").expect("it is writable");
    let text = "FROM localhost/box:1
RUN --mount=type=bind,source=.,target=/m,rw echo new >/m/new; echo changed >/m/file
RUN --mount=type=bind,source=.,target=/m test ! -e /m/new; test \"$(cat /m/file)\" = original
RUN test ! -e /m/new
";
    fs::write(context.join("Containerfile"), text).expect("it is writable");
    let path = context.display().to_string();
    cellar.run(&["build", "-q", "--network", "none", &path]).ok();
    assert_eq!(fs::read_to_string(context.join("file")).expect("it is there"), "original\n");
    assert!(!context.join("new").exists());
}

/// Runs a command that there is none of, whose words would run another one where a shell saw them.
fn is_refused(command: &[&str], words: &str) {
    let Some(cellar) = Cellar::new() else { return };
    let marker = cellar.path("marker");
    let hostile = format!("$(touch {})", marker.display());
    cellar.run(&[command, &[&hostile]].concat()).ends(125).says(words);
    assert!(!marker.exists());
}

#[test]
fn cve_2026_33414_there_are_no_machines() {
    is_refused(&["machine", "init", "--image"], "cellar has no command \"machine\"");
}

#[test]
fn cve_2025_9566_nothing_is_played_whose_links_could_be_written_through() {
    is_refused(&["kube", "play"], "cellar has no command \"kube\"");
}

#[test]
fn cve_2026_41579_links_in_place_of_system_directories_lead_nowhere() {
    let Some(cellar) = Cellar::new() else { return };
    let sentinel = image_with_links(&cellar, &["etc"], &["dev", "proc", "sys"]);
    let mount = format!("{}:/mnt", sentinel.display());
    for more in [&[][..], &["-t"], &["--privileged"]] {
        let all = [&["--rm", "-v", &mount][..], more, &["hostile:1", "sh", "-c", "true"]].concat();
        cellar.container(&all).ends(126).says("the image has something other than a directory");
        is_empty(&sentinel);
    }
    cellar.is_clean();
}

#[test]
fn cve_2024_9341_what_is_mounted_by_itself_stays_in_the_root() {
    let Some(cellar) = Cellar::new() else { return };
    let sentinel = image_with_links(&cellar, &["dev", "proc", "sys"], &["etc", "run"]);
    let mount = format!("{}:/mnt", sentinel.display());
    // Names and addresses are given at /etc, and where it is at /run.
    let all = ["--rm", "-v", &mount, "hostile:1", "sh", "-c", "true"];
    let ended = cellar.container(&all);
    assert!([0, 125].contains(&ended.code), "{ended}");
    is_empty(&sentinel);
    // They are where the links lead in the image, and not where they lead on this machine.
    let all = ["--rm", "hostile:1", "sh", "-c", "ls -A /mnt; busybox cat /etc/hosts"];
    let ended = cellar.container(&all).ok();
    assert!(ended.text().contains("hostname\nhosts\n"), "{ended}");
    assert!(ended.text().contains("127.0.0.1"), "{ended}");
    cellar.is_clean();
}

#[test]
fn cve_2025_52565_the_console_of_an_image_is_not_used() {
    let Some(cellar) = Cellar::new() else { return };
    let links = ["dev/console", "dev/null", "dev/ptmx", "dev/pts", "dev/fd"];
    let sentinel = image_with_links(&cellar, &["dev", "proc", "sys", "etc"], &links);
    let mount = format!("{}:/mnt", sentinel.display());
    let script = "echo hidden >/dev/null && test -c /dev/console -a -c /dev/null && echo shown";
    let run = ["--rm", "-t", "-v", &mount, "hostile:1", "sh", "-c", script];
    assert_eq!(cellar.container(&run).ok().text(), "shown");
    is_empty(&sentinel);
    cellar.is_clean();
}

#[test]
fn cve_2026_57231_names_without_a_value_take_nothing_of_this_machine() {
    let Some(cellar) = Cellar::new() else { return };
    let directory = cellar.path("archive");
    fs::create_dir(&directory).expect("it is new");
    let path = directory.display().to_string();
    cellar.run(&["save", "-q", "-o", &format!("{path}.tar"), "box:1"]).ok();
    tool("tar", &format!("-C {path} -xf {path}.tar")).ok();
    let read = |name: &str| -> serde_json::Value {
        let bytes = fs::read(directory.join(name)).expect("it is there");
        serde_json::from_slice(&bytes).expect("it is JSON")
    };
    let write = |name: &str, value: &serde_json::Value| {
        // It was written so that nobody writes to it.
        fs::remove_file(directory.join(name)).expect("it is there");
        fs::write(directory.join(name), value.to_string()).expect("it is writable");
    };
    let mut manifest = read("manifest.json");
    let name = manifest[0]["Config"].as_str().expect("it is text").to_owned();
    let mut config = read(&name);
    config["config"]["Env"] = serde_json::json!(["SECRET", "SECRE*", "*", "PATH=/bin"]);
    write(&name, &config);
    manifest[0]["RepoTags"] = serde_json::json!(["localhost/hostile:1"]);
    write("manifest.json", &manifest);
    tool("tar", &format!("-C {path} -cf {path}.tar .")).ok();
    cellar.run(&["load", "-q", "-i", &format!("{path}.tar")]).ok();
    let run = ["run", "--rm", "--network", "none", "hostile:1", "env"];
    let said = tests::run(cellar.command(&run).env("SECRET", "of this machine"));
    assert!(!format!("{said}").contains("of this machine"), "{said}");
    cellar.is_clean();
}
