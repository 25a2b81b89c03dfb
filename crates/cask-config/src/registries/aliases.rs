//! Aliases: short names that stand for one repository.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use cask_json::quoted_as_go;
use cask_reference::{LiteralReference, Repository};

use crate::document::{Found, Source, Table};
use crate::registries::conf::{file_name, invalid_name};
use crate::registries::lock::{self, Replacement};
use crate::{Error, ErrorKind, file};

const LOADING: &str = "loading short-name aliases config file";

/// What a short name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    repository: Option<Repository>,
    file: String,
}

impl Alias {
    /// The repository; `None` for an alias that was set to nothing, which takes away what earlier
    /// files say.
    pub fn repository(&self) -> Option<&Repository> {
        self.repository.as_ref()
    }

    /// The file that says so, as it was named to the parser.
    pub fn file(&self) -> &str {
        &self.file
    }
}

/// The choices of a user, which were recorded as aliases: a file that only programs write.
///
/// They come before the aliases of registries.conf.
#[derive(Clone, Debug, Default)]
pub struct RecordedAliases {
    aliases: BTreeMap<String, Alias>,
}

impl RecordedAliases {
    /// Reads one text; the name of its file is for errors, and for those who ask where an alias
    /// comes from.
    ///
    /// # Errors
    /// Those of [`RegistriesConf::parse`](crate::registries::RegistriesConf::parse).
    pub fn parse(text: &str, file_name: &str) -> Result<Self, Error> {
        let source = Source::new(text, LOADING, file_name);
        let document = source.parse()?;
        let aliases = parse(&source, &Table::root(&source, &document))?;
        Ok(Self { aliases })
    }

