//! Who asks, over open connections.

use super::nova::{Stub, status};
use super::*;

#[test]
fn the_source_address_decides() {
    alone(async || {
        let nova = Stub::start(|seen| {
            let mut reply = status(200);
            *reply.body_mut() = seen.header("x-instance-id").unwrap().to_owned().into();
            reply
        })
        .await;
        let warren = Warren::start(nova.upstream());
        assert_eq!(warren.get(WEB, "/").await.body, sample::WEB.as_bytes());
        assert_ne!(warren.get(DB, "/").await.body, sample::WEB.as_bytes());

        // The address gets another owner while a connection is open.
        let mut stream = warren.connect(WEB).await;
        let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(request).await.unwrap();
        assert_eq!(Answer::read(&mut stream).await.unwrap().status, 200);
        warren.server.update(Arc::new(scope(NOBODY)));
        stream.write_all(request).await.unwrap();
        assert_eq!(Answer::read(&mut stream).await.unwrap().status, 404);
        assert_eq!(warren.get(NOBODY, "/").await.body, sample::WEB.as_bytes());
    });
}

#[test]
fn a_server_ends_with_its_connections() {
    alone(async || {
        let nova = Stub::start(|_| status(200)).await;
        let warren = Warren::start(nova.upstream());
        let mut stream = warren.connect(WEB).await;
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(Answer::read(&mut stream).await.unwrap().status, 200);
        let Warren {
            server, address, ..
        } = warren;
        drop(server);
        assert_eq!(stream.read(&mut [0; 9]).await.unwrap_or(0), 0);
        assert!(TcpStream::connect(address).await.is_err());
    });
}
