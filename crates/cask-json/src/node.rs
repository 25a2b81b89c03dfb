//! Documents that are changed without losing what nobody here understands.

use crate::document::Document;
use crate::{Error, Kind, Rules, Style, Value, Writer, folds_equal, parse};

/// A JSON value that can be changed. What is not changed is written as it was: numbers in their
/// notation, strings with their escapes, unknown fields in their place.
///
/// A value is looked into when it is asked for what it holds, one level at a time, and at the cost
/// of reading its text again; the rest stays text.
///
/// ```
/// use cask_json::{Node, Rules, Style};
///
/// let mut config = Node::parse(br#"{ "x": 1.50, "auths": {"a": {}}, "y": "\u0041" }"#, Rules::default())?;
/// let root = config.as_object_mut().expect("an object");
/// if let Some(auths) = root.object_mut("auths") {
///     auths.remove("a");
///     auths.set("b", "secret");
/// }
/// assert_eq!(config.encode(Style::compact()), br#"{"x":1.50,"auths":{"b":"secret"},"y":"\u0041"}"#);
/// # Ok::<(), cask_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node(Repr);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Repr {
    /// One JSON value that nobody has looked into.
    Text(Box<[u8]>),
    Array(Vec<Node>),
    Object(Object),
}

/// A JSON object that can be changed: its fields in their order.
///
/// Every lookup goes through all keys, which have to match to the letter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object(Vec<(String, Node)>);

impl Node {
    /// Parses a document to change it.
    ///
    /// # Errors
    /// Those of [`parse`](crate::parse()).
    pub fn parse(bytes: &[u8], rules: Rules) -> Result<Self, Error> {
        parse(bytes, rules).map(|document| Self::of(document.root()))
    }

    /// A copy of a value of a document.
    pub fn of(value: Value<'_>) -> Self {
        Self(Repr::Text(value.text().into()))
    }

    /// `null`.
    pub fn null() -> Self {
        Self::text("null")
    }

    fn text(json: &str) -> Self {
        Self(Repr::Text(json.as_bytes().into()))
    }

    /// The text of a string, `None` for anything else.
    pub fn to_text(&self) -> Option<String> {
        let Repr::Text(text) = &self.0 else { return None };
        match known(text).root().kind() {
            Kind::String(text) => Some(text.to_owned()),
            _ => None,
        }
    }

    /// A copy of an object, `None` for anything else.
    pub fn to_object(&self) -> Option<Object> {
        match &self.0 {
            Repr::Object(object) => Some(object.clone()),
            Repr::Text(text) => Object::of(known(text).root()).ok(),
            Repr::Array(_) => None,
        }
    }

    /// The object, to change it; `None` for anything else.
    pub fn as_object_mut(&mut self) -> Option<&mut Object> {
        self.open();
        match &mut self.0 {
            Repr::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The elements of an array, to change them; `None` for anything else.
    pub fn as_array_mut(&mut self) -> Option<&mut Vec<Self>> {
        self.open();
        match &mut self.0 {
            Repr::Array(items) => Some(items),
            _ => None,
        }
    }

    /// Looks into an array or object.
    fn open(&mut self) {
        let Repr::Text(text) = &self.0 else { return };
        if !text.starts_with(b"{") && !text.starts_with(b"[") {
            return;
        }
        let document = known(text);
        let opened = match document.root().kind() {
            Kind::Array(items) => Repr::Array(items.map(Self::of).collect()),
            Kind::Object(entries) => Repr::Object(Object(
                entries.map(|e| (e.key().to_owned(), Self::of(e.value()))).collect(),
            )),
            _ => return,
        };
        self.0 = opened;
    }

    /// Writes the value in the writer's style, as [`Writer::raw_message`] does what is still text.
    pub fn write(&self, writer: &mut Writer) {
        match &self.0 {
            Repr::Text(text) => writer.raw_message(text),
            Repr::Array(items) => writer.array(|w| items.iter().for_each(|item| item.write(w))),
            Repr::Object(object) => object.write(writer),
        }
    }

    /// The bytes of the value.
    pub fn encode(&self, style: Style) -> Vec<u8> {
        let mut writer = Writer::new(style);
        self.write(&mut writer);
        writer.finish()
    }
}

/// Parses text that was parsed before.
fn known(text: &[u8]) -> Document<'_> {
    parse(text, Rules::of_known()).expect("it was a value of a document")
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        let mut writer = Writer::new(Style::compact().without_html_escapes());
        writer.string(text);
        Self(Repr::Text(writer.finish().into()))
    }
}

