//! Messages of D-Bus, as far as they are needed to ask systemd for a scope.
//!
//! Source: the D-Bus specification, *Message Format*; org.freedesktop.systemd1(5), `StartTransientUnit`, `JobRemoved`.

/// The bytes of a message that say how long it is.
pub(super) const START: usize = 16;
/// The longest that is taken.
const LONGEST: usize = 1 << 20;

const LITTLE: u8 = b'l';
const BIG: u8 = b'B';

/// What comes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// A call was answered with the path of a job.
    Returned(String),
    /// A call failed.
    Failed { name: String, why: String },
    /// A job has ended so.
    JobRemoved { job: String, result: String },
    /// Something else.
    Other,
}

/// The value of a property.
#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    Numbers(Vec<u32>),
    Long(u64),
    Switch(bool),
}

/// The call that makes a unit which is in no file.
pub(super) fn start_transient_unit(name: &str, properties: &[(&str, Value)]) -> Vec<u8> {
    let mut body = Writer::default();
    body.text(name);
    body.text("fail");
    body.array(8, |body| {
        for (name, value) in properties {
            body.align(8);
            body.text(name);
            body.value(value);
        }
    });
    // No units beside it.
    body.array(8, |_| {});
    let mut call = Writer::default();
    // A call, without flags, of version 1 of the protocol.
    call.0.extend([if cfg!(target_endian = "little") { LITTLE } else { BIG }, 1, 0, 1]);
    call.number(u32::try_from(body.0.len()).unwrap_or(u32::MAX));
    call.number(1);
    let fields = [
        (1, "o", "/org/freedesktop/systemd1"),
        (2, "s", "org.freedesktop.systemd1.Manager"),
        (3, "s", "StartTransientUnit"),
        (6, "s", "org.freedesktop.systemd1"),
        (8, "g", "ssa(sv)a(sa(sv))"),
    ];
    call.array(8, |call| {
        for (code, kind, text) in fields {
            call.align(8);
            call.0.push(code);
            call.signature(kind);
            if kind == "g" { call.signature(text) } else { call.text(text) }
        }
    });
    call.align(8);
    call.0.extend(body.0);
    call.0
}

/// How long a message is, from its first bytes. `None` where it is none, or too long.
pub(super) fn length(start: &[u8; START]) -> Option<usize> {
    let reader = Reader { bytes: start, at: 0, big: order(start[0])? };
    let (body, fields) = (reader.number_at(4)?, reader.number_at(12)?);
    let length = START + usize::try_from(fields).ok()?.checked_next_multiple_of(8)?;
    let length = length.checked_add(usize::try_from(body).ok()?)?;
    (length <= LONGEST).then_some(length)
}

/// Reads a whole message.
pub(super) fn read(bytes: &[u8]) -> Option<Message> {
    let big = order(*bytes.first()?)?;
    let kind = *bytes.get(1)?;
    let mut reader = Reader { bytes, at: 12, big };
    let end = START + usize::try_from(reader.number()?).ok()?;
    let (mut member, mut error) = (String::new(), String::new());
    while reader.at < end {
        reader.align(8);
        let code = reader.byte()?;
        let value = match reader.signature()?.as_str() {
            "g" => reader.signature()?,
            "o" | "s" => reader.text()?,
            "u" => {
                reader.number()?;
                String::new()
            }
            _ => return None,
        };
        match code {
            3 => member = value,
            4 => error = value,
            _ => {}
        }
    }
    reader.at = end;
    reader.align(8);
    Some(match (kind, member.as_str()) {
        (2, _) => Message::Returned(reader.text().unwrap_or_default()),
        (3, _) => Message::Failed { name: error, why: reader.text().unwrap_or_default() },
        (4, "JobRemoved") => {
            reader.number()?;
            let (job, _unit, result) = (reader.text()?, reader.text()?, reader.text()?);
            Message::JobRemoved { job, result }
        }
        _ => Message::Other,
    })
}

