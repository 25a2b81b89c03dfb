//! Every word is expanded or refused, in both dialects.

#![no_main]

use cask_containerfile::{Dialect, ExpandOptions, expand, expand_words};

libfuzzer_sys::fuzz_target!(|word: &str| {
    let variables = [("a", "x/y.z"), ("b", "")];
    for dialect in [Dialect::Cask, Dialect::BuildKit, Dialect::Buildah] {
        let mut options = ExpandOptions::default();
        options.dialect = dialect;
        let whole = expand(word, &variables[..], &options);
        assert_eq!(whole.is_ok(), expand_words(word, &variables[..], &options).is_ok());
    }
});