impl From<String> for Node {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<bool> for Node {
    fn from(value: bool) -> Self {
        Self::text(if value { "true" } else { "false" })
    }
}

impl From<i64> for Node {
    fn from(value: i64) -> Self {
        Self::text(&value.to_string())
    }
}

impl From<u64> for Node {
    fn from(value: u64) -> Self {
        Self::text(&value.to_string())
    }
}

impl From<Object> for Node {
    fn from(object: Object) -> Self {
        Self(Repr::Object(object))
    }
}

impl From<Vec<Self>> for Node {
    fn from(items: Vec<Self>) -> Self {
        Self(Repr::Array(items))
    }
}

impl Object {
    /// An object without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses a document that is an object, to change it.
    ///
    /// # Errors
    /// Those of [`parse`](crate::parse()), `WrongType` for anything but an object.
    pub fn parse(bytes: &[u8], rules: Rules) -> Result<Self, Error> {
        Self::of(parse(bytes, rules)?.root())
    }

    /// A copy of an object of a document.
    ///
    /// # Errors
    /// `WrongType` for anything but an object.
    pub fn of(value: Value<'_>) -> Result<Self, Error> {
        let fields = value.entries()?.map(|e| (e.key().to_owned(), Node::of(e.value())));
        Ok(Self(fields.collect()))
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The fields in their order.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&str, &Node)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value of a field; of the first one, where the rules let keys repeat.
    pub fn field(&self, key: &str) -> Option<&Node> {
        self.0.iter().find(|(own, _)| own == key).map(|(_, value)| value)
    }

    /// The value of a field, to change it.
    pub fn field_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.0.iter_mut().find(|(own, _)| own == key).map(|(_, value)| value)
    }

    /// How a field is spelled that readers written in Go take for `name`: in whatever case.
    pub fn spelling(&self, name: &str) -> Option<&str> {
        self.0.iter().map(|(key, _)| key.as_str()).find(|key| folds_equal(key, name))
    }

    /// Sets a field where it is, or adds it at the end.
    pub fn set(&mut self, key: &str, value: impl Into<Node>) {
        match self.field_mut(key) {
            Some(old) => *old = value.into(),
            None => self.0.push((key.to_owned(), value.into())),
        }
    }

