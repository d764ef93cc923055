//! Values as Kong's messages show them: tables in Lua's notation.

use serde_json::{Map, Value};

/// The value on one line, without spaces: `{name="x",service=null,tags={"a","b"}}`. Keys are sorted; a null in a list
/// is a hole, so that what follows carries its position.
#[must_use]
pub fn lua_table(value: &Value) -> String {
    let mut output = String::new();
    write(value, None, &mut output);
    output
}

/// The value over several lines, indented by two spaces a level.
pub(super) fn lua_table_in_lines(value: &Value) -> String {
    let mut output = String::new();
    write(value, Some(0), &mut output);
    output
}

/// `indent` is the level of indentation, or none for one line.
fn write(value: &Value, indent: Option<usize>, output: &mut String) {
    match value {
        Value::String(text) => output.push_str(&quoted(text)),
        Value::Array(items) => write_list(items, indent, output),
        Value::Object(entries) => write_entries(entries, indent, output),
        Value::Null | Value::Bool(_) | Value::Number(_) => output.push_str(&value.to_string()),
    }
}

fn write_list(items: &[Value], indent: Option<usize>, output: &mut String) {
    let before_hole = items.iter().take_while(|item| !item.is_null()).count();
    let present = items.iter().enumerate().filter(|(_, item)| !item.is_null());
    let members = present.map(|(index, item)| {
        let key = (index >= before_hole).then(|| format!("[{}]", index + 1));
        (key, item)
    });
    write_members(members.collect(), indent, output);
}

fn write_entries(entries: &Map<String, Value>, indent: Option<usize>, output: &mut String) {
    let mut sorted: Vec<(&String, &Value)> = entries.iter().collect();
    sorted.sort_by_key(|(key, _)| *key);
    let members = sorted.into_iter().map(|(key, value)| {
        let key = if is_identifier(key) {
            key.clone()
        } else {
            format!("[{}]", quoted(key))
        };
        (Some(key), value)
    });
    write_members(members.collect(), indent, output);
}

fn write_members(members: Vec<(Option<String>, &Value)>, indent: Option<usize>, output: &mut String) {
    let inner = indent.map(|level| level + 1);
    output.push('{');
    for (position, (key, value)) in members.into_iter().enumerate() {
        if position > 0 {
            output.push(',');
        }
        new_line(inner, output);
        if let Some(key) = key {
            output.push_str(&key);
            output.push_str(if indent.is_some() { " = " } else { "=" });
        }
        write(value, inner, output);
    }
    new_line(indent, output);
    output.push('}');
}

fn new_line(indent: Option<usize>, output: &mut String) {
    if let Some(level) = indent {
        output.push('\n');
        output.push_str(&"  ".repeat(level));
    }
}

fn is_identifier(key: &str) -> bool {
    const KEYWORDS: [&str; 21] = [
        "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local",
        "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
    ];
    let starts_well = key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    starts_well
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !KEYWORDS.contains(&key)
}

/// Text of more than one line stands in long brackets, other text in double quotes.
fn quoted(text: &str) -> String {
    if text.contains('\n') && !text.contains('\r') && !text.contains(']') {
        let kept = if text.starts_with('\n') { "\n" } else { "" };
        return format!("[[{kept}{text}]]");
    }
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\\n")
        .replace('\r', "\\r");
    format!("\"{}\"", escaped.replace('\0', "\\000"))
}

#[cfg(test)]
mod tests {
    use super::{lua_table, lua_table_in_lines};
    use serde_json::json;

    #[test]
    fn a_table_stands_on_one_line_with_sorted_keys() {
        let value = json!({"service": null, "name": "x", "@entity": ["a", "b"], "port": 80, "end": true});
        assert_eq!(
            lua_table(&value),
            r#"{["@entity"]={"a","b"},["end"]=true,name="x",port=80,service=null}"#
        );
        assert_eq!(lua_table(&json!({})), "{}");
    }

    #[test]
    fn what_follows_a_hole_carries_its_position() {
        assert_eq!(lua_table(&json!([null, "x"])), r#"{[2]="x"}"#);
        assert_eq!(lua_table(&json!(["a", null, {"b": "c"}])), r#"{"a",[3]={b="c"}}"#);
    }

    #[test]
    fn text_is_quoted_so_that_it_reads_back() {
        assert_eq!(
            lua_table(&json!({"a": "say \"hi\" \\"})),
            r#"{a="say \"hi\" \\"}"#
        );
        assert_eq!(lua_table(&json!({"a": "one\ntwo"})), "{a=[[one\ntwo]]}");
    }

    #[test]
    fn lines_are_indented_by_level() {
        let value = json!({"b": {"c": "x"}, "a": ["y"]});
        assert_eq!(
            lua_table_in_lines(&value),
            "{\n  a = {\n    \"y\"\n  },\n  b = {\n    c = \"x\"\n  }\n}"
        );
    }
}
