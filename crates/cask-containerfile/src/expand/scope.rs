//! What ARG and ENV define, and where.

use std::collections::{BTreeMap, BTreeSet};

use super::{ExpandError, ExpandOptions, Variables, expand};
use crate::dialect::{Behavior, Dialect};
use crate::stages::Stages;
use crate::statement::Word;

/// The arguments of the caller, `--build-arg`: they replace the defaults of the file.
pub type BuildArguments = BTreeMap<String, String>;

/// Arguments that need no declaration to be in the environment of RUN.
const PROXIES: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/// Whether an argument is predefined: a proxy, in upper or lower case.
///
/// It needs no declaration, and is neither in the history nor in the cache key of a step unless
/// it is declared.
#[must_use]
pub fn is_predefined(name: &str) -> bool {
    PROXIES.iter().any(|proxy| *proxy == name || proxy.to_lowercase() == name)
}

/// The platform arguments: they exist in the global scope, and in a stage that declares them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlatformArguments(BTreeMap<String, String>);

impl PlatformArguments {
    /// The names, in alphabetical order.
    pub const NAMES: [&'static str; 9] = [
        "BUILDARCH",
        "BUILDOS",
        "BUILDPLATFORM",
        "BUILDVARIANT",
        "TARGETARCH",
        "TARGETOS",
        "TARGETPLATFORM",
        "TARGETSTAGE",
        "TARGETVARIANT",
    ];

    /// Makes the arguments of two platforms, each as `os/architecture` or
    /// `os/architecture/variant`, and of the stage that is built (`default` where the caller
    /// names none).
    #[must_use]
    pub fn new(build: &str, target: &str, target_stage: &str) -> Self {
        let mut all = BTreeMap::new();
        for (prefix, platform) in [("BUILD", build), ("TARGET", target)] {
            let mut parts = platform.splitn(3, '/');
            all.insert(format!("{prefix}PLATFORM"), platform.to_owned());
            for part in ["OS", "ARCH", "VARIANT"] {
                let value = parts.next().unwrap_or_default().to_owned();
                all.insert(format!("{prefix}{part}"), value);
            }
        }
        all.insert("TARGETSTAGE".to_owned(), target_stage.to_owned());
        Self(all)
    }
}

/// The scope before the first FROM: FROM lines see it, and nothing else does.
#[derive(Clone, Debug)]
pub struct GlobalScope {
    values: BTreeMap<String, String>,
    declared: BTreeSet<String>,
    arguments: BuildArguments,
}

impl GlobalScope {
    /// Makes the scope with the platform arguments in it; `arguments` replace defaults, also
    /// those of the stages, and the platform's.
    #[must_use]
    pub fn new(platforms: &PlatformArguments, arguments: BuildArguments) -> Self {
        let mut values = platforms.0.clone();
        for (name, value) in &mut values {
            if let Some(given) = arguments.get(name) {
                value.clone_from(given);
            }
        }
        Self { values, declared: BTreeSet::new(), arguments }
    }

    /// The scope at the first FROM of a file. A default that cannot be expanded is left out: this
    /// is for tools that look at files; a builder declares one by one, and tells.
    #[must_use]
    pub fn of_stages(
        stages: &Stages<'_>,
        platforms: &PlatformArguments,
        arguments: BuildArguments,
        options: &ExpandOptions,
    ) -> Self {
        let mut scope = Self::new(platforms, arguments);
        for item in stages.globals.iter().flat_map(|(_, arg)| &arg.items) {
            let default = item.default.as_ref().map(Word::as_str);
            if scope.declare(&item.name.text, default, options).is_err() {
                // Without a default, there is nothing to expand.
                let _ = scope.declare(&item.name.text, None, options);
            }
        }
        scope
    }

    /// Takes an ARG before the first FROM: a name and its default, as they are in the file.
    ///
    /// # Errors
    ///
    /// The default cannot be expanded. It is not looked at where the caller gives a value.
    pub fn declare(
        &mut self,
        name: &str,
        default: Option<&str>,
        options: &ExpandOptions,
    ) -> Result<(), ExpandError> {
        let given = self.arguments.get(name).cloned();
        let value = match (given, default) {
            (Some(value), _) => Some(value),
            (None, Some(default)) => Some(expand(default, &*self, options)?.text),
            (None, None) => None,
        };
        if let Some(value) = value {
            self.values.insert(name.to_owned(), value);
        }
        self.declared.insert(name.to_owned());
        Ok(())
    }

    /// The names of the ARGs before the first FROM.
    #[must_use]
    pub fn declared(&self) -> &BTreeSet<String> {
        &self.declared
    }
}

impl Variables for GlobalScope {
    fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

/// The scope of a stage, as it is before an instruction.
///
/// All words of one instruction see the environment from before it: expand them all, then call
/// [`set_environment`](Self::set_environment).
#[derive(Clone, Debug)]
pub struct StageScope {
    dialect: Dialect,
    environment: Vec<(String, String)>,
    /// Where a name is in the environment.
    places: BTreeMap<String, usize>,
    /// In the order of their first declarations.
    arguments: Vec<(String, Option<String>)>,
    visible: BTreeMap<String, String>,
}

impl StageScope {
    /// The scope of a stage that begins with an image that has this environment.
    #[must_use]
    pub fn new(environment: &[(String, String)], dialect: Dialect) -> Self {
        let mut scope = Self {
            dialect,
            environment: Vec::new(),
            places: BTreeMap::new(),
            arguments: Vec::new(),
            visible: BTreeMap::new(),
        };
        for (name, value) in environment {
            scope.set_environment(name, value);
        }
        scope
    }

