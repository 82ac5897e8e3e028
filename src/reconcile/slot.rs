//! A place for one server of a namespace, and the scope it was given last.

use std::sync::Arc;

use crate::plan::scope::{Dhcp6Scope, DhcpScope, DnsScope, MetadataScope};
use crate::{dhcp, dns, metadata};

/// A server that takes new data as long as its sockets fit.
pub(super) trait Server {
    type Scope;

    /// Whether a server of `old` has the sockets that `new` needs.
    fn fits(old: &Self::Scope, new: &Self::Scope) -> bool;
    fn update(&self, scope: Arc<Self::Scope>);
    /// Ends, and waits until its sockets are closed.
    fn stop(&self) -> impl Future<Output = ()> + Send;
}

macro_rules! servers {
    ($($server:ty, $scope:ty: |$old:ident, $new:ident| $fits:expr;)*) => {$(
        impl Server for $server {
            type Scope = $scope;

            fn fits($old: &$scope, $new: &$scope) -> bool {
                $fits
            }

            fn update(&self, scope: Arc<$scope>) {
                self.update(scope);
            }

            async fn stop(&self) {
                self.stop().await;
            }
        }
    )*};
}

servers! {
    dhcp::Server, DhcpScope: |old, new| old.device == new.device;
    dhcp::v6::Server, Dhcp6Scope: |old, new| old.device == new.device;
    dns::Server, DnsScope: |old, new| (&old.device, &old.listen) == (&new.device, &new.listen);
    metadata::Server, MetadataScope: |old, new| old.listen == new.listen;
}

/// Clones share the server; the last one ends it.
#[derive(Debug)]
pub(super) struct Slot<S: Server>(Option<(Arc<S>, Arc<S::Scope>)>);

impl<S: Server> Slot<S> {
    pub(super) fn server(&self) -> Option<&S> {
        self.0.as_ref().map(|(server, _)| &**server)
    }

    /// New data for a server that runs; what has to start or stop waits for [`Slot::settle`].
    pub(super) fn update(&mut self, wanted: Option<&Arc<S::Scope>>) {
        if let (Some((server, scope)), Some(new)) = (&mut self.0, wanted)
            && S::fits(scope, new)
        {
            server.update(Arc::clone(new));
            *scope = Arc::clone(new);
        }
    }

    /// After [`Slot::update`]: a running server has the wanted scope itself, or needs other sockets.
    pub(super) fn serves(&self, wanted: Option<&Arc<S::Scope>>) -> bool {
        match (&self.0, wanted) {
            (Some((_, running)), Some(wanted)) => Arc::ptr_eq(running, wanted),
            (None, None) => true,
            _ => false,
        }
    }

    /// After [`Slot::update`]: exactly what is wanted runs, or nothing.
    pub(super) async fn settle<E, F>(
        &mut self,
        wanted: Option<&Arc<S::Scope>>,
        start: impl FnOnce(Arc<S::Scope>) -> F,
    ) -> Result<(), E>
    where
        F: Future<Output = Result<S, E>>,
    {
        if self.serves(wanted) {
            return Ok(());
        }
        self.stop().await;
        self.0 = None;
        if let Some(scope) = wanted {
            let server = start(Arc::clone(scope)).await?;
            self.0 = Some((Arc::new(server), Arc::clone(scope)));
        }
        Ok(())
    }

    /// That of clones, too: its addresses are free then.
    pub(super) async fn stop(&self) {
        if let Some((server, _)) = &self.0 {
            server.stop().await;
        }
    }

    /// Without the server, which goes on in what was taken.
    pub(super) fn take(&mut self) -> Self {
        Self(self.0.take())
    }
}

impl<S: Server> Default for Slot<S> {
    fn default() -> Self {
        Self(None)
    }
}

impl<S: Server> Clone for Slot<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
