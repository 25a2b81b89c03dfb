//! A JSON file of the store: an array of records, parsed as far as somebody asks.
//!
//! Entries that nobody changes are written back byte for byte, whatever they hold; an entry that
//! makes no sense is kept and left out of what is listed.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Id;
use crate::record::Record;

/// The records of one file, in their order.
#[derive(Debug)]
pub(crate) struct Table<R> {
    text: Arc<String>,
    entries: OnceLock<Result<Vec<Entry<R>>, String>>,
    /// How often an ID was looked for.
    questions: AtomicU32,
    /// Which entry has which ID, once that was often.
    by_id: OnceLock<HashMap<Id, usize>>,
}

/// How many questions are answered by looking at the text: an index takes as long as these.
const QUESTIONS_WITHOUT_INDEX: u32 = 4;

#[derive(Clone, Debug)]
struct Entry<R> {
    /// Where the entry stands in the text; `None` for one that is new or changed.
    place: Option<Range<usize>>,
    /// The record, once somebody asked for it; an error's text where it is none.
    record: OnceLock<Result<Arc<R>, String>>,
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self {
            text: Arc::default(),
            entries: OnceLock::from(Ok(Vec::new())),
            questions: AtomicU32::new(0),
            by_id: OnceLock::new(),
        }
    }
}

impl<R> Clone for Table<R>
where
    Entry<R>: Clone,
{
    fn clone(&self) -> Self {
        Self {
            text: Arc::clone(&self.text),
            entries: self.entries.clone(),
            questions: AtomicU32::new(self.questions.load(Ordering::Relaxed)),
            by_id: self.by_id.clone(),
        }
    }
}

impl<R: Record> Table<R> {
    /// Takes the text of a file. It is not looked at yet.
    pub(crate) fn new(text: String) -> Self {
        Self {
            text: Arc::new(text),
            entries: OnceLock::new(),
            questions: AtomicU32::new(0),
            by_id: OnceLock::new(),
        }
    }

    /// A table of these records.
    pub(crate) fn of(records: impl IntoIterator<Item = R>) -> Self {
        let mut table = Self::default();
        for record in records {
            table.put(record);
        }
        table
    }

