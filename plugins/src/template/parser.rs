//! Parses the subset of Lua (see the module above) by precedence climbing.

mod statements;

use super::ParseError;
use super::expr::{Binary, Expr, HeaderKey, Matching, RequestTable};
use super::functions::{Function, is_unsupported};
use super::lexer::{Lexer, Token};
use super::pattern::Pattern;

/// Deepest nesting of an expression.
const MAX_DEPTH: usize = 64;

/// Binding power of unary operators: above `*`, below `^`.
const UNARY: u8 = 7;

/// Parses an expression that ends at the first parenthesis that it does not open. Returns how much text it took,
/// the parenthesis included.
pub(super) fn expression(source: &str) -> Result<(Expr, usize), ParseError> {
    let mut lexer = Lexer::new(source);
    let token = lexer.next()?;
    let mut parser = Parser {
        lexer,
        token,
        depth: 0,
        locals: Vec::new(),
    };
    let expr = parser.expr(0)?;
    if parser.token != Token::Symbol(")") {
        return Err(parser.unexpected("')'"));
    }
    Ok((expr, parser.lexer.position))
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// Looked at, not yet taken.
    token: Token<'a>,
    depth: usize,
    /// Names of the locals on the stack.
    locals: Vec<&'a str>,
}

type Parsed<T> = Result<T, ParseError>;