fn order(byte: u8) -> Option<bool> {
    match byte {
        LITTLE => Some(false),
        BIG => Some(true),
        _ => None,
    }
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn number(&mut self, number: u32) {
        self.align(4);
        self.0.extend(number.to_ne_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.0.extend(text.bytes().chain([0]));
    }

    fn signature(&mut self, text: &str) {
        self.0.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.0.extend(text.bytes().chain([0]));
    }

    /// An array of what is aligned so. Its length is that of its elements, without what comes before the first.
    fn array(&mut self, alignment: usize, write: impl FnOnce(&mut Self)) {
        self.number(0);
        let place = self.0.len() - 4;
        self.align(alignment);
        let start = self.0.len();
        write(self);
        let length = u32::try_from(self.0.len() - start).unwrap_or(u32::MAX);
        self.0[place..place + 4].copy_from_slice(&length.to_ne_bytes());
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Text(text) => {
                self.signature("s");
                self.text(text);
            }
            Value::Numbers(numbers) => {
                self.signature("au");
                self.array(4, |array| numbers.iter().for_each(|number| array.number(*number)));
            }
            Value::Long(number) => {
                self.signature("t");
                self.align(8);
                self.0.extend(number.to_ne_bytes());
            }
            Value::Switch(value) => {
                self.signature("b");
                self.number(u32::from(*value));
            }
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big: bool,
}

impl Reader<'_> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn number_at(&self, at: usize) -> Option<u32> {
        let four = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    }

    fn number(&mut self) -> Option<u32> {
        self.align(4);
        let number = self.number_at(self.at)?;
        self.at += 4;
        Some(number)
    }

    fn words(&mut self, length: usize) -> Option<String> {
        let end = self.at.checked_add(length)?;
        let text = std::str::from_utf8(self.bytes.get(self.at..end)?).ok()?;
        // And the zero behind it.
        self.at = end.checked_add(1)?;
        Some(text.to_owned())
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        self.words(length)
    }

    fn signature(&mut self) -> Option<String> {
        let length = usize::from(self.byte()?);
        self.words(length)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A message of a kind, with the texts of its fields, and texts as its body, behind a number where that is there.
    pub(in crate::services) fn texts(
        kind: u8,
        fields: &[(u8, &str)],
        number: Option<u32>,
        texts: &[&str],
    ) -> Vec<u8> {
        message(kind, fields, |body| {
            number.into_iter().for_each(|number| body.number(number));
            texts.iter().for_each(|text| body.text(text));
        })
    }

    fn message(kind: u8, fields: &[(u8, &str)], body: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut content = Writer::default();
        body(&mut content);
        let mut all = Writer::default();
        all.0.extend([if cfg!(target_endian = "little") { LITTLE } else { BIG }, kind, 0, 1]);
        all.number(u32::try_from(content.0.len()).unwrap());
        all.number(7);
        all.array(8, |all| {
            for (code, text) in fields {
                all.align(8);
                all.0.push(*code);
                all.signature("s");
                all.text(text);
            }
            all.align(8);
            all.0.push(5);
            all.signature("u");
            all.number(1);
        });
        all.align(8);
        all.0.extend(content.0);
        all.0
    }

    #[test]
    fn answers_and_the_ends_of_jobs_are_read() {
        let check = |bytes: &[u8], expected: Message| {
            let start = bytes[..START].try_into().unwrap();
            assert_eq!(length(&start), Some(bytes.len()));
            assert_eq!(read(bytes), Some(expected));
            // Cut off anywhere, or with any byte changed, it is an error or another message.
            for at in 0..bytes.len() {
                let _ = read(&bytes[..at]);
                let mut changed = bytes.to_vec();
                changed[at] ^= 0xff;
                let _ = (length(changed[..START].try_into().unwrap()), read(&changed));
            }
        };
        let job = "/org/freedesktop/systemd1/job/12";
        check(&message(2, &[], |body| body.text(job)), Message::Returned(job.to_owned()));
        let name = "org.freedesktop.systemd1.UnitExists";
        check(
            &message(3, &[(4, name)], |body| body.text("Unit a.scope was already loaded")),
            Message::Failed {
                name: name.to_owned(),
                why: "Unit a.scope was already loaded".to_owned(),
            },
        );
        let removed =
            message(4, &[(2, "org.freedesktop.systemd1.Manager"), (3, "JobRemoved")], |body| {
                body.number(12);
                [job, "a.scope", "done"].iter().for_each(|text| body.text(text));
            });
        check(&removed, Message::JobRemoved { job: job.to_owned(), result: "done".to_owned() });
        check(&message(4, &[(3, "UnitNew")], |_| {}), Message::Other);
        assert_eq!(length(&[0; START]), None);
        assert_eq!(
            length(&[LITTLE, 1, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]),
            None
        );
    }

    #[test]
    fn a_call_has_the_length_that_it_says() {
        let properties = [
            ("Slice", Value::Text("user.slice".to_owned())),
            ("PIDs", Value::Numbers(vec![1, 2])),
            ("TasksMax", Value::Long(u64::MAX)),
            ("Delegate", Value::Switch(true)),
        ];
        let call = start_transient_unit("a.scope", &properties);
        assert_eq!(length(call[..START].try_into().unwrap()), Some(call.len()));
        let has = |text: &str| call.windows(text.len()).any(|found| found == text.as_bytes());
        assert!(has("a.scope\0") && has("ssa(sv)a(sa(sv))\0") && has("Delegate\0\u{1}b\0"));
    }
}
