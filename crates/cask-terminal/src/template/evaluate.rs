//! The value of pipelines, commands and operands.

use super::execute::{At, Done, Run};
use super::functions::{CallError, Function, Parameter};
use super::node::{Command, Number, Operand, Pipe, Term};
use super::time::Moment;
use crate::value::{LOOKUP, Record, Repr, Value};

impl<'t> Run<'t> {
    /// Evaluates commands, each handing its value to the next as the last argument.
    pub(super) fn pipeline(&mut self, dot: &Value, pipe: &'t Pipe) -> Done<Value> {
        self.node = At::Pipe(pipe);
        let mut value = None;
        for command in &pipe.commands {
            self.step()?;
            value = Some(self.command(dot, command, value)?);
        }
        let value = value.unwrap_or(Value::NO_VALUE);
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(name, value.clone())?;
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        Ok(value)
    }

    /// Evaluates a command; `last` is the value of the one before it.
    fn command(&mut self, dot: &Value, command: &'t Command, last: Option<Value>) -> Done<Value> {
        let Some((first, rest)) = command.arguments.split_first() else {
            return Ok(Value::NO_VALUE);
        };
        let has_arguments = !rest.is_empty() || last.is_some();
        match &first.term {
            Term::Function(function) => {
                self.node = At::Operand(first);
                return self.call(dot, *function, At::Command(command), rest, last);
            }
            Term::Field(_) | Term::Chain(..) | Term::Variable(..) => {
                return self.fields_of(dot, first, rest, last);
            }
            Term::Pipe(pipe) => {
                self.refuse_arguments(has_arguments, first)?;
                return self.nested(|run| run.pipeline(dot, pipe));
            }
            _ => {}
        }
        self.node = At::Operand(first);
        self.refuse_arguments(has_arguments, first)?;
        match &first.term {
            Term::Nil => self.bad_data("nil is not a command"),
            _ => self.constant(dot, first),
        }
    }

    fn refuse_arguments(&self, has_arguments: bool, operand: &Operand) -> Done<()> {
        if has_arguments {
            return self.bad_call(format!("can't give argument to non-function {operand}"));
        }
        Ok(())
    }

    /// A literal or the dot, where any type will do.
    fn constant(&mut self, dot: &Value, operand: &'t Operand) -> Done<Value> {
        match &operand.term {
            Term::Bool(value) => Ok(Value(Repr::Bool(*value))),
            Term::Dot => Ok(dot.clone()),
            Term::Number(number) => self.number(number),
            Term::String { bytes, .. } => Ok(Value(Repr::Text(bytes.clone()))),
            _ => Ok(Value::NO_VALUE),
        }
    }

    /// The type of a number follows from how it is written.
    fn number(&self, number: &Number) -> Done<Value> {
        match (number.float, number.int) {
            (Some(float), _) => Ok(Value(Repr::Float(float))),
            (None, Some(int)) => Ok(Value(Repr::Int(int))),
            (None, None) => self.bad_data(format!("{} overflows int", number.text)),
        }
    }

    /// `.A.B`, `$x.A.B` or `(…).A.B`, of which the last may be a method that takes arguments.
    fn fields_of(
        &mut self,
        dot: &Value,
        operand: &'t Operand,
        arguments: &'t [Operand],
        further: Option<Value>,
    ) -> Done<Value> {
        self.node = At::Operand(operand);
        let has_arguments = !arguments.is_empty() || further.is_some();
        let (receiver, names) = match &operand.term {
            Term::Field(names) => (dot.clone(), names),
            Term::Variable(name, names) => {
                let position = self.variable(name)?;
                let value = self.variables[position].1.clone();
                if names.is_empty() {
                    self.refuse_arguments(has_arguments, operand)?;
                }
                (value, names)
            }
            Term::Chain(inner, names) => {
                if matches!(inner.term, Term::Nil) {
                    return self.bad_data(format!("indirection through explicit nil in {operand}"));
                }
                (self.argument(dot, inner, Parameter::Any)?, names)
            }
            _ => return self.constant(dot, operand),
        };
        let mut value = receiver;
        for (position, name) in names.iter().enumerate() {
            let last = position + 1 == names.len();
            value = match &value.0 {
                Repr::Time(time) if last && name == "Format" => {
                    let json = time.1.clone();
                    self.format_time(dot, &json, arguments, further.clone())?
                }
                Repr::Struct(record) if last && lookup(record, name).is_some() => {
                    let map = lookup(record, name).cloned().unwrap_or(Value::NO_VALUE);
                    let wanted = self.one_text(dot, name, arguments, further.clone())?;
                    match &map.0 {
                        Repr::Map(entries) => Value::entry(entries, &wanted).cloned(),
                        _ => None,
                    }
                    .unwrap_or_else(|| Value::string(""))
                }
                Repr::Time(time) if !(has_arguments && last) => match asked(&time.1, name) {
                    Some(answer) => answer,
                    None => self.field(&value, name, false)?,
                },
                _ => self.field(&value, name, has_arguments && last)?,
            };
        }
        Ok(value)
    }

