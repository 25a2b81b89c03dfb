//! How much space there is, and what takes it away at once.

use std::fs;

use crate::support::Cellar;

#[test]
fn space_is_counted_and_what_nobody_needs_goes_at_once() {
    let Some(cellar) = Cellar::new() else { return };
    cellar
        .run(&["create", "--network", "none", "--name", "c", "-v", "kept:/v", "box:1", "true"])
        .ok();
    cellar.run(&["volume", "create", "alone"]).ok();
    let volume = cellar.run(&["inspect", "--format", "{{.Mountpoint}}", "alone"]).ok();
    fs::write(format!("{}/file", volume.text()), [0; 5000]).expect("it is there");
    let format = "{{.Type}} {{.Total}} {{.Active}} {{.Size}} {{.Reclaimable}}";
    let told = cellar.run(&["system", "df", "--format", format]).ok();
    let told: Vec<&str> = told.text().lines().collect();
    assert_eq!(told[1..3], ["Containers 1 0 0B 0B (0%)", "Local Volumes 2 1 5kB 5kB (100%)"]);
    let told = cellar.run(&["system", "df", "-v"]).ok();
    assert!(told.text().contains("VOLUME NAME  LINKS       SIZE\nalone        0           5kB\n"));

    let inspect = |kind: &str, name: &str| cellar.run(&["inspect", "--type", kind, name]);
    assert_eq!(inspect("all", "alone").ok().json()[0]["Name"], "alone");
    assert!(inspect("container", "c").ok().json()[0].get("SizeRw").is_none());
    let latest = cellar.run(&["inspect", "-l", "-s", "--format", "{{.Name}} {{.SizeRw}}"]).ok();
    assert_eq!(latest.text(), "c 0");
    let both = cellar.run(&["inspect", "--format", "{{.Id}}", "c", "box:1"]).ok();
    assert_eq!(both.text().lines().filter(|id| id.len() == 64).count(), 2);
    inspect("all", "none").ends(125).says("inspecting object: no such object: \"none\"");
    inspect("image", "alone").ends(125).says("inspecting object: alone: image not known");
    inspect("volume", "c").ends(125).says("inspecting object: no such volume c");
    inspect("pod", "c").ends(125).says("inspecting object: no such pod c");
    inspect("other", "c").ends(125).says("invalid type \"other\": must be \"image\"");

    let id = cellar.run(&["ps", "-aq", "--no-trunc"]).ok().text().to_owned();
    let pruned = cellar.run(&["system", "prune", "-f", "--volumes"]).ok();
    let expected = format!("Deleted Containers\n{id}\nDeleted Volumes\nalone\nkept\nTotal");
    assert!(pruned.text().starts_with(&expected), "{pruned}");
    cellar.run(&["image", "sign", "box"]).ends(125).says("cellar has no command \"image sign\"");
    cellar.container(&["-d", "--name", "c", "--init", "box:1", "sleep", "1000"]).ok();
    let id = cellar.run(&["ps", "-q", "--no-trunc"]).ok().text().to_owned();
    let migrated = cellar.run(&["system", "migrate"]).ok();
    assert_eq!(migrated.text(), format!("stopped {id}"));
    assert_eq!(cellar.run(&["ps", "-q"]).ok().text(), "");
    assert_eq!(cellar.run(&["system", "migrate"]).ok().text(), "");
    let runtime = ["system", "migrate", "--new-runtime", "crun"];
    cellar.run(&runtime).ends(125).says("a container keeps its runtime");
    cellar.run(&["rm", "c"]).ok();
    let push = ["push", "--sign-by", "key", "box:1", "dir:nowhere"];
    cellar.run(&push).ends(125).says("--sign-by: images cannot be signed yet");
    cellar.is_clean();
}
