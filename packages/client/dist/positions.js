/** Reads a position; `undefined` where there is none. */
export function parsePosition(value) {
    const { epoch, offset, tag } = value;
    return typeof epoch === "string" && typeof offset === "number" && typeof tag === "string"
        ? { epoch, offset, tag }
        : undefined;
}
/** How many entries stand between the two, -1 for the same one; `undefined` if they aren't of one life. */
export function between(last, next) {
    return last && next && last.epoch === next.epoch ? next.offset - last.offset - 1 : undefined;
}
/** Whether what stands at `next` was handed out before, or what came after it. */
export function isOld(last, next) {
    return (between(last, next) ?? 0) < 0;
}
