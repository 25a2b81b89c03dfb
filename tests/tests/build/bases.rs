//! Stand-ins for the images that the cases are built upon.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use tests::{command, run, scratch};

/// The stand-ins: their names, and the last instructions that make them. Each has one layer, and
/// two steps in its history.
const BASES: [(&str, &str); 3] = [
    ("mirror.gcr.io/busybox", "CMD [\"sh\"]"),
    ("mirror.gcr.io/alpine", "WORKDIR /\nCMD [\"/bin/sh\"]"),
    ("quay.io/libpod/centos:7", "CMD [\"/bin/bash\"]"),
];

/// Makes the stand-ins as an archive of podman's, which every store can load.
pub(crate) fn make(archive: &Path) {
    let scratch = scratch();
    let (root, run_root) = (scratch.at("root"), scratch.at("run"));
    let context = scratch.join("context");
    fill(&context.join("rootfs"));
    let mut names = Vec::new();
    for (name, last) in BASES {
        let text = format!("FROM scratch\nADD rootfs /\n{last}\n");
        fs::write(context.join("Containerfile"), text).expect("a scratch directory is writable");
        let store = ["--root", &root, "--runroot", &run_root, "--storage-driver", "overlay"];
        let build = ["bud", "-q", "--layers", "--format", "docker", "-t", name];
        let context = context.display().to_string();
        run(command("buildah").args(store).args(build).arg(&context)).ok();
        names.push(name);
    }
    let archive = archive.display().to_string();
    let save = ["save", "-q", "--multi-image-archive", "-o", &archive];
    let store = ["--root", &root, "--runroot", &run_root, "--storage-driver", "overlay"];
    run(command("podman").args(store).args(save).args(names)).ok();
    let _ = command("umount").args(["-l", &format!("{root}/overlay")]).output();
}

/// Fills a root filesystem with what the cases use of busybox and of a distribution.
pub(crate) fn fill(root: &Path) {
    let directory = |path: &str, mode: u32| {
        let path = root.join(path);
        fs::create_dir_all(&path).expect("a scratch directory is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    directory("", 0o755);
    for path in ["bin", "etc", "usr", "usr/local", "usr/bin", "var", "dev", "proc", "sys", "run"] {
        directory(path, 0o755);
    }
    directory("root", 0o700);
    directory("tmp", 0o1777);
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox is installed");
    let applets = run(command("busybox").arg("--list")).ok();
    for applet in applets.text().lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", root.join("bin").join(applet)).expect("a scratch directory is writable");
    }
    // Debian's busybox has no applet of that name; its shell reads what the cases say.
    if !root.join("bin/bash").is_symlink() {
        fs::write(root.join("bin/bash"), "#!/bin/sh\nexec /bin/sh \"$@\"\n").expect("writable");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(root.join("bin/bash"), mode).expect("it is ours");
    }
    let passwd = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n\
                  bin:x:2:2:bin:/bin:/bin/false\nuucp:x:10:14::/:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n";
    let group = "root:x:0:\ndaemon:x:1:\nbin:x:2:\nnobody:x:65534:\n";
    fs::write(root.join("etc/passwd"), passwd).expect("a scratch directory is writable");
    for mounted in ["hostname", "hosts", "resolv.conf"] {
        fs::write(root.join("etc").join(mounted), "").expect("a scratch directory is writable");
    }
    fs::write(root.join("etc/group"), group).expect("a scratch directory is writable");
}
