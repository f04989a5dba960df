use super::{Expression, parse_error};

#[test]
fn a_mistake_is_told_where_it_stands_and_how_to_mend_it() {
    for (text, offset, message, fix) in [
        ("a = 1", 2, "`=` is no operator", "`==`"),
        ("a === 1", 2, "`===` is no operator", "`==`"),
        ("a <> 1", 2, "`<>`", "`!=`"),
        ("a & b", 2, "`&`", "`&&`"),
        ("a | b", 2, "`|`", "`||`"),
        ("a ?? b", 2, "`??`", "`||`"),
        ("a and b", 2, "`and` found", "`AND` or `&&`"),
        ("a or b", 2, "`or` found", "`OR`"),
        ("not a", 4, "`a` found", ""),
        ("a is b", 2, "`is` found", "`==`"),
        ("a == NOT b", 5, "`NOT` stands before a whole comparison", "`!`"),
        ("a NOT in b", 2, "`NOT` found", "`NOT a in b`"),
        ("${a}", 0, "`$`", "`name`, not `${name}`"),
        ("a == ‘b’", 5, "`‘`", "straight quotes"),
        ("'abc", 0, "nothing ends the text", "'"),
        ("é", 0, "`é` has no meaning here", ""),
        ("'\\d'", 1, "backslash", "r'...'"),
        ("b'abc'", 0, "bytes", "without the `b`"),
        ("5m", 0, "a number ends where a letter follows", "`'5m'`"),
        ("1u", 0, "a number ends where a letter follows", ""),
        ("0x", 0, "a number ends where a letter follows", ""),
        ("9223372036854775808", 0, "too large", ""),
        ("99999999999999999999", 0, "too large", ""),
        ("1e999", 0, "too large", ""),
        ("items.0", 5, "`.0` found", "`[0]`"),
        ("items.'a'", 6, "the name of a member is expected", "['any text']"),
        ("a.", 2, "the text ends", "['any text']"),
        ("'a' 'b'", 4, "`'b'` found", "`+`"),
        ("(a", 2, "`)` at the end", ""),
        ("[a", 2, "`,` or `]`", ""),
        ("f(,)", 0, "there is no function `f`", ""),
        ("size(,)", 5, "a value is expected", ""),
        ("{a}", 2, "`:` between a key and its value", ""),
        ("a ? b", 5, "`:` between the two values", ""),
        ("", 0, "there is none", ""),
        ("  ", 2, "there is none", ""),
        ("a == True", 5, "written `true`", "`true`"),
        ("a == None", 5, "written `null`", "`null`"),
        ("a }", 2, "`}` found", ""),
        ("a // b", 2, "`//`", ""),
    ] {
        let error = parse_error(text);
        assert_eq!(error.offset, offset, "{text}: {error}");
        assert!(error.message.contains(message), "{text}: {error}");
        assert!(error.fix.clone().unwrap_or_default().contains(fix), "{text}: {error:?}");
    }
}

#[test]
fn a_wrong_call_is_told_how_the_function_is_written() {
    for (text, offset, message, fix) in [
        ("size(a, b)", 0, "`size` takes one argument, got 2", "`size(items)`"),
        ("size()", 0, "`size` takes one argument, got 0", ""),
        ("a.size(b)", 2, "`size` takes no arguments, got 1", ""),
        ("a.contains()", 2, "`contains` takes one argument, got 0", "`text.contains('part')`"),
        ("a.replace('b')", 2, "`replace` takes 2 or 3 arguments, got 1", ""),
        ("contains(a, b)", 0, "`contains` is written `text.contains('part')`", ""),
        ("a.int()", 2, "`int` is written `int(text)`", "`int(text)`"),
        ("len(a)", 0, "there is no function `len`", "`size`"),
        ("a.starts_with('b')", 2, "there is no function `starts_with`", "`startsWith`"),
        ("a.length()", 2, "there is no function `length`", "`size`"),
        ("a.toLowerCase()", 2, "there is no function", "`lowerAscii`"),
        ("default(a, 'b')", 0, "there is no function `default`", "`value || 'default'`"),
        ("all(a, b)", 0, "`all` is written after a list", "`items.all(x, x.ready)`"),
        ("a.all(b)", 2, "`all` takes a name", ""),
        ("a.all(b.c, d)", 2, "`all` takes a name", ""),
        ("a.all(true, d)", 2, "`all` takes a name", ""),
        ("a.all(b, c, d)", 2, "`all` takes a name", ""),
        ("a.map(b, c, d, e)", 2, "`map` takes a name", ""),
        ("has(a)", 0, "`has` asks for a member", "`has(value.member)`"),
        ("has(a['b'])", 0, "`has` asks for a member", "in value"),
        ("has(a.b, c)", 0, "`has` takes one argument, got 2", ""),
        ("a.matches('(')", 2, "no regular expression", ""),
        ("a.matches('(?=b)')", 2, "no regular expression", ""),
        ("raw(a) + 'b'", 0, "`raw` stands around a whole expression", "`${raw(...)}`"),
        ("raw(raw(a))", 0, "`raw` stands around a whole expression", ""),
        ("raw(a, b)", 0, "`raw` takes one argument, got 2", ""),
    ] {
        let error = parse_error(text);
        assert_eq!(error.offset, offset, "{text}: {error}");
        assert!(error.message.contains(message), "{text}: {error}");
        assert!(error.fix.clone().unwrap_or_default().contains(fix), "{text}: {error:?}");
    }
}

#[test]
fn a_mistake_inside_a_quoted_literal_of_a_condition_has_its_own_place() {
    for (text, offset, message) in [
        ("'a${b' == 'c'", 2, "nothing ends this `${`"),
        ("${a", 3, "`}` at the end"),
        ("a == 'x${b = 1}'", 11, "`=` is no operator"),
        ("a == 'x${}'", 9, "a value is expected"),
        ("a == 'x${b c}'", 11, "`c` found"),
        ("a == 'é\\d${b}'", 8, "backslash"),
        ("a == '\\${b}'", 6, "backslash"),
        ("raw(a) == 'b'", 0, "`raw` is for what becomes a command"),
    ] {
        let error = Expression::parse_condition(text).unwrap_err();
        assert!(error.message.contains(message), "{text}: {error}");
        assert_eq!(error.offset, offset, "{text}: {error}");
    }
}

#[test]
fn an_error_says_where_it_arose_and_quotes_no_value() {
    let error = super::evaluate("int(platform) + 1").unwrap_err().0;
    assert_eq!(error, "`int` got a text that is no integer of 64 bits (in `int(platform) + 1`)");
}
