//! Bodies on their way: requests that must not stall, answers that count until they are sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use crate::pace::Pace;

/// Answers go out in pieces of this many bytes, so that little of one is out of our hands before its
/// client has read the rest.
const PIECE: usize = 64 << 10;

type Polled<E> = Poll<Option<Result<Frame<Bytes>, E>>>;

/// A request body that fails when its sender is too slow.
pub(super) struct Paced {
    body: Body,
    pace: Pace,
}

impl Paced {
    pub(super) fn wrap(body: Body) -> Body {
        if body.is_end_stream() { body } else { Body::new(Paced { body, pace: Pace::default() }) }
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<axum::Error> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending => self.pace.poll_late(cx).map(|late: io::Error| {
                Some(Err(axum::Error::new(io::Error::new(
                    late.kind(),
                    format!("it arrived too slowly: {late}"),
                ))))
            }),
            Poll::Ready(frame) => {
                let frame_data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
                self.pace.moved(frame_data.map_or(0, Bytes::len));
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body, and something that is kept until it is sent or given up.
pub(super) struct Keeping<T> {
    body: Body,
    /// What is left of a frame.
    rest: Bytes,
    _kept: T,
}

impl<T: Send + Unpin + 'static> Keeping<T> {
    pub(super) fn wrap(body: Body, kept: T) -> Body {
        if body.is_end_stream() {
            return body;
        }
        Body::new(Keeping { body, rest: Bytes::new(), _kept: kept })
    }
}

impl<T: Unpin> HttpBody for Keeping<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<axum::Error> {
        if self.rest.is_empty() {
            match std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                end => return Poll::Ready(end),
            }
        }
        let len = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(len)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(rest));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt, stream};
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn an_upload_that_stops_arriving_fails() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let begun = stream::iter([Ok::<_, io::Error>(Bytes::from("begun"))]);
            let body = Body::from_stream(begun.chain(stream::pending()));
            let pace = Pace::new(Duration::from_millis(20));
            let mut pieces = Body::new(Paced { body, pace }).into_data_stream();
            assert_eq!(pieces.next().await.unwrap().unwrap(), "begun");
            let error = pieces.next().await.unwrap().unwrap_err();
            assert!(error.to_string().contains("too slowly"), "{error}");
        });
    }

    #[test]
    fn an_answer_keeps_its_thing_until_its_last_piece_is_taken() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (kept, content) = (Arc::new(()), vec![7; 2 * PIECE + 1]);
            let body = Keeping::wrap(Body::from(content.clone()), Arc::clone(&kept));
            assert_eq!(body.size_hint().exact(), Some(content.len() as u64));
            let mut pieces = body.into_data_stream();
            let mut got = Vec::new();
            for len in [PIECE, PIECE, 1] {
                let piece = pieces.next().await.unwrap().unwrap();
                assert_eq!((piece.len(), Arc::strong_count(&kept)), (len, 2));
                got.extend_from_slice(&piece);
            }
            assert!(pieces.next().await.is_none() && got == content);
            drop(pieces);
            assert_eq!(Arc::strong_count(&kept), 1);
        });
    }
}
