//! The rules by name.

use std::fmt;
use std::str::FromStr;

use crate::suggest::{did_you_mean, nearest};

macro_rules! rules {
    ($($name:ident $summary:literal,)*) => {
        /// A lint.
        ///
        /// The first 22 are BuildKit's, under its names; the others are ours.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = $summary] $name,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name, as it is written in `# check=skip=…`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// One line on what the rule wants.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self {
                    $(Self::$name => $summary,)*
                }
            }

            /// The page of text about the rule: what it finds, why, and what to do, with examples.
            #[must_use]
            pub const fn explain(self) -> &'static str {
                match self {
                    $(Self::$name => include_str!(concat!("pages/", stringify!($name), ".md")),)*
                }
            }
        }
    };
}

rules! {
    StageNameCasing "Stage names should be lowercase.",
    FromAsCasing "The 'as' keyword should match the case of the 'from' keyword.",
    NoEmptyContinuation "Empty continuation lines will become errors in a future release.",
    ConsistentInstructionCasing "All commands should use the same casing, either upper or lower.",
    DuplicateStageName "Stage names should be unique.",
    ReservedStageName "Reserved words should not be used as stage names.",
    JSONArgsRecommended "JSON arguments are recommended for ENTRYPOINT and CMD, because of signals.",
    MaintainerDeprecated "MAINTAINER is deprecated: a label defines the author of an image.",
    UndefinedArgInFrom "FROM must use declared ARGs.",
    WorkdirRelativePath "A relative WORKDIR without an absolute one before it depends on the base image.",
    UndefinedVar "Variables should be defined before their use.",
    MultipleInstructionsDisallowed "Of several CMD, ENTRYPOINT or HEALTHCHECK in a stage, only the last one counts.",
    LegacyKeyValueFormat "ENV and LABEL should be written with `=`, not with a blank.",
    InvalidBaseImagePlatform "The platform of a base image should be the one that is built for.",
    RedundantTargetPlatform "FROM --platform=$TARGETPLATFORM is what FROM does anyway.",
    SecretsUsedInArgOrEnv "Sensitive data should not be used in ARG or ENV.",
    InvalidDefaultArgInFrom "The defaults of global ARGs should make valid names of base images.",
    FromPlatformFlagConstDisallowed "FROM --platform should not have a constant value.",
    CopyIgnoredFile "A file that is copied should not be one that the ignore file excludes.",
    InvalidDefinitionDescription "A comment above a stage or an argument should begin with its name.",
    ExposeProtoCasing "The protocol in EXPOSE should be lowercase.",
    ExposeInvalidFormat "EXPOSE should not have an address or a port of the host.",
    JsonLooksWrong "Arguments that look like a JSON array should be one.",
    ImplicitDirectoryDest "The destination of several sources should end with a slash.",
    ChmodStripsDirX "A mode without x makes copied directories inaccessible.",
    TagNotPinned "A base image should be named with a tag other than latest, or with a digest.",
    AddRemoteWithoutChecksum "What ADD fetches should be checked with --checksum.",
    CopyBeforeInstall "Packages should be installed before the whole context is copied.",
    ArgInvalidatesBelow "An ARG above a RUN that does not need it makes that RUN run again.",
    SecretCopiedIntoLayer "Private keys and credentials should not be copied into a layer.",
}

/// A name that no rule has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownRule {
    name: String,
}

impl fmt::Display for UnknownRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let near = nearest(&self.name, Rule::ALL.iter().map(|rule| rule.name()), true);
        write!(f, "there is no rule {:?}{}", self.name, did_you_mean(near))
    }
}

impl std::error::Error for UnknownRule {}

/// Takes names in upper or lower case, as [`Rule::from_name`].
impl FromStr for Rule {
    type Err = UnknownRule;

    fn from_str(name: &str) -> Result<Self, UnknownRule> {
        Self::from_name(name).ok_or_else(|| UnknownRule { name: name.to_owned() })
    }
}

impl Rule {
    /// The rule of this name, in upper or lower case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.name().eq_ignore_ascii_case(name))
    }

    /// Whether it is one of BuildKit's.
    #[must_use]
    pub const fn is_buildkit(self) -> bool {
        (self as usize) < Self::JsonLooksWrong as usize
    }

    /// Whether it is silent unless it is asked for.
    #[must_use]
    pub const fn is_experimental(self) -> bool {
        matches!(self, Self::InvalidDefinitionDescription)
    }

    /// Where BuildKit describes it; `None` for ours, and where it has no page.
    #[must_use]
    pub fn url(self) -> Option<String> {
        if !self.is_buildkit() || self == Self::InvalidBaseImagePlatform {
            return None;
        }
        let mut path = String::new();
        let name =
            if self == Self::JSONArgsRecommended { "JsonArgsRecommended" } else { self.name() };
        for c in name.chars() {
            if c.is_ascii_uppercase() && !path.is_empty() {
                path.push('-');
            }
            path.push(c.to_ascii_lowercase());
        }
        Some(format!("https://docs.docker.com/go/dockerfile/rule/{path}/"))
    }
}