impl<'a> Parser<'a> {
    fn take(&mut self) -> Parsed<Token<'a>> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn accept(&mut self, symbol: &'static str) -> Parsed<bool> {
        let is_it = self.token == Token::Symbol(symbol);
        if is_it {
            self.take()?;
        }
        Ok(is_it)
    }

    fn accept_word(&mut self, word: &str) -> Parsed<bool> {
        let is_it = self.token == Token::Name(word);
        if is_it {
            self.take()?;
        }
        Ok(is_it)
    }

    fn expect(&mut self, symbol: &'static str) -> Parsed<()> {
        if self.accept(symbol)? {
            Ok(())
        } else {
            Err(self.unexpected(&format!("'{symbol}'")))
        }
    }

    fn expect_word(&mut self, word: &str) -> Parsed<()> {
        if self.accept_word(word)? {
            Ok(())
        } else {
            Err(self.unexpected(&format!("'{word}'")))
        }
    }

    fn name(&mut self) -> Parsed<&'a str> {
        match self.token {
            Token::Name(name) if !is_keyword(name) => {
                self.take()?;
                Ok(name)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    fn unexpected(&self, wanted: &str) -> ParseError {
        let found = match &self.token {
            Token::Name(name) => format!("'{name}'"),
            Token::Number(_) => "a number".to_owned(),
            Token::Text(_) => "a string".to_owned(),
            Token::Symbol("=") => return self.lexer.error("assignment is not supported in templates"),
            Token::Symbol(symbol) => format!("'{symbol}'"),
            Token::End => "the end".to_owned(),
        };
        self.lexer.error(format!("{wanted} expected near {found}"))
    }

    fn unsupported(&self, form: &str) -> ParseError {
        self.lexer.error(format!("{form} not supported in templates"))
    }

    /// Counts a level of nesting. Chains of operators and of members nest as deep as they are long.
    fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self
                .lexer
                .error(format!("more than {MAX_DEPTH} levels of nesting")));
        }
        Ok(())
    }

    /// An expression of operators that bind tighter than `floor`.
    fn expr(&mut self, floor: u8) -> Parsed<Expr> {
        let depth = self.depth;
        self.deeper()?;
        let mut left = self.unary()?;
        while let Some((left_power, right_power, operator)) = self.operator() {
            if left_power <= floor {
                break;
            }
            self.deeper()?;
            self.take()?;
            let right = self.expr(right_power)?;
            left = operator.join(left, right);
        }
        self.depth = depth;
        Ok(left)
    }

    fn operator(&self) -> Option<(u8, u8, Operator)> {
        Some(match &self.token {
            Token::Name("or") => (1, 1, Operator::Or),
            Token::Name("and") => (2, 2, Operator::And),
            Token::Symbol(symbol) => match *symbol {
                "<" => (3, 3, Operator::Plain(Binary::Less)),
                "<=" => (3, 3, Operator::Plain(Binary::LessEqual)),
                ">" => (3, 3, Operator::Plain(Binary::Greater)),
                ">=" => (3, 3, Operator::Plain(Binary::GreaterEqual)),
                "==" => (3, 3, Operator::Plain(Binary::Equal)),
                "~=" => (3, 3, Operator::Plain(Binary::NotEqual)),
                ".." => (4, 3, Operator::Plain(Binary::Concat)),
                "+" => (5, 5, Operator::Plain(Binary::Add)),
                "-" => (5, 5, Operator::Plain(Binary::Subtract)),
                "*" => (6, 6, Operator::Plain(Binary::Multiply)),
                "/" => (6, 6, Operator::Plain(Binary::Divide)),
                "%" => (6, 6, Operator::Plain(Binary::Modulo)),
                "^" => (9, 8, Operator::Plain(Binary::Power)),
                _ => return None,
            },
            _ => return None,
        })
    }

    fn unary(&mut self) -> Parsed<Expr> {
        if self.accept_word("not")? {
            return Ok(Expr::Not(Box::new(self.expr(UNARY)?)));
        }
        if self.accept("-")? {
            return Ok(Expr::Negate(Box::new(self.expr(UNARY)?)));
        }
        if self.accept("#")? {
            return Ok(Expr::Length(Box::new(self.expr(UNARY)?)));
        }
        self.simple()
    }

    fn simple(&mut self) -> Parsed<Expr> {
        match &self.token {
            Token::Number(number) => {
                let number = *number;
                self.take()?;
                Ok(Expr::Number(number))
            }
            Token::Text(_) => match self.take()? {
                Token::Text(text) if matches!(self.token, Token::Symbol(":")) => {
                    self.suffixes(Expr::Text(text.into()))
                }
                Token::Text(text) => Ok(Expr::Text(text.into())),
                _ => Ok(Expr::Nil),
            },
            Token::Symbol("(") => {
                self.take()?;
                if self.accept_word("function")? {
                    return self.function();
                }
                let inner = self.expr(0)?;
                self.expect(")")?;
                self.suffixes(inner)
            }
            Token::Symbol("{") => Err(self.unsupported("table constructors are")),
            Token::Symbol("...") => Err(self.unsupported("'...' is")),
            Token::Name("function") => Err(self.unsupported("a function that is not called at once is")),
            Token::Name(name) => {
                let name = *name;
                self.named(name)
            }
            Token::Symbol(_) | Token::End => Err(self.unexpected("an expression")),
        }
    }

    fn named(&mut self, name: &'a str) -> Parsed<Expr> {
        let constant = match name {
            "nil" => Some(Expr::Nil),
            "true" => Some(Expr::Bool(true)),
            "false" => Some(Expr::Bool(false)),
            _ => None,
        };
        if let Some(constant) = constant {
            self.take()?;
            return Ok(constant);
        }
        if is_keyword(name) {
            return Err(self.unexpected("an expression"));
        }
        self.take()?;
        if let Some(slot) = self.locals.iter().rposition(|local| *local == name) {
            return self.suffixes(Expr::Local(slot));
        }
        let table = match name {
            "headers" => Expr::Table(RequestTable::Headers),
            "query_params" => Expr::Table(RequestTable::Query),
            "uri_captures" => Expr::Table(RequestTable::Captures),
            "shared" => Expr::Table(RequestTable::Shared),
            _ => return self.global(name),
        };
        self.suffixes(table)
    }

    /// A function of the library, or a name that means nothing and is `nil`.
    fn global(&mut self, name: &'a str) -> Parsed<Expr> {
        let mut full = name.to_owned();
        if matches!(name, "string" | "table" | "math") && self.accept(".")? {
            let member = self.name()?;
            full = format!("{name}.{member}");
        }
        let matching = matching(full.strip_prefix("string.").unwrap_or(""));
        let function = Function::named(&full);
        if let (None, None) = (function, matching) {
            if is_unsupported(name) {
                return Err(self.unsupported(&format!("'{full}' is")));
            }
            if self.accept("(")? {
                self.arguments()?;
                return self.suffixes(Expr::CallOf(name.into()));
            }
            return self.suffixes(Expr::Nil);
        }
        if !self.accept("(")? {
            return Err(self.unsupported(&format!("'{full}' without a call is")));
        }
        let args = self.arguments()?;
        let call = self.call(&full, function, matching, args)?;
        self.suffixes(call)
    }

    fn call(
        &self,
        name: &str,
        function: Option<Function>,
        matching: Option<Matching>,
        mut args: Vec<Expr>,
    ) -> Parsed<Expr> {
        let matching = match (function, matching) {
            (Some(function), _) => return Ok(Expr::Call(function, args)),
            (None, Some(matching)) => matching,
            (None, None) => return Err(self.unsupported(&format!("'{name}' is"))),
        };
        if args.len() < 2 {
            return Err(self.lexer.error(format!("'{name}' needs a pattern")));
        }
        let Expr::Text(pattern) = args.remove(1) else {
            return Err(self.unsupported(&format!("a pattern of '{name}' that is no string literal is")));
        };
        let most = if matching == Matching::Gsub { 3 } else { 1 };
        if args.len() > most {
            return Err(self.unsupported(&format!("'{name}' with further arguments is")));
        }
        let pattern = Pattern::new(&pattern).map_err(|form| {
            self.lexer
                .error(format!("'{name}': {form}: not supported in templates"))
        })?;
        Ok(Expr::Matching(matching, Box::new(pattern), args))
    }

    /// Arguments up to and with `)`.
    fn arguments(&mut self) -> Parsed<Vec<Expr>> {
        let mut args = Vec::new();
        if self.accept(")")? {
            return Ok(args);
        }
        loop {
            args.push(self.expr(0)?);
            if !self.accept(",")? {
                self.expect(")")?;
                return Ok(args);
            }
        }
    }

    /// `.name`, `[key]` and `:method(...)` after an expression.
    fn suffixes(&mut self, mut object: Expr) -> Parsed<Expr> {
        let depth = self.depth;
        loop {
            self.deeper()?;
            if self.accept(".")? {
                let name = self.name()?;
                object = index(object, Expr::Text(name.as_bytes().into()));
            } else if self.accept("[")? {
                let key = self.expr(0)?;
                self.expect("]")?;
                object = index(object, key);
            } else if self.accept(":")? {
                let name = self.name()?;
                self.expect("(")?;
                let mut args = vec![object];
                args.extend(self.arguments()?);
                let full = format!("string.{name}");
                object = self.call(&full, Function::named(&full), matching(name), args)?;
            } else if self.token == Token::Symbol("(") {
                return Err(self.unsupported("a call of a computed value is"));
            } else {
                self.depth = depth;
                return Ok(object);
            }
        }
    }
}

