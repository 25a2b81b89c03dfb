//! Which devices the processes of a group may use.

use std::fmt;

/// What may be done with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceAccess {
    /// It may be read.
    pub read: bool,
    /// It may be written.
    pub write: bool,
    /// Nodes of it may be made.
    pub make: bool,
}

impl DeviceAccess {
    /// Everything.
    pub const ALL: Self = Self { read: true, write: true, make: true };

    /// Reads some of the letters `r`, `w` and `m`. `None` for other ones, and for none.
    pub fn of_letters(text: &str) -> Option<Self> {
        let known = !text.is_empty() && text.bytes().all(|letter| b"rwm".contains(&letter));
        let has = |letter| text.contains(letter);
        known.then(|| Self { read: has('r'), write: has('w'), make: has('m') })
    }
}

impl fmt::Display for DeviceAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [(self.read, "r"), (self.write, "w"), (self.make, "m")];
        letters.iter().filter(|(holds, _)| *holds).try_for_each(|(_, letter)| f.write_str(letter))
    }
}

/// The kind of devices that a [`DeviceRule`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// Every device that there is, whatever its numbers.
    All,
    /// Block devices.
    Block,
    /// Devices of characters.
    Character,
}

/// Devices that the processes of a group may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceRule {
    /// Of which kind.
    pub kind: DeviceKind,
    /// The major number; `None` is any.
    pub major: Option<u32>,
    /// The minor number; `None` is any.
    pub minor: Option<u32>,
    /// What may be done with them.
    pub access: DeviceAccess,
}

impl DeviceRule {
    /// What every container may use: the devices of its `/dev`, its terminals, tunnels of its network; and nodes of
    /// any device may be made, though not be opened.
    ///
    /// Source: runc 1.1, `libcontainer/specconv/spec_linux.go`, `AllowedDevices`.
    pub fn usual() -> Vec<Self> {
        let any = |kind| Self {
            kind,
            major: None,
            minor: None,
            access: DeviceAccess { read: false, write: false, make: true },
        };
        let one = |(major, minor)| Self {
            kind: DeviceKind::Character,
            major: Some(major),
            minor,
            access: DeviceAccess::ALL,
        };
        let terminals = [(5, Some(0)), (5, Some(2)), (136, None)];
        let plain = [(1, Some(3)), (1, Some(5)), (1, Some(7)), (1, Some(8)), (1, Some(9))];
        let tunnel = [(10, Some(200))];
        let numbers = plain.into_iter().chain(terminals).chain(tunnel);
        [any(DeviceKind::Block), any(DeviceKind::Character)]
            .into_iter()
            .chain(numbers.map(one))
            .collect()
    }
}

impl fmt::Display for DeviceRule {
    /// As the kernel's `devices.allow` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DeviceKind::All => return f.write_str("a"),
            DeviceKind::Block => 'b',
            DeviceKind::Character => 'c',
        };
        let number = |number: Option<u32>| {
            number.map_or_else(|| "*".to_owned(), |number| number.to_string())
        };
        write!(f, "{kind} {}:{} {}", number(self.major), number(self.minor), self.access)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_read() {
        let check = |text: &str, expected: Option<&str>| {
            let found = DeviceAccess::of_letters(text).map(|access| access.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        check("rwm", Some("rwm"));
        check("mr", Some("rm"));
        check("w", Some("w"));
        check("", None);
        check("rx", None);
    }

    #[test]
    fn rules_are_written_as_the_kernel_takes_them() {
        let usual: Vec<String> = DeviceRule::usual().iter().map(ToString::to_string).collect();
        assert_eq!(usual[..3], ["b *:* m", "c *:* m", "c 1:3 rwm"]);
        assert_eq!(usual[9..], ["c 136:* rwm", "c 10:200 rwm"]);
        let mut all = DeviceRule::usual()[0];
        all.kind = DeviceKind::All;
        assert_eq!(all.to_string(), "a");
    }
}
