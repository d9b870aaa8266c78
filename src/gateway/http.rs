//! One blocking HTTP client with keep-alive connections.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tracing::warn;
use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::http::{HeaderValue, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::typestate::AgentScope;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector, RustlsConnector};

use super::addresses::KeptAddresses;
use super::ahead::{Ahead, Answer, Heading, READY};
use super::transport::{SpinConnector, Wire};
use crate::venue::binance::rest::{Method, Reply, Request};

/// Why the client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The base url is none.
    #[error("`{url}` is not a url of the form http://host:port: {why}")]
    Url {
        /// The url.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The API key cannot be sent in a header. It is not repeated here.
    #[error("the API key holds characters that no header can carry")]
    Key,
    /// The file of the extra authority cannot be read or holds no certificate.
    #[error("{path}: {why}")]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// A client of one venue.
#[derive(Debug)]
pub struct Http {
    agent: Agent,
    base: String,
    key: Option<HeaderValue>,
    patience: Duration,
    url: String,
    body: Vec<u8>,
    status: u16,
    retry_after_s: Option<u64>,
    used_weight: Option<u64>,
    failure: String,
    wire: Arc<Wire>,
    ahead: Option<Ahead>,
}

/// The venue keeps idle connections for a minute or more; one that is older than this may be dead.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(30);
/// The form of a request's body.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
// The longest answer asked for is a 5000-level snapshot (300 kB) or exchangeInfo of all symbols (some 10 MB).
const BODY_LIMIT: u64 = 32 << 20;

impl Http {
    /// A client of the venue at `base` that waits `patience` for each answer, asleep.
    ///
    /// # Errors
    /// When the url, the key or the certificate file cannot be used.
    pub fn new(
        base: &str,
        key: Option<&SecretString>,
        ca_file: Option<&Path>,
        patience: Duration,
    ) -> Result<Http, HttpError> {
        Http::spinning(base, key, ca_file, patience, Duration::ZERO)
    }

    /// As [`new`](Self::new), but an answer is asked for again and again for `spin` before the thread sleeps: for a
    /// thread that has its core to itself.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn spinning(
        base: &str,
        key: Option<&SecretString>,
        ca_file: Option<&Path>,
        patience: Duration,
        spin: Duration,
    ) -> Result<Http, HttpError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = match ca_file {
            // ureq takes one list: the extra authority stands beside the public ones for sockets, and alone here.
            Some(path) => RootCerts::new_with_certs(&certificates(path)?),
            None => RootCerts::WebPki,
        };
        let tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider).root_certs(roots).build();
        let wire = Arc::new(Wire::default());
        let failed = Arc::new(AtomicBool::new(false));
        let connector =
            ().chain(SpinConnector::new(spin, Arc::clone(&wire), Arc::clone(&failed)))
                .chain(RustlsConnector::default());
        let resolver = KeptAddresses::new(DefaultResolver::default(), failed);
        Http::over(base, key, patience, wire, |config| {
            let config = config.tls_config(tls).build();
            Agent::with_parts(config, connector, resolver)
        })
    }

    /// A client over an agent that is made from the settings which all have in common, and whose connections speak of
    /// themselves by `wire`.
    pub(super) fn over(
        base: &str,
        key: Option<&SecretString>,
        patience: Duration,
        wire: Arc<Wire>,
        agent: impl FnOnce(ConfigBuilder<AgentScope>) -> Agent,
    ) -> Result<Http, HttpError> {
        base.parse::<Uri>().map_err(|error| HttpError::Url { url: base.to_owned(), why: error.to_string() })?;
        let key = match key {
            Some(key) => {
                let mut value = HeaderValue::from_str(key.expose_secret()).map_err(|_| HttpError::Key)?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let config = Agent::config_builder()
            .no_delay(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(patience))
            .max_idle_age(IDLE_MAX)
            .max_idle_connections_per_host(READY + 2)
            .user_agent("touchline");
        Ok(Http {
            agent: agent(config),
            base: base.trim_end_matches('/').to_owned(),
            key,
            patience,
            url: String::with_capacity(768),
            body: Vec::with_capacity(16 * 1024),
            status: 0,
            retry_after_s: None,
            used_weight: None,
            failure: String::new(),
            wire,
            ahead: None,
        })
    }

    /// The same client, which begins its POSTs to `path` ahead, while [`idle`](Self::idle).
    pub fn ahead_to(mut self, path: &'static str) -> Http {
        let (agent, key, patience) = (self.agent.clone(), self.key.clone(), self.patience);
        let Ok(uri) = format!("{}{path}", self.base).parse() else { return self };
        let heading = Heading { path, uri, key, patience };
        match Ahead::new(agent, heading, Arc::clone(&self.wire)) {
            Ok(ahead) => self.ahead = Some(ahead),
            Err(error) => warn!(%error, "no memory to begin requests ahead; each is begun when it is known"),
        }
        self
    }

    /// Opens as many connections as requests may take at a time, by unsigned GETs of a path.
    pub fn open(&mut self, path_and_query: &str) {
        let count = if self.ahead.is_some() { READY + 1 } else { 1 };
        let url = format!("{}{path_and_query}", self.base);
        let call = || self.agent.get(&url).call();
        // An answer keeps its connection until it is read. Where one fails, more would.
        let answers: Vec<Answer> = (0..count).map_while(|_| Some(Ok(call().ok()?))).collect();
        for answer in answers {
            self.read(answer);
        }
    }

    /// Looks after what is begun ahead, while there is nothing to send.
    pub fn idle(&mut self) {
        if let Some(ahead) = &mut self.ahead {
            ahead.idle();
        }
    }

    /// What it begins ahead.
    #[cfg(test)]
    pub(super) fn ahead(&self) -> Option<&Ahead> {
        self.ahead.as_ref()
    }

    /// Asks for the memory that the next request will use.
    pub fn keep_near(&self) {
        if let Some(ahead) = &self.ahead {
            ahead.keep_near();
        }
    }

    /// Sends a signed request and waits for the answer. `handed_over` runs once, when the request is on its way or about to
    /// be: right behind the bytes of one that was begun ahead without TLS, right before the library has all of any other.
    pub fn send(&mut self, request: &Request<'_>, handed_over: &mut dyn FnMut()) -> Reply<'_> {
        self.wire.clear();
        let begun = match (&mut self.ahead, request.method) {
            (Some(ahead), Method::Post) => ahead.send(request.path, request.payload, handed_over),
            _ => None,
        };
        let answer = begun.unwrap_or_else(|| {
            handed_over();
            self.call(request)
        });
        self.read(answer)
    }

    fn call(&mut self, request: &Request<'_>) -> Answer {
        self.url.clear();
        self.url.push_str(&self.base);
        self.url.push_str(request.path);
        if matches!(request.method, Method::Get | Method::Delete) && !request.payload.is_empty() {
            self.url.push('?');
            self.url.push_str(request.payload);
        }
        let url = self.url.as_str();
        match request.method {
            Method::Get => with_key(self.agent.get(url), &self.key).call(),
            Method::Delete => with_key(self.agent.delete(url), &self.key).call(),
            Method::Post => with_key(self.agent.post(url), &self.key).content_type(FORM).send(request.payload),
            Method::Put => with_key(self.agent.put(url), &self.key).content_type(FORM).send(request.payload),
        }
    }

    /// An unsigned GET of a path with its query.
    pub fn get(&mut self, path_and_query: &str) -> Reply<'_> {
        self.url.clear();
        self.url.push_str(&self.base);
        self.url.push_str(path_and_query);
        let answer = self.agent.get(self.url.as_str()).call();
        self.read(answer)
    }

    fn read(&mut self, answer: Answer) -> Reply<'_> {
        self.body.clear();
        self.retry_after_s = None;
        self.failure.clear();
        match answer {
            Ok(answer) => {
                let number = |name: &str| answer.headers().get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
                self.retry_after_s = number("retry-after");
                self.used_weight = number("x-mbx-used-weight-1m").or(self.used_weight);
                self.status = answer.status().as_u16();
                let mut body = answer.into_body();
                match body.as_reader().take(BODY_LIMIT).read_to_end(&mut self.body) {
                    Ok(_) => {
                        if let Some(ahead) = &mut self.ahead {
                            ahead.answered();
                        }
                        Reply::Answer { status: self.status, body: &self.body }
                    }
                    Err(error) => {
                        self.failure.push_str(&error.to_string());
                        Reply::Lost
                    }
                }
            }
            Err(error) => {
                use std::fmt::Write;
                let _ = write!(self.failure, "{error}");
                // Whatever the library says, what has left has left.
                let has_left = self.wire.times()[1] != 0;
                if was_never_sent(&error) && !has_left { Reply::NotSent } else { Reply::Lost }
            }
        }
    }

    /// Raw counters of the last signed request: its bytes in front of the socket, and taken by it. Zero when they never
    /// came there.
    pub fn wire_times(&self) -> [u64; 2] {
        self.wire.times()
    }

    /// Seconds that the last answer asked us to keep quiet.
    pub fn retry_after_s(&self) -> Option<u64> {
        self.retry_after_s
    }

    /// The venue's count of used weight, from the last answer that stated it.
    pub fn used_weight(&self) -> Option<u64> {
        self.used_weight
    }

    /// Status of the last answer; meaningful only after one.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Body of the last answer.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// What went wrong with the last request, when no answer came.
    pub fn failure(&self) -> &str {
        &self.failure
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, HttpError> {
    let bad = |why: String| HttpError::CaFile { path: path.to_owned(), why };
    let text = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let list: Vec<Certificate<'static>> = parse_pem(&text)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if list.is_empty() {
        return Err(bad("it holds no certificate".to_owned()));
    }
    Ok(list)
}

pub(super) fn with_key<T>(request: ureq::RequestBuilder<T>, key: &Option<HeaderValue>) -> ureq::RequestBuilder<T> {
    match key {
        Some(key) => request.header("X-MBX-APIKEY", key.clone()),
        None => request,
    }
}

/// Errors before a connection exists. Everything else may have reached the venue.
fn was_never_sent(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::BadUri(_)
        | ureq::Error::TlsRequired
        | ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => true,
        ureq::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::local_tls::LocalTls;
    use std::io::Write;
    use std::net::TcpListener;

    const REQUEST: Request<'static> = Request { method: Method::Post, path: "/api/v3/order", payload: "a=1" };

    fn http(port: u16) -> Http {
        let key: SecretString = "key".into();
        Http::new(&format!("http://127.0.0.1:{port}"), Some(&key), None, Duration::from_millis(300)).unwrap()
    }

    /// A server that reads one request a connection and answers with `answer`, or not at all.
    fn serve(answer: Option<&'static str>) -> (u16, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut seen = Vec::new();
            let mut part = [0; 1024];
            while !seen.ends_with(b"a=1") {
                let read = socket.read(&mut part).unwrap();
                seen.extend_from_slice(&part[..read]);
                if read == 0 {
                    break;
                }
            }
            match answer {
                Some(answer) => socket.write_all(answer.as_bytes()).unwrap(),
                None => std::thread::sleep(Duration::from_millis(600)),
            }
            String::from_utf8(seen).unwrap()
        });
        (port, server)
    }

    #[test]
    fn status_body_and_limits_of_an_answer_are_kept() {
        let (port, server) = serve(Some(
            "HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nX-MBX-USED-WEIGHT-1M: 55\r\nContent-Length: 2\r\n\r\n{}",
        ));
        let mut http = http(port);
        let mut handed = false;
        assert_eq!(http.send(&REQUEST, &mut || handed = true), Reply::Answer { status: 429, body: b"{}" });
        assert_eq!((http.retry_after_s(), http.used_weight(), handed), (Some(7), Some(55), true));
        let seen = server.join().unwrap().to_lowercase();
        assert!(seen.contains("x-mbx-apikey: key") && seen.contains("application/x-www-form-urlencoded"), "{seen}");
    }

    #[test]
    fn a_refused_connection_was_never_sent() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert_eq!(http(port).send(&REQUEST, &mut || ()), Reply::NotSent);
    }

    #[test]
    fn silence_and_a_cut_after_the_request_are_losses_not_refusals() {
        let (port, server) = serve(None);
        assert_eq!(http(port).send(&REQUEST, &mut || ()), Reply::Lost);
        server.join().unwrap();
        let (port, server) = serve(Some("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"orderId\""));
        assert_eq!(http(port).send(&REQUEST, &mut || ()), Reply::Lost);
        server.join().unwrap();
        let (port, server) = serve(Some(""));
        assert_eq!(http(port).send(&REQUEST, &mut || ()), Reply::Lost);
        server.join().unwrap();
    }

    /// A TLS server that takes so many connections, one after the other.
    fn serve_tls(local: LocalTls, connections: usize) -> (u16, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let mut seen = Vec::new();
            for _ in 0..connections {
                let (socket, _) = listener.accept().unwrap();
                let mut tls = local.accept(socket);
                let mut request = Vec::new();
                let mut part = [0; 1024];
                // A client that does not trust us ends the handshake.
                while let Ok(read) = tls.read(&mut part) {
                    request.extend_from_slice(&part[..read]);
                    if read == 0 {
                        break;
                    }
                    if request.ends_with(b"a=1") {
                        tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
                    }
                }
                seen.push(String::from_utf8(request).unwrap());
            }
            seen
        });
        (port, server)
    }

    #[test]
    fn tls_stands_on_the_same_transport_and_trusts_only_whom_it_is_told_to() {
        let local = LocalTls::new();
        let authority = local.ca_file().to_owned();
        let (port, server) = serve_tls(local, 3);
        let base = format!("https://127.0.0.1:{port}");
        for spin in [Duration::ZERO, Duration::from_millis(20)] {
            let http = Http::spinning(&base, None, Some(&authority), Duration::from_secs(20), spin).unwrap();
            // The second request of a spinning client is encrypted as far as its head when it is sent.
            let mut http = if spin.is_zero() { http } else { http.ahead_to(REQUEST.path) };
            for _ in 0..2 {
                assert_eq!(http.send(&REQUEST, &mut || ()), Reply::Answer { status: 200, body: b"{}" });
                assert!(http.wire_times()[1] > 0);
                http.idle();
                assert!(spin.is_zero() || format!("{:?}", http.ahead()).contains("begun: 1"));
            }
        }
        let mut stranger = Http::new(&base, None, None, Duration::from_secs(20)).unwrap();
        assert_ne!(stranger.send(&REQUEST, &mut || ()), Reply::Answer { status: 200, body: b"{}" });
        drop(stranger);
        let seen = server.join().unwrap();
        assert_eq!(seen.iter().map(|all| all.matches("a=1").count()).collect::<Vec<_>>(), [2, 2, 0]);
    }

    #[test]
    fn the_key_is_never_shown() {
        assert!(!format!("{:?}", http(1)).contains("\"key\""));
    }
}
