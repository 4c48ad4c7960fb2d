//! Bytes on their way: whether a client has begun to speak, and whether it still reads.

use super::{Notes, greeting::Ticket};
use crate::metrics::STALLED;
use std::{
    future::Future,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// HTTP/2's preface, and the header of the settings that must follow.
const GREETING: usize = 24 + 9;

/// What is known of a connection's client.
#[derive(Default)]
pub(super) struct Life {
    /// It has sent at least a byte, after the TLS handshake.
    spoke: AtomicBool,
    /// It has made a request.
    asked: AtomicBool,
    /// One of its requests was allowed to pass.
    admitted: AtomicBool,
    calls: AtomicUsize,
    /// Milliseconds from [`EPOCH`] to the end of the last call.
    idle_since: AtomicU64,
}

/// Before anything that idles.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Life {
    pub(super) fn has_spoken(&self) -> bool {
        self.spoke.load(Ordering::Relaxed)
    }

    pub(super) fn has_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    pub(super) fn asks(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_admitted(&self) -> bool {
        self.admitted.load(Ordering::Relaxed)
    }

    pub(super) fn admit(&self) {
        self.admitted.store(true, Ordering::Relaxed);
    }

    pub(super) fn begin_call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end_call(&self) {
        let now = EPOCH.elapsed().as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        self.idle_since.store(now, Ordering::Relaxed);
        self.calls.fetch_sub(1, Ordering::Relaxed);
    }

    /// When the last call ended, as a number that grows with time; none while one is open.
    pub(super) fn idle_since(&self) -> Option<u64> {
        match self.calls.load(Ordering::Relaxed) {
            0 => Some(self.idle_since.load(Ordering::Relaxed)),
            _ => None,
        }
    }
}

/// How long something may last. One timer serves for many times that it begins and ends.
pub(super) struct Patience {
    limit: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, alarm: None }
    }

    /// Ready once what began at `since` has lasted too long.
    pub(super) fn poll_over(&mut self, since: Instant, context: &mut Context<'_>) -> Poll<()> {
        let end = since + self.limit;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(end)));
        loop {
            ready!(alarm.as_mut().poll(context));
            if alarm.deadline() >= end {
                return Poll::Ready(());
            }
            // It was set for something that ended in time.
            alarm.as_mut().reset(end);
        }
    }
}

/// A connection's bytes. A write that gets nowhere for too long is an error.
pub(super) struct Watched<IO> {
    io: IO,
    life: Arc<Life>,
    /// Bytes until the client has said enough.
    unheard: usize,
    ticket: Option<Ticket>,
    blocked: Option<Instant>,
    patience: Patience,
    notes: Arc<Notes>,
    peer: SocketAddr,
}

impl<IO> Watched<IO> {
    pub(super) fn new(
        io: IO,
        life: Arc<Life>,
        ticket: Ticket,
        write_stall: Duration,
        notes: Arc<Notes>,
        peer: SocketAddr,
    ) -> Self {
        Self {
            io,
            life,
            unheard: GREETING,
            ticket: Some(ticket),
            blocked: None,
            patience: Patience::new(write_stall),
            notes,
            peer,
        }
    }

    fn heard(&mut self, bytes: usize) {
        if self.ticket.is_some() && bytes > 0 {
            self.life.spoke.store(true, Ordering::Relaxed);
            self.unheard = self.unheard.saturating_sub(bytes);
            if self.unheard == 0 {
                self.ticket = None;
            }
        }
    }

    fn unless_stalled<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.blocked = None;
            return outcome;
        }
        let since = *self.blocked.get_or_insert_with(Instant::now);
        ready!(self.patience.poll_over(since, context));
        metrics::counter!(STALLED, "what" => "connection").increment(1);
        let last = format_args!("{}: the connection", self.peer);
        self.notes.stalled.add(last);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Watched<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(context, buffer))?;
        this.heard(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Watched<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_write(context, bytes);
        this.unless_stalled(outcome, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_write_vectored(context, slices);
        this.unless_stalled(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_flush(context);
        this.unless_stalled(outcome, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_shutdown(context);
        this.unless_stalled(outcome, context)
    }
}
