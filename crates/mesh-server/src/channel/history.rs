//! Reading what a channel keeps.

use mesh_backend::{Key, LogPage, LogRead, Logged};
use mesh_proto::{ChannelName, Epoch, Position, Tag};
use serde::de::DeserializeOwned;

use super::message::{self, Gap, Reason};
use super::{ChannelRef, key};
use crate::error::Result;
use crate::instance::Instance;

/// A part of a channel's history, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPage<T> {
    /// This page.
    pub messages: Vec<Message<T>>,
    /// The channel's life; `None` if nothing was ever published.
    pub epoch: Option<Epoch>,
    /// The offset of the newest message ever published, 0 if none.
    pub newest: u64,
    /// The offset of the oldest message that is kept, `newest + 1` if none is.
    pub oldest: u64,
}

/// One message that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<T> {
    /// Counts from 1.
    pub offset: u64,
    /// The message's own mark.
    pub tag: Tag,
    /// The message.
    pub message: T,
}

impl ChannelRef<'_> {
    /// The newest messages that are kept, 1,000 at most.
    ///
    /// # Errors
    /// `bad_payload` for what is no name of a channel or a message that is no `T`, `unavailable`.
    pub async fn history<T: DeserializeOwned>(&self, limit: usize) -> Result<HistoryPage<T>> {
        self.read(|max| LogRead::Newest { limit: limit.min(max) }).await
    }

    /// The newest messages before an offset, 1,000 at most.
    pub async fn history_before<T: DeserializeOwned>(
        &self,
        offset: u64,
        limit: usize,
    ) -> Result<HistoryPage<T>> {
        self.read(|max| LogRead::Before { offset, limit: limit.min(max) }).await
    }

    /// The oldest messages after an offset, 1,000 at most.
    pub async fn history_after<T: DeserializeOwned>(
        &self,
        offset: u64,
        limit: usize,
    ) -> Result<HistoryPage<T>> {
        let mut page = self.read(|max| behind(offset, limit.min(max))).await?;
        page.messages.retain(|message| message.offset > offset);
        Ok(page)
    }

    async fn read<T: DeserializeOwned>(&self, read: impl FnOnce(usize) -> LogRead) -> Result<HistoryPage<T>> {
        let instance = &self.mesh.0.instance;
        let read = read(instance.limits.history_page_max);
        let page = page(instance, &key(&ChannelName::new(self.name)?), read).await?;
        let parsed = page.entries.iter().map(|logged| {
            let message = serde_json::from_str(message::value(logged)?.get())?;
            Ok(Message { offset: logged.offset, tag: logged.tag, message })
        });
        let messages = parsed.collect::<Result<_>>()?;
        Ok(HistoryPage { messages, epoch: page.epoch, newest: page.newest, oldest: page.oldest })
    }
}

/// The `limit` entries behind an offset, whatever life it is of, and perhaps some before them.
pub(super) fn behind(offset: u64, limit: usize) -> LogRead {
    LogRead::Before { offset: offset.saturating_add(limit as u64).saturating_add(1), limit }
}

pub(super) async fn page(instance: &Instance, key: &Key, read: LogRead) -> Result<LogPage> {
    instance.call(instance.life().link.read(key, read)).await
}

/// What a subscriber that was away missed.
pub(super) struct Missed {
    pub(super) page: LogPage,
    /// It is not all, and cannot be.
    pub(super) gap: Option<Gap>,
}

/// What came after a position, the oldest of it.
pub(super) async fn missed(
    instance: &Instance,
    key: &Key,
    after: Position,
    recover_max: Option<u64>,
) -> Result<Missed> {
    let limit = instance.limits.history_page_max;
    let mut position = after;
    if after == Position::START {
        // Of whatever life there has been since, from its beginning.
        let first = page(instance, key, LogRead::Newest { limit: 0 }).await?;
        let Some(epoch) = first.epoch else { return Ok(Missed { page: first, gap: None }) };
        position.epoch = epoch;
    }
    let page = page(instance, key, LogRead::After { position, limit }).await?;
    let missed = page.oldest.saturating_sub(position.offset + 1);
    let of_this_life = page.epoch == Some(position.epoch) && position.offset <= page.newest;
    let gap = if page.lost && of_this_life && missed > 0 {
        Some(Gap { reason: Reason::Expired, missed: Some(missed) })
    } else if page.lost {
        Some(Gap { reason: Reason::EpochChanged, missed: None })
    } else {
        let missed = page.newest - position.offset;
        let limit = recover_max.is_some_and(|max| missed > max);
        limit.then_some(Gap { reason: Reason::Limit, missed: Some(missed) })
    };
    Ok(Missed { page, gap })
}

/// So many of the entries that their bytes together are not too many, but one in any case: the first ones, or the last.
pub(super) fn fitting(entries: &mut Vec<Logged>, bytes_max: usize, first: bool) -> bool {
    let fits = |entries: &mut dyn Iterator<Item = &Logged>| {
        let mut bytes = 0;
        entries
            .take_while(|logged| {
                bytes += logged.kept.len();
                bytes <= bytes_max
            })
            .count()
    };
    let all = entries.len();
    if first {
        let count = fits(&mut entries.iter()).max(1);
        entries.truncate(count);
    } else {
        let count = fits(&mut entries.iter().rev()).max(1).min(all);
        entries.drain(..all - count);
    }
    entries.len() == all
}
