//! What clients say about channels.

use mesh_backend::{LogPage, LogRead, Logged};
use mesh_proto::{
    ChannelHistory, ChannelName, Epoch, Form, HistoryAfter, Position, PublishChannel, SubscribeChannel,
    UnsubscribeChannel,
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::history::{self, Missed};
use super::message::{self, Gap, Reason};
use super::{key, publish_raw};
use crate::command::{Command, Payload, RawJson};
use crate::error::{MeshError, Result};
use crate::hub::{Lag, Wants};
use crate::policy::{ChannelPolicy, ask};
use crate::subscription::{self, Subscribing};

/// Messages of `mesh/get-channel-history` unless the client says otherwise.
const HISTORY_LIMIT: u64 = 50;

fn policy<'a>(cmd: &'a Command, channel: &ChannelName) -> Result<&'a ChannelPolicy> {
    cmd.mesh.0.channels.find(channel.as_str()).ok_or_else(|| {
        tracing::info!(
            %channel,
            "refused: no policy covers this channel; open it with `.channel(\"{channel}\", Channel::open())`"
        );
        MeshError::forbidden(format!("channel \"{channel}\" is not open"))
    })
}

async fn check_read(cmd: &Command, channel: &ChannelName) -> Result<()> {
    let timeout = cmd.mesh.0.instance.limits.guard_timeout;
    match &policy(cmd, channel)?.guard {
        Some(guard) => ask(guard, cmd.about(channel.as_str()), timeout).await,
        None => Ok(()),
    }
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Subscribed {
    success: bool,
    #[serde(flatten)]
    position: Option<Position>,
    /// For origin clients: the values, newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<Box<RawValue>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<Box<RawValue>>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    recovered: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<Gap>,
}

/// `mesh/subscribe-channel`
pub(crate) async fn subscribe(
    mut cmd: Command,
    Payload(asked): Payload<SubscribeChannel>,
) -> Result<RawJson> {
    let channel = &asked.channel;
    if cmd.only_asks() {
        check_read(&cmd, channel).await?;
        return RawJson::new("null");
    }
    let ChannelPolicy { keep, drop_oldest, .. } = policy(&cmd, channel)?;
    let (has_history, drops) = (keep.is_some(), *drop_oldest);
    let every = subscription::every(asked.max_rate)?;
    let form = cmd.conn.0.form;
    let latest = asked.latest || every.is_some();
    // One that has history sees by the offset what it was not given, and reads it; an origin client knows nothing of gaps.
    let is_told = form == Form::Hello && !has_history;
    let push = is_told.then(|| message::lag_push(channel)).transpose()?;
    let lag = drops.then(|| Lag::new(push));
    let wants = Wants { form, patches: false, latest, every, newest_first: latest, lag };
    let opening = subscription::open(&cmd, key(channel), wants, || check_read(&cmd, channel)).await?;
    if !has_history {
        let mut subscribed = Subscribed { success: true, ..Subscribed::default() };
        subscribed.gap = asked.after.map(|_| Gap { reason: Reason::NoHistory, missed: None });
        return answer(&mut cmd, subscribed, Vec::new(), Some((opening, None)));
    }
    let limits = &cmd.mesh.0.instance.limits;
    let (bytes_max, page_max) = (limits.history_bytes_max, limits.history_page_max);
    let mut gap = None;
    if let Some(after) = asked.after {
        let recover_max = Some(limits.recover_max);
        let Missed { mut page, gap: lost } =
            history::missed(&cmd.mesh.0.instance, &key(channel), after, recover_max).await?;
        if lost.is_none() {
            let fits = history::fitting(&mut page.entries, bytes_max, true);
            let last = page.entries.last().map_or(after, |last| at(&page, last));
            let more = !fits || page.entries.last().is_some_and(|last| last.offset < page.newest);
            let subscribed = Subscribed {
                success: true,
                position: Some(last),
                recovered: true,
                more,
                ..Subscribed::default()
            };
            let opening = (!more).then_some((opening, Some(last)));
            return answer(&mut cmd, subscribed, page.entries, opening);
        }
        gap = lost;
    }
    let limit = asked.history_limit.unwrap_or(0).min(page_max as u64) as usize;
    let read = LogRead::Newest { limit };
    let mut page = history::page(&cmd.mesh.0.instance, &key(channel), read).await?;
    history::fitting(&mut page.entries, bytes_max, false);
    let newest = Position { epoch: page.epoch.unwrap_or(Epoch(0)), offset: page.newest, tag: page.tag };
    let subscribed = Subscribed { success: true, position: Some(newest), gap, ..Subscribed::default() };
    answer(&mut cmd, subscribed, page.entries, Some((opening, Some(newest))))
}

fn at(page: &LogPage, entry: &Logged) -> Position {
    Position { epoch: page.epoch.unwrap_or(Epoch(0)), offset: entry.offset, tag: entry.tag }
}

fn answer(
    cmd: &mut Command,
    mut subscribed: Subscribed,
    entries: Vec<Logged>,
    opening: Option<(Subscribing, Option<Position>)>,
) -> Result<RawJson> {
    match cmd.conn.0.form {
        Form::Origin => {
            subscribed.history = Some(entries.iter().rev().map(message::value).collect::<Result<_>>()?);
        }
        Form::Hello => subscribed.messages = Some(entries.iter().map(message::item).collect::<Result<_>>()?),
    }
    if let Some((opening, position)) = opening {
        subscription::go_live(cmd, opening, position);
    }
    RawJson::new(serde_json::to_vec(&subscribed)?)
}

/// `mesh/unsubscribe-channel`
pub(crate) async fn unsubscribe(
    cmd: Command,
    Payload(UnsubscribeChannel { channel }): Payload<UnsubscribeChannel>,
) -> bool {
    subscription::close(&cmd, &key(&channel))
}

#[derive(Serialize)]
pub(crate) struct Published {
    success: bool,
    #[serde(flatten)]
    position: Option<Position>,
}

/// `mesh/publish-channel`
pub(crate) async fn publish(
    cmd: Command,
    Payload(PublishChannel { channel, message, txn }): Payload<PublishChannel>,
) -> Result<Published> {
    let Some(guard) = &policy(&cmd, &channel)?.publish else {
        tracing::info!(%channel, "refused: clients may not publish here; let them with `.publish(guard)`");
        return Err(MeshError::forbidden(format!("clients may not publish on \"{channel}\"")));
    };
    ask(guard, cmd.about(channel.as_str()), cmd.mesh.0.instance.limits.guard_timeout).await?;
    let position = publish_raw(&cmd.mesh, &channel, &message, txn.as_ref(), usize::MAX).await?;
    Ok(Published { success: true, position })
}

#[derive(Serialize)]
pub(crate) struct HistoryAnswer {
    success: bool,
    messages: Vec<Box<RawValue>>,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<Epoch>,
    oldest: u64,
    newest: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<Gap>,
}

/// `mesh/get-channel-history`
pub(crate) async fn get_history(
    cmd: Command,
    Payload(asked): Payload<ChannelHistory>,
) -> Result<HistoryAnswer> {
    check_read(&cmd, &asked.channel).await?;
    let (instance, key) = (&cmd.mesh.0.instance, key(&asked.channel));
    let limit = asked.limit.unwrap_or(HISTORY_LIMIT).min(instance.limits.history_page_max as u64) as usize;
    let (mut page, gap) = match (asked.before, asked.after) {
        (Some(_), Some(_)) => return Err(MeshError::bad_payload("before or after, not both")),
        (None, None) => (history::page(instance, &key, LogRead::Newest { limit }).await?, None),
        (Some(offset), None) => {
            (history::page(instance, &key, LogRead::Before { offset, limit }).await?, None)
        }
        (None, Some(HistoryAfter::Offset(offset))) => {
            let mut page = history::page(instance, &key, history::behind(offset, limit)).await?;
            page.entries.retain(|logged| logged.offset > offset);
            (page, None)
        }
        (None, Some(HistoryAfter::Position(position))) => {
            let Missed { mut page, gap } = history::missed(instance, &key, position, None).await?;
            page.entries.truncate(if gap.is_some() { 0 } else { limit });
            (page, gap)
        }
    };
    let forward = asked.after.is_some();
    history::fitting(&mut page.entries, instance.limits.history_bytes_max, forward);
    let truncated = match (page.entries.first(), page.entries.last()) {
        (Some(_), Some(last)) if forward => last.offset < page.newest,
        (Some(first), _) => first.offset > page.oldest,
        _ => limit == 0 && page.newest >= page.oldest,
    };
    let messages = page.entries.iter().map(message::item).collect::<Result<_>>()?;
    let LogPage { epoch, oldest, newest, .. } = page;
    Ok(HistoryAnswer { success: true, messages, truncated, epoch, oldest, newest, gap })
}
