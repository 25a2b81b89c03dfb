//! Tar streams of the field, extracted.

use std::path::PathBuf;

use cask_layer::{Applied, ApplyError, Whiteouts};

use crate::tree::{Host, describe, extract_with, options};

/// The folder of cases, where there is one.
fn folder() -> Option<PathBuf> {
    let folder = cask_cases::folder("tar-testdata")?;
    Some(folder.join("fixtures/tar-testdata"))
}

fn extract(path: &std::path::Path, host: &Host) -> Result<Applied, ApplyError> {
    let mut options = options(Whiteouts::Remove);
    // The owners there are nobody's here, unless root extracts.
    options.ignore_chown_errors = true;
    options.user_namespace = true;
    extract_with(&std::fs::read(path).unwrap(), host, &options)
}

/// What no tool of the field takes either: incremental dumps, broken headers, numbers and records.
const REFUSED: [&str; 9] = [
    "gnu-incremental",
    "issue10968",
    "issue11169",
    "issue12435",
    "neg-size",
    "pax-bad-hdr-file",
    "pax-bad-mtime-file",
    "pax-nul-path",
    "pax-nul-xattrs",
];

#[test]
fn streams_of_the_field_extract_or_say_why_not() {
    let Some(folder) = folder() else { return };
    let mut rows = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "tar") {
            continue;
        }
        rows += 1;
        let host = Host::new();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let outcome = extract(&path, &host);
        assert_eq!(outcome.is_err(), REFUSED.contains(&name), "{name}: {outcome:?}");
        host.assert_untouched();
    }
    assert_eq!(rows, 40);
}

#[test]
fn sparse_files_of_all_formats_are_the_same_file() {
    let Some(folder) = folder() else { return };
    let host = Host::new();
    extract(&folder.join("sparse-formats.tar"), &host).unwrap();
    let found = describe(&host.root(), false);
    let contents: std::collections::BTreeSet<_> = found
        .iter()
        .filter(|(name, _)| name.starts_with(b"sparse"))
        .map(|(_, text)| text.split(' ').skip(5).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!((found.len(), contents.len()), (5, 1), "{found:#?}");
}
