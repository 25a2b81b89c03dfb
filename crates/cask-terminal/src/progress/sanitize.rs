//! Text from elsewhere, made safe for a terminal.

/// Replaces control characters: a label can come from a registry, and could reprogram the terminal
/// or forge lines of a log.
pub(crate) fn sanitized(text: &str) -> String {
    text.chars().map(|symbol| if is_unsafe(symbol) { '?' } else { symbol }).collect()
}

/// Controls, and the marks that reorder text.
pub(crate) fn is_unsafe(symbol: char) -> bool {
    symbol.is_control() || matches!(symbol, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
