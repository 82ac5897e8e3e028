//! The embedded source over HTTP; what it says is tested where it is written.

use super::*;

#[test]
fn a_machine_reads_its_own() {
    alone(async || {
        let warren = Warren::start(Upstream::Local);
        let answer = warren.get(WEB, "/openstack/latest/meta_data.json").await;
        assert_eq!(answer.headers["content-type"], "application/json");
        let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(document["uuid"], sample::WEB);
        assert_eq!(
            warren.get(WEB, "/latest/user-data").await.body,
            b"\x1f\x8b\x00\xff"
        );
        assert_eq!(warren.get(WEB, "/nothing").await.status, 404);
        // A port whose machine the model does not know.
        assert_eq!(warren.get(DB, "/openstack").await.status, 404);
        assert_eq!(warren.get(NOBODY, "/openstack").await.status, 404);
    });
}

#[test]
fn the_random_seed_is_fresh() {
    alone(async || {
        let warren = Warren::start(Upstream::Local);
        let [one, two] = [
            warren.get(WEB, "/openstack/latest/meta_data.json").await,
            warren.get(WEB, "/openstack/latest/meta_data.json").await,
        ];
        assert_ne!(one.body, two.body);
    });
}

#[test]
fn a_password_stays() {
    alone(async || {
        let warren = Warren::start(Upstream::Local);
        let path = "/openstack/latest/password";
        let post = |body: &str| {
            format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        assert_eq!(warren.get(WEB, path).await.body, b"");
        assert_eq!(warren.ask(WEB, post("first")).await.unwrap().status, 200);
        assert_eq!(warren.ask(WEB, post("second")).await.unwrap().status, 409);
        assert_eq!(warren.get(WEB, path).await.body, b"first");
        // It goes, and another one comes by its name.
        warren.shared.forget(&sample::WEB.into());
        assert_eq!(warren.get(WEB, path).await.body, b"");
        assert_eq!(warren.ask(WEB, post("second")).await.unwrap().status, 200);
    });
}

#[test]
fn head_has_a_length_and_no_body() {
    alone(async || {
        let warren = Warren::start(Upstream::Local);
        let mut stream = warren.connect(WEB).await;
        for _ in 0..2 {
            stream
                .write_all(b"HEAD /latest/user-data HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .unwrap();
            let answer = Answer::read_to(&mut stream, "HEAD").await.unwrap();
            assert_eq!(
                (answer.status, answer.headers["content-length"].as_str()),
                (200, "4")
            );
        }
    });
}
