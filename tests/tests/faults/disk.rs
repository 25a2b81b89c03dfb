//! Full disks.

use tests::{Transport, command, dray_built, has, run};

use crate::stage::{Stage, large};

/// Mounts a small disk in a mount namespace of its own, copies an image there that fits, then one
/// that does not; prints the exit code, and fails if something changed.
const SCRIPT: &str = r#"
set -e
mount -t tmpfs -o size=700k none "$FOLDER"
if [ -n "$OLD" ]; then "$DRAY" copy -q "$OLD" "$OLD_PLACE"; fi
list() { cd "$FOLDER"; find . -printf '%p %m %s\n' | sort; find . -type f -exec sha256sum {} + | sort; }
list > "$TMPDIR/../before"
code=0
"$DRAY" copy $OPTIONS "$NEW" "$NEW_PLACE" || code=$?
list > "$TMPDIR/../after"
cd /
diff "$TMPDIR/../before" "$TMPDIR/../after" >&2
echo $code
"#;

#[test]
fn a_full_disk_is_an_error_and_leaves_the_destination_as_it_was() {
    if !has(&["unshare", "mount"]) {
        return;
    }
    for transport in Transport::ALL {
        for with_image in [true, false] {
            let stage = Stage::empty(transport);
            let small = cask_testkit::generate::ImageSpec::new(77).build();
            let old = if with_image { stage.source("old", &small) } else { String::new() };
            let new = stage.source("new", &large(5));
            let outcome = run(command("unshare")
                .args(["-m", "--propagation", "private", "sh", "-c", SCRIPT])
                .env("FOLDER", stage.folder())
                .env("OLD", old)
                .env("OLD_PLACE", stage.old())
                .env("NEW", new)
                .env("NEW_PLACE", stage.new_place())
                .env("OPTIONS", stage.options())
                .env("DRAY", dray_built())
                .env("TMPDIR", stage.scratch.join("tmp")));
            let outcome = outcome.ok();
            assert_eq!(outcome.text(), "1", "{transport:?}: {outcome}");
            assert!(outcome.stderr.contains("o space left on device"), "{transport:?}: {outcome}");
            let folder = stage.folder().display().to_string();
            assert!(outcome.stderr.contains(&folder), "which file, {transport:?}: {outcome}");
            stage.assert_no_litter(&format!("{transport:?}"));
        }
    }
}
