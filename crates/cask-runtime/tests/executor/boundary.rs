//! What keeps a process inside: the holes that others had, and goldens of what it sees.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use cask_rootfs::Root;
use cask_runtime::{ErrorKind, Mount, Network, Seccomp};
use rustix::fs::{Mode, OFlags};

use crate::support::{Image, helper, is_root, run};

#[test]
fn cve_2019_5736_the_helpers_program_cannot_be_overwritten() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let before = fs::read(helper()).unwrap();
    // The command is the helper itself, seen from inside, and whatever number 1 is.
    let mut spec = image.spec(&["/proc/self/exe", "nonsense"]);
    assert!(!run(spec).is_ok_and(|(_, report)| report.status.success()));
    spec = image.shell(
        "for exe in /proc/1/exe /proc/self/exe; do echo x >> $exe && echo written $exe; done 2>/dev/null; ls -l /proc/1/exe",
    );
    spec.process.init = true;
    let (text, _) = run(spec).unwrap();
    // It is seen, and is a copy in memory or on a mount of its own. The shell is the container's, and may be written.
    let name = helper().file_name().unwrap().to_str().unwrap();
    let seen = ["memfd:cask-run".to_owned(), format!("-> /{name}\n")];
    assert!(seen.iter().any(|seen| text.contains(seen)), "{text}");
    assert!(!text.contains("written /proc/1/exe"), "{text}");
    assert_eq!(fs::read(helper()).unwrap(), before, "{text}");
}

#[test]
fn cve_2024_21626_no_descriptor_leads_out() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    // Whoever started this program may have left it a way to the machine, which its children have too.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let outside = rustix::fs::open("/", flags, Mode::empty()).unwrap();
    assert_eq!(image.prints("ls /proc/self/fd | sort | tr '\\n' ' '"), "0 1 2 3 ");
    for number in (3..=20).chain([std::os::fd::AsRawFd::as_raw_fd(&outside)]) {
        for directory in [format!("/proc/self/fd/{number}"), format!("/proc/1/fd/{number}/../..")] {
            let mut spec = image.spec(&["/bin/pwd"]);
            spec.process.directory = directory.into();
            assert!(run(spec).is_err(), "{number}");
        }
    }
    let link = image.path("link");
    symlink("/proc/self/fd/7/", &link).unwrap();
    let mut spec = image.spec(&["/bin/pwd"]);
    spec.process.directory = "/link".into();
    assert!(run(spec).is_err());
}

#[test]
fn cve_2024_1753_mount_source_symlink_stays_in_the_source_root() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let stage = image.beside("stage");
    fs::create_dir_all(stage.join("deep/er")).unwrap();
    fs::write(stage.join("inside"), "").unwrap();
    symlink("/", stage.join("absolute")).unwrap();
    symlink("../../../../..", stage.join("deep/relative")).unwrap();
    symlink("absolute", stage.join("chained")).unwrap();
    symlink("/proc/self/root", stage.join("process")).unwrap();
    let root = Root::open(&stage).unwrap();
    for path in ["/absolute", "/deep/relative", "/chained", "/deep/er/../../..", "/deep/../.."] {
        let mount = Mount::bind_below(&root, Path::new(path), "/data").unwrap();
        let mut spec = image.spec(&["ls", "/data"]);
        spec.files.mounts.push(mount);
        let (text, _) = run(spec).unwrap();
        assert!(text.contains("inside") && !text.contains("etc"), "{path}: {text}");
    }
    let error = Mount::bind_below(&root, Path::new("/process"), "/data").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let machine = Root::open("/").unwrap();
    let magic = Mount::bind_below(&machine, Path::new("/proc/self/root/etc"), "/data");
    assert!(magic.is_err());
}

