//! Command lines, of which only so much is described as they name.
//!
//! To describe every flag of every command takes longer than most commands do. A line that is right names its commands
//! by their names; all the others are left out, or else each would get a copy of every flag that all commands take.
//! Whatever else a line is — help, an alias, a slip — is parsed again with everything described, and what comes of that
//! counts.

use std::cell::RefCell;
use std::ffi::OsString;
use std::ops::{Deref, DerefMut};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Args, Command, FromArgMatches, Id, Parser, Subcommand};

thread_local! {
    /// The words of the line that is parsed. `None`: everything is described.
    static WORDS: RefCell<Option<Vec<OsString>>> = const { RefCell::new(None) };
}

/// The arguments of a command, to be described where the line names it; or the commands of a program or a group, of
/// which those are there that it names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WhenNamed<A>(pub A);

impl<A> Deref for WhenNamed<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.0
    }
}

impl<A> DerefMut for WhenNamed<A> {
    fn deref_mut(&mut self) -> &mut A {
        &mut self.0
    }
}

impl<A: FromArgMatches> FromArgMatches for WhenNamed<A> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        A::from_arg_matches(matches).map(Self)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        A::from_arg_matches_mut(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }

    fn update_from_arg_matches_mut(&mut self, matches: &mut ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches_mut(matches)
    }
}

impl<A: Args> Args for WhenNamed<A> {
    fn group_id() -> Option<Id> {
        A::group_id()
    }

    fn augment_args(command: Command) -> Command {
        described(command, A::augment_args)
    }

    fn augment_args_for_update(command: Command) -> Command {
        described(command, A::augment_args_for_update)
    }
}

impl<A: Subcommand> Subcommand for WhenNamed<A> {
    fn augment_subcommands(command: Command) -> Command {
        named_alone(command, A::has_subcommand, A::augment_subcommands)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        named_alone(command, A::has_subcommand, A::augment_subcommands_for_update)
    }

    fn has_subcommand(name: &str) -> bool {
        A::has_subcommand(name)
    }
}

/// Describes a command that the line names. Another is closed: nothing that stands behind its name is right.
fn described(command: Command, describe: impl FnOnce(Command) -> Command) -> Command {
    if is_named(command.get_name()) { describe(command) } else { command.subcommand_required(true) }
}

/// Gives a command those of its commands that the line names: by an alias too, where another is named, as what an alias
/// stands for must not be taken for something else.
fn named_alone(
    command: Command,
    has: impl Fn(&str) -> bool,
    describe: impl FnOnce(Command) -> Command,
) -> Command {
    let has_named = WORDS.with_borrow(|words| {
        let words = words.as_ref()?;
        Some(words.iter().filter_map(|word| word.to_str()).any(has))
    });
    match has_named {
        None => return describe(command),
        Some(false) => return command,
        Some(true) => {}
    }
    let all = describe(Command::new("all"));
    let named = all
        .get_subcommands()
        .filter(|one| is_named(one.get_name()) || one.get_all_aliases().any(is_named));
    command.subcommands(named.cloned())
}

/// Whether the line has this among its words, or everything is described.
fn is_named(name: &str) -> bool {
    WORDS.with_borrow(|words| {
        words.as_ref().is_none_or(|words| words.iter().any(|word| word.as_os_str() == name))
    })
}

/// Parses the command line of the process, as [`Parser::try_parse`] does, and several times sooner where commands are
/// [`WhenNamed`].
///
/// # Errors
/// What clap has to say, help and versions included.
pub fn try_parse<P: Parser>() -> Result<P, clap::Error> {
    parse_forgiving(std::env::args_os().collect(), try_parse_from)
}

/// Parses a line. A file or a directory whose name is empty is one that was not said, as with the tools whose place we
/// take: scripts have variables for them that may be empty.
///
/// Source: spf13/pflag, `string.go`.
pub(super) fn parse_forgiving<P>(
    mut line: Vec<OsString>,
    parse: impl Fn(Vec<OsString>) -> Result<P, clap::Error>,
) -> Result<P, clap::Error> {
    loop {
        match parse(line.clone()) {
            Err(error) => match without_empty(&line, &error) {
                Some(fewer) => line = fewer,
                None => return Err(error),
            },
            parsed => return parsed,
        }
    }
}

/// The line without the flag that an error is about, where that has an empty value.
fn without_empty(line: &[OsString], error: &clap::Error) -> Option<Vec<OsString>> {
    let (Some(ContextValue::String(argument)), Some(ContextValue::String(value))) =
        (error.get(ContextKind::InvalidArg), error.get(ContextKind::InvalidValue))
    else {
        return None;
    };
    if error.kind() != ErrorKind::InvalidValue || !value.is_empty() {
        return None;
    }
    let flag = argument.split(' ').next().filter(|flag| flag.starts_with("--"))?;
    let with_value = format!("{flag}=");
    let before = line.iter().position(|word| word == "--").unwrap_or(line.len());
    for place in 0..before {
        let is_followed = line.get(place + 1).is_some_and(|word| word.is_empty());
        let count = match line[place].as_os_str() {
            word if word == with_value.as_str() => 1,
            word if word == flag && is_followed => 2,
            _ => continue,
        };
        let mut fewer = line.to_vec();
        fewer.drain(place..place + count);
        return Some(fewer);
    }
    None
}

