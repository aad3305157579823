//! `litevfs-cloud token`: makes, lists and revokes the tokens of a tokens file.
//!
//! It works on the file alone and asks no server; one that uses the file sees the change by itself.

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use clap::{Args, Subcommand};
use litevfs::types::ClusterName;
use serde_json::{Value, json};

use super::output;
use super::table::table;
use crate::auth::file::{self, Record, rfc3339};
use crate::auth::{Glob, Hash, Permission, Token, new_secret};
use crate::random;

/// The longest name of a token, in characters.
const MAX_NAME: usize = 100;

/// The arguments of `token`.
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    verb: Verb,
    /// The file; `create` makes it if it is missing.
    #[arg(long, global = true, value_name = "FILE", env = "LITEVFS_CLOUD_TOKENS_FILE")]
    tokens_file: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a token and print its secret, which is shown this once and kept nowhere.
    Create(CreateArgs),
    /// List the tokens, without their secrets.
    List,
    /// Make a token worthless, and forget it.
    Revoke {
        /// The token's id, as `list` shows it.
        id: String,
    },
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// What to call it, for people.
    #[arg(long, value_name = "N")]
    name: Option<String>,
    /// The only cluster it reaches; all if none is given.
    #[arg(long, value_name = "C")]
    cluster: Option<ClusterName>,
    /// The databases it reaches: a name in which * stands for any characters and ? for any one.
    #[arg(long, value_name = "GLOB")]
    databases: Option<Glob>,
    /// Let it change nothing.
    #[arg(long)]
    read_only: bool,
    /// How long it is good for, such as 30d or 12h; for ever if nothing is said.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    expires_in: Option<Duration>,
    /// Until when it is good, such as 2030-01-31T12:00:00Z.
    #[arg(long, value_name = "RFC3339", conflicts_with = "expires_in", value_parser = parse_time)]
    expires: Option<DateTime<Utc>>,
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, &'static str> {
    let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    time.map_err(|_| "give a time like 2030-01-31T12:00:00Z")
}

/// Runs the verb.
pub(super) fn run(args: TokenArgs) -> Result<(), Box<dyn Error>> {
    let path =
        args.tokens_file.ok_or("name the file: --tokens-file or LITEVFS_CLOUD_TOKENS_FILE")?;
    match args.verb {
        Verb::Create(create) => self::create(&path, create, args.json),
        Verb::List => list(&path, args.json),
        Verb::Revoke { id } => revoke(&path, &id, args.json),
    }
}

fn create(path: &Path, args: CreateArgs, as_json: bool) -> Result<(), Box<dyn Error>> {
    let now = Utc::now();
    let created = now.with_nanosecond(0).unwrap_or(now);
    let secret = new_secret()?;
    let token = Token {
        id: random::hex::<6>()?.into(),
        hash: Hash::of(&secret),
        expires: expiry(&args, created)?,
        cluster: args.cluster,
        databases: args.databases,
        access: if args.read_only { Permission::Read } else { Permission::Write },
    };
    if let Some(name) = &args.name
        && (name.is_empty() || name.chars().count() > MAX_NAME || name.contains(char::is_control))
    {
        return Err(format!("--name: give 1 to {MAX_NAME} printable characters").into());
    }
    let record = Record { token, name: args.name, created };
    file::add(path, &record)?;
    let line = if as_json {
        let mut shown = shown(&record);
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("secret".into(), secret.into());
        }
        shown.to_string()
    } else {
        secret
    };
    let id = &record.token.id;
    let mut out = io::stdout().lock();
    if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
        // Nobody will ever see the secret.
        file::remove(path, id)?;
        return Err(format!("cannot write to standard output ({error}); no token was made").into());
    }
    if !as_json {
        // Beside the secret, so that a script has nothing to cut away. Nobody has to read it.
        let text = format!("token {id} is in {}; its secret is not shown again", path.display());
        let _ = writeln!(io::stderr(), "{text}");
    }
    Ok(())
}

fn expiry(args: &CreateArgs, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, &'static str> {
    let expires = match args.expires_in {
        None => args.expires,
        Some(time) => {
            let time = TimeDelta::from_std(time).ok();
            let expires = time.and_then(|time| now.checked_add_signed(time));
            Some(expires.ok_or("--expires-in: that is too long")?)
        }
    };
    if expires.is_some_and(|expires| expires <= now) {
        return Err("--expires: that is over already");
    }
    Ok(expires)
}

fn list(path: &Path, as_json: bool) -> Result<(), Box<dyn Error>> {
    let records = file::read(path)?;
    let tokens: Vec<Value> = records.iter().map(shown).collect();
    output::print(as_json, &json!({ "tokens": tokens }), || {
        let heads = ["ID", "NAME", "CLUSTER", "DATABASES", "ACCESS", "CREATED", "EXPIRES"];
        let rows: Vec<Vec<String>> = records.iter().map(|record| row(record).to_vec()).collect();
        table(&heads, &rows)
    })
}

fn revoke(path: &Path, id: &str, as_json: bool) -> Result<(), Box<dyn Error>> {
    if !file::remove(path, id)? {
        let list = "`litevfs-cloud token list` shows those there are";
        return Err(format!("{} has no token with that id: {list}", path.display()).into());
    }
    output::print(as_json, &json!({ "revoked": id }), || format!("revoked {id}\n"))
}

/// A token as JSON; what does not limit it is null.
fn shown(record: &Record) -> Value {
    let token = &record.token;
    json!({
        "id": &*token.id,
        "name": record.name,
        "cluster": token.cluster.as_ref().map(ToString::to_string),
        "databases": token.databases.as_ref().map(ToString::to_string),
        "access": token.access,
        "created": rfc3339(record.created),
        "expires": token.expires.map(rfc3339),
        "expired": token.has_expired(Utc::now()),
    })
}

fn row(record: &Record) -> [String; 7] {
    let token = &record.token;
    let access = match token.access {
        Permission::Read => "read",
        Permission::Write => "write",
    };
    let expires = token.expires.map_or("never".into(), |time| {
        let over = if token.has_expired(Utc::now()) { " (over)" } else { "" };
        format!("{}{over}", rfc3339(time))
    });
    [
        token.id.to_string(),
        record.name.clone().unwrap_or_else(|| "-".into()),
        token.cluster.as_ref().map_or("(all)".into(), ToString::to_string),
        token.databases.as_ref().map_or("(all)".into(), ToString::to_string),
        access.into(),
        rfc3339(record.created),
        expires,
    ]
}
