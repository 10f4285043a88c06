export { Status } from "./actions.js";
export { MeshClient } from "./client.js";
export { CodeError } from "./errors.js";
