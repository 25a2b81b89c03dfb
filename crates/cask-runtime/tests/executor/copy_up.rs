//! Directories in memory that take over what the root has at their places.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use cask_runtime::{
    Capability, CopyUp, ErrorKind, IdMaps, IdRange, Identity, Memory, Mount, MountSource, RunSpec,
    UserNamespace,
};

use crate::backends::{RUNC, oci};
use crate::support::{Image, is_root, run, run_on};

/// All of the directory that is covered.
const ALL: CopyUp = CopyUp { files: true, permissions: true };

fn memory(size_bytes: Option<u64>, target: &str, copy_up: CopyUp) -> Mount {
    let mut mount = Mount::new(
        MountSource::Memory { kind: Memory::Tmpfs { size_bytes }, mode: 0o1777 },
        target,
    );
    mount.options.copy_up = copy_up;
    mount
}

fn with(mut spec: RunSpec, mount: Mount) -> RunSpec {
    spec.files.mounts.push(mount);
    spec
}

fn permissions(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What ping has: CAP_NET_RAW, effective.
fn give_net_raw(program: &Path) {
    let words = [0x0200_0001_u32, 1 << 13, 0, 0, 0];
    let value: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::lsetxattr(program, "security.capability", &value, flags).unwrap();
}

/// `/data` of an image with everything that a directory can have.
fn fill(image: &Image) {
    let data = image.path("data");
    fs::create_dir_all(data.join("deep/er")).unwrap();
    fs::write(data.join("deep/er/file"), "deep\n").unwrap();
    fs::write(data.join("tool"), "text\n").unwrap();
    fs::hard_link(data.join("tool"), data.join("deep/same")).unwrap();
    symlink("/etc/passwd", data.join("link")).unwrap();
    let sparse = File::create(data.join("sparse")).unwrap();
    sparse.set_len(64 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", 64 << 20).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::from_raw_mode(0o640);
    rustix::fs::mknodat(rustix::fs::CWD, data.join("pipe"), fifo, mode, 0).unwrap();
    drop(std::os::unix::net::UnixListener::bind(data.join("socket")).unwrap());
    for (path, mode, uid, gid) in [
        ("deep", 0o2751, 3, 4),
        ("deep/er/file", 0o4750, 5, 6),
        ("sparse", 0o600, 0, 0),
        (".", 0o2750, 7, 8),
    ] {
        chown(data.join(path), Some(uid), Some(gid)).unwrap();
        permissions(&data.join(path), mode);
    }
    let times = fs::FileTimes::new()
        .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000));
    for path in ["tool", "deep"] {
        File::open(data.join(path)).unwrap().set_times(times).unwrap();
    }
}

const LOOK: &str = "cd /data; stat -c '%n %a %u:%g' . deep deep/er/file pipe; cat deep/er/file; readlink link; \
    stat -c '%n %Y' tool deep; test tool -ef deep/same && stat -c %h tool; stat -c %s sparse; \
    du -k sparse | cut -f1; test -e socket || echo no socket; test -p pipe && echo pipe; touch new && echo written";

#[test]
fn everything_of_the_covered_directory_is_there_and_can_be_changed() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    for name in ["du", "cut"] {
        symlink("busybox", image.path("bin").join(name)).unwrap();
    }
    fill(&image);
    let (text, _) = run(with(image.shell(LOOK), memory(Some(8 << 20), "/data", ALL))).unwrap();
    let expected = ". 2750 7:8\ndeep 2751 3:4\ndeep/er/file 4750 5:6\npipe 640 0:0\ndeep\n/etc/passwd\n\
        tool 1000000000\ndeep 1000000000\n2\n67108867\n4\nno socket\npipe\nwritten\n";
    assert_eq!(text, expected);
    assert!(!image.path("data/new").exists());
}

#[test]
fn programs_keep_the_capabilities_of_their_files() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let program = image.path("data/busybox");
    fs::copy(image.path("bin/busybox"), &program).unwrap();
    permissions(&program, 0o755);
    give_net_raw(&program);
    let spec = image.spec(&["/data/busybox", "grep", "CapEff", "/proc/self/status"]);
    let mut spec = with(spec, memory(None, "/data", ALL));
    spec.process.identity = Identity::resolve(&image.opened(), "alice").unwrap();
    spec.privileges.capabilities = std::iter::once(Capability::NetRaw).collect();
    assert_eq!(run(spec).unwrap().0, "CapEff:\t0000000000002000\n");
}

