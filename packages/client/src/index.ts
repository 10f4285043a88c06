export type {
  AuthReason,
  Close,
  LifecycleEvents,
  LifecycleName,
} from "./actions.js";
export { Status } from "./actions.js";
export type { QueueLimits } from "./calls.js";
export { MeshClient } from "./client.js";
export type { Clock } from "./clock.js";
export { type CloseClass, closeClass } from "./closes.js";
export { CodeError, type ErrorParts } from "./errors.js";
export type { LifecycleListener } from "./events.js";
export type { AuthContext, CommandOptions, Environment, MeshClientOptions } from "./options.js";
export type { Joined, Left } from "./results.js";
export type { OpenSocket, Socket, SocketEvents } from "./socket.js";
export type { Wake, WatchWake } from "./wake.js";
export type { Frame } from "./wire.js";
