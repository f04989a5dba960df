//! An HTTP server that may also hang up or speak nonsense, which no framework would let it do.

use std::{
    fmt,
    future::Future,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::oneshot};

use super::{Result, port};

pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What a request gets.
pub enum Reply {
    Answer(Response<Body>),
    /// The connection is closed and nothing was said.
    HangUp,
    /// These bytes go over the connection as they are, and it is closed.
    Raw(Bytes),
}

/// A server on 127.0.0.1 with a thread of its own, so that it answers also while a test's thread stands still. Ends
/// when dropped, and with it every connection.
pub struct HttpServer {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Ends a connection without an answer.
#[derive(Debug)]
struct HungUp;

impl HttpServer {
    /// # Errors
    /// When there is no free port or no runtime.
    pub fn start<Handler, Work>(handler: Handler) -> Result<Self>
    where
        Handler: Fn(Request<Incoming>) -> Work + Clone + Send + 'static,
        Work: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port::free()?))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, handler) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// `http://127.0.0.1:PORT` and nothing behind it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A handler that panicked has already said so.
            let _ = thread.join();
        }
    }
}

/// An answer with a body that is known at once.
pub fn answer(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

async fn accept<Handler, Work>(listener: TcpListener, handler: Handler)
where
    Handler: Fn(Request<Incoming>) -> Work + Clone + Send + 'static,
    Work: Future<Output = Reply> + Send + 'static,
{
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    loop {
        // What fails to be accepted is the client's loss, and it sees it.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, handler.clone()));
        }
    }
}

/// Serves one connection to its end. How it ends is what tests provoke, so errors are nobody's business.
async fn converse<Handler, Work>(stream: TcpStream, handler: Handler)
where
    Handler: Fn(Request<Incoming>) -> Work + Send + 'static,
    Work: Future<Output = Reply> + Send + 'static,
{
    let Ok((stream, socket)) = with_socket(stream) else { return };
    let socket = Arc::new(socket);
    let service = service_fn(move |request| {
        let (work, socket) = (handler(request), Arc::clone(&socket));
        async move {
            match work.await {
                Reply::Answer(response) => Ok(response),
                Reply::HangUp => Err(HungUp),
                Reply::Raw(bytes) => {
                    let _ = (&*socket).write_all(&bytes);
                    Err(HungUp)
                }
            }
        }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The stream, and its socket once more for writing past the HTTP library.
fn with_socket(stream: TcpStream) -> io::Result<(TcpStream, std::net::TcpStream)> {
    let stream = stream.into_std()?;
    let socket = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, socket))
}

impl fmt::Display for HungUp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("hung up")
    }
}

impl std::error::Error for HungUp {}
