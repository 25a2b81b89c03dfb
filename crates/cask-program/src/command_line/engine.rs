//! Command lines as podman takes them, and what it says of those that are wrong.
//!
//! Source: spf13/cobra, `args.go`; spf13/pflag, `flag.go`; podman, `cmd/podman/validate/args.go` and `root.go`.

use std::ffi::OsString;

use cask_terminal::report::Exit;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, CommandFactory, Parser};

use crate::{output, report};

/// What a truth that is none is refused with.
const NO_TRUTH: &str = "strconv.ParseBool: parsing ";

/// Parses the command line; what is only there or not may be told so too, as in `--all=false` or `-a=false`.
///
/// # Errors
/// What clap has to say, help and versions included.
pub fn parse<P: Parser>() -> Result<P, clap::Error> {
    match super::try_parse::<P>() {
        Err(error) if has_truth(&error) => {
            let words = without_help_as_value(std::env::args_os());
            super::named::parse_forgiving(words, |words| {
                let mut matches = spelled_out(P::command()).try_get_matches_from(words)?;
                P::from_arg_matches_mut(&mut matches)
            })
        }
        parsed => parsed,
    }
}

/// Whether the line was not understood because a flag without a value has one.
fn has_truth(error: &clap::Error) -> bool {
    let argument = error.get(ContextKind::InvalidArg);
    match error.kind() {
        ErrorKind::TooManyValues => true,
        // Behind a letter, what begins the value is taken for the next letter.
        ErrorKind::UnknownArgument => {
            matches!(argument, Some(ContextValue::String(text)) if text == "-=")
        }
        _ => false,
    }
}

/// The words with `--help` for `--help=true`, and with nothing for `--help=false`.
fn without_help_as_value(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut is_flag = true;
    let spelled = words.filter_map(|word| {
        is_flag &= word != "--";
        let value = word.to_str().and_then(|word| word.strip_prefix("--help="));
        match value.filter(|_| is_flag).and_then(cask_config::truth) {
            Some(true) => Some("--help".into()),
            Some(false) => None,
            None => Some(word),
        }
    });
    spelled.collect()
}

/// The command with truths as values.
fn spelled_out(command: Command) -> Command {
    let spell_out = |arg: Arg| match arg.get_action() {
        ArgAction::SetTrue => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .default_value("false")
            .value_parser(truth),
        _ => arg,
    };
    command.mut_args(spell_out).mut_subcommands(spelled_out)
}

fn truth(text: &str) -> Result<bool, String> {
    cask_config::truth(text).ok_or_else(|| format!("{NO_TRUTH}{text:?}: invalid syntax"))
}

/// Says what is wrong with a command line, in podman's words. Help and versions are data, and a success; so is, where
/// `may_ask`, a line that names no command, which prints which there are.
pub fn wrong<P: CommandFactory>(error: &clap::Error, may_ask: bool) -> Exit {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        if let Err(error) = output::bytes(error.render().to_string().as_bytes()) {
            report::engine_failure(&error, |_| None);
            return Exit::EngineFailure;
        }
        return Exit::Success;
    }
    let mut command = P::command();
    // Flags of all commands are known to each.
    command.build();
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let place = Place::of(&command, &arguments);
    // Who names no command sees which there are.
    if place.command.has_subcommands() && place.words == 0 && is_missing(error) {
        let help = place.command.clone().render_help().to_string();
        if let Err(error) = output::bytes(help.as_bytes()) {
            report::engine_failure(&error, |_| None);
            return Exit::EngineFailure;
        }
        if may_ask {
            return Exit::Success;
        }
    }
    report::engine_usage(&place.message(error));
    Exit::EngineFailure
}

/// Whether a command line ends before a command.
fn is_missing(error: &clap::Error) -> bool {
    let kinds = [ErrorKind::MissingSubcommand, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
    kinds.contains(&error.kind())
}

/// The command that was meant.
struct Place<'c> {
    /// Its whole name, the program's first.
    path: String,
    command: &'c Command,
    /// What is written behind its name, flags left out.
    words: usize,
    /// The flag that is the last word, and wants a value.
    cut: Option<String>,
}

impl<'c> Place<'c> {
    fn of(root: &'c Command, arguments: &[OsString]) -> Self {
        let mut place =
            Self { path: root.get_name().to_owned(), command: root, words: 0, cut: None };
        let mut rest = arguments.iter().map(|word| word.to_string_lossy());
        while let Some(word) = rest.next() {
            if word == "--" {
                place.words += rest.by_ref().count();
            } else if word.len() > 1 && word.starts_with('-') {
                let is_cut = place.wants_value(&word) && rest.next().is_none();
                place.cut = is_cut.then(|| word.into_owned());
            } else if let (0, Some(next)) = (place.words, place.command.find_subcommand(&*word)) {
                place.path = format!("{} {}", place.path, next.get_name());
                place.command = next;
            } else {
                place.words += 1;
                // What a container runs may have flags of its own.
                let first = place.positionals().position(Arg::is_trailing_var_arg_set);
                if first.is_some_and(|first| place.words > first) {
                    place.words += rest.by_ref().count();
                }
            }
        }
        place
    }