    /// Reads a file; one that does not exist has no aliases.
    ///
    /// A writer replaces the file as a whole, so that no lock is needed here.
    ///
    /// # Errors
    /// Those of [`Self::parse`], and [`ErrorKind::Io`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        match file::read_text(LOADING, path) {
            Ok(text) => Self::parse(&text, &file_name(path)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// The aliases, by short name.
    pub fn aliases(&self) -> &BTreeMap<String, Alias> {
        &self.aliases
    }

    fn encode(&self) -> String {
        let mut text = String::from("[aliases]\n");
        for (name, alias) in &self.aliases {
            let value = alias.repository.as_ref().map_or("", Repository::name);
            // Neither can have a quotation mark, a backslash or a control character in it.
            writeln!(text, "  \"{name}\" = \"{value}\"").expect("a string takes all");
        }
        text
    }
}

/// Records that a short name stands for a repository, in place of what the file said before.
///
/// The file is created with mode 0600 if need be, and its directory with 0700. It is replaced at
/// once, under the lock `PATH.lock`, which containers/image takes too. Comments are lost. If it is
/// a symbolic link, the file that it leads to is replaced.
///
/// Source: containers/image, `AddShortNameAlias`.
///
/// # Errors
/// [`ErrorKind::InvalidName`] if the name is not short or has a tag or a digest;
/// [`ErrorKind::Locked`] if another process holds the lock for 10 seconds; those of
/// [`RecordedAliases::load`].
pub fn record_alias(path: &Path, name: &str, repository: &Repository) -> Result<(), Error> {
    check_short_name(name).map_err(invalid_name)?;
    let alias = Alias { repository: Some(repository.clone()), file: file_name(path) };
    edit(path, |aliases| {
        aliases.insert(name.into(), alias);
        Ok(())
    })
}

/// Forgets a recorded alias.
///
/// Source: containers/image, `RemoveShortNameAlias`.
///
/// # Errors
/// [`ErrorKind::NoSuchAlias`] if the file does not have it; those of [`record_alias`].
pub fn remove_alias(path: &Path, name: &str) -> Result<(), Error> {
    check_short_name(name).map_err(invalid_name)?;
    edit(path, |aliases| match aliases.remove(name) {
        Some(_) => Ok(()),
        None => {
            let message = format!(
                "short-name alias {} not found in {}: please check registries.conf files",
                quoted_as_go(name),
                quoted_as_go(&file_name(path))
            );
            Err(Error::new(ErrorKind::NoSuchAlias, message))
        }
    })
}

fn edit(
    path: &Path,
    change: impl FnOnce(&mut BTreeMap<String, Alias>) -> Result<(), Error>,
) -> Result<(), Error> {
    let _lock = lock::exclusive(path)?;
    let mut recorded = RecordedAliases::load(path)?;
    change(&mut recorded.aliases)?;
    Replacement { path, text: &recorded.encode() }.write()
}

/// Reads the table `aliases` of a document.
pub(crate) fn parse(
    source: &Source<'_>,
    root: &Table<'_>,
) -> Result<BTreeMap<String, Alias>, Error> {
    let Some(table) = root.table("aliases")? else { return Ok(BTreeMap::new()) };
    let mut aliases = BTreeMap::new();
    for (name, found) in table.string_entries()? {
        let Found { value, key, offset } = found;
        let fail = |message: String| {
            table.error(offset, &key, format!("validating short-name aliases: {message}"))
        };
        check_short_name(name).map_err(fail)?;
        let repository = match value.as_str() {
            "" => None,
            value => Some(check_value(value).map_err(fail)?),
        };
        aliases.insert(name.to_owned(), Alias { repository, file: source.file().into() });
    }
    Ok(aliases)
}

/// Checks the left side of an alias.
///
/// Source: containers/image, `validateShortName`.
fn check_short_name(name: &str) -> Result<(), String> {
    let quoted = quoted_as_go(name);
    let parsed = LiteralReference::parse(name);
    let parsed = parsed.map_err(|error| format!("cannot parse short name: {quoted}: {error}"))?;
    let excess = if parsed.digest().is_some() {
        "digest"
    } else if parsed.tag().is_some() {
        "tag"
    } else if !parsed.is_short_name() {
        "registry"
    } else {
        return Ok(());
    };
    Err(format!("invalid short name {quoted}: must not contain {excess}"))
}

/// Checks the right side of an alias.
///
/// Source: containers/image, `parseShortNameValue`.
fn check_value(value: &str) -> Result<Repository, String> {
    let quoted = quoted_as_go(value);
    let fail = |error| format!("parsing alias {quoted}: {error}");
    let parsed = LiteralReference::parse(value).map_err(fail)?;
    if parsed.digest().is_some() {
        return Err(format!("invalid alias {quoted}: must not contain digest"));
    }
    if parsed.tag().is_some() {
        return Err(format!("invalid alias {quoted}: must not contain tag"));
    }
    if parsed.is_short_name() {
        return Err(format!("invalid alias {quoted}: must contain registry and repository"));
    }
    Repository::parse_normalized(value).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let text = "[aliases]\nb = \"q.io/b\"\n\"a/c\" = \"\"\n";
        let recorded = RecordedAliases::parse(text, "f").unwrap();
        assert_eq!(recorded.encode(), "[aliases]\n  \"a/c\" = \"\"\n  \"b\" = \"q.io/b\"\n");
        let again = RecordedAliases::parse(&recorded.encode(), "f").unwrap();
        assert_eq!(again.aliases(), recorded.aliases());
    }

    #[test]
    fn both_sides_are_checked() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let error = RecordedAliases::parse(text, "f").unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        const START: &str = "loading short-name aliases config file \"f\": \
                             validating short-name aliases: ";
        check(
            "[aliases]\na = \"b\"",
            &format!(
                "{START}invalid alias \"b\": must contain registry and repository (aliases.a, \
                 line 2 column 5)"
            ),
        );
        check(
            "[aliases]\na = \"b.c/d:1\"",
            &format!(
                "{START}invalid alias \"b.c/d:1\": must not contain tag (aliases.a, line 2 column 5)"
            ),
        );
        check(
            "[aliases]\n\"a:1\" = \"b.c/d\"",
            &format!(
                "{START}invalid short name \"a:1\": must not contain tag (aliases[\"a:1\"], line 2 \
                 column 9)"
            ),
        );
        check(
            "[aliases]\n\"a.b/c\" = \"b.c/d\"",
            &format!(
                "{START}invalid short name \"a.b/c\": must not contain registry \
                 (aliases[\"a.b/c\"], line 2 column 11)"
            ),
        );
        check(
            "[aliases]\na = 1",
            "loading short-name aliases config file \"f\": incompatible types: expected a string, \
             found an integer (aliases.a, line 2 column 5)",
        );
    }
}
