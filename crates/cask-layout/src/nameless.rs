//! Where tests make a file system one that has no files without a name.

/// Whether the file system may be asked for files without a name.
#[cfg(not(test))]
pub(crate) fn are_allowed() -> bool {
    true
}

#[cfg(test)]
pub(crate) use chosen::{allow, are_allowed};

#[cfg(test)]
mod chosen {
    use std::cell::Cell;

    thread_local! {
        static ALLOWED: Cell<bool> = const { Cell::new(true) };
    }

    /// Makes this thread's file system one that has no files without a name, or not.
    pub(crate) fn allow(allowed: bool) {
        ALLOWED.set(allowed);
    }

    pub(crate) fn are_allowed() -> bool {
        ALLOWED.get()
    }
}
