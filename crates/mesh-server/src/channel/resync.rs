//! A channel that lost something is read on from where its subscribers are.

use mesh_backend::{Key, LogPage};
use mesh_proto::{Position, Tag};

use super::history::Missed;
use super::message::{Gap, Reason, gap_push, pushed};
use super::{history, keep};
use crate::error::Result;
use crate::mesh::Mesh;

/// Hand out the next page behind `from`. Whether there was no more.
pub(crate) async fn read_on(mesh: &Mesh, topic: &Key, from: Option<Position>) -> Result<bool> {
    let instance = &mesh.0.instance;
    if keep(mesh, &topic.name).is_none() {
        let gap = Gap { reason: Reason::NoHistory, missed: None };
        instance.hub.tell_gap(topic, None, true, |_| gap_push(&topic.name, gap).map(Some))?;
        return Ok(true);
    }
    // Who is live where nothing has a number was subscribed before its channel had history.
    let Some(from) = from else { return Ok(true) };
    // Who subscribed while this instance was deaf is further on than the others, perhaps in another life.
    let places = instance.hub.places(topic);
    let Missed { page, gap } = history::missed(instance, topic, from, None).await?;
    let told = instance.hub.tell_gap(topic, Some(goes_on(&page)), gap.is_some(), |at| {
        let Some(at) = at else { return Ok(None) };
        let gap = if at == from { gap } else { missing(&page, at, places.contains(&at)) };
        gap.map(|gap| gap_push(&topic.name, gap)).transpose()
    })?;
    let LogPage { epoch: Some(epoch), newest, entries, .. } = page else { return Ok(true) };
    if told {
        return Ok(false);
    }
    let me = instance.life().me;
    let read: Vec<_> = entries
        .iter()
        .map(|logged| {
            let position = Position { epoch, offset: logged.offset, tag: logged.tag };
            pushed(topic, me, position, &logged.kept)
        })
        .collect();
    instance.hub.fill(topic, &read);
    Ok(entries.last().is_none_or(|last| last.offset >= newest))
}

/// What one misses that is at another place. `was_there`: before the page was read, so that it cannot be the newer one.
fn missing(page: &LogPage, at: Position, was_there: bool) -> Option<Gap> {
    let changed = Gap { reason: Reason::EpochChanged, missed: None };
    let is_of_no_life = at == Position::START;
    if !is_of_no_life && page.epoch != Some(at.epoch) {
        return was_there.then_some(changed);
    }
    if at.offset > page.newest {
        return was_there.then_some(changed);
    }
    let missed = page.oldest.saturating_sub(at.offset + 1);
    if missed > 0 {
        return Some(Gap { reason: Reason::Expired, missed: Some(missed) });
    }
    let there = page.entries.iter().find(|logged| logged.offset == at.offset).map(|logged| logged.tag);
    let tag = if at.offset == page.newest { Some(page.tag) } else { there };
    (!is_of_no_life && tag.is_some_and(|tag| tag != at.tag)).then_some(changed)
}

/// Before the oldest entry that is left.
fn goes_on(page: &LogPage) -> Position {
    let Some(epoch) = page.epoch else { return Position::START };
    let offset = page.oldest - 1;
    Position { epoch, offset, tag: if offset == page.newest { page.tag } else { Tag(0) } }
}
