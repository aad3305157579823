//! What verbs print: JSON for programs, text for people.

use std::io::{self, IsTerminal, Write};

use litevfs::peer::said;
use serde_json::Value;

use super::client::Done;

/// Characters of the longest line of a text; what is longer is no name, time or size.
const MAX_LINE: usize = 2000;

/// Prints one or the other to standard output.
pub(super) fn print(as_json: bool, json: &Value, text: impl FnOnce() -> String) -> Done {
    let written = write(&mut io::stdout().lock(), as_json, json, text);
    let failed = |error| format!("cannot write to standard output ({error}); nothing else failed");
    Ok(written.map_err(failed)?)
}

/// Prints one or the other to standard error, for verbs whose standard output is taken.
pub(super) fn print_aside(as_json: bool, json: &Value, text: impl FnOnce() -> String) -> Done {
    Ok(write(&mut io::stderr().lock(), as_json, json, text)?)
}

/// Says on standard error what a verb found that it did not fail for.
pub(super) fn warn(text: &str) {
    // Nobody has to read it.
    let _ = writeln!(io::stderr(), "litevfs-cloud: warning: {text}");
}

fn write(
    out: &mut dyn Write,
    as_json: bool,
    json: &Value,
    text: impl FnOnce() -> String,
) -> io::Result<()> {
    let written = if as_json {
        writeln!(out, "{}", escaped(&json.to_string()))
    } else {
        text().lines().try_for_each(|line| writeln!(out, "{}", said::clean(line, MAX_LINE)))
    };
    match written.and_then(|()| out.flush()) {
        // As `head` does to whatever comes before it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// JSON whose texts do nothing to a terminal; it means the same.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if said::is_hidden(c) {
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text
}

/// A text in an answer.
pub(super) fn text_of(json: &Value, field: &str) -> Done<String> {
    let text = json.get(field).and_then(Value::as_str).map(str::to_owned);
    Ok(text.ok_or_else(|| format!("the server's answer has no {field}: is it an older version?"))?)
}

/// Asks whether to go on; without a terminal to ask on, only `--yes` lets it.
pub(super) fn confirm(question: &str, yes: bool) -> Done {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err("this cannot be undone: give --yes to do it".into());
    }
    write!(io::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err("nothing was done".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(as_json: bool, json: &Value, text: &str) -> String {
        let mut out = Vec::new();
        write(&mut out, as_json, json, || text.to_owned()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_a_server_says_moves_no_terminal() {
        let name = "a\u{1b}[2J\u{9b}1mb\u{202e}c";
        let text = format!("NAME  SIZE\n{name}  1 KB\n");
        assert_eq!(written(false, &Value::Null, &text), "NAME  SIZE\nabc  1 KB\n");
        let json = Value::from(name);
        let line = written(true, &json, "");
        assert_eq!(line, "\"a\\u001b[2J\\u009b1mb\\u202ec\"\n");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), json);
    }
}
