//! Users and groups as the image has them.

use cask_runtime::Identity;

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
