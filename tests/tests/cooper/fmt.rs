//! `cooper fmt`

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use crate::{cooper, fed, files};

const BEFORE: &str = "from  alpine:3  as base\nRUN   a\n\n\n\nCOPY b   c\n";
const AFTER: &str = "FROM alpine:3 AS base\nRUN a\n\nCOPY b c\n";

#[test]
fn files_are_changed_where_they_are() {
    let directory = files(&[("Containerfile", BEFORE)]);
    let outcome = cooper(&directory, "fmt").ok();
    assert_eq!((outcome.text(), outcome.stderr.as_str()), ("", ""));
    let path = directory.join("Containerfile");
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), AFTER);
    // What is formatted is not written again.
    let before = path.metadata().expect("it is there");
    cooper(&directory, "fmt").ok();
    let after = path.metadata().expect("it is there");
    assert_eq!((before.ino(), before.ctime_nsec()), (after.ino(), after.ctime_nsec()));
    assert_eq!(std::fs::read_dir(&*directory).expect("it can be listed").count(), 1);
}

#[test]
fn a_file_keeps_its_mode_and_owner_and_a_link_stays_one() {
    let directory = files(&[("real", BEFORE)]);
    let path = directory.join("real");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o4640)).expect("it is ours");
    if tests::is_root() {
        std::os::unix::fs::chown(&path, Some(12), Some(34)).expect("root may");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o4640))
            .expect("it is ours");
    }
    let before = path.metadata().expect("it is there");
    symlink("real", directory.join("link")).expect("it is writable");
    cooper(&directory, "fmt link").ok();
    let after = path.metadata().expect("it is there");
    assert_eq!(
        (after.mode(), after.uid(), after.gid()),
        (before.mode(), before.uid(), before.gid())
    );
    assert!(directory.join("link").symlink_metadata().expect("it is there").is_symlink());
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), AFTER);
}

#[test]
fn check_names_the_files_and_changes_nothing() {
    let directory = files(&[("a", BEFORE), ("b", AFTER), ("c", BEFORE)]);
    let outcome = cooper(&directory, "fmt --check a b c").ends(1);
    assert_eq!(outcome.text(), "a\nc");
    assert_eq!(std::fs::read_to_string(directory.join("a")).expect("it is there"), BEFORE);
    cooper(&directory, "fmt --check b").ok();
    assert_eq!(fed(&directory, "fmt --check -", BEFORE).ends(1).text(), "<stdin>");
}

#[test]
fn a_diff_is_one_that_patch_takes() {
    let directory = files(&[("a", BEFORE), ("b", AFTER)]);
    let outcome = cooper(&directory, "fmt --diff a b").ok();
    let expected = "\
--- a
+++ a
@@ -1,6 +1,4 @@
-from  alpine:3  as base
-RUN   a
+FROM alpine:3 AS base
+RUN a
 
-
-
-COPY b   c
+COPY b c";
    assert_eq!(outcome.text(), expected);
    assert_eq!(std::fs::read_to_string(directory.join("a")).expect("it is there"), BEFORE);
    cooper(&directory, "fmt --diff --check a").ends(1);
}

#[test]
fn standard_input_comes_out_formatted() {
    let directory = files(&[]);
    let outcome = fed(&directory, "fmt -", BEFORE).ok();
    assert_eq!(String::from_utf8_lossy(&outcome.stdout), AFTER);
    let outcome = fed(&directory, "fmt -", AFTER).ok();
    assert_eq!(String::from_utf8_lossy(&outcome.stdout), AFTER);
}

#[test]
fn a_file_with_errors_is_left_and_the_others_are_formatted() {
    let wrong = "from a:1\nCPOY  b c\n";
    let directory = files(&[("wrong", wrong), ("right", BEFORE)]);
    let outcome = cooper(&directory, "fmt wrong right").ends(1);
    let outcome = outcome.says("wrong:2:1").says("Error: wrong has errors, and is left as it is");
    assert_eq!(outcome.text(), "");
    assert_eq!(std::fs::read_to_string(directory.join("wrong")).expect("it is there"), wrong);
    assert_eq!(std::fs::read_to_string(directory.join("right")).expect("it is there"), AFTER);
}
