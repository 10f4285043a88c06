//! What clients say about records.

use bytes::Bytes;
use mesh_backend::CellValue;
use mesh_proto::patch::{Patch, Pointer};
use mesh_proto::{
    DeleteRecord, Epoch, Form, IncrementRecord, Mode, NamesRecord, PatchLimits, PatchRecord, Position,
    PublishRecord, RecordName, Strategy, SubscribeRecord, Tag, Txn,
};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use super::change::Change;
use super::write::{Write, write};
use super::{key, load, message, position};
use crate::command::{Command, Payload, RawJson};
use crate::error::{MeshError, Result};
use crate::hub::Wants;
use crate::policy::{RecordPolicy, ask};
use crate::subscription;

fn policy<'a>(cmd: &'a Command, record: &RecordName) -> Result<&'a RecordPolicy> {
    cmd.mesh.0.records.find(record.as_str()).ok_or_else(|| {
        tracing::info!(
            %record,
            "refused: no policy covers this record; open it with `.record(\"{record}\", Record::open())`"
        );
        MeshError::forbidden(format!("record \"{record}\" is not open"))
    })
}

async fn check_read(cmd: &Command, record: &RecordName) -> Result<()> {
    let timeout = cmd.mesh.0.instance.limits.guard_timeout;
    match &policy(cmd, record)?.read {
        Some(guard) => ask(guard, cmd.about(record.as_str()), timeout).await,
        None => Ok(()),
    }
}

async fn check_write(cmd: &Command, record: &RecordName) -> Result<()> {
    let Some(guard) = &policy(cmd, record)?.write else {
        tracing::info!(%record, "refused: clients may not write this record; let them with `.write(guard)`");
        let message = format!("Record \"{record}\" is not writable by this connection.");
        return Err(MeshError::forbidden(message));
    };
    ask(guard, cmd.about(record.as_str()), cmd.mesh.0.instance.limits.guard_timeout).await
}

/// A record as it is told.
#[derive(Serialize)]
struct Told<'a> {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unchanged: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<Epoch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<Tag>,
}

fn told(cell: Option<&CellValue>, unchanged: bool) -> Result<RawJson> {
    let position = position(cell);
    let value = cell.and_then(|cell| cell.value.as_deref()).unwrap_or(b"null");
    let value: &RawValue = serde_json::from_slice(value)?;
    let known = message::known(position);
    let told = Told {
        success: true,
        record: (!unchanged).then_some(value),
        unchanged,
        deleted: !unchanged && cell.is_some_and(|cell| cell.value.is_none()),
        version: position.offset,
        epoch: known.map(|position| position.epoch),
        tag: known.map(|position| position.tag),
    };
    RawJson::new(Bytes::from(serde_json::to_vec(&told)?))
}

/// `mesh/subscribe-record`
pub(crate) async fn subscribe(mut cmd: Command, Payload(asked): Payload<SubscribeRecord>) -> Result<RawJson> {
    let record = &asked.record_id;
    if cmd.only_asks() {
        check_read(&cmd, record).await?;
        return RawJson::new("null");
    }
    let form = cmd.conn.0.form;
    let every = subscription::every(asked.max_rate)?;
    let wants = Wants {
        form,
        patches: asked.mode == Mode::Patch,
        // A slow reader of state is given the newest, never disconnected for what is old.
        latest: true,
        every,
        newest_first: form == Form::Origin || asked.latest || every.is_some(),
        lag: None,
    };
    let subscribing = subscription::open(&cmd, key(record), wants, || check_read(&cmd, record)).await?;
    let cell = load(&cmd.mesh, record).await?;
    let snapshot = position(cell.as_ref());
    let answer = told(cell.as_ref(), asked.after == Some(snapshot))?;
    subscription::go_live(&mut cmd, subscribing, Some(snapshot));
    Ok(answer)
}

/// `mesh/unsubscribe-record`
pub(crate) async fn unsubscribe(
    cmd: Command,
    Payload(NamesRecord { record_id }): Payload<NamesRecord>,
) -> bool {
    subscription::close(&cmd, &key(&record_id))
}

/// `mesh/get-record`
pub(crate) async fn get(
    cmd: Command,
    Payload(NamesRecord { record_id }): Payload<NamesRecord>,
) -> Result<RawJson> {
    check_read(&cmd, &record_id).await?;
    told(load(&cmd.mesh, &record_id).await?.as_ref(), false)
}

/// The answer to a write.
#[derive(Serialize)]
pub(crate) struct WriteAnswer {
    success: bool,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<Epoch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Number>,
}

async fn write_for(
    cmd: &Command,
    record: &RecordName,
    change: Change,
    if_version: Option<u64>,
    txn: Option<Txn>,
) -> Result<WriteAnswer> {
    check_write(cmd, record).await?;
    let bytes_max = cmd.mesh.0.instance.limits.client_record_bytes_max;
    let asked = Write { change, if_version, txn, bytes_max };
    let (written, position, value) = write(&cmd.mesh, record, asked, Some(cmd.conn.id())).await?;
    let known: Option<Position> = message::known(position);
    Ok(WriteAnswer {
        success: true,
        version: written.version,
        epoch: known.map(|position| position.epoch),
        tag: known.map(|position| position.tag),
        value,
    })
}

/// `mesh/publish-record-update`
pub(crate) async fn publish(cmd: Command, Payload(asked): Payload<PublishRecord>) -> Result<WriteAnswer> {
    let value: Value = serde_json::from_str(asked.new_value.get())?;
    let change = match asked.options.unwrap_or_default().strategy {
        Strategy::Replace => Change::Set(value),
        Strategy::Merge => Change::Merge(value),
        Strategy::DeepMerge => Change::DeepMerge(value),
    };
    write_for(&cmd, &asked.record_id, change, asked.if_version, asked.txn).await
}

/// `mesh/patch-record`
pub(crate) async fn patch(cmd: Command, Payload(asked): Payload<PatchRecord>) -> Result<WriteAnswer> {
    let patch = Patch::parse(asked.patch.get(), &PatchLimits::default())
        .map_err(|error| MeshError::bad_payload(error.to_string()))?;
    write_for(&cmd, &asked.record_id, Change::Patch(patch), asked.if_version, asked.txn).await
}

/// `mesh/increment-record`
pub(crate) async fn increment(cmd: Command, Payload(asked): Payload<IncrementRecord>) -> Result<WriteAnswer> {
    let path = Pointer::new(asked.path).map_err(|fault| MeshError::bad_payload(fault.to_string()))?;
    let by = match asked.by {
        None => 1.into(),
        Some(Value::Number(by)) => by,
        Some(_) => return Err(MeshError::bad_payload("by is a number")),
    };
    write_for(&cmd, &asked.record_id, Change::Increment(path, by), None, asked.txn).await
}

/// `mesh/delete-record`
pub(crate) async fn delete(cmd: Command, Payload(asked): Payload<DeleteRecord>) -> Result<WriteAnswer> {
    write_for(&cmd, &asked.record_id, Change::Delete, asked.if_version, asked.txn).await
}