#[test]
fn what_is_taken_over_is_what_was_asked_for() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    fs::write(image.path("data/file"), "").unwrap();
    permissions(&image.path("data"), 0o700);
    chown(image.path("data"), Some(7), Some(8)).unwrap();
    let check = |target: &str, copy_up: CopyUp, expected: &str| {
        let script = format!("stat -c '%a %u:%g' {target}; ls {target}");
        let (text, _) = run(with(image.shell(&script), memory(None, target, copy_up))).unwrap();
        assert_eq!(text, expected, "{target} {copy_up:?}");
    };
    check("/data", CopyUp::default(), "1777 0:0\n");
    check("/data", CopyUp { files: true, permissions: false }, "1777 7:8\nfile\n");
    check("/data", CopyUp { files: false, permissions: true }, "700 7:8\n");
    check("/data", ALL, "700 7:8\nfile\n");
    // What the image does not have has what the mount says.
    check("/not/there", ALL, "1777 0:0\n");
    assert!(!image.path("not").exists());
    // One that cannot be written is filled too, and memory within memory.
    let mut spec =
        with(image.shell("ls /data; touch /data/x"), memory(None, "/data", ALL).read_only());
    spec.files.mounts.push(memory(None, "/data/below", ALL));
    fs::create_dir(image.path("data/below")).unwrap();
    fs::write(image.path("data/below/one"), "").unwrap();
    spec.process.arguments[2] = "ls /data /data/below; touch /data/x".into();
    let expected =
        "/data:\nbelow\nfile\n\n/data/below:\none\ntouch: /data/x: Read-only file system\n";
    assert_eq!(run(spec).unwrap().0, expected);
    // The kernel's views are not copied.
    let (text, _) =
        run(with(image.shell("ls /sys/class"), memory(None, "/sys/class", ALL))).unwrap();
    assert_eq!(text, "");
}

#[test]
fn links_of_a_hostile_image_lead_nowhere_but_into_it() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let outside = image.beside("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret\n").unwrap();
    fs::write(image.path("data/own"), "").unwrap();
    let away = outside.display();
    let data = image.path("data");
    // The place itself is a link, by an absolute path and by one that goes up.
    for (number, target) in
        [format!("{away}"), format!("../../../../../../..{away}"), "../outside".to_owned()]
            .into_iter()
            .enumerate()
    {
        let name = format!("place{number}");
        symlink(&target, image.path(&name)).unwrap();
        let script = format!("find /{name}/ -type f");
        let target = format!("/{name}");
        let (text, _) = run(with(image.shell(&script), memory(None, &target, ALL))).unwrap();
        assert_eq!(text, "", "{target}");
    }
    // What is in it leads out, and to the machine's own files by way of processes and devices.
    symlink(&outside, data.join("directory")).unwrap();
    symlink(format!("{away}/secret"), data.join("file")).unwrap();
    symlink("/proc/1/root", data.join("process")).unwrap();
    symlink(".", data.join("loop")).unwrap();
    let kind = rustix::fs::FileType::BlockDevice;
    let device = rustix::fs::makedev(7, 0);
    let mode = rustix::fs::Mode::from_raw_mode(0o666);
    let made = rustix::fs::mknodat(rustix::fs::CWD, data.join("disk"), kind, mode, device);
    assert!(made.is_ok() || std::env::var_os("CI").is_none());
    let script =
        "cd /data; ls; for name in directory file process loop; do readlink $name; done; cat file";
    let (text, _) = run(with(image.shell(script), memory(None, "/data", ALL))).unwrap();
    let expected = format!(
        "directory\nfile\nloop\nown\nprocess\n{away}\n{away}/secret\n/proc/1/root\n.\n\
         cat: can't open 'file': No such file or directory\n"
    );
    assert_eq!(text, expected);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn what_does_not_fit_is_said_and_nothing_is_left() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    fs::write(image.path("data/large"), vec![1; 300_000]).unwrap();
    let mut spec = with(image.spec(&["true"]), memory(Some(65536), "/data", ALL));
    spec.files.mounts.push(Mount::content(*b"", "/made/for/this"));
    let error = run(spec).unwrap_err();
    assert_eq!(
        error.to_string(),
        "fill the directory in memory on /data: what lies there takes more than the 65536 bytes that it may hold"
    );
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.hint().unwrap().contains("notmpcopyup"));
    assert!(!image.path("made").exists());
    assert_eq!(fs::read_dir(image.path("data")).unwrap().count(), 1);
}

#[test]
fn owners_are_those_of_the_namespace_of_users() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    fs::write(image.path("data/file"), "").unwrap();
    let own = |name: &str, id: u32| chown(image.path(name), Some(id), Some(id)).unwrap();
    own("data", 100_000);
    own("data/file", 100_003);
    let mut spec = image.shell("stat -c '%n %u:%g' /data /data/*");
    let range = vec![IdRange { inside: 0, outside: 100_000, count: 10 }];
    spec.users = UserNamespace::Map(IdMaps { uids: range.clone(), gids: range });
    let spec = with(spec, memory(None, "/data", ALL));
    let (text, _) = run(spec.clone()).unwrap();
    assert_eq!(text, "/data 0:0\n/data/file 3:3\n");
    // Nobody's file cannot be anybody's.
    own("data/file", 5);
    let error = run(spec).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("cannot change owner of \"file\" in \"/data\""), "{text}");
    assert!(error.hint().unwrap().contains("notmpcopyup"));
}

#[test]
fn runc_takes_over_what_the_native_executor_does() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let Some(runc) = oci(&image, RUNC) else { return };
    fs::write(image.path("data/file"), "text\n").unwrap();
    permissions(&image.path("data"), 0o750);
    let spec = with(
        image.shell("stat -c %a /data; cat /data/file; rm /data/file"),
        memory(None, "/data", ALL),
    );
    for text in [run_on(&runc, spec.clone()).unwrap().0, run(spec).unwrap().0] {
        assert_eq!(text, "750\ntext\n");
        assert!(image.path("data/file").exists());
    }
}
