//! Who may use which cluster and which databases, and who may change them.
//!
//! Of a token only the SHA-256 is kept, and every request's is compared in constant time with every
//! one there is. A token is never logged and never part of an error.

pub mod file;
mod glob;
mod loopback;
mod token;

use std::path::PathBuf;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use chrono::Utc;
use litevfs::types::{ClusterName, ParseError};

pub use glob::Glob;
pub use token::{Hash, Permission, Token, new_secret};

use crate::error::ApiError;
use crate::reload::Reloaded;

/// The cluster of requests that name none.
const DEFAULT_CLUSTER: &str = "default";

/// The scheme that a server without tokens reads a cluster's name from.
const CLUSTER_SCHEME: &str = "cluster ";

/// Every token of the server. Without any, and without a file of them, everyone who can connect may
/// use everything.
#[derive(Default)]
pub struct Auth {
    given: Vec<Arc<Token>>,
    file: Option<Reloaded<Vec<Arc<Token>>>>,
    /// Pages of these origins may use a server without tokens.
    origins: Vec<HeaderValue>,
}

/// Who sends a request.
#[derive(Clone)]
pub enum Caller {
    /// Nobody in particular, on a server without tokens.
    Anyone,
    /// The owner of a token.
    Token(Arc<Token>),
    /// Somebody without a good one.
    Stranger(Refusal),
}

/// Why a token was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is none.
    Missing,
    /// It is not one of the server's.
    Unknown,
    /// It was, once.
    Expired,
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        let text = match refusal {
            Refusal::Missing => "this server wants a token: send it in the Authorization header",
            Refusal::Unknown => "the token in the Authorization header is not one of this server's",
            Refusal::Expired => {
                "the token in the Authorization header has expired: ask for a new one"
            }
        };
        ApiError::new(StatusCode::UNAUTHORIZED, "EINVALIDAUTH", text)
    }
}

impl Auth {
    /// The tokens of the command line; fails when two are the same, because one would hide what the
    /// other reaches.
    pub fn new(tokens: Vec<Token>) -> Result<Auth, &'static str> {
        let mut hashes: Vec<&Hash> = tokens.iter().map(|token| &token.hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        if hashes.len() != tokens.len() {
            return Err("the same token is given twice");
        }
        let given = tokens.into_iter().map(Arc::new).collect();
        Ok(Auth { given, file: None, origins: Vec::new() })
    }

    /// The same, and the tokens of a file, whatever it holds from now on.
    pub fn with_file(mut self, path: PathBuf) -> Result<Auth, String> {
        let paths = vec![path.clone()];
        let load = move || {
            let records = file::read(&path).map_err(|error| error.to_string())?;
            Ok(records.into_iter().map(|record| Arc::new(record.token)).collect())
        };
        self.file = Some(Reloaded::new("the tokens file", paths, load)?);
        Ok(self)
    }

    /// The same, for a server whose operator lets pages of these origins in.
    pub fn with_origins(mut self, origins: Vec<HeaderValue>) -> Auth {
        self.origins = origins;
        self
    }

    /// Whether requests need no token.
    pub const fn is_open(&self) -> bool {
        self.given.is_empty() && self.file.is_none()
    }

    /// Refuses a request that must not even be looked at: see [`loopback`].
    pub fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        if self.is_open() { loopback::admit(uri, headers, &self.origins) } else { Ok(()) }
    }

    /// Whose token a request carries.
    pub fn caller(&self, headers: &HeaderMap) -> Caller {
        if self.is_open() {
            return Caller::Anyone;
        }
        let Some(header) = headers.get(header::AUTHORIZATION) else {
            return Caller::Stranger(Refusal::Missing);
        };
        match header.to_str().ok().and_then(|header| self.find(header)) {
            None => Caller::Stranger(Refusal::Unknown),
            Some(token) if token.has_expired(Utc::now()) => Caller::Stranger(Refusal::Expired),
            Some(token) => Caller::Token(token),
        }
    }

    /// The token in a header. Looks at all there are, so that time tells nothing about any.
    fn find(&self, header: &str) -> Option<Arc<Token>> {
        let bearer = header.split_once(' ').and_then(|(scheme, token)| {
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_start())
        });
        let (as_given, as_bearer) = (Hash::of(header), Hash::of(bearer.unwrap_or(header)));
        let from_file = self.file.as_ref().map(Reloaded::get).unwrap_or_default();
        let mut found = None;
        for token in self.given.iter().chain(from_file.iter()) {
            if (token.hash.matches(&as_given) | token.hash.matches(&as_bearer)).into() {
                found = Some(Arc::clone(token));
            }
        }
        found
    }
}

impl Caller {
    /// The token, if it takes one: without, everything is allowed.
    pub fn token(&self) -> Result<Option<&Token>, Refusal> {
        match self {
            Caller::Anyone => Ok(None),
            Caller::Token(token) => Ok(Some(token)),
            Caller::Stranger(refusal) => Err(*refusal),
        }
    }

    /// The cluster that a request with that `cluster` parameter uses.
    pub fn cluster(
        &self,
        asked: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<ClusterName, ApiError> {
        let token = self.token()?;
        let from_header = headers.get(header::AUTHORIZATION).filter(|_| token.is_none());
        let from_header = from_header.and_then(|header| header.to_str().ok());
        let from_header = from_header.and_then(|header| header.strip_prefix(CLUSTER_SCHEME));
        let asked: Option<ClusterName> = match asked.or(from_header.map(str::trim)) {
            None => None,
            Some(name) => Some(name.parse().map_err(|error: ParseError| {
                ApiError::new(StatusCode::BAD_REQUEST, "EBADCLUSTER", error.to_string())
            })?),
        };
        match (token.and_then(|token| token.cluster.clone()), asked) {
            (Some(scope), Some(asked)) if scope != asked => Err(ApiError::new(
                StatusCode::UNAUTHORIZED,
                "EBADCLUSTER",
                format!("this token is not for cluster {asked}"),
            )),
            (Some(name), _) | (None, Some(name)) => Ok(name),
            (None, None) => DEFAULT_CLUSTER
                .parse()
                .map_err(|_| ApiError::bad_input("name a cluster: cluster=NAME")),
        }
    }
}

#[cfg(test)]
mod tests;
