//! How a plan is written for the helper: fields in order, little endian, lengths before contents.
//!
//! Both ends are the same build of the same program, so there is neither a version nor a name of a field.

/// The most elements that a list may claim before they have been seen.
const MOST_RESERVED: usize = 1 << 12;

/// The bytes are not what the other end of this build would have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Where reading stopped.
    pub(crate) offset: usize,
}

/// What is left to be read.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.offset.checked_add(length);
        let found = end.and_then(|end| self.bytes.get(self.offset..end));
        let found = found.ok_or(Malformed { offset: self.offset })?;
        self.offset += length;
        Ok(found)
    }

    pub(crate) fn malformed<T>(&self) -> Result<T, Malformed> {
        Err(Malformed { offset: self.offset })
    }
}

/// A value that travels to the helper or back.
pub(crate) trait Wire: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed>;

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }

    /// Reads one value that takes all of `bytes`.
    fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Reader::new(bytes);
        let value = Self::take(&mut input)?;
        if input.offset == bytes.len() { Ok(value) } else { input.malformed() }
    }
}

macro_rules! wire_number {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
                let bytes = input.bytes(size_of::<$type>())?;
                Ok(<$type>::from_le_bytes(bytes.try_into().expect("as many bytes as asked for")))
            }
        }
    )*};
}
wire_number!(u8, u32, u64, i32);

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        u8::from(*self).put(out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        match u8::take(input)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => input.malformed(),
        }
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        self.iter().for_each(|item| item.put(out));
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let Ok(length) = usize::try_from(u64::take(input)?) else { return input.malformed() };
        let mut items = Self::with_capacity(length.min(MOST_RESERVED));
        for _ in 0..length {
            items.push(T::take(input)?);
        }
        Ok(items)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(if bool::take(input)? { Some(T::take(input)?) } else { None })
    }
}

impl Wire for String {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let bytes = Vec::<u8>::take(input)?;
        Self::from_utf8(bytes).or_else(|_| input.malformed())
    }
}

/// Says that a struct travels field by field.
macro_rules! wire_struct {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::wire::Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)*
            }

            fn take(
                input: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::Malformed> {
                Ok(Self { $($field: $crate::wire::Wire::take(input)?),* })
            }
        }
    };
}

/// Says that a fieldless enum travels as its place in the list.
macro_rules! wire_enum {
    ($name:ident { $($variant:ident),* $(,)? }) => {
        impl $crate::wire::Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                (*self as u8).put(out);
            }

            fn take(
                input: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::Malformed> {
                let number = u8::take(input)?;
                [$(Self::$variant),*]
                    .into_iter()
                    .find(|variant| *variant as u8 == number)
                    .map_or_else(|| input.malformed(), Ok)
            }
        }
    };
}

pub(crate) use {wire_enum, wire_struct};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Sample {
        number: u32,
        words: Vec<Vec<u8>>,
        name: Option<String>,
        flag: bool,
    }
    wire_struct!(Sample { number, words, name, flag });

    proptest! {
        #[test]
        fn what_is_written_is_read(
            number: u32, words: Vec<Vec<u8>>, name: Option<String>, flag: bool,
        ) {
            let sample = Sample { number, words, name, flag };
            prop_assert_eq!(Sample::from_bytes(&sample.to_bytes()).unwrap(), sample);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Sample::from_bytes(&bytes);
        }
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let mut bytes = u64::MAX.to_bytes();
        bytes.push(0);
        assert!(Vec::<u64>::from_bytes(&bytes).is_err());
        assert!(u32::from_bytes(&[0; 5]).is_err());
    }
}
