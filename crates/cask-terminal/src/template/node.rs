//! The parsed template. `Display` gives the text that Go's errors quote.

use std::fmt::{self, Display, Formatter};

use super::functions::Function;
use crate::go::quote_text;

/// Nodes one after the other.
pub(super) type List = Vec<Node>;

#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template(Call),
    Break,
    Continue,
}

/// The common shape of `if`, `with` and `range`.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) pipe: Pipe,
    pub(super) list: List,
    pub(super) else_list: Option<List>,
}

/// `{{template "name" pipeline}}`
#[derive(Debug)]
pub(super) struct Call {
    pub(super) position: usize,
    pub(super) name: String,
    pub(super) pipe: Option<Pipe>,
}

#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) position: usize,
    /// The variables are assigned, not declared.
    pub(super) assigns: bool,
    pub(super) variables: Vec<String>,
    pub(super) commands: Vec<Command>,
}

#[derive(Debug)]
pub(super) struct Command {
    pub(super) position: usize,
    pub(super) arguments: Vec<Operand>,
}

#[derive(Debug)]
pub(super) struct Operand {
    pub(super) position: usize,
    pub(super) term: Term,
}

#[derive(Debug)]
pub(super) enum Term {
    Bool(bool),
    Dot,
    Nil,
    Number(Number),
    String {
        quoted: String,
        bytes: std::sync::Arc<[u8]>,
    },
    /// `.A.B`
    Field(Vec<String>),
    /// `$x.A.B`: the name with its dollar sign, and the fields.
    Variable(String, Vec<String>),
    Function(Function),
    /// `(…).A.B`
    Chain(Box<Operand>, Vec<String>),
    Pipe(Box<Pipe>),
}

/// A number literal, as each type that can hold it; one beyond 63 bits is neither.
#[derive(Debug)]
pub(super) struct Number {
    pub(super) text: String,
    pub(super) int: Option<i64>,
    pub(super) float: Option<f64>,
}

impl Display for Pipe {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            let sign = if self.assigns { "=" } else { ":=" };
            write!(formatter, "{} {sign} ", self.variables.join(", "))?;
        }
        for (position, command) in self.commands.iter().enumerate() {
            if position > 0 {
                formatter.write_str(" | ")?;
            }
            command.fmt(formatter)?;
        }
        Ok(())
    }
}

impl Display for Command {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for (position, argument) in self.arguments.iter().enumerate() {
            if position > 0 {
                formatter.write_str(" ")?;
            }
            argument.fmt_as_part(formatter)?;
        }
        Ok(())
    }
}

impl Operand {
    /// As part of something larger, a pipeline needs its parentheses.
    fn fmt_as_part(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self.term {
            Term::Pipe(_) => write!(formatter, "({self})"),
            _ => self.fmt(formatter),
        }
    }
}

impl Display for Operand {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let fields = |formatter: &mut Formatter<'_>, names: &[String]| {
            names.iter().try_for_each(|name| write!(formatter, ".{name}"))
        };
        match &self.term {
            Term::Bool(value) => value.fmt(formatter),
            Term::Dot => formatter.write_str("."),
            Term::Nil => formatter.write_str("nil"),
            Term::Number(number) => formatter.write_str(&number.text),
            Term::String { quoted, .. } => formatter.write_str(quoted),
            Term::Field(names) => fields(formatter, names),
            Term::Variable(name, names) => {
                formatter.write_str(name)?;
                fields(formatter, names)
            }
            Term::Function(function) => formatter.write_str(function.name()),
            Term::Chain(operand, names) => {
                operand.fmt_as_part(formatter)?;
                fields(formatter, names)
            }
            Term::Pipe(pipe) => pipe.fmt(formatter),
        }
    }
}

impl Display for Call {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{{{{template {}", quote_text(&self.name))?;
        if let Some(pipe) = &self.pipe {
            write!(formatter, " {pipe}")?;
        }
        formatter.write_str("}}")
    }
}
