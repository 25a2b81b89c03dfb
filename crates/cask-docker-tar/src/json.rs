//! `manifest.json` and `repositories`: strictly read, and written as Go writes them.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use cask_json::{Entry, Error as JsonError, ErrorKind, Rules, Style, Value, Writer, quoted};

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
    /// Everything else, such as `Parent` and `LayerSources`: JSON, as it is.
    pub(crate) others: Vec<(String, Vec<u8>)>,
}

/// Repositories, their tags, and legacy IDs.
pub(crate) type Repositories = BTreeMap<String, BTreeMap<String, String>>;

/// Why a document was refused: in a word or two that can be looked for, then in full.
#[derive(Debug)]
pub(crate) struct Refused {
    summary: &'static str,
    error: JsonError,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.summary, self.error)
    }
}

impl std::error::Error for Refused {}

impl Refused {
    fn new(error: JsonError, bytes: &[u8]) -> Self {
        let before = bytes.get(..error.position().offset);
        let summary = match error.kind() {
            ErrorKind::Syntax => match before {
                Some(before) if before.len() == bytes.len() => "EOF",
                Some(before) if cask_json::parse(before, RULES).is_ok() => "trailing text",
                _ => "invalid syntax",
            },
            ErrorKind::WrongType => "invalid type",
            ErrorKind::MissingField => "missing field",
            ErrorKind::DuplicateKey | ErrorKind::KeyCase => "ambiguous key",
            _ => "invalid document",
        };
        Self { summary, error }
    }
}

/// What is carried over may be as deep as it likes, and hold what Go lets pass. Nothing can hold
/// more values than bytes.
const RULES: Rules = Rules::new(MAX_MANIFEST_JSON_BYTES)
    .with_max_depth(usize::MAX)
    .with_max_values(MAX_MANIFEST_JSON_BYTES as usize)
    .keeping_duplicates()
    .replacing_bad_text();

/// Parses `manifest.json`.
///
/// # Errors
/// What is no JSON, no list of images, or has a key twice. So has Go a key that differs in its
/// case: it would take the last one, others the exact one.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Item>, Refused> {
    let read = |root: Value<'_>| {
        // Go reads null as an empty list.
        if root.is_null() { Ok(Vec::new()) } else { root.items()?.map(read_item).collect() }
    };
    read_document(bytes, read)
}

/// Parses `repositories`; of a key that occurs twice, the last one counts.
///
/// # Errors
/// What is no JSON, or no object of objects of texts.
pub(crate) fn parse_repositories(bytes: &[u8]) -> Result<Repositories, Refused> {
    let tag = |entry: Entry<'_>| Ok((key(entry)?.to_owned(), text(entry.value())?.to_owned()));
    let repository = |entry: Entry<'_>| {
        let tags = entry.value().entries()?.map(tag).collect::<Result<_, JsonError>>()?;
        Ok((key(entry)?.to_owned(), tags))
    };
    read_document(bytes, |root| root.entries()?.map(repository).collect())
}

/// Writes `manifest.json`.
pub(crate) fn encode(items: &[Item]) -> Vec<u8> {
    let mut writer = Writer::new(Style::compact().without_html_escapes());
    writer.array(|w| items.iter().for_each(|item| item.write(w)));
    writer.finish()
}

/// Writes `repositories`.
pub(crate) fn encode_repositories(repositories: &Repositories) -> Vec<u8> {
    let mut writer = Writer::new(Style::compact().without_html_escapes());
    writer.object(|w| repositories.iter().for_each(|(name, tags)| w.key(name).string_map(tags)));
    writer.finish()
}

const CONFIG: &str = "Config";
const REPO_TAGS: &str = "RepoTags";
const LAYERS: &str = "Layers";

impl Item {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.key(CONFIG).string(&self.config);
            w.key(REPO_TAGS).strings(&self.repo_tags);
            w.key(LAYERS).strings(&self.layers);
            self.others.iter().for_each(|(key, json)| w.key(key).verbatim(json));
        });
    }
}

fn read_document<T>(
    bytes: &[u8],
    read: impl FnOnce(Value<'_>) -> Result<T, JsonError>,
) -> Result<T, Refused> {
    let refused = |error| Refused::new(error, bytes);
    let document = cask_json::parse(bytes, RULES).map_err(refused)?;
    if let Err(error) = str::from_utf8(bytes) {
        let place = document.place(error.valid_up_to());
        let error = JsonError::new(ErrorKind::Syntax, place, "the text is not UTF-8");
        return Err(refused(error));
    }
    read(document.root()).map_err(refused)
}

fn read_item(value: Value<'_>) -> Result<Item, JsonError> {
    let mut item = Item::default();
    let mut seen = HashSet::new();
    for entry in value.entries()? {
        let (key, value) = (key(entry)?, entry.value());
        let folded = folded(key);
        let is_known = |known: &&str| self::folded(known) == folded;
        if let Some(known) = [CONFIG, REPO_TAGS, LAYERS].iter().find(|known| is_known(known))
            && **known != *key
        {
            let detail = format!("the key {} is {known:?} to some programs only", quoted(key));
            return Err(JsonError::new(ErrorKind::KeyCase, entry.key_place(), detail));
        }
        if !seen.insert(folded) {
            let detail = format!("the key {} occurs twice", quoted(key));
            return Err(JsonError::new(ErrorKind::DuplicateKey, entry.key_place(), detail));
        }
        match key {
            CONFIG => item.config = text(value)?.to_owned(),
            REPO_TAGS => item.repo_tags = list(value)?,
            LAYERS => item.layers = list(value)?,
            _ => item.others.push((key.to_owned(), value.text().to_owned())),
        }
    }
    if item.config.is_empty() {
        let place = value.place().below(CONFIG);
        return Err(JsonError::new(ErrorKind::MissingField, place, "it names no member"));
    }
    Ok(item)
}

fn list(value: Value<'_>) -> Result<Vec<String>, JsonError> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    value.items()?.map(|item| text(item).map(str::to_owned)).collect()
}

fn text(value: Value<'_>) -> Result<&str, JsonError> {
    let text = value.as_str()?;
    if is_unicode(text, value.text()) {
        Ok(text)
    } else {
        Err(value.error(ErrorKind::Syntax, SURROGATE))
    }
}

fn key(entry: Entry<'_>) -> Result<&str, JsonError> {
    let key = entry.key();
    if is_unicode(key, entry.key_text()) {
        return Ok(key);
    }
    Err(JsonError::new(ErrorKind::Syntax, entry.key_place(), SURROGATE))
}

const SURROGATE: &str = "a surrogate without its partner";

/// Whether nothing of a text had to be replaced that is written so.
fn is_unicode(text: &str, written: &[u8]) -> bool {
    !text.contains(char::REPLACEMENT_CHARACTER)
        || cask_json::parse(written, Rules::new(MAX_MANIFEST_JSON_BYTES)).is_ok()
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
