//! Who may use which cluster.
//!
//! A token is compared in constant time with every token there is. It is never logged and never part
//! of an error.

mod loopback;

use axum::http::{HeaderMap, StatusCode, Uri};
use litevfs::types::ClusterName;
use subtle::ConstantTimeEq;

use crate::error::ApiError;

/// The cluster of requests that name none.
const DEFAULT_CLUSTER: &str = "default";

/// The scheme that a server without tokens reads a cluster's name from.
const CLUSTER_SCHEME: &str = "cluster ";

/// A token and what it reaches.
pub struct Token {
    secret: String,
    /// The only cluster it reaches; `None` for all.
    scope: Option<ClusterName>,
}

impl Token {
    /// A token as it stands in an `Authorization` header.
    ///
    /// Fails on one that could not stand there.
    pub fn new(secret: String, scope: Option<ClusterName>) -> Result<Token, &'static str> {
        let printable = |b: u8| (b' '..=b'~').contains(&b);
        if secret.is_empty() || secret.trim() != secret || !secret.bytes().all(printable) {
            return Err("a token is one or more ASCII characters, with no space at either end");
        }
        Ok(Token { secret, scope })
    }
}

/// Every token of the server. Without any, everyone who can connect may use everything.
#[derive(Default)]
pub struct Auth {
    tokens: Vec<Token>,
}

impl Auth {
    /// The tokens; fails when two are the same, because one would hide what the other reaches.
    pub fn new(tokens: Vec<Token>) -> Result<Auth, &'static str> {
        let mut secrets: Vec<&str> = tokens.iter().map(|token| token.secret.as_str()).collect();
        secrets.sort_unstable();
        secrets.dedup();
        if secrets.len() != tokens.len() {
            return Err("the same token is given twice");
        }
        Ok(Auth { tokens })
    }

    /// Whether there is no token.
    pub const fn is_open(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Refuses a request that must not even be looked at: see [`loopback`].
    pub fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        if self.is_open() { loopback::admit(uri, headers) } else { Ok(()) }
    }

    /// The cluster that a request with that header and that `cluster` parameter uses.
    pub fn cluster(
        &self,
        header: Option<&str>,
        asked: Option<&str>,
    ) -> Result<ClusterName, ApiError> {
        let scope = if self.is_open() { None } else { self.find(header)?.scope.clone() };
        let from_header = header.filter(|_| self.is_open()).and_then(|header| {
            let name = header.strip_prefix(CLUSTER_SCHEME)?;
            Some(name.trim())
        });
        let asked: Option<ClusterName> = match asked.or(from_header) {
            None => None,
            Some(name) => Some(name.parse().map_err(|error: litevfs::types::ParseError| {
                ApiError::new(StatusCode::BAD_REQUEST, "EBADCLUSTER", error.to_string())
            })?),
        };
        match (scope, asked) {
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

    /// The token of a request. Looks at all of them, so that time tells nothing about any.
    fn find(&self, header: Option<&str>) -> Result<&Token, ApiError> {
        let given = header.unwrap_or_default();
        let bearer = given.split_once(' ').and_then(|(scheme, token)| {
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_start())
        });
        let mut found = None;
        for token in &self.tokens {
            let secret = token.secret.as_bytes();
            let as_given = secret.ct_eq(given.as_bytes());
            let as_bearer = secret.ct_eq(bearer.unwrap_or_default().as_bytes());
            if (as_given | as_bearer).into() {
                found = Some(token);
            }
        }
        found.ok_or_else(|| {
            let text = if header.is_none() {
                "this server wants a token: send it in the Authorization header"
            } else {
                "the token in the Authorization header is not one of this server's"
            };
            ApiError::new(StatusCode::UNAUTHORIZED, "EINVALIDAUTH", text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth() -> Auth {
        let scoped = Some("one".parse().unwrap());
        let tokens = [("FlyV1 all", None), ("scoped", scoped)];
        let tokens = tokens.map(|(secret, scope)| Token::new(secret.into(), scope).unwrap());
        Auth::new(tokens.into()).unwrap()
    }

    fn cluster(auth: &Auth, header: Option<&str>, asked: Option<&str>) -> Option<String> {
        auth.cluster(header, asked).ok().map(|name| name.to_string())
    }

    #[test]
    fn a_token_counts_as_given_and_as_bearer() {
        let auth = auth();
        for header in ["FlyV1 all", "Bearer FlyV1 all", "bearer  FlyV1 all"] {
            assert_eq!(cluster(&auth, Some(header), None).as_deref(), Some("default"), "{header}");
        }
        for header in ["", "all", "FlyV1 al", "FlyV1 alll", "Bearer all", "cluster default"] {
            assert_eq!(cluster(&auth, Some(header), None), None, "{header}");
        }
        assert_eq!(cluster(&auth, None, None), None);
    }

    #[test]
    fn a_scoped_token_reaches_its_cluster_only() {
        let auth = auth();
        let token = Some("scoped");
        assert_eq!(cluster(&auth, token, None).as_deref(), Some("one"));
        assert_eq!(cluster(&auth, token, Some("one")).as_deref(), Some("one"));
        assert_eq!(cluster(&auth, token, Some("two")), None);
        assert_eq!(cluster(&auth, Some("FlyV1 all"), Some("two")).as_deref(), Some("two"));
        assert_eq!(cluster(&auth, Some("FlyV1 all"), Some("../x")), None);
    }

    #[test]
    fn without_tokens_the_header_may_name_the_cluster() {
        let auth = Auth::default();
        assert_eq!(cluster(&auth, None, None).as_deref(), Some("default"));
        assert_eq!(cluster(&auth, Some("whatever"), None).as_deref(), Some("default"));
        assert_eq!(cluster(&auth, Some("cluster one"), None).as_deref(), Some("one"));
        assert_eq!(cluster(&auth, Some("cluster one"), Some("two")).as_deref(), Some("two"));
        assert_eq!(cluster(&auth, Some("cluster .one"), None), None);
    }

    #[test]
    fn unusable_and_repeated_tokens_are_refused() {
        for secret in ["", " a", "a ", "a\n", "\u{e4}"] {
            assert!(Token::new(secret.into(), None).is_err(), "{secret:?}");
        }
        let twice = ["a", "a"].map(|secret| Token::new(secret.into(), None).unwrap());
        assert!(Auth::new(twice.into()).is_err());
    }
}
