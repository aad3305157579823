//! What a client is told when a request fails: a status, a code and a text.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use litevfs::types::Pos;
use serde::Serialize;

use crate::lease::LeaseError;
use crate::spool::ReceiveError;
use crate::store;
use crate::wire::PosBody;

/// A failed request.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    text: String,
    pos: Option<Pos>,
    /// Which database of several it is about.
    db: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'static str,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pos: Option<PosBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    db: Option<&'a str>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, text: impl Into<String>) -> ApiError {
        ApiError { status, code, text: text.into(), pos: None, db: None }
    }

    /// The same, about one database of several.
    pub(crate) fn about(self, db: String) -> ApiError {
        ApiError { db: Some(db), ..self }
    }

    /// The request makes no sense.
    pub(crate) fn bad_input(text: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "EBADINPUT", text)
    }

    /// There is nothing of that name.
    pub(crate) fn not_found(text: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "ENOTFOUND", text)
    }

    /// The caller is known, and may not do this.
    pub(crate) fn forbidden(text: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::FORBIDDEN, "EFORBIDDEN", text)
    }

    /// The server does not want this now.
    pub(crate) fn unavailable(text: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "EUNAVAILABLE", text)
    }

    /// The server's own fault. The log has the details; the client gets none of them, but is told
    /// when there is no more room.
    fn internal(error: &(dyn std::error::Error + 'static)) -> ApiError {
        tracing::error!(%error, "request failed");
        if store::is_full(error) {
            let text = "the server's disk is full: make room on it, then try again";
            return ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "EINTERNAL", text);
        }
        let text = "the server could not do this: its log says why";
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "EINTERNAL", text)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        tracing::debug!(status = self.status.as_u16(), code = self.code, error = self.text);
        let pos = self.pos.map(PosBody::from);
        let db = self.db.as_deref();
        (self.status, Json(Body { code: self.code, error: &self.text, pos, db })).into_response()
    }
}

impl From<LeaseError> for ApiError {
    fn from(error: LeaseError) -> ApiError {
        ApiError::new(StatusCode::CONFLICT, "ELEASE", error.to_string())
    }
}

impl From<ReceiveError> for ApiError {
    fn from(error: ReceiveError) -> ApiError {
        let text = error.to_string();
        match error {
            ReceiveError::TooLong(_) => {
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "EBADINPUT", text)
            }
            ReceiveError::Stalled => ApiError::new(StatusCode::REQUEST_TIMEOUT, "EBADINPUT", text),
            ReceiveError::Broken(_) => ApiError::bad_input(text),
            ReceiveError::Io(error) => ApiError::internal(&error),
        }
    }
}

impl From<store::Error> for ApiError {
    fn from(error: store::Error) -> ApiError {
        use store::Error;
        let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
        let (status, code) = match &error {
            Error::NoDatabase => (StatusCode::NOT_FOUND, "ENODB"),
            Error::NoTxid(_) => (StatusCode::NOT_FOUND, "ENOTXID"),
            Error::NoTimestamp(_) => (StatusCode::NOT_FOUND, "ENOTIMESTAMP"),
            Error::ClusterInUse => (StatusCode::CONFLICT, "ECLUSTERINUSE"),
            Error::NoPage(_) => (StatusCode::NOT_FOUND, "ENOPAGE"),
            Error::PosMismatch(_) | Error::NotHeld(_) => (StatusCode::CONFLICT, "EPOSMISMATCH"),
            Error::BadFormat(_) => (unprocessable, "EBADFORMAT"),
            Error::LastTxid => (unprocessable, "ELASTTXID"),
            Error::PageSize { .. } | Error::BadPage1(_) => (unprocessable, "EBADHEADER"),
            Error::MissingPages => (unprocessable, "EMISSINGPAGES"),
            Error::BadChecksum(_) => (unprocessable, "EBADCHECKSUM"),
            Error::Fenced(lease) => return ApiError::from(*lease),
            Error::Replaced => (StatusCode::CONFLICT, "EPOSMISMATCH"),
            Error::GroupAborted => (StatusCode::CONFLICT, "EGROUPABORTED"),
            Error::OtherGroup => (StatusCode::BAD_REQUEST, "EBADINPUT"),
            Error::Busy => (StatusCode::SERVICE_UNAVAILABLE, "EUNAVAILABLE"),
            Error::Corrupt { .. } | Error::Gone(_) | Error::Unfit { .. } | Error::Overtaken => {
                // Paths in the store are made of names that the client gave itself.
                tracing::error!(%error, "request failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "EINTERNAL")
            }
            Error::Objects(error) => return ApiError::internal(error),
            Error::Io(error) => return ApiError::internal(error),
        };
        let pos = match error {
            Error::PosMismatch(pos) => Some(pos),
            Error::Replaced => Some(Pos::EMPTY),
            _ => None,
        };
        ApiError { status, code, text: error.to_string(), pos, db: None }
    }
}

impl From<store::GroupError> for ApiError {
    fn from(failure: store::GroupError) -> ApiError {
        let error = ApiError::from(failure.error);
        ApiError { db: failure.db.map(|db| db.to_string()), ..error }
    }
}

impl From<std::io::Error> for ApiError {
    fn from(error: std::io::Error) -> ApiError {
        ApiError::internal(&error)
    }
}

impl From<tokio::task::JoinError> for ApiError {
    fn from(error: tokio::task::JoinError) -> ApiError {
        ApiError::internal(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Error, ErrorKind};

    #[test]
    fn a_full_disk_is_told_wherever_it_was_met() {
        let full = || Error::from(ErrorKind::StorageFull);
        let generic =
            |source: Error| object_store::Error::Generic { store: "s", source: source.into() };
        let status = |error: ApiError| error.status.as_u16();
        assert_eq!(status(store::Error::Io(full()).into()), 507);
        assert_eq!(status(store::Error::Objects(generic(full())).into()), 507);
        assert_eq!(status(ReceiveError::Io(full()).into()), 507);
        let other = generic(ErrorKind::PermissionDenied.into());
        assert_eq!(status(store::Error::Objects(other).into()), 500);
    }
}
