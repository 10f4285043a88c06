import { CodeError } from "./errors.js";
/**
 * What `document` is after the operations of `patch`, in order. The document itself is not touched, so an error leaves
 * nothing half done; the answer shares with it, and with the patch, whatever is the same, so treat all three as
 * constant. Where nothing changed, it is the document.
 *
 * The rules are those of the server, `mesh-proto` module `patch`: only own members are seen, numbers are equal where
 * their doubles are, and the copies of one patch add at most 256 Ki characters of JSON. What breaks them is thrown as a
 * {@link CodeError} with the code `bad_patch`, whose details name the `operation`, counted from 0.
 */
export function applyPatch(document, patch) {
    if (!Array.isArray(patch))
        throw badPatch("A patch is a list of operations");
    const work = new Work(document);
    for (const [operation, item] of patch.entries()) {
        const why = work.apply(item);
        if (why)
            throw badPatch(`Operation ${operation} of the patch: ${why}`, { operation });
    }
    return work.document;
}
/**
 * The same, but it is `document` that changes: all at once, or not at all. Its outermost object or list stays the same
 * one; the inner ones that changed are new.
 */
export function patchInPlace(document, patch) {
    const next = applyPatch(document, patch);
    if (next === document)
        return;
    if (!isContainer(next) || Array.isArray(next) !== Array.isArray(document)) {
        throw badPatch("The patch puts something else in place of the document");
    }
    const target = document;
    for (const name of Object.keys(target))
        if (!Object.hasOwn(next, name))
            delete target[name];
    for (const name of Object.keys(next))
        put(target, name, next[name]);
    if (Array.isArray(document))
        document.length = next.length;
}
const copiesMax = 262_144;
const missing = "nothing is there";
const noIndex = "no index of that list";
class Work {
    document;
    /** The objects and lists that were made here, stand in one place, and so may be changed. */
    #own = new Set();
    #copies = 0;
    constructor(document) {
        this.document = document;
    }
    apply(operation) {
        if (!isContainer(operation))
            return "it is no object";
        const { op, value } = operation;
        const path = names(operation.path);
        if (!path)
            return "`path` is no JSON pointer";
        switch (op) {
            case "add":
            case "replace":
            case "test":
                if (!Object.hasOwn(operation, "value"))
                    return "`value` is missing";
                if (op === "add")
                    return this.#add(path, value);
                if (op === "replace")
                    return this.#replace(path, value);
                return this.#find(path, (found) => (equal(found, value) ? undefined : "another value is there"));
            case "remove":
                return this.#remove(path);
            case "move":
            case "copy": {
                const from = names(operation.from);
                if (!from)
                    return "`from` is no JSON pointer";
                return this.#find(from, (found) => op === "move" ? this.#move(from, path, found) : this.#copy(path, found));
            }
            default:
                return "`op` is unknown";
        }
    }
    #add(path, value) {
        const name = path.at(-1);
        if (name === undefined)
            return this.#set(value);
        return this.#open(path.slice(0, -1), (parent) => {
            if (!Array.isArray(parent))
                return put(parent, name, value);
            const at = name === "-" ? parent.length : index(name, parent.length + 1);
            if (at < 0)
                return noIndex;
            parent.splice(at, 0, value);
            return undefined;
        });
    }
    #replace(path, value) {
        const name = path.at(-1);
        if (name === undefined)
            return this.#set(value);
        return this.#open(path.slice(0, -1), (parent) => why(parent, name) ?? put(parent, name, value));
    }
    #remove(path) {
        const name = path.at(-1);
        if (name === undefined)
            return "the document itself can't be removed";
        return this.#open(path.slice(0, -1), (parent) => {
            const fault = why(parent, name);
            if (fault)
                return fault;
            if (Array.isArray(parent))
                parent.splice(Number(name), 1);
            else
                delete parent[name];
            return undefined;
        });
    }
    #move(from, path, value) {
        if (from.every((name, at) => name === path[at])) {
            return from.length === path.length ? undefined : "a value can't be moved into itself";
        }
        return this.#remove(from) ?? this.#add(path, value);
    }
    #copy(path, value) {
        // Each copy can double the document, which costs nothing here, and too much where it is read.
        this.#copies += (JSON.stringify(value) ?? "").length;
        if (this.#copies > copiesMax)
            return "the copies are too large";
        // What is in it stands in two places now.
        if (isContainer(value))
            this.#own.clear();
        return this.#add(path, value);
    }
    #set(document) {
        this.document = document;
        return undefined;
    }
    #find(path, use) {
        let found = this.document;
        for (const name of path) {
            const fault = why(found, name);
            if (fault)
                return fault;
            found = found[name];
        }
        return use(found);
    }
    /** Hands out what is at `path`, an object or a list, to be changed: it and all around it are made our own. */
    #open(path, change) {
        return this.#find(path, (found) => {
            if (!isContainer(found))
                return missing;
            let container = this.#owned(this.document);
            this.document = container;
            for (const name of path) {
                const inner = this.#owned(container[name]);
                put(container, name, inner);
                container = inner;
            }
            return change(container);
        });
    }
    #owned(container) {
        if (this.#own.has(container))
            return container;
        const copy = Array.isArray(container) ? container.slice() : { ...container };
        this.#own.add(copy);
        return copy;
    }
}
/** Why `name` is nothing in `parent`: of a list only its items are seen, of an object only its own members. */
function why(parent, name) {
    if (Array.isArray(parent))
        return index(name, parent.length) < 0 ? noIndex : undefined;
    return isContainer(parent) && Object.hasOwn(parent, name) ? undefined : missing;
}
/** Sets an own member. An assignment would go through what is inherited, such as the setter of `__proto__`. */
function put(container, name, value) {
    Object.defineProperty(container, name, { value, writable: true, enumerable: true, configurable: true });
}
/** The index that a name is in a list, below `length`, or -1: digits without leading zeros. */
function index(name, length) {
    const at = /^(0|[1-9]\d*)$/.test(name) ? Number(name) : length;
    return at < length ? at : -1;
}
/** The names in a JSON pointer, after RFC 6901. */
function names(path) {
    if (typeof path !== "string" || (path && path[0] !== "/") || /~(?![01])/.test(path))
        return undefined;
    // `~1` first, so that `~01` is `~1`, and not `/`.
    return path
        .split("/")
        .slice(1)
        .map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
}
function isContainer(value) {
    return typeof value === "object" && value !== null;
}
function equal(a, b) {
    if (a === b)
        return true;
    if (!isContainer(a) || !isContainer(b) || Array.isArray(a) !== Array.isArray(b))
        return false;
    const members = Object.keys(a);
    return (members.length === Object.keys(b).length &&
        members.every((name) => Object.hasOwn(b, name) && equal(a[name], b[name])));
}
function badPatch(message, details) {
    return new CodeError(message, "bad_patch", "CodeError", { details });
}
