//! The admin port: what monitoring and load balancers ask of a server of ticks, in HTTP/1.1, on the control thread.
//!
//! Never on the path of a tick: what it reads are counters, and the tape under pins that are short. Invariant: whatever
//! peers do, there are so many connections at once, each for one request, and each is over in time.

mod metrics;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::vitals::Vitals;
use crate::limits;
use crate::ring::{Errno, ListenError};
use crate::shard::site::HEALTH_PATH;
use crate::wire::Refusal;
use metrics::{Format, Scrape};

/// The admin port of a server, which answers while it [runs](Self::run).
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    vitals: Arc<Vitals>,
}

impl Admin {
    /// Takes the address.
    pub(super) fn bind(address: SocketAddr, vitals: Arc<Vitals>) -> Result<Self, ListenError> {
        let refused = |error: io::Error| ListenError {
            address,
            errno: Errno::of(&error),
        };
        let listener = TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        Ok(Self { listener, vitals })
    }

    /// Where it is, with the port that port 0 became.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Answers, for as long as it is polled.
    ///
    /// # Errors
    /// When the runtime cannot watch the socket.
    pub async fn run(self) -> io::Result<Infallible> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let room = Arc::new(Semaphore::new(limits::ADMIN_CONNECTIONS_MAX));
        loop {
            // Whoever comes while there is no room waits in the kernel.
            let taken = Arc::clone(&room).acquire_owned().await;
            match listener.accept().await {
                Ok((stream, _)) => {
                    let vitals = Arc::clone(&self.vitals);
                    tokio::spawn(async move {
                        serve(stream, vitals).await;
                        drop(taken);
                    });
                }
                // The machine may be short of descriptors, or the peer gone already.
                Err(_) => sleep(Duration::from_millis(limits::ACCEPT_PAUSE_MS)).await,
            }
        }
    }
}

/// One connection: a request, its answer, and the end.
async fn serve(stream: TcpStream, vitals: Arc<Vitals>) {
    let service = service_fn(move |request| {
        let vitals = Arc::clone(&vitals);
        async move { Ok::<_, Infallible>(answer(&request, &vitals).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        // Whoever has said all it has to say may shut its side while the tape is walked.
        .half_close(true)
        .header_read_timeout(Duration::from_millis(limits::ADMIN_HEAD_MS))
        .max_headers(limits::HEAD_FIELDS_MAX)
        .max_buf_size(limits::ADMIN_HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // A peer that speaks no HTTP has been answered 400, one that is late is dropped, and neither is news.
    let _ = timeout(Duration::from_millis(limits::ADMIN_CONNECTION_MS), connection).await;
}

async fn answer(request: &Request<Incoming>, vitals: &Vitals) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    match path {
        METRICS_PATH | HEALTH_PATH if request.method() != Method::GET => {
            let mut refusal = say(
                StatusCode::METHOD_NOT_ALLOWED,
                "only GET is allowed here\n".into(),
            );
            refusal.headers_mut().insert(ALLOW, GET);
            refusal
        }
        METRICS_PATH => scraped(vitals, format_for(request)).await,
        HEALTH_PATH => match vitals.health() {
            Some(health) => say(StatusCode::OK, health.into()),
            None => draining(),
        },
        _ => say(
            StatusCode::NOT_FOUND,
            format!("there is {METRICS_PATH}, and {HEALTH_PATH}\n").into(),
        ),
    }
}

async fn scraped(vitals: &Vitals, format: Format) -> Response<Full<Bytes>> {
    let scrape = {
        let (history, now) = vitals.history().await;
        Scrape::of(vitals, &history, now)
    };
    let mut text = String::with_capacity(limits::ADMIN_ANSWER_BYTES);
    if scrape.write(format, &mut text).is_err() {
        return say(
            StatusCode::INTERNAL_SERVER_ERROR,
            "this cannot be written\n".into(),
        );
    }
    let mut response = say(StatusCode::OK, text.into());
    let content = HeaderValue::from_static(format.content_type());
    response.headers_mut().insert(CONTENT_TYPE, content);
    response
}

/// What the WebSocket port says then.
fn draining() -> Response<Full<Bytes>> {
    let retry_after_s = limits::RETRY_AFTER_S;
    let refusal = Refusal::Draining { retry_after_s };
    let mut response = say(StatusCode::SERVICE_UNAVAILABLE, format!("{refusal}\n").into());
    response.headers_mut().insert(RETRY_AFTER, retry_after_s.into());
    response
}

fn say(status: StatusCode, text: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The form that who asks can read: all who read `OpenMetrics` say so.
fn format_for(request: &Request<Incoming>) -> Format {
    let accepted = request.headers().get_all(ACCEPT).iter();
    let mut accepted = accepted.filter_map(|value| value.to_str().ok());
    if accepted.any(|value| value.contains("application/openmetrics-text")) {
        Format::OpenMetrics
    } else {
        Format::Plain
    }
}

const METRICS_PATH: &str = "/metrics";
const GET: HeaderValue = HeaderValue::from_static("GET");
