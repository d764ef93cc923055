//! The functions that expressions may call.

use super::value::{Value, parse_number};
use super::{MAX_STRING, RenderError};
use std::borrow::Cow;

/// A function without a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Type,
    ToString,
    ToNumber,
    Concat,
    Floor,
    Ceil,
    Abs,
    Min,
    Max,
    Sub,
    Lower,
    Upper,
    Len,
    Rep,
    Reverse,
    Format,
}

const FUNCTIONS: &[(&str, Function)] = &[
    ("type", Function::Type),
    ("tostring", Function::ToString),
    ("tonumber", Function::ToNumber),
    ("table.concat", Function::Concat),
    ("math.floor", Function::Floor),
    ("math.ceil", Function::Ceil),
    ("math.abs", Function::Abs),
    ("math.min", Function::Min),
    ("math.max", Function::Max),
    ("string.sub", Function::Sub),
    ("string.lower", Function::Lower),
    ("string.upper", Function::Upper),
    ("string.len", Function::Len),
    ("string.rep", Function::Rep),
    ("string.reverse", Function::Reverse),
    ("string.format", Function::Format),
];

/// Names of Lua's library (and of the gateway that templates come from) outside the subset: refused when parsed, since
/// they would not be `nil` there.
const UNSUPPORTED: &[&str] = &[
    "_G",
    "assert",
    "bit",
    "collectgarbage",
    "coroutine",
    "debug",
    "dofile",
    "error",
    "getfenv",
    "getmetatable",
    "io",
    "ipairs",
    "jit",
    "kong",
    "load",
    "loadstring",
    "math",
    "module",
    "next",
    "ngx",
    "os",
    "package",
    "pairs",
    "pcall",
    "print",
    "rawequal",
    "rawget",
    "rawset",
    "require",
    "select",
    "setfenv",
    "setmetatable",
    "string",
    "table",
    "unpack",
    "xpcall",
];

impl Function {
    /// By its full name, e.g. `string.sub`.
    pub(super) fn named(name: &str) -> Option<Self> {
        FUNCTIONS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, function)| *function)
    }

    fn name(self) -> &'static str {
        FUNCTIONS
            .iter()
            .find(|(_, function)| *function == self)
            .map_or("function", |(name, _)| name)
    }

    /// Calls it.
    pub(super) fn call<'a>(self, args: Vec<Value<'a>>) -> Result<Value<'a>, RenderError> {
        let mut args = Args {
            function: self,
            values: args.into_iter(),
            position: 0,
        };
        Ok(match self {
            Self::Type => Value::Text(Cow::Borrowed(args.any()?.type_name().as_bytes())),
            Self::ToString => tostring(args.any()?)?,
            Self::ToNumber => to_number(&mut args)?,
            Self::Concat => concat(&mut args)?,
            Self::Floor => Value::Number(args.number()?.floor()),
            Self::Ceil => Value::Number(args.number()?.ceil()),
            Self::Abs => Value::Number(args.number()?.abs()),
            Self::Min => args.fold(f64::min)?,
            Self::Max => args.fold(f64::max)?,
            Self::Sub => sub(&mut args)?,
            Self::Lower => Value::Text(Cow::Owned(args.string()?.to_ascii_lowercase())),
            Self::Upper => Value::Text(Cow::Owned(args.string()?.to_ascii_uppercase())),
            #[allow(clippy::cast_precision_loss, reason = "strings are shorter than 2^53 bytes")]
            Self::Len => Value::Number(args.string()?.len() as f64),
            Self::Rep => rep(&mut args)?,
            Self::Reverse => Value::Text(Cow::Owned(args.string()?.iter().rev().copied().collect())),
            Self::Format => Value::Text(Cow::Owned(format(&mut args)?)),
        })
    }
}

/// Whether a global name belongs to Lua's library and is not offered.
pub(super) fn is_unsupported(name: &str) -> bool {
    UNSUPPORTED.contains(&name)
}

struct Args<'a> {
    function: Function,
    values: std::vec::IntoIter<Value<'a>>,
    position: usize,
}

