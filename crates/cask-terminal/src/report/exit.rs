//! Exit codes.

/// How a program ends.
///
/// | code | meaning | who |
/// |---|---|---|
/// | 0 | success; a reader that closed the pipe early counts as that | all |
/// | 1 | any error | all |
/// | 2 | an image, manifest or name was not found | `dray` |
/// | 125 | the engine itself failed | `cellar` |
/// | 126 | the container's command cannot be invoked | `cellar` |
/// | 127 | the container's command cannot be found | `cellar` |
///
/// Everything else that an engine exits with is the exit code of the contained command.
///
/// Source: skopeo, podman-run(1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// 0
    Success,
    /// 1
    Failure,
    /// 2
    NotFound,
    /// 125
    EngineFailure,
    /// 126
    CannotInvoke,
    /// 127
    CommandNotFound,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::NotFound => 2,
            Self::EngineFailure => 125,
            Self::CannotInvoke => 126,
            Self::CommandNotFound => 127,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn codes_are_those_of_the_table() {
        let all = [
            Exit::Success,
            Exit::Failure,
            Exit::NotFound,
            Exit::EngineFailure,
            Exit::CannotInvoke,
            Exit::CommandNotFound,
        ];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 125, 126, 127]);
    }
}
