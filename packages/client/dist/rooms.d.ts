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
    /** The application leaves: whatever the server answers, the room is not joined again. */
    leave(name: string): void;
    /** The rooms to join on a new connection. */
    restore(): string[];
    /** Whether the room is (still) one to join again. */
    has(name: string): boolean;
    /** Joining again failed for now. */
    retry(name: string, at: number): void;
    /** The rooms whose next attempt is due. */
    due(now: number): string[];
    /** When the next room is due. */
    dueAt(): number;
}
