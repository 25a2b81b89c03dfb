//! Sizes for people.

use crate::go::format_float;

const DECIMAL: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
const BINARY: [&str; 9] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

fn scaled(size_bytes: u64, base: f64, units: [&'static str; 9]) -> (f64, &'static str) {
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let mut size = size_bytes as f64;
    let mut unit = 0;
    while size >= base && unit < units.len() - 1 {
        size /= base;
        unit += 1;
    }
    (size, units[unit])
}

/// A size in powers of 1000 with so many significant digits: `1.24MB`.
///
/// Source: `units.HumanSizeWithPrecision`.
#[must_use]
pub fn human_size_with_precision(size_bytes: u64, digits: usize) -> String {
    let (size, unit) = scaled(size_bytes, 1000.0, DECIMAL);
    format_float(size, b'g', Some(digits)) + unit
}

/// A size in powers of 1000 with four significant digits: `1.235MB`.
///
/// Source: `units.HumanSize`.
#[must_use]
pub fn human_size(size_bytes: u64) -> String {
    human_size_with_precision(size_bytes, 4)
}

/// A size in powers of 1024 with four significant digits: `1.178MiB`.
///
/// Source: `units.BytesSize`.
#[must_use]
pub fn binary_size(size_bytes: u64) -> String {
    let (size, unit) = scaled(size_bytes, 1024.0, BINARY);
    format_float(size, b'g', Some(4)) + unit
}

/// A size as `podman images` shows it: `1.24 MB`.
#[must_use]
pub fn spaced_size(size_bytes: u64) -> String {
    let (size, unit) = scaled(size_bytes, 1000.0, DECIMAL);
    format!("{} {unit}", format_float(size, b'g', Some(3)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_as_go_units_rounds_them() {
        let check = |bytes: u64, decimal: &str, binary: &str, spaced: &str| {
            assert_eq!(human_size(bytes), decimal);
            assert_eq!(binary_size(bytes), binary);
            assert_eq!(spaced_size(bytes), spaced);
        };
        check(0, "0B", "0B", "0 B");
        check(999, "999B", "999B", "999 B");
        check(1000, "1kB", "1000B", "1 kB");
        check(1024, "1.024kB", "1KiB", "1.02 kB");
        check(1_000_000, "1MB", "976.6KiB", "1 MB");
        check(1_048_576, "1.049MB", "1MiB", "1.05 MB");
        check(2_746_000, "2.746MB", "2.619MiB", "2.75 MB");
        check(132_000_000, "132MB", "125.9MiB", "132 MB");
        check(999_999, "1000kB", "976.6KiB", "1e+03 kB");
        check(u64::MAX, "18.45EB", "16EiB", "18.4 EB");
        assert_eq!(human_size_with_precision(1_234_567, 3), "1.23MB");
    }
}
