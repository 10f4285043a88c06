//! What every backend must do, as cases that any backend can run.
//!
//! A backend's tests bring a [`World`] and say `mesh_backend::conformance!(MyWorld);`, which makes one test of each
//! case. The name of a case is its claim. Nothing is assumed to have arrived at once: cases wait for what must come,
//! with a deadline, and let the world settle before they claim that something did not come.

#![allow(clippy::unwrap_used, reason = "these are tests, run by other crates")]
#![allow(missing_docs, reason = "the name of each case is its claim")]

pub mod cells;
pub mod continuity;
pub mod faults;
pub mod leases;
pub mod logs;
pub mod names;
pub mod queues;
pub mod random;
pub mod rosters;
mod support;
pub mod topics;
pub mod transactions;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::Backend;

/// A backend to be tested, and its time.
pub trait World: Sized + Send + Sync {
    /// A world of its own: a backend that holds nothing yet and that no other world sees.
    fn new() -> impl Future<Output = Self> + Send;

    /// Its backend. Each time the same.
    fn backend(&self) -> Arc<dyn Backend>;

    /// How long leases are: short where time is real, but longer than a few operations take.
    fn lease(&self) -> Duration;

    /// Let time pass, for the backend too.
    fn pass(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// Come back when everything published so far has arrived.
    fn settle(&self) -> impl Future<Output = ()> + Send;
}

/// One test of each case, of a [`World`](crate::conformance::World). Needs tokio with its macros.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use mesh_backend::{Backend, Memory, conformance::World};
///
/// struct Embedded(Memory);
///
/// impl World for Embedded {
///     async fn new() -> Self {
///         tokio::time::pause();
///         Self(Memory::default())
///     }
///     fn backend(&self) -> Arc<dyn Backend> {
///         Arc::new(self.0.clone())
///     }
///     fn lease(&self) -> Duration {
///         Duration::from_secs(6)
///     }
///     async fn pass(&self, time: Duration) {
///         tokio::time::sleep(time).await;
///     }
///     async fn settle(&self) {}
/// }
///
/// mesh_backend::conformance!(Embedded);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! conformance {
    ($world:ty) => {
        $crate::conformance_cases! { $world;
            topics:
                a_publication_arrives_at_every_subscriber_and_at_the_publisher
                what_arrives_is_what_was_published
                nobody_else_hears_it
                subscribing_twice_delivers_once
                unsubscribing_ends_it_and_is_idempotent
                one_that_unsubscribes_leaves_others_subscribed
                subscribing_anew_hears_what_comes_next
                publications_of_one_publisher_arrive_in_order
                counts_have_no_gaps_per_publisher_and_topic
                each_topic_is_its_own
                any_text_arrives_byte_for_byte
                a_text_of_a_mebibyte_arrives_whole
                dropping_a_link_closes_its_inbox;
            names:
                trap_z_names_cannot_forge_keys
                trap_z_names_cannot_forge_topics
                globs_in_names_are_plain_text
                lists_take_prefixes_literally_and_go_by_bytes
                lists_end_where_the_kind_ends;
            logs:
                positions_count_from_one_in_one_life
                a_log_nobody_wrote_has_no_life
                an_entry_is_announced_with_its_position
                an_entry_without_announcement_is_silent
                what_has_arrived_can_be_read
                the_store_joins_the_position_at_the_seam
                an_announcement_goes_to_the_logs_own_topic
                a_life_begins_once_however_many_begin_it
                concurrent_appends_get_each_offset_once_and_arrive_in_order
                two_logs_have_two_lives
                exactly_so_many_entries_are_kept
                exactly_so_many_bytes_are_kept
                what_is_too_old_goes
                a_log_that_keeps_nothing_goes_on_counting
                a_tighter_bound_counts_from_the_next_entry_on
                the_newest_are_read_oldest_first
                pages_go_backwards
                pages_go_forwards
                a_position_of_the_log_is_not_lost
                another_life_is_lost
                another_tag_is_lost
                another_tag_of_the_newest_is_lost_even_when_it_is_not_kept
                an_offset_that_was_never_minted_is_lost
                a_position_whose_successor_went_is_lost
                the_beginning_is_lost_once_the_first_entry_went;
            cells:
                the_first_write_expects_nothing_and_makes_version_one
                a_write_over_the_version_expected_takes_place
                a_write_over_another_version_conflicts_and_changes_nothing
                a_write_over_another_life_conflicts
                a_version_of_nothing_conflicts_with_nothing
                a_write_of_several_steps_makes_a_version_each
                each_step_is_joined_with_its_own_position
                a_step_announced_by_its_patch_alone_arrives_without_a_full_value
                a_removal_is_a_version_and_leaves_no_value
                versions_never_go_back_over_removal
                an_empty_value_is_a_value
                a_value_of_a_mebibyte_comes_back
                a_cells_log_is_bounded
                exactly_one_of_many_writes_over_one_version_takes_place
                what_has_arrived_can_be_loaded
                lists_show_what_has_a_value
                lists_come_in_pages;
            transactions:
                writes_of_several_cells_take_place_together
                a_cell_without_steps_is_only_compared
                creation_change_and_removal_go_together
                one_conflict_changes_nothing_and_names_the_cell
                the_first_of_several_conflicts_is_told
                concurrent_transactions_over_the_same_cells_lose_nothing
                what_a_transaction_announces_arrives_as_one_in_order
                an_instance_gets_of_a_transaction_what_it_is_subscribed_to
                a_transaction_of_which_nothing_else_arrives_does_not_wait
                transactions_and_other_publications_do_not_mix
                what_has_arrived_of_a_transaction_can_be_loaded
                too_many_cells_none_and_the_same_one_twice_are_refused
                sixteen_cells_go_together;
            queues:
                writers_of_several_instances_make_every_version_once
                edits_that_keep_announce_nothing
                removal_and_creation_by_several_instances_go_on_counting
                an_edit_is_decided_again_when_another_instance_was_first;
            rosters:
                members_come_in_order_of_entering
                pages_go_through_all_of_them
                entering_again_replaces_the_value_in_place
                entering_is_announced_when_it_is_new
                an_announcement_goes_where_it_says
                an_entry_of_another_incarnation_is_taken_over
                leaving_is_announced_when_it_was_in
                anybody_may_take_an_entry_out
                entering_after_leaving_is_new_and_last
                exactly_one_of_many_concurrent_enters_is_new
                exactly_one_of_many_concurrent_leaves_was_in
                concurrent_enters_have_an_order
                no_value_and_an_empty_value_differ
                who_has_arrived_is_in
                entries_are_found_in_the_order_asked
                rosters_are_listed_while_somebody_is_in
                lists_of_rosters_come_in_pages
                members_are_described_by_what_they_brought_to_the_list_of_connections
                what_is_mine_is_what_i_put_in_and_is_in
                what_is_mine_comes_in_pages;
            leases:
                beating_keeps_a_lease
                a_slow_instance_that_nobody_noticed_goes_on
                a_lease_that_ran_out_makes_orphans
                a_dead_incarnation_is_fenced_for_every_operation
                a_dead_incarnation_stays_dead
                a_fenced_writer_changes_nothing
                orphans_stay_until_somebody_takes_them_out
                each_orphan_is_taken_out_by_exactly_one_peer
                an_entry_taken_over_is_no_orphan
                asking_for_orphans_kills_nobody_who_is_alive
                asking_for_orphans_does_not_kill_the_one_who_asks
                dropping_a_link_makes_orphans_when_its_lease_runs_out
                what_a_dead_instance_wrote_stays
                a_later_life_enters_its_own_again;
            continuity:
                an_inbox_that_overflows_says_so_and_goes_on
                a_reader_that_does_not_read_holds_up_nobody
                every_loss_is_told;
            faults:
                a_lost_answer_may_have_been_a_step
                a_lost_call_was_none
                a_healed_partition_is_told
                an_instance_cut_off_for_longer_than_its_lease_is_fenced
                a_crashed_instance_leaves_orphans;
            random:
                random_runs_agree_with_memory
                random_concurrent_runs_keep_every_promise;
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($world:ty; $($group:ident: $($case:ident)+;)+) => {
        $(mod $group {
            #[allow(unused_imports, reason = "the world's path may need no import")]
            use super::*;
            $(
                #[::tokio::test]
                async fn $case() {
                    let world = <$world as $crate::conformance::World>::new().await;
                    $crate::conformance::$group::$case(&world).await;
                }
            )+
        })+
    };
}

#[cfg(test)]
mod tests {
    /// A case that is written and not listed would never run.
    #[test]
    fn every_case_is_listed() {
        let list = include_str!("mod.rs").split("conformance_cases! { $world;").nth(1).unwrap();
        let list = list.split("};").next().unwrap();
        let listed: Vec<_> = list.split_whitespace().map(|word| word.trim_matches([';', '}'])).collect();
        for (group, text) in [
            ("topics", include_str!("topics.rs")),
            ("names", include_str!("names.rs")),
            ("logs", include_str!("logs.rs")),
            ("cells", include_str!("cells.rs")),
            ("transactions", include_str!("transactions.rs")),
            ("queues", include_str!("queues.rs")),
            ("rosters", include_str!("rosters.rs")),
            ("leases", include_str!("leases.rs")),
            ("continuity", include_str!("continuity.rs")),
            ("faults", include_str!("faults.rs")),
            ("random", include_str!("random.rs")),
        ] {
            let cases: Vec<_> =
                text.split("\npub async fn ").skip(1).filter_map(|f| f.split('(').next()).collect();
            assert!(!cases.is_empty());
            for case in cases {
                assert!(listed.contains(&case), "{group}::{case} is not in the list of conformance!");
            }
        }
    }
}
