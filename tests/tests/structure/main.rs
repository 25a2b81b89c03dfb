//! The rules of the repository that a compiler does not check: who may depend on whom, what a source file may
//! hold, what may come in from outside. Each test lists everything that breaks its rule, then fails.

mod layers;
mod outside;
mod rust;
mod sources;
mod workspace;

/// Fails with every line of `broken`, under the rule they break.
#[track_caller]
fn assert_kept(rule: &str, broken: &[String]) {
    assert!(
        broken.is_empty(),
        "{rule}; broken in {} places:\n  {}",
        broken.len(),
        broken.join("\n  ")
    );
}
