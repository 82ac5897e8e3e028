//! One connection, for one piece of work.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::error::Error;
use super::message::{self, Message, Refusal, Rows};
use super::split::Splitter;
use crate::plug::OvsdbAddress;
use crate::tls::{self, Identity, Trust};

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// Ends with its value.
pub(in crate::plug) struct Session {
    stream: Box<dyn Stream>,
    address: OvsdbAddress,
    /// For each answer.
    patience: Duration,
    splitter: Splitter,
    last_id: u64,
}

impl Session {
    pub(in crate::plug) async fn connect(
        address: &OvsdbAddress,
        patience: Duration,
    ) -> Result<Self, Error> {
        let stream = timeout(patience, open(address))
            .await
            .unwrap_or_else(|_| Err(late(address, patience)))?;
        Ok(Self {
            stream,
            address: address.clone(),
            patience,
            splitter: Splitter::default(),
            last_id: 0,
        })
    }

    /// All of `operations`, or none.
    ///
    /// # Errors
    /// After any but [`Error::Refused`] the session is of no use any more, and whether the transaction was done is unknown.
    pub(in crate::plug) async fn transact(&mut self, operations: &[Value]) -> Result<Rows, Error> {
        self.last_id += 1;
        let request = message::transact(self.last_id, operations);
        let patience = self.patience;
        let (result, error) = timeout(patience, self.ask(&request))
            .await
            .unwrap_or_else(|_| Err(late(&self.address, patience)))?;
        if !error.is_null() {
            return Err(self.refused(message::whole(&error)));
        }
        match message::results(result, operations.len()) {
            Ok(Ok(results)) => Ok(Rows::new(results)),
            Ok(Err(refusal)) => Err(self.refused(refusal)),
            Err(source) => Err(self.garbled(source)),
        }
    }

    async fn ask(&mut self, request: &Value) -> Result<(Value, Value), Error> {
        self.send(request).await?;
        loop {
            match self.receive().await? {
                Message::Echo { id, params } => self.send(&message::echo(&id, &params)).await?,
                Message::Reply { id, result, error } if id == self.last_id => {
                    return Ok((result, error));
                }
                Message::Reply { .. } | Message::Other => {}
            }
        }
    }

    async fn send(&mut self, value: &Value) -> Result<(), Error> {
        let text = value.to_string();
        let sent = async {
            self.stream.write_all(text.as_bytes()).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|source| self.lost(source))
    }

    async fn receive(&mut self) -> Result<Message, Error> {
        let mut chunk = [0; 16 << 10];
        loop {
            let whole = self.splitter.next();
            if let Some(value) = whole.map_err(|source| self.garbled(source))? {
                return message::decode(value).map_err(|source| self.garbled(source));
            }
            let came = match self.stream.read(&mut chunk).await {
                Ok(0) => return Err(self.lost(io::ErrorKind::UnexpectedEof.into())),
                Ok(came) => came,
                Err(source) => return Err(self.lost(source)),
            };
            let taken = self.splitter.push(chunk.get(..came).unwrap_or_default());
            taken.map_err(|source| self.garbled(source))?;
        }
    }

    fn lost(&self, source: io::Error) -> Error {
        Error::Lost {
            address: Box::new(self.address.clone()),
            source,
        }
    }

    fn garbled(&self, source: super::split::Garbled) -> Error {
        Error::Garbled {
            address: Box::new(self.address.clone()),
            source,
        }
    }

    fn refused(&self, refusal: Refusal) -> Error {
        Error::Refused {
            address: Box::new(self.address.clone()),
            error: refusal.error,
            details: refusal.details,
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.address)
    }
}

async fn open(address: &OvsdbAddress) -> Result<Box<dyn Stream>, Error> {
    let failed = |source| Error::Connect {
        address: Box::new(address.clone()),
        source,
    };
    let tcp = async |at| {
        let stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?; // small messages, each waited for
        io::Result::Ok(stream)
    };
    match address {
        OvsdbAddress::Unix(path) => match UnixStream::connect(path).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(source) => Err(failed(source)),
        },
        OvsdbAddress::Tcp(at) => Ok(Box::new(tcp(at).await.map_err(failed)?)),
        OvsdbAddress::Ssl(at, files) => {
            // Certificates of `ovs-pki` name a switch, not an address: signed by its authority is what counts.
            let trust = Trust::AnyNameOf(&files.ca);
            let identity = Identity {
                certificate: &files.cert,
                key: &files.key,
            };
            let config = tls::client_config(trust, Some(identity))?;
            let connector = TlsConnector::from(Arc::new(config));
            let stream = tcp(at).await.map_err(failed)?;
            let name = at.ip().into();
            let stream = connector.connect(name, stream).await.map_err(failed)?;
            Ok(Box::new(stream))
        }
    }
}

fn late(address: &OvsdbAddress, waited: Duration) -> Error {
    Error::Late {
        address: Box::new(address.clone()),
        waited,
    }
}

#[cfg(test)]
mod tests;