    /// The scope of a stage that begins with another stage, which has this scope at its end: its
    /// arguments are inherited with its environment.
    ///
    /// In Buildah's dialect, the environment alone.
    #[must_use]
    pub fn inherit(base: &Self) -> Self {
        match base.dialect.does(Behavior::ArgumentsAreInherited) {
            true => base.clone(),
            false => Self::new(&base.environment, base.dialect),
        }
    }

    /// Takes an ARG: the caller's value, else the default, else the value of the global argument.
    ///
    /// An argument with none of them stays as it is, and counts as declared.
    ///
    /// # Errors
    ///
    /// The default cannot be expanded.
    pub fn declare(
        &mut self,
        name: &str,
        default: Option<&str>,
        global: &GlobalScope,
        options: &ExpandOptions,
    ) -> Result<(), ExpandError> {
        let value = match (global.arguments.get(name), default) {
            (Some(given), _) => Some(given.clone()),
            (None, Some(default)) => Some(expand(default, &*self, options)?.text),
            (None, None) => global.value(name).map(str::to_owned),
        };
        if let Some(value) = &value {
            let is_environment = self.places.contains_key(name);
            if self.dialect.does(Behavior::LaterOfArgAndEnvWins) || !is_environment {
                self.visible.insert(name.to_owned(), value.clone());
            }
        }
        match self.arguments.iter_mut().find(|(own, _)| own == name) {
            Some((_, old)) => *old = value,
            None => self.arguments.push((name.to_owned(), value)),
        }
        Ok(())
    }

    /// Takes a pair of ENV, whose value is expanded already.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        match self.places.get(name) {
            Some(place) => value.clone_into(&mut self.environment[*place].1),
            None => {
                self.places.insert(name.to_owned(), self.environment.len());
                self.environment.push((name.to_owned(), value.to_owned()));
            }
        }
        self.visible.insert(name.to_owned(), value.to_owned());
    }

    /// The environment of the image, in the order of the first definitions.
    #[must_use]
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// The arguments that are declared, in the order of their first declarations, and their values.
    pub fn arguments(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.arguments.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// Whether an argument is declared, with a value or without.
    #[must_use]
    pub fn declares(&self, name: &str) -> bool {
        self.arguments.iter().any(|(own, _)| own == name)
    }

    /// What a RUN sees, ENV and ARG together, in alphabetical order.
    pub fn visible(&self) -> impl Iterator<Item = (&str, &str)> {
        self.visible.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl Variables for StageScope {
    fn value(&self, name: &str) -> Option<&str> {
        self.visible.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> ExpandOptions {
        ExpandOptions::default()
    }

    fn global(arguments: &[(&str, &str)]) -> GlobalScope {
        let platforms = PlatformArguments::new("linux/amd64", "linux/arm/v7", "default");
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        GlobalScope::new(&platforms, arguments.iter().map(own).collect())
    }

    #[test]
    fn platform_arguments_are_global_and_need_a_declaration_in_a_stage() {
        let global = global(&[]);
        assert_eq!(global.value("TARGETARCH"), Some("arm"));
        assert_eq!(global.value("TARGETVARIANT"), Some("v7"));
        assert_eq!(global.value("BUILDVARIANT"), Some(""));
        let mut stage = StageScope::new(&[], Dialect::BuildKit);
        assert_eq!(stage.value("TARGETARCH"), None);
        stage.declare("TARGETARCH", None, &global, &options()).unwrap();
        assert_eq!(stage.value("TARGETARCH"), Some("arm"));
    }

    #[test]
    fn the_caller_replaces_defaults() {
        let mut global = global(&[("A", "given")]);
        global.declare("A", Some("default"), &options()).unwrap();
        global.declare("B", Some("$A-b"), &options()).unwrap();
        assert_eq!((global.value("A"), global.value("B")), (Some("given"), Some("given-b")));
        let mut stage = StageScope::new(&[], Dialect::BuildKit);
        stage.declare("A", Some("other"), &global, &options()).unwrap();
        stage.declare("B", Some("own"), &global, &options()).unwrap();
        stage.declare("C", None, &global, &options()).unwrap();
        assert_eq!((stage.value("A"), stage.value("B")), (Some("given"), Some("own")));
        assert_eq!(stage.value("C"), None);
        // The first declaration has the place, the last one the value.
        stage.declare("A", Some("last"), &self::global(&[]), &options()).unwrap();
        let arguments: Vec<_> = stage.arguments().collect();
        assert_eq!(arguments, [("A", Some("last")), ("B", Some("own")), ("C", None)]);
        assert!(stage.declares("C") && !stage.declares("D"));
    }

    #[test]
    fn the_later_wins_in_one_dialect_and_env_in_the_other() {
        fn check(dialect: Dialect, expected: &str) {
            let mut stage = StageScope::new(&[("A".to_owned(), "env".to_owned())], dialect);
            stage.declare("A", Some("arg"), &global(&[]), &options()).unwrap();
            assert_eq!(stage.value("A"), Some(expected), "{dialect:?}");
            stage.set_environment("A", "later");
            assert_eq!(stage.value("A"), Some("later"));
        }
        check(Dialect::BuildKit, "arg");
        check(Dialect::Buildah, "env");
    }

    #[test]
    fn proxies_are_predefined_in_both_cases() {
        assert!(is_predefined("http_proxy") && is_predefined("NO_PROXY"));
        assert!(!is_predefined("Http_Proxy") && !is_predefined("PATH"));
    }
}
