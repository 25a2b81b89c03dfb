//! Whose Containerfiles these are.

/// Whose reading of the language is meant, where BuildKit and Buildah give different results.
///
/// Only what changes a result is here; an error of one that the other does not have is no reason
/// to refuse a file. [`Behavior`] has every difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// Our own: BuildKit's, which is the living language, but for what can be wanted only by accident
    /// there, privileges that nobody asked for, and what else Buildah and Docker's first builder agree on.
    #[default]
    Cask,
    /// BuildKit's in everything.
    BuildKit,
    /// Buildah's and Podman's: that of the library `imagebuilder`.
    Buildah,
}

macro_rules! behaviors {
    ($($name:ident $summary:literal $buildkit:literal $buildah:literal $cask:literal,)*) => {
        /// Something that BuildKit and Buildah do differently, as a statement that is true of one
        /// of them.
        ///
        /// What this crate itself does follows the dialect that it is given; the rest is for the
        /// builder to ask. The last three are about errors: a file that one of them refuses is built.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Behavior {
            $(#[doc = $summary] $name,)*
        }

        impl Behavior {
            /// Every difference.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The statement.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self {
                    $(Self::$name => $summary,)*
                }
            }

            /// Whether it is true of BuildKit, of Buildah, and of our own dialect.
            #[must_use]
            pub const fn columns(self) -> (bool, bool, bool) {
                match self {
                    $(Self::$name => ($buildkit, $buildah, $cask),)*
                }
            }
        }
    };
}

behaviors! {
    RequiredVariableFails "`${v:?w}` is an error if `v` is unset or empty, rather than `w`." true false true,
    PatternsCrossSlashes "`*` in `${v#p}`, `${v%p}` and `${v/p/w}` matches `/`." true false true,
    ReplacementHasAnchors "`${v/#p/w}` and `${v/%p/w}` replace at the beginning and at the end." false true false,
    LaterOfArgAndEnvWins "Of ARG and ENV with one name the later one counts, rather than ENV." true false true,
    ArgumentsAreInherited "A stage that begins with another has its arguments." true false true,
    EnvKeepsItsPlace "A variable of the base that ENV sets keeps its place in the config, rather than being last." true false true,
    ExposeExpandsRanges "EXPOSE of a range is each of its ports in the config, rather than the range." true false true,
    ShellAppliesToCmd "SHELL is put before the shell form of CMD and ENTRYPOINT, rather than `/bin/sh -c`." true false true,
    JsonMayHaveTrailingText "Text behind the `]` of a JSON array is left out, rather than making it shell text." false true false,
    DoubledEscapeContinues "Two escape characters at the end of a line continue it." false true false,
    StageNamesFoldCase "Names of stages are compared in lower case." true false true,
    CopyFromExpands "Variables in `COPY --from` are replaced." false true true,
    PatternsCrossDirectories "`**` in a source of COPY is any number of directories, rather than `*`." false true true,
    GlobMayMatchNothing "A wildcard of COPY that matches nothing is no error." true false false,
    ExceptionsMayBeginWithPatterns "An exception of an ignore file that begins with a pattern holds below an ignored directory." true false false,
    IgnoredDirectoriesKeepTheirMode "An ignored directory in which something is not keeps its mode and time, rather than being made anew." true false true,
    ChownAppliesToArchives "`--chown` applies to what ADD takes from an archive." true false true,
    StripsSetuidFromContext "COPY removes the setuid and setgid bits of files of the context." false true true,
    DanglingDestinationIsFollowed "COPY to a dangling link writes what it points to, rather than a directory." true false true,
    DestinationLinkIsFollowed "COPY to a link to a file writes the file that it leads to, rather than replacing the link." true false true,
    FileReplacesDirectory "COPY of a file replaces a directory of that name." false true false,
    VolumeMakesDirectory "VOLUME makes its directories in the image." false true true,
    WorkdirMakesLayer "WORKDIR is a layer of its own." true false true,
    OciKeepsDockerFields "HEALTHCHECK, SHELL and ONBUILD are written to OCI images." true false true,
    LayersByDefault "Every instruction that changes files is a layer, rather than all of them one." true false true,
    HistoryHasMarker "The history names an instruction as it is, rather than behind `/bin/sh -c #(nop)`." true false true,
    RetriesMayBeZero "HEALTHCHECK takes 0 retries." true false true,
    ChmodMayBeSymbolic "`--chmod` takes modes as `u=rwX`." true false true,
    CacheMayBePrivate "A cache mount takes `sharing=private`." true false true,
}

