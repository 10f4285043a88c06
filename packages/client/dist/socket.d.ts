/** What a socket tells the client. After `closed` it says nothing more. */
export interface SocketEvents {
    opened(): void;
    frame(text: string): void;
    closed(code: number, reason: string): void;
    /** There is none to be had, however often one tries. */
    undialable(why: string): void;
}
/** A socket that was asked for. */
export interface Socket {
    send(text: string): void;
    /** How many bytes were given to `send` and are not on their way yet; 0 where nobody can tell. */
    readonly bufferedAmount?: number;
    /** Closes it and says nothing more; resolves when it is gone. It waits for the peer only if that is not `dead`. */
    hangup(code: number, dead: boolean): Promise<void>;
}
/** Opens a socket. Tests bring their own. */
export type OpenSocket = (url: string, protocol: string, events: SocketEvents) => Socket;
/** Opens the platform's WebSocket, or that of `ws` where there is none (Node before 22). */
export declare const openWebSocket: OpenSocket;
