//! Applying a template to a value.

use super::error::{ExecutionError, ExecutionErrorKind, ParseError, ParseErrorKind};
use super::node::{Branch, Call, Command, List, Node, Operand, Pipe};
use super::parse::{Templates, parse};
use crate::go::{Sink, print_value, quote_text};
use crate::value::{Repr, Value};

/// What a template may cost: it is somebody's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The length of the template in bytes. One mebibyte by default.
    pub input_bytes: usize,
    /// How deep control structures, parentheses and calls may nest, at most 200. 200 by default.
    pub depth: usize,
    /// How many actions, commands and iterations may run. Ten million by default.
    pub steps: u64,
    /// How much text may be written, and built by functions on the way. 64 MiB by default.
    pub output_bytes: usize,
}

/// What the stack of a thread of two mebibytes carries in a build without optimisation.
const DEEPEST: usize = 200;

impl Default for Limits {
    fn default() -> Self {
        Self { input_bytes: 1 << 20, depth: DEEPEST, steps: 10_000_000, output_bytes: 64 << 20 }
    }
}

/// A parsed template.
///
/// Parsing does all the work that does not need data; a template can be applied any number of
/// times.
#[derive(Debug)]
pub struct Template {
    name: String,
    text: String,
    templates: Templates,
    pub(super) limits: Limits,
}

impl Template {
    /// Parses a text; errors call it `name`.
    ///
    /// # Errors
    ///
    /// [`ParseError`], where Go's `template.Parse` fails, and if the text exceeds the default
    /// [`Limits`].
    pub fn parse(name: &str, text: &str) -> Result<Self, ParseError> {
        Self::parse_with(name, text, Limits::default())
    }

    /// Parses a text, with limits of the caller's.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_with(name: &str, text: &str, limits: Limits) -> Result<Self, ParseError> {
        if text.len() > limits.input_bytes {
            return Err(ParseError {
                kind: ParseErrorKind::Limit,
                name: name.to_owned(),
                input: text.to_owned(),
                line: 1,
                offset: 0,
                message: format!("template is longer than {} bytes", limits.input_bytes),
            });
        }
        let limits = Limits { depth: limits.depth.min(DEEPEST), ..limits };
        let templates = parse(name, text, limits.depth)?;
        Ok(Self { name: name.to_owned(), text: text.to_owned(), templates, limits })
    }

    /// Applies the template to a value.
    ///
    /// The result is bytes: `slice` and `truncate` can cut characters in two.
    ///
    /// # Errors
    ///
    /// [`ExecutionError`], where Go's `template.Execute` fails, and if a limit is reached.
    pub fn render(&self, data: &Value) -> Result<Vec<u8>, ExecutionError> {
        let mut out = Vec::new();
        self.render_into(data, &mut out)?;
        Ok(out)
    }

    /// Applies the template to a value and appends to `out`; after an error, what came before it
    /// is there, as Go would have written it.
    ///
    /// # Errors
    ///
    /// As [`render`](Self::render).
    pub fn render_into(&self, data: &Value, out: &mut Vec<u8>) -> Result<(), ExecutionError> {
        let mut run = Run {
            template: self,
            current: &self.name,
            node: At::Start,
            variables: vec![("$", data.clone())],
            out: Sink::with_limit(self.limits.output_bytes),
            built: 0,
            steps: self.limits.steps,
            depth: 0,
        };
        let result = match self.templates.get(&self.name) {
            Some(list) => run.list(data, list).map(|_| ()),
            None => Ok(()),
        };
        out.extend_from_slice(&run.out.into_bytes());
        result.map_err(|error| *error)
    }
}

