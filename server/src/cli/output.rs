//! What verbs print: JSON for programs, text for people.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use super::client::Done;

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
    let written = if as_json { writeln!(out, "{json}") } else { out.write_all(text().as_bytes()) };
    match written.and_then(|()| out.flush()) {
        // As `head` does to whatever comes before it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
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