/// As [`try_parse`], of a line whose first word is the name of the program.
fn try_parse_from<P: Parser>(line: Vec<OsString>) -> Result<P, clap::Error> {
    match of_named(line.clone(), || P::try_parse_from(line.iter().cloned())) {
        Err(error) if error.kind() != ErrorKind::DisplayVersion => P::try_parse_from(line),
        parsed => parsed,
    }
}

/// Runs `parse` with the commands alone described that the words name.
fn of_named<T>(words: Vec<OsString>, parse: impl FnOnce() -> T) -> T {
    /// Ends with the parsing, whichever way that ends.
    struct Until;
    impl Drop for Until {
        fn drop(&mut self) {
            WORDS.set(None);
        }
    }
    let _until = Until;
    WORDS.set(Some(words));
    parse()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[derive(Debug, Parser, PartialEq)]
    #[command(name = "tool", version = "7")]
    struct Line {
        #[arg(long, global = true)]
        root: Option<String>,
        #[command(subcommand)]
        verb: WhenNamed<Verb>,
    }

    #[derive(Debug, PartialEq, Subcommand)]
    enum Verb {
        #[command(subcommand)]
        Image(WhenNamed<OfImage>),
        #[command(name = "ls", visible_alias = "list")]
        List(WhenNamed<List>),
        Run(Box<WhenNamed<Run>>),
    }

    /// Manage images
    #[derive(Debug, PartialEq, Subcommand)]
    enum OfImage {
        #[command(name = "ls")]
        List(WhenNamed<List>),
        Run(WhenNamed<Run>),
    }

    /// List them
    #[derive(Args, Debug, PartialEq)]
    struct List {
        #[arg(short, long)]
        all: bool,
    }

    /// Run something
    #[derive(Args, Debug, PartialEq)]
    struct Run {
        #[arg(long, default_value = "x")]
        name: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn what_is_parsed_is_what_is_parsed_with_everything_described() {
        let check = |line: &str, is_right: bool| {
            let text = |parsed: Result<Line, clap::Error>| match parsed {
                Ok(parsed) => Ok(parsed),
                Err(error) => Err((error.kind(), error.render().to_string())),
            };
            let found = text(try_parse_from(words(line)));
            assert_eq!(found, text(Line::try_parse_from(words(line))), "{line}");
            assert_eq!(found.is_ok(), is_right, "{line}");
        };
        check("tool ls", true);
        check("tool ls --all --root here", true);
        check("tool --root ls ls -a", true);
        check("tool list -a", true);
        check("tool list", true);
        check("tool image ls -a", true);
        check("tool image run --name y a --name z", true);
        check("tool run ls image list --help", true);
        for wrong in [
            "tool",
            "tool --help",
            "tool --version",
            "tool help",
            "tool help ls",
            "tool help image",
            "tool ls --help",
            "tool ls --al",
            "tool ls x",
            "tool list x",
            "tool sl",
            "tool --nosuch",
            "tool --all",
            "tool image",
            "tool image --help",
            "tool image list",
            "tool run --name",
        ] {
            check(wrong, false);
        }
    }

    #[test]
    fn commands_that_are_not_named_are_left_out() {
        let flags = |command: &Command| {
            let of = |command: &Command| command.get_arguments().count();
            let image = command.find_subcommand("image").map(|image| {
                image.get_subcommands().map(|one| (one.get_name().to_owned(), of(one))).collect()
            });
            let image: Vec<_> = image.unwrap_or_default();
            let verbs = ["ls", "list", "run"];
            (verbs.map(|verb| command.find_subcommand(verb).map(of)), image)
        };
        let everything =
            ([Some(1), Some(1), Some(2)], vec![("ls".to_owned(), 1), ("run".to_owned(), 2)]);
        assert_eq!(flags(&Line::command()), everything);
        let of = |line: &str| of_named(words(line), || flags(&Line::command()));
        assert_eq!(of("tool ls"), ([Some(1), Some(1), None], vec![]));
        // It is parsed again, as what it is another name of.
        assert_eq!(of("tool list"), ([None, None, None], vec![]));
        assert_eq!(of("tool run list"), ([Some(0), Some(0), Some(2)], vec![]));
        let of_image = vec![("run".to_owned(), 2)];
        assert_eq!(of("tool image run"), ([None, None, Some(2)], of_image));
        // And then no more.
        assert_eq!(flags(&Line::command()), everything);
    }

    #[derive(Debug, Parser)]
    struct Plain {
        #[arg(long)]
        authfile: Option<std::path::PathBuf>,
        #[arg(long)]
        text: Option<String>,
        words: Vec<String>,
    }

    #[test]
    fn a_file_with_an_empty_name_was_not_said() {
        let parse = |line: &[&str]| {
            let line = ["tool"].iter().chain(line).map(OsString::from).collect();
            parse_forgiving(line, try_parse_from::<Plain>)
        };
        let authfile = |line: &[&str]| parse(line).unwrap().authfile;
        assert_eq!(authfile(&["--authfile=", "a"]), None);
        assert_eq!(authfile(&["--authfile", "", "a"]), None);
        assert_eq!(authfile(&["--authfile=x"]), Some("x".into()));
        let line = parse(&["--authfile=", "--text=", "a", "--", "--authfile="]).unwrap();
        assert_eq!((line.authfile, line.text.as_deref()), (None, Some("")));
        assert_eq!(line.words, ["a", "--authfile="]);
        parse(&["a", "--authfile"]).unwrap_err();
        parse(&["--nope="]).unwrap_err();
    }
}
