//! Runs of an ordinary user. The user, with ranges of IDs, exists in a mount namespace of the test only.

use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::Path;
use std::process::{Command, Output};

use crate::support::{Image, helper, is_root};

const UID: u32 = 54_321;

/// Runs the embedding program as a user who has a range of IDs, or none.
fn as_user(image: &Image, ranges: &str, mode: &str, arguments: &[&str]) -> Output {
    as_user_in(image, ranges, &[], mode, arguments)
}

/// As [`as_user`], with words before the program that run it in something.
fn as_user_in(
    image: &Image,
    ranges: &str,
    before: &[&str],
    mode: &str,
    arguments: &[&str],
) -> Output {
    let write = |name: &str, text: &str| fs::write(image.beside(name), text).unwrap();
    write("passwd", &format!("root:x:0:0::/root:/bin/sh\ncask-tester:x:{UID}:{UID}::/:/bin/sh\n"));
    write("subuid", ranges);
    let program = image.beside("program");
    fs::copy(helper(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(image.beside(""), fs::Permissions::from_mode(0o755)).unwrap();
    give(&image.path(""));
    let script = format!(
        "cd \"$1\" && mount --bind passwd /etc/passwd && \
         mount --bind subuid /etc/subuid && mount --bind subuid /etc/subgid && shift && \
         exec setpriv --reuid={UID} --regid={UID} --clear-groups \"$@\""
    );
    Command::new("unshare")
        .args(["-m", "sh", "-c", &script, "sh"])
        .arg(image.beside(""))
        .args(before)
        .arg(program)
        .args([mode.as_ref(), image.path("").as_os_str()])
        .args(arguments)
        .output()
        .unwrap()
}

fn give(path: &Path) {
    lchown(path, Some(UID), Some(UID)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path()));
    }
}

#[track_caller]
fn check(output: &Output, status: i32, out: &str, error: &str) {
    let found = (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        found.0 == Some(status) && found.1 == out && found.2.contains(error),
        "{found:?} instead of {status}, {out:?}, {error:?}"
    );
}

const RANGE: &str = "cask-tester:200000:65536\n";

#[test]
fn with_a_range_of_ids_everything_works() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let script = "id -u; id -G; touch /work/mine /work/other && chown 33:33 /work/other && \
        stat -c %u:%g /etc/passwd /work/mine /work/other; ls /dev | wc -l; ls /sys/class/net; \
        grep CapEff /proc/self/status; echo $$; echo x > /dev/null; hostname other";
    let output = as_user(&image, RANGE, "subordinate", &["sh", "-c", script]);
    let expected = "0\n0 10\n0:0\n0:0\n33:33\n15\nlo\nCapEff:\t00000000800405fb\n1\n";
    check(&output, 1, expected, "hostname");
    use std::os::unix::fs::MetadataExt;
    assert_eq!(fs::metadata(image.path("work/other")).unwrap().uid(), 200_032);
}

#[test]
fn with_the_machines_network_the_kernels_files_are_read_only() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let script = "readlink /proc/self/ns/net; grep -c ' /sys/[^ ]* rw' /proc/self/mountinfo; \
        grep -c ' /sys rw' /proc/self/mountinfo; mkdir /sys/fs/cgroup/x 2>/dev/null";
    let output = as_user(&image, RANGE, "subordinate+host", &["sh", "-c", script]);
    let network = fs::read_link("/proc/self/ns/net").unwrap();
    check(&output, 1, &format!("{}\n0\n0\n", network.display()), "");
}

#[test]
fn root_of_a_user_namespace_is_root_enough() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let script =
        "id -u; id -G; ls /dev | wc -l; stat -c %t:%T /dev/null; grep -c . /proc/self/uid_map";
    let within = ["unshare", "--user", "--map-root-user", "--mount"];
    let output = as_user_in(&image, "", &within, "inherit", &["sh", "-c", script]);
    check(&output, 0, "0\n0\n15\n1:3\n1\n", "note: supplementary groups not set");
    let output =
        as_user_in(&image, "", &within, "inherit+host", &["ls", "-d", "/sys/class/net/lo"]);
    check(&output, 0, "/sys/class/net/lo\n", "");
}

#[test]
fn the_processes_of_the_machine_can_be_seen() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let script = "test -d /proc/1 && test $$ != 1 && readlink /proc/self/ns/pid; \
        echo x > /proc/sys/kernel/hostname; echo x > /proc/sysrq-trigger";
    let own = fs::read_link("/proc/self/ns/pid").unwrap();
    let within = ["unshare", "--user", "--map-root-user", "--mount"];
    for (before, mode) in [([].as_slice(), "subordinate+pid"), (&within, "inherit+pid")] {
        let output = as_user_in(&image, RANGE, before, mode, &["sh", "-c", script]);
        check(&output, 1, &format!("{}\n", own.display()), "sysrq-trigger");
    }
}

#[test]
fn devices_of_the_machine_are_in_other_places() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let script = "stat -c %t:%T /dev/some/where; echo x > /dev/some/where";
    let within = ["unshare", "--user", "--map-root-user", "--mount"];
    let output = as_user(&image, RANGE, "subordinate+device", &["sh", "-c", script]);
    check(&output, 0, "1:3\n", "");
    let output = as_user_in(&image, "", &within, "inherit+device", &["sh", "-c", script]);
    check(&output, 0, "1:3\n", "");
}

#[test]
fn users_of_the_image_are_in_the_range() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let script = "id -u; id -G; grep CapEff /proc/self/status";
    let output = as_user(&image, RANGE, "subordinate:alice", &["sh", "-c", script]);
    check(&output, 0, "1000\n1000 4 10\nCapEff:\t0000000000000000\n", "");
    let output = as_user(&image, RANGE, "subordinate:70000", &["true"]);
    check(&output, 125, "", "become the user 70000:0");
}

#[test]
fn with_one_id_root_is_the_user_and_nobody_else_exists() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let script =
        "id -u; touch /work/mine && stat -c %u:%g /work/mine; chown 33 /work/mine; ls /dev/null";
    let output = as_user(&image, "", "single", &["sh", "-c", script]);
    check(&output, 0, "0\n0:0\n/dev/null\n", "note: supplementary groups not set");
    let output = as_user(&image, "", "single:alice", &["true"]);
    check(&output, 125, "", "become the user 1000:1000");
}

#[test]
fn without_a_map_or_a_range_the_user_is_told_why() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let output = as_user(&image, RANGE, "inherit", &["true"]);
    check(&output, 125, "", "make namespaces");
    let output = as_user(&image, "", "subordinate", &["true"]);
    check(&output, 125, "", "find the range of \"cask-tester\" in /etc/subuid");
}

#[test]
fn stubs_of_users_are_removed_too() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    for name in ["proc", "sys", "dev"] {
        fs::remove_dir(image.path(name)).unwrap();
    }
    check(&as_user(&image, RANGE, "subordinate", &["true"]), 0, "", "");
    check(&as_user(&image, RANGE, "single", &["true"]), 0, "", "");
    assert!(!image.path("proc").exists() && !image.path("dev").exists());
}
