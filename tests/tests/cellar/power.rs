//! Losses of power: what a disk holds at any moment is a store that opens, with everything in it that was done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use tests::{Outcome, Scratch, cellar_built, command, fixtures, has, run, scratch, skopeo_with};

use crate::TOOLS;

/// How many copies of the disk are made of each command, spread over the time that it takes.
const COPIES: u32 = 3;
/// How the disk is mounted: without what ext4 alone does for programs that rename files which they have not synced.
const OPTIONS: &str = "loop,noauto_da_alloc";

/// An ext4 disk in a file, on a file system that copies files in one moment, whatever is written to them meanwhile.
/// A copy is what the disk holds that loses power then.
struct Disk {
    scratch: Scratch,
    mounted: Vec<PathBuf>,
}

impl Disk {
    #[track_caller]
    fn new() -> Self {
        let mut this = Self { scratch: scratch(), mounted: Vec::new() };
        let (outer, disk) = (this.scratch.at("outer.xfs"), this.scratch.at("outer/disk"));
        run(command("truncate").args(["-s", "2G", &outer])).ok();
        run(command("mkfs.xfs").args(["-q", "-m", "reflink=1", &outer])).ok();
        this.mount(&outer, "outer", "loop");
        run(command("truncate").args(["-s", "1G", &disk])).ok();
        run(command("mkfs.ext4").args(["-q", "-m", "0", &disk])).ok();
        this.mount(&disk, "disk", OPTIONS);
        this
    }

    #[track_caller]
    fn mount(&mut self, file: &str, at: &str, options: &str) {
        let at = self.scratch.join(at);
        std::fs::create_dir_all(&at).expect("a scratch directory is writable");
        run(command("mount").args(["-o", options, file]).arg(&at)).ok();
        self.mounted.push(at);
    }

    fn unmount(&mut self) {
        let at = self.mounted.pop().expect("something is mounted");
        // Podman mounts the directory of the driver onto itself.
        let _ = command("umount").arg("-l").arg(at.join("root/overlay")).output();
        run(command("umount").args(["-R"]).arg(&at)).ok();
    }

    /// Copies the disk as it is now.
    #[track_caller]
    fn copy(&self, name: &str) -> String {
        let copy = self.scratch.at(&format!("outer/{name}"));
        run(command("cp").args(["--reflink=always", &self.scratch.at("outer/disk"), &copy])).ok();
        copy
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for at in self.mounted.iter().rev() {
            let _ = command("umount").args(["-R", "-l"]).arg(at).output();
        }
    }
}

/// A program on the store of a disk, with a run root that is as new as after a boot.
fn on(disk: &Path, program: impl AsRef<std::ffi::OsStr>, line: &[&str]) -> std::process::Command {
    let mut command = command(program);
    command.arg("--root").arg(disk.join("root")).arg("--runroot").arg(disk.with_extension("run"));
    command.args(["--storage-driver", "overlay"]).args(line);
    command
}

#[track_caller]
fn cellar(disk: &Path, line: &[&str]) -> Outcome {
    run(&mut on(disk, cellar_built(), line))
}

/// The images of a store by their names, and that nothing is said about them.
#[track_caller]
fn images(disk: &Path, at: &str) -> BTreeMap<String, String> {
    let format = "{{.Repository}}:{{.Tag}} {{.ID}}";
    let listed = cellar(disk, &["images", "--no-trunc", "--format", format]).ok();
    assert_eq!(listed.stderr, "", "{at}");
    let pairs = listed.text().lines().map(|line| line.split_once(' ').expect("two columns"));
    pairs.map(|(name, id)| (name.to_owned(), id.to_owned())).collect()
}

/// Nothing that is listed is broken; what waits to be swept up may lie about.
#[track_caller]
fn assert_whole(disk: &Path, at: &str) {
    let check = cellar(disk, &["system", "check"]).ok();
    assert_eq!(check.text(), "", "{at}: {check}");
}

fn begin(disk: &Path, line: &[&str]) -> Child {
    let mut command = on(disk, cellar_built(), line);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("cellar runs")
}

#[test]
fn a_loss_of_power_at_any_moment_loses_nothing_that_was_done() {
    if !has(&TOOLS) || !has(&["skopeo", "mkfs.ext4", "mkfs.xfs"]) {
        return;
    }
    let mut disk = Disk::new();
    let place = disk.scratch.join("disk");
    let archive = disk.scratch.at("it.tar");
    let to = format!("docker-archive:{archive}:localhost/it:1");
    skopeo_with(&["copy", "-q", &fixtures().buildah_oci, &to]).ok();
    let layer = disk.scratch.at("layer.tar");
    run(command("tar").args(["-C", "/bin", "-cf", &layer, "busybox"])).ok();
    let lines: [&[&str]; 6] = [
        &["load", "-q", "-i", &archive],
        &["import", "-q", &layer, "localhost/more:1"],
        &["tag", "it:1", "localhost/other:1"],
        &["rmi", "more:1"],
        &["untag", "it:1", "localhost/it:1"],
        &["rmi", "other:1"],
    ];
    // Copies of the disk, and which lines had ended when they were made.
    let mut copies = Vec::new();
    let mut states = vec![images(&place, "at the beginning")];
    for (number, line) in lines.iter().enumerate() {
        let mut runs = begin(&place, line);
        for copy in 0..COPIES {
            copies.push((disk.copy(&format!("{number}-{copy}")), number, number + 1));
            std::thread::sleep(Duration::from_millis(u64::from(copy) * 40));
        }
        assert!(runs.wait().expect("it is ours").success(), "{line:?}");
        // As soon as it says that it is done, it is.
        copies.push((disk.copy(&format!("{number}-done")), number + 1, number + 1));
        states.push(images(&place, "done"));
    }
    disk.unmount();
    let names: Vec<usize> = states.iter().map(BTreeMap::len).collect();
    assert_eq!(names, [0, 1, 2, 3, 2, 1, 0]);
    for (number, (copy, done, begun)) in copies.iter().enumerate() {
        let at = format!("{copy}: {:?}", lines.get(*done));
        let folder = format!("copy-{number}");
        disk.mount(copy, &folder, OPTIONS);
        let place = disk.scratch.join(folder);
        let found = images(&place, &at);
        assert!(states[*done..=*begun].contains(&found), "{at}: {found:?}");
        assert_whole(&place, &at);
        if number % 4 == 3 {
            let theirs = run(&mut on(&place, "podman", &["images", "-q"])).ok();
            let ours: BTreeSet<_> = found.values().collect();
            assert_eq!(theirs.text().lines().count(), ours.len(), "{at}");
        }
        // What had not ended succeeds now; what is gone already cannot be taken away again.
        let mut may_fail = found != states[*done];
        for line in &lines[*done..] {
            let again = cellar(&place, line);
            assert!(again.code == 0 || may_fail, "{at}, again: {again}");
            may_fail = false;
        }
        assert_eq!(images(&place, &at), states[lines.len()], "{at}");
        assert_whole(&place, &at);
        disk.unmount();
        std::fs::remove_file(copy).expect("it is ours");
    }
}
