//! A connection whose client must take what it is sent: one that does not read, or reads very
//! slowly, would hold a connection and an answer in memory for ever.

use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes a second that a client takes at least, beyond the time that it has anyway.
const MIN_RATE: f64 = 16_384.0;

/// A stream that gives up when its other end takes too little for too long.
pub struct BoundedWrites<S> {
    stream: S,
    limit: Duration,
    /// How long writes may still wait; what is written adds to it.
    left: Duration,
    /// Since when a write waits, and what wakes it when its time is up.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> BoundedWrites<S> {
    /// Bounds the time that writes wait.
    pub fn new(stream: S, limit: Duration) -> Self {
        Self {
            stream,
            limit,
            left: limit,
            waiting: None,
        }
    }

    /// Takes the result of a write into account.
    fn bounded(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(written) => {
                if let Some((since, _)) = self.waiting.take() {
                    self.left = self.left.saturating_sub(since.elapsed());
                }
                if let Ok(bytes) = written {
                    let earned = Duration::from_secs_f64(bytes as f64 / MIN_RATE);
                    self.left = self.limit.min(self.left.saturating_add(earned));
                }
                Poll::Ready(written)
            }
            Poll::Pending => {
                let left = self.left;
                let (_, until) = self.waiting.get_or_insert_with(|| {
                    let now = Instant::now();
                    (now, Box::pin(sleep_until(now + left)))
                });
                ready!(until.as_mut().poll(context));
                Poll::Ready(Err(io::Error::from(ErrorKind::TimedOut)))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for BoundedWrites<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BoundedWrites<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.bounded(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.bounded(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
