import { type Op, type Payload, type SubscribeOptions, Topic } from "./topic.js";
/** What comes with a message. */
export interface MessageMeta {
    /** Whether it is history, or was missed while there was no connection. */
    readonly replayed: boolean;
    /** Whether this client published it. */
    readonly own: boolean;
    /** Its number in the channel; there is none where the channel has no history. */
    readonly offset?: number | undefined;
    /** The life of the channel that the number belongs to. */
    readonly epoch?: string | undefined;
    /** The message's own mark. */
    readonly tag?: string | undefined;
    /** The mark of who published it. */
    readonly txn?: string | undefined;
}
/** Messages that are lost to this subscriber. What comes next comes after them. */
export interface Gap {
    /** `expired`, `epoch_changed`, `limit`, `no_history`, `lagged`, or a newer word of the server's. */
    readonly reason: string;
    /** How many, where that is known. */
    readonly missed?: number | undefined;
}
/** How to subscribe to a channel. */
export interface ChannelOptions extends SubscribeOptions {
    /** How many messages of the past to begin with. Default none. */
    readonly historyLimit?: number | undefined;
    /** Is told of what was lost, before any later message. */
    readonly onGap?: ((gap: Gap) => void) | undefined;
}
/** A channel: messages after the last position, in order and once each, or a gap that is told of first. */
export declare class ChannelTopic extends Topic {
    #private;
    readonly kind = "channel";
    get about(): Payload;
    protected from(resumes: boolean): {
        body: Payload;
        limit: number;
    };
    /** Reads the history for callbacks that joined a subscription which the others have already. */
    protected also(): Op | undefined;
    protected subscribed(op: Op, answer: Payload): void;
    push(push: Payload): void;
    protected handle(push: Payload): void;
}
