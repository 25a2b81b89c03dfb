//! Users and groups as the image has them.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use cask_runtime::{
    Device, ErrorKind, IdMaps, IdRange, Identity, Mount, UserNamespace, new_user_namespace,
};

use crate::support::{Image, is_root, run};

#[test]
fn cve_2022_2990_groups_are_exactly_the_images() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let check = |user: &str, ids: &str, groups: &str| {
        let mut spec =
            image.shell("echo $(id -u) $(id -g) $(id -G); grep Groups /proc/self/status");
        spec.process.identity = Identity::resolve(&image.opened(), user).unwrap();
        assert_eq!(run(spec).unwrap().0, format!("{ids}\nGroups:\t{groups} \n"), "{user}");
    };
    check("", "0 0 0 10", "0 10");
    check("alice", "1000 1000 1000 4 10", "4 10 1000");
    check("alice:adm", "1000 4 4", "4");
    check("1000", "1000 1000 1000 4 10", "4 10 1000");
    check("1000:10", "1000 10 10", "10");
    check("4242", "4242 0 0", "0");
    check("4242:4343", "4242 4343 4343", "4343");
}

#[test]
fn cve_2023_25173_the_own_group_cannot_be_left() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let mut spec = image.spec(&["grep", "Groups", "/proc/self/status"]);
    spec.process.identity = Identity::resolve(&image.opened(), "alice:adm").unwrap();
    assert_eq!(run(spec).unwrap().0, "Groups:\t4 \n");
}

#[test]
fn groups_of_whoever_starts_it_are_kept_where_that_is_asked_for() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    // Of this thread, which starts the helper.
    let own = [4321, 1234].map(rustix::process::Gid::from_raw);
    rustix::thread::set_thread_groups(&own).unwrap();
    let mut spec = image.spec(&["grep", "Groups", "/proc/self/status"]);
    spec.process.identity = Identity::resolve(&image.opened(), "alice").unwrap();
    spec.process.keep_groups = true;
    assert_eq!(run(spec.clone()).unwrap().0, "Groups:\t1234 4321 \n");
    // Those that a namespace does not have are nobody's there, and hold all the same.
    spec.users = UserNamespace::Map(maps(0, 2000));
    assert_eq!(run(spec).unwrap().0, "Groups:\t1234 65534 \n");
}

/// The first `count` users and groups are those of `outside` on.
fn maps(outside: u32, count: u32) -> IdMaps {
    let range = vec![IdRange { inside: 0, outside, count }];
    IdMaps { uids: range.clone(), gids: range }
}

#[test]
fn cve_2025_31133_a_device_that_was_swapped_is_not_mounted() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let path = image.beside("device");
    symlink("/dev/null", &path).unwrap();
    let mut spec = image.shell("stat -c %t:%T /dev/some");
    spec.files.devices.push(Device::of(&path, "/dev/some").unwrap());
    // No device can be made there, so that this machine's is mounted.
    spec.users = UserNamespace::Map(maps(0, 2000));
    assert_eq!(run(spec.clone()).unwrap().0, "1:3\n");
    for other in ["/dev/zero", "/etc/hostname", "/"] {
        fs::remove_file(&path).unwrap();
        symlink(other, &path).unwrap();
        assert_eq!(run(spec.clone()).unwrap_err().kind(), ErrorKind::Unsupported, "{other}");
    }
}

#[test]
fn root_of_a_namespace_has_nothing_of_the_machines_root() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let source = image.beside("source");
    fs::create_dir(&source).unwrap();
    for name in ["plain", "shifted"] {
        // The root of the image is the machine's root's.
        fs::create_dir(image.path(name)).unwrap();
    }
    fs::write(source.join("secret"), "secret\n").unwrap();
    fs::set_permissions(source.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    let bind = |target: &str| Mount::bind(OwnedFd::from(File::open(&source).unwrap()), target);
    let mut spec = image.shell(
        "id -u; stat -c %u:%g /plain/secret /shifted/secret; cat /plain/secret; cat /shifted/secret
         touch /plain/new; touch /shifted/new; chown 5:5 /shifted/new; chown 5:5 /plain/secret
         echo 1 >/proc/sysrq-trigger; mknod /tmp/disk b 254 0; hostname other && echo named",
    );
    spec.users = UserNamespace::Map(maps(100_000, 10));
    spec.privileges.capabilities = cask_runtime::CapabilitySet::all();
    spec.files.mounts = vec![bind("/plain"), bind("/shifted")];
    spec.files.mounts[1].options.shift_owners = true;
    let (text, _) = match run(spec.clone()) {
        // Not every file system can.
        Err(error) if error.kind() != ErrorKind::Denied => return eprintln!("not run: {error:?}"),
        ran => ran.unwrap(),
    };
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..3], ["0", "65534:65534", "0:0"], "{text}");
    assert_eq!(lines[4], "secret", "{text}");
    assert_eq!(lines.last(), Some(&"named"), "{text}");
    for refused in [lines[3], lines[5], lines[6], lines[7], lines[8]] {
        let known = ["denied", "not permitted", "nonexistent"];
        assert!(known.iter().any(|word| refused.contains(word)), "{refused}: {text}");
    }
    let owner =
        |name: &str| fs::metadata(source.join(name)).map(|found| (found.uid(), found.gid()));
    assert_eq!(owner("new").unwrap(), (5, 5));
    assert_eq!(owner("secret").unwrap(), (0, 0));
}

#[test]
fn a_namespace_of_users_is_joined() {
    if !is_root() {
        return;
    }
    let image = Image::new();
    let space = std::sync::Arc::new(new_user_namespace(&maps(100_000, 7)).unwrap());
    let mut spec =
        image.shell("tr -s ' ' </proc/self/uid_map; id -u; id -G; cat /proc/self/oom_score_adj");
    spec.users = UserNamespace::Join(space.clone());
    spec.process.identity = Identity::resolve(&image.opened(), "3:4").unwrap();
    spec.process.out_of_memory_score = Some(200);
    assert_eq!(run(spec.clone()).unwrap().0, " 0 100000 7\n3\n4\n200\n");
    // Who is not in it cannot be.
    spec.process.identity = Identity::resolve(&image.opened(), "1000").unwrap();
    let error = run(spec.clone()).unwrap_err().to_string();
    assert!(error.starts_with("set the groups") || error.starts_with("become the user"), "{error}");
    // One's own cannot be joined.
    spec.users =
        UserNamespace::Join(std::sync::Arc::new(File::open("/proc/self/ns/user").unwrap().into()));
    let error = run(spec).unwrap_err();
    assert_eq!(error.to_string(), "join the namespace of users");
}
