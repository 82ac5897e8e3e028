//! The unix socket: one question and one answer per connection, each one line of JSON. Owner and group may connect.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::debug;

use super::{Ask, Reply};
use crate::unix;

/// Where a question goes: the one who knows answers by the sender.
pub type Asked = (Ask, oneshot::Sender<Reply>);

/// A question is short; a longer line is refused.
const LONGEST_QUESTION: u64 = 4096;
/// Who asks and does not read is dropped after this, and who asks waits no longer for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// At once; more wait in the listen queue.
const CONNECTIONS: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error(
        "listen on {path} for status questions: {source}; is the directory there and writable, and nothing else of this name in it? (--socket names another place)"
    )]
    Listen { path: PathBuf, source: io::Error },
    #[error("ask the daemon at {path}: {source}; {}", advice(source))]
    Ask { path: PathBuf, source: io::Error },
    #[error(
        "ask the daemon at {path}: no answer within {} s; its log may say why, restarting it harms no traffic",
        PATIENCE.as_secs()
    )]
    Late { path: PathBuf },
    #[error("understand the daemon's answer at {path}: {reason}; are both of one version?")]
    Answer { path: PathBuf, reason: String },
}

/// Listens until it is dropped; then the path is free, so that one that is left tells of a daemon that broke.
#[derive(Debug)]
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Somebody may have removed it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Takes the path, a stale socket in its place is removed: the state directory's lock says that we are alone.
pub fn listen(path: &Path) -> Result<Listener, SocketError> {
    let failed = |source| SocketError::Listen {
        path: path.to_owned(),
        source,
    };
    let listener = unix::listen(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(failed)?;
    Ok(Listener {
        listener,
        path: path.to_owned(),
    })
}

/// Answers for ever; ends by being dropped.
pub async fn serve(listener: Listener, asked: mpsc::Sender<Asked>) {
    let places = std::sync::Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = std::sync::Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let stream = match listener.listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                debug!(%error, "status connection not accepted");
                // Out of descriptors, most likely: a moment later there may be one.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let asked = asked.clone();
        tokio::spawn(async move {
            match tokio::time::timeout(PATIENCE, answer(stream, asked)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(%error, "status question broke off"),
                Err(_) => debug!("status question took too long"),
            }
            drop(place);
        });
    }
}

async fn answer(stream: UnixStream, asked: mpsc::Sender<Asked>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(LONGEST_QUESTION))
        .read_line(&mut line)
        .await?;
    let reply = match serde_json::from_str::<Ask>(&line) {
        Ok(ask) => {
            let (sender, receiver) = oneshot::channel();
            let sent = asked.send((ask, sender)).await.is_ok();
            let answered = if sent { receiver.await.ok() } else { None };
            answered.unwrap_or_else(|| Reply::Refused {
                reason: "the daemon is stopping".into(),
            })
        }
        Err(error) => Reply::Refused {
            reason: error.to_string(),
        },
    };
    let mut text = serde_json::to_vec(&reply)?;
    text.push(b'\n');
    write.write_all(&text).await?;
    write.shutdown().await
}

/// Asks a running daemon.
///
/// # Errors
/// Nobody listens there, who listens does not answer in time, or says what we don't understand.
pub async fn ask(path: &Path, question: &Ask) -> Result<Reply, SocketError> {
    let path = path.to_owned();
    match tokio::time::timeout(PATIENCE, exchange(&path, question)).await {
        Err(_) => Err(SocketError::Late { path }),
        Ok(Err(source)) => Err(SocketError::Ask { path, source }),
        Ok(Ok(answer)) => serde_json::from_slice(&answer).map_err(|error| SocketError::Answer {
            path,
            reason: error.to_string(),
        }),
    }
}

async fn exchange(path: &Path, question: &Ask) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(question)?;
    text.push(b'\n');
    if text.len() as u64 > LONGEST_QUESTION {
        let error = "no name is so long";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
    }
    let mut stream = UnixStream::connect(path).await?;
    stream.write_all(&text).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "no warren runs here; start it, or name its socket with --socket"
        }
        io::ErrorKind::InvalidInput => "give a shorter one",
        io::ErrorKind::PermissionDenied => "only root and the socket's group may ask",
        _ => "is this the socket of a running warren? (--socket names another one)",
    }
}
