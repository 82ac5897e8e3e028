//! Against a server that says what the test wants, on loopback.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::time::Instant;

use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(10);

/// Reads a request, says `pieces` (with a moment between them), reads so many values more, and gives all that it read.
async fn server(pieces: Vec<Vec<u8>>, more: usize) -> (OvsdbAddress, JoinHandle<Vec<Value>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = OvsdbAddress::Tcp(listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut splitter = Splitter::default();
        let mut heard = vec![value(&mut stream, &mut splitter).await];
        for piece in pieces {
            stream.write_all(&piece).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for _ in 0..more {
            heard.push(value(&mut stream, &mut splitter).await);
        }
        heard
    });
    (address, served)
}

async fn value(stream: &mut TcpStream, splitter: &mut Splitter) -> Value {
    loop {
        if let Some(value) = splitter.next().unwrap() {
            return value;
        }
        let mut chunk = [0; 1024];
        let came = stream.read(&mut chunk).await.unwrap();
        assert!(came > 0, "the client hung up");
        splitter.push(&chunk[..came]).unwrap();
    }
}

#[tokio::test]
async fn probes_are_answered_while_an_answer_is_awaited() {
    let said = br#"{"id":"echo","method":"echo","params":["you?"]}{"id":7,"result":[],"error":null}
        {"id":null,"method":"update","params":[]}{"id":1,"error":null,"result":[{"count":1}]}"#;
    // In pieces that end anywhere.
    let pieces = said.chunks(17).map(<[u8]>::to_vec).collect();
    let (address, served) = server(pieces, 1).await;
    let mut session = Session::connect(&address, LONG).await.unwrap();
    let operation = json!({"op": "mutate"});
    let mut rows = session
        .transact(std::slice::from_ref(&operation))
        .await
        .unwrap();
    assert_eq!(rows.count(), 1);
    let want = [
        json!({"id": 1, "method": "transact", "params": ["Open_vSwitch", operation]}),
        json!({"id": "echo", "result": ["you?"], "error": null}),
    ];
    assert_eq!(served.await.unwrap(), want);
}

#[tokio::test]
async fn what_can_go_wrong_is_told_and_ends() {
    for (name, said, want) in [
        ("hangs up", &b""[..], "talk to Open vSwitch's database at tcp:127.0.0.1"),
        ("hangs up within", b"{\"id\":1,", "talk to Open vSwitch's database"),
        ("no OVSDB server", b"HTTP/1.1 400 Bad Request\r\n\r\n", "(is it an OVSDB server?)"),
        ("half a reply", b"{\"id\":1}", "(is it an OVSDB server?)"),
        ("another number of results", br#"{"id":1,"error":null,"result":[]}"#, "(is it an OVSDB server?)"),
        (
            "refused",
            br#"{"id":1,"error":null,"result":[{"error":"constraint violation","details":"two of a name"}]}"#,
            "it says constraint violation (two of a name)",
        ),
        ("refused whole", br#"{"id":1,"error":"unknown database","result":null}"#, "it says unknown database"),
    ] {
        let (address, served) = server(vec![said.to_vec()], 0).await;
        let mut session = Session::connect(&address, LONG).await.unwrap();
        let error = session.transact(&[json!({})]).await.unwrap_err().to_string();
        assert!(error.contains(want), "{name}: {error}");
        served.await.unwrap();
    }
}

#[tokio::test]
async fn nobody_is_waited_for_without_end() {
    // Says nothing; says something else all the time.
    for said in [
        vec![],
        vec![b"{\"id\":null,\"method\":\"update\"}".to_vec(); 400],
    ] {
        let (address, served) = server(said, 1).await;
        let mut session = Session::connect(&address, SHORT).await.unwrap();
        let begin = Instant::now();
        let error = session.transact(&[json!({})]).await.unwrap_err();
        assert!(matches!(error, Error::Late { .. }), "{error}");
        assert!(begin.elapsed() < LONG);
        served.abort();
    }
}

#[tokio::test]
async fn a_closed_door_says_how_to_open_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let error = Session::connect(&OvsdbAddress::Tcp(at), LONG)
        .await
        .unwrap_err();
    let want = format!("ovs-vsctl set-manager ptcp:{}:127.0.0.1", at.port());
    assert!(error.to_string().contains(&want), "{error}");
    let nowhere = OvsdbAddress::Unix("/nowhere/db.sock".into());
    let error = Session::connect(&nowhere, LONG).await.unwrap_err();
    assert!(
        error.to_string().contains("unix:/nowhere/db.sock"),
        "{error}"
    );
}
