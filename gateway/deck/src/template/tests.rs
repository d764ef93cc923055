use super::{Source, render};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn environment() -> BTreeMap<String, String> {
    [
        ("DECK_HOST", "example.com"),
        ("DECK_PORT", "8443"),
        ("DECK_ON", "true"),
        ("DECK_RATE", "1.5"),
        ("DECK_PEM", "a\nb"),
        ("HOME", "/root"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

fn rendered(text: &str) -> Result<String, String> {
    render(text, Source::Environment(&environment()))
}

#[test]
fn variables_are_filled_in_and_converted() {
    for (text, expected) in [
        ("host: ${{ env \"DECK_HOST\" }}\n", "host: example.com\n"),
        ("port: ${{ env \"DECK_PORT\" | toInt }}", "port: 8443"),
        ("port: ${{ toInt (env \"DECK_PORT\") }}", "port: 8443"),
        ("on: ${{env `DECK_ON` | toBool}}", "on: true"),
        ("rate: ${{ env \"DECK_RATE\" | toFloat }}", "rate: 1.5"),
        ("pem: ${{ env \"DECK_PEM\" | indent 2 }}.", "pem: a\n  b."),
        ("a ${{- env \"DECK_HOST\" -}} b", "aexample.comb"),
        (
            "${{ env \"DECK_HOST\" }}:${{ env \"DECK_PORT\" }}",
            "example.com:8443",
        ),
        ("${{/* a remark */}}x", "x"),
        ("{{ not ours }}", "{{ not ours }}"),
    ] {
        assert_eq!(rendered(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn comments_are_left_alone() {
    let text = "# ${{ env \"DECK_NONE\" }}\n  # ${{ broken\na: ${{ env \"DECK_PORT\" }} # ${{ env \"DECK_HOST\" }}\n";
    let expected = "# ${{ env \"DECK_NONE\" }}\n  # ${{ broken\na: 8443 # example.com\n";
    assert_eq!(rendered(text).as_deref(), Ok(expected));
}

#[test]
fn faults_are_named_with_their_line() {
    for (text, expected) in [
        (
            "a\nb: ${{ env \"DECK_NONE\" }}",
            "template: state:2:7: executing \"state\" at <env \"DECK_NONE\">: error calling env: environment \
             variable 'DECK_NONE' present in state file but not set",
        ),
        (
            "${{ env \"HOME\" }}",
            "template: state:1:4: executing \"state\" at <env \"HOME\">: error calling env: environment variables in \
             the state file must be prefixed with 'DECK_', found: 'HOME'",
        ),
        (
            "${{ env \"DECK_HOST\" | toInt }}",
            "template: state:1:4: executing \"state\" at <toInt \"example.com\">: error calling toInt: \
             strconv.Atoi: parsing \"example.com\": invalid syntax",
        ),
        ("a: ${{ env \"DECK_HOST\"", "template: state:1: unclosed action"),
        ("${{ now }}", "template: state:1: function \"now\" not defined"),
        ("${{ }}", "template: state:1: missing value for command"),
    ] {
        assert_eq!(rendered(text), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn names_stand_for_values_where_there_are_none() {
    let text = "${{ env \"DECK_A\" }} ${{ env \"DECK_B\" | toInt }} ${{ env \"DECK_C\" | toBool }}";
    assert_eq!(render(text, Source::Names).as_deref(), Ok("DECK_A 42 false"));
}

proptest! {
    #[test]
    fn text_without_variables_stays_as_it_is(text in "[^$]{0,200}") {
        prop_assert_eq!(rendered(&text), Ok(text));
    }

    #[test]
    fn no_text_makes_it_fall_over(text in "(\\$\\{\\{|\\}\\}|[ -~\n]|é|env|\"DECK_HOST\"|\\||\\(|\\)|#){0,40}") {
        let _ = rendered(&text);
    }
}
