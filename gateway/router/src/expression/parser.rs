//! Recursive descent over the text; types are checked as each predicate closes.

use super::ast::{
    Field, FieldType, IntegerOperator, Node, Operator, Predicate, Test, TextOperator, Transforms,
};
use super::literal::{self, Literal};
use super::{ExpressionError, MAX_EXPRESSION_DEPTH, Subsystem};
use crate::pattern::Pattern;

pub(super) fn parse(text: &str, subsystem: Subsystem) -> Result<Node, ExpressionError> {
    let mut parser = Parser {
        text,
        at: 0,
        subsystem,
    };
    let root = parser.conjunction(0)?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.expected("`&&`, `||` or the end"));
    }
    Ok(root)
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    subsystem: Subsystem,
}

impl Parser<'_> {
    fn conjunction(&mut self, depth: usize) -> Result<Node, ExpressionError> {
        let first = self.disjunction(depth)?;
        let mut parts = vec![first];
        while self.accept("&&") {
            parts.push(self.disjunction(depth)?);
        }
        Ok(join(parts, Node::All))
    }

    fn disjunction(&mut self, depth: usize) -> Result<Node, ExpressionError> {
        let first = self.term(depth)?;
        let mut parts = vec![first];
        while self.accept("||") {
            parts.push(self.term(depth)?);
        }
        Ok(join(parts, Node::Any))
    }

    fn term(&mut self, depth: usize) -> Result<Node, ExpressionError> {
        if depth > MAX_EXPRESSION_DEPTH {
            return Err(ExpressionError::TooLarge);
        }
        let negated = self.accept("!");
        if self.accept("(") {
            let inner = self.conjunction(depth + 1)?;
            if !self.accept(")") {
                return Err(self.expected("`)`"));
            }
            return Ok(if negated {
                Node::Not(Box::new(inner))
            } else {
                inner
            });
        }
        if negated {
            return Err(self.expected("`(` after `!`"));
        }
        Ok(Node::Test(Box::new(self.predicate()?)))
    }

    fn predicate(&mut self) -> Result<Predicate, ExpressionError> {
        let mut transforms = Transforms::default();
        let field = self.left_side(&mut transforms, 0)?;
        let operator = self.operator()?;
        self.skip_space();
        let Some((literal, length)) = literal::read(self.rest())? else {
            return Err(self.expected("a string, number, address or range"));
        };
        self.at += length;
        if transforms.lower && field.kind() != FieldType::Text {
            return Err(ExpressionError::LowerOfNonString);
        }
        let test = check(field.kind(), operator, literal)?;
        Ok(Predicate {
            field,
            transforms,
            test,
        })
    }

    fn left_side(&mut self, transforms: &mut Transforms, depth: usize) -> Result<Field, ExpressionError> {
        if depth > MAX_EXPRESSION_DEPTH {
            return Err(ExpressionError::TooLarge);
        }
        let name = self.word();
        if name.is_empty() {
            return Err(self.expected("a field"));
        }
        if !self.accept("(") {
            return field(&name, self.subsystem);
        }
        match name.as_str() {
            "lower" => transforms.lower = true,
            "any" => transforms.any = true,
            _ => return Err(ExpressionError::UnknownTransformation(name)),
        }
        let inner = self.left_side(transforms, depth + 1)?;
        if !self.accept(")") {
            return Err(self.expected("`)`"));
        }
        Ok(inner)
    }

    fn operator(&mut self) -> Result<Operator, ExpressionError> {
        // Longer spellings first.
        const SIGNS: [(&str, Operator); 10] = [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("^=", Operator::StartsWith),
            ("=^", Operator::EndsWith),
            (">=", Operator::GreaterOrEqual),
            ("<=", Operator::LessOrEqual),
            (">", Operator::Greater),
            ("<", Operator::Less),
            ("~", Operator::Matches),
            ("contains", Operator::Contains),
        ];
        for (sign, operator) in SIGNS {
            if self.accept(sign) {
                return Ok(operator);
            }
        }
        if self.accept("in") {
            return Ok(Operator::In);
        }
        if self.accept("not") && self.accept("in") {
            return Ok(Operator::NotIn);
        }
        Err(self.expected("an operator"))
    }

    fn word(&mut self) -> String {
        self.skip_space();
        let rest = self.rest();
        let length = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(byte))
            .count();
        let word = rest.get(..length).unwrap_or_default().to_owned();
        self.at += length;
        word
    }

    fn accept(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn skip_space(&mut self) {
        self.at += self
            .rest()
            .bytes()
            .take_while(|byte| b" \t\r\n".contains(byte))
            .count();
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn expected(&self, expected: &'static str) -> ExpressionError {
        ExpressionError::Syntax {
            expected,
            column: self.at + 1,
        }
    }
}

fn join(mut parts: Vec<Node>, many: fn(Vec<Node>) -> Node) -> Node {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => many(parts),
    }
}

