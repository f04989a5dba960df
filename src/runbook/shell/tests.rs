#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::Command;
use crate::runbook::expression::Scope;

struct Names(Value);

impl Scope for Names {
    fn lookup(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.0.get(name).map(Cow::Borrowed)
    }
}

fn render(text: &str, x: &str) -> String {
    Command::parse(text).unwrap().render(&Names(json!({"x": x}))).unwrap()
}

/// The shells of this machine.
fn shells() -> impl Iterator<Item = &'static str> {
    ["/bin/sh", "/bin/bash"]
        .into_iter()
        .filter(|shell| std::path::Path::new(shell).exists())
}

fn run(shell: &str, script: &str) -> String {
    let mut child = process::Command::new(shell)
        .stdin(process::Stdio::piped())
        .stdout(process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let script = script.to_owned();
    let writer = std::thread::spawn(move || input.write_all(script.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_value_is_quoted_for_its_place() {
    let table = [
        ("echo ${x}", "a'b \"$c", r#"echo 'a'\''b "$c'"#),
        ("echo ${x}", "", "echo ''"),
        ("echo '${x}'", "a'b", r"echo 'a'\''b'"),
        ("echo \"${x}\"", "a'b \"$c` \\", r#"echo "a'b \"\$c\` \\""#),
        ("echo \"$name${x}\"", "s", "echo \"$name\"\"s\""),
        ("echo \"$(cat ${x})\"", "$a", "echo \"$(cat '$a')\""),
        ("echo \"$(cat \"${x}\")\" ${x}", "$a", "echo \"$(cat \"\\$a\")\" '$a'"),
        ("echo $${HOME} ${x}", "a", "echo ${HOME} 'a'"),
        ("# about ${x}\necho ${x}", "a\nb", "# about a b\necho 'a\nb'"),
        ("echo \\\\${x}", "a", "echo \\\\'a'"),
        ("echo ${raw(x)} ${x}", "a b", "echo a b 'a b'"),
        ("${ raw( x ) }", "ls -l", "ls -l"),
    ];
    for (text, value, expected) in table {
        assert_eq!(render(text, value), expected, "{text}");
    }
}

#[test]
fn a_list_is_one_word_of_compact_json() {
    let command = Command::parse("echo ${x} ${y}").unwrap();
    assert_eq!(
        command.render(&Names(json!({"x": ["a", "b'"], "y": 3}))).unwrap(),
        r#"echo '["a","b'\''"]' '3'"#
    );
}

#[test]
fn a_value_where_no_quoting_is_safe_is_an_error_at_its_place() {
    let table = [
        "cat <<EOF\n>${x}\nEOF",
        "cat <<'EOF'\n>${x}\nEOF",
        "cat <<-EOF\n\t>${x}\n\tEOF",
        "cat <<a; cat <<b\na\n>${x}\nb",
        "cat <<>${x}",
        "echo `echo >${x}`",
        "echo \"`echo >${x}`\"",
        "echo `echo '>${x}'`",
        "echo $((>${x} + 1))",
        "echo $((1 + $(echo >${x})))",
        "((a=>${x}))",
        "for ((i=0;i<>${x};i++)); do echo; done",
        "echo \\>${x}",
        "echo \"\\>${x}\"",
        "echo $${a:->${x}}",
        "echo \"$${a:->${x}}\"",
        "echo $'>${x}'",
        "a[>${x}]=1",
        "a[\">${x}\"]=1",
        "[[ >${x} -eq 1 ]]",
        "[[ 1 -gt \">${x}\" ]]",
        "[[ -v >${x} ]]",
        "echo $[>${x}]",
        "echo $(date # >${x}\n)",
        "echo $'a\\'b' >${x}",
        "echo \"$${a:-'}'}\" >${x}",
        "echo $((echo a) ; b) >${x}",
        "echo ) >${x}",
        "a=(b; >${x})",
        "cat <\\\n<E\n>${x}\nE",
        "echo \"$\\\n(echo >${x})\"",
        "echo '>${x}",
        "echo \"$(echo >${x})",
        "echo \"$(echo >${x}\"",
    ];
    for marked in table {
        let offset = marked.find(">${").unwrap();
        let text = marked.replacen(">${", "${", 1);
        let parsed = Command::parse(&text);
        assert!(parsed.is_err(), "{text}");
        let error = parsed.unwrap_err();
        assert_eq!(error.offset, offset, "{text}: {error}");
        assert!(error.fix.is_some(), "{text}");
        assert!(Command::parse(&text.replace("${x}", "${raw(x)}")).is_ok(), "{text}");
    }
}

#[test]
fn a_nul_is_refused() {
    assert_eq!(Command::parse("echo \0").unwrap_err().offset, 5);
    let command = Command::parse("echo ${x}").unwrap();
    assert!(command.render(&Names(json!({"x": "a\0b"}))).unwrap_err().0.contains("NUL"));
    assert!(Command::parse("${raw(x)}").unwrap().render(&Names(json!({"x": "\0"}))).is_err());
}

#[test]
fn an_expression_that_does_not_parse_is_an_error_at_its_place() {
    for (text, offset) in [
        ("echo ${a +}", 10),
        ("echo ${raw(a +)}", 14),
        ("echo ${raw(a) + raw(b)}", 16),
        ("echo ${a", 5),
    ] {
        assert_eq!(Command::parse(text).unwrap_err().offset, offset, "{text}");
    }
}

#[test]
fn what_a_command_uses_can_be_asked() {
    let whole = |text| Command::parse(text).unwrap().is_whole_expression();
    assert!(whole("${x}") && whole(" ${x}\n"));
    assert!(!whole("${x} y") && !whole("${x}${y}") && !whole("ls") && !whole("'${x}'") && !whole("${raw(x)}"));
    assert!(Command::parse("echo ${raw(x)}").unwrap().uses_raw());
    assert!(!Command::parse("echo ${x} $${raw(x)}").unwrap().uses_raw());
    let command = Command::parse("a ${x} '${raw(y + z)}' ${x} $${w}").unwrap();
    assert_eq!(command.names().into_iter().collect::<Vec<_>>(), ["x", "y", "z"]);
    assert_eq!(Command::parse("a ${x} $${y}").unwrap().to_string(), "a ${x} $${y}");
}

#[test]
fn a_value_that_is_read_as_a_command_once_more_is_told() {
    let table = [
        ("sh -c 'echo ${x}'", true),
        ("docker exec c bash -lc \"echo ${x}\"", true),
        ("eval ${x}", true),
        ("ssh host \"ls ${x}\"", true),
        ("ssh ${x} ls", false),
        ("sh script.sh ${x}", false),
        ("sh -c ls; echo ${x}", false),
        ("echo \"${x}\"", false),
    ];
    for (text, expected) in table {
        assert_eq!(
            Command::parse(text).unwrap().reinterpreted(),
            expected.then(|| text.find("${x}").unwrap()),
            "{text}"
        );
    }
}

/// Commands, and what they print before and after their value, whatever it is.
const CONTEXTS: &[(&str, &str, &str)] = &[
    ("printf '.%s.' ${x}", ".", "."),
    ("printf '.%s.' '${x}'", ".", "."),
    ("printf '.%s.' \"${x}\"", ".", "."),
    ("printf '.%s''.' ''${x}\"\"", ".", "."),
    ("printf \".%s.\" \"$none${x}\"", ".", "."),
    ("printf \".%s.\" \"a $none${none}${x} b\"", ".a ", " b."),
    ("printf '.%s.' $none${x}", ".", "."),
    ("printf '.%s.' \"$none\\\n${x}\"", ".", "."),
    ("v=${x}; printf '.%s.' \"$v\"", ".", "."),
    ("v=\"${x}\" && printf '.%s.' \"$${v}\"", ".", "."),
    ("printf '%s' .\"$(printf '%s.' ${x})\"", ".", "."),
    ("printf '%s' \".$(printf \"%s.\" '${x}')\"", ".", "."),
    ("printf '%s' \".$(case a in (b) : ;; a) printf '%s.' \"${x}\";; esac)\"", ".", "."),
    (
        "printf '%s' \".$(for i do case a in a) :;; esac; done; echo case; printf '%s.' ${x})\"",
        ".case\n",
        ".",
    ),
    ("( (printf '.%s.' ${x}) )", ".", "."),
    ("f() { case $1 in *) printf '.%s.' ${x};; esac; }; f", ".", "."),
    (
        "if true; then for i in 1; do printf '.%s.' ${x}; done; fi # it's done: ${x}",
        ".",
        ".",
    ),
    ("# don't: ${x}\nprintf '.%s.' ${x}", ".", "."),
    ("cat <<E >/dev/null\n' \" $(date) `date`\nE\nprintf '.%s.' ${x}", ".", "."),
    ("cat <<'E' >/dev/null\n' \" $( ` \\\nE\nprintf '.%s.' ${x}", ".", "."),
    ("printf '.%s.' \\'${x}\\\"", ".'", "\"."),
    ("a=$((1 + (2 * 3))); printf '.%s.' \"${x}\"", ".", "."),
    ("printf '.%s.' ${x}#no-comment", ".", "#no-comment."),
    ("echo a#'b >/dev/null; printf '%s' ' >/dev/null; printf '.%s.' ${x}", ".", "."),
    ("printf '.%s.' ${x} 2>&1 >&1", ".", "."),
    ("printf '%s' \"$${none:-.}\" ${x} .", ".", "."),
    ("printf '%s' \"$(echo \"$(echo \".\")\")\"${x}.", ".", "."),
    ("printf '%s' . \\\n  ${x} \\\n#.\n", ".", ""),
    ("case ${x} in \"${x}\") printf '.%s.' \"${x}\";; esac", ".", "."),
];

#[test]
fn a_shell_reads_exactly_the_value() {
    let fixed = [
        "",
        " ",
        "'",
        "\"",
        "\\",
        "$",
        "`",
        "$(exit 3)",
        "`exit 3`",
        "a\nb",
        "#",
        "~",
        "*",
        "; exit 3",
        "'; exit 3; '",
        "\"; exit 3; \"",
        "$x",
        "é",
        "-n",
        "a\\\nb",
        "!!",
        "%s",
        "E",
        "\nE\n",
        "none",
        "_",
    ];
    let mut runner = TestRunner::deterministic();
    let characters = "'\"\\$`(){};&|<>#*?[]~!= a\n-é".chars().collect::<Vec<_>>();
    let random = prop::collection::vec(prop::sample::select(characters), 0..12);
    let mut random = || random.new_tree(&mut runner).unwrap().current().into_iter().collect::<String>();
    let mut cases = Vec::new();
    for context in CONTEXTS {
        cases.extend(fixed.iter().map(|value| (context, (*value).to_owned())));
        cases.extend((0..4).map(|_| (context, random())));
    }
    for shell in shells() {
        let (mut script, mut expected) = (String::new(), String::new());
        for ((context, before, after), value) in &cases {
            writeln!(script, "{{\n{}\n}}\nprintf '\\001'", render(context, value)).unwrap();
            write!(expected, "{before}{value}{after}\u{1}").unwrap();
        }
        let printed = run(shell, &script);
        for ((printed, expected), case) in printed.split('\u{1}').zip(expected.split('\u{1}')).zip(&cases) {
            assert_eq!(printed, expected, "{shell}: {case:?}");
        }
        assert_eq!(printed.len(), expected.len(), "{shell}");
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "([$][{]x[}]|[$][{]raw[(]x[)][}]|[$]?[(]{0,2}|[)]{0,2}|['\"`\\\\#;&|<>{}\\[\\] \t\nE$é]|<<-?E\n|case|in|esac|for|do|[$]{1,2}[{]?){0,24}") {
        if let Ok(command) = Command::parse(&text) {
            let _ = command.render(&Names(json!({"x": "a"})));
        }
    }

    #[test]
    fn text_without_a_substitution_renders_to_itself(text in "[^\0]*") {
        prop_assume!(!text.contains("${"));
        prop_assert_eq!(render(&text, "a"), text);
    }
}
