import type { Action } from "./actions.js";
import { type Frame } from "./wire.js";
/** What the client does about a push that is about no channel or record, over the connection of that attempt. */
export declare function pushed({ command, payload }: Frame, generation: number): readonly Action[];
