//! Memory does what every backend must, on paused time; also behind `Faulty` without faults, and behind slow calls and
//! late arrivals.

use std::sync::Arc;
use std::time::Duration;

use mesh_backend::conformance::{World, cells, continuity, logs, queues, random, rosters, topics};
use mesh_backend::{Backend, Faulty, Memory};

const LEASE: Duration = Duration::from_secs(6);

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

mod plain {
    use super::*;

    struct Plain(Memory);

    impl World for Plain {
        async fn new() -> Self {
            tokio::time::pause();
            Self(Memory::from_seed(1))
        }

        fn backend(&self) -> Arc<dyn Backend> {
            Arc::new(self.0.clone())
        }

        fn lease(&self) -> Duration {
            LEASE
        }

        async fn pass(&self, time: Duration) {
            pass(time).await;
        }

        /// Whatever is published is in every inbox at once.
        async fn settle(&self) {}
    }

    mesh_backend::conformance!(Plain);
}

mod on_many_threads {
    use super::*;

    struct Threads(Memory);

    impl World for Threads {
        async fn new() -> Self {
            Self(Memory::default())
        }

        fn backend(&self) -> Arc<dyn Backend> {
            Arc::new(self.0.clone())
        }

        fn lease(&self) -> Duration {
            LEASE
        }

        async fn pass(&self, _: Duration) {
            panic!("time is real here, and nobody should wait for it")
        }

        async fn settle(&self) {}
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn races_are_decided() {
        for _ in 0..5 {
            topics::counts_have_no_gaps_per_publisher_and_topic(&Threads::new().await).await;
            logs::concurrent_appends_get_each_offset_once_and_arrive_in_order(&Threads::new().await).await;
            cells::exactly_one_of_many_writes_over_one_version_takes_place(&Threads::new().await).await;
            queues::writers_of_several_instances_make_every_version_once(&Threads::new().await).await;
            queues::removal_and_creation_by_several_instances_go_on_counting(&Threads::new().await).await;
            rosters::exactly_one_of_many_concurrent_leaves_was_in(&Threads::new().await).await;
            continuity::every_loss_is_told(&Threads::new().await).await;
            random::random_concurrent_runs_keep_every_promise(&Threads::new().await).await;
        }
    }
}

mod behind_faulty {
    use super::*;

    struct Behind(Faulty);

    impl World for Behind {
        async fn new() -> Self {
            tokio::time::pause();
            Self(Faulty::new(Arc::new(Memory::from_seed(1)), 1))
        }

        fn backend(&self) -> Arc<dyn Backend> {
            Arc::new(self.0.clone())
        }

        fn lease(&self) -> Duration {
            LEASE
        }

        async fn pass(&self, time: Duration) {
            pass(time).await;
        }

        /// On paused time a sleep ends when nobody has anything left to do.
        async fn settle(&self) {
            pass(Duration::from_millis(1)).await;
        }
    }

    mesh_backend::conformance!(Behind);
}

mod behind_a_slow_network {
    use super::*;

    struct Slow(Faulty);

    const MS: Duration = Duration::from_millis(1);

    impl World for Slow {
        async fn new() -> Self {
            tokio::time::pause();
            Self(Faulty::each(Arc::new(Memory::from_seed(1)), 1, |faults| {
                faults.delay(Duration::ZERO..4 * MS);
                faults.delay_arrivals(Duration::ZERO..20 * MS);
            }))
        }

        fn backend(&self) -> Arc<dyn Backend> {
            Arc::new(self.0.clone())
        }

        fn lease(&self) -> Duration {
            LEASE
        }

        async fn pass(&self, time: Duration) {
            pass(time).await;
        }

        async fn settle(&self) {
            pass(50 * MS).await;
        }
    }

    mesh_backend::conformance!(Slow);
}
