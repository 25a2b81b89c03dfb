//! Every text is parsed, printed again, linted, and formatted to what stays.

#![no_main]

use cask_containerfile::{LintOptions, format, lint, parse};

libfuzzer_sys::fuzz_target!(|source: &str| {
    let parsed = parse(source);
    assert_eq!(parsed.tree.print(), source);
    let _ = lint(&parsed.tree, &LintOptions::default());
    let formatted = format(&parsed.tree);
    assert_eq!(format(&parse(&formatted).tree), formatted);
});
