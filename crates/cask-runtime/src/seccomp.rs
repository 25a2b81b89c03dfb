//! Which calls of the kernel a process may make.

mod assembler;
mod profile;
mod table;

use assembler::{Condition, Filter};
use table::{Architecture, CALLS, Rule};

use crate::capability::{Capability, CapabilitySet};
use crate::sys::Instruction;

pub use profile::SeccompProfile;

/// Which calls of the kernel a process may make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Seccomp {
    /// The profile of podman and buildah: what ordinary programs need, and what the capabilities allow anyway.
    ///
    /// A call that is known and refused fails with `EPERM`; one that the profile has not heard of with `ENOSYS`,
    /// so that libraries try an older one.
    #[default]
    Default,
    /// All of them.
    DangerUnconfined,
}

/// The architectures that a program of this machine may run as, the machine's own first.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURES: &[(Architecture, u32)] =
    &[(Architecture::X86_64, AUDIT_X86_64), (Architecture::I386, AUDIT_I386)];
#[cfg(target_arch = "aarch64")]
const ARCHITECTURES: &[(Architecture, u32)] =
    &[(Architecture::Aarch64, AUDIT_AARCH64), (Architecture::Arm, AUDIT_ARM)];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURES: &[(Architecture, u32)] = &[];

/// What Go calls the machine's architecture, and profiles do.
#[cfg(target_arch = "x86_64")]
const NATIVE: [&str; 2] = ["amd64", "x86_64"];
#[cfg(target_arch = "aarch64")]
const NATIVE: [&str; 2] = ["arm64", "aarch64"];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const NATIVE: [&str; 0] = [];

// Source: include/uapi/linux/audit.h.
#[cfg(target_arch = "x86_64")]
const AUDIT_X86_64: u32 = 0xc000_003e;
#[cfg(target_arch = "x86_64")]
const AUDIT_I386: u32 = 0x4000_0003;
#[cfg(target_arch = "aarch64")]
const AUDIT_AARCH64: u32 = 0xc000_00b7;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARM: u32 = 0x4000_0028;

const NETLINK_DOMAIN: u32 = 16;
const NETLINK_AUDIT: u32 = 9;

/// Whether the default profile is known for this machine's architecture.
pub(crate) fn is_supported() -> bool {
    !ARCHITECTURES.is_empty()
}

/// The default profile as a program of the kernel, for a process with these capabilities.
pub(crate) fn default_program(capabilities: CapabilitySet) -> Vec<Instruction> {
    let mut filter = Filter::new();
    for (architecture, audit) in ARCHITECTURES {
        let mut body = filter.architecture(*audit);
        for call in CALLS {
            let Some(number) = call.number(*architecture) else { continue };
            match call.rule {
                Rule::Allow => body.allow(number),
                Rule::Refuse => body.refuse(number, libc::EPERM),
                Rule::With(needed) if capabilities.contains(needed) => body.allow(number),
                Rule::With(_) => body.refuse(number, libc::EPERM),
                Rule::Personality => body.allow_first_argument(number, &PERSONALITIES),
                Rule::Socket if capabilities.contains(Capability::AuditWrite) => {
                    body.allow(number);
                }
                Rule::Socket => {
                    let audit =
                        [Condition::equal(0, NETLINK_DOMAIN), Condition::equal(2, NETLINK_AUDIT)];
                    body.refuse_where(number, audit, libc::EINVAL);
                }
            }
        }
        filter.finish(body);
    }
    filter.program()
}

/// Linux, Linux with 32-bit addresses, and the question for the present one.
const PERSONALITIES: [u32; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The names of the calls that the default profile allows whatever their arguments are.
pub(crate) fn allowed_names(capabilities: CapabilitySet) -> impl Iterator<Item = &'static str> {
    let allowed = move |rule| match rule {
        Rule::Allow => true,
        Rule::With(needed) => capabilities.contains(needed),
        Rule::Socket => capabilities.contains(Capability::AuditWrite),
        Rule::Refuse | Rule::Personality => false,
    };
    CALLS.iter().filter(move |call| allowed(call.rule)).map(|call| call.name)
}

/// The names of the calls that the default profile refuses with `EPERM`.
pub(crate) fn refused_names(capabilities: CapabilitySet) -> impl Iterator<Item = &'static str> {
    let refused = move |rule| match rule {
        Rule::Refuse => true,
        Rule::With(needed) => !capabilities.contains(needed),
        Rule::Allow | Rule::Socket | Rule::Personality => false,
    };
    CALLS.iter().filter(move |call| refused(call.rule)).map(|call| call.name)
}

/// The values of the first argument of `personality` that the default profile allows.
pub(crate) fn allowed_personalities() -> [u32; 5] {
    PERSONALITIES
}

