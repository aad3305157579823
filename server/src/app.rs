//! What the handlers work with: the server's parts, and a request that was let in.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use litevfs::types::{ClusterName, ParseError, Pos};

use crate::auth::Auth;
use crate::error::ApiError;
use crate::key::DbKey;
use crate::lease::Leases;
use crate::store::Store;

/// The client's LiteFS cluster.
const CLUSTER_ID: &str = "litefs-cluster-id";

/// The parts of the server.
pub struct App {
    /// The databases.
    pub store: Store,
    /// The write leases.
    pub leases: Leases,
    /// Who may use them.
    pub auth: Auth,
    /// The longest upload, in bytes.
    pub max_body: u64,
    /// Where the databases are kept, in words and without a secret.
    pub place: String,
    /// Names this process.
    pub instance_id: HeaderValue,
}

/// A request that was let in: its cluster and its query.
pub(crate) struct Access {
    pub(crate) cluster: ClusterName,
    query: Vec<(String, String)>,
}

impl FromRequestParts<Arc<App>> for Access {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Access, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let query: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let asked = parameter(&query, "cluster");
        let authorization = text_header(&parts.headers, header::AUTHORIZATION.as_str())?;
        let cluster = app.auth.cluster(authorization, asked)?;
        check_cluster_id(&parts.headers)?;
        Ok(Access { cluster, query })
    }
}

impl Access {
    /// A query parameter; the first of several, and none when it is empty.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        parameter(&self.query, name)
    }

    /// The database that the request is about.
    pub(crate) fn key(&self) -> Result<DbKey, ApiError> {
        let bad_db = |text: String| ApiError::new(StatusCode::BAD_REQUEST, "EBADDB", text);
        let name = self.parameter("db").ok_or_else(|| bad_db("name a database: db=NAME".into()))?;
        let db = name.parse().map_err(|error: ParseError| bad_db(error.to_string()))?;
        Ok(DbKey { cluster: self.cluster.clone(), db })
    }

    /// The position in the request.
    pub(crate) fn pos(&self) -> Result<Option<Pos>, ApiError> {
        let parse = |text: &str| {
            text.parse().map_err(|error: ParseError| ApiError::bad_input(format!("pos: {error}")))
        };
        self.parameter("pos").map(parse).transpose()
    }
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
