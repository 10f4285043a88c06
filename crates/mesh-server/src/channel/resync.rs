//! A channel that lost something is read on from where its subscribers are.

use mesh_backend::{Key, LogPage};
use mesh_proto::{Position, Tag};

use super::message::{Gap, Reason, gap_push, pushed};
use super::{history, keep};
use crate::error::Result;
use crate::mesh::Mesh;

/// Hand out the next page behind `from`. Whether there was no more.
pub(crate) async fn read_on(mesh: &Mesh, topic: &Key, from: Option<Position>) -> Result<bool> {
    let instance = &mesh.0.instance;
    if keep(mesh, &topic.name).is_none() {
        let gap = Gap { reason: Reason::NoHistory, missed: None };
        instance.hub.tell_gap(topic, None, |_| gap_push(&topic.name, gap).map(Some))?;
        return Ok(true);
    }
    // Who is live where nothing has a number was subscribed before its channel had history.
    let Some(from) = from else { return Ok(true) };
    let missed = history::missed(instance, topic, from, None).await?;
    if let Some(gap) = missed.gap {
        let page = &missed.page;
        instance.hub.tell_gap(topic, goes_on(page), |at| {
            // Who subscribed since may have what others miss.
            let has = at.filter(|(epoch, _)| Some(*epoch) == page.epoch).map(|(_, offset)| offset);
            let gap = match (gap.reason, has) {
                (Reason::Expired, Some(has)) if has + 1 >= page.oldest => return Ok(None),
                (Reason::Expired, Some(has)) => Gap { missed: Some(page.oldest - has - 1), ..gap },
                _ => gap,
            };
            gap_push(&topic.name, gap).map(Some)
        })?;
        return Ok(missed.page.epoch.is_none());
    }
    let LogPage { epoch, newest, entries, .. } = missed.page;
    let Some(epoch) = epoch else { return Ok(true) };
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

/// Before the oldest entry that is left.
fn goes_on(page: &LogPage) -> Option<Position> {
    let epoch = page.epoch?;
    let offset = page.oldest - 1;
    Some(Position { epoch, offset, tag: if offset == page.newest { page.tag } else { Tag(0) } })
}
