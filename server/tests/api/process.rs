//! Starts, stops and kills the program.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::Client;

/// A data directory, the program that serves it, and its log.
pub struct Server {
    dir: TempDir,
    args: Vec<String>,
    rust_log: &'static str,
    child: Child,
    address: String,
}

impl Server {
    /// A server with one token, on a fresh directory.
    pub fn start() -> Server {
        Server::start_with(&["--token", "t0"])
    }

    /// A server with other arguments, on a fresh directory.
    pub fn start_with(args: &[&str]) -> Server {
        Server::start_logging("info", args)
    }

    /// The same, logging as `RUST_LOG` says.
    pub fn start_logging(rust_log: &'static str, args: &[&str]) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let (child, address) = launch(dir.path(), &args, rust_log);
        Server { dir, args, rust_log, child, address }
    }

    /// A client with the token of [`Server::start`].
    pub fn client(&self) -> Client {
        Client::new(&self.address).header("Authorization", "t0")
    }

    /// A client that shows no token.
    pub fn stranger(&self) -> Client {
        Client::new(&self.address)
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// The folder with everything of this server: the data directory and the log.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// What was logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// The folder with the LTX files of a database in cluster `default`.
    pub fn level0(&self, db: &str) -> PathBuf {
        self.data().join("default").join(db).join("ltx/0")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the program in an instant.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same directory.
    pub fn restart(&mut self) {
        (self.child, self.address) = launch(self.dir.path(), &self.args, self.rust_log);
    }

    /// Sends SIGTERM and waits for the end; whether it ended well.
    pub fn stop(&mut self) -> bool {
        terminate(self.pid());
        self.wait()
    }

    /// Waits for the end; whether it ended well.
    pub fn wait(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn terminate(pid: u32) {
    let sent = Command::new("kill").arg(pid.to_string()).status().unwrap();
    assert!(sent.success());
}

/// Waits until something is so: what a server does by itself takes a while.
#[track_caller]
pub fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_litevfs-cloud"));
    command
        .env_remove("LITEVFS_CLOUD_TOKEN")
        .env_remove("LITEVFS_CLOUD_TOKENS_FILE")
        .env_remove("RUST_LOG");
    command
}

fn launch(dir: &Path, args: &[String], rust_log: &str) -> (Child, String) {
    let log = File::options().create(true).append(true).open(dir.join("log")).unwrap();
    let mut command = command();
    command.env("RUST_LOG", rust_log).args(["serve", "--listen", "127.0.0.1:0", "--data"]);
    command.arg(dir.join("data")).args(args).stdout(Stdio::piped()).stderr(log);
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("litevfs-cloud listening on ");
    let (_, address) = url.and_then(|url| url.split_once("://")).unwrap_or_else(|| {
        let log = std::fs::read_to_string(dir.join("log")).unwrap();
        panic!("unexpected: {line}{log}")
    });
    (child, address.to_owned())
}

/// Runs the program to its end.
pub fn run(args: &[&str]) -> Output {
    command().args(args).output().unwrap()
}

pub fn refusal(args: &[&str]) -> String {
    let output = run(args);
    assert!(!output.status.success(), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_first_line_names_the_address_and_a_server_without_tokens_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = command()
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert!(line.starts_with("litevfs-cloud listening on http://127.0.0.1:"));
    terminate(child.id());
    assert!(child.wait().unwrap().success());
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(log.contains("this machine only, without authentication"), "{log}");
}

#[test]
fn bad_settings_are_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let open = refusal(&["serve", "--data", data, "--listen", "0.0.0.0:0"]);
    assert!(open.contains("give --token"), "{open}");
    let pages = refusal(&["serve", "--data", data, "--cors-origin", "*"]);
    assert!(pages.contains("every web page"), "{pages}");
    let origin = refusal(&["serve", "--data", data, "--cors-origin", "example.com"]);
    assert!(origin.contains("scheme://host"), "{origin}");
    let flag = refusal(&["serve", "--frobnicate"]);
    assert!(flag.contains("--frobnicate"), "{flag}");
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let unusable = refusal(&["serve", "--data", file.to_str().unwrap()]);
    assert!(unusable.contains("cannot use the data directory"), "{unusable}");
    let token = refusal(&["serve", "--data", data, "--token", "se\u{1}cret"]);
    assert!(token.contains("--token") && !token.contains("cret"), "{token}");
}

#[test]
fn an_address_and_a_directory_in_use_are_told() {
    let server = Server::start();
    let other = tempfile::tempdir().unwrap();
    let other = other.path().to_str().unwrap();
    let address = refusal(&["serve", "--data", other, "--listen", server.address()]);
    assert!(address.contains("cannot listen on 127.0.0.1:"), "{address}");
    let data = server.data();
    let data = data.to_str().unwrap();
    let directory = refusal(&["serve", "--data", data, "--listen", "127.0.0.1:0"]);
    assert!(directory.contains("in use by another litevfs-cloud"), "{directory}");
}

#[test]
fn the_token_may_come_from_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = command()
        .env("LITEVFS_CLOUD_TOKEN", "from-env")
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let client = Client::new(line.trim().rsplit('/').next().unwrap());
    assert_eq!(client.get("/pos").status, 401);
    assert_eq!(client.header("Authorization", "from-env").get("/pos").status, 200);
    child.kill().unwrap();
    child.wait().unwrap();
}
