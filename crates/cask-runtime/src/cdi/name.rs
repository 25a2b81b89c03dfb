//! Names of devices: `VENDOR/CLASS=NAME`.

/// Whether this names a device of the Container Device Interface, and not a file.
///
/// Source: CDI specification, SPEC.md, "Kind" and "CDI Devices"; container-device-interface, `parser.IsQualifiedName`.
pub fn is_cdi_device(text: &str) -> bool {
    split(text).is_some_and(|(vendor, class, name)| {
        check_part(vendor, "vendor").is_ok()
            && check_part(class, "class").is_ok()
            && check_device(name).is_ok()
    })
}

/// Kind and name.
pub(super) fn kind_and_name(text: &str) -> Option<(&str, &str)> {
    text.split_once('=')
}

fn split(text: &str) -> Option<(&str, &str, &str)> {
    let (kind, name) = kind_and_name(text)?;
    let (vendor, class) = kind.split_once('/')?;
    Some((vendor, class, name))
}

/// Looks at a vendor or a class.
pub(super) fn check_part(name: &str, what: &str) -> Result<(), String> {
    match check(name, &['_', '-', '.'], |first| first.is_ascii_alphabetic()) {
        true => Ok(()),
        false => Err(format!("invalid {what} {name:?}")),
    }
}

/// Looks at the name of a device of a kind.
pub(super) fn check_device(name: &str) -> Result<(), String> {
    match check(name, &['_', '-', '.', ':'], |first| first.is_ascii_alphanumeric()) {
        true => Ok(()),
        false => Err(format!("invalid device name {name:?}")),
    }
}

fn check(name: &str, others: &[char], begins: impl Fn(char) -> bool) -> bool {
    name.starts_with(begins)
        && name.ends_with(|last: char| last.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(&c))
}

#[cfg(test)]
mod tests {
    use super::is_cdi_device;

    #[test]
    fn names_of_devices_are_no_files() {
        for (text, wanted) in [
            ("nvidia.com/gpu=all", true),
            ("vendor.com/class=0:1", true),
            ("v/c=n", true),
            ("/dev/null", false),
            ("/vendor.com/class=a", false),
            ("vendor.com/class", false),
            ("vendor.com/class=", false),
            ("vendor.com=a", false),
            ("1vendor/class=a", false),
            ("vendor/class=a/b", false),
            ("vendor/class=a=b", false),
            ("vendor./class=a", false),
            ("vendor/class=a:", false),
            ("", false),
        ] {
            assert_eq!(is_cdi_device(text), wanted, "{text}");
        }
    }
}