impl Dialect {
    /// Whether this dialect does something.
    #[must_use]
    pub const fn does(self, behavior: Behavior) -> bool {
        let (buildkit, buildah, cask) = behavior.columns();
        match self {
            Self::Cask => cask,
            Self::BuildKit => buildkit,
            Self::Buildah => buildah,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::{
        BuildArguments, ExpandOptions, GlobalScope, PlatformArguments, StageScope, Variables,
        expand,
    };
    use crate::parse::{ParseOptions, parse_with};
    use crate::statement::Arguments;

    const DIALECTS: [Dialect; 2] = [Dialect::BuildKit, Dialect::Buildah];

    #[test]
    fn the_two_differ_in_everything_that_is_listed() {
        for behavior in Behavior::ALL {
            let (buildkit, buildah, cask) = behavior.columns();
            assert_ne!(buildkit, buildah, "{behavior:?}");
            let each = [Dialect::BuildKit, Dialect::Buildah, Dialect::default()];
            assert_eq!(each.map(|dialect| dialect.does(*behavior)), [buildkit, buildah, cask]);
            let is_exception = matches!(
                behavior,
                Behavior::CopyFromExpands
                    | Behavior::PatternsCrossDirectories
                    | Behavior::GlobMayMatchNothing
                    | Behavior::ExceptionsMayBeginWithPatterns
                    | Behavior::StripsSetuidFromContext
                    | Behavior::VolumeMakesDirectory
            );
            assert_eq!(cask != buildkit, is_exception, "{behavior:?}");
        }
        assert_eq!(Behavior::ALL.len(), 29);
    }

    /// Word, then what each makes of it; `None` for an error.
    #[test]
    fn words_differ() {
        fn check(word: &str, expected: [Option<&str>; 2]) {
            let variables = [("v", "a/b/c.x"), ("empty", "")];
            let found = DIALECTS.map(|dialect| {
                let options = ExpandOptions { dialect, ..ExpandOptions::default() };
                expand(word, &variables[..], &options).ok().map(|expansion| expansion.text)
            });
            assert_eq!(found.each_ref().map(Option::as_deref), expected, "{word}");
        }
        check("${v}", [Some("a/b/c.x"); 2]);
        check("${none:?text}", [None, Some("text")]);
        check("${empty:?text}", [None, Some("text")]);
        check("${v:?text}", [Some("a/b/c.x"); 2]);
        check("${none-w}", [Some("w"), None]);
        check("${v##*/}", [Some("c.x"), Some("b/c.x")]);
        check("${v%%/*}", [Some("a"), Some("a/b")]);
        check("${v%.*}", [Some("a/b/c"); 2]);
        check("${v#}", [Some("a/b/c.x"), None]);
        check("${v/#a/z}", [Some("a/b/c.x"), Some("z/b/c.x")]);
        check("${v/%x/z}", [Some("a/b/c.x"), Some("a/b/c.z")]);
        check("${v/b}", [None, Some("a//c.x")]);
        check("${v//?/z}", [Some("zzzzzzz"), Some("z/z/zzz")]);
        check("${}", [None, Some("")]);
    }

    #[test]
    fn lines_differ() {
        fn check(source: &str, expected: [(usize, bool); 2]) {
            let found = DIALECTS.map(|dialect| {
                let options = ParseOptions { dialect, ..ParseOptions::default() };
                let parsed = parse_with(source, &options);
                let last = parsed.tree.statements().last().unwrap();
                (parsed.tree.statements().count(), matches!(last.arguments, Arguments::Json(_)))
            });
            assert_eq!(found, expected, "{source:?}");
        }
        check("FROM a\nRUN b \\\\\nUSER c\n", [(3, false), (2, false)]);
        check("FROM a\nCMD [\"b\"] c\n", [(2, false), (2, true)]);
    }

    #[test]
    fn scopes_differ() {
        let found = DIALECTS.map(|dialect| {
            let platforms = PlatformArguments::new("linux/amd64", "linux/amd64", "default");
            let global = GlobalScope::new(&platforms, BuildArguments::new());
            let options = ExpandOptions { dialect, ..ExpandOptions::default() };
            let mut stage = StageScope::new(&[("A".to_owned(), "env".to_owned())], dialect);
            stage.declare("A", Some("arg"), &global, &options).unwrap();
            stage.declare("B", Some("b"), &global, &options).unwrap();
            let next = StageScope::inherit(&stage);
            let text = |scope: &StageScope, name| scope.value(name).map(str::to_owned);
            (text(&stage, "A"), text(&next, "B"))
        });
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(found, [(text("arg"), text("b")), (text("env"), None)]);
    }
}
