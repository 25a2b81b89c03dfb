//! The values of `--progress`.

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Bars on a terminal, plain lines elsewhere.
    #[default]
    Auto,
    /// A line now and then.
    Plain,
    /// A JSON object for each event.
    Json,
    /// Not at all; log lines still appear.
    None,
}

impl std::str::FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        match text {
            "auto" => Ok(Self::Auto),
            "plain" => Ok(Self::Plain),
            "json" => Ok(Self::Json),
            "none" => Ok(Self::None),
            _ => Err(UnknownMode(text.to_owned())),
        }
    }
}

/// A text that is no [`Mode`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownMode(
    /// The text.
    pub String,
);

impl std::fmt::Display for UnknownMode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "unknown progress mode {}: choose from auto, plain, json, none",
            crate::go::quote_text(&self.0)
        )
    }
}

impl std::error::Error for UnknownMode {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_named_in_small_letters() {
        assert_eq!("json".parse(), Ok(Mode::Json));
        let error = "JSON".parse::<Mode>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"unknown progress mode "JSON": choose from auto, plain, json, none"#
        );
    }
}
