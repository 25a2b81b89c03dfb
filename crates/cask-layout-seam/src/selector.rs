//! Which image is meant.

use cask_layout::ImageChoice;
use cask_transport::{Error, ErrorKind, Result, Selector};

/// What a selector of the seam is in a layout, where `chosen` is what the location says.
///
/// # Errors
/// `Unsupported` for a way to choose that layouts do not have.
pub fn with_selector<'a>(
    selector: &'a Selector,
    chosen: &'a ImageChoice,
) -> Result<cask_layout::Selector<'a>> {
    match selector {
        Selector::Chosen => Ok(cask_layout::Selector::from(chosen)),
        Selector::Name(name) => Ok(cask_layout::Selector::Name(name)),
        Selector::Digest(digest) => Ok(cask_layout::Selector::Digest(digest)),
        Selector::Position(position) => Ok(cask_layout::Selector::Position(*position)),
        other => Err(Error::new(ErrorKind::Unsupported, "choosing an image", "")
            .with_detail(format!("a layout has no images by {other:?}"))),
    }
}
