//! Descriptors that this program was started with.

use std::os::fd::OwnedFd;

use crate::sys;

/// Takes over a descriptor that this program was started with, by its number: to pass it on. `None` where there is none,
/// where somebody took it already, and where it is one that the program opened itself. Those have the flag `CLOEXEC`,
/// by which they are known.
///
/// Standard input, output and error are not given away.
pub fn take_inherited_descriptor(number: u32) -> Option<OwnedFd> {
    if !has_inherited_descriptor(number) {
        return None;
    }
    sys::take_inherited(i32::try_from(number).ok()?)
}

/// Whether this program was started with a descriptor of this number that nobody took yet.
pub fn has_inherited_descriptor(number: u32) -> bool {
    let is_there = |number| number > 2 && sys::is_inherited(number);
    i32::try_from(number).is_ok_and(is_there) && !is_membership(number)
}

/// Whether it is what keeps this process a member of the user's namespace, which is nobody's to pass on or to close.
fn is_membership(number: u32) -> bool {
    let path = std::fs::read_link(format!("/proc/self/fd/{number}"));
    path.is_ok_and(|path| crate::enter::is_list_of_members(&path))
}

/// Closes every descriptor that this program was started with and that nobody took, but standard input, output and
/// error, and the one that [`enter_shared_user_namespace`](crate::enter_shared_user_namespace) left open: for a process that goes on for long, of whose caller's files and pipes it would keep hold.
pub fn close_inherited_descriptors() {
    let listed = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers: Vec<u32> =
        listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.into_iter().for_each(|number| drop(take_inherited_descriptor(number)));
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn what_was_opened_here_is_not_taken_and_what_was_inherited_is_taken_once() {
        let own = std::fs::File::open("/dev/null").unwrap();
        let number = own.as_raw_fd().cast_unsigned();
        assert!(take_inherited_descriptor(number).is_none());
        assert!(take_inherited_descriptor(1).is_none() && take_inherited_descriptor(900).is_none());
        // As it would be if it had been there at the beginning.
        sys::pass(std::os::fd::AsFd::as_fd(&own), 800).unwrap();
        let taken = take_inherited_descriptor(800).unwrap();
        assert_eq!(taken.as_raw_fd(), 800);
        assert!(take_inherited_descriptor(800).is_none());
    }
}