/// Where execution is, for error messages.
#[derive(Clone, Copy)]
pub(super) enum At<'t> {
    Start,
    Pipe(&'t Pipe),
    Command(&'t Command),
    Operand(&'t Operand),
    Call(&'t Call),
}

impl At<'_> {
    fn place_and_text(self) -> (usize, String) {
        match self {
            At::Start => (0, String::new()),
            At::Pipe(pipe) => (pipe.position, pipe.to_string()),
            At::Command(command) => (command.position, command.to_string()),
            At::Operand(operand) => (operand.position, operand.to_string()),
            At::Call(call) => (call.position, call.to_string()),
        }
    }
}

/// Where to go on after a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

pub(super) type Done<T> = Result<T, Box<ExecutionError>>;

/// One execution. The methods follow Go's `exec.go` turn by turn, as the place that an error names
/// is wherever the walk was last.
pub(super) struct Run<'t> {
    pub(super) template: &'t Template,
    current: &'t str,
    pub(super) node: At<'t>,
    pub(super) variables: Vec<(&'t str, Value)>,
    out: Sink,
    /// Bytes that functions have built.
    pub(super) built: usize,
    steps: u64,
    depth: usize,
}

impl<'t> Run<'t> {
    fn fail<T>(&self, kind: ExecutionErrorKind, message: impl Into<String>) -> Done<T> {
        let (position, context) = self.node.place_and_text();
        let before = &self.template.text.as_bytes()[..position];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        Err(Box::new(ExecutionError {
            kind,
            text_name: self.template.name.clone(),
            name: self.current.to_owned(),
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            column: position - line_start,
            context,
            message: message.into(),
        }))
    }

    pub(super) fn bad_data<T>(&self, message: impl Into<String>) -> Done<T> {
        self.fail(ExecutionErrorKind::Data, message)
    }

    pub(super) fn bad_call<T>(&self, message: impl Into<String>) -> Done<T> {
        self.fail(ExecutionErrorKind::Call, message)
    }

    pub(super) fn too_long<T>(&self) -> Done<T> {
        let limit = self.template.limits.output_bytes;
        self.fail(ExecutionErrorKind::Limit, format!("text grows beyond {limit} bytes"))
    }

    pub(super) fn step(&mut self) -> Done<()> {
        self.spend(1)
    }

    /// Counts work that is as much as so many steps.
    pub(super) fn spend(&mut self, steps: usize) -> Done<()> {
        match self.steps.checked_sub(u64::try_from(steps).unwrap_or(u64::MAX)) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => {
                let message = format!("takes more than {} steps", self.template.limits.steps);
                self.fail(ExecutionErrorKind::Limit, message)
            }
        }
    }

    fn check_output(&self) -> Done<()> {
        if self.out.overflowed() { self.too_long() } else { Ok(()) }
    }

    fn list(&mut self, dot: &Value, list: &'t List) -> Done<Flow> {
        for node in list {
            let flow = self.node(dot, node)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, dot: &Value, node: &'t Node) -> Done<Flow> {
        self.step()?;
        match node {
            Node::Text(text) => {
                self.out.push_str(text);
                self.check_output()?;
            }
            Node::Action(pipe) => self.action(dot, pipe)?,
            Node::If(branch) => return self.nested(|run| run.condition(dot, branch, false)),
            Node::With(branch) => return self.nested(|run| run.condition(dot, branch, true)),
            Node::Range(branch) => return self.nested(|run| run.range(dot, branch)),
            Node::Template(call) => self.nested(|run| run.call_template(dot, call))?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    /// Goes one level deeper, for as long as `inner` runs.
    pub(super) fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Done<T>) -> Done<T> {
        let limit = self.template.limits.depth;
        if self.depth == limit {
            let message = format!("exceeded maximum template depth ({limit})");
            return self.fail(ExecutionErrorKind::Limit, message);
        }
        self.depth += 1;
        let result = inner(self)?;
        self.depth -= 1;
        Ok(result)
    }

    fn action(&mut self, dot: &Value, pipe: &'t Pipe) -> Done<()> {
        let value = self.pipeline(dot, pipe)?;
        if !pipe.variables.is_empty() {
            return Ok(());
        }
        match value.0 {
            Repr::NoValue => self.out.push_str("<no value>"),
            _ => print_value(&mut self.out, &value),
        }
        self.check_output()
    }

    /// `if`, and `with`, which moves the dot.
    fn condition(&mut self, dot: &Value, branch: &'t Branch, moves_dot: bool) -> Done<Flow> {
        let mark = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = match (&branch.else_list, value.is_true()) {
            (_, true) => self.list(if moves_dot { &value } else { dot }, &branch.list)?,
            (Some(list), false) => self.list(dot, list)?,
            (None, false) => Flow::Next,
        };
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn range(&mut self, dot: &Value, branch: &'t Branch) -> Done<Flow> {
        let mark = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let int = |number: usize| Value(Repr::Int(i64::try_from(number).unwrap_or(i64::MAX)));
        let ran = match &value.0 {
            Repr::List(items) => {
                let entries = items.iter().enumerate();
                self.iterate(branch, entries.map(|(at, item)| (int(at), item.clone())))?
            }
            Repr::Map(entries) => self.iterate(branch, entries.iter().cloned())?,
            Repr::NoValue | Repr::NilList | Repr::NilMap => false,
            Repr::Int(_) | Repr::Uint(_) if branch.pipe.variables.len() > 1 => {
                let message = format!("can't use {value} to iterate over more than one variable");
                return self.bad_data(message);
            }
            Repr::Int(end) => {
                let numbers = (0..*end).map(|number| Value(Repr::Int(number)));
                self.iterate(branch, numbers.map(|number| (Value::NO_VALUE, number)))?
            }
            Repr::Uint(end) => {
                let numbers = (0..*end).map(|number| Value(Repr::Uint(number)));
                self.iterate(branch, numbers.map(|number| (Value::NO_VALUE, number)))?
            }
            _ => return self.bad_data(format!("range can't iterate over {value}")),
        };
        let flow = match &branch.else_list {
            Some(list) if !ran => self.list(dot, list)?,
            _ => Flow::Next,
        };
        self.variables.truncate(mark);
        Ok(flow)
    }

    /// Runs the body for each entry; tells whether there was any.
    fn iterate(
        &mut self,
        branch: &'t Branch,
        entries: impl Iterator<Item = (Value, Value)>,
    ) -> Done<bool> {
        let mark = self.variables.len();
        let mut ran = false;
        for (key, item) in entries {
            ran = true;
            self.step()?;
            self.set_range_variables(&branch.pipe, &key, &item)?;
            let flow = self.list(&item, &branch.list)?;
            self.variables.truncate(mark);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(ran)
    }

    fn set_range_variables(&mut self, pipe: &'t Pipe, key: &Value, item: &Value) -> Done<()> {
        let values = match pipe.variables.len() {
            0 => return Ok(()),
            1 => vec![item],
            _ => vec![key, item],
        };
        if pipe.assigns {
            for (name, value) in pipe.variables.iter().zip(values) {
                self.assign(name, value.clone())?;
            }
            return Ok(());
        }
        let top = self.variables.len() - values.len();
        for (slot, value) in self.variables[top..].iter_mut().zip(values) {
            slot.1 = value.clone();
        }
        Ok(())
    }

    pub(super) fn assign(&mut self, name: &str, value: Value) -> Done<()> {
        let position = self.variable(name)?;
        self.variables[position].1 = value;
        Ok(())
    }

    /// Where the innermost variable of that name is.
    pub(super) fn variable(&mut self, name: &str) -> Done<usize> {
        let found = self.variables.iter().rposition(|(known, _)| *known == name);
        let Some(position) = found else {
            return self.bad_data(format!("undefined variable: {name}"));
        };
        self.spend((self.variables.len() - position) / 64)?;
        Ok(position)
    }

    fn call_template(&mut self, dot: &Value, call: &'t Call) -> Done<()> {
        self.node = At::Call(call);
        let template: &'t Template = self.template;
        let Some((name, list)) = template.templates.get_key_value(&call.name) else {
            let message = format!("template {} not defined", quote_text(&call.name));
            return self.fail(ExecutionErrorKind::UndefinedTemplate, message);
        };
        let data = match &call.pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Value::NO_VALUE,
        };
        // A template sees no variables but its own.
        let variables = std::mem::replace(&mut self.variables, vec![("$", data.clone())]);
        let (caller, node) = (self.current, self.node);
        self.current = name;
        self.list(&data, list)?;
        self.variables = variables;
        self.current = caller;
        self.node = node;
        Ok(())
    }
}