impl<'a> Args<'a> {
    fn optional(&mut self) -> Option<Value<'a>> {
        self.position += 1;
        self.values.next()
    }

    fn any(&mut self) -> Result<Value<'a>, RenderError> {
        self.optional().ok_or_else(|| self.bad("value expected"))
    }

    fn string(&mut self) -> Result<Cow<'a, [u8]>, RenderError> {
        let value = self.optional().unwrap_or(Value::Nil);
        let found = value.type_name();
        value
            .into_string()
            .ok_or_else(|| self.bad(&format!("string expected, got {found}")))
    }

    fn number(&mut self) -> Result<f64, RenderError> {
        let value = self.optional().unwrap_or(Value::Nil);
        value
            .to_number()
            .ok_or_else(|| self.bad(&format!("number expected, got {}", value.type_name())))
    }

    fn number_or(&mut self, default: f64) -> Result<f64, RenderError> {
        match self.optional() {
            None | Some(Value::Nil) => Ok(default),
            Some(value) => value
                .to_number()
                .ok_or_else(|| self.bad(&format!("number expected, got {}", value.type_name()))),
        }
    }

    fn fold(&mut self, pick: fn(f64, f64) -> f64) -> Result<Value<'a>, RenderError> {
        let mut result = self.number()?;
        while self.values.len() > 0 {
            result = pick(result, self.number()?);
        }
        Ok(Value::Number(result))
    }

    fn bad(&self, problem: &str) -> RenderError {
        RenderError(format!(
            "bad argument #{} to '{}' ({problem})",
            self.position,
            self.function.name()
        ))
    }
}

fn tostring(value: Value<'_>) -> Result<Value<'_>, RenderError> {
    if let Value::Text(text) = value {
        return Ok(Value::Text(text));
    }
    match value.to_text() {
        Some(text) => Ok(Value::Text(Cow::Owned(text.into_owned()))),
        None => Err(RenderError("a table has no text: pick a member".to_owned())),
    }
}

fn to_number<'a>(args: &mut Args<'a>) -> Result<Value<'a>, RenderError> {
    let value = args.any()?;
    let base = args.number_or(10.0)?;
    if (base - 10.0).abs() < f64::EPSILON {
        return Ok(value.to_number().map_or(Value::Nil, Value::Number));
    }
    if !(2.0..=36.0).contains(&base) {
        return Err(args.bad("base out of range"));
    }
    let Value::Text(text) = value else {
        return Ok(Value::Nil);
    };
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "2 to 36, checked above"
    )]
    let number = std::str::from_utf8(&text)
        .ok()
        .and_then(|text| u32::from_str_radix(text.trim(), base as u32).ok());
    Ok(number.map_or(Value::Nil, |number| Value::Number(f64::from(number))))
}

fn concat<'a>(args: &mut Args<'a>) -> Result<Value<'a>, RenderError> {
    let list = args.any()?;
    let separator = match args.optional() {
        None | Some(Value::Nil) => Cow::Borrowed(&b""[..]),
        Some(value) => value.into_string().ok_or_else(|| args.bad("string expected"))?,
    };
    let items = match list {
        Value::List(items) => items,
        Value::Json(serde_json::Value::Array(items)) => items.iter().map(Value::from_json).collect(),
        _ => return Err(args.bad("list expected")),
    };
    let mut out = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(&separator);
        }
        let Some(text) = item.into_string() else {
            return Err(RenderError(format!(
                "invalid value at index {} for 'concat'",
                index + 1
            )));
        };
        out.extend_from_slice(&text);
        bounded(out.len())?;
    }
    Ok(Value::Text(Cow::Owned(out)))
}

/// Lua's positions: from 1, negative ones from the end, clamped to the string.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped to the length of a string before the cast"
)]
fn sub<'a>(args: &mut Args<'a>) -> Result<Value<'a>, RenderError> {
    let text = args.string()?;
    let length = text.len() as f64;
    let from_end = |position: f64| {
        if position < 0.0 {
            (length + position + 1.0).max(0.0)
        } else {
            position
        }
    };
    let start = from_end(args.number()?.trunc()).clamp(1.0, length + 1.0) as usize;
    let end = from_end(args.number_or(-1.0)?.trunc()).clamp(0.0, length) as usize;
    Ok(Value::Text(match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(start - 1..end).unwrap_or(b"")),
        Cow::Owned(text) => Cow::Owned(text.get(start - 1..end).unwrap_or(b"").to_vec()),
    }))
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped before the cast"
)]
fn rep<'a>(args: &mut Args<'a>) -> Result<Value<'a>, RenderError> {
    let text = args.string()?;
    let times = args.number()?.clamp(0.0, MAX_STRING as f64 + 1.0) as usize;
    bounded(text.len().saturating_mul(times))?;
    Ok(Value::Text(Cow::Owned(text.repeat(times))))
}