    /// Removes a field, and all others of the same key. Returns whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(own, _)| own != key);
        self.0.len() != before
    }

    /// The object in a field, to change it. A field that is missing or null becomes one; `None`
    /// if it is something else.
    pub fn object_mut(&mut self, key: &str) -> Option<&mut Self> {
        self.field_or(key, || Self::new().into()).as_object_mut()
    }

    /// The array in a field, to change it. A field that is missing or null becomes one; `None`
    /// if it is something else.
    pub fn array_mut(&mut self, key: &str) -> Option<&mut Vec<Node>> {
        self.field_or(key, || Vec::new().into()).as_array_mut()
    }

    /// The value of a field, which is added if it is missing or null.
    fn field_or(&mut self, key: &str, new: impl FnOnce() -> Node) -> &mut Node {
        let at = self.0.iter().position(|(own, _)| own == key).unwrap_or_else(|| {
            self.0.push((key.to_owned(), Node::null()));
            self.0.len() - 1
        });
        let value = &mut self.0[at].1;
        if *value == Node::null() {
            *value = new();
        }
        value
    }

    /// Writes the object in the writer's style.
    pub fn write(&self, writer: &mut Writer) {
        writer.object(|w| self.fields().for_each(|(key, value)| value.write(w.key(key))));
    }

    /// The bytes of the object.
    pub fn encode(&self, style: Style) -> Vec<u8> {
        let mut writer = Writer::new(style);
        self.write(&mut writer);
        writer.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_object_keeps_its_fields_and_their_order() {
        let json = br#"{"z": 1.50, "a": {"y":null}, "m": "\u0041"}"#;
        let mut object = Object::parse(json, Rules::default()).unwrap();
        assert_eq!(
            text(object.encode(Style::compact())),
            r#"{"z":1.50,"a":{"y":null},"m":"\u0041"}"#
        );
        object.set("a", 2_i64);
        object.set("new", 3_u64);
        assert!(object.remove("z") && !object.remove("z"));
        assert_eq!(text(object.encode(Style::compact())), r#"{"a":2,"m":"\u0041","new":3}"#);
        assert_eq!((object.len(), object.is_empty()), (3, false));
        assert_eq!(object.field("m").and_then(Node::to_text).as_deref(), Some("A"));
        assert_eq!(object.field("a").and_then(Node::to_text), None);
    }

    #[test]
    fn what_is_deep_inside_can_be_changed() {
        let json = br#"{"process": {"args": ["sh"], "x": 1e3}, "mounts": null, "n": 1}"#;
        let mut node = Node::parse(json, Rules::default()).unwrap();
        let root = node.as_object_mut().unwrap();
        let process = root.object_mut("process").unwrap();
        process.array_mut("args").unwrap().push("<&>".into());
        process.set("terminal", true);
        root.array_mut("mounts").unwrap().push(Node::null());
        root.object_mut("linux").unwrap().set("a", vec!["b".into(), Node::from(String::from("c"))]);
        assert!(root.object_mut("n").is_none() && root.array_mut("process").is_none());
        assert_eq!(
            text(node.encode(Style::compact())),
            r#"{"process":{"args":["sh","\u003c\u0026\u003e"],"x":1e3,"terminal":true},"mounts":[null],"n":1,"linux":{"a":["b","c"]}}"#
        );
        let plain = Style::indented(" ").without_html_escapes();
        assert!(text(node.encode(plain)).starts_with(
            "{\n \"process\": {\n  \"args\": [\n   \"sh\",\n   \"<&>\"\n  ],\n  \"x\": 1e3,"
        ));
    }

    #[test]
    fn fields_are_found_in_the_case_that_go_finds_them_in() {
        let mut object = Object::parse(br#"{"Auths": {}, "b": 1}"#, Rules::default()).unwrap();
        assert_eq!(object.spelling("auths"), Some("Auths"));
        assert_eq!(object.spelling("c"), None);
        assert!(object.field("auths").is_none());
        assert!(object.field("Auths").unwrap().to_object().unwrap().is_empty());
        assert!(object.field_mut("b").unwrap().as_array_mut().is_none());
        let keys: Vec<&str> = object.fields().map(|(key, _)| key).collect();
        assert_eq!(keys, ["Auths", "b"]);
    }

    #[test]
    fn keys_that_repeat_go_together() {
        let rules = Rules::default().keeping_duplicates();
        let mut object = Object::parse(br#"{"a":1,"b":2,"a":3}"#, rules).unwrap();
        object.set("a", "x");
        assert_eq!(text(object.encode(Style::compact())), r#"{"a":"x","b":2,"a":3}"#);
        assert!(object.remove("a"));
        assert_eq!(text(object.encode(Style::compact())), r#"{"b":2}"#);
    }

    #[test]
    fn text_that_is_not_unicode_stays_as_it_is() {
        let json = b"{ \"a\": \"\xff\\ud800\", \"b\": [] }";
        assert!(Node::parse(json, Rules::default()).is_err());
        let mut node = Node::parse(json, Rules::default().replacing_bad_text()).unwrap();
        let object = node.as_object_mut().unwrap();
        assert_eq!(object.field("a").unwrap().to_text().unwrap(), "\u{fffd}\u{fffd}");
        assert_eq!(node.encode(Style::compact()), b"{\"a\":\"\xff\\ud800\",\"b\":[]}");
    }

    #[test]
    fn a_document_of_any_depth_can_be_changed() {
        let depth = 100_000;
        let json = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let rules = Rules::default().with_max_depth(usize::MAX);
        let mut object = Object::parse(json.as_bytes(), rules).unwrap();
        object.set("b", false);
        assert_eq!(object.encode(Style::compact()).len(), json.len() + 10);
    }
}
