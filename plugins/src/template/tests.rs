use super::*;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::json;
use tidegate_plugin::exchange::Captures;

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("h1", HeaderValue::from_static("v1"));
    headers.insert("x-id", HeaderValue::from_static("42"));
    headers.insert("under_score", HeaderValue::from_static("u"));
    headers.append("many", HeaderValue::from_static("a"));
    headers.append("many", HeaderValue::from_static("b"));
    headers.insert("authorization", HeaderValue::from_static("Bearer abc.def"));
    headers
}

fn render(source: &str) -> Result<String, RenderError> {
    let headers = headers();
    let captures = Captures {
        groups: vec![Some("/a/7/p".to_owned()), Some("7".to_owned()), None],
        names: vec![("id".to_owned(), 1), ("missing".to_owned(), 2)],
    };
    let shared = json!({ "version": "v2", "deep": { "list": [1, "two"], "flag": false } });
    let scope = Scope {
        headers: &headers,
        query: Some("q=x%20y&flag&n=1&n=2&empty="),
        captures: Some(&captures),
        shared: shared.as_object(),
    };
    let template = Template::parse(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    template
        .render(&scope)
        .map(|bytes| String::from_utf8(bytes).expect("UTF-8"))
}

fn all(cases: &[(&str, &str)]) {
    for (source, expected) in cases {
        assert_eq!(render(source).as_deref(), Ok(*expected), "{source}");
    }
}

#[test]
fn text_without_expressions_is_itself() {
    all(&[
        ("", ""),
        ("plain", "plain"),
        ("# no comment", "# no comment"),
        ("$ 5 (five) $", "$ 5 (five) $"),
    ]);
    let template = Template::parse("a:b").expect("template");
    assert_eq!(template.as_constant(), Some(&b"a:b"[..]));
}

#[test]
fn request_data_is_found_by_member_and_by_index() {
    all(&[
        ("$(headers.h1)-$(headers[\"H1\"])-$(headers['X-Id'])", "v1-v1-42"),
        ("$(headers.x_id)", "42"),
        ("$(headers.under_score)", "u"),
        (
            "$(query_params.q)|$(query_params[\"q\"])|$(query_params.flag)|$(query_params.empty)|",
            "x y|x y|true||",
        ),
        (
            "$(uri_captures.id)$(uri_captures[\"id\"])$(uri_captures[1])",
            "777",
        ),
        ("$(uri_captures[0])", "/a/7/p"),
        (
            "$(shared.version) $(shared.deep.list[2]) $(shared.deep.flag)",
            "v2 two ",
        ),
    ]);
}

#[test]
fn what_is_absent_nil_or_false_renders_as_nothing() {
    all(&[
        ("[$(headers.nope)]", "[]"),
        (
            "[$(uri_captures.missing)$(uri_captures[9])$(uri_captures.nope)]",
            "[]",
        ),
        ("[$(nil)$(false)$(shared.nope)$(nope)]", "[]"),
    ]);
}

#[test]
fn repeated_values_are_lists() {
    all(&[
        ("$(headers.many[2])", "b"),
        ("$(headers.many)", "a, b"),
        ("$(#query_params.n)", "2"),
        (
            "$(type(headers[\"many\"]) == \"table\" and headers[\"many\"][1] or headers[\"many\"])",
            "a",
        ),
        (
            "$(type(headers[\"h1\"]) == \"table\" and headers[\"h1\"][1] or headers[\"h1\"])",
            "v1",
        ),
        ("$(table.concat(headers.many, '+'))", "a+b"),
    ]);
}

#[test]
fn operators_follow_lua() {
    all(&[
        ("$(headers.nope or 'default1')", "default1"),
        ("$(headers.h1 and 'yes' or 'no')", "yes"),
        ("$(headers.h1 .. '/' .. 1 .. 2)", "v1/12"),
        ("$(1+2*3-4/2)", "5"),
        ("$(2^3^2)", "512"),
        ("$(-2^2)", "-4"),
        ("$(-7 % 3)", "2"),
        ("$(10/4)", "2.5"),
        ("$('10' + 5)", "15"),
        ("$((1+2)*3)", "9"),
        ("$(not headers.nope)", "true"),
        ("$(#'abc')", "3"),
        ("$(1 < 2)$('a' < 'b')$(2 <= 2)$(3 ~= 3)", "truetruetrue"),
        ("$(1 == 1.0)$('1' == 1)", "true"),
        ("$(0/0 < 1 or 0/0 >= 1 or 'neither')", "neither"),
    ]);
}

#[test]
fn functions_and_methods_follow_lua() {
    all(&[
        ("$(type(headers))$(type(1))$(type(nil))", "tablenumbernil"),
        ("$(tostring(1+2))$(tostring(nil))$(tostring(true))", "3niltrue"),
        (
            "$(tonumber(' 0x1F '))$(tonumber('x') or 'none')$(tonumber('ff', 16))",
            "31none255",
        ),
        (
            "$(string.upper('abc'))$(string.lower('ABC'))$(string.len('abc'))",
            "ABCabc3",
        ),
        ("$(string.sub('hello', 2, 3))", "el"),
        ("$(string.sub('hello', -2))", "lo"),
        ("$(string.sub('hello', 4, 99))", "lo"),
        ("$(string.sub('hello', 0))", "hello"),
        ("$(string.sub('hello', 4, 2))", ""),
        ("$(string.rep('ab', 3))$(string.reverse('abc'))", "abababcba"),
        (
            "$(string.format('%s-%05d-%.2f-%x-%%-%-4s|', 'a', 42, 1.25, 255, 'b'))",
            "a-00042-1.25-ff-%-b   |",
        ),
        ("$(headers.authorization:sub(8))", "abc.def"),
        ("$(('x'):rep(3))", "xxx"),
        ("$(math.floor(2.7))$(math.max(1, 3, 2))$(math.abs(-1))", "231"),
    ]);
}

#[test]
fn patterns_are_lua_patterns() {
    all(&[
        ("$(headers.authorization:gsub('^Bearer ', ''))", "abc.def"),
        (
            "$(string.gsub('a-b-c', '-', '_'))$(string.gsub('aaa', 'a', 'b', 2))",
            "a_b_cbba",
        ),
        (
            "$(string.gsub('john smith', '(%w+) (%w+)', '%2 %1'))",
            "smith john",
        ),
        (
            "$(string.gsub('abc', '%w', '<%0>'))$(string.gsub('x', 'x', '%%'))",
            "<a><b><c>%",
        ),
        (
            "$(string.match(headers.authorization, '^Bearer%s+(.+)$'))",
            "abc.def",
        ),
        (
            "$(string.match('abc', 'x') or 'none')$(string.find('abc', 'c'))",
            "none3",
        ),
    ]);
}

#[test]
fn function_bodies_may_declare_branch_and_return() {
    all(&[
        ("$((function() return 'a' .. 'b' end)())", "ab"),
        (
            "$((function() local v = headers.h1 if v then return v end return 'none' end)())",
            "v1",
        ),
        (
            "$((function(x, y) if x == nil then return 1 elseif y then return 2 else return 3 end end)(headers.h1))",
            "3",
        ),
        (
            "$((function() local v = 1; if true then local w = 2 v = v + w end; return v end)())",
            "3",
        ),
        (
            "$((function() local a = 1 return (function(b) return a + b end)(2) end)())",
            "3",
        ),
        ("[$((function() end)())]", "[]"),
    ]);
}

#[test]
fn a_rendered_value_is_not_rendered_again() {
    all(&[("$('$(uri_captures.id)')", "$(uri_captures.id)")]);
}

#[test]
fn an_unclosed_expression_is_text() {
    all(&[("cost $(5", "cost $(5"), ("$(", "$("), ("a$(b$(1)", "a$(b1")]);
}

#[test]
fn failures_on_a_request_are_errors_and_not_text() {
    for (source, message) in [
        ("$(foo())", "attempt to call 'foo' (a nil value)"),
        ("$(shared.nope.x)", "attempt to index a nil value (field 'x')"),
        ("$('a' .. nil)", "attempt to concatenate a nil value"),
        ("$(1 + 'x')", "attempt to perform arithmetic on a string value"),
        ("$(1 < 'x')", "attempt to compare number with string"),
        ("$(headers)", "a table cannot be rendered: pick a member"),
        ("$(string.rep('x', 1e9))", "a string exceeds 1048576 bytes"),
        (
            "$(string.upper())",
            "bad argument #1 to 'string.upper' (string expected, got nil)",
        ),
        (
            "$(string.gsub('x', 'x', '%2'))",
            "invalid capture index %2 in replacement string",
        ),
    ] {
        assert_eq!(render(source), Err(RenderError(message.to_owned())), "{source}");
    }
}

#[test]
fn forms_outside_the_subset_are_refused_by_name() {
    for (source, form) in [
        ("$(shared.x = true)", "assignment is not supported in templates"),
        ("$(os.time())", "'os' is not supported in templates"),
        (
            "$(string.gmatch('a', 'b'))",
            "'string.gmatch' is not supported in templates",
        ),
        ("$({1})", "table constructors are not supported in templates"),
        (
            "$(function() return 1 end)",
            "a function that is not called at once is not supported in templates",
        ),
        (
            "$((function() for i = 1, 2 do end end)())",
            "'for' is not supported in templates",
        ),
        (
            "$((function() headers.x = 1 end)())",
            "a statement on 'headers', which is no local, is not supported",
        ),
        (
            "$(string.match('a', headers.h1))",
            "a pattern of 'string.match' that is no string literal is not supported",
        ),
        (
            "$(string.match('a', '%b()'))",
            "'string.match': '%b' in a pattern: not supported in templates",
        ),
        (
            "$(headers.h1())",
            "a call of a computed value is not supported in templates",
        ),
        ("$(1 --[[x]])", "comments are not supported in templates"),
        ("$(1 +)", "an expression expected near ')'"),
        ("$(1 2)", "')' expected near a number"),
        ("$('a)", "unfinished string"),
        ("$(while)", "an expression expected near 'while'"),
    ] {
        let error = Template::parse(source).expect_err(source);
        assert!(error.message.starts_with(form), "{source}: {error}");
    }
}

#[test]
fn the_position_of_an_error_counts_from_the_start_of_the_value() {
    let error = Template::parse("ab$(1)$( 2 3)").expect_err("two numbers");
    assert_eq!(error.to_string(), "at character 12: ')' expected near a number");
}

#[test]
fn nesting_is_bounded() {
    for source in [
        format!("$({}1{})", "(".repeat(500), ")".repeat(500)),
        format!("$({}1)", "- ".repeat(500)),
        format!("$({}1)", "1 .. ".repeat(500)),
        format!("$({}1)", "1 + ".repeat(500)),
        format!("$(headers{})", "[1]".repeat(500)),
        format!("$((function() {} end)())", "if 1 then ".repeat(500)),
    ] {
        let error = Template::parse(&source).expect_err("too deep");
        assert!(error.message.contains("levels of nesting"), "{error}");
    }
}

proptest! {
    #[test]
    fn any_text_parses_or_is_refused_and_renders_without_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz(&data);
    }

    #[test]
    fn anything_made_of_tokens_parses_or_is_refused_without_panic(
        tokens in proptest::collection::vec(
            proptest::sample::select(vec![
                "$(", ")", "(", "headers", ".", "h", "[", "]", "'a'", "1", "..", "and", "or", "not", "function", "end",
                "return", "local", "v", "=", "==", "string.sub", "string.gsub", ",", "if", "then", "else", ":", "rep",
                "%", "-", "#", "uri_captures", "shared", "nil", "true", "tostring", "string.format", "'%5.2f%s'", "1e308",
            ]),
            0..30,
        ),
    ) {
        fuzz(tokens.join(" ").as_bytes());
    }

    #[test]
    fn a_quoted_string_renders_as_itself(text in "[^\\\\\"\n\r]{0,40}") {
        let source = format!("$(\"{text}\")");
        prop_assert_eq!(render(&source), Ok(text));
    }

    #[test]
    fn text_around_an_expression_is_kept(before in "[^$]{0,20}", after in "[^$]{0,20}") {
        let source = format!("{before}$(headers.h1){after}");
        prop_assert_eq!(render(&source), Ok(format!("{before}v1{after}")));
    }

    #[test]
    fn integers_render_as_they_are_written(number in 0_u64..1_000_000_000_000) {
        prop_assert_eq!(render(&format!("$({number})")), Ok(number.to_string()));
    }
}
