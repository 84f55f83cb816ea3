import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

/** What becomes of a request on its way to the server, or of the answer on its way back. */
export type ProxyFault =
  /** The server never hears of it. */
  | { readonly type: 'Answer'; readonly status: number; readonly body: string }
  | { readonly type: 'ResetBefore' }
  | { readonly type: 'Silence' }
  /** The server does it. */
  | { readonly type: 'ResetAfter' }
  | { readonly type: 'SilenceAfter' }
  | { readonly type: 'Delay'; readonly delayMs: number }
  /** The answer ends behind so many bytes of its body. */
  | { readonly type: 'Cut'; readonly afterBytes: number }
  /** One byte of the answer's body is another. */
  | { readonly type: 'WrongByte'; readonly at: number };

export interface ProxyRule {
  readonly method: string;
  /** Found in the path with its query. */
  readonly path: string | RegExp;
  readonly fault: ProxyFault;
  /** How many requests it meets; without it, all. */
  readonly times?: number;
}

/** Stands between a client and a real HTTP server and spoils what its rules say. Counts what passes. */
export class FaultyProxy {
  rules: ProxyRule[] = [];
  /** What becomes of a request that no rule meets: for faults by chance. */
  weather: (() => ProxyFault | undefined) | undefined;
  readonly requests: { readonly method: string; readonly path: string; readonly headers: IncomingMessage['headers'] }[] = [];
  readonly #server: Server;
  readonly #targetPort: () => number;
  readonly #met = new Map<ProxyRule, number>();

  private constructor(targetPort: () => number) {
    this.#targetPort = targetPort;
    this.#server = createServer((incoming, answer) => {
      // It answers, or breaks the connection, itself.
      void this.#handle(incoming, answer).catch(() => answer.destroy());
    });
  }

  static async start(targetPort: () => number): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(targetPort);
    await new Promise<void>((resolve) => {
      proxy.#server.listen(0, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get endpoint(): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  }

  /** Forgets rules and counts. */
  reset(...rules: ProxyRule[]): void {
    this.rules = rules;
    this.requests.length = 0;
    this.#met.clear();
  }

  countOf(method: string, path: string | RegExp = ''): number {
    return this.requests.filter((each) => each.method === method && matches(each.path, path)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  #faultOf(method: string, path: string): ProxyFault | undefined {
    const rule = this.rules.find(
      (each) => each.method === method && matches(path, each.path) && (this.#met.get(each) ?? 0) < (each.times ?? Infinity),
    );
    if (rule !== undefined) {
      this.#met.set(rule, (this.#met.get(rule) ?? 0) + 1);
      return rule.fault;
    }
    return this.weather?.();
  }

  async #handle(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { method = '', url: path = '', headers } = incoming;
    this.requests.push({ method, path, headers });
    const fault = this.#faultOf(method, path);
    if (fault?.type === 'ResetBefore') {
      incoming.socket.resetAndDestroy();
      return;
    }
    const body = await readAll(incoming);
    if (fault?.type === 'Silence') {
      return;
    }
    if (fault?.type === 'Answer') {
      answer.writeHead(fault.status, { 'content-type': 'application/xml', 'x-amz-request-id': 'REQUEST-7' });
      answer.end(fault.body);
      return;
    }
    const real = await this.#forward(incoming, body);
    const content = await readAll(real);
    if (fault?.type === 'ResetAfter') {
      incoming.socket.resetAndDestroy();
      return;
    }
    if (fault?.type === 'SilenceAfter') {
      return;
    }
    if (fault?.type === 'Delay') {
      await delay(fault.delayMs);
    }
    answer.writeHead(real.statusCode ?? 500, real.rawHeaders);
    if (fault?.type === 'Cut') {
      answer.write(content.subarray(0, fault.afterBytes), () => incoming.socket.resetAndDestroy());
      return;
    }
    if (fault?.type === 'WrongByte' && fault.at < content.byteLength) {
      content[fault.at] = (content[fault.at] ?? 0) ^ 1;
    }
    answer.end(content);
  }

  #forward(incoming: IncomingMessage, body: Buffer): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const { method, url, rawHeaders } = incoming;
      // The host's name is signed: it goes on as it came.
      const options = { host: '127.0.0.1', port: this.#targetPort(), method, path: url, headers: rawHeaders, setHost: false };
      const outgoing = request(options, resolve);
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }
}

function matches(path: string, pattern: string | RegExp): boolean {
  return typeof pattern === 'string' ? path.includes(pattern) : pattern.test(path);
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/** As S3 says no. */
export function s3Error(code: string, message = 'as told'): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message><RequestId>REQUEST-7</RequestId></Error>`;
}
