//! Bodies of functions that are called at once.

use super::super::expr::{Expr, Statement};
use super::super::lexer::Token;
use super::{Parsed, Parser};

impl Parser<'_> {
    /// `(function` has been read: parameters, body, `end)`, arguments.
    pub(super) fn function(&mut self) -> Parsed<Expr> {
        self.expect("(")?;
        let floor = self.locals.len();
        let mut parameters = Vec::new();
        while self.token != Token::Symbol(")") {
            parameters.push(self.name()?);
            if !self.accept(",")? {
                break;
            }
        }
        self.expect(")")?;
        self.locals.extend(&parameters);
        let body = self.body()?;
        self.expect_word("end")?;
        self.locals.truncate(floor);
        self.expect(")")?;
        if self.token != Token::Symbol("(") {
            return Err(self.unsupported("a function that is not called at once is"));
        }
        self.take()?;
        let mut args = self.arguments()?;
        if args.len() > parameters.len() {
            return Err(self.unsupported("more arguments than parameters are"));
        }
        args.resize_with(parameters.len(), || Expr::Nil);
        self.suffixes(Expr::Block(args, body))
    }

    /// Statements up to `end`, `else` or `elseif`.
    fn body(&mut self) -> Parsed<Vec<Statement>> {
        self.deeper()?;
        let floor = self.locals.len();
        let mut statements = Vec::new();
        loop {
            match &self.token {
                Token::Name("end" | "else" | "elseif") => break,
                Token::Symbol(";") => drop(self.take()?),
                Token::Name("return") => {
                    self.take()?;
                    let is_empty = matches!(
                        self.token,
                        Token::Name("end" | "else" | "elseif") | Token::Symbol(";")
                    );
                    statements.push(Statement::Return(if is_empty {
                        Expr::Nil
                    } else {
                        self.expr(0)?
                    }));
                    if self.token == Token::Symbol(",") {
                        return Err(self.unsupported("several results are"));
                    }
                    self.accept(";")?;
                    break;
                }
                Token::Name("local") => {
                    self.take()?;
                    if self.token == Token::Name("function") {
                        return Err(self.unsupported("a function that is not called at once is"));
                    }
                    let name = self.name()?;
                    let value = if self.accept("=")? {
                        self.expr(0)?
                    } else {
                        Expr::Nil
                    };
                    if self.token == Token::Symbol(",") {
                        return Err(self.unsupported("several variables in one statement are"));
                    }
                    statements.push(Statement::Local(value));
                    self.locals.push(name);
                }
                Token::Name("if") => statements.push(self.conditional()?),
                Token::Name(word @ ("for" | "while" | "repeat" | "do" | "goto" | "break" | "function")) => {
                    let form = format!("'{word}' is");
                    return Err(self.unsupported(&form));
                }
                _ => statements.push(self.assignment()?),
            }
        }
        self.locals.truncate(floor);
        self.depth -= 1;
        Ok(statements)
    }

    fn assignment(&mut self) -> Parsed<Statement> {
        let name = self.name()?;
        let Some(slot) = self.locals.iter().rposition(|local| *local == name) else {
            return Err(self.unsupported(&format!("a statement on '{name}', which is no local, is")));
        };
        self.expect("=")?;
        Ok(Statement::Assign(slot, self.expr(0)?))
    }

    fn conditional(&mut self) -> Parsed<Statement> {
        let mut arms = Vec::new();
        let mut otherwise = Vec::new();
        self.expect_word("if")?;
        loop {
            let condition = self.expr(0)?;
            self.expect_word("then")?;
            arms.push((condition, self.body()?));
            if self.accept_word("elseif")? {
                continue;
            }
            if self.accept_word("else")? {
                otherwise = self.body()?;
            }
            self.expect_word("end")?;
            return Ok(Statement::If(arms, otherwise));
        }
    }
}
