//! Server processes that are killed and paused.

mod support;

use std::time::Duration;

use mesh_chaos::redis::Redis;
use mesh_chaos::{Client, connect_many, each, eventually, figure};
use serde_json::{Value, json};
use support::{Crowd, NODE, PATIENCE, alone, at_most_twice, forgotten, last, nodes, room, tally};
use tokio::time::{Instant, sleep, sleep_until};

/// F1: of three instances one with 2,000 members in 200 rooms is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_a_killed_instance_are_gone_within_8_s_each_told_of_once_and_no_key_stays() {
    const MEMBERS: usize = 2000;
    const ROOMS: usize = 200;
    let _alone = alone().await;
    let redis = Redis::start().await;
    let mut nodes = nodes(&redis.url(), 3).await;
    let victims = connect_many(nodes[0].addr(), MEMBERS).await;
    let joined = each(&victims, async |n, client| client.join(&room(n % ROOMS)).await).await;
    assert!(joined.iter().all(Result::is_ok));
    let dead = victims[0].incarnation().await;
    victims[0].ask("set-metadata", json!({"metadata": "kept"})).await.expect("metadata");
    let survivors = nodes.split_off(1);
    let crowd = Crowd::gather(&survivors, 2, ROOMS).await;
    assert!(!redis.mentions(&dead).await.is_empty());
    survivors.iter().for_each(mesh_chaos::Node::forget);

    let killed = Instant::now();
    nodes[0].process.kill().await;
    let right = crowd.becomes_right(killed).await;
    let all = async || {
        tally(&survivors, "leave ").len() == MEMBERS && tally(&survivors, "disconnect ").len() == MEMBERS
    };
    eventually("each departure is told of", PATIENCE, all).await;
    let told = last(&survivors, "leave ").expect("some") - killed;
    figure("kill -9 with 2,000 members in 200 rooms: members() right on every survivor after", right);
    figure("kill -9 with 2,000 members in 200 rooms: the last on_leave after", told);
    at_most_twice(right.max(told), Duration::from_secs(8));

    let forgotten = forgotten(&redis, &dead, killed).await;
    figure("kill -9 with 2,000 members in 200 rooms: no key bears or mentions the dead one after", forgotten);
    for what in ["leave ", "disconnect "] {
        assert!(tally(&survivors, what).values().all(|times| *times == 1), "each once");
    }
    assert_eq!(tally(&survivors, "fault "), [].into(), "a death is no fault of the others");
    crowd.is_whole();
    crowd.hears("after", Instant::now()).await;
}

/// F1: two of three at the same moment; their clients return to the last one.
#[tokio::test]
async fn clients_of_two_killed_instances_return_elsewhere_and_leave_no_ghosts() {
    let redis = Redis::start().await;
    let mut nodes = nodes(&redis.url(), 3).await;
    let lost = Crowd::gather(&nodes[..2], 60, 6).await;
    let dead = [lost.askers[0].incarnation().await, lost.askers[1].incarnation().await];
    let survivors = nodes.split_off(2);
    let killed = Instant::now();
    for node in &mut nodes {
        node.process.kill().await;
    }
    let crowd = Crowd::gather(&survivors, 60, 6).await;
    figure("60 clients of two killed instances are in their rooms elsewhere after", killed.elapsed());
    let right = crowd.becomes_right(killed).await;
    figure("two of three killed: no ghost after", right);
    at_most_twice(right, Duration::from_secs(8));
    for dead in dead {
        forgotten(&redis, &dead, killed).await;
    }
    eventually("each departure is told of", PATIENCE, async || tally(&survivors, "leave ").len() == 60).await;
    assert!(tally(&survivors, "leave ").values().all(|times| *times == 1));
    crowd.hears("after", Instant::now()).await;
}

/// F14: an instance is paused for 1 s.
#[tokio::test]
async fn a_short_pause_changes_nothing_and_what_was_sent_meanwhile_arrives() {
    let redis = Redis::start().await;
    let nodes = nodes(&redis.url(), 2).await;
    let crowd = Crowd::gather(&nodes, 20, 2).await;
    nodes[0].process.pause();
    sleep(Duration::from_secs(1)).await;
    crowd.askers[1].broadcast(&room(0), "meanwhile", Value::Null).await.expect("a broadcast");
    nodes[0].process.resume();
    let all = async || crowd.clients.iter().filter(|client| client.pushed("meanwhile") == 1).count() == 10;
    eventually("it arrives at every member", PATIENCE, all).await;
    crowd.hears("after", Instant::now()).await;
    assert!(crowd.is_right().await);
    crowd.is_whole();
    assert_eq!((tally(&nodes, "leave "), tally(&nodes, "fault ")), ([].into(), [].into()));
}

