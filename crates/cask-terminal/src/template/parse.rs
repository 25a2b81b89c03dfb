//! Tokens to nodes: a recursive descent that takes the same turns, and so fails in the same places
//! with the same words, as Go's.

use std::collections::BTreeMap;

use super::error::{ParseError, ParseErrorKind};
use super::functions::Function;
use super::lex::{Keyword, Kind, Lexer, Token};
use super::literal;
use super::node::{Branch, Call, Command, List, Node, Operand, Pipe, Term};
use crate::go::{quote_text, unquote};

/// The templates of one text by name.
pub(super) type Templates = BTreeMap<String, List>;

/// Parses a text; the template outside of any `define` gets the text's own name.
pub(super) fn parse(name: &str, text: &str, depth: usize) -> Result<Templates, ParseError> {
    let end = Token { kind: Kind::End, position: 0, text: "".into(), line: 1 };
    let mut parser = Parser {
        name,
        lexer: Lexer::new(text),
        tokens: [end.clone(), end.clone(), end],
        peeked: 0,
        scope: Scope::default(),
        action_line: None,
        templates: Templates::new(),
        depth: 0,
        depth_limit: depth,
    };
    parser.all().map_err(|failure| ParseError {
        kind: failure.kind,
        name: name.to_owned(),
        input: text.to_owned(),
        line: parser.tokens[0].line,
        offset: failure.offset.unwrap_or(parser.tokens[0].position),
        message: failure.message,
    })?;
    Ok(parser.templates)
}

/// What is wrong. The line is that of the last token read, as in Go; so is the offset, unless it is
/// known better.
struct Failure {
    kind: ParseErrorKind,
    message: String,
    offset: Option<usize>,
}

impl Failure {
    fn new(kind: ParseErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), offset: None }
    }

    fn at(self, token: &Token<'_>) -> Self {
        Self { offset: Some(token.position), ..self }
    }
}

fn syntax<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::new(ParseErrorKind::Syntax, message))
}

type Parsed<T> = Result<T, Failure>;

/// Variables in sight and ranges around, which a `define` starts afresh.
struct Scope {
    variables: Vec<String>,
    ranges: usize,
}

impl Default for Scope {
    fn default() -> Self {
        Self { variables: vec!["$".to_owned()], ranges: 0 }
    }
}

/// What a list of nodes ended with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    End,
    Else,
}

impl Ending {
    fn text(self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else => "{{else}}",
        }
    }
}

/// One step of a list.
enum Item {
    Node(Node),
    Ending(Ending),
}

struct Parser<'t> {
    name: &'t str,
    lexer: Lexer<'t>,
    /// The last token read, and up to two that were put back before it.
    tokens: [Token<'t>; 3],
    peeked: usize,
    scope: Scope,
    /// Where the action began that is being parsed.
    action_line: Option<usize>,
    templates: Templates,
    depth: usize,
    depth_limit: usize,
}

