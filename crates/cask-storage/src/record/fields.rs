//! How a record's fields are read and written.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::Id;

/// One entry of a JSON file of the store.
pub(crate) trait Record: Clone + DeserializeOwned {
    /// The entry's ID.
    fn id(&self) -> &Id;
    /// Unique names within the file.
    fn names(&self) -> &[String];
    /// Writes the record as Go does.
    fn write(&self, out: &mut String);
}

/// Fields that are not known here, in their order, as they were written.
pub(crate) type Unknown = Vec<(String, Box<RawValue>)>;

/// Declares a record: for each field its Rust name, its type, its name in JSON, and whether Go
/// omits it where it is empty.
macro_rules! records_of {
    (
        $(#[$attribute:meta])*
        pub struct $record:ident {
            $( $(#[$field_attribute:meta])* $field:ident: $type:ty = $key:literal $(, $always:ident)?; )*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub struct $record {
            /// What names it.
            pub id: $crate::Id,
            $( $(#[$field_attribute])* pub $field: $type, )*
            /// Fields that this crate does not know, in their order.
            pub(crate) unknown: $crate::record::fields::Unknown,
        }

        impl<'de> serde::Deserialize<'de> for $record {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;
                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $record;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<$record, A::Error> {
                        let mut record = $record::new($crate::Id::unset());
                        while let Some($crate::record::value::Key(key)) = map.next_key()? {
                            match &*key {
                                "id" => record.id = $crate::record::value::GoValue::read(&mut map)?,
                                $( $key => record.$field =
                                    $crate::record::value::GoValue::read(&mut map)?, )*
                                _ => record.unknown.push((key.into_owned(), map.next_value()?)),
                            }
                        }
                        if record.id == $crate::Id::unset() {
                            return Err(serde::de::Error::missing_field("id"));
                        }
                        Ok(record)
                    }
                }
                deserializer.deserialize_map(Fields)
            }
        }

        impl $record {
            /// A record of which nothing is known but the ID.
            pub fn new(id: $crate::Id) -> Self {
                Self {
                    id,
                    $( $field: <$type as $crate::record::value::GoValue>::unset(), )*
                    unknown: Vec::new(),
                }
            }
        }

        impl $crate::record::fields::Record for $record {
            fn id(&self) -> &$crate::Id {
                &self.id
            }

            fn names(&self) -> &[String] {
                &self.names
            }

            fn write(&self, out: &mut String) {
                out.push_str("{\"id\":");
                $crate::record::value::GoValue::write(&self.id, out);
                let separator = ',';
                $(
                    let always = false $( || stringify!($always) == "always" )?;
                    if always || !$crate::record::value::GoValue::is_empty(&self.$field) {
                        out.push(separator);
                        out.push_str(concat!("\"", $key, "\":"));
                        $crate::record::value::GoValue::write(&self.$field, out);
                    }
                )*
                for (key, value) in &self.unknown {
                    out.push(separator);
                    $crate::record::value::write_text(key, out);
                    out.push(':');
                    out.push_str(value.get());
                }
                out.push('}');
            }
        }
    };
}
pub(crate) use records_of;
