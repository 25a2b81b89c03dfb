//! A table given as rows.

use super::align::{Layout, align};

/// Rows of cells, aligned as `podman` and `skopeo` align theirs.
#[derive(Debug, Clone, Default)]
pub struct Table {
    text: String,
}

impl Table {
    /// Starts a table with a line of headers; none for a table without.
    #[must_use]
    pub fn new<T: AsRef<str>>(headers: impl IntoIterator<Item = T>) -> Self {
        let mut table = Self::default();
        let headers: Vec<T> = headers.into_iter().collect();
        if !headers.is_empty() {
            table.row(headers);
        }
        table
    }

    /// Adds a row. Control characters in a cell, which could break the table or reprogram the
    /// terminal, become `?`.
    pub fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        for (position, cell) in cells.into_iter().enumerate() {
            if position > 0 {
                self.text.push('\t');
            }
            let shown = |it: char| if it.is_control() { '?' } else { it };
            self.text.extend(cell.as_ref().chars().map(shown));
        }
        self.text.push('\n');
    }

    /// The table as text, a newline after each row.
    #[must_use]
    pub fn render(&self, layout: Layout) -> String {
        String::from_utf8_lossy(&align(self.text.as_bytes(), layout)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_break_out() {
        let mut table = Table::new(["NAME", "TAG"]);
        table.row(["a\tb\n\x1b[2J", "x"]);
        assert_eq!(table.render(Layout::PODMAN), "NAME        TAG\na?b??[2J    x\n");
    }

    #[test]
    fn headers_are_optional() {
        let mut table = Table::new::<&str>([]);
        table.row(["a"]);
        assert_eq!(table.render(Layout::PODMAN), "a\n");
    }
}
