//! What holds as long as a request is answered: its token stands, and what was made is read.

use std::pin::Pin;
use std::task::{Context, Poll};

use aosk_abi::{Error, ErrorCode};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Body as Content, Frame, SizeHint};

use super::Caller;
use super::caller::Share;
use super::share::Taken;
use crate::app::App;
use crate::limits::{TOKEN_CHECK_EVERY, UNCOUNTED_BYTES_MAX, UNREAD_BYTES_MAX};
use crate::problem::Problem;

/// Answers for a caller. An answer whose token is revoked meanwhile ends, and one that is long counts
/// for the caller until it has left.
pub(super) async fn answer(
    app: &App,
    caller: &Caller,
    answering: impl Future<Output = Response>,
) -> Response {
    let Some(share) = caller.share() else { return answering.await };
    let response = tokio::select! { biased;
        response = answering => response,
        () = revoked(app.clone(), caller.clone()) => {
            let text = "asking: the token was revoked";
            return super::check::refused(Error::new(ErrorCode::ApiUnauthorized, text));
        }
    };
    let (parts, body) = response.into_parts();
    let bytes = body.size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    let body = match bytes {
        None => {
            let revoked = Box::pin(revoked(app.clone(), caller.clone()));
            Body::new(Lasting { body: Some(body), revoked })
        }
        Some(bytes) if bytes <= UNCOUNTED_BYTES_MAX => body,
        Some(bytes) => match app.shares().unread.take(share, bytes) {
            Some(taken) => Body::new(Unread { body, part: Bytes::new(), _taken: taken }),
            None => return Problem::from(too_much(caller)).into_response(),
        },
    };
    Response::from_parts(parts, body)
}

fn too_much(caller: &Caller) -> Error {
    let text = format!(
        "asking as {}: more than {UNREAD_BYTES_MAX} bytes of answers would be unread",
        caller.name
    );
    Error::new(ErrorCode::Busy, text).hint("read the answers that were asked for first")
}

/// Waits until the token that a caller showed is not there any more.
async fn revoked(app: App, caller: Caller) {
    let mut ticks = tokio::time::interval(TOKEN_CHECK_EVERY);
    // The first is due at once.
    ticks.reset();
    loop {
        ticks.tick().await;
        if !app.tokens().has(&caller) {
            return;
        }
    }
}

/// A stream, which is broken off with its token: an end in order would say that all of it came.
struct Lasting {
    /// None at the end.
    body: Option<Body>,
    revoked: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Content for Lasting {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let next = match this.revoked.as_mut().poll(cx) {
            Poll::Ready(()) => {
                let why = std::io::Error::other("the token was revoked");
                Poll::Ready(Some(Err(axum::Error::new(why))))
            }
            Poll::Pending => Pin::new(body).poll_frame(cx),
        };
        if let Poll::Ready(None | Some(Err(_))) = next {
            this.body = None;
        }
        next
    }
}

/// A long answer. It is handed over in parts, so that it is here until nearly all of it has left.
struct Unread {
    body: Body,
    /// What is left of the frame at hand.
    part: Bytes,
    _taken: Taken<Share>,
}

impl Content for Unread {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        if this.part.is_empty() {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.part = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                end @ (Poll::Ready(None | Some(Err(_))) | Poll::Pending) => return end,
            }
        }
        let part = this.part.split_to(this.part.len().min(UNCOUNTED_BYTES_MAX));
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.body.size_hint().exact();
        let part = self.part.len() as u64;
        left.map_or_else(SizeHint::default, |left| SizeHint::with_exact(left.saturating_add(part)))
    }
}