    /// `.Format "2006-01-02"` of a time.
    fn format_time(
        &mut self,
        dot: &Value,
        time: &str,
        arguments: &'t [Operand],
        further: Option<Value>,
    ) -> Done<Value> {
        let layout = self.one_text(dot, "Format", arguments, further)?;
        let (Repr::Text(layout), Some(moment)) = (&layout.0, Moment::parse(time)) else {
            return self.bad_data("it is no time".to_owned());
        };
        let shown = Value::string(&moment.format(&String::from_utf8_lossy(layout)));
        self.built += size(&shown);
        if self.built > self.template.limits.output_bytes {
            return self.too_long();
        }
        Ok(shown)
    }

    /// The only argument of a method, which is a text.
    fn one_text(
        &mut self,
        dot: &Value,
        method: &str,
        arguments: &'t [Operand],
        further: Option<Value>,
    ) -> Done<Value> {
        let count = arguments.len() + usize::from(further.is_some());
        if count != 1 {
            return self.bad_call(format!("wrong number of args for {method}: want 1 got {count}"));
        }
        match (arguments.first(), further) {
            (Some(operand), _) => self.argument(dot, operand, Parameter::Text),
            (None, Some(value)) => self.fitting(value, Parameter::Text),
            (None, None) => Ok(Value::NO_VALUE),
        }
    }

    fn field(&self, receiver: &Value, name: &str, has_arguments: bool) -> Done<Value> {
        let method = || format!("{name} is not a method but has arguments");
        match &receiver.0 {
            Repr::NoValue => return Ok(Value::NO_VALUE),
            Repr::Nil => {
                return self.bad_data(format!("nil pointer evaluating interface {{}}.{name}"));
            }
            Repr::Struct(record) => {
                if let Some(field) = record.fields.iter().find(|field| field.name == name) {
                    if has_arguments {
                        let message =
                            format!("{name} has arguments but cannot be invoked as function");
                        return self.bad_call(message);
                    }
                    return Ok(field.value.clone());
                }
            }
            Repr::NilMap if has_arguments => return self.bad_call(method()),
            Repr::NilMap => return Ok(Value::NO_VALUE),
            Repr::Map(entries)
                if entries.first().is_none_or(|(key, _)| matches!(key.0, Repr::Text(_))) =>
            {
                if has_arguments {
                    return self.bad_call(method());
                }
                let found = Value::entry(entries, &Value::string(name));
                return Ok(found.cloned().unwrap_or(Value::NO_VALUE));
            }
            _ => {}
        }
        self.bad_data(format!("can't evaluate field {name} in type {}", receiver.type_name()))
    }

    /// Calls a function; `at` is what an error of the function itself is blamed on.
    fn call(
        &mut self,
        dot: &Value,
        function: Function,
        at: At<'t>,
        operands: &'t [Operand],
        last: Option<Value>,
    ) -> Done<Value> {
        let name = function.name();
        let (fixed, further) = function.parameters();
        let count = operands.len() + usize::from(last.is_some());
        if further.is_some() && count < fixed.len() {
            let (wanted, got) = (fixed.len(), operands.len());
            return self.bad_call(format!(
                "wrong number of args for {name}: want at least {wanted} got {got}"
            ));
        }
        if further.is_none() && count != fixed.len() {
            let wanted = fixed.len();
            return self
                .bad_call(format!("wrong number of args for {name}: want {wanted} got {count}"));
        }
        if matches!(function, Function::And | Function::Or) {
            return self.first_decisive(dot, function == Function::Or, operands, last);
        }
        let parameter =
            |position: usize| fixed.get(position).copied().or(further).unwrap_or(Parameter::Any);
        let mut arguments = Vec::with_capacity(count);
        for (position, operand) in operands.iter().enumerate() {
            arguments.push(self.argument(dot, operand, parameter(position))?);
        }
        if let Some(last) = last {
            arguments.push(self.fitting(last, parameter(operands.len()))?);
        }
        self.apply(function, at, &arguments)
    }

    fn apply(&mut self, function: Function, at: At<'t>, arguments: &[Value]) -> Done<Value> {
        self.spend(arguments.iter().map(work).sum())?;
        let room = self.template.limits.output_bytes.saturating_sub(self.built);
        match function.call(arguments, room) {
            Ok(value) => {
                self.built += size(&value);
                if self.built > self.template.limits.output_bytes {
                    return self.too_long();
                }
                Ok(value)
            }
            Err(CallError::Message(message)) => {
                self.node = at;
                self.bad_call(format!("error calling {}: {message}", function.name()))
            }
            Err(CallError::TooLong) => {
                self.node = at;
                self.too_long()
            }
        }
    }

