//! Declaring on the broker what `declare` says.

use std::sync::Arc;

use lapin::options::{
    ExchangeBindOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ExchangeKind};
use tracing::{info, warn};

use super::declare::{Argument, Exchange, Kind, Queue, is_there_not_durable};
use super::error::{LinkError, refusal};

const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;

/// A channel to declare on. The broker ends it with each refusal; then there is a new one.
#[derive(Debug)]
pub(super) struct Ground {
    connection: Arc<Connection>,
    channel: Channel,
}

impl Ground {
    pub(super) async fn new(connection: &Arc<Connection>) -> Result<Self, LinkError> {
        Ok(Self {
            connection: Arc::clone(connection),
            channel: open(connection).await?,
        })
    }

    pub(super) fn into_channel(self) -> Channel {
        self.channel
    }

    pub(super) async fn exchange(&mut self, exchange: &Exchange) -> Result<(), LinkError> {
        let what = || format!("exchange {:?}", exchange.name);
        let Err(error) = self.declare_exchange(exchange, exchange.durable).await? else {
            return Ok(());
        };
        if exchange.durable && is_not_durable(&error) {
            info!(
                exchange = exchange.name,
                "it is there, and not durable: taken as it is"
            );
            self.renew().await?;
            let again = self.declare_exchange(exchange, false).await?;
            return again.map_err(|source| LinkError::Declare {
                what: what(),
                source,
            });
        }
        Err(LinkError::Declare {
            what: what(),
            source: error,
        })
    }

    /// With its binding.
    pub(super) async fn queue(&mut self, queue: &Queue) -> Result<(), LinkError> {
        self.bare_queue(queue).await?;
        self.bind(queue).await
    }

    /// As often as one likes.
    pub(super) async fn bind(&mut self, queue: &Queue) -> Result<(), LinkError> {
        let Some((exchange, key)) = &queue.binding else {
            return Ok(());
        };
        let (name, source, key) = (short(&queue.name)?, short(exchange)?, short(key)?);
        let options = QueueBindOptions::default();
        let bound = self
            .channel
            .queue_bind(name, source, key, options, FieldTable::default())
            .await;
        bound.map_err(|source| LinkError::Declare {
            what: format!("the binding of {:?} to {exchange:?}", queue.name),
            source,
        })
    }

    /// Makes `witness`, and binds it to `exchange`: nothing ever goes that way.
    pub(super) async fn witness(
        &mut self,
        exchange: &Exchange,
        witness: &Exchange,
    ) -> Result<(), LinkError> {
        self.exchange(witness).await?;
        let (to, from) = (short(&exchange.name)?, short(&witness.name)?);
        let (key, options) = (ShortString::default(), ExchangeBindOptions::default());
        let bound = self
            .channel
            .exchange_bind(to, from, key, options, FieldTable::default());
        bound.await.map_err(|source| LinkError::Declare {
            what: format!("the binding of {:?} to {:?}", exchange.name, witness.name),
            source,
        })
    }

    /// Only looks, and does not make it. `of`: what its absence tells of.
    pub(super) async fn look_for(&self, exchange: &Exchange, of: &str) -> Result<(), LinkError> {
        let options = ExchangeDeclareOptions {
            passive: true,
            ..ExchangeDeclareOptions::default()
        };
        let name = short(&exchange.name)?;
        let (kind, arguments) = (kind(exchange), FieldTable::default());
        let looked = self
            .channel
            .exchange_declare(name, kind, options, arguments);
        looked.await.map_err(|source| LinkError::Gone {
            exchange: of.to_owned(),
            source,
        })
    }

    pub(super) async fn delete_exchange(&self, name: &str) -> Result<(), LinkError> {
        let options = ExchangeDeleteOptions::default();
        let deleted = self.channel.exchange_delete(short(name)?, options).await;
        deleted.map_err(|source| LinkError::Delete {
            what: format!("exchange {name:?}"),
            source,
        })
    }