#[test]
fn cve_2024_11218_a_source_swapped_after_it_was_opened_is_the_one_that_was_opened() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let stage = image.beside("stage");
    fs::create_dir_all(stage.join("source")).unwrap();
    fs::write(stage.join("source/right"), "").unwrap();
    let root = Root::open(&stage).unwrap();
    let mount = Mount::bind_below(&root, Path::new("/source"), "/data").unwrap();
    fs::rename(stage.join("source"), stage.join("moved")).unwrap();
    symlink("/etc", stage.join("source")).unwrap();
    let mut spec = image.spec(&["ls", "/data"]);
    spec.files.mounts.push(mount);
    assert_eq!(run(spec).unwrap().0, "right\n");
}

#[test]
fn cve_2024_9341_mount_targets_are_resolved_in_the_root() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let outside = image.beside("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, image.path("escape")).unwrap();
    symlink("../../../../../../../../etc", image.path("up")).unwrap();
    let mut spec = image.shell("cat /escape/file /up/file");
    spec.files.mounts.push(Mount::content(*b"one\n", "/escape/file"));
    spec.files.mounts.push(Mount::content(*b"two\n", "/up/file"));
    assert_eq!(run(spec).unwrap().0, "one\ntwo\n");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert!(!Path::new("/etc/file").exists());
    assert!(!image.path("etc/file").exists(), "the stub is gone");
}

#[test]
fn cve_2026_55686_a_working_directory_through_links_makes_nothing() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let outside = image.beside("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, image.path("first")).unwrap();
    symlink("/first/new", image.path("second")).unwrap();
    for directory in ["/first/new", "/second", "/second/below"] {
        for makes in [false, true] {
            let mut spec = image.spec(&["true"]);
            spec.process.directory = directory.into();
            spec.process.make_directory = makes;
            assert!(run(spec).is_err(), "{directory}");
        }
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_target_swapped_again_and_again_never_leaves_the_root() {
    if !is_root() {
        return;
    }
    // Another run in the same root changes a directory of the target into a link to the outside and back.
    let image = Image::new();
    let outside = image.beside("outside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir_all(image.path("data/place")).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (place, aside) = (image.path("data/place"), image.path("data/aside"));
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                // Each may fail where the run has just made or removed something there.
                let _ = fs::rename(&place, &aside);
                let _ = symlink(&outside, &place);
                let _ = fs::remove_file(&place);
                let _ = fs::rename(&aside, &place);
            }
        });
        let left = (0..100).any(|_| {
            let mut spec = image.spec(&["true"]);
            spec.files.mounts.push(Mount::content(*b"x", "/data/place/file"));
            // Where the directory is missing for a moment the run may fail, and may make it.
            let _ = run(spec);
            fs::read_dir(&outside).unwrap().count() != 0
        });
        // Before anything fails: the other thread goes on until then.
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(!left);
    });
}

#[test]
fn cve_2025_31133_masks_use_nothing_of_the_image() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    symlink("/etc", image.path("dev/null")).unwrap();
    let mut spec = image.shell("wc -c < /work/secret; ls /data; echo x > /work/secret");
    fs::write(image.path("work/secret"), "secret").unwrap();
    fs::write(image.path("data/hidden"), "").unwrap();
    spec.files.masked.extend(["/work/secret".into(), "/data".into(), "/not/there".into()]);
    let (text, report) = run(spec).unwrap();
    assert!(text.starts_with("0\n") && text.contains("Read-only"), "{text}");
    assert!(!text.contains("hidden") && !report.status.success());
    assert_eq!(image.prints("stat -c '%t:%T %F' /dev/null"), "1:3 character special file\n");
}

#[test]
fn cve_2025_52565_standard_targets_that_are_links_are_refused() {
    if !is_root() {
        return;
    }
    for name in ["proc", "sys", "dev"] {
        let image = Image::new();
        fs::remove_dir(image.path(name)).unwrap();
        symlink("/work", image.path(name)).unwrap();
        let error = run(image.spec(&["true"])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidSpec, "{error}");
        assert_eq!(error.subject(), format!("/{name}"));
    }
}

