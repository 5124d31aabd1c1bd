//! Connections: they are accepted, served with bounds of time and memory, and drained at the end.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use esparsa::{Error, Result};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::app::App;
use super::writes::BoundedWrites;
use crate::output;

/// Bytes of the head of a request; a longer one is refused.
const MAX_HEAD: usize = 64 << 10;
/// Connections that are open at once; more wait in the backlog of the system.
const MAX_CONNECTIONS: u32 = 1_024;
/// How long nothing is accepted after the system refused to, because files have run out.
const PAUSE: Duration = Duration::from_millis(50);
/// How long threads may take to notice that their work was cancelled.
const END: Duration = Duration::from_millis(500);

/// How connections are served.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Threads that search.
    pub threads: usize,
    /// Time for the head of a request, and between requests.
    pub header_timeout: Duration,
    /// Time for a client to take what it is sent.
    pub write_timeout: Duration,
    /// Time for running requests when the server ends.
    pub drain: Duration,
}

impl Connections {
    /// Serves until the process is asked to end, and then until running requests are answered or
    /// their time is up.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the address cannot be listened on, [`Error::InvalidInput`] when signals
    /// cannot be handled.
    pub fn serve(self, app: Arc<App>) -> Result<()> {
        let (stop, stopped) = watch::channel(false);
        ctrlc::set_handler(move || {
            // The second time nothing is waited for.
            if stop.send_replace(true) {
                std::process::exit(1);
            }
        })
        .map_err(|error| Error::invalid(format!("cannot handle Ctrl-C: {error}")))?;
        let runtime = self
            .runtime()
            .map_err(|source| self.io("start threads for", source))?;
        let served = runtime.block_on(self.until(app, stopped));
        runtime.shutdown_timeout(END);
        served
    }

    fn runtime(self) -> io::Result<Runtime> {
        Builder::new_multi_thread()
            // Reading heads and writing answers takes little beside the searches.
            .worker_threads(self.threads.div_ceil(2).min(4))
            .max_blocking_threads(self.threads)
            .enable_io()
            .enable_time()
            .thread_name("esparsa-serve")
            .build()
    }

    async fn until(self, app: Arc<App>, mut stopped: watch::Receiver<bool>) -> Result<()> {
        let bound = TcpListener::bind(self.listen).await;
        let listener = bound.map_err(|source| self.io("listen on", source))?;
        let address = listener.local_addr();
        let address = address.map_err(|source| self.io("listen on", source))?;
        output::print(format!("listening on http://{address}/"))?;
        let open = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
        let accepting = self.accept(listener, app, open.clone(), stopped.clone());
        let accepting = tokio::spawn(accepting);
        // An error means that the handler of signals is gone, which ends the server too.
        let _ = stopped.wait_for(|stop| *stop).await;
        accepting.abort();
        // Once nobody holds a permit, every connection is closed.
        if timeout(self.drain, open.acquire_many(MAX_CONNECTIONS))
            .await
            .is_err()
        {
            output::message("some requests were not answered before the time for it was up");
        }
        Ok(())
    }

    /// Accepts connections until the task is aborted, which closes the listener.
    async fn accept(
        self,
        listener: TcpListener,
        app: Arc<App>,
        open: Arc<Semaphore>,
        stopped: watch::Receiver<bool>,
    ) {
        while let Ok(permit) = open.clone().acquire_owned().await {
            let Ok((stream, _)) = listener.accept().await else {
                sleep(PAUSE).await;
                continue;
            };
            tokio::spawn(self.connection(stream, app.clone(), stopped.clone(), permit));
        }
    }

    /// Serves one connection. Its errors are those of the client: the connection is closed.
    async fn connection(
        self,
        stream: TcpStream,
        app: Arc<App>,
        mut stopped: watch::Receiver<bool>,
        _permit: OwnedSemaphorePermit,
    ) {
        // Answers are written whole; waiting for more to send with them would only delay them.
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| {
            let app = app.clone();
            async move { Ok::<_, Infallible>(app.respond(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_buf_size(MAX_HEAD)
            // A buffer alone is no limit: a head that comes at once may be larger than it.
            .max_header_size(MAX_HEAD)
            .serve_connection(
                TokioIo::new(BoundedWrites::new(stream, self.write_timeout)),
                service,
            );
        let mut connection = pin!(connection);
        let mut stop = pin!(stopped.wait_for(|stop| *stop));
        let mut is_stopping = false;
        let served = poll_fn(|context| {
            if !is_stopping && stop.as_mut().poll(context).is_ready() {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            connection.as_mut().poll(context)
        });
        let _ = served.await;
    }

    fn io(self, action: &'static str, source: io::Error) -> Error {
        Error::io(self.listen.to_string(), action, source)
    }
}
