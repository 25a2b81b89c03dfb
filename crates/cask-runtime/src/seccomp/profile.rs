//! Profiles of one's own, as containers have them in JSON.

use serde_json::{Map, Value, json};

use super::assembler::{Comparison, Filter, Test};
use super::table::{Architecture, CALLS};
use super::{ARCHITECTURES, NATIVE};
use crate::capability::{Capability, CapabilitySet};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::Instruction;

/// The most rules and the most names that a profile may have.
const MOST: usize = 20_000;

/// The longest program that the kernel takes. Source: `BPF_MAXINSNS`, linux/bpf_common.h.
const MOST_INSTRUCTIONS: usize = 4096;

/// Which calls of the kernel a process may make, as a file says it: the format of Docker's and podman's `seccomp.json`.
///
/// Rules for capabilities, architectures and versions of the kernel hold where these are so. For a call with several
/// rules those that look at arguments come first, in their order, and then the last of the others.
///
/// Source: containers/common, `pkg/seccomp`; moby, `profiles/seccomp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeccompProfile {
    usual: Action,
    rules: Vec<Rule>,
}

/// What the kernel does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Action(u32);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    names: Vec<String>,
    action: Action,
    tests: Vec<Test>,
    needs: Circumstances,
    not: Circumstances,
}

/// When a rule holds; all that is named, or of exclusions any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Circumstances {
    capabilities: Vec<String>,
    architectures: Vec<String>,
    kernel: Option<(u32, u32)>,
}

impl SeccompProfile {
    /// Reads a profile.
    ///
    /// # Errors
    ///
    /// `InvalidSpec` for a text that is none, and for one that refuses a call which this crate does not know by name:
    /// it could not be refused. `Unsupported` for actions that need somebody who answers.
    pub fn parse(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| invalid("it is not JSON").with_source(error))?;
        let usual = action(&value, "defaultAction", "defaultErrnoRet")?;
        let listed = value.get("syscalls").and_then(Value::as_array);
        let listed = listed.map(Vec::as_slice).unwrap_or_default();
        if listed.len() > MOST {
            return Err(invalid("it has too many rules"));
        }
        let rules = listed.iter().map(rule).collect::<Result<Vec<_>>>()?;
        if rules.iter().map(|rule| rule.names.len()).sum::<usize>() > MOST {
            return Err(invalid("it has too many names"));
        }
        let profile = Self { usual, rules };
        profile.refuse_unknown()?;
        Ok(profile)
    }

    /// Where everything else is allowed, what cannot be found cannot be refused.
    fn refuse_unknown(&self) -> Result<()> {
        if !self.usual.lets_through() {
            return Ok(());
        }
        let strict = self.rules.iter().filter(|rule| !rule.action.lets_through());
        let mut names = strict.flat_map(|rule| &rule.names);
        match names.find(|name| !CALLS.iter().any(|call| call.name == **name)) {
            None => Ok(()),
            Some(name) => Err(wrong(name, "it refuses a call that is not known by name")),
        }
    }

    /// The rules that hold for a process with these capabilities on this machine.
    fn holding(&self, capabilities: CapabilitySet) -> impl Iterator<Item = &Rule> {
        let kernel = kernel();
        self.rules.iter().filter(move |rule| {
            rule.needs.all_hold(capabilities, kernel) && !rule.not.any_holds(capabilities, kernel)
        })
    }

    /// It as a program of the kernel.
    pub(crate) fn program(&self, capabilities: CapabilitySet) -> Result<Vec<Instruction>> {
        let rules: Vec<&Rule> = self.holding(capabilities).collect();
        let mut filter = Filter::new();
        for (architecture, audit) in ARCHITECTURES {
            let mut body = filter.architecture(*audit).otherwise(self.usual.0);
            // Numbers of the other 32-bit programs would get past rules by name.
            if *architecture == Architecture::X86_64 {
                body.refuse_from(X32);
            }
            for call in CALLS {
                let Some(number) = call.number(*architecture) else { continue };
                let own = |rule: &&&Rule| rule.names.iter().any(|name| name == call.name);
                let own: Vec<&&Rule> = rules.iter().filter(own).collect();
                let plain = own.iter().rev().find(|rule| rule.tests.is_empty());
                let last = plain.map_or(self.usual, |rule| rule.action).0;
                let tested: Vec<(&[Test], u32)> = own
                    .iter()
                    .filter(|rule| !rule.tests.is_empty())
                    .map(|rule| (rule.tests.as_slice(), rule.action.0))
                    .collect();
                match tested.as_slice() {
                    [] => body.answer(number, last),
                    tested => body.test(number, tested, last),
                }
            }
            filter.finish(body);
        }
        let program = filter.program_or(libc::SECCOMP_RET_KILL_PROCESS);
        match program.len() {
            0..=MOST_INSTRUCTIONS => Ok(program),
            _ => Err(invalid("it is longer than the kernel takes")),
        }
    }

    /// It as an OCI runtime reads it.
    ///
    /// Source: OCI runtime specification, `config-linux.md`, "Seccomp".
    pub(crate) fn to_json(&self, capabilities: CapabilitySet) -> Value {
        let rules = self.holding(capabilities).map(|rule| {
            let mut entry = rule.action.fields("action", "errnoRet");
            entry.insert("names".to_owned(), json!(rule.names));
            if !rule.tests.is_empty() {
                entry.insert("args".to_owned(), rule.tests.iter().map(test_json).collect());
            }
            Value::Object(entry)
        });
        let mut all = self.usual.fields("defaultAction", "defaultErrnoRet");
        all.insert("syscalls".to_owned(), rules.collect());
        Value::Object(all)
    }
}

