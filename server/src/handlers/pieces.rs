//! A body whose parts are in memory for others too: they are joined while they are sent, a piece at a time.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use hyper::body::{Frame, SizeHint};

/// About how many bytes are joined at a time.
const PIECE: usize = 64 << 10;

/// Parts that are left to send.
struct Pieces {
    parts: VecDeque<Bytes>,
    left: u64,
}

/// A body of these parts, of known length.
pub(super) fn body(parts: Vec<Bytes>) -> Body {
    let left = parts.iter().map(|part| part.len() as u64).fold(0, u64::saturating_add);
    Body::new(Pieces { parts: parts.into(), left })
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut piece = BytesMut::new();
        while piece.len() < PIECE
            && let Some(part) = self.parts.pop_front()
        {
            piece.extend_from_slice(&part);
        }
        self.left = self.left.saturating_sub(piece.len() as u64);
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece.freeze()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
