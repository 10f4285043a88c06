/** Where an entry stands in its stream. */
export interface Position {
  /** The life of the stream: another one when its store was lost. */
  readonly epoch: string;
  /** Grows by one per entry; for a record it is the version. */
  readonly offset: number;
  /** The entry's own mark. */
  readonly tag: string;
}

/** Reads a position; `undefined` where there is none. */
export function parsePosition(value: Readonly<Record<string, unknown>>): Position | undefined {
  const { epoch, offset, tag } = value;
  return typeof epoch === "string" && typeof offset === "number" && typeof tag === "string"
    ? { epoch, offset, tag }
    : undefined;
}

/** How many entries stand between the two, -1 for the same one; `undefined` if they aren't of one life. */
export function between(last: Position | undefined, next: Position | undefined): number | undefined {
  return last && next && last.epoch === next.epoch ? next.offset - last.offset - 1 : undefined;
}

/** Whether what stands at `next` was handed out before, or what came after it. */
export function isOld(last: Position | undefined, next: Position): boolean {
  return (between(last, next) ?? 0) < 0;
}
