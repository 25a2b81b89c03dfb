//! What the recordings cannot cover: later Go, limits, and anything at all as input.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::value::{Time, Value};

fn data() -> Value {
    Value::of(&json!({
        "A": 1, "B": "text", "C": [1, 2, 3], "D": {"x": {"y": 2}}, "E": null, "F": 1.5, "G": true,
    }))
    .unwrap()
}

fn outcome(template: &str, data: &Value) -> String {
    match Template::parse("t", template) {
        Ok(template) => match template.render(data) {
            Ok(out) => String::from_utf8_lossy(&out).into_owned(),
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    }
}

fn check(template: &str, expected: &str) {
    assert_eq!(outcome(template, &data()), expected, "{template}");
}

#[test]
fn later_releases_of_go_are_followed() {
    check("{{range 3}}{{.}}{{end}}", "012");
    check("{{range $i := .A}}{{$i}}{{else}}none{{end}}", "0");
    check("{{range 0}}a{{else}}none{{end}}{{range -1}}a{{end}}", "none");
    check(
        "{{range $i, $e := 3}}{{end}}",
        "template: t:1:18: executing \"t\" at <3>: can't use 3 to iterate over more than one \
         variable",
    );
    check("{{with .Nope}}a{{else with .B}}{{.}}{{else}}c{{end}}", "text");
    check("{{with .Nope}}a{{else with .Nope}}b{{else}}c{{end}}", "c");
}

#[test]
fn times_have_methods() {
    let time = Time("2026-11-05T23:04:09.5+02:00".to_owned());
    let data = Value::of(&std::collections::BTreeMap::from([("At", time)])).unwrap();
    let check = |template: &str, expected: &str| {
        assert_eq!(outcome(template, &data), expected, "{template}");
    };
    check("{{.At}}", "2026-11-05 23:04:09.5 +0200 +0200");
    check("{{.At.Format \"2006-01-02 15:04\"}}", "2026-11-05 23:04");
    check("{{\"Jan 2\" | .At.Format}}", "Nov 5");
    check(
        "{{with .At}}{{.Unix}} {{.Year}} {{.Month}} {{.IsZero}}{{end}}",
        "1793912649 2026 November false",
    );
    check("{{if gt .At.Hour 22}}late{{end}}", "late");
    let wrong = "template: t:1:5: executing \"t\" at <.At.Format>: wrong number of args for Format: \
                 want 1 got 0";
    check("{{.At.Format}}", wrong);
    let wrong = "template: t:1:5: executing \"t\" at <.At.Nope>: can't evaluate field Nope in type \
                 time.Time";
    check("{{.At.Nope}}", wrong);
}

#[test]
fn a_map_that_is_a_method_is_asked_for_a_name() {
    #[derive(serde::Serialize)]
    struct Row {
        #[serde(rename = "Label lookup")]
        labels: std::collections::BTreeMap<&'static str, &'static str>,
    }
    let labels = std::collections::BTreeMap::from([("a.b", "1")]);
    let data = Value::of(&Row { labels }).unwrap();
    let check = |template: &str, expected: &str| {
        assert_eq!(outcome(template, &data), expected, "{template}");
    };
    check("{{.Label \"a.b\"}}|{{\"a.b\" | .Label}}|{{.Label \"x\"}}|", "1|1||");
    let wrong = "template: t:1:2: executing \"t\" at <.Label>: wrong number of args for Label: \
                 want 1 got 0";
    check("{{.Label}}", wrong);
    assert_eq!(crate::value::to_json(&data, crate::value::JsonStyle::compact()), "{}");
}

#[test]
fn values_without_a_counterpart_in_the_recordings() {
    check("{{.E}} {{print .E}} {{.E.X}} {{.Nope.X.Y}}", "<no value> <nil> <no value> <no value>");
    check("{{.D}} {{.D.x.y}} {{(index .D \"x\").y}}", "map[x:map[y:2]] 2 2");
    check("{{range $k, $v := .}}{{$k}}{{end}}", "ABCDEFG");
    let pointer = Value::of(&json!([1])).unwrap();
    let nothing = Value::of(&None::<u8>).unwrap();
    assert_eq!(outcome("{{.}}", &nothing), "<nil>");
    assert_eq!(
        outcome("{{.X}}", &nothing),
        "template: t:1:2: executing \"t\" at <.X>: nil pointer evaluating interface {}.X"
    );
    assert_eq!(
        outcome("{{.X}}", &pointer),
        "template: t:1:2: executing \"t\" at <.X>: can't evaluate field X in type []uint64"
    );
    let numbered = Value::of(&std::collections::BTreeMap::from([(2, "b"), (10, "j")])).unwrap();
    assert_eq!(outcome("{{.}}{{index . 10}}{{index . 3}}|", &numbered), "map[2:b 10:j]j|");
    assert_eq!(
        outcome("{{index . \"x\"}}", &numbered),
        "template: t:1:2: executing \"t\" at <index . \"x\">: error calling index: value has type \
         string; should be int"
    );
}

#[test]
fn errors_carry_their_kind_and_place() {
    let check = |template: &str, kind: ParseErrorKind, line: usize, offset: usize| {
        let error = Template::parse("t", template).unwrap_err();
        assert_eq!(
            (error.kind(), error.line(), error.offset()),
            (kind, line, offset),
            "{template}"
        );
        assert_eq!(error.input(), template);
    };
    check("a\n{{foo}}", ParseErrorKind::UndefinedFunction, 2, 4);
    check("{{$x}}", ParseErrorKind::UndefinedVariable, 1, 2);
    check("{{1 | }", ParseErrorKind::Syntax, 1, 6);
    check("{{1z}}", ParseErrorKind::Literal, 1, 2);
    check("{{\"\\q\"}}", ParseErrorKind::Literal, 1, 2);
    let twice = "{{define \"a\"}}1{{end}}{{define \"a\"}}2{{end}}";
    check(twice, ParseErrorKind::DuplicateTemplate, 1, 42);

    let check = |template: &str, kind: ExecutionErrorKind, line: usize, column: usize| {
        let error = Template::parse("t", template).unwrap().render(&data()).unwrap_err();
        assert_eq!(
            (error.kind(), error.line(), error.column()),
            (kind, line, column),
            "{template}"
        );
    };
    check("a\n {{.A.X}}", ExecutionErrorKind::Data, 2, 5);
    check("{{len .A}}", ExecutionErrorKind::Call, 1, 2);
    check("{{template \"x\"}}", ExecutionErrorKind::UndefinedTemplate, 1, 11);
}

#[test]
fn output_before_an_error_is_kept() {
    let template = Template::parse("t", "a{{.B}}b{{.B.X}}").unwrap();
    let mut out = b"> ".to_vec();
    assert!(template.render_into(&data(), &mut out).is_err());
    assert_eq!(out, b"> atextb");
}

fn limit_error(template: &str, limits: Limits) -> String {
    let template = Template::parse_with("t", template, limits).unwrap();
    let error = template.render(&data()).unwrap_err();
    assert_eq!(error.kind(), ExecutionErrorKind::Limit);
    error.to_string()
}

#[test]
fn execution_is_limited() {
    let limits = Limits { steps: 1000, output_bytes: 1000, ..Limits::default() };
    let endless = "{{range 1000000000000}}{{end}}";
    assert!(limit_error(endless, limits).ends_with("takes more than 1000 steps"));
    let nested = "{{range 1000}}{{range 1000}}{{range 1000}}{{1}}{{end}}{{end}}{{end}}";
    assert!(limit_error(nested, limits).ends_with("takes more than 1000 steps"));
    let long = "{{range 100}}twelve bytes{{end}}";
    assert!(limit_error(long, limits).ends_with("text grows beyond 1000 bytes"));
    let wide = "{{printf \"%999999d\" 1}}";
    assert!(limit_error(wide, limits).ends_with("text grows beyond 1000 bytes"));
    let doubling = "{{$x := \"abcdefgh\"}}{{range 100}}{{$x = print $x $x}}{{end}}";
    assert!(limit_error(doubling, limits).ends_with("text grows beyond 1000 bytes"));
    let parts = "{{range 100}}{{$x := split \"abcdefghijklmnopqrstuvwxyz\" \"\"}}{{end}}";
    assert!(limit_error(parts, limits).ends_with("text grows beyond 1000 bytes"));
    let escaped = "{{$x := printf \"%400d\" 1}}{{html $x | urlquery | js}}";
    assert!(limit_error(escaped, limits).ends_with("text grows beyond 1000 bytes"));
    let searching = "{{$x := printf \"%600000d\" 1}}{{range 100000}}{{eq $x $x}}{{end}}";
    let long = Limits { steps: 100_000, ..Limits::default() };
    assert!(limit_error(searching, long).ends_with("takes more than 100000 steps"));
    let endless = "{{define \"x\"}}{{template \"x\"}}{{end}}{{template \"x\"}}";
    assert!(
        limit_error(endless, Limits::default()).ends_with("exceeded maximum template depth (200)")
    );
}

#[test]
fn the_text_is_limited() {
    let limits = Limits { input_bytes: 10, ..Limits::default() };
    let error = Template::parse_with("t", "0123456789a", limits).unwrap_err();
    assert_eq!(error.kind(), ParseErrorKind::Limit);
    assert_eq!(error.to_string(), "template: t:1: template is longer than 10 bytes");
    for (open, close) in [("{{if 1}}", "{{end}}"), ("{{range 1}}", "{{end}}")] {
        let fits = open.repeat(200) + "x" + &close.repeat(200);
        assert_eq!(outcome(&fits, &data()), "x");
        let template = open.repeat(201) + &close.repeat(201);
        let error = Template::parse("t", &template).unwrap_err();
        assert_eq!(error.kind(), ParseErrorKind::Limit);
        assert_eq!(error.to_string(), "template: t:1: template is nested deeper than 200 levels");
    }
    let parentheses = format!("{{{{{}1{}}}}}", "(".repeat(200), ")".repeat(200));
    assert_eq!(outcome(&parentheses, &data()), "1");
    let parentheses = format!("{{{{{}", "(".repeat(100_000));
    assert_eq!(Template::parse("t", &parentheses).unwrap_err().kind(), ParseErrorKind::Limit);
    let chain = format!("{{{{if 0}}}}{}{{{{end}}}}", "{{else if 0}}".repeat(10_000));
    assert_eq!(Template::parse("t", &chain).unwrap_err().kind(), ParseErrorKind::Limit);
}

#[test]
fn depth_does_not_exhaust_a_small_stack() {
    // All that nests, at once: a template that calls itself from within conditions, ranges and
    // parentheses.
    let inner = "{{if 1}}{{range 1}}{{with 1}}{{print (print (print (len (print 1))))}}\
                 {{template \"x\" (print (print .))}}{{end}}{{end}}{{end}}";
    let template = format!("{{{{define \"x\"}}}}{inner}{{{{end}}}}{{{{template \"x\" 1}}}}");
    let run = move || outcome(&template, &data());
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap();
    assert!(thread.join().unwrap().ends_with("exceeded maximum template depth (200)"));
}

#[test]
fn long_templates_take_linear_time() {
    let template = "{{.A}}\n{{/* c */}}{{if .G}}x{{end}}".repeat(20_000);
    assert_eq!(outcome(&template, &data()), "1\nx".repeat(20_000));
    let operands = format!("{{{{print {}}}}}", "1 ".repeat(100_000));
    assert_eq!(outcome(&operands, &data()).len(), 199_999);
    let pipes = format!("{{{{1{}}}}}", " | print".repeat(50_000));
    assert_eq!(outcome(&pipes, &data()), "1");
}

/// Pieces that templates are made of, so that random ones get past the lexer.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "{{",
        "}}",
        "{{-",
        "-}}",
        " ",
        "(",
        ")",
        "|",
        ".",
        ".A",
        ".B",
        ".C",
        ".D.x",
        ".Nope",
        "$",
        "$x",
        ":=",
        "=",
        ",",
        "1",
        "-2",
        "1.5",
        "0x1p",
        "'a'",
        "\"s\"",
        "`r`",
        "\"%d %5.2f\"",
        "nil",
        "true",
        "if ",
        "else",
        "end",
        "range ",
        "with ",
        "define \"t2\"",
        "template \"t2\"",
        "block \"b\" ",
        "break",
        "continue",
        "print ",
        "printf ",
        "len ",
        "index ",
        "slice ",
        "eq ",
        "lt ",
        "and ",
        "or ",
        "not ",
        "html ",
        "json ",
        "join ",
        "split ",
        "truncate ",
        "pad ",
        "title ",
        "upper ",
        "\n",
        "text",
        "é",
        "{{if 1}}",
        "{{end}}",
        "{{range .C}}",
        "{{else}}",
        "{{.}}",
        "{{$x := .A}}",
        "/*",
        "*/",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_arrangement_of_pieces_panics(pieces in prop::collection::vec(piece(), 0..25)) {
        let limits = Limits { steps: 10_000, output_bytes: 100_000, ..Limits::default() };
        if let Ok(template) = Template::parse_with("t", &pieces.concat(), limits) {
            let _ = template.render(&data());
        }
    }

    #[test]
    fn no_layout_panics(layout in "([0-9 .,:_-]|Jan|Mon|MST|PM|Z07|January|\\PC){0,20}") {
        let time = Value::of(&Time("2026-11-05T23:04:09.5+02:00".to_owned())).unwrap();
        let _ = outcome(&format!("{{{{.Format {}}}}}", crate::go::quote_text(&layout)), &time);
    }

    #[test]
    fn no_text_panics(text in "(\\{\\{|\\}\\}|[ -~\\n\\t]|\\PC){0,60}") {
        let _ = outcome(&text, &data());
    }

    #[test]
    fn no_format_of_printf_panics(
        format in "(%|[-+# 0*.\\[\\]0-9]|[a-zA-Z]|\\PC){0,30}",
        number in any::<i64>(),
        float in any::<f64>(),
        text in "\\PC{0,5}",
    ) {
        let data = Value::of(&json!({"F": format, "N": number, "D": float, "T": text})).unwrap();
        let template = "{{printf .F .N .D .T}}{{printf .F .T .N}}{{printf .F .D}}{{printf .F}}";
        let _ = outcome(template, &data);
    }

    #[test]
    fn text_without_actions_is_its_own_result(text in "[^{]{0,100}") {
        prop_assert_eq!(outcome(&text, &data()), text);
    }

    #[test]
    fn quoted_text_is_read_back(text in "\\PC{0,20}|[\\x00-\\x7f]{0,20}") {
        let template = format!("{{{{{}}}}}", crate::go::quote_text(&text));
        prop_assert_eq!(outcome(&template, &data()), text);
    }

    #[test]
    fn every_format_option_is_either_refused_or_applied(text in "(table )?(\\{\\{|\\}\\}|\\\\[nt]|[ -~]){0,40}") {
        for origin in [Origin::Value, Origin::List, Origin::Program] {
            if let Ok(format) = Format::parse("t", &text, origin) {
                let _ = format.render(Some(&Headers::new([("A", "A")])), &data());
            }
        }
    }
}
