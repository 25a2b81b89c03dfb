//! Lists the images of a store, or says whether one exists: to measure how long that takes.
//!
//! `list ROOT RUN [NAME]`

use std::process::ExitCode;

use cask_storage::{Store, StoreOptions};

fn main() -> Result<ExitCode, cask_storage::Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(root), Some(run)) = (arguments.next(), arguments.next()) else {
        return Ok(ExitCode::from(2));
    };
    let store = Store::open(StoreOptions::new(root, run))?;
    if let Some(name) = arguments.next() {
        let found = store.image_named(&name).is_ok();
        return Ok(ExitCode::from(u8::from(!found)));
    }
    let sizes = store.image_sizes()?;
    let mut lines = String::new();
    for image in store.images()? {
        let size = sizes.get(&image.id).copied().unwrap_or_default();
        for name in &image.names {
            lines.push_str(&format!("{name} {} {size}\n", image.id.short()));
        }
    }
    let written = std::io::Write::write_all(&mut std::io::stdout(), lines.as_bytes());
    Ok(ExitCode::from(u8::from(written.is_err())))
}