fn field(name: &str, subsystem: Subsystem) -> Result<Field, ExpressionError> {
    let shared = match name {
        "net.protocol" => Some(Field::Protocol),
        "tls.sni" => Some(Field::Sni),
        "net.src.ip" => Some(Field::SourceIp),
        "net.dst.ip" => Some(Field::DestinationIp),
        "net.src.port" => Some(Field::SourcePort),
        "net.dst.port" | "net.port" => Some(Field::DestinationPort),
        _ => None,
    };
    if let Some(field) = shared {
        return Ok(field);
    }
    if subsystem == Subsystem::Stream {
        return Err(ExpressionError::UnknownField);
    }
    match name {
        "http.method" => return Ok(Field::Method),
        "http.host" => return Ok(Field::Host),
        "http.path" => return Ok(Field::Path),
        "http.path.segments.len" => return Ok(Field::SegmentCount),
        _ => {}
    }
    if let Some(index) = name.strip_prefix("http.path.segments.") {
        return segments(index).ok_or(ExpressionError::IllformedSegments);
    }
    if let Some(header) = name
        .strip_prefix("http.headers.")
        .filter(|header| !header.is_empty())
    {
        if header.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(ExpressionError::UnknownField);
        }
        return Ok(Field::Header(header.replace('_', "-").into()));
    }
    if let Some(query) = name
        .strip_prefix("http.queries.")
        .filter(|query| !query.is_empty())
    {
        return Ok(Field::Query(query.into()));
    }
    Err(ExpressionError::UnknownField)
}

fn segments(index: &str) -> Option<Field> {
    let number = |text: &str| {
        // Kong accepts `0` but no other leading zero.
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        plain.then(|| text.parse::<usize>().ok()).flatten()
    };
    match index.split_once('_') {
        None => number(index).map(|only| Field::Segments(only, only)),
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            (first < last).then_some(Field::Segments(first, last))
        }
    }
}

fn check(kind: FieldType, operator: Operator, literal: Literal) -> Result<Test, ExpressionError> {
    if operator == Operator::Matches {
        let Literal::Text(source) = literal else {
            return Err(ExpressionError::RegexOfNonString);
        };
        if kind != FieldType::Text {
            return Err(ExpressionError::TypeMismatch);
        }
        let pattern = Pattern::parse(&source).map_err(|fault| ExpressionError::Regex {
            pattern: source,
            reason: fault.to_string(),
        })?;
        return Ok(Test::Matches(Box::new(pattern)));
    }
    if matches!(operator, Operator::In | Operator::NotIn) {
        return match (kind, literal) {
            (FieldType::Address, Literal::Range(range)) => Ok(Test::Range {
                within: operator == Operator::In,
                range,
            }),
            _ => Err(ExpressionError::InOfNonCidr),
        };
    }
    match (kind, literal) {
        (FieldType::Text, Literal::Text(text)) => Ok(Test::Text(
            text_operator(operator)?,
            text.into_bytes().into_boxed_slice(),
        )),
        (FieldType::Integer, Literal::Integer(number)) => {
            Ok(Test::Integer(integer_operator(operator)?, number))
        }
        (FieldType::Address, Literal::Address(address)) => match operator {
            Operator::Equal => Ok(Test::Address { equal: true, address }),
            Operator::NotEqual => Ok(Test::Address {
                equal: false,
                address,
            }),
            other => Err(ExpressionError::OperatorType(sign(other))),
        },
        _ => Err(ExpressionError::TypeMismatch),
    }
}

fn text_operator(operator: Operator) -> Result<TextOperator, ExpressionError> {
    Ok(match operator {
        Operator::Equal => TextOperator::Equal,
        Operator::NotEqual => TextOperator::NotEqual,
        Operator::StartsWith => TextOperator::StartsWith,
        Operator::EndsWith => TextOperator::EndsWith,
        Operator::Contains => TextOperator::Contains,
        other => return Err(ExpressionError::OperatorType(sign(other))),
    })
}

fn integer_operator(operator: Operator) -> Result<IntegerOperator, ExpressionError> {
    Ok(match operator {
        Operator::Equal => IntegerOperator::Equal,
        Operator::NotEqual => IntegerOperator::NotEqual,
        Operator::Greater => IntegerOperator::Greater,
        Operator::GreaterOrEqual => IntegerOperator::GreaterOrEqual,
        Operator::Less => IntegerOperator::Less,
        Operator::LessOrEqual => IntegerOperator::LessOrEqual,
        other => return Err(ExpressionError::OperatorType(sign(other))),
    })
}

fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Equal => "==",
        Operator::NotEqual => "!=",
        Operator::Matches => "~",
        Operator::StartsWith => "^=",
        Operator::EndsWith => "=^",
        Operator::Contains => "contains",
        Operator::Greater => ">",
        Operator::GreaterOrEqual => ">=",
        Operator::Less => "<",
        Operator::LessOrEqual => "<=",
        Operator::In => "in",
        Operator::NotIn => "not in",
    }
}