#[cfg(test)]
mod tests {
    use super::assembler::run;
    use super::*;

    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

    fn errno(number: i32) -> u32 {
        libc::SECCOMP_RET_ERRNO | u32::try_from(number).unwrap()
    }

    fn number(name: &str, architecture: Architecture) -> u32 {
        let call = CALLS.iter().find(|call| call.name == name).unwrap();
        call.number(architecture).unwrap()
    }

    #[test]
    fn calls_are_judged_as_by_the_profile_of_peers() {
        let (native, audit) = ARCHITECTURES[0];
        let check = |set: CapabilitySet, name: &str, arguments: [u64; 6], expected: u32| {
            let found = run(&default_program(set), number(name, native), audit, arguments);
            assert_eq!(found, expected, "{name} {arguments:?}");
        };
        let set = CapabilitySet::default();
        check(set, "read", [0; 6], ALLOW);
        check(set, "clone3", [0; 6], ALLOW);
        check(set, "chroot", [0; 6], ALLOW);
        check(CapabilitySet::NONE, "chroot", [0; 6], errno(libc::EPERM));
        check(set, "setns", [0; 6], errno(libc::EPERM));
        check(set.with(Capability::SysAdmin), "setns", [0; 6], ALLOW);
        check(set, "kexec_load", [0; 6], errno(libc::EPERM));
        check(CapabilitySet::all(), "kexec_load", [0; 6], errno(libc::EPERM));
        check(set, "userfaultfd", [0; 6], errno(libc::EPERM));
        check(set, "personality", [0, 0, 0, 0, 0, 0], ALLOW);
        check(set, "personality", [0x2_0008, 0, 0, 0, 0, 0], ALLOW);
        check(set, "personality", [0xffff_ffff, 0, 0, 0, 0, 0], ALLOW);
        check(set, "personality", [0x0004_0000, 0, 0, 0, 0, 0], errno(libc::EPERM));
        check(set, "personality", [1 << 32, 0, 0, 0, 0, 0], errno(libc::EPERM));
        check(set, "socket", [2, 1, 0, 0, 0, 0], ALLOW);
        check(set, "socket", [16, 3, 0, 0, 0, 0], ALLOW);
        check(set, "socket", [16, 3, 9, 0, 0, 0], errno(libc::EINVAL));
        // The kernel looks at the low half of an int: so does the filter.
        check(set, "socket", [16 | 1 << 32, 3, 9 | 1 << 32, 0, 0, 0], errno(libc::EINVAL));
        check(set.with(Capability::AuditWrite), "socket", [16, 3, 9, 0, 0, 0], ALLOW);
    }

    #[test]
    fn calls_and_architectures_that_are_unknown_do_not_exist() {
        let program = default_program(CapabilitySet::all());
        let (_, audit) = ARCHITECTURES[0];
        for unknown in [9_999, 0x4000_0000, 0x4000_0001, u32::MAX, u32::MAX - 1] {
            assert_eq!(run(&program, unknown, audit, [0; 6]), errno(libc::ENOSYS), "{unknown}");
        }
        assert_eq!(run(&program, 0, 0x1234, [0; 6]), errno(libc::ENOSYS));
        // io_uring is not in the profile.
        assert_eq!(run(&program, 425, audit, [0; 6]), errno(libc::ENOSYS));
    }

    #[test]
    fn thirty_two_bit_programs_have_the_same_profile() {
        let program = default_program(CapabilitySet::default());
        let (architecture, audit) = ARCHITECTURES[1];
        let judge = |name: &str| run(&program, number(name, architecture), audit, [0; 6]);
        assert_eq!(judge("write"), ALLOW);
        assert_eq!(judge("mmap2"), ALLOW);
        assert_eq!(judge("init_module"), errno(libc::EPERM));
    }

    #[test]
    fn every_call_of_the_table_is_judged_by_its_rule() {
        let set = CapabilitySet::default();
        let program = default_program(set);
        for (architecture, audit) in ARCHITECTURES {
            for call in CALLS {
                let Some(number) = call.number(*architecture) else { continue };
                let expected = match call.rule {
                    Rule::Refuse => errno(libc::EPERM),
                    Rule::With(needed) if !set.contains(needed) => errno(libc::EPERM),
                    _ => ALLOW,
                };
                let found = run(&program, number, *audit, [0; 6]);
                assert_eq!(found, expected, "{} {architecture:?}", call.name);
            }
        }
        assert!(program.len() < 2_000, "{} instructions", program.len());
    }

    #[test]
    fn names_are_in_order_and_once() {
        assert!(CALLS.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert_eq!(CALLS.len(), 450);
    }
}
