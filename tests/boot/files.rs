//! What a machine boots from: one set of files, over TFTP (RFC 1350, 2347 to 2349) and HTTP, and who fetched which.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::common::Place;

/// How long a receiver may think; then the block is sent again.
const PATIENCE: Duration = Duration::from_millis(500);
const TRIES: usize = 10;

type Contents = BTreeMap<String, Vec<u8>>;

/// Serves until it is dropped.
pub(crate) struct Files {
    /// `tftp NAME` or `http NAME`, each once the last byte has arrived.
    fetched: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    servers: Vec<JoinHandle<()>>,
}

impl Files {
    pub(crate) fn serve(place: &Place, files: &[(&str, Vec<u8>)]) -> Self {
        let (tftp, http) = place.inside(|| {
            // Of both IP versions.
            let any = Ipv6Addr::UNSPECIFIED;
            let tftp = UdpSocket::bind((any, 69)).unwrap();
            let http = TcpListener::bind((any, 80)).unwrap();
            http.set_nonblocking(true).unwrap();
            tftp.set_read_timeout(Some(Duration::from_millis(50)))
                .unwrap();
            (tftp, http)
        });
        let files = files.iter();
        let files: Contents = files
            .map(|(name, of)| ((*name).to_owned(), of.clone()))
            .collect();
        let files = Arc::new(files);
        let fetched = Arc::<Mutex<Vec<String>>>::default();
        let stop = Arc::<AtomicBool>::default();
        let mut servers = Vec::new();
        let (known, record, ended) = (Arc::clone(&files), Arc::clone(&fetched), Arc::clone(&stop));
        let inside = place.clone();
        servers.push(std::thread::spawn(move || {
            let mut request = [0; 1500];
            while !ended.load(Ordering::Relaxed) {
                let Ok((length, from)) = tftp.recv_from(&mut request) else {
                    continue;
                };
                let socket = inside.inside(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap());
                if let Some(name) = send_over_tftp(&socket, from, &request[..length], &known) {
                    record.lock().unwrap().push(format!("tftp {name}"));
                }
            }
        }));
        let (record, ended) = (Arc::clone(&fetched), Arc::clone(&stop));
        servers.push(std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let Ok((connection, _)) = http.accept() else {
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                };
                let (known, record) = (Arc::clone(&files), Arc::clone(&record));
                std::thread::spawn(move || {
                    // A client that goes away in the middle is its own matter.
                    let _ended = answer_http(&connection, &known, &record);
                });
            }
        }));
        Self {
            fetched,
            stop,
            servers,
        }
    }

    pub(crate) fn fetched(&self) -> Vec<String> {
        self.fetched.lock().unwrap().clone()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for server in self.servers.drain(..) {
            let _ended = server.join();
        }
    }
}

/// One file to who asked for it; its name once all of it has arrived.
fn send_over_tftp(
    socket: &UdpSocket,
    to: SocketAddr,
    request: &[u8],
    files: &Contents,
) -> Option<String> {
    socket.connect(to).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    let [0, 1, rest @ ..] = request else {
        return None;
    };
    let mut words = rest
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned());
    let name = words.next()?.trim_start_matches('/').to_owned();
    let _mode = words.next()?;
    let Some(file) = files.get(&name) else {
        socket.send(b"\0\x05\0\x01no such file\0").ok()?;
        return None;
    };
    let (mut block, mut accepted) = (512, vec![0, 6]);
    while let (Some(option), Some(value)) = (words.next(), words.next()) {
        let value = match option.to_ascii_lowercase().as_str() {
            "blksize" => {
                block = value.parse::<usize>().ok()?.clamp(8, 1428);
                block.to_string()
            }
            "tsize" => file.len().to_string(),
            _ => continue,
        };
        accepted.extend(option.bytes().chain([0]).chain(value.bytes()).chain([0]));
    }
    if accepted.len() > 2 {
        acknowledged(socket, &accepted, 0)?;
    }
    let blocks = file.len() / block + 1;
    for number in 1..=blocks {
        let at = (number - 1) * block;
        let data = &file[at..file.len().min(at + block)];
        // Goes round after 65535, as everybody does it.
        let number = u16::try_from(number & 0xffff).unwrap();
        let packet = [&[0, 3][..], &number.to_be_bytes(), data].concat();
        acknowledged(socket, &packet, number)?;
    }
    Some(name)
}

fn acknowledged(socket: &UdpSocket, packet: &[u8], number: u16) -> Option<()> {
    let mut answer = [0; 600];
    for _ in 0..TRIES {
        socket.send(packet).ok()?;
        while let Ok(length) = socket.recv(&mut answer) {
            match answer[..length] {
                [0, 4, high, low] if u16::from_be_bytes([high, low]) == number => return Some(()),
                [0, 5, ..] => return None,
                _ => {}
            }
        }
    }
    None
}

/// Request after request, until the client closes.
fn answer_http(
    connection: &TcpStream,
    files: &Contents,
    record: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    connection.set_nonblocking(false)?;
    connection.set_nodelay(true)?;
    let mut out = connection;
    let mut lines = BufReader::new(connection);
    loop {
        let mut first = String::new();
        if lines.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let mut line = String::from("-");
        while !line.trim_end().is_empty() {
            line.clear();
            lines.read_line(&mut line)?;
        }
        let mut words = first.split_whitespace();
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let name = path.trim_start_matches('/');
        let (status, file) = match files.get(name) {
            Some(file) => ("200 OK", file.as_slice()),
            None => ("404 Not Found", &b""[..]),
        };
        let kind = if name.ends_with(".efi") {
            "application/efi"
        } else {
            "text/plain"
        };
        let length = file.len();
        write!(
            out,
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        )?;
        if method == "GET" {
            out.write_all(file)?;
            if status.starts_with("200") {
                record.lock().unwrap().push(format!("http {name}"));
            }
        }
    }
}
