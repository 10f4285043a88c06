//! The link itself: each fault does what it says, and no other.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::{Link, Proxy, Weather};
use crate::port::listen;
use crate::wait::eventually;

const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for what comes at once on a busy machine.
const SOON: Duration = Duration::from_millis(300);

/// Answers with what it gets, and ends when its client does.
async fn echo() -> (u16, JoinHandle<()>) {
    let (listener, addr) = listen().await;
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
                let _ = to.shutdown().await;
            });
        }
    });
    (addr.port(), task)
}

async fn through() -> (Proxy, TcpStream, JoinHandle<()>) {
    let (port, server) = echo().await;
    let proxy = Proxy::from_seed(port, 1).await;
    let stream = TcpStream::connect(proxy.addr()).await.unwrap();
    (proxy, stream, server)
}

/// Send something and wait until all of it is back. Gives how long that took.
async fn round(stream: &mut TcpStream, bytes: &[u8]) -> Duration {
    let begun = Instant::now();
    let (mut from, mut to) = stream.split();
    let mut back = vec![0; bytes.len()];
    let both = async { tokio::join!(to.write_all(bytes), from.read_exact(&mut back)) };
    let (sent, read) = timeout(PATIENCE, both).await.unwrap();
    sent.unwrap();
    read.unwrap();
    assert!(back == bytes, "it changed on its way");
    begun.elapsed()
}

fn data(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 7 % 251) as u8).collect()
}

#[tokio::test]
async fn a_link_without_weather_changes_nothing() {
    let (proxy, mut stream, _server) = through().await;
    round(&mut stream, &data(3_000_000)).await;
    assert_eq!(proxy.passed(), 6_000_000);
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "the end is passed on");
    eventually("the connection is forgotten", PATIENCE, async || proxy.live() == 0).await;
}

#[tokio::test]
async fn delay_and_jitter_hold_bytes_back_in_order() {
    let (proxy, mut stream, _server) = through().await;
    let slow = Weather {
        delay: Duration::from_millis(100),
        jitter: Duration::from_millis(100),
        ..Weather::default()
    };
    proxy.set(Link { up: slow, ..Link::default() });
    for _ in 0..5 {
        assert!(round(&mut stream, &data(100)).await >= Duration::from_millis(100));
    }
    round(&mut stream, &data(500_000)).await;
    proxy.set(Link::default());
    round(&mut stream, b"x").await;
    assert!(round(&mut stream, b"y").await < Duration::from_millis(100), "it changes while it runs");
}

#[tokio::test]
async fn little_capacity_takes_its_time() {
    let (proxy, mut stream, _server) = through().await;
    proxy.set(Link {
        down: Weather { bytes_per_second: Some(100_000), ..Weather::default() },
        ..Link::default()
    });
    let took = round(&mut stream, &data(50_000)).await;
    assert!(took >= Duration::from_millis(450), "{took:?}");
}

#[tokio::test]
async fn a_black_hole_holds_everything_and_is_bounded() {
    let (proxy, mut stream, _server) = through().await;
    round(&mut stream, b"before").await;
    proxy.set(Link::black_hole());
    let mut sent = 0;
    let piece = data(100_000);
    while let Ok(wrote) = timeout(SOON, stream.write(&piece)).await {
        sent += wrote.unwrap();
        assert!(sent < 50_000_000, "somebody keeps it all");
    }
    assert!(timeout(SOON, stream.read(&mut [0])).await.is_err(), "nothing comes");
    // A new one is no better.
    let mut other = TcpStream::connect(proxy.addr()).await.unwrap();
    other.write_all(b"hello").await.unwrap();
    assert!(timeout(SOON, other.read(&mut [0; 5])).await.is_err());
    proxy.set(Link::default());
    let mut back = vec![0; sent];
    timeout(PATIENCE, stream.read_exact(&mut back)).await.unwrap().unwrap();
    timeout(PATIENCE, other.read_exact(&mut [0; 5])).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_news_that_an_end_is_gone_goes_into_a_black_hole_as_well() {
    let (proxy, mut stream, server) = through().await;
    round(&mut stream, b"before").await;
    proxy.set(Link::deaf());
    stream.shutdown().await.unwrap();
    assert!(timeout(SOON, stream.read(&mut [0])).await.is_err(), "nobody says so");
    proxy.set(Link::default());
    assert_eq!(timeout(PATIENCE, stream.read(&mut [0])).await.unwrap().unwrap(), 0);
    server.abort();
}

#[tokio::test]
async fn only_marked_connections_are_deaf_where_it_is_said_of_those() {
    let (proxy, mut plain, _server) = through().await;
    let mut marked = TcpStream::connect(proxy.addr()).await.unwrap();
    round(&mut plain, b"PUBLISH").await;
    round(&mut marked, b"SUB").await;
    round(&mut marked, b"SCRIBE").await;
    assert_eq!(proxy.set_present_marked(Link::deaf()), 1);
    round(&mut plain, b"x").await;
    marked.write_all(b"x").await.unwrap();
    assert!(timeout(SOON, marked.read(&mut [0])).await.is_err());
    let mut next = TcpStream::connect(proxy.addr()).await.unwrap();
    round(&mut next, b"SUBSCRIBE").await;
    // Those to come as well.
    proxy.set_marked(Link::deaf());
    let mut last = TcpStream::connect(proxy.addr()).await.unwrap();
    round(&mut last, b"before").await;
    last.write_all(b"SUBSCRIBE").await.unwrap();
    assert!(timeout(SOON, last.read(&mut [0])).await.is_err());
    proxy.set(Link::default());
    timeout(PATIENCE, last.read_exact(&mut [0; 9])).await.unwrap().unwrap();
}

#[tokio::test]
async fn one_byte_slices_change_nothing_but_the_pieces() {
    let (proxy, mut stream, _server) = through().await;
    proxy.set(Link::both(Weather { one_byte_slices: true, ..Weather::default() }));
    round(&mut stream, &data(20_000)).await;
}

#[tokio::test]
async fn a_link_shut_in_one_direction_works_in_the_other() {
    let (listener, addr) = listen().await;
    let proxy = Proxy::to(addr.port()).await;
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    proxy.set(Link { down: Weather { shut: true, ..Weather::default() }, ..Link::default() });
    assert_eq!(timeout(PATIENCE, client.read(&mut [0])).await.unwrap().unwrap(), 0);
    client.write_all(b"still").await.unwrap();
    let mut heard = [0; 5];
    timeout(PATIENCE, server.read_exact(&mut heard)).await.unwrap().unwrap();
    assert_eq!(&heard, b"still");
}

#[tokio::test]
async fn a_torn_link_is_reset_at_both_ends() {
    let (listener, addr) = listen().await;
    let proxy = Proxy::to(addr.port()).await;
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    client.write_all(b"x").await.unwrap();
    server.read_exact(&mut [0]).await.unwrap();
    assert_eq!(proxy.tear(), 1);
    for end in [&mut client, &mut server] {
        let error = timeout(PATIENCE, end.read(&mut [0])).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(proxy.accepted(), 1);
}
