//! Mounts of callers, and that nothing of them stays behind.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use cask_runtime::{
    ErrorKind, IdMaps, IdRange, Mount, MountSource, Overlay, PassedDescriptor, Personality,
    UserNamespace,
};

use crate::support::{Image, is_root, run};

#[test]
fn directories_files_and_memory_are_mounted_with_their_options() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let source = image.beside("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), "text\n").unwrap();
    let open = |path| OwnedFd::from(File::open(path).unwrap());
    let mut spec = image.shell(
        "cat /data/file /one; echo more > /data/new; echo x > /data2/no; echo x > /one; \
         stat -c '%a %u:%g' /run/secrets/key; cat /run/secrets/key; touch /memory/file; df -k /memory | grep -c 1024",
    );
    spec.files.mounts = vec![
        Mount::bind(open(source.clone()), "/data"),
        Mount::bind(open(source.clone()), "/data2").read_only(),
        Mount::bind(open(source.join("file")), "/one").read_only(),
        Mount::new(
            MountSource::Content { bytes: (*b"key\n").into(), mode: 0o400, uid: 3, gid: 4 },
            "/run/secrets/key",
        ),
        Mount::memory(Some(1 << 20), "/memory"),
    ];
    let (text, _) = run(spec).unwrap();
    let expected = "text\ntext\n/bin/sh: can't create /data2/no: Read-only file system\n\
        /bin/sh: can't create /one: Read-only file system\n400 3:4\nkey\n1\n";
    assert_eq!(text, expected);
    assert_eq!(fs::read_to_string(source.join("new")).unwrap(), "more\n");
    for stub in ["data2", "one", "run", "memory"] {
        assert!(!image.path(stub).exists(), "{stub}");
    }
}

#[test]
fn what_is_changed_in_an_overlay_is_kept_elsewhere() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    // Overlays are no place for what others change, and temporary directories may be on one.
    let disk = image.beside("disk");
    fs::create_dir(&disk).unwrap();
    let mounted =
        std::process::Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&disk).status();
    assert!(mounted.unwrap().success());
    for name in ["lower", "upper", "work"] {
        fs::create_dir(disk.join(name)).unwrap();
    }
    // Root of a namespace can make no mount point in this root.
    fs::create_dir(image.path("new")).unwrap();
    fs::write(disk.join("lower/file"), "text\n").unwrap();
    fs::write(disk.join("lower/other"), "other\n").unwrap();
    let open = |name: &str| std::sync::Arc::new(File::open(disk.join(name)).unwrap().into());
    let overlay = || Overlay { lower: open("lower"), upper: open("upper"), work: open("work") };
    let script = "cat /new/file; echo more >>/new/file; rm /new/other; echo made >/new/made; cat /new/*; stat -c %u /new/file";
    let mut spec = image.shell(script);
    spec.files.mounts = vec![Mount::overlay(overlay(), "/new")];
    assert_eq!(run(spec).unwrap().0, "text\ntext\nmore\nmade\n0\n");
    assert_eq!(fs::read_to_string(disk.join("lower/file")).unwrap(), "text\n");
    assert!(disk.join("lower/other").exists() && !disk.join("lower/made").exists());
    assert_eq!(fs::read_to_string(disk.join("upper/made")).unwrap(), "made\n");
    // What is in the upper one is seen again; in a namespace of users, and without a right to write.
    let mut spec = image.shell("cat /new/file; echo x >/new/x; stat -c %u /new/file");
    spec.files.mounts = vec![Mount::overlay(overlay(), "/new").read_only()];
    let range = vec![IdRange { inside: 0, outside: 100_000, count: 10 }];
    spec.users = UserNamespace::Map(IdMaps { uids: range.clone(), gids: range });
    let expected = "text\nmore\n/bin/sh: can't create /new/x: Read-only file system\n65534\n";
    assert_eq!(run(spec).unwrap().0, expected);
    let mut spec = image.spec(&["true"]);
    spec.files.mounts = vec![Mount::overlay(overlay(), "/new")];
    spec.files.mounts[0].options.shift_owners = true;
    assert_eq!(run(spec).unwrap_err().kind(), ErrorKind::InvalidSpec);
    let _ = std::process::Command::new("umount").arg(&disk).status();
}

#[test]
fn descriptors_are_passed_on_by_their_numbers_and_a_personality_is_taken_on() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let kept = image.beside("kept");
    fs::write(&kept, "kept\n").unwrap();
    let passed = |number| PassedDescriptor {
        number,
        descriptor: std::sync::Arc::new(OwnedFd::from(File::open(&kept).unwrap())),
    };
    for init in [false, true] {
        let mut spec = image.shell("ls /proc/self/fd | grep -v '^[012]$' | head -n 12; cat <&4");
        spec.io.passed = vec![passed(4), passed(3), passed(9)];
        spec.process.init = init;
        // What `ls` itself opens takes the lowest number that is free.
        assert_eq!(run(spec).unwrap().0, "3\n4\n5\n9\nkept\n", "{init}");
    }
    let mut spec = image.spec(&["/bin/cat", "/proc/self/personality"]);
    spec.process.personality = Some(Personality::Linux32);
    assert_eq!(run(spec).unwrap().0, "00000008\n");
}

