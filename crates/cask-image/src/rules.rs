//! How documents are parsed.

use cask_json::Rules;

use crate::{MAX_JSON_DEPTH, MAX_JSON_VALUES};

/// The rules for documents of up to so many bytes.
pub(crate) const fn rules(max_bytes: u64) -> Rules {
    Rules::new(max_bytes).with_max_depth(MAX_JSON_DEPTH).with_max_values(MAX_JSON_VALUES)
}
