//! The functions of templates: their names, what they take, and which code runs.

use super::{compare, escape, index, strings};
use crate::go::{Sink, print, print_line, sprintf};
use crate::value::{JsonStyle, Repr, Value, push_json};

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    Any,
    Text,
    Int,
    TextList,
}

impl Parameter {
    /// Go's name of the type.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Any => "reflect.Value",
            Self::Text => "string",
            Self::Int => "int",
            Self::TextList => "[]string",
        }
    }

    /// Whether a value may be passed. Integers of either sign will do where Go wants the one type.
    pub(super) fn takes(self, value: &Value) -> bool {
        match (self, &value.0) {
            (Self::Any, _)
            | (Self::Text, Repr::Text(_))
            | (Self::Int, Repr::Int(_) | Repr::Uint(_))
            | (Self::TextList, Repr::NilList) => true,
            (Self::TextList, Repr::List(items)) => {
                items.iter().all(|item| matches!(item.0, Repr::Text(_)))
            }
            _ => false,
        }
    }
}

/// What goes wrong in a call.
pub(super) enum CallError {
    /// Go's message.
    Message(String),
    /// The result would be longer than allowed.
    TooLong,
}

impl From<String> for CallError {
    fn from(message: String) -> Self {
        Self::Message(message)
    }
}

macro_rules! functions {
    ($($variant:ident $name:literal ($($fixed:ident),*) $(... $rest:ident)?;)*) => {
        /// A function that templates can call.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Function { $($variant),* }

        impl Function {
            pub(super) fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The parameters that must be there, and the kind of any further ones.
            pub(super) fn parameters(self) -> (&'static [Parameter], Option<Parameter>) {
                match self {
                    $(Self::$variant => (
                        &[$(Parameter::$fixed),*],
                        functions!(@rest $($rest)?),
                    ),)*
                }
            }
        }
    };
    (@rest $rest:ident) => { Some(Parameter::$rest) };
    (@rest) => { None };
}

functions! {
    And "and" (Any) ... Any;
    Or "or" (Any) ... Any;
    Not "not" (Any);
    Eq "eq" (Any) ... Any;
    Ne "ne" (Any, Any);
    Lt "lt" (Any, Any);
    Le "le" (Any, Any);
    Gt "gt" (Any, Any);
    Ge "ge" (Any, Any);
    Len "len" (Any);
    Index "index" (Any) ... Any;
    Slice "slice" (Any) ... Any;
    Print "print" () ... Any;
    Printf "printf" (Text) ... Any;
    Println "println" () ... Any;
    Html "html" () ... Any;
    Js "js" () ... Any;
    UrlQuery "urlquery" () ... Any;
    Join "join" (TextList, Text);
    Json "json" (Any);
    Lower "lower" (Text);
    Pad "pad" (Text, Int, Int);
    Split "split" (Text, Text);
    Title "title" (Text);
    Truncate "truncate" (Text, Int);
    Upper "upper" (Text);
}

impl Function {
    /// Runs the function on arguments that fit its parameters; text may get `limit` bytes long.
    pub(super) fn call(self, arguments: &[Value], limit: usize) -> Result<Value, CallError> {
        let boolean = |truth: bool| Ok(Value(Repr::Bool(truth)));
        let built = |build: &dyn Fn(&mut Sink)| {
            let mut sink = Sink::with_limit(limit);
            build(&mut sink);
            if sink.overflowed() {
                return Err(CallError::TooLong);
            }
            Ok(Value::text(sink.into_bytes()))
        };
        match (self, arguments) {
            (Self::Not, [value]) => boolean(!value.is_true()),
            (Self::Eq, [first, others @ ..]) => boolean(compare::equal(first, others)?),
            (Self::Ne, [left, right]) => {
                boolean(!compare::equal(left, std::slice::from_ref(right))?)
            }
            (Self::Lt, [left, right]) => boolean(compare::less(left, right)?),
            (Self::Le, [left, right]) => boolean(compare::less_or_equal(left, right)?),
            (Self::Gt, [left, right]) => boolean(!compare::less_or_equal(left, right)?),
            (Self::Ge, [left, right]) => boolean(!compare::less(left, right)?),
            (Self::Len, [value]) => Ok(index::length(value)?),
            (Self::Index, [value, keys @ ..]) => Ok(index::index(value, keys)?),
            (Self::Slice, [value, bounds @ ..]) => Ok(index::slice(value, bounds)?),
            (Self::Print, values) => built(&|sink| print(sink, values)),
            (Self::Println, values) => built(&|sink| print_line(sink, values)),
            (Self::Printf, [Value(Repr::Text(format)), values @ ..]) => {
                built(&|sink| sprintf(sink, format, values))
            }
            (Self::Html, values) => built(&|sink| escape::html(sink, &printed(values, limit))),
            (Self::Js, values) => built(&|sink| escape::javascript(sink, &printed(values, limit))),
            (Self::UrlQuery, values) => {
                built(&|sink| escape::url_query(sink, &printed(values, limit)))
            }
            (Self::Json, [value]) => {
                let style = JsonStyle::compact().without_html_escapes();
                built(&|sink| push_json(sink, value, style))
            }
            _ => strings::call(self, arguments, limit),
        }
    }
}

/// The arguments of an escaping function as one text; one byte too many tells that it was cut.
fn printed(values: &[Value], limit: usize) -> Vec<u8> {
    let values: Vec<Value> = values.iter().map(as_printed).collect();
    let mut sink = Sink::with_limit(limit);
    print(&mut sink, &values);
    if sink.overflowed() { vec![b' '; limit.saturating_add(1)] } else { sink.into_bytes() }
}

/// An absent value is shown as a template would show it.
fn as_printed(value: &Value) -> Value {
    match value.0 {
        Repr::NoValue => Value::string("<no value>"),
        _ => value.clone(),
    }
}