    /// `and` and `or` evaluate no further than the argument that decides.
    fn first_decisive(
        &mut self,
        dot: &Value,
        wanted: bool,
        operands: &'t [Operand],
        last: Option<Value>,
    ) -> Done<Value> {
        let mut value = Value::NO_VALUE;
        for operand in operands {
            value = self.argument(dot, operand, Parameter::Any)?;
            if value.is_true() == wanted {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn argument(&mut self, dot: &Value, operand: &'t Operand, parameter: Parameter) -> Done<Value> {
        self.node = At::Operand(operand);
        let value = match &operand.term {
            Term::Nil if matches!(parameter, Parameter::Any | Parameter::TextList) => {
                Value::NO_VALUE
            }
            Term::Nil => {
                return self.bad_call(format!("cannot assign nil to {}", parameter.name()));
            }
            Term::Dot => dot.clone(),
            Term::Field(_) | Term::Variable(..) | Term::Chain(..) => {
                self.fields_of(dot, operand, &[], None)?
            }
            Term::Pipe(pipe) => self.nested(|run| run.pipeline(dot, pipe))?,
            Term::Function(function) => {
                self.call(dot, *function, At::Operand(operand), &[], None)?
            }
            Term::Bool(_) | Term::Number(_) | Term::String { .. } => {
                return self.literal_argument(dot, operand, parameter);
            }
        };
        self.fitting(value, parameter)
    }

    fn literal_argument(
        &mut self,
        dot: &Value,
        operand: &'t Operand,
        parameter: Parameter,
    ) -> Done<Value> {
        match (parameter, &operand.term) {
            (Parameter::Any, _) | (Parameter::Text, Term::String { .. }) => {
                self.constant(dot, operand)
            }
            (Parameter::Int, Term::Number(Number { int: Some(int), .. })) => {
                Ok(Value(Repr::Int(*int)))
            }
            (Parameter::Text, _) => self.bad_call(format!("expected string; found {operand}")),
            (Parameter::Int, _) => self.bad_call(format!("expected integer; found {operand}")),
            (Parameter::TextList, _) => {
                let name = parameter.name();
                self.bad_call(format!("can't handle {operand} for arg of type {name}"))
            }
        }
    }

    fn fitting(&self, value: Value, parameter: Parameter) -> Done<Value> {
        if parameter.takes(&value) {
            return Ok(value);
        }
        let wanted = parameter.name();
        match (&value.0, parameter) {
            (Repr::NoValue, Parameter::TextList) => Ok(Value(Repr::NilList)),
            (Repr::NoValue, _) => self.bad_call(format!("invalid value; expected {wanted}")),
            _ => {
                let found = value.type_name();
                self.bad_call(format!("wrong type for value; expected {wanted}; got {found}"))
            }
        }
    }
}

/// The map that a method gives the values of.
fn lookup<'r>(record: &'r Record, name: &str) -> Option<&'r Value> {
    let mut fields = record.fields.iter().filter(|field| field.key == LOOKUP);
    fields.find(|field| field.name == name).map(|field| &field.value)
}

/// What a method of a time says that takes no arguments; `None` for what is no such method.
///
/// Times stay in the zone that they were written in.
fn asked(time: &str, method: &str) -> Option<Value> {
    let moment = Moment::parse(time)?;
    if let Some(number) = moment.number(method) {
        return Some(Value(Repr::Int(number)));
    }
    if let Some(name) = moment.name(method) {
        return Some(Value::string(name));
    }
    match method {
        "IsZero" => Some(Value(Repr::Bool(moment.is_zero()))),
        "String" => Some(Value::string(&moment.format("2006-01-02 15:04:05.999999999 -0700 MST"))),
        _ => None,
    }
}

/// How many steps it is worth to look through an argument.
fn work(argument: &Value) -> usize {
    match &argument.0 {
        Repr::Text(bytes) => bytes.len() / 1024,
        Repr::List(items) => items.len() / 64,
        _ => 0,
    }
}

/// The memory that the result of a function takes.
fn size(value: &Value) -> usize {
    match &value.0 {
        Repr::Text(bytes) => bytes.len(),
        Repr::List(items) => {
            let texts = items.iter().map(|item| match &item.0 {
                Repr::Text(bytes) => bytes.len(),
                _ => 0,
            });
            items.len() * size_of::<Value>() + texts.sum::<usize>()
        }
        _ => 0,
    }
}
