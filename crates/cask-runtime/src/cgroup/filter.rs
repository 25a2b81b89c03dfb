//! Which devices the processes of a group of version 2 may use: a program that the kernel asks.
//!
//! It looks at the kind of the device and at what is to be done with it, and then at one rule after the other: the first
//! that fits allows it.

use std::os::fd::AsFd as _;
use std::path::Path;

use super::{DeviceAccess, DeviceKind, DeviceRule};
use crate::error::{Error, Result};
use crate::sys::{self, FilterInstruction};

/// Whether the kernel takes such programs from this process.
pub(super) fn is_supported() -> bool {
    sys::load_device_filter(&program(&[])).is_ok()
}

/// Has the rules hold for a group.
pub(super) fn apply(directory: &Path, rules: &[DeviceRule]) -> Result<()> {
    let failed = |error| Error::io(error, "limit the devices of", directory.display());
    let group = std::fs::File::open(directory).map_err(failed)?;
    let program = sys::load_device_filter(&program(rules)).map_err(|error| {
        failed(error).with_hint("programs in the kernel need root of the machine")
    })?;
    sys::attach_device_filter(group.as_fd(), program.as_fd()).map_err(failed)
}

/// Where the program has what it is asked about.
///
/// Source: linux/bpf.h, `bpf_cgroup_dev_ctx`: kind and access in one number, then major and minor number.
const QUESTION: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const REST: u8 = 6;
const RESULT: u8 = 0;

/// Operations. Source: RFC 9669.
const LOAD_WORD: u8 = 0x61;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const COPY: u8 = 0xbc;
const SET: u8 = 0xb7;
const JUMP_IF_NOT_EQUAL: u8 = 0x56;
const LEAVE: u8 = 0x95;

fn one(code: u8, to: u8, from: u8, offset: i16, immediate: u32) -> FilterInstruction {
    FilterInstruction {
        code,
        registers: to | from << 4,
        offset,
        immediate: immediate.cast_signed(),
    }
}