enum Operator {
    And,
    Or,
    Plain(Binary),
}

impl Operator {
    fn join(self, left: Expr, right: Expr) -> Expr {
        match self {
            Self::And => Expr::And(Box::new(left), Box::new(right)),
            Self::Or => Expr::Or(Box::new(left), Box::new(right)),
            Self::Plain(operator) => Expr::Binary(operator, Box::new(left), Box::new(right)),
        }
    }
}

fn index(object: Expr, key: Expr) -> Expr {
    match (&object, &key) {
        (Expr::Table(RequestTable::Headers), Expr::Text(name)) => Expr::Header(HeaderKey::new(name)),
        _ => Expr::Index(Box::new(object), Box::new(key)),
    }
}

fn matching(name: &str) -> Option<Matching> {
    match name {
        "gsub" => Some(Matching::Gsub),
        "match" => Some(Matching::Match),
        "find" => Some(Matching::Find),
        _ => None,
    }
}

fn is_keyword(name: &str) -> bool {
    matches!(
        name,
        "and"
            | "break"
            | "do"
            | "else"
            | "elseif"
            | "end"
            | "false"
            | "for"
            | "function"
            | "goto"
            | "if"
            | "in"
            | "local"
            | "nil"
            | "not"
            | "or"
            | "repeat"
            | "return"
            | "then"
            | "true"
            | "until"
            | "while"
    )
}
