//! What the handlers work with: the server's parts, and a request that was let in.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use litevfs::types::{ClusterName, CommitId, DbName, ParseError, Pos};

use crate::auth::{Auth, Caller, Permission, Token};
use crate::error::ApiError;
use crate::health::Health;
use crate::key::DbKey;
use crate::limits::{Asker, Limits};
use crate::metrics::Metrics;
use crate::regrant::Grants;
use crate::store::{At, Store};
use crate::turns::Turns;
use crate::wire::parse_time_ms;

/// The client's LiteFS cluster.
const CLUSTER_ID: &str = "litefs-cluster-id";

/// The parts of the server.
pub struct App {
    /// The databases.
    pub store: Arc<Store>,
    /// Who may use them.
    pub auth: Auth,
    /// How much at a time.
    pub limits: Limits,
    /// Which leases were granted to requests by name.
    pub grants: Grants,
    /// Whose work is done when.
    pub turns: Turns,
    /// What was done.
    pub metrics: Metrics,
    /// Whether whoever can connect may see that.
    pub metrics_public: bool,
    /// Whether it should be sent requests.
    pub health: Health,
    /// The longest upload, in bytes.
    pub max_body: u64,
    /// The longest SQLite file to import, in bytes.
    pub max_import: u64,
    /// Names this process.
    pub instance_id: HeaderValue,
}

/// A request that was let in: its cluster, its query, and what it may do.
pub(crate) struct Access {
    pub(crate) cluster: ClusterName,
    query: Vec<(String, String)>,
    caller: Caller,
}

impl FromRequestParts<Arc<App>> for Access {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Access, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let query: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let asked = parameter(&query, "cluster");
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller = caller.unwrap_or_else(|| app.auth.caller(&parts.headers));
        let cluster = caller.cluster(asked, &parts.headers)?;
        check_cluster_id(&parts.headers)?;
        Ok(Access { cluster, query, caller })
    }
}

impl Access {
    /// A query parameter; the first of several, and none when it is empty.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        parameter(&self.query, name)
    }

    /// The database that the request is about, which it may use like that.
    pub(crate) fn key(&self, permission: Permission) -> Result<DbKey, ApiError> {
        let name = self.parameter("db").ok_or_else(|| bad_db("name a database: db=NAME"))?;
        self.key_of(name, permission)
    }

    /// A database of the request's cluster, which it may use like that.
    pub(crate) fn key_of(&self, name: &str, permission: Permission) -> Result<DbKey, ApiError> {
        let db: DbName = name.parse().map_err(|error: ParseError| bad_db(error.to_string()))?;
        self.allow(permission)?;
        if !self.reaches(&db) {
            return Err(ApiError::forbidden(format!("this token is not for database {db}")));
        }
        Ok(DbKey { cluster: self.cluster.clone(), db })
    }

    /// Whether the request may use a database of its cluster at all. What it may not use must not
    /// show in any list either.
    pub(crate) fn reaches(&self, db: &DbName) -> bool {
        self.token().is_none_or(|token| token.reaches(db))
    }

    /// Refuses a request that may not use its whole cluster, with every database in it, like that.
    pub(crate) fn whole_cluster(&self, permission: Permission) -> Result<(), ApiError> {
        self.allow(permission)?;
        if self.token().is_some_and(|token| token.databases.is_some()) {
            let text = "this token is for some databases of its cluster only";
            return Err(ApiError::forbidden(text));
        }
        Ok(())
    }

    /// Whether the request may use another cluster too.
    pub(crate) fn reaches_cluster(&self, cluster: &ClusterName) -> bool {
        let scope = self.token().and_then(|token| token.cluster.as_ref());
        scope.is_none_or(|scope| scope == cluster)
    }

    /// Whether nothing limits what the request may read.
    pub(crate) fn reads_everything(&self) -> bool {
        self.token().is_none_or(|token| token.cluster.is_none() && token.databases.is_none())
    }

    /// Refuses a request that may not use anything like that.
    pub(crate) fn allow(&self, permission: Permission) -> Result<(), ApiError> {
        if self.token().is_some_and(|token| token.access < permission) {
            let text = "this token may only read: this call changes something";
            return Err(ApiError::forbidden(text));
        }
        Ok(())
    }

    /// Whose requests this one is counted among, as far as a token tells.
    pub(crate) fn asker(&self) -> Asker {
        self.token().map_or(Asker::Peer(None), |token| Asker::Token(Arc::clone(&token.id)))
    }

    fn token(&self) -> Option<&Token> {
        // Strangers have no `Access`.
        self.caller.token().ok().flatten()
    }

    /// The position in the request.
    pub(crate) fn pos(&self) -> Result<Option<Pos>, ApiError> {
        let Some(pos) = self.parsed::<Pos>("pos")? else {
            return Ok(None);
        };
        let Some(commit_id) = self.parsed::<CommitId>("commit_id")? else {
            return Ok(Some(pos));
        };
        if !commit_id.is_set() && !pos.is_empty() {
            return Err(ApiError::bad_input("commit_id: zero says nothing, leave it out"));
        }
        Ok(Some(Pos { commit_id, ..pos }))
    }

    fn parsed<T: FromStr<Err = ParseError>>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let bad = |error: ParseError| ApiError::bad_input(format!("{name}: {error}"));
        self.parameter(name).map(|text| text.parse().map_err(bad)).transpose()
    }

    /// The moment in the database's history that the request is about.
    pub(crate) fn at(&self) -> Result<Option<At>, ApiError> {
        let txid = self.parsed("txid").transpose().map(|txid| txid.map(At::Txid));
        let time = self.parameter("timestamp").map(|text| {
            let bad = |why| ApiError::bad_input(format!("timestamp: {why}"));
            parse_time_ms(text).map(At::Time).map_err(bad)
        });
        let mut given = [self.pos()?.map(|pos| Ok(At::Pos(pos))), txid, time].into_iter().flatten();
        match (given.next(), given.next()) {
            (at, None) => at.transpose(),
            (_, Some(_)) => {
                Err(ApiError::bad_input("give one of pos, txid and timestamp, not several"))
            }
        }
    }
}

fn bad_db(text: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "EBADDB", text)
}

fn parameter<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let (_, value) = query.iter().find(|(key, _)| key == name)?;
    Some(value.as_str()).filter(|value| !value.is_empty())
}

/// A header as text; an error when it is there but is not text.
pub(crate) fn text_header<'a>(
    headers: &'a HeaderMap,
    name: &str,
) -> Result<Option<&'a str>, ApiError> {
    let text = |value: &'a HeaderValue| {
        value.to_str().map_err(|_| ApiError::bad_input(format!("the {name} header is not ASCII")))
    };
    headers.get(name).map(text).transpose()
}

fn check_cluster_id(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(id) = text_header(headers, CLUSTER_ID)? else {
        return Ok(());
    };
    let upper_hex = |b: u8| b.is_ascii_digit() || (b'A'..=b'F').contains(&b);
    let digits = id.strip_prefix("LFSC").unwrap_or_default();
    if digits.len() == 16 && digits.bytes().all(upper_hex) {
        return Ok(());
    }
    let text = "the Litefs-Cluster-Id header is not LFSC and 16 upper-case hex digits";
    Err(ApiError::new(StatusCode::BAD_REQUEST, "EBADHEADER", text))
}
