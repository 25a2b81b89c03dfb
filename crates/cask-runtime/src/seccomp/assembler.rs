//! A small assembler for the kernel's packet filter, as much of it as a list of calls needs.

use crate::sys::Instruction;

// Where the words of seccomp_data are: number, architecture, arguments.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const GO: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
    Instruction { code, jt, jf, k }
}

fn load(offset: u32) -> Instruction {
    instruction(LOAD, 0, 0, offset)
}

fn answer(value: u32) -> Instruction {
    instruction(RETURN, 0, 0, value)
}

fn failure(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | u32::try_from(errno).expect("error numbers are positive")
}

/// The low half of argument `index` is `value`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    index: u32,
    value: u32,
}

impl Condition {
    pub(super) fn equal(index: u32, value: u32) -> Self {
        Self { index, value }
    }

    fn offset(self) -> u32 {
        // Both architectures are little-endian: the low half comes first.
        ARGUMENTS + 8 * self.index
    }
}

/// What is said of the calls of one architecture.
pub(super) struct Body {
    audit: u32,
    /// Single calls with the answer that they get.
    answers: Vec<(u32, u32)>,
    /// Blocks that look at arguments. Each begins with the number loaded and ends in an answer or behind itself
    /// with the number loaded.
    blocks: Vec<Instruction>,
}

impl Body {
    pub(super) fn allow(&mut self, number: u32) {
        self.answers.push((number, libc::SECCOMP_RET_ALLOW));
    }

    pub(super) fn refuse(&mut self, number: u32, errno: i32) {
        self.answers.push((number, failure(errno)));
    }

    /// Allows `number` where all of its first argument is one of `values`; else `EPERM`.
    pub(super) fn allow_first_argument(&mut self, number: u32, values: &[u32]) {
        let count = u8::try_from(values.len()).expect("a list shorter than a jump");
        let first = Condition::equal(0, 0).offset();
        // Behind the block: the two loads, the test of the high half, the values and the two answers.
        self.blocks.push(instruction(IF_EQUAL, 0, count + 5, number));
        self.blocks.push(load(first + 4));
        self.blocks.push(instruction(IF_EQUAL, 0, count + 1, 0));
        self.blocks.push(load(first));
        for (value, left) in values.iter().zip((0..count).rev()) {
            self.blocks.push(instruction(IF_EQUAL, left + 1, 0, *value));
        }
        self.blocks.push(answer(failure(libc::EPERM)));
        self.blocks.push(answer(libc::SECCOMP_RET_ALLOW));
    }

    /// Refuses `number` where both conditions hold; else allows it.
    pub(super) fn refuse_where(&mut self, number: u32, conditions: [Condition; 2], errno: i32) {
        let [first, second] = conditions;
        self.blocks.extend([
            instruction(IF_EQUAL, 0, 6, number),
            load(first.offset()),
            instruction(IF_EQUAL, 0, 3, first.value),
            load(second.offset()),
            instruction(IF_EQUAL, 0, 1, second.value),
            answer(failure(errno)),
            answer(libc::SECCOMP_RET_ALLOW),
        ]);
    }

    /// The whole body, which begins with the number loaded and ends in an answer.
    fn assemble(mut self) -> Vec<Instruction> {
        self.answers.sort_unstable();
        self.answers.dedup();
        let mut ranges: Vec<(u32, u32, u32)> = Vec::new();
        for (number, value) in self.answers {
            match ranges.last_mut() {
                Some((_, last, known)) if *known == value && *last + 1 == number => *last = number,
                _ => ranges.push((number, number, value)),
            }
        }
        let mut code = self.blocks;
        search(&ranges, &mut code);
        code
    }
}

/// Ranges up to which a plain list is shorter than halving.
const FEW: usize = 3;

/// Finds the range that the number is in by halving; no range is `ENOSYS`.
fn search(ranges: &[(u32, u32, u32)], code: &mut Vec<Instruction>) {
    if ranges.len() <= FEW {
        for (first, last, value) in ranges {
            if first == last {
                code.push(instruction(IF_EQUAL, 0, 1, *first));
            } else {
                code.push(instruction(IF_AT_LEAST, 0, 2, *first));
                code.push(instruction(IF_AT_LEAST, 1, 0, *last + 1));
            }
            code.push(answer(*value));
        }
        code.push(answer(failure(libc::ENOSYS)));
        return;
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let mut below = Vec::new();
    search(low, &mut below);
    // A conditional jump reaches 255 instructions, a plain one any.
    code.push(instruction(IF_AT_LEAST, 0, 1, high[0].0));
    code.push(instruction(GO, 0, 0, length(&below)));
    code.append(&mut below);
    search(high, code);
}

fn length(code: &[Instruction]) -> u32 {
    u32::try_from(code.len()).expect("a filter is short")
}

/// A filter that is being written.
pub(super) struct Filter(Vec<Instruction>);

impl Filter {
    pub(super) fn new() -> Self {
        Self(vec![load(ARCHITECTURE)])
    }

    pub(super) fn architecture(&self, audit: u32) -> Body {
        Body { audit, answers: Vec::new(), blocks: Vec::new() }
    }

    pub(super) fn finish(&mut self, body: Body) {
        let audit = body.audit;
        let code = body.assemble();
        self.0.push(instruction(IF_EQUAL, 1, 0, audit));
        self.0.push(instruction(GO, 0, 0, length(&code) + 1));
        self.0.push(load(NUMBER));
        self.0.extend(code);
    }

    /// The program. An architecture that it does not know has no calls.
    pub(super) fn program(mut self) -> Vec<Instruction> {
        self.0.push(answer(failure(libc::ENOSYS)));
        self.0
    }
}

/// What the kernel would answer: the filter, interpreted.
#[cfg(test)]
pub(super) fn run(program: &[Instruction], number: u32, audit: u32, arguments: [u64; 6]) -> u32 {
    let mut data = Vec::new();
    data.extend(number.to_le_bytes());
    data.extend(audit.to_le_bytes());
    data.extend([0; 8]);
    arguments.iter().for_each(|argument| data.extend(argument.to_le_bytes()));
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        let jump = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            LOAD => {
                let word = &data[k as usize..k as usize + 4];
                accumulator = u32::from_le_bytes(word.try_into().unwrap());
            }
            IF_EQUAL => at += jump(accumulator == k),
            IF_AT_LEAST => at += jump(accumulator >= k),
            GO => at += k as usize,
            RETURN => return k,
            _ => panic!("instruction {code:#x}"),
        }
    }
}
