//! Changing a text at spans.

use crate::span::Span;

/// A part of a text that is to become another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; an empty span inserts.
    pub span: Span,
    /// What is there afterwards.
    pub text: String,
}

impl Edit {
    /// Makes an edit.
    #[must_use]
    pub fn new(span: Span, text: impl Into<String>) -> Self {
        Self { span, text: text.into() }
    }
}

/// Applies edits to a text; every byte outside their spans stays as it is.
///
/// The order of the edits does not matter. `None` if two of them overlap, or if a span is not one
/// of the text.
#[must_use]
pub fn apply(source: &str, edits: &[Edit]) -> Option<String> {
    let mut edits: Vec<&Edit> = edits.iter().collect();
    edits.sort_by_key(|edit| (edit.span.start(), edit.span.end()));
    let mut result = String::with_capacity(source.len());
    let mut at = 0;
    for edit in edits {
        result.push_str(source.get(at..edit.span.start())?);
        source.get(edit.span.range())?;
        result.push_str(&edit.text);
        at = edit.span.end();
    }
    result.push_str(source.get(at..)?);
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_change_their_spans_alone() {
        fn check(edits: &[(usize, usize, &str)], expected: Option<&str>) {
            let edits: Vec<Edit> =
                edits.iter().map(|(a, b, text)| Edit::new(Span::new(*a, *b), *text)).collect();
            assert_eq!(apply("FROM a\n", &edits).as_deref(), expected, "{edits:?}");
        }
        check(&[], Some("FROM a\n"));
        check(&[(5, 6, "b:1")], Some("FROM b:1\n"));
        check(&[(7, 7, "RUN x"), (0, 4, "from")], Some("from a\nRUN x"));
        check(&[(0, 5, ""), (4, 6, "")], None);
        check(&[(6, 99, "")], None);
    }
}