/// From here on x86-64 counts the calls of another kind of programs. Source: `__X32_SYSCALL_BIT`, asm/unistd.h.
const X32: u32 = 0x4000_0000;

fn invalid(why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidSpec, "read", "the seccomp profile").with_detail(why)
}

/// The same, of a part of it.
fn wrong(what: &str, why: &'static str) -> Error {
    let shown: String = what.chars().take(60).collect();
    let subject = format_args!("{shown:?} of the seccomp profile");
    Error::new(ErrorKind::InvalidSpec, "read", subject).with_detail(why)
}

const ACTIONS: [(&str, u32); 7] = [
    ("SCMP_ACT_ALLOW", libc::SECCOMP_RET_ALLOW),
    ("SCMP_ACT_ERRNO", libc::SECCOMP_RET_ERRNO),
    ("SCMP_ACT_KILL", libc::SECCOMP_RET_KILL_THREAD),
    ("SCMP_ACT_KILL_PROCESS", libc::SECCOMP_RET_KILL_PROCESS),
    ("SCMP_ACT_KILL_THREAD", libc::SECCOMP_RET_KILL_THREAD),
    ("SCMP_ACT_LOG", libc::SECCOMP_RET_LOG),
    ("SCMP_ACT_TRAP", libc::SECCOMP_RET_TRAP),
];

impl Action {
    const fn lets_through(self) -> bool {
        matches!(self.0, libc::SECCOMP_RET_ALLOW | libc::SECCOMP_RET_LOG)
    }

    fn fields(self, name: &str, number: &str) -> Map<String, Value> {
        let (kind, errno) =
            (self.0 & libc::SECCOMP_RET_ACTION_FULL, self.0 & libc::SECCOMP_RET_DATA);
        let word = ACTIONS.iter().find(|(_, value)| *value == kind).map_or("", |(word, _)| *word);
        let mut fields = Map::new();
        fields.insert(name.to_owned(), json!(word));
        if kind == libc::SECCOMP_RET_ERRNO {
            fields.insert(number.to_owned(), json!(errno));
        }
        fields
    }
}

fn action(value: &Value, name: &str, number: &str) -> Result<Action> {
    let Some(word) = value.get(name).and_then(Value::as_str) else {
        return Err(wrong(name, "an action is missing"));
    };
    let found = ACTIONS.iter().find(|(known, _)| *known == word);
    let Some((_, kind)) = found else {
        return Err(match word {
            "SCMP_ACT_TRACE" | "SCMP_ACT_NOTIFY" => {
                Error::new(ErrorKind::Unsupported, "read", "the seccomp profile")
                    .with_detail("nobody is there who answers SCMP_ACT_TRACE or SCMP_ACT_NOTIFY")
            }
            _ => wrong(word, "an action is not known"),
        });
    };
    let errno = match value.get(number) {
        None | Some(Value::Null) => u64::from(libc::EPERM.unsigned_abs()),
        Some(errno) => errno.as_u64().unwrap_or(u64::MAX),
    };
    // Source: MAX_ERRNO, linux/err.h.
    let errno = u32::try_from(errno).ok().filter(|errno| *errno <= 4095);
    let errno = errno.ok_or_else(|| wrong(number, "it is no error number"))?;
    Ok(Action(if *kind == libc::SECCOMP_RET_ERRNO { kind | errno } else { *kind }))
}

