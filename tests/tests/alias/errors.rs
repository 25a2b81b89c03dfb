//! The words that scripts search for.

use crate::{place, ready, same_error};

#[test]
fn errors_have_the_same_words_and_codes() {
    if !ready() {
        return;
    }
    let place = place();
    let table = [
        ("nonsense", "Unrecognized command"),
        ("", "Missing command"),
        ("inspec dir:IN/image", "Did you mean this?"),
        ("copy --nonsense dir:IN/image dir:OUT/d", "unknown flag: --nonsense"),
        ("inspect --nonsense dir:IN/image", "unknown flag: --nonsense"),
        (
            "copy foo dir:OUT/d",
            "Invalid source name foo: Invalid image name \\\"foo\\\", expected colon-separated transport:reference",
        ),
        (
            "copy dir:IN/image foo",
            "Invalid destination name foo: Invalid image name \\\"foo\\\", expected colon-separated transport:reference",
        ),
        (
            "copy foo:bar dir:OUT/d",
            "Invalid image name \\\"foo:bar\\\", unknown transport \\\"foo\\\"",
        ),
        ("inspect foo", "expected colon-separated transport:reference"),
        ("inspect foo:bar", "unknown transport \\\"foo\\\""),
        (
            "copy --multi-arch foo dir:IN/image dir:OUT/d",
            "unknown multi-arch option \\\"foo\\\". Choose one of the supported options: 'system', 'all', or 'index-only'",
        ),
        (
            "copy --format bogus dir:IN/image dir:OUT/d",
            "unknown format \\\"bogus\\\". Choose one of the supported formats: 'oci'",
        ),
        (
            "copy --all --multi-arch all dir:IN/list dir:OUT/d",
            "Cannot use --all and --multi-arch flags together",
        ),
        ("inspect --raw --format x dir:IN/image", "raw output does not support format option"),
        ("copy oci:IN/layout dir:OUT/d", "more than one image in oci, choose an image"),
        ("inspect docker-archive:IN/save.tar", "expected 1 item, got 2"),
        (
            "copy dir:IN/image docker-archive:IN/save.tar:a:9",
            "docker-archive doesn't support modifying existing images",
        ),
        (
            "copy --all dir:IN/list docker-archive:OUT/a.tar:a:1",
            "does not support copying multiple images as a group",
        ),
        ("copy dir:IN/image oci:IN/layout:bad/../x:y", "Invalid image bad/../x:y"),
        (
            "copy dir:IN/image dir:IN",
            "not a containers image directory, don't want to overwrite important data",
        ),
    ];
    let mut broken = Vec::new();
    for (line, phrase) in table {
        let checked = std::panic::catch_unwind(|| same_error(&place, line.trim(), phrase));
        if let Err(panic) = checked {
            broken.push(panic.downcast_ref::<String>().cloned().unwrap_or_default());
        }
    }
    assert!(broken.is_empty(), "{} of {}:\n{}", broken.len(), table.len(), broken.join("\n===\n"));
}

#[test]
fn a_wrong_number_of_arguments_is_an_error() {
    if !ready() {
        return;
    }
    let place = place();
    // skopeo of this age shows its help instead, and calls that success.
    for line in [
        "copy",
        "copy dir:IN/image",
        "copy a b c",
        "inspect",
        "inspect a b",
        "list-tags",
        "list-tags a b",
        "delete",
        "delete a b",
    ] {
        let [ours, _] = crate::both(&place, &crate::words(line));
        assert_eq!(ours.ends(1).says("Usage: dray").text(), "", "{line}");
    }
}

#[test]
fn a_name_that_is_not_there_is_code_2_where_newer_skopeos_have_it() {
    if !ready() {
        return;
    }
    let place = place();
    for (image, phrase) in [
        ("oci:IN/layout:nope", "no descriptor found for reference"),
        ("docker-archive:IN/save.tar:zzz", "Tag \\\"docker.io/library/zzz:latest\\\" not found"),
        (
            "docker-archive:IN/save.tar:@9",
            "Invalid source index @9, only 2 manifest items available",
        ),
    ] {
        let [ours, theirs] = crate::both(&place, &["inspect", image]);
        ours.ends(2).says(phrase);
        // 1.9.3 has 1.
        theirs.ends(1).says(phrase);
    }
}
