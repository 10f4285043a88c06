export type {
  AuthReason,
  Close,
  LifecycleEvents,
  LifecycleName,
} from "./actions.js";
export { Status } from "./actions.js";
export type { QueueLimits } from "./calls.js";
export type { ChannelOptions, Gap, MessageMeta } from "./channel.js";
export { MeshClient } from "./client.js";
export type { Clock } from "./clock.js";
export { type CloseClass, closeClass } from "./closes.js";
export { CodeError, type ErrorParts } from "./errors.js";
export type { LifecycleListener } from "./events.js";
export type {
  AuthContext,
  CallOptions,
  ChangeOptions,
  CommandOptions,
  Environment,
  HistoryOptions,
  MeshClientOptions,
  WaitOptions,
  WriteOptions,
} from "./options.js";
export type { PatchOperation } from "./patch.js";
export type { Position } from "./positions.js";
export type { RecordOptions, RecordUpdate } from "./record.js";
export type {
  ChannelHistory,
  ChannelSubscribed,
  HistoryMessage,
  Joined,
  Left,
  Published,
  RecordSubscribed,
} from "./results.js";
export type { OpenSocket, Socket, SocketEvents } from "./socket.js";
export type { SubscribeOptions } from "./topic.js";
export type { Wake, WatchWake } from "./wake.js";
export type { Frame } from "./wire.js";
