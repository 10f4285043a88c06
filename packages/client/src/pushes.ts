import type { Action } from "./actions.js";
import { type Frame, isReserved, latencyText, pongText } from "./wire.js";

/** What the client does about a push that is about no channel or record, over the connection of that attempt. */
export function pushed({ command, payload }: Frame, generation: number): readonly Action[] {
  switch (command) {
    case "ping":
      return [
        { do: "send", generation, text: pongText },
        { do: "emit", event: "ping", args: [] },
      ];
    case "latency:request":
      return [{ do: "send", generation, text: latencyText }];
    case "latency":
      return typeof payload === "number" ? [{ do: "emit", event: "latency", args: [payload] }] : [];
    default:
      return isReserved(command) ? [] : [{ do: "push", name: command, payload }];
  }
}