fn rule(value: &Value) -> Result<Rule> {
    let mut names = texts(value.get("names"));
    names.extend(value.get("name").and_then(Value::as_str).map(str::to_owned));
    let listed = value.get("args").and_then(Value::as_array);
    let tests = listed.into_iter().flatten().map(test).collect::<Result<Vec<_>>>()?;
    if tests.len() > 6 {
        return Err(invalid("a rule looks at more than six arguments"));
    }
    Ok(Rule {
        names,
        action: action(value, "action", "errnoRet")?,
        tests,
        needs: circumstances(value.get("includes"))?,
        not: circumstances(value.get("excludes"))?,
    })
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let listed = value.and_then(Value::as_array).into_iter().flatten();
    listed.filter_map(Value::as_str).map(str::to_owned).collect()
}

const COMPARISONS: [(&str, Comparison); 7] = [
    ("SCMP_CMP_EQ", Comparison::Equal),
    ("SCMP_CMP_GE", Comparison::AtLeast),
    ("SCMP_CMP_GT", Comparison::More),
    ("SCMP_CMP_LE", Comparison::AtMost),
    ("SCMP_CMP_LT", Comparison::Less),
    ("SCMP_CMP_MASKED_EQ", Comparison::MaskedEqual),
    ("SCMP_CMP_NE", Comparison::Other),
];

fn test(value: &Value) -> Result<Test> {
    let number = |name: &str| value.get(name).and_then(Value::as_u64).unwrap_or(0);
    let word = value.get("op").and_then(Value::as_str).unwrap_or_default();
    let found = COMPARISONS.iter().find(|(known, _)| *known == word);
    let (_, comparison) = found.ok_or_else(|| wrong(word, "a comparison is not known"))?;
    let index = u32::try_from(number("index")).ok().filter(|index| *index < 6);
    let index = index.ok_or_else(|| invalid("a call has six arguments: 0 to 5"))?;
    Ok(Test { index, comparison: *comparison, value: number("value"), second: number("valueTwo") })
}

fn test_json(test: &Test) -> Value {
    let word = COMPARISONS.iter().find(|(_, known)| *known == test.comparison);
    json!({
        "index": test.index, "value": test.value, "valueTwo": test.second,
        "op": word.map_or("", |(word, _)| *word),
    })
}

fn circumstances(value: Option<&Value>) -> Result<Circumstances> {
    let Some(value) = value else { return Ok(Circumstances::default()) };
    let kernel = match value.get("minKernel").and_then(Value::as_str) {
        None => None,
        Some(text) => {
            let version = version(text);
            Some(version.ok_or_else(|| wrong(text, "it is no version of a kernel"))?)
        }
    };
    let (capabilities, architectures) = (texts(value.get("caps")), texts(value.get("arches")));
    Ok(Circumstances { capabilities, architectures, kernel })
}

/// The first two numbers of a version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn kernel() -> (u32, u32) {
    version(&rustix::system::uname().release().to_string_lossy()).unwrap_or((0, 0))
}

impl Circumstances {
    fn has(name: &str, capabilities: CapabilitySet) -> bool {
        name.parse::<Capability>().is_ok_and(|one| capabilities.contains(one))
    }

    fn all_hold(&self, capabilities: CapabilitySet, kernel: (u32, u32)) -> bool {
        self.capabilities.iter().all(|name| Self::has(name, capabilities))
            && (self.architectures.is_empty() || self.is_here())
            && self.kernel.is_none_or(|least| kernel >= least)
    }

    fn any_holds(&self, capabilities: CapabilitySet, kernel: (u32, u32)) -> bool {
        self.capabilities.iter().any(|name| Self::has(name, capabilities))
            || self.is_here()
            || self.kernel.is_some_and(|least| kernel >= least)
    }

    fn is_here(&self) -> bool {
        self.architectures.iter().any(|name| NATIVE.contains(&name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::assembler::run;
    use super::*;

    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

    fn number(name: &str, architecture: Architecture) -> u32 {
        CALLS.iter().find(|call| call.name == name).unwrap().number(architecture).unwrap()
    }

    fn judge(profile: &SeccompProfile, name: &str, arguments: [u64; 6]) -> u32 {
        let (native, audit) = ARCHITECTURES[0];
        let program = profile.program(CapabilitySet::default()).unwrap();
        run(&program, number(name, native), audit, arguments)
    }

    #[test]
    fn arguments_are_compared_in_all_their_bits() {
        let big = 5_u64 << 32 | 7;
        for (word, value, second, holds, fails) in [
            ("EQ", big, 0, vec![big], vec![7, 5 << 32, big + 1]),
            ("NE", big, 0, vec![7, 5 << 32, big + 1], vec![big]),
            ("LT", big, 0, vec![0, big - 1, 4 << 32 | 9], vec![big, big + 1, 6 << 32]),
            ("LE", big, 0, vec![0, big, 4 << 32 | 9], vec![big + 1, 6 << 32]),
            ("GT", big, 0, vec![big + 1, 6 << 32], vec![0, big, 4 << 32 | 9]),
            ("GE", big, 0, vec![big, 6 << 32], vec![0, big - 1, 4 << 32 | 9]),
            ("MASKED_EQ", 3 << 32 | 0xff, 1_u64 << 32 | 7, vec![5 << 32 | 7], vec![6 << 32 | 7, 8]),
        ] {
            let text = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{
                "names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 9,
                "args": [{"index": 2, "op": format!("SCMP_CMP_{word}"), "value": value, "valueTwo": second}],
            }]});
            let profile = SeccompProfile::parse(&text.to_string()).unwrap();
            let found = |argument| judge(&profile, "read", [0, 0, argument, 0, 0, 0]);
            for argument in holds {
                assert_eq!(found(argument), libc::SECCOMP_RET_ERRNO | 9, "{word} {argument:#x}");
            }
            for argument in fails {
                assert_eq!(found(argument), ALLOW, "{word} {argument:#x}");
            }
        }
    }

