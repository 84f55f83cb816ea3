import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** Stands between a client and a server on this machine and knows nothing of what they say, TLS included. What it does happens to connections. */
export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #refusing = false;

  private constructor(targetPort: number) {
    this.#server = createServer((client) => {
      if (this.#refusing) {
        cutOff(client);
        return;
      }
      this.#join({ client, server: connect(targetPort, '127.0.0.1') });
    });
  }

  static async start(targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connectionCount(): number {
    return this.#pairs.size;
  }

  /** Every connection breaks; new ones work. Says how many there were. */
  reset(): number {
    const pairs = [...this.#pairs];
    for (const { client, server } of pairs) {
      cutOff(client);
      server.destroy();
    }
    return pairs.length;
  }

  /** The present connections stand, and nothing comes through any more, as behind a router that has forgotten them; new ones work. Says how many there were. */
  silence(): number {
    const pairs = [...this.#pairs];
    for (const { client, server } of pairs) {
      client.unpipe(server).pause();
      server.unpipe(client).pause();
    }
    return pairs.length;
  }

  /** Breaks every connection, and new ones too until `accept`. */
  refuse(): void {
    this.#refusing = true;
    this.reset();
  }

  accept(): void {
    this.#refusing = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.reset();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(pair: Pair): void {
    const { client, server } = pair;
    this.#pairs.add(pair);
    client.pipe(server).pipe(client);
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      // The other side learns of it by the end of its own connection.
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        other.destroy();
        this.#pairs.delete(pair);
      });
    }
  }
}

/**
 * With a reset, unless its end is on its way already: libuv refuses to reset while it ends, Node (24.21) then forgets the handle without closing it, and the process can never end: it turns
 * in the teardown of its environment, waiting for that handle.
 */
function cutOff(socket: Socket): void {
  if (socket.writableEnded) {
    socket.destroy();
  } else {
    socket.resetAndDestroy();
  }
}
