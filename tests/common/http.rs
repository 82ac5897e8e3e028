//! HTTP, as far as tests speak it: what curl got, and a server that answers what a test tells it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use super::Place;

/// An answer, as curl got it or as a stub gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    pub status: u16,
    /// In order, as they came.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl HttpAnswer {
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }
}

impl FromStr for HttpAnswer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Interim answers (100 Continue) come before the real one.
        let mut rest = text;
        loop {
            let (head, body) = rest.split_once("\r\n\r\n").ok_or(text)?;
            let mut lines = head.lines();
            let status: Option<u16> = lines
                .next()
                .and_then(|line| line.split(' ').nth(1)?.parse().ok());
            let status = status.ok_or(text)?;
            if status < 200 {
                rest = body;
                continue;
            }
            return Ok(Self {
                status,
                headers: lines.filter_map(header).collect(),
                body: body.to_owned(),
            });
        }
    }
}

/// A request as a stub saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: String,
    /// With the query.
    pub path: String,
    /// In order, as they came, doubles included.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub from: SocketAddr,
}

impl HttpRequest {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }
}

/// A server in some namespace, until dropped.
#[derive(Debug)]
pub struct HttpStub {
    address: SocketAddr,
    place: Place,
    stop: Arc<Mutex<bool>>,
    seen: Arc<Mutex<Vec<HttpRequest>>>,
}

impl HttpStub {
    /// Answers every request at `address` with what `answer` makes of it. Connections are kept alive.
    pub fn start(
        place: &Place,
        address: &str,
        answer: impl Fn(&HttpRequest) -> HttpAnswer + Send + Sync + 'static,
    ) -> Self {
        let address: SocketAddr = address.parse().unwrap();
        let listener = place.inside(move || TcpListener::bind(address).unwrap());
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<HttpRequest>>>::default();
        let stop = Arc::<Mutex<bool>>::default();
        let (record, stopped, answer) = (Arc::clone(&seen), Arc::clone(&stop), Arc::new(answer));
        std::thread::spawn(move || {
            while let Ok((connection, from)) = listener.accept() {
                if *stopped.lock().unwrap() {
                    break;
                }
                let (record, answer) = (Arc::clone(&record), Arc::clone(&answer));
                std::thread::spawn(move || {
                    // A client that goes away in the middle is its own matter.
                    let _ended = converse(connection, from, &record, &*answer);
                });
            }
        });
        Self {
            address,
            place: place.clone(),
            stop,
            seen,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<HttpRequest> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for HttpStub {
    fn drop(&mut self) {
        *self.stop.lock().unwrap() = true;
        // Wakes the thread that accepts, unless the namespace is gone already.
        let address = self.address;
        if std::path::Path::new(&format!("/proc/{}/ns/net", self.place.pid)).exists() {
            let _refused = self.place.inside(move || TcpStream::connect(address));
        }
    }
}

/// Request after request, until the client closes.
fn converse(
    connection: TcpStream,
    from: SocketAddr,
    record: &Mutex<Vec<HttpRequest>>,
    answer: &dyn Fn(&HttpRequest) -> HttpAnswer,
) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut out = connection.try_clone()?;
    let mut lines = BufReader::new(connection);
    loop {
        let mut first = String::new();
        if lines.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let mut words = first.split_whitespace();
        let mut request = HttpRequest {
            method: words.next().unwrap_or_default().to_owned(),
            path: words.next().unwrap_or_default().to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            from,
        };
        loop {
            let mut line = String::new();
            lines.read_line(&mut line)?;
            let Some(found) = header(line.trim_end()) else {
                break;
            };
            request.headers.push(found);
        }
        let length: usize = request
            .header("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        request.body = vec![0; length];
        lines.read_exact(&mut request.body)?;
        record.lock().unwrap().push(request.clone());

        let answer = answer(&request);
        let mut text = format!("HTTP/1.1 {} Stub\r\n", answer.status);
        for (name, value) in &answer.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!("Content-Length: {}\r\n\r\n", answer.body.len());
        if request.method != "HEAD" {
            text += &answer.body;
        }
        out.write_all(text.as_bytes())?;
    }
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_owned(), value.trim().to_owned()))
}

fn first<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(have, _)| have.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}
