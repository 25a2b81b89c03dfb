//! A small assembler for the kernel's packet filter, as much of it as a list of calls needs.

use crate::sys::Instruction;

// Where the words of seccomp_data are: number, architecture, arguments.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const IF_MORE: u16 = (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
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

/// How an argument is compared, all of its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Other,
    Less,
    AtMost,
    More,
    AtLeast,
    /// With the value as a mask, to the second one.
    MaskedEqual,
}

/// A look at an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) index: u32,
    pub(super) comparison: Comparison,
    pub(super) value: u64,
    pub(super) second: u64,
}

impl Test {
    /// Goes behind itself where it holds, and else `past` instructions further.
    fn assemble(self, past: u8) -> Vec<Instruction> {
        let offset = ARGUMENTS + 8 * self.index;
        let halves = |value: u64| ((value >> 32) as u32, (value & 0xffff_ffff) as u32);
        let (high, low) = halves(self.value);
        let (load_high, load_low) = (load(offset + 4), load(offset));
        let ordered = |holds_above: bool, last: Instruction| {
            // What the high halves say, where they differ, is all.
            let above = match holds_above {
                true => instruction(IF_MORE, 3, 0, high),
                false => instruction(IF_MORE, past + 3, 0, high),
            };
            let same = match holds_above {
                true => instruction(IF_EQUAL, 0, past + 2, high),
                false => instruction(IF_EQUAL, 0, 2, high),
            };
            vec![load_high, above, same, load_low, last]
        };
        match self.comparison {
            Comparison::Equal => vec![
                load_high,
                instruction(IF_EQUAL, 0, past + 2, high),
                load_low,
                instruction(IF_EQUAL, 0, past, low),
            ],
            Comparison::Other => vec![
                load_high,
                instruction(IF_EQUAL, 0, 2, high),
                load_low,
                instruction(IF_EQUAL, past, 0, low),
            ],
            Comparison::More => ordered(true, instruction(IF_MORE, 0, past, low)),
            Comparison::AtLeast => ordered(true, instruction(IF_AT_LEAST, 0, past, low)),
            Comparison::Less => ordered(false, instruction(IF_AT_LEAST, past, 0, low)),
            Comparison::AtMost => ordered(false, instruction(IF_MORE, past, 0, low)),
            Comparison::MaskedEqual => {
                let (second_high, second_low) = halves(self.second);
                vec![
                    load_high,
                    instruction(AND, 0, 0, high),
                    instruction(IF_EQUAL, 0, past + 3, second_high & high),
                    load_low,
                    instruction(AND, 0, 0, low),
                    instruction(IF_EQUAL, 0, past, second_low & low),
                ]
            }
        }
    }
}

/// What is said of the calls of one architecture.
pub(super) struct Body {
    audit: u32,
    /// What is said of all others.
    otherwise: u32,
    /// Single calls with the answer that they get.
    answers: Vec<(u32, u32)>,
    /// Blocks that look at arguments. Each begins with the number loaded and ends in an answer or behind itself
    /// with the number loaded.
    blocks: Vec<Instruction>,
}

impl Body {
    /// What is answered to calls that nothing is said of.
    pub(super) fn otherwise(self, value: u32) -> Self {
        Self { otherwise: value, ..self }
    }

    /// Has no call with this number or a higher one, but for what a tracer leaves of a call that it refused.
    pub(super) fn refuse_from(&mut self, number: u32) {
        self.blocks.extend([
            instruction(IF_AT_LEAST, 0, 2, number),
            instruction(IF_EQUAL, 1, 0, u32::MAX),
            answer(libc::SECCOMP_RET_KILL_PROCESS),
        ]);
    }

    /// Says one thing of a call, whatever its arguments are.
    pub(super) fn answer(&mut self, number: u32, value: u32) {
        self.answers.push((number, value));
    }

    /// Says of a call what the first of these says all of whose tests hold, or else the last value.
    pub(super) fn test(&mut self, number: u32, rules: &[(&[Test], u32)], last: u32) {
        let mut code = Vec::new();
        for (tests, value) in rules {
            let mut block = vec![answer(*value)];
            for test in tests.iter().rev() {
                let past = u8::try_from(block.len()).expect("six tests are shorter than a jump");
                let mut whole = test.assemble(past);
                whole.append(&mut block);
                block = whole;
            }
            code.append(&mut block);
        }
        code.push(answer(last));
        self.blocks.push(instruction(IF_EQUAL, 1, 0, number));
        self.blocks.push(instruction(GO, 0, 0, length(&code)));
        self.blocks.append(&mut code);
    }

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
        search(&ranges, self.otherwise, &mut code);
        code
    }
}

/// Ranges up to which a plain list is shorter than halving.
const FEW: usize = 3;

/// Finds the range that the number is in by halving.
fn search(ranges: &[(u32, u32, u32)], otherwise: u32, code: &mut Vec<Instruction>) {
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
        code.push(answer(otherwise));
        return;
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let mut below = Vec::new();
    search(low, otherwise, &mut below);
    // A conditional jump reaches 255 instructions, a plain one any.
    code.push(instruction(IF_AT_LEAST, 0, 1, high[0].0));
    code.push(instruction(GO, 0, 0, length(&below)));
    code.append(&mut below);
    search(high, otherwise, code);
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
        let otherwise = failure(libc::ENOSYS);
        Body { audit, otherwise, answers: Vec::new(), blocks: Vec::new() }
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
    pub(super) fn program(self) -> Vec<Instruction> {
        self.program_or(failure(libc::ENOSYS))
    }

    /// The program, and what an architecture gets that it does not know.
    pub(super) fn program_or(mut self, unknown: u32) -> Vec<Instruction> {
        self.0.push(answer(unknown));
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
            IF_MORE => at += jump(accumulator > k),
            AND => accumulator &= k,
            GO => at += k as usize,
            RETURN => return k,
            _ => panic!("instruction {code:#x}"),
        }
    }
}
