//! Every ignore file is read or refused, and decides about every path.

#![no_main]

use cask_containerfile::IgnoreFile;

libfuzzer_sys::fuzz_target!(|input: (&str, &str)| {
    let (text, path) = input;
    if let Ok(file) = IgnoreFile::parse(text) {
        let decision = file.decide(path);
        assert!(decision.rule.is_none_or(|rule| rule < file.rules().len()));
    }
});