/// The program for some rules: what no rule allows is refused.
fn program(rules: &[DeviceRule]) -> Vec<FilterInstruction> {
    let mut all = vec![
        one(LOAD_WORD, KIND, QUESTION, 0, 0),
        one(COPY, ACCESS, KIND, 0, 0),
        one(AND, KIND, 0, 0, 0xffff),
        one(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        one(LOAD_WORD, MAJOR, QUESTION, 4, 0),
        one(LOAD_WORD, MINOR, QUESTION, 8, 0),
    ];
    rules.iter().for_each(|rule| all.extend(rule_program(rule)));
    all.extend([one(SET, RESULT, 0, 0, 0), one(LEAVE, 0, 0, 0, 0)]);
    all
}

fn rule_program(rule: &DeviceRule) -> Vec<FilterInstruction> {
    let mut tests = Vec::new();
    match rule.kind {
        DeviceKind::All => {}
        DeviceKind::Block => tests.push((KIND, 1)),
        DeviceKind::Character => tests.push((KIND, 2)),
    }
    let mut part = Vec::new();
    // As the kernel has it in version 1: of any kind is of any number, and anything may be done.
    let is_all = rule.kind == DeviceKind::All;
    if rule.access != DeviceAccess::ALL && !is_all {
        let DeviceAccess { read, write, make } = rule.access;
        let allowed = u32::from(make) | u32::from(read) << 1 | u32::from(write) << 2;
        part.push(one(COPY, REST, ACCESS, 0, 0));
        part.push(one(AND, REST, 0, 0, !allowed));
        tests.push((REST, 0));
    }
    for (register, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
        tests.extend(number.filter(|_| !is_all).map(|number| (register, number)));
    }
    let mut left = i16::try_from(tests.len()).unwrap_or_default();
    for (register, number) in tests {
        // To behind the two that allow it.
        left -= 1;
        part.push(one(JUMP_IF_NOT_EQUAL, register, 0, left + 2, number));
    }
    part.extend([one(SET, RESULT, 0, 0, 1), one(LEAVE, 0, 0, 0, 0)]);
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would make of a program, as far as it is used here.
    fn allows(program: &[FilterInstruction], kind: u32, access: u32, number: (u32, u32)) -> bool {
        let question = [kind | access << 16, number.0, number.1];
        let mut registers = [0_u64; 11];
        let mut at = 0_usize;
        loop {
            let FilterInstruction { code, registers: both, offset, immediate } = program[at];
            let (to, from) = (usize::from(both & 15), usize::from(both >> 4));
            let plain = immediate.cast_unsigned();
            at += 1;
            let word = |value: u64| u32::try_from(value & 0xffff_ffff).unwrap();
            match code {
                LOAD_WORD => {
                    registers[to] = question[usize::try_from(offset / 4).unwrap()].into();
                }
                COPY => registers[to] = word(registers[from]).into(),
                AND => registers[to] = (word(registers[to]) & plain).into(),
                SHIFT_RIGHT => registers[to] = (word(registers[to]) >> plain).into(),
                SET => registers[to] = plain.into(),
                JUMP_IF_NOT_EQUAL => {
                    if word(registers[to]) != plain {
                        at += usize::try_from(offset).unwrap();
                    }
                }
                LEAVE => return registers[0] == 1,
                other => panic!("{other:x}"),
            }
        }
    }

    const BLOCK: u32 = 1;
    const CHARACTER: u32 = 2;
    const MAKE: u32 = 1;
    const READ: u32 = 2;
    const WRITE: u32 = 4;

    #[test]
    fn what_a_rule_allows_is_allowed_and_nothing_else() {
        let usual = program(&DeviceRule::usual());
        let null = (1, 3);
        assert!(allows(&usual, CHARACTER, READ | WRITE | MAKE, null));
        assert!(!allows(&usual, BLOCK, READ, null));
        assert!(allows(&usual, BLOCK, MAKE, (8, 0)));
        assert!(!allows(&usual, BLOCK, MAKE | READ, (8, 0)));
        assert!(allows(&usual, CHARACTER, READ, (136, 77)));
        assert!(!allows(&usual, CHARACTER, READ, (1, 1)));
        let rule = |kind, major, minor, access: &str| DeviceRule {
            kind,
            major,
            minor,
            access: DeviceAccess::of_letters(access).unwrap(),
        };
        let disk = program(&[rule(DeviceKind::Block, Some(8), None, "r")]);
        assert!(allows(&disk, BLOCK, READ, (8, 5)));
        assert!(!allows(&disk, BLOCK, READ | WRITE, (8, 5)));
        assert!(!allows(&disk, CHARACTER, READ, (8, 5)));
        assert!(!allows(&disk, BLOCK, READ, (9, 5)));
        let high = u32::MAX - 3;
        let far = program(&[rule(DeviceKind::Character, Some(high), Some(high), "rwm")]);
        assert!(allows(&far, CHARACTER, WRITE, (high, high)));
        assert!(!allows(&far, CHARACTER, WRITE, (high, 1)));
        let all = program(&[rule(DeviceKind::All, Some(1), Some(1), "r")]);
        assert!(allows(&all, BLOCK, READ | WRITE | MAKE, (200, 200)));
        assert!(!allows(&program(&[]), CHARACTER, READ, null));
    }

    /// A group of version 2, where this process may make one.
    fn group() -> Option<std::path::PathBuf> {
        let name = format!("cask-filter-test-{}", std::process::id());
        let tops = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let top = tops.into_iter().find(|top| top.join("cgroup.controllers").exists())?;
        std::fs::create_dir(top.join(&name)).ok()?;
        Some(top.join(name))
    }

    #[test]
    fn the_kernel_keeps_the_rules() {
        if !is_supported() {
            return;
        }
        let Some(group) = group() else { return };
        apply(&group, &DeviceRule::usual()).unwrap();
        let script =
            "echo $$ > \"$1/cgroup.procs\" && : < /dev/null && ! (: < /dev/kmsg) 2> /dev/null";
        let mut shell = std::process::Command::new("sh");
        let ended = shell.args(["-c", script, "sh"]).arg(&group).status().unwrap();
        std::fs::remove_dir(&group).unwrap();
        assert!(ended.success(), "{ended}");
    }
}