#[test]
fn cve_2025_52881_nothing_can_be_mounted_in_proc() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    symlink("/proc/self", image.path("link")).unwrap();
    for target in ["/proc", "/proc/self/attr", "/link/attr", "/", "/work/.."] {
        let mut spec = image.spec(&["true"]);
        spec.files.mounts.push(Mount::memory(None, target));
        assert_eq!(run(spec).unwrap_err().kind(), ErrorKind::InvalidSpec, "{target}");
    }
    let mut spec = image.spec(&["cat", "/proc/self/oom_score_adj"]);
    spec.process.out_of_memory_score = Some(321);
    assert_eq!(run(spec).unwrap().0, "321\n");
    // Nor is written to what an image has at its places.
    fs::create_dir(image.path("proc/self")).unwrap();
    let place = image.path("proc/self/oom_score_adj");
    fs::write(image.path("data/kept"), "kept").unwrap();
    for is_link in [false, true] {
        match is_link {
            true => symlink("/data/kept", &place).unwrap(),
            false => fs::write(&place, "kept").unwrap(),
        }
        let mut spec = image.spec(&["true"]);
        spec.files.standard = false;
        spec.process.out_of_memory_score = Some(321);
        assert!(run(spec).is_err());
        let text = if is_link { image.path("data/kept") } else { place.clone() };
        assert_eq!(fs::read(text).unwrap(), b"kept");
        fs::remove_file(&place).unwrap();
    }
}

#[test]
fn cve_2021_3602_no_environment_of_the_machine_can_be_read() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    // This process has variables that every test process has; the payload has none of its own.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    for init in [false, true] {
        // Number 1 is one of ours then, and has what it was started with.
        let mut spec = image.shell(
            "cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -c CARGO; echo /proc/1/environ",
        );
        spec.process.init = init;
        assert_eq!(run(spec).unwrap().0, "0\n/proc/1/environ\n");
    }
    // The shell itself, and nobody else.
    assert_eq!(image.prints("set -- /proc/[0-9]*; echo $# $1"), "1 /proc/1\n");
}

#[test]
fn cve_2022_27651_inheritable_and_ambient_capabilities_are_empty_where_nobody_asks_for_them() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let check = |user: &str, ambient: &[cask_runtime::Capability], expected: [&str; 5]| {
        let mut spec = image.spec(&["grep", "Cap", "/proc/self/status"]);
        spec.privileges.ambient = ambient.iter().copied().collect();
        spec.process.identity = cask_runtime::Identity::resolve(&image.opened(), user).unwrap();
        let (text, _) = run(spec).unwrap();
        let names = ["Inh", "Prm", "Eff", "Bnd", "Amb"];
        let golden: String = names
            .iter()
            .zip(expected)
            .map(|(name, bits)| format!("Cap{name}:\t00000000{bits}\n"))
            .collect();
        assert_eq!(text, golden, "{user}");
    };
    let (none, all) = ("00000000", "800405fb");
    check("root", &[], [none, all, all, all, none]);
    check("alice", &[], [none, none, none, all, none]);
    // What another user is to have its commands have too: of what the container may have at most.
    let asked = [cask_runtime::Capability::Chown, cask_runtime::Capability::SysAdmin];
    check("alice", &asked, ["00000001", "00000001", "00000001", all, "00000001"]);
    check("root", &asked, [none, all, all, all, none]);
}

