//! What is written into the files of a group besides plain limits.

use std::path::Path;

use super::files::{Layout, Written, write_limit};
use super::{CgroupLimits, DiskWeight, filter};
use crate::error::{Error, ErrorKind, Result};

/// The controller of disks in version 1.
const DISKS: &str = "blkio";

/// Writes what is given of weights, real time, devices, and settings by name.
pub(super) fn write(layout: &Layout, name: &str, limits: &CgroupLimits) -> Result<()> {
    weights(layout, name, limits)?;
    real_time(layout, name, limits)?;
    devices(layout, name, limits)?;
    by_name(layout, name, limits)
}

/// Source: cgroup-v2 and cgroup-v1 of the kernel's documentation; runc 1.1, `libcontainer/cgroups/fs/blkio.go` and
/// `fs2/io.go`: kernels with the scheduler BFQ alone have files of its name.
fn weights(layout: &Layout, name: &str, limits: &CgroupLimits) -> Result<()> {
    let directory = layout.of(DISKS, name);
    let write = |weight: &DiskWeight, files: [&str; 2]| {
        let number = match weight.disk {
            None => String::new(),
            Some((major, minor)) => format!("{major}:{minor} "),
        };
        let [first, second] = files;
        let (file, converted) = match directory.join(first).exists() {
            true => (first, false),
            false => (second, layout.is_unified()),
        };
        let value = if converted { unified_weight(weight.weight) } else { weight.weight.into() };
        write_limit(&directory, file, &format!("{number}{value}"), DISKS)
    };
    for weight in &limits.disk_weights {
        let files = match (layout.is_unified(), weight.disk) {
            (true, _) => ["io.bfq.weight", "io.weight"],
            (false, None) => ["blkio.weight", "blkio.bfq.weight"],
            (false, Some(_)) => ["blkio.weight_device", "blkio.bfq.weight_device"],
        };
        write(weight, files)?;
    }
    Ok(())
}

/// A weight from 10 to 1000 as one from 1 to 10 000.
///
/// Source: runc 1.1, `libcontainer/cgroups/utils.go`, `ConvertBlkIOToIOWeightValue`.
fn unified_weight(weight: u16) -> u64 {
    1 + (u64::from(weight).saturating_sub(10) * 9999) / 990
}

fn real_time(layout: &Layout, name: &str, limits: &CgroupLimits) -> Result<()> {
    let period = limits.real_time_period_micros.map(|value| ("cpu.rt_period_us", value));
    let runtime = limits.real_time_runtime_micros.map(|value| ("cpu.rt_runtime_us", value));
    for (file, value) in [period, runtime].into_iter().flatten() {
        if layout.is_unified() {
            return Err(not_of_version_2(file));
        }
        write_limit(&layout.of("cpu", name), file, &value.to_string(), "cpu").map_err(|error| {
            match error.kind() {
                ErrorKind::InvalidSpec => error.with_hint(
                    "the kernel gives a group no more real time than the groups above it have, which is none at first",
                ),
                _ => error,
            }
        })?;
    }
    Ok(())
}

fn not_of_version_2(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, "set the limit", what)
        .with_detail("control groups of version 2 do not have it")
}

/// All are taken away first: what is left open is open, and nothing new is but what is listed.
fn devices(layout: &Layout, name: &str, limits: &CgroupLimits) -> Result<()> {
    let Some(rules) = &limits.devices else { return Ok(()) };
    let directory = layout.of("devices", name);
    if layout.is_unified() {
        return filter::apply(&directory, rules);
    }
    let write = |(file, text): Written| write_limit(&directory, file, &text, "devices");
    write(("devices.deny", "a".to_owned()))?;
    rules.iter().try_for_each(|rule| write(("devices.allow", rule.to_string())))
}

fn by_name(layout: &Layout, name: &str, limits: &CgroupLimits) -> Result<()> {
    for (file, text) in &limits.by_name {
        let refused = |kind, why| {
            let subject = format_args!("{file} to {text}").to_string();
            Err(Error::new(kind, "set the limit", subject).with_detail(why))
        };
        if !layout.is_unified() {
            let why = "settings have names in control groups of version 2 only";
            return refused(ErrorKind::Unsupported, why);
        }
        // A file of the group itself: nothing that leads elsewhere, and none that moves processes.
        let is_plain =
            file.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        if !is_plain || file.starts_with('.') || file.starts_with("cgroup.") || !file.contains('.')
        {
            return refused(ErrorKind::InvalidSpec, "it is no setting of a controller");
        }
        let controller = file.split('.').next().unwrap_or_default();
        write_limit(Path::new(&layout.of(controller, name)), file, text, controller)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_the_other_version() {
        assert_eq!([10, 500, 1000].map(unified_weight), [1, 4950, 10_000]);
    }

    #[test]
    fn settings_by_name_are_files_of_a_controller() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("a")).unwrap();
        std::fs::write(place.path().join("a/memory.high"), "").unwrap();
        let layout = Layout::Unified(place.path().to_owned());
        let set = |file: &str| {
            let by_name = vec![(file.to_owned(), "7".to_owned())];
            by_name_of(&layout, by_name).map_err(|error| error.kind())
        };
        set("memory.high").unwrap();
        assert_eq!(std::fs::read_to_string(place.path().join("a/memory.high")).unwrap(), "7");
        for wrong in ["../a/memory.high", "cgroup.procs", "", ".", "memory", "a/b.c", "..x"] {
            assert_eq!(set(wrong), Err(ErrorKind::InvalidSpec), "{wrong}");
        }
        assert_eq!(set("memory.none"), Err(ErrorKind::Unsupported));
        let legacy = by_name_of(&Layout::Legacy, vec![("memory.high".into(), "1".into())]);
        assert_eq!(legacy.unwrap_err().kind(), ErrorKind::Unsupported);
    }

    fn by_name_of(layout: &Layout, by_name: Vec<(String, String)>) -> Result<()> {
        write(layout, "a", &CgroupLimits { by_name, ..CgroupLimits::default() })
    }
}
