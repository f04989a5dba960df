//! The HTTP target that the other tests rely on: that it counts rightly and answers as it is told.

mod harness;

use std::time::{Duration, Instant};

use futures::StreamExt;
use harness::{
    Failure, Result,
    target::{Answer, Target},
    wait::eventually,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn requests_are_counted_by_key_or_path_and_kept_as_they_came() -> Result<()> {
    let (target, client) = (Target::start()?, client()?);
    assert!(target.port() < 32768);
    client.post(target.url("/orders?key=a&op=one")).body("first").send().await?;
    client
        .post(target.url("/orders"))
        .header("key", "a")
        .header("op", "two")
        .send()
        .await?;
    client.get(target.url("/health")).send().await?;
    assert_eq!(
        target.counts().into_iter().collect::<Vec<_>>(),
        [("/health".to_owned(), 1), ("a".to_owned(), 2)]
    );
    assert_eq!((target.count("a"), target.count("b"), target.received_count()), (2, 0, 3));
    let first = &target.received()[0];
    assert_eq!(
        (&*first.method, &*first.path, &*first.query, &*first.body),
        ("POST", "/orders", "key=a&op=one", &b"first"[..])
    );
    assert_eq!(first.operation.as_deref(), Some("one"));
    target.forget();
    assert_eq!(target.received_count(), 0);
    Ok(())
}

#[tokio::test]
async fn answers_have_the_status_headers_body_and_delay_that_were_asked_for() -> Result<()> {
    let (target, client) = (Target::start()?, client()?);
    target.answer(
        "/made",
        Answer::status(201)
            .with_body("made")
            .header("x-id", "7")
            .after(Duration::from_millis(200)),
    );
    let started = Instant::now();
    let answer = client.get(target.url("/made")).send().await?;
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert_eq!((answer.status().as_u16(), answer.headers()["x-id"].to_str()?), (201, "7"));
    assert_eq!(answer.text().await?, "made");

    target.answer("/json", Answer::json(&json!({ "ready": true })));
    assert_eq!(
        client.get(target.url("/json")).send().await?.json::<serde_json::Value>().await?,
        json!({ "ready": true })
    );
    target.answer("/moved", Answer::redirect(target.url("/json")));
    assert_eq!(
        client.get(target.url("/moved")).send().await?.headers()["location"].to_str()?,
        target.url("/json")
    );
    target.answer("/large", Answer::sized(3 << 20));
    assert_eq!(client.get(target.url("/large")).send().await?.bytes().await?.len(), 3 << 20);
    Ok(())
}

#[tokio::test]
async fn answers_in_turn_come_in_turn_and_the_last_stays() -> Result<()> {
    let (target, client) = (Target::start()?, client()?);
    target.answer_in_turn("/", [Answer::status(500), Answer::status(503), Answer::body("well")]);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(client.get(target.url("/")).send().await?.status().as_u16());
    }
    assert_eq!(statuses, [500, 503, 200, 200]);
    Ok(())
}

#[tokio::test]
async fn bodies_may_trickle_or_not_end() -> Result<()> {
    let (target, client) = (Target::start()?, client()?);
    target.answer("/slow", Answer::trickle(Some(3), Duration::from_millis(50)));
    let started = Instant::now();
    assert_eq!(client.get(target.url("/slow")).send().await?.text().await?, "xxx");
    assert!(started.elapsed() >= Duration::from_millis(150));

    target.answer("/endless", Answer::endless());
    let mut body = client.get(target.url("/endless")).send().await?.bytes_stream();
    let mut read = 0;
    while read < 16 << 20 {
        read += body.next().await.ok_or_else(|| Failure::new("an endless body ended"))??.len();
    }
    assert_eq!(target.in_flight("/endless"), 1);
    drop(body);
    eventually("the client's hanging up ends it", SOON, async || {
        nobody(target.in_flight("/endless"))
    })
    .await
}

#[tokio::test]
async fn it_can_speak_nonsense_and_hang_up() -> Result<()> {
    let (target, client) = (Target::start()?, client()?);
    target.answer("/nonsense", Answer::malformed("HTTP/9.9 what\r\n"));
    assert!(client.get(target.url("/nonsense")).send().await.is_err());
    let mut stream = TcpStream::connect(("127.0.0.1", target.port())).await?;
    stream.write_all(b"GET /nonsense HTTP/1.1\r\nhost: target\r\n\r\n").await?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await?;
    assert_eq!(said, "HTTP/9.9 what\r\n");

    target.answer("/silent", Answer::hang_up());
    assert!(client.get(target.url("/silent")).send().await.is_err());
    assert_eq!(target.count("/silent"), 1, "what is not answered was still received");
    Ok(())
}

#[tokio::test]
async fn held_requests_wait_and_distinct_operations_in_flight_are_counted() -> Result<()> {
    let (target, client) = (Target::start()?, client()?);
    target.hold("/gate");
    let ask = |operation: &str| tokio::spawn(client.get(target.url(&format!("/gate?op={operation}"))).send());
    let mut asking = vec![ask("a"), ask("a"), ask("b"), ask("c")];
    eventually("four requests are held", SOON, async || match target.in_flight("/gate") {
        4 => Ok(()),
        other => Err(other),
    })
    .await?;
    assert_eq!((target.operations_in_flight(), target.operations_in_flight_peak()), (3, 3));
    if let Some(impatient) = asking.pop() {
        impatient.abort();
    }
    eventually("who hung up is not in flight", SOON, async || match target.operations_in_flight() {
        2 => Ok(()),
        other => Err(other),
    })
    .await?;
    target.release("/gate");
    for request in asking {
        assert_eq!(request.await??.text().await?, "ok");
    }
    eventually("all are answered", SOON, async || nobody(target.operations_in_flight())).await?;
    assert_eq!(target.operations_in_flight_peak(), 3, "the peak stays");
    Ok(())
}

fn client() -> Result<reqwest::Client> {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    Ok(client.timeout(SOON).build()?)
}

fn nobody(count: usize) -> Result<(), usize> {
    if count == 0 { Ok(()) } else { Err(count) }
}