    pub(super) async fn delete(&self, queue: &str) -> Result<(), LinkError> {
        let options = QueueDeleteOptions::default();
        let deleted = self.channel.queue_delete(short(queue)?, options).await;
        deleted.map(drop).map_err(|source| LinkError::Delete {
            what: format!("queue {queue:?}"),
            source,
        })
    }

    async fn bare_queue(&mut self, queue: &Queue) -> Result<(), LinkError> {
        let Err(error) = self.declare_queue(queue, queue.durable).await? else {
            return Ok(());
        };
        let durable = match refusal(&error) {
            _ if queue.durable && is_not_durable(&error) => {
                info!(
                    queue = queue.name,
                    "it is there, and not durable: taken as it is"
                );
                self.renew().await?;
                false
            }
            // Its node is down, or it is broken; oslo.messaging makes room for a new one.
            Some((NOT_FOUND, why)) => {
                warn!(queue = queue.name, why, "it can't be used: made anew");
                self.renew().await?;
                self.delete(&queue.name).await?;
                queue.durable
            }
            _ => return Err(declaring(queue, error)),
        };
        let again = self.declare_queue(queue, durable).await?;
        again.map_err(|error| declaring(queue, error))
    }

    /// Whether there is such a queue.
    pub(super) async fn has_queue(&mut self, queue: &Queue) -> Result<bool, LinkError> {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let name = short(&queue.name)?;
        let found = self
            .channel
            .queue_declare(name, options, FieldTable::default())
            .await;
        match found {
            Ok(_) => Ok(true),
            Err(error) if refusal(&error).is_some_and(|(code, _)| code == NOT_FOUND) => {
                self.renew().await?;
                Ok(false)
            }
            Err(error) => Err(declaring(queue, error)),
        }
    }

    /// After a refusal.
    pub(super) async fn renew(&mut self) -> Result<(), LinkError> {
        self.channel = open(&self.connection).await?;
        Ok(())
    }

    async fn declare_exchange(
        &self,
        exchange: &Exchange,
        durable: bool,
    ) -> Result<lapin::Result<()>, LinkError> {
        let options = ExchangeDeclareOptions {
            durable,
            auto_delete: exchange.auto_delete,
            ..ExchangeDeclareOptions::default()
        };
        let name = short(&exchange.name)?;
        let (kind, arguments) = (kind(exchange), FieldTable::default());
        let declared = self
            .channel
            .exchange_declare(name, kind, options, arguments);
        Ok(declared.await)
    }

    async fn declare_queue(
        &self,
        queue: &Queue,
        durable: bool,
    ) -> Result<lapin::Result<()>, LinkError> {
        let options = QueueDeclareOptions {
            durable,
            auto_delete: queue.auto_delete,
            ..QueueDeclareOptions::default()
        };
        let mut arguments = FieldTable::default();
        for (name, value) in &queue.arguments {
            let value = match value {
                Argument::Text(text) => AMQPValue::LongString(text.as_str().into()),
                Argument::Number(number) => AMQPValue::LongLongInt(*number),
            };
            arguments.insert((*name).into(), value);
        }
        let name = short(&queue.name)?;
        let declared = self.channel.queue_declare(name, options, arguments).await;
        Ok(declared.map(drop))
    }
}

fn kind(exchange: &Exchange) -> ExchangeKind {
    match exchange.kind {
        Kind::Topic => ExchangeKind::Topic,
        Kind::Fanout => ExchangeKind::Fanout,
    }
}

pub(super) async fn open(connection: &Connection) -> Result<Channel, LinkError> {
    connection
        .create_channel()
        .await
        .map_err(LinkError::Channel)
}

pub(super) fn short(name: &str) -> Result<ShortString, LinkError> {
    ShortString::try_new(name).map_err(|_| LinkError::Name {
        name: name.to_owned(),
    })
}

fn declaring(queue: &Queue, source: lapin::Error) -> LinkError {
    LinkError::Declare {
        what: format!("queue {:?}", queue.name),
        source,
    }
}

fn is_not_durable(error: &lapin::Error) -> bool {
    refusal(error)
        .is_some_and(|(code, why)| code == PRECONDITION_FAILED && is_there_not_durable(why))
}
