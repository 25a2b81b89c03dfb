//! Transient stores: containers are gone with the run root, and images are not.

use super::support::Cellar;

#[test]
fn containers_are_gone_with_the_run_root_and_images_stay() {
    let Some(cellar) = Cellar::new() else { return };
    let with = |line: &[&str]| cellar.run(&[&["--transient-store"], line].concat());
    let make = ["run", "-d", "--name", "c", "--network", "none", "box:1", "sleep", "1000"];
    with(&make).ok();
    with(&["exec", "c", "touch", "/made"]).ok();
    assert_eq!(with(&["ps", "--format", "{{.Names}}"]).ok().text(), "c");
    assert_eq!(with(&["info", "--format", "{{.Store.TransientStore}}"]).ok().text(), "true");
    // Who does not say so has other containers, and does not take this one's files for waste.
    assert_eq!(cellar.run(&["ps", "-aq", "--external"]).ok().text(), "");
    cellar.run(&["system", "check"]).ok();
    assert_eq!(with(&["exec", "c", "ls", "/made"]).ok().text(), "/made");
    with(&["stop", "-t", "0", "c"]).ok();
    let noted =
        || std::fs::read_dir(cellar.path("root/cask/transient")).expect("it is there").count();
    assert_eq!(noted(), 1);
    cellar.unmount_all();
    std::fs::remove_dir_all(cellar.path("run")).expect("nothing is mounted there");
    assert_eq!(with(&["ps", "-aq", "--external"]).ok().text(), "");
    // The name is free, and what is left goes with the next change.
    with(&["create", "--name", "c", "--network", "none", "box:1", "true"]).ok();
    assert_eq!(noted(), 1);
    with(&["start", "-a", "c"]).ok();
    with(&["rm", "c"]).ok();
    assert_eq!(cellar.run(&["images", "-q"]).ok().text().lines().count(), 1);
    cellar.run(&["system", "check"]).ok();
    cellar.is_clean();
}
