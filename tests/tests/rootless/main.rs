//! Users without privileges: their store, in a user namespace, beside their podman and buildah.

mod building;
mod containers;
mod servers;
mod walk;

use std::fs;
use std::path::Path;
use std::process::Command;

use tests::{RANGES, UID, User, cellar_built, fixtures, has, run};

const TOOLS: [&str; 6] = ["podman", "buildah", "busybox", "newuidmap", "setpriv", "unshare"];

#[test]
fn what_a_user_stores_podman_and_buildah_of_the_user_use_and_the_other_way_round() {
    if !has(&TOOLS) {
        return;
    }
    let user = User::new(RANGES);
    user.take(&fixtures().buildah_oci, "image");
    user.script(
        "$D/dray --insecure-policy copy -q oci:$D/image:1 containers-storage:localhost/ours:1",
    )
    .ok();
    let listed = user.script("podman images --noheading --format '{{.Repository}}:{{.Tag}}'").ok();
    assert_eq!(listed.text(), "localhost/ours:1");
    // Files of others and whiteouts, by buildah on what we wrote.
    user.script(
        "c=$(buildah from --pull-never localhost/ours:1)
         buildah unshare sh -c '
             m=$(buildah mount '$c')
             mkdir $m/made; echo made > $m/made/file; chown 33:33 $m/made/file
             rm -r $m/bin'
         buildah commit -q $c localhost/theirs:1; buildah rm $c",
    )
    .ok();
    let listed =
        user.script("$D/cellar images --noheading --format '{{.Repository}}:{{.Tag}}'").ok();
    assert_eq!(listed.text().lines().count(), 2, "{listed}");
    let check = user.script("$D/cellar system check").ok();
    assert_eq!((check.text(), check.stderr.as_str()), ("", ""));
    let mounted = user.script(
        "$D/cellar unshare sh -ec '
             m=$($D/cellar image mount localhost/theirs:1)
             stat -c %u:%g $m/made/file; test ! -e $m/bin; cat $m/made/file
             $D/cellar image unmount localhost/theirs:1'",
    );
    let mounted = mounted.ok();
    assert_eq!(mounted.text().lines().take(2).collect::<Vec<_>>(), ["33:33", "made"], "{mounted}");
    // Out and in again: the owners stay.
    user.script(
        "$D/dray --insecure-policy copy -q containers-storage:localhost/theirs:1 oci:$HOME/out:1
         $D/dray --insecure-policy validate oci:$HOME/out:1
         $D/cellar rmi -af >/dev/null
         $D/dray --insecure-policy copy -q oci:$HOME/out:1 containers-storage:localhost/back:1",
    )
    .ok();
    let shown = user.script(
        "podman unshare sh -ec '
             m=$(podman image mount localhost/back:1); stat -c %u:%g $m/made/file; test ! -e $m/bin'",
    );
    assert_eq!(shown.ok().text(), "33:33");
    user.script("podman rmi -af >/dev/null").ok();
    let left =
        user.script("$D/cellar unshare sh -c 'ls $HOME/.local/share/containers/storage/overlay'");
    let left = left.ok();
    let layers = left.text().lines().filter(|name| name.len() == 64).count();
    assert_eq!(layers, 0, "{left}");
}

#[test]
fn the_command_of_unshare_is_root_of_the_users_ranges_and_of_nothing_else() {
    if !has(&TOOLS) {
        return;
    }
    let user = User::new(RANGES);
    let found = user.script(
        "$D/cellar unshare sh -c 'id -u; id -g; tr -s \" \" < /proc/self/uid_map; \
         env | grep ^_CONTAINERS | sort; touch f; chown 7:8 f; exit 3'; stat -c %u:%g f",
    );
    let expected = format!(
        "0\n0\n 0 {UID} 1\n 1 200000 65536\n_CONTAINERS_ROOTLESS_GID={UID}\n_CONTAINERS_ROOTLESS_UID={UID}\n\
         _CONTAINERS_USERNS_CONFIGURED=done"
    );
    let found = found.ends(3);
    assert_eq!(found.text(), expected, "{found}");
    let owner = fs::metadata(user.path("home/f")).map(|found| {
        use std::os::unix::fs::MetadataExt as _;
        (found.uid(), found.gid())
    });
    assert_eq!(owner.expect("it was made"), (200_006, 200_007));
    // Within, the user is still the user.
    let inner =
        user.script("$D/cellar unshare $D/cellar info --format '{{.Store.GraphRoot}}'").ok();
    assert_eq!(inner.text(), format!("{}/.local/share/containers/storage", user.text("home")));
    user.script("$D/cellar unshare $D/cellar unshare true").ok();
    let root = run(Command::new(cellar_built()).args(["unshare", "true"]));
    root.ends(125).says("please use unshare with rootless");
    user.script("$D/cellar unshare /nowhere/command").ends(127);
    user.script("$D/cellar image mount x").ends(125).says("must execute `cellar unshare` first");
}

#[test]
fn without_ranges_all_files_are_the_users_and_that_is_said() {
    if !has(&TOOLS) {
        return;
    }
    let user = User::new("somebody:100000:65536\n");
    user.take(&fixtures().buildah_oci, "image");
    let map = user.script("$D/cellar unshare tr -s ' ' < /proc/self/uid_map");
    let copied = user.script(
        "$D/dray --insecure-policy copy -q oci:$D/image:1 containers-storage:localhost/ours:1; $D/cellar images -q",
    );
    assert!(map.stderr.contains("no range of IDs in /etc/subuid"), "{map}");
    assert!(map.stderr.contains("usermod --add-subuids"), "{map}");
    assert_eq!(copied.ok().text().lines().count(), 1);
    assert!(Path::new(&user.text("home/.local/share/containers/storage/overlay")).is_dir());
}

#[test]
fn a_run_root_in_tmp_that_is_somebody_elses_is_refused() {
    if !has(&TOOLS) {
        return;
    }
    // Made by root, in a file system that only the test sees.
    let user = User::new(RANGES);
    let script = format!(
        "mkdir -p other/storage-run-{UID} && \
         mount --bind . /mnt && mount --bind other /tmp && \
         exec setpriv --reuid={UID} --regid={UID} --clear-groups env -i HOME=/nowhere /mnt/cellar images"
    );
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-ec", &script]).current_dir(user.path(""));
    run(&mut command).ends(125).says("is not the user's alone");
}
