/** A join under way. It counts only if the room was not left since. */
export interface Join {
    readonly name: string;
    readonly room: object;
}
/** The rooms this client wants to be in, so that a new connection joins them again. */
export declare class Rooms {
    #private;
    /** The application joins. Two joins at once share the room, so either's success counts. */
    join(name: string): Join;
    /** That join has ended. */
    joined({ name, room }: Join, success: boolean): void;
    /** The application leaves, or is refused: the room is not joined again. */
    leave(name: string): void;
    /** A new connection begins to join the rooms again. */
    restore(): void;
    /** The rooms to join now: some at a time. */
    next(): string[];
    /** One of them has ended, one way or another. */
    restored(): void;
    /** Whether the last has. */
    get complete(): boolean;
    /** Joining that room again failed for now. */
    retry(name: string, at: number): void;
    /** Takes the rooms whose next try is due. */
    due(now: number): string[];
    /** When the next room is due. */
    dueAt(): number;
}
