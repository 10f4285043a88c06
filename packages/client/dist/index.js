export { Status } from "./actions.js";
export { MeshClient } from "./client.js";
export { closeClass } from "./closes.js";
export { CodeError } from "./errors.js";