    fn positionals(&self) -> impl Iterator<Item = &Arg> {
        self.command.get_positionals().filter(|arg| !arg.is_hide_set())
    }

    /// Whether the word behind a flag is its value.
    fn wants_value(&self, flag: &str) -> bool {
        let takes = |arg: &Arg| arg.get_action().takes_values() && !arg.is_require_equals_set();
        let args = || self.command.get_arguments();
        if let Some(long) = flag.strip_prefix("--") {
            let is_it = |arg: &&Arg| {
                let aliases = arg.get_all_aliases().unwrap_or_default();
                arg.get_long() == Some(long) || aliases.contains(&long)
            };
            return args().find(is_it).is_some_and(takes);
        }
        let mut letters = flag.chars().skip(1);
        while let Some(letter) = letters.next() {
            if args().find(|arg| arg.get_short() == Some(letter)).is_some_and(takes) {
                return letters.next().is_none();
            }
        }
        false
    }

    /// What is wrong.
    fn message(&self, error: &clap::Error) -> String {
        let text = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => text.as_str(),
            _ => "",
        };
        let path = &self.path;
        let more = format!("Try '{path} --help' for more information");
        let see = format!("See '{path} --help'");
        let argument = text(ContextKind::InvalidArg);
        match error.kind() {
            ErrorKind::InvalidSubcommand => {
                let command = text(ContextKind::InvalidSubcommand);
                format!("unrecognized command `{path} {command}`\n{more}")
            }
            ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                format!("missing command '{path} COMMAND'\n{more}")
            }
            ErrorKind::UnknownArgument if argument.starts_with("--") => {
                format!("unknown flag: {argument}\n{see}")
            }
            ErrorKind::UnknownArgument if argument.starts_with('-') => {
                let letter = argument.chars().nth(1).unwrap_or('-');
                format!("unknown shorthand flag: '{letter}' in {argument}\n{see}")
            }
            ErrorKind::InvalidValue if self.cut.is_some() => {
                let flag = self.cut.clone().unwrap_or_default();
                let letter = flag.chars().next_back().filter(|_| !flag.starts_with("--"));
                let flag = match letter {
                    Some(letter) => format!("'{letter}' in {flag}"),
                    None => flag,
                };
                format!("flag needs an argument: {flag}\n{see}")
            }
            // Clap's own flag, which takes no truth.
            ErrorKind::TooManyValues if argument == "--help" => {
                let value = text(ContextKind::InvalidValue);
                format!(
                    "invalid argument {value:?} for \"--help\" flag: {NO_TRUTH}{value:?}: invalid syntax\n{see}"
                )
            }
            ErrorKind::ValueValidation => self.of_value(error).unwrap_or_else(|| rendered(error)),
            ErrorKind::MissingRequiredArgument | ErrorKind::UnknownArgument => {
                self.of_count().unwrap_or_else(|| rendered(error))
            }
            _ => rendered(error),
        }
    }

    /// A flag whose value is no truth.
    fn of_value(&self, error: &clap::Error) -> Option<String> {
        let source = std::error::Error::source(error)?.to_string();
        let (Some(ContextValue::String(argument)), Some(ContextValue::String(value))) =
            (error.get(ContextKind::InvalidArg), error.get(ContextKind::InvalidValue))
        else {
            return None;
        };
        if !source.starts_with(NO_TRUTH) {
            return None;
        }
        let flag = argument.split(['[', '=', ' ']).next().unwrap_or_default();
        let is_it = |arg: &&Arg| arg.get_long() == flag.strip_prefix("--");
        let short = self.command.get_arguments().find(is_it).and_then(Arg::get_short);
        let short = short.map(|letter| format!("-{letter}, ")).unwrap_or_default();
        let see = format!("See '{} --help'", self.path);
        Some(format!("invalid argument {value:?} for \"{short}{flag}\" flag: {source}\n{see}"))
    }

    /// Too few words, or too many.
    fn of_count(&self) -> Option<String> {
        let mut least = 0;
        let mut most = Some(0_usize);
        for arg in self.positionals() {
            let range = arg.get_num_args().unwrap_or_else(|| 1.into());
            let is_open = matches!(arg.get_action(), ArgAction::Append) || range.max_values() > 1;
            if arg.is_required_set() {
                least += range.min_values().max(1);
            }
            most = most.filter(|_| !is_open).map(|most| most + 1);
        }
        let (path, words) = (&self.path, self.words);
        if words >= least && most.is_none_or(|most| words <= most) {
            return None;
        }
        Some(match (least, most) {
            (_, Some(0)) => format!("`{path}` takes no arguments"),
            (least, None) => format!("requires at least {least} arg(s), only received {words}"),
            (least, Some(most)) if least == most => {
                format!("accepts {least} arg(s), received {words}")
            }
            (0, Some(most)) => format!("accepts at most {most} arg(s), received {words}"),
            (least, Some(most)) => {
                format!("accepts between {least} and {most} arg(s), received {words}")
            }
        })
    }
}

