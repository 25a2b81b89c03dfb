//! `manifest.json`: strictly read, and written as Go writes it.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

/// The most bytes that `manifest.json` may have: 1 MiB, as for containers/image.
pub const MAX_MANIFEST_JSON_BYTES: u64 = 1 << 20;

/// One image in `manifest.json`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Item {
    /// The member that holds the config.
    pub(crate) config: String,
    pub(crate) repo_tags: Vec<String>,
    /// The members that hold the layers, the base first.
    pub(crate) layers: Vec<String>,
    /// Everything else, such as `Parent` and `LayerSources`, as it is.
    pub(crate) others: Vec<(String, Box<RawValue>)>,
}

/// Parses `manifest.json`.
///
/// # Errors
/// What is no JSON, no list of images, or has a key twice. So has Go a key that differs in its
/// case: it would take the last one, others the exact one.
pub(crate) fn parse(bytes: &[u8]) -> serde_json::Result<Vec<Item>> {
    // Go reads null as an empty list.
    serde_json::from_slice::<Option<Vec<Item>>>(bytes).map(Option::unwrap_or_default)
}

/// Writes `manifest.json`.
pub(crate) fn encode(items: &[Item]) -> Vec<u8> {
    serde_json::to_vec(items).expect("texts and lists of texts can be written as JSON")
}

const CONFIG: &str = "Config";
const REPO_TAGS: &str = "RepoTags";
const LAYERS: &str = "Layers";

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(CONFIG, &self.config)?;
        map.serialize_entry(REPO_TAGS, &self.repo_tags)?;
        map.serialize_entry(LAYERS, &self.layers)?;
        for (key, value) in &self.others {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with Config, RepoTags and Layers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
        let mut item = Item::default();
        let mut seen: Vec<String> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let folded = folded(&key);
            let is_known = |known: &&str| self::folded(known) == folded;
            if let Some(known) = [CONFIG, REPO_TAGS, LAYERS].iter().find(|known| is_known(known))
                && **known != key
            {
                let text = format!("the key {key:?} is {known:?} to some programs only");
                return Err(de::Error::custom(text));
            }
            if seen.contains(&folded) {
                return Err(de::Error::custom(format!("the key {key:?} occurs twice")));
            }
            seen.push(folded);
            match &*key {
                CONFIG => item.config = map.next_value()?,
                REPO_TAGS => item.repo_tags = list(&mut map)?,
                LAYERS => item.layers = list(&mut map)?,
                _ => item.others.push((key, map.next_value()?)),
            }
        }
        if item.config.is_empty() {
            return Err(de::Error::missing_field(CONFIG));
        }
        Ok(item)
    }
}

fn list<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Vec<String>, A::Error> {
    map.next_value::<Option<Vec<String>>>().map(Option::unwrap_or_default)
}

/// A key as Go compares it: without regard to case, the long s and the Kelvin sign included.
fn folded(key: &str) -> String {
    key.to_uppercase().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_all_programs_read_alike_is_accepted() {
        let check =
            |text: &str, expected: Result<usize, &str>| match (parse(text.as_bytes()), expected) {
                (Ok(items), Ok(count)) => assert_eq!(items.len(), count, "{text}"),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (found, _) => panic!("{text}: {found:?}"),
            };
        check("[]", Ok(0));
        check("null", Ok(0));
        check(r#"[{"Config":"c","RepoTags":null,"Layers":null}]"#, Ok(1));
        check(r#"[{"Config":"c"},{"Config":"c","Other":{"a":1}}]"#, Ok(2));
        check("", Err("EOF"));
        check("{}", Err("expected"));
        check("[] x", Err("trailing"));
        check("[{}]", Err("missing field"));
        check(r#"[{"Config":null}]"#, Err("invalid type"));
        check(r#"[{"Config":"c","RepoTags":[1]}]"#, Err("invalid type"));
        check(r#"[{"Config":"c","Config":"d"}]"#, Err("twice"));
        check(r#"[{"Config":"c","config":"d"}]"#, Err("some programs only"));
        check(r#"[{"Config":"c","LAYERS":[]}]"#, Err("some programs only"));
        check("[{\"Config\":\"c\",\"Layer\u{17f}\":[]}]", Err("some programs only"));
        check(r#"[{"Config":"c","Parent":"","parent":""}]"#, Err("twice"));
        // What is carried over is not built up, so it may be as deep as it likes.
        let deep = format!("{}{}", "[".repeat(9999), "]".repeat(9999));
        check(&format!("[{{\"Config\":\"c\",\"x\":{deep}}}]"), Ok(1));
    }

    #[test]
    fn what_is_not_known_is_carried_over() {
        let text = r#"[{"Config":"c","RepoTags":["a:b"],"Layers":["l"],"LayerSources":{"z":1,"a":{"size":1e3}},"Parent":"p"}]"#;
        assert_eq!(encode(&parse(text.as_bytes()).unwrap()), text.as_bytes());
    }
}