    /// Whether the text is an array of JSON values; the error says why not.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.is_of_no_text() {
            return Err("the file is empty".to_owned());
        }
        self.try_entries().map(|_| ())
    }

    /// Whether there is no text and no record.
    pub(crate) fn is_of_no_text(&self) -> bool {
        self.text.is_empty()
            && self.entries.get().is_none_or(|entries| entries.as_ref().is_ok_and(Vec::is_empty))
    }

    fn try_entries(&self) -> Result<&[Entry<R>], String> {
        let entries = self.entries.get_or_init(|| split(&self.text));
        entries.as_deref().map_err(Clone::clone)
    }

    fn entries(&self) -> &[Entry<R>] {
        // Who loads a file checks the table first.
        self.try_entries().unwrap_or_default()
    }

    fn entries_mut(&mut self) -> &mut Vec<Entry<R>> {
        if self.try_entries().is_err() {
            self.entries = OnceLock::from(Ok(Vec::new()));
        }
        let entries = self.entries.get_mut().and_then(|entries| entries.as_mut().ok());
        entries.expect("they were just made")
    }

    fn record<'a>(&self, entry: &'a Entry<R>) -> Result<&'a Arc<R>, &'a str> {
        let record = entry.record.get_or_init(|| {
            let text = &self.text[entry.place.clone().unwrap_or_default()];
            serde_json::from_str(text).map(Arc::new).map_err(|error| error.to_string())
        });
        record.as_ref().map_err(String::as_str)
    }

    /// All records that make sense.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Arc<R>> {
        self.entries().iter().filter_map(|entry| self.record(entry).ok())
    }

    /// What is wrong with the others.
    pub(crate) fn damages(&self) -> impl Iterator<Item = &str> {
        self.entries().iter().filter_map(|entry| self.record(entry).err())
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries().len()
    }

    /// The records whose text holds a word, and all that are parsed already; others are not parsed.
    ///
    /// A word is looked for as JSON has it where that is certain: from behind the last slash, which
    /// may be escaped, and not at all if it has a character that is escaped.
    pub(crate) fn mentioning(&self, word: &str) -> impl Iterator<Item = &Arc<R>> {
        let word = word.rsplit('/').next().unwrap_or(word);
        let plain = word.bytes().all(|byte| {
            byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&')
        });
        let word = if plain { word } else { "" };
        let entries = match self.entries.get() {
            // Most questions are about one of many files, and the others need not be taken apart.
            None if !self.text.contains(word) => &[],
            _ => self.entries(),
        };
        let mentions = move |entry: &&Entry<R>| match (&entry.place, entry.record.get()) {
            (_, Some(_)) | (None, _) => true,
            (Some(place), None) => self.text[place.clone()].contains(word),
        };
        entries.iter().filter(mentions).filter_map(|entry| self.record(entry).ok())
    }

    /// The record with an ID.
    pub(crate) fn by_id(&self, id: &str) -> Option<&Arc<R>> {
        match self.index() {
            Some(index) => self.record(&self.entries()[*index.get(id)?]).ok(),
            None => self.mentioning(id).find(|record| record.id().as_str() == id),
        }
    }

    /// Which entry has which ID, where that was asked often. Of several with one ID, the first.
    fn index(&self) -> Option<&HashMap<Id, usize>> {
        if self.questions.fetch_add(1, Ordering::Relaxed) < QUESTIONS_WITHOUT_INDEX {
            return None;
        }
        Some(self.by_id.get_or_init(|| {
            let entries = self.entries();
            let mut index = HashMap::with_capacity(entries.len());
            for (position, entry) in entries.iter().enumerate().rev() {
                if let Ok(record) = self.record(entry) {
                    index.insert(record.id().clone(), position);
                }
            }
            index
        }))
    }

    /// The record with a name.
    pub(crate) fn by_name(&self, name: &str) -> Option<&Arc<R>> {
        self.mentioning(name).find(|record| record.names().iter().any(|own| own == name))
    }

    /// A few fields of every entry, read straight from the text; `None` where that does not go.
    pub(crate) fn fields<'a, T: Deserialize<'a>>(&'a self) -> Option<Vec<T>> {
        serde_json::from_str(&self.text).ok()
    }

    /// Adds a record, or replaces the one with its ID.
    pub(crate) fn put(&mut self, record: R) {
        let id = record.id().clone();
        let entry = Entry { place: None, record: OnceLock::from(Ok(Arc::new(record))) };
        match self.position(&id) {
            Some(position) => self.entries_mut()[position] = entry,
            None => {
                let position = self.len();
                self.entries_mut().push(entry);
                if let Some(index) = self.by_id.get_mut() {
                    index.insert(id, position);
                }
            }
        }
    }

    /// Changes the record with an ID, if there is one.
    pub(crate) fn change(&mut self, id: &Id, change: impl FnOnce(&mut R)) -> bool {
        let Some(mut record) = self.by_id(id.as_str()).map(|record| R::clone(record)) else {
            return false;
        };
        change(&mut record);
        self.put(record);
        true
    }

    /// Takes the record with an ID away.
    pub(crate) fn remove(&mut self, id: &Id) -> Option<Arc<R>> {
        let position = self.position(id)?;
        let entry = self.entries_mut().remove(position);
        // All behind it have another place now.
        self.by_id.take();
        entry.record.into_inner()?.ok()
    }

    fn position(&self, id: &Id) -> Option<usize> {
        if let Some(index) = self.index() {
            return index.get(id).copied();
        }
        let mentions = |entry: &Entry<R>| match (&entry.place, entry.record.get()) {
            (_, Some(_)) | (None, _) => true,
            (Some(place), None) => self.text[place.clone()].contains(id.as_str()),
        };
        self.entries().iter().position(|entry| {
            mentions(entry) && self.record(entry).is_ok_and(|record| record.id() == id)
        })
    }

    /// The text of the file, as Go would write it.
    pub(crate) fn print(&self) -> String {
        let mut out = String::with_capacity(self.text.len() + 1024);
        out.push('[');
        for (index, entry) in self.entries().iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            match (&entry.place, entry.record.get()) {
                (Some(place), _) => out.push_str(&self.text[place.clone()]),
                (None, Some(Ok(record))) => record.write(&mut out),
                (None, _) => write!(out, "null").expect("a string takes everything"),
            }
        }
        out.push(']');
        out
    }
}

/// Finds where the entries stand in the text.
fn split<R>(text: &str) -> Result<Vec<Entry<R>>, String> {
    if text.is_empty() {
        // That of a table that was never a file.
        return Ok(Vec::new());
    }
    let values: Option<Vec<&RawValue>> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let entry = |value: &&RawValue| {
        let start = value.get().as_ptr().addr() - text.as_ptr().addr();
        Entry { place: Some(start..start + value.get().len()), record: OnceLock::new() }
    };
    Ok(values.unwrap_or_default().iter().map(entry).collect())
}