#[test]
fn the_working_directory_is_made_where_that_is_asked_for() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let source = image.beside("source");
    fs::create_dir(&source).unwrap();
    std::os::unix::fs::symlink("/nowhere", source.join("link")).unwrap();
    let mut spec = image.shell("/bin/pwd; stat -c %a .");
    spec.process.identity = cask_runtime::Identity::new(1000, 1000);
    let opened = OwnedFd::from(File::open(&source).unwrap());
    spec.files.mounts = vec![Mount::bind(opened, "/data")];
    spec.process.directory = "/data/a//b/".into();
    assert_eq!(run(spec.clone()).unwrap_err().kind(), ErrorKind::CommandNotFound);
    spec.process.make_directory = true;
    assert_eq!(run(spec.clone()).unwrap().0, "/data/a/b\n755\n");
    assert!(source.join("a/b").is_dir());
    spec.process.directory = "/data/link".into();
    assert_eq!(run(spec.clone()).unwrap_err().kind(), ErrorKind::CommandNotFound);
    spec.process.directory = "/proc/missing".into();
    assert_eq!(run(spec).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!image.path("nowhere").exists());
}

#[test]
fn memory_to_share_can_be_left_out() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let mut spec = image.shell("ls -d /dev/s*");
    spec.files.no_shared_memory = true;
    assert_eq!(run(spec).unwrap().0, "/dev/stderr\n/dev/stdin\n/dev/stdout\n");
}

#[test]
fn stubs_leave_no_trace_in_the_root() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    for name in ["proc", "sys", "dev"] {
        fs::remove_dir(image.path(name)).unwrap();
    }
    let snapshot = || -> Vec<(String, i64, i64, u32)> {
        let mut found: Vec<_> = walk(&image);
        found.sort();
        found
    };
    let before = snapshot();
    let mut spec = image.spec(&["true"]);
    spec.files.mounts.push(Mount::content(*b"", "/etc/resolv.conf"));
    spec.files.mounts.push(Mount::content(*b"", "/a/b/c"));
    assert!(run(spec).unwrap().1.status.success());
    assert_eq!(snapshot(), before);
}

fn walk(image: &Image) -> Vec<(String, i64, i64, u32)> {
    let mut left = vec![image.path("")];
    let mut found = Vec::new();
    while let Some(path) = left.pop() {
        let data = fs::symlink_metadata(&path).unwrap();
        if data.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.push((path.display().to_string(), data.mtime(), data.mtime_nsec(), data.mode()));
    }
    found
}

#[test]
fn dangling_links_of_the_image_are_followed_within_it() {
    if !is_root() {
        return;
    }
    // As systemd-resolved leaves it in many images.
    let image = Image::new();
    let target = "../run/systemd/resolve/stub-resolv.conf";
    std::os::unix::fs::symlink(target, image.path("etc/resolv.conf")).unwrap();
    let mut spec = image.spec(&["cat", "/etc/resolv.conf"]);
    spec.files.mounts.push(Mount::content(*b"nameserver 192.0.2.1\n", "/etc/resolv.conf"));
    assert_eq!(run(spec).unwrap().0, "nameserver 192.0.2.1\n");
    assert!(!image.path("run").exists());
}

#[test]
fn a_read_only_root_can_be_written_through_mounts_only() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let mut spec = image.shell("touch /work/x; touch /tmp/y && touch /dev/shm/z && echo fine");
    spec.files.read_only_root = true;
    spec.files.mounts.push(Mount::memory(None, "/tmp"));
    let (text, _) = run(spec).unwrap();
    assert_eq!(text, "touch: /work/x: Read-only file system\nfine\n");
}

#[test]
fn without_standard_mounts_the_root_is_all_there_is() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let mut spec = image.spec(&["ls", "/proc", "/dev", "/sys"]);
    spec.files.standard = false;
    assert_eq!(run(spec).unwrap().0, "/dev:\n\n/proc:\n\n/sys:\n");
}

#[test]
fn kinds_of_sources_and_targets_must_agree() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let mut spec = image.spec(&["true"]);
    spec.files.mounts.push(Mount::content(*b"", "/work"));
    let error = run(spec).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidSpec);
    assert_eq!(error.to_string(), "mount on /work: a file is to be mounted on a directory");
    let mut spec = image.spec(&["true"]);
    spec.files.mounts.push(Mount::memory(None, "/etc/passwd"));
    assert_eq!(run(spec).unwrap_err().kind(), ErrorKind::InvalidSpec);
}

#[test]
fn devices_of_the_machine_keep_their_modes() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode();
    let before = mode("/dev/null");
    image.prints("chmod 600 /dev/null && mv /dev/null /dev/nothing");
    assert_eq!(mode("/dev/null"), before);
}
