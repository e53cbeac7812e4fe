//! The registry over HTTP: Lambda's own operations on layers, so that its clients need only another endpoint.
//!
//! ```text
//! connection ──> keys: who asks ──> upload: the archive to a file, the rest to memory ──> registry::Request: judged
//!                                                                                              |
//!       answer <── shapes: JSON <── registry::operations: decided <── store: looked up <───────┘
//!       links: an archive, for ten minutes
//! ```
//!
//! Whatever comes, the memory is bounded: so many connections, so many archives that come, each with a few hundred kilobytes at the
//! most, so many that are published, each with one part of 8 MiB, and one budget of buffers for all that are verified. Who sends too
//! slowly is not waited for, and nobody has one of the few places to publish before all of his archive is there and his signature
//! is verified.

mod answer;
mod body;
mod keys;
mod links;
mod objects;
mod refused;
mod service;
mod shapes;
mod upload;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

use super::store::{Location, Store, StoreError};
use super::system::budget::{Budget, most_threads};
use crate::host::serve::service::Registry;
use crate::registry::Caller;
pub use keys::{Keys, KeysError};
use links::Links;
pub use objects::Objects;

/// Connections at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;
/// Archives that come at once; more are told to come later.
const MAX_UPLOADS: usize = 128;
/// Archives that are verified and published at once; more wait for their turn.
const MAX_PUBLICATIONS: usize = 4;
/// How long a connection may stay without a request.
const IDLE: Duration = Duration::from_secs(20);
/// How long a connection may stay at all: long enough for any archive over any line.
const CONNECTION_LIFE: Duration = Duration::from_hours(1);
/// How long requests may take that were there when the server was told to end.
const GRACE: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// What is served, to whom, where.
#[derive(Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Who may ask. Without keys everybody may, as whoever they say they are.
    pub keys: Keys,
    /// Who asks where a request does not say.
    pub anybody: Caller,
    /// What links begin with; the request's own host, where nothing is said.
    pub public_url: Option<String>,
    /// Where archives are that are published from S3.
    pub objects: Objects,
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be used.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// No thread can be started, or no signal waited for.
    #[error("cannot start: {0}")]
    Start(io::Error),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Serves a store until a signal asks for the end; `ready` is told the address once requests are answered.
///
/// # Errors
///
/// [`ServeError`]; nothing that comes from outside ends it.
pub fn serve(
    location: &Location,
    options: Options,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(ServeError::Start)?;
    runtime.block_on(async {
        let store = Store::open(location).await?;
        let address = options.listen;
        let listen = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let registry = Arc::new(Registry {
            links: Links::new(store.secret().await?),
            store,
            keys: options.keys,
            anybody: options.anybody,
            public_url: options.public_url,
            objects: options.objects,
            address,
            budget: Arc::new(Budget::default()),
            uploads: Semaphore::new(MAX_UPLOADS),
            publications: Semaphore::new(MAX_PUBLICATIONS),
        });
        let end = ended().map_err(ServeError::Start)?;
        ready(address);
        accept(listener, registry, end).await;
        Ok(())
    })
}

/// Waits for a signal that asks for the end.
fn ended() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Takes as many open files as the caller allows: what is usual for one program is little for one with many connections.
fn allow_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "cannot open more files");
    }
}

async fn accept(listener: TcpListener, registry: Arc<Registry>, end: impl Future<Output = ()>) {
    allow_open_files();
    // Each thread of ours may have three files open; a connection has as many.
    let connections = Arc::new(Semaphore::new(most_threads().min(MAX_CONNECTIONS)));
    let graceful = GracefulShutdown::new();
    let mut end = std::pin::pin!(end);
    loop {
        let next = async {
            let turn = Arc::clone(&connections).acquire_owned().await;
            (turn, listener.accept().await)
        };
        let (turn, accepted) = tokio::select! {
            next = next => next,
            () = &mut end => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = connection(stream, Arc::clone(&registry), &graceful);
                tokio::spawn(async move {
                    connection.await;
                    drop(turn);
                });
            }
            Err(error) => {
                // Too many open files, most likely: some will be closed.
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests were left unanswered");
    }
}

fn connection(
    stream: TcpStream,
    registry: Arc<Registry>,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + use<> {
    // Answers are small and whole: nothing is gained by waiting for more of them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot send at once");
    }
    let service = service_fn(move |request| {
        let registry = Arc::clone(&registry);
        async move { answer::answer(&registry, request).await }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let served = graceful.watch(served);
    async move {
        match tokio::time::timeout(CONNECTION_LIFE, served).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a connection ended early"),
            Err(_) => tracing::debug!("a connection stayed too long"),
        }
    }
}