    #[test]
    fn tests_come_before_the_rest_and_both_before_what_is_usual() {
        let profile = SeccompProfile::parse(
            r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [
                {"names": ["read", "no_such_call"], "action": "SCMP_ACT_ALLOW"},
                {"names": ["read"], "action": "SCMP_ACT_KILL_PROCESS", "args": [
                    {"index": 0, "op": "SCMP_CMP_EQ", "value": 1},
                    {"index": 1, "op": "SCMP_CMP_EQ", "value": 2}]},
                {"name": "write", "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
                {"name": "chroot", "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_CHROOT"]}},
                {"name": "open", "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "2.6"}},
                {"name": "close", "action": "SCMP_ACT_LOG", "includes": {"arches": ["amd64", "arm64"]}}
            ]}"#,
        )
        .unwrap();
        let unknown = libc::SECCOMP_RET_ERRNO | 38;
        assert_eq!(judge(&profile, "read", [1, 2, 0, 0, 0, 0]), libc::SECCOMP_RET_KILL_PROCESS);
        assert_eq!(judge(&profile, "read", [1, 3, 0, 0, 0, 0]), ALLOW);
        assert_eq!(judge(&profile, "write", [0; 6]), unknown);
        assert_eq!(judge(&profile, "chroot", [0; 6]), ALLOW);
        assert_eq!(judge(&profile, "openat", [0; 6]), unknown);
        assert_eq!(judge(&profile, "close", [0; 6]), libc::SECCOMP_RET_LOG);
        let again = profile.to_json(CapabilitySet::default()).to_string();
        let again = SeccompProfile::parse(&again).unwrap();
        assert_eq!(judge(&again, "read", [1, 2, 0, 0, 0, 0]), libc::SECCOMP_RET_KILL_PROCESS);
        assert_eq!(judge(&again, "openat", [0; 6]), unknown);
    }

    #[test]
    fn what_is_not_listed_is_refused_by_no_other_number() {
        let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}"#;
        let profile = SeccompProfile::parse(text).unwrap();
        let program = profile.program(CapabilitySet::all()).unwrap();
        let (native, audit) = ARCHITECTURES[0];
        let refused = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
        assert_eq!(run(&program, number("mkdirat", native), audit, [0; 6]), refused);
        assert_eq!(run(&program, number("openat", native), audit, [0; 6]), ALLOW);
        let killed = libc::SECCOMP_RET_KILL_PROCESS;
        assert_eq!(run(&program, 1, 0x1234, [0; 6]), killed, "another architecture");
        if native == Architecture::X86_64 {
            let other = X32 | number("mkdirat", native);
            assert_eq!(run(&program, other, audit, [0; 6]), killed, "another kind of programs");
        }
    }

    #[test]
    fn what_is_no_profile_is_refused() {
        let check = |text: &str, expected: &str| {
            let error = SeccompProfile::parse(text).unwrap_err();
            let shown = format!("{error}");
            assert!(shown.contains(expected), "{shown}");
        };
        check("", "it is not JSON");
        check("{}", "an action is missing");
        check(r#"{"defaultAction": "SCMP_ACT_FROB"}"#, "is not known");
        check(r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#, "nobody is there who answers");
        check(r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 5000}"#, "no error number");
        let rule =
            |rule: &str| format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{rule}]}}"#);
        check(&rule(r#"{"name": "frobnicate", "action": "SCMP_ACT_KILL"}"#), "not known by name");
        let test = r#"{"name": "read", "action": "SCMP_ACT_KILL", "args": [{"index": 6, "op": "SCMP_CMP_EQ"}]}"#;
        check(&rule(test), "six arguments");
        check(&rule(&test.replace("EQ", "XX").replace('6', "0")), "a comparison is not known");
    }
}