/// What clap says.
fn rendered(error: &clap::Error) -> String {
    let text = error.render().to_string();
    text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;
    use clap::{Args, Subcommand};

    #[derive(Debug, Parser)]
    #[command(name = "tool")]
    struct Line {
        #[arg(long, global = true)]
        root: Option<String>,
        #[command(subcommand)]
        verb: Verb,
    }

    #[derive(Debug, Subcommand)]
    enum Verb {
        #[command(subcommand)]
        Image(OfImage),
        Bare,
    }

    #[derive(Debug, Subcommand)]
    enum OfImage {
        One(One),
        Tag(Tag),
        List(List),
    }

    #[derive(Args, Debug)]
    struct One {
        image: String,
    }

    #[derive(Args, Debug)]
    struct Tag {
        image: String,
        #[arg(required = true)]
        names: Vec<String>,
    }

    #[derive(Args, Debug)]
    struct List {
        image: Option<String>,
        #[arg(short, long)]
        all: bool,
        #[arg(short, long)]
        quiet: bool,
        #[arg(short, long)]
        filter: Vec<String>,
    }

    fn said(line: &str) -> String {
        let words: Vec<OsString> = line.split(' ').skip(1).map(OsString::from).collect();
        let mut command = Line::command();
        command.build();
        let error = match Line::try_parse_from(line.split(' ')) {
            Err(error) if has_truth(&error) => {
                let parsed = spelled_out(Line::command()).try_get_matches_from(line.split(' '));
                parsed.expect_err("it is wrong")
            }
            parsed => parsed.expect_err("it is wrong"),
        };
        Place::of(&command, &words).message(&error)
    }

    #[test]
    fn what_is_wrong_is_said_in_podman_s_words() {
        let check = |line: &str, expected: &str| assert_eq!(said(line), expected, "{line}");
        check("tool image one", "accepts 1 arg(s), received 0");
        check("tool --root x image one a b", "accepts 1 arg(s), received 2");
        check("tool image tag a", "requires at least 2 arg(s), only received 1");
        check("tool image list a -f x b", "accepts at most 1 arg(s), received 2");
        check("tool bare x", "`tool bare` takes no arguments");
        check(
            "tool image list --filter",
            "flag needs an argument: --filter\nSee 'tool image list --help'",
        );
        check(
            "tool image list -f",
            "flag needs an argument: 'f' in -f\nSee 'tool image list --help'",
        );
        check(
            "tool image list --help=x",
            "invalid argument \"x\" for \"--help\" flag: strconv.ParseBool: parsing \"x\": invalid syntax\nSee 'tool image list --help'",
        );
        check("tool image list --nope", "unknown flag: --nope\nSee 'tool image list --help'");
        check("tool bare -z", "unknown shorthand flag: 'z' in -z\nSee 'tool bare --help'");
        check(
            "tool image nope",
            "unrecognized command `tool image nope`\nTry 'tool image --help' for more information",
        );
        check(
            "tool image list --all=maybe",
            "invalid argument \"maybe\" for \"-a, --all\" flag: strconv.ParseBool: parsing \"maybe\": \
             invalid syntax\nSee 'tool image list --help'",
        );
    }

    #[test]
    fn help_may_be_said_not_to_be_wanted() {
        let check = |line: &str, expected: &str| {
            let words = without_help_as_value(line.split(' ').map(OsString::from));
            assert_eq!(words.join(OsStr::new(" ")), expected, "{line}");
        };
        check("tool bare --help=false", "tool bare");
        check("tool --help=T bare", "tool --help bare");
        check("tool bare --help=maybe", "tool bare --help=maybe");
        check("tool run -- --help=false", "tool run -- --help=false");
    }

    #[test]
    fn what_is_there_or_not_may_be_said_to_be_so() {
        let all = |line: &str| {
            let line_has_quiet = line.contains("-q") || line.contains("-aq");
            let matches = spelled_out(Line::command()).try_get_matches_from(line.split(' '));
            let matches = matches.expect("it is right");
            let line = <Line as clap::FromArgMatches>::from_arg_matches(&matches);
            match line.expect("it is right").verb {
                Verb::Image(OfImage::List(list)) => {
                    assert_eq!(list.quiet, line_has_quiet, "{list:?}");
                    list.all
                }
                _ => panic!("that is a list"),
            }
        };
        assert!(all("tool image list --all"));
        assert!(all("tool image list -a x"));
        assert!(all("tool image list --all=T"));
        assert!(!all("tool image list --all=false"));
        assert!(!all("tool image list"));
        assert!(!all("tool image list -a=false"));
        assert!(!all("tool image list -qa=false x"));
        assert!(all("tool image list -aq"));
        assert!(all("tool image list -aq=1"));
        for line in
            ["tool image list -a=false", "tool image list -qa=false", "tool image list --all=T"]
        {
            let error = Line::try_parse_from(line.split(' ')).expect_err("it is spelled out");
            assert!(has_truth(&error), "{line}: {error}");
        }
        let error = Line::try_parse_from(["tool", "bare", "-z=1"]).expect_err("there is none");
        assert!(!has_truth(&error));
    }
}