/// Fails when a string of that length must not be made.
pub(super) fn bounded(length: usize) -> Result<(), RenderError> {
    if length > MAX_STRING {
        return Err(RenderError(format!("a string exceeds {MAX_STRING} bytes")));
    }
    Ok(())
}

/// `string.format` with `%s %d %i %u %x %X %c %f %%`, flags `-` and `0`, width and precision up to two digits.
fn format(args: &mut Args<'_>) -> Result<Vec<u8>, RenderError> {
    let template = args.string()?.into_owned();
    let mut out = Vec::new();
    let mut rest = template.as_slice();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            out.push(*first);
            continue;
        }
        if let Some(tail) = rest.strip_prefix(b"%") {
            out.push(b'%');
            rest = tail;
            continue;
        }
        let spec_length = rest
            .iter()
            .take_while(|byte| b"-0123456789.".contains(byte))
            .count();
        let (flags, tail) = rest.split_at(spec_length);
        let Some((conversion, tail)) = tail.split_first() else {
            return Err(args.bad("invalid conversion to 'format'"));
        };
        rest = tail;
        let field =
            Field::parse(flags).ok_or_else(|| args.bad("invalid format (width or precision too long)"))?;
        field.write(&converted(*conversion, &field, args)?, &mut out);
        bounded(out.len())?;
    }
    Ok(out)
}

fn converted(conversion: u8, field: &Field, args: &mut Args<'_>) -> Result<Vec<u8>, RenderError> {
    Ok(match conversion {
        b's' => {
            let value = args.any()?;
            let text = value
                .to_text()
                .ok_or_else(|| args.bad("string expected, got table"))?
                .into_owned();
            text.get(..field.precision.unwrap_or(text.len()))
                .unwrap_or(&text)
                .to_vec()
        }
        b'd' | b'i' => format!("{}", integer(args.number()?)).into_bytes(),
        b'u' => format!("{}", integer(args.number()?).unsigned_abs()).into_bytes(),
        b'x' => format!("{:x}", integer(args.number()?)).into_bytes(),
        b'X' => format!("{:X}", integer(args.number()?)).into_bytes(),
        b'f' => format!("{:.*}", field.precision.unwrap_or(6), args.number()?).into_bytes(),
        b'c' => vec![u8::try_from(integer(args.number()?)).map_err(|_| args.bad("character out of range"))?],
        other => {
            let other = char::from(other);
            return Err(args.bad(&format!("the conversion '%{other}' of 'format' is not supported")));
        }
    })
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "C's conversion truncates; Rust's cast saturates"
)]
fn integer(number: f64) -> i64 {
    number as i64
}

struct Field {
    is_left: bool,
    has_zeros: bool,
    width: usize,
    precision: Option<usize>,
}

impl Field {
    fn parse(flags: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(flags).ok()?;
        let digits = text.trim_start_matches(['-', '0']);
        let marks = text.get(..text.len() - digits.len())?;
        let (width, precision) = match digits.split_once('.') {
            Some((width, precision)) => (width, Some(precision)),
            None => (digits, None),
        };
        let number = |digits: &str| match digits.len() {
            0 => Some(0),
            1 | 2 => digits.parse().ok(),
            _ => None,
        };
        Some(Self {
            is_left: marks.contains('-'),
            has_zeros: marks.contains('0'),
            width: number(width)?,
            precision: match precision {
                Some(digits) => Some(number(digits)?),
                None => None,
            },
        })
    }

    fn write(&self, text: &[u8], out: &mut Vec<u8>) {
        let padding = self.width.saturating_sub(text.len());
        let is_number = parse_number(text).is_some();
        match (self.is_left, self.has_zeros && is_number, text.split_first()) {
            (true, _, _) => {
                out.extend_from_slice(text);
                out.extend(std::iter::repeat_n(b' ', padding));
            }
            (false, true, Some((b'-', digits))) => {
                out.push(b'-');
                out.extend(std::iter::repeat_n(b'0', padding));
                out.extend_from_slice(digits);
            }
            (false, has_zeros, _) => {
                out.extend(std::iter::repeat_n(if has_zeros { b'0' } else { b' ' }, padding));
                out.extend_from_slice(text);
            }
        }
    }
}