impl<'t> Parser<'t> {
    fn next(&mut self) -> Token<'t> {
        if self.peeked > 0 {
            self.peeked -= 1;
        } else {
            self.tokens[0] = self.lexer.next_token();
        }
        self.tokens[self.peeked].clone()
    }

    fn back_up(&mut self) {
        self.peeked += 1;
    }

    fn peek(&mut self) -> Kind {
        let kind = self.next().kind;
        self.back_up();
        kind
    }

    fn next_beyond_space(&mut self) -> Token<'t> {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    fn peek_beyond_space(&mut self) -> Token<'t> {
        let token = self.next_beyond_space();
        self.back_up();
        token
    }

    fn unexpected<T>(&self, token: &Token<'_>, context: &str) -> Parsed<T> {
        if token.kind != Kind::Error {
            let message = format!("unexpected {token} in {context}");
            return Err(Failure::new(ParseErrorKind::Syntax, message).at(token));
        }
        let kind = match &*token.text {
            text if text.starts_with("bad number") => ParseErrorKind::Literal,
            text if text.starts_with("unterminated") => ParseErrorKind::Literal,
            _ => ParseErrorKind::Syntax,
        };
        let mut message = token.to_string();
        if let Some(line) = self.action_line.filter(|line| *line != token.line) {
            // Go avoids saying "action in action".
            let connection = if message.ends_with(" action") { "" } else { " in action" };
            message.push_str(&format!("{connection} started at {}:{line}", self.name));
        }
        Err(Failure::new(kind, message).at(token))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parsed<()> {
        let token = self.next_beyond_space();
        if token.kind == kind { Ok(()) } else { self.unexpected(&token, context) }
    }

    /// Goes one level deeper, for as long as `inner` runs.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == self.depth_limit {
            let message = format!("template is nested deeper than {} levels", self.depth_limit);
            return Err(Failure::new(ParseErrorKind::Limit, message));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// The whole text.
    fn all(&mut self) -> Parsed<()> {
        let mut root = List::new();
        while self.peek() != Kind::End {
            if self.peek() == Kind::LeftDelimiter {
                let delimiter = self.next();
                if self.next_beyond_space().kind == Kind::Keyword(Keyword::Define) {
                    self.definition()?;
                    continue;
                }
                self.back_up_two(delimiter);
            }
            match self.text_or_action()? {
                Item::Node(node) => root.push(node),
                Item::Ending(ending) => return syntax(format!("unexpected {}", ending.text())),
            }
        }
        self.add(self.name.to_owned(), root)
    }

    /// Puts back the last token and the one before it.
    fn back_up_two(&mut self, before: Token<'t>) {
        self.tokens[1] = before;
        self.peeked = 2;
    }

    /// Puts back the last token and the two before it.
    fn back_up_three(&mut self, first: Token<'t>, second: Token<'t>) {
        self.tokens[1] = second;
        self.tokens[2] = first;
        self.peeked = 3;
    }

    fn definition(&mut self) -> Parsed<()> {
        const CONTEXT: &str = "define clause";
        let token = self.next_beyond_space();
        let name = self.template_name(&token, CONTEXT)?;
        self.expect(Kind::RightDelimiter, CONTEXT)?;
        let list = self.separate_list(CONTEXT)?;
        self.add(name, list)
    }

    /// The body of a `define` or `block`, which sees no variables from around it.
    fn separate_list(&mut self, context: &str) -> Parsed<List> {
        let outer = std::mem::take(&mut self.scope);
        let (list, ending) = self.nested(Self::list)?;
        self.scope = outer;
        match ending {
            Ending::End => Ok(list),
            Ending::Else => syntax(format!("unexpected {{{{else}}}} in {context}")),
        }
    }

    /// Keeps a template, unless that would replace one that has content.
    fn add(&mut self, name: String, list: List) -> Parsed<()> {
        match self.templates.get(&name) {
            Some(present) if !is_empty(present) => {
                if is_empty(&list) {
                    return Ok(());
                }
                let message =
                    format!("template: multiple definition of template {}", quote_text(&name));
                Err(Failure::new(ParseErrorKind::DuplicateTemplate, message))
            }
            _ => {
                self.templates.insert(name, list);
                Ok(())
            }
        }
    }

    fn list(&mut self) -> Parsed<(List, Ending)> {
        let mut list = List::new();
        while self.peek_beyond_space().kind != Kind::End {
            match self.text_or_action()? {
                Item::Node(node) => list.push(node),
                Item::Ending(ending) => return Ok((list, ending)),
            }
        }
        syntax("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Parsed<Item> {
        let token = self.next_beyond_space();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(token.text.into_owned()))),
            Kind::LeftDelimiter => {
                self.action_line = Some(token.line);
                let item = self.action();
                if item.is_ok() {
                    self.action_line = None;
                }
                item
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    /// What follows `{{`.
    fn action(&mut self) -> Parsed<Item> {
        let token = self.next_beyond_space();
        let Kind::Keyword(keyword) = token.kind else {
            self.back_up();
            let pipe = self.pipeline("command", Kind::RightDelimiter)?;
            return Ok(Item::Node(Node::Action(pipe)));
        };
        let node = match keyword {
            Keyword::Block => self.block()?,
            Keyword::Break => self.loop_control(Node::Break, "{{break}}")?,
            Keyword::Continue => self.loop_control(Node::Continue, "{{continue}}")?,
            Keyword::Define => return self.unexpected(&token, "command"),
            Keyword::Else => return self.else_clause(),
            Keyword::End => {
                self.expect(Kind::RightDelimiter, "end")?;
                return Ok(Item::Ending(Ending::End));
            }
            Keyword::If => Node::If(self.control(keyword, "if")?),
            Keyword::Range => Node::Range(self.control(keyword, "range")?),
            Keyword::Template => self.call()?,
            Keyword::With => Node::With(self.control(keyword, "with")?),
        };
        Ok(Item::Node(node))
    }

    fn loop_control(&mut self, node: Node, name: &str) -> Parsed<Node> {
        let token = self.next_beyond_space();
        if token.kind != Kind::RightDelimiter {
            return self.unexpected(&token, name);
        }
        if self.scope.ranges == 0 {
            return syntax(format!("{name} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn else_clause(&mut self) -> Parsed<Item> {
        // What follows `else` directly is left for whoever is waiting for it.
        let next = self.peek_beyond_space().kind;
        if !matches!(next, Kind::Keyword(Keyword::If | Keyword::With)) {
            self.expect(Kind::RightDelimiter, "else")?;
        }
        Ok(Item::Ending(Ending::Else))
    }

    /// `if`, `range` or `with`.
    fn control(&mut self, keyword: Keyword, context: &str) -> Parsed<Branch> {
        self.nested(|parser| {
            let in_sight = parser.scope.variables.len();
            let branch = parser.branch(keyword, context)?;
            parser.scope.variables.truncate(in_sight);
            Ok(branch)
        })
    }

    fn branch(&mut self, keyword: Keyword, context: &str) -> Parsed<Branch> {
        let pipe = self.pipeline(context, Kind::RightDelimiter)?;
        let loops = usize::from(keyword == Keyword::Range);
        self.scope.ranges += loops;
        let (list, ending) = self.list()?;
        self.scope.ranges -= loops;
        let else_list = match ending {
            Ending::End => None,
            Ending::Else => Some(self.else_list(keyword, context)?),
        };
        Ok(Branch { pipe, list, else_list })
    }

    fn else_list(&mut self, keyword: Keyword, context: &str) -> Parsed<List> {
        let chained = self.peek() == Kind::Keyword(keyword);
        if chained && matches!(keyword, Keyword::If | Keyword::With) {
            // `else if` is an `if` inside the `else`, and shares its `end`.
            self.next();
            let branch = self.control(keyword, context)?;
            let node = if keyword == Keyword::If { Node::If } else { Node::With };
            return Ok(vec![node(branch)]);
        }
        let (list, ending) = self.list()?;
        match ending {
            Ending::End => Ok(list),
            Ending::Else => syntax("expected end; found {{else}}"),
        }
    }

    /// `{{block "name" pipeline}}…{{end}}`: a definition that is used where it stands.
    fn block(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "block clause";
        let token = self.next_beyond_space();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::RightDelimiter)?;
        let list = self.separate_list(CONTEXT)?;
        self.add(name.clone(), list)?;
        Ok(Node::Template(Call { position: token.position, name, pipe: Some(pipe) }))
    }

    fn call(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "template clause";
        let token = self.next_beyond_space();
        let name = self.template_name(&token, CONTEXT)?;
        let mut pipe = None;
        if self.next_beyond_space().kind != Kind::RightDelimiter {
            self.back_up();
            pipe = Some(self.pipeline(CONTEXT, Kind::RightDelimiter)?);
        }
        Ok(Node::Template(Call { position: token.position, name, pipe }))
    }

    fn template_name(&self, token: &Token<'_>, context: &str) -> Parsed<String> {
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return self.unexpected(token, context);
        }
        let bytes = string_literal(token)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let position = self.peek_beyond_space().position;
        let mut pipe =
            Pipe { position, assigns: false, variables: Vec::new(), commands: Vec::new() };
        self.declarations(&mut pipe, context)?;
        loop {
            let token = self.next_beyond_space();
            match token.kind {
                kind if kind == end => {
                    check_pipeline(&pipe, context)?;
                    return Ok(pipe);
                }
                Kind::Bool
                | Kind::CharacterConstant
                | Kind::ComplexConstant
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParenthesis => {
                    self.back_up();
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return self.unexpected(&token, context),
            }
        }
    }

    /// `$x :=`, `$x =`, and in a range `$i, $x :=`.
    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<()> {
        while self.peek_beyond_space().kind == Kind::Variable {
            let variable = self.next();
            let after = self.next();
            self.back_up();
            let next = self.peek_beyond_space();
            let comma = next.kind == Kind::Character && next.text == ",";
            if comma || matches!(next.kind, Kind::Assign | Kind::Declare) {
                pipe.assigns = next.kind == Kind::Assign;
                self.next_beyond_space();
                let name = variable.text.into_owned();
                pipe.variables.push(name.clone());
                self.scope.variables.push(name);
            } else if after.kind == Kind::Space {
                self.back_up_three(variable, after);
            } else {
                self.back_up_two(variable);
            }
            if !comma {
                break;
            }
            if context != "range" || pipe.variables.len() > 1 {
                return syntax(format!("too many declarations in {context}"));
            }
            let next = self.peek_beyond_space().kind;
            if !matches!(next, Kind::Variable | Kind::RightDelimiter | Kind::RightParenthesis) {
                return syntax("range can only initialize variables");
            }
        }
        Ok(())
    }

    /// Operands up to a pipe, which is passed, or the end of the pipeline, which is not.
    fn command(&mut self) -> Parsed<Command> {
        let position = self.peek_beyond_space().position;
        let mut arguments = Vec::new();
        loop {
            self.peek_beyond_space();
            if let Some(operand) = self.operand()? {
                arguments.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelimiter | Kind::RightParenthesis => self.back_up(),
                Kind::Pipe => {}
                _ => return self.unexpected(&token, "operand"),
            }
            break;
        }
        if arguments.is_empty() {
            return syntax("empty command");
        }
        Ok(Command { position, arguments })
    }

    /// A term and the fields after it; `None` if there is no term.
    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(mut operand) = self.term()? else { return Ok(None) };
        if self.peek() != Kind::Field {
            return Ok(Some(operand));
        }
        let mut names = Vec::new();
        let position = self.next().position;
        self.back_up();
        while self.peek() == Kind::Field {
            names.push(self.next().text[1..].to_owned());
        }
        match &mut operand.term {
            Term::Field(present) | Term::Variable(_, present) => {
                present.append(&mut names);
                operand.position = position;
            }
            Term::Bool(_) | Term::String { .. } | Term::Number(_) | Term::Nil | Term::Dot => {
                let term = quote_text(&operand.to_string());
                return syntax(format!("unexpected . after term {term}"));
            }
            Term::Function(_) | Term::Chain(..) | Term::Pipe(_) => {
                operand = Operand { position, term: Term::Chain(Box::new(operand), names) };
            }
        }
        Ok(Some(operand))
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.next_beyond_space();
        let term = match token.kind {
            Kind::Identifier => function(&token)?,
            Kind::Dot => Term::Dot,
            Kind::Nil => Term::Nil,
            Kind::Variable => self.variable(&token)?,
            Kind::Field => Term::Field(vec![token.text[1..].to_owned()]),
            Kind::Bool => Term::Bool(token.text == "true"),
            Kind::CharacterConstant | Kind::ComplexConstant | Kind::Number => {
                let number = literal::number(&token.text, token.kind);
                let failed =
                    |message: String| Failure::new(ParseErrorKind::Literal, message).at(&token);
                Term::Number(number.map_err(failed)?)
            }
            Kind::LeftParenthesis => {
                let inner = |parser: &mut Self| {
                    parser.pipeline("parenthesized pipeline", Kind::RightParenthesis)
                };
                Term::Pipe(Box::new(self.nested(inner)?))
            }
            Kind::String | Kind::RawString => {
                let bytes = string_literal(&token)?.into();
                Term::String { quoted: token.text.into_owned(), bytes }
            }
            _ => {
                self.back_up();
                return Ok(None);
            }
        };
        let position = match &term {
            // A pipeline's position is that of its content.
            Term::Pipe(pipe) => pipe.position,
            _ => token.position,
        };
        Ok(Some(Operand { position, term }))
    }

    fn variable(&self, token: &Token<'_>) -> Parsed<Term> {
        let name = &*token.text;
        if self.scope.variables.iter().any(|known| known == name) {
            return Ok(Term::Variable(name.to_owned(), Vec::new()));
        }
        let message = format!("undefined variable {}", quote_text(name));
        Err(Failure::new(ParseErrorKind::UndefinedVariable, message).at(token))
    }
}

fn function(token: &Token<'_>) -> Parsed<Term> {
    match Function::named(&token.text) {
        Some(function) => Ok(Term::Function(function)),
        None => {
            let message = format!("function {} not defined", quote_text(&token.text));
            Err(Failure::new(ParseErrorKind::UndefinedFunction, message).at(token))
        }
    }
}

fn string_literal(token: &Token<'_>) -> Parsed<Vec<u8>> {
    unquote(&token.text)
        .ok_or_else(|| Failure::new(ParseErrorKind::Literal, "invalid syntax").at(token))
}

fn check_pipeline(pipe: &Pipe, context: &str) -> Parsed<()> {
    if pipe.commands.is_empty() {
        return syntax(format!("missing value for {context}"));
    }
    for (stage, command) in pipe.commands.iter().enumerate().skip(1) {
        let first = command.arguments.first().map(|operand| &operand.term);
        let fixed = |term: &Term| {
            matches!(
                term,
                Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(_) | Term::String { .. }
            )
        };
        if first.is_some_and(fixed) {
            return syntax(format!("non executable command in pipeline stage {}", stage + 1));
        }
    }
    Ok(())
}

/// Nothing but space.
fn is_empty(list: &List) -> bool {
    list.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}
