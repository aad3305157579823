//! Nothing of a token gets into a log, an answer or a metric.

use crate::model::Model;
use crate::process::Server;
use crate::tokens::Tokens;

#[test]
fn no_call_puts_a_token_into_a_log_or_an_answer() {
    let tokens = Tokens::new();
    let file = tokens.path();
    let from_file = tokens.secret(&["--cluster", "one"]);
    let reader = tokens.secret(&["--read-only", "--databases", "a*"]);
    let args = [
        "--token",
        "given-SECRET",
        "--cluster-token",
        "one",
        "scoped-SECRET",
        "--tokens-file",
        file.to_str().unwrap(),
        "--cors-origin",
        "https://app.example",
    ];
    let ltx = Model::new(512).commit(&[(1, 1)], 1);
    let secrets =
        ["given-SECRET", "scoped-SECRET", "wrong-SECRET", from_file.as_str(), reader.as_str()];
    for format in ["text", "json"] {
        let mut server =
            Server::start_logging("trace", &[&args[..], &["--log-format", format]].concat());
        let mut answers = Vec::new();
        for secret in secrets {
            for header in
                [secret.to_owned(), format!("Bearer {secret}"), format!("cluster {secret}")]
            {
                let client = server.stranger().header("Authorization", &header);
                answers.push(client.push("a", &ltx));
                answers.push(client.push("other", b"no LTX file"));
                answers.push(client.post("/sync", b"no JSON"));
                answers.push(client.header("Litefs-Cluster-Id", "bad").get("/info"));
                answers.push(client.header("Lfsc-Lease-Id", "1").push("a", &ltx));
                answers
                    .push(client.header("Origin", "https://app.example").call("OPTIONS", "/pos"));
                answers.push(client.call("BREW", "/pos"));
                for target in [
                    "/pos",
                    "/pos?cluster=one",
                    "/pos?cluster=..",
                    "/info",
                    "/status",
                    "/metrics",
                    "/clusters",
                    "/nowhere",
                    "/db/snapshot?db=a",
                    "/db/snapshot?db=none",
                    "/db/sync?db=..",
                    "/db/info?db=a",
                    "/db/page?db=a&pos=x&pgno=1",
                    "/healthz",
                    "/",
                ] {
                    answers.push(client.get(target));
                }
                for target in ["/lease?db=a&duration=1", "/lease?db=a", "/db/restore?db=a&txid=1"] {
                    answers.push(client.post(target, b""));
                }
            }
        }
        // In places where it does not belong.
        let lost = server.stranger().header("X-Request-Id", "id with given-SECRET");
        answers.push(lost.header("Host", "given-SECRET.example").get("/given-SECRET?given-SECRET"));
        assert!(server.stop());
        let log = server.log();
        assert!(log.contains("TRACE") || log.contains("DEBUG"), "nothing was logged");
        assert!(log.contains("argument-1"), "a token's id may be there");
        for secret in ["SECRET", &from_file[4..], &reader[4..]] {
            let line = log.lines().find(|line| line.contains(secret));
            assert!(line.is_none(), "{line:?}");
            for answer in &answers {
                let text = String::from_utf8_lossy(&answer.body);
                assert!(!text.contains(secret), "{text}");
                let mut headers = answer.headers.iter();
                assert!(headers.all(|(_, value)| !value.contains(secret)), "{answer:?}");
            }
        }
    }
}
