//! The least Debian, which images of tests are built upon.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::program::{command, cooper_built, run};
use crate::scratch::scratch;
use crate::store::PeerStore;

/// `localhost/debian:test`, by debootstrap and `cooper build`, in an archive of Docker's: made once for all programs of
/// tests, and kept in the target directory.
///
/// # Panics
/// If it cannot be made; that needs root, Debian, and its mirror.
pub fn debian() -> &'static Path {
    static DEBIAN: OnceLock<PathBuf> = OnceLock::new();
    DEBIAN.get_or_init(|| {
        let test = std::env::current_exe().expect("a test knows where it is");
        let target = test.ancestors().nth(3).expect("tests are in TARGET/PROFILE/deps");
        let kept = target.join("tmp");
        fs::create_dir_all(&kept).expect("the target directory is writable");
        let archive = kept.join("debian.tar");
        // Whoever comes second waits for the first.
        let lock =
            File::create(kept.join("debian.lock")).expect("the target directory is writable");
        lock.lock().expect("it can be locked");
        if !archive.exists() {
            make(&archive);
        }
        archive
    })
}

fn make(archive: &Path) {
    let scratch = scratch();
    let root = scratch.join("debian");
    let script = "set -e; . /etc/os-release
        uri=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(COMPONENT) $(REPO_URI)' \
              'Created-By: Packages' | sed -n \"s/^Debian $VERSION_CODENAME main //p\" | head -n 1)
        http_proxy=$(apt-config dump --format %v Acquire::http::Proxy); export http_proxy
        # As images of Debian have it: packages are unpacked without waiting for the disk after each file.
        mkdir -p \"$1/etc/dpkg/dpkg.cfg.d\"
        echo force-unsafe-io >\"$1/etc/dpkg/dpkg.cfg.d/docker-apt-speedup\"
        debootstrap --variant=minbase \"$VERSION_CODENAME\" \"$1\" \"$uri\" >\"$1.log\" 2>&1 || { cat \"$1.log\"; exit 1; }
        rm -rf \"$1\"/var/cache/apt/archives/*.deb \"$1\"/var/lib/apt/lists/*";
    run(command("sh").args(["-c", script, "debian"]).arg(&root)).ok();
    let file = "FROM scratch\nADD debian /\nCMD [\"/bin/bash\"]\n";
    fs::write(scratch.join("Containerfile"), file).expect("a scratch directory is writable");
    let store = PeerStore::new();
    let mut build = command(cooper_built());
    store.at_store(&mut build).args(["build", "-q", "-t", "localhost/debian:test"]).arg(&*scratch);
    run(&mut build).ok();
    let unfinished = archive.with_extension("unfinished");
    let _ = fs::remove_file(&unfinished);
    let to = unfinished.display().to_string();
    store.podman(&["save", "-q", "-o", &to, "localhost/debian:test"]).ok();
    fs::rename(unfinished, archive).expect("the target directory is writable");
}