#[test]
fn mounts_inside_are_the_golden_ones() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let text = image.prints("cat /proc/self/mountinfo");
    let lines = text.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let end = fields.iter().position(|field| *field == "-").unwrap();
        let access = fields[5].trim_end_matches(",relatime").trim_end_matches(",idmapped");
        // Programs look for either.
        let source = fields[end + 2];
        let kind = fields[end + 1];
        assert!(source == kind || source == "shm" || source.starts_with('/'), "{line}");
        format!("{} {} {}", fields[4], access, kind)
    });
    let found: Vec<String> = lines.collect();
    let golden = [
        "/proc rw,nosuid,nodev,noexec proc",
        "/sys ro,nosuid,nodev,noexec sysfs",
        "/dev rw,nosuid,noexec tmpfs",
        "/dev/pts rw,nosuid,noexec devpts",
        "/dev/shm rw,nosuid,nodev,noexec tmpfs",
        "/dev/mqueue rw,nosuid,nodev,noexec mqueue",
    ];
    assert_eq!(found[..golden.len()], golden, "{text}");
    for line in &found[golden.len()..] {
        assert!(line.contains(" ro"), "{line}");
    }
    for path in ["/proc/interrupts ro tmpfs", "/proc/sys ro,nosuid,nodev,noexec proc"] {
        assert!(found.iter().any(|line| line == path), "{path}: {text}");
    }
}

#[test]
fn devices_inside_are_the_golden_ones() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let golden =
        "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero";
    assert_eq!(image.prints("ls /dev | tr '\\n' ' '").trim_end(), golden);
    assert_eq!(
        image.prints("echo x > /dev/null; head -c 4 /dev/zero | od -An -tx1"),
        " 00 00 00 00\n"
    );
    assert_eq!(image.prints("df -k /dev/shm | tail -1 | grep -c 65536 || true"), "1\n");
}

#[test]
fn the_kernel_is_protected() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let refused = |script: &str| {
        let (text, report) = run(image.shell(script)).unwrap();
        assert!(!report.status.success(), "{script}: {text}");
    };
    refused("echo b > /proc/sysrq-trigger");
    refused("echo 1 > /proc/sys/kernel/panic");
    refused("mount -t tmpfs none /work");
    refused("mknod /work/device b 254 0");
    refused("hostname other");
    refused("ping -c 1 -W 1 1.1.1.1");
    assert_eq!(image.prints("wc -c < /proc/interrupts; ls /sys/firmware"), "0\n");
}

#[test]
fn seccomp_and_new_privileges_are_as_asked() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let check = |seccomp: Seccomp, no_new_privileges: bool, golden: &str| {
        let mut spec = image.spec(&["grep", "-E", "^(NoNewPrivs|Seccomp):", "/proc/self/status"]);
        spec.privileges.seccomp = seccomp;
        spec.privileges.no_new_privileges = no_new_privileges;
        assert_eq!(run(spec).unwrap().0, golden);
    };
    check(Seccomp::Default, false, "NoNewPrivs:\t0\nSeccomp:\t2\n");
    check(Seccomp::Default, true, "NoNewPrivs:\t1\nSeccomp:\t2\n");
    check(Seccomp::DangerUnconfined, false, "NoNewPrivs:\t0\nSeccomp:\t0\n");
}

#[test]
fn networks_are_none_or_the_machines() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    assert_eq!(image.prints("ls /sys/class/net"), "lo\n");
    assert_eq!(image.prints("cat /sys/class/net/lo/flags"), "0x9\n", "loopback, and up");
    let mut spec = image.spec(&["readlink", "/proc/self/ns/net"]);
    spec.network = Network::Host;
    let machine = fs::read_link("/proc/self/ns/net").unwrap();
    assert_eq!(run(spec).unwrap().0.trim_end(), machine.to_str().unwrap());
}

#[test]
fn namespaces_are_its_own() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    for name in ["mnt", "pid", "ipc", "uts", "cgroup", "net"] {
        let machine = fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        let inside = image.prints(&format!("readlink /proc/self/ns/{name}"));
        assert_ne!(inside.trim_end(), machine.to_str().unwrap(), "{name}");
    }
    // Nothing of the machine's tree is left above the root.
    assert_eq!(image.prints("ls /.. | grep -c -x work; cd /; cd ../../..; pwd"), "1\n/\n");
}