/// F14: an instance is paused for longer than it takes to be found deaf, and for less than its lease.
#[tokio::test]
async fn a_pause_shorter_than_the_lease_takes_nobody_out_of_a_room() {
    let redis = Redis::start().await;
    let nodes = nodes(&redis.url(), 2).await;
    let crowd = Crowd::gather(&nodes, 20, 2).await;
    nodes[0].process.pause();
    sleep(Duration::from_millis(4500)).await;
    assert!(crowd.is_right_by(&crowd.askers[1]).await);
    nodes[0].process.resume();
    let awake = Instant::now();
    crowd.hear_again(awake).await;
    figure("SIGSTOP for 4.5 s: broadcasts reach everybody, after SIGCONT", awake.elapsed());
    at_most_twice(awake.elapsed(), Duration::from_secs(3));
    assert!(crowd.is_right().await);
    crowd.is_whole();
    assert_eq!(tally(&nodes, "leave "), [].into());
    assert_eq!(crowd.askers[0].stat("revivals").await, 0);
}

/// F14: an instance is paused for longer than its lease, with a write of its own under way.
#[tokio::test]
async fn a_pause_longer_than_the_lease_is_noticed_by_all_and_no_client_is_lost() {
    let redis = Redis::start().await;
    let nodes = nodes(&redis.url(), 3).await;
    let crowd = Crowd::gather(&nodes, 90, 9).await;
    let (paused, other) = (&crowd.askers[0], &crowd.askers[1]);
    let was = paused.incarnation().await;
    nodes.iter().for_each(mesh_chaos::Node::forget);

    let begun = Instant::now();
    nodes[0].process.pause();
    // Written into its socket while it sleeps.
    let late = async { paused.broadcast(&room(0), "late", Value::Null).await };
    let others = async {
        let gone = async || {
            let mut members = Vec::new();
            for number in 0..9 {
                members.extend(other.members(&room(number)).await.unwrap_or_default());
            }
            members.len() == 60
        };
        let gone = eventually("its members are gone for the others", PATIENCE, gone).await;
        figure("SIGSTOP longer than the lease: its members are gone for the others after", gone);
        at_most_twice(gone, Duration::from_secs(8));
        sleep_until(begun + Duration::from_secs(9)).await;
        nodes[0].process.resume();
        Instant::now()
    };
    let (late, awake) = tokio::join!(late, others);
    let right = crowd.becomes_right(awake).await;
    figure("SIGSTOP longer than the lease: members() right everywhere, after SIGCONT", right);
    at_most_twice(right, Duration::from_secs(3));
    crowd.is_whole();
    crowd.hears("after", Instant::now()).await;
    assert_eq!(paused.stat("revivals").await, 1);
    let heard: usize = crowd.clients.iter().map(|client| client.pushed("late")).sum();
    let as_told = if late.is_ok() { heard <= 10 } else { heard == 0 };
    assert!(as_told, "a write of the life that was over reached {heard}: {late:?}");
    assert!(tally(&nodes[1..], "leave ").values().all(|times| *times == 1));
    assert_eq!(tally(&nodes[1..], "leave ").len(), 30);
    assert_eq!(tally(&nodes[..1], "join ").len(), 30, "each is in again");
    assert_eq!(tally(&nodes[..1], "disconnect "), [].into());
    assert_ne!(paused.incarnation().await, was);
    forgotten(&redis, &was, Instant::now()).await;
}

/// Ten instances, one room: what others do costs an instance nothing.
#[tokio::test]
async fn p11a_nine_of_ten_instances_hear_nothing_of_a_room_without_members_there() {
    const MESSAGES: usize = 1000;
    let _alone = alone().await;
    let redis = Redis::start().await;
    let nodes = mesh_chaos::Node::start_many(NODE, &redis.url(), "chaos", 10).await;
    let member = Client::connect(nodes[3].addr()).await;
    member.join("r").await.expect("an open room");
    let askers = futures_util::future::join_all(nodes.iter().map(|node| Client::connect(node.addr()))).await;
    let heard = async || {
        let mut heard = Vec::new();
        for asker in &askers {
            heard.push(asker.stat("arrivals").await);
        }
        heard
    };
    let before = heard().await;
    for number in 0..MESSAGES {
        askers[0].broadcast("r", "x", json!(number)).await.expect("a broadcast");
    }
    eventually("all arrive", PATIENCE, async || member.pushed("x") == MESSAGES).await;
    assert!(member.pushes("x").iter().enumerate().all(|(n, payload)| *payload == json!(n)), "in order");
    let after = heard().await;
    let heard: Vec<u64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    figure("10 instances, 1,000 messages to a room on one: messages that each received", &heard);
    assert_eq!(heard, [0, 0, 0, 1000, 0, 0, 0, 0, 0, 0]);
}
